package release

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// A decision's cuts are written as selectors, and what is said less exactly as
// selector=>how. No selector of a granular marking has "=>" in it (such a
// marking is not understood), and the path of a reference has none of the hows
// behind one, so the two are never taken for each other.
const generalised = "=>"

// Generalised parts an entry of a decision's cuts: the selector and how it is
// said less exactly, or "" when it is cut out.
func Generalised(entry string) (selector string, how noroshi.How) {
	if i := strings.LastIndex(entry, generalised); i >= 0 {
		switch h := noroshi.How(entry[i+len(generalised):]); h {
		case noroshi.ToHour, noroshi.ToPrefix, noroshi.ToSector, noroshi.ToRegion:
			return entry[:i], h
		}
	}
	return entry, ""
}

// parted returns what is cut out, and the object with everything else said as
// the entries ask.
func parted(o *stix.Object, entries []string) (cut []string, less *stix.Object, err error) {
	for _, e := range entries {
		if _, how := Generalised(e); how == "" {
			cut = append(cut, e)
		}
	}
	less = o
	for _, e := range entries {
		selector, how := Generalised(e)
		if how == "" {
			continue
		}
		text, ok := sayable(o, selector, how, cut)
		if !ok {
			return nil, nil, fmt.Errorf("generalise %s: %q cannot be said by %s", o.ID, selector, how)
		}
		if less, err = stix.Replace(less, selector, text); err != nil {
			return nil, nil, err
		}
	}
	return cut, less, nil
}

// sayable returns what a property says less exactly; false where that would say
// something that is cut out of the object.
func sayable(o *stix.Object, selector string, how noroshi.How, cut []string) (string, bool) {
	from := map[noroshi.How]string{noroshi.ToSector: "sectors", noroshi.ToRegion: "region"}[how]
	if from != "" && slices.ContainsFunc(cut, func(c string) bool { return c == from || strings.HasPrefix(c, from+".") }) {
		return "", false
	}
	return how.Less(o, selector)
}

// generalise has a decision say less where a clause asks for that under which
// the item goes, or would go with fewer markings: so no further marking has it
// say more. What others made is never rewritten: there the property is cut out,
// as is what cannot be said less exactly; where that cannot be, nothing goes.
func (c *Case) generalise(it *Item, d *Decision) {
	if d.Clause == "" || !goes(d) || it.Object == nil {
		return
	}
	cuts := len(d.Cut)
	list := c.Clauses.wishes(it.Type, d.Asked)
	for _, w := range list {
		if stix.Resolve(it.Object, w.Selector) && !within(d.Cut, w.Selector) {
			c.sayLess(it, w, d)
		}
	}
	if len(d.Cut) == cuts {
		return
	}
	if _, err := c.views.view(it.Object, d.Cut); err != nil {
		d.deny(noroshi.Reason{Code: "generalise.impossible", Clause: list[0].clause, Args: []string{it.Type}})
	} else if d.Whole {
		d.deny(noroshi.Reason{Code: "acs.tearline"})
	}
}

func (c *Case) sayLess(it *Item, g wish, d *Decision) {
	r := noroshi.Reason{Code: "generalise." + string(g.How), Clause: g.clause, Args: []string{g.Selector}}
	if _, fits := sayable(it.Object, g.Selector, g.How, d.Cut); g.How == noroshi.CutOut || it.Origin != Self || !fits {
		r.Code = "generalise.cut"
		d.cut(g.Selector, r)
		return
	}
	d.cut(g.Selector+generalised+string(g.How), r)
}

// wish is what a clause asks to be said less exactly.
type wish struct {
	noroshi.Generalise
	clause string
}

// wishes returns what some clauses ask of a type, what is to be cut out first.
// One property is said in one way: what two clauses want said differently is
// cut out.
func (c *Clauses) wishes(typ string, of []string) (list []wish) {
	for _, cl := range c.agreement.Clauses {
		if !slices.Contains(of, cl.ID) {
			continue
		}
		for _, g := range cl.Generalise {
			same := slices.IndexFunc(list, func(w wish) bool { return w.Selector == g.Selector })
			switch {
			case g.Type != typ:
			case same < 0:
				list = append(list, wish{g, cl.ID})
			case list[same].How != g.How && list[same].How != noroshi.CutOut:
				list[same] = wish{noroshi.Generalise{Type: typ, Selector: g.Selector, How: noroshi.CutOut}, cl.ID}
			}
		}
	}
	slices.SortStableFunc(list, func(a, b wish) int {
		first := func(w wish) int {
			if w.How == noroshi.CutOut {
				return 0
			}
			return 1
		}
		return cmp.Compare(first(a), first(b))
	})
	return list
}
