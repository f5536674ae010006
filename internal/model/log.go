package model

// LogState is everything of a Log: two disks, what is in memory, the network.
type LogState struct {
	// A: its present log, what it believes B's live life holds.
	epoch, log, belief, known, pruned uint8
	variant                           uint8 // bit n: sequence n was issued a second time
	// The network, as the set of everything ever sent: messages by epoch,
	// variant and sequence, STATEs of B by life, A's epoch and set.
	data  [2][2]uint8
	state [2][2]uint8 // one bit for each of the 8 sets
	// B: in memory a message taken in, on disk what is stored and its effects.
	taken            uint8 // 1 + sequence + 4*variant + 8*epoch
	stored           [2]uint8
	bound            [2]uint8 // variant stored
	once, twice      [2]uint8 // effects, by epoch
	life, crashesA   uint8
	restoredA, early uint8
}

// Log is one stream: A has two or three messages for B over a network that
// loses, doubles, reorders and keeps for ever; either side may crash between any
// two steps, and be put back to empty once.
type Log struct {
	RestoreA, RestoreB bool
	Loses              bool
	Messages           uint8 // 1 to 3
	Bug                LogBug
}

// LogBug is a bug a Log may have.
type LogBug string

// The bugs.
const (
	AckEarly     LogBug = "ack before commit"
	Apart        LogBug = "effect and dedupe in two transactions"
	Window       LogBug = "dedupe forgets"
	Reuse        LogBug = "sequence used twice"
	Prune        LogBug = "receipted content pruned"
	Silent       LogBug = "B silent about its empty set"
	WithoutEpoch LogBug = "receipts without epoch"
)

// Next calls visit for every state that one step reaches.
func (l Log) Next(s LogState, visit func(LogState)) {
	l.nextA(s, visit)
	l.nextB(s, visit)
}

func (l Log) nextA(s LogState, visit func(LogState)) {
	if s.log < l.Messages { // T1
		t := s
		t.log++
		visit(t)
	}
	for n := range s.log { // T2: send what is not believed stored
		bit := uint8(1) << n
		if s.belief&bit == 0 && s.pruned&bit == 0 {
			t := s
			t.data[s.epoch][s.variant>>n&1] |= bit
			visit(t)
		}
	}
	for life := range s.life + 1 { // T3: a STATE arrives, any that was ever said
		for set := range uint8(1) << l.Messages {
			if s.state[life][s.epoch]>>set&1 == 0 {
				continue
			}
			t := s
			switch {
			case life == s.known || l.Bug == WithoutEpoch:
				t.belief |= set
			case life > s.known: // it names the former life as its parent
				t.known, t.belief = life, set
			}
			t.belief &= 1<<s.log - 1
			if l.Bug == Prune {
				t.pruned |= t.belief
			}
			visit(t)
		}
	}
	if l.Bug == Reuse && s.log > 0 && s.crashesA == 0 && s.variant>>(s.log-1)&1 == 0 { // crash with the log not durable
		t := s
		t.log--
		t.crashesA, t.variant, t.belief = 1, s.variant|1<<(s.log-1), s.belief&(1<<(s.log-1)-1)
		visit(t)
	}
	if l.RestoreA && s.restoredA == 0 { // put back to empty, under a new epoch
		t := s
		t.epoch, t.restoredA, t.log, t.belief, t.pruned, t.known = 1, 1, 0, 0, 0, 0
		visit(t)
	}
}

func (l Log) nextB(s LogState, visit func(LogState)) {
	if s.data[s.epoch][0] != 0 && l.Loses { // the network loses all that is under way
		t := s
		t.data[s.epoch] = [2]uint8{}
		visit(t)
	}
	if s.taken == 0 {
		for e := range s.epoch + 1 { // any message ever sent may come, now or again
			for v := range uint8(2) {
				for n := range l.Messages {
					if s.data[e][v]>>n&1 == 1 {
						t := s
						t.taken = 1 + n + 4*v + 16*e
						if l.Bug == AckEarly && e == s.epoch {
							t.state[s.life][e] |= 1 << (s.stored[e] | 1<<n)
						}
						visit(t)
					}
				}
			}
		}
	} else {
		l.commit(s, visit)
		t := s // crash: memory is lost
		t.taken, t.early = 0, 0
		visit(t)
	}
	if set := s.stored[s.epoch]; !(l.Bug == Silent && set == 0) { // STATE
		t := s
		t.state[s.life][s.epoch] |= 1 << set
		visit(t)
	}
	if l.RestoreB && s.life == 0 {
		t := s
		t.life, t.taken, t.early = 1, 0, 0
		t.stored, t.bound, t.once, t.twice = [2]uint8{}, [2]uint8{}, [2]uint8{}, [2]uint8{}
		visit(t)
	}
}

// commit is R1 and R2 of what was taken in.
func (l Log) commit(s LogState, visit func(LogState)) {
	x := s.taken - 1
	n, v, e := x&3, x>>2&1, x>>4
	bit := uint8(1) << n
	t := s
	fresh := s.stored[e]&bit == 0
	if fresh && s.early == 0 {
		t.twice[e] |= t.once[e] & bit
		t.once[e] |= bit
	}
	if l.Bug == Apart && fresh && s.early == 0 {
		t.early = 1 // the effect is durable, the marker comes in the next transaction
		visit(t)
		return
	}
	if fresh {
		t.stored[e] |= bit
		t.bound[e] |= v << n
		if low := t.stored[e] & -t.stored[e]; l.Bug == Window && t.stored[e] == l.all() {
			t.stored[e] &^= low
		}
	}
	t.taken, t.early = 0, 0
	visit(t)
}

// Fault is I1 and I3 in one state.
func (l Log) Fault(s LogState) string {
	switch {
	case s.twice[0]|s.twice[1] != 0:
		return "I1: a message has two effects"
	case s.restoredA == 0 && s.known == s.life && s.belief&^s.stored[s.epoch] != 0:
		return "I3: A believes stored what is not"
	case s.once[s.epoch]&(1<<s.log-1)&(s.bound[s.epoch]^s.variant)&s.stored[s.epoch] != 0:
		return "I4: one sequence, two messages"
	}
	return ""
}

func (l Log) all() uint8 { return 1<<l.Messages - 1 }

// Done: all are in A's log, applied once, and known to be.
func (l Log) Done(s LogState) bool {
	return s.log == l.Messages && s.once[s.epoch] == l.all() && s.stored[s.epoch] == l.all() && s.belief == l.all() && s.known == s.life
}
