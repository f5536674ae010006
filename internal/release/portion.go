package release

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// View returns what leaves of an object: the object itself, or the same id and
// modified without what the selectors name and without the granular markings
// that named only that. An error where what is left would lack what its type
// requires.
func View(o *stix.Object, cut []string) (*stix.Object, error) {
	if len(cut) == 0 {
		return o, nil
	}
	if o == nil {
		return nil, errors.New("cut: the object's bytes are not here")
	}
	v, err := stix.Cut(o, cut)
	if err != nil {
		return nil, err
	}
	had := map[string]int{} // problems by code: sloppy objects come in, and are no worse for a cut
	for _, p := range stix.Validate(o) {
		had[p.Code]++
	}
	for _, p := range stix.Validate(v) {
		if had[p.Code]--; had[p.Code] < 0 {
			return nil, fmt.Errorf("cut %s: what is left is no valid %s: %s: %s", o.ID, o.Type, p.Path, p.Msg)
		}
	}
	return v, nil
}

// portions judges what granular markings say of parts of an object (STIX 2.1
// §7.2.3): each under the object's label joined with the portion's, so that
// none is ever treated more freely than the object. A portion that may not go
// as the object does is cut out; where the object cannot be without it, the
// object takes the portion's decision. What d says is the object's own.
func (c *Case) portions(it *Item, d *Decision) {
	if len(it.Portions) == 0 {
		return
	}
	label, whole, unnamed := it.Label, d.Whole, d.Unnamed
	var gone []noroshi.Portion
	var stay []stix.ID
	for _, p := range it.Portions {
		pd := c.portion(it, it.Label.Join(p.Label))
		if stricter(&pd, d) {
			gone = append(gone, p)
			continue
		}
		label, whole, unnamed = label.Join(p.Label), whole || pd.Whole, unnamed || pd.Unnamed
		if noroshi.TLPOf(p.Marking) == noroshi.NoTLP {
			stay = append(stay, p.Marking)
		}
	}
	if all := c.portion(it, label); stricter(&all, d) {
		// Each part may go but not together, as clauses see them: none goes.
		label, whole, unnamed, gone, stay = it.Label, d.Whole, d.Unnamed, it.Portions, nil
	}
	d.Label, d.Whole, d.Unnamed = label, whole, unnamed
	for _, m := range stay {
		if !slices.Contains(d.Travels, m) {
			d.Travels = append(slices.Clone(d.Travels), m)
		}
	}
	for _, p := range gone {
		c.cutPortion(it, p, d)
	}
	if len(d.Cut) == 0 {
		return
	}
	if _, err := View(it.Object, d.Cut); err != nil {
		for _, p := range gone {
			c.instead(it, p, d)
		}
		return
	}
	if d.Whole {
		d.deny(noroshi.Reason{Code: "acs.tearline"})
	}
}

// portion judges an item under a label.
func (c *Case) portion(it *Item, l noroshi.Label) (d Decision) {
	c.judge(it, l, &d)
	return d
}

// stricter reports whether a decision lets less go than another.
func stricter(a, b *Decision) bool {
	if a.Outcome != b.Outcome {
		return a.Outcome > b.Outcome
	}
	return a.Outcome == noroshi.Hold && strictness(a.Key) > strictness(b.Key)
}

// cutPortion cuts what a portion names, or lets the object take the portion's
// decision where it cannot be without that.
func (c *Case) cutPortion(it *Item, p noroshi.Portion, d *Decision) {
	for _, s := range p.Selectors {
		if _, err := View(it.Object, []string{s}); err != nil {
			c.instead(it, p, d)
			return
		}
	}
	for _, s := range p.Selectors {
		d.cut(s, noroshi.Reason{Code: "granular.cut", Marking: string(p.Marking), Args: []string{s}})
	}
}

// instead gives an object the decision of a portion it cannot be without.
func (c *Case) instead(it *Item, p noroshi.Portion, d *Decision) {
	pd := c.portion(it, it.Label.Join(p.Label))
	for _, r := range pd.Reasons {
		if r.Outcome > noroshi.Redact {
			r.Args = append(slices.Clone(r.Args), p.Selectors...)
			d.add(r)
		}
	}
}

// cut notes that a selector is cut out, once.
func (d *Decision) cut(selector string, r noroshi.Reason) {
	at, found := slices.BinarySearch(d.Cut, selector)
	if found {
		return
	}
	d.Cut = slices.Insert(slices.Clone(d.Cut), at, selector)
	r.Outcome = noroshi.Redact
	d.add(r)
}

// translations cuts out of translations what is cut out of what they
// translate: a text is as restricted in the other language.
func (c *Case) translations(out []Decision) {
	var at map[stix.ID]int
	for i := range c.Items {
		it := &c.Items[i]
		if it.Type != "language-content" || it.Object == nil {
			continue
		}
		if at == nil {
			at = make(map[stix.ID]int, len(c.Items))
			for j := range c.Items {
				at[c.Items[j].ID] = j
			}
		}
		for _, r := range it.Refs {
			if j, ok := at[r.Target]; ok && r.Path == "object_ref" && len(out[j].Cut) > 0 {
				c.cutTranslation(it, out[j].Cut, &out[i])
			}
		}
	}
}

func (c *Case) cutTranslation(it *Item, cut []string, d *Decision) {
	for lang := range it.Object.Property("contents").Members() {
		if !stix.Resolve(it.Object, "contents."+lang) { // no selector can say it
			d.deny(noroshi.Reason{Code: "closure.nothing-left", Args: []string{"contents"}})
		}
		for _, s := range cut {
			if s = translated(it.Object, "contents."+lang, s); s != "" {
				d.cut(s, noroshi.Reason{Code: "translation.cut", Args: []string{s}})
			}
		}
	}
	if _, err := View(it.Object, d.Cut); err != nil {
		d.deny(noroshi.Reason{Code: "closure.nothing-left", Args: []string{"contents"}})
	} else if d.Whole {
		d.deny(noroshi.Reason{Code: "acs.tearline"})
	}
}

// translated returns the selector of a translation of what another selector
// names, "" when there is none. A translation that says as one text what the
// object says in parts is taken whole.
func translated(o *stix.Object, root, selector string) string {
	at := root
	for part := range strings.SplitSeq(selector, ".") {
		next := at + "." + part
		if !stix.Resolve(o, next) {
			if v := stix.Select(o, at); at == root || v[0] == '{' || v[0] == '[' {
				return ""
			}
			return at
		}
		at = next
	}
	return at
}
