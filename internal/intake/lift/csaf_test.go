package lift_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake/lift"
	"github.com/noroshi-cti/noroshi/stix"
)

// kinds counts objects by type.
func kinds(list []*stix.Object) string {
	count := map[string]int{}
	for _, o := range list {
		count[o.Type]++
	}
	var out []string
	for typ, n := range count {
		out = append(out, fmt.Sprintf("%s %d", typ, n))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// TestCSAF lifts a vendor's advisory with all that one has.
func TestCSAF(t *testing.T) {
	d := read(t, "csaf", file(t, "testdata/csaf-vendor.json"))
	list := objects(t, d)
	sound(t, list)
	if got, want := kinds(list), "course-of-action 2, identity 1, note 1, relationship 6, report 1, software 3, vulnerability 2"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := codes(d), "csaf-cpe cpe:/a:acme:gateway:4.2×1, csaf-distribution For customers under contract.×1, csaf-product GW-99×1, csaf-range vers:generic/<4.0×1, "+
		"csaf-relationship Acme Gateway 4.1 on Acme OS×1, member document.acknowledgments×1, member document.tracking.revision_history×1, member product_identification_helper.purl×1, member vulnerabilities.release_date×1, member vulnerabilities.remediations.restart_required×1"; got != want {
		t.Errorf("notes %s\nwant %s", got, want)
	}
	for _, item := range d.Items {
		if item.TLP != noroshi.Amber || item.Held != "" || !item.Own {
			t.Errorf("an item marked %s, held %q, own %v", item.TLP, item.Held, item.Own)
		}
		if item.Make != nil && (item.Created.String() != "2026-03-01T09:00:00.000Z" || item.Modified.String() != "2026-03-05T09:30:00.000Z") {
			t.Errorf("created %s, modified %s", item.Created, item.Modified)
		}
	}
	vulnerability := one(t, list, "vulnerability", "name", "CVE-2026-11111")
	const wantRefs = `[{"source_name":"cve","external_id":"CVE-2026-11111"},{"source_name":"cwe","description":"Out-of-bounds Write","external_id":"CWE-787"},` +
		`{"source_name":"Acme bug","external_id":"GW-1234"},{"source_name":"cvss_v3","description":"9.8 CRITICAL","external_id":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"},` +
		`{"source_name":"reference","description":"Details","url":"https://acme.example/gw-1234"}]`
	if got := string(vulnerability.Property("external_references")); got != wantRefs {
		t.Errorf("references %s", got)
	}
	if got := one(t, list, "note", "", "").Text("content"); got != "exploit_status: Exploited in the wild.\nfixed: Acme Gateway 4.2\nknown_not_affected: Acme OS\nno_fix_planned: End of life. (Acme Gateway before 4.0)" {
		t.Errorf("the note says %q", got)
	}
	report := one(t, list, "report", "", "")
	if len(report.Refs()) != len(list) || report.Text("description") != "Summary: Two faults in the gateway." || string(report.Property("labels")) != `["csaf-interim"]` {
		t.Errorf("%d references, %s", len(report.Refs()), report.Bytes())
	}
	gateway := one(t, list, "software", "name", "Acme Gateway 4.1")
	if gateway.Text("vendor") != "Acme" || gateway.Text("version") != "4.1" || gateway.Text("cpe") == "" {
		t.Errorf("%s", gateway.Bytes())
	}
	verbs := map[string]int{}
	for _, o := range list {
		verbs[o.Text("relationship_type")]++
	}
	if verbs["has"] != 4 || verbs["remediates"] != 1 || verbs["mitigates"] != 1 {
		t.Errorf("relationships %v", verbs)
	}
}

// TestCSAFOfJVN lifts an advisory as Japan's database writes them; of the same
// CVE id it speaks as another source.
func TestCSAFOfJVN(t *testing.T) {
	d := read(t, "csaf", file(t, "testdata/csaf-jvn.json"))
	list := objects(t, d)
	sound(t, list)
	if got, want := kinds(list), "course-of-action 1, identity 1, note 1, relationship 3, report 1, software 2, vulnerability 1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	report := one(t, list, "report", "", "")
	if report.Lang != "ja" || report.Text("published") != "2026-04-01T06:06:40.000Z" || !strings.Contains(string(report.Property("external_references")), "nvd.nist.gov") {
		t.Errorf("%s", report.Bytes())
	}
	if d.Items[0].TLP != noroshi.Clear {
		t.Errorf("marked %s", d.Items[0].TLP)
	}
	if got := codes(d); got != "member document.tracking.revision_history×1, member jvnextension×1, member status:Status×1" {
		t.Errorf("notes %s", got)
	}
	other := one(t, objects(t, read(t, "csaf", file(t, "testdata/csaf-vendor.json"))), "vulnerability", "name", "CVE-2026-11111")
	if v := one(t, list, "vulnerability", "", ""); v.ID == other.ID {
		t.Error("two publishers speak of one vulnerability")
	}
}

func TestCSAFHandling(t *testing.T) {
	t.Parallel()
	const label = `"distribution": {"text": "For customers under contract.", "tlp": {"label": "AMBER", "url": "https://www.first.org/tlp/"}}`
	vendor := file(t, "testdata/csaf-vendor.json")
	for with, want := range map[string]string{
		`"distribution": {"tlp": {"label": "RED"}}`:          "TLP:RED",
		`"distribution": {"tlp": {"label": "white"}}`:        "TLP:CLEAR",
		`"distribution": {"tlp": {"label": "AMBER+STRICT"}}`: "TLP:AMBER+STRICT",
		`"distribution": {"tlp": {"label": "PURPLE"}}`:       "held PURPLE",
		`"distribution": {"text": "Members only"}`:           "held Members only",
		`"source_lang": "en"`:                                "nothing",
	} {
		item := read(t, "csaf", strings.Replace(vendor, label, with, 1)).Items[0]
		got := "nothing"
		if item.TLP != noroshi.NoTLP {
			got = item.TLP.String()
		} else if item.Held != "" {
			got = "held " + item.Held
		}
		if got != want {
			t.Errorf("%s: %s, want %s", with, got, want)
		}
	}
}

// TestCSAFFaults: what makes it no advisory is an error that names the field; a
// bad vulnerability is one, and the others are lifted.
func TestCSAFFaults(t *testing.T) {
	t.Parallel()
	vendor := file(t, "testdata/csaf-vendor.json")
	deep := strings.Repeat(`{"category":"vendor","name":"x","branches":[`, 40) + strings.Repeat(`]}`, 40)
	for name, c := range map[string]struct{ from, to, err, fault string }{
		"version":      {`"csaf_version": "2.0"`, `"csaf_version": "1.2"`, "document.csaf_version", ""},
		"no title":     {`"title": "Gateway: remote code execution and bypass"`, `"titel": "x"`, "document.title: is missing", ""},
		"title":        {`"title": "Gateway: remote code execution and bypass"`, `"title": 5`, "/document/title: is a number, must be a text", ""},
		"date":         {`"2026-03-05T18:30:00+09:00"`, `"yesterday"`, "document.tracking.current_release_date", ""},
		"twice":        {`"csaf_version": "2.0"`, `"csaf_version": "2.0", "csaf_version": "2.0"`, "duplicate", ""},
		"broken":       {`"vulnerabilities": [`, `"vulnerabilities": `, "broken JSON", ""},
		"no list":      {`"vulnerabilities": [`, `"vulnerabilities": 5, "x": [`, "must be a list", ""},
		"deep":         {`"branches": [{"category": "vendor", "name": "Acme"`, `"branches": [` + deep + `, {"category": "vendor", "name": "Acme"`, "30 branches", ""},
		"cve":          {`"cve": "CVE-2026-11111"`, `"cve": "CVE-1"`, "", `cve: "CVE-1" is no CVE id`},
		"status":       {`"product_status": {"known_affected": ["GW-41", "GW-99"]}`, `"product_status": []`, "", "/product_status: is a list, must be an object"},
		"remediations": {`"remediations": [`, `"remediations": 7, "x": [`, "", "/remediations: is a number, must be a list"},
	} {
		text := strings.Replace(vendor, c.from, c.to, 1)
		if text == vendor {
			t.Fatalf("%s: nothing is replaced", name)
		}
		d, err := lift.Named("csaf").Lift([]byte(text), feed)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want %q", name, err, c.err)
			}
			continue
		}
		if f := strings.Join(faults(d), "; "); err != nil || f != c.fault || !strings.Contains(kinds(objects(t, d)), "vulnerability 1") {
			t.Errorf("%s: error %v, faults %q, want %q", name, err, f, c.fault)
		}
	}
}

func FuzzCSAF(f *testing.F) {
	f.Add(file(f, "testdata/csaf-vendor.json"))
	f.Add(file(f, "testdata/csaf-jvn.json"))
	f.Fuzz(func(t *testing.T, text string) { fuzzed(t, "csaf", text) })
}
