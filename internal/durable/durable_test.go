package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/durable"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A file is replaced whole; what cannot be put in its place leaves what is there,
// and nothing beside it.
func TestWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "keys")
	for _, text := range []string{"one", "the second", ""} {
		if err := durable.Write("keys", path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got := read(t, path); got != text {
			t.Errorf("got %q, want %q", got, text)
		}
	}
	taken := filepath.Join(dir, "taken", "full")
	if err := os.MkdirAll(taken, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.Write("keys", filepath.Dir(taken), []byte("x")); noroshi.CodeOf(err) != "disk.write" {
		t.Errorf("in the place of a folder: %v", err)
	}
	if err := durable.Write("keys", filepath.Join(dir, "none", "keys"), []byte("x")); noroshi.CodeOf(err) != "disk.write" {
		t.Errorf("in no folder: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, durable.Unfinished+"*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A line that a crash cut short is ended, and the next stands by itself.
func TestAppend(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "list")
	line := func(s string, want int64) {
		t.Helper()
		if end, err := durable.Append("list", path, []byte(s)); err != nil || end != want {
			t.Errorf("append %q: ends at %d, %v, want %d", s, end, err, want)
		}
	}
	line("first", 6)
	if err := os.WriteFile(path, []byte("first\nsec"), 0o600); err != nil {
		t.Fatal(err)
	}
	line("third", 16)
	if got, want := read(t, path), "first\nsec\nthird\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Move and Remove say what they could not do; what is gone is removed.
func TestMoveAndRemove(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := durable.Move("keys", from, to); noroshi.CodeOf(err) != "disk.write" || !os.IsNotExist(unwrapped(err)) {
		t.Errorf("move of nothing: %v", err)
	}
	if err := durable.Write("keys", from, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := durable.Move("keys", from, to); err != nil || read(t, to) != "x" {
		t.Errorf("move: %v", err)
	}
	for range 2 {
		if err := durable.Remove("keys", to); err != nil {
			t.Errorf("remove: %v", err)
		}
	}
}

// MoveNew writes over nothing, and takes no name for what it cannot move: neither
// where there is nothing to move, nor where no link can be made and the move fails
// as well, as of a folder.
func TestMoveNew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from, folder, taken, to := filepath.Join(dir, "from"), filepath.Join(dir, "folder"), filepath.Join(dir, "taken"), filepath.Join(dir, "to")
	for path, text := range map[string]string{from: "new", taken: "old"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.MoveNew("backup", from, taken); !errors.Is(err, fs.ErrExist) || read(t, taken) != "old" {
		t.Errorf("to a name that is taken: %v", err)
	}
	for _, what := range []string{filepath.Join(dir, "none"), folder} {
		if err := durable.MoveNew("backup", what, to); noroshi.CodeOf(err) != "disk.write" {
			t.Errorf("%s: %v", filepath.Base(what), err)
		}
		if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: left behind: %v", filepath.Base(what), err)
			_ = os.Remove(to)
		}
	}
	if err := durable.MoveNew("backup", filepath.Join(dir, "none"), to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
	if err := durable.MoveNew("backup", from, to); err != nil || read(t, to) != "new" {
		t.Errorf("move: %v", err)
	}
}

func unwrapped(err error) error {
	if e, ok := err.(*noroshi.Error); ok {
		return e.Err
	}
	return err
}

// TestWriteIn: a file appears in a folder whole, in the place of what stood there;
// a link under the name it is written by first leads nowhere, and what cannot be
// put in its place leaves nothing.
func TestWriteIn(t *testing.T) {
	t.Parallel()
	dir, away := t.TempDir(), t.TempDir()
	folder, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	if err := os.Symlink(filepath.Join(away, "victim"), filepath.Join(dir, "a.part")); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one", "the second"} {
		if err := durable.WriteIn(folder, "letter", "a.part", "a", []byte(text)); err != nil || read(t, filepath.Join(dir, "a")) != text {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "full", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteIn(folder, "letter", "full.part", "full", nil); noroshi.CodeOf(err) != "disk.write" {
		t.Errorf("in the place of a folder: %v", err)
	}
	if err := durable.WriteIn(folder, "letter", "a.part", "../out", nil); noroshi.CodeOf(err) != "disk.write" {
		t.Errorf("out of the folder: %v", err)
	}
	if err := durable.SettleIn(folder, "letter", "."); err != nil {
		t.Error(err)
	}
	for path, want := range map[string]int{dir: 2, away: 0} {
		if left, err := os.ReadDir(path); err != nil || len(left) != want {
			t.Errorf("in %s: %v, %v", path, left, err)
		}
	}
}

// TestSettleIn: a folder that its system cannot bring to the disk is no error; one
// that is not there is.
func TestSettleIn(t *testing.T) {
	t.Parallel()
	folder, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	if err := durable.SettleIn(folder, "medium", "none"); noroshi.CodeOf(err) != "disk.write" || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of none: %v", err)
	}
	if _, err := os.Stat("/proc/self"); err != nil {
		return // there is no such system here
	}
	other, err := os.OpenRoot("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := durable.SettleIn(other, "medium", "."); err != nil {
		t.Errorf("of a system without: %v", err)
	}
}

// TestNew: what stood under the name of a new file is not written to, a link's end
// neither.
func TestNew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	victim, place := filepath.Join(dir, "victim"), filepath.Join(dir, "place")
	if err := errors.Join(os.WriteFile(victim, []byte("kept"), 0o600), os.Symlink(victim, place)); err != nil {
		t.Fatal(err)
	}
	f, err := durable.New(place)
	if err != nil {
		t.Fatal(err)
	}
	if err := durable.Finish("medium", f, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if read(t, victim) != "kept" || read(t, place) != "new" {
		t.Errorf("the link was followed: %q, %q", read(t, victim), read(t, place))
	}
}
