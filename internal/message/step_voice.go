package message

import (
	"slices"
	"time"
)

// Medium is the channel of a STATE that goes by hand: on a medium, or in a turn of
// a one-way link that a person fills.
const Medium = "media"

// Speak: a person packs, and wants a STATE to go with it, and behind it what is
// given besides. The answer is a SayState and SayBodys for the channel Medium, or
// nothing while a new epoch is being made.
type Speak struct{ Besides []Attest }

// Vouched: a person brought a proof of what the partner holds that is no STATE, a
// paper receipt. It is durable. A STATE that knows less may still come: it was
// made before.
type Vouched struct {
	Epoch  Epoch // ours
	Stored []Range
}

func (Speak) event()   {}
func (Vouched) event() {}

func (s *Side) speak(e Speak, now time.Time) []Effect {
	if s.opening || len(s.mine) == 0 {
		return nil
	}
	fx := []Effect{s.sayState(s.medium, now)}
	for _, b := range e.Besides {
		s.counter++
		fx = append(fx, SayBody{Epoch: s.present().Epoch, Counter: s.counter, Channel: s.medium.Name, Kind: b.Kind, Body: b.Body})
	}
	return fx
}

// askByHand returns the challenge a STATE on a medium carries: the same until it
// is answered, for media are under way for days and come back in any order.
func (s *Side) askByHand(now time.Time) [8]byte {
	p := s.medium
	n := len(p.asks)
	if n > 0 && !p.redraw {
		return p.challenge
	}
	p.redraw, p.challenge = false, s.draw()
	p.asks = append(slices.Clone(p.asks[max(0, n+1-maxAsks):]), ask{s.drawn, p.challenge, now})
	return p.challenge
}

// vouched takes what the partner is known to hold out of the queues for good.
func (s *Side) vouched(e Vouched, now time.Time) {
	m := s.own(e.Epoch)
	if m == nil {
		return
	}
	for _, r := range upTo(e.Stored, m.Head) {
		m.closed, m.vouched = m.closed.add(r.A, r.B), m.vouched.add(r.A, r.B)
		s.receipted(m, r, now)
	}
}

// OfThisRun reports whether our present epoch was opened in this run, so that it
// cannot have been rolled back.
func (s Side) OfThisRun() bool { return s.ownRun && !s.opening }

// Opening reports whether a new epoch is being made.
func (s Side) Opening() bool { return s.opening }

// says notes where a log ends by the word of a life that does not count yet: on a
// one-way link none ever does, and what is missing is to be seen all the same.
func (l *life) says(out OutHead) {
	if out.Head > l.head {
		l.head, l.headChain = out.Head, out.Chain
	}
}

// shown is the partner's life that persons are shown: the one that counts, while
// none does the one of which most is known.
func (s *Side) shown() *life {
	if l := s.life(s.live); l != nil || s.live != (Epoch{}) {
		return l
	}
	var most *life
	for _, l := range s.theirs {
		if most == nil || max(l.head, l.have.max()) >= max(most.head, most.have.max()) {
			most = l
		}
	}
	return most
}

// Shown is the partner's epoch that Status tells of, zero while it has none.
func (s Side) Shown() Epoch {
	if l := s.shown(); l != nil {
		return l.Epoch
	}
	return Epoch{}
}
