// Package release is the EXIT GATE: nothing leaves uncleared.
//
// Decide answers for a graph of objects and one partner, purely: the worst of
// what the markings mean, what the clauses of the agreement permit, what the
// text says and what the graph allows; default deny, with every rule that
// spoke. A Desk follows the store's change feed with it: what a clause permits
// becomes a batch, what needs a named human act becomes a hold, denials are not
// stored because Decide can be asked again. Officers approve a hold by signing
// the Merkle root over exactly the bytes the partner will get.
//
// What may not go is cut out: portions whose own marking is stricter, references
// to what the partner does not get, translations of either. What is left leaves
// as a View: same id and modified, numbered. A batch's row keeps the selectors,
// so the bytes can be made again at any time and are compared with the hash that
// was signed; a row stands only while nothing it shows would have to be cut now.
//
// Only a Desk makes a Cleared, and only a Cleared holds bytes that may go.
package release

import (
	"github.com/noroshi-cti/noroshi/stix"

	"github.com/noroshi-cti/noroshi/internal/store"
)

// Cleared is exactly the bytes that may go to exactly one partner, with the
// batch that allowed it: one message's worth. Only a Desk makes one; the zero
// value is refused everywhere.
type Cleared struct {
	batch   store.Batch
	first   int
	objects []Object
	basis   basis
}

// Object is one cleared object: the exact bytes and the view number.
type Object struct {
	View  uint32
	Bytes []byte
	typ   string
	id    stix.ID

	clause string    // by which it may go now, as a batch cites it
	marks  []stix.ID // markings of it and of its portions, where it goes
	unused bool      // a definition that is kept back because nothing looked at uses it
}

// Valid reports whether a Desk made it.
func (c Cleared) Valid() bool { return len(c.objects) > 0 }

// Batch returns the decision it rests on: partner, agreement, clause, label, precedence.
func (c Cleared) Batch() store.Batch { return c.batch }

// First returns the ordinal of its first object in the batch. It is later than
// asked for when rows before it may no longer go.
func (c Cleared) First() int { return c.first }

// Objects returns the objects; callers must not change them.
func (c Cleared) Objects() []Object { return c.objects }

// Limits of one message (docs/wire.md, DATA).
const (
	maxMessageObjects = 1000
	maxMessageBytes   = 1<<20 - 3 // of content, the list's own head taken off; a larger object goes alone
	objectOverhead    = 11        // at most, of one object in the list: array, view and byte string heads
)
