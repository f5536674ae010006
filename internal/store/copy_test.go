package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
)

// A realm goes to the other engine and back: every table and the ledger are the
// same in the end, and the node goes on there.
func TestCopyThereAndBack(t *testing.T) {
	first, dsn, last := filepath.Join(t.TempDir(), "real.db"), storetest.DSN(t), filepath.Join(t.TempDir(), "real.db")
	s := openAt(t, first)
	live(t, s, 40)
	hostile(t, s)
	if err := store.Derive(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	want := verify(t, s)
	if _, err := store.Copy(t.Context(), first, dsn, noroshi.Real, nil); noroshi.KindOf(err) != noroshi.Busy {
		t.Errorf("copy of a file that is open: %v", err)
	}
	s.Close()
	there, err := store.Copy(t.Context(), first, dsn, noroshi.Real, nil)
	if err != nil {
		t.Fatal(err)
	}
	open := openAt(t, dsn)
	if _, err := store.Copy(t.Context(), dsn, last, noroshi.Real, nil); noroshi.KindOf(err) != noroshi.Busy {
		t.Errorf("copy of a schema that is open: %v", err)
	}
	open.Close()
	back, err := store.Copy(t.Context(), dsn, last, noroshi.Real, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(there, back); d != "" || there.Head != want.Head || there.Acts != want.Acts || len(there.Tables) < 35 {
		t.Errorf("there and back (-there +back):\n%s\n%d tables, head %s, want %s", d, len(there.Tables), there.Head, want.Head)
	}
	for _, place := range []string{first, dsn, last} {
		s := openAt(t, place)
		if v := verify(t, s); len(v.Faults) > 0 || v.Head != want.Head || v.Rows != want.Rows {
			t.Errorf("%s: got %+v, want %+v", place, v, want)
		}
		if !searches(t, s) {
			t.Errorf("%s: words are not found", place)
		}
		put(t, s, indicator(t, 900, "2024-01-01T00:00:00Z"))
		if v := verify(t, s); len(v.Faults) > 0 || v.Acts != want.Acts+1 {
			t.Errorf("%s: gone on: %+v", place, v)
		}
	}
}

// hostile keeps what others may write: texts with a NUL, and what is no UTF-8.
func hostile(t *testing.T, s *store.Store) {
	t.Helper()
	v := indicator(t, 800, "2024-01-01T00:00:00Z")
	v.Text, v.Run = "nul \x00 and \xff", "run \x00 \xff"
	put(t, s, v)
	do(t, s, noroshi.Act{Action: noroshi.ActImport, Subject: "nul \x00"}, func(tx *store.Tx) error {
		if err := tx.PutDoc("run", "run \x00 \xff", []byte{0}); err != nil {
			return err
		}
		q := store.Quarantined{Source: noroshi.Source{Kind: noroshi.FromFeed, Name: "feed \x00"}, Run: v.Run, Code: "malformed", Place: "member \x00\xff", Detail: "\x00", Raw: []byte{0, 0xff}, Size: 2}
		return errors.Join(tx.Quarantine(q), tx.Withdraw("indicator--00000000-0000-4000-8000-000000000801", q.Source.Owner()))
	})
}

// A copy goes to a new place only, and one that ends early leaves nothing.
func TestCopyIsWholeOrNot(t *testing.T) {
	for name, to := range map[string]func() string{
		"file":   func() string { return filepath.Join(t.TempDir(), "real.db") },
		"schema": func() string { return storetest.DSN(t) },
	} {
		t.Run(name, func(t *testing.T) {
			from, place := address(t), to()
			s := openAt(t, from)
			live(t, s, 2)
			s.Close()
			ctx, cancel := context.WithCancel(t.Context())
			_, err := store.Copy(ctx, from, place, noroshi.Real, func(table string, _ int64) {
				if table == "tree_hash" {
					cancel()
				}
			})
			if err == nil {
				t.Fatal("a copy that was cancelled ended well")
			}
			o := options()
			o.ReadOnly = true
			if _, err := store.Open(t.Context(), place, o); noroshi.KindOf(err) != noroshi.NotFound {
				t.Errorf("after a copy that ended early: %v", err)
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(place), "*")); name == "file" && len(left) > 0 {
				t.Errorf("a copy that ended early left %v", left)
			}
			if _, err := store.Copy(t.Context(), from, place, noroshi.Real, nil); err != nil {
				t.Fatal(err)
			}
			if fi, err := os.Stat(place); name == "file" && (err != nil || fi.Mode().Perm() != 0o600) {
				t.Errorf("the copy: %v, %v", fi.Mode(), err)
			}
			if _, err := store.Copy(t.Context(), from, place, noroshi.Real, nil); noroshi.KindOf(err) != noroshi.Conflict {
				t.Errorf("copy to where there is one: %v", err)
			}
			if _, err := store.Copy(t.Context(), to(), to(), noroshi.Real, nil); noroshi.KindOf(err) != noroshi.NotFound {
				t.Errorf("copy of nothing: %v", err)
			}
		})
	}
}

// TestCopyOfNoDatabase: what is no database of a realm is told, and left as it
// is.
func TestCopyOfNoDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	foreign := filepath.Join(dir, "foreign.db")
	raw(t, foreign, "CREATE TABLE x (a TEXT)")
	locked := write("locked.txt", "some text that is longer than a head\n")
	write("locked.txt.lock", "")
	for place, want := range map[string]string{
		write("text", "some text that is longer than a head\n"): "store.not-ours",
		write("empty", ""):         "store.not-ours",
		write("short", "SQLite"):   "store.not-ours",
		dir:                        "store.not-ours",
		foreign:                    "store.not-ours",
		locked:                     "store.damaged",
		filepath.Join(dir, "none"): "store.none",
		storetest.DSN(t):           "store.none",
	} {
		was, _ := os.ReadFile(place)
		_, err := store.Copy(t.Context(), place, filepath.Join(dir, "new.db"), noroshi.Real, nil)
		if noroshi.CodeOf(err) != want {
			t.Errorf("%s: %v, want %s", place, err, want)
		}
		if now, _ := os.ReadFile(place); place != foreign && string(now) != string(was) {
			t.Errorf("%s has changed", place)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "new.db")); err == nil {
		t.Error("a copy was made")
	}
}
