package release_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/stix"
)

// partners are whom the tables of this file judge for, in this order.
var partners = []string{"JPN", "ROK", public}

const mark stix.ID = "marking-definition--9c167222-415d-5284-9cba-f7bec0acccdf"

// labelOfBody is what a marking definition with these members means.
func labelOfBody(t testing.TB, members map[string]any) noroshi.Label {
	t.Helper()
	all := map[string]any{"type": "marking-definition", "spec_version": "2.1", "id": mark, "created": "2026-11-01T00:00:00.000Z"}
	maps.Copy(all, members)
	raw, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	o, err := stix.Parse(raw)
	if err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return noroshi.MarkingLabel(o.ID, []*stix.Object{o}, nil)
}

func extended(t testing.TB, id stix.ID, content map[string]any) noroshi.Label {
	t.Helper()
	return labelOfBody(t, map[string]any{"extensions": map[stix.ID]any{id: content}})
}

// acs is an ACS extension: U of the USA's Defense Department, both defaults
// deny, with what a case changes. Names with a point are of control_set.
func acs(changes map[string]any) map[string]any {
	m := map[string]any{
		"extension_type": "property-extension", "identifier": "isa:guide.999191.ACS3-1", "create_date_time": "2026-11-01T00:00:00.000Z",
		"responsible_entity_custodian": "USA.DOD", "policy_reference": "urn:isa:policy:acs:ns:v3.0?privdefault=deny&sharedefault=deny",
	}
	control := map[string]any{"classification": "U"}
	for name, v := range changes {
		if in, ok := strings.CutPrefix(name, "."); ok {
			control[in] = v
		} else {
			m[name] = v
		}
	}
	m["control_set"] = control
	return m
}

type edit = map[string]any

var (
	classified = edit{"classified_by": "x", "derived_from": "y"}
	released   = edit{"released_by": "x"}
	relJPN     = []string{"USA", "JPN"}
	bothPermit = "urn:isa:policy:acs:ns:v3.0?privdefault=permit&sharedefault=permit"
	sharePermt = "urn:isa:policy:acs:ns:v3.0?privdefault=deny&sharedefault=permit"
)

func share(effect string, scopes ...string) edit {
	return edit{"sharing_scope": scopes, "rule_effect": effect}
}

func access(effect, action string, scope edit) edit {
	return edit{"privilege_action": action, "rule_effect": effect, "privilege_scope": scope}
}

// judged are the outcomes for the partners, and the flags for the first.
func judged(t testing.TB, l noroshi.Label, holder string, from release.Origin) (string, string) {
	t.Helper()
	w := readWorld(t)
	var out []string
	flags := ""
	for i, p := range partners {
		c := w.caseOf(t, holder, p, noroshi.Real)
		j := c.Judge(l, from)
		if len(j.Reasons) == 0 {
			t.Errorf("%s for %s: no reason", l, p)
		}
		out = append(out, j.Outcome.String()+map[noroshi.HoldKey]string{noroshi.TwoPersons: "-two", noroshi.Review: "-review"}[j.Key])
		if i == 0 && j.SourceDenied {
			flags += "source "
		}
		if i == 0 && j.NoCuts {
			flags += "uncut "
		}
	}
	return strings.Join(out, " "), strings.TrimSpace(flags)
}

// TestACS goes through rule 5 step by step.
func TestACS(t *testing.T) {
	for _, x := range []struct {
		name    string
		changes edit
		want    string // for JPN, ROK, everybody
		flags   string // for JPN
	}{
		{"nobody listed, defaults deny", nil, "deny deny deny", ""},
		{"nobody listed, defaults permit", edit{"policy_reference": bothPermit}, "release release deny", ""},
		{"nothing stands behind a level", edit{".classification": "S", ".permitted_nationalities": relJPN}, "hold hold hold", ""},
		{"nothing stands behind a level, NF", edit{".classification": "C", ".formal_determination": []string{"NF"}}, "hold hold hold", ""},
		{"NF", edit{".formal_determination": []string{"NF"}, "policy_reference": bothPermit, ".permitted_nationalities": []string{"ALL"}}, "deny deny deny", ""},
		{"NF of a level", edit{".formal_determination": []string{"NF"}, ".classification": "S", "original_classification": edit{"classified_by": "x"}}, "deny deny deny", ""},
		{"PUBREL", edit{".formal_determination": []string{"PUBREL"}, "public_release": released}, "release release release", ""},
		{"PUBREL and NF", edit{".formal_determination": []string{"NF", "PUBREL"}, "public_release": released}, "deny deny deny", ""},
		{"PUBREL by nobody", edit{".formal_determination": []string{"PUBREL"}, "public_release": edit{"released_on": "2026-11-01T00:00:00.000Z"}}, "hold hold hold", ""},
		{"PUBREL and FOUO", edit{".formal_determination": []string{"PUBREL", "FOUO"}, "public_release": released}, "hold hold hold", ""},
		{"PUBREL and a sensitivity", edit{".formal_determination": []string{"PUBREL"}, "public_release": released, ".sensitivity": []string{"LES"}}, "hold hold hold", ""},
		{"PUBREL and nations", edit{".formal_determination": []string{"PUBREL"}, "public_release": released, ".permitted_nationalities": []string{"ALL"}}, "hold hold hold", ""},
		{"PUBREL and organisations", edit{".formal_determination": []string{"PUBREL"}, "public_release": released, ".permitted_organizations": []string{"ALL"}}, "hold hold hold", ""},
		{"PUBREL of a level", edit{".formal_determination": []string{"PUBREL"}, "public_release": released, ".classification": "C", "derivative_classification": classified}, "hold hold hold", ""},
		{"released but not PUBREL", edit{"public_release": released, "policy_reference": bothPermit}, "release release deny", ""},
		{"PUBREL of another custodian", edit{".formal_determination": []string{"PUBREL"}, "public_release": released, "responsible_entity_custodian": "USA.DHS"}, "release release release", "source uncut"},
		{"nation", edit{".permitted_nationalities": relJPN}, "release deny deny", ""},
		{"all nations", edit{".permitted_nationalities": []string{"ALL"}}, "release release deny", ""},
		{"nation by its country's token", edit{".permitted_nationalities": []string{"JPN.MOD"}}, "deny deny deny", ""},
		{"organisation", edit{".permitted_organizations": []string{"KOR.MND"}}, "deny release deny", ""},
		{"all organisations", edit{".permitted_organizations": []string{"ALL"}}, "release release deny", ""},
		{"organisation by its country", edit{".permitted_organizations": []string{"JPN"}}, "deny deny deny", ""},
		{"nation yes, organisation no", edit{".permitted_nationalities": relJPN, ".permitted_organizations": []string{"USA.DOD"}}, "deny deny deny", ""},
		{"entity", edit{".entity": []string{"CTR", "MIL"}, ".permitted_nationalities": relJPN}, "release deny deny", ""},
		{"entity not agreed", edit{".entity": []string{"CTR"}, ".permitted_nationalities": relJPN}, "deny deny deny", ""},
		{"SCI", edit{".sci_controls": []string{"SI"}, ".permitted_nationalities": relJPN}, "deny deny deny", ""},
		{"logical authority", edit{".logical_authority_category": []string{"X"}, ".permitted_nationalities": relJPN}, "deny deny deny", ""},
		{"sharing denied, though listed", edit{".permitted_nationalities": relJPN, "further_sharing": []edit{share("permit", "FOREIGNGOV"), share("deny", "JPN.MOD")}}, "deny deny deny", ""},
		{"sharing denied to all foreign governments", edit{".permitted_nationalities": relJPN, "further_sharing": []edit{share("deny", "FOREIGNGOV"), share("permit", "JPN.MOD")}}, "deny deny deny", ""},
		{"sharing denied to a sector", edit{".permitted_nationalities": relJPN, "further_sharing": []edit{share("deny", "SECTOR")}}, "release deny deny", ""},
		{"sharing permitted", edit{"further_sharing": []edit{share("permit", "SECTOR", "JPN.MOD")}}, "release deny deny", ""},
		{"another custodian, nothing permitted", edit{"responsible_entity_custodian": "USA.DHS", ".permitted_nationalities": relJPN}, "deny deny deny", "source uncut"},
		{"another custodian, by default", edit{"responsible_entity_custodian": "USA.DHS", "policy_reference": sharePermt}, "release release deny", "source uncut"},
		{"another custodian, by scope", edit{"responsible_entity_custodian": "USA.DHS", "further_sharing": []edit{share("permit", "FOREIGNGOV")}}, "release release deny", "source uncut"},
		{"another custodian, all permitted", edit{"responsible_entity_custodian": "USA.DHS", "policy_reference": bothPermit}, "release release deny", ""},
		{"the partner's own", edit{"responsible_entity_custodian": "JPN.MOD"}, "release deny deny", "uncut"},
		{"FOUO needs a listing", edit{".formal_determination": []string{"FOUO"}, "policy_reference": bothPermit}, "deny deny deny", ""},
		{"FOUO listed", edit{".formal_determination": []string{"FOUO"}, ".permitted_nationalities": relJPN}, "release deny deny", ""},
		{"FOUO by sharing", edit{".formal_determination": []string{"FOUO"}, "further_sharing": []edit{share("permit", "FOREIGNGOV")}}, "release release deny", ""},
		{"a level needs a listing", edit{".classification": "C", "derivative_classification": classified, "policy_reference": bothPermit}, "deny deny deny", ""},
		{"C", edit{".classification": "C", "derivative_classification": classified, ".permitted_nationalities": []string{"ALL"}}, "hold-two hold-two deny", ""},
		{"S", edit{".classification": "S", "derivative_classification": classified, ".permitted_nationalities": []string{"ALL"}}, "hold-two deny deny", ""},
		{"TS", edit{".classification": "TS", "derivative_classification": classified, ".permitted_nationalities": []string{"ALL"}}, "deny deny deny", ""},
		{"sensitivity needs a listing", edit{".sensitivity": []string{"PCII"}, "policy_reference": bothPermit}, "deny deny deny", ""},
		{"sensitivity", edit{".sensitivity": []string{"PCII"}, ".permitted_nationalities": relJPN}, "hold-review deny deny", ""},
		{"sensitivity and level", edit{".sensitivity": []string{"PCII"}, ".permitted_nationalities": relJPN, ".classification": "C", "derivative_classification": classified}, "hold-two deny deny", ""},
		{"PII", edit{".formal_determination": []string{"PII-NECESSARY-TO-UNDERSTAND-THREAT"}, ".permitted_nationalities": relJPN}, "hold-review deny deny", ""},
		{"caveat", edit{".caveat": []string{"POSSIBLEPII"}, ".permitted_nationalities": relJPN}, "hold-review deny deny", ""},
		{"without effect", edit{".formal_determination": []string{"AIS", "NO-PII-PRESENT"}, ".shareability": []string{"NCC"}, ".permitted_nationalities": relJPN}, "release deny deny", ""},
		{"source denied of one's own", edit{".permitted_nationalities": relJPN, "access_privilege": []edit{access("deny", "IDSRC", edit{"entity": []string{"ALL"}})}}, "release deny deny", ""},
		{"tear line denied", edit{".permitted_nationalities": relJPN, "access_privilege": []edit{access("deny", "TEARLINE", edit{"permitted_nationalities": relJPN})}}, "release deny deny", "uncut"},
		{"tear line denied to others", edit{".permitted_nationalities": relJPN, "access_privilege": []edit{access("deny", "TEARLINE", edit{"permitted_nationalities": []string{"KOR"}})}}, "release deny deny", ""},
		{"all actions denied, one permitted", edit{".permitted_nationalities": relJPN, "access_privilege": []edit{access("permit", "TEARLINE", edit{"permitted_nationalities": []string{"ALL"}}), access("deny", "ALL", edit{"permitted_organizations": []string{"JPN.MOD"}})}}, "release deny deny", "uncut"},
		{"another custodian permits both", edit{"responsible_entity_custodian": "USA.DHS", "policy_reference": sharePermt, "access_privilege": []edit{access("permit", "ALL", edit{"permitted_nationalities": []string{"JPN"}, "entity": []string{"GOV"}})}}, "release release deny", ""},
		{"a permit for other entities", edit{"responsible_entity_custodian": "USA.DHS", "policy_reference": sharePermt, "access_privilege": []edit{access("permit", "ALL", edit{"permitted_nationalities": []string{"JPN"}, "entity": []string{"NET"}})}}, "release release deny", "source uncut"},
		{"other actions decide nothing", edit{"policy_reference": bothPermit, "access_privilege": []edit{access("deny", "DSPLY", edit{"permitted_nationalities": []string{"ALL"}})}}, "release release deny", ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			l := extended(t, noroshi.ACSExtension, acs(x.changes))
			if len(l.Unknown) > 0 {
				t.Fatalf("not understood: %s", l)
			}
			if got, flags := judged(t, l, "USA", release.Self); got != x.want || flags != x.flags {
				t.Errorf("%s: got %q (%s), want %q (%s)", l, got, flags, x.want, x.flags)
			}
		})
	}
}

func iep(changes map[string]any) map[string]any {
	m := edit{
		"extension_type": "property-extension", "iep_id": "ee5fb97f-1477-5d87-8262-a94796f884ab", "iep_version": json.Number("2.0"),
		"description": "x", "start_date": "2026-01-01T00:00:00.000Z", "tlp": "amber", "encrypt_in_transit": "must",
		"permitted_actions": "none", "affected_party_notifications": "may", "provider_attribution": "may", "unmodified_resale": "must-not",
	}
	maps.Copy(m, changes)
	return m
}

func TestIEP(t *testing.T) {
	for _, x := range []struct {
		name    string
		changes edit
		from    release.Origin
		want    string
	}{
		{"white", edit{"tlp": "white"}, release.Other, "release release release"},
		{"green", edit{"tlp": "green"}, release.Other, "release release deny"},
		{"amber", nil, release.Self, "release release deny"},
		{"amber of a third party", nil, release.Other, "deny deny deny"},
		{"red", edit{"tlp": "red"}, release.Self, "deny deny deny"},
		{"not yet", edit{"start_date": "2026-11-21T00:00:00.001Z", "tlp": "red"}, release.Self, "hold hold hold"},
		{"from now on", edit{"start_date": "2026-11-21T00:00:00Z"}, release.Self, "release release deny"},
		{"until now", edit{"end_date": "2026-11-21T00:00:00Z"}, release.Self, "hold hold hold"},
		{"a little longer", edit{"end_date": "2026-11-21T00:00:00.000000001Z"}, release.Self, "release release deny"},
		{"other version", edit{"iep_version": json.Number("1.0")}, release.Self, "hold hold hold"},
	} {
		t.Run(x.name, func(t *testing.T) {
			if got, _ := judged(t, extended(t, noroshi.IEPExtension, iep(x.changes)), "USA", x.from); got != x.want {
				t.Errorf("got %q, want %q", got, x.want)
			}
		})
	}
}

func TestJapanese(t *testing.T) {
	partners := []string{"USA", "ROK", public}
	w := readWorld(t)
	for _, x := range []struct {
		kubun, originator string
		to                []string
		want              string
	}{
		{"公開", "JPN.MOD", nil, "release release release"},
		{"公開", "JPN.MOFA", []string{"KOR"}, "release release release"},
		{"部内限り", "JPN.MOD", []string{"USA", "KOR"}, "release release deny"},
		{"部内限り", "JPN.MOD", nil, "deny deny deny"},
		{"部内限り", "USA.DOD", []string{"USA", "KOR"}, "release deny deny"},
		{"部内限り", "JPN.MOFA", []string{"USA"}, "deny deny deny"},
		{"秘", "JPN.MOD", []string{"USA", "KOR"}, "hold deny deny"},
		{"極秘", "JPN.MOD", []string{"USA"}, "hold deny deny"},
		{"特定秘密", "JPN.MOD", []string{"USA"}, "hold deny deny"},
		{"機密", "JPN.MOD", []string{"USA"}, "deny deny deny"},
	} {
		m := edit{"extension_type": "property-extension", "kubun": x.kubun, "originator": x.originator}
		if x.to != nil {
			m["releasable_to"] = x.to
		}
		l := extended(t, noroshi.JapaneseExtension, m)
		var got []string
		for _, p := range partners {
			c := w.caseOf(t, "JPN", p, noroshi.Real)
			got = append(got, c.Judge(l, release.Self).Outcome.String())
		}
		if s := strings.Join(got, " "); s != x.want {
			t.Errorf("%s: got %q, want %q", l, s, x.want)
		}
	}
	// A class the agreement does not compare is not understood.
	c := w.caseOf(t, "JPN", "USA", noroshi.Real)
	c.Clauses.Agreement().Japanese = noroshi.Kubuns{"極秘": noroshi.Secret}
	j := c.Judge(noroshi.Label{JPN: []noroshi.Japanese{{Kubun: "部内限り", Originator: "JPN.MOD", To: []string{"USA"}}}}, release.Self)
	if j.Outcome != noroshi.Hold || j.Key != noroshi.NotUnderstood {
		t.Errorf("a class not compared: %+v", j)
	}
	if j := c.Judge(noroshi.Label{JPN: []noroshi.Japanese{{Kubun: "公開", Originator: "JPN.MOD"}}}, release.Self); j.Outcome != noroshi.Release {
		t.Errorf("公開: %+v", j)
	}
}

// TestWorstCounts is rule 1, and that no agreement means the least there is.
func TestWorstCounts(t *testing.T) {
	w := readWorld(t)
	c := w.caseOf(t, "USA", "JPN", noroshi.Real)
	open := extended(t, noroshi.ACSExtension, acs(edit{".permitted_nationalities": relJPN}))
	secret := extended(t, noroshi.ACSExtension, acs(edit{".classification": "S", "derivative_classification": classified, ".permitted_nationalities": relJPN}))
	for _, x := range []struct {
		name string
		l    noroshi.Label
		want noroshi.Outcome
	}{
		{"open and CLEAR", open.Join(noroshi.Label{TLP: noroshi.Clear}), noroshi.Release},
		{"open and secret", open.Join(secret), noroshi.Hold},
		{"secret and RED", secret.Join(noroshi.Label{TLP: noroshi.Red}), noroshi.Deny},
		{"open and not understood", open.Join(noroshi.Label{Unknown: []string{"unresolved"}}), noroshi.Hold},
		{"nothing", noroshi.Label{}, noroshi.Hold},
		{"of an exercise", open.Join(noroshi.Label{Exercise: "ex-1"}), noroshi.Deny},
	} {
		if j := c.Judge(x.l, release.Self); j.Outcome != x.want {
			t.Errorf("%s: got %s, want %s: %v", x.name, j.Outcome, x.want, j.Reasons)
		}
	}
	c.Clauses = nil
	if j := c.Judge(secret, release.Self); j.Outcome != noroshi.Deny {
		t.Errorf("secret without an agreement: %s", j.Outcome)
	}
	c.Now = time.Time{}
	if j := c.Judge(extended(t, noroshi.IEPExtension, iep(nil)), release.Self); j.Outcome != noroshi.Hold {
		t.Errorf("a policy before its time: %s", j.Outcome)
	}
}
