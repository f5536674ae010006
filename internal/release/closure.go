package release

import (
	"maps"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// closure takes away what cannot go without its neighbours, and cuts out of
// what can the references that would lead nowhere, until nothing changes: what
// is left is the greatest set in which every reference that leaves leads to
// what the partner has or gets with it. Cycles whose members may all go, go.
//
// A hold that persons may lift counts as going for members of the same group,
// because they are approved and leave together, and for nobody else.
//
// It reports whether the items are to be decided again first, because parts
// that were to stay cannot.
func (c *Case) closure(out []Decision) (again bool) {
	n := c.neighbours(out)
	n.fall()
	if n.unfit() {
		return true
	}
	lost := make([]*loss, len(c.Items))
	for i := range c.Items {
		if goes(&out[i]) {
			lost[i] = n.loses(i)
		}
	}
	for i, l := range lost {
		l.tell(&out[i])
	}
	return false
}

// part names the parts of an object that have a marking of their own.
type part struct{ of, marking stix.ID }

// Why parts are cut out though their marking lets them go.
const (
	unsaid = "granular.unsaid" // its definition cannot go: the partner could not read it
	torn   = "granular.torn"   // it lets them go whole or not at all, and something is cut out of them
)

// unfit notes the parts that cannot stay though their marking lets them go, and
// reports whether there are more of them. They are then cut out as if it let
// less go; until that is decided they take nothing down with them.
func (n *neighbours) unfit() (more bool) {
	for i := range n.c.Items {
		it := &n.c.Items[i]
		for _, p := range it.Portions {
			at := part{it.ID, p.Marking}
			var why string
			switch sealed, mild := n.base[i].Mild[p.Marking]; {
			case !mild || n.c.unfit[at] != "":
				continue
			case noroshi.TLPOf(p.Marking) == noroshi.NoTLP && n.stands(i, p.Marking) != Had:
				why = unsaid
			case sealed && n.torn(i, p):
				why = torn
			default:
				continue
			}
			if n.c.unfit == nil {
				n.c.unfit = map[part]string{}
			}
			n.c.unfit[at], more = why, true
		}
	}
	return more
}

// torn reports whether something is cut out of a part of an item that is not
// all of it, or said less exactly in it: what is left then is not what it said.
// What else is cut does not count: that more is makes nothing freer.
func (n *neighbours) torn(i int, p noroshi.Portion) bool {
	cut := n.base[i].Cut
	if l := n.loses(i); l != nil {
		cut = slices.Clone(cut)
		for _, x := range l.cut {
			cut = append(cut, x.selector)
		}
	}
	return slices.ContainsFunc(cut, func(s string) bool {
		s, how := Generalised(s)
		touches := slices.ContainsFunc(p.Selectors, func(place string) bool {
			return within([]string{s}, place) || within([]string{place}, s)
		})
		return s != "created_by_ref" && touches && (how != "" || !allWithin([]string{s}, p.Selectors))
	})
}

// neighbours starts a closure of decisions made without neighbours.
func (c *Case) neighbours(out []Decision) *neighbours {
	n := neighbours{c: c, base: out, at: make(map[stix.ID]int, len(c.Items)), going: make([]bool, len(c.Items)), bad: map[int]bool{}, holds: map[int]string{}}
	for i := range c.Items {
		n.at[c.Items[i].ID] = i
		n.going[i] = goes(&out[i])
	}
	return &n
}

// fall lets fall what cannot go or would be no valid object, until nothing falls.
func (n *neighbours) fall() {
	for n.settle(); n.invalid(); {
		n.settle()
	}
}

// settle lets fall what cannot go, until nothing falls.
func (n *neighbours) settle() {
	for changed := true; changed; {
		changed = false
		for i := range n.c.Items {
			if !n.going[i] {
				continue
			}
			if n.loses(i).fatal() {
				n.going[i], changed = false, true
			}
		}
	}
}

// invalid lets fall what is no valid object without what is cut, such as
// network traffic without either end, and reports whether there was any.
func (n *neighbours) invalid() (any bool) {
	for i := range n.c.Items {
		if !n.going[i] || n.c.Items[i].Object == nil {
			continue
		}
		l := n.loses(i)
		if l == nil {
			continue
		}
		cut := slices.Clone(n.base[i].Cut)
		for _, x := range l.cut {
			cut = append(cut, x.selector)
		}
		if _, err := n.c.views.view(n.c.Items[i].Object, cut); err != nil {
			n.bad[i], n.going[i], any = true, false, true
		}
	}
	return any
}

// loss is what an item loses for want of its neighbours.
type loss struct {
	cut     []cutRef
	reasons []noroshi.Reason // why it cannot go at all
}

type cutRef struct {
	selector string
	why      noroshi.Reason
}

func (l *loss) fatal() bool { return l != nil && len(l.reasons) > 0 }

// tell adds a loss to a decision: the reasons it stays, or what is cut.
func (l *loss) tell(d *Decision) {
	if l == nil {
		return
	}
	for _, r := range l.reasons {
		d.add(r)
	}
	if !l.fatal() {
		for _, x := range l.cut {
			d.cut(x.selector, x.why)
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
	return d.Outcome == noroshi.Release || d.Outcome == noroshi.Redact
}

// neighbours is the state of a closure. Flags only fall, and what falls does
// not depend on the order, so the fixpoint is one.
type neighbours struct {
	c     *Case
	base  []Decision // without neighbours
	at    map[stix.ID]int
	going []bool
	bad   map[int]bool   // no valid object without what is cut
	holds map[int]string // what persons would approve the item with; made when asked
	hopes bool           // as if persons had approved all they may
}

// loses says what an item cannot go without, and what is cut out of it:
// references that lead to nothing the partner has or gets with it. Nil: nothing.
func (n *neighbours) loses(i int) *loss {
	it := &n.c.Items[i]
	if len(it.Refs) == 0 && len(n.base[i].Travels) == 0 && !n.bad[i] {
		return nil
	}
	var l loss
	var left map[string]int // entries that stay, of each required list
	for _, r := range it.Refs {
		s := n.leads(i, i, r)
		list, listed := listName(r)
		if listed && r.Required {
			if left == nil {
				left = map[string]int{}
			}
			left[list] += 0
			if s == Had && !within(n.base[i].Cut, r.Path) {
				left[list]++
			}
		}
		if s == Had || (s == Absent && r.Custom) || within(n.base[i].Cut, r.Path) {
			// A reference the specification does not define, to something this node
			// does not hold, is opaque text: its target can be no object withheld here.
			continue
		}
		why := noroshi.Reason{Code: "closure.cut", Args: []string{r.Path, string(r.Target)}}
		if r.Required && !listed {
			why.Code, why.Outcome = "closure.required", noroshi.Deny
			l.reasons = append(l.reasons, why)
			continue
		}
		if it.Type == "marking-definition" {
			// Two bodies under one id would say two things: it goes whole or not at all.
			why.Outcome, why.Key = noroshi.Hold, noroshi.NotUnderstood
			l.reasons = append(l.reasons, why)
			continue
		}
		l.cut = append(l.cut, cutRef{r.Path, why})
	}
	for _, m := range n.base[i].Travels {
		if n.stands(i, m) != Had {
			l.reasons = append(l.reasons, noroshi.Reason{Code: "closure.marking", Marking: string(m), Outcome: noroshi.Hold, Key: noroshi.NotUnderstood})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		if left[name] == 0 {
			l.reasons = append(l.reasons, noroshi.Reason{Code: "closure.nothing-left", Args: []string{name}, Outcome: noroshi.Deny})
		}
	}
	if n.base[i].Whole && slices.ContainsFunc(l.cut, func(x cutRef) bool { return x.selector != "created_by_ref" }) {
		l.reasons = append(l.reasons, noroshi.Reason{Code: "acs.tearline", Outcome: noroshi.Deny})
	}
	if n.bad[i] {
		l.reasons = append(l.reasons, noroshi.Reason{Code: "closure.nothing-left", Args: []string{it.Type}, Outcome: noroshi.Deny})
	}
	if l.cut == nil && l.reasons == nil {
		return nil
	}
	return &l
}

// leads says how what a reference of an item leads to stands for item i, which
// leaves with it.
func (n *neighbours) leads(i, of int, r stix.Ref) Standing {
	s := n.stands(i, r.Target)
	if r.Path == "created_by_ref" && n.c.Nodes[r.Target] {
		s = Had // a node is named as maker even to those who never met it
	}
	if j, in := n.at[r.Target]; in && s == Had && n.c.Items[of].Type == "language-content" && r.Path == "object_ref" {
		s = n.goesWith(i, j) // a translation says what the version it translates says
	}
	if s == Had && !n.named(of, r.Target) {
		s = Withheld
	}
	return s
}

// defined reports whether a definition may leave with item i: what it refers
// to, such as its maker, may be the item itself or wait for the same persons.
func (n *neighbours) defined(i, of int) bool {
	d := &n.c.Items[of]
	return goes(&n.base[of]) && !slices.ContainsFunc(d.Refs, func(r stix.Ref) bool {
		switch j, in := n.at[r.Target]; {
		case r.Target == d.ID:
			return false
		case in && n.c.Items[j].Type == "marking-definition":
			return !n.going[j]
		}
		s := n.leads(i, of, r)
		return s == Withheld || s == Absent && !r.Custom
	})
}

// named reports whether item i may name an object in a reference. A marking's
// definition leaves with what it marks and never because something refers to
// it, so only what the partner has or gets with the item is named.
func (n *neighbours) named(i int, target stix.ID) bool {
	j, in := n.at[target]
	if !in || n.c.Items[j].Type != "marking-definition" || n.c.Around[target] == Had {
		return true
	}
	return n.c.Items[j].Theirs || n.c.Items[j].Done || slices.Contains(n.base[i].marks(), target)
}

// within reports whether a place is cut, or lies inside one that is; of a place
// said less exactly, also whether it is said so.
func within(cut []string, place string) bool {
	selector, _ := Generalised(place)
	return slices.ContainsFunc(cut, func(c string) bool {
		return place == c || selector == c || strings.HasPrefix(selector, c) && selector[len(c)] == '.'
	})
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
	if n.c.Around[target] == Had {
		return Had
	}
	return n.goesWith(i, j)
}

// goesWith says how item j stands for item i, whatever the partner has of it
// from before: as the version it is now.
func (n *neighbours) goesWith(i, j int) Standing {
	b, y, may := &n.c.Items[j], &n.base[j], n.going[j]
	if b.Type == "marking-definition" && i != j {
		may = n.defined(i, j)
	}
	switch {
	case b.Theirs:
		return Had
	case !may: // decided before or not: now it would not go
		return Withheld
	case b.Done, y.Outcome == noroshi.Release, y.Outcome == noroshi.Redact, n.hopes:
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
