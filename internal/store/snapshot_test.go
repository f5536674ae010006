package store_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
)

// A snapshot is one committed state, whoever writes meanwhile, on either engine
// a SQLite file that goes on by itself.
func TestSnapshotBesideWriters(t *testing.T) {
	s := openAt(t, storetest.Address(t, noroshi.Real))
	live(t, s, 40)
	before := verify(t, s)
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := 500; ctx.Err() == nil; i++ {
			put(t, s, indicator(t, i, "2024-01-01T00:00:00Z"))
		}
	})
	path := filepath.Join(t.TempDir(), "real.db")
	err := s.Snapshot(t.Context(), path)
	stop()
	writing.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	after := verify(t, s)
	there := openAt(t, path)
	got := verify(t, there)
	if len(got.Faults) > 0 || got.Acts < before.Acts || got.Acts > after.Acts {
		t.Errorf("the snapshot has %d acts (before %d, after %d), faults %v", got.Acts, before.Acts, after.Acts, got.Faults)
	}
	if err := store.Derive(t.Context(), there); err != nil { // full text follows the feed
		t.Fatal(err)
	}
	if !searches(t, there) {
		t.Error("words are not found in the snapshot")
	}
	put(t, there, indicator(t, 900, "2024-01-01T00:00:00Z"))
}

// What fails leaves nothing, and nothing that is there is written over.
func TestSnapshotIsWholeOrNot(t *testing.T) {
	s := openAt(t, storetest.Address(t, noroshi.Real))
	live(t, s, 10)
	dir := t.TempDir()
	path := filepath.Join(dir, "real.db")
	ended, stop := context.WithCancel(t.Context())
	stop()
	if err := s.Snapshot(ended, path); err == nil {
		t.Error("a snapshot was made after its context had ended")
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
		t.Errorf("left behind: %v, %v", list, err)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Snapshot(t.Context(), path); noroshi.KindOf(err) != noroshi.Conflict {
		t.Errorf("over a file that is there: %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "mine" {
		t.Errorf("the file that was there is %q, %v", b, err)
	}
}

// Lock keeps others from opening a file, and only as long as it is held.
func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "real.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	lock, err := store.Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), path, store.Options{Realm: noroshi.Real}); noroshi.KindOf(err) != noroshi.Busy {
		t.Errorf("opened while it is locked: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if again, err := store.Lock(path); err != nil || again.Close() != nil {
		t.Errorf("locked again: %v", err)
	}
}
