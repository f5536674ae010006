// Package feed reads what others publish, on a schedule: collections of TAXII
// servers, MISP feeds, files at a URL and folders. A Guard has a person look at
// what comes in a flood and at what names the organisation's own.
package feed

import (
	"log/slog"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Options of a Reader.
type Options struct {
	Now   func() time.Time // nil = time.Now
	Log   *slog.Logger     // hears of runs that nobody waits for; nil = nothing does
	Rules Rules
}

// Reader keeps one realm's feeds and reads them. Its methods may be called at
// once from several goroutines.
type Reader struct {
	store *store.Store
	gate  *intake.Gate
	o     Options

	mu   sync.Mutex
	read map[string]bool // which feeds are being read; guarded by mu
	wake chan struct{}   // full when the schedule may have changed
}

// New returns the reader of a store's feeds.
func New(s *store.Store, g *intake.Gate, o Options) *Reader {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Reader{store: s, gate: g, o: o, read: map[string]bool{}, wake: make(chan struct{}, 1)}
}
