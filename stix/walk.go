package stix

import (
	"bytes"
	"iter"
	"unicode/utf16"
	"unicode/utf8"
)

// RawValue is JSON written as it is.
type RawValue []byte

// The functions of this file walk over JSON that a scanner has already found
// to be good; they check nothing again.

// unescape decodes what stands between the quotes of a string.
func unescape(inner []byte) []byte {
	out := make([]byte, 0, len(inner))
	for i := 0; i < len(inner); {
		if inner[i] != '\\' {
			next := bytes.IndexByte(inner[i:], '\\')
			if next < 0 {
				next = len(inner) - i
			}
			out = append(out, inner[i:i+next]...)
			i += next
			continue
		}
		if inner[i+1] != 'u' {
			out = append(out, short(inner[i+1]))
			i += 2
			continue
		}
		r, _ := hex4(inner[i+2:])
		i += 6
		if utf16.IsSurrogate(r) {
			low, _ := hex4(inner[i+2:])
			r = utf16.DecodeRune(r, low)
			i += 6
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

// short decodes an escape of two characters.
func short(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

// text decodes a string value; false when v is no string.
func (v RawValue) text() (string, bool) {
	if len(v) < 2 || v[0] != '"' {
		return "", false
	}
	inner := v[1 : len(v)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner), true
	}
	return string(unescape(inner)), true
}

// kind returns the first byte of the value, '0' for any number and 0 for none.
func (v RawValue) kind() byte {
	switch {
	case len(v) == 0:
		return 0
	case v[0] == '-' || v[0] >= '0' && v[0] <= '9':
		return '0'
	}
	return v[0]
}

// Text decodes a string value, "" when the value is no string.
func (v RawValue) Text() string {
	s, _ := v.text()
	return s
}

// Members yields the members of an object in the order written, names decoded
// and values as they stand; nothing when v is no object. v must come from an
// Object.
func (v RawValue) Members() iter.Seq2[string, RawValue] {
	return func(yield func(string, RawValue) bool) {
		for name, value := range v.members() {
			if !yield(string(name), value) {
				return
			}
		}
	}
}

// Elements yields the elements of an array with their index; nothing when v is
// no array. v must come from an Object.
func (v RawValue) Elements() iter.Seq2[int, RawValue] {
	return func(yield func(int, RawValue) bool) {
		if v.kind() != '[' {
			return
		}
		c := cursor{b: v, i: 1}
		for n := 0; !c.end(); n++ {
			start := c.i
			c.skip()
			if !yield(n, v[start:c.i:c.i]) {
				return
			}
		}
	}
}

// members is Members without a copy of each name.
func (v RawValue) members() iter.Seq2[[]byte, RawValue] {
	return func(yield func([]byte, RawValue) bool) {
		if v.kind() != '{' {
			return
		}
		c := cursor{b: v, i: 1}
		for !c.end() {
			name := c.name()
			start := c.i
			c.skip()
			if !yield(name, v[start:c.i:c.i]) {
				return
			}
		}
	}
}

// member returns the value of a member of an object, nil when absent.
func (v RawValue) member(name string) RawValue {
	for n, value := range v.members() {
		if string(n) == name {
			return value
		}
	}
	return nil
}

// cursor stands at a place in good JSON.
type cursor struct {
	b []byte
	i int
}

func (c *cursor) space() {
	for c.b[c.i] <= ' ' {
		c.i++
	}
}

// end goes to the next element of an array or object and reports whether
// there is none; the cursor then stands behind the closing bracket.
func (c *cursor) end() bool {
	c.space()
	if c.b[c.i] == ',' {
		c.i++
		c.space()
	}
	if c.b[c.i] == ']' || c.b[c.i] == '}' {
		c.i++
		return true
	}
	return false
}

// name reads a member name with its colon; the cursor then stands at the value.
func (c *cursor) name() []byte {
	start := c.i + 1
	escaped := c.quoted()
	name := c.b[start : c.i-1]
	if escaped {
		name = unescape(name)
	}
	c.space()
	c.i++
	c.space()
	return name
}

// quoted steps over a string and reports whether it has escapes.
func (c *cursor) quoted() (escaped bool) {
	c.i++
	n := bytes.IndexByte(c.b[c.i:], '"')
	slash := bytes.IndexByte(c.b[c.i:c.i+n], '\\')
	if slash < 0 {
		c.i += n + 1
		return false
	}
	for c.i += slash; c.b[c.i] != '"'; c.i++ {
		if c.b[c.i] == '\\' {
			c.i++
		}
	}
	c.i++
	return true
}

// skip steps over one value.
func (c *cursor) skip() {
	depth := 0
	for {
		switch c.b[c.i] {
		case '"':
			c.quoted()
		case '{', '[':
			depth++
			c.i++
			continue
		case '}', ']':
			depth--
			c.i++
		case ',', ':', ' ', '\n', '\r', '\t':
			c.i++
			continue
		default:
			for c.i < len(c.b) && !delimiter(c.b[c.i]) {
				c.i++
			}
		}
		if depth == 0 {
			return
		}
	}
}
