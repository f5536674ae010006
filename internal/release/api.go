// Package release is the EXIT GATE: nothing leaves uncleared.
package release

import (
	"context"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Cleared is exactly the bytes that may go to exactly one partner, with the
// batch that allowed it: one message's worth. Only a Desk makes one; the zero
// value is refused everywhere.
type Cleared struct {
	batch   store.Batch
	first   int
	objects []Object
}

// Object is one cleared object: the exact bytes and the view number.
type Object struct {
	View  uint32
	Bytes []byte
}

// Valid reports whether a Desk made it.
func (c Cleared) Valid() bool { return len(c.objects) > 0 }

// Batch returns the decision it rests on: partner, agreement, clause, label, precedence.
func (c Cleared) Batch() store.Batch { return c.batch }

// First returns the ordinal of its first object in the batch.
func (c Cleared) First() int { return c.first }

// Objects returns the objects; callers must not change them.
func (c Cleared) Objects() []Object { return c.objects }

// Options of a Desk.
type Options struct {
	Realm noroshi.Realm
	Node  noroshi.NodeID
	Self  noroshi.Organisation
	Now   func() time.Time // nil = time.Now
}

// Desk decides, holds, takes approvals and clears.
type Desk struct{}

// New returns the desk of a store.
func New(s *store.Store, o Options) (*Desk, error) { panic("stub") }

// Step follows the change feed by one slice: decides what changed for every
// partner in force, releases by clause (a batch), holds the rest; more is false
// when the feed's end was reached.
func (d *Desk) Step(ctx context.Context) (more bool, err error) { panic("stub") }

// Digest returns what release officers sign for a hold: its Merkle root bound
// to partner, agreement, clause, label and counts.
func (d *Desk) Digest(ctx context.Context, hold string) (noroshi.Hash, error) { panic("stub") }

// Approve adds a person's approval (signature over
// ActDigest(ActApprove, hold, Digest)); with the last one needed the hold
// becomes a batch. Waiting: how many approvals are still missing.
func (d *Desk) Approve(ctx context.Context, hold string, s noroshi.Signed) (waiting int, batch string, err error) {
	panic("stub")
}

// Return refuses a hold as a group; it stays on record.
func (d *Desk) Return(ctx context.Context, hold string, s noroshi.Signed) error { panic("stub") }

// Next clears the next message's worth of a batch from an ordinal on: at most
// 1,000 objects or 1 MiB (a larger object alone). Everything is checked again:
// agreement in force, nothing withdrawn, revoked-in-label or void.
func (d *Desk) Next(ctx context.Context, batch string, first int) (Cleared, error) { panic("stub") }

// Again clears the bytes of a message that is in the stream already, for
// sealing and sending: the same checks; an error of kind Refused means it must
// be withheld.
func (d *Desk) Again(ctx context.Context, m store.OutMessage) (Cleared, error) { panic("stub") }

// Explain decides for an object and partner and returns every reason.
func (d *Desk) Explain(ctx context.Context, seq int64, partner noroshi.NodeID) (noroshi.Outcome, []noroshi.Reason, error) {
	panic("stub")
}
