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
	Version    uint64   // 2; 1 where the leaf of its link is of the first form
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
// It has two forms on record: the first, of ten elements, has no Root.
type LinkLeaf struct {
	Version    uint64 // 2
	Index      uint64 // in the link's tree
	Time       int64
	Action     string
	Detail     Hash // Detail.LinkCommitment
	Label      string
	Agreement  []byte
	Message    []byte
	Count      int64
	Precedence uint64
	Root       Hash // RFC 6962 root over the hashes of the rows the act wrote
}

type linkLeaf1 struct {
	_          struct{} `cbor:",toarray"`
	Version    uint64
	Index      uint64
	Time       int64
	Action     string
	Detail     Hash
	Label      string
	Agreement  []byte
	Message    []byte
	Count      int64
	Precedence uint64
}

type linkLeaf2 struct {
	_          struct{} `cbor:",toarray"`
	Version    uint64
	Index      uint64
	Time       int64
	Action     string
	Detail     Hash
	Label      string
	Agreement  []byte
	Message    []byte
	Count      int64
	Precedence uint64
	Root       Hash
}

// MarshalCBOR writes the form the version names.
func (l LinkLeaf) MarshalCBOR() ([]byte, error) {
	if l.Version < 2 {
		return encode.Marshal(linkLeaf1{Version: l.Version, Index: l.Index, Time: l.Time, Action: l.Action, Detail: l.Detail,
			Label: l.Label, Agreement: l.Agreement, Message: l.Message, Count: l.Count, Precedence: l.Precedence})
	}
	return encode.Marshal(linkLeaf2{Version: l.Version, Index: l.Index, Time: l.Time, Action: l.Action, Detail: l.Detail,
		Label: l.Label, Agreement: l.Agreement, Message: l.Message, Count: l.Count, Precedence: l.Precedence, Root: l.Root})
}

// UnmarshalCBOR reads either form.
func (l *LinkLeaf) UnmarshalCBOR(b []byte) error {
	if len(b) > 1 && b[1] < 2 {
		var w linkLeaf1
		err := decode.Unmarshal(b, &w)
		*l = LinkLeaf{Version: w.Version, Index: w.Index, Time: w.Time, Action: w.Action, Detail: w.Detail,
			Label: w.Label, Agreement: w.Agreement, Message: w.Message, Count: w.Count, Precedence: w.Precedence}
		return err
	}
	var w linkLeaf2
	err := decode.Unmarshal(b, &w)
	*l = LinkLeaf{Version: w.Version, Index: w.Index, Time: w.Time, Action: w.Action, Detail: w.Detail,
		Label: w.Label, Agreement: w.Agreement, Message: w.Message, Count: w.Count, Precedence: w.Precedence, Root: w.Root}
	return err
}

// Detail is what the leaves of an act commit to without showing it.
type Detail struct {
	_       struct{} `cbor:",toarray"`
	Salt    []byte   // 16 random bytes
	Subject string
	Persons []Person
	Caller  []string // person, and name of the token: in whose call it was done; none = nobody's
}

// detail1 is a Detail of which nobody was the caller.
type detail1 struct {
	_       struct{} `cbor:",toarray"`
	Salt    []byte
	Subject string
	Persons []Person
}

type detail2 struct {
	_       struct{} `cbor:",toarray"`
	Salt    []byte
	Subject string
	Persons []Person
	Caller  []string
}

// MarshalCBOR writes the caller only where there is one.
func (d Detail) MarshalCBOR() ([]byte, error) {
	if len(d.Caller) == 0 {
		return encode.Marshal(detail1{Salt: d.Salt, Subject: d.Subject, Persons: d.Persons})
	}
	return encode.Marshal(detail2{Salt: d.Salt, Subject: d.Subject, Persons: d.Persons, Caller: d.Caller})
}

// UnmarshalCBOR reads either form.
func (d *Detail) UnmarshalCBOR(b []byte) error {
	if len(b) > 0 && b[0] == 0x83 { // an array of three
		var w detail1
		err := decode.Unmarshal(b, &w)
		*d = Detail{Salt: w.Salt, Subject: w.Subject, Persons: w.Persons}
		return err
	}
	var w detail2
	err := decode.Unmarshal(b, &w)
	*d = Detail{Salt: w.Salt, Subject: w.Subject, Persons: w.Persons, Caller: w.Caller}
	return err
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

// LinkSalt is the salt under which the link's leaf commits to the subject: it
// can be shown without opening what the node's leaf commits to.
func (d Detail) LinkSalt() []byte {
	salt := sha256.Sum256(append([]byte("noroshi link salt 1\x00"), d.Salt...))
	return salt[:]
}

// LinkCommitment returns the salted hash that stands in the link's leaf: of
// the subject alone, under a salt of its own.
func (d Detail) LinkCommitment() Hash { return CommitSubject(d.LinkSalt(), d.Subject) }

// CommitSubject is LinkCommitment from the link's salt.
func CommitSubject(linkSalt []byte, subject string) Hash {
	return sha256.Sum256(append(append([]byte("noroshi link detail 1\x00"), linkSalt...), subject...))
}
