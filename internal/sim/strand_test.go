package sim_test

import (
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// strandedOf is of how many seeds one has, at rest, a message under way when its
// sender is put back to before it, which comes when the sender has closed it as lost.
const strandedOf = 50

// strand is one message that is under way, and what came of it.
type strand struct {
	from, to int
	first    bool // it comes before what closes it; else after
	at       slot // the message, once it went
	late     []parcel
	closing  []parcel // TOMBSTONEs, of the life after
	back     bool     // its sender was put back
}

// strandOne sends a message that does not come, and another that does, and puts their
// sender back to before both.
func (w *world) strandOne() {
	from := w.rng.IntN(len(w.nodes))
	l := w.nodes[from].live.Load()
	s := &strand{from: from, to: (from + 1) % len(w.nodes), first: w.seed/strandedOf%2 == 0}
	w.backUp(l)
	w.mu.Lock()
	w.strand = s
	w.mu.Unlock()
	w.note("what %s sends next is stranded", l.n.sign)
	for range 2 { // each a message of its own
		w.alert(l, noroshi.Priority)
		w.pass(20 * time.Second)
	}
	w.mu.Lock()
	s.back = true
	w.mu.Unlock()
	saved := w.backups[from]
	w.replace(l, saved[len(saved)-1], func() int { return 0 })
}

// stranded keeps an envelope from going on where it is of the message that is
// stranded, which is the first with objects, or of what closes that.
func (w *world) stranded(p parcel, m *message.Message) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.strand
	if s == nil || m == nil || p.from != s.from || p.to != s.to {
		return false
	}
	at := slot{p.from, p.to, m.Context.Epoch, m.Header.Seq}
	if s.at == (slot{}) && m.Header.Kind == message.Data && !s.back {
		s.at = at
	}
	switch {
	case at == s.at:
		s.late = append(s.late, p)
	case s.first && s.back && m.Header.Kind == message.Tombstone:
		s.closing = append(s.closing, p)
	default:
		return false
	}
	return true
}

// bring has what is stranded come once its sender has closed it, and its receiver
// heard so or not, or after a while in any case.
func (w *world) bring(turn int) {
	s := w.strand
	if s == nil {
		return
	}
	heard := w.nodes[s.to].known.in[s.at].state == store.Tombstoned
	closed := w.seen.logs[s.at] == lostID(s.at.epoch, s.at.seq) && (s.first || heard)
	if !closed && turn < 20 {
		return
	}
	w.mu.Lock()
	w.strand = nil
	w.mu.Unlock()
	w.note("what was stranded comes, closed %v", closed)
	for _, p := range s.late[:min(1, len(s.late))] {
		w.hand(p)
	}
	w.pass(time.Second)
	for _, p := range s.closing {
		w.hand(p)
	}
}
