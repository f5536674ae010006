package release

import (
	"context"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// overhold finds the versions the partner was given under a label that allowed
// it, of objects that are marked more strictly now and may not go to it any
// more, whoever approves: they are to be recalled. What is denied for another
// reason (the agreement has ended, what it refers to stays) is stopped and not
// recalled, and of what still may go as a view the view takes the place.
func (w *plan) overhold(ctx context.Context) error {
	former := map[stix.ID][]int64{}
	for _, r := range w.graph.stale {
		former[r.Object.ID] = append(former[r.Object.ID], r.Seq)
	}
	for i, r := range w.graph.recs[:w.graph.asked] {
		if goes(&w.out[i]) || r.Withdrawn || r.Object.Type == "marking-definition" {
			continue
		}
		for _, seq := range append(former[r.Object.ID], r.Seq) {
			if !w.graph.streamed[seq] {
				continue
			}
			b, err := w.desk.store.Batch(ctx, w.graph.batch[seq])
			if err != nil {
				return err
			}
			if saysMore(b.Label, w.c.Items[i].Label.Join(w.out[i].Label)) {
				w.over = append(w.over, seq)
			}
		}
	}
	slices.Sort(w.over)
	w.over = slices.Compact(w.over)
	return nil
}

// saysMore reports whether a label says more than the one something went under.
func saysMore(went string, now noroshi.Label) bool {
	was, err := noroshi.ParseLabel(went)
	return err == nil && was.Join(now).String() != was.String()
}

// remarkedSent notes what went to partners under a marking that has a second
// definition now: it may mean more than it did.
func (d *Desk) remarkedSent(ctx context.Context, w *touched, links []*link, redefined map[stix.ID]bool) error {
	is := func(id stix.ID) bool { return redefined[id] }
	for _, l := range links {
		runs, err := d.store.InStream(ctx, l.party.Node)
		if err != nil {
			return err
		}
		for _, run := range runs {
			for lo := run[0]; lo <= run[1]; lo += store.MaxPage {
				recs, err := d.store.List(ctx, store.Filter{After: lo - 1, Limit: int(min(run[1]-lo+1, store.MaxPage)), All: true})
				if err != nil {
					return err
				}
				for _, r := range recs {
					if r.Seq <= run[1] && marked(r, is) {
						w.narrow(r.Seq)
					}
				}
			}
		}
	}
	return nil
}
