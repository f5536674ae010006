package sim_test

import (
	"context"
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
)

// way is one kind of channel, the same at every node, and how rough it is now.
type way struct {
	traits courier.Traits
	rate   int // bytes a second; 0 = at once
	// prompt says that a Send ends with what came of it at the other end; other
	// ways only take over.
	prompt bool
	usual  time.Duration // from one end to the other

	loss, twice, late, spoil int // of a hundred
	cut                      map[[2]int]bool
	count                    map[[2]int]uint64
}

// allWays are the kinds of channels a seed may have.
func allWays() []*way {
	list := []*way{
		{traits: courier.Traits{Kind: noroshi.ChannelHTTPS, Cost: 1}, prompt: true, usual: 20 * time.Millisecond},
		{traits: courier.Traits{Kind: noroshi.ChannelMail, Cost: 2, Turn: 4 * time.Second, Largest: 64 << 10}, usual: 2 * time.Second},
		{traits: courier.Traits{Kind: noroshi.ChannelLine, Cost: 3, Narrow: true, Turn: 2 * time.Second, Largest: 16 << 10}, rate: 1200, usual: 200 * time.Millisecond},
		{traits: courier.Traits{Kind: noroshi.ChannelMedia, Cost: 4, OneWay: true}, usual: time.Second},
	}
	for _, w := range list {
		w.cut, w.count = map[[2]int]bool{}, map[[2]int]uint64{}
	}
	return list
}

// fate is what happens to one envelope: drawn from the seed, the way and its number
// on the way, so that it does not depend on which node was quicker elsewhere.
func (w *world) fate(y *way, from, to int) *rand.Rand {
	w.mu.Lock()
	n := y.count[[2]int{from, to}]
	y.count[[2]int{from, to}]++
	w.mu.Unlock()
	h := fnv.New64a()
	h.Write([]byte(y.traits.Kind))
	h.Write(binary.BigEndian.AppendUint64(nil, n<<8|uint64(from)<<4|uint64(to)))
	return rand.New(rand.NewPCG(w.seed, h.Sum64()))
}

// parcel is an envelope that comes later than a minute from when it went.
type parcel struct {
	way      *way
	from, to int
	bytes    []byte
	due      time.Time
	spoilt   bool
}

// end is one way as a life of a node has it.
type end struct {
	life *life
	way  *way
}

func (e *end) Name() string           { return e.way.traits.Kind }
func (e *end) Traits() courier.Traits { return e.way.traits }

// Send is what the courier hands envelopes to.
func (e *end) Send(ctx context.Context, p noroshi.Partner, prec noroshi.Precedence, envelope []byte) error {
	l, w, y := e.life, e.life.n.w, e.way
	if w.mute {
		return nil
	}
	l.step("before a send by " + y.traits.Kind)
	if l.dead.Load() {
		return errDead
	}
	to := w.nodeOf(p.Node)
	from := l.n.i
	if w.bug == crowded && prec == noroshi.Flash && y != w.ways[0] {
		return noroshi.Errorf(noroshi.Busy, "sim.full", "there is no room now")
	}
	r := w.fate(y, from, to)
	m := w.sent(l, y, to, prec, envelope)
	if w.stranded(parcel{way: y, from: from, to: to, bytes: envelope}, m) {
		w.tally("stranded", 1)
		return nil
	}
	if y.rate > 0 && !wait(ctx, time.Duration(len(envelope))*time.Second/time.Duration(y.rate)) {
		return ctx.Err()
	}
	w.mu.Lock()
	cut, back, lost := y.cut[[2]int{from, to}], y.cut[[2]int{to, from}], r.IntN(100) < y.loss
	twice := r.IntN(100) < y.twice
	w.mu.Unlock()
	w.tally("sent", 1)
	if cut || lost {
		w.tally("lost", 1)
	}
	if y.prompt {
		return e.prompt(ctx, r, to, envelope, cut, back, lost)
	}
	if cut && r.IntN(2) == 0 {
		return noroshi.Errorf(noroshi.Queued, "sim.cut", "the way is cut")
	}
	if cut || lost {
		return nil
	}
	copies := 1
	if twice {
		copies = 2
		w.tally("twice", 1)
	}
	for range copies {
		w.carry(y, from, to, r, envelope)
	}
	return nil
}

// wait reports whether a time passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// prompt is a send by a way that brings back what came of it. It may be lost on
// the way there, which is told at once or after a while, or on the way back, when
// the envelope was taken and the sender hears that it was not.
func (e *end) prompt(ctx context.Context, r *rand.Rand, to int, envelope []byte, cut, back, lost bool) error {
	w, y, from := e.life.n.w, e.way, e.life.n.i
	failed := noroshi.Errorf(noroshi.Queued, "sim.lost", "no answer")
	if cut || lost && r.IntN(2) == 0 {
		wait(ctx, time.Duration(r.IntN(3))*time.Second)
		return failed
	}
	if !wait(ctx, y.usual) {
		return ctx.Err()
	}
	x := w.nodes[to].live.Load()
	if x == nil || x.dead.Load() {
		return noroshi.Errorf(noroshi.Queued, "sim.down", "the other end is down")
	}
	w.carryLate(y, from, to, r, envelope)
	err := w.arrive(ctx, x, y, from, envelope, false)
	if back || lost {
		wait(ctx, time.Second)
		return failed
	}
	if noroshi.KindOf(err) == noroshi.Busy {
		return err
	}
	return nil
}

// carryLate puts a copy of an envelope aside now and then, to come again when
// nobody expects it.
func (w *world) carryLate(y *way, from, to int, r *rand.Rand, envelope []byte) {
	w.mu.Lock()
	late := r.IntN(100) < y.late
	w.mu.Unlock()
	if late {
		w.later(parcel{y, from, to, envelope, w.now().Add(time.Duration(r.Int64N(int64(30 * 24 * time.Hour)))), false})
	}
}

// carry takes an envelope to the other end, in its usual time or much later.
func (w *world) carry(y *way, from, to int, r *rand.Rand, envelope []byte) {
	d := y.usual + time.Duration(r.Int64N(int64(2*y.usual)+1))
	w.mu.Lock()
	late, spoilt := r.IntN(100) < y.late, r.IntN(100) < y.spoil
	w.mu.Unlock()
	if late {
		d = time.Duration(r.Int64N(int64(time.Hour) << r.IntN(10)))
	}
	if spoilt {
		envelope = append([]byte(nil), envelope...)
		envelope[r.IntN(len(envelope))] ^= 1 << r.IntN(8)
	}
	if d > time.Minute {
		w.later(parcel{y, from, to, envelope, w.now().Add(min(d, 30*24*time.Hour)), spoilt})
		return
	}
	w.tasks.Go(func() {
		time.Sleep(d)
		w.hand(parcel{y, from, to, envelope, time.Time{}, spoilt})
	})
}

func (w *world) later(p parcel) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.parcels = append(w.parcels, p)
	w.stats["late"]++
}

// handDue hands over what is due, in the order it was put aside.
func (w *world) handDue() {
	w.mu.Lock()
	var due, rest []parcel
	for _, p := range w.parcels {
		if p.due.After(w.now()) {
			rest = append(rest, p)
		} else {
			due = append(due, p)
		}
	}
	w.parcels = rest
	w.mu.Unlock()
	for _, p := range due {
		w.hand(p)
	}
}

// hand gives an envelope to who it is for. One that finds nobody is kept for a
// while, as a mail system does.
func (w *world) hand(p parcel) {
	x := w.nodes[p.to].live.Load()
	if x == nil || x.dead.Load() {
		p.due = w.now().Add(time.Minute)
		w.later(p)
		return
	}
	w.tasks.Go(func() {
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		_ = w.arrive(ctx, x, p.way, p.from, p.bytes, p.spoilt)
	})
}

func (w *world) arrive(ctx context.Context, x *life, y *way, from int, envelope []byte, spoilt bool) error {
	kind := y.traits.Kind
	if w.bug == mistaken {
		kind = noroshi.ChannelLine
	}
	if w.beside != nil {
		w.beside.astray(kind, from, x.n.i, envelope)
	}
	err := x.courier.Receive(ctx, kind, w.nodes[from].id(), envelope)
	if err != nil {
		w.note("refused %s>%s by %s: %v", w.nodes[from].sign, x.n.sign, y.traits.Kind, err)
		w.tally("refused", 1)
	}
	if spoilt && err == nil {
		w.failf("%s took an envelope that was altered on its way", x.n.sign)
	}
	return err
}
