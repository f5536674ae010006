package store

import (
	"context"
	"os"
	"time"
)

// derive follows the feed with what is made behind it: packed blocks and full
// text, in turns, so that a long way to go with the one does not keep the other
// waiting: without its blocks a node starts slowly. It works in slices of the
// lane and ends with ctx. An error ends the round; the next change starts
// another.
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
	}
}

// wakeDerived tells derive that the feed moved.
func (s *Store) wakeDerived() {
	select {
	case s.derived <- struct{}{}:
	default:
	}
}

// spent reports whether derived work has used its slice.
func (t *Tx) spent() bool { return time.Since(t.started) >= slice }

// Bounds of the write-ahead log.
const (
	walCopy    = 64 << 20  // beyond it pages are copied back beside the writer
	walRestart = 256 << 20 // beyond it it starts anew as soon as nobody waits
	walLimit   = 1 << 30   // beyond it it starts anew whoever waits
	walTick    = 200 * time.Millisecond
)

// checkpointWAL copies the write-ahead log back into the file from a
// connection of its own while writing goes on, and lets the log start anew
// when that holds up nobody: in the lane it would hold everybody for as long
// as the copying takes.
func (s *Store) checkpointWAL(ctx context.Context) {
	tick := time.NewTicker(walTick)
	defer tick.Stop()
	copied := int64(0)
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		size := fileSize(s.path + "-wal")
		if size < walCopy {
			copied = 0
			continue
		}
		if size-copied >= walCopy {
			s.pragma(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
			copied = size
		}
		switch {
		case size >= walLimit:
			s.restartWAL(ctx, ordinary)
		case size >= walRestart && s.lane.idle():
			s.restartWAL(ctx, background)
		}
	}
}

// restartWAL copies what is left and empties the log, with the lane held.
func (s *Store) restartWAL(ctx context.Context, c class) {
	s.pragma(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
	if s.lane.enter(ctx, c) != nil {
		return
	}
	defer s.lane.leave()
	s.pragma(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
}

// pragma runs one on a connection of its own. A checkpoint that does not get
// through is tried again at the next tick.
func (s *Store) pragma(ctx context.Context, q string) {
	c, err := s.writeDB.Conn(ctx)
	if err != nil {
		return
	}
	defer c.Close()
	c.ExecContext(ctx, "PRAGMA busy_timeout = 50")
	c.ExecContext(ctx, q)
}

func fileSize(path string) int64 {
	st, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return st.Size()
}
