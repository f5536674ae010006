package audit_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/audit"
	"github.com/noroshi-cti/noroshi/internal/ledger"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
)

// keeper is a node's store with its keys on record.
type keeper struct {
	*store.Store
	t    *testing.T
	at   string
	keys *message.Keyring
}

func newKeeper(t *testing.T) *keeper {
	t.Helper()
	keys, err := message.NewKeyring(noroshi.Real, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{t: t, at: storetest.Address(t, noroshi.Real), keys: keys}
	k.open()
	t.Cleanup(func() { k.Close() })
	k.do(noroshi.Act{Action: noroshi.ActInit}, func(tx *store.Tx) error {
		return tx.PutDoc(noroshi.DocKeyset, keys.NodeID().String(), keys.Keyset().Bytes())
	})
	return k
}

func (k *keeper) open() {
	k.t.Helper()
	public, sign := k.keys.Control()
	s, err := store.Open(k.t.Context(), k.at, store.Options{Realm: noroshi.Real, Node: k.keys.NodeID(), Key: public, Sign: sign})
	if err != nil {
		k.t.Fatal(err)
	}
	k.Store = s
}

func (k *keeper) do(a noroshi.Act, fn func(*store.Tx) error) {
	k.t.Helper()
	if _, err := k.Do(k.t.Context(), a, fn); err != nil {
		k.t.Fatal(err)
	}
}

// acts enters acts, on the link with a partner or on none.
func (k *keeper) acts(n int, partner noroshi.NodeID) {
	k.t.Helper()
	for range n {
		k.do(noroshi.Act{Action: noroshi.ActSend, Subject: "x", Partner: partner}, func(*store.Tx) error { return nil })
	}
}

func (k *keeper) offer(partner noroshi.NodeID, from uint64) []byte {
	k.t.Helper()
	file, err := audit.Offer(k.t.Context(), k.Reads, noroshi.Real, k.keys.NodeID(), partner, from)
	if err != nil {
		k.t.Fatal(err)
	}
	return file
}

func (k *keeper) witness(file []byte) (out []byte, err error) {
	public, sign := k.keys.Control()
	_, err = k.Do(k.t.Context(), noroshi.Act{Action: noroshi.ActWitness}, func(tx *store.Tx) error {
		out, err = audit.Witness(k.t.Context(), tx, k.keys.NodeID(), noroshi.Real, public, sign, file)
		return err
	})
	return out, err
}

func (k *keeper) check(file []byte) (audit.Witnessed, error) {
	return audit.CheckWitness(k.t.Context(), k.Reads, noroshi.Real, k.keys.NodeID(), file)
}

// TestThirdWitness: a third node signs the head of a ledger, then only what
// grew from it; what it signed finds a ledger that was written anew.
func TestThirdWitness(t *testing.T) {
	t.Parallel()
	partner := noroshi.NodeID{7}
	for _, of := range []noroshi.NodeID{{}, partner} {
		a, w := newKeeper(t), newKeeper(t)
		a.acts(5, partner)
		first := a.offer(of, 0)
		signed, err := w.witness(first)
		if err != nil {
			t.Fatal(err)
		}
		size := uint64(5) // of the link's
		if of != partner {
			size = 6
		}
		if got, err := a.check(signed); err != nil || !got.Fits || got.Size != size || got.Of != of || got.By.Node != w.keys.NodeID() || got.At.IsZero() {
			t.Fatalf("witnessed: %+v, %v", got, err)
		}
		a.acts(3, partner)
		if _, err := w.witness(a.offer(of, 0)); noroshi.KindOf(err) != noroshi.Refused {
			t.Errorf("a head without proof from the last: %v", err)
		}
		if _, err := w.witness(a.offer(of, size)); err != nil {
			t.Errorf("a head that grew: %v", err)
		}
		if _, err := w.witness(first); noroshi.KindOf(err) != noroshi.Refused {
			t.Errorf("the first head again: %v", err)
		}
		if got, err := a.check(signed); err != nil || !got.Fits {
			t.Errorf("what was witnessed first: %+v, %v", got, err)
		}
		if _, err := w.check(signed); noroshi.KindOf(err) != noroshi.Invalid {
			t.Errorf("of another node: %v", err)
		}
		a.Close()
		public, sign := a.keys.Control()
		storetest.Rewrite(t, a.at, noroshi.Real, public, sign, func(l *ledger.Leaf) {
			if l.Index == 2 {
				l.Count++
			}
		})
		a.open()
		if v, err := a.Verify(t.Context(), nil); err != nil || len(v.Faults) > 0 {
			t.Errorf("the rewriting shows by itself: %+v, %v", v.Faults, err)
		}
		if got, err := a.check(signed); err != nil || got.Fits {
			t.Errorf("after the rewriting: %+v, %v", got, err)
		}
		a.acts(1, partner)
		if _, err := w.witness(a.offer(of, size+3)); noroshi.KindOf(err) != noroshi.Broken {
			t.Errorf("a ledger that was written anew: %v", err)
		}
		b := newKeeper(t) // another node under the name
		b.acts(9, partner)
		if _, err := w.witness(b.offer(of, 0)); err != nil {
			t.Errorf("another ledger: %v", err)
		}
	}
}

// Every value of a witness's file counts.
func TestWitnessFileIsSigned(t *testing.T) {
	t.Parallel()
	a, w := newKeeper(t), newKeeper(t)
	a.acts(3, noroshi.NodeID{})
	offer := a.offer(noroshi.NodeID{}, 0)
	signed, err := w.witness(offer)
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range bytes.SplitAfter(signed, []byte("\n"))[2:] {
		if len(l) == 0 {
			continue
		}
		at := bytes.Index(signed, l)
		bad := slices.Concat(signed[:at], signed[at+len(l):])
		if _, err := a.check(bad); err == nil {
			t.Errorf("line %d left out: passes", i+3)
		}
		bad = bytes.Clone(signed)
		bad[at+len(l)/2] ^= 2
		if got, err := a.check(bad); err == nil && got.Fits {
			t.Errorf("line %d changed: passes: %+v", i+3, got)
		}
	}
	bad := bytes.Replace(offer, []byte("checkpoint "), []byte("checkpoint A"), 1)
	if _, err := w.witness(bad); err == nil {
		t.Error("a damaged head is signed")
	}
}

func FuzzWitness(f *testing.F) {
	f.Add([]byte("noroshi checkpoint 1\nrealm cmVhbA==\ncheckpoint AA==\nfrom AAAAAAAAAAA=\nkeyset AA==\n"))
	f.Add([]byte("noroshi witness 1\nrealm cmVhbA==\ncheckpoint AA==\ncosignature AA==\nkeyset AA==\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := audit.Witness(t.Context(), nil, noroshi.NodeID{1}, noroshi.Real, nil, nil, b); err == nil {
			t.Error("a head that nobody signed is signed")
		}
		if _, err := audit.CheckWitness(t.Context(), store.Reads{}, noroshi.Real, noroshi.NodeID{1}, b); err == nil {
			t.Error("a file that nobody signed passes")
		}
	})
}
