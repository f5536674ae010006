package door

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Selection says what of all that is held lies on a shelf: what every kind of
// condition that is given lets through. Conditions of one kind are alternatives.
//
// BUG(door): a marking is read as it stands when an object comes or is marked. A
// definition that comes later moves nothing: what was not understood stays off
// the shelf until its next version or marking.
type Selection struct {
	Types   []string         // STIX types
	Sources []string         // a kind of source such as "feed", or it and a name such as "feed:kev"
	Ceiling *noroshi.Ceiling // what is marked no higher
}

// ParseSelection reads conditions "type=indicator", "source=feed:kev" and
// "marking=TLP:AMBER"; further markings are further kinds (noroshi.ParseCeiling).
func ParseSelection(conditions []string) (s Selection, err error) {
	var markings []string
	for _, text := range conditions {
		key, value, _ := strings.Cut(text, "=")
		switch {
		case value == "":
			key = ""
		case key == "type":
			s.Types = append(s.Types, value)
			continue
		case key == "source":
			s.Sources = append(s.Sources, value)
			continue
		case key == "marking":
			markings = append(markings, value)
			continue
		}
		return s, noroshi.Errorf(noroshi.Invalid, "door.select", "%q must be type=, source= or marking= and a value, such as type=indicator", text)
	}
	if len(markings) > 0 {
		c, err := noroshi.ParseCeiling(markings)
		if err != nil {
			return s, err
		}
		s.Ceiling = &c
	}
	return s, nil
}

// sourceKinds are the kinds of sources that a selection names.
var sourceKinds = []string{string(noroshi.FromClient), string(noroshi.FromFeed), string(noroshi.FromFile), string(noroshi.FromPartner), string(noroshi.FromSelf)}

// knows refuses a selection that nothing can ever match: of a type that STIX does
// not define, does not begin with x- and of which nothing is held, or of no kind
// of source.
func (d *Door) knows(ctx context.Context, s Selection) error {
	for _, src := range s.Sources {
		kind, _, _ := strings.Cut(src, ":")
		if !slices.Contains(sourceKinds, kind) {
			return noroshi.Errorf(noroshi.Invalid, "door.select-source", "%q is no kind of source; there are %s, each alone or with a name, such as feed:kev", kind, strings.Join(sourceKinds, ", "))
		}
	}
	for _, typ := range s.Types {
		if strings.HasPrefix(typ, "x-") || slices.Contains(stix.Types(), typ) {
			continue
		}
		held, err := d.store.List(ctx, store.Filter{Type: typ, Limit: 1})
		if err != nil {
			return err
		}
		if len(held) == 0 {
			return noroshi.Errorf(noroshi.Invalid, "door.select-type", "%q is no type of STIX, and nothing of it is held; there are %s", typ, strings.Join(stix.Types(), ", "))
		}
	}
	return nil
}

// matches reports whether a version that is in effect is selected.
func (s Selection) matches(r store.Record, label noroshi.Label) bool {
	if !r.Current || r.Withdrawn || r.Foreign || r.Conflict {
		return false
	}
	return (len(s.Types) == 0 || slices.Contains(s.Types, r.Object.Type)) &&
		(len(s.Sources) == 0 || slices.ContainsFunc(s.Sources, func(want string) bool {
			kind, name, named := strings.Cut(want, ":")
			return kind == string(r.Source.Kind) && (!named || name == r.Source.Name || name == r.Source.Partner.String())
		})) &&
		(s.Ceiling == nil || s.Ceiling.Admits(label))
}

// selected lays on a shelf what came, or was marked, since the last time and is
// selected, and takes off what is selected no more.
func (d *Door) selected(ctx context.Context, c Collection) (more bool, err error) {
	sel, err := ParseSelection(c.Select)
	if err != nil {
		return false, err
	}
	after, err := d.store.Cursor(ctx, c.follower())
	if err != nil {
		return false, err
	}
	changes, err := d.store.Feed(ctx, after, store.MaxPage)
	if err != nil || len(changes) == 0 {
		return false, err
	}
	recs, err := d.store.Records(ctx, changed(changes))
	if err != nil {
		return false, err
	}
	last := changes[len(changes)-1].Seq
	return len(changes) == store.MaxPage, d.rearrange(ctx, c, sel, recs, last)
}

// rearrange lays versions on a shelf or takes them off, and moves its cursor.
func (d *Door) rearrange(ctx context.Context, c Collection, sel Selection, recs []store.Record, cursor int64) error {
	var lay []store.Laid
	var off []time.Time
	labels := d.store.Labels(nil)
	for _, r := range recs {
		label, err := labels.Of(ctx, r)
		if err != nil {
			return err
		}
		if sel.matches(r, label) {
			lay = append(lay, store.Laid{Seq: r.Seq, Object: r.Object})
			continue
		}
		dates, err := d.unselected(ctx, c, r)
		if err != nil {
			return err
		}
		off = append(off, dates...)
	}
	_, err := d.store.Do(ctx, noroshi.Act{Action: noroshi.ActShelve, Subject: c.ID}, func(tx *store.Tx) error {
		if err := tx.TakeOff(c.ID, off); err != nil {
			return err
		}
		laid, _, err := tx.Lay(c.ID, lay)
		tx.Act().Count = laid
		if err != nil {
			return err
		}
		return tx.SetCursor(c.follower(), cursor)
	})
	return err
}

// unselected returns the dates of what comes off a shelf with a version that is
// not selected: the version itself and, where it is the one in effect, those
// before it. What was posted to the shelf stays.
func (d *Door) unselected(ctx context.Context, c Collection, r store.Record) (off []time.Time, err error) {
	there, _, err := d.store.Shelf(ctx, store.ShelfQuery{Collection: c.ID, IDs: []stix.ID{r.Object.ID}, Versions: []store.VersionOf{{All: true}}})
	if err != nil || len(there) == 0 {
		return nil, err
	}
	added := map[int64]time.Time{}
	seqs := make([]int64, 0, len(there))
	for _, x := range there {
		if x.Seq == r.Seq || r.Current {
			added[x.Seq], seqs = x.Added, append(seqs, x.Seq)
		}
	}
	recs, err := d.store.Records(ctx, seqs)
	if err != nil {
		return nil, err
	}
	for _, x := range recs {
		posted, err := d.mayHavePosted(ctx, x.Source, c)
		if err != nil {
			return nil, err
		}
		if !posted {
			off = append(off, added[x.Seq])
		}
	}
	return off, nil
}

// mayHavePosted reports whether a source is a client that posts to a shelf, or
// did.
func (d *Door) mayHavePosted(ctx context.Context, src noroshi.Source, c Collection) (bool, error) {
	if src.Kind != noroshi.FromClient {
		return false, nil
	}
	clients, err := store.DocsOf[Client](ctx, d.store.Reads, DocClient)
	return slices.Contains(clients[src.Name].Write, c.ID), err
}

// changed returns the versions that changes put or marked, each once.
func changed(changes []store.Change) []int64 {
	var seqs []int64
	for _, ch := range changes {
		switch ch.Kind {
		case store.ObjectChanged:
			seqs = append(seqs, ch.Seq)
		case store.MarkingAssigned:
			if seq, err := strconv.ParseInt(ch.ID, 10, 64); err == nil {
				seqs = append(seqs, seq)
			}
		}
	}
	slices.Sort(seqs)
	return slices.Compact(seqs)
}
