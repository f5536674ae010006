package siem

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean returns s fit for one field: valid UTF-8, at most n bytes, and with what
// does not show, ends a line or changes how its neighbours show (controls, bidi
// and zero-width characters, private use) made visible. Only a text may keep
// its line feeds.
func clean(s string, n int, lines bool) string {
	s = strings.ToValidUTF8(s, string(unicode.ReplacementChar))
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' && lines:
			return r
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs), unicode.IsSpace(r) && r != ' ', hidden(r):
			return unicode.ReplacementChar
		}
		return r
	}, s)
	return cut(s, n)
}

// hidden reports whether a character shows nothing though it is no control:
// variation selectors, fillers, and code points nothing is assigned to.
func hidden(r rune) bool {
	return unicode.Is(unicode.Variation_Selector, r) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) ||
		unicode.Is(unicode.Noncharacter_Code_Point, r)
}

// cut shortens s to n bytes between two characters, and says so.
func cut(s string, n int) string {
	const more = "…"
	if len(s) <= n {
		return s
	}
	n = max(n-len(more), 0)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + more
}
