package lift

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/noroshi-cti/noroshi/stix"
)

// part is a JSON value of a document and where it stands.
type part struct {
	raw jsontext.Value
	at  Place
}

// document reads the members of a JSON document that is one object. It is
// strict: a member name given twice anywhere and bad UTF-8 are errors.
func document(b []byte) (whole part, top map[string]part, err error) {
	start := len(b) - len(bytes.TrimPrefix(b, []byte("\ufeff")))
	d := jsontext.NewDecoder(bytes.NewReader(b[start:]))
	v, err := d.ReadValue()
	end := int64(start) + d.InputOffset()
	switch {
	case err != nil:
		return whole, nil, syntax(b, int64(start), err)
	case len(bytes.TrimSpace(b[end:])) > 0:
		return whole, nil, &Error{At: placeIn(b, end, ""), Msg: "something follows behind the document"}
	case v.Kind() != '{':
		return whole, nil, &Error{At: placeIn(b, int64(start), ""), Msg: "the document is no JSON object"}
	}
	at := Place{Offset: end - int64(len(v))}
	whole, top = part{b[at.Offset:end], at}, map[string]part{}
	err = whole.members(func(name string, p part) { top[name] = p })
	return whole, top, err
}

// syntax places a JSON error in the document.
func syntax(b []byte, start int64, err error) error {
	at := Place{Offset: start}
	if s, ok := err.(*jsontext.SyntacticError); ok {
		at.Offset, at.Path = start+s.ByteOffset, string(s.JSONPointer)
		err = s.Err
	}
	return &Error{At: placeIn(b, at.Offset, at.Path), Msg: "broken JSON: " + err.Error()}
}

// placeIn is a place with its line.
func placeIn(b []byte, offset int64, path string) Place {
	offset = min(max(offset, 0), int64(len(b)))
	return Place{Offset: offset, Line: 1 + bytes.Count(b[:offset], []byte("\n")), Path: path}
}

// members hands out the members of an object; of anything else it is an error.
func (p part) members(fn func(name string, p part)) error {
	if p.raw.Kind() != '{' {
		return &Error{At: p.at, Msg: "must be an object"}
	}
	d := jsontext.NewDecoder(bytes.NewReader(p.raw))
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		text := name.String()
		child, err := p.next(d)
		if err != nil {
			return err
		}
		fn(text, child)
	}
	return nil
}

// elements hands out the elements of an array; nothing when there is none, an
// error of anything else.
func (p part) elements(fn func(p part)) error {
	if p.raw == nil {
		return nil
	}
	if p.raw.Kind() != '[' {
		return &Error{At: p.at, Msg: "must be a list"}
	}
	d := jsontext.NewDecoder(bytes.NewReader(p.raw))
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != ']' {
		child, err := p.next(d)
		if err != nil {
			return err
		}
		fn(child)
	}
	return nil
}

// next reads the next value with its place. Its bytes are those of the document.
func (p part) next(d *jsontext.Decoder) (part, error) {
	v, err := d.ReadValue()
	if err != nil {
		return part{}, err
	}
	end := d.InputOffset()
	start := end - int64(len(v))
	return part{p.raw[start:end], Place{Offset: p.at.Offset + start, Path: p.at.Path + string(d.StackPointer())}}, nil
}

// decode reads a part into v; the error names the member.
func (p part) decode(v any) error {
	err := json.Unmarshal(p.raw, v)
	if s, ok := err.(*json.SemanticError); ok {
		return fmt.Errorf("%s: is %s, must be %s", s.JSONPointer, kindName(s.JSONKind), wanted(s))
	}
	return err
}

// kindName says what a JSON value is.
func kindName(k jsontext.Kind) string {
	switch k {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a text"
	case '0':
		return "a number"
	}
	return k.String()
}

// wanted says what a value must be instead.
func wanted(s *json.SemanticError) string {
	if s.GoType == nil {
		return "something else"
	}
	switch s.GoType.Kind().String() {
	case "string":
		return "a text"
	case "slice":
		return "a list"
	case "struct", "map":
		return "an object"
	}
	return "a number"
}

// fault makes an item of a part that cannot be read.
func (p part) fault(code, format string, args ...any) Item {
	return Item{At: p.at, Fault: &Fault{Code: code, Msg: fmt.Sprintf(format, args...), Raw: p.raw}}
}

// Codes of faults, as the entry gate has them.
const malformed = "malformed"

// day reads a date without a time as its midnight.
func day(text string) (stix.Time, error) {
	t, err := stix.ParseTime(text + "T00:00:00.000Z")
	if err != nil {
		return t, fmt.Errorf("%q is no date like 2026-01-31", clip(text))
	}
	return t, nil
}

// clip keeps a text short for a message.
func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}

// note adds a note.
func (d *Document) note(at Place, code string, args ...string) {
	d.Notes = append(d.Notes, Note{Place: at, Code: code, Args: args})
}
