package console

import (
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
)

// errorText is an error in the words of the screens: those of the field that it
// names first, or of what is done about it here, where the command line's would
// name a flag or a command.
func errorText(l locale.Lang, e *noroshi.Error) string {
	args, field := locale.Strings(e.Args), ""
	if len(e.Args) > 0 {
		field, _, _ = strings.Cut(e.Args[0], ",")
	}
	switch e.Code {
	case "translation.words", "translation.long", "translation.property":
		args[0] = propertyNames(l, e.Args[0])
	}
	for _, key := range []string{"console.error." + e.Code + "." + field, "console.error." + e.Code} {
		if locale.Has(key) {
			return locale.T(l, key, args...)
		}
	}
	return locale.T(l, "error."+e.Code, args...)
}

// propertyNames are properties of an object in words.
func propertyNames(l locale.Lang, paths string) string {
	names := strings.Split(paths, ", ")
	for i, path := range names {
		names[i] = propertyName(l, path)
	}
	return locale.List(l, names)
}
