package store_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
	"github.com/noroshi-cti/noroshi/stix"
)

var (
	nodeA  = noroshi.NodeID{0xa}
	nodeB  = noroshi.NodeID{0xb}
	signer = ed25519.NewKeyFromSeed(make([]byte, 32))
	file   = noroshi.Source{Kind: noroshi.FromFile, Name: "list.txt", Person: "mika"}
)

func options() store.Options {
	return store.Options{
		Realm: noroshi.Real, Node: nodeA, Key: signer.Public().(ed25519.PublicKey),
		Sign: func(text []byte) []byte { return ed25519.Sign(signer, text) },
	}
}

// open opens a fresh store and closes it at the end of the test.
func open(t testing.TB) *store.Store {
	t.Helper()
	return openAt(t, address(t))
}

// address is a place for a store on the engine the suite runs on.
func address(t testing.TB) string {
	t.Helper()
	return storetest.Address(t, noroshi.Real)
}

func openAt(t testing.TB, path string) *store.Store {
	t.Helper()
	return openWith(t, path, func(*store.Options) {})
}

func openWith(t testing.TB, path string, change func(*store.Options)) *store.Store {
	t.Helper()
	o := options()
	change(&o)
	s, err := store.Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func do(t testing.TB, s *store.Store, act noroshi.Act, fn func(*store.Tx) error) store.Done {
	t.Helper()
	done, err := s.Do(context.Background(), act, fn)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// indicator makes the n-th indicator in a version: value n.example.
func indicator(t testing.TB, n int, modified string, extra ...stix.Member) *store.Version {
	t.Helper()
	id := stix.ID(fmt.Sprintf("indicator--00000000-0000-4000-8000-%012d", n))
	o, err := stix.Make(append([]stix.Member{
		{Name: "type", Value: "indicator"}, {Name: "spec_version", Value: "2.1"}, {Name: "id", Value: id},
		{Name: "created", Value: "2024-01-01T00:00:00.000Z"}, {Name: "modified", Value: modified},
		{Name: "pattern", Value: fmt.Sprintf("[domain-name:value = 'n%d.example']", n)}, {Name: "pattern_type", Value: "stix"},
		{Name: "valid_from", Value: "2024-01-01T00:00:00Z"},
	}, extra...)...)
	if err != nil {
		t.Fatal(err)
	}
	return version(o, file, noroshi.Value{Kind: noroshi.DomainName, Text: fmt.Sprintf("n%d.example", n)})
}

func version(o *stix.Object, src noroshi.Source, values ...noroshi.Value) *store.Version {
	return &store.Version{Object: o, Hash: o.Hash(), Source: src, Run: "run-1", Values: values}
}

func put(t testing.TB, s *store.Store, v *store.Version) (store.PutResult, int64) {
	t.Helper()
	var r store.PutResult
	var seq int64
	do(t, s, noroshi.Act{Action: noroshi.ActImport}, func(tx *store.Tx) (err error) {
		r, seq, err = tx.Put(v)
		return err
	})
	return r, seq
}

func TestPutAndRead(t *testing.T) {
	s := open(t)
	v := indicator(t, 1, "2024-01-01T00:00:00.000Z")
	v.Assign = []stix.ID{noroshi.Amber.MarkingID()}
	v.Flags = []string{"top-sites"}
	v.Refs = []stix.ID{"identity--00000000-0000-4000-8000-000000000001"}
	v.Text = "狼煙 ランサムウェア campaign"
	r, seq := put(t, s, v)
	if r != store.New || seq != 1 {
		t.Fatalf("put: got %v at %d, want new at 1", r, seq)
	}
	if r, again := put(t, s, v); r != store.Unchanged || again != seq {
		t.Errorf("put again: got %v at %d, want unchanged at %d", r, again, seq)
	}
	rec, err := s.Current(t.Context(), v.Object.ID)
	if err != nil {
		t.Fatal(err)
	}
	if string(rec.Object.Bytes()) != string(v.Object.Bytes()) || rec.Run != "run-1" || rec.Source != file || !rec.Current || rec.Flags[0] != "top-sites" || rec.Assigned[0] != v.Assign[0] {
		t.Errorf("current: got %+v", rec)
	}
	later := indicator(t, 1, "2024-02-01T00:00:00.000Z")
	if r, seq := put(t, s, later); r != store.Updated || seq != 2 {
		t.Errorf("put later: got %v at %d, want updated at 2", r, seq)
	}
	found, err := s.ByValue(t.Context(), v.Values[0], store.Along{Limit: 10})
	if err != nil || len(found) != 1 || found[0].Seq != 2 {
		t.Errorf("by value: got %v, %v, want the version at 2", found, err)
	}
	refs, err := s.Referrers(t.Context(), v.Refs[0], "", 10)
	if err != nil || len(refs) != 1 || refs[0] != v.Object.ID {
		t.Errorf("referrers: got %v, %v", refs, err)
	}
	feed, err := s.Feed(t.Context(), 0, 10)
	if err != nil || len(feed) != 2 || feed[1].ID != string(v.Object.ID) || feed[1].Kind != store.ObjectChanged {
		t.Errorf("feed: got %v, %v", feed, err)
	}
}
