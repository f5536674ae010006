// Package store keeps everything a node has in one realm, in one SQLite file,
// behind one write door.
//
// Do runs an act: the rows it writes and its ledger leaf commit in the same
// transaction, or neither does. Evidential tables are append-only and every
// row belongs to one act, whose leaf holds the Merkle root over the act's rows;
// derived tables (current, value, reference, full text, hold counts, message
// states, cursors) can be rebuilt from them and Verify compares.
//
// One write lane, two queues: acts of precedence Immediate and Flash go first;
// a bulk act asks Tx.Yield between objects and ends early when an urgent one
// waits and it has had about 10 ms.
package store

import (
	"context"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// Options of Open.
type Options struct {
	Realm noroshi.Realm
	Node  noroshi.NodeID           // zero until init has made the first KEYSET; then it must agree with the file
	Sign  func(text []byte) []byte // signs ledger checkpoints (Ed25519, the node's control key)
	Key   []byte                   // its public key, for Verify
	Now   func() time.Time         // the clock that stamps acts; nil = time.Now
}

// Store is one realm of one node.
type Store struct{ Reads }

// Open opens or makes the realm's database at path, migrates it, and refuses a
// file of another realm, node or newer schema.
func Open(ctx context.Context, path string, o Options) (*Store, error) { panic("stub") }

// Close finishes running acts, checkpoints the WAL and closes the file.
func (s *Store) Close() error { panic("stub") }

// Done says where an act stands.
type Done struct {
	Index uint64    // in the node's ledger
	Seq   int64     // last change-feed sequence when it committed
	Time  time.Time // its time in the ledger
}

// Do is the only way to write. fn's writes and the ledger leaf of the act
// commit together; when fn fails nothing is written. Do waits for its turn in
// the lane; a cancelled ctx gives up waiting. An fn that wrote no row and set
// no act.Subject commits nothing and adds no leaf.
func (s *Store) Do(ctx context.Context, act noroshi.Act, fn func(*Tx) error) (Done, error) {
	panic("stub")
}

// Tx is the write side inside Do; it also reads what the act itself wrote.
type Tx struct{ Reads }

// Yield reports whether a bulk act should end here: an urgent act waits and
// this one has had its time.
func (t *Tx) Yield() bool { panic("stub") }

// Version is an object version (or edition) ready to be kept; everything that
// can be computed outside the lane is computed before.
type Version struct {
	Object *stix.Object
	Hash   noroshi.Hash // SHA-256 of the bytes
	Source noroshi.Source
	Run    string          // import or feed run, or "" ; holds are grouped by it
	View   uint32          // the sender's view number, 0 = uncut
	Values []noroshi.Value // what the value index gets
	Refs   []stix.ID       // what the reference index gets
	Assign []stix.ID       // markings assigned here to this version
	Flags  []string        // known-good warning-lists that name one of its values
	Text   string          // words for the full-text index: names, descriptions, never the value
}

// Put outcomes.
type PutResult uint8

// What Put found.
const (
	Unchanged PutResult = iota // the same bytes are here already from this owner
	New                        // first version of this id
	Updated                    // a later version, now current
	Older                      // kept; a later version is current
	Edition                    // another body of an object without modified
	Foreign                    // another source's version of an owned object: kept, shown as such, never current
	Conflict                   // two bodies under one id and modified from one owner: both kept, the version is held, never armed
)

// Put keeps a version. Revoked and withdrawn objects stay so.
func (t *Tx) Put(v *Version) (PutResult, int64, error) { panic("stub") }

// AssignMarking assigns a marking to a version; it narrows, or gives a label
// where there was none.
func (t *Tx) AssignMarking(seq int64, marking stix.ID) error { panic("stub") }

// Withdraw marks an object withdrawn, for ever. owner is the owner whose copy
// it is.
func (t *Tx) Withdraw(id stix.ID, owner string) error { panic("stub") }

// Quarantine keeps what was not understood, for a person.
func (t *Tx) Quarantine(q Quarantined) error { panic("stub") }

// Quarantined is a thing kept for a person: never dropped, never guessed.
type Quarantined struct {
	Seq    int64 // set by the store
	Source noroshi.Source
	Run    string
	Code   string // why
	Place  string // "line 12", "bundle element 5", member path
	Detail string // English, for the log
	Raw    []byte // at most 64 KiB of it
	Size   int64  // of the whole
	Time   time.Time
}

// PutDoc keeps a new version of a small document: person, partner, card,
// keyset, agreement, signature, run, config. Kinds and keys are the caller's.
// The newest version is the document; all are kept.
func (t *Tx) PutDoc(kind, key string, body []byte) error { panic("stub") }

// Notice puts a change into the feed that is no object: kind and id say what.
func (t *Tx) Notice(kind ChangeKind, id string) error { panic("stub") }

// Reads is the read side, on the Store (latest committed state) and in a Tx.
type Reads struct{}

// Record is an object version as kept.
type Record struct {
	Seq       int64 // change-feed sequence of its admission
	Object    *stix.Object
	Hash      noroshi.Hash
	Source    noroshi.Source
	Run       string
	View      uint32
	Assigned  []stix.ID
	Flags     []string
	Current   bool
	Withdrawn bool
	Conflict  bool
	Act       uint64 // ledger index of the act that brought it
}

// Current returns the current version of an object, or a NotFound error.
func (r Reads) Current(ctx context.Context, id stix.ID) (Record, error) { panic("stub") }

// Versions returns every version and edition kept under an id, oldest first.
func (r Reads) Versions(ctx context.Context, id stix.ID) ([]Record, error) { panic("stub") }

// Records returns the versions with these sequences, in the order asked;
// unknown ones are left out.
func (r Reads) Records(ctx context.Context, seqs []int64) ([]Record, error) { panic("stub") }

// Held reports which of these ids the store has in any version.
func (r Reads) Held(ctx context.Context, ids []stix.ID) (map[stix.ID]bool, error) { panic("stub") }

// Doc returns the newest version of a document, or a NotFound error.
func (r Reads) Doc(ctx context.Context, kind, key string) ([]byte, error) { panic("stub") }

// Docs returns the newest version of every document of a kind by key.
func (r Reads) Docs(ctx context.Context, kind string) (map[string][]byte, error) { panic("stub") }

// DocVersions returns all versions of a document, oldest first.
func (r Reads) DocVersions(ctx context.Context, kind, key string) ([][]byte, error) { panic("stub") }

// Referrers returns the ids of objects that refer to id, in keyset pages:
// pass the last id of a page as after.
func (r Reads) Referrers(ctx context.Context, id, after stix.ID, limit int) ([]stix.ID, error) {
	panic("stub")
}

// ByValue returns current objects with the value, oldest first, after seq.
// CIDR values find the addresses inside them and the reverse.
func (r Reads) ByValue(ctx context.Context, v noroshi.Value, after int64, limit int) ([]Record, error) {
	panic("stub")
}

// Filter selects objects for List.
type Filter struct {
	Type  string // "" = every type
	Run   string
	After int64 // keyset: records with Seq > After
	Limit int   // 1..1000
	All   bool  // every version, not only current ones
}

// List returns records in feed order.
func (r Reads) List(ctx context.Context, f Filter) ([]Record, error) { panic("stub") }

// Search finds current objects by words in names and descriptions, English or
// Japanese (bigrams). behind is how many changes the text index still lacks.
func (r Reads) Search(ctx context.Context, text string, after int64, limit int) (found []Record, behind int64, err error) {
	panic("stub")
}

// QuarantineList returns quarantined things after a sequence.
func (r Reads) QuarantineList(ctx context.Context, after int64, limit int) ([]Quarantined, error) {
	panic("stub")
}

// ChangeKind says what changed.
type ChangeKind string

// The kinds of changes. Object changes carry Seq of the version; notices carry
// the id given.
const (
	ObjectChanged    ChangeKind = "object"    // a version was put
	MarkingAssigned  ChangeKind = "marking"   // id = decimal sequence of the version
	ObjectWithdrawn  ChangeKind = "withdrawn" // id = object id
	AgreementChanged ChangeKind = "agreement" // id = node id of the partner
	BatchReleased    ChangeKind = "batch"     // id = batch id
	MessageStored    ChangeKind = "received"  // id = message id
	StreamChanged    ChangeKind = "stream"    // id = node id of the partner
	HoldChanged      ChangeKind = "hold"      // id = hold id
	AckGiven         ChangeKind = "ack"       // id = warning id
	PartnerChanged   ChangeKind = "partner"   // id = node id
	AlarmRaised      ChangeKind = "alarm"     // id = alarm text code
)

// Change is one entry of the feed: a gap-free local sequence. Nothing that a
// partner or client sees may be derived from it.
type Change struct {
	Seq  int64
	Kind ChangeKind
	ID   string // object id for ObjectChanged
	Time time.Time
}

// Feed returns changes with Seq > after, in order, at most limit.
func (r Reads) Feed(ctx context.Context, after int64, limit int) ([]Change, error) { panic("stub") }

// Head returns the last sequence of the feed.
func (r Reads) Head(ctx context.Context) (int64, error) { panic("stub") }

// Cursor returns a follower's place, 0 when it has none.
func (r Reads) Cursor(ctx context.Context, follower string) (int64, error) { panic("stub") }

// SetCursor moves a follower's place inside the act that did the follower's work.
func (t *Tx) SetCursor(follower string, seq int64) error { panic("stub") }

// Advance moves a follower's place where there was nothing to do. A cursor is
// derived state: a follower that reads again does nothing twice, so no act.
func (s *Store) Advance(ctx context.Context, follower string, seq int64) error { panic("stub") }

// Wait returns when the feed has passed seq or ctx ends.
func (s *Store) Wait(ctx context.Context, seq int64) error { panic("stub") }

// Each calls fn for every current, not withdrawn, not revoked version of a
// type in feed order, reading in blocks: the way 1.6 million indicators are
// armed in seconds. The record's slices are valid only during the call.
func (r Reads) Each(ctx context.Context, typ string, after int64, fn func(Record) error) error {
	panic("stub")
}
