package noroshi

import (
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi/stix"
)

// strict reads a marking's extension. Whatever is not exactly what the
// extension's specification names (another member, another type, another
// spelling, an empty list) makes the whole reading bad: a marking is understood
// as a whole or not at all.
type strict struct{ bad bool }

// known are the readers of the members an object may have.
type known map[string]func(stix.RawValue)

// object reads an object that has no members but the known ones and all of the
// required ones.
func (s *strict) object(v stix.RawValue, k known, required ...string) {
	if len(v) == 0 || v[0] != '{' {
		s.bad = true
		return
	}
	seen := map[string]bool{}
	for name, value := range v.Members() {
		read, ok := k[name]
		if !ok || seen[name] {
			s.bad = true
			return
		}
		seen[name] = true
		read(value)
	}
	for _, r := range required {
		s.bad = s.bad || !seen[r]
	}
}

// list reads a list, which is never empty.
func (s *strict) list(v stix.RawValue, element func(stix.RawValue)) {
	n := 0
	for _, e := range v.Elements() {
		element(e)
		n++
	}
	s.bad = s.bad || n == 0
}

// text reads a string that is not empty.
func (s *strict) text(v stix.RawValue) string {
	t := v.Text()
	s.bad = s.bad || t == ""
	return t
}

// time reads a timestamp.
func (s *strict) time(v stix.RawValue) stix.Time {
	t, err := stix.ParseTime(v.Text())
	s.bad = s.bad || err != nil
	return t
}

// count reads a whole number that is not negative.
func (s *strict) count(v stix.RawValue) {
	s.bad = s.bad || len(v) == 0 || len(v) > 9 || strings.Trim(string(v), "0123456789") != ""
}

// references reads external references (STIX 2.1 §2.5) without hashes.
func (s *strict) references(v stix.RawValue) {
	text := func(v stix.RawValue) { s.text(v) }
	s.list(v, func(e stix.RawValue) {
		s.object(e, known{"source_name": text, "description": text, "url": text, "external_id": text}, "source_name")
	})
}

// word reads a string that is one of these.
func (s *strict) word(v stix.RawValue, of ...string) string {
	t := v.Text()
	s.bad = s.bad || t == "" || !slices.Contains(of, t)
	return t
}

// words reads a list of such strings.
func (s *strict) words(v stix.RawValue, of ...string) (list []string) {
	s.list(v, func(e stix.RawValue) { list = append(list, s.word(e, of...)) })
	return set(list)
}

// token reads a name such as USA.DOD or JPN.
func (s *strict) token(v stix.RawValue) string {
	t := v.Text()
	s.bad = s.bad || !isToken(t)
	return t
}

// tokens reads a list of names.
func (s *strict) tokens(v stix.RawValue) (list []string) {
	s.list(v, func(e stix.RawValue) { list = append(list, s.token(e)) })
	return set(list)
}

// isToken reports whether a string can be the name of a nation or organisation:
// at most 64 capital letters, digits, points, hyphens and low lines. So a label
// carries no text, and a name in another case or width is not understood rather
// than a name nobody has.
func isToken(s string) bool {
	if s == "" || len(s) > 64 || s[0] < '0' || strings.Contains(s+".", "..") {
		return false
	}
	for _, c := range []byte(s) {
		if !(c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_') {
			return false
		}
	}
	return s[0] != '_'
}

// isCountry reports whether a string has the form of a country's three letters.
func isCountry(s string) bool {
	return len(s) == 3 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z' && s[2] >= 'A' && s[2] <= 'Z'
}

// set returns the values sorted, each once.
func set(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
