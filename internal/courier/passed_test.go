package courier_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// doc keeps a document, and tells nobody.
func (n *node) doc(kind, key string, v any) {
	n.t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		n.t.Fatal(err)
	}
	if _, err := n.store.Do(n.t.Context(), noroshi.Act{Action: noroshi.ActConfigure, Subject: key}, func(tx *store.Tx) error { return tx.PutDoc(kind, key, body) }); err != nil {
		n.t.Fatal(err)
	}
}

// unconfirmed starts a pair over a cut wire, so that what A releases waits in
// its batch.
func (p *pair) unconfirmed(batches int) {
	p.t.Helper()
	p.net.setCut(true)
	p.start()
	p.until("A has released it", 10*time.Second, func() bool {
		ids, err := p.a.store.UnsentBatches(p.t.Context(), p.b.id())
		if err != nil {
			p.t.Fatal(err)
		}
		return len(ids) == batches
	})
}

// standing lets A send FLASH warnings under a standing rule.
func (p *pair) standing() noroshi.StandingRule {
	p.t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	file := append([]byte("flash_per_hour = 5\n"),
		release.Template(release.Draft{Realm: noroshi.Real, Self: p.a.party(), Partner: p.b.party(), From: now.AddDate(0, -1, 0), Until: now.AddDate(1, 0, 0)})...)
	p.a.meet(p.b, file, []byte(strings.Repeat("a", 32)), []byte(strings.Repeat("b", 32)))
	p.b.meet(p.a, file, []byte(strings.Repeat("b", 32)), []byte(strings.Repeat("a", 32)))
	p.a.officer("smith", noroshi.ReleaseOffice)
	p.a.officer("jones", noroshi.ReleaseOffice)
	rule := noroshi.StandingRule{ID: "r1", Partner: p.b.id(), Agreement: noroshi.Sum(file), MaxTLP: noroshi.Green, PerHour: 2, Until: now.AddDate(0, 0, 9), By: []string{"smith", "jones"}}
	p.a.doc(noroshi.DocStanding, rule.ID, rule)
	return rule
}

// flash has a node warn with precedence FLASH.
func (n *node) flash() {
	n.t.Helper()
	warning := fmt.Sprintf(`{"type":"report","spec_version":"2.1","id":"report--00000000-0000-4000-8000-000000000001","created_by_ref":%q,"created":"2026-11-01T00:00:00.000Z","modified":"2026-11-01T00:00:00.000Z",`+
		`"object_marking_refs":[%q],"name":"w","published":"2026-11-01T00:00:00.000Z","object_refs":[%[1]q],"extensions":{%[3]q:{"extension_type":"property-extension","precedence":"flash"}}}`,
		n.ident, noroshi.Green.MarkingID(), noroshi.WarningExtension)
	ready, err := n.gate.Prepare(noroshi.Source{Kind: noroshi.FromSelf}, "", []intake.Raw{{Bytes: []byte(warning)}})
	if err != nil {
		n.t.Fatal(err)
	}
	if _, err := n.store.Do(n.t.Context(), noroshi.Act{Action: noroshi.ActImport, Subject: "warning"}, func(tx *store.Tx) error {
		_, err := n.gate.Admit(tx, ready)
		return err
	}); err != nil {
		n.t.Fatal(err)
	}
}

// TestFlashThatMayNoLongerGoIsHeld: a FLASH went into a batch under a standing
// rule, and the rule ended before the link was up: it waits for two persons, and
// goes when they have approved it or another rule lets it go.
func TestFlashThatMayNoLongerGoIsHeld(t *testing.T) {
	t.Parallel()
	p := newPair(t, 21, 0, 0)
	rule := p.standing()
	p.a.flash()
	p.unconfirmed(1)
	rule.Ended = time.Now().UTC()
	p.a.doc(noroshi.DocStanding, rule.ID, rule)
	p.net.setCut(false)
	p.until("it waits for two persons", 10*time.Second, func() bool {
		holds, err := p.a.store.Holds(t.Context(), store.HoldOpen)
		if err != nil {
			t.Fatal(err)
		}
		return len(holds) == 1 && holds[0].Count == 1 && holds[0].Key == noroshi.TwoPersons
	})
	p.until("nothing of it is left in a batch", 10*time.Second, func() bool {
		ids, err := p.a.store.UnsentBatches(t.Context(), p.b.id())
		return err == nil && len(ids) == 0 && p.settled()
	})
	if n := p.b.count("report"); n != 0 {
		t.Errorf("B has %d reports, want none", n)
	}
}

// TestSuspendedBeforeTheLinkKnows: the agreement is suspended in the store and
// the link has not been told yet: what is released waits where it is, is said to
// wait, and goes when the agreement is resumed.
func TestSuspendedBeforeTheLinkKnows(t *testing.T) {
	t.Parallel()
	p := newPair(t, 22, 0, 0)
	p.a.importList("list.txt", 0, 50)
	p.unconfirmed(1)
	body, err := p.a.store.Doc(t.Context(), noroshi.DocPartner, p.b.id().String())
	if err != nil {
		t.Fatal(err)
	}
	var partner noroshi.Partner
	if err := json.Unmarshal(body, &partner); err != nil {
		t.Fatal(err)
	}
	partner.Trust = noroshi.Introduced
	p.a.doc(noroshi.DocPartner, p.b.id().String(), partner)
	p.net.setCut(false)
	// The reason stands as the link's last error until the next send succeeds.
	p.until("A says that it waits", 10*time.Second, func() bool {
		l := p.a.link()
		return l.Confirmed && l.Waiting["routine"] == 1 && (strings.Contains(l.LastError.Message, "no agreement is in force") || p.a.running().Counters().Statements > 9)
	})
	partner.Trust = noroshi.InForce
	p.a.doc(noroshi.DocPartner, p.b.id().String(), partner)
	if _, err := p.a.store.Do(t.Context(), noroshi.Act{Action: noroshi.ActAgreementInForce, Subject: "test"}, func(tx *store.Tx) error {
		return tx.Notice(store.AgreementChanged, p.b.id().String())
	}); err != nil {
		t.Fatal(err)
	}
	p.until("all is there", 10*time.Second, func() bool { return p.b.count("indicator") == 50 && p.settled() })
}
