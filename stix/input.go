package stix

import (
	"bytes"
	"errors"
	"io"
)

// chunk is how much a Reader asks its source for at a time.
const chunk = 64 << 10

// input finds where the values of a stream begin and end, by strings and
// brackets alone; whether they are good JSON is asked of the scanner later.
type input struct {
	r       io.Reader
	buf     []byte
	i, n    int   // the bytes not yet used are buf[i:n]
	base    int64 // offset of buf[0] in the whole input
	line    int   // line of buf[counted]
	counted int   // up to here the line breaks of buf are in line
	begun   bool
	ended   error // what the source said at its end
	spill   []byte
}

// fill reads more once buf is used up.
func (in *input) fill() error {
	if in.ended != nil {
		return in.ended
	}
	in.countLines(in.n)
	in.base += int64(in.n)
	in.i, in.n, in.counted = 0, 0, 0
	return in.read()
}

// read asks the source for more behind buf[:n].
func (in *input) read() error {
	for range 100 { // as bufio: a source may return nothing for a while, not for ever
		n, err := in.r.Read(in.buf[in.n:])
		in.n += n
		in.ended = err
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	in.ended = io.ErrNoProgress
	return in.ended
}

func (in *input) countLines(to int) {
	if to > in.counted {
		in.line += bytes.Count(in.buf[in.counted:to], newline)
		in.counted = to
	}
}

// begin steps over a byte order mark, once.
func (in *input) begin() error {
	if in.begun {
		return nil
	}
	in.begun = true
	for in.n < len(bom) && in.ended == nil { // a source may come byte by byte
		if err := in.read(); err != nil && err != io.EOF {
			return err
		}
	}
	head := in.buf[:in.n]
	if bytes.HasPrefix(head, bom) {
		in.i = len(bom)
	}
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		return in.fail("bom", "the input is UTF-16; save it as UTF-8")
	}
	return nil
}

// peek steps over white space and returns the next byte without using it.
func (in *input) peek() (byte, error) {
	for {
		for in.i < in.n {
			switch c := in.buf[in.i]; c {
			case ' ', '\n', '\r', '\t':
				in.i++
			default:
				return c, nil
			}
		}
		if err := in.fill(); err != nil {
			return 0, err
		}
	}
}

func (in *input) fail(code, msg string) error {
	in.countLines(in.i)
	return &SyntaxError{Code: code, Offset: in.base + int64(in.i), Line: in.line, Msg: msg}
}

// place says where a value stands and so what may end it.
type place int

const (
	inList    place = iota // between the brackets of a list
	atTop                  // outside: it may be a bundle, or a line that breaks off
	afterList              // the rest of a bundle behind its objects
)

// element is a value found in the stream. Its raw is good until the next one
// is looked for.
type element struct {
	raw    []byte
	size   int64
	offset int64
	line   int
	large  bool // raw holds only the first MaxObjectBytes
	head   bool // raw is an object up to the "[" of its member objects
	scalar bool // neither object nor array
	tracks tracker
}

// element finds the end of the value that starts with c at the place of in.
func (in *input) element(c byte, where place) (element, error) {
	in.countLines(in.i)
	e := element{offset: in.base + int64(in.i), line: in.line}
	in.spill = in.spill[:0]
	switch {
	case where == afterList:
		e.tracks.open('{')
		e.tracks.last = ']'
	case c == '{' || c == '[' || c == '"':
		e.tracks.lines = where == atTop
		e.tracks.heads = where == atTop && c == '{'
	default:
		return in.scalar(e)
	}
	e.scalar = c == '"' && where != afterList
	return in.more(e)
}

// more goes on to the end of an element already begun.
func (in *input) more(e element) (element, error) {
	if e.head {
		e.head = false
		e.tracks.heads = false
	}
	for {
		start := in.i
		end, verdict := e.tracks.run(in.buf[in.i:in.n])
		in.i += end
		in.take(&e, in.buf[start:in.i])
		switch verdict {
		case done:
			e.raw = in.spill
			return e, nil
		case head:
			if e.large {
				e.tracks.heads = false
				continue
			}
			e.raw, e.head = in.spill, true
			return e, nil
		case mismatch:
			return e, in.fail("syntax", "the brackets do not match")
		}
		if err := in.fill(); errors.Is(err, io.EOF) {
			return e, in.fail("truncated", "the input ends inside an object")
		} else if err != nil {
			return e, err
		}
	}
}

// take keeps the bytes of an element up to the limit.
func (in *input) take(e *element, b []byte) {
	e.size += int64(len(b))
	if room := MaxObjectBytes - len(in.spill); len(b) > room {
		b, e.large = b[:room], true
	}
	in.spill = append(in.spill, b...)
}

// scalar finds the end of a number or word.
func (in *input) scalar(e element) (element, error) {
	e.scalar = true
	for {
		start := in.i
		for in.i < in.n && !delimiter(in.buf[in.i]) {
			in.i++
		}
		in.take(&e, in.buf[start:in.i])
		if in.i < in.n {
			break
		}
		if err := in.fill(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return e, err
		}
	}
	if e.size == 0 || e.large {
		return e, in.fail("syntax", "no JSON value starts like this")
	}
	e.raw = in.spill
	return e, nil
}

func delimiter(c byte) bool {
	switch c {
	case ' ', '\n', '\r', '\t', ',', ':', '"', '{', '}', '[', ']':
		return true
	}
	return false
}

// verdict is why a tracker stopped.
type verdict int

const (
	hungry   verdict = iota // it needs more bytes
	done                    // behind the end of the value, or where a broken line was left
	head                    // at the "[" of a member objects of the outermost object
	mismatch                // at a closing bracket of the wrong kind
)

// trackedDepth is how many brackets a tracker tells apart; deeper ones, which
// no object may have, are only counted.
const trackedDepth = 1024

// tracker follows strings and brackets through the bytes of one value.
type tracker struct {
	lines bool // leave a value that a line break proves broken
	heads bool // stop at the objects of a bundle

	depth   int
	square  [trackedDepth / 64]uint64 // bit d: bracket d is "["
	quoted  bool                      // inside a string
	escaped bool                      // behind a backslash
	last    byte                      // the last byte outside strings that is no white space; '"' after a string
	word    [8]byte                   // the start of the last string of the outermost object
	wordLen int
	newline bool // there was a line break since last
}

func (t *tracker) open(c byte) {
	if t.depth < trackedDepth {
		bit := uint64(1) << (t.depth % 64)
		t.square[t.depth/64] &^= bit
		if c == '[' {
			t.square[t.depth/64] |= bit
		}
	}
	t.depth++
	t.last = c
}

// shut closes a bracket; false when it is of the wrong kind.
func (t *tracker) shut(c byte) bool {
	t.depth--
	t.last = c
	if t.depth >= trackedDepth {
		return true
	}
	square := t.square[t.depth/64]>>(t.depth%64)&1 == 1
	return square == (c == ']')
}

// run reads on and returns how many bytes belong to the value.
func (t *tracker) run(b []byte) (int, verdict) {
	for i := 0; i < len(b); i++ {
		if t.quoted {
			n, end := t.inString(b[i:])
			i += n
			if end {
				return i, done
			}
			if t.quoted {
				return len(b), hungry
			}
			if t.depth == 0 {
				return i + 1, done
			}
			continue
		}
		switch c := b[i]; c {
		case ' ', '\t', '\r':
		case '\n':
			t.newline = true
		case '"':
			t.quoted, t.wordLen = true, 0
			t.newline = false
		case '{', '[':
			if t.lines && t.newline && c == '{' && t.depth > 0 && !opens(t.last) {
				return i, done // the value broke off on an earlier line
			}
			if t.heads && c == '[' && t.depth == 1 && t.last == ':' && string(t.word[:t.wordLen]) == "objects" {
				return i, head
			}
			t.open(c)
			t.newline = false
		case '}', ']':
			if !t.shut(c) {
				return i, mismatch
			}
			if t.depth == 0 {
				return i + 1, done
			}
			t.newline = false
		default:
			t.last, t.newline = c, false
		}
	}
	return len(b), hungry
}

// opens reports whether a value may follow the byte.
func opens(last byte) bool { return last == ':' || last == ',' || last == '[' || last == '{' }

// inString reads on inside a string: how many bytes up to its quote, and
// whether the value ends there because a line break proves it broken.
func (t *tracker) inString(b []byte) (int, bool) {
	for i, c := range b {
		switch {
		case t.escaped:
			t.escaped = false
		case c == '\\':
			t.escaped = true
		case c == '"':
			t.quoted, t.last = false, '"'
			return i, false
		case c == '\n' && t.lines:
			return i, true
		}
		if t.depth == 1 {
			if t.wordLen < len(t.word) {
				t.word[t.wordLen] = c
			}
			t.wordLen = min(t.wordLen+1, len(t.word))
		}
	}
	return len(b), false
}
