package courier

import (
	"context"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// late counts what has no receipt and should have had one by the agreement's
// clock: messages from when they joined the stream, batches not yet in it from
// when they were released.
func (c *Courier) late(ctx context.Context, p noroshi.Partner) (n int, err error) {
	if p.Trust != noroshi.InForce {
		return 0, nil
	}
	v, err := c.view(ctx, p)
	if err != nil || v.agreement == nil {
		return 0, err
	}
	due := func(prec noroshi.Precedence) time.Time { // what began before it is late
		if clock := v.agreement.ClockFor(prec); clock.Receipt > 0 {
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
