// Package lift turns documents of other formats into STIX 2.1 objects, so that
// the entry gate can admit them as it admits a STIX file.
//
// A Format tells its documents by their beginning and lifts one whole document
// at a time, of at most MaxBytes. What a lifter changed or could not carry it
// says in notes; a part it cannot read is a Fault, which the gate quarantines,
// and the rest is lifted all the same. Only what is no document of the format
// at all is an error, and then nothing of it enters.
//
// A lifter is a function of the document and of its Feed: the same document
// gives the same objects. It reads no clock, no store and no other file.
package lift

import (
	"fmt"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// Bounds of a document.
const (
	MaxBytes = 64 << 20  // one document, unpacked
	MaxItems = 1_000_000 // objects lifted from one
)

// Feed says for whom a document is lifted.
type Feed struct {
	Name  string    // what it goes by: its file's name without folder and endings
	Self  stix.ID   // the identity of this node
	Space [16]byte  // the UUID of that identity
	First stix.Time // when this import began
}

// ID derives the id of an object this node makes: from its identity, the source
// that spoke and what of. Two sources that say the same make two objects.
func (f Feed) ID(typ, source, key string) stix.ID {
	return stix.DeriveID(typ, f.Space, source+"\n"+typ+"\n"+key)
}

// Document is what a lifter made of one: items in the order the document has
// them, what an item refers to before it.
type Document struct {
	Items  []Item
	Notes  []Note
	Beside []Beside
}

// Beside is a document to be kept with the objects, for what STIX cannot carry
// of the source. It never leaves with them.
type Beside struct {
	Kind, Key string
	At        stix.Time // as of when the source says it: an older one replaces no later one
	Tags      []string  // what the source says of the handling of all the objects
	Body      []byte
}

// Item is an object, one to be made, or why there is none: one of Object, Make
// and Fault is set.
type Item struct {
	// Object has an id and times of its own, as the document gives them.
	Object *stix.Object

	// Make makes an object whose id is derived, with the times the gate gives
	// it: Created and Modified, or those of the import where they are zero.
	// Where a version that differs in nothing but its times is here already,
	// that one stands; where one differs, the later import's becomes a new
	// version. Equal times must give equal bytes, and times decide nothing else.
	Make              func(created, modified stix.Time) (*stix.Object, error)
	Created, Modified stix.Time

	// Next makes the same under another id, for an object that was revoked as it
	// had vanished; nil = its id is the only one.
	Next func() Item

	// Stale says why an object may not begin its life with this import; one that
	// is here already stays. "" = it may.
	Stale string

	Fault *Fault

	Own  bool        // made by this node of what the document says: its source is the node, not the file
	TLP  noroshi.TLP // what the document says of its handling, in words of its own; NoTLP = nothing
	Held string      // what it says of its handling that is not understood: the object is kept and held; see HeldLabel
	At   Place

	// Tags are what the source says of its handling in tags, which a mapping
	// profile reads; nil where it has none. Of names the document beside it.
	Tags []string
	Of   string

	// Common says that other documents have the same object: the tags of this
	// one mark it where nothing has marked it yet, and narrow nothing later.
	Common bool
}

// Fault is why a part of a document became no object.
type Fault struct {
	Code string // as the gate's: "malformed", "too-large"
	Msg  string // in English: the field and what is wrong with it
	Raw  []byte // the part
	Why  error  // Msg with a code of its own; nil = it has none
}

// ParseTLP reads a level as sources write it: in either case, with or without
// TLP: before it, and WHITE, as TLP 1.0 called CLEAR.
func ParseTLP(word string) (noroshi.TLP, error) {
	word = strings.ToUpper(strings.TrimSpace(word))
	name, _ := strings.CutPrefix(word, "TLP:")
	if name == "WHITE" {
		name = "CLEAR"
	}
	return noroshi.ParseTLP("TLP:" + name)
}

// HeldLabel is the label (STIX 2.1 §3.2) an object gets that is held for what its
// source calls its handling: who judges it sees the word, and a source that
// begins or ceases to say it makes a later version, which is judged anew.
func HeldLabel(word string) string { return "handling: " + clip(word) }

// Place says where in a document something stood.
type Place struct {
	Offset int64  // of its first byte
	Line   int    // of that byte, from 1; 0 = not known
	Path   string // JSON pointer (RFC 6901), "" = not known
}

// Note says what a lifter changed, or could not carry.
type Note struct {
	Place Place
	Code  string // the catalogue has its text under "note." and this
	Args  []string
	Count int // how often, 0 = once
}

// Error is why a document is none of its format.
type Error struct {
	At  Place
	Msg string
}

// Error says where and what.
func (e *Error) Error() string {
	switch {
	case e.At.Line > 0 && e.At.Path != "":
		return fmt.Sprintf("line %d, %s: %s", e.At.Line, e.At.Path, e.Msg)
	case e.At.Line > 0:
		return fmt.Sprintf("line %d: %s", e.At.Line, e.Msg)
	}
	return e.Msg
}
