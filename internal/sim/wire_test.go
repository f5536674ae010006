package sim_test

import (
	"bytes"
	"slices"
	"strconv"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// fresh checks that what has to be drawn anew for an envelope was in none before:
// the nonce of S2, the encapsulated key of the others (I16). It is looked at before
// anything is opened.
func (w *world) fresh(l *life, envelope []byte) {
	drawn := envelope[25:57]
	if message.Suite(envelope[0]) == message.S2 {
		drawn = envelope[1:13]
	}
	sum := noroshi.Sum(envelope)
	w.mu.Lock()
	was, again := w.seen.drawn[string(drawn)]
	w.seen.drawn[string(drawn)] = sum
	w.stats["under "+message.Suite(envelope[0]).String()]++
	w.mu.Unlock()
	if again && was != sum {
		w.failf("I16: %s seals two envelopes of suite %s with %x", l.n.sign, message.Suite(envelope[0]), drawn)
	}
}

// strong checks that objects go under the best of the suites agreed for which the
// sender knows a key (I10); that a suite is agreed at all is what open rests on. What
// else there is goes under S1 too while an agreement is suspended.
func (w *world) strong(l *life, y *way, to int, p message.Plain, s message.Suite) {
	if w.terms != high || s != message.S1 || p.Message == nil || p.Message.Header.Kind != message.Data {
		return
	}
	doc, err := l.store.Doc(bg, noroshi.DocKeyset, w.nodes[to].id().String())
	if err != nil {
		return
	}
	ks, err := message.ParseKeyset(w.mould.realm, doc)
	if now := l.n.now(); err == nil && ks.Has(message.S1H, now) && ks.Has(message.S1H, now.Add(-time.Second)) { // not since just now
		w.failf("I10: %s seals by %s under S1 what could go under S1H", l.n.sign, y.traits.Kind)
	}
}

// made begins the part of an id that counts the objects of a seed.
const made = "-0000-4000-8000-"

// discreet checks that nothing that is said to a partner, whatever kind it is of,
// names an object that only its maker may know of (I17).
func (w *world) discreet(l *life, to int, said []byte) {
	for {
		i := bytes.Index(said, []byte(made))
		if i < 0 || len(said) < i+len(made)+12 {
			return
		}
		said = said[i+len(made):]
		n, err := strconv.Atoi(string(said[:12]))
		w.mu.Lock()
		maker, secret := w.seen.secret[n]
		w.mu.Unlock()
		if err == nil && secret && maker != to {
			w.failf("I17: %s tells %s of object %d, which only %s may know of", l.n.sign, w.nodes[to].sign, n, w.nodes[maker].sign)
		}
	}
}

// recorded checks that a message is on the record as attempted before a channel
// has it (I14).
func (w *world) recorded(l *life, at slot) {
	there := false
	err := l.store.OutIDs(bg, w.nodes[at.to].id(), at.epoch, at.seq, at.seq, func(_ uint64, _ noroshi.Hash, s store.OutState) { there = s >= store.Attempted })
	if err == nil && !there && !l.dead.Load() {
		w.failf("I14: %s sends message %d, which is not on its record as attempted", l.n.sign, at.seq)
	}
}

// urgent is a FLASH that has begun to go.
type urgent struct {
	life  *life
	since time.Time
	by    map[*way]bool        // ways it has begun on
	after map[*way][]time.Time // and when lower ones began before it on others
	lacks map[*way]time.Time   // since when it could have begun where it has not
}

// soon is within how long a FLASH is on every way that takes it.
const soon = 10 * time.Second

// checkUrgent: a FLASH is within ten seconds on every way that takes anything, so
// also on the next where the first is cut or silent. Its time is that of the bubble,
// and runs only where a life goes on.
func (w *world) checkUrgent(l *life) {
	w.mu.Lock()
	some := map[slot]*urgent{}
	for at, f := range w.seen.urgent {
		if f.life == l {
			some[at] = f
		}
	}
	w.mu.Unlock()
	if len(some) == 0 {
		return
	}
	links, err := l.courier.Links(bg)
	if err != nil {
		w.failf("%s: %v", l.n.sign, err)
	}
	for at, f := range some {
		if !w.unreceipted(l, at) {
			w.mu.Lock()
			delete(w.seen.urgent, at)
			w.mu.Unlock()
			continue
		}
		i := slices.IndexFunc(links, func(x courier.LinkStatus) bool { return w.nodeOf(x.Partner) == at.to })
		for _, y := range w.ways {
			w.nextWay(l, at, f, y, takes(links[i], y))
		}
	}
}

// takes reports whether a link would have a FLASH begin on a way now.
func takes(x courier.LinkStatus, y *way) bool {
	return x.Trust == noroshi.InForce && x.Recovering == "" && (x.Confirmed || y.traits.OneWay) && slices.ContainsFunc(x.Paths, func(p courier.PathStatus) bool {
		return p.Kind == y.traits.Kind && p.Listed && p.State != message.PathDown.String() && p.State != message.PathAbsent.String()
	})
}

func (w *world) takesNow(l *life, to int, y *way) bool {
	links, err := l.courier.Links(bg)
	i := slices.IndexFunc(links, func(x courier.LinkStatus) bool { return w.nodeOf(x.Partner) == to })
	return err == nil && i >= 0 && takes(links[i], y)
}

func (w *world) nextWay(l *life, at slot, f *urgent, y *way, takes bool) {
	w.mu.Lock()
	since, known := f.lacks[y]
	begun := f.by[y]
	switch {
	case begun || !takes:
		delete(f.lacks, y)
	case !known:
		f.lacks[y] = time.Now()
	}
	away := len(w.ways) > 1 && (!takes || len(y.cut) > 0)
	w.mu.Unlock()
	if away {
		w.tally("next way", 1) // the FLASH has to go by others
	}
	if d := time.Since(since); known && takes && !begun && d > soon {
		w.failf("I13: FLASH %d of %s has not begun by %s after %v", at.seq, l.n.sign, y.traits.Kind, d)
	}
}

// unreceipted reports whether a message still goes.
func (w *world) unreceipted(l *life, at slot) (goes bool) {
	_ = l.store.OutIDs(bg, w.nodes[at.to].id(), at.epoch, at.seq, at.seq, func(_ uint64, _ noroshi.Hash, s store.OutState) { goes = s <= store.Attempted })
	return goes
}

// ordered checks that nothing lower begins on a way, but for one that may have been
// about to, at an instant before that at which a FLASH begins there that has begun on
// another, has no receipt and may go: not while a link that was put back says what comes
// before any object, by a way that a medium was quicker than. That it halts what is on
// its way already is for the fragments of package line (I13).
func (w *world) ordered(l *life, y *way, to int, at slot, prec noroshi.Precedence) {
	now := time.Now()
	w.mu.Lock()
	var waits []slot
	for x, f := range w.seen.urgent {
		if f.life == l && x.to == to && !f.by[y] && now.After(f.since) {
			waits = append(waits, x)
		}
	}
	if f := w.seen.urgent[at]; prec == noroshi.Flash {
		if f == nil || f.life != l {
			f = &urgent{l, now, map[*way]bool{}, map[*way][]time.Time{}, map[*way]time.Time{}}
			w.seen.urgent[at] = f
		}
		f.by[y] = true
	}
	w.mu.Unlock()
	counts := prec < noroshi.Flash && len(waits) > 0 && w.takesNow(l, to, y)
	for _, x := range waits {
		unreceipted := w.unreceipted(l, x)
		w.mu.Lock()
		f := w.seen.urgent[x]
		if !unreceipted || f == nil {
			delete(w.seen.urgent, x)
			w.mu.Unlock()
			continue
		}
		before := 0
		for _, t := range f.after[y] {
			if t.Before(now) {
				before++
			}
		}
		if counts {
			f.after[y] = append(f.after[y], now)
		}
		w.mu.Unlock()
		if before > 1 {
			w.failf("I13: %s begins %d by %s before FLASH %d", l.n.sign, before, y.traits.Kind, x.seq)
		}
	}
}

// astray hands an envelope to the node of the other realm that its receiver's
// organisation has: nothing of it may be taken there (I11).
func (w *world) astray(kind string, from, to int, envelope []byte) {
	if from >= len(w.nodes) || to >= len(w.nodes) || envelope[1]%4 != 0 {
		return
	}
	l := w.nodes[to].live.Load()
	if l == nil || l.dead.Load() {
		return
	}
	sender := noroshi.NodeID{}
	if envelope[2]%2 == 0 {
		sender = w.nodes[from].id()
	}
	if err := l.courier.Receive(l.ctx, kind, sender, envelope); err == nil {
		w.failf("I11: %s takes in realm %s what was sealed in another", l.n.sign, w.mould.realm)
	}
	w.tally("astray", 1)
}
