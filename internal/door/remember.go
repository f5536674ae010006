package door

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// place is where the store was when an export was rendered: as long as it is
// there, and no term in the export is over, it says the same.
type place struct {
	collection string // id; "" = all that is held
	change     int64  // of the change feed: what came, was marked or withdrawn
	shelf      int64  // store.ShelfHead of the collection
}

// remembered is what an export last came to.
type remembered struct {
	edition
	place place
	until time.Time // when the next thing in it is over; zero = nothing will be
}

// holds reports whether an export is still what was remembered.
func (m remembered) holds(at place, now time.Time) bool {
	return m.place == at && (m.until.IsZero() || now.Before(m.until))
}

// memory is what exports came to, by their keys.
type memory struct {
	mu    sync.Mutex
	known map[string]remembered
}

// maxRemembered bounds the exports that are remembered: zones by all names there
// are, say. Beyond it all are rendered anew, once.
const maxRemembered = 256

func (m *memory) put(key string, r remembered) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.known) >= maxRemembered || m.known == nil {
		m.known = map[string]remembered{}
	}
	m.known[key] = r
}

func (m *memory) get(key string) (r remembered, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok = m.known[key]
	return r, ok
}

// remembers reports whether an export may be remembered. What goes to a partner
// is decided anew each time, as clauses may look at the clock; and what is kept
// beside an event moves no feed.
func (x Export) remembers() bool { return x.Partner == (noroshi.NodeID{}) && x.Event == "" }

// placeOf says where the store is for an export.
func (d *Door) placeOf(ctx context.Context, x Export) (at place, err error) {
	col, err := d.source(ctx, x)
	if err != nil {
		return at, err
	}
	at.collection = col.ID
	if at.change, err = d.store.Head(ctx); err != nil || col.ID == "" {
		return at, err
	}
	at.shelf, err = d.store.ShelfHead(ctx, col.ID)
	return at, err
}

// known returns the edition of an export, if it can be told without rendering it.
func (d *Door) known(ctx context.Context, x Export) (e edition, ok bool, err error) {
	if !x.remembers() {
		return e, false, nil
	}
	key, err := json.Marshal(x)
	if err != nil {
		return e, false, err
	}
	m, ok := d.memory.get(string(key))
	if !ok {
		return e, false, nil
	}
	at, err := d.placeOf(ctx, x)
	return m.edition, err == nil && m.holds(at, d.o.Now()), err
}
