package stix_test

import (
	"fmt"
	"testing"

	"github.com/noroshi-cti/noroshi/stix"
)

func TestIndicatorView(t *testing.T) {
	o := mustParse(t, `{"type":"indicator","id":"`+indicatorID+`","name":"n","pattern":"[url:value = 'a\\'b']","pattern_type":"stix","pattern_version":"2.1","valid_from":"2026-01-01T00:00:00Z","valid_until":"2027-01-01T00:00:00.5Z","confidence":85}`)
	v, err := o.Indicator()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(v), `{n [url:value = 'a\'b'] stix 2.1 2026-01-01T00:00:00Z 2027-01-01T00:00:00.5Z 85}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	bare, err := mustParse(t, `{"type":"indicator","id":"`+indicatorID+`"}`).Indicator()
	if err != nil || bare != (stix.Indicator{Confidence: -1}) {
		t.Errorf("bare indicator: %+v, %v", bare, err)
	}
	for _, wrong := range []string{`"pattern":5`, `"valid_from":"yesterday"`, `"confidence":"high"`, `"confidence":1e9999`, `"name":null`} {
		if _, err := mustParse(t, `{"type":"indicator","id":"`+indicatorID+`",`+wrong+`}`).Indicator(); err == nil {
			t.Errorf("%s: no error", wrong)
		}
	}
	if _, err := mustParse(t, domain("")).Indicator(); err == nil {
		t.Error("a domain name is an indicator")
	}
}

func TestSightingView(t *testing.T) {
	const id = "sighting--ee20065d-2555-424f-ad9e-0f8428623c75"
	o := mustParse(t, `{"type":"sighting","id":"`+id+`","sighting_of_ref":"`+indicatorID+`","count":50,"first_seen":"2026-01-01T00:00:00Z","last_seen":"2026-01-01T01:00:00Z"}`)
	v, err := o.Sighting()
	if got, want := fmt.Sprint(v, err), "{"+indicatorID+" 50 2026-01-01T00:00:00Z 2026-01-01T01:00:00Z} <nil>"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if v, err := mustParse(t, `{"type":"sighting","id":"`+id+`"}`).Sighting(); err != nil || v.Count != 1 {
		t.Errorf("bare sighting: %+v, %v", v, err)
	}
	for _, wrong := range []string{`"sighting_of_ref":"x"`, `"count":1.5`, `"last_seen":0`} {
		if _, err := mustParse(t, `{"type":"sighting","id":"`+id+`",`+wrong+`}`).Sighting(); err == nil {
			t.Errorf("%s: no error", wrong)
		}
	}
	if _, err := mustParse(t, domain("")).Sighting(); err == nil {
		t.Error("a domain name is a sighting")
	}
}

func TestMarkingDefinitionView(t *testing.T) {
	const tlp2, drill, acs = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d",
		"extension-definition--4d03630f-a267-5d7f-be48-4682a29d5de9", "extension-definition--3a65884d-005a-4290-8335-cb2d778a83ce"
	tests := []struct {
		name, members string
		want          stix.MarkingDefinition
	}{
		{"tlp 1.0", `"created":"2017-01-20T00:00:00.000Z","definition_type":"tlp","name":"TLP:AMBER","definition":{"tlp":"amber"}`,
			stix.MarkingDefinition{Name: "TLP:AMBER", DefinitionType: "tlp", TLP: "amber"}},
		{"tlp 2.0", `"name":"TLP:RED","extensions":{"` + tlp2 + `":{"extension_type":"property-extension","tlp_2_0":"red"}}`,
			stix.MarkingDefinition{Name: "TLP:RED", TLP: "red", Extensions: []stix.ID{tlp2}}},
		{"statement", `"definition_type":"statement","definition":{"statement":"© 2026 X"}`,
			stix.MarkingDefinition{DefinitionType: "statement", Statement: "© 2026 X"}},
		{"exercise with statement", `"definition_type":"statement","definition":{"statement":"drill"},"extensions":{"` + drill + `":{"extension_type":"property-extension","exercise_id":"kx"}}`,
			stix.MarkingDefinition{DefinitionType: "statement", Statement: "drill", Exercise: "kx", Extensions: []stix.ID{drill}}},
		{"two extensions", `"extensions":{"` + tlp2 + `":{"tlp_2_0":"red"},"` + drill + `":{"exercise_id":"kx"}}`,
			stix.MarkingDefinition{TLP: "red", Exercise: "kx", Extensions: []stix.ID{drill, tlp2}}},
		{"unknown extension", `"extensions":{"` + acs + `":{"extension_type":"property-extension"}}`,
			stix.MarkingDefinition{Extensions: []stix.ID{acs}, Unknown: true}},
		{"unknown definition type", `"definition_type":"iep","definition":{"tlp":"white"}`,
			stix.MarkingDefinition{DefinitionType: "iep", Unknown: true}},
		{"unknown member", `"definition_type":"tlp","definition":{"tlp":"white"},"x_more":1`,
			stix.MarkingDefinition{DefinitionType: "tlp", TLP: "white", Unknown: true}},
		{"unknown member of the body", `"definition_type":"tlp","definition":{"tlp":"white","also":"red"}`,
			stix.MarkingDefinition{DefinitionType: "tlp", TLP: "white", Unknown: true}},
		{"unknown member of the extension", `"extensions":{"` + tlp2 + `":{"tlp_2_0":"clear","caveat":"x"}}`,
			stix.MarkingDefinition{TLP: "clear", Extensions: []stix.ID{tlp2}, Unknown: true}},
		{"extension without its property", `"extensions":{"` + tlp2 + `":{"extension_type":"property-extension"}}`,
			stix.MarkingDefinition{Extensions: []stix.ID{tlp2}, Unknown: true}},
		{"two levels", `"definition_type":"tlp","definition":{"tlp":"red"},"extensions":{"` + tlp2 + `":{"tlp_2_0":"clear"}}`,
			stix.MarkingDefinition{DefinitionType: "tlp", TLP: "clear", Extensions: []stix.ID{tlp2}, Unknown: true}},
		{"body of another type", `"definition_type":"statement","definition":{"tlp":"white"}`,
			stix.MarkingDefinition{DefinitionType: "statement", Unknown: true}},
		{"level no string", `"definition_type":"tlp","definition":{"tlp":1}`,
			stix.MarkingDefinition{DefinitionType: "tlp", Unknown: true}},
		{"no body", `"definition_type":"tlp"`, stix.MarkingDefinition{DefinitionType: "tlp", Unknown: true}},
		{"nothing", `"name":"x"`, stix.MarkingDefinition{Name: "x", Unknown: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := mustParse(t, `{"type":"marking-definition","id":"`+amberID+`",`+test.members+`}`).MarkingDefinition()
			if err != nil || fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("%+v, %v; want %+v", got, err, test.want)
			}
		})
	}
	for _, wrong := range []string{`"name":5`, `"definition_type":{}`, `"extensions":[]`} {
		if _, err := mustParse(t, `{"type":"marking-definition","id":"`+amberID+`",`+wrong+`}`).MarkingDefinition(); err == nil {
			t.Errorf("%s: no error", wrong)
		}
	}
	if _, err := mustParse(t, domain("")).MarkingDefinition(); err == nil {
		t.Error("a domain name is a marking definition")
	}
}
