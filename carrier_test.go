package noroshi_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
)

func carrying(t *testing.T, channels, terms, table string) (*noroshi.Agreement, error) {
	t.Helper()
	file := strings.NewReplacer(`["https"]`, channels, "%TERMS%", terms, "%TABLE%", table).Replace(agreementFile)
	return noroshi.ParseAgreement([]byte(file))
}

// TestWhatAChannelMayCarry: without a word of it https carries everything and
// the others what is AMBER at most and unclassified; a table says otherwise.
func TestWhatAChannelMayCarry(t *testing.T) {
	t.Parallel()
	kubun := "[japanese_levels]\n\"部内限り\" = \"U\"\n\"秘\" = \"C\"\n"
	silent, err := carrying(t, `["https", "mail", "line"]`, `max_level = "S"`, kubun)
	if err != nil {
		t.Fatal(err)
	}
	told, err := carrying(t, `["https", "mail", "line"]`, `max_level = "S"`, kubun+
		"[[channel]]\nkind = \"https\"\nmax_tlp = \"tlp:green\"\n[[channel]]\nkind = \"mail\"\nmax_tlp = \"TLP:RED\"\nmax_level = \"C\"\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		label        string
		silent, told string // over which kinds it goes
	}{
		{"TLP:CLEAR", "https mail line", "https mail line"},
		{"TLP:AMBER", "https mail line", "mail line"},
		{"TLP:AMBER+STRICT", "https", "mail"},
		{"TLP:RED", "https", "mail"},
		{"TLP:GREEN;IEP:AMBER,2026-01-01T00:00:00Z", "https mail line", "mail line"},
		{"TLP:GREEN;IEP:RED,2026-01-01T00:00:00Z", "https", "mail"},
		{"TLP:GREEN;ACS:U,USA.DOD,priv+,share+", "https mail line", "https mail line"},
		{"TLP:GREEN;ACS:C,USA.DOD,priv+,share+", "https", "https mail"},
		{"TLP:GREEN;ACS:S,USA.DOD,priv+,share+", "https", "https"},
		{"TLP:GREEN;ACS:U,USA.DOD,priv+,share+,compartments", "https", "https"},
		{"TLP:GREEN;JPN:公開,JPN.MOD", "https mail line", "https mail line"},
		{"TLP:GREEN;JPN:部内限り,JPN.MOD,USA", "https mail line", "https mail line"},
		{"TLP:GREEN;JPN:秘,JPN.MOD,USA", "https", "https mail"},
		{"TLP:GREEN;JPN:機密,JPN.MOD,USA", "", ""}, // equal to nothing here: no channel is fit for it
	} {
		l, err := noroshi.ParseLabel(c.label)
		if err != nil {
			t.Fatalf("%s: %v", c.label, err)
		}
		over := func(a *noroshi.Agreement) string {
			return strings.Join(slices.DeleteFunc(slices.Clone(noroshi.ChannelKinds), func(k string) bool { return !a.Carries(k, l) }), " ")
		}
		if got := over(silent); got != c.silent {
			t.Errorf("without a table %s goes over %q, want %q", c.label, got, c.silent)
		}
		if got := over(told); got != c.told {
			t.Errorf("with a table %s goes over %q, want %q", c.label, got, c.told)
		}
	}
	if silent.Lists("media") || !silent.Lists("line") || len(silent.SuitesOn("media")) > 0 || !slices.Equal(silent.SuitesOn("line"), []string{"S1"}) {
		t.Errorf("media listed %v, line %v; suites %v, %v", silent.Lists("media"), silent.Lists("line"), silent.SuitesOn("media"), silent.SuitesOn("line"))
	}
}

func TestChannelsAreReadStrictly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ channels, table string }{
		"unknown kind":               {`["https", "pigeon"]`, ""},
		"a kind twice":               {`["https", "https"]`, ""},
		"a table of none":            {`["https"]`, "[[channel]]\nkind = \"mail\"\n"},
		"a table without kind":       {`["https"]`, "[[channel]]\nmax_tlp = \"tlp:red\"\n"},
		"two tables of one":          {`["https"]`, "[[channel]]\nkind = \"https\"\n[[channel]]\nkind = \"https\"\n"},
		"no level":                   {`["https"]`, "[[channel]]\nkind = \"https\"\nmax_tlp = \"\"\n"},
		"another level":              {`["https"]`, "[[channel]]\nkind = \"https\"\nmax_tlp = \"amber\"\n"},
		"no classification":          {`["https"]`, "[[channel]]\nkind = \"https\"\nmax_level = \"\"\n"},
		"above the agreement":        {`["https"]`, "[[channel]]\nkind = \"https\"\nmax_level = \"C\"\n"},
		"no suites":                  {`["https"]`, "[[channel]]\nkind = \"https\"\nsuites = []\n"},
		"a suite nobody agreed on":   {`["https"]`, "[[channel]]\nkind = \"https\"\nsuites = [\"S1H\"]\n"},
		"a key that is not known":    {`["https"]`, "[[channel]]\nkind = \"https\"\ntlp = \"tlp:red\"\n"},
		"an agreement of no kind":    {`[]`, ""},
		"a kind in another spelling": {`["HTTPS"]`, ""},
	} {
		if a, err := carrying(t, c.channels, "", c.table); err == nil {
			t.Errorf("%s: read as %v %+v", name, a.Channels, a.Carriers)
		}
	}
}
