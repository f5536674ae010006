package node_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// agreed puts an agreement with these suites in force with a partner.
func agreed(t *testing.T, n *node.Node, suites string) {
	t.Helper()
	other := noroshi.Party{CallSign: "JPN-01", Node: noroshi.NodeID{9}, Identity: "identity--5a1f6c2e-2d3b-4c57-9a43-0d8a1f1a0002"}
	file := release.Template(release.Draft{Realm: noroshi.Real, Self: noroshi.Party{CallSign: n.Self.CallSign, Node: n.Keys.NodeID(), Identity: n.Self.Identity},
		Partner: other, From: time.Now().Add(-time.Hour), Until: time.Now().AddDate(1, 0, 0)})
	file = bytes.Replace(file, []byte(`suites = ["S1", "S2"]`), []byte(suites), 1)
	body, err := json.Marshal(noroshi.Partner{Node: other.Node, Trust: noroshi.InForce, Agreement: noroshi.Sum(file), Organisation: noroshi.Organisation{CallSign: other.CallSign}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Store.Do(t.Context(), noroshi.Act{Action: noroshi.ActAgreementInForce}, func(tx *store.Tx) error {
		return errors.Join(tx.PutDoc(noroshi.DocPartner, other.Node.String(), body), tx.PutDoc(noroshi.DocAgreement, noroshi.Sum(file).String(), file))
	}); err != nil {
		t.Fatal(err)
	}
}

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
	agreed(t, n, `suites = ["S1", "S2"]`)
	if err := n.Renew(t.Context()); err != nil || n.Keys.Keyset().Has(message.S1H, clock) {
		t.Fatalf("a key of S1H that no agreement asks for: %v", err)
	}
	agreed(t, n, `suites = ["S1", "S1H"]`)
	if err := n.Renew(t.Context()); err != nil || !n.Keys.Keyset().Has(message.S1H, clock) {
		t.Fatalf("no key of S1H, which an agreement asks for: %v", err)
	}
	first = n.Keys.Keyset().Version
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

// TestPinsFollowTheKeyset: whoever may connect is asked of the KEYSET held at that
// moment: a TLS key that it revokes is out at once, its next one in.
func TestPinsFollowTheKeyset(t *testing.T) {
	t.Parallel()
	n := made(t)
	other, err := message.NewKeyring(noroshi.Real, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(noroshi.Partner{Node: other.NodeID(), Trust: noroshi.Introduced})
	if err != nil {
		t.Fatal(err)
	}
	pins := func() [][32]byte {
		t.Helper()
		if _, err := n.Store.Do(t.Context(), noroshi.Act{Action: noroshi.ActKeys}, func(tx *store.Tx) error {
			return errors.Join(tx.PutDoc(noroshi.DocPartner, other.NodeID().String(), body), tx.PutDoc(noroshi.DocKeyset, other.NodeID().String(), other.Keyset().Bytes()))
		}); err != nil {
			t.Fatal(err)
		}
		return n.Peers()[other.NodeID()]
	}
	first := pins()
	if len(first) != 1 {
		t.Fatalf("%d pins of a new partner, want one", len(first))
	}
	tls := slices.IndexFunc(other.Keyset().Keys, func(k message.Key) bool { return k.Use == message.UseTLS })
	if err := other.Revoke(rand.Reader, message.Revocation{ID: other.Keyset().Keys[tls].ID}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if then := pins(); len(then) != 1 || then[0] == first[0] {
		t.Errorf("pins %x after %x was revoked, want another", then, first)
	}
}
