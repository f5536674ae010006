package store_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// live does one of everything a node does, and then reads acts.
func live(t testing.TB, s *store.Store, reads int) {
	t.Helper()
	person, err := noroshi.NewPerson("mika", "Mika", []noroshi.Role{noroshi.ReleaseOffice}, []byte("correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := person.Unseal([]byte("correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	do(t, s, noroshi.Act{Action: noroshi.ActAddPerson, Subject: "mika"}, func(tx *store.Tx) error {
		body, _ := json.Marshal(person)
		return tx.PutDoc(noroshi.DocPerson, "mika", body)
	})
	rows := fill(t, s, 30)
	partner := noroshi.Source{Kind: noroshi.FromPartner, Partner: nodeB, Message: noroshi.Hash{1}}
	do(t, s, noroshi.Act{Action: noroshi.ActReceive, Partner: nodeB, Subject: "m"}, func(tx *store.Tx) error {
		v := indicator(t, 3, "2024-03-01T00:00:00Z")
		v.Source, v.Creator = partner, true
		v.Refs = []stix.ID{"identity--00000000-0000-4000-8000-000000000001"}
		v.Values = append(v.Values, noroshi.Value{Kind: noroshi.CIDR, Text: "10.0.0.0/8"}, noroshi.Value{Kind: noroshi.AddrPort, Text: "10.1.1.1", Port: 443})
		v.Text = "狼煙が上がる Ransomware"
		if _, _, err := tx.Put(v); err != nil {
			return err
		}
		w := indicator(t, 4, "2024-01-01T00:00:00Z", stix.Member{Name: "name", Value: "other body"})
		if _, _, err := tx.Put(w); err != nil {
			return err
		}
		r := indicator(t, 5, "2024-05-01T00:00:00Z", stix.Member{Name: "revoked", Value: true})
		if _, _, err := tx.Put(r); err != nil {
			return err
		}
		if err := tx.AssignMarking(rows[8].Seq, noroshi.Green.MarkingID()); err != nil {
			return err
		}
		if err := tx.Withdraw("indicator--00000000-0000-4000-8000-000000000009", file.Owner()); err != nil {
			return err
		}
		if err := tx.Withdraw("indicator--99999999-0000-4000-8000-000000000009", "file"); err != nil {
			return err
		}
		return tx.Quarantine(store.Quarantined{Source: partner, Code: "malformed", Place: "object 3", Raw: []byte("{"), Size: 1})
	})
	g := store.HoldGroup{ID: "h1", Partner: nodeB, Run: "run-1", Label: "TLP:AMBER", Key: noroshi.TwoPersons, Clause: "2"}
	do(t, s, noroshi.Act{Action: noroshi.ActHold, Subject: "h1"}, func(tx *store.Tx) error { return tx.PutHold(g, rows[:20]) })
	g2 := g
	g2.ID = "h2"
	do(t, s, noroshi.Act{Action: noroshi.ActHold, Subject: "h2"}, func(tx *store.Tx) error { return tx.PutHold(g2, rows[15:25]) })
	do(t, s, noroshi.Act{Action: noroshi.ActHold}, func(tx *store.Tx) error { return tx.DropHeld(nodeB, []int64{rows[2].Seq, rows[16].Seq}) })
	do(t, s, noroshi.Act{Action: noroshi.ActReturn, Subject: "h2"}, func(tx *store.Tx) error { return tx.CloseHold("h2", store.HoldReturned) })
	members, err := s.HoldMembers(t.Context(), "h1", 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	root := store.BatchRoot(members)
	signed := noroshi.SignAct("mika", key, noroshi.ActDigest(noroshi.Real, nodeA, noroshi.ActApprove, "h1", root))
	a := store.Approval{Hold: "h1", Person: "mika", Root: root, Digest: signed.Digest, Signature: signed.Signature, Time: time.UnixMilli(1700000000000).UTC()}
	do(t, s, noroshi.Act{Action: noroshi.ActApprove, Subject: "h1", Partner: nodeB, Persons: []noroshi.Signed{signed}}, func(tx *store.Tx) error {
		if err := tx.PutApproval(a); err != nil {
			return err
		}
		if err := tx.PutBatch(store.Batch{ID: "b1", Partner: nodeB, Hold: "h1", Precedence: 2, Approvals: []store.Approval{a}}, members); err != nil {
			return err
		}
		return tx.CloseHold("h1", store.HoldApproved)
	})
	epoch := [16]byte{7}
	do(t, s, noroshi.Act{Action: noroshi.ActSend, Partner: nodeB}, func(tx *store.Tx) error {
		if err := tx.PutOut(store.OutMessage{Partner: nodeB, Epoch: epoch, Seq: 1, ID: noroshi.Hash{1}, Kind: 1, Prec: 2, Signed: []byte("s"), Batch: "b1", Count: 10, Created: time.Unix(1700000000, 0)}); err != nil {
			return err
		}
		return tx.PutOut(store.OutMessage{Partner: nodeB, Epoch: epoch, Seq: 2, ID: noroshi.Hash{2}, Kind: 5, Prec: 3, Signed: []byte("s"), Content: []byte{}})
	})
	do(t, s, noroshi.Act{Action: noroshi.ActReceipt, Partner: nodeB}, func(tx *store.Tx) error {
		if err := tx.SetOutState(nodeB, epoch, []uint64{1, 2}, store.Attempted, "https"); err != nil {
			return err
		}
		return tx.SetOutState(nodeB, epoch, []uint64{1}, store.AppliedThere, "STATE")
	})
	do(t, s, noroshi.Act{Action: noroshi.ActReceive, Partner: noroshi.NodeID{0xc}}, func(tx *store.Tx) error {
		for seq := range uint64(3) {
			if _, err := tx.PutIn(store.InMessage{Partner: nodeB, Epoch: epoch, Seq: seq + 1, ID: noroshi.Hash{byte(seq)}, Kind: 1, Prec: 1, Signed: []byte("in"), Content: []byte("c")}); err != nil {
				return err
			}
		}
		if err := tx.SetInState(nodeB, epoch, 2, store.Applied); err != nil {
			return err
		}
		if err := tx.SetInState(nodeB, epoch, 9, store.Tombstoned); err != nil {
			return err
		}
		return tx.PutEvidence(nodeB, 16, epoch, 3, []byte("state"))
	})
	do(t, s, noroshi.Act{}, func(tx *store.Tx) error { return tx.SetCursor("release", 12) })
	lay(t, s, "c1", indicator(t, 1, "2024-03-01T00:00:00Z"), indicator(t, 1, "2024-03-02T00:00:00Z"), indicator(t, 2, "2024-03-01T00:00:00Z"))
	do(t, s, noroshi.Act{Action: noroshi.ActImport}, func(tx *store.Tx) error {
		if _, _, err := tx.Lay("c2", []store.Laid{{Seq: 1, Message: 1, Row: 0}, {Seq: 2, Message: 1, Row: 1}}); err != nil {
			return err
		}
		list, _, err := tx.Shelf(t.Context(), store.ShelfQuery{Collection: "c2", Limit: 1})
		if err != nil {
			return err
		}
		return tx.TakeOff("c2", []time.Time{list[0].Added})
	})
	countersigned(t, s)
	for i := range reads {
		do(t, s, noroshi.Act{Action: noroshi.ActRead, Subject: fmt.Sprint(i)}, func(*store.Tx) error { return nil })
	}
}

func verify(t testing.TB, s *store.Store) store.Verified {
	t.Helper()
	v, err := s.Verify(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestAPlaceTakenOut: a follower's place that was taken out is missed, also when
// the follower has begun anew meanwhile.
func TestAPlaceTakenOut(t *testing.T) {
	for _, which := range []string{"follower = 'arm'", "follower = 'cursors'", "true"} {
		path := address(t)
		s := openAt(t, path)
		do(t, s, noroshi.Act{Action: noroshi.ActInit}, func(tx *store.Tx) error { return tx.PutDoc("node", "self", []byte("{}")) })
		for _, follower := range []string{"arm", "release", "arm"} {
			do(t, s, noroshi.Act{Action: noroshi.ActObserve}, func(tx *store.Tx) error { return tx.SetCursor(follower, 3) })
		}
		if v := verify(t, s); len(v.Faults) > 0 {
			t.Fatalf("before: %v", v.Faults)
		}
		s.Close()
		raw(t, path, "DELETE FROM cursor WHERE "+which)
		s = openAt(t, path)
		for range 2 {
			if v := verify(t, s); len(v.Faults) != 1 || v.Faults[0].Table != "cursor" {
				t.Errorf("where %s: %v", which, v.Faults)
			}
			do(t, s, noroshi.Act{Action: noroshi.ActObserve}, func(tx *store.Tx) error { return tx.SetCursor("arm", 4) })
		}
	}
}

func TestLegitimateActsVerify(t *testing.T) {
	s := open(t)
	if v := verify(t, s); len(v.Faults) > 0 || v.Acts != 0 {
		t.Errorf("empty store: got %+v", v)
	}
	live(t, s, 1010)
	store.Derive(t.Context(), s)
	v := verify(t, s)
	if len(v.Faults) > 0 || v.Links != 3 || v.Acts < 1020 {
		t.Errorf("got %+v", v)
	}
}

func TestProof(t *testing.T) {
	s := open(t)
	live(t, s, 20)
	acts, err := s.Acts(t.Context(), 0, 20)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range acts {
		file, err := s.Prove(t.Context(), e.Index)
		if err != nil {
			t.Fatal(err)
		}
		said, err := store.CheckProof(file)
		if err != nil || said.Index != e.Index || said.Action != e.Act.Action || said.Acts < uint64(len(acts)) {
			t.Errorf("act %d: got %+v, %v", e.Index, said, err)
		}
		for i := 0; i < len(file); i += 97 {
			bad := bytes.Clone(file)
			bad[i] ^= 1
			if _, err := store.CheckProof(bad); err == nil {
				t.Fatalf("act %d: proof holds with byte %d changed: %q", e.Index, i, bad[max(0, i-20):min(len(bad), i+20)])
			}
		}
	}
	file, _ := s.Prove(t.Context(), 1)
	if said, _ := store.CheckProof(file); !strings.Contains(strings.Join(said.Shows, "\n"), "object indicator--00000000-0000-4000-8000-000000000029 with SHA-256") {
		t.Errorf("import: got %+v", said)
	}
	if _, err := s.Prove(t.Context(), 1e6); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("unknown act: got %v", err)
	}
}

// Until a node with a new key acts again, the key before it signed last: that is
// no fault where it is known as the node's, and one where it is not.
func TestFormerKeySignedLast(t *testing.T) {
	t.Parallel()
	path := address(t)
	s := openAt(t, path)
	put(t, s, indicator(t, 1, "2024-01-01T00:00:00Z"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = 1
	next := ed25519.NewKeyFromSeed(seed)
	o := options()
	former := o.Key
	o.Key, o.Sign = next.Public().(ed25519.PublicKey), func(text []byte) []byte { return ed25519.Sign(next, text) }
	for _, known := range []bool{false, true} {
		if known {
			o.Former = [][]byte{o.Key, former}
		}
		s, err := store.Open(t.Context(), path, o)
		if err != nil {
			t.Fatal(err)
		}
		if v := verify(t, s); len(v.Faults) == 0 != known {
			t.Errorf("former key known: %v, faults %v", known, v.Faults)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
