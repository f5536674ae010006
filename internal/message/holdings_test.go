package message_test

import (
	"reflect"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

func heldRuns(runs ...uint64) (h message.Holdings) {
	h = message.Holdings{Nonce: [8]byte{1}, Answer: true, Epoch: message.Epoch{2}}
	for i := 0; i < len(runs); i += 2 {
		h.Runs = append(h.Runs, message.HeldRun{Range: message.Range{A: runs[i], B: runs[i+1]}, Root: [16]byte{byte(i)}})
	}
	return h
}

func TestHoldings(t *testing.T) {
	t.Parallel()
	for _, h := range []message.Holdings{heldRuns(1, 1), heldRuns(1, 9, 10, 10, 20, 1<<40)} {
		if got, err := message.DecodeHoldings(message.EncodeHoldings(h)); err != nil || !reflect.DeepEqual(got, h) {
			t.Errorf("got %+v (%v), want %+v", got, err, h)
		}
	}
	many := make([]uint64, 2*257)
	for i := range many {
		many[i] = uint64(i + 1)
	}
	for _, c := range []struct {
		name string
		h    message.Holdings
		want string
	}{
		{"no run", heldRuns(), "message.size"},
		{"too many", heldRuns(many...), "message.size"},
		{"from 0", heldRuns(0, 1), "message.form"},
		{"falling", heldRuns(3, 2), "message.form"},
		{"overlapping", heldRuns(1, 5, 5, 6), "message.form"},
	} {
		if _, err := message.DecodeHoldings(message.EncodeHoldings(c.h)); codeOf(err) != c.want {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

// A root tells a missing message from another one, and where each stands.
func TestHoldingsRoot(t *testing.T) {
	t.Parallel()
	of := func(e byte, r message.Range, ids ...byte) [16]byte {
		return message.HoldingsRoot(message.Epoch{e}, r, func(seq uint64) (h noroshi.Hash) { h[0] = ids[seq-r.A]; return h })
	}
	all := [][16]byte{of(1, message.Range{A: 1, B: 3}, 1, 2, 3), of(1, message.Range{A: 1, B: 3}, 1, 0, 3), of(1, message.Range{A: 1, B: 3}, 1, 4, 3),
		of(1, message.Range{A: 2, B: 4}, 1, 2, 3), of(2, message.Range{A: 1, B: 3}, 1, 2, 3), of(1, message.Range{A: 1, B: 2}, 1, 2)}
	seen := map[[16]byte]bool{}
	for _, root := range all {
		seen[root] = true
	}
	if len(seen) != len(all) || all[0] != of(1, message.Range{A: 1, B: 3}, 1, 2, 3) {
		t.Errorf("%d different roots of %d", len(seen), len(all))
	}
}

func FuzzHoldings(f *testing.F) {
	f.Add(message.EncodeHoldings(heldRuns(1, 9, 10, 10)))
	f.Fuzz(func(t *testing.T, b []byte) { roundTrip(t, b, message.DecodeHoldings, message.EncodeHoldings) })
}
