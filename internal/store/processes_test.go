package store_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
	"github.com/noroshi-cti/noroshi/internal/tier"
)

// shared is a place that several processes may have open.
func shared(t *testing.T) string {
	t.Helper()
	if storetest.Engine() != storetest.Postgres {
		t.Skip("one process has a file")
	}
	return address(t)
}

// Two processes that write under load and are killed at random lose nothing
// they said was done, leave no hole in the feed and do nothing twice.
func TestKilledProcessesShareADatabase(t *testing.T) {
	t.Parallel()
	path := shared(t)
	rng := rand.New(rand.NewPCG(5, 6))
	said := map[uint64]string{}
	runs := 0
	start := func() *writer { runs++; return startWriter(t, path, fmt.Sprint(runs)) }
	pair := [2]*writer{start(), start()}
	for range tier.N(8, 60) {
		for range 1 + rng.IntN(60) {
			pair[rng.IntN(2)].hear()
		}
		i := rng.IntN(3) // one, the other or both
		for k := range pair {
			if i == k || i == 2 {
				pair[k].kill()
				maps.Copy(said, pair[k].acts)
				pair[k] = start()
			}
		}
	}
	for _, w := range pair {
		w.kill()
		maps.Copy(said, w.acts)
	}
	intact(t, openAt(t, path), said)
}

// Processes that write in turn each build on what the others wrote.
func TestProcessesShareOneFeed(t *testing.T) {
	path := shared(t)
	a, b := openAt(t, path), openAt(t, path)
	const each = 30
	var wg sync.WaitGroup
	for w, s := range []*store.Store{a, b} {
		for _, partner := range []noroshi.NodeID{{}, nodeB} {
			wg.Go(func() {
				for i := range each {
					_, err := s.Do(context.Background(), noroshi.Act{Action: noroshi.ActImport, Partner: partner}, func(tx *store.Tx) error {
						v := indicator(t, w*1000+i, fmt.Sprintf("2024-01-%02dT00:00:00Z", i/10+1))
						v.Source.Name, v.Text = fmt.Sprint("list ", i), "狼煙 beacon"
						if _, _, err := tx.Put(v); err != nil {
							return err
						}
						return tx.Notice(store.AckGiven, fmt.Sprint(w, i))
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	last := int64(0)
	for at := int64(0); last < 4*each; {
		if err := b.Wait(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		list, err := b.Feed(t.Context(), at, 7)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			if c.Seq != at+1 {
				t.Fatalf("after %d: got %+v", at, c)
			}
			if at = c.Seq; c.Kind == store.AckGiven {
				last++
			}
		}
	}
	wg.Wait()
	for _, s := range []*store.Store{a, b} {
		if err := store.Derive(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if v := verify(t, s); len(v.Faults) > 0 || v.Acts != 4*each {
			t.Errorf("%d acts, faults %v", v.Acts, v.Faults)
		}
	}
}

// A process that slept through more acts than it follows one by one reads the
// state anew; a wait in it ends by what another commits.
func TestProcessSleptLong(t *testing.T) {
	path := shared(t)
	a, b := openAt(t, path), openAt(t, path)
	put(t, b, indicator(t, 1, "2024-01-01T00:00:00Z"))
	for i := range 1001 {
		do(t, a, noroshi.Act{Action: noroshi.ActRead, Subject: fmt.Sprint(i)}, func(*store.Tx) error { return nil })
	}
	put(t, a, indicator(t, 2, "2024-01-01T00:00:00Z"))
	if err := b.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if r, seq := put(t, b, indicator(t, 3, "2024-01-01T00:00:00Z")); r != store.New || seq != 3 {
		t.Errorf("got %v at %d, want new at 3", r, seq)
	}
	if v := verify(t, a); len(v.Faults) > 0 || v.Acts != 1004 {
		t.Errorf("%d acts, faults %v", v.Acts, v.Faults)
	}
}

// An urgent act in one process ends a bulk act in another.
func TestUrgentActEndsBulkElsewhere(t *testing.T) {
	path := shared(t)
	a, b := openAt(t, path), openAt(t, path)
	started := make(chan struct{})
	var wg sync.WaitGroup
	n := 0
	wg.Go(func() {
		do(t, a, noroshi.Act{Action: noroshi.ActImport}, func(tx *store.Tx) error {
			close(started)
			for ; !tx.Yield(); n++ {
				if _, _, err := tx.Put(indicator(t, n, "2024-01-01T00:00:00Z")); err != nil {
					return err
				}
			}
			return nil
		})
	})
	<-started
	done := do(t, b, noroshi.Act{Action: noroshi.ActWarn, Subject: "w", Precedence: noroshi.Flash}, func(tx *store.Tx) error {
		if tx.Yield() {
			t.Error("an urgent act was asked to yield")
		}
		return nil
	})
	wg.Wait()
	if done.Index != 1 || done.Seq != int64(n) {
		t.Errorf("the warning is act %d at %d, want 1 at %d", done.Index, done.Seq, n)
	}
}

// A server that ended the connections is found again.
func TestConnectionsAreMadeAnew(t *testing.T) {
	path := shared(t)
	s := openAt(t, path)
	put(t, s, indicator(t, 1, "2024-01-01T00:00:00Z"))
	end := func() {
		raw(t, path, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND pid IN (
			SELECT pid FROM pg_stat_activity WHERE application_name = 'noroshi ' || current_schema())`)
	}
	end()
	if head, err := s.Head(t.Context()); err != nil || head != 1 {
		t.Errorf("feed at %d, %v", head, err)
	}
	end()
	if v := verify(t, s); len(v.Faults) > 0 || v.Acts != 1 {
		t.Errorf("%d acts, faults %v", v.Acts, v.Faults)
	}
	end()
	if r, seq := put(t, s, indicator(t, 2, "2024-01-01T00:00:00Z")); r != store.New || seq != 2 {
		t.Errorf("got %v at %d, want new at 2", r, seq)
	}
}
