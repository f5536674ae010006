package watch

import (
	"context"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// DocNumber is the kind of the documents that say which warning has a number.
const DocNumber = docNumber

// NumberOf is the k-th number that a warning may have.
func NumberOf(salt [16]byte, sign noroshi.CallSign, year int, id stix.ID, k int) string {
	return numberOf(salt, sign, year, id, k)
}

// FirstNumber is the first number that a warning would get now.
func (w *Watch) FirstNumber(ctx context.Context, id stix.ID) (string, error) {
	salt, err := w.readSalt(ctx)
	return numberOf(salt, w.o.Self.CallSign, w.o.Now().UTC().Year(), id, 0), err
}

// SightingID derives the id of a place's sighting.
func SightingID(salt [16]byte, indicator stix.ID, sensor string, hour time.Time) stix.ID {
	return sightingID(salt, place{indicator, sensor, hour})
}

// SightingMarks returns the markings of a sighting.
func SightingMarks(r store.Record, mark noroshi.TLP, defs func(stix.ID) []*stix.Object) []stix.ID {
	return sightingMarks(r, mark, defs)
}

// Rules is the rule table.
func Rules() []Rule { return rules }

// Visible makes text fit to show.
func Visible(s string, n int) string { return visible(s, n) }

// CloseHours writes and forgets every open hour, as when their time is over.
func (w *Watch) CloseHours() error { return w.finish(context.Background(), everyHour) }

// OpenHours counts the hours in memory.
func (w *Watch) OpenHours() int {
	w.open.mu.Lock()
	defer w.open.mu.Unlock()
	return len(w.open.place)
}

// Counted is closed when the indicators that are not armed are counted.
func (w *Watch) Counted() <-chan struct{} { return w.armoury.complete }
