package store

import (
	"context"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// Decided is one object's outcome in a release or hold: rows of one batch or
// hold in the order of its Merkle tree.
type Decided struct {
	Seq  int64        // version
	Hash noroshi.Hash // of the version's bytes
	View noroshi.Hash // of the bytes the partner gets; equals Hash when uncut
}

// HoldGroup is what waits for a named human act: grouped by run, label, reason
// and partner.
type HoldGroup struct {
	ID         string // derived from the group's key
	Partner    noroshi.NodeID
	Run        string
	Label      string
	Key        noroshi.HoldKey
	Clause     string // the clause that would release it, for TwoPersons
	Agreement  noroshi.Hash
	Precedence noroshi.Precedence
	Reasons    []noroshi.Reason
	Count      int
	Sample     []int64 // first few versions
	State      string  // "open", "approved", "returned"
	Opened     time.Time
}

// PutHold adds versions to a hold, opening it if need be; versions already in
// it, or released to the partner already, add nothing.
func (t *Tx) PutHold(g HoldGroup, members []Decided) error { panic("stub") }

// CloseHold sets the state of a hold and takes its members out of the queue.
func (t *Tx) CloseHold(id, state string) error { panic("stub") }

// DropHeld takes single versions out of whatever hold they wait in for the
// partner (relabelled, superseded, withdrawn).
func (t *Tx) DropHeld(partner noroshi.NodeID, seqs []int64) error { panic("stub") }

// Holds lists holds in a state ("" = all), newest first, before an id.
func (r Reads) Holds(ctx context.Context, state string) ([]HoldGroup, error) { panic("stub") }

// HoldMembers returns a hold's members in order (by sequence), after one.
func (r Reads) HoldMembers(ctx context.Context, id string, after int64, limit int) ([]Decided, error) {
	panic("stub")
}

// Approval is one person's signature over a hold's root.
type Approval struct {
	Hold      string
	Person    string
	Root      noroshi.Hash // Merkle root signed
	Digest    noroshi.Hash // what was signed: root bound to partner, agreement, clause, label, counts
	Signature []byte
	Time      time.Time
}

// PutApproval keeps an approval.
func (t *Tx) PutApproval(a Approval) error { panic("stub") }

// Approvals returns a hold's approvals, oldest first.
func (r Reads) Approvals(ctx context.Context, hold string) ([]Approval, error) { panic("stub") }

// Batch is one release decision: certain bytes to a certain partner.
type Batch struct {
	ID         string
	Partner    noroshi.NodeID
	Agreement  noroshi.Hash
	Clause     string
	Label      string
	Precedence noroshi.Precedence
	Count      int
	Root       noroshi.Hash // over (object hash, view hash, outcome) of its rows
	Hold       string       // the hold it came from, "" when a clause released it
	Approvals  []Approval   // copies, when persons approved
	Act        uint64       // ledger index
	Sent       bool         // derived: all its messages are in the stream
}

// PutBatch keeps a batch and its rows; a version released to the partner
// already is refused as Conflict.
func (t *Tx) PutBatch(b Batch, rows []Decided) error { panic("stub") }

// Batch returns one batch.
func (r Reads) Batch(ctx context.Context, id string) (Batch, error) { panic("stub") }

// BatchRows returns a batch's rows in order, from ordinal `from`.
func (r Reads) BatchRows(ctx context.Context, id string, from, limit int) ([]Decided, error) {
	panic("stub")
}

// UnsentBatches returns ids of batches for a partner whose messages are not all
// in the stream, highest precedence first, then oldest.
func (r Reads) UnsentBatches(ctx context.Context, partner noroshi.NodeID) ([]string, error) {
	panic("stub")
}

// Released reports which of these versions went (or are decided to go) to the
// partner, and in which batch.
func (r Reads) Released(ctx context.Context, partner noroshi.NodeID, seqs []int64) (map[int64]string, error) {
	panic("stub")
}

// HeldFor reports which of these versions wait in an open or returned hold for the partner.
func (r Reads) HeldFor(ctx context.Context, partner noroshi.NodeID, seqs []int64) (map[int64]string, error) {
	panic("stub")
}

// PartnerHas reports which ids the partner has: it sent them, or a message with
// them to it is in the stream.
func (r Reads) PartnerHas(ctx context.Context, partner noroshi.NodeID, ids []string) (map[string]bool, error) {
	panic("stub")
}

// OutMessage is one entry of our stream to a partner.
type OutMessage struct {
	Partner   noroshi.NodeID
	Epoch     [16]byte
	Seq       uint64
	ID        noroshi.Hash
	Kind      uint8
	Prec      noroshi.Precedence
	Created   time.Time
	TTL       uint32
	Signed    []byte       // the signed message without content, as message.Encode gives it
	Content   []byte       // nil for DATA made of kept objects: rebuilt from Batch, First, Count
	Batch     string       // DATA: the batch
	First     int          // ordinal of its first row
	Count     int          // rows
	Chain     noroshi.Hash // chain_seq
	State     OutState     // derived
	StateTime time.Time    // derived: when it got there
	Attempts  int          // derived
}

// OutState is how far a message has got (exchange: sender's message).
type OutState uint8

// The states, upwards only; Withheld and Expired are side exits closed by a tombstone.
const (
	Committed OutState = iota
	Attempted
	StoredThere
	AppliedThere
	ReadThere
	Withheld
	Expired
)

// PutOut appends a message to the stream; seq must be last + 1 of its epoch.
func (t *Tx) PutOut(m OutMessage) error { panic("stub") }

// SetOutState moves messages of an epoch up to a state; how is the statement
// or message that says so (evidence), or the channel of an attempt.
func (t *Tx) SetOutState(partner noroshi.NodeID, epoch [16]byte, seqs []uint64, to OutState, how string) error {
	panic("stub")
}

// Out returns messages of a stream from seq on.
func (r Reads) Out(ctx context.Context, partner noroshi.NodeID, epoch [16]byte, from uint64, limit int) ([]OutMessage, error) {
	panic("stub")
}

// Unreceipted returns messages not yet stored at the partner, precedence first, then sequence.
func (r Reads) Unreceipted(ctx context.Context, partner noroshi.NodeID, epoch [16]byte, limit int) ([]OutMessage, error) {
	panic("stub")
}

// InMessage is one message a partner sent.
type InMessage struct {
	Partner noroshi.NodeID
	Epoch   [16]byte
	Seq     uint64
	ID      noroshi.Hash
	Kind    uint8
	Prec    noroshi.Precedence
	Created time.Time
	Signed  []byte
	Content []byte // kept while not applied, and for ever for control messages
	Channel string
	State   InState
	Second  bool // another id under a sequence that is bound: kept, held, alarmed
	Time    time.Time
}

// InState is how far a received message has got; upwards only.
type InState uint8

// The states (exchange §1.4). Missing is the absence of a row.
const (
	Missing InState = iota
	Tombstoned
	Stored
	Held
	Applied
)

// PutIn keeps a received message. The first id under (partner, epoch, seq)
// stands; the same id again returns false; another id is kept with Second.
func (t *Tx) PutIn(m InMessage) (fresh bool, err error) { panic("stub") }

// SetInState moves a received message up.
func (t *Tx) SetInState(partner noroshi.NodeID, epoch [16]byte, seq uint64, to InState) error {
	panic("stub")
}

// In returns received messages of a stream from seq on.
func (r Reads) In(ctx context.Context, partner noroshi.NodeID, epoch [16]byte, from uint64, limit int) ([]InMessage, error) {
	panic("stub")
}

// PutEvidence keeps a signed statement or document as evidence on a link
// (STATE, receipts): kind and counter order it, the newest of a kind counts.
func (t *Tx) PutEvidence(partner noroshi.NodeID, kind uint8, epoch [16]byte, counter uint64, signed []byte) error {
	panic("stub")
}

// Evidence returns the newest statement of a kind from the partner in an epoch
// (zero epoch = any), or NotFound.
func (r Reads) Evidence(ctx context.Context, partner noroshi.NodeID, kind uint8, epoch [16]byte) (counter uint64, signed []byte, err error) {
	panic("stub")
}
