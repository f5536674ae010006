package message_test

import (
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// wired are two sides that have long been confirmed, and a wire by which all that one
// says is with the other a while later.
type wired struct {
	now   time.Time
	sides [2]message.Side
	epoch [2]message.Epoch
	under []wire
	trip  time.Duration // of one way
	lose  func(to int, e message.Event) bool
	went  []message.Send // of side 0
}

type wire struct {
	to int
	e  message.Event
	at time.Time
}

func newWired(t *testing.T, trip, turn time.Duration) *wired {
	t.Helper()
	w := &wired{now: time.Unix(1_800_000_000, 0), trip: trip, lose: func(int, message.Event) bool { return false }}
	for i := range w.sides {
		r := message.DefaultRules()
		r.Realm, r.Self, r.Partner = noroshi.Real, noroshi.NodeID{byte(i)}, noroshi.NodeID{byte(1 - i)}
		r.Ways[0].Turn = turn
		w.epoch[i] = message.Epoch{byte(i + 1)}
		head := message.EpochHead{Epoch: w.epoch[i], Chain: message.ChainStart(r.Realm, r.Self, r.Partner, w.epoch[i])}
		w.sides[i] = message.Rebuild(r, message.Facts{Run: [8]byte{byte(i + 1)}, Seed: [32]byte{byte(i)}, Mine: []message.EpochHead{head}}, w.now)
	}
	w.run(max(2*time.Minute, 30*turn))
	for i := range w.sides {
		if !w.sides[i].Confirmed() {
			t.Fatal("the link is not confirmed")
		}
	}
	return w
}

// do has a side take an event, and what follows from it.
func (w *wired) do(i int, e message.Event) {
	var fx []message.Effect
	w.sides[i], fx = message.Step(w.sides[i], e, w.now)
	for _, x := range fx {
		switch x := x.(type) {
		case message.SayState:
			w.send(1-i, message.Told{Epoch: x.Epoch, Counter: x.Counter, Sum: noroshi.Hash{byte(x.Counter), x.Epoch[0]}, State: x.State, Channel: x.Channel})
		case message.Open:
			var parents []message.Epoch
			for _, p := range x.Parents {
				parents = append(parents, p.Epoch)
			}
			w.epoch[i][0] += 10
			w.do(i, message.Opened{Epoch: w.epoch[i], Parents: parents, First: w.out(i, 1, noroshi.Immediate)})
		case message.Send:
			if i == 0 {
				w.went = append(w.went, x)
			}
			w.send(1-i, message.Arrived{In: message.In{Epoch: x.Epoch, Seq: x.Seq, ID: noroshi.Hash{byte(x.Seq), x.Epoch[0]}, Prec: x.Prec}})
			w.do(i, message.HandedOver{Epoch: x.Epoch, Seq: x.Seq, Channel: x.Channel, OK: true})
		case message.Keep:
			x.In.Standing = message.Applied
			w.do(i, message.Kept{In: x.In})
		}
	}
}

func (w *wired) out(i int, seq uint64, p noroshi.Precedence) message.Out {
	return message.Out{Epoch: w.epoch[i], Seq: seq, ID: noroshi.Hash{byte(seq), w.epoch[i][0]}, Prec: p, Created: w.now, Len: 10}
}

func (w *wired) send(to int, e message.Event) {
	if !w.lose(to, e) {
		w.under = append(w.under, wire{to, e, w.now.Add(w.trip)})
	}
}

// run lets time go by, and ends before it when side 0 has sent something.
func (w *wired) run(d time.Duration) {
	w.went = nil
	for end := w.now.Add(d); w.now.Before(end) && len(w.went) == 0; w.now = w.now.Add(5 * time.Millisecond) {
		for k := 0; k < len(w.under); k++ {
			if x := w.under[k]; !x.at.After(w.now) {
				w.under = append(w.under[:k], w.under[k+1:]...)
				k = -1
				w.do(x.to, x.e)
			}
		}
		for i := range w.sides {
			if !w.sides[i].Next().After(w.now) {
				w.do(i, message.Tick{})
			}
		}
	}
}

// TestANewLifeIsHeardAtOnce: what waits for a new life to be cited waits for one turn of
// the path, however quiet the link was, and who began a life there meanwhile. Where
// nothing comes back one message a minute goes all the same.
func TestANewLifeIsHeardAtOnce(t *testing.T) {
	t.Parallel()
	lost := func(n int) func(w *wired) {
		return func(w *wired) {
			w.lose = func(to int, e message.Event) bool { _, told := e.(message.Told); n--; return told && n >= 0 }
		}
	}
	for _, c := range []struct {
		name       string
		trip, turn time.Duration
		do         func(w *wired)
		within     time.Duration
	}{
		{"https", 20 * time.Millisecond, 0, func(*wired) {}, 100 * time.Millisecond},
		{"both", 20 * time.Millisecond, 0, func(w *wired) { w.do(1, message.Reopen{}) }, 200 * time.Millisecond},
		{"its first STATE is lost", 20 * time.Millisecond, 0, lost(1), 3 * time.Second},
		{"a line", 14 * time.Second, 30 * time.Second, func(*wired) {}, time.Minute},
		{"both on a line", 14 * time.Second, 30 * time.Second, func(w *wired) { w.do(1, message.Reopen{}) }, 2 * time.Minute},
		{"nothing comes back", 20 * time.Millisecond, 0, func(w *wired) {
			w.lose = func(to int, _ message.Event) bool { return to == 0 }
		}, 80 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWired(t, c.trip, c.turn)
			c.do(w)
			begun := w.now
			w.do(0, message.Reopen{})
			w.do(0, message.Committed{Out: w.out(0, 2, noroshi.Flash)})
			if w.run(c.within + time.Second); len(w.went) == 0 || w.went[0].Prec != noroshi.Flash {
				t.Fatalf("nothing went in %v: %v", w.now.Sub(begun), w.went)
			}
			if took := w.now.Sub(begun); took > c.within {
				t.Errorf("the FLASH goes after %v, want %v", took, c.within)
			}
			if heard := c.name != "nothing comes back"; w.sides[0].Status().Counts != heard || !heard && len(w.went) > 1 {
				t.Errorf("it counts there: %t, and there went %v", w.sides[0].Status().Counts, w.went)
			}
		})
	}
}

// TestPutBackToBeforeOurLife: a partner that was put back cites what was before our
// present epoch, which does not count there until it says so again.
func TestPutBackToBeforeOurLife(t *testing.T) {
	t.Parallel()
	o := newOne(t)
	former := o.epoch
	o.opened(false)
	o.epoch = message.Epoch{3}
	o.hear(message.State{Cited: message.Citation{Epoch: o.epoch, Counter: 1}})
	if !o.side.Status().Counts {
		t.Fatal("our epoch does not count although it is cited")
	}
	o.step(message.Told{Epoch: message.Epoch{77}, Counter: 1, State: message.State{Run: [8]byte{9}, Challenge: [8]byte{5}, Echo: o.last.Challenge,
		Out: message.OutHead{Parents: []message.Epoch{otherLife}}, Cited: message.Citation{Epoch: former}}})
	if o.side.Status().Counts {
		t.Error("our epoch counts in a life of the partner's that cites the one before")
	}
}
