package store

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// slice is how long a bulk act may hold the lane while an urgent one, or one on
// a link, waits.
const slice = 10 * time.Millisecond

// class orders those who wait for the lane.
type class int

const (
	urgent     class = iota // acts of precedence Immediate and Flash
	ordinary                // all other acts
	background              // the store's own derived work
	linked                  // acts on a link: they wait among the ordinary, but no bulk act keeps them long
)

// turn is a place in a queue.
type turn struct {
	come    chan struct{} // closed when it is this one's
	awaited bool          // a bulk act ends for it
}

// lane lets one writer in at a time: urgent acts first, then ordinary ones and
// those on a link in the order they came, background work when nobody else waits or when it has
// been passed over for patience.
type lane struct {
	mu      sync.Mutex
	busy    bool
	over    bool // nobody comes in any more
	queues  [3][]turn
	passed  time.Time    // since when background work has been passed over
	waiting atomic.Int32 // awaited turns
}

// patience bounds how long background work (full text, start-up blocks) can be
// passed over by ordinary acts that never pause.
const patience = 200 * time.Millisecond

// enter waits for the lane; it is then the caller's until leave. After end it
// returns errClosed.
func (l *lane) enter(ctx context.Context, c class) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	if l.over {
		l.mu.Unlock()
		return errClosed
	}
	if !l.busy {
		l.busy = true
		l.mu.Unlock()
		return nil
	}
	w := turn{come: make(chan struct{}), awaited: c == urgent || c == linked}
	if c == linked {
		c = ordinary
	}
	if c == background && len(l.queues[background]) == 0 {
		l.passed = time.Now()
	}
	l.queues[c] = append(l.queues[c], w)
	if w.awaited {
		l.waiting.Add(1)
	}
	l.mu.Unlock()
	select {
	case <-w.come:
		return l.whose()
	case <-ctx.Done():
	}
	l.mu.Lock()
	if i := slices.Index(l.queues[c], w); i >= 0 {
		l.queues[c] = slices.Delete(slices.Clone(l.queues[c]), i, i+1)
		if w.awaited {
			l.waiting.Add(-1)
		}
		l.mu.Unlock()
		return ctx.Err()
	}
	l.mu.Unlock()
	if l.whose() == nil { // the turn came in the same moment
		l.leave()
	}
	return ctx.Err()
}

// whose returns nil to one whose turn came, errClosed to one whom end woke.
func (l *lane) whose() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return errClosed
	}
	return nil
}

// end is called in the lane, in place of leave: whoever waits is told, and
// nobody comes in after.
func (l *lane) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	for c, q := range l.queues {
		for _, w := range q {
			close(w.come)
		}
		l.queues[c] = nil
	}
	l.waiting.Store(0)
}

// leave hands the lane to whoever is next.
func (l *lane) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	order := [3]class{urgent, ordinary, background}
	if len(l.queues[background]) > 0 && time.Since(l.passed) > patience {
		order = [3]class{urgent, background, ordinary}
	}
	for _, c := range order {
		if q := l.queues[c]; len(q) > 0 {
			l.queues[c] = q[1:]
			if q[0].awaited {
				l.waiting.Add(-1)
			}
			if c == background {
				l.passed = time.Now()
			}
			close(q[0].come)
			return
		}
	}
	l.busy = false
}

// idle reports whether nobody waits.
func (l *lane) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queues[urgent])+len(l.queues[ordinary])+len(l.queues[background]) == 0
}
