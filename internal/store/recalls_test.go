package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// TestRecallList: lines are there when their act has committed, come back from
// a database that forgot them, and from an act that did not commit after its
// line was written; a line cut short spoils no other.
func TestRecallList(t *testing.T) {
	path := filepath.Join(t.TempDir(), "real.db.recalls")
	s := openWith(t, address(t), func(o *store.Options) { o.Recalls = path })
	list := func(line string, fail error) {
		t.Helper()
		_, err := s.Do(t.Context(), noroshi.Act{Action: noroshi.ActRecall, Subject: line}, func(tx *store.Tx) error {
			return errors.Join(tx.ListRecall([]byte(line)), fail)
		})
		if !errors.Is(err, fail) {
			t.Fatal(err)
		}
	}
	forgotten := func(want ...string) (end int64) {
		t.Helper()
		lines, end, err := s.ForgottenRecalls(t.Context())
		if err != nil || len(lines) != len(want) {
			t.Fatalf("forgotten are %q (%v), want %q", lines, err, want)
		}
		for i, l := range lines {
			if string(l) != want[i] {
				t.Errorf("line %d is %q, want %q", i, l, want[i])
			}
		}
		return end
	}
	forgotten()
	list("one", nil)
	forgotten()
	crash := errors.New("crash")
	list("two", crash)
	end := forgotten("two")
	do(t, s, noroshi.Act{Action: noroshi.ActRecall, Subject: "again"}, func(tx *store.Tx) error { return tx.Recalled(end) })
	forgotten()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("cut sh"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	forgotten("cut sh")
	list("three", nil)
	b, err := os.ReadFile(path)
	if err != nil || string(b) != "one\ntwo\ncut sh\nthree\n" {
		t.Errorf("the list is %q, %v", b, err)
	}
	if _, err := s.Do(t.Context(), noroshi.Act{Action: noroshi.ActRecall, Subject: "x"}, func(tx *store.Tx) error {
		return tx.ListRecall([]byte("a\nb"))
	}); noroshi.KindOf(err) != noroshi.Invalid {
		t.Errorf("two lines in one: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if v := verify(t, s); len(v.Faults) > 0 {
		t.Errorf("faults: %v", v.Faults)
	}
}

// TestCarriers: every message that carries a version is found: one that was
// withheld, the one that took its place from another batch, none of another
// version, none for another partner.
func TestCarriers(t *testing.T) {
	s := open(t)
	rows := fill(t, s, 3)
	seq := uint64(0)
	put := func(batch string, first, count int) {
		do(t, s, noroshi.Act{Action: noroshi.ActSend, Partner: nodeB}, func(tx *store.Tx) error {
			seq++
			return tx.PutOut(store.OutMessage{Partner: nodeB, Seq: seq, ID: noroshi.Hash{byte(seq)}, Kind: 1, Prec: noroshi.Routine, Signed: []byte("s"), Batch: batch, First: first, Count: count})
		})
	}
	release := func(id, label string, rows []store.Decided) {
		do(t, s, noroshi.Act{Action: noroshi.ActRelease, Partner: nodeB}, func(tx *store.Tx) error {
			return tx.PutBatch(store.Batch{ID: id, Partner: nodeB, Label: label, Precedence: noroshi.Routine}, rows)
		})
	}
	found := func(partner noroshi.NodeID, row int) (list []string) {
		t.Helper()
		recs, err := s.Records(t.Context(), []int64{rows[row].Seq})
		if err != nil {
			t.Fatal(err)
		}
		all, err := s.Carriers(t.Context(), partner, recs)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			list = append(list, fmt.Sprintf("%s %d view %d state %d", c.Message.Batch, c.Message.Seq, c.Row.N, c.Message.State))
		}
		return list
	}
	release("b1", "TLP:CLEAR", rows[:2])
	if got := found(nodeB, 0); got != nil {
		t.Errorf("in no message: got %q", got)
	}
	put("b1", 0, 2)
	do(t, s, noroshi.Act{Action: noroshi.ActWithhold, Partner: nodeB}, func(tx *store.Tx) error {
		if err := tx.SetOutState(nodeB, [16]byte{}, []uint64{1}, store.Withheld, "test"); err != nil {
			return err
		}
		closed, err := tx.Closed(nodeB, [16]byte{}, 1)
		if !closed {
			t.Error("a withheld message is not closed")
		}
		return err
	})
	do(t, s, noroshi.Act{Action: noroshi.ActHold, Partner: nodeB}, func(tx *store.Tx) error { return tx.TakeBack(nodeB, []int64{rows[0].Seq}) })
	release("b2", "TLP:GREEN", rows[:1])
	put("b2", 0, 1)
	for row, want := range [][]string{{"b1 1 view 0 state 5", "b2 2 view 1 state 0"}, {"b1 1 view 0 state 5"}, nil} {
		if got := found(nodeB, row); !slices.Equal(got, want) {
			t.Errorf("version %d: got %q, want %q", row, got, want)
		}
		if got := found(nodeA, row); got != nil {
			t.Errorf("version %d at another partner: got %q", row, got)
		}
	}
}

// TestCarriersOfALongBatch: of a batch of several packed rows every version is
// found, whether the batch has them in the order in which they came or not.
func TestCarriersOfALongBatch(t *testing.T) {
	s := open(t)
	const n = 2500
	rows := fill(t, s, n)
	mixed := slices.Clone(rows)
	slices.Reverse(mixed[100:])
	for i, batch := range [][]store.Decided{rows, mixed} {
		to := []noroshi.NodeID{nodeA, nodeB}[i]
		do(t, s, noroshi.Act{Action: noroshi.ActRelease, Partner: to}, func(tx *store.Tx) error {
			return tx.PutBatch(store.Batch{ID: fmt.Sprint("long", i), Partner: to, Label: "TLP:GREEN", Precedence: noroshi.Routine}, batch)
		})
		do(t, s, noroshi.Act{Action: noroshi.ActSend, Partner: to}, func(tx *store.Tx) error {
			return tx.PutOut(store.OutMessage{Partner: to, Seq: 1, ID: noroshi.Hash{1}, Kind: 1, Prec: noroshi.Routine, Signed: []byte("s"), Batch: fmt.Sprint("long", i), Count: n})
		})
		for _, at := range []int{0, 99, 100, 999, 1000, 1700, n - 1} {
			recs, err := s.Records(t.Context(), []int64{rows[at].Seq})
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Carriers(t.Context(), to, recs)
			if err != nil || len(got) != 1 || got[0].Row.Seq != rows[at].Seq {
				t.Errorf("batch %d, version %d: %+v, %v", i, at, got, err)
			}
		}
	}
}
