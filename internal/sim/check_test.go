package sim_test

import (
	"context"
	"encoding/binary"
	"math"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// standing is what a node has under a slot.
type standing struct {
	id    noroshi.Hash
	state store.InState
}

var bg = context.Background()

// check looks at every node that is up, at a moment in which nothing moves: at what
// is on record where there is more of it than when it looked last.
func (w *world) check() {
	var more []*life
	for _, n := range w.nodes { // what is believed of others first: it is looked for there
		l := n.live.Load()
		if l == nil || w.failed() {
			continue
		}
		acts, err := l.store.NextAct(bg)
		if err != nil {
			w.failf("%s: %v", n.sign, err)
			return
		}
		if acts > l.acts {
			l.acts, more = acts, append(more, l)
			w.checkOut(l)
		}
	}
	for _, l := range more {
		if !w.failed() {
			w.checkIn(l)
			w.checkObjects(l)
			w.checkClosed(l)
			w.checkRecalled(l)
		}
	}
	for _, n := range w.nodes {
		if l := n.live.Load(); l != nil && !w.failed() {
			w.checkClaims(n)
			w.checkUrgent(l)
		}
	}
	for _, l := range more { // when it is known whether two logs had to part
		if !w.failed() {
			w.checkActs(l)
		}
	}
}

// checkIn: what came stays, goes only upwards, and is what its sender sent under
// its sequence (I1, I2, I4).
func (w *world) checkIn(l *life) {
	n := l.n
	if w.seen.ever[n.i] == nil {
		w.seen.ever[n.i] = map[slot]bool{}
	}
	for from, o := range w.nodes {
		if from == n.i {
			continue
		}
		for _, e := range w.seen.epochs[[2]int{from, n.i}] {
			rows, known := 0, 0
			for at := range n.known.in {
				if at.from == from && at.epoch == e {
					known++
				}
			}
			err := l.store.InIDs(bg, o.id(), e, 1, 1<<40, func(seq uint64, id noroshi.Hash, state store.InState) {
				at := slot{from, n.i, e, seq}
				was, again := n.known.in[at]
				if again {
					rows++
				}
				sent := w.seen.ids[at]
				switch {
				case again && state < was.state:
					w.failf("I1: %s had message %d of %s in state %d and has it in %d", n.sign, seq, o.sign, was.state, state)
				case again && !was.id.IsZero() && !id.IsZero() && was.id != id:
					w.failf("I4: %s binds sequence %d of %s twice", n.sign, seq, o.sign)
				case !id.IsZero() && len(sent) == 0:
					w.failf("I2: %s has message %d of %s, which never went", n.sign, seq, o.sign)
				case !id.IsZero() && !slices.Contains(sent, id):
					w.failf("I4: %s has another message %d of %s than was sent", n.sign, seq, o.sign)
				}
				if lost := lostID(e, seq); w.seen.logs[at] == lost && !id.IsZero() && id != lost {
					w.seen.closed[at] = true // it came after all, before it was closed here
				}
				n.known.in[at] = standing{id, state}
				w.seen.ever[n.i][at] = true
			})
			if err != nil {
				w.failf("%s: %v", n.sign, err)
			}
			if rows < known {
				w.failf("I1: %s has lost %d messages of %s", n.sign, known-rows, o.sign)
			}
		}
	}
}

// checkClosed: what came of a stream and what is shown as missing of it are all
// there is of it, as far as its sender was heard (I7).
func (w *world) checkClosed(l *life) {
	n := l.n
	links, err := l.courier.Links(bg)
	if err != nil {
		w.failf("%s: %v", n.sign, err)
	}
	for _, x := range links {
		from, missing := w.nodeOf(x.Partner), map[uint64]bool{}
		for _, r := range x.Missing {
			for seq := r.A; seq <= r.B && w.bug != blind; seq++ {
				missing[seq] = true
			}
		}
		whole := func(e message.Epoch) bool {
			for seq := uint64(1); seq <= x.InHead; seq++ {
				if _, here := n.known.in[slot{from, n.i, e, seq}]; here == missing[seq] {
					return false
				}
			}
			return true
		}
		if !whole(message.Epoch{}) && !slices.ContainsFunc(w.seen.epochs[[2]int{from, n.i}], whole) {
			w.failf("I7: %s shows as missing of the %d messages of %s %v, and that is not what it lacks", n.sign, x.InHead, x.CallSign, x.Missing)
		}
	}
}

// lostID is the id both sides put in the place of a message that nobody has any
// more (docs/wire.md).
func lostID(e message.Epoch, seq uint64) noroshi.Hash {
	return noroshi.Sum(binary.BigEndian.AppendUint64(append([]byte("NX/1 lost"), e[:]...), seq))
}

// checkOut: a sequence has one message for ever, and what is believed to be there
// is or was (I3, I4).
func (w *world) checkOut(l *life) {
	n := l.n
	for to, o := range w.nodes {
		if to == n.i {
			continue
		}
		for _, e := range w.seen.epochs[[2]int{n.i, to}] {
			next := uint64(1)
			err := l.store.OutIDs(bg, o.id(), e, 1, 1<<40, func(seq uint64, id noroshi.Hash, state store.OutState) {
				at := slot{n.i, to, e, seq}
				if seq != next {
					w.failf("I7: the log of %s to %s goes on with %d after %d", n.sign, o.sign, seq, next-1)
				}
				next = seq + 1
				if was, again := w.seen.logs[at]; again && was != id && id != lostID(e, seq) {
					w.failf("I4: %s has two messages %d to %s in its log", n.sign, seq, o.sign)
				}
				if there := w.nodes[to].known.in[at].id; id == lostID(e, seq) && !there.IsZero() && there != id {
					w.seen.closed[at] = true
				}
				w.seen.logs[at] = id
				if n.known.went[at] && state < store.Attempted {
					w.failf("I14: %s has message %d to %s in state %d, which it has handed to a channel", n.sign, seq, o.sign, state)
				}
				if state >= store.StoredThere && state <= store.ReadThere && !w.seen.ever[to][at] {
					w.mu.Lock()
					w.seen.claims[to] = append(w.seen.claims[to], at)
					w.mu.Unlock()
				}
			})
			if err != nil {
				w.failf("%s: %v", n.sign, err)
			}
			for at := range n.known.went {
				if at.to == to && at.epoch == e && at.seq >= next {
					w.failf("I14: %s has no message %d to %s any more, which it has handed to a channel", n.sign, at.seq, o.sign)
				}
			}
		}
	}
}

// checkClaims: no STATE says more than was durable when it was said (I3).
func (w *world) checkClaims(n *node) {
	w.mu.Lock()
	claims := w.seen.claims[n.i]
	w.seen.claims[n.i] = nil
	w.mu.Unlock()
	for _, at := range claims {
		if !w.seen.ever[n.i][at] {
			w.failf("I3: %s said, or is believed, to have message %d of %s, and never had", n.sign, at.seq, w.nodes[at.from].sign)
			return
		}
	}
}

// checkObjects: nothing came that may not, nothing twice (I1, I8).
func (w *world) checkObjects(l *life) {
	n := l.n
	for {
		list, err := l.store.List(bg, store.Filter{After: n.known.seq, Limit: 500, All: true})
		if err != nil {
			w.failf("%s: %v", n.sign, err)
			return
		}
		for _, r := range list {
			n.known.seq = r.Seq
			x := w.objects[r.Object.ID]
			if r.Source.Kind != noroshi.FromPartner {
				continue
			}
			if x == nil {
				if r.Object.Type != "identity" && r.Object.Type != "marking-definition" {
					w.failf("I11: %s has %s, which nobody of realm %s made", n.sign, r.Object.ID, w.mould.realm)
				}
				continue
			}
			if !x.may {
				w.failf("I8: %s has %s, which is for nobody else", n.sign, r.Object.ID)
			}
			key := version{r.Object.ID, r.Source.Partner, r.View}
			if n.known.holds[key] {
				w.failf("I1: %s has kept %s of %s twice", n.sign, r.Object.ID, r.Source.Partner)
			}
			n.known.holds[key] = true
		}
		if len(list) < 500 {
			return
		}
	}
}

// version is what a node keeps once: each object has one version in a seed.
type version struct {
	id   stix.ID
	from noroshi.NodeID
	view uint32
}

// checkRecalled: what a recall took out of use stays so, also in a life that was
// put back, once that has the list of its partners' recalls (I9).
func (w *world) checkRecalled(l *life) {
	n := l.n
	waits, err := courier.RecoveringLinks(bg, l.store.Reads)
	if err != nil {
		w.failf("%s: %v", n.sign, err)
		return
	}
	if n.unseen {
		n.found = n.found || len(waits) > 0
		n.unseen = !n.found || len(waits) > 0
	}
	for _, id := range w.recalled {
		r, err := l.store.Current(bg, id)
		if err != nil {
			continue
		}
		gone := n.known.gone[id]
		if gone && !r.Withdrawn && len(waits) == 0 && !n.unseen {
			w.failf("I9: %s has %s in use again", n.sign, id)
		}
		if r.Withdrawn {
			w.mu.Lock()
			n.known.gone[id] = true
			w.mu.Unlock()
		}
	}
}

// never are the alarms that are raised only on a link with an end that was put
// back unseen: then what both say is not one thing.
var never = []string{message.AlarmShrank, message.AlarmChain, message.AlarmClone}

// checkActs reads on in the ledger.
func (w *world) checkActs(l *life) {
	n := l.n
	for {
		list, err := l.store.Acts(bg, n.known.acts, 500)
		if err != nil {
			w.failf("%s: %v", n.sign, err)
			return
		}
		for _, e := range list {
			n.known.acts = e.Index + 1
			w.unblur(n, e)
			if e.Act.Action != noroshi.ActAlarm {
				w.tally("act "+string(e.Act.Action), 1)
				continue
			}
			w.tally("alarm "+e.Act.Subject, 1)
			if e.Act.Subject == "weak-path" || slices.Contains(never, e.Act.Subject) && !w.excused(n, w.nodeOf(e.Act.Partner)) {
				w.failf("%s raises the alarm %s of %s, %d", n.sign, e.Act.Subject, e.Act.Partner, e.Act.Count)
			}
		}
		if len(list) < 500 {
			return
		}
	}
}

// unblur notes from which act on a node that was put back knows that it was.
func (w *world) unblur(n *node, e store.Entry) {
	for i := range n.known.blur {
		here := e.Act.Action == noroshi.ActRestore || e.Act.Action == noroshi.ActRecovered && w.nodeOf(e.Act.Partner) == i
		if n.known.blur[i] == math.MaxUint64 && here {
			n.known.blur[i] = e.Index
		}
	}
}

// excused reports whether one of two nodes was put back and nobody has told it so
// yet, or has put two things under one sequence since.
func (w *world) excused(n *node, partner int) bool {
	return n.unseen || w.nodes[partner].unseen || w.seen.forked[link(n.i, partner)] || len(w.closedOn(n.i, partner)) > 0
}
