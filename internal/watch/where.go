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

// exerciseMarking makes this node's own definition of a marking that says what
// exercise something is of.
func exerciseMarking(salt [16]byte, o Options, now time.Time) (*stix.Object, error) {
	return stix.Make(
		stix.Member{Name: "type", Value: "marking-definition"},
		stix.Member{Name: "spec_version", Value: "2.1"},
		stix.Member{Name: "id", Value: stix.DeriveID("marking-definition", salt, "exercise\x00"+o.Realm.Exercise())},
		stix.Member{Name: "created_by_ref", Value: o.Self.Identity},
		stix.Member{Name: "created", Value: stix.TimeOf(now)},
		stix.Member{Name: "extensions", Value: []stix.Member{{Name: string(noroshi.ExerciseExtension), Value: []stix.Member{
			{Name: "extension_type", Value: "property-extension"}, {Name: "exercise_id", Value: o.Realm.Exercise()}}}}},
	)
}

// where returns the ids of what sightings name, and those of the objects that
// are not here yet. They are marked TLP:GREEN, since they name nobody, and in an
// exercise as of it, whatever a sighting is marked: their marking tells nothing
// of any.
func (w *Watch) where(ctx context.Context, salt [16]byte, now time.Time) (ids []stix.ID, fresh []*stix.Object, err error) {
	if len(w.o.Sectors) == 0 && w.o.Region == "" {
		return nil, nil, nil
	}
	var list []*stix.Object
	marks := []stix.ID{noroshi.Green.MarkingID()}
	if w.o.Realm.Exercise() != "" {
		def, err := exerciseMarking(salt, w.o, now)
		if err != nil {
			return nil, nil, err
		}
		list, marks = append(list, def), append(marks, def.ID)
	}
	objects, err := whereObjects(salt, w.o, now, marks)
	if err != nil {
		return nil, nil, err
	}
	for _, o := range objects {
		ids = append(ids, o.ID)
	}
	list = append(list, objects...)
	all := make([]stix.ID, len(list))
	for i, o := range list {
		all[i] = o.ID
	}
	held, err := w.store.Held(ctx, all)
	for _, o := range list {
		if !held[o.ID] {
			fresh = append(fresh, o)
		}
	}
	return ids, fresh, err
}

// Locate makes what sightings will name as where, before anything is seen: its
// coming to a partner then says nothing of a sighting.
func (w *Watch) Locate(ctx context.Context) error {
	if len(w.o.Sectors) == 0 && w.o.Region == "" {
		return nil
	}
	salt, err := w.readSalt(ctx)
	if err != nil {
		return err
	}
	_, fresh, err := w.where(ctx, salt, w.o.Now().UTC())
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
			if v.Source.SpeaksFor(r.Source) {
				found[id] = append(found[id], v.Object)
			}
		}
	}
	return func(id stix.ID) []*stix.Object { return found[id] }, nil
}
