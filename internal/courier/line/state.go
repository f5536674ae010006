package line

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// Config is what one end of a line knows of it. Both ends must agree on Turn
// and Duplex; on the rest they may differ.
type Config struct {
	Rate     int           // bit/s on the line; what is sent is paced by it
	CharBits int           // bits a byte takes there: 8 on synchronous lines, 10 with start and stop bit; 0 = 8
	Turn     time.Duration // silence the line needs before the other side may speak; on a full-duplex line the time a byte takes, doubled
	Duplex   bool          // both may speak at once
	Talk     time.Duration // how long one side speaks below FLASH before the other may; 0 = six turns; always one frame
	Seed     [32]byte      // names of sets and back-off come from it; must be new at each start

	// MAC authenticates a fragment for a partner, over all that goes before it.
	// False: there is no key for that partner now.
	MAC func(to noroshi.NodeID, rest []byte) (mac [8]byte, ok bool)
	// Check says who made a fragment, by the MAC at its end.
	Check func(fragment []byte) (from noroshi.NodeID, ok bool)
}

// Slowest and fastest line; at the slowest a full frame takes 21 seconds.
const (
	minRate = 50
	maxRate = 10_000_000
)

// numbers are checked before there are keys.
func (c Config) numbers() error {
	if c.Rate < minRate || c.Rate > maxRate || c.CharBits < 0 || c.CharBits > 16 || c.Turn < 0 || c.Turn > time.Minute || c.Talk < 0 {
		return noroshi.Errorf(noroshi.Invalid, "line.config", "a line must have a rate of %d to %d bit/s, up to 16 bits a byte and a turn of up to a minute", minRate, maxRate)
	}
	return nil
}

var errKeys = noroshi.Errorf(noroshi.Invalid, "line.options", "a line needs a name of a-z, 0-9 and hyphens, a pipe, keys and who takes envelopes")

// air is how long so many bytes are on the line.
func (c Config) air(n int) time.Duration {
	return time.Duration(n) * time.Duration(c.CharBits) * time.Second / time.Duration(c.Rate)
}

// Statement is the class of what has no precedence: it rides in any turn right
// behind FLASH, as far as it leaves room for the rest.
const Statement noroshi.Precedence = 0

// Event is something that happens to one end: Queued, Dropped, Heard, Written,
// Tick, Reset.
type Event interface{ event() }

// Queued brings an envelope to be sent. ID is the caller's, for Done.
type Queued struct {
	ID       uint64
	To       noroshi.NodeID
	Prec     noroshi.Precedence // or Statement
	Envelope []byte             // 1 to Largest bytes; not changed by anybody any more
}

// Dropped takes an envelope back; what is on its way of it is lost.
type Dropped struct{ ID uint64 }

// Heard brings bytes from the line.
type Heard struct{ Bytes []byte }

// Written says that the bytes of the last Transmit were taken by the line.
type Written struct{}

// Tick says that time has passed; wanted when Next says.
type Tick struct{}

// Reset says that the pipe was opened anew.
type Reset struct{}

func (Queued) event()  {}
func (Dropped) event() {}
func (Heard) event()   {}
func (Written) event() {}
func (Tick) event()    {}
func (Reset) event()   {}

// Effect is something one end wants done: Transmit, Deliver, Done.
type Effect interface{ effect() }

// Transmit puts the bytes of one frame on the line, now. Written must follow.
type Transmit struct{ Bytes []byte }

// Deliver hands a whole envelope over. From is who its fragments are of; zero
// when it came in one frame, which says nothing about its sender.
type Deliver struct {
	From     noroshi.NodeID
	Envelope []byte
}

// Done says that the other end has all of an envelope.
type Done struct{ ID uint64 }

func (Transmit) effect() {}
func (Deliver) effect()  {}
func (Done) effect()     {}

// Counts are what an end has seen since it was made.
type Counts struct {
	Frames    int64 // heard, errors corrected
	Mended    int64 // bytes corrected in them
	Refused   int64 // fragments without a good MAC, or that fit nothing
	Sent      int64 // frames
	Silences  int64 // bursts nobody answered
	LastHeard time.Time
	Loss      float64 // of the fragments sent of late, 0 to 1
	Reply     time.Duration
}

// State is one end of a line. It is made by New State and changed by Step
// alone.
type State struct {
	c      Config
	rand   *rand.Rand
	in     Deframer
	kept   shelves
	owing  []owed // to be acknowledged
	counts Counts

	out   [noroshi.Flash + 1][]*item // of one class the next to go is first
	refs  []byte                     // of envelopes that were done of late: not to be used again yet
	order uint32                     // counts fragments sent
	debt  [2]int                     // of Routine and Statement against what is sent past them

	writing  bool
	airUntil time.Time // the frame in hand is on the line until then
	echoes   []echo    // the last frames sent: a half-duplex line may give them back
	heard    time.Time
	wrong    float64 // share of bytes that had to be corrected of late
	turn     turn
	burst    uint64
	ackAt    time.Time // full duplex: acknowledgements are due; zero = none
	unacked  int       // full duplex: data frames since the last acknowledgement
}

// owed is an envelope of which pieces came that are not acknowledged yet.
type owed struct {
	from noroshi.NodeID
	set  uint32
	ref  byte
	all  bool // it came in one frame
}

// NewState makes one end of a line that is at rest.
func NewState(c Config, now time.Time) (State, error) {
	if err := c.numbers(); err != nil {
		return State{}, err
	}
	if c.MAC == nil || c.Check == nil {
		return State{}, errKeys
	}
	if c.CharBits == 0 {
		c.CharBits = 8
	}
	if c.Talk == 0 {
		c.Talk = 6 * c.Turn
	}
	s := State{c: c, rand: rand.New(rand.NewChaCha8(c.Seed)), kept: shelves{}}
	s.turn = turn{reply: c.Turn * 3 / 2, begin: now.Add(s.upTo(c.Turn))}
	return s, nil
}

// Counts returns what this end has seen.
func (s State) Counts() Counts {
	s.counts.Reply = s.turn.reply
	return s.counts
}

// Step is one end of a line as a pure function: what it does when something
// happens, at a time that is given. It does no I/O, reads no clock and decides
// the same for the same input. The State passed in is used up.
func Step(s State, e Event, now time.Time) (State, []Effect) {
	var fx []Effect
	switch e := e.(type) {
	case Queued:
		s.add(e)
	case Dropped:
		s.remove(func(x *item) bool { return x.id == e.ID })
	case Heard:
		fx = s.hear(e.Bytes, now)
	case Written:
		s.writing = false
		if now.After(s.airUntil) {
			s.airUntil = now
		}
		if n := len(s.echoes); n > 0 && s.echoes[n-1].until.IsZero() {
			s.echoes[n-1].until = s.airUntil.Add(s.c.Turn + s.c.air(8))
		}
	case Reset:
		s.in, s.writing, s.airUntil, s.echoes = Deframer{}, false, now, nil
		s.turn = turn{reply: s.c.Turn * 3 / 2, begin: now.Add(s.upTo(s.slot()))}
	}
	return s, append(fx, s.pump(now)...)
}

// upTo draws a time below d.
func (s *State) upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(s.rand.Int64N(int64(d)))
}

// hear reads frames out of bytes.
func (s *State) hear(b []byte, now time.Time) (fx []Effect) {
	if now.Sub(s.heard) > s.guard() { // the line was at rest
		s.in.Expect()
		s.turn.active = time.Time{}
	}
	s.heard = now
	s.stir(now)
	for _, f := range s.in.Push(b) {
		if s.isEcho(f, now) {
			continue
		}
		s.counts.Frames++
		s.counts.Mended += int64(f.Mended)
		s.counts.LastHeard = now
		s.wrong += (float64(f.Mended)/float64(sizeOf(len(f.Payload))) - s.wrong) / 16
		s.answered(f, now)
		fx = append(fx, s.take(f, now)...)
	}
	return fx
}

func (s *State) take(f Frame, now time.Time) []Effect {
	switch f.Type {
	case Control:
		acks, ok := ReadAcks(f.Payload)
		if !ok {
			s.counts.Refused++
		}
		return s.acknowledged(acks)
	case Whole:
		s.owe(owed{ref: refOf(f.Payload), all: true}, true, now)
		if len(f.Payload) == 0 {
			return nil
		}
		return []Effect{Deliver{Envelope: f.Payload}}
	default:
		return s.takeFragment(f.Payload, now)
	}
}

// takeFragment looks at nothing but the MAC first: nothing is kept for who has
// no key.
func (s *State) takeFragment(b []byte, now time.Time) []Effect {
	s.turn.owed = true
	from, ok := s.c.Check(b)
	if !ok {
		s.counts.Refused++
		return nil
	}
	p, err := ReadFragment(b)
	if err != nil {
		s.counts.Refused++
		return nil
	}
	shelf := s.kept.of(from)
	shelf.expire(now)
	envelope, taken := shelf.add(p, now)
	if !taken {
		s.counts.Refused++
		return nil
	}
	s.owe(owed{from: from, set: p.Set, ref: byte(p.Set)}, shelf.isFinished(p.Set), now)
	if envelope == nil {
		return nil
	}
	return []Effect{Deliver{From: from, Envelope: envelope}}
}

// owe notes that something is to be acknowledged; at once when it is whole.
func (s *State) owe(o owed, whole bool, now time.Time) {
	s.turn.owed = true
	if !slices.Contains(s.owing, o) {
		s.owing = append(s.owing, o)
	}
	s.unacked++
	at := now.Add(4 * s.c.air(frameMax))
	if whole || s.unacked >= ackEvery {
		at = now
	}
	if s.ackAt.IsZero() || at.Before(s.ackAt) {
		s.ackAt = at
	}
}

// ackEvery is after how many frames a full-duplex line acknowledges at once.
const ackEvery = 16

// echo is a frame of ours, and until when the line may give it back: the other
// side can have ended none before the line has turned.
type echo struct {
	Frame
	until time.Time // zero while it is being written
}

// isEcho reports whether a frame is one of ours given back by the line, once.
func (s *State) isEcho(f Frame, now time.Time) bool {
	s.echoes = slices.DeleteFunc(s.echoes, func(e echo) bool { return !e.until.IsZero() && now.After(e.until) })
	i := slices.IndexFunc(s.echoes, func(e echo) bool {
		return e.Type == f.Type && e.Left == f.Left && bytes.Equal(e.Payload, f.Payload)
	})
	if i < 0 {
		return false
	}
	s.echoes = slices.Delete(s.echoes, i, i+1)
	return true
}
