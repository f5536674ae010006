package message_test

import (
	"slices"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// TestWhatCouldNotBeApplied: what was stored is to be applied when what it waits for is
// there, and cannot be. It is left by whatever else comes and tried again when told to.
func TestWhatCouldNotBeApplied(t *testing.T) {
	t.Parallel()
	o := newOne(t)
	in := func(seq uint64, deps ...uint64) message.In {
		return message.In{Epoch: otherLife, Seq: seq, ID: noroshi.Hash{byte(seq), 3}, Kind: message.Data, Deps: deps}
	}
	// comes has a message come, and what is asked to be applied for it to be.
	comes := func(m message.In, to message.Standing) (apply []uint64) {
		o.step(message.Arrived{In: m})
		m.Standing = to
		return applies(o.step(message.Kept{In: m}))
	}
	waits := in(2, 1)
	if got := comes(waits, message.Stored); len(got) > 0 {
		t.Errorf("before what it waits for is there, %v are to be applied", got)
	}
	if got := comes(in(1), message.Applied); !slices.Equal(got, []uint64{2}) {
		t.Fatalf("to be applied are %v, want 2", got)
	}
	if got := applies(o.step(message.Wake{})); len(got) > 0 {
		t.Errorf("%v is to be applied twice at a time", got)
	}
	for range 3 {
		if got := applies(o.step(message.Kept{In: waits})); len(got) > 0 { // Absent
			t.Errorf("%v is tried again and again", got)
		}
		if got := append(comes(in(3), message.Applied), comes(waits, message.Stored)...); len(got) > 0 {
			t.Errorf("%v is tried again for what comes", got)
		}
		if got := applies(o.step(message.Wake{})); !slices.Equal(got, []uint64{2}) {
			t.Fatalf("woken, to be applied are %v, want 2", got)
		}
	}
	waits.Standing = message.Applied
	o.step(message.Kept{In: waits})
	if got := applies(o.step(message.Wake{})); len(got) > 0 {
		t.Errorf("applied, and %v is tried again", got)
	}
}

func applies(fx []message.Effect) (seqs []uint64) {
	for _, x := range fx {
		if a, ok := x.(message.Apply); ok {
			seqs = append(seqs, a.In.Seq)
		}
	}
	return seqs
}

// TestMissingOfALifeThatIsOver: what lies below a message that came late, of a life that
// speaks no more, is asked for, though no STATE of it has told of that message.
func TestMissingOfALifeThatIsOver(t *testing.T) {
	t.Parallel()
	o := newOne(t)
	over := message.Epoch{7}
	late := message.In{Epoch: over, Seq: 3, ID: noroshi.Hash{3}, Kind: message.Data}
	o.step(message.Arrived{In: late})
	late.Standing = message.Applied
	o.step(message.Kept{In: late})
	var asked []message.EpochRange
	for range 4 {
		o.now = o.now.Add(message.DefaultRules().Heartbeat)
		for _, x := range o.hear(message.State{}) {
			if w, ok := x.(message.SayWant); ok {
				asked = append(asked, w.Want.Runs...)
			}
		}
	}
	if want := (message.EpochRange{Epoch: over, Range: message.Range{A: 1, B: 2}}); len(asked) == 0 || asked[0] != want {
		t.Errorf("asked for %v, want %v", asked, want)
	}
}
