package store_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

func decided(v *store.Version, seq int64) store.Decided {
	return store.Decided{Seq: seq, Hash: v.Hash, View: v.Hash}
}

// fill puts n indicators and returns their rows.
func fill(t testing.TB, s *store.Store, n int) []store.Decided {
	t.Helper()
	var rows []store.Decided
	do(t, s, noroshi.Act{Action: noroshi.ActImport}, func(tx *store.Tx) error {
		for i := range n {
			v := indicator(t, i, "2024-01-01T00:00:00Z")
			_, seq, err := tx.Put(v)
			if err != nil {
				return err
			}
			rows = append(rows, decided(v, seq))
		}
		return nil
	})
	return rows
}

func TestHoldApproveSend(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	rows := fill(t, s, 2500)
	g := store.HoldGroup{ID: "h1", Partner: nodeB, Run: "run-1", Label: "TLP:AMBER", Key: noroshi.TwoPersons, Clause: "2", Precedence: noroshi.Routine}
	for from := 0; from < len(rows); from += 700 {
		do(t, s, noroshi.Act{Action: noroshi.ActHold, Subject: "h1"}, func(tx *store.Tx) error {
			return tx.PutHold(g, rows[from:min(from+700, len(rows))])
		})
	}
	do(t, s, noroshi.Act{Action: noroshi.ActHold}, func(tx *store.Tx) error { return tx.PutHold(g, rows[:10]) })
	do(t, s, noroshi.Act{Action: noroshi.ActHold}, func(tx *store.Tx) error {
		return tx.DropHeld(nodeB, []int64{rows[1].Seq, rows[7].Seq, 99999})
	})
	holds, err := s.Holds(ctx, store.HoldOpen)
	if err != nil || len(holds) != 1 || holds[0].Count != 2498 || holds[0].Clause != "2" {
		t.Fatalf("holds: got %+v, %v", holds, err)
	}
	var members []store.Decided
	for after := int64(0); ; {
		page, err := s.HoldMembers(ctx, "h1", after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		members, after = append(members, page...), page[len(page)-1].Seq
	}
	if len(members) != 2498 || !reflect.DeepEqual(members[0], rows[0]) || !reflect.DeepEqual(members[1], rows[2]) || !reflect.DeepEqual(members[2497], rows[2499]) {
		t.Fatalf("members: got %d, first %v", len(members), members[0])
	}
	approval := store.Approval{Hold: "h1", Person: "mika", Root: store.BatchRoot(members), Signature: []byte{1}, Time: time.UnixMilli(1700000000000).UTC()}
	b := store.Batch{ID: "b1", Partner: nodeB, Clause: "2", Label: "TLP:AMBER", Precedence: noroshi.Routine, Hold: "h1", Approvals: []store.Approval{approval}}
	do(t, s, noroshi.Act{Action: noroshi.ActApprove, Subject: "h1", Partner: nodeB}, func(tx *store.Tx) error {
		if err := tx.PutApproval(approval); err != nil {
			return err
		}
		if err := tx.PutBatch(b, members); err != nil {
			return err
		}
		return tx.CloseHold("h1", store.HoldApproved)
	})
	if _, err := s.Do(ctx, noroshi.Act{}, func(tx *store.Tx) error { return tx.PutBatch(store.Batch{ID: "b2", Partner: nodeB}, members[5:6]) }); noroshi.KindOf(err) != noroshi.Conflict {
		t.Errorf("second release: got %v, want a conflict", err)
	}
	do(t, s, noroshi.Act{}, func(tx *store.Tx) error { return tx.PutHold(g, members[:3]) })
	if holds, _ := s.Holds(ctx, ""); len(holds) != 1 || holds[0].State != store.HoldApproved || holds[0].Count != 2498 {
		t.Errorf("after approval: got %+v", holds)
	}
	got, err := s.Batch(ctx, "b1")
	if err != nil || got.Sent || got.Count != 2498 || got.Root != store.BatchRoot(members) || len(got.Approvals) != 1 || got.Approvals[0].Root != approval.Root {
		t.Errorf("batch: got %+v, %v", got, err)
	}
	page, err := s.BatchRows(ctx, "b1", 998, 5)
	if err != nil || len(page) != 5 || !reflect.DeepEqual(page[0], members[998]) || !reflect.DeepEqual(page[4], members[1002]) {
		t.Errorf("rows: got %v, %v", page, err)
	}
	released, err := s.Released(ctx, nodeB, []int64{rows[0].Seq, rows[1].Seq})
	if err != nil || len(released) != 1 || released[rows[0].Seq] != "b1" {
		t.Errorf("released: got %v, %v", released, err)
	}
	send(t, s, members)
}

// send puts the batch into the stream and receipts it.
func send(t *testing.T, s *store.Store, members []store.Decided) {
	t.Helper()
	ctx := t.Context()
	epoch := [16]byte{9}
	for i := range 3 {
		do(t, s, noroshi.Act{Action: noroshi.ActSend, Partner: nodeB}, func(tx *store.Tx) error {
			return tx.PutOut(store.OutMessage{Partner: nodeB, Epoch: epoch, Seq: uint64(i + 1), ID: noroshi.Hash{byte(i + 1)}, Kind: 1,
				Prec: noroshi.Precedence(i%2 + 1), Signed: []byte("s"), Batch: "b1", First: i * 1000, Count: min(1000, len(members)-i*1000)})
		})
	}
	if _, err := s.Do(ctx, noroshi.Act{}, func(tx *store.Tx) error {
		return tx.PutOut(store.OutMessage{Partner: nodeB, Epoch: epoch, Seq: 7})
	}); noroshi.KindOf(err) != noroshi.Conflict {
		t.Errorf("gap in the stream: got %v, want a conflict", err)
	}
	if b, _ := s.Batch(ctx, "b1"); !b.Sent {
		t.Error("batch is not sent")
	}
	if ids, _ := s.UnsentBatches(ctx, nodeB); len(ids) != 0 {
		t.Errorf("unsent: got %v", ids)
	}
	has, err := s.PartnerHas(ctx, nodeB, []string{fmt.Sprintf("indicator--00000000-0000-4000-8000-%012d", 0), fmt.Sprintf("indicator--00000000-0000-4000-8000-%012d", 1)})
	if err != nil || len(has) != 1 {
		t.Errorf("partner has: got %v, %v", has, err)
	}
	waiting, err := s.Unreceipted(ctx, nodeB, epoch, 10)
	if err != nil || len(waiting) != 3 || waiting[0].Seq != 2 || waiting[1].Seq != 1 || waiting[0].Content != nil {
		t.Errorf("unreceipted: got %v, %v", waiting, err)
	}
	move := func(to store.OutState, seqs ...uint64) store.Done {
		return do(t, s, noroshi.Act{Action: noroshi.ActReceipt, Partner: nodeB}, func(tx *store.Tx) error { return tx.SetOutState(nodeB, epoch, seqs, to, "STATE 1") })
	}
	move(store.Attempted, 1, 2)
	move(store.StoredThere, 1, 2)
	before := move(store.AppliedThere, 2)
	if after := move(store.StoredThere, 2); after.Index != 0 {
		t.Errorf("a state that moved nothing made act %d after %d", after.Index, before.Index)
	}
	out, err := s.Out(ctx, nodeB, epoch, 1, 10)
	if err != nil || len(out) != 3 || out[0].State != store.StoredThere || out[1].State != store.AppliedThere || out[2].State != store.Committed || out[0].Attempts != 1 {
		t.Errorf("out: got %+v, %v", out, err)
	}
	if waiting, _ := s.Unreceipted(ctx, nodeB, epoch, 10); len(waiting) != 1 || waiting[0].Seq != 3 {
		t.Errorf("unreceipted: got %v", waiting)
	}
}

func TestReturnedHoldOpensAnew(t *testing.T) {
	s := open(t)
	rows := fill(t, s, 6)
	g := store.HoldGroup{ID: "h", Partner: nodeB, Key: noroshi.Review}
	do(t, s, noroshi.Act{}, func(tx *store.Tx) error { return tx.PutHold(g, rows[:3]) })
	do(t, s, noroshi.Act{}, func(tx *store.Tx) error { return tx.CloseHold("h", store.HoldReturned) })
	if m, _ := s.HoldMembers(t.Context(), "h", 0, 10); len(m) != 3 {
		t.Errorf("members of the returned hold: got %d, want 3", len(m))
	}
	do(t, s, noroshi.Act{}, func(tx *store.Tx) error { return tx.PutHold(g, rows[1:5]) })
	m, err := s.HoldMembers(t.Context(), "h", 0, 10)
	if err != nil || len(m) != 2 || !reflect.DeepEqual(m[0], rows[3]) {
		t.Errorf("members of the hold opened again: got %v, %v", m, err)
	}
	held, _ := s.HeldFor(t.Context(), nodeB, []int64{rows[0].Seq, rows[4].Seq, rows[5].Seq})
	if len(held) != 2 || held[rows[0].Seq] != "h" {
		t.Errorf("held: got %v", held)
	}
	if holds, err := s.Holds(t.Context(), "open"); err != nil || len(holds) != 1 || holds[0].Count != 2 {
		t.Errorf("holds: got %+v, %v", holds, err)
	}
}

func TestReceive(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	epoch := [16]byte{5}
	in := func(seq uint64, id byte, kind message.Kind) bool {
		var fresh bool
		do(t, s, noroshi.Act{Action: noroshi.ActReceive, Partner: nodeB}, func(tx *store.Tx) (err error) {
			fresh, err = tx.PutIn(store.InMessage{Partner: nodeB, Epoch: epoch, Seq: seq, ID: noroshi.Hash{id}, Kind: uint8(kind), Prec: 2, Signed: []byte{id}, Content: []byte("body"), Channel: "https"})
			return err
		})
		return fresh
	}
	state := func(seq uint64, to store.InState) {
		do(t, s, noroshi.Act{Action: noroshi.ActReceive, Partner: nodeB}, func(tx *store.Tx) error { return tx.SetInState(nodeB, epoch, seq, to) })
	}
	state(3, store.Tombstoned)
	if !in(1, 1, message.Data) || in(1, 1, message.Data) || !in(1, 9, message.Data) || in(1, 9, message.Data) || !in(3, 3, message.Read) {
		t.Error("fresh is wrong")
	}
	state(1, store.Applied)
	state(3, store.Applied)
	list, err := s.In(ctx, nodeB, epoch, 1, 10)
	if err != nil || len(list) != 3 {
		t.Fatalf("in: got %d, %v", len(list), err)
	}
	if m := list[0]; m.State != store.Applied || m.Content != nil || m.Second {
		t.Errorf("first: got %+v", m)
	}
	if m := list[1]; m.State != store.Held || !m.Second || string(m.Content) != "body" {
		t.Errorf("second: got %+v", m)
	}
	if m := list[2]; m.State != store.Applied || string(m.Content) != "body" {
		t.Errorf("control message: got %+v", m)
	}
	do(t, s, noroshi.Act{Partner: nodeB}, func(tx *store.Tx) error {
		tx.PutEvidence(nodeB, 16, epoch, 4, []byte("four"))
		tx.PutEvidence(nodeB, 16, epoch, 2, []byte("two"))
		return tx.PutEvidence(nodeB, 16, [16]byte{6}, 1, []byte("other"))
	})
	if n, b, _ := s.Evidence(ctx, nodeB, 16, epoch); n != 4 || string(b) != "four" {
		t.Errorf("evidence: got %d %s", n, b)
	}
	if n, b, _ := s.Evidence(ctx, nodeB, 16, [16]byte{}); n != 1 || string(b) != "other" {
		t.Errorf("evidence of any epoch: got %d %s", n, b)
	}
	for size, want := range map[uint64]bool{7: true, 8: false} {
		if root, ok, err := s.LinkRoot(ctx, nodeB, size); err != nil || ok != want || ok && root.IsZero() {
			t.Errorf("link of %d leaves: %v %t %v", size, root, ok, err)
		}
	}
	do(t, s, noroshi.Act{Action: noroshi.ActReceive, Partner: nodeB}, func(tx *store.Tx) error {
		for seq := uint64(4); seq < 300; seq++ {
			if _, err := tx.PutIn(store.InMessage{Partner: nodeB, Epoch: epoch, Seq: seq, ID: noroshi.Hash{byte(seq), 4}, Kind: uint8(message.Read), Prec: 2, Signed: []byte{4}}); err != nil {
				return err
			}
		}
		return nil
	})
	if in(1, 1, message.Data) || in(1, 9, message.Data) {
		t.Error("a copy that comes late is taken for new")
	}
}
