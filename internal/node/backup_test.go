package node_test

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/backup"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// made makes a node and opens it.
func made(t *testing.T) *node.Node {
	t.Helper()
	dir := t.TempDir()
	if err := node.Init(t.Context(), dir, node.Config{CallSign: "USA-01"}); err != nil {
		t.Fatal(err)
	}
	n, err := node.Open(t.Context(), dir, noroshi.Real, node.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// TestBackupsToOneFile: of several backups to one file at once one is written,
// whole, and the others are refused and leave nothing.
func TestBackupsToOneFile(t *testing.T) {
	t.Parallel()
	n, key := made(t), []byte("0123456789abcdef0123456789abcdef")
	file := filepath.Join(t.TempDir(), "usa.backup")
	var all sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		s, err := backup.Seal(backup.Key, key)
		if err != nil {
			t.Fatal(err)
		}
		order, err := json.Marshal(web.BackupOrder{File: file, How: string(s.How), Salt: s.Salt, Key: s.Key})
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() { _, errs[i] = web.Invoke(t.Context(), n.Services(), "backup", order, nil, nil) })
	}
	all.Wait()
	fine := 0
	for _, err := range errs {
		switch {
		case err == nil:
			fine++
		case noroshi.KindOf(err) != noroshi.Conflict:
			t.Error(err)
		}
	}
	if fine != 1 {
		t.Errorf("%d backups say that they wrote the file", fine)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := node.CheckBackup(t.Context(), f, func(backup.How) ([]byte, error) { return key, nil }, false); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) != 1 {
		t.Errorf("left beside it: %v, %v", left, err)
	}
}

// atEnd calls fn when a reader is at its end.
type atEnd struct {
	io.Reader
	fn func()
}

func (r atEnd) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil {
		r.fn()
	}
	return n, err
}

// TestCheckLeavesNothing: a check unpacks the database alone, no keys, into a
// folder that it removes, and one that was killed is cleared away by the next; one
// that runs beside it is not.
func TestCheckLeavesNothing(t *testing.T) {
	key, temp := []byte("0123456789abcdef0123456789abcdef"), t.TempDir()
	file := backUp(t, made(t), key)
	t.Setenv("TMPDIR", temp)
	for _, name := range []string{"noroshi-check-1", "noroshi-check-2"} {
		if err := os.Mkdir(filepath.Join(temp, name), 0o700); err != nil {
			t.Fatal(err)
		}
		lock, err := store.Lock(filepath.Join(temp, name, "in-use"))
		if err != nil {
			t.Fatal(err)
		}
		defer lock.Close()
		if name == "noroshi-check-1" {
			if err := lock.Close(); err != nil { // its process is gone
				t.Fatal(err)
			}
		}
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var seen []string
	in := atEnd{f, func() { seen, _ = filepath.Glob(filepath.Join(temp, "*", "*")) }}
	if _, err := node.CheckBackup(t.Context(), in, func(backup.How) ([]byte, error) { return key, nil }, true); err != nil {
		t.Fatal(err)
	}
	if len(seen) == 0 || slices.ContainsFunc(seen, func(s string) bool {
		return !strings.HasPrefix(filepath.Base(s), "store.db") && filepath.Base(s) != "in-use.lock"
	}) {
		t.Errorf("unpacked: %v", seen)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) != 1 || left[0].Name() != "noroshi-check-2" {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestCheckTouchesNoTrap: what others may have laid where checks are made, and what
// links elsewhere, is neither removed nor locked.
func TestCheckTouchesNoTrap(t *testing.T) {
	key, temp, away := []byte("0123456789abcdef0123456789abcdef"), t.TempDir(), t.TempDir()
	file := backUp(t, made(t), key)
	t.Setenv("TMPDIR", temp)
	in := func(parts ...string) string { return filepath.Join(append([]string{temp}, parts...)...) }
	victim := filepath.Join(away, "victim")
	err := errors.Join(
		os.Mkdir(in("noroshi-check-open"), 0o700), os.Chmod(in("noroshi-check-open"), 0o777), os.WriteFile(in("noroshi-check-open", "in-use.lock"), nil, 0o600),
		os.Mkdir(in("noroshi-check-link"), 0o700), os.Symlink(victim, in("noroshi-check-link", "in-use.lock")),
		os.WriteFile(filepath.Join(away, "in-use.lock"), nil, 0o600), os.Symlink(away, in("noroshi-check-away")))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := node.CheckBackup(t.Context(), f, func(backup.How) ([]byte, error) { return key, nil }, true); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{in("noroshi-check-open", "in-use.lock"), in("noroshi-check-link", "in-use.lock"), in("noroshi-check-away", "in-use.lock")} {
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Lstat(victim); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a link was followed: %v", err)
	}
}
