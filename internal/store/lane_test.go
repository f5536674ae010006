package store_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// An urgent act overtakes ordinary ones that wait, and makes a bulk act end.
func TestUrgentActGoesFirst(t *testing.T) {
	s := open(t)
	var mu sync.Mutex
	var order []string
	var wg sync.WaitGroup
	note := func(name string) { mu.Lock(); order = append(order, name); mu.Unlock() }
	started, queued := make(chan struct{}), make(chan struct{})
	wg.Go(func() {
		s.Do(context.Background(), noroshi.Act{Action: noroshi.ActImport}, func(tx *store.Tx) error {
			close(started)
			<-queued
			for n := 0; !tx.Yield(); n++ {
				if _, _, err := tx.Put(indicator(t, n, "2024-01-01T00:00:00Z")); err != nil {
					return err
				}
			}
			note("bulk")
			return nil
		})
	})
	<-started
	for range 3 {
		wg.Go(func() {
			s.Do(context.Background(), noroshi.Act{Action: noroshi.ActImport, Subject: "x"}, func(*store.Tx) error { note("ordinary"); return nil })
		})
	}
	store.AwaitQueue(s, 3)
	wg.Go(func() {
		s.Do(context.Background(), noroshi.Act{Action: noroshi.ActWarn, Subject: "w", Precedence: noroshi.Flash}, func(tx *store.Tx) error {
			if tx.Yield() {
				t.Error("an urgent act was asked to yield")
			}
			note("flash")
			return nil
		})
	})
	store.AwaitQueue(s, 4)
	close(queued)
	wg.Wait()
	want := []string{"bulk", "flash", "ordinary", "ordinary", "ordinary"}
	for i := range want {
		if order[i] != want[i] {
			t.Fatalf("order: got %v, want %v", order, want)
		}
	}
}

// A bulk act ends for an act on a link too, which keeps its place among the
// ordinary ones.
func TestBulkActEndsForALink(t *testing.T) {
	s := open(t)
	var order []string
	var wg sync.WaitGroup
	started, queued := make(chan struct{}), make(chan struct{})
	wg.Go(func() {
		s.Do(context.Background(), noroshi.Act{Action: noroshi.ActImport}, func(tx *store.Tx) error {
			close(started)
			<-queued
			for n := 0; !tx.Yield(); n++ {
				if _, _, err := tx.Put(indicator(t, n, "2024-01-01T00:00:00Z")); err != nil {
					return err
				}
			}
			order = append(order, "bulk")
			return nil
		})
	})
	<-started
	for i, act := range []noroshi.Act{{Action: noroshi.ActHold, Subject: "h"}, {Action: noroshi.ActReceive, Partner: noroshi.NodeID{1}}} {
		wg.Go(func() {
			s.Do(context.Background(), act, func(*store.Tx) error { order = append(order, string(act.Action)); return nil })
		})
		store.AwaitQueue(s, i+1)
	}
	close(queued)
	wg.Wait()
	if want := []string{"bulk", string(noroshi.ActHold), string(noroshi.ActReceive)}; !slices.Equal(order, want) {
		t.Errorf("order: got %v, want %v", order, want)
	}
}

// An act that gives up waiting leaves the lane to the others.
func TestCancelledActLeavesTheLane(t *testing.T) {
	s := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	started, end := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		s.Do(context.Background(), noroshi.Act{Action: noroshi.ActImport}, func(*store.Tx) error { close(started); <-end; return nil })
	})
	<-started
	wg.Go(func() {
		_, err := s.Do(ctx, noroshi.Act{Action: noroshi.ActAck, Subject: "a", Precedence: noroshi.Flash}, func(*store.Tx) error { return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled act: got %v, want context.Canceled", err)
		}
	})
	store.AwaitQueue(s, 1)
	cancel()
	store.AwaitQueue(s, 0)
	close(end)
	wg.Wait()
	do(t, s, noroshi.Act{Action: noroshi.ActAck, Subject: "b"}, func(*store.Tx) error { return nil })
	if acts, err := s.Acts(t.Context(), 0, 10); err != nil || len(acts) != 1 {
		t.Errorf("acts: got %v, %v, want one", acts, err)
	}
}

// A failed act leaves nothing, an empty one no leaf.
func TestFailedAndEmptyActsLeaveNothing(t *testing.T) {
	s := open(t)
	broken := errors.New("broken")
	_, err := s.Do(t.Context(), noroshi.Act{Action: noroshi.ActImport, Subject: "run"}, func(tx *store.Tx) error {
		if _, _, err := tx.Put(indicator(t, 1, "2024-01-01T00:00:00Z")); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("failed act: got %v, want its own error", err)
	}
	do(t, s, noroshi.Act{Action: noroshi.ActImport}, func(*store.Tx) error { return nil })
	do(t, s, noroshi.Act{}, func(tx *store.Tx) error { return tx.SetCursor("f", 3) })
	head, _ := s.Head(t.Context())
	acts, _ := s.Acts(t.Context(), 0, 10)
	if head != 0 || len(acts) != 0 {
		t.Errorf("got feed at %d and %d acts, want none", head, len(acts))
	}
	if at, _ := s.Cursor(t.Context(), "f"); at != 3 {
		t.Errorf("cursor: got %d, want 3", at)
	}
	if r, seq := put(t, s, indicator(t, 1, "2024-01-01T00:00:00Z")); r != store.New || seq != 1 {
		t.Errorf("put after failure: got %v at %d, want new at 1", r, seq)
	}
}
