package store_test

import (
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// TestTraffic: the record is entered at a time, the changes of each act are told
// from it, and what it sent and when that was stored there is counted.
func TestTraffic(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC)
	s := openWith(t, address(t), func(o *store.Options) { o.Now = func() time.Time { return now } })
	ctx := t.Context()
	fill(t, s, 30)
	do(t, s, noroshi.Act{}, func(tx *store.Tx) error { return tx.Notice(store.StreamChanged, "x") })
	begun := now.Add(time.Hour)
	now = begun
	var rows []store.Decided
	do(t, s, noroshi.Act{Action: noroshi.ActReceive}, func(tx *store.Tx) error {
		for i := range 20 {
			v := indicator(t, 100+i, "2024-01-01T00:00:00Z")
			_, seq, err := tx.Put(v)
			if err != nil {
				return err
			}
			rows = append(rows, decided(v, seq))
		}
		return tx.Notice(store.MessageStored, "y")
	})
	do(t, s, noroshi.Act{}, func(tx *store.Tx) error { return tx.PutBatch(store.Batch{ID: "b1", Partner: nodeB}, rows) })
	sent := do(t, s, noroshi.Act{Action: noroshi.ActSend, Subject: "b1"}, func(tx *store.Tx) error {
		for i := range 2 {
			if err := tx.PutOut(store.OutMessage{Partner: nodeB, Epoch: [16]byte{9}, Seq: uint64(i + 1), ID: noroshi.Hash{byte(i + 1)}, Kind: 1, Prec: noroshi.Routine,
				Created: now, Signed: []byte("s"), Batch: "b1", First: i * 15, Count: 15 - 10*i}); err != nil {
				return err
			}
		}
		return nil
	})
	now = now.Add(3 * time.Second)
	do(t, s, noroshi.Act{Action: noroshi.ActReceipt}, func(tx *store.Tx) error {
		return tx.SetOutState(nodeB, [16]byte{9}, []uint64{1, 2}, store.StoredThere, "STATE")
	})
	do(t, s, noroshi.Act{Action: noroshi.ActReceipt}, func(tx *store.Tx) error {
		return tx.SetOutState(nodeB, [16]byte{9}, []uint64{1}, store.AppliedThere, "STATE")
	})

	m, err := s.MarkAt(ctx, begun)
	if err != nil {
		t.Fatal(err)
	}
	if m.Seq != 31 || m.Event != 0 {
		t.Errorf("the hour begins at %+v, want the feed at 31", m)
	}
	acts, err := s.Acts(ctx, m.Act, 10)
	if err != nil || len(acts) != 5 || acts[0].Act.Action != noroshi.ActReceive {
		t.Fatalf("its acts: %+v, %v", acts, err)
	}
	if acts[0].Fed != 21 {
		t.Errorf("the first put %d changes into the feed, want 21", acts[0].Fed)
	}
	if n, err := s.CountType(ctx, "indicator", m.Seq, m.Seq+21); err != nil || n != 20 {
		t.Errorf("%d indicators came, want 20 (%v)", n, err)
	}
	if seqs, err := s.SeqsOfType(ctx, "indicator", m.Seq, m.Seq+3); err != nil || len(seqs) != 3 || seqs[0] != m.Seq+1 {
		t.Errorf("the first three: %v, %v", seqs, err)
	}
	if n, err := s.CountSent(ctx, sent.Index, "b1", "indicator"); err != nil || n != 20 {
		t.Errorf("%d indicators sent, want 20 (%v)", n, err)
	}
	reached, end, err := s.ReachedAfter(ctx, m.Event)
	if err != nil || len(reached) != 2 || reached[0].Partner != nodeB || reached[0].Stored.Sub(reached[0].Created) != 3*time.Second {
		t.Errorf("reached: %+v, %v", reached, err)
	}
	if more, again, err := s.ReachedAfter(ctx, end); err != nil || len(more) != 0 || again != end {
		t.Errorf("after the end: %v at %d, %v", more, again, err)
	}
	if later, err := s.MarkAt(ctx, now.Add(time.Hour)); err != nil || later.Act != m.Act+5 || later.Event != end {
		t.Errorf("a time to come is at %+v, %v", later, err)
	}
}
