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

// ruleText says in a reader's language what a rule said.
func ruleText(l locale.Lang, s web.Spoken) string {
	var args []string
	for _, a := range append([]string{s.Clause, s.Marking}, s.Args...) {
		if level := noroshi.TLPOf(stix.ID(a)); level != noroshi.NoTLP {
			a = level.String()
		}
		if a != "" {
			args = append(args, a)
		}
	}
	return locale.Or(l, "reason."+s.Code, strings.Join(append([]string{s.Code}, args...), " "), locale.Strings(args)...)
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
