package courier_test

import (
	"context"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
)

// counted is a channel that counts what it carries.
type counted struct {
	courier.Channel
	look  func(channel string, envelope []byte) // may be nil
	mu    sync.Mutex
	bytes int
	count int
}

func (c *counted) Send(ctx context.Context, p noroshi.Partner, prec noroshi.Precedence, envelope []byte) error {
	c.mu.Lock()
	c.bytes, c.count = c.bytes+len(envelope), c.count+1
	if c.look != nil {
		c.look(c.Channel.Traits().Kind, envelope)
	}
	c.mu.Unlock()
	return c.Channel.Send(ctx, p, prec, envelope)
}

func (c *counted) take() (bytes, count int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	bytes, count, c.bytes, c.count = c.bytes, c.count, 0, 0
	return bytes, count
}

// TestASecondSyncCostsNothing: two nodes that have exchanged a list ask each other
// again, and there is nothing new: what each sends, to the byte, is one STATE.
func TestASecondSyncCostsNothing(t *testing.T) {
	warmCoders(t)
	cryptotest.SetGlobalRandom(t, 9)
	synctest.Test(t, func(t *testing.T) {
		h := newHour(t, false)
		there, back := &counted{Channel: h.good.wire}, &counted{Channel: h.v.wire}
		h.good.wire, h.v.wire, h.good.beat, h.v.beat = there, back, time.Hour, time.Hour
		h.start()
		time.Sleep(3 * time.Hour) // all that is to be countersigned is
		for range 3 {
			there.take()
			back.take()
			if _, err := h.good.running().Test(context.Background(), h.v.id(), ""); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			a, n := there.take()
			b, m := back.take()
			if n == 0 || m == 0 || a > 2048 || b > 2048 {
				t.Errorf("a sync with nothing new costs %d bytes there in %d envelopes and %d back in %d, want at most 2,048 each", a, n, b, m)
			}
			time.Sleep(10 * time.Minute)
		}
	})
}
