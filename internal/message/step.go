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
	Probe     time.Duration // hello this often by a way that does not answer; four times as often while a FLASH waits
	Resend    time.Duration // first wait for a receipt; doubles
	ResendMax time.Duration // longest wait
	Urgent    time.Duration // a receipt for FLASH and IMMEDIATE waits this long for company
	Bulk      time.Duration // a receipt for the others
	Lanes     int           // messages below FLASH handed over at once to a way; FLASH has as many of its own
	Window    int           // messages of one precedence handed over to a way and not receipted
	Ways      []Way         // channels the partner may be reached by, at the start
}

// DefaultRules suit a link with one way, https, that everything may go by.
func DefaultRules() Rules {
	return Rules{Heartbeat: 10 * time.Second, Probe: time.Second, Resend: 2 * time.Second, ResendMax: time.Minute,
		Urgent: 2 * time.Millisecond, Bulk: 30 * time.Millisecond, Lanes: 4, Window: 16,
		Ways: []Way{{Name: noroshi.ChannelHTTPS, Traits: Traits{Kind: noroshi.ChannelHTTPS}, Control: true, Admits: func(string) bool { return true }}}}
}

// maxAbove bounds what is kept above the first gap of one epoch; beyond it a
// message is not taken (and so not receipted) until the gap closes.
const maxAbove = 16 << 10

// maxOpen bounds the messages of one epoch that wait for others or for a person;
// beyond it none is taken but FLASH, of which as many more are.
const maxOpen = 16 << 10

// maxLives bounds the epochs of a partner that are remembered.
const maxLives = 64

// Facts are what is durable of one side of one link: all a Side is made of.
type Facts struct {
	Run     [8]byte     // new at each start
	Seed    [32]byte    // new at each start: challenges come from it
	Mine    []EpochHead // our epochs, oldest first; the last is the present one
	Anew    Epoch       // the newest of Mine that was opened because something was lost; zero = none
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
	reopen   bool      // a key of ours was revoked while an epoch was being made: another follows
	openedAt time.Time // when the last one was
	rolled   pause     // between epochs that the partner's word opens
	shrunk   pause     // between receipts that it may take back
	woken    bool      // what was stored before the start was looked at

	paths  []*path
	lead   map[mask]string // the path last taken for each set of paths in use
	masks  map[mask]int    // messages of objects without a receipt, by the paths they may go by
	stuck  map[mask]stuck  // of them, those that no usable path is left for
	began  time.Time
	ownRun bool  // the present epoch was opened in this run
	medium *path // what goes by hand: no path of Step's choice, but it asks and answers

	out    map[outKey]*outgoing
	queued uint64                      // messages ever queued: their order
	fresh  [noroshi.Flash + 1][]queue  // never handed over
	again  [noroshi.Flash + 1][]outKey // handed over, not receipted
	expiry time.Time                   // no message expires before
	halts  []Halt                      // between two steps always empty

	theirs []*life
	live   Epoch
	cited  Citation
	sum    noroshi.Hash // of the statement cited
	keys   [2]KeyVersion
	known  [2]KeyVersion // as the partner says

	partnerRun [8]byte
	seen       [8]byte // the newest challenge that came by no path of ours
	confirmed  bool
	heard      time.Time
	probed     uint64    // challenges of the last Probe have higher numbers
	asked      time.Time // last WANT
	gapSince   time.Time
}

// own is one epoch of ours.
type own struct {
	EpochHead
	stored  runs // what the partner's live epoch holds of it
	applied runs
	closed  runs // withheld or expired here
	vouched runs // known to be there by a proof that is no STATE; closed too
	loading bool
	anew    bool    // opened because something of those before it was lost
	cited   bool    // the partner has cited a STATE of it
	issued  *issued // of a former one that this run has spoken in
}

// life is one epoch of the partner.
type life struct {
	Life
	above     map[uint64]noroshi.Hash // ids bound above Cum
	pending   map[uint64]noroshi.Hash // Keep without an answer yet
	open      map[uint64]In           // stored or held
	waits     map[uint64]bool         // of them those that are stored: they wait for others
	left      map[uint64]bool         // of those what waits for nothing more and could not be applied
	tombs     map[uint64]noroshi.Hash // closed by its sender, never arrived
	have      runs                    // bound: 1..Cum and what is above
	head      uint64                  // as it says
	headChain [16]byte
	heardOf   bool   // a statement of it came since start
	since     uint64 // only a challenge with a higher number shows that it lives
}

type outKey struct {
	epoch Epoch
	seq   uint64
}

type outgoing struct {
	Out
	order   uint64
	mask    mask      // paths it may go by
	flights []flight  // by path; nil = never handed over
	due     time.Time // IMMEDIATE: when the next path is tried
	gone    bool      // expiring
}

// flight is a message on one path.
type flight struct {
	tries  int
	flying bool      // handed over, not yet answered
	open   bool      // counts in the path's window
	alone  bool      // went although our epoch was not known to count
	at     time.Time // last handed over
	due    time.Time // again
}

// queue is messages of one precedence that may go by the same paths.
type queue struct {
	mask mask
	keys []outKey
}

// Rebuild makes a Side of what is durable: at start, after a crash, after a
// restore. The link is unconfirmed until the partner echoes a challenge.
func Rebuild(r Rules, f Facts, now time.Time) Side {
	s := Side{rules: r, run: f.Run, seed: f.Seed, parents: f.Parents, counter: f.Counter, keys: f.Keys,
		out: map[outKey]*outgoing{}, lead: map[mask]string{}, masks: map[mask]int{}, stuck: map[mask]stuck{}, live: f.Live, began: now,
		medium: &path{Way: Way{Name: Medium}}}
	s.rewire(r.Ways, now)
	for _, e := range f.Mine {
		s.mine = append(s.mine, &own{EpochHead: e, anew: e.Epoch == f.Anew})
	}
	for _, l := range f.Theirs {
		s.theirs = append(s.theirs, newLife(l))
	}
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
		s.isCited(f.Told.State.Cited)
		s.believe(f.Told.State, now)
		if l := s.life(f.Live); l != nil {
			l.head, l.headChain = f.Told.State.Out.Head, f.Told.State.Out.Chain
		}
	}
	return s
}

func newLife(l Life) *life {
	x := &life{Life: l, above: map[uint64]noroshi.Hash{}, pending: map[uint64]noroshi.Hash{},
		open: map[uint64]In{}, waits: map[uint64]bool{}, left: map[uint64]bool{}, tombs: map[uint64]noroshi.Hash{}}
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
		s.bringBack(e.Want, now)
	case Refused:
		fx = append(fx, s.refuse(e.Code)...)
	case Attest:
		fx = append(fx, s.attest(e)...)
	case HandedOver:
		s.handedOver(e, now)
	case Withheld:
		s.withheld(e)
	case Loaded:
		s.loaded(e)
	case Up:
		s.upDown(e, now)
	case Rewired:
		s.rewire(e.Ways, now)
	case Opened:
		s.opened(e, now)
		if s.reopen {
			s.reopen = false
			fx = append(fx, s.open(OrderedEpoch, nil)...)
		}
	case PutBack:
		fx = append(fx, s.open(Restored, nil)...)
	case Speak:
		fx = append(fx, s.speak(e, now)...)
	case Vouched:
		s.vouched(e, now)
	case Reopen:
		s.reopen = s.opening
		fx = append(fx, s.open(OrderedEpoch, nil)...)
	case Probe:
		s.probe(e, now)
	case Wake:
		fx = append(fx, s.wakeLeft()...)
	}
	return s, append(fx, s.pump(now)...)
}

// Next returns when Step wants a Tick at the latest.
func (s Side) Next() time.Time {
	next := s.stuckAt()
	sooner := func(t time.Time) {
		if t.Before(next) {
			next = t
		}
	}
	for _, p := range s.paths {
		sooner(s.stateAt(p))
	}
	if !s.mayrun() {
		return next
	}
	for p := noroshi.Routine; p <= noroshi.Flash; p++ {
		for _, k := range s.again[p] {
			if o := s.out[k]; o != nil && !o.gone {
				sooner(s.dueAt(o))
			}
		}
	}
	if !s.expiry.IsZero() {
		sooner(s.expiry)
	}
	return next
}

// Clone returns a Side that Step may use up while s lives on.
func (s Side) Clone() Side {
	s.mine = slices.Clone(s.mine)
	for i, m := range s.mine {
		c := *m
		c.stored, c.applied, c.closed, c.vouched = m.stored.clone(), m.applied.clone(), m.closed.clone(), m.vouched.clone()
		s.mine[i] = &c
	}
	out := make(map[outKey]*outgoing, len(s.out))
	for k, o := range s.out {
		c := *o
		c.flights = slices.Clone(o.flights)
		out[k] = &c
	}
	s.out = out
	medium := *s.medium
	s.medium = &medium
	s.paths = slices.Clone(s.paths)
	for i, p := range s.paths {
		c := *p
		c.asks = slices.Clone(p.asks)
		s.paths[i] = &c
	}
	s.lead, s.masks, s.stuck = maps.Clone(s.lead), maps.Clone(s.masks), maps.Clone(s.stuck)
	for p := range s.fresh {
		s.fresh[p], s.again[p] = slices.Clone(s.fresh[p]), slices.Clone(s.again[p])
		for i, q := range s.fresh[p] {
			s.fresh[p][i].keys = slices.Clone(q.keys)
		}
	}
	s.theirs = slices.Clone(s.theirs)
	for i, l := range s.theirs {
		c := *l
		c.above, c.pending, c.open, c.tombs = maps.Clone(l.above), maps.Clone(l.pending), maps.Clone(l.open), maps.Clone(l.tombs)
		c.waits, c.left = maps.Clone(l.waits), maps.Clone(l.left)
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
func (s *Side) draw() (c [8]byte) {
	s.drawn++
	h := sha256.Sum256(binary.BigEndian.AppendUint64(s.seed[:], s.drawn))
	copy(c[:], h[:])
	return c
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
	if len(s.mine) > 0 {
		s.present().issued = &issued{s.start, s.base, s.counter}
	}
	for _, p := range e.Parents {
		if s.own(p) == nil { // an epoch of ours that only the partner remembers
			s.mine = append(s.mine, &own{EpochHead: EpochHead{Epoch: p}})
		}
	}
	s.mine = append(s.mine, &own{EpochHead: EpochHead{Epoch: e.Epoch}, anew: e.Anew})
	s.parents, s.counter, s.start, s.base, s.ownRun = e.Parents, 0, 0, 0, true
	s.committed(e.First)
	s.soonAll(now)
	for _, p := range s.paths { // what it has answered says nothing of this epoch
		p.redraw = true
	}
}

// mayrun reports whether messages may go: the link is confirmed, or nothing but
// one-way paths are left and the log is of this run.
func (s *Side) mayrun() bool { return (s.confirmed || s.blind()) && !s.opening && s.usable() }

// mayGo reports whether messages may go by a path. Of an epoch that follows others
// none does before it counts there: its secrets begin anew with its first STATE, and
// of the little that is opened until that has come, messages would take its place.
// Where nothing but one-way paths is left, nothing can say that it counts.
func (s *Side) mayGo(p *path) bool {
	answers := s.confirmed && slices.ContainsFunc(s.paths, func(p *path) bool { return p.usable() && !p.OneWay })
	return p.usable() && (s.confirmed && s.counts() || p.OneWay && !answers)
}

// tryEvery is how long at least nothing is heard of our present epoch before one message
// goes by a path nevertheless, and then another: what the partner says may take another
// way, for days. It is half of what the partner opens.
const tryEvery = time.Minute

// mayTry reports whether one message may go by a path that mayGo keeps shut.
func (s *Side) mayTry(p *path, now time.Time) bool {
	from := later(later(s.openedAt, s.began), p.tried)
	return p.usable() && s.confirmed && now.Sub(from) >= max(tryEvery, 2*p.Turn)
}

// counts reports whether our present epoch is known to count there: the partner has
// cited a STATE of it. The first does from the beginning.
func (s *Side) counts() bool { return len(s.mine) < 2 || s.present().cited }
