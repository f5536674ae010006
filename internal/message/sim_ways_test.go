package message_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// simWay is a channel between the two nodes: it loses, takes its time, is cut
// (and says so) or mute (and does not).
type simWay struct {
	message.Traits
	name      string
	loss      int // of a hundred
	delay     time.Duration
	cut, mute bool
}

// newWays is one to three channels of different kinds.
func newWays(rng *rand.Rand) []*simWay {
	ways := []*simWay{
		{name: "https", Traits: message.Traits{Kind: "https", Cost: 1}},
		{name: "mail", Traits: message.Traits{Kind: "mail", Cost: 2, Turn: time.Second}, delay: 800 * time.Millisecond},
		{name: "line", Traits: message.Traits{Kind: "line", Cost: 3, Turn: 600 * time.Millisecond, Narrow: true}, delay: 300 * time.Millisecond},
	}
	ways = ways[:1+rng.IntN(3)]
	for _, w := range ways {
		w.loss = rng.IntN(4) * 15
	}
	return ways
}

func (w *simWay) change(rng *rand.Rand) {
	w.cut, w.mute = rng.IntN(3) == 0, rng.IntN(4) == 0
}

// simLabels: what is "plain" may go by every channel, what is "close" by https
// alone, the third by none of those that are narrow.
var simLabels = []string{"plain", "plain", "close", "wide"}

func admitted(channel, label string) bool {
	switch label {
	case "close":
		return channel == "https"
	case "wide":
		return channel != "line"
	}
	return true
}

// offered is the channels as Step has them.
func (w *world) offered() (list []message.Way) {
	for _, x := range w.ways {
		admits := func(label string) bool { return w.flaw == weakerPath || admitted(x.name, label) }
		list = append(list, message.Way{Name: x.name, Traits: x.Traits, Control: true, Admits: admits})
	}
	return list
}

// carry hands something over to a channel, which may say that it does not work,
// lose it, or bring it later.
func (n *simNode) carry(channel string, e message.Event) bool {
	w := n.w
	way := w.ways[slices.IndexFunc(w.ways, func(x *simWay) bool { return x.name == channel })]
	if way.cut {
		n.step(message.Up{Channel: channel, Why: "cut"})
		return false
	}
	n.step(message.Up{Channel: channel, Up: true})
	if !way.mute && w.rng.IntN(100) >= way.loss {
		at := w.now
		if way.delay > 0 {
			at = at.Add(time.Duration(w.rng.Int64N(int64(way.delay))))
		}
		w.net = append(w.net, packet{n.peer(), e, at})
	}
	return true
}

// flashOut is a FLASH without a receipt and the ways it has gone by.
type flashOut struct {
	label string
	by    map[string]bool
}

// settled forgets FLASH that need no more sending.
func (n *simNode) settled(e message.Epoch, seqs []uint64) {
	for _, s := range seqs {
		delete(n.flash, key{e, s})
	}
}

// watch is I13: nothing lower begins by a way while a FLASH has not begun there.
func (n *simNode) watch(x message.Effect) {
	switch x := x.(type) {
	case message.Expire:
		n.settled(x.Epoch, x.Seqs)
	case message.Receipt:
		for _, r := range x.Stored {
			for s := r.A; s <= r.B; s++ {
				delete(n.flash, key{x.Epoch, s})
			}
		}
	case message.Send:
		if f := n.flash[key{x.Epoch, x.Seq}]; f != nil {
			if len(f.by) == 1 && !f.by[x.Channel] {
				n.w.seen.several++
			}
			f.by[x.Channel] = true
			if n.w.flaw == oneWayOnly {
				f.by = map[string]bool{x.Channel: true}
			}
			return
		}
		for k, f := range n.flash {
			if x.Prec < noroshi.Flash && admitted(x.Channel, f.label) && !f.by[x.Channel] {
				n.w.failf("I13: node %d begins %d by %s before FLASH %d", n.i, x.Seq, x.Channel, k.seq)
			}
		}
	}
}

// checkFlash: a FLASH goes by every way that is admissible and takes anything,
// at once. More than a window of them take turns.
func (n *simNode) checkFlash() {
	st := n.side.Status()
	if !st.Confirmed || st.Opening || !st.Counts || st.Waiting[noroshi.Flash] > simRules(n).Window {
		return
	}
	for k, f := range n.flash {
		for _, p := range st.Paths {
			if p.State < message.PathDown && admitted(p.Name, f.label) && !f.by[p.Name] {
				n.w.failf("node %d: FLASH %d does not go by %s, which is %s", n.i, k.seq, p.Name, p.State)
			}
		}
	}
}

// pathless reports whether something could have no way now.
func (n *simNode) pathless() bool {
	paths := n.side.Status().Paths
	return slices.ContainsFunc(simLabels, func(label string) bool {
		return !slices.ContainsFunc(paths, func(p message.PathStatus) bool { return p.State < message.PathDown && admitted(p.Name, label) })
	})
}

// simSeen counts what schedules are there for.
type simSeen struct{ switched, silent, halted, noPath, several int }

func (s *simSeen) add(o simSeen) {
	s.switched, s.silent, s.halted, s.noPath, s.several = s.switched+o.switched, s.silent+o.silent, s.halted+o.halted, s.noPath+o.noPath, s.several+o.several
}

// often holds that the schedules brought about each of these often enough to
// have checked it.
func (s simSeen) often(t *testing.T, seeds int) {
	t.Helper()
	for name, n := range map[string]int{"changes of path": s.switched / 2, "silent paths left": s.silent * 5, "Sends halted": s.halted * 100, "messages without a path told": s.noPath * 100, "FLASH by several ways": s.several * 10} {
		if n < seeds {
			t.Errorf("%s: too few in %d schedules: %+v", name, seeds, s)
		}
	}
}
