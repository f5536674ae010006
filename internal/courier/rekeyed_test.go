package courier_test

import (
	"context"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// meanwhile has B's writer busy while something of A's comes and waits for it, as in
// says. Until then A revokes its key, and what that signed is gone over.
func (p *pair) meanwhile(come func(), in string, ends func() []message.LastGood) {
	p.t.Helper()
	first := p.b.hold(noroshi.Routine)
	defer first()
	come()
	p.until("it waits for the writer", 5*time.Second, func() bool { return waits("store.(*lane).enter", in) })
	p.revoke(ends())
	p.b.does(func(context.Context) error { p.b.takeKeys(p.a); return nil })
	p.until("the KEYSET waits, and will pass it", 5*time.Second, func() bool { return waits("store.(*lane).enter", "takeKeys") })
	second := make(chan func(), 1)
	p.b.does(func(context.Context) error { second <- p.b.hold(noroshi.Flash); return nil })
	p.until("so does what keeps the writer busy on", 5*time.Second, func() bool { return waits("store.(*lane).enter", "(*node).hold") })
	first()
	defer (<-second)()
	p.until("what the key signed was gone over", 5*time.Second, func() bool { return waits("store.(*lane).enter", "disown") })
}

// TestRevokedMeanwhile: what a thief sent waits for the writer while the KEYSET comes
// that revokes the key, and what it signed is gone over. It is as if it had come after
// that, also where it was to be held for another reason.
func TestRevokedMeanwhile(t *testing.T) { // alone: it looks at what waits
	for _, ahead := range []time.Duration{0, 25 * time.Hour} {
		revokedMeanwhile(t, ahead)
	}
}

func revokedMeanwhile(t *testing.T, ahead time.Duration) {
	p, ends := began(t, 41)
	p.net.setCut(true)
	seq := ends[0].Seq + 1
	e := p.forgedAs(p.a.keys.Copy(), ends[0].Epoch, message.Header{Seq: seq, Kind: message.Data, Created: time.Now().Add(ahead), Label: "TLP:GREEN", Form: message.ObjectsForm},
		message.EncodeObjects([]message.Object{{Bytes: p.indicator(stix.NewID("indicator"), "thief.example").Bytes()}}))
	p.meanwhile(func() {
		if err := p.b.running().Receive(t.Context(), "https", p.a.id(), e); err != nil {
			t.Fatal(err)
		}
	}, "commitIn", func() []message.LastGood { return ends })
	var rows []store.InMessage
	var q []store.Quarantined
	p.until("what it came to", 5*time.Second, func() bool {
		var err, bad error
		rows, err = p.b.store.In(t.Context(), p.a.id(), ends[0].Epoch, seq, 1)
		q, bad = p.b.store.QuarantineList(t.Context(), 0, 10)
		return err == nil && bad == nil && len(rows)+len(q) > 0
	})
	if len(rows) > 0 || len(q) != 1 || q[0].Code != "message.key-revoked" {
		t.Errorf("bound is %+v, in quarantine %+v, want it there alone", rows, q)
	}
	if n := p.b.count("indicator"); n != 3 || p.report().Count != 0 {
		t.Errorf("%d indicators are in use, want A's three; report: %+v", n, p.report())
	}
}

// TestBelievedMeanwhile: so does what A itself sent, up to its last good message. It
// is held, and applied when that is found to be the one that A states.
func TestBelievedMeanwhile(t *testing.T) { // alone: it looks at what waits
	p, before := began(t, 42)
	end := func() []message.LastGood {
		ends, err := p.a.running().Ends(t.Context(), p.a.store.Reads, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		return ends
	}
	p.meanwhile(func() {
		p.a.importList("more.txt", 3, 5)
		p.until("A's log to grow", 5*time.Second, func() bool { return end()[0].Seq > before[0].Seq })
	}, "commitIn", end)
	p.until("A's own", 5*time.Second, p.usable(5))
	if q, err := p.b.store.QuarantineList(t.Context(), 0, 10); err != nil || len(q) > 0 {
		t.Errorf("quarantine: %+v, %v", q, err)
	}
}

// TestDecidedMeanwhile: a person decides that what a thief sent is applied, while the
// KEYSET comes that revokes the key.
func TestDecidedMeanwhile(t *testing.T) { // alone: it looks at what waits
	p, ends := began(t, 43)
	p.net.setCut(true)
	e := p.forgedAs(p.a.keys.Copy(), ends[0].Epoch, message.Header{Seq: ends[0].Seq + 1, Kind: message.Data, Created: time.Now().Add(25 * time.Hour), Label: "TLP:GREEN", Form: message.ObjectsForm},
		message.EncodeObjects([]message.Object{{Bytes: p.indicator(stix.NewID("indicator"), "thief.example").Bytes()}}))
	if err := p.b.running().Receive(t.Context(), "https", p.a.id(), e); err != nil {
		t.Fatal(err)
	}
	var held []courier.HeldMessage
	p.until("it is held", 5*time.Second, func() bool {
		var err error
		held, err = p.b.running().Held(t.Context())
		return err == nil && len(held) == 1 && held[0].Why == "ahead"
	})
	d := courier.HeldDecision{Message: held[0].Message, Apply: true}
	d.By = p.b.officer("duty", noroshi.Duty)(noroshi.ActDecideHeld, d.Message.String(), courier.HeldBound(d.Message, true))
	p.revoke(ends)
	let := p.b.hold(noroshi.Routine)
	defer let()
	p.b.does(func(context.Context) error { p.b.takeKeys(p.a); return nil })
	p.until("the KEYSET waits", 5*time.Second, func() bool { return waits("store.(*lane).enter", "takeKeys") })
	p.b.does(func(ctx context.Context) error {
		if err := p.b.running().DecideHeld(ctx, d); noroshi.CodeOf(err) != "courier.still-held" {
			t.Errorf("applied under the key: %v", err)
		}
		return nil
	})
	p.until("the decision waits behind it", 5*time.Second, func() bool { return waits("store.(*lane).enter", "DecideHeld") })
	let()
	p.until("why it is held now", 5*time.Second, func() bool {
		held, err := p.b.running().Held(t.Context())
		return err == nil && len(held) == 1 && held[0].Why == "key-revoked"
	})
	if n := p.b.count("indicator"); n != 3 {
		t.Errorf("%d indicators are in use, want A's three", n)
	}
}
