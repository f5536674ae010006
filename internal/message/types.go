// Package message is NX/1: signed, sequenced, sealed messages between nodes,
// independent of the channel that carries them (docs/wire.md is the
// specification, byte by byte), and the stream as a pure step.
//
// Sign, SignStatement, SignCard and ConsentAgreement make what a node says;
// Seal puts it into an envelope for one partner, and Unseal is the one way back:
// it checks everything that keys can prove before it returns anything. What the
// store kept is read by DecodeSigned, DecodeStatement and the Parse functions.
//
// It does no I/O and reads no clock: time comes in as an argument. Decoding is
// strict: what does not re-encode to the same bytes is refused. Whatever reads
// signed bytes is told the realm and compares; no realm is learnt from the wire.
package message

import (
	"time"

	"github.com/noroshi-cti/noroshi"
)

// Epoch names one life of one side of a link: 16 random bytes.
type Epoch [16]byte

// Kind of a message, statement or document (docs/wire.md §2).
type Kind uint8

// Kinds in the log, and of statements.
const (
	Data       Kind = 1
	Recall     Kind = 2
	RecallDone Kind = 3
	Tombstone  Kind = 4
	Outcome    Kind = 5
	Read       Kind = 6
	EpochStart Kind = 7
	Link       Kind = 8

	StateKind      Kind = 16
	WantKind       Kind = 17
	RefuseKind     Kind = 18
	CheckpointKind Kind = 19
	CosignKind     Kind = 20
	ReturnKind     Kind = 21
	RecallsKind    Kind = 22
)

// Form of a content.
const (
	NoForm      = 0
	ObjectsForm = 1 // CBOR array of [view, object bytes]
	ControlForm = 2 // fixed control body
)

// Limits of the wire.
const (
	MaxContent  = 16 << 20
	MaxEnvelope = 24 << 20
	MaxBatch    = 1000    // objects in one DATA
	MaxBatchLen = 1 << 20 // bytes of a DATA content unless one object alone is larger
)

// Context binds every signature to a link, a life and an agreement.
type Context struct {
	Realm     noroshi.Realm
	From, To  noroshi.NodeID
	Epoch     Epoch
	Agreement noroshi.Hash // zero on the control stream before one is in force
}

// Header is the signed header of a message (or, with Seq as counter and only
// Kind, Created, Len, of a statement).
type Header struct {
	Seq     uint64
	Kind    Kind
	Prec    noroshi.Precedence
	Created time.Time // whole seconds UTC
	TTL     uint32    // seconds, 0 = none
	Label   string    // normal form; "" on control messages
	// LabelRef is 1 + the index into the agreement's label table when the label
	// is not written out. No agreement has such a table yet: hold the message.
	LabelRef uint64
	Deps     []uint64 // at most 16 lower sequences of the same epoch
	Form     uint8
	Len      uint32 // bytes of content
}

// Message is one signed entry of a stream.
type Message struct {
	Context     Context
	KeyID       [4]byte
	Header      Header
	ContentHash noroshi.Hash
	Signature   []byte
	Content     []byte // nil when not at hand
}

// Object is one element of a DATA content.
type Object struct {
	View  uint32
	Bytes []byte
}

// Range is an inclusive run of sequences.
type Range struct{ A, B uint64 }

// State is the statement that is heartbeat, hello, receipt and head in one
// (docs/wire.md, STATE).
type State struct {
	Run       [8]byte
	Out       OutHead
	In        []InSet
	Cited     Citation
	Keys      [2]KeyVersion // mine I can open for; yours I hold
	Challenge [8]byte
	Echo      [8]byte
}

// OutHead is the head of my log in my present epoch.
type OutHead struct {
	Parents []Epoch
	Head    uint64
	Chain   [16]byte
}

// InSet is what I hold of one of your epochs.
type InSet struct {
	Epoch    Epoch
	Cum      uint64
	ChainCum [16]byte
	Ranges   []Range
	Open     []uint64 // stored but not applied
}

// Citation is the last STATE of yours I hold.
type Citation struct {
	Epoch   Epoch
	Counter uint64
}

// KeyVersion names a KEYSET by version and the first 8 bytes of its hash.
type KeyVersion struct {
	Version uint64
	Hash    [8]byte
}

// Want asks for runs of the partner's sequences again.
type Want struct {
	Reason uint8 // 1 gap, 2 expired, 3 lost tail, 4 recall list
	Runs   []EpochRange
}

// EpochRange is a run within an epoch.
type EpochRange struct {
	Epoch Epoch
	Range Range
}

// Refuse says why something was not accepted; technical codes only.
type Refuse struct {
	Code uint8 // 1 version, 2 suite, 3 key, 4 quota, 5 realm
}

// OutcomeBody tells which objects of which messages had technical faults.
type OutcomeBody struct {
	Epoch Epoch
	Seq   uint64
	Codes []OutcomeCode
}

// OutcomeCode is one fault: 1 malformed, 2 unknown type, 3 too large, 4 label
// mismatch, 5 conflict.
type OutcomeCode struct {
	Index uint32
	Code  uint8
}

// ReadBody says a person in a role has read a message.
type ReadBody struct {
	Epoch Epoch
	Seq   uint64
	Role  noroshi.Role
	Time  time.Time
}

// TombstoneBody closes a sequence whose message will not come.
type TombstoneBody struct {
	Epoch        Epoch
	Seq          uint64
	ID           noroshi.Hash
	Reason       uint8 // 1 expired, 2 withheld, 3 destroyed
	SupersededBy uint64
}
