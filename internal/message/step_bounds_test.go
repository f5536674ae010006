package message_test

import (
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// TestOnlyAnEchoConfirms: a STATE, however new, says nothing of this run unless
// it answers a challenge of it: it may have lain on a stick for a week.
func TestOnlyAnEchoConfirms(t *testing.T) {
	t.Parallel()
	o := newOne(t)
	o.side = message.Rebuild(rulesOfOne(), message.Facts{Mine: []message.EpochHead{o.head}, Live: otherLife, Theirs: []message.Life{{Epoch: otherLife}}, Run: [8]byte{2}, Seed: [32]byte{2}}, o.now)
	o.step(message.Tick{})
	for n := range 3 {
		o.told++
		o.step(message.Told{Epoch: otherLife, Counter: o.told, Sum: noroshi.Hash{byte(n)}, State: message.State{Echo: [8]byte{9, byte(n)}}})
		if o.side.Confirmed() {
			t.Fatal("a STATE that answers nothing confirms the link")
		}
	}
	if o.hear(message.State{}); !o.side.Confirmed() {
		t.Error("an answer does not confirm the link")
	}
}

// TestBoundsOfWhatIsKept: neither far beyond a gap nor of ever more lives is
// anything kept for a partner.
func TestBoundsOfWhatIsKept(t *testing.T) {
	t.Parallel()
	o := newOne(t)
	keeps := func(e message.Epoch, seq uint64) bool {
		for _, x := range o.step(message.Arrived{In: message.In{Epoch: e, Seq: seq, ID: noroshi.Hash{byte(seq)}, Prec: noroshi.Routine}}) {
			if _, ok := x.(message.Keep); ok {
				return true
			}
		}
		return false
	}
	if !keeps(otherLife, 16<<10) || keeps(otherLife, 16<<10+1) {
		t.Error("more than 16,384 above a gap are kept, or fewer")
	}
	for n := range 62 {
		if !keeps(message.Epoch{3, byte(n)}, 1) {
			t.Fatalf("life %d of the partner is not kept", n+2)
		}
	}
	keeps(message.Epoch{4}, 1)
	if keeps(message.Epoch{5}, 1) {
		t.Error("more than 64 lives of a partner are kept")
	}
}
