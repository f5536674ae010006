package courier_test

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// says has B receive a DATA of A's with one object in it.
func (p *pair) says(keys *message.Keyring, e message.Epoch, seq uint64, prec noroshi.Precedence, o *stix.Object) {
	p.t.Helper()
	envelope := p.forgedAs(keys, e, message.Header{Seq: seq, Kind: message.Data, Prec: prec, Label: "TLP:GREEN", Form: message.ObjectsForm},
		message.EncodeObjects([]message.Object{{Bytes: o.Bytes()}}))
	if err := p.b.running().Receive(p.t.Context(), "https", p.a.id(), envelope); err != nil {
		p.t.Fatal(err)
	}
}

// TestThiefSaysItFirst: who has A's server sends B what A is about to send. A's own
// message brings nothing new then, and stands when the thief's goes out of use.
func TestThiefSaysItFirst(t *testing.T) {
	t.Parallel()
	p, ends := began(t, 53)
	stolen := p.a.keys.Copy()
	p.until("all receipted", 5*time.Second, p.settled)
	p.net.setCut(true)
	o := p.indicator(stix.NewID("indicator"), "genuine.example")
	p.says(stolen, ends[0].Epoch, ends[0].Seq+20, noroshi.Routine, o)
	p.until("the thief's", 5*time.Second, func() bool { return len(p.b.versions(o.ID, true)) == 1 })
	ends[0].Seq++
	p.says(stolen, ends[0].Epoch, ends[0].Seq, noroshi.Routine, o)
	p.until("A's", 5*time.Second, func() bool {
		rows, err := p.b.store.In(t.Context(), p.a.id(), ends[0].Epoch, ends[0].Seq, 1)
		return err == nil && len(rows) == 1 && rows[0].Seq == ends[0].Seq && rows[0].State == store.Applied
	})
	p.revoke(ends)
	p.b.takeKeys(p.a)
	if r := p.report(); r.Count != 1 || len(r.Objects) != 0 {
		t.Errorf("report: %+v, want one message that brought nothing", r)
	}
	p.b.stands("revoked", o.ID, o.Hash())
}

// TestSaidAgainMeanwhile: what a revoked key signed is gone over, and before it goes
// out of use A says a part of it again under another key, as it is.
func TestSaidAgainMeanwhile(t *testing.T) { // alone: it looks at what waits
	p, ends := began(t, 51)
	if err := p.a.keys.Rotate(rand.Reader, message.UseRelease, time.Now()); err != nil {
		t.Fatal(err)
	}
	p.b.takeKeys(p.a)
	p.until("all receipted, and the new key known", 5*time.Second, func() bool {
		held, err := p.a.running().KeysThere(t.Context())
		return p.settled() && err == nil && len(held) == 1 && held[0].Version == p.a.keys.Keyset().Version
	})
	p.net.setCut(true)
	p.until("B has on record that the way is cut", 10*time.Second, func() bool { // which would else wait for the writer before what A says
		return slices.ContainsFunc(p.b.record(), func(e store.Entry) bool {
			return e.Act.Action == noroshi.ActChangePath && strings.HasPrefix(e.Act.Subject, "https > -")
		})
	})
	again := p.a.keys.Copy()
	o := p.b.current(p.a.own()[0]).Object
	p.revoke(nil)
	first := p.b.hold(noroshi.Flash)
	defer first()
	p.b.does(func(context.Context) error { p.b.takeKeys(p.a); return nil })
	p.until("the KEYSET waits", 5*time.Second, func() bool { return waits("store.(*lane).enter", "takeKeys") })
	second := make(chan func(), 1)
	p.b.does(func(context.Context) error { second <- p.b.hold(noroshi.Flash); return nil })
	p.until("so does what keeps the writer busy on", 5*time.Second, func() bool { return waits("store.(*lane).enter", "(*node).hold") })
	p.says(again, ends[0].Epoch, ends[0].Seq+1, noroshi.Flash, o)
	p.until("and behind it what A says again", 5*time.Second, func() bool { return waits("store.(*lane).enter", "commitIn") })
	first()
	let := <-second
	defer let()
	p.until("what the key signed was gone over", 5*time.Second, func() bool { return waits("store.(*lane).enter", "disown") })
	let()
	p.report()
	p.b.stands("revoked", o.ID, o.Hash())
	if n := p.b.count("indicator"); n != 1 {
		t.Errorf("%d indicators are in use, want what was said again alone", n)
	}
}

// TestMadeOfWhatStands: a thief's version of an object is out of use. When A takes the
// object back itself, so is what B made of A's own, with and without that version; and
// of what B made of the thief's nothing stands when its key is revoked, but for what it
// made of a later one of A's.
func TestMadeOfWhatStands(t *testing.T) {
	t.Parallel()
	for name, thief := range map[string]bool{"with a thief's": true, "with A's alone": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, ends := began(t, 56)
			stolen := p.a.keys.Copy()
			p.until("all receipted", 5*time.Second, p.settled)
			p.net.setCut(true)
			id, of := p.a.own()[0], stix.ID("")
			before := p.b.warn(1, id)
			if thief {
				p.later(stolen, ends[0], id)
				of = p.b.warn(2, id)
			}
			p.revoke(ends)
			p.a.running().Reopen()
			p.b.takeKeys(p.a)
			p.report()
			if thief && !p.b.current(of).Withdrawn {
				t.Error("the warning B made of the thief's version stays in use")
			}
			after := p.b.warn(3, id)
			if p.b.current(before).Withdrawn || p.b.current(after).Withdrawn {
				t.Error("a warning B made of A's own version is out of use before that is")
			}
			p.net.setCut(false)
			p.until("all is said", 20*time.Second, p.settled)
			p.a.recall(p.a.running(), id, message.RecallStopUse)
			p.until("recalled", 20*time.Second, func() bool { return p.b.current(id).Withdrawn })
			if !p.b.current(before).Withdrawn || !p.b.current(after).Withdrawn {
				t.Error("a warning B made of the recalled object stays in use")
			}
		})
	}
}

// TestMadeOfALaterOne: what B made of a later version of A's, after the thief's, stands
// when that goes out of use, also where a still later one came behind it; and so does
// what B made after the thief brought one that did not count any more.
func TestMadeOfALaterOne(t *testing.T) {
	t.Parallel()
	p, ends := began(t, 57)
	if err := p.a.keys.Rotate(rand.Reader, message.UseRelease, time.Now()); err != nil {
		t.Fatal(err)
	}
	id := p.a.own()[0]
	p.b.takeKeys(p.a)
	p.until("all receipted", 5*time.Second, p.settled)
	p.net.setCut(true)
	stolen := p.a.keys.Copy()
	p.says(stolen, ends[0].Epoch, ends[0].Seq+8, noroshi.Routine, p.indicator(id, "thief.example"))
	p.until("the thief's version", 5*time.Second, func() bool { return len(p.b.versions(id, false)) == 2 })
	of := p.b.warn(1, id)
	last := p.indicator(id, "late.example") // before A's later one by its time
	late := last
	says := func(name string) {
		t.Helper()
		o := p.indicator(id, name)
		for o.Modified.Compare(last.Modified) <= 0 { // within one millisecond
			o = p.indicator(id, name)
		}
		last = o
		ends[0].Seq++
		p.says(stolen, ends[0].Epoch, ends[0].Seq, noroshi.Routine, o)
		p.until("A's "+name, 5*time.Second, func() bool { return p.b.current(id).Hash == o.Hash() })
	}
	says("later.example")
	after := p.b.warn(2, id)
	p.says(stolen, ends[0].Epoch, ends[0].Seq+8, noroshi.Routine, late)
	p.until("the thief's late one", 5*time.Second, func() bool { return len(p.b.versions(id, false)) == 4 })
	behind := p.b.warn(3, id)
	says("latest.example")
	signed, err := p.a.keys.Signing(message.UseRelease, p.a.keys.Keyset().Version, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.a.keys.Revoke(rand.Reader, message.Revocation{ID: signed, Last: ends}, time.Now()); err != nil {
		t.Fatal(err)
	}
	p.b.takeKeys(p.a)
	p.report()
	for what, w := range map[string]struct {
		id  stix.ID
		out bool
	}{"the thief's": {of, true}, "A's later one": {after, false}, "A's later one, when the thief's late one was there": {behind, false}} {
		if got := p.b.current(w.id).Withdrawn; got != w.out {
			t.Errorf("what B made of %s is out of use: %t, want %t", what, got, w.out)
		}
	}
}

// takenBack counts the messages that partners gave back to a node.
func (n *node) takenBack() int {
	n.t.Helper()
	docs, err := n.store.Docs(n.t.Context(), "courier-taken-back")
	if err != nil {
		n.t.Fatal(err)
	}
	return len(docs)
}

// TestThiefSaysItAgain: A was put back, and B gave back what A had forgotten. Then a
// thief says a part of it again, B gives that back too, and A revokes the key: its own
// stands, for it is in what A believes.
func TestThiefSaysItAgain(t *testing.T) {
	t.Parallel()
	p, _ := began(t, 58)
	p.until("all receipted", 5*time.Second, p.settled)
	at := p.a.copyOf()
	p.a.importList("more.txt", 3, 5)
	p.until("more", 20*time.Second, func() bool { return p.usable(5)() && p.settled() })
	known := p.a.own()
	p.a.putBack(at, true, true)
	p.until("what was lost is back", 20*time.Second, func() bool { return p.a.recovered() && len(p.a.own()) == 5 && p.settled() })
	ends, err := p.a.running().Ends(t.Context(), p.a.store.Reads, time.Time{})
	if err != nil || len(ends) != 2 {
		t.Fatalf("ends: %+v, %v", ends, err)
	}
	o, back := p.b.current(known[4]).Object, p.a.takenBack()
	p.says(p.a.keys.Copy(), ends[1].Epoch, ends[1].Seq+1, noroshi.Routine, o)
	p.until("it is taken back", 20*time.Second, func() bool { return p.a.takenBack() == back+1 })
	p.revoke(ends)
	p.a.running().Reopen()
	p.b.takeKeys(p.a)
	p.report()
	p.until("all is said", 20*time.Second, p.settled)
	p.a.stands("revoked", o.ID, o.Hash())
	p.b.stands("revoked", o.ID, o.Hash())
	p.intact()
}
