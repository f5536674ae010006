package courier_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// words is a partner that hears of a suspension or a resumption when the test lets it.
type words struct {
	mu    sync.Mutex
	lose  bool
	heard []message.Suspension // that were not lost
}

func (w *words) take(_ context.Context, _ noroshi.NodeID, doc []byte) error {
	if kind, err := message.KindOfDocument(doc); err != nil || kind != message.SuspensionDocument {
		return err
	}
	s, err := message.ReadSuspension(noroshi.Real, doc)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil && !w.lose {
		w.heard = append(w.heard, s)
	}
	return err
}

func (w *words) set(lose bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lose, w.heard = lose, nil
}

func (w *words) has(resumed bool) func() bool {
	return func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.heard) > 0 && w.heard[len(w.heard)-1].Resumed == resumed
	}
}

// TestWordHeededForAWhile: that the partner speaks under the agreement is no proof that
// a resumption arrived: the suspension before it may come after that, with what was said
// of the resumption lost. Nor does a partner that heeded a suspension heed it for ever:
// it may be put back to before it. Our latest word goes again, and no earlier one.
func TestWordHeededForAWhile(t *testing.T) {
	t.Parallel()
	p := newPair(t, 61, 0, 0)
	a, err := noroshi.ParseAgreement(p.file)
	if err != nil {
		t.Fatal(err)
	}
	w := &words{lose: true}
	p.b.document = w.take
	p.start()
	p.until("the link is there", 10*time.Second, func() bool { return p.a.link().Confirmed && p.b.link().Confirmed })
	say := func(counter uint64, resumed bool) {
		t.Helper()
		doc, err := message.SignSuspension(p.a.keys, message.Suspension{Agreement: a.Hash, Counter: counter, Resumed: resumed, Created: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.a.running().Document(t.Context(), p.b.id(), doc); err != nil {
			t.Fatal(err)
		}
	}
	said := func() {
		t.Helper()
		from := p.b.running().Counters().Statements
		p.until("B says more of itself", 10*time.Second, func() bool { return p.b.running().Counters().Statements > from+4 })
	}

	say(2, true)
	say(1, false) // handed in late: it was overtaken
	said()        // under the agreement, of which it has not heard that it was suspended
	p.b.suspend(p.a)
	said()
	w.set(false)
	p.until("B hears of the resumption", 10*time.Second, w.has(true))

	p.b.trusts(p.a, noroshi.InForce)
	p.a.suspend(p.b)
	say(3, false)
	p.until("B hears of the suspension", 10*time.Second, w.has(false))
	p.b.suspend(p.a)
	said()
	w.set(false)
	p.b.trusts(p.a, noroshi.InForce)
	p.until("B hears of the suspension again", 10*time.Second, w.has(false))
}
