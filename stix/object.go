package stix

import "crypto/sha256"

// Limits of the reader (noroshi's own; STIX 2.1 sets none).
const (
	MaxObjectBytes = 8 << 20 // bytes of one object
	MaxDepth       = 64      // nested arrays and objects
)

// Object is one STIX object: its bytes and the header decoded from them.
// An Object is immutable; the slices it hands out must not be changed.
type Object struct {
	Type        string
	ID          ID
	SpecVersion string // "2.1"; empty on SCOs that leave it out
	Created     Time   // zero where the type has none
	Modified    Time   // zero where the type has none (SCO, marking-definition)
	CreatedBy   ID     // created_by_ref
	Revoked     bool
	Markings    []ID // object_marking_refs, in order
	Granular    bool // has granular_markings
	Lang        string

	raw  []byte
	refs []Ref
}

// Bytes returns the exact bytes the object was read from.
func (o *Object) Bytes() []byte { return o.raw }

// Hash returns the SHA-256 of Bytes.
func (o *Object) Hash() [32]byte { return sha256.Sum256(o.raw) }
