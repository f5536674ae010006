package release_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
)

// cutting is a context that ends when it has been asked a number of times.
type cutting struct {
	context.Context
	left *atomic.Int64
	stop context.CancelFunc
}

func (c cutting) tick() {
	if c.left.Add(-1) == 0 {
		c.stop()
	}
}

func (c cutting) Done() <-chan struct{} { c.tick(); return c.Context.Done() }
func (c cutting) Err() error            { c.tick(); return c.Context.Err() }

// TestStepBrokenOff: wherever a step of the desk is broken off, the desk that
// goes on from what is in the store passes over no change.
func TestStepBrokenOff(t *testing.T) {
	o := newOffice(t, jpn)
	o.settle()
	cuts := 0
	for n := 1; ; n++ {
		want := id("indicator", n)
		o.put(indicator(t, n, noroshi.Green))
		ctx, stop := context.WithCancel(o.ctx)
		left := &atomic.Int64{}
		left.Store(int64(n))
		_, _ = o.desk.Step(cutting{ctx, left, stop})
		stop()
		desk, err := release.New(o.store, release.Options{ // the node comes back
			Realm: real, Node: usa.Node, Self: noroshi.Organisation{CallSign: usa.CallSign, Identity: usa.Identity}, Now: func() time.Time { return o.now },
		})
		if err != nil {
			t.Fatal(err)
		}
		o.desk = desk
		o.settle()
		if got := o.sends(jpn); got[want] == "" {
			t.Fatalf("broken off at %d: what came before is passed over", n)
		}
		if left.Load() > 0 {
			break
		}
		cuts++
	}
	if cuts < 20 {
		t.Errorf("a step was broken off in %d places only", cuts)
	}
}
