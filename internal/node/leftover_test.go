package node_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// What a process left that was killed while it wrote files goes at the next
// start: the next root's key of a change that never came to be, which a later
// change would take for its own, and files that were not whole. What another
// realm's process may be writing in the folder stays.
func TestLeftoversGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := node.Init(t.Context(), dir, node.Config{CallSign: "USA-01"}); err != nil {
		t.Fatal(err)
	}
	next := filepath.Join(dir, "secret", noroshi.Real.File()+".next-root.key")
	want, err := os.ReadFile(next)
	if err != nil {
		t.Fatal(err)
	}
	left := []string{next + ".new", filepath.Join(dir, ".new-real.db.keys.123"), filepath.Join(dir, "secret", ".new-real.db.next-root.key.456"), filepath.Join(dir, ".backup-real.db.789"),
		filepath.Join(dir, "secret", ".new-seal.key.12")}
	others := []string{filepath.Join(dir, ".new-exercise-x.db.keys.123"), filepath.Join(dir, "secret", ".new-exercise-x.db.next-root.key.456"), filepath.Join(dir, ".backup-exercise-x.db.789")}
	for _, path := range append(left, others...) {
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n, err := node.Open(t.Context(), dir, noroshi.Real, node.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range left {
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("%s is there still: %v", filepath.Base(path), err)
		}
	}
	for _, path := range others {
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("of another realm: %v", err)
		}
	}
	if got, err := os.ReadFile(next); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the next root's key has changed: %v", err)
	}
}

// killed lays down what a process leaves that was killed in a backup: its scratch
// folder, and the file that was to take a place elsewhere.
func killed(t *testing.T, dir string, r noroshi.Realm, part string) (scratch string) {
	t.Helper()
	scratch, err := os.MkdirTemp(dir, ".backup-"+r.File()+".")
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(os.WriteFile(filepath.Join(scratch, "aim"), []byte(part), 0o600), os.WriteFile(filepath.Join(scratch, "store.db"), []byte("half"), 0o600),
		os.WriteFile(filepath.Join(scratch, "in-use.lock"), nil, 0o600))
	if _, lerr := os.Lstat(part); errors.Is(lerr, fs.ErrNotExist) {
		if _, serr := os.Stat(filepath.Dir(part)); serr == nil {
			err = errors.Join(err, os.WriteFile(part, []byte("half"), 0o600))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return scratch
}

func gone(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there still: %v", path, err)
		}
	}
}

func there(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestPartOfABackupGoes: what a killed backup has written where it was to go is
// removed at the next start, and nothing else: no file that is another, no end of a
// link, nothing of another realm. A stick that was drawn is waited for.
func TestPartOfABackupGoes(t *testing.T) {
	t.Parallel()
	dir, away := t.TempDir(), t.TempDir()
	if err := node.Init(t.Context(), dir, node.Config{CallSign: "USA-01"}); err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(away, name) }
	if err := errors.Join(os.WriteFile(in("victim"), nil, 0o600), os.Symlink(in("victim"), in("link.part")), os.Mkdir(in("folder.part"), 0o700), os.WriteFile(in("letters"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	exercise, err := noroshi.ParseRealm("exercise:x")
	if err != nil {
		t.Fatal(err)
	}
	ours := []string{killed(t, dir, noroshi.Real, in("usa.backup.AB.part")), killed(t, dir, noroshi.Real, in("link.part")), killed(t, dir, noroshi.Real, in("folder.part")), killed(t, dir, noroshi.Real, in("letters"))}
	other, drawn := killed(t, dir, exercise, in("x.backup.EF.part")), killed(t, dir, noroshi.Real, in("stick/usa.backup.GH.part"))
	if err := os.Symlink(away, filepath.Join(dir, ".backup-real.db.link")); err != nil {
		t.Fatal(err)
	}
	start := func() {
		t.Helper()
		n, err := node.Open(t.Context(), dir, noroshi.Real, node.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
	start()
	gone(t, append(ours, in("usa.backup.AB.part"), filepath.Join(drawn, "store.db"), filepath.Join(dir, ".backup-real.db.link"))...)
	there(t, in("victim"), in("link.part"), in("folder.part"), in("letters"), other, in("x.backup.EF.part"), drawn)
	if err := errors.Join(os.Mkdir(in("stick"), 0o700), os.WriteFile(in("stick/usa.backup.GH.part"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	start()
	gone(t, drawn, in("stick/usa.backup.GH.part"))
}

// TestLeftoversBesideOthers: where several processes of a node share the folder, a
// start removes what nobody uses any more, and nothing that another process has in
// hand. A backup does so too.
func TestLeftoversBesideOthers(t *testing.T) {
	t.Parallel()
	n, away := processes(t)[0], t.TempDir()
	begun := func(name string, age time.Duration) string {
		path := filepath.Join(n.Dir, name)
		when := time.Now().Add(-age)
		if err := errors.Join(os.WriteFile(path, []byte("half"), 0o600), os.Chtimes(path, when, when)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	lay := func(part string) (dead, live string) {
		dead, live = killed(t, n.Dir, noroshi.Real, filepath.Join(away, part)), killed(t, n.Dir, noroshi.Real, filepath.Join(away, "live."+part))
		lock, err := store.LockThere(filepath.Join(live, "in-use"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { lock.Close() })
		return dead, live
	}
	old, young, other := begun(".new-real.db.keys.1", 2*time.Hour), begun("secret/.new-real.db.next-root.key.2", time.Minute), begun(".new-exercise-x.db.keys.3", 2*time.Hour)
	dead, live := lay("a.part")
	again, err := node.Open(t.Context(), n.Dir, noroshi.Real, node.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	gone(t, old, dead, filepath.Join(away, "a.part"))
	there(t, young, other, live, filepath.Join(away, "live.a.part"))
	dead, live = lay("b.part")
	backUp(t, n, []byte("0123456789abcdef0123456789abcdef"))
	gone(t, dead, filepath.Join(away, "b.part"))
	there(t, live, filepath.Join(away, "live.b.part"))
	if left, err := filepath.Glob(filepath.Join(n.Dir, ".backup-*")); err != nil || len(left) != 2 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestScratchOfManyAtOnce: of folders to work in that are made at the same time
// none is taken for one that was left.
func TestScratchOfManyAtOnce(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 25 {
				dir, done, err := node.Scratch(parent, "work-")
				if err == nil {
					err = os.WriteFile(filepath.Join(dir, "half"), nil, 0o600)
					done()
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
