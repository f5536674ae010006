package message_test

import (
	"testing"

	"github.com/noroshi-cti/noroshi/internal/tier"
)

// The explicit-state model of one stream (its first form): A has
// two or three messages for B over a network that loses, doubles, reorders and keeps
// for ever; either side may crash between any two steps, and be put back to
// empty once. Every reachable state is looked at: safety in each, and that from
// each everything can still be delivered (AG EF delivered).

// modelState is everything: two disks, what is in memory, the network.
type modelState struct {
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

type modelRules struct {
	restoreA, restoreB bool
	loses              bool
	messages           uint8
	bug                string
}

const (
	bugAckEarly = "ack before commit"
	bugApart    = "effect and dedupe in two transactions"
	bugWindow   = "dedupe forgets"
	bugReuse    = "sequence used twice"
	bugPrune    = "receipted content pruned"
	bugSilent   = "B silent about its empty set"
	bugNoEpoch  = "receipts without epoch"
)

// next calls visit for every state that one step reaches.
func (r modelRules) next(s modelState, visit func(modelState)) {
	r.nextA(s, visit)
	r.nextB(s, visit)
}

func (r modelRules) nextA(s modelState, visit func(modelState)) {
	if s.log < r.messages { // T1
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
		for set := range uint8(1) << r.messages {
			if s.state[life][s.epoch]>>set&1 == 0 {
				continue
			}
			t := s
			switch {
			case life == s.known || r.bug == bugNoEpoch:
				t.belief |= set
			case life > s.known: // it names the former life as its parent
				t.known, t.belief = life, set
			}
			t.belief &= 1<<s.log - 1
			if r.bug == bugPrune {
				t.pruned |= t.belief
			}
			visit(t)
		}
	}
	if r.bug == bugReuse && s.log > 0 && s.crashesA == 0 && s.variant>>(s.log-1)&1 == 0 { // crash with the log not durable
		t := s
		t.log--
		t.crashesA, t.variant, t.belief = 1, s.variant|1<<(s.log-1), s.belief&(1<<(s.log-1)-1)
		visit(t)
	}
	if r.restoreA && s.restoredA == 0 { // put back to empty, under a new epoch
		t := s
		t.epoch, t.restoredA, t.log, t.belief, t.pruned, t.known = 1, 1, 0, 0, 0, 0
		visit(t)
	}
}

func (r modelRules) nextB(s modelState, visit func(modelState)) {
	if s.data[s.epoch][0] != 0 && r.loses { // the network loses all that is under way
		t := s
		t.data[s.epoch] = [2]uint8{}
		visit(t)
	}
	if s.taken == 0 {
		for e := range s.epoch + 1 { // any message ever sent may come, now or again
			for v := range uint8(2) {
				for n := range r.messages {
					if s.data[e][v]>>n&1 == 1 {
						t := s
						t.taken = 1 + n + 4*v + 16*e
						if r.bug == bugAckEarly && e == s.epoch {
							t.state[s.life][e] |= 1 << (s.stored[e] | 1<<n)
						}
						visit(t)
					}
				}
			}
		}
	} else {
		r.commit(s, visit)
		t := s // crash: memory is lost
		t.taken, t.early = 0, 0
		visit(t)
	}
	if set := s.stored[s.epoch]; !(r.bug == bugSilent && set == 0) { // STATE
		t := s
		t.state[s.life][s.epoch] |= 1 << set
		visit(t)
	}
	if r.restoreB && s.life == 0 {
		t := s
		t.life, t.taken, t.early = 1, 0, 0
		t.stored, t.bound, t.once, t.twice = [2]uint8{}, [2]uint8{}, [2]uint8{}, [2]uint8{}
		visit(t)
	}
}

// commit is R1 and R2 of what was taken in.
func (r modelRules) commit(s modelState, visit func(modelState)) {
	x := s.taken - 1
	n, v, e := x&3, x>>2&1, x>>4
	bit := uint8(1) << n
	t := s
	fresh := s.stored[e]&bit == 0
	if fresh && s.early == 0 {
		t.twice[e] |= t.once[e] & bit
		t.once[e] |= bit
	}
	if r.bug == bugApart && fresh && s.early == 0 {
		t.early = 1 // the effect is durable, the marker comes in the next transaction
		visit(t)
		return
	}
	if fresh {
		t.stored[e] |= bit
		t.bound[e] |= v << n
		if low := t.stored[e] & -t.stored[e]; r.bug == bugWindow && t.stored[e] == r.all() {
			t.stored[e] &^= low
		}
	}
	t.taken, t.early = 0, 0
	visit(t)
}

// safe is I1 and I3 in one state.
func (s modelState) safe() string {
	switch {
	case s.twice[0]|s.twice[1] != 0:
		return "a message has two effects"
	case s.restoredA == 0 && s.known == s.life && s.belief&^s.stored[s.epoch] != 0:
		return "A believes stored what is not"
	case s.once[s.epoch]&(1<<s.log-1)&(s.bound[s.epoch]^s.variant)&s.stored[s.epoch] != 0:
		return "one sequence, two messages"
	}
	return ""
}

func (r modelRules) all() uint8 { return 1<<r.messages - 1 }

// delivered: all are in A's log, applied once, and known to be.
func (r modelRules) delivered(s modelState) bool {
	return s.log == r.messages && s.once[s.epoch] == r.all() && s.stored[s.epoch] == r.all() && s.belief == r.all() && s.known == s.life
}

// explore looks at every state; it returns how many, how many steps, and what
// is wrong.
func (r modelRules) explore(limit int) (states, steps int, fault string) {
	seen := map[modelState]int32{{}: 0}
	order := []modelState{{}}
	var from, to []int32
	for i := 0; i < len(order); i++ {
		s := order[i]
		if fault := s.safe(); fault != "" {
			return len(order), len(from), fault
		}
		r.next(s, func(t modelState) {
			if t == s {
				return
			}
			j, ok := seen[t]
			if !ok {
				j = int32(len(order))
				seen[t] = j
				order = append(order, t)
			}
			from, to = append(from, int32(i)), append(to, j)
		})
		if len(order) > limit {
			return len(order), len(from), "more states than the bound"
		}
	}
	if stuck := r.unreachable(order, from, to); stuck > 0 {
		return len(order), len(from), "some states can never deliver"
	}
	return len(order), len(from), ""
}

// unreachable counts states from which no delivered state can be reached.
func (r modelRules) unreachable(order []modelState, from, to []int32) int {
	back := make([]int32, len(order)+1) // edges by target, counted
	for _, j := range to {
		back[j+1]++
	}
	for i := range order {
		back[i+1] += back[i]
	}
	into := make([]int32, len(to))
	at := append([]int32(nil), back...)
	for k, j := range to {
		into[at[j]] = from[k]
		at[j]++
	}
	good := make([]bool, len(order))
	var queue []int32
	for i, s := range order {
		if r.delivered(s) {
			good[i] = true
			queue = append(queue, int32(i))
		}
	}
	for len(queue) > 0 {
		j := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		for _, i := range into[back[j]:back[j+1]] {
			if !good[i] {
				good[i] = true
				queue = append(queue, i)
			}
		}
	}
	stuck := 0
	for _, g := range good {
		if !g {
			stuck++
		}
	}
	return stuck
}

func TestModelHolds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		rules modelRules
	}{
		{"crashes and loss", modelRules{loses: true, messages: 3}},
		{"A restored", modelRules{restoreA: true, loses: true, messages: 2}},
		{"B restored", modelRules{restoreB: true, loses: true, messages: uint8(tier.N(2, 3))}},
		{"both restored", modelRules{restoreA: true, restoreB: true, messages: 2}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			states, steps, fault := tc.rules.explore(2_000_000)
			if fault != "" {
				t.Fatalf("%s (%d states)", fault, states)
			}
			t.Logf("%d states, %d steps", states, steps)
		})
	}
}

func TestModelFindsBugs(t *testing.T) {
	t.Parallel()
	for _, tc := range []modelRules{
		{bug: bugAckEarly}, {bug: bugApart}, {bug: bugWindow}, {bug: bugReuse},
		{bug: bugPrune, restoreB: true, loses: true}, {bug: bugSilent, restoreB: true, loses: true}, {bug: bugNoEpoch, restoreB: true},
	} {
		tc.messages = 2
		if tc.bug == bugWindow {
			tc.messages = 3
		}
		t.Run(tc.bug, func(t *testing.T) {
			t.Parallel()
			states, _, fault := tc.explore(2_000_000)
			if fault == "" || fault == "more states than the bound" {
				t.Errorf("not found in %d states", states)
			}
			t.Logf("%s, after %d states", fault, states)
		})
	}
}
