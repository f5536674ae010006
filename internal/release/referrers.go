package release

import (
	"context"
	"slices"

	"github.com/noroshi-cti/noroshi"
)

// referrers notes the current versions of all objects that refer to objects
// with these sequences. Makers are not among what is looked up: every object
// of a source has the same (heldFor finds what waits for one).
func (d *Desk) referrers(ctx context.Context, w *touched, seqs []int64) error {
	if len(seqs) == 0 {
		return nil
	}
	seqs = slices.Sorted(slices.Values(seqs))
	ids, err := d.store.ReferrersTo(ctx, seqs)
	if err != nil {
		return err
	}
	for _, id := range ids {
		rec, err := d.store.Current(ctx, id)
		if noroshi.KindOf(err) == noroshi.NotFound {
			continue
		}
		if err != nil {
			return err
		}
		w.seqs[rec.Seq] = true
	}
	return nil
}
