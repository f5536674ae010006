package store_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// TestWithheldDidNotGo: what only withheld messages carried counts as not gone,
// until the partner says that it has it; rows sent again make no batch done
// before its last row is in the stream; and Verify derives the same.
func TestWithheldDidNotGo(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	rows := fill(t, s, 6)
	epoch := [16]byte{9}
	do(t, s, noroshi.Act{Action: noroshi.ActRelease, Partner: nodeB}, func(tx *store.Tx) error {
		return tx.PutBatch(store.Batch{ID: "b1", Partner: nodeB, Label: "TLP:GREEN", Precedence: noroshi.Routine}, rows)
	})
	seq := uint64(0)
	tryPut := func(batch string, first, count int) error {
		_, err := s.Do(ctx, noroshi.Act{Action: noroshi.ActSend, Partner: nodeB}, func(tx *store.Tx) error {
			return tx.PutOut(store.OutMessage{Partner: nodeB, Epoch: epoch, Seq: seq + 1, ID: noroshi.Hash{byte(seq + 1)}, Kind: 1,
				Prec: noroshi.Routine, Signed: []byte("s"), Batch: batch, First: first, Count: count})
		})
		if err == nil {
			seq++
		}
		return err
	}
	put := func(first, count int) uint64 {
		t.Helper()
		if err := tryPut("b1", first, count); err != nil {
			t.Fatal(err)
		}
		return seq
	}
	move := func(to store.OutState, n uint64) {
		do(t, s, noroshi.Act{Action: noroshi.ActReceipt, Partner: nodeB}, func(tx *store.Tx) error {
			return tx.SetOutState(nodeB, epoch, []uint64{n}, to, "STATE")
		})
	}
	check := func(step, gone string, sent bool) {
		t.Helper()
		got := ""
		for i, r := range rows {
			id := fmt.Sprintf("indicator--00000000-0000-4000-8000-%012d", i)
			has, err := s.PartnerHas(ctx, nodeB, []string{id})
			if err != nil {
				t.Fatal(err)
			}
			in, err := s.Streamed(ctx, nodeB, []int64{r.Seq})
			if err != nil || in[r.Seq] != has[id] {
				t.Fatalf("%s: row %d streamed %v, had %v, %v", step, i, in[r.Seq], has[id], err)
			}
			if has[id] {
				got += fmt.Sprint(i)
			}
		}
		if got != gone {
			t.Errorf("%s: %q went, want %q", step, got, gone)
		}
		if b, err := s.Batch(ctx, "b1"); err != nil || b.Sent != sent {
			t.Errorf("%s: sent %v, %v, want %v", step, b.Sent, err, sent)
		}
		if report := verify(t, s); len(report.Faults) > 0 {
			t.Errorf("%s: %+v", step, report.Faults)
		}
	}
	first := put(0, 3)
	check("sent", "012", false)
	move(store.Withheld, first)
	check("withheld", "", false)
	put(1, 2) // what may still go of it
	check("the rest of it sent", "12", false)
	put(3, 2)
	check("all but one", "1234", false)
	do(t, s, noroshi.Act{Action: noroshi.ActHold, Partner: nodeB}, func(tx *store.Tx) error {
		return tx.TakeBack(nodeB, []int64{rows[0].Seq, rows[1].Seq, rows[5].Seq})
	})
	released, err := s.Released(ctx, nodeB, []int64{rows[0].Seq, rows[1].Seq, rows[5].Seq})
	if err != nil || len(released) != 1 || released[rows[1].Seq] != "b1" {
		t.Errorf("taken back: got %v, %v", released, err)
	}
	do(t, s, noroshi.Act{Action: noroshi.ActHold, Partner: nodeB}, func(tx *store.Tx) error {
		return tx.PutHold(store.HoldGroup{ID: "h", Partner: nodeB, Key: noroshi.Review}, rows[:3])
	})
	if m, err := s.HoldMembers(ctx, "h", 0, 10); err != nil || len(m) != 1 || !reflect.DeepEqual(m[0], rows[0]) {
		t.Errorf("held: got %v, %v", m, err)
	}
	do(t, s, noroshi.Act{Action: noroshi.ActRelease, Partner: nodeB}, func(tx *store.Tx) error {
		return tx.PutBatch(store.Batch{ID: "b2", Partner: nodeB, Label: "TLP:GREEN", Precedence: noroshi.Routine}, rows[5:])
	})
	check("taken back", "1234", false)
	move(store.StoredThere, first) // its word counts: the tombstone came too late
	check("stored after all", "01234", false)
	if err := tryPut("b1", 5, 1); noroshi.KindOf(err) != noroshi.Refused {
		t.Errorf("a row that was decided anew went in its old batch: %v", err)
	}
	if err := tryPut("b2", 0, 1); err != nil {
		t.Error(err)
	}
	check("all", "012345", false)
}
