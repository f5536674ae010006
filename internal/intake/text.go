package intake

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxBeginning is how many characters of a refused thing a report shows.
const maxBeginning = 80

// Beginning returns the first characters of what was refused, fit for a report
// or a log line: valid UTF-8 without control characters.
func Beginning(raw []byte) string {
	var b strings.Builder
	for n := 0; len(raw) > 0 && n < maxBeginning; n++ {
		r, size := utf8.DecodeRune(raw)
		switch {
		case r == utf8.RuneError && size == 1, unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			b.WriteRune('\uFFFD')
		default:
			b.WriteRune(r)
		}
		raw = raw[size:]
	}
	if len(raw) > 0 {
		b.WriteRune('…')
	}
	return b.String()
}
