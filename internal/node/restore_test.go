package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/backup"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// cast are the persons of all nodes.
var cast crew.Cast

// enlist gives a node that is open a crew.
func enlist(t *testing.T, n *node.Node) {
	t.Helper()
	c := crew.Crew{Sign: n.Self.CallSign, Passphrase: func(string) ([]byte, error) { return []byte("correct-horse-battery"), nil }, Cast: &cast}
	c.Do = func(ctx context.Context, op string, in, out any) error {
		input, err := json.Marshal(in)
		if err != nil {
			return err
		}
		result, err := web.Invoke(ctx, n.Services(), op, input, nil, nil)
		if err != nil || out == nil {
			return err
		}
		b, err := json.Marshal(result)
		return errors.Join(err, json.Unmarshal(b, out))
	}
	if err := c.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestRestoreThatNobodySigns: a backup from before there was a release officer
// goes where no node is, and over none.
func TestRestoreThatNobodySigns(t *testing.T) {
	t.Parallel()
	dir, key := t.TempDir(), []byte("0123456789abcdef0123456789abcdef")
	if err := node.Init(t.Context(), dir, node.Config{CallSign: "USA-01"}); err != nil {
		t.Fatal(err)
	}
	n, err := node.Open(t.Context(), dir, noroshi.Real, node.Options{})
	if err != nil {
		t.Fatal(err)
	}
	file := backUp(t, n, key)
	enlist(t, n)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	into := func(dir string) error {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := node.BeginRestore(t.Context(), dir, f, func(backup.How) ([]byte, error) { return key, nil })
		if err != nil {
			return err
		}
		_, err = r.Commit(t.Context(), nil)
		return errors.Join(err, r.Abandon())
	}
	lost := t.TempDir() // all but the database is left
	for _, name := range []string{"noroshi.toml", "identity.json"} {
		if err := os.Link(filepath.Join(dir, name), filepath.Join(lost, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, dir := range map[string]string{"a node with persons": dir, "one whose database is lost": lost} {
		if err := into(dir); noroshi.KindOf(err) != noroshi.Refused {
			t.Errorf("over %s: %v", name, err)
		}
	}
	if err := into(t.TempDir()); err != nil {
		t.Errorf("into an empty folder: %v", err)
	}
}

// backUp has a node write a backup sealed by a key.
func backUp(t *testing.T, n *node.Node, key []byte) (file string) {
	t.Helper()
	s, err := backup.Seal(backup.Key, key)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "usa.backup")
	order, err := json.Marshal(web.BackupOrder{File: file, How: string(s.How), Salt: s.Salt, Key: s.Key})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := web.Invoke(t.Context(), n.Services(), "backup", order, nil, nil); err != nil {
		t.Fatal(err)
	}
	return file
}

// putBack has two officers put a node back from a backup into a folder, and opens it.
func putBack(t *testing.T, file, dir string, key []byte) *node.Node {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := node.BeginRestore(t.Context(), dir, f, func(backup.How) ([]byte, error) { return key, nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Commit(t.Context(), signedBy(t, r, "release1", "release2")); err != nil {
		t.Fatal(err)
	}
	n, err := node.Open(t.Context(), dir, noroshi.Real, node.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// TestInterruptedRestore: a restore that was killed before anything moved leaves
// the node as it was; one killed between two moves is finished by whoever opens
// the folder next, at whichever move it was.
func TestInterruptedRestore(t *testing.T) {
	dir, key := t.TempDir(), []byte("0123456789abcdef0123456789abcdef")
	if err := node.Init(t.Context(), dir, node.Config{CallSign: "USA-01"}); err != nil {
		t.Fatal(err)
	}
	acts := func() uint64 {
		t.Helper()
		n, err := node.Open(t.Context(), dir, noroshi.Real, node.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		k, err := n.Store.NextAct(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	n, err := node.Open(t.Context(), dir, noroshi.Real, node.Options{})
	if err != nil {
		t.Fatal(err)
	}
	enlist(t, n)
	file := backUp(t, n, key)
	begin := func() (*node.Restoring, error) {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		return node.BeginRestore(t.Context(), dir, f, func(backup.How) ([]byte, error) { return key, nil })
	}
	if _, err := begin(); noroshi.KindOf(err) != noroshi.Busy {
		t.Errorf("while the node is open: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	before := acts()
	unsigned, err := begin()
	if err == nil {
		err = unsigned.Gone()
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := acts(); got != before {
		t.Errorf("nothing was signed, and the node has %d acts, had %d", got, before)
	}
	for moved := range 3 {
		r, err := begin()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Commit(t.Context(), nil); noroshi.KindOf(err) != noroshi.Refused {
			t.Fatalf("nobody signed: %v", err)
		}
		if err := r.Interrupted(t.Context(), moved); err != nil {
			t.Fatal(err)
		}
		if moved == 1 { // a command that only reads finishes it too
			n, err := node.Open(t.Context(), dir, noroshi.Real, node.Options{ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if got := acts(); got != r.Backup.Acts+1 { // the act of the restore is the next
			t.Errorf("after %d moves: the node has %d acts, want %d", moved, got, r.Backup.Acts+1)
		}
		if _, err := os.Stat(filepath.Join(dir, ".restore")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after %d moves: the stage is still there: %v", moved, err)
		}
	}
}

// TestRecallsBeforeMatching: what the recall list beside a database knows and the
// database does not is done by whoever opens it for writing; who only reads it
// arms nothing before.
func TestRecallsBeforeMatching(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := node.Init(t.Context(), dir, node.Config{CallSign: "USA-01"}); err != nil {
		t.Fatal(err)
	}
	may := func(readOnly bool) error {
		t.Helper()
		n, err := node.Open(t.Context(), dir, noroshi.Real, node.Options{ReadOnly: readOnly})
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		return n.MayArm(t.Context())
	}
	if err := may(false); err != nil {
		t.Fatal(err)
	}
	line := `{"id":"0001","entries":[{"Object":"indicator--00000000-0000-4000-8000-000000000001","Reason":1,"Scope":1}],"made":"2026-11-01T00:00:00Z","owners":["self"]}`
	if err := os.WriteFile(filepath.Join(dir, "real.db.recalls"), []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := may(true); noroshi.KindOf(err) != noroshi.Refused {
		t.Errorf("before: %v", err)
	}
	for _, readOnly := range []bool{false, true} {
		if err := may(readOnly); err != nil {
			t.Errorf("read only %t: %v", readOnly, err)
		}
	}
}

// TestInterruptedRestoreIntoADatabase: on PostgreSQL a restore that was killed
// before the database was filled, or after it and before anything moved, is
// finished by who opens the folder next; a database that has something is refused
// and nothing is begun.
func TestInterruptedRestoreIntoADatabase(t *testing.T) {
	t.Parallel()
	n, key := made(t), []byte("0123456789abcdef0123456789abcdef")
	enlist(t, n)
	file := backUp(t, n, key)
	begin := func(dsn string) (string, *node.Restoring) {
		t.Helper()
		dir := t.TempDir()
		config := fmt.Sprintf("call_sign = \"USA-01\"\n[store]\ndsn = %q\n", dsn)
		if err := os.WriteFile(filepath.Join(dir, "noroshi.toml"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := node.BeginRestore(t.Context(), dir, f, func(backup.How) ([]byte, error) { return key, nil })
		if err != nil {
			t.Fatal(err)
		}
		return dir, r
	}
	full := ""
	for _, made := range []int{-1, 0, 1} {
		full = storetest.DSN(t)
		dir, r := begin(full)
		if err := r.Interrupted(t.Context(), made); err != nil {
			t.Fatal(err)
		}
		n, err := node.Open(t.Context(), dir, noroshi.Real, node.Options{})
		if err != nil {
			t.Fatalf("after %d moves: %v", made, err)
		}
		acts, err := n.Store.NextAct(t.Context())
		if err = errors.Join(err, n.Close()); err != nil || acts != r.Backup.Acts+1 {
			t.Errorf("after %d moves: %d acts, want %d: %v", made, acts, r.Backup.Acts+1, err)
		}
	}
	dir, r := begin(full)
	if _, err := r.Commit(t.Context(), signedBy(t, r, "release1", "release2")); noroshi.KindOf(err) != noroshi.Conflict {
		t.Errorf("a database that has something: %v", err)
	}
	if err := r.Abandon(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left of it: %v, %v", left, err)
	}
}

// signedBy has persons of the register in a backup sign for its restore.
func signedBy(t *testing.T, r *node.Restoring, persons ...string) (by []noroshi.Signed) {
	t.Helper()
	for _, id := range persons {
		p, err := r.Person(id)
		if err != nil {
			t.Fatal(err)
		}
		key, err := p.Unseal([]byte("correct-horse-battery"))
		if err != nil {
			t.Fatal(err)
		}
		by = append(by, noroshi.SignAct(id, key, r.Digest()))
	}
	return by
}
