package stix

import (
	"bytes"
	"slices"
	"strings"
)

// The rules a value can be under. Each adds at most one problem about the
// value itself.

func kindRule(kind byte, msg string) check {
	return func(c *checker, v RawValue) {
		if v.kind() != kind {
			c.add(ProblemType, msg)
		}
	}
}

var (
	text    = kindRule('"', "must be a string")
	numeric = kindRule('0', "must be a number")
)

func boolean(c *checker, v RawValue) {
	if k := v.kind(); k != 't' && k != 'f' {
		c.add(ProblemType, "must be true or false")
	}
}

func filled(c *checker, v RawValue) {
	switch v.kind() {
	case 'n':
		c.add(ProblemNull, "null is no value in STIX; leave the property out")
	case '[':
		for range v.Elements() {
			return
		}
		c.add(ProblemEmpty, "a list must have an element; leave the property out")
	}
}

// matching wants a string of a form.
func matching(code, msg string, fits func(string) bool) check {
	return func(c *checker, v RawValue) {
		s, ok := v.text()
		switch {
		case !ok:
			c.add(ProblemType, "must be a string")
		case !fits(s):
			c.add(code, msg)
		}
	}
}

// oneOf wants one of the words of a closed vocabulary.
func oneOf(words ...string) check {
	msg := "must be one of " + strings.Join(words, ", ")
	return matching(ProblemValue, msg, func(s string) bool { return slices.Contains(words, s) })
}

// listOf wants a list with an element, each under the rule.
func listOf(rule check) check {
	every := listOrEmpty(rule)
	return func(c *checker, v RawValue) {
		every(c, v)
		if v.kind() == '[' {
			for range v.Elements() {
				return
			}
			c.add(ProblemEmpty, "the list must have an element")
		}
	}
}

// listOrEmpty wants a list, each element under the rule.
func listOrEmpty(rule check) check {
	return func(c *checker, v RawValue) {
		if v.kind() != '[' {
			c.add(ProblemType, "must be a list")
			return
		}
		at := len(c.path)
		c.path = append(c.path, step{})
		for n, e := range v.Elements() {
			c.path[at] = step{index: n}
			rule(c, e)
		}
		c.path = c.path[:at]
	}
}

// structure wants an object of the shape.
func structure(s *shape) check {
	return func(c *checker, v RawValue) {
		if v.kind() != '{' {
			c.add(ProblemType, "must be an object")
			return
		}
		outer := c.open(v)
		c.apply(s)
		c.close(outer)
	}
}

// keyed wants a dictionary (§2.4) whose every value is under the rule.
func keyed(rule func(c *checker, key []byte, v RawValue)) check {
	return func(c *checker, v RawValue) {
		c.entries(v, func(key []byte, value RawValue) {
			if !dictionaryKey(key) {
				c.add(ProblemName, "a key has only letters, digits, hyphen and underscore, at most 250")
			}
			filled(c, value)
			if rule != nil {
				rule(c, key, value)
			}
		})
	}
}

// entries puts each entry of a dictionary, which must have one, under a rule.
func (c *checker) entries(v RawValue, rule func(key []byte, v RawValue)) {
	if v.kind() != '{' {
		c.add(ProblemType, "must be an object")
		return
	}
	n := 0
	at := len(c.path)
	c.path = append(c.path, step{})
	for key, value := range v.members() {
		n++
		c.path[at] = step{name: key}
		rule(key, value)
	}
	c.path = c.path[:at]
	if n == 0 {
		c.add(ProblemEmpty, "the dictionary must have an entry")
	}
}

var dictionary = keyed(nil)

func dictionaryKey(key []byte) bool {
	if len(key) > 250 {
		return false
	}
	for _, c := range key {
		if !lowerOrDigit(c) && c != '-' && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// both joins two rules.
func both(a, b check) check {
	return func(c *checker, v RawValue) {
		a(c, v)
		b(c, v)
	}
}

// integer wants a whole number (§2.8); 1.0 and 1e2 are whole.
func integer(c *checker, v RawValue) {
	if v.kind() != '0' {
		c.add(ProblemType, "must be a whole number")
	} else if !parseDecimal(v).whole() {
		c.add(ProblemType, "must be a whole number")
	}
}

// between wants a number from low to high.
func between(rule check, low, high int64) check {
	return func(c *checker, v RawValue) {
		rule(c, v)
		if v.kind() != '0' {
			return
		}
		if d := parseDecimal(v); d.compare(low) < 0 || d.compare(high) > 0 {
			c.add(ProblemRange, "the number is too small or too large")
		}
	}
}

// atLeast wants a number from low on.
func atLeast(rule check, low int64) check {
	return func(c *checker, v RawValue) {
		rule(c, v)
		if v.kind() == '0' && parseDecimal(v).compare(low) < 0 {
			c.add(ProblemRange, "the number is too small")
		}
	}
}

// timestamp wants a time of §2.12.
func timestamp(c *checker, v RawValue) { checkTime(c, v, func(string) bool { return true }) }

// millis wants a time with at least three digits behind the point (§3.2).
func millis(c *checker, v RawValue) {
	checkTime(c, v, func(s string) bool { return len(s) >= len(seconds)+len(".000Z") })
}

// wholeSeconds wants a time without a fraction.
func wholeSeconds(c *checker, v RawValue) {
	checkTime(c, v, func(s string) bool { return len(s) == len(seconds)+len("Z") })
}

func checkTime(c *checker, v RawValue, precise func(string) bool) {
	s, ok := v.text()
	switch {
	case !ok:
		c.add(ProblemType, "must be a timestamp")
	case !isTime(s) && !looksLikeTime(s):
		c.add(ProblemTime, "must be a timestamp of the form 2006-01-02T15:04:05.000Z")
	case !precise(s):
		c.add(ProblemTime, "the timestamp has the wrong precision")
	case !isTime(s):
		c.add(ProblemCalendar, "there is no such day or second")
	}
}

// looksLikeTime reports whether s has the form of a timestamp, be there such a
// day and second or not.
func looksLikeTime(s string) bool {
	if len(s) < len(seconds)+1 {
		return false
	}
	day, sec := number(s[8:10]), s[17:19]
	if day < 1 || day > 31 {
		return false
	}
	if sec == "60" {
		sec = "59"
	}
	return isTime(s[:8] + "01" + s[10:17] + sec + s[19:])
}

// identifier wants an id of §2.9; the schemas take UUID versions 1 to 5.
func identifier(c *checker, v RawValue) {
	s, ok := v.text()
	if !ok {
		c.add(ProblemType, "must be an identifier")
	} else if !isIdentifier(s) {
		c.add(ProblemID, "must be an identifier of the form type--UUID")
	}
}

func isIdentifier(s string) bool {
	cut := len(s) - idTail
	if cut < 3 || s[cut:cut+2] != "--" || !isUUID(s[cut+2:]) {
		return false
	}
	typ, version, variant := s[:cut], s[cut+2+14], s[cut+2+19]
	if typ[0] < 'a' || typ[0] > 'z' || typ[len(typ)-1] == '-' {
		return false
	}
	for i := 0; i < len(typ); i++ {
		if !lowerOrDigit(typ[i]) && typ[i] != '-' || typ[i] == '_' {
			return false
		}
	}
	return version >= '1' && version <= '5' && strings.IndexByte("89abAB", variant) >= 0
}

// refTo wants an identifier of one of the types.
func refTo(types ...string) check {
	return func(c *checker, v RawValue) {
		identifier(c, v)
		if s, ok := v.text(); ok && !slices.ContainsFunc(types, func(t string) bool { return strings.HasPrefix(s, t+"--") }) {
			c.add(ProblemRef, "must refer to "+strings.Join(types, " or "))
		}
	}
}

// refNotTo wants an identifier of none of the types.
func refNotTo(types ...string) check {
	return func(c *checker, v RawValue) {
		identifier(c, v)
		if s, ok := v.text(); ok && slices.ContainsFunc(types, func(t string) bool { return strings.HasPrefix(s, t+"--") }) {
			c.add(ProblemRef, "may not refer to "+strings.Join(types, ", "))
		}
	}
}

var hexadecimal = matching(ProblemValue, "must be pairs of hexadecimal digits", func(s string) bool {
	return len(s) > 0 && len(s)%2 == 0 && allHex(s)
})

func allHex(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isHex(s[i]) {
			return false
		}
	}
	return true
}

// binary64 is the type binary (§2.1): base64 with its filling.
var binary64 = matching(ProblemValue, "must be base64", func(s string) bool {
	if len(s) == 0 || len(s)%4 != 0 {
		return false
	}
	body := strings.TrimRight(s[len(s)-2:], "=")
	return allOf(s[:len(s)-2], "+/") && allOf(body, "+/")
})

// allOf reports whether s has only letters, digits and the others.
func allOf(s, others string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(others, c) >= 0) {
			return false
		}
	}
	return true
}

// Lengths of the hashes of §10.6 (hash-algorithm-ov).
var hashForms = map[string]func(string) bool{
	"MD5":      hexOf(32),
	"SHA-1":    hexOf(40),
	"SHA-256":  hexOf(64),
	"SHA-512":  hexOf(128),
	"SHA3-256": hexOf(64),
	"SHA3-512": hexOf(128),
	"SSDEEP":   func(s string) bool { return len(s) >= 1 && len(s) <= 128 && allOf(s, "/+:.") },
	"TLSH":     func(s string) bool { return len(s) == 70 && allOf(s, "") },
}

func hexOf(n int) func(string) bool {
	return func(s string) bool { return len(s) == n && allHex(s) }
}

// hashes is the type hashes (§2.6).
var hashes = keyed(func(c *checker, key []byte, v RawValue) {
	s, ok := v.text()
	if len(key) < 3 {
		c.add(ProblemName, "the name of a hash has three characters or more")
	}
	if !ok {
		c.add(ProblemType, "must be a string")
		return
	}
	if fits := hashForms[string(key)]; fits != nil && !fits(s) {
		c.add(ProblemValue, "is no "+string(key)+" hash")
	}
})

// wordIn reports whether name begins with the first word, holds one of the
// others, or ends with the last: what the schemas' expressions of the form
// ^a|b|c$ say, and they decide which keys are taken.
func wordIn(name []byte, words ...string) bool {
	last := len(words) - 1
	for i, w := range words {
		switch {
		case i == 0 && bytes.HasPrefix(name, []byte(w)),
			i == last && bytes.HasSuffix(name, []byte(w)),
			i != 0 && i != last && bytes.Contains(name, []byte(w)):
			return true
		}
	}
	return false
}
