package lift_test

import (
	"encoding/csv"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/internal/intake/lift"
)

const kevHead = "cveID,vendorProject,product,vulnerabilityName,dateAdded,shortDescription,requiredAction,dueDate,knownRansomwareCampaignUse,notes,cwes\n"

// TestKEVCatalogue lifts the whole catalogue, as JSON and as the CSV it is also
// published as: both say the same.
func TestKEVCatalogue(t *testing.T) {
	text := file(t, root+"testdata/advisories/kev.json.gz")
	list := objects(t, read(t, "kev", text))
	sound(t, list[:400])
	if got, want := kinds(list), "note 1404, relationship 1404, software 590, vulnerability 1404"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	var catalogue struct {
		Vulnerabilities []map[string]any `json:"vulnerabilities"`
	}
	if err := json.Unmarshal([]byte(text), &catalogue); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	w := csv.NewWriter(&b)
	heads := strings.Split(strings.TrimSpace(kevHead), ",")
	w.Write(heads)
	for _, v := range catalogue.Vulnerabilities {
		var row []string
		for _, h := range heads {
			cell, _ := v[h].(string)
			if h == "cwes" {
				for i, c := range v[h].([]any) {
					if i > 0 {
						cell += ", "
					}
					cell += c.(string)
				}
			}
			row = append(row, cell)
		}
		w.Write(row)
	}
	w.Flush()
	same := objects(t, read(t, "kev", b.String()))
	if len(same) != len(list) {
		t.Fatalf("%d objects of the CSV, %d of the JSON", len(same), len(list))
	}
	for i := range list {
		if string(list[i].Bytes()) != string(same[i].Bytes()) {
			t.Fatalf("JSON %s\n CSV %s", list[i].Bytes(), same[i].Bytes())
		}
	}
}

func TestKEVFaults(t *testing.T) {
	t.Parallel()
	entry := func(id, added, due string) string {
		return `{"cveID":"` + id + `","product":"p","dateAdded":"` + added + `","dueDate":"` + due + `"}`
	}
	wrap := func(list ...string) string {
		return `{"catalogVersion":"1","count":3,"vulnerabilities":[` + strings.Join(list, ",") + `]}`
	}
	good := entry("CVE-2026-0001", "2026-01-01", "2026-01-02")
	d := read(t, "kev", wrap(good, entry("CVE-X", "2026-01-01", ""), entry("CVE-2026-0002", "soon", ""), entry("CVE-2026-0003", "2026-01-01", "2026-02-30"), `{"cveID":7}`, `[]`, strings.Replace(good, `"product"`, `"severity":"high","product"`, 1)))
	want := []string{`cveID: "CVE-X" is no CVE id`, `dateAdded: "soon" is no date like 2026-01-31`, `dueDate: "2026-02-30" is no date like 2026-01-31`, "/cveID: is a number, must be a text", ": is a list, must be an object"}
	if got := faults(d); !slices.Equal(got, want) {
		t.Errorf("faults %q", got)
	}
	if got := codes(d); got != "kev-count 3 7×1, member severity×1" {
		t.Errorf("notes %s", got)
	}
	d = read(t, "kev", kevHead+"CVE-2026-0001,a,b,c,2026-01-01,d,e,,,,\nCVE-2026-0002,short\n\"CVE-2026-0003\" x,\nCVE-2026-0004,a,b,c,2026-01-01,d,e,,,,\n")
	if got := faults(d); len(got) != 2 || !strings.HasPrefix(got[0], "2 cells, the first line has 11") || got[1] != "something follows a closing quote" {
		t.Errorf("faults %q", got)
	}
	for _, bad := range []string{`{"vulnerabilities":`, `{}`, `[]`, ``, `x`, `{"vulnerabilities":5}`, wrap() + "x"} {
		if _, err := lift.Named("kev").Lift([]byte(bad), feed); err == nil {
			t.Errorf("%q is lifted", bad)
		}
	}
}

func FuzzKEV(f *testing.F) {
	f.Add(`{"catalogVersion":"1","count":1,"vulnerabilities":[{"cveID":"CVE-2026-0001","product":"p","dateAdded":"2026-01-01","dueDate":"2026-01-02","requiredAction":"x"}]}`)
	f.Add(kevHead + "CVE-2026-0001,a,b,c,2026-01-01,d,e,,Known,,CWE-1\n")
	f.Fuzz(func(t *testing.T, text string) { fuzzed(t, "kev", text) })
}
