package model

import "strings"

// kind is what a place of A's log holds. A batch holds the objects x and y; x may
// be recalled. What is left of a withheld batch, y, goes again as rest.
type kind uint8

const (
	none kind = iota
	batch
	third // an object z by itself
	rest
	recall // of x
	tomb0  // closes the batch of A's first epoch
	tomb1  // and of its second
	lost   // of a log that was put back, and reached nobody: closed on both sides
	closed // at B: by a tombstone, never arrived
)

// places is a log or what B holds of it: a kind for each sequence, from 0.
type places uint32

const length = 6 // of a log, at most

func (p places) at(n int) kind { return kind(p >> (4 * n) & 15) }

func (p *places) set(n int, k kind) { *p = *p&^(15<<(4*n)) | places(k)<<(4*n) }

func (p places) len() int {
	n := 0
	for n < length && p.at(n) != none {
		n++
	}
	return n
}

// find returns where a kind stands, -1 when nowhere.
func (p places) find(k kind) int {
	for n := range length {
		if p.at(n) == k {
			return n
		}
	}
	return -1
}

// taken is the set of sequences of which something is there.
func (p places) taken() (set uint8) {
	for n := range length {
		if p.at(n) != none {
			set |= 1 << n
		}
	}
	return set
}

// diskA is what is durable at A, and so in its backup.
type diskA struct {
	log    [2]places // by epoch
	shut   [2]uint8  // withheld or lost: never sent
	belief [2]uint8  // stored in B's live life, as its STATE says
	live   uint8     // life of B that counts: 1 + number, 0 = none heard
	knows  bool      // x is recalled
}

// diskB is what is durable at B.
type diskB struct {
	have [2]places
	x    uint8 // 0 never had, 1 in use, 2 withdrawn for good
	y, z bool
}

// RecallState is everything of a Recall.
type RecallState struct {
	a, backA diskA
	epoch    uint8
	deaf     uint8 // lives of B that A has retired, a bit each
	heard    uint8 // lives of B that A has ever heard
	listed   bool  // the recall stands in the list beside A's database
	recovers bool  // A was put back and waits for its tail
	phaseA   uint8 // 1: there is a backup, 2: put back

	net [2][length]uint8 // kinds ever sent, a bit each

	b, backB diskB
	armed    bool
	life     uint8
	phaseB   uint8
	said     [2]uint8 // lives that have said a STATE: 1
	holds    [2][2]uint8

	ordered bool // A has committed the recall, and nobody is allowed to forget it
	applied bool // B has, in whatever life
	fault   uint8
}

// Recall is a batch, its recall, and restores of both sides.
type Recall struct {
	RestoreA, RestoreB bool // once, from a backup of any earlier moment
	File               bool // the recall list lies in a file that no backup takes along
	Third              bool // a third object
	Loses              bool // the network may lose all that is under way
	Bug                RecallBug
	Promise            string // which invariant is looked at, such as I9; "" = all
}

// RecallBug is a bug a Recall may have.
type RecallBug string

// The bugs.
const (
	SentAgain    RecallBug = "batch sent again after one object's recall"
	ArmsEarly    RecallBug = "B put back arms before it has the recall list"
	UnseenB      RecallBug = "B put back unseen"
	UnseenA      RecallBug = "A put back unseen, in the same epoch"
	FirstSeen    RecallBug = "newest life = first seen"
	AnyLife      RecallBug = "receipts without life"
	LateArrival  RecallBug = "a batch that its recall overtook is in use"
	TailLost     RecallBug = "A goes on without its tail"
	AskedOnce    RecallBug = "A asks for its tail once, and more of it arrives late"
	RestTrusted  RecallBug = "A takes what a tombstone closed, which it has forgotten, for delivered"
	HelloDropped RecallBug = "a new life is heard only when it holds something"
)

// What is broken, a bit each in the order of recallFaults.
const (
	sealedAgain = 1 << iota
	inUse
	twoMessages
	notStored
)

var recallFaults = []string{"I9: what was recalled is sealed", "I9: what was recalled is in use", "I4: two messages under one sequence", "I3: believed, and not stored"}

// Fault is I3, I4 and I9, or the one Promise names.
func (r Recall) Fault(s RecallState) string {
	broken := s.fault
	if s.uses() && s.b.x == 1 && s.applied {
		broken |= inUse
	}
	for e := range s.a.belief {
		if s.a.live == s.life+1 && s.a.belief[e]&^s.b.have[e].taken() != 0 {
			broken |= notStored
		}
	}
	for i, what := range recallFaults {
		if broken>>i&1 == 1 && strings.HasPrefix(what, r.Promise) {
			return what
		}
	}
	return ""
}

// uses reports whether B uses what it holds: in its first life it always does.
func (s RecallState) uses() bool { return s.life == 0 || s.armed }

// Next calls visit for every state that one step reaches.
func (r Recall) Next(s RecallState, each func(RecallState)) {
	visit := func(t RecallState) { each(r.reduced(t)) }
	r.release(s, visit)
	r.send(s, visit)
	r.hear(s, visit)
	r.backupA(s, visit)
	r.receive(s, visit)
	r.say(s, visit)
	r.backupB(s, visit)
	if r.Loses && s.net != [2][length]uint8{} {
		t := s
		t.net = [2][length]uint8{}
		visit(t)
	}
}

// reduced takes out of a state what can change nothing any more, so that fewer
// are different: copies under way of what B holds, once B cannot be put back, and
// what retired lives said.
func (r Recall) reduced(s RecallState) RecallState {
	if !r.RestoreB || s.phaseB == 2 {
		for e := range s.net {
			for n := range s.net[e] {
				switch k := s.b.have[e].at(n); k {
				case none:
				case lost:
					s.net[e][n] = 0
				default:
					s.net[e][n] &^= 1 << k
				}
			}
		}
	}
	for life := range s.said {
		if s.deaf>>life&1 == 1 {
			s.said[life], s.holds[life] = 0, [2]uint8{}
		}
	}
	if r.Bug != FirstSeen {
		s.heard = 0
	}
	return s
}

// logged reports whether A's logs hold a kind.
func (a *diskA) logged(k kind) bool { return a.log[0].find(k) >= 0 || a.log[1].find(k) >= 0 }

func (s *RecallState) append(k kind) { s.a.log[s.epoch].set(s.a.log[s.epoch].len(), k) }

// release is T1, a recall, and T4 of a batch that was receipted by a life that
// is over.
func (r Recall) release(s RecallState, visit func(RecallState)) {
	if s.recovers || s.a.log[s.epoch].len() > length-3 {
		return
	}
	for _, k := range []kind{batch, third} {
		if !s.a.logged(k) && !(k == batch && s.a.knows) && (k == batch || r.Third) {
			t := s
			t.append(k)
			visit(t)
		}
	}
	t := s
	if !s.a.knows && s.a.logged(batch) {
		t.a.knows, t.listed, t.ordered = true, r.File, true
		t.append(recall)
	}
	if t.a.knows && r.Bug != SentAgain {
		t.withhold()
	}
	visit(t)
}

// withhold closes batches that B is not known to have, with a tombstone; the
// rest of them goes again.
func (s *RecallState) withhold() {
	for e := range 2 {
		n := s.a.log[e].find(batch)
		if n < 0 || (s.a.belief[e]|s.a.shut[e])>>n&1 == 1 {
			continue
		}
		s.a.shut[e] |= 1 << n
		s.append(tomb0 + kind(e))
		if !s.a.logged(rest) {
			s.append(rest)
		}
	}
}

// send is T2 of what has no receipt.
func (r Recall) send(s RecallState, visit func(RecallState)) {
	if s.recovers {
		return
	}
	for e := range 2 {
		for n := range s.a.log[e].len() {
			k := s.a.log[e].at(n)
			if (s.a.belief[e]|s.a.shut[e])>>n&1 == 1 || k == batch && s.a.knows && r.Bug != SentAgain {
				continue
			}
			t := s
			t.net[e][n] |= 1 << k
			if k == batch && s.ordered {
				t.fault |= sealedAgain
			}
			visit(t)
		}
	}
}

// hear is a STATE that arrives, the last that a life of B said. One that names
// another life as its parent retires it.
func (r Recall) hear(s RecallState, visit func(RecallState)) {
	for life := range uint8(2) {
		if s.said[life] == 0 || s.deaf>>life&1 == 1 || r.Bug == HelloDropped && s.holds[life] == [2]uint8{} {
			continue
		}
		t := s
		fresh := s.heard>>life&1 == 0
		t.heard |= 1 << life
		switch {
		case s.a.live == life+1, r.Bug == AnyLife && s.a.live != 0:
			for e := range 2 {
				t.a.belief[e] |= t.within(e, s.holds[life][e])
			}
		case s.a.live == 0 || life > s.a.live-1 || r.Bug == FirstSeen && fresh:
			if r.Bug == FirstSeen && s.a.live != 0 {
				t.deaf |= 1 << (s.a.live - 1)
			} else if r.Bug != FirstSeen {
				t.deaf |= 1<<life - 1
			}
			t.a.live = life + 1
			for e := range 2 {
				t.a.belief[e] = t.within(e, s.holds[life][e])
			}
		}
		visit(t)
	}
}

// within cuts a set at the end of A's log: what lies above was never issued by
// this A, or was forgotten.
func (s *RecallState) within(e int, set uint8) uint8 { return set & s.a.log[e].taken() }

// backupA takes a backup of A, once; puts it back, once; and gives it back its
// tail: at first, and again whenever B holds more of the first log than A knows,
// for what was under way may still arrive.
func (r Recall) backupA(s RecallState, visit func(RecallState)) {
	if !r.RestoreA && r.Bug != UnseenA {
		return
	}
	t := s
	switch {
	case s.phaseA == 0:
		t.backA, t.phaseA = s.a, 1
	case s.phaseA == 1:
		t.a, t.backA, t.phaseA = s.backA, diskA{}, 2
		if r.Bug != UnseenA {
			t.epoch, t.recovers = 1, true
			t.a.knows = t.a.knows || s.listed
		}
	case s.recovers, s.epoch == 1 && r.Bug != AskedOnce && s.beyond() > s.a.log[0].len():
		t.recovers = false
		if r.Bug != TailLost {
			t.returned()
		}
		t.begin(r)
	default:
		return
	}
	visit(t)
}

// begin does again what A's log says after its tail came back, and what the
// recall list says.
func (s *RecallState) begin(r Recall) {
	s.a.knows = s.a.knows || s.a.logged(recall)
	if r.Bug != RestTrusted {
		s.shutAgain()
	}
	if s.a.knows {
		if !s.a.logged(recall) && s.a.logged(batch) {
			s.append(recall)
		}
		s.withhold()
	}
	s.ordered = s.a.knows || s.ordered && s.applied // else it had reached nobody
}

// beyond is where what B holds of A's first log ends.
func (s *RecallState) beyond() (end int) {
	for n := range length {
		if s.b.have[0].at(n) != none {
			end = n + 1
		}
	}
	return end
}

// returned puts back what B holds of the end of A's first log, and closes what it
// lacks there. A has asked anew for it and B answers: one step for both.
func (s *RecallState) returned() {
	for n := s.a.log[0].len(); n < s.beyond(); n++ {
		k := s.b.have[0].at(n)
		if k == none {
			s.b.have[0].set(n, lost)
		}
		if k == none || k == closed { // of this B has the id alone
			k = lost
			s.a.shut[0] |= 1 << n
		}
		s.a.log[0].set(n, k)
	}
}

// shutAgain does again what a tombstone says that came back: the batch leaves no
// more. Where the recall behind it is forgotten, what was in it is new again.
func (s *RecallState) shutAgain() {
	n := s.a.log[0].find(batch)
	if n < 0 || s.a.log[0].find(tomb0) < 0 {
		return
	}
	s.a.shut[0] |= 1 << n
	switch {
	case !s.a.knows:
		s.a.log[0].set(n, lost)
	case !s.a.logged(rest):
		s.append(rest)
	}
}

// receive is R1 and R2, of any message ever sent, now or again.
func (r Recall) receive(s RecallState, visit func(RecallState)) {
	for e := range 2 {
		for n := range length {
			for k := batch; k < lost; k++ {
				if s.net[e][n]>>k&1 == 0 {
					continue
				}
				t := s
				switch was := s.b.have[e].at(n); {
				case was == none, was == closed && k == batch:
					t.b.have[e].set(n, k)
					t.apply(k, r)
				case was != k && was != lost:
					t.fault |= twoMessages
				}
				visit(t)
			}
		}
	}
}

// apply is the effect of a message.
func (s *RecallState) apply(k kind, r Recall) {
	switch k {
	case batch:
		if s.b.x == 0 || r.Bug == LateArrival {
			s.b.x = 1
		}
		s.b.y = true
	case rest:
		s.b.y = true
	case third:
		s.b.z = true
	case recall:
		s.b.x, s.applied = 2, true
	case tomb0, tomb1:
		e := int(k - tomb0)
		if n := s.a.log[e].find(batch); n >= 0 && s.b.have[e].at(n) == none {
			s.b.have[e].set(n, closed)
		}
	}
}

// say is a STATE of B's present life.
func (r Recall) say(s RecallState, visit func(RecallState)) {
	t := s
	t.said[s.life] = 1
	for e := range 2 {
		t.holds[s.life][e] = s.b.have[e].taken()
	}
	visit(t)
}

// backupB takes a backup of B, once; puts it back, once; and gives it A's recall
// list, for which it has asked anew.
func (r Recall) backupB(s RecallState, visit func(RecallState)) {
	if !r.RestoreB {
		return
	}
	t := s
	switch {
	case s.phaseB == 0:
		t.backB, t.phaseB = s.b, 1
	case s.phaseB == 1:
		t.b, t.backB, t.phaseB = s.backB, diskB{}, 2
		if r.Bug != UnseenB {
			t.life, t.armed = 1, r.Bug == ArmsEarly
		}
	case s.life == 1 && !s.armed && !s.recovers:
		t.armed = true
		if s.a.knows {
			t.b.x = 2
		}
	default:
		return
	}
	visit(t)
}

// Done: whatever A's logs hold is at B or closed there, A knows it, and what may
// be in use is.
func (r Recall) Done(s RecallState) bool {
	if s.recovers || !s.uses() || s.a.live != s.life+1 {
		return false
	}
	for e := range 2 {
		set := s.a.log[e].taken()
		if s.a.belief[e]&set != set || s.b.have[e].taken()&set != set {
			return false
		}
	}
	gone := s.a.knows || s.applied
	return (!s.a.logged(batch) || s.b.y && (s.b.x == 1) != gone) && (!s.a.logged(third) || s.b.z)
}
