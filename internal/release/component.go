package release

import (
	"cmp"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// components makes objects that need each other in a circle wait in one hold:
// none of them can go before the others, so persons see and approve them
// together, under every reason any of them has and so the strictest key. It
// only adds reasons to hold. What can be cut out closes no circle. Objects that
// differ in label or precedence share no batch; a circle of such goes on
// waiting, and is mended by marking them alike.
//
// What could not go though persons approved everything is in no circle: what it
// says, and how it is marked, changes nothing for the others.
func (c *Case) components(out []Decision) {
	goes := func(i int) bool { return goes(&out[i]) }
	waits := func(i int) bool { return out[i].Outcome == noroshi.Hold }
	waiting := func(ring []int) bool { return slices.ContainsFunc(ring, waits) }
	if !slices.ContainsFunc(c.rings(goes, func(_ int, r stix.Ref) bool { return r.Required }), waiting) {
		return
	}
	n, free := c.neighbours(out), c.neighbours(out)
	n.hopes = true
	n.fall()
	free.fall()
	for _, ring := range c.rings(func(i int) bool { return n.going[i] }, free.needs) {
		first := &c.Items[ring[0]]
		label := first.Label.String()
		alike := func(i int) bool {
			return c.Items[i].Label.String() == label && c.Items[i].Precedence == first.Precedence
		}
		if !waiting(ring) || slices.ContainsFunc(ring, func(i int) bool { return !alike(i) }) {
			continue
		}
		join(out, ring)
	}
}

// needs reports whether an item cannot go without what a reference leads to: it
// is required, and no other entry of its list would stay.
func (n *neighbours) needs(i int, r stix.Ref) bool {
	list, listed := listName(r)
	if !r.Required || within(n.base[i].Cut, r.Path) {
		return false
	}
	if !listed {
		return true
	}
	return !slices.ContainsFunc(n.c.Items[i].Refs, func(o stix.Ref) bool {
		other, _ := listName(o)
		return other == list && o.Target != r.Target && n.stands(i, o.Target) == Had
	})
}

// join gives the members of a ring one clause, run, and list of reasons.
func join(out []Decision, ring []int) {
	var all []noroshi.Reason
	var marks, parts []stix.ID
	strict := ring[0]
	group := out[ring[0]].Group
	for _, i := range ring {
		d := &out[i]
		if k := cmp.Compare(strictness(d.Key), strictness(out[strict].Key)); k > 0 || k == 0 && d.Clause > out[strict].Clause {
			strict = i
		}
		group = min(group, d.Group)
		marks, parts = append(marks, d.Travels...), append(parts, d.Parts...)
		for _, r := range d.Reasons {
			if r.Outcome == noroshi.Hold {
				all = append(all, r)
			}
		}
	}
	slices.SortFunc(all, func(a, b noroshi.Reason) int { return cmp.Compare(reasonKey(a), reasonKey(b)) })
	all = slices.CompactFunc(all, func(a, b noroshi.Reason) bool { return reasonKey(a) == reasonKey(b) })
	slices.Sort(marks)
	slices.Sort(parts)
	marks, parts = slices.Compact(marks), slices.Compact(parts)
	clause := out[strict].Clause
	for _, i := range ring {
		d := &out[i]
		d.Reasons = slices.DeleteFunc(slices.Clone(d.Reasons), func(r noroshi.Reason) bool { return r.Outcome == noroshi.Hold })
		for _, r := range all {
			d.add(r)
		}
		d.Clause, d.Group, d.Travels, d.Parts, d.Ring = clause, group, marks, parts, true
	}
}

// rings returns the strongly connected components, by the references that are
// needed, of more than one item that go and have not: Tarjan's algorithm,
// members ascending by id so that the order of a case's items decides nothing.
func (c *Case) rings(goes func(int) bool, needs func(int, stix.Ref) bool) [][]int {
	t := tarjan{c: c, needs: needs, at: make(map[stix.ID]int, len(c.Items)), number: make([]int, len(c.Items)), low: make([]int, len(c.Items)), on: make([]bool, len(c.Items))}
	for i := range c.Items {
		it := &c.Items[i]
		if goes(i) && !it.Done && !it.Theirs && !it.Echo && it.Type != "marking-definition" {
			t.at[it.ID] = i
		}
	}
	for i := range c.Items {
		if _, ok := t.at[c.Items[i].ID]; ok && t.number[i] == 0 && len(c.Items[i].Refs) > 0 {
			t.visit(i)
		}
	}
	for _, ring := range t.found {
		slices.SortFunc(ring, func(a, b int) int { return cmp.Compare(c.Items[a].ID, c.Items[b].ID) })
	}
	return t.found
}

type tarjan struct {
	c           *Case
	needs       func(int, stix.Ref) bool
	at          map[stix.ID]int
	number, low []int // number is 0 before a visit
	on          []bool
	stack       []int
	last        int
	found       [][]int
}

func (t *tarjan) visit(i int) {
	t.last++
	t.number[i], t.low[i], t.on[i] = t.last, t.last, true
	t.stack = append(t.stack, i)
	for _, r := range t.c.Items[i].Refs {
		j, ok := t.at[r.Target]
		switch {
		case !ok || !t.needs(i, r):
		case t.number[j] == 0:
			t.visit(j)
			t.low[i] = min(t.low[i], t.low[j])
		case t.on[j]:
			t.low[i] = min(t.low[i], t.number[j])
		}
	}
	if t.low[i] != t.number[i] {
		return
	}
	from := slices.Index(t.stack, i)
	ring := slices.Clone(t.stack[from:])
	t.stack = t.stack[:from]
	for _, j := range ring {
		t.on[j] = false
	}
	if len(ring) > 1 {
		t.found = append(t.found, ring)
	}
}
