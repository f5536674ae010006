package line

import (
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// Shares of the line. A waiting ROUTINE gets one frame in twenty while
// IMMEDIATE and PRIORITY go past it; statements go before all but FLASH, yet
// leave three frames in four to what else waits.
const (
	routineShare   = 19
	statementShare = 3
)

// next returns up to n parts in the order they would go: strictly by class,
// within one class an envelope at a time in turn.
func (s *State) next(n int) (list []part) {
	for _, c := range s.classes() {
		if list = append(list, s.fromClass(c, n-len(list))...); len(list) >= n {
			break
		}
	}
	return list
}

// classes are those with something in them, in their present order.
func (s *State) classes() (list []noroshi.Precedence) {
	order := []noroshi.Precedence{noroshi.Flash, noroshi.Immediate, noroshi.Priority, noroshi.Routine}
	if s.debt[noroshi.Routine] >= routineShare {
		order = []noroshi.Precedence{noroshi.Flash, noroshi.Routine, noroshi.Immediate, noroshi.Priority}
	}
	at := 1
	if s.debt[Statement] > 0 && !s.begun(Statement) {
		at = len(order)
	}
	for _, c := range slices.Insert(order, at, Statement) {
		if len(s.out[c]) > 0 {
			list = append(list, c)
		}
	}
	return list
}

// begun reports whether a part of the first of a class was sent.
func (s *State) begun(c noroshi.Precedence) bool {
	return len(s.out[c]) > 0 && slices.ContainsFunc(s.out[c][0].pieces, func(p piece) bool { return p.fate != unsent })
}

func (s *State) fromClass(c noroshi.Precedence, n int) (list []part) {
	var lists [][]part
	for _, x := range s.out[c] {
		due := x.due(n)
		if len(due) < n {
			x.protect(s.counts.Loss, s.burst)
			due = x.due(n)
		}
		lists = append(lists, due)
		if len(lists) >= n {
			break
		}
	}
	for i := 0; len(list) < n; i++ {
		before := len(list)
		for _, l := range lists {
			if i < len(l) && len(list) < n {
				list = append(list, l[i])
			}
		}
		if len(list) == before {
			break
		}
	}
	return list
}

// settle books one frame below FLASH: what waits behind it gains a claim.
func (s *State) settle(p part) {
	switch c := p.x.prec; {
	case c == Statement:
		s.debt[Statement] += statementShare
	case c == noroshi.Routine:
		s.debt[noroshi.Routine] = max(0, s.debt[noroshi.Routine]-routineShare)
	case len(s.out[noroshi.Routine]) > 0:
		s.debt[noroshi.Routine]++
	}
	if p.x.prec != Statement && s.debt[Statement] > 0 {
		s.debt[Statement]--
	}
}

// rotate puts an envelope behind the others of its class.
func (s *State) rotate(x *item) {
	list := s.out[x.prec]
	if x.prec == Statement {
		return // one at a time: half of one is of no use
	}
	if i := slices.Index(list, x); i >= 0 && len(list) > 1 {
		s.out[x.prec] = append(slices.Delete(list, i, i+1), x)
	}
}

// pumpDuplex speaks whenever there is something to say: there are no turns.
func (s *State) pumpDuplex(now time.Time) []Effect {
	s.giveUp(now)
	if !s.ackAt.IsZero() && !now.Before(s.ackAt) {
		f := s.ackFrame(false)
		s.unacked, s.ackAt = 0, time.Time{}
		if len(s.owing) > 0 {
			s.ackAt = now
		}
		return s.transmit(f, 0, now)
	}
	if now.Before(s.turn.begin) {
		return nil
	}
	list := s.next(leftMax)
	for _, p := range list {
		if f, ok := s.fragment(p); ok {
			s.charge(p)
			s.sent(p, now)
			s.rotate(p.x)
			return s.transmit(f, 0, now)
		}
	}
	if len(list) > 0 {
		s.turn.begin = now.Add(keyPause)
	}
	return nil
}

// giveUp takes for lost what was sent long ago on a full-duplex line and never
// acknowledged.
func (s *State) giveUp(now time.Time) {
	for _, list := range s.out {
		for _, x := range list {
			if now.Before(x.last.Add(s.patience())) {
				continue
			}
			for i := range x.pieces {
				if x.pieces[i].fate == flying {
					x.pieces[i].fate = missing
					s.note(1)
				}
			}
		}
	}
}

// patience is how long an acknowledgement may take on a full-duplex line: both
// ways, and a frame in hand at either end.
func (s *State) patience() time.Duration {
	return 2*s.c.Turn + 8*s.c.air(frameMax) + time.Second/2
}

// nextDuplex is Next of a full-duplex line.
func (s *State) nextDuplex() (at time.Time) {
	sooner := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	if !s.ackAt.IsZero() {
		sooner(s.ackAt)
	}
	for _, list := range s.out {
		for _, x := range list {
			if len(x.due(1)) > 0 {
				sooner(later(s.airUntil, s.turn.begin))
			}
			if slices.ContainsFunc(x.pieces, func(p piece) bool { return p.fate == flying }) {
				sooner(x.last.Add(s.patience()))
			}
		}
	}
	if at.IsZero() {
		return at
	}
	return later(at, s.airUntil)
}
