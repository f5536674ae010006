package courier

import (
	"cmp"
	"context"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// remarks is the follower that recalls what was marked more strictly after it
// went. Its place is kept when it did something, or after so many changes.
const (
	remarks      = "recall"
	remarksEvery = 10_000
)

// Step follows the change feed by one slice: what the exit gate found to be
// held by a partner that may hold it no more is recalled from it; more is false
// when the end was reached. It needs no link and no running courier. Calls of it
// take turns.
func (c *Courier) Step(ctx context.Context) (more bool, err error) {
	c.turn.Lock()
	defer c.turn.Unlock()
	kept, err := c.s.Cursor(ctx, remarks)
	if err != nil {
		return false, err
	}
	from := max(kept, c.remarked)
	changes, err := c.s.Feed(ctx, from, store.MaxPage)
	if err != nil || len(changes) == 0 {
		return false, err
	}
	did := false
	for _, ch := range changes {
		if ch.Kind == store.Overheld {
			did = true
			if err := c.remark(ctx, ch.ID); err != nil {
				return false, err
			}
		}
	}
	c.remarked = changes[len(changes)-1].Seq
	if did || c.remarked-kept >= remarksEvery {
		err = c.s.Advance(ctx, remarks, c.remarked)
	}
	return true, err
}

// remark recalls one version from one partner: its id and time, never what it
// is marked now. Done twice it adds nothing.
func (c *Courier) remark(ctx context.Context, change string) error {
	partner, seq, err := store.ParseOverheld(change)
	if err != nil {
		return err
	}
	recs, err := c.s.Records(ctx, []int64{seq})
	if err != nil || len(recs) == 0 {
		return err
	}
	object, newest := recs[0].Object.ID, recs[0].Object.Modified
	r := Recall{ID: newRecallID("re-mark", c.o.Node.String(), partner.String(), string(object), recs[0].Hash.String()), Only: partner}
	var done []reach
	act := noroshi.Act{Action: noroshi.ActRecall, Subject: string(object), Precedence: noroshi.Immediate}
	_, err = c.s.Do(ctx, act, func(tx *store.Tx) error {
		if found, err := readJSON(ctx, tx.Reads, docRecall, r.ID, &Recall{}); err != nil || found {
			return cmp.Or(err, errNothing)
		}
		r.Made, r.Entries = tx.Time().UTC(), nil
		objects, err := c.remarkedObjects(ctx, tx, recs[0], partner)
		if err != nil {
			return err
		}
		objects[0].entry.Modified = modifiedText(newest)
		for _, o := range objects {
			r.Entries = append(r.Entries, o.entry)
		}
		var to []RecallTo
		if to, done, err = c.recall(ctx, tx, r, objects); err == nil && len(to) == 0 {
			err = errNothing // it never left, and is not on its way
		}
		return err
	})
	if err == errNothing {
		return nil
	}
	if err == nil {
		c.settle(done)
	}
	return err
}

// remarkedObjects returns a version with those before it, and what says what the
// object says, but for what the partner itself brought. Where a later version
// went to the partner, it is what may be said of the object: then only the
// translations of earlier ones go with them.
func (c *Courier) remarkedObjects(ctx context.Context, tx *store.Tx, v store.Record, partner noroshi.NodeID) (list []taken, err error) {
	theirs := noroshi.Source{Kind: noroshi.FromPartner, Partner: partner}.Owner()
	made, err := madeHere(ctx, tx.Reads, v.Object.ID)
	if err != nil {
		return nil, err
	}
	later, err := laterWent(ctx, tx.Reads, v, partner)
	if err != nil {
		return nil, err
	}
	for i, id := range slices.Insert(made, 0, v.Object.ID) {
		versions, err := tx.Versions(ctx, id)
		if err != nil {
			return nil, err
		}
		versions = slices.DeleteFunc(versions, func(x store.Record) bool {
			switch {
			case x.Source.Owner() == theirs:
				return true
			case i == 0:
				return x.Object.Modified.Compare(v.Object.Modified) > 0
			}
			return later && !translates(x.Object, v.Object)
		})
		list = append(list, taken{versions: versions, entry: message.RecallEntry{Object: id, Modified: modifiedText(newestOf(versions)),
			Reason: message.RecallRelabelled, Scope: message.RecallReMark}})
	}
	return list, nil
}

// laterWent reports whether a later version of an object is released to a
// partner.
func laterWent(ctx context.Context, r store.Reads, v store.Record, partner noroshi.NodeID) (bool, error) {
	now, err := r.Current(ctx, v.Object.ID)
	if noroshi.KindOf(err) == noroshi.NotFound {
		return false, nil
	}
	if err != nil || now.Object.Modified.Compare(v.Object.Modified) <= 0 {
		return false, err
	}
	released, err := r.Released(ctx, partner, []int64{now.Seq})
	return released[now.Seq] != "", err
}

// translates reports whether an object translates a version of another, or an
// earlier one (STIX 2.1 §7.1).
func translates(o, of *stix.Object) bool {
	at, err := stix.ParseTime(o.Text("object_modified"))
	return err == nil && stix.ID(o.Text("object_ref")) == of.ID && at.Compare(of.Modified) <= 0
}
