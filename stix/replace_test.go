package stix_test

import (
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/stix"
)

// TestReplace: another text in one place, every other byte as it was; what
// identifies, marks or refers stays.
func TestReplace(t *testing.T) {
	const raw = ` {"type":"infrastructure","spec_version":"2.1", "id":"infrastructure--00000000-0000-4000-8000-000000000001",
"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"a","x_l":[{"k":"x"},"y"],"x_n":1,
"created_by_ref":"identity--00000000-0000-4000-8000-000000000002","object_marking_refs":["marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487"]} `
	for selector, want := range map[string]string{
		"name":      `"name":"é\"b"`,
		"x_l.[0].k": `[{"k":"é\"b"},"y"]`,
		"x_l.[1]":   `[{"k":"x"},"é\"b"]`,
		"x_n":       "", "x_l": "", "x_l.[2]": "", "none": "", "": "", "id": "", "type": "", "modified": "", "created_by_ref": "",
		"object_marking_refs.[0]": "", "spec_version": "",
	} {
		o := mustParse(t, raw)
		got, err := stix.Replace(o, selector, `é"b`)
		if (err == nil) != (want != "") {
			t.Errorf("%q: %v", selector, err)
		}
		if err != nil {
			continue
		}
		if back, err := stix.Replace(got, selector, stix.Select(o, selector).Text()); err != nil || string(back.Bytes()) != raw {
			t.Errorf("%q: back to %s (%v)", selector, back.Bytes(), err)
		}
		if !strings.Contains(string(got.Bytes()), want) {
			t.Errorf("%q: %s", selector, got.Bytes())
		}
	}
}
