package courier_test

import (
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/stix"
)

// later has a thief of A's release key send B a version of an object of A's that is
// later than A's own.
func (p *pair) later(stolen *message.Keyring, end message.LastGood, id stix.ID) {
	p.t.Helper()
	e := p.forgedAs(stolen, end.Epoch, message.Header{Seq: end.Seq + 1, Kind: message.Data, Label: "TLP:GREEN", Form: message.ObjectsForm},
		message.EncodeObjects([]message.Object{{Bytes: p.indicator(id, "thief.example").Bytes()}}))
	if err := p.b.running().Receive(p.t.Context(), "https", p.a.id(), e); err != nil {
		p.t.Fatal(err)
	}
	p.until("the thief's version", 5*time.Second, func() bool { return len(p.b.versions(id, false)) == 2 })
}

// versions are the hashes of the versions of an object that are here, or of those
// that are in use.
func (n *node) versions(id stix.ID, inUse bool) (list []noroshi.Hash) {
	n.t.Helper()
	all, err := n.store.Versions(n.t.Context(), id)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, v := range all {
		if !inUse || !v.Withdrawn {
			list = append(list, v.Hash)
		}
	}
	return list
}

// stands checks that of an object one version alone is in use at a node, and counts.
func (n *node) stands(when string, id stix.ID, own noroshi.Hash) {
	n.t.Helper()
	if got := n.versions(id, true); len(got) != 1 || got[0] != own {
		n.t.Errorf("%s, %s: in use are %v, want the one A made, %s", n.sign, when, got, own)
	}
	if r := n.current(id); r.Hash != own || r.Withdrawn {
		n.t.Errorf("%s, %s: %s counts, withdrawn %v, want the one A made, %s", n.sign, when, r.Hash, r.Withdrawn, own)
	}
}

// goesOn checks that the link goes on: A's next comes to B, and A waits for nothing.
func (p *pair) goesOn() {
	p.t.Helper()
	p.a.importList("after.txt", 3, 5)
	p.until("A's next", 20*time.Second, func() bool { return p.usable(5)() && p.settled() })
	if !p.a.recovered() {
		p.t.Errorf("A waits for %q", p.a.link().Recovering)
	}
}

// TestThiefOfALaterVersion: what A itself said of an object stands at B when a thief's
// later version of it goes out of use, and still does when B is put back from a backup
// and does again what the list beside the database says.
func TestThiefOfALaterVersion(t *testing.T) {
	t.Parallel()
	p, ends := began(t, 16)
	stolen := p.a.keys.Copy()
	p.until("all receipted", 5*time.Second, p.settled)
	p.net.setCut(true)
	id := p.a.own()[0]
	own := p.b.current(id).Hash
	p.later(stolen, ends[0], id)
	at := p.b.copyOf()

	p.revoke(ends)
	p.a.running().Reopen()
	p.b.takeKeys(p.a)
	if r := p.report(); r.Count != 1 || len(r.Objects) != 1 || r.Objects[0].ID != id {
		t.Errorf("report: %+v", r)
	}
	p.b.stands("revoked", id, own)
	p.net.setCut(false)
	p.until("all is said", 20*time.Second, p.settled)
	p.b.stands("all said", id, own)
	p.goesOn()
	p.intact()

	p.net.setCut(true)
	p.b.putBack(at, false, true)
	p.b.stands("put back", id, own)
}

// TestThiefOfALaterVersionTakenBack: A hears of that version before it revokes the
// key, and a person takes it back. It goes out of use at A too, and A's own does not.
func TestThiefOfALaterVersionTakenBack(t *testing.T) {
	t.Parallel()
	p, ends := began(t, 19)
	stolen := p.a.keys.Copy()
	id := p.a.own()[0]
	own := p.a.current(id).Hash
	p.later(stolen, ends[0], id)
	p.until("a person is asked", 5*time.Second, func() bool { return p.a.link().Recovering == "person" })
	by := p.a.officer("officer", noroshi.ReleaseOffice)(noroshi.ActGoOn, p.b.id().String(), courier.GoOnBound(p.b.id(), true))
	if err := p.a.running().GoOn(t.Context(), p.b.id(), true, by); err != nil {
		t.Fatal(err)
	}
	p.until("it is taken back", 5*time.Second, func() bool { return p.a.recovered() && len(p.a.versions(id, true)) == 2 })
	p.revoke(ends)
	p.a.running().Reopen()
	p.b.takeKeys(p.a)
	p.report()
	p.until("it is out of use here too", 20*time.Second, func() bool { return len(p.a.versions(id, true)) == 1 && p.settled() })
	p.a.stands("revoked", id, own)
	p.b.stands("revoked", id, own)
	p.goesOn()
	p.a.end() // and so it does after a start, though B goes on holding what the thief sent
	p.a.open()
	p.a.start()
	p.until("all is settled again", 20*time.Second, p.settled)
	p.a.stands("started again", id, own)
	p.b.stands("started again", id, own)
	if !p.a.recovered() {
		t.Errorf("A waits for %q", p.a.link().Recovering)
	}
	p.intact()
}
