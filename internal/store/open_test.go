package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// TestLostDatabase: where a database was none is made anew, and a file that is
// none is said to be.
func TestLostDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "real.db")
	s, err := store.Open(t.Context(), path, options())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	opens := func(want string) {
		t.Helper()
		var e *noroshi.Error
		if _, err := store.Open(t.Context(), path, options()); !errors.As(err, &e) || e.Code != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte("no database"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	opens("store.damaged")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	opens("store.gone")
	if _, err := os.Stat(path); err == nil {
		t.Error("a new database was made")
	}
}

func TestOpenRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "real.db")
	s, err := store.Open(t.Context(), path, options())
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, indicator(t, 1, "2024-01-01T00:00:00Z"))
	if _, err := store.Open(t.Context(), path, options()); noroshi.KindOf(err) != noroshi.Busy {
		t.Errorf("second writer: got %v, want busy", err)
	}
	o := options()
	o.ReadOnly = true
	r, err := store.Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	if v := verify(t, r); v.Acts != 1 || len(v.Faults) > 0 {
		t.Errorf("read-only beside the writer: got %+v", v)
	}
	put(t, s, indicator(t, 2, "2024-01-01T00:00:00Z"))
	if head, err := r.Head(t.Context()); err != nil || head != 2 {
		t.Errorf("read-only: got feed at %d, %v, want 2", head, err)
	}
	if _, err := r.Do(t.Context(), noroshi.Act{Subject: "x"}, func(*store.Tx) error { return nil }); noroshi.KindOf(err) != noroshi.Forbidden {
		t.Errorf("write to a read-only store: got %v, want forbidden", err)
	}
	r.Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*store.Options)
		kind   noroshi.Kind
	}{
		{"another realm", func(o *store.Options) { o.Realm, _ = noroshi.ParseRealm("exercise:x") }, noroshi.Refused},
		{"another node", func(o *store.Options) { o.Node = nodeB }, noroshi.Refused},
		{"no realm", func(o *store.Options) { o.Realm = noroshi.Realm{} }, noroshi.Invalid},
		{"no such file", func(o *store.Options) { o.ReadOnly, path = true, path+".none" }, noroshi.NotFound},
	} {
		o := options()
		c.change(&o)
		if _, err := store.Open(t.Context(), path, o); noroshi.KindOf(err) != c.kind {
			t.Errorf("%s: got %v, want kind %d", c.name, err, c.kind)
		}
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "real.db")
	openAt(t, path).Close()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("UPDATE meta SET v = CAST('99' AS BLOB) WHERE k = 'schema'"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	if _, err := store.Open(t.Context(), path, options()); noroshi.KindOf(err) != noroshi.Refused {
		t.Errorf("newer schema: got %v, want refused", err)
	}
}

// init makes keys after the first acts; from then on the ledger is signed, and
// only with a key can more be written.
func TestSigningBegins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "real.db")
	bare := store.Options{Realm: noroshi.Real}
	for i, o := range []store.Options{bare, options(), {Realm: noroshi.Real, Node: nodeA, ReadOnly: false}} {
		s, err := store.Open(t.Context(), path, o)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Do(t.Context(), noroshi.Act{Action: noroshi.ActInit, Subject: "x"}, func(*store.Tx) error { return nil })
		if want := i == 2; (noroshi.KindOf(err) == noroshi.Forbidden) != want {
			t.Errorf("opened %d: got %v, forbidden %t", i, err, want)
		}
		if v := verify(t, s); len(v.Faults) > 0 {
			t.Errorf("opened %d: got %v", i, v.Faults)
		}
		s.Close()
	}
}

// A follower that reads while others write sees every change once, in order.
func TestFeedHasNoHoles(t *testing.T) {
	s := open(t)
	const writers, each = 3, 40
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				prec := noroshi.Precedence(i%4 + 1)
				_, err := s.Do(context.Background(), noroshi.Act{Action: noroshi.ActImport, Precedence: prec}, func(tx *store.Tx) error {
					if i%5 == 4 {
						return tx.Notice(store.AckGiven, fmt.Sprint(w, i))
					}
					_, _, err := tx.Put(indicator(t, w*1000+i, "2024-01-01T00:00:00Z"))
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for at := int64(0); at < writers*each; {
		if err := s.Wait(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		list, err := s.Feed(t.Context(), at, 7)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			if c.Seq != at+1 || c.ID == "" || c.Time.IsZero() {
				t.Fatalf("after %d: got %+v", at, c)
			}
			at = c.Seq
		}
		if err := s.Advance(t.Context(), "f", at); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if v := verify(t, s); len(v.Faults) > 0 {
		t.Error(v.Faults)
	}
}
