package courier_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/stix"
)

// stolenFromB has A receive a version of an object of B's, as a thief of B's keys sends it
// behind the end of B's log.
func (p *pair) stolenFromB(ends []message.LastGood, id stix.ID, level noroshi.TLP) {
	p.t.Helper()
	end := ends[0]
	a, err := noroshi.ParseAgreement(p.file)
	if err != nil {
		p.t.Fatal(err)
	}
	now := stix.TimeOf(time.Now())
	o, err := stix.Make(stix.Member{Name: "type", Value: "indicator"}, stix.Member{Name: "spec_version", Value: "2.1"}, stix.Member{Name: "id", Value: id},
		stix.Member{Name: "created_by_ref", Value: p.b.ident}, stix.Member{Name: "created", Value: now}, stix.Member{Name: "modified", Value: now},
		stix.Member{Name: "pattern", Value: "[domain-name:value = 'thief.example']"}, stix.Member{Name: "pattern_type", Value: "stix"}, stix.Member{Name: "valid_from", Value: now},
		stix.Member{Name: "object_marking_refs", Value: []stix.ID{level.MarkingID()}})
	if err != nil {
		p.t.Fatal(err)
	}
	m, err := message.Sign(p.b.keys.Copy(), message.Context{Realm: noroshi.Real, From: p.b.id(), To: p.a.id(), Epoch: end.Epoch, Agreement: a.Hash},
		message.Header{Seq: end.Seq + 1, Kind: message.Data, Label: noroshi.Label{TLP: level}.String(), Form: message.ObjectsForm, Prec: noroshi.Routine, Created: time.Now()},
		message.EncodeObjects([]message.Object{{Bytes: o.Bytes()}}))
	if err != nil {
		p.t.Fatal(err)
	}
	out := message.Outbound{Realm: noroshi.Real, From: p.b.id(), To: p.a.keys.Keyset(), Secret: []byte("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"), Now: time.Now()}
	e, err := message.Seal(message.Plain{Message: m}, out, rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	had := len(p.a.versions(id, false))
	if err := p.a.running().Receive(p.t.Context(), "https", p.b.id(), e); err != nil {
		p.t.Fatal(err)
	}
	p.until("the thief's", 5*time.Second, func() bool { return len(p.a.versions(id, false)) == had+1 })
}

// revokedByB has B revoke its key, and A take out of use the one object that a thief of
// it brought.
func (p *pair) revokedByB(ends []message.LastGood) {
	p.t.Helper()
	k, err := p.b.keys.Signing(message.UseRelease, 1, time.Now())
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.b.keys.Revoke(rand.Reader, message.Revocation{ID: k, Last: ends}, time.Now()); err != nil {
		p.t.Fatal(err)
	}
	p.a.takeKeys(p.b)
	p.until("the report", 5*time.Second, func() bool {
		r, err := p.a.running().KeyEffects(p.t.Context(), p.b.id())
		return err == nil && len(r) == 1 && len(r[0].Objects) == 1
	})
}

// TestThiefsVersionComesBack: A passed a thief's version on to C, and took it back when
// the key was revoked. It is put back to before all that: what C gives back of it is not
// in use at A, which knows of no withdrawal of it.
func TestThiefsVersionComesBack(t *testing.T) {
	t.Parallel()
	p, c := newThree(t, 60)
	p.start()
	c.start()
	p.until("confirmed", 20*time.Second, func() bool { return p.a.linkTo(p.b).Confirmed && p.a.linkTo(c).Confirmed })
	p.b.importList("b.txt", 0, 3)
	p.until("passed on", 20*time.Second, func() bool { return c.count("indicator") == 3 })
	at, id := p.a.copyOf(), p.b.own()[0]
	p.until("confirmed again", 20*time.Second, func() bool { return p.a.linkTo(p.b).Confirmed && p.a.linkTo(c).Confirmed })
	own := p.a.current(id).Hash
	ends, err := p.b.running().Ends(t.Context(), p.b.store.Reads, time.Time{})
	if err != nil || len(ends) != 1 {
		t.Fatalf("ends: %+v, %v", ends, err)
	}
	p.net.setCut(true)
	p.stolenFromB(ends, id, noroshi.Green)
	p.until("the thief's goes on", 20*time.Second, func() bool { return len(c.versions(id, false)) == 2 })
	p.revokedByB(ends)
	p.until("taken back", 20*time.Second, func() bool { return len(c.versions(id, true)) == 0 })
	p.a.putBack(at, true, true)
	p.until("C has given back what A lost", 30*time.Second, func() bool { return p.a.takenBack() > 0 && len(p.a.versions(id, false)) > 1 })
	p.a.stands("given back", id, own)
}

// TestThiefsVersionNeverWentOn: A passed B's objects on to C and forgot it; C gave them
// back. When a thief's version of one, which C never had, goes out of use at A, C is not
// told to take B's own back.
func TestThiefsVersionNeverWentOn(t *testing.T) {
	t.Parallel()
	p, c := newThree(t, 55)
	p.start()
	c.start()
	p.until("confirmed", 20*time.Second, func() bool { return p.a.linkTo(p.b).Confirmed && p.a.linkTo(c).Confirmed })
	at := p.a.copyOf()
	p.b.importList("b.txt", 0, 3)
	receipted := func() bool { return p.a.linkTo(c).OutStored == p.a.linkTo(c).OutHead }
	p.until("passed on", 20*time.Second, func() bool { return c.count("indicator") == 3 && receipted() })
	id := p.b.own()[0]
	p.a.putBack(at, true, true)
	p.until("A is back", 30*time.Second, func() bool { return p.a.recovered() && p.a.count("indicator") == 3 && p.a.takenBack() > 0 })
	ends, err := p.b.running().Ends(t.Context(), p.b.store.Reads, time.Time{})
	if err != nil || len(ends) != 1 {
		t.Fatalf("ends: %+v, %v", ends, err)
	}
	p.net.setCut(true)
	p.stolenFromB(ends, id, noroshi.Red) // which nobody may have from A
	p.revokedByB(ends)
	list, err := p.a.running().Recalls(t.Context())
	if err != nil || len(list) != 1 || len(list[0].To) > 0 {
		t.Errorf("recalled: %+v, %v, want one from nobody", list, err)
	}
	p.a.importList("a.txt", 10, 12)
	p.until("A's next", 20*time.Second, func() bool { return c.count("indicator") == 5 && receipted() })
	if len(c.versions(id, true)) != 1 {
		t.Error("C was told to take back what it has")
	}
}

// TestThiefsVersionAndWhatCameAfter: a thief's version went out of use at A, and then A
// passed B's own on to C. It is put back to between the two: C gives back B's own, and is
// not told to take that back.
func TestThiefsVersionAndWhatCameAfter(t *testing.T) {
	t.Parallel()
	p, c := newThree(t, 61)
	p.start()
	p.until("confirmed", 20*time.Second, func() bool { return p.a.linkTo(p.b).Confirmed })
	p.b.importList("b.txt", 0, 3)
	p.until("A has B's", 20*time.Second, func() bool { return p.a.count("indicator") == 3 && p.b.link().OutApplied == p.b.link().OutHead })
	ends, err := p.b.running().Ends(t.Context(), p.b.store.Reads, time.Time{})
	if err != nil || len(ends) != 1 {
		t.Fatalf("ends: %+v, %v", ends, err)
	}
	p.net.setCut(true)
	id := p.b.own()[0]
	own := p.a.current(id).Hash
	p.stolenFromB(ends, id, noroshi.Red) // which nobody may have from A
	p.revokedByB(ends)
	at := p.a.copyOf()
	c.start()
	p.until("passed on", 20*time.Second, func() bool {
		return c.count("indicator") == 3 && p.a.linkTo(c).OutApplied == p.a.linkTo(c).OutHead
	})
	p.a.putBack(at, true, true)
	p.until("C has given back what A lost", 30*time.Second, func() bool { return p.a.takenBack() > 0 })
	if r := p.a.current(id); r.Hash != own || r.Withdrawn {
		t.Errorf("%s counts at A, withdrawn %v, want B's own", r.Hash, r.Withdrawn)
	}
	if list, err := p.a.running().Recalls(t.Context()); err != nil || len(list) != 1 || len(list[0].To) > 0 {
		t.Errorf("recalled: %+v, %v, want one from nobody", list, err)
	}
}
