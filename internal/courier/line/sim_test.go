package line_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier/line"
)

// conditions of a simulated line.
type conditions struct {
	rate    int
	turn    time.Duration
	duplex  bool
	bits    float64       // errors
	frames  float64       // share of transmissions that are lost whole
	burst   float64       // a burst of errors begins at a byte with this probability
	slips   float64       // a byte is lost or doubled
	latency time.Duration // each way
	echo    bool          // who speaks hears it
	noise   bool          // where nobody speaks there is noise
	twice   float64       // transmissions that come twice
}

// world is a line with two ends and a clock of its own. On a half-duplex line
// who speaks is deaf, and what comes before the line has turned is lost.
type world struct {
	t    testing.TB
	c    conditions
	now  time.Time
	r    *rand.Rand
	ends [2]*end
	air  []arrival // sorted by time
	bad  int       // bytes of a burst of errors still to come
	// speak is when each end spoke last, from and to.
	speak [2][2]time.Time
	sent  [2]int // bytes put on the line
	log   []transmission
	idle  int // steps at one moment
}

// transmission is what an end put on the line.
type transmission struct {
	at   time.Time
	from int
	b    []byte
}

// set is that of a fragment; 0 for other frames.
func (x transmission) set() uint32 {
	var d line.Deframer
	for _, f := range d.Push(x.b) {
		if f.Type == line.Fragment {
			return binary.BigEndian.Uint32(f.Payload)
		}
	}
	return 0
}

type arrival struct {
	at    time.Time
	to    int
	b     []byte
	echo  bool
	noise bool
}

type end struct {
	s    line.State
	got  [][]byte
	at   []time.Time
	done map[uint64]time.Time
}

var names = [2]noroshi.NodeID{{1}, {2}}

func tag(from noroshi.NodeID, b []byte) (mac [8]byte) {
	h := hmac.New(sha256.New, from[:])
	h.Write(b)
	copy(mac[:], h.Sum(nil))
	return mac
}

func config(c conditions, me int, seed uint64) line.Config {
	k := line.Config{Rate: c.rate, Turn: c.turn, Duplex: c.duplex}
	binary.BigEndian.PutUint64(k.Seed[:], seed)
	k.Seed[31] = byte(me)
	k.MAC = func(_ noroshi.NodeID, b []byte) ([8]byte, bool) { return tag(names[me], b), true }
	k.Check = func(b []byte) (noroshi.NodeID, bool) {
		other := names[1-me]
		if len(b) < 8 {
			return other, false
		}
		mac := tag(other, b[:len(b)-8])
		return other, hmac.Equal(mac[:], b[len(b)-8:])
	}
	return k
}

func newWorld(t testing.TB, c conditions, seed uint64) *world {
	t.Helper()
	w := &world{t: t, c: c, now: time.Unix(1_800_000_000, 0), r: rand.New(rand.NewPCG(seed, 9))}
	for i := range w.ends {
		s, err := line.NewState(config(c, i, seed), w.now)
		if err != nil {
			t.Fatal(err)
		}
		w.ends[i] = &end{s: s, done: map[uint64]time.Time{}}
		if c.noise {
			w.insert(arrival{at: w.now, to: i, noise: true})
		}
	}
	return w
}

func (w *world) step(i int, e line.Event) {
	x := w.ends[i]
	var fx []line.Effect
	x.s, fx = line.Step(x.s, e, w.now)
	for _, f := range fx {
		switch f := f.(type) {
		case line.Transmit:
			w.transmit(i, f.Bytes)
			w.step(i, line.Written{})
		case line.Deliver:
			x.got, x.at = append(x.got, f.Envelope), append(x.at, w.now)
			if f.From != (noroshi.NodeID{}) && f.From != names[1-i] {
				w.t.Errorf("an envelope from %s", f.From)
			}
		case line.Done:
			x.done[f.ID] = w.now
		}
	}
}

// transmit puts bytes on their way, with what the line does to them.
func (w *world) transmit(from int, b []byte) {
	char := 8 * time.Second / time.Duration(w.c.rate)
	end := w.now.Add(time.Duration(len(b)) * char)
	w.sent[from] += len(b)
	w.log = append(w.log, transmission{w.now, from, b})
	if w.speak[from][1] != w.now {
		w.speak[from][0] = w.now
	}
	w.speak[from][1] = end
	if w.r.Float64() < w.c.frames {
		return
	}
	var at time.Time
	var chunk []byte
	for i, c := range b {
		at = w.now.Add(time.Duration(i+1)*char + w.c.latency)
		for bit := range 8 {
			if w.r.Float64() < w.c.bits {
				c ^= 1 << bit
			}
		}
		if w.bad == 0 && w.r.Float64() < w.c.burst {
			w.bad = 1 + w.r.IntN(40)
		}
		if w.bad > 0 {
			w.bad--
			c = byte(w.r.Uint32())
		}
		n := 1
		if w.r.Float64() < w.c.slips {
			n = 2 * w.r.IntN(2)
		}
		for range n {
			chunk = append(chunk, c)
		}
		if len(chunk) >= 4 || i == len(b)-1 {
			w.insert(arrival{at: at, to: 1 - from, b: chunk})
			if w.c.echo {
				w.insert(arrival{at: at.Add(-w.c.latency), to: from, b: chunk, echo: true})
			}
			chunk = nil
		}
	}
	if w.r.Float64() < w.c.twice {
		w.insert(arrival{at: at.Add(w.c.turn / 3), to: 1 - from, b: b})
	}
}

// hiss is noise on a line on which nobody speaks, and goes on.
func (w *world) hiss(a arrival) {
	if !w.passing(a.to) {
		w.step(a.to, line.Heard{Bytes: w.envelope(4)})
	}
	a.at = w.now.Add(32 * time.Second / time.Duration(w.c.rate))
	w.insert(a)
}

// passing reports whether something the other end said reaches an end now.
func (w *world) passing(to int) bool {
	then := w.now.Add(-w.c.latency)
	for _, x := range slices.Backward(w.log) {
		if x.from != to && !x.at.After(then) {
			return !then.After(x.at.Add(time.Duration(len(x.b)) * 8 * time.Second / time.Duration(w.c.rate)))
		}
	}
	return false
}

func (w *world) insert(a arrival) {
	i, _ := slices.BinarySearchFunc(w.air, a, func(x, y arrival) int {
		if x.at.After(y.at) {
			return 1
		}
		return -1
	})
	w.air = slices.Insert(w.air, i, a)
}

// lost reports whether the line is not turned towards who should hear.
func (w *world) lost(a arrival) bool {
	if w.c.duplex || a.echo {
		return false
	}
	mine := w.speak[a.to]
	return !w.now.Before(mine[0]) && w.now.Add(-w.c.latency).Before(mine[1].Add(w.c.turn))
}

// tick goes to the next thing that happens, or to limit; false at limit.
func (w *world) tick(limit time.Time) bool {
	next := limit
	if len(w.air) > 0 && w.air[0].at.Before(next) {
		next = w.air[0].at
	}
	for i := range w.ends {
		if at := w.ends[i].s.Next(); !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	if w.idle++; next.After(w.now) {
		w.now, w.idle = next, 0
	} else if w.idle > 1000 {
		w.t.Fatal("a thousand steps at one moment")
	}
	if !next.Before(limit) {
		return false
	}
	if len(w.air) > 0 && !w.air[0].at.After(w.now) {
		a := w.air[0]
		w.air = w.air[1:]
		if a.noise {
			w.hiss(a)
		} else if !w.lost(a) {
			w.step(a.to, line.Heard{Bytes: a.b})
		}
		return true
	}
	for i := range w.ends {
		if at := w.ends[i].s.Next(); !at.IsZero() && !at.After(w.now) {
			w.step(i, line.Tick{})
		}
	}
	return true
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	for to := w.now.Add(d); w.tick(to); {
	}
}

// until runs the line until a condition holds, or fails.
func (w *world) until(limit time.Duration, ok func() bool) time.Duration {
	w.t.Helper()
	begun := w.now
	for !ok() {
		if !w.tick(begun.Add(limit)) {
			w.t.Fatalf("not within %v: %+v", limit, [2]line.Counts{w.ends[0].s.Counts(), w.ends[1].s.Counts()})
		}
	}
	return w.now.Sub(begun)
}

func (w *world) queue(i int, id uint64, p noroshi.Precedence, envelope []byte) {
	w.step(i, line.Queued{ID: id, To: names[1-i], Prec: p, Envelope: envelope})
}

func (w *world) envelope(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(w.r.Uint32())
	}
	return b
}

// has reports whether an end was given an envelope, and when first.
func (e *end) has(envelope []byte) (time.Time, bool) {
	for i, g := range e.got {
		if string(g) == string(envelope) {
			return e.at[i], true
		}
	}
	return time.Time{}, false
}
