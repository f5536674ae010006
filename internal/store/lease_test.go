package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// One process leads at a time, and the next when it ends.
func TestOneLeads(t *testing.T) {
	path := shared(t)
	a, b := openAt(t, path), openAt(t, path)
	leads, end := make(chan struct{}), make(chan struct{})
	var order []string
	var wg sync.WaitGroup
	wg.Go(func() {
		err := a.Lead(t.Context(), "node", func(ctx context.Context) error {
			order = append(order, "a")
			close(leads)
			<-end
			do(t, a, noroshi.Act{Action: noroshi.ActRead, Subject: "a"}, func(*store.Tx) error { return nil })
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-leads
	if held, err := b.TryLead(t.Context(), "node", func(context.Context) error { t.Error("two lead"); return nil }); held || err != nil {
		t.Errorf("try: %t, %v", held, err)
	}
	if held, err := b.TryLead(t.Context(), "other", func(context.Context) error { return nil }); !held || err != nil {
		t.Errorf("try another lease: %t, %v", held, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Lead(ctx, "node", func(context.Context) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("wait given up: %v", err)
	}
	wg.Go(func() {
		if err := b.Lead(t.Context(), "node", func(context.Context) error { order = append(order, "b"); return nil }); err != nil {
			t.Error(err)
		}
	})
	close(end)
	wg.Wait()
	if len(order) != 2 || order[1] != "b" {
		t.Errorf("order: %v", order)
	}
}

// A leader whose lock was lost writes nothing once another leads, even before
// it knows, and then learns of it.
func TestLeaderOfTheTermBeforeWritesNothing(t *testing.T) {
	path := shared(t)
	a, b := openAt(t, path), openAt(t, path)
	err := a.Lead(t.Context(), "node", func(old context.Context) error {
		write := func(ctx context.Context, s *store.Store) error {
			_, err := s.Do(ctx, noroshi.Act{Action: noroshi.ActRead, Subject: "x"}, func(*store.Tx) error { return nil })
			return err
		}
		if err := write(old, a); err != nil {
			t.Error(err)
		}
		raw(t, path, `SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_stat_activity s ON s.pid = l.pid
			WHERE l.locktype = 'advisory' AND s.application_name = 'noroshi ' || current_schema()`)
		if err := b.Lead(t.Context(), "node", func(now context.Context) error {
			if err := write(old, a); !store.LeaseLost(err) && old.Err() == nil {
				t.Errorf("the leader before: %v", err)
			}
			return write(now, b)
		}); err != nil {
			t.Error(err)
		}
		<-old.Done()
		return nil
	})
	if !store.LeaseLost(err) {
		t.Errorf("the leader before ended with %v", err)
	}
	if acts, err := a.Acts(t.Context(), 0, 10); err != nil || len(acts) != 2 {
		t.Errorf("%d acts, %v, want 2", len(acts), err)
	}
}

// A file's one process leads.
func TestAFileLeads(t *testing.T) {
	s := openAt(t, t.TempDir()+"/real.db")
	led := false
	if held, err := s.TryLead(t.Context(), "node", func(context.Context) error { led = true; return nil }); !held || !led || err != nil {
		t.Errorf("%t, %t, %v", held, led, err)
	}
}
