package watch

import (
	"context"
	"errors"
	"io"
	"iter"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Armed says what is armed.
type Armed struct {
	Indicators int   `json:"indicators"` // in the index
	Values     int   `json:"values"`
	Bytes      int   `json:"bytes"`
	NotArmed   int   `json:"not_armed"`          // current indicators whose pattern is not of an armed form
	KnownGood  int   `json:"known_good"`         // armed, but named by a warning-list: a hit pages nobody
	Loading    bool  `json:"loading,omitempty"`  // the index is still being filled after a start: nothing is counted yet
	Counting   bool  `json:"counting,omitempty"` // NotArmed is still being counted after a start
	Seq        int64 `json:"seq"`                // change-feed sequence the index stands at
}

// armoury is where the index stands.
type armoury struct {
	mu       sync.Mutex // guards everything below
	loading  bool       // the index is being filled
	loaded   bool       // it was
	seq      int64
	moved    chan struct{} // closed when seq moves on
	notArmed map[stix.ID]struct{}
	flagged  map[stix.ID]struct{}
	counted  bool                 // notArmed is complete
	complete chan struct{}        // closed then
	told     map[stix.ID]struct{} // until then, what the feed spoke of
}

func newArmoury() armoury {
	return armoury{notArmed: map[stix.ID]struct{}{}, flagged: map[stix.ID]struct{}{}, told: map[stix.ID]struct{}{}, complete: make(chan struct{})}
}

// flag remembers a known-good indicator.
func (a *armoury) flag(id stix.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flagged[id] = struct{}{}
}

func (a *armoury) isLoaded() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.loaded
}

func (a *armoury) setLoading(on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.loading = on
}

// moveTo says that everything up to seq is in the index.
func (a *armoury) moveTo(seq int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seq, a.loaded = seq, true
	if a.moved != nil {
		close(a.moved)
		a.moved = nil
	}
}

// note remembers what the counts need of an indicator.
func (a *armoury) note(id stix.ID, notArmed, flagged bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.counted {
		a.told[id] = struct{}{}
	}
	delete(a.notArmed, id)
	delete(a.flagged, id)
	if notArmed {
		a.notArmed[id] = struct{}{}
	}
	if flagged {
		a.flagged[id] = struct{}{}
	}
}

// Arm fills the index from the store: everything that may be armed now. Call
// it once, before Run and before matching; what changes meanwhile Run takes in.
func (w *Watch) Arm(ctx context.Context) error {
	w.armoury.setLoading(true)
	defer w.armoury.setLoading(false)
	newest, err := load(ctx, w.store, w.index, w.armoury.flag)
	if err != nil {
		return err
	}
	w.armoury.moveTo(newest)
	w.giveBack()
	return nil
}

// giveBack returns to the system what building a large index took and what
// counting beside it took: neither is needed again.
func (w *Watch) giveBack() {
	if w.index.Stats().Values > manyValues {
		debug.FreeOSMemory()
	}
}

// manyValues is how many values make an index whose building takes memory
// worth giving back at once.
const manyValues = 100_000

// Load fills an index from a store once: for a command that matches against a
// folder without a running node.
func Load(ctx context.Context, s *store.Store, x *detect.Index) error {
	_, err := load(ctx, s, x, func(stix.ID) {})
	return err
}

// load fills an index, tells the ids of the known good, and returns the feed's
// sequence the index then stands at.
func load(ctx context.Context, s *store.Store, x *detect.Index, flagged func(stix.ID)) (newest int64, err error) {
	entries := func(yield func(detect.Entry, error) bool) {
		read := 0
		newest, err = s.EachArmed(ctx, 0, func(a *store.Armed) error {
			if a.Flagged {
				flagged(a.ID)
			}
			if read++; read%256 == 0 {
				runtime.Gosched() // who asks for something meanwhile need not wait until this one's time is over
			}
			e := entryOf(a)
			e.Values = slices.Clone(a.Values)
			if !yield(e, nil) {
				return errStopped
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(detect.Entry{}, err)
		}
	}
	next, stop := iter.Pull2(entries)
	defer stop()
	loadErr := x.Load(func() (detect.Entry, error) {
		e, err, ok := next()
		if !ok {
			return detect.Entry{}, io.EOF
		}
		return e, err
	})
	return newest, loadErr
}

var errStopped = errors.New("stopped")

func micros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// entry returns what the index gets of an indicator; ok is false when it may
// not be armed (withdrawn, revoked, superseded, another source's, held for two
// bodies) or its pattern is not of an armed form, which is counted.
func (a *armoury) entry(x store.Indicator) (e detect.Entry, ok bool) {
	if !x.Current || x.Withdrawn || x.Conflict || x.Revoked {
		a.note(x.ID, false, false)
		return e, false
	}
	armed := len(x.Values) > 0
	a.note(x.ID, !armed, armed && x.Flagged)
	return entryOf(&x.Armed), armed
}

func entryOf(a *store.Armed) detect.Entry {
	return detect.Entry{Seq: a.Seq, ID: a.ID, Values: a.Values, ValidFrom: micros(a.ValidFrom), ValidUntil: micros(a.ValidUntil), Flagged: a.Flagged}
}

// countUnarmed counts, once and beside everything else, the indicators that are
// here and not armed. What the feed has told of meanwhile is newer and stands.
func (w *Watch) countUnarmed(ctx context.Context) error {
	a := &w.armoury
	err := w.store.EachUnarmed(ctx, func(id stix.ID) error {
		a.mu.Lock()
		defer a.mu.Unlock()
		if _, told := a.told[id]; !told {
			a.notArmed[id] = struct{}{}
		}
		return nil
	})
	if err != nil {
		return err
	}
	w.giveBack()
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.counted {
		close(a.complete)
	}
	a.told, a.counted = nil, true
	return nil
}

// followArms keeps the index equal to the store.
func (w *Watch) followArms(ctx context.Context) error {
	w.armoury.mu.Lock()
	after := w.armoury.seq
	w.armoury.mu.Unlock()
	return w.follow(ctx, after, func(changes []store.Change) error {
		if err := w.rearm(ctx, changes); err != nil {
			return err
		}
		w.armoury.moveTo(changes[len(changes)-1].Seq)
		return nil
	})
}

// rearm takes changes into the index. A version that is not current now is
// passed over: the change that made it so comes later in the feed.
func (w *Watch) rearm(ctx context.Context, changes []store.Change) error {
	var first, last int64
	again := map[stix.ID]bool{}
	for _, c := range changes {
		switch {
		case !strings.HasPrefix(c.ID, "indicator--"):
		case c.Kind == store.ObjectChanged:
			if first == 0 {
				first = c.Seq
			}
			last = c.Seq
		case c.Kind == store.ObjectWithdrawn:
			again[stix.ID(c.ID)] = true
		}
	}
	err := w.store.EachIndicator(ctx, first-1, last, func(x store.Indicator) error {
		if x.Conflict {
			again[x.ID] = true
		} else if x.Current {
			w.arm(x)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for id := range again {
		r, err := w.store.Current(ctx, id)
		if noroshi.KindOf(err) == noroshi.NotFound {
			w.armoury.note(id, false, false)
			w.index.Remove(id)
			continue
		}
		if err != nil {
			return err
		}
		err = w.store.EachIndicator(ctx, r.Seq-1, r.Seq, func(x store.Indicator) error { w.arm(x); return nil })
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *Watch) arm(x store.Indicator) {
	if e, ok := w.armoury.entry(x); ok {
		w.index.Put(e)
	} else {
		w.index.Remove(x.ID)
	}
}

// Loaded reports whether the index was armed since the start: until then nothing is in
// it.
func (w *Watch) Loaded() bool { return w.armoury.isLoaded() }

// Armed counts.
func (w *Watch) Armed(context.Context) (Armed, error) {
	s := w.index.Stats()
	w.armoury.mu.Lock()
	defer w.armoury.mu.Unlock()
	return Armed{Indicators: s.Indicators, Values: s.Values, Bytes: s.Bytes, NotArmed: len(w.armoury.notArmed),
		KnownGood: len(w.armoury.flagged), Loading: w.armoury.loading, Counting: !w.armoury.counted, Seq: w.armoury.seq}, nil
}

// ArmedUpTo returns when the index has taken in the change feed up to seq, or
// ctx ends. Run must be running.
func (w *Watch) ArmedUpTo(ctx context.Context, seq int64) error {
	for {
		w.armoury.mu.Lock()
		if w.armoury.loaded && w.armoury.seq >= seq {
			w.armoury.mu.Unlock()
			return nil
		}
		if w.armoury.moved == nil {
			w.armoury.moved = make(chan struct{})
		}
		moved := w.armoury.moved
		w.armoury.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}
