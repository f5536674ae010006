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
