package release

import (
	"context"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// decided decides a case. What stands in the stream counts as what the partner
// has, but for what has never left and may not leave any more: a message that
// is more urgent would name it, and be sealed before it is withheld.
func (d *Desk) decided(ctx context.Context, g *graph, l *link, c *Case) ([]Decision, error) {
	for {
		out := Decide(*c)
		more := false
		for id, s := range c.Around {
			i, ok := g.at[id]
			if s != Had || !ok || c.Stopped[id] || c.Items[i].Theirs || out[i].Outcome == noroshi.Release || out[i].Outcome == noroshi.Redact {
				continue
			}
			yes, err := d.stopped(ctx, g, l, &c.Items[i], &out[i])
			if err != nil {
				return nil, err
			}
			if yes {
				if c.Stopped == nil {
					c.Stopped = map[stix.ID]bool{}
				}
				c.Stopped[id], more = true, true
			}
		}
		if !more {
			return out, nil
		}
	}
}

// stopped reports whether no version of an object can have left, and none that
// is in the stream may go as it was decided.
func (d *Desk) stopped(ctx context.Context, g *graph, l *link, it *Item, now *Decision) (bool, error) {
	rec := g.recs[g.at[it.ID]]
	if b, ok := g.batches[g.batch[rec.Seq]]; ok {
		row, err := d.row(ctx, g, rec)
		if err != nil {
			return false, err
		}
		if stands(b, row, it, now) {
			return false, nil // found without a question: the common case
		}
	}
	versions, err := d.store.Versions(ctx, it.ID)
	if err != nil {
		return false, err
	}
	seqs := make([]int64, len(versions))
	bySeq := make(map[int64]store.Record, len(versions))
	for i, v := range versions {
		if brought(v, l) {
			return false, nil
		}
		seqs[i], bySeq[v.Seq] = v.Seq, v
	}
	slices.Sort(seqs)
	released, err := d.store.Released(ctx, l.party.Node, seqs)
	if err != nil {
		return false, err
	}
	for seq, batch := range released {
		b, err := d.store.Batch(ctx, batch)
		if err != nil {
			return false, err
		}
		state, _, err := d.store.Delivery(ctx, batch, seq)
		if err != nil {
			return false, err
		}
		row, err := d.rowIn(ctx, g, batch, bySeq[seq])
		if err != nil {
			return false, err
		}
		if state >= store.Attempted && state <= store.ReadThere || stands(b, row, it, now) {
			return false, nil
		}
	}
	return true, nil
}
