package message

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// Rules are the times and bounds of one link.
type Rules struct {
	Realm     noroshi.Realm
	Self      noroshi.NodeID
	Partner   noroshi.NodeID
	Heartbeat time.Duration // STATE at least this often
	Probe     time.Duration // hello this often while the link is down or unconfirmed; four times as often while a FLASH waits
	Resend    time.Duration // first wait for a receipt; doubles
	ResendMax time.Duration // longest wait
	Urgent    time.Duration // a receipt for FLASH and IMMEDIATE waits this long for company
	Bulk      time.Duration // a receipt for the others
	Lanes     int           // messages below FLASH handed over at once; FLASH has as many of its own
	Window    int           // messages of one precedence handed over and not receipted
}

// DefaultRules suit an https link.
func DefaultRules() Rules {
	return Rules{Heartbeat: 10 * time.Second, Probe: time.Second, Resend: 2 * time.Second, ResendMax: time.Minute,
		Urgent: 2 * time.Millisecond, Bulk: 30 * time.Millisecond, Lanes: 4, Window: 16}
}

// maxAbove bounds what is kept above the first gap of one epoch; beyond it a
// message is not taken (and so not receipted) until the gap closes.
const maxAbove = 16 << 10

// maxLives bounds the epochs of a partner that are remembered.
const maxLives = 64

// Facts are what is durable of one side of one link: all a Side is made of.
type Facts struct {
	Run     [8]byte     // new at each start
	Seed    [32]byte    // new at each start: challenges come from it
	Mine    []EpochHead // our epochs, oldest first; the last is the present one
	Parents []Epoch     // of the present one
	Counter uint64      // last statement issued in it
	Out     []Out       // not receipted, of any of our epochs
	Theirs  []Life
	Live    Epoch // the partner's life that counts; zero = none yet
	Told    *Told // its newest STATE
	Keys    [2]KeyVersion
}

// Life is one epoch of the partner and what is durable here of its log.
type Life struct {
	Epoch   Epoch
	Retired bool
	Cum     uint64 // 1..Cum are bound
	Chain   noroshi.Hash
	In      []In // bound above Cum, and those at or below it that are not applied
}

// Side is one side of one link, in memory. It is made by Rebuild and changed
// by Step alone.
type Side struct {
	rules    Rules
	run      [8]byte
	seed     [32]byte
	drawn    uint64
	mine     []*own
	parents  []Epoch
	counter  uint64
	start    uint64    // counter that was durable at the start
	base     uint64    // this run issues from base+1 on
	opening  bool      // an Open is not yet answered
	openedAt time.Time // when the last one was
	woken    bool      // what was stored before the start was looked at

	out    map[outKey]*outgoing
	fresh  [noroshi.Flash + 1][]outKey // to be handed over, in order
	again  [noroshi.Flash + 1][]outKey // handed over, not receipted
	flying [2]int                      // below FLASH, FLASH
	debt   int                         // bytes IMMEDIATE and PRIORITY sent past a waiting ROUTINE
	expiry time.Time                   // no message expires before

	theirs []*life
	live   Epoch
	cited  Citation
	sum    noroshi.Hash // of the statement cited
	keys   [2]KeyVersion
	known  [2]KeyVersion // as the partner says

	challenge    [8]byte
	challengedAt time.Time
	echo         [8]byte
	partnerRun   [8]byte
	confirmed    bool
	up           bool
	trip         time.Duration
	timed        bool // trip belongs to the present challenge
	heard        time.Time
	said         time.Time
	due          time.Time // zero = no STATE is due but the heartbeat
	hellos       int       // since the link was last up and confirmed
	asked        time.Time // last WANT
	gapSince     time.Time
}

// own is one epoch of ours.
type own struct {
	EpochHead
	stored  runs // what the partner's live epoch holds of it
	applied runs
	closed  runs // withheld or expired here
	loading bool
}

// life is one epoch of the partner.
type life struct {
	Life
	above     map[uint64]noroshi.Hash // ids bound above Cum
	pending   map[uint64]noroshi.Hash // Keep without an answer yet
	open      map[uint64]In           // stored or held
	tombs     map[uint64]noroshi.Hash // closed by its sender, never arrived
	have      runs                    // bound: 1..Cum and what is above
	head      uint64                  // as it says
	headChain [16]byte
	heardOf   bool // a statement of it came since start
}

type outKey struct {
	epoch Epoch
	seq   uint64
}

type outgoing struct {
	Out
	at     time.Time // last handed over
	due    time.Time
	tries  int
	flying bool
	sent   bool // handed over at least once since it was queued
	gone   bool // expiring
}

// Rebuild makes a Side of what is durable: at start, after a crash, after a
// restore. The link is unconfirmed until the partner echoes a challenge.
func Rebuild(r Rules, f Facts, now time.Time) Side {
	s := Side{rules: r, run: f.Run, seed: f.Seed, parents: f.Parents, counter: f.Counter, keys: f.Keys,
		out: map[outKey]*outgoing{}, live: f.Live, up: true, due: now}
	for _, e := range f.Mine {
		s.mine = append(s.mine, &own{EpochHead: e})
	}
	for _, l := range f.Theirs {
		s.theirs = append(s.theirs, newLife(l))
	}
	s.draw()
	s.leap()
	for _, o := range f.Out {
		s.queue(o)
	}
	// Even without its statement the live epoch is cited: a partner put back to
	// before it opened that epoch learns of it so.
	s.cited.Epoch = f.Live
	if f.Told != nil && f.Told.Epoch == f.Live {
		s.cited, s.sum = Citation{f.Told.Epoch, f.Told.Counter}, f.Told.Sum
		s.known = f.Told.State.Keys
		s.believe(f.Told.State)
		if l := s.life(f.Live); l != nil {
			l.head, l.headChain = f.Told.State.Out.Head, f.Told.State.Out.Chain
		}
	}
	return s
}

func newLife(l Life) *life {
	x := &life{Life: l, above: map[uint64]noroshi.Hash{}, pending: map[uint64]noroshi.Hash{},
		open: map[uint64]In{}, tombs: map[uint64]noroshi.Hash{}}
	x.Life.In = nil
	x.have = x.have.add(1, l.Cum)
	for _, m := range l.In {
		x.bind(m)
	}
	return x
}

// Step is the stream as a pure function: what one side does when something
// happens, at a time that is given. It does no I/O, reads no clock and decides
// the same for the same input. The Side passed in is used up: clone it first
// to keep it.
//
// Nothing that Step lets out rests on anything that is not durable: effects
// that make things durable are answered by events, and only those events move
// sets, heads and receipts.
func Step(s Side, e Event, now time.Time) (Side, []Effect) {
	fx := s.wakeAll()
	switch e := e.(type) {
	case Committed:
		s.committed(e.Out)
	case Arrived:
		fx = append(fx, s.arrived(e.In, now)...)
	case Kept:
		fx = append(fx, s.kept(e, now)...)
	case Told:
		fx = append(fx, s.told(e, now)...)
	case Asked:
		s.wanted(e.Want, now)
	case Refused:
		fx = append(fx, s.refuse(e.Code)...)
	case HandedOver:
		s.handedOver(e, now)
	case Withheld:
		s.withheld(e)
	case Loaded:
		s.loaded(e)
	case Up:
		s.upDown(e.Up, now)
	case Opened:
		s.opened(e, now)
	case PutBack:
		fx = append(fx, s.open(Restored, nil)...)
	case Probe:
		s.draw()
		s.soon(now, 0)
	}
	return s, append(fx, s.pump(now)...)
}

// Next returns when Step wants a Tick at the latest.
func (s Side) Next() time.Time {
	next := s.stateAt()
	if !s.mayrun() {
		return next
	}
	for p := noroshi.Routine; p <= noroshi.Flash; p++ {
		for _, k := range s.again[p] {
			if o := s.out[k]; o != nil && !o.flying && o.due.Before(next) {
				next = o.due
			}
		}
	}
	if !s.expiry.IsZero() && s.expiry.Before(next) {
		next = s.expiry
	}
	return next
}

// Clone returns a Side that Step may use up while s lives on.
func (s Side) Clone() Side {
	s.mine = slices.Clone(s.mine)
	for i, m := range s.mine {
		c := *m
		c.stored, c.applied, c.closed = m.stored.clone(), m.applied.clone(), m.closed.clone()
		s.mine[i] = &c
	}
	out := make(map[outKey]*outgoing, len(s.out))
	for k, o := range s.out {
		c := *o
		out[k] = &c
	}
	s.out = out
	for p := range s.fresh {
		s.fresh[p], s.again[p] = slices.Clone(s.fresh[p]), slices.Clone(s.again[p])
	}
	s.theirs = slices.Clone(s.theirs)
	for i, l := range s.theirs {
		c := *l
		c.above, c.pending, c.open, c.tombs = maps.Clone(l.above), maps.Clone(l.pending), maps.Clone(l.open), maps.Clone(l.tombs)
		c.have = l.have.clone()
		s.theirs[i] = &c
	}
	return s
}

// leap begins a run's counters at a random distance above what is durable. A
// node that was put back unseen would otherwise issue again, by its hellos, the
// counters its lost life issued, and the partner's citation of those could not
// be told from one of these.
func (s *Side) leap() {
	h := sha256.Sum256(append(s.seed[:], "leap"...))
	s.start = s.counter
	s.base = s.start + 1<<16 + binary.BigEndian.Uint64(h[:])>>28
	s.counter = s.base
}

// draw takes a new challenge from the seed.
func (s *Side) draw() {
	s.drawn++
	h := sha256.Sum256(binary.BigEndian.AppendUint64(s.seed[:], s.drawn))
	copy(s.challenge[:], h[:])
	s.challengedAt, s.timed = time.Time{}, false
}

func (s *Side) present() *own { return s.mine[len(s.mine)-1] }

func (s *Side) own(e Epoch) *own {
	for _, m := range s.mine {
		if m.Epoch == e {
			return m
		}
	}
	return nil
}

func (s *Side) life(e Epoch) *life {
	for _, l := range s.theirs {
		if l.Epoch == e {
			return l
		}
	}
	return nil
}

// open asks for a new epoch. others are epochs of ours the partner knows and
// this side lost.
func (s *Side) open(why EpochReason, others []Epoch) []Effect {
	if s.opening {
		return nil
	}
	s.opening = true
	o := Open{Reason: why}
	for _, m := range s.mine {
		o.Parents = append(o.Parents, m.EpochHead)
	}
	for _, e := range others {
		o.Parents = append(o.Parents, EpochHead{Epoch: e})
	}
	if n := len(o.Parents) - maxParents; n > 0 {
		o.Parents = o.Parents[n:]
	}
	return []Effect{o}
}

// opened starts the new epoch: its statements count from 1, its log from its
// EPOCH message. What former epochs still owe is repaired under their names.
func (s *Side) opened(e Opened, now time.Time) {
	s.opening, s.openedAt = false, now
	for _, p := range e.Parents {
		if s.own(p) == nil { // an epoch of ours that only the partner remembers
			s.mine = append(s.mine, &own{EpochHead: EpochHead{Epoch: p}})
		}
	}
	s.mine = append(s.mine, &own{EpochHead: EpochHead{Epoch: e.Epoch}})
	s.parents, s.counter, s.start, s.base = e.Parents, 0, 0, 0
	s.committed(e.First)
	s.soon(now, 0)
}

func (s *Side) upDown(up bool, now time.Time) {
	if up && !s.up {
		s.hellos = 0
		s.hurry(now)
		s.soon(now, 0)
	}
	s.up = up
}

// hurry makes everything that waits for a receipt due at once.
func (s *Side) hurry(now time.Time) {
	for p := range s.again {
		for _, k := range s.again[p] {
			if o := s.out[k]; o != nil {
				o.due, o.tries = now, 0
			}
		}
	}
}

func (s *Side) mayrun() bool { return s.confirmed && s.up && !s.opening }
