package noroshi_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

func TestPortionsOf(t *testing.T) {
	red, amber := string(noroshi.Red.MarkingID()), string(noroshi.Amber.MarkingID())
	entry := func(id, selectors string) string {
		return `{"marking_ref":"` + id + `","selectors":[` + selectors + `]}`
	}
	for _, x := range []struct{ name, granular, want string }{
		{"one", entry(red, `"name"`), "name TLP:RED"},
		{"two", entry(red, `"labels.[1]","x_deep.a.[0].b"`) + "," + entry(amber, `"name"`), "labels.[1] x_deep.a.[0].b TLP:RED, name TLP:AMBER"},
		{"language only", `{"lang":"en","selectors":["name"]}`, ""},
		{"language and marking in turn", `{"lang":"en","selectors":["name"]},` + entry(red, `"name"`), "name TLP:RED"},
		{"definition not here", entry(string(private), `"name"`), "name ?unresolved " + string(private)},

		{"both", `{"lang":"en","marking_ref":"` + red + `","selectors":["name"]}`, "?granular"},
		{"neither", `{"selectors":["name"]}`, "?granular"},
		{"no selectors", `{"marking_ref":"` + red + `"}`, "?granular"},
		{"empty selectors", entry(red, ``), "?granular"},
		{"selector of nothing", entry(red, `"nam"`), "?granular"},
		{"selector in other case", entry(red, `"Name"`), "?granular"},
		{"one selector of two", entry(red, `"name","descripton"`), "?granular"},
		{"language of nothing", `{"lang":"en","selectors":["nam"]}`, "?granular"},
		{"position behind the last", entry(red, `"labels.[2]"`), "?granular"},
		{"position filled", entry(red, `"labels.[01]"`), "?granular"},
		{"of markings", entry(red, `"granular_markings.[0]"`), "?granular"},
		{"of object markings", entry(red, `"object_marking_refs"`), "?granular"},
		{"another member", `{"marking_ref":"` + red + `","selectors":["name"],"x":1}`, "?granular"},
		{"of another type", entry("identity--d57b5236-557d-55b7-833c-5085983e62d4", `"name"`), "?granular"},
		{"no id", entry("TLP:RED", `"name"`), "?granular"},
		{"no entry", `null`, "?granular"},
		{"no list", ``, "?granular"},
	} {
		t.Run(x.name, func(t *testing.T) {
			o, err := stix.Parse([]byte(`{"type":"identity","spec_version":"2.1","id":"identity--d57b5236-557d-55b7-833c-5085983e62d4","name":"x","labels":["a","b"],"x_deep":{"a":[{"b":1}]},` +
				`"object_marking_refs":["` + amber + `"],"granular_markings":[` + x.granular + `]}`))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range noroshi.PortionsOf(o, func(stix.ID) []*stix.Object { return nil }, nil) {
				got = append(got, strings.Join(p.Selectors, " ")+" "+p.Label.String())
			}
			if l := noroshi.FormLabel(o); len(l.Unknown) > 0 {
				if len(got) > 0 {
					t.Errorf("malformed, and marks %s", got)
				}
				got = []string{l.String()}
			}
			if s := strings.Join(got, ", "); s != x.want {
				t.Errorf("got %q, want %q", s, x.want)
			}
			if want := strings.Contains(x.want, " "); want != (len(noroshi.GranularMarkings(o)) > 0) {
				t.Errorf("markings named: %v", noroshi.GranularMarkings(o))
			}
		})
	}
}

// TestNamesOfMarkingProperties: a property that only looks like one of markings
// holds the object; others do not.
func TestNamesOfMarkingProperties(t *testing.T) {
	odd := []string{"Object_Marking_Refs", "GRANULAR_MARKINGS", "object_marking_refs ", "object-marking-refs", "objectMarkingRefs", "granular_markings\u200b",
		"ｇｒａｎｕｌａｒ＿ｍａｒｋｉｎｇｓ", "gr\u0430nular_markings", "object_marking_ref\u0455", "\ufeffgranular_markings"}
	fine := []string{"x_granular_markings_note", "object_marking", "granular_marking", "labels", "x_object_marking_refs"}
	for _, name := range slices.Concat(odd, fine) {
		o, err := stix.Parse([]byte(`{"type":"identity","id":"identity--d57b5236-557d-55b7-833c-5085983e62d4","` + name + `":["` + string(noroshi.Red.MarkingID()) + `"]}`))
		if err != nil {
			continue
		}
		if held := len(noroshi.FormLabel(o).Unknown) > 0; held != slices.Contains(odd, name) {
			t.Errorf("%q: held %v", name, held)
		}
	}
}
