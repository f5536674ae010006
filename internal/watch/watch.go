// Package watch turns hits into sightings and warnings, keeps the armed index
// equal to the store, and shows warnings, ours and partners', until someone has
// acknowledged them.
//
// What a hit says about the victim side (sensor, full name looked up, address
// that asked) stays here: sightings and warnings carry the indicator's value
// and the hour, and leave only through the exit gate, with the indicator's
// markings joined with the agreements' mark for sightings. A sighting names the
// sectors and the region the node was told to name, as objects of their own
// that the exit gate decides for themselves.
//
// Documents it keeps in the store: salt, tally (what a sighting has counted,
// exactly), explained (hits a warning-list explains), acknowledgement. None of
// them leaves the node.
package watch

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Reader tells a partner that a person in a role has read its message; a
// courier does.
type Reader interface {
	ReadBy(ctx context.Context, partner noroshi.NodeID, msg noroshi.Hash, role noroshi.Role, at time.Time) error
}

// Options of a Watch.
type Options struct {
	Realm noroshi.Realm
	Node  noroshi.NodeID
	Self  noroshi.Organisation
	Now   func() time.Time // nil = time.Now

	// What sightings say of where something was seen; see where.go.
	Sectors []string
	Region  string
}

// Watch is the watch of one node in one realm. Its methods may be called at
// once from several goroutines.
type Watch struct {
	store  *store.Store
	gate   *intake.Gate
	index  *detect.Index
	reader Reader
	o      Options

	armoury armoury
	board   board
	open    openHours
	heard   sources

	saltOnce sync.Mutex // guards salt until it is read
	salt     [16]byte
}

// New wires a watch; nothing is read or written before a method is called.
func New(s *store.Store, g *intake.Gate, x *detect.Index, r Reader, o Options) *Watch {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Watch{store: s, gate: g, index: x, reader: r, o: o, armoury: newArmoury()}
}

// Run follows the change feed until ctx ends: arms and disarms at once, keeps
// the list of warnings, closes hours. It arms first when Arm was not called.
// When ctx ends, the counts of open hours are written and Run returns nil. Every
// process of a node that matches or shows warnings runs it; Tell one of them.
func (w *Watch) Run(ctx context.Context) error {
	if !w.armoury.isLoaded() {
		if err := w.Arm(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	inner, stop := context.WithCancel(ctx)
	defer stop()
	parts := []func(context.Context) error{w.followArms, w.countUnarmed, w.closeHours}
	errs := make([]error, len(parts))
	var wg sync.WaitGroup
	for i, part := range parts {
		wg.Go(func() {
			if err := part(inner); err != nil && inner.Err() == nil {
				errs[i] = err
				stop()
			}
		})
	}
	wg.Wait()
	return errors.Join(append(errs, w.finish(context.WithoutCancel(ctx), everyHour))...)
}

// follow calls fn with every slice of the feed after a sequence, and waits for
// more until ctx ends.
func (w *Watch) follow(ctx context.Context, after int64, fn func([]store.Change) error) error {
	for ctx.Err() == nil {
		changes, err := w.store.Feed(ctx, after, 1000)
		if err != nil {
			return err
		}
		if len(changes) == 0 {
			if err := w.store.Wait(ctx, after); err != nil {
				return err
			}
			continue
		}
		if err := fn(changes); err != nil {
			return err
		}
		after = changes[len(changes)-1].Seq
	}
	return nil
}
