package release

import (
	"maps"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// closure takes away what cannot go without its neighbours, until nothing
// changes: what is left is the greatest set in which every object's references
// lead to what the partner has or gets with it. Cycles whose members may all
// go, go.
//
// A hold that persons may lift counts as going for members of the same group,
// because they are approved and leave together, and for nobody else.
func (c *Case) closure(out []Decision) {
	n := neighbours{c: c, base: out, at: make(map[stix.ID]int, len(c.Items)), going: make([]bool, len(c.Items)), holds: map[int]string{}}
	for i := range c.Items {
		n.at[c.Items[i].ID] = i
		n.going[i] = goes(&out[i])
	}
	for changed := true; changed; {
		changed = false
		for i := range c.Items {
			if n.going[i] && len(n.missing(i)) > 0 {
				n.going[i], changed = false, true
			}
		}
	}
	reasons := make([][]noroshi.Reason, len(out))
	for i := range c.Items {
		if goes(&out[i]) && !n.going[i] {
			reasons[i] = n.missing(i)
		}
	}
	for i, list := range reasons {
		for _, r := range list {
			out[i].add(r)
		}
	}
}

// goes reports whether the decision so far sends the object, now or after
// persons approved.
func goes(d *Decision) bool {
	if d.Outcome == noroshi.Hold {
		_, ok := Approvals(d.Key)
		return ok
	}
	return d.Outcome == noroshi.Release
}

// neighbours is the state of a closure. Flags only fall, and what falls does
// not depend on the order, so the fixpoint is one.
type neighbours struct {
	c     *Case
	base  []Decision // without neighbours
	at    map[stix.ID]int
	going []bool
	holds map[int]string // what persons would approve the item with; made when asked
}

// missing returns what keeps an item from going: references that lead to
// nothing the partner has or gets with it.
func (n *neighbours) missing(i int) []noroshi.Reason {
	it := &n.c.Items[i]
	var reasons []noroshi.Reason
	var left map[string]int // entries that stay, of each required list
	for _, r := range it.Refs {
		s := n.stands(i, r.Target)
		if r.Path == "created_by_ref" && n.c.Nodes[r.Target] {
			s = Had // a node is named as maker even to those who never met it
		}
		list, listed := listName(r)
		if listed && r.Required {
			if left == nil {
				left = map[string]int{}
			}
			left[list] += int(s / Had)
		}
		if s == Had || (s == Absent && r.Custom) {
			// A reference the specification does not define, to something this node
			// does not hold, is opaque text: its target can be no object withheld here.
			continue
		}
		why := noroshi.Reason{Code: "closure.cut", Args: []string{r.Path, string(r.Target)}, Outcome: noroshi.Hold, Key: noroshi.NotUnderstood}
		if r.Required && !listed {
			why.Code, why.Outcome, why.Key = "closure.required", noroshi.Deny, ""
		}
		reasons = append(reasons, why)
	}
	for _, m := range it.Markings {
		if n.stands(i, m) != Had {
			reasons = append(reasons, noroshi.Reason{Code: "closure.marking", Marking: string(m), Outcome: noroshi.Hold, Key: noroshi.NotUnderstood})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		if left[name] == 0 {
			reasons = append(reasons, noroshi.Reason{Code: "closure.nothing-left", Args: []string{name}, Outcome: noroshi.Deny})
		}
	}
	return reasons
}

// listName returns the property of a reference in a list, such as object_refs
// of object_refs.[3].
func listName(r stix.Ref) (string, bool) {
	if !strings.HasSuffix(r.Path, "]") {
		return "", false
	}
	return r.Path[:strings.LastIndex(r.Path, ".")], true
}

// stands says how a referenced object stands for item i.
func (n *neighbours) stands(i int, target stix.ID) Standing {
	if target == n.c.Self || target == n.c.Partner.Identity || target == n.c.Items[i].ID {
		return Had
	}
	if n.c.Stopped[target] {
		return Withheld
	}
	j, in := n.at[target]
	if !in {
		return n.c.Around[target]
	}
	b := &n.c.Items[j]
	switch y := &n.base[j]; {
	case b.Theirs, n.c.Around[target] == Had:
		return Had
	case !n.going[j]: // decided before or not: now it would not go
	case b.Done, y.Outcome == noroshi.Release:
		return Had
	case !n.c.Items[i].Done && n.base[i].Outcome == noroshi.Hold && n.hold(i) == n.hold(j):
		return Had // approved and sent together
	}
	return Withheld
}

// hold returns what tells an item's hold from others of the partner.
func (n *neighbours) hold(i int) string {
	key, ok := n.holds[i]
	if !ok {
		key = groupKey(n.c.group(i, &n.base[i]))
		n.holds[i] = key
	}
	return key
}
