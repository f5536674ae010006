package partner_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
	"github.com/noroshi-cti/noroshi/stix"
)

// side is one node of a story: a real store, an office, people, and the
// documents it has sent that were not carried yet.
type side struct {
	t      *testing.T
	sign   noroshi.CallSign
	realm  noroshi.Realm
	keys   *message.Keyring
	at     string // where its store is
	ident  []byte // its identity
	store  *store.Store
	office *partner.Office
	people map[string]ed25519.PrivateKey
	self   noroshi.Organisation
	now    time.Time
	sent   []letter
	all    []letter
	down   bool // the courier does not run
}

type letter struct {
	to  noroshi.NodeID
	doc []byte
}

// Document is the courier's part.
func (s *side) Document(_ context.Context, to noroshi.NodeID, doc []byte) error {
	if s.down {
		return noroshi.Errorf(noroshi.Queued, "courier.stopped", "no courier runs")
	}
	s.sent = append(s.sent, letter{to, doc})
	s.all = append(s.all, letter{to, doc})
	return nil
}

func newSide(t *testing.T, sign noroshi.CallSign, realm noroshi.Realm, people map[string]noroshi.Role) *side {
	t.Helper()
	s := &side{t: t, sign: sign, realm: realm, people: map[string]ed25519.PrivateKey{}, now: time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC)}
	var err error
	if s.keys, err = message.NewKeyring(realm, s.now); err != nil {
		t.Fatal(err)
	}
	identity := fmt.Sprintf(`{"type":"identity","spec_version":"2.1","id":%q,"created":"2026-11-01T00:00:00.000Z","modified":"2026-11-01T00:00:00.000Z","name":%q,"identity_class":"organization"}`,
		stix.NewID("identity"), sign)
	id, err := noroshi.IdentityOf([]byte(identity))
	if err != nil {
		t.Fatal(err)
	}
	s.self = noroshi.Organisation{CallSign: sign, Identity: id, Tokens: []string{sign.Country() + ".DOD"}}
	s.at, s.ident = storetest.Address(t, realm), []byte(identity)
	s.open()
	t.Cleanup(func() { s.store.Close() })
	for name, role := range people {
		s.hire(name, role)
	}
	return s
}

// open opens the side's store and its office.
func (s *side) open() {
	s.t.Helper()
	public, signer := s.keys.Control()
	clock := func() time.Time { return s.now }
	var err error
	if s.store, err = store.Open(s.t.Context(), s.at, store.Options{Realm: s.realm, Node: s.keys.NodeID(), Sign: signer, Key: public, Now: clock}); err != nil {
		s.t.Fatal(err)
	}
	s.office = partner.New(s.store, s, partner.Options{Realm: s.realm, Self: s.self, Identity: s.ident, Keys: s.keys, Now: clock, Custody: inMemory{}})
}

// inMemory is a custody that has the next root in the keyring.
type inMemory struct{}

func (inMemory) Next(string) ([]byte, error)   { return nil, nil }
func (inMemory) Keep(*message.Keyring) error   { return nil }
func (inMemory) Settle(*message.Keyring) error { return nil }

// copyOf copies the side's store.
func (s *side) copyOf() string {
	s.t.Helper()
	if err := s.store.Close(); err != nil {
		s.t.Fatal(err)
	}
	at := storetest.Address(s.t, s.realm)
	if _, err := store.Copy(s.t.Context(), s.at, at, s.realm, nil); err != nil {
		s.t.Fatal(err)
	}
	s.open()
	return at
}

// putBack puts a copy in the place of the side's store, and starts it.
func (s *side) putBack(at string) {
	s.t.Helper()
	if err := s.store.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.at, s.sent = at, nil
	s.open()
	if err := s.office.Resend(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *side) hire(name string, role noroshi.Role) {
	s.t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.people[name] = private
	body, err := json.Marshal(noroshi.Person{ID: name, Name: name, Roles: []noroshi.Role{role}, Key: public})
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = s.store.Do(s.t.Context(), noroshi.Act{Action: noroshi.ActAddPerson, Subject: name}, func(tx *store.Tx) error {
		return tx.PutDoc(noroshi.DocPerson, name, body)
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// forked renews the keys of a side, and returns a copy that was renewed by itself:
// there are two KEYSETs of the version then.
func (s *side) forked() *message.Keyring {
	s.t.Helper()
	twin := s.keys.Copy()
	for k, at := range map[*message.Keyring]time.Time{s.keys: s.now.Add(time.Hour), twin: s.now.Add(2 * time.Hour)} {
		if err := k.Renew(at); err != nil {
			s.t.Fatal(err)
		}
	}
	return twin
}

// as signs an order as a person.
func (s *side) as(name string, a noroshi.Action, subject string, bound noroshi.Hash) noroshi.Signed {
	s.t.Helper()
	return noroshi.SignAct(name, s.people[name], noroshi.ActDigest(s.realm, s.keys.NodeID(), a, subject, bound))
}

func (s *side) card(by string, to noroshi.CallSign) []byte {
	s.t.Helper()
	ends := []string{"https://" + string(s.sign) + ".example:7443/"}
	c, err := s.office.Card(s.t.Context(), to, ends, s.as(by, noroshi.ActIntroduce, "card/"+string(to), partner.CardBound(ends)))
	if err != nil {
		s.t.Fatalf("%s makes a card for %s: %v", s.sign, to, err)
	}
	return c
}

func (s *side) receive(by string, card []byte) error {
	_, err := s.office.Receive(s.t.Context(), card, s.as(by, noroshi.ActIntroduce, "receive", noroshi.Sum(card)))
	return err
}

func (s *side) confirm(by string, of *side, heard string) (int, error) {
	node := of.keys.NodeID()
	return s.office.Confirm(s.t.Context(), node, heard, s.as(by, noroshi.ActIntroduce, node.String(), partner.FingerprintBound(heard)))
}

func (s *side) propose(by string, file []byte) error {
	h := noroshi.Sum(file)
	_, err := s.office.Propose(s.t.Context(), file, s.as(by, noroshi.ActProposeAgreement, h.String(), h))
	return err
}

func (s *side) signs(by string, h noroshi.Hash) (partner.Signing, error) {
	return s.office.Sign(s.t.Context(), h, s.as(by, noroshi.ActSignAgreement, h.String(), h))
}

// carry brings every waiting document to the other side.
func (s *side) carry(to *side) {
	s.t.Helper()
	for _, l := range s.sent {
		if l.to != to.keys.NodeID() {
			s.t.Fatalf("a document for %s is on its way to %s", l.to, to.sign)
		}
		if err := to.office.Document(s.t.Context(), s.keys.NodeID(), l.doc); err != nil {
			s.t.Fatalf("%s takes a document of %s: %v", to.sign, s.sign, err)
		}
	}
	s.sent = nil
}

func (s *side) partner(of *side) partner.Row {
	s.t.Helper()
	r, err := s.office.Partner(s.t.Context(), string(of.sign))
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *side) trust(of *side, want noroshi.Trust) {
	s.t.Helper()
	if got := s.partner(of).Trust; got != want {
		s.t.Fatalf("%s holds %s at %q, want %q", s.sign, of.sign, got, want)
	}
}

// intact fails when the ledger does not verify.
func (s *side) intact() {
	s.t.Helper()
	v, err := s.store.Verify(s.t.Context(), nil)
	if err != nil || len(v.Faults) > 0 {
		s.t.Fatalf("%s: ledger: %v %v", s.sign, err, v.Faults)
	}
}

// acts returns how often an action stands in the ledger, and the persons of
// the last one.
func (s *side) acts(a noroshi.Action) (n int, persons []string) {
	s.t.Helper()
	entries, err := s.store.Acts(s.t.Context(), 0, 1000)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Act.Action == a {
			n++
			persons = nil
			for _, p := range e.Act.Persons {
				persons = append(persons, p.Person)
			}
		}
	}
	return n, persons
}

// agreementFile writes an agreement of two sides.
func agreementFile(version int, a, b *side, until string) []byte {
	party := func(s *side) string {
		return fmt.Sprintf("[[party]]\ncall_sign = %q\nnode = %q\nidentity = %q\n", s.sign, s.keys.NodeID(), s.self.Identity)
	}
	return fmt.Appendf(nil, `version = %d
title_en = "Test"
title_ja = "試験"
realm = %q
from = 2026-11-01T00:00:00Z
until = %s
suites = ["S1"]
channels = ["https"]

[[clock]]
precedence = "flash"
receipt = "1m"
acknowledge = "10m"

%s
%s
[[clause]]
id = "1"
article_en = "Article 1"
article_ja = "第1条"
en = "GREEN objects go."
ja = "GREENは提供する。"
cedar = 'permit (principal, action, resource);'
`, version, a.realm, until, party(a), party(b))
}

func partnerRecord(t *testing.T, s *store.Store, node noroshi.NodeID) (p noroshi.Partner) {
	t.Helper()
	body, err := s.Doc(t.Context(), noroshi.DocPartner, node.String())
	if err == nil {
		err = json.Unmarshal(body, &p)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}
