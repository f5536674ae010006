package courier

import (
	"context"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// maxMade bounds what is recalled with an object: a RECALL has room for 1,024
// entries. An object of more than a year of daily warnings goes beyond it.
const maxMade = 1000

// madeOf returns what says what an object says and is not the object: its
// translations, and the warnings of this node about nothing but it and what is
// out of use besides, with their translations. gone are objects that are being
// taken back in the same act.
//
// A sighting says when something was met and not what it was, so it stays.
func madeOf(ctx context.Context, r store.Reads, id stix.ID, gone map[stix.ID]bool) (list []stix.ID, err error) {
	if list, err = translationsOf(ctx, r, id); err != nil {
		return nil, err
	}
	reports, err := referrersOf(ctx, r, id, "report", maxMade)
	if err != nil {
		return nil, err
	}
	for _, report := range reports {
		about, err := aboutNothingElse(ctx, r, report, id, gone)
		if err != nil {
			return nil, err
		}
		if !about {
			continue
		}
		words, err := translationsOf(ctx, r, report)
		if err != nil {
			return nil, err
		}
		list = append(append(list, report), words...)
	}
	return list[:min(len(list), maxMade)], nil
}

// aboutNothingElse reports whether a report is a warning of this node's own and
// names, besides an object and sightings, nothing that is in use.
func aboutNothingElse(ctx context.Context, r store.Reads, report, id stix.ID, gone map[stix.ID]bool) (bool, error) {
	versions, err := r.Versions(ctx, report)
	if err != nil {
		return false, err
	}
	ours := false
	for _, v := range versions {
		if v.Source.Kind != noroshi.FromSelf || !v.Current {
			continue
		}
		ours = true
		for _, ref := range v.Object.Refs() {
			if !strings.HasPrefix(ref.Path, "object_refs.") || ref.Target == id || gone[ref.Target] || ref.Target.Type() == "sighting" {
				continue
			}
			named, err := r.Versions(ctx, ref.Target)
			if err != nil {
				return false, err
			}
			if inUse(named) {
				return false, nil
			}
		}
	}
	return ours, nil
}

// referrersOf returns the objects of a type that refer to an object.
func referrersOf(ctx context.Context, r store.Reads, id stix.ID, typ string, most int) (list []stix.ID, err error) {
	for after := stix.ID(typ + "-"); len(list) < most; {
		ids, err := r.Referrers(ctx, id, after, store.MaxPage)
		if err != nil {
			return nil, err
		}
		for _, x := range ids {
			if after = x; x.Type() == typ {
				list = append(list, x)
			}
		}
		if len(ids) < store.MaxPage || after.Type() > typ {
			break
		}
	}
	return list[:min(len(list), most)], nil
}

// recallDerived takes back what this node itself made of objects a partner took
// back, and of which nothing is in use here now: it is a recall of this node's
// own, which goes to everybody who has it, that partner too.
func (c *Courier) recallDerived(ctx context.Context, tx *store.Tx, in RecallIn) (done []reach, err error) {
	r := Recall{Made: in.Time}
	var objects []taken
	seen := map[stix.ID]bool{}
	for _, e := range in.Entries {
		list, err := derivedOf(ctx, tx, e, seen)
		if err != nil {
			return nil, err
		}
		objects = append(objects, list...)
	}
	for n := 0; len(objects) > 0; n++ {
		part := objects[:min(len(objects), maxMade)]
		objects = objects[len(part):]
		r.ID = newRecallID("derived", c.o.Node.String(), in.Message.String(), string(part[0].entry.Object))
		r.Entries, r.Owners = nil, []string{noroshi.Source{Kind: noroshi.FromSelf}.Owner(), noroshi.Source{Kind: noroshi.FromFile}.Owner()}
		for _, x := range part {
			r.Entries = append(r.Entries, x.entry)
		}
		_, d, err := c.recall(ctx, tx, r, part)
		if err != nil {
			return nil, err
		}
		done = append(done, d...)
	}
	return done, nil
}

// derivedOf returns what is to be taken back of this node's own for one entry
// of a RECALL that came; seen is added to.
func derivedOf(ctx context.Context, tx *store.Tx, e message.RecallEntry, seen map[stix.ID]bool) (list []taken, err error) {
	left, err := tx.Versions(ctx, e.Object)
	if err != nil {
		return nil, err
	}
	if inUse(left) {
		return nil, nil // another version, or another's claim, stands
	}
	ids, err := madeOf(ctx, tx.Reads, e.Object, seen)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		versions, err := tx.Versions(ctx, id)
		if err != nil {
			return nil, err
		}
		versions = slices.DeleteFunc(versions, func(v store.Record) bool { return v.Source.Kind == noroshi.FromPartner })
		if !inUse(versions) {
			continue
		}
		x := e
		x.Message, x.Object, x.Modified = noroshi.Hash{}, id, modifiedText(newestOf(versions))
		if x.Scope != message.RecallReMark {
			x.Reason = message.RecallSource
		}
		list = append(list, taken{entry: x, versions: versions})
	}
	return list, nil
}
