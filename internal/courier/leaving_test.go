package courier_test

import (
	"bytes"
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
)

// TestNothingLeavesThatWasClearedTooEarly: whenever the exit gate asks for the
// time while a message is cleared and sealed, the agreement is suspended at that
// very moment. The message does not leave; when the agreement is in force again it
// does.
func TestNothingLeavesThatWasClearedTooEarly(t *testing.T) {
	t.Parallel()
	moments := 0
	for struckAt(t, moments) {
		moments++
	}
	if moments < 5 {
		t.Errorf("clearing and sealing have %d moments", moments)
	}
}

// struckAt suspends at a moment of clearing; false when there are not so many.
func struckAt(t *testing.T, moment int) bool {
	t.Helper()
	p := newMediaPair(t, 71)
	p.a.end()
	left := -1 // moments until then
	p.a.asks = func() time.Time {
		if left == 0 {
			p.a.suspend(p.b)
		}
		if left >= 0 {
			left--
		}
		return time.Now()
	}
	p.a.open()
	p.a.importList("list.txt", 0, 1)
	p.a.decideAll()
	left = moment
	p.give()
	if left >= 0 {
		return false
	}
	if n := p.b.count("indicator"); n != 0 {
		if p.a.last(noroshi.ActAttempt) > p.a.last(noroshi.ActSuspendAgreement) {
			t.Errorf("suspended at moment %d, and after it an indicator left", moment)
		}
	}
	p.a.trusts(p.b, noroshi.InForce)
	p.a.decideAll()
	p.give()
	if n := p.b.count("indicator"); n != 1 {
		t.Errorf("suspended at moment %d and resumed, %d indicators left", moment, n)
	}
	return true
}

// TestSuspendedIsNoNonsense: the partner does not know yet that the agreement is
// suspended, and sends under its dictionary. It is not taken, and raises no alarm.
func TestSuspendedIsNoNonsense(t *testing.T) {
	t.Parallel()
	p := newMediaPair(t, 72)
	p.give()
	p.b.importList("list.txt", 0, 1)
	p.b.decideAll()
	p.a.suspend(p.b)
	p.give()
	if n, raised := p.a.count("indicator"), slices.DeleteFunc(p.a.alarms(), func(code string) bool { return code == "no-path" }); n != 0 || len(raised) > 0 {
		t.Errorf("suspended, %d indicators came, alarms %v", n, raised)
	}
	p.a.trusts(p.b, noroshi.InForce)
	p.give()
	if n := p.a.count("indicator"); n != 1 {
		t.Errorf("resumed, %d indicators came", n)
	}
}

// TestSuspendedAMomentAgo: what comes after a suspension is not taken, though the
// link has not heard of it yet.
func TestSuspendedAMomentAgo(t *testing.T) {
	t.Parallel()
	p := newMediaPair(t, 73)
	p.give()
	p.b.importList("list.txt", 0, 1)
	p.b.decideAll()
	s := p.b.pack(courier.Packing{Partner: p.a.id()})
	if err := p.a.atRest(func(ctx context.Context, c *courier.Courier) error {
		p.a.writeTrust(p.b, noroshi.Introduced, false)
		_, err := c.Unpack(ctx, func() ([]byte, error) {
			if len(s.envelopes) == 0 {
				return nil, io.EOF
			}
			e := s.envelopes[0]
			s.envelopes = s.envelopes[1:]
			return e, nil
		})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if n := p.a.count("indicator"); n != 0 {
		t.Errorf("suspended, %d indicators came", n)
	}
}

// give carries what A packs, if it may pack, to B, and B's receipts to A.
func (p *pair) give() {
	p.t.Helper()
	var envelopes [][]byte
	err := p.a.atRest(func(ctx context.Context, c *courier.Courier) error {
		_, err := c.Pack(ctx, courier.Packing{Partner: p.b.id()}, func(x courier.Packed) error {
			envelopes = append(envelopes, bytes.Clone(x.Envelope))
			return nil
		})
		return err
	})
	if kind := noroshi.KindOf(err); err != nil && kind != noroshi.Queued && kind != noroshi.Refused {
		p.t.Fatal(err)
	}
	p.b.unpack(envelopes)
	p.a.unpack(p.b.pack(courier.Packing{Partner: p.a.id()}).envelopes)
}

// last is the place of the last act of a kind on record.
func (n *node) last(of noroshi.Action) (index uint64) {
	n.t.Helper()
	list, err := n.store.Acts(n.t.Context(), 0, 1000)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, e := range list {
		if e.Act.Action == of {
			index = e.Index
		}
	}
	return index
}
