// Package door is what comes or goes beside the streams between nodes when others
// ask: what TAXII clients read and post, what sensors fetch, and exports. What
// this node asks others for itself is door/feed.
//
// A collection is one of two kinds. A shelf is the organisation's own: what its
// tools post lies there at once, and what it selects of all that is here is laid
// there by a follower. A partner's collection is made by the node: it has what
// messages to that partner carry, in their order, and nothing else; whatever is
// read from it is cleared by the exit gate anew.
//
// Clients are of two kinds too. A partner's reads that partner's collection and
// sees nothing else, not even by an error. One of our own tools reads and
// writes the shelves it was given, is bound to a highest label, and is let in
// at the inner door only.
package door

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Options of a Door.
type Options struct {
	Realm noroshi.Realm
	Name  string           // of the node, in the heads of files
	Now   func() time.Time // nil = time.Now
	Log   *slog.Logger     // hears what a sensor cannot be told; nil = nothing does

	// Words says what is wrong with a sensor's question, for the person who wrote
	// it; nil = in English.
	Words func(error) string

	// MayLeave refuses while nothing may be handed out, as after a restore until
	// what was recalled since is known; nil = never. What comes in is taken.
	MayLeave func(context.Context) error
}

// Door is one realm's. Its methods may be called at once from several
// goroutines.
type Door struct {
	store *store.Store
	gate  *intake.Gate
	desk  *release.Desk
	o     Options

	renders  chan struct{} // full while as many exports are rendered for our sensors as may be
	visits   chan struct{} // as renders, for partners'
	clears   chan struct{} // full while as many pages are cleared for partners as may be
	paces    pace          // of partners' clients
	memory   memory
	servings servings   // runs in which our own tools read
	editions sync.Mutex // held while an export that changed is made and put on record
}

// rendersAtOnce bounds how many exports are rendered for sensors at a time.
const rendersAtOnce = 2

// pagesAtOnce bounds how many pages are cleared for partners' clients at a time:
// each is decided anew, which is work that what goes to partners' nodes needs
// its share of.
const pagesAtOnce = 2

// New returns the door of a store.
func New(s *store.Store, g *intake.Gate, d *release.Desk, o Options) *Door {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MayLeave == nil {
		o.MayLeave = func(context.Context) error { return nil }
	}
	return &Door{store: s, gate: g, desk: d, o: o, renders: make(chan struct{}, rendersAtOnce), visits: make(chan struct{}, rendersAtOnce), clears: make(chan struct{}, pagesAtOnce),
		paces: pace{left: map[noroshi.NodeID]allowance{}}, servings: servings{open: map[served]*serving{}}}
}

// keep writes a document in an act of its own.
func (d *Door) keep(ctx context.Context, subject, kind, key string, v any) error {
	_, err := d.store.Do(ctx, noroshi.Act{Action: noroshi.ActConfigure, Subject: subject}, func(tx *store.Tx) error {
		return tx.PutJSON(kind, key, v)
	})
	if err != nil {
		return fmt.Errorf("keep %s %s: %w", kind, key, err)
	}
	return nil
}
