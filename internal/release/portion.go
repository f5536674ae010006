package release

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// View returns what leaves of an object: the object itself, or the same id and
// modified without what the selectors name and without the granular markings
// that named only that, and with what is said less exactly put so. An error
// where what is left would lack what its type requires.
func View(o *stix.Object, cut []string) (*stix.Object, error) {
	return new(views).view(o, cut)
}

// views remembers what was made of objects: a decision asks for the same view
// again and again.
type views struct {
	made   map[viewOf]viewed
	faults map[*stix.Object]map[string]int // problems by code: sloppy objects come in, and are no worse for a cut
}

type viewOf struct {
	object *stix.Object
	cut    string // joined by line feeds, which no selector has
}

type viewed struct {
	object *stix.Object
	err    error
}

func (w *views) view(o *stix.Object, cut []string) (*stix.Object, error) {
	if len(cut) == 0 {
		return o, nil
	}
	if o == nil {
		return nil, errors.New("cut: the object's bytes are not here")
	}
	k := viewOf{o, strings.Join(cut, "\n")}
	v, ok := w.made[k]
	if !ok {
		v.object, v.err = w.make(o, cut)
		if w.made == nil {
			w.made = map[viewOf]viewed{}
		}
		w.made[k] = v
	}
	return v.object, v.err
}

func (w *views) make(o *stix.Object, cut []string) (*stix.Object, error) {
	cut, less, err := parted(o, cut)
	if err != nil {
		return nil, err
	}
	v, err := stix.Cut(less, cut)
	if err != nil {
		return nil, err
	}
	faults, ok := w.faults[o]
	if !ok {
		faults = map[string]int{}
		for _, p := range stix.Validate(o) {
			faults[p.Code]++
		}
		if w.faults == nil {
			w.faults = map[*stix.Object]map[string]int{}
		}
		w.faults[o] = faults
	}
	more := map[string]int{}
	for _, p := range stix.Validate(v) {
		if more[p.Code]++; more[p.Code] > faults[p.Code] {
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
	var gone, left, inner, mild []noroshi.Portion
	var places, strictly []string
	unnamed := map[stix.ID]bool{}
	for _, p := range it.Portions {
		pd := c.portion(it, it.Label.Join(p.Label))
		unnamed[p.Marking] = pd.Unnamed
		strict := stricter(&pd, d)
		if !strict {
			if d.Mild == nil {
				d.Mild = map[stix.ID]bool{}
			}
			d.Mild[p.Marking] = d.Mild[p.Marking] || pd.Whole
			mild = append(mild, p)
		} else {
			strictly = append(strictly, p.Selectors...)
		}
		if strict || c.unfit[part{it.ID, p.Marking}] != "" {
			gone, places = append(gone, p), append(places, p.Selectors...)
		} else {
			left = append(left, p)
		}
	}
	// What is marked inside of what is cut out goes with it, its marking too.
	left = slices.DeleteFunc(left, func(p noroshi.Portion) bool {
		all := allWithin(places, p.Selectors)
		if all {
			inner = append(inner, p)
		}
		return all
	})
	mild = slices.DeleteFunc(mild, func(p noroshi.Portion) bool { return allWithin(strictly, p.Selectors) })
	if c.clash(it, mild, d) {
		// Each part may go but not together, as clauses see them: none goes, also
		// where one of them cannot stay for another reason, which would tell that.
		gone, inner = it.Portions, nil
	} else {
		d.together(left, unnamed)
	}
	var spoils []noroshi.Portion
	for _, p := range gone {
		if !c.cutPortion(it, p, d) {
			spoils = append(spoils, p)
		}
	}
	if _, err := c.views.view(it.Object, d.Cut); err != nil {
		d.uncut()
		spoils = gone
	}
	// That another portion is cut with this one in it makes the object no freer.
	for _, p := range spoils {
		c.instead(it, p, d)
	}
	for _, p := range inner {
		if !allWithin(d.Cut, p.Selectors) {
			c.instead(it, p, d)
		}
	}
	if len(d.Cut) > 0 && d.Whole {
		d.deny(noroshi.Reason{Code: "acs.tearline"})
	}
}

// clash reports whether portions may not stay together in an item.
func (c *Case) clash(it *Item, portions []noroshi.Portion, d *Decision) bool {
	label := it.Label
	for _, p := range portions {
		label = label.Join(p.Label)
	}
	all := c.portion(it, label)
	return stricter(&all, d)
}

// together joins what portions that stay say to the object's decision.
func (d *Decision) together(left []noroshi.Portion, unnamed map[stix.ID]bool) {
	for _, p := range left {
		d.Label, d.Unnamed = d.Label.Join(p.Label), d.Unnamed || unnamed[p.Marking]
		if noroshi.TLPOf(p.Marking) == noroshi.NoTLP && !slices.Contains(d.Parts, p.Marking) {
			d.Parts = append(d.Parts, p.Marking)
		}
	}
}

// labelWithout returns the label of what is left of an item: its own joined with
// those of the portions that are not cut.
func (it *Item) labelWithout(cut []string) noroshi.Label {
	l := it.Label
	for _, p := range it.Portions {
		if !allWithin(cut, p.Selectors) {
			l = l.Join(p.Label)
		}
	}
	return l
}

// marks reports whether a place lies in a portion that has a marking of its own.
func (it *Item) marks(place string) bool {
	return slices.ContainsFunc(it.Portions, func(p noroshi.Portion) bool { return within(p.Selectors, place) })
}

// allWithin reports whether each of some places is cut.
func allWithin(cut, places []string) bool {
	return !slices.ContainsFunc(places, func(s string) bool { return !within(cut, s) })
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

// partCut says that a part is cut out because its marking lets less go.
const partCut = "granular.cut"

// cutPortion cuts what a portion names; false where the object cannot be
// without that.
func (c *Case) cutPortion(it *Item, p noroshi.Portion, d *Decision) bool {
	if v, err := c.views.view(it.Object, p.Selectors); err != nil || !handledAs(it, v) {
		return false
	}
	code := cmp.Or(c.unfit[part{it.ID, p.Marking}], partCut)
	for _, s := range p.Selectors {
		d.cut(s, noroshi.Reason{Code: code, Marking: string(p.Marking), Args: []string{s}})
	}
	return true
}

// handledAs reports whether a view is handled as the object is: as a warning of
// the same precedence, and revoked or not. How it travels would else tell what
// is cut out.
func handledAs(it *Item, v *stix.Object) bool {
	if v.Revoked != it.Object.Revoked {
		return false
	}
	if it.Type != "report" {
		return true
	}
	p, is := warning(v)
	return p == it.Precedence && is == it.Warning
}

// instead gives an object the decision of a portion it cannot be without. Where
// the portion stays in it and persons may lift that decision, the object leaves
// under the portion's label too, with its marking.
func (c *Case) instead(it *Item, p noroshi.Portion, d *Decision) {
	label := d.Label.Join(p.Label)
	pd := c.portion(it, label)
	for _, r := range pd.Reasons {
		if r.Outcome > noroshi.Redact {
			r.Args = append(slices.Clone(r.Args), p.Selectors...)
			d.add(r)
		}
	}
	switch c.unfit[part{it.ID, p.Marking}] {
	case unsaid:
		d.hold(noroshi.NotUnderstood, noroshi.Reason{Code: "closure.marking", Marking: string(p.Marking)})
	case torn:
		d.deny(noroshi.Reason{Code: "acs.tearline"})
	}
	if pd.Clause != "" {
		d.Clause, d.Asked = pd.Clause, pd.Asked
	}
	if allWithin(d.Cut, p.Selectors) {
		return
	}
	d.Label, d.Whole, d.Unnamed = label, d.Whole || pd.Whole, d.Unnamed || pd.Unnamed
	if noroshi.TLPOf(p.Marking) == noroshi.NoTLP && !slices.Contains(d.Travels, p.Marking) {
		d.Travels = append(slices.Clone(d.Travels), p.Marking)
	}
}

// uncut takes back what was cut.
func (d *Decision) uncut() {
	d.Cut = nil
	d.Reasons = slices.DeleteFunc(d.Reasons, func(r noroshi.Reason) bool { return r.Outcome == noroshi.Redact })
	if d.Outcome == noroshi.Redact {
		d.Outcome = noroshi.Release
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

// otherVersion says that a translation is not of the current version.
const otherVersion = "translation.other-version"

// translations cuts out of translations what is cut out of what they
// translate: a text is as restricted in the other language. What translates
// nothing that is there is cut too, since nothing says how restricted it is.
//
// A translation of another version than the current one does not go, nor do a
// program's words that no person has checked: no approval stands for either, the
// translation is renewed, checked or withdrawn.
func (c *Case) translations(out []Decision) {
	var at map[stix.ID]int
	for i := range c.Items {
		it := &c.Items[i]
		if it.Type != languageContent || it.Object == nil || !goes(&out[i]) {
			continue
		}
		if at == nil {
			at = make(map[stix.ID]int, len(c.Items))
			for j := range c.Items {
				at[c.Items[j].ID] = j
			}
		}
		says, _ := noroshi.TranslationOf(it.Object)
		if says.Unchecked() {
			out[i].deny(noroshi.Reason{Code: "translation.unchecked"})
		}
		for _, r := range it.Refs {
			if j, ok := at[r.Target]; ok && r.Path == "object_ref" && c.Items[j].Object != nil {
				if says.Stale(c.Items[j].Object) {
					out[i].deny(noroshi.Reason{Code: otherVersion, Args: []string{cmp.Or(it.Object.Text("object_modified"), it.Object.Modified.String())}})
				}
				c.cutTranslation(it, c.Items[j].Object, out[j].Cut, &out[i])
			} else if r.Path == "object_ref" && c.Around[r.Target] == Had {
				out[i].deny(noroshi.Reason{Code: "translation.original"}) // of two bodies, neither of which counts
			}
		}
	}
}

// cutTranslation cuts out of a translation, in every language, each property
// out of which something is cut in the object, and each the object has not. It
// goes whole: nothing binds the places in a translated list or dictionary to
// those of the original.
func (c *Case) cutTranslation(it *Item, of *stix.Object, cut []string, d *Decision) {
	more := false
	for lang, texts := range it.Object.Property("contents").Members() {
		for name := range texts.Members() {
			place, code := "contents."+lang+"."+name, "translation.of-nothing"
			if of.Property(name) != nil {
				if !slices.ContainsFunc(cut, func(s string) bool {
					s, _ = Generalised(s)
					return s == name || strings.HasPrefix(s, name+".")
				}) {
					continue
				}
				code = "translation.cut"
			}
			if !stix.Resolve(it.Object, place) { // no selector can say it
				d.deny(noroshi.Reason{Code: "closure.nothing-left", Args: []string{"contents"}})
				return
			}
			d.cut(place, noroshi.Reason{Code: code, Args: []string{place}})
			more = true
		}
	}
	if !more {
		return
	}
	if _, err := c.views.view(it.Object, d.Cut); err != nil {
		d.deny(noroshi.Reason{Code: "closure.nothing-left", Args: []string{"contents"}})
	} else if d.Whole {
		d.deny(noroshi.Reason{Code: "acs.tearline"})
	}
}
