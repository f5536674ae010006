package release_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

func flash(t *testing.T, n int, tlp noroshi.TLP) *store.Version {
	t.Helper()
	return version(t, made, "", object("report", n, usa.Identity, tlp,
		fmt.Sprintf(`,"name":"w%d","published":"2026-11-01T00:00:00.000Z","object_refs":["%s"],"extensions":{"%s":{"extension_type":"property-extension","precedence":"flash"}}`, n, usa.Identity, noroshi.WarningExtension)))
}

// standing makes an office whose agreement provides for standing rules, with
// one that lets two an hour go.
func standing(t *testing.T, change func(*noroshi.StandingRule)) *office {
	t.Helper()
	o := newOffice(t)
	file := []byte("flash_per_hour = 5\n" + template(jpn, 1))
	o.agree(jpn, file)
	o.settle()
	r := noroshi.StandingRule{ID: "r1", Partner: jpn.Node, Agreement: noroshi.Sum(file), MaxTLP: noroshi.Green, PerHour: 2, Until: o.now.AddDate(0, 0, 9), By: []string{"sato", "jones"}}
	change(&r)
	o.doc(noroshi.DocStanding, r.ID, r)
	return o
}

func asIs(*noroshi.StandingRule) {}

// TestStandingRuleHasALimit: two go in an hour, the third takes two persons;
// when an hour is over two go again. Translations use nothing up.
func TestStandingRuleHasALimit(t *testing.T) {
	o := standing(t, asIs)
	text := version(t, made, "", object("language-content", 10, usa.Identity, noroshi.Green,
		fmt.Sprintf(`,"object_ref":"report--00000000-0000-4000-8000-%012d","contents":{"ja":{"name":"警報"}}`, 1)))
	o.put(flash(t, 1, noroshi.Green), text)
	o.settle()
	o.put(flash(t, 2, noroshi.Clear), flash(t, 3, noroshi.Green))
	o.settle()
	sent := o.sends(jpn)
	if len(sent) != 3 || len(o.holds()) != 1 || o.holds()[0].Count != 1 || o.holds()[0].Key != noroshi.TwoPersons {
		t.Fatalf("%d go, holds %+v; want two, a translation, and one that waits", len(sent), o.holds())
	}
	o.now = o.now.Add(time.Hour + time.Second)
	o.put(flash(t, 4, noroshi.Green), flash(t, 5, noroshi.Green), flash(t, 6, noroshi.Green))
	o.settle()
	if sent := o.sends(jpn); len(sent) != 2 {
		t.Errorf("an hour later %d go, want 2", len(sent))
	}
	waits := 0
	for _, h := range o.holds() {
		waits += h.Count
	}
	if waits != 2 {
		t.Errorf("%d wait, want 2", waits)
	}
}

// TestStandingRuleIsForItsKind: it lifts what precedence and clause ask for,
// and nothing that a marking, a level or its own terms forbid.
func TestStandingRuleIsForItsKind(t *testing.T) {
	for _, x := range []struct {
		name string
		rule func(*noroshi.StandingRule)
		tlp  noroshi.TLP
		go1  bool
	}{
		{"its kind", asIs, noroshi.Green, true},
		{"marked stricter", asIs, noroshi.Amber, false},
		{"another type", func(r *noroshi.StandingRule) { r.Types = []string{"campaign"} }, noroshi.Green, false},
		{"of its type", func(r *noroshi.StandingRule) { r.Types = []string{"report"} }, noroshi.Green, true},
		{"another partner's", func(r *noroshi.StandingRule) { r.Partner = kor.Node }, noroshi.Green, false},
		{"of another agreement", func(r *noroshi.StandingRule) { r.Agreement = noroshi.Sum(nil) }, noroshi.Green, false},
		{"over", func(r *noroshi.StandingRule) { r.Until = now }, noroshi.Green, false},
		{"ended", func(r *noroshi.StandingRule) { r.Ended = now }, noroshi.Green, false},
		{"amber and strict", func(r *noroshi.StandingRule) { r.MaxTLP = noroshi.Red }, noroshi.AmberStrict, false},
	} {
		o := standing(t, x.rule)
		seq := o.put(flash(t, 1, x.tlp))[0]
		o.settle()
		got := len(o.sends(jpn)) == 1
		if got != x.go1 {
			p, _ := o.desk.Preview(o.ctx, seq, jpn.Node)
			t.Errorf("%s: goes %v, want %v: %v", x.name, got, x.go1, p.Decision.Reasons)
		}
	}
}

// TestUnreadPrecedenceIsOfNoKind: what counts as FLASH because its precedence
// cannot be read goes under no rule.
func TestUnreadPrecedenceIsOfNoKind(t *testing.T) {
	o := standing(t, asIs)
	for i, precedence := range []string{`"urgent"`, `9`, `null`, `"FLASH "`} {
		o.put(version(t, made, "", strings.Replace(string(flash(t, i+1, noroshi.Green).Object.Bytes()), `"flash"`, precedence, 1)))
	}
	o.settle()
	if sent := o.sends(jpn); len(sent) != 0 {
		t.Errorf("%d go", len(sent))
	}
}

// TestWhatWentUnderARuleThatEndedIsStopped: released, not gone, and the rule
// ends: it takes two persons again.
func TestWhatWentUnderARuleThatEndedIsStopped(t *testing.T) {
	o := standing(t, asIs)
	o.put(flash(t, 1, noroshi.Green))
	o.settle()
	ids, err := o.store.UnsentBatches(o.ctx, jpn.Node)
	if err != nil || len(ids) != 1 {
		t.Fatalf("%d batches, %v", len(ids), err)
	}
	b, err := o.store.Batch(o.ctx, ids[0])
	if err != nil || !strings.HasSuffix(b.Clause, " standing:r1") || b.Hold != "" {
		t.Fatalf("the batch cites %q, %v", b.Clause, err)
	}
	if x, err := o.desk.Next(o.ctx, ids[0], 0); err != nil || !x.Valid() {
		t.Fatalf("it may go: %v, %v", x.Valid(), err)
	}
	r := noroshi.StandingRule{ID: "r1", Partner: jpn.Node, Agreement: b.Agreement, MaxTLP: noroshi.Green, PerHour: 2, Until: o.now.AddDate(0, 0, 9), Ended: o.now}
	o.doc(noroshi.DocStanding, r.ID, r)
	if x, err := o.desk.Next(o.ctx, ids[0], 0); err != nil || x.Valid() {
		t.Errorf("it still goes: %v, %v", x.Valid(), err)
	}
	has(t, o.sends(jpn))
	o.settle()
	if h := o.holds(); len(h) != 1 || h[0].Key != noroshi.TwoPersons || h[0].Count != 1 {
		t.Fatalf("passed over, it waits in %+v; want for two persons", h)
	}
	o.twoApprove(o.holds()[0].ID)
	has(t, o.sends(jpn), id("report", 1))
}

// TestPassedOverAndFreeAgain: what might not go when its turn came, and may when
// the desk looks, goes; the rule it went under has not lent it a second time.
func TestPassedOverAndFreeAgain(t *testing.T) {
	o := standing(t, asIs)
	o.put(flash(t, 1, noroshi.Green))
	o.settle()
	docs, err := o.store.Docs(o.ctx, noroshi.DocStanding)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		o.doc(noroshi.DocStanding, "r1", noroshi.StandingRule{ID: "r1"})
		has(t, o.sends(jpn))
		o.doc(noroshi.DocStanding, "r1", docs["r1"])
		o.settle()
		if h := o.holds(); len(h) != 0 {
			t.Fatalf("held: %+v", h)
		}
	}
	o.put(flash(t, 2, noroshi.Green))
	o.settle()
	has(t, o.sends(jpn), id("report", 1), id("report", 2))
	o.settle()
	has(t, o.sends(jpn))
	if v, err := o.store.Verify(o.ctx, nil); err != nil || len(v.Faults) > 0 {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestTwoPassOverTheSame: what the batches of two partners passed over goes to
// both when it may again.
func TestTwoPassOverTheSame(t *testing.T) {
	o := newOffice(t)
	rules := map[string]noroshi.StandingRule{}
	for id, p := range map[string]noroshi.Party{"r1": jpn, "r2": kor} {
		file := []byte("flash_per_hour = 5\n" + template(p, 1))
		o.agree(p, file)
		rules[id] = noroshi.StandingRule{ID: id, Partner: p.Node, Agreement: noroshi.Sum(file), MaxTLP: noroshi.Green, PerHour: 2, Until: o.now.AddDate(0, 0, 9), By: []string{"sato", "jones"}}
		o.doc(noroshi.DocStanding, id, rules[id])
	}
	o.put(flash(t, 1, noroshi.Green))
	o.settle()
	for id := range rules {
		o.doc(noroshi.DocStanding, id, noroshi.StandingRule{ID: id})
	}
	has(t, o.sends(jpn))
	has(t, o.sends(kor))
	for id, r := range rules {
		o.doc(noroshi.DocStanding, id, r)
	}
	o.settle()
	if h := o.holds(); len(h) != 0 {
		t.Errorf("held: %+v", h)
	}
	has(t, o.sends(jpn), id("report", 1))
	has(t, o.sends(kor), id("report", 1))
}

// TestStandingRuleEndsWithItsSigners: a rule lets nothing go any more once one of
// the two who signed it is removed, nor does what it let go and has not left.
func TestStandingRuleEndsWithItsSigners(t *testing.T) {
	o := standing(t, asIs)
	o.put(flash(t, 1, noroshi.Green))
	o.settle()
	ids, err := o.store.UnsentBatches(o.ctx, jpn.Node)
	if err != nil || len(ids) != 1 {
		t.Fatalf("%d batches, %v", len(ids), err)
	}
	gone := o.persons["jones"]
	gone.Removed = true
	o.person(gone, o.keys["jones"])
	if x, err := o.desk.Next(o.ctx, ids[0], 0); err != nil || x.Valid() {
		t.Errorf("it still goes: %v, %v", x.Valid(), err)
	}
	o.put(flash(t, 2, noroshi.Green))
	o.settle()
	if sent := o.sends(jpn); len(sent) != 0 {
		t.Errorf("%d go under a rule of somebody removed", len(sent))
	}
}

// TestStandingRulesDecideTheSameInAnyOrder: which go does not depend on the
// order of the items, and deciding twice is the same.
func TestStandingRulesDecideTheSameInAnyOrder(t *testing.T) {
	a := *agreed(t).Agreement()
	clauses, err := release.Compile(&a)
	if err != nil {
		t.Fatal(err)
	}
	rule := release.Allowance{Rule: noroshi.StandingRule{ID: "r", MaxTLP: noroshi.Green}, Left: 2}
	c := release.Case{Realm: real, Now: now, Self: usa.Identity, Partner: jpn, Clauses: clauses, Allowed: []release.Allowance{rule}}
	for _, n := range []string{"3", "1", "4", "2"} {
		c.Items = append(c.Items, release.Item{ID: stix.ID("report--" + n), Type: "report", Label: noroshi.Label{TLP: noroshi.Green}, Precedence: noroshi.Flash, Warning: true})
	}
	for range 2 {
		for i, d := range release.Decide(c) {
			if want := c.Items[i].ID < "report--3"; (d.Outcome == noroshi.Release) != want {
				t.Errorf("%s: %s", c.Items[i].ID, d.Outcome)
			}
		}
		c.Items[0], c.Items[3] = c.Items[3], c.Items[0]
	}
}

// TestWeighedUnderStandingRules: a file is weighed under the standing rules
// there are, and by what is left of them.
func TestWeighedUnderStandingRules(t *testing.T) {
	o := standing(t, asIs)
	var objects []*stix.Object
	for n := range 3 {
		objects = append(objects, flash(t, n+1, noroshi.Green).Object)
	}
	entry := release.Entry{Assign: func(*stix.Object) []stix.ID { return nil }, KnownGood: func(*stix.Object) bool { return false }}
	list, err := o.desk.Weigh(o.ctx, objects, entry, jpn.Node)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []noroshi.Outcome{noroshi.Release, noroshi.Release, noroshi.Hold} {
		if d := list[i].Decision; d.Outcome != want || want == noroshi.Release && d.Standing != "r1" {
			t.Errorf("%d: %s under %q, want %s: %v", i, d.Outcome, d.Standing, want, d.Reasons)
		}
	}
}
