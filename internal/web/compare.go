package web

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/stix"
)

// Field is one property of an object, or one place in it: as it is held here,
// and beside it what the partner gets, read out of the exact bytes.
type Field struct {
	Name  string     `json:"name"` // path from the root, without positions of list entries that are plain values
	State FieldState `json:"state"`
	Held  []Span     `json:"held"`
	Sees  []Span     `json:"sees"`
	Why   *Spoken    `json:"why,omitempty"` // the rule that has it changed
}

// FieldState says what becomes of a field.
type FieldState string

// The states of a field.
const (
	FieldSame FieldState = "same"
	FieldLess FieldState = "less" // said less exactly, or not all of it
	FieldCut  FieldState = "cut"  // nothing of it leaves
)

// Span is a part of a field's text; Mark is FieldSame, FieldLess for what stands
// in place of what is held, FieldCut for what does not leave.
type Span struct {
	Text string     `json:"text"`
	Mark FieldState `json:"mark"`
	Next bool       `json:"next,omitempty"` // a further entry of a list begins
}

// Bounds of what is shown of one object field by field; the exact bytes have it
// all.
const (
	maxLeaves = 300  // of one property
	maxText   = 4000 // bytes of one value
	maxDepth  = 8
)

// leaf is a plain value in an object.
type leaf struct {
	group    string // the field it is shown in
	selector string
	text     string
}

// leaves lists the plain values of a property in order.
func leaves(list []leaf, group, selector string, v stix.RawValue, depth int) []leaf {
	text := string(v)
	switch {
	case depth == maxDepth || len(list) >= maxLeaves:
	case text[0] == '{':
		n := len(list)
		for name, m := range v.Members() {
			at := selector + "." + name
			list = leaves(list, at, at, m, depth+1)
		}
		if len(list) > n {
			return list
		}
	case text[0] == '[':
		n := len(list)
		for i, e := range v.Elements() {
			at := fmt.Sprintf("%s.[%d]", selector, i)
			if c := e[0]; c == '{' || c == '[' {
				list = leaves(list, at, at, e, depth+1)
			} else {
				list = leaves(list, group, at, e, depth+1)
			}
		}
		if len(list) > n {
			return list
		}
	case text[0] == '"':
		text = v.Text()
	}
	return append(list, leaf{group, selector, shownText(text)})
}

func leavesOf(name string, v stix.RawValue) []leaf {
	if v == nil {
		return nil
	}
	return leaves(nil, name, name, v, 0)
}

// shownText is a value as it is shown: bounded, a TLP marking by its name, and
// what nobody can see in it as an escape of JSON.
func shownText(s string) string {
	if level := noroshi.TLPOf(stix.ID(s)); level != noroshi.NoTLP {
		return level.String()
	}
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + " …"
	}
	return Visible(s)
}

// Visible is a text with what nobody can see in it, such as a change of the
// direction of writing, as an escape of JSON.
func Visible(s string) string {
	seen := func(r rune) bool { return unicode.IsPrint(r) || r == '\n' || r == '\t' || unicode.Is(unicode.Zs, r) }
	if !strings.ContainsFunc(s, func(r rune) bool { return !seen(r) }) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if seen(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// headOf lists what says most of an object first; the others follow as they
// stand, and what every object has comes last.
var (
	headOf = []string{"name", "value", "pattern", "description", "abstract", "content", "opinion", "explanation"}
	tailOf = []string{"labels", "object_marking_refs", "granular_markings", "created_by_ref", "created", "modified"}
	// what stands in the head of the object
	aside = []string{"type", "id", "spec_version"}
)

// properties lists the names of an object's properties in the order of the screen.
func properties(o *stix.Object) (names []string) {
	for name := range o.Root().Members() {
		if !slices.Contains(aside, name) {
			names = append(names, name)
		}
	}
	rank := func(name string) int {
		if i := slices.Index(headOf, name); i >= 0 {
			return i - len(headOf)
		}
		return slices.Index(tailOf, name) + 1
	}
	slices.SortStableFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	return names
}

// fieldsOf sets an object beside what the partner gets of it; sees is nil where
// nothing leaves. The right side is read out of sees: where the two do not fit
// together as the cuts say, the whole property stands on both sides.
func fieldsOf(held, sees *stix.Object, cut []string, rules []Spoken) []Field {
	why := reasonsOf(rules)
	var list []Field
	for _, name := range properties(held) {
		v := held.Property(name)
		var w stix.RawValue
		if sees != nil {
			w = sees.Property(name)
		}
		fields, ok := aligned(leavesOf(name, v), leavesOf(name, w), cut, why)
		if !ok || !touched(cut, name) && string(v) != string(w) {
			fields = []Field{whole(name, v, w)}
		}
		list = append(list, fields...)
	}
	return list
}

// touched reports whether a cut names a property or something in it.
func touched(cut []string, name string) bool {
	return slices.ContainsFunc(cut, func(entry string) bool {
		s, _ := release.Generalised(entry)
		return s == name || strings.HasPrefix(s, name+".")
	})
}

// reasonsOf returns the rules that cut, by the selector they speak of.
func reasonsOf(rules []Spoken) map[string]*Spoken {
	why := map[string]*Spoken{}
	for i, r := range rules {
		switch {
		case r.Outcome != noroshi.Redact:
		case len(r.Args) > 0:
			why[r.Args[0]] = &rules[i]
		default: // the one that names nothing speaks of who made it
			why["created_by_ref"] = &rules[i]
		}
	}
	return why
}

// cutAt returns the selector by which a place is cut out or said less exactly.
func cutAt(cut []string, place string) (selector string, how noroshi.How, found bool) {
	for _, entry := range cut {
		s, how := release.Generalised(entry)
		if s == place || how == "" && strings.HasPrefix(place, s+".") {
			return s, how, true
		}
	}
	return "", "", false
}

// aligned goes through both sides at once: what is not cut out on the left
// stands, in the same order, on the right.
func aligned(held, sees []leaf, cut []string, why map[string]*Spoken) (list []Field, ok bool) {
	for _, h := range held {
		if len(list) == 0 || list[len(list)-1].Name != h.group {
			list = append(list, Field{Name: h.group, State: FieldSame})
		}
		f := &list[len(list)-1]
		selector, how, is := cutAt(cut, h.selector)
		if is && f.Why == nil {
			f.Why = why[selector]
		}
		if is && how == "" {
			f.Held, f.State = append(f.Held, Span{h.text, FieldCut, len(f.Held) > 0}), FieldLess
			continue
		}
		if len(sees) == 0 {
			return nil, false
		}
		s := sees[0]
		sees = sees[1:]
		switch {
		case is:
			left, right := differing(h.text, s.text)
			left[0].Next, right[0].Next = len(f.Held) > 0, len(f.Sees) > 0
			f.Held, f.Sees, f.State = append(f.Held, left...), append(f.Sees, right...), FieldLess
		case h.text != s.text:
			return nil, false
		default:
			f.Held = append(f.Held, Span{h.text, FieldSame, len(f.Held) > 0})
			f.Sees = append(f.Sees, Span{s.text, FieldSame, len(f.Sees) > 0})
		}
	}
	for i := range list {
		if len(list[i].Sees) == 0 {
			list[i].State = FieldCut
		}
	}
	return list, len(sees) == 0
}

// whole is a property that stands on both sides as it is.
func whole(name string, held, sees stix.RawValue) Field {
	f := Field{Name: name, State: FieldCut, Held: all(leavesOf(name, held), FieldCut)}
	if sees != nil {
		f.State, f.Sees = FieldLess, all(leavesOf(name, sees), FieldLess)
	}
	return f
}

func all(list []leaf, mark FieldState) (spans []Span) {
	for i, l := range list {
		spans = append(spans, Span{l.text, mark, i > 0})
	}
	return spans
}

// differing marks where two texts differ: what they begin and end with alike
// stands unmarked on both sides.
func differing(held, sees string) (left, right []Span) {
	a, b := []rune(held), []rune(sees)
	from := 0
	for from < min(len(a), len(b)) && a[from] == b[from] {
		from++
	}
	end := 0
	for end < min(len(a), len(b))-from && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	spans := func(r []rune, mark FieldState) []Span {
		all := []Span{{Text: string(r[:from]), Mark: FieldSame}, {Text: string(r[from : len(r)-end]), Mark: mark}, {Text: string(r[len(r)-end:]), Mark: FieldSame}}
		if list := slices.DeleteFunc(slices.Clone(all), func(s Span) bool { return s.Text == "" }); len(list) > 0 {
			return list
		}
		return all[1:2]
	}
	return spans(a, FieldCut), spans(b, FieldLess)
}
