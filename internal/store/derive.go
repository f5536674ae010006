package store

import (
	"context"
	"time"
)

// derive follows the feed with what is made behind it: packed blocks and full
// text, in turns, so that a long way to go with the one does not keep the other
// waiting: without its blocks a node starts slowly. It works in slices of the
// lane and ends with ctx. An error ends the round; the next change starts
// another, after a rest: a stream of small acts would else have a round and its
// commit behind each of them.
func (s *Store) derive(ctx context.Context) {
	for {
		select {
		case <-s.derived:
		case <-ctx.Done():
			return
		}
		for more := true; more; {
			packed, err := s.packBlock(ctx)
			indexed, textErr := s.indexText(ctx)
			more = packed && err == nil || indexed && textErr == nil
		}
		select {
		case <-time.After(rest):
		case <-ctx.Done():
			return
		}
	}
}

// rest is how long derived work rests after a round.
const rest = 100 * time.Millisecond

// wakeDerived tells derive that the feed moved.
func (s *Store) wakeDerived() {
	select {
	case s.derived <- struct{}{}:
	default:
	}
}

// spent reports whether derived work has used its slice.
func (t *Tx) spent() bool { return time.Since(t.started) >= slice }
