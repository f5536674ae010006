package store

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// terms turns text into what the full-text index holds and is asked for. Width
// and compatibility forms are made one (NFKC), letters lower, katakana
// hiragana. Words of scripts written with spaces are terms as they are; runs of
// Han, kana and hangul become overlapping bigrams, because such text has no
// spaces and two characters are often the whole word. A run of one character
// is a term of its own.
func terms(text string) []string {
	if isASCII(text) {
		return strings.FieldsFunc(strings.ToLower(text), isASCIIBreak)
	}
	var list []string
	var word, run []rune
	flush := func() {
		if len(word) > 0 {
			list = append(list, string(word))
		}
		if len(run) == 1 {
			list = append(list, string(run))
		}
		for i := 0; i+1 < len(run); i++ {
			list = append(list, string(run[i:i+2]))
		}
		word, run = word[:0], run[:0]
	}
	for _, r := range norm.NFKC.String(text) {
		r = fold(r)
		switch {
		case isBigram(r):
			if len(word) > 0 {
				flush()
			}
			run = append(run, r)
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.M, r):
			if len(run) > 0 {
				flush()
			}
			word = append(word, r)
		default:
			flush()
		}
	}
	flush()
	return list
}

// isASCII reports whether a text is ASCII alone, as most are: its terms need no
// table of characters.
func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// isASCIIBreak reports whether a character stands between terms; letters are
// lower already.
func isASCIIBreak(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }

// fold makes case and kana one.
func fold(r rune) rune {
	if r >= 'ァ' && r <= 'ヶ' {
		return r - ('ァ' - 'ぁ')
	}
	return unicode.ToLower(r)
}

// isBigram reports whether a character belongs to a script indexed by bigrams;
// the long vowel mark goes with the kana.
func isBigram(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul) || r == 'ー' || r == '々'
}

// tokens are the terms in hexadecimal of their UTF-8, so that no tokenizer
// rule of the engine splits, folds or drops one.
func tokens(text string) []string {
	list := terms(text)
	for i, t := range list {
		list[i] = token(t)
	}
	return list
}

func token(term string) string {
	plain := true
	for i := range len(term) {
		if c := term[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			plain = false
			break
		}
	}
	if plain {
		return term
	}
	const digits = "0123456789abcdef"
	b := make([]byte, 0, 2+2*len(term))
	b = append(b, 'z', 'q') // two letters that begin hardly any word; a clash only finds more
	for i := range len(term) {
		b = append(b, digits[term[i]>>4], digits[term[i]&15])
	}
	return string(b)
}
