package store

import (
	"context"
	"runtime"
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
