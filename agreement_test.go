package noroshi_test

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
)

const agreementFile = `version = 1
realm = "real"
from = 2026-01-01T00:00:00Z
until = 2027-01-01T00:00:00Z
suites = ["S1"]
channels = ["https"]
%TERMS%
[[party]]
call_sign = "USA-01"
node = "01000000000000000000000000000000"
identity = "identity--d57b5236-557d-55b7-833c-5085983e62d4"
tokens = ["USA.DOD"]
[[party]]
call_sign = "JPN-01"
node = "02000000000000000000000000000000"
identity = "identity--5790eeaa-9674-55aa-ad8c-e5ea8bd3fd48"
%TABLE%`

func agreement(terms, table string) (*noroshi.Agreement, error) {
	return noroshi.ParseAgreement([]byte(strings.NewReplacer("%TERMS%", terms, "%TABLE%", table).Replace(agreementFile)))
}

func TestAgreementTerms(t *testing.T) {
	a, err := agreement("", "")
	if err != nil {
		t.Fatal(err)
	}
	if a.MaxLevel != noroshi.Unclassified || len(a.Entities) > 0 || a.Japanese.Of("公開") != noroshi.Unclassified || a.Japanese.Of("秘") != noroshi.NoLevel {
		t.Errorf("an agreement that says nothing: %+v", a)
	}
	a, err = agreement(`max_level = "S"`+"\n"+`entities = ["MIL", "GOV"]`, "[japanese_levels]\n\"秘\" = \"C\"\n\"極秘\" = \"S\"\n")
	if err != nil {
		t.Fatal(err)
	}
	if a.MaxLevel != noroshi.Secret || !slices.Equal(a.Entities, []string{"MIL", "GOV"}) || a.Japanese.Of("秘") != noroshi.Confidential || a.Japanese.Of("機密") != noroshi.NoLevel {
		t.Errorf("read as %+v", a)
	}
	for _, x := range [][2]string{
		{`max_level = "s"`, ""}, {`max_level = ""`, ""}, {`max_level = 3`, ""}, {`max_level = "SECRET"`, ""},
		{`entities = ["mil"]`, ""}, {`entities = ["ALL"]`, ""},
		{"", "[japanese_levels]\n\"㊙\" = \"C\"\n"}, {"", "[japanese_levels]\n\"公開\" = \"C\"\n"}, {"", "[japanese_levels]\n\"秘\" = \"X\"\n"}, {"", "[japanese_levels]\n\"秘\" = \"\"\n"},
	} {
		if a, err := agreement(x[0], x[1]); err == nil {
			t.Errorf("%s %s: read as %v %v %v", x[0], x[1], a.MaxLevel, a.Entities, a.Japanese)
		}
	}
}

// TestAgreementLimits: the terms that limit clauses are read strictly; a list
// that is empty, or a word that is none, refuses the file instead of meaning
// no limit.
func TestAgreementLimits(t *testing.T) {
	a, err := agreement(`types = ["indicator", "sighting"]
sectors = ["defence", "energy"]
communities = ["QUAD"]
onward = "listed"
onward_to = ["KOR", "AUS.DOD"]
retention_days = 90`, "[emergency]\nhours = 72\n")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a.Types, []string{"indicator", "sighting"}) || a.RetentionDays != 90 || a.Emergency.Hours != 72 || a.Onward != noroshi.OnwardListed {
		t.Errorf("read as %+v", a)
	}
	for name, want := range map[noroshi.CallSign]bool{"KOR-01": true, "AUS-01": true, "GBR-01": false} {
		if may, ask := a.PassesTo(noroshi.Party{CallSign: name, Tokens: []string{name.Country() + ".DOD"}}); may != want || ask {
			t.Errorf("%s: may %v, ask %v", name, may, ask)
		}
	}
	for _, x := range [][2]string{
		{`types = []`, ""}, {`types = ["a", "a"]`, ""}, {`types = [""]`, ""}, {`types = "indicator"`, ""}, {`sectors = []`, ""}, {`sectors = ["a b"]`, ""},
		{`onward = "maybe"`, ""}, {`onward = ""`, ""}, {`onward = "listed"`, ""}, {`onward = "none"` + "\n" + `onward_to = ["KOR"]`, ""}, {`onward_to = ["KOR"]`, ""},
		{`retention_days = 0`, ""}, {`retention_days = -1`, ""}, {`retention = 9`, ""},
		{"", "[emergency]\nhours = 0\n"}, {"", "[emergency]\nhours = 169\n"}, {"", "[emergency]\n"}, {"", "[emergency]\nhours = 1\nforever = true\n"},
	} {
		if _, err := agreement(x[0], x[1]); noroshi.KindOf(err) != noroshi.Invalid {
			t.Errorf("%s %s: %v, want Invalid", x[0], x[1], err)
		}
	}
}

// TestDiffAgreements: every key of the file is compared, and a change of each
// is found under its own name.
func TestDiffAgreements(t *testing.T) {
	old, err := agreement(`max_level = "C"`, "[[clause]]\nid=\"1\"\narticle_en=\"a\"\narticle_ja=\"a\"\nen=\"x\"\nja=\"x\"\ncedar='permit (principal, action, resource);'\n[[clause]]\nid=\"2\"\narticle_en=\"a\"\narticle_ja=\"a\"\nen=\"x\"\nja=\"x\"\ncedar='permit (principal, action, resource);'\n")
	if err != nil {
		t.Fatal(err)
	}
	if d := noroshi.DiffAgreements(old, old); len(d) > 0 {
		t.Errorf("an agreement differs from itself: %v", d)
	}
	now := *old
	now.MaxLevel, now.Types, now.Onward, now.Emergency = noroshi.Secret, []string{"b", "a"}, noroshi.OnwardNone, &noroshi.EmergencyTerms{Hours: 5}
	now.Clauses = []noroshi.Clause{old.Clauses[1], {ID: "3", ArticleEN: "n", ArticleJA: "n", EN: "n", JA: "n", Cedar: "n"}}
	now.Clauses[0].JA = "y"
	var got []string
	for _, c := range noroshi.DiffAgreements(old, &now) {
		got = append(got, strings.Join([]string{c.Of, c.Name, c.Key, c.Old, c.New}, "|"))
	}
	want := []string{"||max_level|C|S", "||types||a b", "||onward||none", "||emergency||5",
		"clause|1|article_en|a|", "clause|1|article_ja|a|", "clause|1|en|x|", "clause|1|ja|x|", "clause|1|cedar|permit (principal, action, resource);|",
		"clause|2|ja|x|y", "clause|3|article_en||n", "clause|3|article_ja||n", "clause|3|en||n", "clause|3|ja||n", "clause|3|cedar||n"}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, s := range []reflect.Type{reflect.TypeFor[noroshi.Agreement](), reflect.TypeFor[noroshi.Clause](), reflect.TypeFor[noroshi.Clock](), reflect.TypeFor[noroshi.Party](), reflect.TypeFor[noroshi.Carrier]()} {
		source, err := os.ReadFile("agreement_diff.go")
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.NumField() {
			key, _, _ := strings.Cut(s.Field(i).Tag.Get("toml"), ",")
			named := map[string]bool{"-": true, "id": true, "precedence": true, "call_sign": true, "kind": true}[key] // by these tables are told apart
			if !named && !strings.Contains(string(source), `"`+key+`"`) {
				t.Errorf("%s of %s is not compared", key, s)
			}
		}
	}
}
