package release

import (
	"context"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// referrers notes the current versions of all objects that refer to objects
// with these sequences.
func (d *Desk) referrers(ctx context.Context, w *touched, seqs []int64) error {
	recs, err := d.records(ctx, seqs)
	if err != nil {
		return err
	}
	for _, r := range recs {
		if r.Object.ID == d.o.Self.Identity {
			continue // every partner has it from the card
		}
		if err := d.referrersOf(ctx, w, r.Object.ID); err != nil {
			return err
		}
	}
	return nil
}

// referrersAtOnce bounds one page of referrers.
const referrersAtOnce = 1000

func (d *Desk) referrersOf(ctx context.Context, w *touched, id stix.ID) error {
	for after := stix.ID(""); ; {
		page, err := d.store.Referrers(ctx, id, after, referrersAtOnce)
		if err != nil {
			return err
		}
		for _, from := range page {
			after = from
			rec, err := d.store.Current(ctx, from)
			if noroshi.KindOf(err) == noroshi.NotFound {
				continue
			}
			if err != nil {
				return err
			}
			w.seqs[rec.Seq] = true
		}
		if len(page) < referrersAtOnce {
			return nil
		}
	}
}
