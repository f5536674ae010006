package detect

import (
	"encoding/binary"
	"unicode/utf8"
)

// scanner reads one JSON value strictly (RFC 8259, UTF-8) in one pass and hands
// the members its schema wants to the event. It refuses what jsontext refuses,
// and nesting deeper than maxLineDepth. Duplicate names are refused among the
// wanted ones only: the others are never read.
type scanner struct {
	b     []byte
	i     int
	depth int
	ev    *event
	code  string // of the first fault, at i
}

const maxLineDepth = 64

// Codes of lines that are no events.
const (
	codeSyntax    = "syntax"
	codeUTF8      = "utf8"
	codeDepth     = "depth"
	codeDuplicate = "duplicate-key"
	codeTrailing  = "trailing"
	codeNoObject  = "no-object"
	codeLong      = "too-long"
)

// line reads a whole line into the event.
func (s *scanner) line(b []byte, ev *event) bool {
	*s = scanner{b: b, ev: ev}
	s.space()
	if s.i == len(b) || b[s.i] != '{' {
		return s.skipTop()
	}
	if !s.object(topSchema) {
		return false
	}
	return s.end()
}

// skipTop reads a line that is no object, to say what is wrong with it.
func (s *scanner) skipTop() bool {
	if !s.skip() || !s.end() {
		return false
	}
	s.i = 0
	return s.fail(codeNoObject)
}

func (s *scanner) end() bool {
	s.space()
	if s.i != len(s.b) {
		return s.fail(codeTrailing)
	}
	return true
}

func (s *scanner) fail(code string) bool {
	if s.code == "" {
		s.code = code
	}
	return false
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

// peek returns the next byte after white space, 0 at the end.
func (s *scanner) peek() byte {
	if s.i < len(s.b) && s.b[s.i] > ' ' {
		return s.b[s.i]
	}
	return s.peekFar()
}

func (s *scanner) peekFar() byte {
	s.space()
	if s.i == len(s.b) {
		return 0
	}
	return s.b[s.i]
}

func (s *scanner) enter() bool {
	if s.depth++; s.depth > maxLineDepth {
		return s.fail(codeDepth)
	}
	s.i++
	return true
}

// object reads an object; sc names the members that are wanted, nil for none.
func (s *scanner) object(sc *schema) bool {
	if !s.enter() {
		return false
	}
	if s.peek() == '}' {
		s.i++
		s.depth--
		return true
	}
	var seen uint64
	for {
		if s.peek() != '"' {
			return s.fail(codeSyntax)
		}
		at := s.i
		name, escaped, ok := s.text()
		if !ok {
			return false
		}
		var r *rule
		if sc != nil {
			if escaped {
				name = s.ev.unescape(name)
			}
			var n int
			if r, n = sc.find(name); r != nil {
				if seen>>n&1 == 1 {
					s.i = at
					return s.fail(codeDuplicate)
				}
				seen |= 1 << n
			}
		}
		if s.peek() != ':' {
			return s.fail(codeSyntax)
		}
		s.i++
		if c := s.peek(); r == nil && c == '"' {
			_, _, ok = s.text() // the most frequent case
		} else {
			ok = s.value(r)
		}
		if !ok {
			return false
		}
		switch s.peek() {
		case ',':
			s.i++
		case '}':
			s.i++
			s.depth--
			return true
		default:
			return s.fail(codeSyntax)
		}
	}
}

// value reads a value for a rule, nil for one that nobody wants.
func (s *scanner) value(r *rule) bool {
	if r == nil {
		return s.skip()
	}
	if s.i == len(s.b) {
		return s.fail(codeSyntax)
	}
	switch s.b[s.i] {
	case '"':
		raw, escaped, ok := s.text()
		if ok && r.do != doNothing {
			if escaped {
				raw = s.ev.unescape(raw)
			}
			s.ev.take(r, raw, false)
		}
		return ok
	case '{':
		return s.object(r.sub)
	case '[':
		return s.array(r)
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		from := s.i
		if !s.number() {
			return false
		}
		s.ev.take(r, s.b[from:s.i], true)
		return true
	}
	return s.skip()
}

// array reads an array, each element by the rule.
func (s *scanner) array(r *rule) bool {
	if !s.enter() {
		return false
	}
	if s.peek() == ']' {
		s.i++
		s.depth--
		return true
	}
	for {
		if s.peek(); !s.value(r) {
			return false
		}
		switch s.peek() {
		case ',':
			s.i++
		case ']':
			s.i++
			s.depth--
			return true
		default:
			return s.fail(codeSyntax)
		}
	}
}

// skip checks a value that nobody wants.
func (s *scanner) skip() bool {
	if s.i == len(s.b) {
		return s.fail(codeSyntax)
	}
	switch c := s.b[s.i]; c {
	case '"':
		_, _, ok := s.text()
		return ok
	case '{':
		return s.object(nil)
	case '[':
		return s.array(nil)
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	}
	return s.number()
}

func (s *scanner) literal(w string) bool {
	if len(s.b)-s.i < len(w) || string(s.b[s.i:s.i+len(w)]) != w {
		return s.fail(codeSyntax)
	}
	s.i += len(w)
	return true
}

// number checks a number (RFC 8259 §6).
func (s *scanner) number() bool {
	b, i := s.b, s.i
	if i < len(b) && b[i] == '-' {
		i++
	}
	switch {
	case i < len(b) && b[i] == '0':
		i++
	default:
		from := i
		for i < len(b) && b[i]-'0' <= 9 {
			i++
		}
		if i == from {
			return s.fail(codeSyntax)
		}
	}
	if i < len(b) && b[i] == '.' {
		from := i + 1
		for i++; i < len(b) && b[i]-'0' <= 9; i++ {
		}
		if i == from {
			return s.fail(codeSyntax)
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		from := i
		for ; i < len(b) && b[i]-'0' <= 9; i++ {
		}
		if i == from {
			return s.fail(codeSyntax)
		}
	}
	s.i = i
	return true
}

// text reads a string and returns what stands between its quotes, as it stands.
// Eight bytes are looked at together until one needs attention: a quote, a
// backslash, a control character or the beginning of a rune beyond ASCII.
func (s *scanner) text() (raw []byte, escaped, ok bool) {
	b, i := s.b, s.i+1
	from := i
	for {
		for i+8 <= len(b) {
			w := binary.LittleEndian.Uint64(b[i:])
			quote, slash := w^'"'*ones, w^'\\'*ones
			special := ((quote-ones)&^quote | (slash-ones)&^slash | (w-' '*ones)&^w | w) & tops
			if special != 0 {
				i += firstSet(special)
				break
			}
			i += 8
		}
		if i == len(b) {
			s.i = i
			return nil, false, s.fail(codeSyntax)
		}
		switch c := b[i]; {
		case c == '"':
			s.i = i + 1
			return b[from:i], escaped, true
		case c == '\\':
			n := escape(b[i:])
			if n == 0 {
				s.i = i
				return nil, false, s.fail(codeSyntax)
			}
			escaped = true
			i += n
		case c < ' ':
			s.i = i
			return nil, false, s.fail(codeSyntax)
		case c < utf8.RuneSelf:
			i++
		default:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n == 1 {
				s.i = i
				return nil, false, s.fail(codeUTF8)
			}
			i += n
		}
	}
}

// escape returns the length of the escape b begins with, 0 for a wrong one. A
// surrogate counts only in a pair.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		switch r, ok := hex4(b[2:]); {
		case !ok || r >= 0xDC00 && r <= 0xDFFF:
			return 0
		case r < 0xD800 || r > 0xDBFF:
			return 6
		}
		if len(b) < 12 || b[6] != '\\' || b[7] != 'u' {
			return 0
		}
		if low, ok := hex4(b[8:]); ok && low >= 0xDC00 && low <= 0xDFFF {
			return 12
		}
	}
	return 0
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		d := hexDigit(c)
		if d > 15 {
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	return r, true
}

// appendUnescaped decodes a string that text has checked.
func appendUnescaped(dst, raw []byte) []byte {
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			dst = append(dst, raw[i])
			i++
			continue
		}
		switch c := raw[i+1]; c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, _ := hex4(raw[i+2:])
			i += 4
			if r >= 0xD800 && r <= 0xDBFF {
				low, _ := hex4(raw[i+4:])
				r = (r-0xD800)<<10 + (low - 0xDC00) + 0x10000
				i += 6
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, c)
		}
		i += 2
	}
	return dst
}
