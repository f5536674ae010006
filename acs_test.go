package noroshi_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

const acsHead = `"extension_type":"property-extension","identifier":"isa:guide.999191.ACS3-1","create_date_time":"2026-11-01T00:00:00.000Z","responsible_entity_custodian":"USA.DOD","policy_reference":"urn:isa:policy:acs:ns:v3.0?privdefault=deny&sharedefault=permit"`

func extensionOf(id stix.ID, content string) string {
	return `,"extensions":{"` + string(id) + `":{` + content + `}}`
}

func japanese(content string) string {
	return extensionOf(noroshi.JapaneseExtension, `"extension_type":"property-extension",`+content)
}

const iepBody = `"extension_type":"property-extension","iep_id":"ee5fb97f-1477-5d87-8262-a94796f884ab","iep_version":2.0,"description":"","tlp":"amber","encrypt_in_transit":"must","permitted_actions":"none","affected_party_notifications":"may","provider_attribution":"may","unmodified_resale":"may"`

// TestNormalForms fixes what the meaning of a marking is written as.
func TestNormalForms(t *testing.T) {
	for _, x := range []struct{ name, members, want string }{
		{"least", extensionOf(noroshi.ACSExtension, acsHead+`,"control_set":{"classification":"U"}`), "ACS:U,USA.DOD,priv-,share+"},
		{"no authority behind it", extensionOf(noroshi.ACSExtension, acsHead+`,"control_set":{"classification":"S"}`), "ACS:S!,USA.DOD,priv-,share+"},
		{"derived", extensionOf(noroshi.ACSExtension, acsHead+`,"derivative_classification":{"classified_by":"x","derived_from":"y"},"control_set":{"classification":"S","permitted_nationalities":["USA","JPN","JPN"]}`),
			"ACS:S,USA.DOD,priv-,share+,nat=JPN/USA"},
		{"all", extensionOf(noroshi.ACSExtension, acsHead+`,"name":"free text","public_release":{"released_by":"x"},"authority_reference":["urn:isa:authority:misa"],"control_set":{"classification":"U","formal_determination":["PUBREL","FOUO","AIS"],"caveat":["FISA"],"sensitivity":["PII","LES"],"shareability":["LE"],"entity":["MIL","GOV"],"sci_controls":["SI"],"permitted_nationalities":["JPN","ALL"],"permitted_organizations":["USA.DOD"]},"access_privilege":[{"privilege_action":"ALL","rule_effect":"permit","privilege_scope":{"permitted_nationalities":["ALL"],"permitted_organizations":["JPN.MOD"]}},{"privilege_action":"DSPLY","rule_effect":"deny","privilege_scope":{"entity":["ALL"]}},{"privilege_action":"TEARLINE","rule_effect":"deny","privilege_scope":{"shareability":["ALL"]}}],"further_sharing":[{"sharing_scope":["SECTOR","KOR.MND"],"rule_effect":"deny"},{"sharing_scope":["FOREIGNGOV"],"rule_effect":"permit"}]`),
			"ACS:U,USA.DOD,priv-,share+,formal=FOUO/PUBREL,nat=ALL,org=USA.DOD,ent=GOV/MIL,sens=LES/PII,cav=FISA,share=FOREIGNGOV,withhold=KOR.MND,released,compartments,+IDSRC:org=JPN.MOD,+TEARLINE:org=JPN.MOD,-TEARLINE"},
		{"no authority matters without PUBREL", extensionOf(noroshi.ACSExtension, acsHead+`,"public_release":{"released_by":"x"},"control_set":{"classification":"U"}`), "ACS:U,USA.DOD,priv-,share+"},
		{"iep", `,"name":"x","external_references":[{"source_name":"y","description":"z"}]` + extensionOf(noroshi.IEPExtension, iepBody+`,"start_date":"2026-01-01T00:00:00.000Z"`), "IEP:AMBER,2026-01-01T00:00:00Z"},
		{"iep with an end", extensionOf(noroshi.IEPExtension, iepBody+`,"start_date":"2026-01-01T00:00:00.5Z","end_date":"2027-01-01T00:00:00Z"`), "IEP:AMBER,2026-01-01T00:00:00.5Z,2027-01-01T00:00:00Z"},
		{"japanese", japanese(`"kubun":"秘","originator":"JPN.MOD","releasable_to":["USA","KOR"]`), "JPN:秘,JPN.MOD,KOR/USA"},
		{"japanese, to nobody", japanese(`"kubun":"極秘","originator":"JPN.MOD"`), "JPN:極秘,JPN.MOD"},
		{"japanese, open to all", japanese(`"kubun":"公開","originator":"JPN.MOD","releasable_to":["USA"]`), "JPN:公開,JPN.MOD"},

		{"acs: unknown field", extensionOf(noroshi.ACSExtension, acsHead+`,"x_new":1,"control_set":{"classification":"U"}`), "?field"},
		{"acs: unknown field of controls", extensionOf(noroshi.ACSExtension, acsHead+`,"control_set":{"classification":"U","x_new":1}`), "?field"},
		{"acs: no controls", extensionOf(noroshi.ACSExtension, acsHead), "?field"},
		{"acs: empty list", extensionOf(noroshi.ACSExtension, acsHead+`,"control_set":{"classification":"U","caveat":[]}`), "?field"},
		{"acs: empty scope", extensionOf(noroshi.ACSExtension, acsHead+`,"control_set":{"classification":"U"},"access_privilege":[{"privilege_action":"ALL","rule_effect":"permit","privilege_scope":{}}]`), "?field"},
		{"acs: nation in small letters", extensionOf(noroshi.ACSExtension, acsHead+`,"control_set":{"classification":"U","permitted_nationalities":["usa"]}`), "?field"},
		{"acs: text as a nation", extensionOf(noroshi.ACSExtension, acsHead+`,"control_set":{"classification":"U","permitted_nationalities":["USA;TLP:CLEAR"]}`), "?field"},
		{"acs: ampersand escaped", strings.Replace(extensionOf(noroshi.ACSExtension, acsHead+`,"control_set":{"classification":"U"}`), "&", "&amp;", 1), "?field"},
		{"acs: misspelt entity", extensionOf(noroshi.ACSExtension, acsHead+`,"control_set":{"classification":"U","entity":["MII"]}`), "?field"},
		{"acs: with a statement", `,"definition_type":"statement","definition":{"statement":"x"}` + extensionOf(noroshi.ACSExtension, acsHead+`,"control_set":{"classification":"U"}`), "?field"},
		{"acs: with references", `,"external_references":[{"source_name":"y"}]` + extensionOf(noroshi.ACSExtension, acsHead+`,"control_set":{"classification":"U"}`), "?field"},
		{"acs: marked itself", `,"object_marking_refs":[]` + extensionOf(noroshi.ACSExtension, acsHead+`,"control_set":{"classification":"U"}`), "?marked"},
		{"acs and japanese", `,"extensions":{"` + string(noroshi.ACSExtension) + `":{` + acsHead + `,"control_set":{"classification":"U"}},"` + string(noroshi.JapaneseExtension) + `":{}}`, "?extension"},
		{"iep: version as text", extensionOf(noroshi.IEPExtension, strings.Replace(iepBody, "2.0", `"2.0"`, 1)+`,"start_date":"2026-01-01T00:00:00.000Z"`), "?field"},
		{"iep: amber+strict", extensionOf(noroshi.IEPExtension, strings.Replace(iepBody, `"amber"`, `"amber+strict"`, 1)+`,"start_date":"2026-01-01T00:00:00.000Z"`), "?field"},
		{"iep: no start", extensionOf(noroshi.IEPExtension, iepBody), "?field"},
		{"japanese: other class", japanese(`"kubun":"極秘 ","originator":"JPN.MOD"`), "?field"},
		{"japanese: to everybody", japanese(`"kubun":"秘","originator":"JPN.MOD","releasable_to":["*"]`), "?field"},
		{"japanese: no originator", japanese(`"kubun":"公開"`), "?field"},
	} {
		t.Run(x.name, func(t *testing.T) {
			l := noroshi.MarkingLabel(private, []*stix.Object{definition(t, private, x.members)}, nil)
			got := l.String()
			if len(l.Unknown) > 0 {
				got, _, _ = strings.Cut(got, " ")
			}
			if got != x.want {
				t.Fatalf("got %s\nwant %s", l, x.want)
			}
			if back, err := noroshi.ParseLabel(l.String()); len(l.Unknown) == 0 && (err != nil || back.String() != x.want) {
				t.Errorf("reads back as %s, %v", back, err)
			}
		})
	}
}

// TestOneMeaningOneLabel: identifiers, names, dates and the order of lists are
// no part of what a marking means.
func TestOneMeaningOneLabel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawACS(t).(map[string]any)
		a := understood(noroshi.ACSExtension, m)
		m["identifier"], m["name"], m["create_date_time"] = "isa:guide.999191.ACS3-other", "a name", "2020-01-01T00:00:00Z"
		m["resource_disposition"] = map[string]any{"disposition_date": "2030-01-01T00:00:00Z", "disposition_process": "destroy"}
		control := m["control_set"].(map[string]any)
		for name, v := range control {
			if list, ok := v.([]string); ok {
				control[name] = append(append([]string{}, list[1:]...), list[0], list[len(list)-1])
			}
		}
		if b := understood(noroshi.ACSExtension, m); a.String() != b.String() {
			t.Fatalf("%s and %s", a, b)
		}
	})
}

// TestLabelHasAnEnd: more than a message's header has room for is not
// understood, in whatever order it came together.
func TestLabelHasAnEnd(t *testing.T) {
	var l, other noroshi.Label
	for n := range 200 {
		one := noroshi.Label{IEP: []noroshi.IEP{{TLP: noroshi.Green, Start: time.Unix(int64(n), 0)}}}
		l, other = l.Join(one), one.Join(other)
	}
	if l.String() != other.String() || len(l.Unknown) != 1 || l.Unknown[0] != noroshi.UnknownTooLong {
		t.Errorf("200 policies: %v, %v", l.Unknown, other.Unknown)
	}
	var parts []string
	for _, p := range l.IEP {
		parts = append(parts, p.String())
	}
	if _, err := noroshi.ParseLabel(strings.Join(parts, ";")); err == nil {
		t.Error("a label of 200 policies is read")
	}
	if back, err := noroshi.ParseLabel(strings.Join(parts[:20], ";")); err != nil || len(back.IEP) != 20 {
		t.Errorf("a label of 20 policies: %v", err)
	}
}

// FuzzParseLabel: what is read is exactly what is written, and means something.
func FuzzParseLabel(f *testing.F) {
	for _, s := range []string{"TLP:GREEN", "UNMARKED", "TLP:AMBER+STRICT;EXERCISE:ex-1", "tlp:green", "TLP:GREEN;TLP:GREEN", "?field",
		"ACS:U,USA.DOD,priv-,share+", "ACS:S!,USA.DOD,priv-,share+,nat=JPN/USA;JPN:秘,JPN.MOD,KOR/USA", "IEP:AMBER,2026-01-01T00:00:00Z,2027-01-01T00:00:00.5Z",
		"ACS:U,USA.DOD,priv-,share+,formal=FOUO/PUBREL,released,compartments,+IDSRC:nat=JPN,-TEARLINE", "JPN:公開,JPN.MOD,USA", "ACS:U,USA.DOD,priv-,share+,nat=USA/JPN"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := noroshi.ParseLabel(s)
		if err != nil {
			return
		}
		if l.String() != s || len(l.Unknown) > 0 || !l.Handled() && l.Exercise == "" {
			t.Errorf("%q reads as %q", s, l)
		}
		if k, err := noroshi.KeptLabel(s); err != nil || k.String() != s {
			t.Errorf("%q is kept as %q, %v", s, k, err)
		}
		if j := l.Join(l); j.String() != s {
			t.Errorf("%q joined with itself is %q", s, j)
		}
	})
}

func TestParseLabelRefuses(t *testing.T) {
	for _, s := range []string{"", ";", "UNMARKED", "tlp:green", "TLP:GREEN;", ";TLP:GREEN", "TLP:GREEN;TLP:AMBER", "EXERCISE:", "EXERCISE:A", "EXERCISE:ex-1;TLP:GREEN", "?field", "TLP:GREEN;?field",
		"ACS:U", "ACS:U!,USA.DOD,priv-,share+", "ACS:U,USA.DOD,priv-,share+,", "ACS:U,USA.DOD,priv?,share+", "ACS:U,USA.DOD,priv-,share+,released", "ACS:U,USA.DOD,priv-,share+,nat=USA/JPN",
		"ACS:U,USA.DOD,priv-,share+,nat=ALL/JPN", "ACS:U,USA.DOD,priv-,share+,nat=", "ACS:U,USA.DOD,priv-,share+,formal=AIS", "ACS:U,USA.DOD,priv-,share+,share=SECTOR", "ACS:U,USA.DOD,priv-,share+,+DSPLY",
		"ACS:U,USA.DOD,priv-,share+,nat=JPN,nat=USA", "ACS:U,USA.DOD,priv-,share+,compartments,compartments", "ACS:U,usa.dod,priv-,share+", "ACS:U,USA.DOD,priv-,share+,-IDSRC:nat=ALL",
		"IEP:AMBER", "IEP:WHITE,2026-01-01T00:00:00Z", "IEP:AMBER+STRICT,2026-01-01T00:00:00Z", "IEP:AMBER,2026-01-01T00:00:00.000Z", "IEP:AMBER,2026-01-01T09:00:00+09:00", "IEP:AMBER,2026-01-01T00:00:00Z,",
		"JPN:秘", "JPN:秘,JPN.MOD,", "JPN:秘,JPN.MOD,USA/KOR", "JPN:公開,JPN.MOD,USA", "JPN:秘,日本,USA", "JPN:秘,JPN.MOD,US"} {
		if l, err := noroshi.ParseLabel(s); err == nil {
			t.Errorf("%q reads as %s", s, l)
		}
	}
}

// FuzzMarkingLabel: whatever stands in an extension, the label made of it is
// one that travels, or one that is not understood.
func FuzzMarkingLabel(f *testing.F) {
	f.Add(acsHead + `,"control_set":{"classification":"U","permitted_nationalities":["JPN"]},"further_sharing":[{"sharing_scope":["FOREIGNGOV"],"rule_effect":"permit"}]`)
	f.Add(iepBody + `,"start_date":"2026-01-01T00:00:00.000Z","end_date":"2027-12-31T23:59:60Z"`)
	f.Add(`"extension_type":"property-extension","kubun":"秘","originator":"JPN.MOD","releasable_to":["USA"]`)
	f.Fuzz(func(t *testing.T, content string) {
		for _, id := range []stix.ID{noroshi.ACSExtension, noroshi.IEPExtension, noroshi.JapaneseExtension} {
			o, err := stix.Parse([]byte(`{"type":"marking-definition","id":"` + string(private) + `","created":"2026-11-01T00:00:00.000Z"` + extensionOf(id, content) + `}`))
			if err != nil {
				return
			}
			l := noroshi.MarkingLabel(o.ID, []*stix.Object{o}, nil)
			if len(l.Unknown) > 0 {
				continue
			}
			if back, err := noroshi.ParseLabel(l.String()); err != nil || back.String() != l.String() {
				t.Errorf("%s: %q does not read back: %v", content, l, err)
			}
		}
	})
}
