package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi/internal/store/pg"
)

// Bounds of a lease: how often its connection is asked whether it lives, and how
// long an answer may take. The server finds a holder that is gone by the
// keep-alive of its connection, within half a minute; one that died, at once.
const (
	leaseBeat   = time.Second
	leaseAnswer = 5 * time.Second
)

// lead takes the lock on a connection of its own, which nothing else uses.
func (d *database) lead(ctx context.Context, name string, wait bool, fn func(context.Context) error) (bool, error) {
	c, err := pg.Dial(ctx, d.config)
	if err != nil {
		return false, unreachable(d, err)
	}
	defer c.Close()
	held, err := c.Lock(ctx, d.key("lease "+name), wait)
	if err != nil || !held {
		return false, err
	}
	inner, lost := context.WithCancelCause(ctx)
	var beating sync.WaitGroup
	beating.Go(func() { beat(inner, c, func() { lost(errLost(name)) }) })
	err = fn(inner)
	if cause := context.Cause(inner); LeaseLost(cause) && (err == nil || errors.Is(err, context.Canceled)) {
		err = cause
	}
	lost(nil)
	beating.Wait()
	return true, err
}

// beat asks the connection whether it lives until ctx ends; gone is called once
// when it does not.
func beat(ctx context.Context, c *pg.Conn, gone func()) {
	tick := time.NewTicker(leaseBeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		soon, cancel := context.WithTimeout(ctx, leaseAnswer)
		err := c.Script(soon, "SELECT 1")
		cancel()
		if err != nil && ctx.Err() == nil {
			gone()
			return
		}
	}
}
