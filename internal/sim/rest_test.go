package sim_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// longest is how long the nodes may take to come to rest: those that have lost
// each other's secrets find together again within twice as much as lies between
// two LINKs at least.
const longest = 40 * time.Minute

// rest ends every fault, lets the nodes come to rest and looks at what is left.
func (w *world) rest() {
	w.note("the faults end")
	w.mu.Lock()
	for _, y := range w.ways {
		y.loss, y.twice, y.late, y.spoil = 0, 0, 0, 0
		clear(y.cut)
	}
	w.mu.Unlock()
	for _, n := range w.nodes {
		n.fuse.Store(0)
		if l := n.live.Load(); l != nil && l.dead.Load() {
			n.sweep()
		}
		if n.live.Load() == nil {
			n.start(nil)
		}
	}
	w.mu.Lock()
	for i := range w.parcels { // what was under way comes
		w.parcels[i].due = time.Time{}
	}
	w.mu.Unlock()
	w.settle()
	if w.seed%strandedOf == 1 && w.bug == none && w.outer == nil && !w.failed() {
		w.strandOne()
		w.settle()
	}
	if !w.failed() {
		w.compare()
	}
	if !w.failed() {
		w.quiet()
	}
}

// settle lets time go by until the nodes are at rest, and some has gone by so.
func (w *world) settle() {
	calm, least := 0, time.Duration(0)
	if slices.ContainsFunc(w.nodes, func(n *node) bool { return n.back }) {
		least = 2 * heartbeat // for so long nobody may find that a node was put back which knows of no log
	}
	why, ended := "", time.Since(began)
	for turn := 0; !w.failed(); turn++ {
		for _, n := range w.nodes {
			w.attend(n.live.Load(), turn)
		}
		w.pass(min(time.Duration(turn+1)*time.Second, 30*time.Second))
		w.check()
		w.awaitLost()
		w.bring(turn)
		if why = w.unsettled(); why != "" || w.strand != nil {
			calm = 0
		} else if calm++; calm >= 2 && time.Since(began)-ended > least {
			break
		}
		if time.Since(began)-ended > longest {
			w.failf("I15: no rest in %v: %s%s", longest, why, w.held())
		}
	}
}

// held lists what waits for a person's word anywhere.
func (w *world) held() (text string) {
	for _, n := range w.nodes {
		if l := n.live.Load(); l != nil {
			list, err := l.courier.Held(bg)
			text += fmt.Sprintf("; held at %s: %+v, %v", n.sign, list, err)
		}
	}
	return text
}

// awaitLost lets the time go by in which what a node lost may still arrive: what has
// not come then is closed.
func (w *world) awaitLost() {
	for _, n := range w.nodes {
		links, err := n.live.Load().courier.Links(bg)
		if err != nil {
			return // unsettled says so
		}
		for _, x := range links {
			if d := x.LostUntil.Sub(w.now()); x.Lost > 0 && d > 0 {
				w.note("%s waits %v for %d that it lost", n.sign, d, x.Lost)
				w.tally("lost waited for", 1)
				w.jump(d)
			}
		}
	}
}

// attend has persons do what waits for them.
func (w *world) attend(l *life, turn int) {
	w.person(l)
	if turn > 10 {
		w.without(l)
	}
	partners, err := l.store.Partners(l.ctx)
	if err != nil || !slices.ContainsFunc(partners, func(p noroshi.Partner) bool { return p.Trust != noroshi.InForce }) {
		return // nothing is suspended here
	}
	list, err := l.office.Agreed(l.ctx)
	if err != nil {
		return
	}
	for _, a := range list {
		w.order(l, noroshi.Order{Action: noroshi.ActResumeAgreement, Agreement: a.Hash}, "resume")
	}
}

// without has an officer let links go on without what was signed with keys that the
// node has no more.
func (w *world) without(l *life) {
	links, err := l.courier.Links(l.ctx)
	if err != nil {
		return
	}
	for _, x := range links {
		if x.Recovering == "keys" {
			err := l.courier.GoOn(l.ctx, x.Partner, false, w.by(l, "smith", noroshi.ActGoOn, x.Partner.String(), courier.GoOnBound(x.Partner, false)))
			w.note("%s goes on without what it lost: %v", l.n.sign, err)
			if err == nil {
				w.mu.Lock()
				w.seen.without[[2]int{l.n.i, w.nodeOf(x.Partner)}] = true
				w.mu.Unlock()
			}
		}
	}
}

// unsettled says what is not at rest, "" for nothing.
func (w *world) unsettled() string {
	heads := map[[2]int][2]uint64{}
	for _, n := range w.nodes {
		links, err := n.live.Load().courier.Links(bg)
		if err != nil || len(links) != len(w.nodes)-1 {
			return fmt.Sprintf("%s has %d links: %v", n.sign, len(links), err)
		}
		if waits, err := courier.RecoveringLinks(bg, n.live.Load().store.Reads); err != nil || len(waits) > 0 {
			return fmt.Sprintf("%s still recovers: %v, %v", n.sign, waits, err)
		}
		for _, x := range links {
			if x.Trust != noroshi.InForce || !x.Confirmed || len(x.Waiting) > 0 || x.OutApplied != x.OutHead || len(x.Missing) > 0 || x.Recovering != "" || x.Held > 0 || x.Lost > 0 {
				return fmt.Sprintf("%s: %+v", n.sign, x)
			}
			heads[[2]int{n.i, w.nodeOf(x.Partner)}] = [2]uint64{x.OutHead, x.InHead}
		}
	}
	for at, h := range heads {
		if back := heads[[2]int{at[1], at[0]}]; h[0] != back[1] {
			return fmt.Sprintf("%v to %v: heads %d and %d", at[0], at[1], h[0], back[1])
		}
	}
	return ""
}

// compare checks that both sides hold the same, each object is where it belongs,
// and the ledgers verify.
func (w *world) compare() {
	for _, n := range w.nodes {
		l := n.live.Load()
		for _, o := range w.nodes {
			if o == n {
				continue
			}
			ctx, stop := context.WithTimeout(bg, time.Minute)
			c, err := l.courier.Compare(ctx, o.id())
			stop()
			if err != nil || !c.Equal && !w.seen.forked[link(n.i, o.i)] && !w.onlyLost(n.i, o.i, c) {
				w.failf("I15: %s compares with %s: %+v, %+v, %v", n.sign, o.sign, c.Differences, c.Epochs, err)
				return
			}
		}
		v, err := l.store.Verify(bg, nil)
		v.Faults = slices.DeleteFunc(v.Faults, func(f store.Fault) bool { return f.Code == "cosignature" && w.blurred(n, f) })
		if err != nil || len(v.Faults) > 0 {
			w.failf("I14: the ledger of %s: %v, %v", n.sign, v.Faults, err)
		}
	}
	w.tally("forked", len(w.seen.forked))
	w.tally("closed and come", len(w.seen.closed))
	for _, n := range w.nodes {
		w.keptSeconds(n.live.Load())
	}
	for id, o := range w.objects {
		w.compareOne(id, o)
	}
}

// blurred reports whether a cosignature is of a record that a node had before it was
// put back unseen, and came before the link with that partner began anew. Where it
// had lost nothing but acts there, only that says so: its officers have the alarm.
func (w *world) blurred(n *node, f store.Fault) bool {
	for i, before := range n.known.blur {
		if f.Index < before && strings.Contains(f.Msg, w.nodes[i].id().String()+" countersigned a ledger that this is not") {
			return true
		}
	}
	return false
}

// compareOne: an object its maker has in use is in use everywhere, and one it took
// back is nowhere (I1, I9). Not so where a link between them has two messages under
// one sequence: of these the second has no effect. Where a sender that had lost a
// message closed its sequence, and its receiver has it, that is so of what it carried.
func (w *world) compareOne(id stix.ID, o *object) {
	var here, use [3]bool
	for i, n := range w.nodes {
		r, err := n.live.Load().store.Current(bg, id)
		here[i], use[i] = err == nil, err == nil && !r.Withdrawn
		if i != o.maker && here[i] && !o.may {
			w.failf("I8: %s has %s", n.sign, id)
		}
	}
	for i, n := range w.nodes {
		switch {
		case w.seen.forked[link(o.maker, i)] || w.carried(o.maker, i)[id]:
		case o.sure && use[o.maker] && !use[i]:
			w.failf("I1: %s does not have %s in use, which %s has", n.sign, id, w.nodes[o.maker].sign)
		case !use[o.maker] && use[i] && here[o.maker]:
			w.failf("I9: %s has %s in use, which %s took back", n.sign, id, w.nodes[o.maker].sign)
		case !here[o.maker] && here[i] && !w.nodes[o.maker].forgot:
			w.failf("I6: %s has %s, which %s lost and did not get back", n.sign, id, w.nodes[o.maker].sign)
		}
	}
}

// quiet checks that nothing goes on but the heartbeat (I15).
func (w *world) quiet() {
	w.mu.Lock()
	before := w.stats["statements"] + w.stats["messages"]
	w.mu.Unlock()
	w.pass(time.Minute)
	w.check()
	w.mu.Lock()
	said := w.stats["statements"] + w.stats["messages"] - before
	w.mu.Unlock()
	if most := 2 * 8 * len(w.ways) * len(w.nodes) * (len(w.nodes) - 1); said > most {
		w.failf("I15: %d envelopes in a minute in which nothing happens", said)
	}
}
