package noroshi

import (
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi/stix"
)

// Portion is what one granular marking says of some properties of an object
// (STIX 2.1 §7.2.3). A property's label is the object's joined with those of
// the portions that name it or something it is in: never lower.
type Portion struct {
	Marking   stix.ID
	Selectors []string // each resolves in the object; not sorted
	Label     Label    // of the marking alone
}

// PortionsOf returns what each granular marking of an object means, in the
// order written. An entry that only says a language has no effect. Where an
// entry is malformed there are no portions and FormLabel holds the object.
func PortionsOf(o *stix.Object, defs func(stix.ID) []*stix.Object, statements []string) []Portion {
	list, ok := granular(o)
	if !ok {
		return nil
	}
	var portions []Portion
	for _, g := range list {
		portions = append(portions, Portion{g.marking, g.selectors, MarkingLabel(g.marking, defs(g.marking), statements)})
	}
	return portions
}

// GranularMarkings returns the ids granular markings name, sorted, each once:
// their definitions say what the portions mean.
func GranularMarkings(o *stix.Object) (ids []stix.ID) {
	list, _ := granular(o)
	for _, g := range list {
		ids = append(ids, g.marking)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// entry is a granular marking with a marking.
type entry struct {
	marking   stix.ID
	selectors []string
}

// granular returns an object's granular markings but for those of languages;
// false when one is not exactly what the specification asks: selectors that
// resolve, and either a marking or a language.
func granular(o *stix.Object) (list []entry, ok bool) {
	if !o.Granular {
		return nil, true
	}
	var s strict
	s.list(o.Property("granular_markings"), func(v stix.RawValue) {
		var e entry
		var lang string
		s.object(v, known{
			"marking_ref": func(v stix.RawValue) {
				id, err := stix.ParseID(s.text(v))
				s.bad = s.bad || err != nil || id.Type() != "marking-definition"
				e.marking = id
			},
			"lang": func(v stix.RawValue) { lang = s.text(v) },
			"selectors": func(v stix.RawValue) {
				s.list(v, func(v stix.RawValue) {
					e.selectors = append(e.selectors, s.text(v))
				})
			},
		}, "selectors")
		s.bad = s.bad || (e.marking == "") == (lang == "") || slices.ContainsFunc(e.selectors, func(sel string) bool { return !markable(o, sel) })
		if e.marking != "" {
			list = append(list, e)
		}
	})
	if s.bad {
		return nil, false
	}
	return list, true
}

// markable reports whether a selector names something a granular marking can
// mark. Markings are nothing of the sort: without them the rest would say less.
func markable(o *stix.Object, selector string) bool {
	first, _, _ := strings.Cut(selector, ".")
	return first != "object_marking_refs" && first != "granular_markings" && !strings.Contains(selector, "=>") && stix.Resolve(o, selector)
}
