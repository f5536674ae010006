package release_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
)

func TestTemplateIsAnAgreement(t *testing.T) {
	jpn := jpn
	jpn.Tokens = []string{`JPN.MOD`, `odd "token" \`}
	file := release.Template(release.Draft{
		Realm: real, Self: usa, Partner: jpn, From: now, Until: now.AddDate(1, 0, 0),
		Statements: []string{"Copyright 2015-2025, The MITRE Corporation.", "二行\n目 \"x\" \\"},
	})
	a, err := noroshi.ParseAgreement(file)
	if err != nil {
		t.Fatalf("%v\n%s", err, file)
	}
	if err := release.CheckClauses(a); err != nil {
		t.Fatal(err)
	}
	if len(a.Clauses) != 3 || a.Statements[1] != "二行\n目 \"x\" \\" || a.Parties[1].Tokens[1] != `odd "token" \` || len(a.Clocks) != 4 || a.Clauses[0].ArticleJA != "第1条" {
		t.Errorf("read back: %+v", a)
	}
	if other, ok := a.Other(usa.Node); !ok || other.Node != jpn.Node {
		t.Errorf("other party is %v", other)
	}
}

// TestSchemaIsOnTheWirePage: the page by which another reader decides has the
// schema clauses are checked against.
func TestSchemaIsOnTheWirePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/wire.md")
	if err != nil {
		t.Fatal(err)
	}
	words := func(s string) string { return strings.Join(strings.Fields(s), "") }
	plain := strings.NewReplacer(",}", "}", ",{", "{").Replace
	if !strings.Contains(plain(words(string(page))), plain(words(release.Schema))) {
		t.Error("docs/wire.md lacks release.Schema")
	}
	for _, key := range tomlKeys(reflect.TypeFor[noroshi.Agreement]()) {
		if !strings.Contains(string(page), "`"+key+"`") && !strings.Contains(string(page), "`["+key+"]`") && !strings.Contains(string(page), "`[["+key+"]]`") {
			t.Errorf("docs/wire.md lacks the key %s of an agreement file", key)
		}
	}
}

// tomlKeys lists the keys of a struct's file, those of its tables too.
func tomlKeys(t reflect.Type) (keys []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
		if key == "" || key == "-" {
			continue
		}
		keys = append(keys, key)
		if k := f.Type.Kind(); (k == reflect.Slice || k == reflect.Pointer) && f.Type.Elem().Kind() == reflect.Struct {
			keys = append(keys, tomlKeys(f.Type.Elem())...)
		}
	}
	return keys
}

// TestTemplateShowsTheTerms: the terms a template shows as comments are such.
func TestTemplateShowsTheTerms(t *testing.T) {
	file := string(release.Template(release.Draft{Realm: real, Self: usa, Partner: jpn, From: now, Until: now.AddDate(1, 0, 0)}))
	for _, name := range []string{"max_level", "entities", "japanese_levels"} {
		file = strings.Replace(file, "\n# "+name+" =", "\n"+name+" =", 1)
	}
	a, err := noroshi.ParseAgreement([]byte(file))
	if err != nil {
		t.Fatalf("%v\n%s", err, file)
	}
	if a.MaxLevel != noroshi.Unclassified || len(a.Entities) != 2 || len(a.Japanese) != 5 {
		t.Errorf("read as %v %v %v", a.MaxLevel, a.Entities, a.Japanese)
	}
}

func TestTemplateClauses(t *testing.T) {
	c := release.Case{Realm: real, Now: now, Self: usa.Identity, Partner: jpn, Clauses: agreed(t)}
	item := func(typ string, level noroshi.TLP, from release.Origin, p noroshi.Precedence, warning bool) release.Item {
		return release.Item{ID: "indicator--1", Type: typ, Label: noroshi.Label{TLP: level}, Origin: from, Precedence: p, Warning: warning}
	}
	for _, x := range []struct {
		name   string
		item   release.Item
		want   noroshi.Outcome
		key    noroshi.HoldKey
		clause string
	}{
		{"CLEAR by itself", item("indicator", noroshi.Clear, release.Other, noroshi.Routine, false), noroshi.Release, "", "1"},
		{"GREEN identity", item("identity", noroshi.Green, release.Self, noroshi.Routine, false), noroshi.Release, "", "1"},
		{"GREEN of a third party", item("malware", noroshi.Green, release.Other, noroshi.Routine, false), noroshi.Release, "", "1"},
		{"AMBER sighting", item("sighting", noroshi.Amber, release.Self, noroshi.Priority, false), noroshi.Release, "", "1"},
		{"AMBER warning", item("report", noroshi.Amber, release.Self, noroshi.Immediate, true), noroshi.Release, "", "1"},
		{"AMBER translation of a warning", item("language-content", noroshi.Amber, release.Self, noroshi.Immediate, true), noroshi.Release, "", "1"},
		{"AMBER report", item("report", noroshi.Amber, release.Self, noroshi.Routine, false), noroshi.Hold, noroshi.TwoPersons, "2"},
		{"AMBER indicator", item("indicator", noroshi.Amber, release.Self, noroshi.Routine, false), noroshi.Hold, noroshi.TwoPersons, "2"},
		{"AMBER of a third party", item("indicator", noroshi.Amber, release.Other, noroshi.Routine, false), noroshi.Deny, "", ""},
		{"AMBER+STRICT", item("indicator", noroshi.AmberStrict, release.Self, noroshi.Routine, false), noroshi.Hold, noroshi.TwoPersons, "2"},
		{"AMBER+STRICT sighting", item("sighting", noroshi.AmberStrict, release.Self, noroshi.Priority, false), noroshi.Hold, noroshi.TwoPersons, "2"},
		{"RED", item("indicator", noroshi.Red, release.Self, noroshi.Routine, false), noroshi.Deny, "", ""},
		{"FLASH", item("report", noroshi.Green, release.Self, noroshi.Flash, true), noroshi.Hold, noroshi.TwoPersons, "3"},
		{"FLASH AMBER", item("report", noroshi.Amber, release.Self, noroshi.Flash, true), noroshi.Hold, noroshi.TwoPersons, "3"},
	} {
		t.Run(x.name, func(t *testing.T) {
			c.Items = []release.Item{x.item}
			got := release.Decide(c)[0]
			if got.Outcome != x.want || got.Key != x.key || got.Clause != x.clause {
				t.Errorf("got %s %s clause %q, want %s %s clause %q: %v", got.Outcome, got.Key, got.Clause, x.want, x.key, x.clause, got.Reasons)
			}
		})
	}
}

func TestFlashNeedsTwoPersonsWhateverAClauseSays(t *testing.T) {
	a := *agreed(t).Agreement()
	a.Clauses = []noroshi.Clause{{ID: "9", Cedar: `permit (principal, action, resource);`}}
	clauses, err := release.Compile(&a)
	if err != nil {
		t.Fatal(err)
	}
	it := release.Item{ID: "report--1", Type: "report", Label: noroshi.Label{TLP: noroshi.Clear}, Precedence: noroshi.Flash}
	got := release.Decide(release.Case{Realm: real, Now: now, Partner: jpn, Clauses: clauses, Items: []release.Item{it}})[0]
	if got.Outcome != noroshi.Hold || got.Key != noroshi.TwoPersons {
		t.Errorf("got %s %s", got.Outcome, got.Key)
	}
}

func TestForbidBeatsPermit(t *testing.T) {
	a := *agreed(t).Agreement()
	a.Clauses = []noroshi.Clause{
		{ID: "1", Cedar: `permit (principal, action == Action::"release", resource);`},
		{ID: "2", Cedar: `forbid (principal, action, resource) when { resource.known_good };`},
	}
	clauses, err := release.Compile(&a)
	if err != nil {
		t.Fatal(err)
	}
	for good, want := range map[bool]noroshi.Outcome{false: noroshi.Release, true: noroshi.Deny} {
		it := release.Item{ID: "indicator--1", Type: "indicator", Label: noroshi.Label{TLP: noroshi.Green}, Precedence: noroshi.Routine, KnownGood: good}
		got := release.Decide(release.Case{Realm: real, Now: now, Partner: jpn, Clauses: clauses, Items: []release.Item{it}})[0]
		if got.Outcome != want {
			t.Errorf("known good %v: got %s, want %s", good, got.Outcome, want)
		}
	}
}

func TestClauseReadsTheMoment(t *testing.T) {
	a := *agreed(t).Agreement()
	a.Clauses = []noroshi.Clause{{ID: "1", Cedar: `permit (principal, action == Action::"release", resource) when { context.now < ` + "1795305600000" + ` };`}}
	clauses, err := release.Compile(&a)
	if err != nil {
		t.Fatal(err)
	}
	it := release.Item{ID: "indicator--1", Type: "indicator", Label: noroshi.Label{TLP: noroshi.Green}, Precedence: noroshi.Routine}
	c := release.Case{Realm: real, Now: now, Partner: jpn, Clauses: clauses, Items: []release.Item{it}}
	if got := release.Decide(c)[0].Outcome; got != noroshi.Release {
		t.Errorf("before: got %s", got)
	}
	c.Now = now.AddDate(0, 0, 2)
	if got := release.Decide(c)[0].Outcome; got != noroshi.Deny {
		t.Errorf("after: got %s", got)
	}
}

func TestCheckClausesRefuses(t *testing.T) {
	for name, x := range map[string]struct{ cedar, want string }{
		"unknown attribute": {`permit (principal, action, resource) when { resource.colour == "red" };`, "colour"},
		"wrong type":        {`permit (principal, action, resource) when { resource.level == "amber" };`, ""},
		"unknown action":    {`permit (principal, action == Action::"send", resource);`, "send"},
		"unknown entity":    {`permit (principal in Group::"all", action, resource);`, "Group"},
		"syntax":            {`permit (principal, action, resource`, "clause 7"},
		"no policy":         {`// nothing`, "no policy"},
	} {
		t.Run(name, func(t *testing.T) {
			a := *agreed(t).Agreement()
			a.Clauses = []noroshi.Clause{{ID: "7", Cedar: x.cedar}}
			err := release.CheckClauses(&a)
			if noroshi.KindOf(err) != noroshi.Invalid || !strings.Contains(err.Error(), x.want) {
				t.Errorf("got %v, want an Invalid error with %q", err, x.want)
			}
		})
	}
}
