// Package intake is the ENTRY GATE: nothing enters unnamed. It decodes, checks,
// bounds, flags and admits; what is not understood is quarantined for a
// person, never dropped or guessed.
//
// Everything enters in two steps. Prepare reads and checks outside the write
// lane, on any core; Admit puts what was prepared inside an act, and is the only
// caller of the store's Put. Import drives both over a whole file.
//
// What is refused, and under which code:
//
//	malformed   not strict JSON, no STIX object, or no list entry
//	too-large   an object above stix.MaxObjectBytes, a line above 1 MiB
//	future      modified more than 24 hours ahead of this node's clock
//	realm       it carries the marking of an exercise that is not this realm
//	invalid     (strict imports) it departs from STIX 2.1
//	protected   (feeds) an indicator of a value that must not be armed unseen
//
// An indicator whose pattern is not of an armed form, or is too large to be
// read, is no fault: it is kept and counted as not armed. A marking-definition
// that says something else than an earlier one of its id is kept as a further
// edition; what it means is the exit gate's to judge.
package intake

import (
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Options of a Gate.
type Options struct {
	Realm noroshi.Realm
	Node  noroshi.NodeID
	Self  noroshi.Organisation
	Lists func() *WarningLists // known-good values, asked for when something is held against them; nil = none
	Now   func() time.Time     // nil = time.Now
}

// Gate admits things into one store. Its methods may be called at once from
// several goroutines; imports of lists wait for each other.
type Gate struct {
	store *store.Store
	o     Options
	lists chan struct{} // full while a list is imported: it looks up, then admits
	drill drillMarks
}

// New returns the gate of a store.
func New(s *store.Store, o Options) *Gate {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Lists == nil {
		o.Lists = func() *WarningLists { return nil }
	}
	return &Gate{store: s, o: o, lists: make(chan struct{}, 1)}
}

// Self returns who this node is.
func (g *Gate) Self() noroshi.Organisation { return g.o.Self }

// drillMarks remembers the ids of exercise markings this gate has seen, so that
// what refers to one is known wherever in a stream it stands. It keeps
// maxDrillMarks at most; the exit gate holds what it cannot resolve anyway.
type drillMarks struct {
	mu   sync.RWMutex
	name map[stix.ID]string
}

const maxDrillMarks = 10_000

func (d *drillMarks) add(id stix.ID, exercise string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.name == nil {
		d.name = map[stix.ID]string{}
	}
	if len(d.name) < maxDrillMarks {
		d.name[id] = exercise
	}
}

// of returns the exercise an id marks, or "".
func (d *drillMarks) of(id stix.ID) string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.name[id]
}

// none reports whether no exercise marking was ever seen.
func (d *drillMarks) none() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.name) == 0
}
