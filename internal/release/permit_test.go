package release_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/stix"
)

// randomClause draws the policies of a clause: forms with bounds from below and
// from above, and what no form says.
func randomClause(r *rand.Rand) string {
	if r.IntN(3) > 0 {
		var forms []release.ClauseForm
		for range 1 + r.IntN(2) {
			forms = append(forms, release.ClauseForm{
				TwoPersons: r.IntN(2) == 0, MinTLP: noroshi.TLP(pick(r, 0, 0, 1, 2, 3, 4)), MaxTLP: noroshi.TLP(pick(r, 0, 0, 2, 3, 4, 5)),
				MaxLevel: noroshi.Level(pick(r, 0, 0, 1, 2, 3)), MaxPrecedence: noroshi.Precedence(pick(r, 0, 0, 3)),
			})
		}
		return release.FormsCedar(forms...)
	}
	condition := func() string {
		attribute := pick(r, "level", "classification")
		return pick(r,
			fmt.Sprintf("resource.%s %s %d", attribute, pick(r, "==", "!=", ">=", "<=", ">", "<"), r.IntN(6)),
			fmt.Sprintf("resource.tlp %s %q", pick(r, "==", "!="), pick(r, "", "TLP:CLEAR", "TLP:GREEN", "TLP:AMBER")),
			fmt.Sprintf("resource.audience == %q", pick(r, "public", "partners", "partner", "nobody")),
			fmt.Sprintf("resource.%s + 9223372036854775806 > 0", attribute), // cannot be evaluated from 2 up
		)
	}
	return fmt.Sprintf("%s (principal, %s, resource) when { %s %s %s };", pick(r, "permit", "permit", "forbid"),
		pick(r, "action", `action == Action::"release"`, `action == Action::"releaseWithTwoPersons"`), condition(), pick(r, "&&", "||"), condition())
}

// TestClausesNeverWiden: whatever the clauses say, one more marking never lets
// an object go further, alone, with persons, or as FLASH under a standing rule,
// and never has it say more.
func TestClausesNeverWiden(t *testing.T) {
	base := readWorld(t).caseOf(t, "USA", "JPN", noroshi.Real)
	wishes := []noroshi.Generalise{{Type: "infrastructure", Selector: "first_seen", How: noroshi.ToHour}, {Type: "infrastructure", Selector: "first_seen", How: noroshi.CutOut},
		{Type: "infrastructure", Selector: "last_seen", How: noroshi.ToHour}, {Type: "infrastructure", Selector: "x_address", How: noroshi.ToPrefix}}
	o, err := stix.Parse([]byte(object("infrastructure", 1, usa.Identity, noroshi.NoTLP, exact)))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for seed := range uint64(tier.N(3_000, 60_000)) {
		r := rand.New(rand.NewPCG(seed, 23))
		a := *base.Clauses.Agreement()
		a.Clauses = nil
		for i := range 1 + r.IntN(4) {
			a.Clauses = append(a.Clauses, noroshi.Clause{ID: string(rune('a' + i)), Cedar: randomClause(r), Generalise: []noroshi.Generalise{pick(r, wishes...)}[:r.IntN(2)]})
		}
		c := base
		if c.Clauses, err = release.Compile(&a); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		c.Allowed = []release.Allowance{{Rule: noroshi.StandingRule{ID: "r", MaxTLP: pick(r, noroshi.Clear, noroshi.Green, noroshi.Amber), Types: []string{"infrastructure"}}, Left: 1}}
		flash := r.IntN(4) == 0
		decide := func(l noroshi.Label) release.Decision {
			it := release.ItemOf(o, release.Facts{Source: made, Self: c.Self, Partner: c.Partner, Label: l})
			if flash {
				it.Precedence, it.Object = noroshi.Flash, nil
			}
			c.Items = []release.Item{it}
			return release.Decide(c)[0]
		}
		for range 30 {
			less, more := openMarking(r), openMarking(r)
			if r.IntN(2) == 0 {
				less = less.Join(openMarking(r))
			}
			more = less.Join(more)
			x, y := decide(less), decide(more)
			seen[x.Outcome.String()+" to "+y.Outcome.String()]++
			if y.Outcome < x.Outcome && (x.Outcome != noroshi.Redact || y.Outcome != noroshi.Release) || x.Outcome == y.Outcome && y.Outcome == noroshi.Hold && holds(y) < holds(x) {
				t.Fatalf("seed %d: marked %s %s %s, marked %s %s %s, under\n%s", seed, less, x.Outcome, x.Key, more, y.Outcome, y.Key, clausesOf(&a))
			}
			if y.Outcome == noroshi.Deny {
				continue
			}
			for _, e := range x.Cut {
				s, how := release.Generalised(e)
				if !slices.Contains(y.Cut, s) && (how == "" || !slices.Contains(y.Cut, e)) {
					t.Fatalf("seed %d: marked %s it leaves without %q, marked %s without %q, under\n%s", seed, less, x.Cut, more, y.Cut, clausesOf(&a))
				}
			}
		}
	}
	for _, change := range []string{"release to release", "redact to redact", "release to hold", "release to deny", "hold to hold", "hold to deny"} {
		if seen[change] == 0 {
			t.Errorf("never from %s: %v", change, seen)
		}
	}
}

// openMarking draws a marking that lets something out.
func openMarking(r *rand.Rand) noroshi.Label {
	acs := func(level noroshi.Level) noroshi.Label {
		return noroshi.Label{ACS: []noroshi.ACS{{Level: level, Authorised: level > noroshi.Unclassified, Custodian: "USA.DOD", Nations: []string{"JPN"}}}}
	}
	return pick(r, noroshi.Label{TLP: noroshi.Clear}, noroshi.Label{TLP: noroshi.Green}, noroshi.Label{TLP: noroshi.Amber}, noroshi.Label{TLP: noroshi.AmberStrict},
		noroshi.Label{IEP: []noroshi.IEP{{TLP: noroshi.Green, Start: now.AddDate(0, 0, -1)}}},
		acs(noroshi.Unclassified), acs(noroshi.Unclassified), acs(noroshi.Confidential), acs(noroshi.Secret),
		noroshi.Label{JPN: []noroshi.Japanese{{Kubun: noroshi.KubunOpen, Originator: "JPN.MOD"}}})
}

// holds orders holds by how many persons lift them; what none can lift is last.
func holds(d release.Decision) int {
	if n, ok := release.Approvals(d.Key); ok {
		return n
	}
	return 9
}

func clausesOf(a *noroshi.Agreement) string {
	var b strings.Builder
	for _, c := range a.Clauses {
		fmt.Fprintf(&b, "%s: %s %v\n", c.ID, c.Cedar, c.Generalise)
	}
	return b.String()
}

// TestClausesReadByBothRules: what a clause lets go more strictly marked goes
// marked less strictly by it, what is forbidden stays forbidden with more, and
// two kinds of markings go where either would.
func TestClausesReadByBothRules(t *testing.T) {
	acsU := noroshi.Label{ACS: []noroshi.ACS{{Level: noroshi.Unclassified, Custodian: "USA.DOD", Nations: []string{"JPN"}}}}
	tlp := func(l noroshi.TLP) noroshi.Label { return noroshi.Label{TLP: l} }
	permit := func(when string) string {
		return `permit (principal, action == Action::"release", resource) when { ` + when + ` };`
	}
	two := func(when string) string {
		return `permit (principal, action == Action::"releaseWithTwoPersons", resource) when { ` + when + ` };`
	}
	for _, x := range []struct {
		name    string
		clauses []string
		label   noroshi.Label
		want    noroshi.Outcome
		clause  string
		why     string
	}{
		{"exactly its level", []string{two("resource.level == 3")}, tlp(noroshi.Amber), noroshi.Hold, "a", "clause.two-persons"},
		{"a lower level", []string{two("resource.level == 3")}, tlp(noroshi.Green), noroshi.Hold, "a", "clause.two-persons"},
		{"a higher level", []string{two("resource.level == 3")}, tlp(noroshi.AmberStrict), noroshi.Deny, "", "clause.none"},
		{"the clause of its own level first", []string{permit("resource.level == 3"), permit("resource.level == 2")}, tlp(noroshi.Green), noroshi.Release, "b", "clause.permit"},
		{"more freely above than here", []string{two("resource.level == 2"), permit("resource.level == 3")}, tlp(noroshi.Green), noroshi.Release, "b", "clause.permit"},
		{"forbidden below", []string{permit("true"), `forbid (principal, action, resource) when { resource.level == 1 };`}, tlp(noroshi.Green), noroshi.Deny, "", "clause.none"},
		{"forbidden above", []string{permit("true"), `forbid (principal, action, resource) when { resource.level == 3 };`}, tlp(noroshi.Green), noroshi.Release, "a", "clause.permit"},
		{"no TLP where one is asked for", []string{permit("resource.level >= 1")}, acsU, noroshi.Deny, "", "clause.none"},
		{"nor with a TLP beside", []string{permit("resource.level >= 1")}, acsU.Join(tlp(noroshi.Clear)), noroshi.Deny, "", "clause.none-class"},
		{"either kind", []string{permit("resource.level >= 1"), permit("resource.level == 0")}, acsU.Join(tlp(noroshi.Clear)), noroshi.Release, "a", "clause.permit"},
		{"either kind, one with two persons", []string{permit("resource.level >= 1"), two("resource.level == 0")}, acsU.Join(tlp(noroshi.Clear)), noroshi.Hold, "b", "clause.two-persons"},
		{"TLP alone where a class is asked for", []string{permit("resource.classification >= 1")}, acsU.Join(tlp(noroshi.Clear)), noroshi.Deny, "", "clause.none-tlp"},
		{"no bound", []string{permit("resource.level <= 2")}, acsU.Join(tlp(noroshi.Green)), noroshi.Release, "a", "clause.permit"},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := readWorld(t).caseOf(t, "USA", "JPN", noroshi.Real)
			a := *c.Clauses.Agreement()
			a.Clauses = nil
			for i, text := range x.clauses {
				a.Clauses = append(a.Clauses, noroshi.Clause{ID: string(rune('a' + i)), Cedar: text})
			}
			var err error
			if c.Clauses, err = release.Compile(&a); err != nil {
				t.Fatal(err)
			}
			got := one(c, release.Item{ID: "x--1", Type: "indicator", Label: x.label, Origin: release.Self, Precedence: noroshi.Routine})
			if got.Outcome != x.want || got.Clause != x.clause || !slices.ContainsFunc(got.Reasons, func(r noroshi.Reason) bool { return r.Code == x.why }) {
				t.Errorf("%s by %q: %v, want %s by %q: %s", got.Outcome, got.Clause, got.Reasons, x.want, x.clause, x.why)
			}
		})
	}
}

// TestTemplateNeverWidens: a TLP beside an ACS marking frees nothing under the
// template, nor as FLASH under a standing rule.
func TestTemplateNeverWidens(t *testing.T) {
	c := readWorld(t).caseOf(t, "USA", "JPN", noroshi.Real)
	a := *agreed(t).Agreement()
	a.Parties, a.Entities = c.Clauses.Agreement().Parties, c.Clauses.Agreement().Entities
	var err error
	if c.Clauses, err = release.Compile(&a); err != nil {
		t.Fatal(err)
	}
	c.Allowed = []release.Allowance{{Rule: noroshi.StandingRule{ID: "r", MaxTLP: noroshi.Amber, Types: []string{"report"}}, Left: 9}}
	acsU := noroshi.Label{ACS: []noroshi.ACS{{Level: noroshi.Unclassified, Custodian: "USA.DOD", Nations: []string{"JPN"}}}}
	for _, p := range []noroshi.Precedence{noroshi.Routine, noroshi.Flash} {
		it := release.Item{ID: "report--1", Type: "report", Label: acsU, Origin: release.Self, Precedence: p}
		was := one(c, it)
		it.Label = acsU.Join(noroshi.Label{TLP: noroshi.Clear})
		if is := one(c, it); is.Outcome < was.Outcome || was.Outcome == noroshi.Deny {
			t.Errorf("%s: %s, and marked CLEAR too %s: %v", p, was.Outcome, is.Outcome, is.Reasons)
		}
	}
}
