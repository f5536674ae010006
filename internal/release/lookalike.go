package release

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// seen returns text as a reader sees it, for comparing with marks: compatible
// forms decomposed (NFKD), accents and whatever is invisible dropped, brackets
// and slashes made plain, and letters of other scripts read as the Latin ones
// they look like. It is no text to show to anybody.
func seen(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case r >= ' ' && r < unicode.MaxASCII:
			return r
		case unicode.In(r, unicode.Cf, unicode.Cc, unicode.Mn, unicode.Me) || slices.Contains(blank, r):
			return -1
		}
		if to, ok := lookalikes[r]; ok {
			return to
		}
		return r
	}, norm.NFKD.String(s))
}

// blank are letters and signs nobody sees: fillers and the empty braille cell.
var blank = []rune{'\u115f', '\u1160', '\u3164', '\uffa0', '\u2800'}

// lookalikes are what may stand for the characters of portion marks (Unicode
// Technical Standard 39 names them confusable).
var lookalikes = func() map[rune]rune {
	m := map[rune]rune{}
	for to, from := range map[rune]string{
		'C': "\u0421\u03f9\u13df\ua4da\u2ca4\U00010302", 'c': "\u0441\u03f2\u1d04\u2ca5",
		'S': "\u0405\u054f\u13da\ua4e2\u10bd", 's': "\u0455\ua731\u10fd",
		'T': "\u0422\u03a4\u13a2\ua4d4\u2ca6\u22a4", 't': "\u0442\u03c4\u1d1b",
		'N': "\u039d\ua4e0\u2c9a", 'n': "\u0274\u0578",
		'O': "\u041e\u039f\u0555\ua4f3\u2c9e", 'o': "\u043e\u03bf\u0585\u1d0f\u2c9f",
		'F': "\u03dc\ua4dd\ua798", 'f': "\ua799\ua730\u0192",
		'R': "\u01a6\u13a1\u13d2\ua4e3", 'r': "\u0280\u0433",
		'/': "\u2044\u2215\u29f8\u2571\u27cb\u2cc6",
		'(': "\u2768\u276a\u27ee\ufd3e\u2985", ')': "\u2769\u276b\u27ef\ufd3f\u2986",
		'【': "〔《〈〖〘〚\u2772\u27e6\u27e8", '】': "〕》〉〗〙〛\u2773\u27e7\u27e9",
		'秘': "祕", '密': "宻", '機': "机", '厳': "嚴", '極': "极",
	} {
		for _, r := range from {
			m[r] = to
		}
	}
	return m
}()

// reversed returns text the other way round with its brackets turned.
func reversed(s string) string {
	rs := []rune(s)
	slices.Reverse(rs)
	for i, r := range rs {
		if n := strings.IndexRune("()[]", r); n >= 0 {
			rs[i] = rune("()[]"[n^1])
		}
	}
	return string(rs)
}
