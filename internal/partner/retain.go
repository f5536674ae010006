package partner

import (
	"context"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

const (
	retainEvery  = 24 * time.Hour
	retainAtOnce = 200 // changes looked at in one act: what a FLASH may have to wait for
)

// Retain takes out of use, once a day and in slices, what partners brought
// longer ago than the agreement with them lets it be kept (retention_days): it
// is matched and passed on no more. The bytes stay, the record being
// append-only; nobody is told. What another source brought too, it brought: that
// claim stands by itself, and the partner's goes, so that its answer to a recall
// tells nobody of the other. more is true when there is another slice.
//
// What comes again afterwards, the same bytes too, begins a new term.
func (o *Office) Retain(ctx context.Context) (more bool, err error) {
	o.retaining.Lock()
	defer o.retaining.Unlock()
	now := o.o.Now()
	if !o.retained.IsZero() && now.Sub(o.retained) < retainEvery && !now.Before(o.retained) {
		return false, nil
	}
	all, err := partners(ctx, o.store.Reads)
	if err != nil {
		return false, err
	}
	for _, p := range all {
		end, err := o.termEnd(ctx, p, now)
		if err != nil {
			return false, err
		}
		if more, err := o.retain(ctx, p, end); more || err != nil {
			return more, err
		}
	}
	o.retained = now
	return false, nil
}

// termEnd returns the sequence up to which what a partner brought is kept too
// long, 0 when nothing is. The newest agreement decides, for what came under
// earlier ones too, whether it is in force still or not.
func (o *Office) termEnd(ctx context.Context, p noroshi.Partner, now time.Time) (int64, error) {
	if p.Agreement.IsZero() {
		return 0, nil
	}
	file, err := o.store.Doc(ctx, noroshi.DocAgreement, p.Agreement.String())
	if noroshi.KindOf(err) == noroshi.NotFound {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	a, err := noroshi.ParseAgreement(file)
	if err != nil || a.RetentionDays == 0 {
		return 0, nil // doctor says that an agreement cannot be read
	}
	return o.seqAt(ctx, now.Add(-time.Duration(a.RetentionDays)*24*time.Hour))
}

// seqAt returns the last sequence of the feed that was there at a time.
func (o *Office) seqAt(ctx context.Context, at time.Time) (int64, error) {
	last, err := o.store.Head(ctx)
	if err != nil {
		return 0, err
	}
	lo, hi := int64(0), last // up to lo it was there, above hi it was not
	for lo < hi {
		mid := lo + (hi-lo+1)/2
		list, err := o.store.Feed(ctx, mid-1, 1)
		if err != nil {
			return 0, err
		}
		if len(list) == 1 && !list[0].Time.After(at) {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return lo, nil
}

// retain ends the term of a slice of what a partner brought.
func (o *Office) retain(ctx context.Context, p noroshi.Partner, end int64) (more bool, err error) {
	follower := "retention " + p.Node.String()
	owner := noroshi.Source{Kind: noroshi.FromPartner, Partner: p.Node}.Owner()
	at, err := o.store.Cursor(ctx, follower)
	if err != nil || at >= end {
		return false, err
	}
	changes, err := o.store.Feed(ctx, at, retainAtOnce)
	if err != nil || len(changes) == 0 {
		return false, err
	}
	var seqs []int64
	for _, c := range changes {
		if c.Seq > end {
			break
		}
		if at = c.Seq; c.Kind == store.ObjectChanged {
			seqs = append(seqs, c.Seq)
		}
	}
	recs, err := o.store.Records(ctx, seqs)
	if err != nil {
		return false, err
	}
	recs = slices.DeleteFunc(recs, func(r store.Record) bool {
		return r.Withdrawn || r.Source.Owner() != owner || r.Object.Type == "marking-definition" || r.Object.Type == "identity"
	})
	if len(recs) == 0 {
		return true, o.store.Advance(ctx, follower, at)
	}
	act := noroshi.Act{Action: noroshi.ActEndRetention, Subject: p.Agreement.String(), Partner: p.Node, Agreement: p.Agreement, Count: len(recs)}
	_, err = o.store.Do(ctx, act, func(tx *store.Tx) error {
		for _, r := range recs {
			if err := tx.End(r.Object.ID, owner, end); err != nil {
				return err
			}
		}
		return tx.SetCursor(follower, at)
	})
	return true, err
}
