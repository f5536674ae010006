package courier

import (
	"context"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// agreed is the agreement with a partner: as its link has it where that one runs,
// for to read it anew costs more than all else that is asked here.
func (c *Courier) agreed(ctx context.Context, p noroshi.Partner) (*noroshi.Agreement, error) {
	if l, err := c.link(p.Node); err == nil {
		if a := l.view.Load().agreement; a != nil && a.Hash == p.Agreement {
			return a, nil
		}
	}
	v, err := c.view(ctx, p)
	if err != nil {
		return nil, err
	}
	return v.agreement, nil
}

// late counts what has no receipt and should have had one by the agreement's
// clock: messages from when they joined the stream, batches not yet in it from
// when they were released.
func (c *Courier) late(ctx context.Context, p noroshi.Partner) (n int, err error) {
	if p.Trust != noroshi.InForce {
		return 0, nil
	}
	agreement, err := c.agreed(ctx, p)
	if err != nil || agreement == nil {
		return 0, err
	}
	due := func(prec noroshi.Precedence) time.Time { // what began before it is late
		if clock := agreement.ClockFor(prec); clock.Receipt > 0 {
			return c.o.Now().Add(-clock.Receipt)
		}
		return time.Time{}
	}
	for prec := noroshi.Routine; prec <= noroshi.Flash; prec++ {
		k, err := c.s.PendingBefore(ctx, p.Node, prec, due(prec))
		if err != nil {
			return n, err
		}
		n += k
	}
	ids, err := c.s.UnsentBatches(ctx, p.Node)
	if err != nil {
		return n, err
	}
	for _, id := range ids {
		b, err := c.s.Batch(ctx, id)
		if err != nil {
			return n, err
		}
		acts, err := c.s.Acts(ctx, b.Act, 1)
		if err != nil {
			return n, err
		}
		next, err := c.s.Cursor(ctx, store.BatchPlace(id))
		if err != nil {
			return n, err
		}
		if left := b.Count - int(next); left > 0 && len(acts) > 0 && acts[0].Time.Before(due(b.Precedence)) {
			n += (left + message.MaxBatch - 1) / message.MaxBatch
		}
	}
	return n, nil
}
