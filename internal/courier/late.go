package courier

import (
	"context"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
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

// owed adds what was released and is not yet in the stream, and counts
// what has no receipt and should have had one by the agreement's clock: messages
// from when they joined the stream, batches not yet in it from when they were
// released.
func (c *Courier) owed(ctx context.Context, p noroshi.Partner, st *LinkStatus) error {
	var agreement *noroshi.Agreement
	if p.Trust == noroshi.InForce {
		var err error
		if agreement, err = c.agreed(ctx, p); err != nil {
			return err
		}
	}
	now := c.o.Now()
	due := func(prec noroshi.Precedence) time.Time { // what began before it is late
		if agreement == nil {
			return time.Time{}
		}
		if clock := agreement.ClockFor(prec); clock.Receipt > 0 {
			return now.Add(-clock.Receipt)
		}
		return time.Time{}
	}
	late, unsent, err := c.s.Owed(ctx, p.Node, due)
	st.Late = late
	for _, u := range unsent {
		n := (u.Left + message.MaxBatch - 1) / message.MaxBatch
		st.Waiting[u.Precedence.String()] += n
		if u.Released.Before(due(u.Precedence)) {
			st.Late += n
		}
	}
	return err
}
