package store_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/audit"
	"github.com/noroshi-cti/noroshi/internal/ledger"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
	"github.com/noroshi-cti/noroshi/internal/tier"
)

// countersigned has a partner with keys of its own countersign the ledger of
// its link, twice, as couriers do, and returns how many acts there were before
// the head that was countersigned last was issued.
func countersigned(t testing.TB, s *store.Store) (acts uint64) {
	t.Helper()
	keys, err := message.NewKeyring(noroshi.Real, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p := keys.NodeID()
	n := audit.Names{Realm: noroshi.Real, Node: p, Partner: nodeA}
	do(t, s, noroshi.Act{Action: noroshi.ActAgreementInForce, Partner: p, Subject: "agreement"}, func(tx *store.Tx) error {
		for kind, body := range map[string][]byte{noroshi.DocKeyset: keys.Keyset().Bytes(), noroshi.DocPartner: []byte("{}"), noroshi.DocAgreement: []byte("version = 1")} {
			if err := tx.PutDoc(kind, p.String(), body); err != nil {
				return err
			}
		}
		return nil
	})
	for i := range uint64(2) {
		do(t, s, noroshi.Act{Action: noroshi.ActSend, Partner: p, Subject: "m"}, func(tx *store.Tx) error {
			return tx.PutOut(store.OutMessage{Partner: p, Epoch: [16]byte{9}, Seq: i + 1, ID: noroshi.Hash{byte(i), 9}, Kind: 5, Prec: 1, Signed: []byte("s"), Content: []byte{}})
		})
		var x audit.Issued
		do(t, s, noroshi.Act{Action: noroshi.ActCheckpoint, Partner: p}, func(tx *store.Tx) (err error) {
			acts = tx.Index()
			x, err = audit.Issue(tx, p)
			return err
		})
		head, err := ledger.Peek(x.Note)
		if err != nil {
			t.Fatal(err)
		}
		body := message.EncodeCosign(audit.Cosign(n, keys, head, time.Now()))
		st, err := message.SignStatement(keys, message.Context{Realm: noroshi.Real, From: p, To: nodeA, Epoch: message.Epoch{8}}, i+1, message.CosignKind, time.Now(), body)
		if err != nil {
			t.Fatal(err)
		}
		do(t, s, noroshi.Act{Action: noroshi.ActCosign, Partner: p}, func(tx *store.Tx) error {
			return tx.PutEvidence(p, uint8(message.CosignKind), [16]byte{8}, i+1, st.Encode())
		})
	}
	return acts
}

// TestInsiderIsFoundByCosignatures: whoever has the database and the node's keys
// can write the whole ledger anew so that nothing in it contradicts itself. What
// the partner countersigned finds every act that was there when the head was
// issued, of whatever link or none. What is younger than that nobody else has
// seen yet: it is not found, and says so.
func TestInsiderIsFoundByCosignatures(t *testing.T) {
	t.Parallel()
	path := address(t)
	s := openAt(t, path)
	live(t, s, 3)
	bound := countersigned(t, s)
	do(t, s, noroshi.Act{Action: noroshi.ActRead, Subject: "after"}, func(*store.Tx) error { return nil })
	acts := verify(t, s).Acts
	s.Close()
	o := options()
	rng := rand.New(rand.NewPCG(3, 4))
	tries := []uint64{0, bound - 1, acts - 1}
	for range tier.N(12, 200) {
		tries = append(tries, rng.Uint64N(bound))
	}
	place := path
	for i, at := range tries {
		if storetest.Engine() == storetest.SQLite { // each time from the same beginning
			place = storetest.Address(t, noroshi.Real)
			if _, err := store.Copy(t.Context(), path, place, noroshi.Real, nil); err != nil {
				t.Fatal(err)
			}
		}
		var was ledger.Leaf
		edit := func(l *ledger.Leaf) {
			if l.Index != at {
				return
			}
			was = *l
			switch i % 3 {
			case 0:
				l.Count += 7
			case 1:
				l.Label += "x"
			case 2:
				l.Agreement = make([]byte, 32)
			}
		}
		if n := storetest.Rewrite(t, place, noroshi.Real, o.Key, o.Sign, edit); n != 1 {
			t.Fatalf("act %d: %d leaves changed", at, n)
		}
		s := openAt(t, place)
		v := verify(t, s)
		other := slices.IndexFunc(v.Faults, func(f store.Fault) bool { return f.Code != "cosignature" })
		switch {
		case other >= 0:
			t.Errorf("act %d: the rewriting itself shows: %+v", at, v.Faults[other])
		case at < bound && len(v.Faults) == 0:
			t.Errorf("act %d (%s): not found", at, was.Action)
		case at >= bound && len(v.Faults) > 0:
			t.Errorf("act %d: found though nobody has seen it: %+v", at, v.Faults)
		}
		s.Close()
		if place == path { // put it back as it was
			storetest.Rewrite(t, place, noroshi.Real, o.Key, o.Sign, func(l *ledger.Leaf) {
				if l.Index == at {
					l.Count, l.Label, l.Agreement = was.Count, was.Label, was.Agreement
				}
			})
		}
	}
}

// TestCosignaturesStandThroughCopies: what is legitimate raises nothing.
func TestCosignaturesStandThroughCopies(t *testing.T) {
	t.Parallel()
	path, there := address(t), storetest.Address(t, noroshi.Real)
	s := openAt(t, path)
	countersigned(t, s)
	want := verify(t, s)
	if len(want.Faults) > 0 || len(want.Cosigned) != 1 || want.Cosigned[0].Size != 5 || want.Cosigned[0].Leaves != 7 || !want.Cosigned[0].Since.IsZero() {
		t.Fatalf("got %+v", want)
	}
	s.Close()
	if _, err := store.Copy(t.Context(), path, there, noroshi.Real, nil); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, there)
	if v := verify(t, s); len(v.Faults) > 0 || len(v.Cosigned) != 1 || v.Cosigned[0] != want.Cosigned[0] {
		t.Errorf("copied: %+v, want %+v", v, want)
	}
	do(t, s, noroshi.Act{Action: noroshi.ActSend, Partner: want.Cosigned[0].Partner, Subject: "later"}, func(*store.Tx) error { return nil })
	if w := verify(t, s).Cosigned[0]; w.Since.IsZero() || w.Size != 5 || w.Leaves != 8 {
		t.Errorf("with an act that waits: %+v", w)
	}
}
