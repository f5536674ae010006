package courier_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestHeld: what is not known here, or dated ahead, is kept, receipted as stored
// and has no effect until a person decides: what can be applied is applied once,
// with what waited for it; what cannot is closed, and its sender is told.
func TestHeld(t *testing.T) {
	t.Parallel()
	p := newPair(t, 81, 0, 0)
	p.start()
	p.until("confirmed", 20*time.Second, p.settled)
	ctx, life := context.Background(), message.Epoch{7}
	docs, err := p.b.store.Docs(ctx, noroshi.DocPartner)
	if err != nil {
		t.Fatal(err)
	}
	var partner noroshi.Partner
	for _, body := range docs {
		if err := json.Unmarshal(body, &partner); err != nil {
			t.Fatal(err)
		}
	}
	send := func(h message.Header, content []byte) noroshi.Hash {
		t.Helper()
		h.Prec = noroshi.Priority
		m, err := message.Sign(p.a.keys, message.Context{Realm: noroshi.Real, From: p.a.id(), To: p.b.id(), Epoch: life, Agreement: partner.Agreement}, h, content)
		if err != nil {
			t.Fatal(err)
		}
		envelope, err := message.Seal(message.Plain{Message: m}, message.Outbound{Realm: noroshi.Real, From: p.a.id(), To: p.b.keys.Keyset(), Secret: []byte(strings.Repeat("a", 32)), Now: time.Now()}, rand.Reader)
		if err == nil {
			err = p.b.running().Receive(ctx, "https", p.a.id(), envelope)
		}
		if err != nil {
			t.Fatal(err)
		}
		return m.ID()
	}
	data := func() []byte {
		o, err := stix.Make(stix.Member{Name: "type", Value: "tool"}, stix.Member{Name: "spec_version", Value: "2.1"}, stix.Member{Name: "id", Value: stix.NewID("tool")},
			stix.Member{Name: "created", Value: stix.TimeOf(time.Now())}, stix.Member{Name: "modified", Value: stix.TimeOf(time.Now())},
			stix.Member{Name: "name", Value: "held"}, stix.Member{Name: "object_marking_refs", Value: []stix.ID{noroshi.Green.MarkingID()}})
		if err != nil {
			t.Fatal(err)
		}
		return message.EncodeObjects([]message.Object{{Bytes: o.Bytes()}})
	}
	tomorrow := time.Now().Add(25 * time.Hour)
	unknown := send(message.Header{Seq: 1, Kind: 12, Created: time.Now(), Form: message.ControlForm}, []byte{0x80})
	ahead := send(message.Header{Seq: 2, Kind: message.Data, Created: tomorrow, Form: message.ObjectsForm, Label: "TLP:GREEN"}, data())
	send(message.Header{Seq: 3, Kind: message.Data, Created: time.Now(), Form: message.ObjectsForm, Label: "TLP:GREEN", Deps: []uint64{2}}, data())
	held := func() (why map[noroshi.Hash]string) {
		t.Helper()
		list, err := p.b.running().Held(ctx)
		if err != nil {
			t.Fatal(err)
		}
		why = map[noroshi.Hash]string{}
		for _, h := range list {
			why[h.Message] = h.Why
		}
		return why
	}
	p.until("held", 20*time.Second, func() bool { h := held(); return len(h) == 2 && h[unknown] == "kind" && h[ahead] == "ahead" })
	if n := p.b.count("tool"); n != 0 {
		t.Errorf("%d objects had effect before anybody decided", n)
	}
	decide := func(id string, role noroshi.Role, msg noroshi.Hash, apply bool) error {
		sign := p.b.officer(id, role)
		return p.b.running().DecideHeld(ctx, courier.HeldDecision{Message: msg, Apply: apply, By: sign(noroshi.ActDecideHeld, msg.String(), courier.HeldBound(msg, apply))})
	}
	for _, c := range []struct {
		name  string
		role  noroshi.Role
		msg   noroshi.Hash
		apply bool
		want  noroshi.Kind
	}{
		{"a viewer", noroshi.Viewer, ahead, true, noroshi.Forbidden},
		{"what is not known here", noroshi.Duty, unknown, true, noroshi.Refused},
		{"what is not here", noroshi.Duty, noroshi.Hash{9}, false, noroshi.NotFound},
		{"a date ahead", noroshi.Duty, ahead, true, noroshi.Other},
		{"the same again", noroshi.Duty, ahead, true, noroshi.NotFound},
		{"closed", noroshi.Duty, unknown, false, noroshi.Other},
	} {
		if err := decide(strings.ReplaceAll(c.name, " ", "-"), c.role, c.msg, c.apply); err != nil && noroshi.KindOf(err) != c.want || err == nil && c.want != noroshi.Other {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	p.until("applied, with what waited for it", 20*time.Second, func() bool { return p.b.count("tool") == 2 && len(held()) == 0 })
	p.until("its sender is told", 20*time.Second, func() bool {
		_, by := p.b.acts()
		return by[noroshi.ActDecideHeld] == 2 && p.b.link().OutApplied == p.b.link().OutHead && p.b.link().OutHead == 2
	})
	p.intact()
}

// TestHeldWhileSuspended: while the agreement is suspended no person lets DATA in that
// is held, be it that the courier has not yet heard of the suspension. It is held on,
// and let in when the agreement is resumed. What is no DATA is let in at any time.
func TestHeldWhileSuspended(t *testing.T) {
	warmCoders(t)
	cryptotest.SetGlobalRandom(t, 24)
	synctest.Test(t, func(t *testing.T) {
		h, f, _ := twoFoes(t, 0)
		ahead := f.now().Add(25 * time.Hour)
		of := func(h message.Header, content []byte) *message.Message { h.Created = ahead; return f.sign(h, content) }
		object := of(data(noroshi.Routine), f.objects(f.indicator(f.newID(), f.ident, "")))
		closes := of(message.Header{Kind: message.Tombstone, Prec: noroshi.Priority, Form: message.ControlForm}, tombs(tomb(f.epoch, 9)))
		f.hands(object, closes)
		sign := h.v.officer("duty", noroshi.Duty)
		letIn := func(m *message.Message) error {
			err := h.v.running().DecideHeld(t.Context(), courier.HeldDecision{Message: m.ID(), Apply: true, By: sign(noroshi.ActDecideHeld, m.ID().String(), courier.HeldBound(m.ID(), true))})
			synctest.Wait()
			return err
		}
		for _, heard := range []bool{false, true} {
			h.v.writeTrust(f.node, noroshi.Introduced, heard)
			synctest.Wait()
			if err := letIn(object); err == nil || h.v.count("indicator") != 0 || h.heldOf()[object.ID()] == "" {
				t.Errorf("let in while suspended, the courier has heard of it: %t: %v, %d indicators, held %v", heard, err, h.v.count("indicator"), h.heldOf())
			}
		}
		if err := letIn(closes); err != nil {
			t.Errorf("a TOMBSTONE, while suspended: %v", err)
		}
		h.v.trusts(f.node, noroshi.InForce)
		synctest.Wait()
		if err := letIn(object); err != nil || h.v.count("indicator") != 1 || len(h.heldOf()) > 0 {
			t.Errorf("let in when resumed: %v, %d indicators, held %v", err, h.v.count("indicator"), h.heldOf())
		}
	})
}
