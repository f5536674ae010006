// Package partner keeps the office that deals with other nodes: cards handed
// out and in, introductions by voice, keysets that succeed each other,
// agreements proposed, signed and in force.
//
// Trust grows in three steps (docs/wire.md, CARD): a card is held; both sides
// have read their fingerprints to each other, two persons where this node has
// two with the role; both nodes have signed one hash of an agreement. Nothing
// here releases anything: it changes the partner's record, and the exit gate
// and the courier follow that.
//
// Every act is ordered by a person, who signs noroshi.ActDigest over the
// subject and the bytes each method names, or comes in a document a partner
// signed.
package partner

import (
	"context"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Documents carries a self-signed document to a partner, again and again until
// it arrived; a courier does. Tests carry them by hand.
type Documents interface {
	Document(ctx context.Context, partner noroshi.NodeID, doc []byte) error
}

// Options of an Office.
type Options struct {
	Realm    noroshi.Realm
	Self     noroshi.Organisation
	Identity []byte           // the exact bytes of our STIX identity, for cards
	Keys     *message.Keyring // signs cards and agreements
	Now      func() time.Time // nil = time.Now
	Custody  Custody          // keeps the private keys; nil = they are never changed
	Logs     Logs             // nil = there are none
}

// Office acts on partners of one node in one realm.
type Office struct {
	store *store.Store
	mail  Documents
	o     Options

	retaining sync.Mutex // one Retain at a time; guards retained
	retained  time.Time  // when it last came to an end

	warning    sync.Mutex // guards lastWarned
	lastWarned map[warned]time.Time
}

// New returns the office of a store. Its Document method is what the courier
// calls for documents that arrive.
func New(s *store.Store, mail Documents, o Options) *Office {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Office{store: s, mail: mail, o: o, lastWarned: map[warned]time.Time{}}
}
