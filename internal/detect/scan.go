package detect

import (
	"encoding/binary"
	"unicode/utf8"
)

// scanner reads one JSON value strictly (RFC 8259, UTF-8) in one pass and hands
// the members its schema wants to the event. It refuses what jsontext refuses,
// and nesting deeper than maxLineDepth. Duplicate names are refused among the
// wanted ones only: the others are never read.
//
// Its methods take the index where they begin to read and return the one behind
// what they read, or fault. So the index stays in a register.
type scanner struct {
	b    []byte
	ev   *event
	code string // of the first fault
	at   int    // where that is
}

// fault is the index returned when the line is refused.
const fault = -1

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
	i, c := next(b, 0)
	if c == '{' {
		return s.end(s.object(i, topSchema, 1))
	}
	if s.end(s.value(i, nil, 0)) {
		s.fail(0, codeNoObject)
	}
	return false
}

// end reports whether nothing but white space follows.
func (s *scanner) end(i int) bool {
	if i == fault {
		return false
	}
	if i, _ = next(s.b, i); i < len(s.b) {
		s.fail(i, codeTrailing)
	}
	return i == len(s.b)
}

func (s *scanner) fail(i int, code string) int {
	s.at, s.code = i, code
	return fault
}

// next returns the first byte from i on that is no white space, and where it
// is; 0 at the end.
func next(b []byte, i int) (int, byte) {
	if uint(i) < uint(len(b)) && b[i] > ' ' {
		return i, b[i]
	}
	return nextFar(b, i)
}

func nextFar(b []byte, i int) (int, byte) {
	for ; i < len(b); i++ {
		switch b[i] {
		case ' ', '\t', '\n', '\r':
		default:
			return i, b[i]
		}
	}
	return i, 0
}

// object reads an object; sc names the members that are wanted, nil for none.
// depth counts the object itself.
func (s *scanner) object(i int, sc *schema, depth int) int {
	if depth > maxLineDepth {
		return s.fail(i, codeDepth)
	}
	i, c := next(s.b, i+1)
	if c == '}' {
		return i + 1
	}
	var seen uint64
	for {
		if c != '"' {
			return s.fail(i, codeSyntax)
		}
		end, escaped := s.text(i)
		if end == fault {
			return fault
		}
		var r *rule
		if sc != nil {
			name := s.b[i+1 : end-1]
			if escaped {
				name = s.ev.unescape(name)
			}
			if r = sc.find(name); r != nil {
				if seen&r.bit != 0 {
					return s.fail(i, codeDuplicate)
				}
				seen |= r.bit
			}
		}
		if i, c = next(s.b, end); c != ':' {
			return s.fail(i, codeSyntax)
		}
		if i, _ = next(s.b, i+1); r == nil {
			i = s.skip(i, depth)
		} else {
			i = s.value(i, r, depth)
		}
		if i == fault {
			return fault
		}
		switch i, c = next(s.b, i); c {
		case ',':
			i, c = next(s.b, i+1)
		case '}':
			return i + 1
		default:
			return s.fail(i, codeSyntax)
		}
	}
}

// value reads a value for a rule.
func (s *scanner) value(i int, r *rule, depth int) int {
	if r == nil || i >= len(s.b) {
		return s.skip(i, depth)
	}
	switch s.b[i] {
	case '"':
		end, escaped := s.text(i)
		if end != fault && r.do != doNothing {
			raw := s.b[i+1 : end-1]
			if escaped {
				raw = s.ev.unescape(raw)
			}
			s.ev.take(r, raw, false)
		}
		return end
	case '{':
		return s.object(i, r.sub, depth+1)
	case '[':
		return s.array(i, r, depth+1)
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		end := s.number(i)
		if end != fault {
			s.ev.take(r, s.b[i:end], true)
		}
		return end
	}
	return s.skip(i, depth)
}

// array reads an array, each element by the rule. depth counts the array itself.
func (s *scanner) array(i int, r *rule, depth int) int {
	if depth > maxLineDepth {
		return s.fail(i, codeDepth)
	}
	i, c := next(s.b, i+1)
	if c == ']' {
		return i + 1
	}
	for {
		if i = s.value(i, r, depth); i == fault {
			return fault
		}
		switch i, c = next(s.b, i); c {
		case ',':
			i, _ = next(s.b, i+1)
		case ']':
			return i + 1
		default:
			return s.fail(i, codeSyntax)
		}
	}
}

// skip checks a value that nobody wants.
func (s *scanner) skip(i int, depth int) int {
	if i >= len(s.b) {
		return s.fail(i, codeSyntax)
	}
	switch b := s.b[i:]; b[0] {
	case '"':
		end, _ := s.text(i)
		return end
	case '{':
		return s.object(i, nil, depth+1)
	case '[':
		return s.array(i, nil, depth+1)
	case 't':
		if len(b) >= 4 && string(b[:4]) == "true" {
			return i + 4
		}
	case 'f':
		if len(b) >= 5 && string(b[1:5]) == "alse" {
			return i + 5
		}
	case 'n':
		if len(b) >= 4 && string(b[:4]) == "null" {
			return i + 4
		}
	default:
		return s.number(i)
	}
	return s.fail(i, codeSyntax)
}

// number checks a number (RFC 8259 §6).
func (s *scanner) number(i int) int {
	b, from := s.b, i
	if i < len(b) && b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if from, i = i, pastDigits(b, i); i == from {
		return s.fail(i, codeSyntax)
	}
	if i < len(b) && b[i] == '.' {
		if from, i = i+1, pastDigits(b, i+1); i == from {
			return s.fail(i, codeSyntax)
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if from, i = i, pastDigits(b, i); i == from {
			return s.fail(i, codeSyntax)
		}
	}
	return i
}

// word returns the eight bytes from i on.
func word(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i : i+8 : i+8]) }

// pastDigits returns where the decimal digits that begin at i end.
func pastDigits(b []byte, i int) int {
	for i+8 <= len(b) {
		if other := notDigits(word(b, i) ^ '0'*ones); other != 0 {
			return i + firstSet(other)
		}
		i += 8
	}
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

// special sets the top bit of each byte that a string may not hold as it
// stands: quotes and control characters, which both are below 0x21 when bit 1 is
// flipped, backslashes, and bytes beyond ASCII. The lowest one set is right;
// those above may be set in vain.
func special(w uint64) uint64 {
	quote, slash := (w^2*ones)-0x21*ones, (w^'\\'*ones)-ones
	return (quote | slash | w) & tops
}

// text checks the string that begins at i; escaped tells whether it holds any
// escape.
func (s *scanner) text(i int) (end int, escaped bool) {
	b := s.b
	for i++; i+8 <= len(b); i += 8 {
		if w := special(word(b, i)); w != 0 {
			if i += firstSet(w); b[i] == '"' {
				return i + 1, false
			}
			break
		}
	}
	return s.textFar(i)
}

// textFar is text for what is not plain ASCII, and for the last bytes of the line.
func (s *scanner) textFar(i int) (end int, escaped bool) {
	for b := s.b; i < len(b); {
		switch c := b[i]; {
		case c == '"':
			return i + 1, escaped
		case c == '\\':
			n := escape(b[i:])
			if n == 0 {
				return s.fail(i, codeSyntax), false
			}
			escaped = true
			i += n
		case c < ' ':
			return s.fail(i, codeSyntax), false
		case c < utf8.RuneSelf:
			i = pastPlain(b, i+1)
		default:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n == 1 {
				return s.fail(i, codeUTF8), false
			}
			i += n
		}
	}
	return s.fail(i, codeSyntax), false
}

// pastPlain returns where the next special byte may be, eight bytes at a time.
func pastPlain(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		if w := special(word(b, i)); w != 0 {
			return i + firstSet(w)
		}
	}
	return i
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
