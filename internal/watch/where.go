package watch

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// whereObjects makes what sightings name as where something was seen: an
// identity of a class of organisations, by sectors, and a location, by region.
// Their ids are derived from the node's secret and from what they say, so that
// other words are other objects and an old sighting goes on saying what it said.
func whereObjects(salt [16]byte, o Options, now time.Time, marks []stix.ID) ([]*stix.Object, error) {
	var list []*stix.Object
	add := func(typ string, said []string, members ...stix.Member) error {
		name := typ + "\x00" + strings.Join(said, "\x00") + "\x00"
		for _, m := range marks {
			name += "\x00" + string(m)
		}
		at := stix.TimeOf(now)
		x, err := stix.Make(slices.Concat([]stix.Member{
			{Name: "type", Value: typ},
			{Name: "spec_version", Value: "2.1"},
			{Name: "id", Value: stix.DeriveID(typ, salt, "where\x00"+name)},
			{Name: "created_by_ref", Value: o.Self.Identity},
			{Name: "created", Value: at},
			{Name: "modified", Value: at},
		}, members, []stix.Member{{Name: "object_marking_refs", Value: marks}})...)
		list = append(list, x)
		return err
	}
	if sectors := slices.Sorted(slices.Values(o.Sectors)); len(sectors) > 0 {
		if err := add("identity", sectors, stix.Member{Name: "name", Value: "organisations: " + strings.Join(sectors, ", ")},
			stix.Member{Name: "identity_class", Value: "class"}, stix.Member{Name: "sectors", Value: sectors}); err != nil {
			return nil, err
		}
	}
	if o.Region == "" {
		return list, nil
	}
	err := add("location", []string{o.Region}, stix.Member{Name: "name", Value: o.Region}, stix.Member{Name: "region", Value: o.Region})
	return list, err
}

// whereMarks returns the markings of what a sighting names as where: TLP:GREEN,
// since it names nobody, and the exercise's of the sighting.
func (w *Watch) whereMarks(marks []stix.ID, bodies bodies) []stix.ID {
	list := []stix.ID{noroshi.Green.MarkingID()}
	here := w.o.Realm.Exercise()
	for _, id := range marks {
		if l := noroshi.MarkingLabel(id, bodies(id), nil); here != "" && l.Exercise == here {
			list = append(list, id)
		}
	}
	return list
}

// where returns the ids of what sightings with these markings name, and those of
// the objects that are not here yet.
func (w *Watch) where(ctx context.Context, salt [16]byte, now time.Time, marks []stix.ID) (ids []stix.ID, fresh []*stix.Object, err error) {
	list, err := whereObjects(salt, w.o, now, marks)
	if err != nil || len(list) == 0 {
		return nil, nil, err
	}
	for _, o := range list {
		ids = append(ids, o.ID)
	}
	held, err := w.store.Held(ctx, ids)
	for _, o := range list {
		if !held[o.ID] {
			fresh = append(fresh, o)
		}
	}
	return ids, fresh, err
}

// Locate makes what sightings will name as where, before anything is seen: its
// coming to a partner then says nothing of a sighting. In an exercise, whose
// marking the telemetry's indicators bring, the first sighting makes it.
func (w *Watch) Locate(ctx context.Context) error {
	if len(w.o.Sectors) == 0 && w.o.Region == "" || w.o.Realm.Exercise() != "" {
		return nil
	}
	salt, err := w.readSalt(ctx)
	if err != nil {
		return err
	}
	_, fresh, err := w.where(ctx, salt, w.o.Now().UTC(), []stix.ID{noroshi.Green.MarkingID()})
	if err != nil || len(fresh) == 0 {
		return err
	}
	p, err := w.gate.PrepareObjects(noroshi.Source{Kind: noroshi.FromSelf}, "", fresh)
	if err != nil {
		return err
	}
	_, err = w.store.Do(ctx, noroshi.Act{Action: noroshi.ActConfigure, Subject: string(fresh[0].ID), Count: len(fresh)}, func(tx *store.Tx) error {
		_, err := w.gate.Admit(tx, p)
		return err
	})
	return err
}

// bodies returns the definitions of a marking as far as they speak for one
// object: this node's own, and those of the partner that brought it.
type bodies func(stix.ID) []*stix.Object

// bodiesFor reads the definitions that speak for an object.
func (w *Watch) bodiesFor(ctx context.Context, r store.Record, marks []stix.ID) (bodies, error) {
	found := map[stix.ID][]*stix.Object{}
	for _, id := range marks {
		if noroshi.TLPOf(id) != noroshi.NoTLP {
			continue
		}
		versions, err := w.store.Versions(ctx, id)
		if err != nil && noroshi.KindOf(err) != noroshi.NotFound {
			return nil, err
		}
		for _, v := range versions {
			if v.Source.Kind != noroshi.FromPartner || r.Source.Kind == noroshi.FromPartner && r.Source.Partner == v.Source.Partner {
				found[id] = append(found[id], v.Object)
			}
		}
	}
	return func(id stix.ID) []*stix.Object { return found[id] }, nil
}
