package console

import (
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// labelText says a kept label in a reader's language.
func labelText(l locale.Lang, kept string) string {
	label, err := noroshi.KeptLabel(kept)
	if err != nil {
		return kept
	}
	return web.Banner(l, label, nil)
}

// findingText says in a reader's language what a check found.
func findingText(l locale.Lang, f web.Finding) string {
	args := locale.Strings(f.Args)
	if f.Code == "permitted" && len(f.Args) > 0 {
		args[0] = labelText(l, f.Args[0])
	}
	return locale.T(l, "console.check."+f.Code+"."+f.State, args...)
}

// ruleText says in a reader's language what a rule said: places in an object as
// the fields beside are called, objects by their names.
func ruleText(l locale.Lang, names map[stix.ID]web.Named, s web.Spoken) string {
	var args []string
	for i, a := range append([]string{s.Clause, s.Marking}, s.Args...) {
		if a != "" {
			args = append(args, ruleArg(l, names, s.Code, a, i > 1))
		}
	}
	return locale.Or(l, "reason."+s.Code, strings.Join(append([]string{s.Code}, args...), " "), locale.Strings(args)...)
}

// ruleArg says one thing that a rule speaks of; own is what is neither its clause
// nor its marking.
func ruleArg(l locale.Lang, names map[stix.ID]web.Named, code, arg string, own bool) string {
	if level := noroshi.TLPOf(stix.ID(arg)); level != noroshi.NoTLP {
		return level.String()
	}
	if id, err := stix.ParseID(arg); err == nil {
		if n, known := names[id]; known && n.Name != "" || own {
			return objectText(l, id, n.Name)
		}
		return arg
	}
	family, _, _ := strings.Cut(code, ".")
	switch {
	case !own:
	case code == "translation.other-version":
		if of := instantOf(arg); !of.IsZero() {
			return locale.Date(l, of, locale.JST)
		}
	case code == "agreement.type", code == "generalise.impossible", code == "closure.nothing-left" && locale.Has("console.type."+arg):
		return locale.Or(l, "console.type."+arg, arg)
	case slices.Contains([]string{"closure", "generalise", "granular", "translation"}, family):
		return propertyName(l, arg)
	}
	return arg
}

// objectText is an object as a person knows it, by its id where it has no name,
// and of what type it is.
func objectText(l locale.Lang, id stix.ID, name string) string {
	if name == "" {
		name = string(id)
	}
	return name + aside(l, locale.Or(l, "console.type."+id.Type(), id.Type()))
}

// said is a field as a person reads it.
type said struct {
	Lang locale.Lang // of words that stand for values; "" = the object's
	Mono bool        // read letter by letter
	List []saidSpan
}

// saidSpan is a part of it; ID is what stands in the object where Text is a name.
type saidSpan struct {
	web.Span
	ID string
}

// saidOf says in a reader's language what a field has: a reference by the name of
// what it leads to, which on the partner's side is the one that the partner gets; a
// word of STIX in the reader's.
func saidOf(l locale.Lang, path string, list []web.Span, names map[stix.ID]web.Named, theirs bool) said {
	out := said{Mono: letters(path)}
	for _, s := range list {
		x := saidSpan{Span: s}
		if id, err := stix.ParseID(s.Text); err == nil {
			name := names[id].Name
			if theirs {
				name = names[id].Sees
			}
			if name != "" {
				x.Text, x.ID = objectText(l, id, name), s.Text
			}
		} else {
			x.Text = valueText(l, path, s.Text)
		}
		if x.Text != s.Text {
			out.Lang, out.Mono = l, false
		}
		out.List = append(out.List, x)
	}
	return out
}

// vocabularies are where the words for the values of a property are.
var vocabularies = map[string]string{
	"action": "action.", "extension_type": "console.value.extension.", "identity_class": "console.value.identity.",
	"indicator_types": "console.value.indicator.", "lang": "console.lang.", "precedence": "precedence.",
	"relationship_type": "console.edge.", "report_types": "console.value.report.", "severity": "severity.",
}

// valueText says a value of a property in a reader's language, as it stands where
// there is no word for it.
func valueText(l locale.Lang, path, value string) string {
	name := path[strings.LastIndexByte(path, '.')+1:]
	if name == "selectors" || name == "granular_markings" {
		return propertyName(l, value)
	}
	words := vocabularies[name]
	if words == "" {
		return value
	}
	if name == "report_types" && locale.Has("console.type."+value) {
		words = "console.type."
	}
	return locale.Or(l, words+value, value)
}

// propertyName says a path in an object in a reader's language.
func propertyName(l locale.Lang, path string) string {
	if locale.Has("console.property." + path) {
		return locale.T(l, "console.property."+path)
	}
	var parts []string
	for part := range strings.SplitSeq(path, ".") {
		switch {
		case part == string(noroshi.WarningExtension):
			part = locale.T(l, "console.property.warning")
		case strings.HasPrefix(part, "["):
			continue // places in a list are counted by their rows
		}
		parts = append(parts, locale.Or(l, "console.property."+part, part))
	}
	return strings.Join(parts, " › ")
}

// prose are the properties that are read as text; the others are read letter by
// letter.
var prose = []string{"name", "description", "abstract", "content", "explanation", "opinion", "labels", "confidence", "number_observed", "count", "lang"}

// letters reports whether a property is shown in letters of one width.
func letters(name string) bool {
	return !slices.Contains(prose, name[strings.LastIndexByte(name, '.')+1:])
}
