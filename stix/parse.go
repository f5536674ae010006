package stix

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// Parse reads one object strictly; the object keeps raw, which the caller must
// not change afterwards.
//
// It refuses text that is not JSON (RFC 8259), bytes behind the object, a
// member name that occurs twice in one object at any depth or differs from
// another only in case, bad UTF-8 and lone surrogates, nesting beyond MaxDepth
// and more than MaxObjectBytes. Of STIX it asks only what the header needs: a
// type, an id of that type, and a good form of the header's properties where
// they stand. A bundle is no object. Types, properties and extensions that it does not know are kept.
// Validate asks for the rest.
//
// Errors are *SyntaxError.
func Parse(raw []byte) (*Object, error) {
	if len(raw) > MaxObjectBytes {
		return nil, &SyntaxError{Code: "size", Offset: MaxObjectBytes, Msg: "the object is larger than 8 MiB"}
	}
	d := desks.Get().(*desk)
	defer d.clear()
	d.header = header{o: &Object{raw: raw}}
	d.scanner = scanner{b: raw, obj: &d.header, keys: d.keys[:0], path: d.path[:0]}
	return d.parse()
}

// desk is what the reading of one object needs beside the object.
type desk struct {
	scanner
	header header
}

// desks saves the memory of desks from one object to the next.
var desks = sync.Pool{New: func() any {
	return &desk{scanner: scanner{keys: make([]key, 0, 32), path: make([]step, 0, 8)}}
}}

// clear gives the desk back, without what would keep an object alive.
func (d *desk) clear() {
	keys, path := d.keys[:cap(d.keys)], d.path[:cap(d.path)]
	clear(keys)
	clear(path)
	d.header, d.scanner = header{}, scanner{keys: keys, path: path}
	if len(keys) <= 1024 {
		desks.Put(d)
	}
}

func (d *desk) parse() (*Object, error) {
	s, raw := &d.scanner, d.b
	s.space()
	if s.i < len(raw) && raw[s.i] != '{' {
		if bytes.HasPrefix(raw, bom) {
			return nil, s.fail("bom", "a byte order mark stands before the object")
		}
		return nil, s.fail("type", "a STIX object is a JSON object")
	}
	if err := s.document(); err != nil {
		return nil, err
	}
	if err := d.header.finish(s); err != nil {
		return nil, err
	}
	return d.header.o, nil
}

// bom is the byte order mark of UTF-8.
var bom = []byte("\xef\xbb\xbf")

// SyntaxError says where and why input was refused. It never quotes a value of
// the input.
type SyntaxError struct {
	Code   string // stable: "syntax", "trailing", "duplicate-key", "case-key", "depth", "size", "utf8", "escape", "control", "bom", "type", "name", "missing", "id", "time", "bundle"; of a Reader also "truncated", of Canonical "number"
	Path   string // JSON pointer (RFC 6901) of the place, as far as known
	Offset int64  // bytes from the start of the input
	Line   int    // from 1; 0 when not known
	Msg    string
}

// Error says what is wrong and where.
func (e *SyntaxError) Error() string {
	place := fmt.Sprintf("offset %d", e.Offset)
	if e.Line > 0 {
		place = fmt.Sprintf("line %d, %s", e.Line, place)
	}
	if e.Path != "" {
		place += ", at " + e.Path
	}
	return e.Msg + " (" + place + ")"
}

// fail makes an error at the place of the scanner.
func (s *scanner) fail(code, msg string) *SyntaxError {
	var path strings.Builder
	for _, p := range s.path {
		switch {
		case p.name != nil:
			path.WriteString("/" + pointerEscaper.Replace(string(p.name)))
		case p.index != noElement:
			path.WriteString("/" + strconv.Itoa(p.index))
		}
	}
	at := min(s.i, len(s.b))
	return &SyntaxError{
		Code: code, Path: path.String(), Msg: msg,
		Offset: int64(at), Line: 1 + bytes.Count(s.b[:at], []byte("\n")),
	}
}

var pointerEscaper = strings.NewReplacer("~", "~0", "/", "~1")

// header collects what an Object shows beside its bytes.
type header struct {
	o              *Object
	hasType, hasID bool
	idAt           int
	err            *SyntaxError
}

// property takes a top-level member; at is where its value starts. A value of
// bad form is kept for finish: whether the text is JSON is settled first.
func (h *header) property(s *scanner, name []byte, v RawValue, at int) {
	o := h.o
	var code string
	switch string(name) {
	case "type":
		h.hasType = true
		o.Type, code = headerType(v)
	case "id":
		h.hasID, h.idAt = true, at
		o.ID, code = headerID(v)
	case "spec_version":
		o.SpecVersion, code = headerText(v)
	case "created":
		o.Created, code = headerTime(v)
	case "modified":
		o.Modified, code = headerTime(v)
	case "created_by_ref":
		o.CreatedBy, code = headerID(v)
	case "revoked":
		o.Revoked = v.kind() == 't'
		if !o.Revoked && v.kind() != 'f' {
			code = "type"
		}
	case "lang":
		o.Lang, code = headerText(v)
	case "object_marking_refs":
		o.Markings, code = headerIDs(v)
	case "granular_markings":
		o.Granular = true
	}
	if code != "" && h.err == nil {
		end := s.i
		s.i = at
		h.err = s.fail(code, headerMessages[code])
		s.i = end
	}
}

var headerMessages = map[string]string{
	"type": "the property has a value of the wrong type",
	"id":   "this is no STIX identifier, type--UUID",
	"time": "this is no timestamp of the form 2006-01-02T15:04:05.000Z",
	"name": "this is no name of a STIX type",
}

func headerText(v RawValue) (string, string) {
	s, ok := v.text()
	if !ok {
		return "", "type"
	}
	return s, ""
}

func headerType(v RawValue) (string, string) {
	if v.kind() != '"' {
		return "", "type"
	}
	if known, ok := typeNames[string(v[1:len(v)-1])]; ok {
		return known, ""
	}
	s, _ := v.text()
	if !isTypeName(s) {
		return "", "name"
	}
	return s, ""
}

func headerID(v RawValue) (ID, string) {
	s, ok := v.text()
	if !ok {
		return "", "type"
	}
	id, err := ParseID(s)
	if err != nil {
		return "", "id"
	}
	return id, ""
}

func headerTime(v RawValue) (Time, string) {
	s, ok := v.text()
	if !ok {
		return Time{}, "type"
	}
	t, err := ParseTime(s)
	if err != nil {
		return Time{}, "time"
	}
	return t, ""
}

func headerIDs(v RawValue) ([]ID, string) {
	if v.kind() != '[' {
		return nil, "type"
	}
	var ids []ID
	for _, e := range v.Elements() {
		id, code := headerID(e)
		if code != "" {
			return nil, code
		}
		ids = append(ids, id)
	}
	return ids, ""
}

// finish checks what can be told only after the last member.
func (h *header) finish(s *scanner) *SyntaxError {
	s.path = nil
	switch o := h.o; {
	case o.Type == "bundle":
		return s.fail("bundle", "a bundle is no object but holds some; read it with a Reader")
	case h.err != nil:
		return h.err
	case !h.hasType:
		return s.fail("missing", "the object has no type")
	case !h.hasID:
		return s.fail("missing", "the object has no id")
	case !strings.HasPrefix(string(o.ID), o.Type) || len(o.ID) != len(o.Type)+idTail:
		s.i, s.path = h.idAt, []step{{name: []byte("id")}}
		return s.fail("id", "the id is of another type than the object")
	}
	h.describeRefs()
	return nil
}

// Property returns the value at a top-level property, nil when absent.
func (o *Object) Property(name string) RawValue { return RawValue(o.raw).trim().member(name) }

// Text returns the string at a top-level property with its escapes decoded,
// "" when absent or no string.
func (o *Object) Text(name string) string { return o.Property(name).Text() }

// Root returns the whole object as a value, without the white space around it.
func (o *Object) Root() RawValue { return RawValue(o.raw).trim() }

func (v RawValue) trim() RawValue { return RawValue(bytes.Trim(v, " \n\r\t")) }
