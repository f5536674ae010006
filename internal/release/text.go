package release

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Portion marks that people write into text: (S//NF), NOFORN, 【極秘】. (C)
// counts even where it means copyright: a false alarm costs a review, a miss
// costs a leak. A bare mark glued to the letter or digit before it is none: so
// people write plurals and protocols, HTTP(S); a portion begins with its mark.
// 機密性, confidentiality, is an ordinary word. Japanese marks are often spaced
// out and stand among others, 【取扱注意・極 秘】.
var (
	portionEN = regexp.MustCompile(`(?:^|[^0-9A-Za-z])\(\s*(?:C|S|TS)\s*\)|\(\s*(?i:C|S|TS)\s*//|//\s*NF|//\s*(?i:NF)\b|(?i:NOFORN)`)
	portionJA = regexp.MustCompile(`[(\[【]\s*(?:[^()\[\]【】]{0,40}?[/・、,:\s]\s*)?(?:機\s*密|極\s*秘|特\s*定\s*秘\s*密|取\s*扱\s*厳\s*重\s*注\s*意|秘)(?:\s*[/・、,:\s].{0,40}?)?\s*[)\]】]`)
)

// circledSecret is ㊙, which NFKC would turn into a bare 秘.
const circledSecret = "㊙"

// PortionMark returns the first portion mark in an object's text, names of
// members included and the top-level pattern excepted, or "". Text is compared
// as it looks (see seen), so full-width, circled, zero-width, accented and
// foreign letters count as what they look like.
func PortionMark(object []byte) string {
	if plain(object) {
		return ""
	}
	found := ""
	if !texts(object, func(s string) bool { found = markIn(s); return found == "" }) {
		return "?" // not readable here: a person looks
	}
	return found
}

// texts goes through an object's text, names of members included and the
// top-level pattern excepted, while more says so. It reports whether all of it
// could be read.
func texts(object []byte, more func(string) bool) bool {
	d := jsontext.NewDecoder(bytes.NewReader(object))
	for {
		t, err := d.ReadToken()
		if err != nil {
			return err == io.EOF
		}
		if t.Kind() != '"' {
			continue
		}
		s := t.String()
		if !more(s) {
			return true
		}
		if s == "pattern" && d.StackDepth() == 1 && isName(d) {
			if err := d.SkipValue(); err != nil {
				return false
			}
		}
	}
}

// ReadAs is the code of the reason that says how a reader sees a portion mark
// which is written in other letters.
const ReadAs = "text.read-as"

// maxReadAs bounds how much is shown of it, in characters.
const maxReadAs = 40

// readAs returns a portion mark of an object as a reader sees it, to the end of
// its brackets; "" where it is written so.
func readAs(object []byte, mark string) (look string) {
	texts(object, func(s string) bool {
		if markIn(s) != mark {
			return true
		}
		if strings.Contains(s, mark) {
			return false
		}
		n := seen(s)
		if !strings.Contains(n, mark) {
			n = reversed(n)
		}
		_, rest, _ := strings.Cut(n, mark)
		look = mark
		if inside, _, closed := strings.Cut(rest, ")"); closed && strings.Contains(mark, "(") && !strings.Contains(mark, ")") && utf8.RuneCountInString(inside) < maxReadAs {
			look += inside + ")"
		}
		return false
	})
	return look
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
	return !noforn(string(b))
}

var plainMarks = [][]byte{[]byte("(C"), []byte("(S"), []byte("(TS"), []byte("//NF"), []byte("(c//"), []byte("(s//"), []byte("(t"), []byte("(T"),
	[]byte("( "), []byte("(\t"), []byte("(c "), []byte("(s "), []byte("// "), []byte("//nf"), []byte("//nF"), []byte("//Nf")}

func markIn(s string) string {
	if ascii(s) {
		return markEN(s)
	}
	if strings.Contains(s, circledSecret) {
		return circledSecret
	}
	n := seen(s)
	if m := markSeen(n); m != "" || !strings.ContainsRune(s, rightToLeft) {
		return m
	}
	// An override shows text the other way round, its brackets turned.
	return markSeen(reversed(n))
}

func markSeen(n string) string {
	if m := markEN(n); m != "" {
		return m[max(0, strings.IndexAny(m, "(/")):]
	}
	if !strings.ContainsAny(n, "秘密扱") {
		return ""
	}
	return portionJA.FindString(n)
}

// markEN looks for a mark only where something of it is: most text has nothing.
func markEN(s string) string {
	if !strings.Contains(s, "(") && !strings.Contains(s, "//") && !noforn(s) {
		return ""
	}
	return portionEN.FindString(s)
}

func noforn(s string) bool {
	for i := 2; i+4 <= len(s); i++ {
		if s[i]|0x20 == 'f' && strings.EqualFold(s[i-2:i+4], "noforn") {
			return true
		}
	}
	return false
}

// rightToLeft is the control that overrides the direction of text.
const rightToLeft = '\u202e'

// ascii reports whether a string is ASCII without control characters other than
// those that part words.
func ascii(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || c == 0x7f || c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			return false
		}
	}
	return true
}
