package store_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
	"github.com/noroshi-cti/noroshi/internal/tier"
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

// raw runs a statement past the store.
func raw(t testing.TB, path, q string, args ...any) {
	t.Helper()
	db := rawDB(t, path)
	if _, err := db.ExecContext(t.Context(), q, args...); err != nil {
		t.Fatal(err)
	}
	db.Close()
}

func rawDB(t testing.TB, path string) *sql.DB {
	t.Helper()
	return storetest.Raw(t, path)
}

func TestOpenRefuses(t *testing.T) {
	path := address(t)
	s, err := store.Open(t.Context(), path, options())
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, indicator(t, 1, "2024-01-01T00:00:00Z"))
	if storetest.Engine() == storetest.SQLite {
		if _, err := store.Open(t.Context(), path, options()); noroshi.KindOf(err) != noroshi.Busy {
			t.Errorf("second writer: got %v, want busy", err)
		}
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
	other, err := noroshi.ParseRealm("exercise:x")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := path
	if storetest.Engine() == storetest.Postgres { // each realm has its schema: give one the other's name
		elsewhere = address(t)
		openAt(t, elsewhere).Close()
		db := rawDB(t, elsewhere)
		schema := column(t, db, "SELECT current_schema()::text")[0]
		raw(t, elsewhere, "ALTER SCHEMA "+schema+" RENAME TO "+strings.TrimSuffix(schema, "real")+"exercise_x")
	}
	for _, c := range []struct {
		name   string
		change func(*store.Options)
		kind   noroshi.Kind
	}{
		{"another realm", func(o *store.Options) { o.Realm = other }, noroshi.Refused},
		{"another node", func(o *store.Options) { o.Node = nodeB }, noroshi.Refused},
		{"no realm", func(o *store.Options) { o.Realm = noroshi.Realm{} }, noroshi.Invalid},
		{"no such place", func(o *store.Options) { o.ReadOnly = true }, noroshi.NotFound},
	} {
		o, path := options(), path
		switch c.name {
		case "another realm":
			path = elsewhere
		case "no such place":
			path = address(t)
		}
		c.change(&o)
		if _, err := store.Open(t.Context(), path, o); noroshi.KindOf(err) != c.kind {
			t.Errorf("%s: got %v, want kind %d", c.name, err, c.kind)
		}
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := address(t)
	openAt(t, path).Close()
	raw(t, path, "UPDATE meta SET v = $1 WHERE k = 'schema'", []byte("99"))
	if _, err := store.Open(t.Context(), path, options()); noroshi.KindOf(err) != noroshi.Refused {
		t.Errorf("newer schema: got %v, want refused", err)
	}
}

// init makes keys after the first acts; from then on the ledger is signed, and
// only with a key can more be written.
func TestSigningBegins(t *testing.T) {
	path := address(t)
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
// TestSignWith: another key signs from the act on that says so, and only where
// the ledger names another; what the one before signed stays good.
func TestSignWith(t *testing.T) {
	s := open(t)
	act := func(subject string) uint64 {
		return do(t, s, noroshi.Act{Action: noroshi.ActInit, Subject: subject}, func(tx *store.Tx) error { return tx.SetCursor("f", int64(tx.Index())) }).Index
	}
	act("before")
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	for range 2 {
		err := s.SignWith(t.Context(), other.Public().(ed25519.PublicKey), func(text []byte) []byte { return ed25519.Sign(other, text) })
		if err != nil {
			t.Fatal(err)
		}
		if v, err := s.Verify(t.Context(), nil); err != nil || len(v.Faults) > 0 || v.Acts != 2 {
			t.Fatalf("%d acts, %v, %v", v.Acts, v.Faults, err)
		}
	}
	file, err := s.Prove(t.Context(), act("after"))
	if err != nil {
		t.Fatal(err)
	}
	want := noroshi.Sum(other.Public().(ed25519.PublicKey)).String()
	if p, err := store.CheckProof(file); err != nil || p.Key != want {
		t.Errorf("signed by %s, %v, want %s", p.Key, err, want)
	}
}

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

// Whoever opens a realm to look, beside a node that writes, finds it whole.
func TestLooksWhileAnotherWrites(t *testing.T) {
	t.Parallel()
	path := address(t)
	s := openAt(t, path)
	put(t, s, indicator(t, 0, "2024-01-01T00:00:00Z"))
	stop, wrote := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(wrote)
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			_, err := s.Do(context.Background(), noroshi.Act{Action: noroshi.ActRead, Subject: fmt.Sprint(i)}, func(*store.Tx) error { return nil })
			if err != nil {
				wrote <- err
				return
			}
		}
	}()
	o := options()
	o.ReadOnly = true
	for range tier.N(30, 1000) {
		look, err := store.Open(t.Context(), path, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := look.Close(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	if err := <-wrote; err != nil {
		t.Error(err)
	}
}

// TestClosed: who reads, writes or waits is told when the store is closed, before
// or after, and waits for nothing.
func TestClosed(t *testing.T) {
	s, err := store.Open(t.Context(), storetest.Address(t, noroshi.Real), options())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var users sync.WaitGroup
	begun := make(chan struct{}, 100)
	for name, use := range map[string]func() error{
		"read": func() error { _, err := s.Partners(ctx); return err },
		"write": func() error {
			_, err := s.Do(ctx, noroshi.Act{Action: noroshi.ActImport}, func(*store.Tx) error { return nil })
			return err
		},
		"wait": func() error { return s.Wait(ctx, 1) },
	} {
		for range 4 {
			users.Go(func() {
				begun <- struct{}{}
				for err := use(); !errors.Is(err, fs.ErrClosed); err = use() {
					if err != nil {
						t.Errorf("%s: %v, want %v", name, err, fs.ErrClosed)
						return
					}
				}
			})
		}
	}
	for range 12 {
		<-begun
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	users.Wait()
}
