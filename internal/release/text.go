package release

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/text/unicode/norm"
)

// Portion marks that people write into text: (S//NF), NOFORN, 【極秘】. (C)
// counts even where it means copyright: a false alarm costs a review, a miss
// costs a leak. A bare mark glued to the letter or digit before it is none: so
// people write plurals and protocols, HTTP(S); a portion begins with its mark.
// 機密性, confidentiality, is an ordinary word.
var (
	portionEN = regexp.MustCompile(`(?:^|[^0-9A-Za-z])\((?:C|S|TS)\)|\((?i:C|S|TS)//|//NF|(?i:NOFORN)`)
	portionJA = regexp.MustCompile(`[(\[【〔《〈]\s*(?:機密|極秘|特定秘密|取扱厳重注意|秘)(?:\s*[/・、,].{0,40}?)?\s*[)\]】〕》〉]`)
)

// circledSecret is ㊙, which NFKC would turn into a bare 秘.
const circledSecret = "㊙"

// PortionMark returns the first portion mark in an object's text, names of
// members included and the top-level pattern excepted, or "". Text is compared
// in NFKC form without invisible characters, so full-width, circled and
// zero-width spellings count as what they look like.
func PortionMark(object []byte) string {
	if plain(object) {
		return ""
	}
	d := jsontext.NewDecoder(bytes.NewReader(object))
	for {
		t, err := d.ReadToken()
		if err == io.EOF {
			return ""
		}
		if err != nil {
			return "?" // not readable here: a person looks
		}
		if t.Kind() != '"' {
			continue
		}
		s := t.String()
		if m := markIn(s); m != "" {
			return m
		}
		if s == "pattern" && d.StackDepth() == 1 && isName(d) {
			if err := d.SkipValue(); err != nil {
				return "?"
			}
		}
	}
}

// isName reports whether the string just read was a member's name.
func isName(d *jsontext.Decoder) bool {
	_, n := d.StackIndex(d.StackDepth())
	return n%2 == 1
}

// plain reports that no mark can be in the text: ASCII without escapes and
// without any of the marks' beginnings. It keeps bulk work cheap.
func plain(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf || c == '\\' {
			return false
		}
	}
	for _, m := range plainMarks {
		if bytes.Contains(b, m) {
			return false
		}
	}
	return !bytes.Contains(bytes.ToUpper(b), []byte("NOFORN"))
}

var plainMarks = [][]byte{[]byte("(C"), []byte("(S"), []byte("(TS"), []byte("//NF"), []byte("(c//"), []byte("(s//"), []byte("(t"), []byte("(T")}

func markIn(s string) string {
	if ascii(s) {
		return portionEN.FindString(s)
	}
	if strings.Contains(s, circledSecret) {
		return circledSecret
	}
	n := norm.NFKC.String(visible(s))
	if m := portionEN.FindString(n); m != "" {
		return m[max(0, strings.IndexAny(m, "(/")):]
	}
	return portionJA.FindString(n)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// visible drops what nobody sees: format and control characters, but for
// those that part words.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) || r == '\u034f' || unicode.Is(unicode.Variation_Selector, r) {
			return -1
		}
		return r
	}, s)
}
