package audit_test

import (
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/audit"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
)

// TestIssuedIsOfTheLink: the head a partner gets is that of the ledger of its
// link, however much else the node does; of the whole one it gets a commitment.
func TestIssuedIsOfTheLink(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), storetest.Address(t, noroshi.Real), store.Options{Realm: noroshi.Real, Node: noroshi.NodeID{1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	partner := noroshi.NodeID{2}
	act := func(with noroshi.NodeID, fn func(*store.Tx) error) {
		t.Helper()
		if _, err := s.Do(t.Context(), noroshi.Act{Action: noroshi.ActSend, Subject: "x", Partner: with}, fn); err != nil {
			t.Fatal(err)
		}
	}
	nothing := func(*store.Tx) error { return nil }
	for range 3 {
		act(partner, nothing)
		act(noroshi.NodeID{3}, nothing)
		act(noroshi.NodeID{}, nothing)
	}
	_, size, err := s.LinkActed(t.Context(), partner, 0)
	if err != nil || size != 3 {
		t.Fatalf("the link has %d leaves, error %v", size, err)
	}
	root, _, err := s.LinkRoot(t.Context(), partner, size)
	if err != nil {
		t.Fatal(err)
	}
	var x audit.Issued
	act(partner, func(tx *store.Tx) (err error) { x, err = audit.Issue(tx, partner); return err })
	told, err := x.Statement(t.Context(), s.Reads, partner, 0)
	if err != nil {
		t.Fatal(err)
	}
	if x.Size != size || x.Whole.Size != 9 || x.Whole.Root == root || told.Commitment == x.Whole.Root {
		t.Errorf("issued %d leaves of %d, want %d of 9", x.Size, x.Whole.Size, size)
	}
}
