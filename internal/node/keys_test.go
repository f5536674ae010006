package node_test

import (
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node"
)

// TestRenew: a KEYSET that is about to be stale is followed by the next one,
// sealed on disk and kept, and a node opened again has it.
func TestRenew(t *testing.T) {
	dir := t.TempDir()
	if err := node.Init(t.Context(), dir, node.Config{CallSign: "USA-01"}); err != nil {
		t.Fatal(err)
	}
	clock := time.Now()
	open := func() *node.Node {
		n, err := node.Open(t.Context(), dir, noroshi.Real, node.Options{Serving: true, Now: func() time.Time { return clock }})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	n := open()
	first := n.Keys.Keyset().Version
	if err := n.Renew(t.Context()); err != nil || n.Keys.Keyset().Version != first {
		t.Fatalf("a fresh KEYSET was renewed to version %d: %v", n.Keys.Keyset().Version, err)
	}
	clock = clock.Add(6 * 24 * time.Hour)
	if err := n.Renew(t.Context()); err != nil || n.Keys.Keyset().Version != first+1 {
		t.Fatalf("version %d after six days: %v", n.Keys.Keyset().Version, err)
	}
	id := n.Keys.NodeID()
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n = open()
	defer n.Close()
	doc, err := n.Store.Doc(t.Context(), noroshi.DocKeyset, id.String())
	if err != nil || string(doc) != string(n.Keys.Keyset().Bytes()) || n.Keys.Keyset().Version != first+1 || n.Keys.NodeID() != id {
		t.Errorf("opened again: version %d, document equal %v, %v", n.Keys.Keyset().Version, string(doc) == string(n.Keys.Keyset().Bytes()), err)
	}
}
