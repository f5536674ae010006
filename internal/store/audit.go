package store

import (
	"context"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// Entry is one act as the ledger has it.
type Entry struct {
	Index uint64
	Time  time.Time
	Act   noroshi.Act
	Rows  int          // rows the act wrote
	Root  noroshi.Hash // Merkle root over them
	Leaf  []byte       // the exact leaf
}

// Acts lists ledger entries from an index on, oldest first.
func (r Reads) Acts(ctx context.Context, from uint64, limit int) ([]Entry, error) { panic("stub") }

// Fault is one thing Verify found.
type Fault struct {
	Index uint64 // first bad ledger index
	Code  string // "row-changed", "row-missing", "row-extra", "leaf", "tree", "checkpoint", "link", "derived", "batch-signature"
	Table string
	Msg   string
}

// Verified is the outcome of Verify.
type Verified struct {
	Acts   uint64
	Rows   uint64
	Links  int
	Head   noroshi.Hash // root of the node's ledger
	Faults []Fault      // empty = intact; the first has the lowest index
}

// Verify re-derives every leaf from its rows, both kinds of trees from their
// leaves, checks the signed checkpoints and the signatures of approved batches
// (persons' keys from their documents), and rebuilds and compares derived
// tables. progress may be nil.
func (s *Store) Verify(ctx context.Context, progress func(done, total uint64)) (Verified, error) {
	panic("stub")
}

// Proof is a self-contained file: one act's leaf, its inclusion proof, the
// signed checkpoint and the key, and for a message or object its row's path.
// Text form, checked offline by CheckProof.
func (s *Store) Prove(ctx context.Context, index uint64) ([]byte, error) { panic("stub") }

// CheckProof checks a proof file without a store and says what it proves.
func CheckProof(file []byte) (string, error) { panic("stub") }

// LinkHead returns the size and root of the link ledger with a partner.
func (r Reads) LinkHead(ctx context.Context, partner noroshi.NodeID) (size uint64, root noroshi.Hash, err error) {
	panic("stub")
}
