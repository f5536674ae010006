package release_test

import (
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// terms compiles the template's agreement with other terms.
func terms(t *testing.T, change func(*noroshi.Agreement)) *release.Clauses {
	t.Helper()
	a := *agreed(t).Agreement()
	change(&a)
	c, err := release.Compile(&a)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func one(c release.Case, it release.Item) release.Decision {
	c.Items = []release.Item{it}
	return release.Decide(c)[0]
}

// TestListsOfTypesAndSectorsAreHardLimits: what they leave out is denied,
// whatever a clause permits.
func TestListsOfTypesAndSectorsAreHardLimits(t *testing.T) {
	c := release.Case{Realm: real, Now: now, Self: usa.Identity, Nodes: map[stix.ID]bool{usa.Identity: true}, Partner: jpn, Clauses: terms(t, func(a *noroshi.Agreement) {
		a.Types, a.Sectors = []string{"indicator", "identity"}, []string{"defence", "energy"}
		a.Clauses = []noroshi.Clause{{ID: "1", Cedar: `permit (principal, action, resource);`}}
	})}
	for _, x := range []struct {
		object string
		want   noroshi.Outcome
		code   string
	}{
		{object("indicator", 1, usa.Identity, noroshi.Green, `,"pattern":"[domain-name:value = 'a.example']","pattern_type":"stix","valid_from":"2026-11-01T00:00:00.000Z"`), noroshi.Release, "clause.permit"},
		{object("malware", 2, usa.Identity, noroshi.Clear, `,"name":"x","is_family":false`), noroshi.Deny, "agreement.type"},
		{object("identity", 3, usa.Identity, noroshi.Clear, `,"name":"x"`), noroshi.Release, "clause.permit"},
		{object("identity", 4, usa.Identity, noroshi.Clear, `,"name":"x","sectors":["energy"]`), noroshi.Release, "clause.permit"},
		{object("identity", 5, usa.Identity, noroshi.Clear, `,"name":"x","sectors":["energy","water"]`), noroshi.Deny, "agreement.sector"},
		{object("identity", 6, usa.Identity, noroshi.Clear, `,"name":"x","sectors":"energy"`), noroshi.Deny, "agreement.sector"},
		{object("identity", 7, usa.Identity, noroshi.Clear, `,"name":"x","sectors":["Energy"]`), noroshi.Deny, "agreement.sector"},
	} {
		o, err := stix.Parse([]byte(x.object))
		if err != nil {
			t.Fatal(err)
		}
		it := release.ItemOf(o, release.Facts{Label: noroshi.LabelOf(o, nil, func(stix.ID) []*stix.Object { return nil }, nil), Source: made, Self: usa.Identity, Partner: jpn})
		got := one(c, it)
		if got.Outcome != x.want || !spoke(got, x.code) {
			t.Errorf("%s: got %s %v, want %s by %s", x.object, got.Outcome, got.Reasons, x.want, x.code)
		}
	}
}

func spoke(d release.Decision, code string) bool {
	for _, r := range d.Reasons {
		if r.Code == code {
			return true
		}
	}
	return false
}

func TestClausesReadSectorsAndCommunities(t *testing.T) {
	c := release.Case{Realm: real, Now: now, Partner: jpn, Clauses: terms(t, func(a *noroshi.Agreement) {
		a.Communities = []string{"QUAD"}
		a.Clauses = []noroshi.Clause{{ID: "1", Cedar: `permit (principal, action == Action::"release", resource)
when { principal.communities.contains("QUAD") && ["energy", "defence"].containsAny(resource.sectors) };`}}
	})}
	it := release.Item{ID: "identity--1", Type: "identity", Label: noroshi.Label{TLP: noroshi.Green}, Precedence: noroshi.Routine}
	if got := one(c, it); got.Outcome != noroshi.Deny {
		t.Errorf("without a sector: %s", got.Outcome)
	}
	it.Sectors = []string{"energy"}
	if got := one(c, it); got.Outcome != noroshi.Release {
		t.Errorf("energy: %s %v", got.Outcome, got.Reasons)
	}
}

// TestEmergencyEndsByItself: a clause for emergencies permits while a declared
// one lasts, and never where the agreement provides for none.
func TestEmergencyEndsByItself(t *testing.T) {
	only := []noroshi.Clause{{ID: "1", Cedar: `permit (principal, action == Action::"release", resource) when { context.emergency };`}}
	with := terms(t, func(a *noroshi.Agreement) { a.Clauses, a.Emergency = only, &noroshi.EmergencyTerms{Hours: 4} })
	without := terms(t, func(a *noroshi.Agreement) { a.Clauses = only })
	lasts := noroshi.Emergency{From: now, Until: now.Add(4 * time.Hour)}
	it := release.Item{ID: "indicator--1", Type: "indicator", Label: noroshi.Label{TLP: noroshi.Green}, Precedence: noroshi.Routine}
	for _, x := range []struct {
		name    string
		clauses *release.Clauses
		e       noroshi.Emergency
		after   time.Duration
		want    noroshi.Outcome
	}{
		{"none declared", with, noroshi.Emergency{}, 0, noroshi.Deny},
		{"before", with, lasts, -time.Second, noroshi.Deny},
		{"at its start", with, lasts, 0, noroshi.Release},
		{"in its last second", with, lasts, 4*time.Hour - time.Second, noroshi.Release},
		{"at its end", with, lasts, 4 * time.Hour, noroshi.Deny},
		{"not agreed", without, lasts, time.Hour, noroshi.Deny},
	} {
		if got := one(release.Case{Realm: real, Now: now.Add(x.after), Partner: jpn, Clauses: x.clauses, Urgency: x.e}, it); got.Outcome != x.want {
			t.Errorf("%s: got %s, want %s", x.name, got.Outcome, x.want)
		}
	}
}

// TestWhatAnEmergencyLetGoIsStoppedWhenItEnds: declared, the desk decides again
// over what it holds; ended, what has not left stays.
func TestWhatAnEmergencyLetGoIsStoppedWhenItEnds(t *testing.T) {
	o := newOffice(t)
	file := emergencies(inEmergencyGo)
	o.agree(jpn, file)
	listed(t, o, 3, noroshi.Amber)
	o.settle()
	if len(o.sends(jpn)) != 0 || len(o.holds()) != 1 {
		t.Fatalf("in peace %d go, %d holds; want none and one", len(o.sends(jpn)), len(o.holds()))
	}
	o.declare(file)
	o.settle()
	ids, err := o.store.UnsentBatches(o.ctx, jpn.Node)
	if err != nil || len(ids) != 1 {
		t.Fatalf("in the emergency %d batches, %v; want one", len(ids), err)
	}
	if x, err := o.desk.Next(o.ctx, ids[0], 0); err != nil || len(x.Objects()) != 3 {
		t.Fatalf("in the emergency %d go, %v; want 3", len(x.Objects()), err)
	}
	o.now = o.now.Add(5 * time.Hour)
	if got := len(o.sends(jpn)); got != 0 {
		t.Errorf("after its end %d of what had not left still go", got)
	}
	listed(t, o, 4, noroshi.Amber)
	o.settle()
	if got := len(o.sends(jpn)); got != 0 {
		t.Errorf("after its end %d go", got)
	}
}

// TestAnEmergencyDeclaredAgainLetsTheSameGo: what one let go was stopped before
// it left; as often as another begins the same goes by the same decision.
func TestAnEmergencyDeclaredAgainLetsTheSameGo(t *testing.T) {
	o := newOffice(t)
	file := emergencies(inEmergencyGo)
	o.agree(jpn, file)
	listed(t, o, 3, noroshi.Amber)
	for range 3 {
		o.declare(file)
		o.settle()
		if ids, err := o.store.UnsentBatches(o.ctx, jpn.Node); err != nil || len(ids) == 0 {
			t.Fatalf("declared: %d batches, %v", len(ids), err)
		}
		o.now = o.now.Add(5 * time.Hour)
		o.settle()
		if h := o.holds(); len(h) != 1 || h[0].Count != 3 {
			t.Fatalf("after its end: %+v", h)
		}
	}
	o.declare(file)
	o.settle()
	if got := len(o.sends(jpn)); got != 3 {
		t.Errorf("declared again, %d go; want 3", got)
	}
	if v, err := o.store.Verify(o.ctx, nil); err != nil || len(v.Faults) > 0 {
		t.Errorf("%+v, %v", v, err)
	}
}

// What AMBER does in an emergency.
const (
	inEmergencyGo   = `permit (principal, action == Action::"release", resource) when { context.emergency && resource.level == 3 };`
	inEmergencyStay = `forbid (principal, action, resource) when { context.emergency && resource.level == 3 };`
)

// emergencies is an agreement with a clause for emergencies.
func emergencies(cedar string) []byte {
	file := release.Template(release.Draft{Realm: real, Self: usa, Partner: jpn, From: now.AddDate(0, -1, 0), Until: now.AddDate(0, 1, 0)})
	return append(file, "\n[[clause]]\nid = \"9\"\narticle_en = \"Article 9\"\narticle_ja = \"第9条\"\nen = \"Of AMBER in an emergency.\"\nja = \"緊急時の AMBER について。\"\n"+
		"cedar = '"+cedar+"'\n\n[emergency]\nhours = 4\n"...)
}

// declare declares an emergency of four hours under an agreement with JPN.
func (o *office) declare(file []byte) {
	o.t.Helper()
	o.doc(noroshi.DocEmergency, noroshi.Sum(file).String(), noroshi.Emergency{From: o.now, Until: o.now.Add(4 * time.Hour)})
	o.do(noroshi.ActConfigure, func(tx *store.Tx) error { return tx.Notice(store.AgreementChanged, jpn.Node.String()) })
}

// TestOnwardSharing: what a partner sent is passed on to another as the
// agreement with the sender lets it, whatever its marking and the agreement
// with the other permit.
func TestOnwardSharing(t *testing.T) {
	for _, x := range []struct {
		terms string
		want  noroshi.Outcome
		code  string
	}{
		{"", noroshi.Release, "clause.permit"},
		{`onward = "none"`, noroshi.Deny, "onward.none"},
		{`onward = "ask"`, noroshi.Hold, "onward.ask"},
		{"onward = \"listed\"\nonward_to = [\"AUS\"]", noroshi.Deny, "onward.none"},
		{"onward = \"listed\"\nonward_to = [\"AUS\", \"KOR\"]", noroshi.Release, "clause.permit"},
	} {
		o := newOffice(t, kor)
		file := release.Template(release.Draft{Realm: real, Self: usa, Partner: jpn, From: now.AddDate(0, -1, 0), Until: now.AddDate(0, 1, 0)})
		o.agree(jpn, append([]byte(x.terms+"\n"), file...))
		seq := o.put(version(t, fromJPN, "", object("malware", 1, jpn.Identity, noroshi.Green, `,"name":"x","is_family":false`)))[0]
		o.settle()
		got, err := o.desk.Preview(o.ctx, seq, kor.Node)
		if err != nil {
			t.Fatal(err)
		}
		if got.Decision.Outcome != x.want || !spoke(got.Decision, x.code) {
			t.Errorf("%q: got %s %v, want %s by %s", x.terms, got.Decision.Outcome, got.Decision.Reasons, x.want, x.code)
		}
		if went := len(o.sends(kor)); (went == 1) != (x.want == noroshi.Release) {
			t.Errorf("%q: %d go", x.terms, went)
		}
	}
}

// TestApprovalsAreForOneOpening: a hold that opens again under its old name is
// approved anew: neither what was approved before counts, nor a signature over
// it, whether it was returned or released and taken back meanwhile.
func TestApprovalsAreForOneOpening(t *testing.T) {
	for _, x := range []struct {
		name, clause string
		close        func(o *office, hold string)
	}{
		{"returned", inEmergencyGo, func(o *office, hold string) {
			if n, _, err := o.approve("sato", hold); n != 1 || err != nil {
				o.t.Fatalf("%d missing, %v", n, err)
			}
			if err := o.giveBack("kim", hold); err != nil {
				o.t.Fatal(err)
			}
		}},
		{"approved and taken back", inEmergencyStay, func(o *office, hold string) { o.twoApprove(hold) }},
	} {
		t.Run(x.name, func(t *testing.T) {
			o := newOffice(t)
			file := emergencies(x.clause)
			o.agree(jpn, file)
			listed(t, o, 3, noroshi.Amber)
			o.settle()
			hold := o.holds()[0].ID
			old := o.sign("sato", hold, noroshi.ActApprove)
			x.close(o, hold)
			o.now = o.now.Add(time.Minute)
			o.declare(file)
			o.settle()
			o.now = o.now.Add(5 * time.Hour)
			o.settle()
			if h := o.holds(); len(h) != 1 || h[0].ID != hold || h[0].Count != 3 {
				t.Fatalf("after the emergency: %+v, want hold %s again", h, hold)
			}
			if _, _, err := o.desk.Approve(o.ctx, hold, nil, old); noroshi.KindOf(err) != noroshi.Forbidden {
				t.Errorf("a signature from before counts: %v", err)
			}
			if n, batch, err := o.approve("jones", hold); n != 1 || batch != "" || err != nil {
				t.Errorf("the first approval: %d missing, batch %q, %v", n, batch, err)
			}
			if n, batch, err := o.approve("sato", hold); n != 0 || batch == "" || err != nil {
				t.Errorf("the second, by who approved before: %d missing, batch %q, %v", n, batch, err)
			}
			if got := len(o.sends(jpn)); got != 3 {
				t.Errorf("%d go, want 3", got)
			}
		})
	}
}
