package release

import (
	"maps"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// closure takes away what cannot go without its neighbours, until nothing
// changes: the greatest set in which every object's references lead to what
// the partner has or gets with it. Cycles whose members may all go, go.
//
// A hold that persons may lift counts as going for members of the same group,
// because they are approved and leave together, and for nobody else.
func (c *Case) closure(out []Decision) {
	at := make(map[stix.ID]int, len(c.Items))
	for i := range c.Items {
		at[c.Items[i].ID] = i
	}
	for changed := true; changed; {
		changed = false
		// Judged against one state of all, so that order never matters.
		next := make(map[int]Decision)
		for i := range c.Items {
			if !goes(&out[i]) {
				continue
			}
			if d, ok := c.refer(i, at, out); !ok {
				next[i] = d
			}
		}
		for i, d := range next {
			out[i], changed = d, true
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

// refer judges one item's references; ok when nothing is to be changed.
func (c *Case) refer(i int, at map[stix.ID]int, out []Decision) (Decision, bool) {
	it, d := &c.Items[i], out[i]
	d.Reasons = slices.Clip(d.Reasons)
	ok := true
	left := map[string]int{} // entries that stay, of each required list
	for _, r := range it.Refs {
		s := c.stands(i, r.Target, at, out)
		name, list := listName(r)
		if list && r.Required {
			left[name] += int(s / Had)
		}
		if s == Had || (s == Absent && r.Custom) {
			// A reference the specification does not define, to something this node
			// does not hold, is opaque text: its target can be no object withheld here.
			continue
		}
		ok = false
		reason := noroshi.Reason{Code: "closure.cut", Args: []string{r.Path, string(r.Target)}}
		if r.Required && !list {
			reason.Code = "closure.required"
			d.deny(reason)
			continue
		}
		d.hold(noroshi.NotUnderstood, reason)
	}
	for _, m := range it.Markings {
		if c.stands(i, m, at, out) != Had {
			ok = false
			d.hold(noroshi.NotUnderstood, noroshi.Reason{Code: "closure.marking", Marking: string(m), Args: []string{string(m)}})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		if left[name] == 0 {
			d.deny(noroshi.Reason{Code: "closure.nothing-left", Args: []string{name}})
		}
	}
	return d, ok
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
func (c *Case) stands(i int, target stix.ID, at map[stix.ID]int, out []Decision) Standing {
	if target == c.Self || target == c.Partner.Identity || target == c.Items[i].ID {
		return Had
	}
	if j, in := at[target]; in {
		return c.together(i, j, out)
	}
	return c.Around[target]
}

// together says how item j stands for item i that refers to it.
func (c *Case) together(i, j int, out []Decision) Standing {
	a, b := &c.Items[i], &c.Items[j]
	if b.Done || b.Theirs || c.Around[b.ID] == Had || out[j].Outcome == noroshi.Release {
		return Had
	}
	if goes(&out[j]) && out[i].Outcome == noroshi.Hold && out[i].Key == out[j].Key && out[i].Clause == out[j].Clause &&
		a.Precedence == b.Precedence && a.Group == b.Group && a.Label.String() == b.Label.String() {
		return Had
	}
	return Withheld
}
