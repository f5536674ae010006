package courier_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// takeKeys hands a KEYSET over as the office does.
func (n *node) takeKeys(of *node) {
	n.t.Helper()
	_, err := n.store.Do(context.Background(), noroshi.Act{Action: noroshi.ActKeys, Subject: of.id().String(), Partner: of.id(), Precedence: noroshi.Immediate}, func(tx *store.Tx) error {
		if err := tx.PutDoc(noroshi.DocKeyset, of.id().String(), of.keys.Keyset().Bytes()); err != nil {
			return err
		}
		return tx.Notice(store.PartnerChanged, of.id().String())
	})
	if err != nil {
		n.t.Fatal(err)
	}
}

// revoke has A revoke its first release key: of what that signed, no more than
// ends is to be believed.
func (p *pair) revoke(ends []message.LastGood) {
	p.t.Helper()
	id, err := p.a.keys.Signing(message.UseRelease, 1, time.Now())
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.a.keys.Revoke(rand.Reader, message.Revocation{ID: id, Last: ends}, time.Now()); err != nil {
		p.t.Fatal(err)
	}
}

// began is a pair of which A has sent three indicators, and where its log ends.
func began(t *testing.T, seed uint64) (*pair, []message.LastGood) {
	t.Helper()
	p := newPair(t, seed, 0, 0)
	p.start()
	p.a.importList("before.txt", 0, 3)
	p.until("A's own", 5*time.Second, p.usable(3))
	ends, err := p.a.running().Ends(t.Context(), p.a.store.Reads, time.Time{})
	if err != nil || len(ends) != 1 {
		t.Fatalf("ends: %+v, %v", ends, err)
	}
	return p, ends
}

// report is what B says a revoked key of A's has done, once it does.
func (p *pair) report() courier.Doubted {
	p.t.Helper()
	var reports []courier.Doubted
	p.until("the report", 5*time.Second, func() bool {
		var err error
		reports, err = p.b.running().KeyEffects(p.t.Context(), p.a.id())
		return err == nil && len(reports) == 1
	})
	return reports[0]
}

// forged is an envelope that a thief of A's keys makes: one indicator more.
func (p *pair) forged(keys *message.Keyring, e message.Epoch, seq uint64, name string) []byte {
	p.t.Helper()
	return p.forgedAs(keys, e, message.Header{Seq: seq, Kind: message.Data, Label: "TLP:GREEN", Form: message.ObjectsForm},
		message.EncodeObjects([]message.Object{{Bytes: p.indicator(stix.NewID("indicator"), name).Bytes()}}))
}

// indicator makes a new version of an indicator of A's.
func (p *pair) indicator(id stix.ID, name string) *stix.Object {
	p.t.Helper()
	now := stix.TimeOf(time.Now())
	o, err := stix.Make(stix.Member{Name: "type", Value: "indicator"}, stix.Member{Name: "spec_version", Value: "2.1"}, stix.Member{Name: "id", Value: id},
		stix.Member{Name: "created_by_ref", Value: p.a.ident}, stix.Member{Name: "created", Value: now}, stix.Member{Name: "modified", Value: now},
		stix.Member{Name: "pattern", Value: "[domain-name:value = '" + name + "']"}, stix.Member{Name: "pattern_type", Value: "stix"}, stix.Member{Name: "valid_from", Value: now},
		stix.Member{Name: "object_marking_refs", Value: []stix.ID{noroshi.Green.MarkingID()}})
	if err != nil {
		p.t.Fatal(err)
	}
	return o
}

// forgedAs is an envelope of a message that a thief of A's keys makes.
func (p *pair) forgedAs(keys *message.Keyring, e message.Epoch, h message.Header, content []byte) []byte {
	p.t.Helper()
	a, err := noroshi.ParseAgreement(p.file)
	if err != nil {
		p.t.Fatal(err)
	}
	h.Prec = max(h.Prec, noroshi.Routine)
	if h.Created.IsZero() {
		h.Created = time.Now()
	}
	m, err := message.Sign(keys, message.Context{Realm: noroshi.Real, From: p.a.id(), To: p.b.id(), Epoch: e, Agreement: a.Hash}, h, content)
	if err != nil {
		p.t.Fatal(err)
	}
	out := message.Outbound{Realm: noroshi.Real, From: p.a.id(), To: p.b.keys.Keyset(), Secret: []byte("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), Now: time.Now()}
	envelope, err := message.Seal(message.Plain{Message: m}, out, rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	return envelope
}

func (p *pair) usable(n int) func() bool {
	return func() bool { return p.b.count("indicator") == n }
}

// TestStolenReleaseKey: with A's release key a thief sends B what A never did.
// A revokes the key and names its last message; what came after it is taken out
// of use at B and reported, what comes later goes into quarantine, and A's own
// goes on under a new key without loss.
func TestStolenReleaseKey(t *testing.T) {
	t.Parallel()
	p, ends := began(t, 11)
	stolen := p.a.keys.Copy()
	p.net.setCut(true) // A revokes before B's receipts tell it of a message it never made
	if err := p.b.running().Receive(t.Context(), "https", p.a.id(), p.forged(stolen, ends[0].Epoch, ends[0].Seq+1, "thief-1.example")); err != nil {
		t.Fatal(err)
	}
	p.until("the thief's", 5*time.Second, p.usable(4))

	id, err := p.a.keys.Signing(message.UseRelease, 1, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if d, err := p.b.running().Foresee(t.Context(), p.a.id(), id, time.Now().Add(-time.Hour)); err != nil || d.Count < 2 || p.b.count("indicator") != 4 {
		t.Errorf("foreseen: %+v, %v", d, err)
	}
	if err := p.a.keys.Revoke(rand.Reader, message.Revocation{ID: id, Last: ends}, time.Now()); err != nil {
		t.Fatal(err)
	}
	p.a.running().Reopen()
	p.b.takeKeys(p.a)
	p.net.setCut(false)
	p.until("its withdrawal", 5*time.Second, p.usable(3))
	if r := p.report(); r.Key != hex.EncodeToString(id[:]) || r.Count != 1 || len(r.Objects) != 1 || !r.Messages[0].Done || r.Messages[0].Seq != ends[0].Seq+1 {
		t.Errorf("report: %+v", r)
	}

	if err := p.b.running().Receive(t.Context(), "https", p.a.id(), p.forged(stolen, ends[0].Epoch, ends[0].Seq+2, "thief-2.example")); !message.IsRevoked(err) {
		t.Errorf("a later one: %v", err)
	}
	q, err := p.b.store.QuarantineList(t.Context(), 0, 10)
	if err != nil || len(q) != 1 || q[0].Code != "message.key-revoked" {
		t.Errorf("quarantine: %+v, %v", q, err)
	}
	p.a.importList("after.txt", 3, 6)
	p.until("A's next", 5*time.Second, p.usable(6))
}

// TestStolenKeyHeardFirst: before A revokes, B's receipts tell it of the thief's
// message, as of one it lost. A takes nothing back by itself, and a person may
// take either way: what was taken back goes out of use when the key is revoked,
// nothing of it is sent again under A's new key, and the link goes on.
func TestStolenKeyHeardFirst(t *testing.T) {
	t.Parallel()
	for _, takeBack := range []bool{false, true} {
		p, ends := began(t, 13)
		stolen := p.a.keys.Copy()
		if err := p.b.running().Receive(t.Context(), "https", p.a.id(), p.forged(stolen, ends[0].Epoch, ends[0].Seq+1, "thief-1.example")); err != nil {
			t.Fatal(err)
		}
		p.until("a person is asked", 5*time.Second, func() bool { return p.a.link().Recovering == "person" })
		sign := p.a.officer("officer", noroshi.ReleaseOffice)
		goOn := func() {
			by := sign(noroshi.ActGoOn, p.b.id().String(), courier.GoOnBound(p.b.id(), takeBack))
			if err := p.a.running().GoOn(t.Context(), p.b.id(), takeBack, by); err != nil {
				t.Fatal(err)
			}
		}
		if takeBack {
			goOn()
			p.until("it is taken back", 5*time.Second, func() bool { return p.a.recovered() && len(p.a.own()) == 4 })
		}
		p.revoke(ends)
		p.a.running().Reopen()
		p.b.takeKeys(p.a)
		if !takeBack {
			goOn()
		}
		p.a.importList("after.txt", 3, 6)
		p.until("A's next", 5*time.Second, func() bool { return p.usable(6)() && len(p.a.own()) == 6 && p.settled() })
	}
}

// TestGapBelowLastGood: a message below the last good point that comes after the
// revocation is applied only when everything up to that point is A's.
func TestGapBelowLastGood(t *testing.T) {
	t.Parallel()
	p, before := began(t, 12)
	p.net.setCut(true)
	p.a.importList("cut.txt", 3, 5)
	var ends []message.LastGood
	p.until("A's log to grow", 5*time.Second, func() bool {
		var err error
		ends, err = p.a.running().Ends(t.Context(), p.a.store.Reads, time.Time{})
		return err == nil && ends[0].Seq > before[0].Seq
	})
	p.revoke(ends)
	p.b.takeKeys(p.a)
	p.until("the report", 5*time.Second, func() bool {
		reports, err := p.b.running().KeyEffects(t.Context(), p.a.id())
		return err == nil && len(reports) == 1 && reports[0].Count == 0
	})
	p.net.setCut(false)
	p.until("what was on its way", 5*time.Second, p.usable(5))
}

// TestRevokedBelowTheEnd: what A itself sent after a time is not to be believed
// either; B takes it out of use, and A sends it again under its new key.
func TestRevokedBelowTheEnd(t *testing.T) {
	t.Parallel()
	p, ends := began(t, 13)
	p.a.importList("after.txt", 3, 5)
	p.until("the second", 5*time.Second, p.usable(5))
	p.revoke(ends)
	p.b.takeKeys(p.a)
	p.until("the withdrawal", 5*time.Second, p.usable(3))
	p.a.running().Reopen()
	p.until("the second again", 5*time.Second, p.usable(5))
}

// TestRevokedAndKilled: a crash between the revocation of a key and what follows it
// leaves nothing out: the start begins a new log, once.
func TestRevokedAndKilled(t *testing.T) {
	t.Parallel()
	p, _ := began(t, 18)
	log := func() message.Epoch {
		ends, err := p.a.running().Ends(t.Context(), p.a.store.Reads, time.Time{})
		if err != nil || len(ends) == 0 {
			t.Fatalf("ends: %+v, %v", ends, err)
		}
		return ends[0].Epoch
	}
	first := log()
	p.a.stop()
	id, err := p.a.keys.Signing(message.UseRelease, 1, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.a.keys.Revoke(rand.Reader, message.Revocation{ID: id}, time.Now()); err != nil {
		t.Fatal(err)
	}
	p.b.takeKeys(p.a)
	p.a.start()
	p.until("a new log", 5*time.Second, func() bool { return log() != first })
	p.until("all of it again", 5*time.Second, func() bool { return p.usable(3)() && p.settled() })
	second := log()
	p.a.stop()
	p.a.start()
	p.a.importList("after.txt", 3, 5)
	p.until("more", 5*time.Second, func() bool { return p.usable(5)() && p.settled() })
	if log() != second {
		t.Error("the next start began a log again")
	}
}

// TestRevokedAndKilledInBetween: so it does where what the key signed was disavowed
// before the crash, and only the new log was missing.
func TestRevokedAndKilledInBetween(t *testing.T) {
	t.Parallel()
	p, ends := began(t, 89)
	p.until("all receipted", 5*time.Second, p.settled)
	p.a.end()
	p.a.open()
	p.revoke(ends)
	revoked := p.a.keys.Keyset().Revoked[0].ID
	if _, err := p.a.store.Do(t.Context(), noroshi.Act{Action: noroshi.ActWithhold, Subject: "test"}, func(tx *store.Tx) error {
		return tx.PutDoc("key-disavowed", p.b.id().String()+"/"+hex.EncodeToString(revoked[:]), []byte{1})
	}); err != nil {
		t.Fatal(err)
	}
	p.b.takeKeys(p.a)
	p.a.start()
	p.until("a new log", 10*time.Second, func() bool { return len(p.a.mine()) == 2 })
	p.a.importList("after.txt", 3, 5)
	p.until("A's next", 10*time.Second, func() bool { return p.usable(5)() && p.settled() })
}

// TestRevokedAndKilledMeanwhile: so it does where A waits for a person, and has begun
// a log for what B says it lost, in which the thief has gone on too.
func TestRevokedAndKilledMeanwhile(t *testing.T) {
	t.Parallel()
	p, ends := began(t, 54)
	stolen := p.a.keys.Copy()
	p.until("all receipted", 5*time.Second, p.settled)
	p.later(stolen, ends[0], p.a.own()[0])
	p.until("a person is asked", 5*time.Second, func() bool { return p.a.link().Recovering == "person" })
	p.until("in a new log", 10*time.Second, func() bool { return len(p.a.mine()) == 2 && p.settled() })
	ends, err := p.a.running().Ends(t.Context(), p.a.store.Reads, time.Time{})
	if err != nil || len(ends) != 2 {
		t.Fatalf("ends: %+v, %v", ends, err)
	}
	p.net.setCut(true)
	if err := p.b.running().Receive(t.Context(), "https", p.a.id(), p.forged(stolen, ends[0].Epoch, ends[0].Seq+1, "thief.example")); err != nil {
		t.Fatal(err)
	}
	p.until("the thief's", 5*time.Second, p.usable(4))
	p.revoke(ends)
	p.a.end()
	p.a.open()
	p.a.start()
	p.b.takeKeys(p.a)
	p.net.setCut(false)
	p.until("a third log", 10*time.Second, func() bool { return len(p.a.mine()) == 3 })
	by := p.a.officer("officer", noroshi.ReleaseOffice)(noroshi.ActGoOn, p.b.id().String(), courier.GoOnBound(p.b.id(), false))
	if err := p.a.running().GoOn(t.Context(), p.b.id(), false, by); err != nil {
		t.Fatal(err)
	}
	p.a.importList("after.txt", 3, 5)
	p.until("A's next", 20*time.Second, func() bool { return p.usable(5)() && p.settled() })
}

// TestThiefFillsAGap: a message of the thief's below the last good point is not
// applied, for the chain does not close with it.
func TestThiefFillsAGap(t *testing.T) {
	t.Parallel()
	p, before := began(t, 14)
	stolen := p.a.keys.Copy()
	p.net.setCut(true)
	p.a.importList("cut.txt", 3, 5)
	var ends []message.LastGood
	p.until("A's log to grow", 5*time.Second, func() bool {
		var err error
		ends, err = p.a.running().Ends(t.Context(), p.a.store.Reads, time.Time{})
		return err == nil && ends[0].Seq > before[0].Seq
	})
	p.revoke(ends)
	p.b.takeKeys(p.a)
	p.report()
	seq := before[0].Seq + 1
	if err := p.b.running().Receive(t.Context(), "https", p.a.id(), p.forged(stolen, ends[0].Epoch, seq, "thief.example")); err != nil {
		t.Fatal(err)
	}
	p.until("it to be held", 5*time.Second, func() bool {
		rows, err := p.b.store.In(t.Context(), p.a.id(), ends[0].Epoch, seq, 1)
		return err == nil && len(rows) == 1 && rows[0].Seq == seq && rows[0].State == store.Held
	})
	if n := p.b.count("indicator"); n != 3 {
		t.Errorf("%d indicators, want A's three", n)
	}
}

// TestForgedRecall: with A's release key a thief has B take an object of A's back.
// When A revokes the key the report at B names the RECALL as done. It is not
// undone: what was recalled stays out of use, a later version too, and A sends
// what it said under a new id. One that comes after the revocation does nothing.
func TestForgedRecall(t *testing.T) {
	t.Parallel()
	p, ends := began(t, 15)
	stolen := p.a.keys.Copy()
	p.net.setCut(true)
	forge := func(seq uint64, id stix.ID) error {
		return p.b.running().Receive(t.Context(), "https", p.a.id(), p.forgedAs(stolen, ends[0].Epoch, message.Header{Seq: seq, Kind: message.Recall, Form: message.ControlForm},
			message.EncodeRecall([]message.RecallEntry{{Object: id, Reason: message.RecallMistaken, Scope: message.RecallStopUse}})))
	}
	first, second := p.a.own()[0], p.a.own()[1]
	if err := forge(ends[0].Seq+1, first); err != nil {
		t.Fatal(err)
	}
	p.until("the forged RECALL is done", 5*time.Second, func() bool { return p.b.current(first).Withdrawn })

	p.revoke(ends)
	p.a.running().Reopen()
	p.b.takeKeys(p.a)
	if r := p.report(); len(r.Messages) != 1 || r.Messages[0].Kind != message.Recall || !r.Messages[0].Done {
		t.Errorf("report: %+v", r)
	}
	if err := forge(ends[0].Seq+2, second); !message.IsRevoked(err) {
		t.Errorf("a later one: %v", err)
	}
	p.net.setCut(false)
	p.a.bundle("again.json", string(p.indicator(first, "host-0.example.net").Bytes()), string(p.indicator(stix.NewID("indicator"), "host-0.example.net").Bytes()))
	p.until("what it said, under a new id", 5*time.Second, func() bool { return p.settled() && p.b.count("indicator") == 3 })
	if p.b.current(second).Withdrawn || !p.b.current(first).Withdrawn {
		t.Errorf("in use: %t of what no RECALL took, %t of what a forged one did", !p.b.current(second).Withdrawn, !p.b.current(first).Withdrawn)
	}
}

// TestRecallUnderARevokedKey: a RECALL that was signed by a key since revoked goes
// again under the new one, and its answer is the recall's.
func TestRecallUnderARevokedKey(t *testing.T) {
	t.Parallel()
	p, ends := began(t, 16)
	p.until("all receipted", 5*time.Second, p.settled)
	p.net.setCut(true)
	taken := p.a.own()[0]
	p.a.recall(p.a.running(), taken, message.RecallStopUse)
	p.until("it is in the stream", 5*time.Second, func() bool { return !p.a.to().Message.IsZero() })
	was := p.a.to().Message
	p.revoke(ends)
	p.a.running().Reopen()
	p.b.takeKeys(p.a)
	p.net.setCut(false)
	p.until("the answer", 5*time.Second, func() bool { return p.b.current(taken).Withdrawn && p.a.to().Answer != nil })
	if p.a.to().Message == was {
		t.Error("the recall is of the message nobody believes")
	}
}

// TestStrangersKey: who has A's root names a release key of their own and sends B
// what A never did. Under the root behind it A disowns that key: what it signed
// goes out of use at B, and A's own goes on, though B goes on holding it.
func TestStrangersKey(t *testing.T) {
	t.Parallel()
	p, ends := began(t, 17)
	p.net.setCut(true)
	thief := p.a.keys.Copy()
	if err := thief.Rotate(rand.Reader, message.UseRelease, time.Now()); err != nil {
		t.Fatal(err)
	}
	kid, err := thief.Signing(message.UseRelease, thief.Keyset().Version, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	own := p.a.keys
	p.a.keys = thief
	p.b.takeKeys(p.a)
	p.a.keys = own
	p.until("the thief's key", 5*time.Second, func() bool {
		return p.b.running().Receive(t.Context(), "https", p.a.id(), p.forged(thief, ends[0].Epoch, ends[0].Seq+1, "thief.example")) == nil
	})
	p.until("the thief's", 5*time.Second, p.usable(4))
	if err := own.RotateRoot(rand.Reader, nil, true, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := own.Disown(kid, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := own.Disown(kid, time.Now()); noroshi.CodeOf(err) != "keyring.revoked" {
		t.Errorf("again: %v", err)
	}
	p.b.takeKeys(p.a)
	p.until("the thief's gone", 5*time.Second, p.usable(3))
	p.net.setCut(false)
	p.a.running().Reopen()
	p.a.importList("after.txt", 3, 5)
	p.until("A's own, on", 5*time.Second, p.usable(5))

	p.a.end() // and after a start too nothing of the stranger's is A's own that it lost
	p.a.open()
	p.a.start()
	p.a.importList("later.txt", 5, 6)
	p.until("A's own, after a start", 5*time.Second, p.usable(6))
	if p.a.link().Recovering != "" {
		t.Errorf("A waits for %q", p.a.link().Recovering)
	}
}

// TestRevokedAgain: a thief of A's root revokes A's release key at B; the next root, heard
// by voice, names it good again, and a thief of that key speaks. When A revokes it, what
// it signed since goes out of use too.
func TestRevokedAgain(t *testing.T) {
	t.Parallel()
	p, ends := began(t, 74)
	p.until("all receipted", 5*time.Second, p.settled)
	p.net.setCut(true)
	own, stolen := p.a.keys, p.a.keys.Copy()
	p.a.keys = own.Copy()
	p.revoke(ends)
	p.b.takeKeys(p.a)
	p.report()
	p.a.keys = own
	if err := own.RotateRoot(rand.Reader, nil, true, time.Now()); err != nil {
		t.Fatal(err)
	}
	p.b.takeKeys(p.a)
	envelope := p.forged(stolen, ends[0].Epoch, ends[0].Seq+1, "thief.example")
	p.until("the thief's", 5*time.Second, func() bool {
		_ = p.b.running().Receive(t.Context(), "https", p.a.id(), envelope)
		return p.usable(4)()
	})
	p.revoke(ends)
	p.b.takeKeys(p.a)
	p.until("its withdrawal", 3*time.Second, p.usable(3))
	if r := p.report(); r.Count != 1 || len(r.Objects) != 1 {
		t.Errorf("report: %+v", r)
	}
	if err := own.RotateRoot(rand.Reader, nil, false, time.Now()); err != nil {
		t.Fatal(err)
	}
	was := p.report()
	p.b.takeKeys(p.a)
	p.until("it stands under the next root", 5*time.Second, func() bool { return p.report().Root != was.Root })
	if r := p.report(); r.Time != was.Time || r.Version != was.Version {
		t.Errorf("report under a root that says the same: %+v", r)
	}
}
