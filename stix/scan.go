package stix

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode"
	"unicode/utf8"
)

// scanner reads JSON text strictly in one pass: the grammar of RFC 8259, the
// member names of RFC 7493 (no name twice in one object), names that differ
// only in case refused too, UTF-8 without lone surrogates, at most MaxDepth
// levels. It copies nothing; what it has read is handed to obj when that is set.
type scanner struct {
	b    []byte
	i    int    // next byte
	path []step // the open arrays and objects, outermost first
	keys []key  // the names read so far in each open object, outermost first
	obj  *header
}

// step is one level of the place being read.
type step struct {
	name  []byte // of the member, escapes decoded; nil inside an array
	index int    // of the element; noElement while the name is being read
}

const noElement = -1

// key is one member name already read, case folded.
type key struct {
	sig  uint32 // length, first and last byte: most different names differ here
	fold []byte
	name []byte
}

// smallObject is the number of names up to which an object's names are
// compared one by one; beyond it a map keeps the time linear.
const smallObject = 32

// document reads exactly one value with white space around it.
func (s *scanner) document() *SyntaxError {
	s.space()
	if err := s.value(false); err != nil {
		return err
	}
	s.space()
	if s.i < len(s.b) {
		return s.fail("trailing", "more bytes after the end of the value")
	}
	return nil
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\n', '\r', '\t':
			s.i++
		default:
			return
		}
	}
}

// value reads one value; refs says that strings in it (or in it as a list) are
// references.
func (s *scanner) value(refs bool) *SyntaxError {
	if s.i >= len(s.b) {
		return s.fail("syntax", "the text ends where a value is expected")
	}
	switch c := s.b[s.i]; c {
	case '{':
		return s.object()
	case '[':
		return s.array(refs)
	case '"':
		_, _, err := s.str()
		return err
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		if c == '-' || c >= '0' && c <= '9' {
			return s.number()
		}
		return s.fail("syntax", "no JSON value starts like this")
	}
}

func (s *scanner) literal(word string) *SyntaxError {
	if len(s.b)-s.i < len(word) || string(s.b[s.i:s.i+len(word)]) != word {
		return s.fail("syntax", "no JSON value starts like this")
	}
	s.i += len(word)
	return nil
}

func (s *scanner) digits() bool {
	start := s.i
	for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i > start
}

func (s *scanner) number() *SyntaxError {
	if s.b[s.i] == '-' {
		s.i++
	}
	if s.i < len(s.b) && s.b[s.i] == '0' {
		s.i++
	} else if !s.digits() {
		return s.fail("syntax", "the number has no digits")
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		if !s.digits() {
			return s.fail("syntax", "the number has no digits after the point")
		}
	}
	if s.i < len(s.b) && (s.b[s.i] == 'e' || s.b[s.i] == 'E') {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		if !s.digits() {
			return s.fail("syntax", "the number has no digits in its exponent")
		}
	}
	return nil
}

func (s *scanner) open() *SyntaxError {
	if len(s.path) >= MaxDepth {
		return s.fail("depth", "nested deeper than 64 levels")
	}
	s.i++
	s.path = append(s.path, step{})
	s.space()
	return nil
}

// next reads what follows an element: true when another one comes.
func (s *scanner) next(end byte) (bool, *SyntaxError) {
	s.space()
	if s.i >= len(s.b) {
		return false, s.fail("syntax", "the text ends inside an array or object")
	}
	switch s.b[s.i] {
	case ',':
		s.i++
		s.space()
		return true, nil
	case end:
		s.close()
		return false, nil
	}
	return false, s.fail("syntax", "a comma or the closing bracket is missing")
}

func (s *scanner) close() {
	s.i++
	s.path = s.path[:len(s.path)-1]
}

func (s *scanner) array(refs bool) *SyntaxError {
	if err := s.open(); err != nil {
		return err
	}
	if s.i < len(s.b) && s.b[s.i] == ']' {
		s.close()
		return nil
	}
	at := len(s.path) - 1
	for n := 0; ; n++ {
		s.path[at] = step{index: n}
		start := s.i
		if err := s.value(false); err != nil {
			return err
		}
		if refs && s.b[start] == '"' {
			s.obj.reference(s, s.b[start:s.i])
		}
		if more, err := s.next(']'); err != nil || !more {
			return err
		}
	}
}

func (s *scanner) object() *SyntaxError {
	if err := s.open(); err != nil {
		return err
	}
	if s.i < len(s.b) && s.b[s.i] == '}' {
		s.close()
		return nil
	}
	base := len(s.keys)
	var seen map[string][]byte
	for {
		if err := s.name(base, &seen); err != nil {
			return err
		}
		if err := s.member(); err != nil {
			return err
		}
		if more, err := s.next('}'); err != nil || !more {
			s.keys = s.keys[:base]
			return err
		}
	}
}

// member reads the value of the member whose name is on the path.
func (s *scanner) member() *SyntaxError {
	name := s.path[len(s.path)-1].name
	refs := s.obj != nil && bytes.HasSuffix(name, []byte("_refs"))
	start := s.i
	if err := s.value(refs); err != nil {
		return err
	}
	if s.obj == nil {
		return nil
	}
	if s.b[start] == '"' && bytes.HasSuffix(name, []byte("_ref")) {
		s.obj.reference(s, s.b[start:s.i])
	}
	if len(s.path) == 1 {
		s.obj.property(s, name, s.b[start:s.i], start)
	}
	return nil
}

// name reads a member name and its colon and puts the name on the path.
func (s *scanner) name(base int, seen *map[string][]byte) *SyntaxError {
	if s.i >= len(s.b) || s.b[s.i] != '"' {
		return s.fail("syntax", "a member name is missing")
	}
	start := s.i
	s.path[len(s.path)-1] = step{index: noElement}
	inner, plain, err := s.str()
	if err != nil {
		return err
	}
	name := inner
	if !plain {
		name = unescape(inner)
	}
	if old, clash := s.clash(name, base, seen); clash {
		s.i = start
		s.path[len(s.path)-1].name = name
		if bytes.Equal(old, name) {
			return s.fail("duplicate-key", "the object has this member twice")
		}
		return s.fail("case-key", "two members of the object differ only in case")
	}
	s.path[len(s.path)-1].name = name
	s.space()
	if s.i >= len(s.b) || s.b[s.i] != ':' {
		return s.fail("syntax", "a colon is missing after the member name")
	}
	s.i++
	s.space()
	return nil
}

// clash keeps a name of the innermost object and reports an earlier one that
// is the same but for case.
func (s *scanner) clash(name []byte, base int, seen *map[string][]byte) ([]byte, bool) {
	k := key{fold: fold(name), name: name}
	if n := len(k.fold); n > 0 {
		k.sig = uint32(n)<<16 | uint32(k.fold[0])<<8 | uint32(k.fold[n-1])
	}
	if *seen != nil {
		if old, ok := (*seen)[string(k.fold)]; ok {
			return old, true
		}
		(*seen)[string(k.fold)] = name
		return nil, false
	}
	for _, o := range s.keys[base:] {
		if o.sig == k.sig && bytes.Equal(o.fold, k.fold) {
			return o.name, true
		}
	}
	s.keys = append(s.keys, k)
	if len(s.keys)-base > smallObject {
		*seen = make(map[string][]byte, 2*smallObject)
		for _, o := range s.keys[base:] {
			(*seen)[string(o.fold)] = o.name
		}
	}
	return nil, false
}

// fold returns name with simple Unicode case folding, name itself when it is
// lower-case ASCII already.
func fold(name []byte) []byte {
	for _, c := range name {
		if c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf {
			return bytes.Map(foldRune, name)
		}
	}
	return name
}

// foldRune returns one representative of the runes that differ from r in case
// only: the lowest, in lower case when that is a letter of ASCII.
func foldRune(r rune) rune {
	low := r
	for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
		low = min(low, o)
	}
	if low >= 'A' && low <= 'Z' {
		low += 'a' - 'A'
	}
	return low
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// str reads a string and returns what stands between its quotes, and whether
// that has no escapes. Strings are read eight bytes at a time.
func (s *scanner) str() (inner []byte, plain bool, err *SyntaxError) {
	b, start := s.b, s.i+1
	i, plain := start, true
	high := uint64(highs) // becomes 0 once a byte beyond ASCII was met
	for {
		for i+8 <= len(b) {
			w := binary.LittleEndian.Uint64(b[i:])
			quote, slash := w^(ones*'"'), w^(ones*'\\')
			stop := (quote-ones)&^quote&highs | (slash-ones)&^slash&highs | (w-ones*' ')&^w&highs | w&high
			if stop != 0 {
				i += bits.TrailingZeros64(stop) / 8
				break
			}
			i += 8
		}
		if i >= len(b) {
			s.i = len(b)
			return nil, false, s.fail("syntax", "the text ends inside a string")
		}
		switch c := b[i]; {
		case c == '"':
			s.i = i + 1
			inner = b[start:i]
			if high == 0 && !utf8.Valid(inner) {
				s.i = start + invalidUTF8(inner)
				return nil, false, s.fail("utf8", "the string is no valid UTF-8")
			}
			return inner, plain, nil
		case c == '\\':
			plain = false
			n, msg := escape(b[i:])
			if n == 0 {
				s.i = i
				return nil, false, s.fail("escape", msg)
			}
			i += n
		case c < ' ':
			s.i = i
			return nil, false, s.fail("control", "a control character stands unescaped in a string")
		case c >= utf8.RuneSelf:
			high = 0
			i++
		default:
			i++
		}
	}
}

func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(b)
}

// escape returns the length of the escape at the start of b, 0 and the reason
// when it is none. A surrogate pair is one escape.
func escape(b []byte) (int, string) {
	if len(b) < 2 {
		return 0, "the text ends inside an escape"
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, ""
	case 'u':
		r, ok := hex4(b[2:])
		switch {
		case !ok:
			return 0, "\\u is not followed by four hexadecimal digits"
		case r < 0xd800 || r > 0xdfff:
			return 6, ""
		}
		if r < 0xdc00 && len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
			if low, ok := hex4(b[8:]); ok && low >= 0xdc00 && low <= 0xdfff {
				return 12, ""
			}
		}
		return 0, "half of a surrogate pair stands alone"
	}
	return 0, "JSON has no such escape"
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
