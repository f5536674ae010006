package noroshi

import (
	"slices"

	"github.com/noroshi-cti/noroshi/stix"
)

// The values of ACS 3.0's closed vocabularies.
var (
	acsFormal           = []string{NoForeign, PublicRel, OfficialUse, PIINecessary}
	acsFormalNoEffect   = []string{"AIS", "NO-PII-PRESENT", "INFORMATION-DIRECTLY-RELATED-TO-CYBERSECURITY-THREAT"}
	acsCaveats          = []string{"FISA", "POSSIBLEPII", "CISAPROPRIETARY"}
	acsSensitivities    = []string{"NTOC_DHS_ECYBER_SVC_SHARE.NSA.NSA", "PCII", "LES", "INT", "PII", "PR", "TEI"}
	acsShareabilities   = []string{"NCC", "EM", "LE", "IC"}
	acsEntities         = []string{"MIL", "GOV", "CTR", "SVR", "SVC", "DEV", "NET"}
	acsActionsNoMeaning = []string{"DSPLY", "TENOT", "NETDEF", "LEGAL", "INTEL", "OPACTION", "REQUEST", "ANONYMOUSACCESS", "CISAUSES"}
)

// acsPolicies are the spellings of the policy reference: privdefault, then
// sharedefault.
var acsPolicies = map[string][2]bool{
	"urn:isa:policy:acs:ns:v3.0?privdefault=permit&sharedefault=permit": {true, true},
	"urn:isa:policy:acs:ns:v3.0?privdefault=permit&sharedefault=deny":   {true, false},
	"urn:isa:policy:acs:ns:v3.0?privdefault=deny&sharedefault=permit":   {false, true},
	"urn:isa:policy:acs:ns:v3.0?privdefault=deny&sharedefault=deny":     {false, false},
}

// acsReader reads the extension into a.
type acsReader struct {
	strict
	a ACS
}

func readACS(v stix.RawValue) (ACS, bool) {
	var r acsReader
	text := func(v stix.RawValue) { r.text(v) }
	classified := func(read func(stix.RawValue)) func(stix.RawValue) {
		return func(v stix.RawValue) { r.a.Authorised = true; read(v) }
	}
	r.object(v, known{
		"extension_type":                func(v stix.RawValue) { r.word(v, "property-extension") },
		"identifier":                    text,
		"name":                          text,
		"create_date_time":              r.date,
		"responsible_entity_custodian":  func(v stix.RawValue) { r.a.Custodian = r.token(v) },
		"responsible_entity_originator": func(v stix.RawValue) { r.token(v) },
		"authority_reference":           func(v stix.RawValue) { r.list(v, text) },
		"policy_reference":              r.policy,
		"original_classification": classified(r.record(known{
			"classified_by": text, "classified_on": r.date, "classification_reason": text, "compilation_reason": text}, "classified_by")),
		"derivative_classification": classified(r.record(known{
			"classified_by": text, "classified_on": r.date, "derived_from": text}, "classified_by", "derived_from")),
		"declassification": r.record(known{
			"declass_exemption": text, "declass_period": r.count, "declass_date": r.date, "declass_event": text}),
		"resource_disposition": r.record(known{"disposition_date": r.date, "disposition_process": text}, "disposition_date", "disposition_process"),
		// Without released_by it names no authority: that is judged, not misread.
		"public_release": r.record(known{
			"released_by": func(v stix.RawValue) { r.text(v); r.a.Released = true }, "released_on": r.date}),
		"access_privilege": func(v stix.RawValue) { r.list(v, r.privilege) },
		"further_sharing":  func(v stix.RawValue) { r.list(v, r.sharing) },
		"control_set":      r.controls,
	}, "extension_type", "identifier", "create_date_time", "responsible_entity_custodian", "policy_reference", "control_set")
	return r.a.normal(), !r.bad
}

func (r *acsReader) date(v stix.RawValue) { r.time(v) }

// record reads an object of which only the form counts.
func (r *acsReader) record(k known, required ...string) func(stix.RawValue) {
	return func(v stix.RawValue) { r.object(v, k, required...) }
}

func (r *acsReader) policy(v stix.RawValue) {
	p, ok := acsPolicies[v.Text()]
	r.bad = r.bad || !ok
	r.a.PrivPermit, r.a.SharePermit = p[0], p[1]
}

func (r *acsReader) controls(v stix.RawValue) {
	compartment := func(v stix.RawValue) { r.tokens(v); r.a.Compartments = true }
	r.object(v, known{
		"classification": func(v stix.RawValue) { r.a.Level, _ = ParseLevel(r.word(v, levelNames[1:]...)) },
		"formal_determination": func(v stix.RawValue) {
			r.a.Formal = r.words(v, slices.Concat(acsFormal, acsFormalNoEffect)...)
			r.a.Formal = slices.DeleteFunc(r.a.Formal, func(f string) bool { return !slices.Contains(acsFormal, f) })
		},
		"caveat":                     func(v stix.RawValue) { r.a.Caveats = r.words(v, acsCaveats...) },
		"sensitivity":                func(v stix.RawValue) { r.a.Sensitivity = r.words(v, acsSensitivities...) },
		"shareability":               func(v stix.RawValue) { r.words(v, acsShareabilities...) },
		"entity":                     func(v stix.RawValue) { r.a.Entities = r.words(v, acsEntities...) },
		"permitted_nationalities":    func(v stix.RawValue) { r.a.Nations = r.tokens(v) },
		"permitted_organizations":    func(v stix.RawValue) { r.a.Orgs = r.tokens(v) },
		"sci_controls":               compartment,
		"logical_authority_category": compartment,
	}, "classification")
}

// privilege reads one access_privilege. ALL is every action; those that decide
// nothing here are only checked.
func (r *acsReader) privilege(v stix.RawValue) {
	var rule ACSRule
	var limits bool
	r.object(v, known{
		"privilege_action": func(v stix.RawValue) {
			rule.Action = r.word(v, slices.Concat(acsActionsNoMeaning, []string{ShowSource, TearLine, All})...)
		},
		"rule_effect": func(v stix.RawValue) { rule.Permit = r.word(v, "permit", "deny") == "permit" },
		"privilege_scope": r.record(known{
			"permitted_nationalities": func(v stix.RawValue) { rule.Nations, limits = r.tokens(v), true },
			"permitted_organizations": func(v stix.RawValue) { rule.Orgs, limits = r.tokens(v), true },
			"shareability":            func(v stix.RawValue) { r.words(v, append(acsShareabilities, All)...); limits = true },
			"entity":                  func(v stix.RawValue) { rule.Entities, limits = r.words(v, append(acsEntities, All)...), true },
		}),
	}, "privilege_action", "rule_effect", "privilege_scope")
	r.bad = r.bad || !limits // a scope names somebody, and be it ALL
	for _, action := range []string{ShowSource, TearLine} {
		if rule.Action == action || rule.Action == All {
			one := rule
			one.Action = action
			one.Nations, one.Orgs, one.Entities = slices.Clone(rule.Nations), slices.Clone(rule.Orgs), slices.Clone(rule.Entities)
			r.a.Access = append(r.a.Access, one)
		}
	}
}

func (r *acsReader) sharing(v stix.RawValue) {
	var scopes []string
	var permit bool
	r.object(v, known{
		"sharing_scope": func(v stix.RawValue) { scopes = r.tokens(v) },
		"rule_effect":   func(v stix.RawValue) { permit = r.word(v, "permit", "deny") == "permit" },
	}, "sharing_scope", "rule_effect")
	if permit {
		r.a.Share = append(r.a.Share, scopes...)
	} else {
		r.a.Withhold = append(r.a.Withhold, scopes...)
	}
}
