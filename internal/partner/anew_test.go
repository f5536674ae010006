package partner_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// both has both release officers of USA-01 order something.
func (s *side) both(want noroshi.Order) {
	s.t.Helper()
	s.now = s.now.Add(time.Second)
	for _, by := range []string{"carol", "dave"} {
		if _, err := s.orders(by, want); err != nil {
			s.t.Fatal(err)
		}
	}
}

// revokes has USA-01 revoke the release key that signs.
func (s *side) revokes() {
	s.t.Helper()
	id, err := s.keys.Signing(message.UseRelease, s.keys.Keyset().Version, s.now)
	if err != nil {
		s.t.Fatal(err)
	}
	s.both(noroshi.Order{Action: noroshi.ActRevokeKey, Key: &noroshi.KeyOrder{ID: hex.EncodeToString(id[:])}})
}

// TestStolenWord: what a thief said on the agreement counts no more once the key is
// revoked, whatever its counter, and what the node says does: what it said before
// holds again, and it can say otherwise. Where it has said nothing a stop may be its
// own, which a restore has lost: it stands until the officers resume.
func TestStolenWord(t *testing.T) {
	for _, c := range []struct {
		name      string
		suspended bool // before, by the node itself
		resumed   bool // what the thief says
		counter   uint64
	}{
		{"resumed", false, true, 1000},
		{"suspended", false, false, 1000},
		{"resumed, the last", false, true, 1<<64 - 1},
		{"suspended, the last", false, false, 1<<64 - 1},
		{"resumed what the node suspended", true, true, 1000},
	} {
		t.Run(c.name, func(t *testing.T) {
			usa, jpn, h := agreed(t, "")
			suspend, resume := noroshi.Order{Action: noroshi.ActSuspendAgreement, Agreement: h}, noroshi.Order{Action: noroshi.ActResumeAgreement, Agreement: h}
			state := func(want string) {
				t.Helper()
				talk(usa, jpn)
				usa.state(h, want)
				jpn.state(h, want)
			}
			before := "in-force"
			if c.suspended {
				usa.both(suspend)
				before = "suspended"
			}
			state(before)
			doc, err := message.SignSuspension(usa.keys, message.Suspension{Agreement: h, Counter: c.counter, Resumed: c.resumed, Created: usa.now})
			if err != nil {
				t.Fatal(err)
			}
			if err := jpn.office.Document(t.Context(), usa.keys.NodeID(), doc); err != nil {
				t.Fatal(err)
			}
			usa.revokes()
			talk(usa, jpn)
			if err := usa.office.Resend(t.Context()); err != nil { // as a courier does with the consent
				t.Fatal(err)
			}
			then, alarms := before, 0
			if !c.resumed {
				then, alarms = "suspended", 1
			}
			if state(then); usa.alarmed("suspension.taken-back") != alarms {
				t.Errorf("%d alarms, want %d", usa.alarmed("suspension.taken-back"), alarms)
			}
			if then == "in-force" {
				usa.both(suspend)
				state("suspended")
			}
			usa.both(resume)
			state("in-force")
			if err := jpn.office.Document(t.Context(), usa.keys.NodeID(), doc); code(err) != "agreement.suspension" {
				t.Errorf("the thief's again: %v", err)
			}
			state("in-force")
			usa.intact()
			jpn.intact()
		})
	}
}

// TestWhatARevokedKeySaidIsSignedAnew: a partner that was put back to before our
// consent can believe it, though the key that signed it was revoked since. Nobody
// signs the agreement a second time for that; the record says what was done.
func TestWhatARevokedKeySaidIsSignedAnew(t *testing.T) {
	usa, jpn := introduced(t)
	file := agreementFile(1, usa, jpn, far)
	h := noroshi.Sum(file)
	if err := usa.propose("bob", file); err != nil {
		t.Fatal(err)
	}
	usa.carry(jpn)
	for _, by := range []string{"suzuki", "tanaka"} {
		if _, err := jpn.signs(by, h); err != nil {
			t.Fatal(err)
		}
	}
	at := jpn.copyOf()
	jpn.carry(usa)
	for _, by := range []string{"carol", "dave"} {
		if _, err := usa.signs(by, h); err != nil {
			t.Fatal(err)
		}
	}
	talk(usa, jpn)
	jpn.state(h, "in-force")
	consents, _ := usa.acts(noroshi.ActAgreementInForce)
	usa.revokes()
	if len(usa.sent) != 2 { // KEYSET and consent
		t.Errorf("%d documents are sent", len(usa.sent))
	}
	talk(usa, jpn)
	jpn.state(h, "in-force")
	jpn.putBack(at)
	for range 2 {
		if err := usa.office.Resend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	talk(usa, jpn)
	jpn.state(h, "in-force")
	if acts := usa.signedAnew(); len(acts) != 1 || acts[0].Action != noroshi.ActKeys || acts[0].Agreement != h || acts[0].Count != 1 || len(acts[0].Persons) > 0 {
		t.Errorf("acts: %+v", acts)
	}
	if n, _ := usa.acts(noroshi.ActAgreementInForce); n != consents {
		t.Errorf("%d acts of coming into force, want %d", n, consents)
	}
	usa.intact()
	jpn.intact()
}

// signedAnew returns the acts that signed something anew.
func (s *side) signedAnew() (acts []noroshi.Act) {
	s.t.Helper()
	entries, err := s.store.Acts(s.t.Context(), 0, 1000)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Act.Subject == "signed anew" {
			acts = append(acts, e.Act)
		}
	}
	return acts
}

// agreementChanges returns how often the feed says that something of an agreement with a
// partner changed.
func (s *side) agreementChanges(with *side) (n int) {
	s.t.Helper()
	changes, err := s.store.Feed(s.t.Context(), 0, 1000)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range changes {
		if c.Kind == store.AgreementChanged && c.ID == with.keys.NodeID().String() {
			n++
		}
	}
	return n
}

// TestSignedAnewIsTold: the process of a node that leads hears of what another signed
// anew, once, and what it does then changes nothing more.
func TestSignedAnewIsTold(t *testing.T) {
	usa, jpn, h := agreed(t, "")
	usa.both(noroshi.Order{Action: noroshi.ActSuspendAgreement, Agreement: h})
	talk(usa, jpn)
	before := usa.agreementChanges(jpn)
	usa.revokes()
	if n := usa.agreementChanges(jpn) - before; n != 1 || len(usa.signedAnew()) != 1 {
		t.Fatalf("the feed says it %d times, %d acts sign anew; want one of each", n, len(usa.signedAnew()))
	}
	for range 2 { // as the leader does, when it hears of it
		if err := usa.office.Resend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := usa.agreementChanges(jpn) - before; n != 1 {
		t.Errorf("the feed says it %d times after what the leader does, want once", n)
	}
}

// leaves is a custody whose caller goes away while the keys are put in their place.
type leaves struct {
	inMemory
	gone context.CancelFunc
}

func (l leaves) Settle(*message.Keyring) error {
	l.gone()
	return nil
}

// TestWhoRevokedIsGone: once a key is revoked, what it signed is signed anew and sent
// though whoever ordered it did not wait.
func TestWhoRevokedIsGone(t *testing.T) {
	usa, jpn, h := agreed(t, "")
	usa.both(noroshi.Order{Action: noroshi.ActSuspendAgreement, Agreement: h})
	talk(usa, jpn)
	ctx, gone := context.WithCancel(t.Context())
	usa.office = partner.New(usa.store, usa, partner.Options{Realm: usa.realm, Self: usa.self, Identity: usa.ident, Keys: usa.keys, Now: func() time.Time { return usa.now }, Custody: leaves{gone: gone}})
	id, err := usa.keys.Signing(message.UseRelease, usa.keys.Keyset().Version, usa.now)
	if err != nil {
		t.Fatal(err)
	}
	usa.now = usa.now.Add(time.Second)
	drawn, err := usa.office.Draw(t.Context(), noroshi.Order{Action: noroshi.ActRevokeKey, Key: &noroshi.KeyOrder{ID: hex.EncodeToString(id[:])}})
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range []string{"carol", "dave"} {
		if _, err := usa.office.Give(ctx, drawn.Order, usa.as(by, noroshi.ActRevokeKey, drawn.Order.Subject(), drawn.Order.Bound())); err != nil {
			t.Errorf("%s: %v", by, err)
		}
	}
	if n := len(usa.signedAnew()); n != 1 || len(usa.sent) != 3 { // KEYSET, consent and word
		t.Errorf("%d acts sign anew, %d documents are sent; want 1 and 3", n, len(usa.sent))
	}
	talk(usa, jpn)
	jpn.state(h, "suspended")
}

// TestRenewSignsAnew: what was not signed anew with the keys is when they are looked
// after, and once.
func TestRenewSignsAnew(t *testing.T) {
	usa, jpn, h := agreed(t, "")
	usa.both(noroshi.Order{Action: noroshi.ActSuspendAgreement, Agreement: h})
	talk(usa, jpn)
	id, err := usa.keys.Signing(message.UseRelease, usa.keys.Keyset().Version, usa.now)
	if err != nil {
		t.Fatal(err)
	}
	renew := func() {
		t.Helper()
		if err := usa.office.Renew(t.Context(), usa.now); err != nil {
			t.Fatal(err)
		}
	}
	renew()
	usa.now, usa.sent = usa.now.Add(time.Second), nil
	if err := usa.keys.Revoke(rand.Reader, message.Revocation{ID: id}, usa.now); err != nil {
		t.Fatal(err)
	}
	_, err = usa.store.Do(t.Context(), noroshi.Act{Action: noroshi.ActKeys, Subject: usa.keys.NodeID().String()}, func(tx *store.Tx) error {
		return tx.PutDoc(noroshi.DocKeyset, usa.keys.NodeID().String(), usa.keys.Keyset().Bytes())
	})
	if err != nil {
		t.Fatal(err)
	}
	renew()
	renew()
	if n := len(usa.signedAnew()); n != 1 || len(usa.sent) != 2 { // consent and word
		t.Errorf("%d acts sign anew, %d documents are sent; want 1 and 2", n, len(usa.sent))
	}
}

// TestOldKeysSignNothingAnew: a process that has not taken over the keys another has
// made does not sign back, with the old ones, what that has signed anew.
func TestOldKeysSignNothingAnew(t *testing.T) {
	usa, jpn, h := agreed(t, "")
	usa.both(noroshi.Order{Action: noroshi.ActSuspendAgreement, Agreement: h})
	talk(usa, jpn)
	old := partner.New(usa.store, usa, partner.Options{Realm: usa.realm, Self: usa.self, Identity: usa.ident, Keys: usa.keys.Copy(), Now: func() time.Time { return usa.now }})
	usa.revokes()
	if n := len(usa.signedAnew()); n != 1 {
		t.Fatalf("%d acts sign anew, want 1", n)
	}
	usa.sent = nil
	if err := old.Resend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(usa.signedAnew()); n != 1 {
		t.Errorf("%d acts sign anew after the process with old keys, want 1", n)
	}
	for _, l := range usa.sent {
		s, err := message.ReadSuspension(usa.realm, l.doc)
		if err != nil {
			continue // another document
		}
		if _, err := message.VerifySuspension(l.doc, usa.keys.Keyset()); err != nil {
			t.Errorf("it sends word %d: %v", s.Counter, err)
		}
	}
}

// TestOnlyWhatTwoSignedIsSignedAnew: a consent is signed anew where two officers'
// signatures are on record, though one has left since, and not without.
func TestOnlyWhatTwoSignedIsSignedAnew(t *testing.T) {
	usa, _, h := agreed(t, "")
	anew := func() int {
		id, err := usa.keys.Signing(message.UseRelease, usa.keys.Keyset().Version, usa.now)
		if err != nil {
			t.Fatal(err)
		}
		usa.now = usa.now.Add(time.Hour)
		if err := errors.Join(usa.keys.Revoke(rand.Reader, message.Revocation{ID: id}, usa.now), usa.office.Resend(t.Context())); err != nil {
			t.Fatal(err)
		}
		return len(usa.signedAnew())
	}
	usa.record("carol", func(p *noroshi.Person) { p.Removed = true })
	if n := anew(); n != 1 {
		t.Fatalf("%d acts sign anew after an officer has left, want 1", n)
	}
	_, err := usa.store.Do(t.Context(), noroshi.Act{Action: noroshi.ActSignAgreement}, func(tx *store.Tx) error {
		return tx.PutJSON("agreement-approval", h.String()+"/carol", noroshi.Signed{Person: "carol"})
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := anew(); n != 1 {
		t.Errorf("what one officer signed is signed anew")
	}
}

// TestNoJumpIsTakenBack: a word given back that is far above the latest one here is
// none of this node's, though its key is not revoked yet. It changes nothing, and
// officers are told, once in a while.
func TestNoJumpIsTakenBack(t *testing.T) {
	usa, jpn, h := agreed(t, "")
	for _, resumed := range []bool{false, true} {
		doc, err := message.SignSuspension(usa.keys, message.Suspension{Agreement: h, Counter: 1<<64 - 1, Resumed: resumed, Created: usa.now})
		if err != nil {
			t.Fatal(err)
		}
		if err := usa.office.Document(t.Context(), jpn.keys.NodeID(), doc); err != nil {
			t.Fatal(err)
		}
		usa.state(h, "in-force")
	}
	if n := usa.alarmed("suspension.strange"); n != 1 || len(usa.sent) > 0 {
		t.Errorf("%d alarms, %d documents are sent; want 1 and none", n, len(usa.sent))
	}
	usa.both(noroshi.Order{Action: noroshi.ActSuspendAgreement, Agreement: h})
	usa.both(noroshi.Order{Action: noroshi.ActResumeAgreement, Agreement: h})
	talk(usa, jpn)
	jpn.state(h, "in-force")
	usa.intact()
}

// TestProposalIsSignedAnew: a proposal on its way when the key that signed it was
// revoked reaches the partner all the same.
func TestProposalIsSignedAnew(t *testing.T) {
	usa, jpn := introduced(t)
	file := agreementFile(1, usa, jpn, far)
	if err := usa.propose("bob", file); err != nil {
		t.Fatal(err)
	}
	id, err := usa.keys.Signing(message.UseControl, 1, usa.now)
	if err != nil {
		t.Fatal(err)
	}
	usa.sent = nil
	usa.both(noroshi.Order{Action: noroshi.ActRevokeKey, Key: &noroshi.KeyOrder{ID: hex.EncodeToString(id[:])}})
	usa.carry(jpn)
	jpn.state(noroshi.Sum(file), "proposed")
}
