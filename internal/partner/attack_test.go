package partner_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// alias gives a person's key a second account.
func (s *side) alias(name, of string, role noroshi.Role) {
	s.t.Helper()
	s.hire(name, role)
	s.people[name] = s.people[of]
	s.record(name, func(p *noroshi.Person) {
		var other noroshi.Person
		body, err := s.store.Doc(s.t.Context(), noroshi.DocPerson, of)
		if err == nil {
			err = json.Unmarshal(body, &other)
		}
		if err != nil {
			s.t.Fatal(err)
		}
		p.Key = other.Key
	})
}

// record changes a person's record.
func (s *side) record(name string, fn func(*noroshi.Person)) {
	s.t.Helper()
	var p noroshi.Person
	body, err := s.store.Doc(s.t.Context(), noroshi.DocPerson, name)
	if err == nil {
		err = json.Unmarshal(body, &p)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	fn(&p)
	if body, err = json.Marshal(p); err != nil {
		s.t.Fatal(err)
	}
	_, err = s.store.Do(s.t.Context(), noroshi.Act{Action: noroshi.ActAddPerson, Subject: name}, func(tx *store.Tx) error {
		return tx.PutDoc(noroshi.DocPerson, name, body)
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// TestTwoAccountsOfOneKeyAreOnePerson: the two-person rule counts keys.
func TestTwoAccountsOfOneKeyAreOnePerson(t *testing.T) {
	usa, jpn := two(t)
	usa.alias("bobby", "bob", noroshi.Liaison)
	usa.alias("caroline", "carol", noroshi.ReleaseOffice)
	if err := usa.receive("bob", jpn.card("sato", "USA-01")); err != nil {
		t.Fatal(err)
	}
	if err := jpn.receive("sato", usa.card("bob", "JPN-01")); err != nil {
		t.Fatal(err)
	}
	if waiting, err := usa.confirm("bob", jpn, jpn.office.Fingerprint()); err != nil || waiting != 1 {
		t.Fatalf("first confirmation: %d waiting, %v", waiting, err)
	}
	if _, err := usa.confirm("bobby", jpn, jpn.office.Fingerprint()); noroshi.KindOf(err) != noroshi.Refused {
		t.Errorf("a second account of the same key confirmed: %v", err)
	}
	usa.trust(jpn, noroshi.CardHeld)
	if _, err := usa.confirm("alice", jpn, jpn.office.Fingerprint()); err != nil {
		t.Fatal(err)
	}
	file := agreementFile(1, usa, jpn, far)
	if err := usa.propose("carol", file); err != nil {
		t.Fatal(err)
	}
	h := noroshi.Sum(file)
	if s, err := usa.signs("carol", h); err != nil || s.Ours || s.Waiting != 1 {
		t.Fatalf("first signature: %+v, %v", s, err)
	}
	if s, err := usa.signs("caroline", h); noroshi.KindOf(err) != noroshi.Refused || s.Ours {
		t.Errorf("a second account of the same key signed: %+v, %v", s, err)
	}
	// Who signed and was removed counts nothing: two others must sign.
	usa.hire("frank", noroshi.ReleaseOffice)
	usa.record("carol", func(p *noroshi.Person) { p.Removed = true })
	if s, err := usa.signs("frank", h); err != nil || s.Ours {
		t.Errorf("one officer and a removed one consented: %+v, %v", s, err)
	}
	if s, err := usa.signs("dave", h); err != nil || !s.Ours {
		t.Errorf("two officers: %+v, %v", s, err)
	}
	usa.intact()
}

// TestACardOfAKnownNodeWithOtherKeysIsRefused: a KEYSET above version 1 does
// not prove its node id; one that neither is nor follows the one held is not
// taken, not even before the introduction.
func TestACardOfAKnownNodeWithOtherKeysIsRefused(t *testing.T) {
	usa, jpn := two(t)
	first := jpn.card("sato", "USA-01")
	twin := jpn.forked()
	genuine := jpn.card("sato", "USA-01")
	jpn.office = partner.New(jpn.store, jpn, partner.Options{Realm: jpn.realm, Self: jpn.self, Identity: identityOf(t, genuine), Keys: twin, Now: func() time.Time { return jpn.now }})
	forged := jpn.card("sato", "USA-01")
	for _, c := range [][]byte{first, genuine} { // the second follows the first
		if err := usa.receive("alice", c); err != nil {
			t.Fatal(err)
		}
	}
	if err := usa.receive("alice", forged); noroshi.KindOf(err) != noroshi.Conflict {
		t.Errorf("another keyset of the node was taken: %v, want Conflict", err)
	}
	if err := usa.receive("alice", first); noroshi.KindOf(err) != noroshi.Conflict {
		t.Errorf("an older keyset of the node was taken: %v, want Conflict", err)
	}
	if _, err := usa.confirm("alice", jpn, jpn.office.Fingerprint()); err != nil {
		t.Error(err)
	}
}

func identityOf(t *testing.T, card []byte) []byte {
	t.Helper()
	c, err := message.ParseCard(noroshi.Real, card)
	if err != nil {
		t.Fatal(err)
	}
	return c.Identity
}
