package stix

import "io"

// Parse reads one object strictly; the object keeps raw, which the caller must
// not change afterwards. Errors are *SyntaxError.
func Parse(raw []byte) (*Object, error) { panic("stub") }

// SyntaxError says where and why input was refused.
type SyntaxError struct {
	Code   string // stable, such as "duplicate-key", "depth", "utf8", "type"
	Path   string // JSON pointer of the place, as far as known
	Offset int64  // bytes from the start of the input
	Line   int    // from 1; 0 when not known
	Msg    string
}

func (e *SyntaxError) Error() string { return e.Msg }

// Type returns the part of an id before "--".
func (id ID) Type() string { panic("stub") }

// ParseID checks the form type--UUID (STIX 2.1 §2.9).
func ParseID(s string) (ID, error) { panic("stub") }

// NewID returns a random (UUIDv4) id of the type.
func NewID(typ string) ID { panic("stub") }

// DeriveID returns the UUIDv5 id of the type over a namespace and a name.
func DeriveID(typ string, namespace [16]byte, name string) ID { panic("stub") }

// Item is one element of a stream: an object, or why it is none.
type Item struct {
	Object *Object
	Raw    []byte // the element's bytes, cut at MaxObjectBytes when larger
	Err    error  // *SyntaxError with Offset and Line in the whole input; the stream goes on
	Offset int64
	Line   int
}

// Reader reads a STIX bundle, an array of objects, one object, or JSON lines,
// in memory bounded by the largest object.
type Reader struct{ r io.Reader }

// NewReader returns a Reader over r.
func NewReader(r io.Reader) *Reader { return &Reader{r} }

// Next returns the next element; io.EOF at the end; any other error ends the
// stream (the input is broken beyond the element).
func (r *Reader) Next() (Item, error) { panic("stub") }

// Member is one property for Make, in the order to be written.
type Member struct {
	Name  string
	Value any // string, bool, int, ID, Time, []ID, []string, []Member (an object), []any, RawValue
}

// RawValue is JSON written as it is.
type RawValue []byte

// Make writes an object with its members in the given order, leaves out
// members whose value is "", nil, an empty slice or a zero Time, and reads the
// result strictly.
func Make(members ...Member) (*Object, error) { panic("stub") }

// Property returns the value at a top-level property, nil when absent.
func (o *Object) Property(name string) RawValue { panic("stub") }

// Text returns the string at a top-level property, "" when absent or no string.
func (o *Object) Text(name string) string { panic("stub") }

// Problem is one way an object departs from STIX 2.1.
type Problem struct {
	Code string // stable
	Path string
	Msg  string
}

// Validate is noroshi's own check of an object against STIX 2.1: required and
// known properties, their types, vocabularies that are closed, id forms,
// reference types, time order. No problem means the OASIS 2.1 schemas accept
// the object, and the reverse.
func Validate(o *Object) []Problem { panic("stub") }

// Canonical returns the RFC 8785 form of a JSON value.
func Canonical(raw []byte) ([]byte, error) { panic("stub") }

// SCOID returns the deterministic id of a cyber-observable object (STIX 2.1
// §2.9, UUIDv5 over the id contributing properties).
func SCOID(o *Object) (ID, error) { panic("stub") }

// Resolve reports whether a selector (STIX 2.1 §7.2.3.1) names something in
// the object.
func Resolve(o *Object, selector string) bool { panic("stub") }

// Cut returns the object without the selected properties, all other bytes
// kept; granular_markings entries that named them go too, and list positions
// in the remaining selectors are renumbered.
func Cut(o *Object, selectors []string) (*Object, error) { panic("stub") }

// Indicator is the typed view of an indicator (STIX 2.1 §4.7).
type Indicator struct {
	Name           string
	Pattern        string
	PatternType    string
	PatternVersion string
	ValidFrom      Time
	ValidUntil     Time
	Confidence     int // -1 when absent
}

// Indicator decodes the view; an error when the object is no indicator.
func (o *Object) Indicator() (Indicator, error) { panic("stub") }

// Sighting is the typed view of a sighting (STIX 2.1 §5.2).
type Sighting struct {
	SightingOf ID
	Count      int
	FirstSeen  Time
	LastSeen   Time
}

// Sighting decodes the view; an error when the object is no sighting.
func (o *Object) Sighting() (Sighting, error) { panic("stub") }

// MarkingDefinition is the typed view of a marking-definition (STIX 2.1 §7.2.1).
type MarkingDefinition struct {
	Name           string
	DefinitionType string
	Statement      string // definition.statement
	TLP            string // definition.tlp, or the TLP 2.0 extension's value
	Extensions     []ID   // ids of its extensions, sorted
	Exercise       string // exercise_id of noroshi's exercise extension
	Unknown        bool   // has members the specification and known extensions do not define
}

// MarkingDefinition decodes the view; an error when the object is none.
func (o *Object) MarkingDefinition() (MarkingDefinition, error) { panic("stub") }
