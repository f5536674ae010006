package line_test

import (
	"slices"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier/line"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/tier"
)

// TestNothingIsLost: envelopes of all classes and sizes from both sides come
// through whatever the line does, and both sides know it.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]conditions{
		"75":                       hf,
		"300, frames lost":         {rate: 300, turn: 2 * time.Second, bits: 1e-3, frames: 0.5},
		"2,400, bursts":            {rate: 2400, turn: 2 * time.Second, bits: 1e-3, burst: 0.005},
		"9,600":                    {rate: 9600, turn: 2 * time.Second, bits: 1e-3},
		"9,600, slips":             {rate: 9600, turn: time.Second, slips: 0.005},
		"2,400, many bits":         {rate: 2400, turn: time.Second, bits: 1e-2},
		"300, slow and echoing":    {rate: 300, turn: 2 * time.Second, bits: 1e-3, latency: 3 * time.Second, echo: true},
		"9,600, quick to turn":     {rate: 9600, bits: 1e-3, frames: 0.1},
		"300, duplex":              {rate: 300, duplex: true, turn: time.Second, bits: 1e-3, frames: 0.1},
		"9,600, duplex":            {rate: 9600, duplex: true, turn: time.Second / 5, bits: 1e-3},
		"300, noise":               {rate: 300, turn: time.Second, bits: 1e-3, noise: true},
		"300, noise, far off":      {rate: 300, turn: 2 * time.Second, bits: 1e-3, noise: true, latency: 3 * time.Second, echo: true},
		"2,400, twice":             {rate: 2400, turn: time.Second, bits: 1e-3, twice: 0.5},
		"9,600, duplex, twice":     {rate: 9600, turn: time.Second / 5, duplex: true, frames: 0.1, twice: 0.5},
		"9,600, duplex, half lost": {rate: 9600, duplex: true, turn: time.Second / 5, bits: 1e-3, frames: 0.5, latency: time.Second / 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(tier.N(1, 20)) {
				w := newWorld(t, c, seed)
				w.exchange(min(c.rate, 1000) * 4)
			}
		})
	}
}

// exchange sends envelopes both ways, some later than others, and checks what
// arrives.
func (w *world) exchange(most int) {
	w.t.Helper()
	var sent [2][][]byte
	for id := range uint64(10) {
		for i := range w.ends {
			n := 1 + w.r.IntN(200)
			if id%3 == 0 {
				n = 1 + w.r.IntN(most)
			}
			b := w.envelope(n)
			sent[i] = append(sent[i], b)
			w.queue(i, id, noroshi.Precedence(w.r.IntN(5)), b)
		}
		w.pass(time.Duration(w.r.Int64N(int64(20 * time.Second))))
	}
	took := w.until(3*time.Hour, func() bool { return len(w.ends[0].done) == 10 && len(w.ends[1].done) == 10 })
	for i := range w.ends {
		for n, b := range sent[i] {
			if _, ok := w.ends[1-i].has(b); !ok {
				w.t.Errorf("envelope %d of %d bytes from end %d is done and did not arrive", n, len(b), i)
			}
		}
		for _, g := range w.ends[i].got {
			if !slices.ContainsFunc(sent[1-i], func(b []byte) bool { return string(b) == string(g) }) {
				w.t.Errorf("end %d was given %d bytes nobody sent", i, len(g))
			}
		}
	}
	w.t.Logf("%v, %d bytes on the line", took, w.sent[0]+w.sent[1])
}

// TestNoiseKeepsNobodyInStep: noise begins and ends for both sides at once, yet
// they do not begin at once for ever: what they drew keeps them apart behind it,
// and what they learn of how long an answer takes is learnt of answers.
func TestNoiseKeepsNobodyInStep(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		conditions
		seed uint64
	}{
		"near":    {conditions{rate: 300, turn: time.Second, bits: 1e-3, noise: true}, 6},
		"far off": {conditions{rate: 300, turn: 2 * time.Second, bits: 1e-3, noise: true, latency: 3 * time.Second, echo: true}, 103},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.conditions, c.seed)
			w.exchange(1200)
			// The other side waits for a frame of the largest size, a turn and a quarter of one.
			answer := 2*c.latency + 134*8*time.Second/300 + c.turn*5/4
			for i, e := range w.ends {
				k := e.s.Counts()
				if k.Silences*4 > k.Sent {
					t.Errorf("end %d had no answer %d times in %d frames", i, k.Silences, k.Sent)
				}
				if d := (k.Reply - answer).Abs(); d > answer/8 {
					t.Errorf("end %d expects an answer after %v, it comes after %v", i, k.Reply, answer)
				}
			}
		})
	}
}

// TestAnEchoIsOneForATurn: what a half-duplex line gives back of a frame is passed
// over while it may be that; the same bytes later are the other side's, as two
// empty acknowledgements are the same.
func TestAnEchoIsOneForATurn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after time.Duration // the end of the frame
		times int
		heard int64
	}{
		"at once":             {0, 1, 0},
		"as the line turns":   {time.Second, 1, 0},
		"twice":               {0, 2, 1},
		"after it has turned": {5 * time.Second, 1, 1},
	} {
		w := newWorld(t, conditions{rate: 300, turn: 2 * time.Second}, 1)
		w.queue(0, 1, noroshi.Flash, w.envelope(40))
		w.until(time.Minute, func() bool { return len(w.log) > 0 })
		frame := w.log[0].b
		w.air = nil // the other end does not hear it
		w.now = w.speak[0][1].Add(c.after)
		for range c.times {
			w.step(0, line.Heard{Bytes: frame})
		}
		if got := w.ends[0].s.Counts().Frames; got != c.heard {
			t.Errorf("%s: %d frames of the other side, want %d", name, got, c.heard)
		}
	}
}

// TestLargest: what suite S2 seals, a line takes.
func TestLargest(t *testing.T) {
	t.Parallel()
	if line.Largest != message.MaxNarrow {
		t.Errorf("a line takes %d bytes, S2 seals %d", line.Largest, message.MaxNarrow)
	}
}

// TestFlashWaitsForOneFragment: from the moment a FLASH is there, its side
// begins no frame of a lower class until the other side has it; what was halted
// goes on where it was.
func TestFlashWaitsForOneFragment(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]conditions{"75": {rate: 75, turn: 2 * time.Second}, "9,600": {rate: 9600, turn: 2 * time.Second},
		"2,400, duplex": {rate: 2400, turn: time.Second / 2, duplex: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c, 5)
			low := [4]noroshi.Precedence{line.Statement, noroshi.Routine, noroshi.Priority, noroshi.Immediate}
			for i, p := range low {
				w.queue(0, uint64(i), p, w.envelope(8000))
			}
			w.pass(time.Duration(1000/c.rate+1) * 10 * time.Second / 3)
			begun := len(w.log)
			flash := w.envelope(300)
			w.queue(0, 9, noroshi.Flash, flash)
			w.until(2*time.Minute, func() bool { _, ok := w.ends[1].has(flash); return ok })
			var sets []uint32
			for _, x := range w.log[begun:] {
				if s := x.set(); x.from == 0 && s != 0 && !slices.Contains(sets, s) {
					sets = append(sets, s)
				}
			}
			if len(sets) == 0 || len(sets) > 1 && !c.duplex { // both at once: others go while the last of it is on its way
				t.Errorf("fragments of %d envelopes went before the FLASH was there", len(sets))
			}
			w.until(10*time.Hour, func() bool { return len(w.ends[0].done) == 5 })
			frames := 0
			for _, x := range w.log {
				if x.from == 0 && x.set() != 0 {
					frames++
				}
			}
			if most := 4*(8000/95+1) + 4 + 2; frames > most {
				t.Errorf("%d fragments for what takes %d", frames, most)
			}
			for i := range low[1:] {
				if i > 0 && w.ends[0].done[uint64(i)].Before(w.ends[0].done[uint64(i+1)]) {
					t.Errorf("%s was done before %s", low[i], low[i+1])
				}
			}
		})
	}
}

// TestSharesOfTheLine: ROUTINE keeps a twentieth against PRIORITY, statements
// take a quarter and no more.
func TestSharesOfTheLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{rate: 9600, turn: time.Second / 10, duplex: true}, 6)
	w.queue(0, 1, noroshi.Priority, w.envelope(60_000))
	w.pass(time.Second)
	first := w.log[0].set()
	w.queue(0, 2, noroshi.Routine, w.envelope(60_000))
	for id := range uint64(40) {
		w.queue(0, 10+id, line.Statement, w.envelope(90))
	}
	w.pass(5 * time.Second)
	begun := len(w.log)
	w.pass(30 * time.Second)
	counts := map[string]int{}
	for _, x := range w.log[begun:] {
		switch s := x.set(); {
		case s == first:
			counts["priority"]++
		case s != 0:
			counts["routine"]++
		case x.from == 0:
			counts["statement"]++
		}
	}
	if p, r := counts["priority"], counts["routine"]; p < 15*r || r == 0 || p > 25*r {
		t.Errorf("%v", counts)
	}
	if len(w.ends[0].done) < 30 {
		t.Errorf("%d statements are there", len(w.ends[0].done))
	}
}

// TestTheOtherEndForgets: an end that is made anew in the middle gets it all.
func TestTheOtherEndForgets(t *testing.T) {
	t.Parallel()
	for _, c := range []conditions{{rate: 2400, turn: time.Second}, {rate: 2400, turn: time.Second / 5, duplex: true}} {
		w := newWorld(t, c, 7)
		b := w.envelope(20_000)
		w.queue(0, 1, noroshi.Routine, b)
		w.pass(40 * time.Second)
		s, err := line.NewState(config(c, 1, 99), w.now)
		if err != nil {
			t.Fatal(err)
		}
		w.ends[1].s = s
		w.until(time.Hour, func() bool { return len(w.ends[0].done) == 1 })
		if _, ok := w.ends[1].has(b); !ok {
			t.Error("done, and not there")
		}
	}
}

// TestAQuietLine: who has nothing to say says nothing.
func TestAQuietLine(t *testing.T) {
	t.Parallel()
	for _, duplex := range []bool{false, true} {
		w := newWorld(t, conditions{rate: 300, turn: time.Second, duplex: duplex}, 8)
		w.queue(0, 1, noroshi.Routine, w.envelope(500))
		w.until(time.Hour, func() bool { return len(w.ends[0].done) == 1 })
		w.pass(time.Minute)
		sent := w.sent
		w.pass(24 * time.Hour)
		if w.sent != sent {
			t.Errorf("%d bytes in a day of silence", w.sent[0]+w.sent[1]-sent[0]-sent[1])
		}
	}
}

// TestDropped: what is taken back is not sent any more.
func TestDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, conditions{rate: 300, turn: time.Second}, 8)
	w.queue(0, 1, noroshi.Routine, w.envelope(5000))
	w.pass(20 * time.Second)
	w.step(0, line.Dropped{ID: 1})
	w.pass(time.Minute)
	sent := w.sent[0]
	w.pass(time.Hour)
	if w.sent[0] != sent || len(w.ends[1].got)+len(w.ends[0].done) != 0 {
		t.Errorf("%d bytes after it was taken back", w.sent[0]-sent)
	}
}
