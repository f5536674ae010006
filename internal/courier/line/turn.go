package line

import (
	"time"

	"github.com/noroshi-cti/noroshi"
)

// turn is who may speak. A side speaks in bursts of frames; each frame says how
// many follow, the last one passes the turn. Who gets it and owes an
// acknowledgement answers with that first, so that a lost turn is seen soon:
// then who spoke last speaks again, later each time by a random while, so that
// two who began at once do not go on doing so.
type turn struct {
	speaking bool
	over     bool          // the frame in hand passes the turn
	asked    bool          // the burst has what wants an answer
	acks     int           // acknowledgements still to be sent in the burst
	spoken   time.Duration // on the line in this burst, below FLASH
	urgent   time.Duration // FLASH
	parts    int           // data frames of this burst
	ended    time.Time     // of our last burst
	waiting  bool          // for an answer to it
	begin    time.Time     // we may speak from then on
	active   time.Time     // since when bytes come that are no frame; zero = none
	apart    time.Duration // how far behind the longest such time we keep, for the other side to be heard first
	silence  int           // bursts in a row that nobody answered
	reply    time.Duration // usual time from our end to the other's beginning
	owed     bool          // the other side waits for an answer
}

// guard is how exact times on a line are: what buffers and schedulers add.
func (s *State) guard() time.Duration { return s.c.Turn/4 + s.c.air(4) }

// slot is what times are drawn by that keep two ends apart: within it one hears
// that the other has begun.
func (s *State) slot() time.Duration { return max(s.c.Turn, s.c.air(frameMax/2)) }

// stir puts off speaking while bytes come, even unreadable ones: the other side
// may be in the middle of a frame. Noise may do so for one frame, not for ever.
func (s *State) stir(now time.Time) {
	t := &s.turn
	if s.c.Duplex || t.speaking {
		return
	}
	if t.active.IsZero() {
		t.active = now
	}
	until := now.Add(s.c.Turn)
	if most := t.active.Add(s.c.air(frameMax) + s.c.Turn + s.guard() + t.apart); until.After(most) {
		until = most
	}
	if until.After(t.begin) {
		t.begin = until
	}
}

// answered moves the turn by a frame that came: it says for how long the other
// side goes on. An answer begins with a control frame; of two bursts across each
// other the end of one may be heard, which is none.
func (s *State) answered(f Frame, now time.Time) {
	t := &s.turn
	if s.c.Duplex {
		return
	}
	if t.waiting && f.Type == Control {
		took := now.Sub(t.ended) - s.c.air(sizeOf(len(f.Payload)))
		t.reply = max(s.c.Turn, t.reply+(took-t.reply)/4)
		t.silence = 0
	}
	t.waiting, t.active, t.apart = false, time.Time{}, 0
	t.begin = now.Add(s.c.Turn)
	if f.Left > 0 {
		t.begin = t.begin.Add(time.Duration(f.Left)*s.c.air(frameMax) + s.guard())
	}
}

// pump puts the next frame on the line, if it is time for one.
func (s *State) pump(now time.Time) []Effect {
	if s.writing || now.Before(s.airUntil) {
		return nil
	}
	if s.c.Duplex {
		return s.pumpDuplex(now)
	}
	if s.turn.speaking {
		if fx := s.speak(now); fx != nil {
			return fx
		}
		s.endBurst(now)
	}
	if now.Before(s.turn.begin) || !s.wants() {
		return nil
	}
	s.beginBurst()
	fx := s.speak(now)
	if fx == nil { // there is no key for what waits
		s.endBurst(now)
		s.turn.begin = now.Add(keyPause)
	}
	return fx
}

// keyPause is how long what cannot be sent for want of a key waits.
const keyPause = 5 * time.Second

// wants reports whether there is anything to say.
func (s *State) wants() bool {
	if s.turn.owed {
		return true
	}
	for _, list := range s.out {
		if len(list) > 0 {
			return true
		}
	}
	return false
}

func (s *State) beginBurst() {
	t := &s.turn
	if t.waiting {
		t.silence++
		s.counts.Silences++
		s.note(1)
	}
	acks := 0
	if t.owed || len(s.owing) > 0 {
		acks = 1
		if s.counts.Loss > lossy {
			acks = 2 // a lost one costs a whole turn
		}
	}
	s.burst++
	s.turn = turn{speaking: true, acks: acks, silence: t.silence, reply: t.reply, ended: t.ended}
	for _, list := range s.out {
		for _, x := range list {
			x.doubt()
		}
	}
}

// doubt takes pieces for lost of which nothing was heard when the turn came
// back. FLASH goes again whole; of others one piece is enough to make the other
// side say what it has, and none while there is something new to send.
func (x *item) doubt() {
	for i := range x.pieces {
		p := &x.pieces[i]
		if p.fate == flying && (x.prec == noroshi.Flash || len(x.due(1)) == 0) {
			p.fate = missing
		}
	}
}

// ackUsual is the length of an acknowledgement as it usually is.
const ackUsual = headLen + shortBody + longCheck

func (s *State) endBurst(now time.Time) {
	t := &s.turn
	t.speaking, t.ended, t.active = false, now, time.Time{}
	if !t.asked {
		// The other side has the turn and may be silent; if it is, we may speak.
		t.apart = s.slot() + s.guard() + s.upTo(s.slot()/2)
		t.begin = now.Add(s.c.Turn + t.apart)
		return
	}
	t.waiting = true
	// An answer may be slower than it ever was: each silence waits longer for it.
	late := min(t.silence, 6)
	window := s.slot() / 2 << late
	if len(s.out[noroshi.Flash]) > 0 && late < 3 {
		window = s.slot() / 2
	}
	t.apart = s.c.air(ackUsual) + s.guard() + s.upTo(window)
	t.begin = now.Add(t.reply*time.Duration(4+late)/4 + t.apart)
}

// speak sends the next frame of a burst, or nothing when the burst is over.
func (s *State) speak(now time.Time) []Effect {
	t := &s.turn
	list := s.next(leftMax + 2)
	if t.over { // the turn was passed, but FLASH came: the other side hears that we go on
		list = s.fromClass(noroshi.Flash, leftMax+2)
	}
	if t.acks > 0 {
		t.acks--
		return s.transmit(s.ackFrame(t.acks > 0), s.room(list)+t.acks, now)
	}
	for len(list) > 0 && s.room(list) > 0 {
		p := list[0]
		f, ok := s.fragment(p)
		if !ok {
			list = list[1:] // no key for it now: it waits
			continue
		}
		s.charge(p)
		s.sent(p, now)
		s.rotate(p.x)
		t.asked = true
		return s.transmit(f, s.room(list[1:]), now)
	}
	return nil
}

// room is how many of the parts fit into what is left of this burst. FLASH may
// take four times as long as the rest, one data frame always fits, and to who
// does not answer not much is said.
func (s *State) room(list []part) (n int) {
	t := &s.turn
	spoken, urgent := t.spoken, t.urgent
	for _, p := range list {
		if p.x.prec != noroshi.Flash && urgent > 0 {
			return n // the answer to FLASH waits for nothing
		}
		d := s.c.air(sizeOf(p.x.load(p)))
		switch {
		case t.parts+n == 0:
		case p.x.prec == noroshi.Flash && urgent+d <= 4*max(s.c.Talk, s.c.air(frameMax)) && (t.silence < 3 || t.parts+n < 4):
		case p.x.prec != noroshi.Flash && t.silence < 3 && spoken+d <= s.c.Talk:
		default:
			return n
		}
		if p.x.prec == noroshi.Flash {
			urgent += d
		} else {
			spoken += d
		}
		n++
	}
	return n
}

// charge books a part in the burst and against the classes it goes past.
func (s *State) charge(p part) {
	t := &s.turn
	d := s.c.air(sizeOf(p.x.load(p)))
	t.parts++
	if p.x.prec == noroshi.Flash {
		t.urgent += d
		return
	}
	t.spoken += d
	s.settle(p)
}

// transmit sends a frame of which so many follow.
func (s *State) transmit(f Frame, left int, now time.Time) []Effect {
	f.Left = min(leftMax, max(0, left))
	b, err := EncodeFrame(f)
	if err != nil {
		panic(err) // made here, within the sizes
	}
	s.turn.over = left <= 0
	s.turn.owed = s.turn.owed && f.Type != Control
	s.counts.Sent++
	s.writing, s.airUntil = true, now.Add(s.c.air(len(b)))
	if !s.c.Duplex {
		s.echoes = append(s.echoes[max(0, len(s.echoes)-leftMax+1):], echo{Frame: f})
	}
	return []Effect{Transmit{b}}
}

// Next returns when a Tick is wanted; zero while only another event can change
// anything.
func (s State) Next() time.Time {
	switch {
	case s.writing:
		return time.Time{}
	case s.c.Duplex:
		return s.nextDuplex()
	case s.turn.speaking:
		return s.airUntil
	case s.wants():
		return later(s.turn.begin, s.airUntil)
	}
	return time.Time{}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
