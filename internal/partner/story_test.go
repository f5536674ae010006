package partner_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

const far = "2027-11-01T00:00:00Z"

func two(t *testing.T) (usa, jpn *side) {
	t.Helper()
	usa = newSide(t, "USA-01", noroshi.Real, map[string]noroshi.Role{
		"alice": noroshi.Administrator, "bob": noroshi.Liaison, "carol": noroshi.ReleaseOffice, "dave": noroshi.ReleaseOffice, "erin": noroshi.Duty})
	jpn = newSide(t, "JPN-01", noroshi.Real, map[string]noroshi.Role{
		"sato": noroshi.Administrator, "suzuki": noroshi.ReleaseOffice, "tanaka": noroshi.ReleaseOffice})
	return usa, jpn
}

// introduced brings two nodes to the second step.
func introduced(t *testing.T) (usa, jpn *side) {
	t.Helper()
	usa, jpn = two(t)
	card := jpn.card("sato", "USA-01")
	if err := jpn.receive("sato", usa.card("alice", "JPN-01")); err != nil {
		t.Fatal(err)
	}
	for _, by := range []string{"alice", "bob"} { // each hands the card in and confirms it
		if err := usa.receive(by, card); err != nil {
			t.Fatal(err)
		}
		if _, err := usa.confirm(by, jpn, jpn.office.Fingerprint()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := jpn.confirm("sato", usa, usa.office.Fingerprint()); err != nil {
		t.Fatal(err)
	}
	usa.trust(jpn, noroshi.Introduced)
	jpn.trust(usa, noroshi.Introduced)
	return usa, jpn
}

func TestTrustGrowsInThreeSteps(t *testing.T) {
	usa, jpn := two(t)

	// Step 1: cards, by any path. USA has no card of its own out yet when it
	// takes the other's in; the gate secrets meet all the same.
	if err := usa.receive("alice", jpn.card("sato", "USA-01")); err != nil {
		t.Fatal(err)
	}
	usa.trust(jpn, noroshi.CardHeld)
	if err := jpn.receive("sato", usa.card("alice", "JPN-01")); err != nil {
		t.Fatal(err)
	}
	gates(t, usa, jpn)

	// Step 2: fingerprints, read aloud; USA has two who may, JPN one.
	heard := jpn.office.Fingerprint()
	if n := len(strings.Fields(heard)); n != 12 {
		t.Fatalf("a fingerprint has %d groups, want 12: %s", n, heard)
	}
	if waiting, err := usa.confirm("alice", jpn, strings.ReplaceAll(heard, " ", "-")); err != nil || waiting != 1 {
		t.Fatalf("first person: waiting %d, %v; want 1", waiting, err)
	}
	usa.trust(jpn, noroshi.CardHeld)
	if shown := usa.partner(jpn).Fingerprint; shown != "" {
		t.Errorf("what the second person is to hear can be read here: %s", shown)
	}
	if _, err := usa.confirm("alice", jpn, heard); noroshi.KindOf(err) != noroshi.Refused {
		t.Fatalf("the same person twice: %v, want Refused", err)
	}
	if waiting, err := usa.confirm("bob", jpn, heard); err != nil || waiting != 0 {
		t.Fatalf("second person: waiting %d, %v; want 0", waiting, err)
	}
	usa.trust(jpn, noroshi.Introduced)
	if waiting, err := jpn.confirm("sato", usa, usa.office.Fingerprint()); err != nil || waiting != 0 {
		t.Fatalf("the only person: waiting %d, %v; want 0", waiting, err)
	}

	// Step 3: one file, both nodes.
	file := agreementFile(1, usa, jpn, far)
	h := noroshi.Sum(file)
	if err := usa.propose("bob", file); err != nil {
		t.Fatal(err)
	}
	usa.carry(jpn)
	if a, err := jpn.office.Agreement(t.Context(), h); err != nil || a.State != "proposed" || a.Theirs || string(a.File) != string(file) {
		t.Fatalf("the proposal at JPN: %+v, %v", a, err)
	}
	if s, err := jpn.signs("suzuki", h); err != nil || s.Ours || s.Waiting != 1 {
		t.Fatalf("one officer signs: %+v, %v; it takes two", s, err)
	}
	if s, err := jpn.signs("tanaka", h); err != nil || !s.Ours || s.InForce {
		t.Fatalf("JPN signs: %+v, %v; a proposal must bind nobody", s, err)
	}
	jpn.carry(usa)
	if s, err := usa.signs("carol", h); err != nil || s.Waiting != 1 || s.Ours || !s.Theirs {
		t.Fatalf("first officer: %+v, %v", s, err)
	}
	if _, err := usa.signs("carol", h); noroshi.KindOf(err) != noroshi.Refused {
		t.Fatalf("the same officer twice: %v, want Refused", err)
	}
	usa.trust(jpn, noroshi.Introduced)
	if s, err := usa.signs("dave", h); err != nil || !s.InForce {
		t.Fatalf("second officer: %+v, %v; want in force", s, err)
	}
	usa.trust(jpn, noroshi.InForce)
	jpn.trust(usa, noroshi.Introduced)
	usa.carry(jpn)
	jpn.trust(usa, noroshi.InForce)

	for _, s := range []*side{usa, jpn} {
		a, err := s.office.Agreement(t.Context(), h)
		if err != nil || a.State != "in-force" || !a.Ours || !a.Theirs {
			t.Errorf("%s: %+v, %v", s.sign, a, err)
		}
		s.intact()
	}
	if n, persons := usa.acts(noroshi.ActAgreementInForce); n != 1 || !slices.Equal(persons, []string{"carol", "dave"}) {
		t.Errorf("the act in force names %v, %d times; want carol and dave, once", persons, n)
	}

	// Everything again changes nothing.
	before := head(t, usa, jpn)
	if err := usa.office.Resend(t.Context()); err != nil {
		t.Fatal(err)
	}
	usa.sent = append(slices.Clone(usa.all), usa.sent...)
	usa.carry(jpn)
	jpn.sent = slices.Clone(jpn.all)
	jpn.carry(usa)
	if after := head(t, usa, jpn); after != before {
		t.Errorf("documents taken twice moved the feeds from %v to %v", before, after)
	}
}

// gates fails unless each side's way in is the other's way out.
func gates(t *testing.T, a, b *side) {
	t.Helper()
	x, y := record(t, a, b), record(t, b, a)
	if len(x.GateIn) != 32 || !bytes.Equal(x.GateIn, y.GateOut) || !bytes.Equal(x.GateOut, y.GateIn) || bytes.Equal(x.GateIn, x.GateOut) {
		t.Fatalf("gate secrets do not meet: %s in %x out %x, %s in %x out %x", a.sign, x.GateIn, x.GateOut, b.sign, y.GateIn, y.GateOut)
	}
}

func head(t *testing.T, sides ...*side) (at [2]int64) {
	t.Helper()
	for i, s := range sides {
		var err error
		if at[i], err = s.store.Head(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return at
}

func TestListsHideGateSecrets(t *testing.T) {
	usa, jpn := introduced(t)
	rows, err := usa.office.Partners(t.Context())
	if err != nil || len(rows) != 1 {
		t.Fatalf("%d partners, %v", len(rows), err)
	}
	r := rows[0]
	if r.GateIn != nil || r.GateOut != nil {
		t.Error("a list shows gate secrets")
	}
	if r.Fingerprint != jpn.office.Fingerprint() || r.Ours != usa.office.Fingerprint() || !r.KeysFresh {
		t.Errorf("fingerprints or keys: %+v", r)
	}
	if byNode, err := usa.office.Partner(t.Context(), jpn.keys.NodeID().String()); err != nil || byNode.Node != r.Node {
		t.Errorf("by node id: %v, %v", byNode.Node, err)
	}
}

func TestWhoMayNotChangesNothing(t *testing.T) {
	usa, jpn := two(t)
	card := jpn.card("sato", "USA-01")
	if err := usa.receive("erin", card); noroshi.KindOf(err) != noroshi.Forbidden {
		t.Errorf("a duty officer takes a card in: %v, want Forbidden", err)
	}
	other := jpn.card("sato", "USA-02")
	s := usa.as("alice", noroshi.ActIntroduce, "receive", noroshi.Sum(other))
	if _, err := usa.office.Receive(t.Context(), card, s); noroshi.KindOf(err) != noroshi.Forbidden {
		t.Errorf("a signature over another card: %v, want Forbidden", err)
	}
	if rows, _ := usa.office.Partners(t.Context()); len(rows) != 0 {
		t.Errorf("%d partners after refusals", len(rows))
	}
}

func TestCardsThatAreRefused(t *testing.T) {
	usa, jpn := two(t)
	good := jpn.card("sato", "USA-01")
	t.Run("our own", func(t *testing.T) {
		own := usa.card("alice", "JPN-01")
		if err := usa.receive("alice", own); noroshi.KindOf(err) != noroshi.Invalid {
			t.Errorf("%v, want Invalid", err)
		}
	})
	t.Run("one byte changed", func(t *testing.T) {
		for _, i := range []int{len(good) / 3, len(good) / 2, len(good) - 5} {
			bad := bytes.Clone(good)
			bad[i] ^= 1
			if err := usa.receive("alice", bad); err == nil {
				t.Errorf("byte %d: taken in", i)
			}
		}
	})
	t.Run("no card", func(t *testing.T) {
		for _, file := range []string{"", "correct-horse-battery", string(good[:len(good)-1])} {
			var e *noroshi.Error
			if err := usa.receive("alice", []byte(file)); !errors.As(err, &e) || e.Code != "card.form" {
				t.Errorf("%d bytes: %v, want card.form", len(file), err)
			}
		}
	})
	t.Run("expired", func(t *testing.T) {
		usa.now = usa.now.AddDate(0, 0, 31)
		defer func() { usa.now = usa.now.AddDate(0, 0, -31) }()
		if err := usa.receive("alice", good); noroshi.KindOf(err) != noroshi.Invalid {
			t.Errorf("%v, want Invalid", err)
		}
	})
	t.Run("another realm", func(t *testing.T) {
		realm, err := noroshi.ParseRealm("exercise:spring")
		if err != nil {
			t.Fatal(err)
		}
		drill := newSide(t, "JPN-01", realm, map[string]noroshi.Role{"sato": noroshi.Administrator})
		if err := usa.receive("alice", drill.card("sato", "USA-01")); err == nil {
			t.Error("a card of an exercise was taken in")
		}
	})
	if rows, _ := usa.office.Partners(t.Context()); len(rows) != 0 {
		t.Errorf("%d partners after refusals", len(rows))
	}
}

func TestSomebodyElseUnderTheSameCallSign(t *testing.T) {
	usa, jpn := two(t)
	mallory := newSide(t, "JPN-01", noroshi.Real, map[string]noroshi.Role{"mallory": noroshi.Administrator})
	if err := usa.receive("alice", mallory.card("mallory", "USA-01")); err != nil {
		t.Fatal(err)
	}
	// The voice says something else than the card.
	if _, err := usa.confirm("alice", mallory, jpn.office.Fingerprint()); noroshi.KindOf(err) != noroshi.Broken {
		t.Fatalf("the right voice, the wrong card: %v, want Broken", err)
	}
	// The right card pushes aside what was never confirmed.
	if err := usa.receive("alice", jpn.card("sato", "USA-01")); err != nil {
		t.Fatal(err)
	}
	if got := usa.partner(jpn).Node; got != jpn.keys.NodeID() {
		t.Fatalf("JPN-01 is %s, want %s", got, jpn.keys.NodeID())
	}
	if _, err := usa.confirm("alice", mallory, mallory.office.Fingerprint()); noroshi.KindOf(err) != noroshi.Refused {
		t.Errorf("the card that was pushed aside: %v, want Refused", err)
	}
	for _, by := range []string{"alice", "bob"} {
		if _, err := usa.confirm(by, jpn, jpn.office.Fingerprint()); err != nil {
			t.Fatal(err)
		}
	}
	// Once introduced, no card does.
	if err := usa.receive("alice", mallory.card("mallory", "USA-01")); noroshi.KindOf(err) != noroshi.Conflict {
		t.Errorf("a card over an introduced partner: %v, want Conflict", err)
	}
	usa.trust(jpn, noroshi.Introduced)
	usa.intact()
}

func TestACardMadeAgainCarriesTheSameSecret(t *testing.T) {
	usa, jpn := introduced(t)
	usa.card("alice", "JPN-01")
	gates(t, usa, jpn)
}

func TestDocumentsBeforeIntroductionAreRefused(t *testing.T) {
	usa, jpn := two(t)
	if err := usa.receive("alice", jpn.card("sato", "USA-01")); err != nil {
		t.Fatal(err)
	}
	doc, err := message.SignAgreement(jpn.keys, agreementFile(1, usa, jpn, far), jpn.now)
	if err != nil {
		t.Fatal(err)
	}
	if err := usa.office.Document(t.Context(), jpn.keys.NodeID(), doc); noroshi.KindOf(err) != noroshi.Refused {
		t.Errorf("from a card holder: %v, want Refused", err)
	}
	if err := usa.office.Document(t.Context(), noroshi.NodeID{9}, doc); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("from nobody: %v, want NotFound", err)
	}
}

func TestAgreementsThatAreRefused(t *testing.T) {
	usa, jpn := introduced(t)
	third := newSide(t, "GBR-01", noroshi.Real, map[string]noroshi.Role{"ann": noroshi.Administrator})
	file := string(agreementFile(1, usa, jpn, far))
	for name, text := range map[string]string{
		"not a party":      string(agreementFile(1, jpn, third, far)),
		"unknown partner":  string(agreementFile(1, usa, third, far)),
		"over":             string(agreementFile(1, usa, jpn, "2026-11-20T00:00:00Z")),
		"other realm":      strings.Replace(file, `"real"`, `"exercise:x"`, 1),
		"other call sign":  strings.Replace(file, `"JPN-01"`, `"JPN-02"`, 1),
		"other identity":   strings.Replace(file, string(jpn.self.Identity), string(third.self.Identity), 1),
		"our name changed": strings.Replace(file, string(usa.self.Identity), string(third.self.Identity), 1),
		"no agreement":     "hello",
	} {
		t.Run(name, func(t *testing.T) {
			if err := usa.propose("bob", []byte(text)); err == nil {
				t.Error("taken in")
			}
		})
	}
	if len(usa.all) > 0 {
		t.Errorf("%d documents left for refused files", len(usa.all))
	}
	t.Run("signed by someone else", func(t *testing.T) {
		doc, err := message.ConsentAgreement(third.keys, []byte(file), third.now)
		if err != nil {
			t.Fatal(err)
		}
		if err := usa.office.Document(t.Context(), jpn.keys.NodeID(), doc); noroshi.KindOf(err) != noroshi.Broken {
			t.Errorf("%v, want Broken", err)
		}
	})
	t.Run("signed when nothing was proposed", func(t *testing.T) {
		if _, err := usa.signs("carol", noroshi.Sum([]byte(file))); noroshi.KindOf(err) != noroshi.NotFound {
			t.Errorf("%v, want NotFound", err)
		}
	})
	t.Run("signed by a liaison", func(t *testing.T) {
		if _, err := usa.signs("bob", noroshi.Sum([]byte(file))); noroshi.KindOf(err) != noroshi.Forbidden {
			t.Errorf("%v, want Forbidden", err)
		}
	})
}

// TestAgreementsGiveNoTokens: an agreement gives a party no token that is not on
// its card, whoever proposes it; what is on it may stand or be left out.
func TestAgreementsGiveNoTokens(t *testing.T) {
	usa, jpn := introduced(t)
	file := string(agreementFile(1, usa, jpn, far))
	give := func(s *side, tokens string) []byte {
		id := fmt.Sprintf("identity = %q\n", s.self.Identity)
		return []byte(strings.Replace(file, id, id+"tokens = ["+tokens+"]\n", 1))
	}
	for name, x := range map[string]struct {
		file        []byte
		party, give string
	}{
		"to the partner":       {give(jpn, `"USA.DOD"`), "JPN-01", "USA.DOD"},
		"to us":                {give(usa, `"USA.DOD", "GBR.MOD"`), "USA-01", "GBR.MOD"},
		"to one, by the other": {give(jpn, `"JPN.DOD", "JPN"`), "JPN-01", "JPN"},
	} {
		for _, err := range []error{usa.propose("bob", x.file), arrives(t, jpn, usa, x.file)} {
			var e *noroshi.Error
			if !errors.As(err, &e) || e.Code != "agreement.token" || !slices.Equal(e.Args, []string{x.party, x.give}) {
				t.Errorf("%s: %v, want %s refused", name, err, x.give)
			}
		}
	}
	if err := usa.propose("bob", give(jpn, `"JPN.DOD"`)); err != nil {
		t.Errorf("its own token: %v", err)
	}
}

// arrives has a file come as the proposal of a node that checks nothing.
func arrives(t *testing.T, from, to *side, file []byte) error {
	t.Helper()
	doc, err := message.SignAgreement(from.keys, file, from.now)
	if err != nil {
		t.Fatal(err)
	}
	return to.office.Document(t.Context(), from.keys.NodeID(), doc)
}

// agree brings a version in force on both sides.
func agree(t *testing.T, usa, jpn *side, file []byte) {
	t.Helper()
	h := noroshi.Sum(file)
	if err := usa.propose("bob", file); err != nil {
		t.Fatal(err)
	}
	usa.carry(jpn)
	for _, by := range []string{"carol", "dave"} {
		if _, err := usa.signs(by, h); err != nil {
			t.Fatal(err)
		}
	}
	usa.carry(jpn)
	for _, by := range []string{"suzuki", "tanaka"} {
		if _, err := jpn.signs(by, h); err != nil {
			t.Fatal(err)
		}
	}
	jpn.carry(usa)
}

func TestWhatACourierDidNotCarryIsSentAtTheNextStart(t *testing.T) {
	usa, jpn := introduced(t)
	file := agreementFile(1, usa, jpn, far)
	h := noroshi.Sum(file)
	usa.down = true
	if err := usa.propose("bob", file); err != nil {
		t.Fatalf("without a courier: %v", err)
	}
	for _, by := range []string{"carol", "dave"} {
		if _, err := usa.signs(by, h); err != nil {
			t.Fatalf("without a courier: %v", err)
		}
	}
	usa.down = false
	if err := usa.office.Resend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(usa.sent) != 1 {
		t.Fatalf("%d documents sent again, want the consent", len(usa.sent))
	}
	usa.carry(jpn)
	if err := jpn.office.Resend(t.Context()); err != nil || len(jpn.sent) != 0 {
		t.Fatalf("JPN, which has not answered, sends %d documents, %v", len(jpn.sent), err)
	}
	if _, err := jpn.signs("suzuki", h); err != nil {
		t.Fatal(err)
	}
	if s, err := jpn.signs("tanaka", h); err != nil || !s.InForce {
		t.Fatalf("JPN signs: %+v, %v", s, err)
	}
	jpn.carry(usa)
	usa.trust(jpn, noroshi.InForce)
}

func TestKeysACourierDidNotCarryAreSentAtTheNextStart(t *testing.T) {
	usa, jpn := introduced(t)
	if err := usa.office.Resend(t.Context()); err != nil || len(usa.sent) != 0 {
		t.Fatalf("what is on the card is sent: %d documents, %v", len(usa.sent), err)
	}
	if err := usa.keys.Renew(usa.now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := usa.office.Resend(t.Context()); err != nil {
		t.Fatal(err)
	}
	usa.carry(jpn)
	if got := jpn.partner(usa).KeyVersion; got != 2 {
		t.Errorf("key version %d at JPN, want 2", got)
	}
}

func TestOnlyAHigherVersionSupersedes(t *testing.T) {
	usa, jpn := introduced(t)
	first, second := agreementFile(1, usa, jpn, far), agreementFile(2, usa, jpn, far)
	sameVersion := agreementFile(2, usa, jpn, "2027-12-01T00:00:00Z")
	agree(t, usa, jpn, first)
	agree(t, usa, jpn, second)
	agree(t, usa, jpn, sameVersion)
	for _, s := range []*side{usa, jpn} {
		other := map[*side]*side{usa: jpn, jpn: usa}[s]
		if got := s.partner(other).Agreement; got != noroshi.Sum(second) {
			t.Errorf("%s: in force is %s, want version 2 as signed first", s.sign, got)
		}
		if left := s.partner(other).Proposed; len(left) > 0 {
			t.Errorf("%s: still proposed: %v", s.sign, left)
		}
		s.intact()
	}
	list, err := usa.office.Agreements(t.Context())
	if err != nil || len(list) != 3 {
		t.Fatalf("%d agreements, %v", len(list), err)
	}
	states := map[noroshi.Hash]string{}
	for _, a := range list {
		states[a.Hash] = a.State
	}
	if states[noroshi.Sum(first)] != "superseded" || states[noroshi.Sum(second)] != "in-force" || states[noroshi.Sum(sameVersion)] != "superseded" {
		t.Errorf("states: %v", states)
	}
}

func TestKeysetsSucceed(t *testing.T) {
	usa, jpn := introduced(t)
	give := func() error {
		return usa.office.Document(t.Context(), jpn.keys.NodeID(), jpn.keys.Keyset().Bytes())
	}
	old := jpn.keys.Keyset().Bytes()
	if err := jpn.keys.Renew(jpn.now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := give(); err != nil {
		t.Fatal(err)
	}
	if got := usa.partner(jpn).KeyVersion; got != 2 {
		t.Errorf("key version %d, want 2", got)
	}
	before := head(t, usa)
	if err := give(); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if err := usa.office.Document(t.Context(), jpn.keys.NodeID(), old); err != nil {
		t.Errorf("a late one: %v", err)
	}
	if after := head(t, usa); after != before {
		t.Errorf("known keysets moved the feed")
	}
	if err := usa.office.Document(t.Context(), jpn.keys.NodeID(), usa.keys.Keyset().Bytes()); err == nil {
		t.Error("another node's keyset was taken for JPN's")
	}
	usa.intact()
}

func TestTwoKeysetsOfOneVersionRaiseAnAlarm(t *testing.T) {
	usa, jpn := introduced(t)
	twin := jpn.forked()
	if err := usa.office.Document(t.Context(), jpn.keys.NodeID(), jpn.keys.Keyset().Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := usa.office.Document(t.Context(), jpn.keys.NodeID(), twin.Keyset().Bytes()); noroshi.KindOf(err) != noroshi.Conflict {
		t.Errorf("a second version 2: %v, want Conflict", err)
	}
	changes, err := usa.store.Feed(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	before := head(t, usa)
	if err := usa.office.Document(t.Context(), jpn.keys.NodeID(), twin.Keyset().Bytes()); noroshi.KindOf(err) != noroshi.Conflict || head(t, usa) != before {
		t.Errorf("the same again: %v, or it moved the feed", err)
	}
	alarmed := slices.ContainsFunc(changes, func(c store.Change) bool { return c.Kind == store.AlarmRaised && c.ID == "keyset.fork" })
	if !alarmed {
		t.Error("no alarm in the feed")
	}
}

// record reads a partner's record as the courier sees it.
func record(t *testing.T, s, of *side) noroshi.Partner {
	t.Helper()
	return partnerRecord(t, s.store, of.keys.NodeID())
}
