package noroshi_test

import (
	"encoding/json"
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// body makes a marking-definition with one extension.
func body(id, extension stix.ID, content any) (*stix.Object, error) {
	raw, err := json.Marshal(map[string]any{
		"type": "marking-definition", "spec_version": "2.1", "id": id, "created": "2026-11-01T00:00:00.000Z",
		"extensions": map[stix.ID]any{extension: content},
	})
	if err != nil {
		return nil, err
	}
	return stix.Parse(raw)
}

// understood is what a drawn extension means; the draws are all well formed.
func understood(extension stix.ID, content any) noroshi.Label {
	o, err := body(private, extension, content)
	if err != nil {
		panic(err)
	}
	l := noroshi.MarkingLabel(private, []*stix.Object{o}, nil)
	if len(l.Unknown) > 0 {
		panic(fmt.Sprintf("not understood: %s as %s", o.Bytes(), l))
	}
	return l
}

func drawIEP(t *rapid.T) noroshi.IEP {
	day := func(name string) time.Time {
		return time.Date(2026, 1, rapid.IntRange(1, 600).Draw(t, name), 0, 0, 0, rapid.SampledFrom([]int{0, 1e6, 1}).Draw(t, "ns"), time.UTC)
	}
	p := noroshi.IEP{TLP: rapid.SampledFrom([]noroshi.TLP{noroshi.Clear, noroshi.Green, noroshi.Amber, noroshi.Red}).Draw(t, "tlp"), Start: day("start")}
	if rapid.Bool().Draw(t, "ends") {
		p.End = day("end")
	}
	return p
}

// some draws a list of up to three of these, with repetitions, or nothing.
func some(t *rapid.T, name string, of ...string) []string {
	return rapid.SliceOfN(rapid.SampledFrom(of), 0, 3).Draw(t, name)
}

func put(m map[string]any, name string, list []string) {
	if len(list) > 0 {
		m[name] = list
	}
}

// drawACS draws a well-formed ACS extension.
func drawACS(t *rapid.T) any {
	control := map[string]any{"classification": rapid.SampledFrom([]string{"U", "U", "U", "C", "S", "TS"}).Draw(t, "level")}
	put(control, "formal_determination", some(t, "formal", "PUBREL", "NF", "AIS", "FOUO", "PII-NECESSARY-TO-UNDERSTAND-THREAT", "NO-PII-PRESENT"))
	put(control, "permitted_nationalities", some(t, "nations", "USA", "JPN", "KOR", "ALL"))
	put(control, "permitted_organizations", some(t, "orgs", "USA.DOD", "JPN.MOD", "ALL"))
	put(control, "entity", some(t, "entity", "MIL", "GOV", "CTR"))
	put(control, "sensitivity", some(t, "sens", "LES", "PII"))
	put(control, "caveat", some(t, "caveat", "FISA"))
	put(control, "sci_controls", some(t, "sci", "SI"))
	m := map[string]any{
		"extension_type": "property-extension", "identifier": rapid.StringMatching(`isa:guide\.999191\.ACS3-[a-f0-9]{8}`).Draw(t, "identifier"),
		"create_date_time": "2026-11-01T00:00:00.000Z", "responsible_entity_custodian": rapid.SampledFrom([]string{"USA.DOD", "USA.DHS", "JPN.MOD"}).Draw(t, "custodian"),
		"policy_reference": fmt.Sprintf("urn:isa:policy:acs:ns:v3.0?privdefault=%s&sharedefault=%s", effect(t), effect(t)),
		"control_set":      control,
	}
	if rapid.Bool().Draw(t, "classified") {
		m["derivative_classification"] = map[string]any{"classified_by": "x", "derived_from": "y"}
	}
	if rapid.Bool().Draw(t, "released") {
		m["public_release"] = map[string]any{"released_by": "x"}
	}
	var access, sharing []any
	for range rapid.IntRange(0, 2).Draw(t, "rules") {
		scope := map[string]any{"shareability": []string{"ALL"}}
		put(scope, "permitted_nationalities", some(t, "nat", "JPN", "KOR", "ALL"))
		put(scope, "permitted_organizations", some(t, "org", "JPN.MOD", "ALL"))
		put(scope, "entity", some(t, "ent", "MIL", "ALL"))
		access = append(access, map[string]any{"privilege_action": rapid.SampledFrom([]string{"IDSRC", "TEARLINE", "DSPLY", "ALL"}).Draw(t, "action"),
			"rule_effect": effect(t), "privilege_scope": scope})
	}
	for range rapid.IntRange(0, 2).Draw(t, "sharing") {
		sharing = append(sharing, map[string]any{"rule_effect": effect(t), "sharing_scope": []string{rapid.SampledFrom([]string{"FOREIGNGOV", "SECTOR", "KOR.MND", "JPN.MOD"}).Draw(t, "scope")}})
	}
	if access != nil {
		m["access_privilege"] = access
	}
	if sharing != nil {
		m["further_sharing"] = sharing
	}
	return m
}

func effect(t *rapid.T) string {
	return rapid.SampledFrom([]string{"permit", "deny"}).Draw(t, "effect")
}

// drawJapanese draws a well-formed Japanese extension.
func drawJapanese(t *rapid.T) any {
	m := map[string]any{"extension_type": "property-extension", "originator": rapid.SampledFrom([]string{"JPN.MOD", "JPN.PM"}).Draw(t, "originator"),
		"kubun": rapid.SampledFrom([]string{"公開", "部内限り", "秘", "極秘", "特定秘密", "機密"}).Draw(t, "kubun")}
	put(m, "releasable_to", some(t, "to", "USA", "KOR"))
	return m
}
