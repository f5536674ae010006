// Package model holds two explicit-state models of the exchange between two
// nodes: Log, of one stream with crashes between any two steps, and Recall, of
// batches, recalls, tombstones, receipts by life, and restores of either side
// from a backup of any earlier moment.
//
// Explore looks at every state that can be reached, breadth first: whether it is
// safe, and whether from it everything can still be delivered. The design holds;
// each of the bugs that a model can be given is found, with the least number of
// steps to it.
//
// Not modelled: three nodes, rotation of keys, fragments, checkpoints, two
// processes of one node. Those are the simulators'.
package model

import (
	"fmt"
	"hash/maphash"
	"slices"
)

// Model is the rules of one model, S one of its states; the zero value is the
// first.
type Model[S comparable] interface {
	// Next calls visit for every state that one step reaches.
	Next(s S, visit func(S))
	// Fault says what is broken in a state, "" for nothing.
	Fault(s S) string
	// Done reports whether all that was sent is delivered, and known to be.
	Done(s S) bool
}

// Found is what Explore found.
type Found struct {
	States, Steps int      // looked at
	Fault         string   // what is broken; "" for nothing
	Path          []string // the states by which it is reached in the fewest steps
}

// Never is the fault of states from which not everything can be delivered.
const Never = "never delivered"

// TooMany is the fault of a model with more states than the limit.
const TooMany = "more states than the limit"

// graph is the states in the order they were found, and the steps between them.
type graph[S comparable] struct {
	at    map[uint64]int32 // by hash; of two states with one hash the later has the next that is free
	seed  maphash.Seed
	order []S
	from  []int32 // the state by which each was found
	ends  []int32 // of the steps from state i: to[ends[i-1]:ends[i]]
	to    []int32
}

// Explore looks at every state of a model, at most limit, and stops at the
// first fault.
func Explore[S comparable](m Model[S], limit int) Found {
	var first S
	g := graph[S]{at: map[uint64]int32{}, seed: maphash.MakeSeed()}
	g.add(first, -1)
	for i := 0; i < len(g.order); i++ {
		s := g.order[i]
		if fault := m.Fault(s); fault != "" {
			return g.found(fault, int32(i))
		}
		m.Next(s, func(t S) {
			if t != s {
				g.step(int32(i), t)
			}
		})
		g.ends = append(g.ends, int32(len(g.to)))
		if len(g.order) > limit {
			return g.found(TooMany, int32(i))
		}
	}
	for i, reaches := range g.reaches(m.Done) {
		if !reaches {
			return g.found(Never, int32(i))
		}
	}
	return g.found("", -1)
}

func (g *graph[S]) step(i int32, t S) { g.to = append(g.to, g.add(t, i)) }

// add returns where a state is in the order, adding it when it is new.
func (g *graph[S]) add(s S, from int32) int32 {
	h := maphash.Comparable(g.seed, s)
	for ; ; h++ {
		j, ok := g.at[h]
		if !ok {
			break
		}
		if g.order[j] == s {
			return j
		}
	}
	j := int32(len(g.order))
	g.at[h] = j
	g.order, g.from = append(g.order, s), append(g.from, from)
	return j
}

func (g *graph[S]) found(fault string, at int32) Found {
	f := Found{States: len(g.order), Steps: len(g.to), Fault: fault}
	for ; at >= 0; at = g.from[at] {
		f.Path = append(f.Path, fmt.Sprintf("%+v", g.order[at]))
	}
	slices.Reverse(f.Path)
	return f
}

// reaches says of each state whether one that is done can be reached from it.
func (g *graph[S]) reaches(done func(S) bool) []bool {
	back := make([]int32, len(g.order)+1) // steps by where they lead to, counted
	for _, j := range g.to {
		back[j+1]++
	}
	for i := range g.order {
		back[i+1] += back[i]
	}
	into, next := make([]int32, len(g.to)), append([]int32(nil), back...)
	k := int32(0)
	for i, end := range g.ends {
		for ; k < end; k++ {
			j := g.to[k]
			into[next[j]] = int32(i)
			next[j]++
		}
	}
	good := make([]bool, len(g.order))
	var queue []int32
	reach := func(i int32) {
		if !good[i] {
			good[i] = true
			queue = append(queue, i)
		}
	}
	for i, s := range g.order {
		if done(s) {
			reach(int32(i))
		}
	}
	for len(queue) > 0 {
		j := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		for _, i := range into[back[j]:back[j+1]] {
			reach(i)
		}
	}
	return good
}
