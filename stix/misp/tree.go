package misp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// A JSON value is a tree: an object as tree, an array as []any, any other value
// as leaf. Numbers keep their spelling, strings have one.
type tree map[string]any

// leaf is the JSON text of a string, number, boolean or null.
type leaf string

const null leaf = "null"

// maxDepth bounds nesting; real events have about ten levels.
const maxDepth = 32

var errDepth = errors.New("nested too deeply")

// parseTree reads one JSON text strictly: no name twice, no bad UTF-8, nothing
// behind it.
func parseTree(b []byte) (any, error) { return parse(b, maxDepth) }

// parseDeep reads a rest, which has up to four levels for one of its event.
func parseDeep(b []byte) (any, error) { return parse(b, 4*maxDepth+8) }

func parse(b []byte, depth int) (any, error) {
	d := decoder{jsontext.NewDecoder(bytes.NewReader(b)), depth, map[string]string{}}
	v, err := d.value()
	if err != nil {
		return nil, err
	}
	if _, err := d.ReadToken(); err != io.EOF {
		if err == nil {
			err = errors.New("more bytes after the end of the value")
		}
		return nil, err
	}
	return v, nil
}

type decoder struct {
	*jsontext.Decoder
	max   int               // levels
	known map[string]string // names and short values: events repeat them without end
}

// Bounds of what is kept once.
const (
	knownBytes = 40
	knownTexts = 4096
)

// once returns a text that is in memory once.
func (d decoder) once(s string) string {
	if have, ok := d.known[s]; ok {
		return have
	}
	if len(s) <= knownBytes && len(d.known) < knownTexts {
		d.known[s] = s
	}
	return s
}

func (d decoder) value() (any, error) {
	if d.StackDepth() > d.max {
		return nil, errDepth
	}
	switch d.PeekKind() {
	case '{':
		return d.object()
	case '[':
		return d.array()
	}
	t, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	switch t.Kind() {
	case '"':
		return leaf(d.once(string(text(t.String())))), nil
	case 't', 'f', 'n', '0':
		return leaf(d.once(t.String())), nil
	}
	return nil, fmt.Errorf("a value is expected, not %s", t)
}

func (d decoder) object() (any, error) {
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	o := tree{}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		key := d.once(name.String())
		if o[key], err = d.value(); err != nil {
			return nil, err
		}
	}
	_, err := d.ReadToken()
	return o, err
}

func (d decoder) array() (any, error) {
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	list := []any{}
	for d.PeekKind() != ']' {
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := d.ReadToken()
	return list, err
}

// encode writes a value with the members of objects in the order of their names.
func encode(b []byte, v any) []byte {
	switch v := v.(type) {
	case leaf:
		return append(b, v...)
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = encode(b, e)
		}
		return append(b, ']')
	case tree:
		b = append(b, '{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(append(b, text(name)...), ':')
			b = encode(b, v[name])
		}
		return append(b, '}')
	}
	return append(b, null...)
}

func equal(a, b any) bool { return bytes.Equal(encode(nil, a), encode(nil, b)) }

// text returns a string as JSON. What is no UTF-8 is replaced.
func text(s string) leaf {
	b, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		b, _ = jsontext.AppendQuote(nil, string(bytes.ToValidUTF8([]byte(s), []byte("\uFFFD"))))
	}
	return leaf(b)
}

func boolean(b bool) leaf { return leaf(strconv.FormatBool(b)) }

// str returns a string or the spelling of a number or boolean; "" for null and
// what is absent. ok is false when the value is an object or array.
func (o tree) str(name string) (s string, ok bool) {
	switch v := o[name].(type) {
	case nil:
		return "", true
	case leaf:
		if v == null {
			return "", true
		}
		if v[0] != '"' {
			return string(v), true
		}
		b, err := jsontext.AppendUnquote(nil, []byte(v))
		return string(b), err == nil
	}
	return "", false
}

func (o tree) text(name string) string {
	s, _ := o.str(name)
	return s
}

// flag reads a boolean, also as 0, 1, "0", "1", "true", "".
func (o tree) flag(name string) (b, ok bool) {
	s, ok := o.str(name)
	switch s {
	case "", "0", "false":
		return false, ok
	case "1", "true":
		return true, ok
	}
	return false, false
}

func (o tree) list(name string) []any {
	l, _ := o[name].([]any)
	return l
}

func (o tree) object(name string) tree {
	t, _ := o[name].(tree)
	return t
}
