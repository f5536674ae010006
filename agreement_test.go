package noroshi_test

import (
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
