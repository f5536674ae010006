package release_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
)

// former is the Cedar of the template before it was made of forms.
var former = []string{`permit (principal, action == Action::"release", resource)
when { resource.level >= 1 && resource.level <= 2 && resource.precedence < 4 };
permit (principal, action == Action::"release", resource)
when {
  resource.level == 3 && resource.precedence < 4 && resource.source == "self" &&
  (resource.type == "sighting" || resource.warning)
};
`, `permit (principal, action == Action::"releaseWithTwoPersons", resource)
when { resource.level >= 3 && resource.level <= 4 && resource.source == "self" && resource.precedence < 4 };
`, `permit (principal, action == Action::"releaseWithTwoPersons", resource)
when { resource.level >= 1 && resource.level <= 4 && resource.precedence == 4 };
`}

// TestTemplateClausesAreForms: every clause of the template can be edited as a
// form, comes back the same, and means what it meant as Cedar written by hand.
func TestTemplateClausesAreForms(t *testing.T) {
	a := agreed(t).Agreement()
	for _, c := range a.Clauses {
		forms, ok := release.FormsOf(c.Cedar)
		if !ok {
			t.Fatalf("clause %s is no form:\n%s", c.ID, c.Cedar)
		}
		if got := release.FormsCedar(forms...); got != c.Cedar {
			t.Errorf("clause %s comes back as\n%s\nwant\n%s", c.ID, got, c.Cedar)
		}
	}
	byHand := *a
	byHand.Clauses = nil
	for i, c := range a.Clauses {
		c.Cedar = former[i]
		byHand.Clauses = append(byHand.Clauses, c)
	}
	same(t, a, &byHand)
}

// same holds two agreements against each other for every class of objects.
func same(t testing.TB, a, b *noroshi.Agreement) {
	t.Helper()
	x, err := release.Compile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := release.Compile(b)
	if err != nil {
		t.Fatal(err)
	}
	for level := noroshi.NoTLP; level <= noroshi.Red; level++ {
		for p := noroshi.Routine; p <= noroshi.Flash; p++ {
			for _, from := range []release.Origin{release.Other, release.Self, release.Partner} {
				for _, typ := range []string{"sighting", "indicator", "report"} {
					for _, warning := range []bool{false, true} {
						it := release.Item{ID: "x--1", Type: typ, Label: noroshi.Label{TLP: level}, Origin: from, Precedence: p, Warning: warning}
						c := release.Case{Realm: real, Now: now, Self: usa.Identity, Partner: jpn, Clauses: x}
						got := one(c, it)
						c.Clauses = y
						if want := one(c, it); got.Outcome != want.Outcome || got.Key != want.Key || got.Clause != want.Clause {
							t.Errorf("%+v: %s %s by %q, and %s %s by %q", it, got.Outcome, got.Key, got.Clause, want.Outcome, want.Key, want.Clause)
						}
					}
				}
			}
		}
	}
}

// TestFormsComeBack: what a form writes is a policy that fits the schema and
// reads back as the same form.
func TestFormsComeBack(t *testing.T) {
	words := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"indicator", "sighting", "防衛", `q"uote`, `back\slash`, "energy"}), 0, 3, rapid.ID[string])
	some := func(r *rapid.T, name string) []string {
		if l := words.Draw(r, name); len(l) > 0 {
			return l
		}
		return nil
	}
	rapid.Check(t, func(r *rapid.T) {
		want := release.ClauseForm{
			TwoPersons: rapid.Bool().Draw(r, "two"), EmergencyOnly: rapid.Bool().Draw(r, "emergency"),
			Types: some(r, "types"), Sources: some(r, "sources"), Sectors: some(r, "sectors"),
			MinTLP: noroshi.TLP(rapid.IntRange(0, 5).Draw(r, "min")), MaxTLP: noroshi.TLP(rapid.IntRange(0, 5).Draw(r, "max")),
			MaxLevel:      noroshi.Level(rapid.IntRange(0, 4).Draw(r, "level")),
			MinPrecedence: noroshi.Precedence(rapid.IntRange(0, 4).Draw(r, "low")), MaxPrecedence: noroshi.Precedence(rapid.IntRange(0, 4).Draw(r, "high")),
			Warnings: rapid.SampledFrom([]release.Warnings{release.AllObjects, release.OnlyWarnings, release.NoWarnings}).Draw(r, "warnings"),
		}
		text := want.Cedar()
		a := *agreed(t).Agreement()
		a.Clauses = []noroshi.Clause{{ID: "1", Cedar: text}}
		if err := release.CheckClauses(&a); err != nil {
			r.Fatalf("%v:\n%s", err, text)
		}
		if got, ok := release.FormsOf(text); !ok || len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			r.Fatalf("%s\nreads back as %+v, %v, want %+v", text, got, ok, want)
		}
	})
}

// TestWhatIsNoForm: a clause that forms do not say is Cedar only, never a form
// that says less.
func TestWhatIsNoForm(t *testing.T) {
	const head = `permit (principal, action == Action::"release", resource)`
	for name, text := range map[string]string{
		"forbid":             `forbid (principal, action == Action::"release", resource);`,
		"any action":         `permit (principal, action, resource);`,
		"one partner":        `permit (principal == Node::"x", action == Action::"release", resource);`,
		"or":                 head + ` when { resource.warning || resource.level == 1 };`,
		"unless":             head + ` unless { resource.warning };`,
		"when and unless":    head + ` when { resource.warning } unless { resource.revoked };`,
		"annotation":         `@note("x") ` + head + `;`,
		"other attribute":    head + ` when { resource.known_good };`,
		"the moment":         head + ` when { context.now < 5 };`,
		"a literal":          head + ` when { true };`,
		"nought":             head + ` when { resource.level <= 0 };`,
		"six":                head + ` when { resource.level <= 6 };`,
		"negative":           head + ` when { resource.level >= -1 };`,
		"two upper bounds":   head + ` when { resource.level <= 3 && resource.level <= 2 };`,
		"two lists of types": head + ` when { resource.type == "a" && resource.type == "b" };`,
		"both and neither":   head + ` when { resource.warning && !resource.warning };`,
		"no words":           head + ` when { [].contains(resource.type) };`,
		"class from below":   head + ` when { resource.classification >= 2 };`,
		"turned round":       head + ` when { 3 >= resource.level };`,
		"one of several":     head + `;` + ` forbid (principal, action, resource);`,
		"syntax":             `permit`, "nothing": ``,
	} {
		if forms, ok := release.FormsOf(text); ok {
			t.Errorf("%s: %s is read as %+v", name, text, forms)
		}
	}
	for text, want := range map[string]release.ClauseForm{
		head + `;`: {},
		head + ` when { resource.type == "a" && (resource.level < 3 && resource.level > 1) };`: {Types: []string{"a"}, MinTLP: 2, MaxTLP: 2},
		head + ` when { resource.precedence == 4 };`:                                           {MinPrecedence: 4, MaxPrecedence: 4},
	} {
		if forms, ok := release.FormsOf(text); !ok || len(forms) != 1 || !reflect.DeepEqual(forms[0], want) {
			t.Errorf("%s is read as %+v, %v", text, forms, ok)
		}
	}
}

func TestFormsThatCannotBe(t *testing.T) {
	for code, f := range map[string]release.ClauseForm{
		"min-tlp": {MinTLP: 6}, "max-tlp": {MinTLP: noroshi.Amber, MaxTLP: noroshi.Green}, "max-level": {MaxLevel: 9},
		"min-precedence": {MinPrecedence: 9}, "max-precedence": {MinPrecedence: noroshi.Flash, MaxPrecedence: noroshi.Routine},
		"sources": {Sources: []string{"me"}}, "warnings": {Warnings: "some"}, "types": {Types: []string{""}}, "sectors": {Sectors: []string{"a\nb"}},
	} {
		err := release.CheckForms(release.ClauseForm{}, f)
		var known *noroshi.Error
		if !errors.As(err, &known) || known.Kind != noroshi.Invalid || known.Code != "agreement.form-"+code || known.Args[0] != "2" {
			t.Errorf("%s: %+v", code, err)
		}
	}
	if err := release.CheckForms(); noroshi.KindOf(err) != noroshi.Invalid {
		t.Errorf("no form: %v", err)
	}
	if err := release.CheckForms(release.ClauseForm{Types: []string{"indicator"}, Sectors: []string{"防衛"}, MaxTLP: noroshi.Green}); err != nil {
		t.Error(err)
	}
}

// TestPutForms: forms take the place of one clause's policies and nothing else
// in the file changes; what cannot be replaced for certain is refused.
func TestPutForms(t *testing.T) {
	file := string(agreed(t).Agreement().File)
	old := agreed(t).Agreement().Clauses
	forms := []release.ClauseForm{{MaxTLP: noroshi.Green, Types: []string{"tool"}}, {TwoPersons: true, MaxTLP: noroshi.Amber}}
	got, err := release.PutForms([]byte(file), "2", forms)
	if want := strings.Replace(file, old[1].Cedar, release.FormsCedar(forms...), 1); err != nil || string(got) != want {
		t.Fatalf("%v:\n%s\nwant\n%s", err, got, want)
	}
	line := strings.Replace(file, "cedar = '''\n"+old[1].Cedar+"'''", `cedar = 'permit (principal, action == Action::"release", resource);'`, 1)
	if got, err = release.PutForms([]byte(line), "2", forms); err != nil {
		t.Fatal(err)
	}
	a, err := noroshi.ParseAgreement(got)
	if err != nil {
		t.Fatal(err)
	}
	if back, ok := release.FormsOf(a.Clauses[1].Cedar); !ok || !reflect.DeepEqual(back, forms) {
		t.Errorf("in one line: %+v, %v of %q", back, ok, a.Clauses[1].Cedar)
	}
	// What a word says never leaves its quotes.
	odd := []release.ClauseForm{{Sectors: []string{"''' x = '''"}}}
	if got, err = release.PutForms([]byte(file), "2", odd); err != nil {
		t.Fatal(err)
	}
	if a, err = noroshi.ParseAgreement(got); err != nil || len(a.Clauses) != 3 {
		t.Fatal(err)
	}
	if back, ok := release.FormsOf(a.Clauses[1].Cedar); !ok || !reflect.DeepEqual(back, odd) {
		t.Errorf("odd words: %+v, %v", back, ok)
	}
	for name, x := range map[string]struct {
		file, clause, code string
		forms              []release.ClauseForm
	}{
		"no such clause":   {file, "8", "agreement.no-clause", forms},
		"no form":          {file, "2", "agreement.form-none", nil},
		"a form":           {file, "2", "agreement.form-warnings", []release.ClauseForm{{Warnings: "x"}}},
		"no agreement":     {"x", "2", "agreement.syntax", forms},
		"twice":            {strings.Replace(file, old[0].Cedar, old[1].Cedar, 1), "2", "agreement.clause-place", forms},
		"with escapes":     {strings.Replace(file, "cedar = '''\n"+old[1].Cedar+"'''", `cedar = "permit (principal, action == Action::\"release\", resource);"`, 1), "2", "agreement.clause-place", forms},
		"another is bad":   {strings.Replace(file, old[0].Cedar, "permit\n", 1), "2", "agreement.clause", forms},
		"in a basic quote": {strings.Replace(file, "cedar = '''\n"+old[1].Cedar+"'''", `cedar = "permit (principal, action, resource);"`, 1), "2", "agreement.clause-quotes", forms},
	} {
		got, err := release.PutForms([]byte(x.file), x.clause, x.forms)
		var known *noroshi.Error
		if !errors.As(err, &known) || known.Code != x.code || got != nil {
			t.Errorf("%s: %v, want %s:\n%s", name, err, x.code, got)
		}
	}
}
