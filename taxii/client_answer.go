package taxii

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// listing is a kind of answer that comes in pages: which members hold its
// elements, and how an element is read.
type listing struct {
	members []string
	read    func(raw []byte) element
}

// answer is one page as the server wrote it.
type answer struct {
	more     bool
	next     string
	elements [][]byte
}

// splitAnswer takes a page apart without reading its elements: an envelope
// (section 3.7), a manifest (5.3) or a versions resource (5.8). What is wrong
// inside an element's brackets stays that element's fault. Members it does not
// know are passed over; one of its own twice is refused, since nobody can say
// which counts.
func splitAnswer(b []byte, members []string) (answer, error) {
	var a answer
	s := splitter{b: bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))}
	seen := map[string]bool{}
	err := s.object(func(name string, value []byte) error {
		if seen[name] {
			return fmt.Errorf("the member %q stands twice", words(name))
		}
		switch {
		case name == "more":
			a.more = yes(value)
		case name == "next":
			a.next = token(value)
		case contains(members, name):
			elements, err := split(value)
			if err != nil {
				return fmt.Errorf("the member %q: %w", name, err)
			}
			a.elements = append(a.elements, elements...)
		default:
			return nil
		}
		seen[name] = true
		return nil
	})
	return a, err
}

func contains(list []string, s string) bool {
	for _, one := range list {
		if one == s {
			return true
		}
	}
	return false
}

// yes reads "more", also where it is written as a string.
func yes(value []byte) bool { return string(value) == "true" || string(value) == `"true"` }

// token reads "next": a string, or a number where a server counts.
func token(value []byte) string {
	var s string
	if json.Unmarshal(value, &s) == nil {
		return s
	}
	if len(value) > 0 && value[0] >= '0' && value[0] <= '9' {
		return string(value)
	}
	return ""
}

// split returns the elements of an array; none of null.
func split(value []byte) ([][]byte, error) {
	if string(value) == "null" {
		return nil, nil
	}
	var elements [][]byte
	s := splitter{b: value}
	if !s.take('[') {
		return nil, errors.New("is no list")
	}
	for !s.take(']') {
		if len(elements) > 0 && !s.take(',') {
			return nil, s.fail("a comma or the end of a list is missing")
		}
		e, err := s.value()
		if err != nil {
			return nil, err
		}
		elements = append(elements, e)
	}
	return elements, nil
}

// splitter finds where values of JSON end, by their quotes and brackets alone.
type splitter struct {
	b []byte
	i int
}

func (s *splitter) fail(what string) error { return fmt.Errorf("%s at byte %d", what, s.i) }

func (s *splitter) space() {
	for s.i < len(s.b) && (s.b[s.i] == ' ' || s.b[s.i] == '\n' || s.b[s.i] == '\r' || s.b[s.i] == '\t') {
		s.i++
	}
}

// take steps over c, if it comes next.
func (s *splitter) take(c byte) bool {
	s.space()
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

// object reads the one object that the text is.
func (s *splitter) object(member func(name string, value []byte) error) error {
	if !s.take('{') {
		return s.fail("no JSON object")
	}
	for first := true; !s.take('}'); first = false {
		if !first && !s.take(',') {
			return s.fail("a comma or the end of the object is missing")
		}
		raw, err := s.value()
		if err != nil {
			return err
		}
		name, err := jsontext.AppendUnquote(nil, raw)
		if err != nil || !s.take(':') {
			return s.fail("a member's name and colon are missing")
		}
		value, err := s.value()
		if err != nil {
			return err
		}
		if err := member(string(name), value); err != nil {
			return err
		}
	}
	if s.space(); s.i < len(s.b) {
		return s.fail("something stands behind the object")
	}
	return nil
}

// value steps over one value and returns it.
func (s *splitter) value() ([]byte, error) {
	s.space()
	start := s.i
	var open []byte // the closing brackets still to come
	for s.i < len(s.b) {
		switch c := s.b[s.i]; c {
		case '"':
			if !s.quoted() {
				return nil, s.fail("a string does not end")
			}
		case '{', '[':
			open = append(open, c+2) // the closing bracket of either is two behind
			s.i++
		case '}', ']':
			if len(open) == 0 || open[len(open)-1] != c {
				return nil, s.fail("a bracket closes what is not open")
			}
			open = open[:len(open)-1]
			s.i++
		case ',', ':', ' ', '\n', '\r', '\t':
			if len(open) == 0 {
				return nil, s.fail("a value is missing")
			}
			s.i++
			continue
		default:
			s.word()
		}
		if len(open) == 0 {
			return s.b[start:s.i:s.i], nil
		}
	}
	return nil, s.fail("the answer breaks off")
}

// quoted steps over a string; false when it does not end.
func (s *splitter) quoted() bool {
	for s.i++; s.i < len(s.b); s.i++ {
		switch s.b[s.i] {
		case '\\':
			s.i++
		case '"':
			s.i++
			return true
		}
	}
	return false
}

// word steps over a number or a name such as true.
func (s *splitter) word() {
	for s.i < len(s.b) && bytes.IndexByte([]byte("{}[],:\" \n\r\t"), s.b[s.i]) < 0 {
		s.i++
	}
}
