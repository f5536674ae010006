package message

import (
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// lifeFor returns the partner's epoch, taking note of one never heard of: nil
// when there are too many already.
func (s *Side) lifeFor(e Epoch) *life {
	if l := s.life(e); l != nil {
		return l
	}
	if len(s.theirs) >= maxLives {
		return nil
	}
	l := newLife(Life{Epoch: e, Chain: ChainStart(s.rules.Realm, s.rules.Partner, s.rules.Self, e)})
	s.theirs = append(s.theirs, l)
	return l
}

// bind takes a durable fact about one sequence.
func (l *life) bind(m In) {
	n := m.Seq
	if n > l.Cum {
		l.above[n] = m.ID
	}
	l.have = l.have.add(n, n)
	switch m.Standing {
	case Stored, Held:
		l.open[n] = m
		delete(l.tombs, n)
	case Entombed:
		if _, here := l.open[n]; !here {
			l.tombs[n] = m.ID
		}
	case Applied:
		delete(l.open, n)
		delete(l.tombs, n)
	}
	if l.open[n].Standing == Stored {
		l.waits[n] = true
	} else {
		delete(l.waits, n)
		delete(l.left, n)
	}
	for {
		id, ok := l.above[l.Cum+1]
		if !ok {
			return
		}
		l.Cum++
		l.Chain = ChainNext(l.Chain, id)
		delete(l.above, l.Cum)
	}
}

// ready reports whether everything a message waits for is applied or closed.
func (l *life) ready(m In) bool {
	for _, d := range m.Deps {
		if _, open := l.open[d]; open || !l.have.has(d) {
			return false
		}
	}
	return true
}

// arrived decides what to do with a verified message: keep and apply what is
// new, compare what is bound already, wait with what has deps open. Order and
// repetition change nothing of what becomes durable.
func (s *Side) arrived(m In, now time.Time) []Effect {
	l := s.lifeFor(m.Epoch)
	if l == nil || m.Seq == 0 || m.Seq > l.Cum+maxAbove {
		return nil
	}
	if id, ok := l.pending[m.Seq]; ok && id == m.ID {
		return nil
	}
	if !l.have.has(m.Seq) {
		if n := len(l.open); n >= maxOpen && m.Prec < noroshi.Flash || n >= 2*maxOpen {
			return nil
		}
		l.pending[m.Seq] = m.ID
		return []Effect{Keep{In: m, Apply: l.ready(m)}}
	}
	if id, ok := l.tombs[m.Seq]; ok && id == m.ID { // late, but it came after all
		l.pending[m.Seq] = m.ID
		return []Effect{Keep{In: m, Apply: l.ready(m)}}
	}
	if id, ok := l.above[m.Seq]; ok && id == m.ID {
		s.soon(m.Via, now, s.rules.Bulk)
		return nil
	}
	return []Effect{Keep{In: m}} // the driver compares ids
}

// kept counts on what became durable, and wakes what waited for it.
func (s *Side) kept(e Kept, now time.Time) []Effect {
	l := s.lifeFor(e.In.Epoch)
	if l == nil {
		return nil
	}
	if l.pending[e.In.Seq] == e.In.ID {
		delete(l.pending, e.In.Seq)
		if e.In.Standing == Absent && l.waits[e.In.Seq] {
			l.left[e.In.Seq] = true
		}
	}
	if e.Second {
		return []Effect{Alarm{Code: AlarmSecondID, Epoch: e.In.Epoch, Seq: e.In.Seq}}
	}
	if e.In.Standing == Absent {
		return nil
	}
	l.bind(e.In)
	wait := s.rules.Bulk
	if e.In.Prec >= noroshi.Immediate {
		wait = s.rules.Urgent
	}
	s.soon(e.In.Via, now, wait)
	return l.wake()
}

// wake returns what may be applied now, lowest first. What was tried in vain is left
// until a Wake: else whatever comes would have all of it tried again.
func (l *life) wake() []Effect {
	var seqs []uint64
	for n := range l.waits {
		m := l.open[n]
		if _, busy := l.pending[n]; !busy && !l.left[n] && l.ready(m) {
			seqs = append(seqs, n)
			l.pending[n] = m.ID
		}
	}
	slices.Sort(seqs)
	fx := make([]Effect, len(seqs))
	for i, n := range seqs {
		fx[i] = Apply{In: l.open[n]}
	}
	return fx
}

// wakeAll looks once, after the start, at what was stored and not applied.
func (s *Side) wakeAll() []Effect {
	if s.woken {
		return nil
	}
	s.woken = true
	var fx []Effect
	for _, l := range s.theirs {
		fx = append(fx, l.wake()...)
	}
	return fx
}

// wakeLeft tries again what could not be applied.
func (s *Side) wakeLeft() (fx []Effect) {
	for _, l := range s.theirs {
		clear(l.left)
		fx = append(fx, l.wake()...)
	}
	return fx
}

// inSet is what STATE says of one epoch: at most 256 ranges and 256 open
// sequences, lowest first.
func (l *life) inSet() InSet {
	in := InSet{Epoch: l.Epoch, Cum: l.Cum, ChainCum: [16]byte(l.Chain[:16])}
	for _, r := range l.have {
		if r.B > l.Cum && len(in.Ranges) < maxRanges {
			in.Ranges = append(in.Ranges, r)
		}
	}
	for n := range l.open {
		in.Open = append(in.Open, n)
	}
	slices.Sort(in.Open)
	if len(in.Open) > maxRanges {
		in.Open = in.Open[:maxRanges]
	}
	return in
}

// missing is what the partner's epoch has and this side lacks. What lies below a
// message that is here is, also where no STATE of that epoch says so any more.
func (l *life) missing() runs {
	top := max(l.head, l.have.max())
	if top == 0 {
		return nil
	}
	return runs{{1, top}}.less(l.have)
}
