package store

import (
	"context"
	"maps"
	"runtime"
	"slices"
)

// AwaitQueue returns when n acts wait for the lane.
func AwaitQueue(s *Store, n int) {
	for {
		s.lane.mu.Lock()
		have := len(s.lane.queues[urgent]) + len(s.lane.queues[ordinary])
		s.lane.mu.Unlock()
		if have == n {
			return
		}
		runtime.Gosched()
	}
}

// Derive does all derived work there is.
func Derive(ctx context.Context, s *Store) error {
	for _, step := range []func(context.Context) (bool, error){s.packBlock, s.indexText} {
		for more := true; more; {
			var err error
			if more, err = step(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// Asked returns the statements that a store has sent so far; nobody may be
// reading.
func Asked(s *Store) []string {
	texts := slices.Collect(maps.Keys(s.w.stmts))
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	for _, c := range s.pool.idle {
		texts = slices.AppendSeq(texts, maps.Keys(c.stmts))
	}
	slices.Sort(texts)
	return slices.Compact(texts) // several connections may ask the same
}

// Terms are what the full-text index holds of a text.
func Terms(text string) []string { return terms(text) }
