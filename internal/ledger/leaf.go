package ledger

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// Leaf is an act in the node's tree. Subject and persons are not in it, only a
// salted hash of them, so that a proof names no one.
type Leaf struct {
	_          struct{} `cbor:",toarray"`
	Version    uint64   // 1
	Index      uint64
	Time       int64 // microseconds since 1970 UTC
	Action     string
	Detail     Hash // Detail.Commitment
	Label      string
	Agreement  []byte // 32 bytes, or empty
	Previous   uint64 // index + 1 of the act it rests on, 0 = none
	Message    []byte // 32 bytes, or empty
	Count      int64
	Precedence uint64
	Rows       []TableRows // what it wrote, tables in their fixed order
	Root       Hash        // RFC 6962 root over the hashes of these rows
	Partner    []byte      // link of the act, or empty
	LinkSize   uint64      // leaves of the link's tree with this act
	LinkRoot   []byte      // its root, or empty
}

// TableRows counts the rows an act wrote into one table.
type TableRows struct {
	_     struct{} `cbor:",toarray"`
	Table string
	Rows  uint64
}

// LinkLeaf is an act in the tree of one link: what the partner may see of it.
type LinkLeaf struct {
	_          struct{} `cbor:",toarray"`
	Version    uint64   // 1
	Index      uint64   // in the link's tree
	Time       int64
	Action     string
	Detail     Hash // Detail.LinkCommitment
	Label      string
	Agreement  []byte
	Message    []byte
	Count      int64
	Precedence uint64
}

// Detail is what the leaves of an act commit to without showing it.
type Detail struct {
	_       struct{} `cbor:",toarray"`
	Salt    []byte   // 16 random bytes
	Subject string
	Persons []Person
}

// Person is one person's signature in an act.
type Person struct {
	_         struct{} `cbor:",toarray"`
	ID        string
	Digest    Hash
	Signature []byte
}

var encode = func() cbor.EncMode {
	o := cbor.CoreDetEncOptions()
	o.NilContainers = cbor.NilContainerAsEmpty
	m, err := o.EncMode()
	if err != nil {
		panic(err)
	}
	return m
}()

var decode = func() cbor.DecMode {
	m, err := cbor.DecOptions{DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden}.DecMode()
	if err != nil {
		panic(err)
	}
	return m
}()

// Encode returns the deterministic CBOR of a Leaf, LinkLeaf or Detail.
func Encode[T Leaf | LinkLeaf | Detail](v T) []byte {
	b, err := encode.Marshal(v)
	if err != nil {
		panic(err) // these types always encode
	}
	return b
}

// Decode reads what Encode wrote and refuses every other spelling of it.
func Decode[T Leaf | LinkLeaf | Detail](b []byte) (T, error) {
	var v T
	if err := decode.Unmarshal(b, &v); err != nil {
		return v, fmt.Errorf("decode ledger record: %w", err)
	}
	if !bytes.Equal(Encode(v), b) {
		return v, fmt.Errorf("decode ledger record: not in its one deterministic form")
	}
	return v, nil
}

// Commitment returns the salted hash that stands in the node's leaf.
func (d Detail) Commitment() Hash {
	return sha256.Sum256(append([]byte("noroshi detail 1\x00"), Encode(d)...))
}

// LinkCommitment returns the salted hash that stands in the link's leaf: of
// the subject alone, under a salt of its own.
func (d Detail) LinkCommitment() Hash {
	salt := sha256.Sum256(append([]byte("noroshi link salt 1\x00"), d.Salt...))
	return sha256.Sum256(append(append([]byte("noroshi link detail 1\x00"), salt[:]...), d.Subject...))
}
