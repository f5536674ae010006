package store_test

import (
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// TestStatesGoUpOnly: what was applied does not wait again, what the partner has
// is not withheld, and its word that it has a message counts even after that.
func TestStatesGoUpOnly(t *testing.T) {
	s := open(t)
	epoch := [16]byte{7}
	act := func(fn func(tx *store.Tx) error) {
		t.Helper()
		do(t, s, noroshi.Act{Action: noroshi.ActSend, Partner: nodeB}, fn)
	}
	for seq := uint64(1); seq <= 2; seq++ {
		act(func(tx *store.Tx) error {
			return tx.PutOut(store.OutMessage{Partner: nodeB, Epoch: epoch, Seq: seq, ID: noroshi.Hash{byte(seq)}, Kind: uint8(message.Read), Prec: 2, Signed: []byte("s"), Content: []byte("c")})
		})
	}
	for _, step := range []struct {
		seq  uint64
		to   store.OutState
		want store.OutState
	}{
		{1, store.AppliedThere, store.AppliedThere}, {1, store.StoredThere, store.AppliedThere}, {1, store.Withheld, store.AppliedThere}, {1, store.Expired, store.AppliedThere},
		{2, store.Withheld, store.Withheld}, {2, store.Attempted, store.Withheld}, {2, store.StoredThere, store.StoredThere},
	} {
		act(func(tx *store.Tx) error { return tx.SetOutState(nodeB, epoch, []uint64{step.seq}, step.to, "https") })
		if out, err := s.Out(t.Context(), nodeB, epoch, step.seq, 1); err != nil || len(out) != 1 || out[0].State != step.want {
			t.Errorf("message %d to state %d: %+v, %v; want state %d", step.seq, step.to, out, err, step.want)
		}
	}
	act(func(tx *store.Tx) error {
		_, err := tx.PutIn(store.InMessage{Partner: nodeB, Epoch: epoch, Seq: 1, ID: noroshi.Hash{9}, Kind: uint8(message.Read), Prec: 2, Signed: []byte("s")})
		return err
	})
	for _, to := range []store.InState{store.Applied, store.Held, store.Stored, store.Tombstoned} {
		act(func(tx *store.Tx) error { return tx.SetInState(nodeB, epoch, 1, to) })
		if in, err := s.In(t.Context(), nodeB, epoch, 1, 1); err != nil || len(in) != 1 || in[0].State != store.Applied {
			t.Errorf("received, to state %d: %+v, %v", to, in, err)
		}
	}
}
