package release_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/stix"
)

// How far a marking lets a thing go, as the generator of the leak battery knows
// it by construction: it asks no code under test.
const (
	never   = 0 // whatever persons sign
	persons = 2 // after a review or two persons
	alone   = 3 // by a clause alone
)

// stamp is a marking of the leak battery.
type stamp struct {
	name    string
	id      stix.ID
	bodies  []string                 // its definitions; two contradict each other
	reach   func(jpn, self bool) int // to Japan or Korea, of this node's own or another's things
	handles bool                     // a handling marking; others free nothing
	whole   bool                     // lets nothing be cut out (ACS 3.0, TEARLINE denied)
	unnamed bool                     // does not let the source be named (IDSRC denied)
	by      stix.ID                  // who made the definition

	defs []*stix.Object
	mark string // portion mark in the first of them
}

// well reports whether it needs no definition.
func (s *stamp) well() bool { return noroshi.TLPOf(s.id) != noroshi.NoTLP }

func always(n int) func(bool, bool) int { return func(bool, bool) int { return n } }

// own is how far something goes that only its source may pass on.
func own(n int) func(bool, bool) int {
	return func(_, self bool) int {
		if self {
			return n
		}
		return never
	}
}

// toJapan is how far something goes that is released to Japan alone.
func toJapan(n int) func(bool, bool) int {
	return func(jpn, _ bool) int {
		if jpn {
			return n
		}
		return never
	}
}

// vendor made some of the definitions; it is there, withheld or missing.
var vendor = id("identity", 70)

var stamps = sync.OnceValue(func() []*stamp {
	n := 0
	fresh := func() stix.ID { n++; return id("marking-definition", 800+n) }
	define := func(id stix.ID, by stix.ID, members edit) string {
		m := edit{"type": "marking-definition", "spec_version": "2.1", "id": string(id), "created": "2026-11-01T00:00:00.000Z"}
		maps.Copy(m, members)
		if by != "" {
			m["created_by_ref"] = string(by)
		}
		raw, err := json.Marshal(m)
		if err != nil {
			panic(err)
		}
		return string(raw)
	}
	var all []*stamp
	level := func(id stix.ID, reach func(bool, bool) int) {
		all = append(all, &stamp{name: noroshi.TLPOf(id).String(), id: id, reach: reach, handles: true})
	}
	made := func(name string, reach func(bool, bool) int, by stix.ID, members edit) *stamp {
		id := fresh()
		s := &stamp{name: name, id: id, by: by, bodies: []string{define(id, by, members)}, reach: reach, handles: true}
		all = append(all, s)
		return s
	}
	extension := func(id stix.ID, content edit) edit { return edit{"extensions": edit{string(id): content}} }
	acsOf := func(changes edit) edit {
		m := extension(noroshi.ACSExtension, acs(changes))
		m["name"] = fmt.Sprintf("zd%d-name", n+1)
		return m
	}
	japanese := func(kubun string, to ...string) edit {
		m := edit{"extension_type": "property-extension", "kubun": kubun, "originator": "USA.DOD"}
		if len(to) > 0 {
			m["releasable_to"] = to
		}
		return extension(noroshi.JapaneseExtension, m)
	}
	level(noroshi.Clear.MarkingID(), always(alone))
	level(noroshi.Green.MarkingID(), always(alone))
	level("marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da", always(alone)) // TLP 1.0 GREEN
	level(noroshi.Amber.MarkingID(), own(alone))
	level(noroshi.AmberStrict.MarkingID(), own(persons))
	level(noroshi.Red.MarkingID(), always(never))
	level("marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed", always(never)) // TLP 1.0 RED

	statement := func(text string) edit {
		return edit{"definition_type": "statement", "definition": edit{"statement": text}}
	}
	made("statement", always(alone), "", statement(allowed)).handles = false
	made("statement of a vendor", always(alone), vendor, statement(allowed)).handles = false
	made("statement nobody agreed on", always(never), "", statement("zd-not agreed on"))
	all = append(all, &stamp{name: "unresolved", id: fresh(), reach: always(never)},
		&stamp{name: "near miss of GREEN", id: "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2cb", reach: always(never)})
	made("TLP in upper case", always(never), "", edit{"definition_type": "tlp", "definition": edit{"tlp": "CLEAR"}})
	made("TLP under another id", always(never), "", edit{"definition_type": "tlp", "definition": edit{"tlp": "white"}})
	two := made("two definitions", always(never), "", statement(allowed))
	two.bodies = append(two.bodies, define(two.id, "", statement("zd-other")))
	marked := statement(allowed)
	marked["object_marking_refs"] = []string{string(noroshi.Green.MarkingID())}
	made("a marking that is marked", always(never), "", marked)
	made("exercise", always(never), "", extension(noroshi.ExerciseExtension, edit{"extension_type": "property-extension", "exercise_id": "ex-2026-1"})).handles = false

	made("ACS public", always(alone), "", acsOf(edit{".formal_determination": []string{"PUBREL"}, "public_release": released}))
	made("ACS open", always(alone), vendor, acsOf(edit{"policy_reference": bothPermit}))
	made("ACS REL TO JPN", toJapan(alone), "", acsOf(edit{".formal_determination": []string{"FOUO"}, ".permitted_nationalities": relJPN, "policy_reference": bothPermit}))
	made("ACS NOFORN", always(never), "", acsOf(edit{".formal_determination": []string{"NF"}, "policy_reference": bothPermit}))
	made("ACS of compartments", always(never), "", acsOf(edit{".sci_controls": []string{"X"}, "policy_reference": bothPermit}))
	made("ACS S REL TO JPN", toJapan(persons), "", acsOf(edit{".classification": "S", "derivative_classification": classified, ".permitted_nationalities": relJPN}))
	made("ACS sensitive", always(persons), "", acsOf(edit{".sensitivity": []string{"LES"}, ".permitted_nationalities": []string{"ALL"}, "policy_reference": bothPermit}))
	dhs := made("ACS of others, no source, no cuts", always(alone), "", acsOf(edit{"responsible_entity_custodian": "USA.DHS", "policy_reference": sharePermt}))
	dhs.whole, dhs.unnamed = true, true
	made("ACS of others, no source", always(alone), "", acsOf(edit{"responsible_entity_custodian": "USA.DHS", "policy_reference": bothPermit,
		"access_privilege": []edit{access("deny", "IDSRC", edit{"permitted_nationalities": []string{"ALL"}})}})).unnamed = true
	made("IEP green", always(alone), "", extension(noroshi.IEPExtension, iep(edit{"tlp": "green"})))
	made("IEP amber", own(alone), "", extension(noroshi.IEPExtension, iep(edit{"tlp": "amber"})))
	made("IEP red", always(never), "", extension(noroshi.IEPExtension, iep(edit{"tlp": "red"})))
	made("IEP expired", always(never), "", extension(noroshi.IEPExtension, iep(edit{"tlp": "white", "end_date": "2026-06-01T00:00:00.000Z"})))
	made("公開", always(alone), "", japanese("公開"))
	made("部内限り", toJapan(alone), "", japanese("部内限り", "JPN"))
	made("秘", toJapan(persons), "", japanese("秘", "JPN"))
	made("秘 to nobody", always(never), "", japanese("秘"))
	for _, s := range all {
		for _, b := range s.bodies {
			o, err := stix.Parse([]byte(b))
			if err != nil {
				panic(err)
			}
			s.defs = append(s.defs, o)
		}
		if len(s.defs) > 0 {
			s.mark = release.PortionMark(s.defs[0].Bytes())
		}
	}
	return all
})

var definedBy = sync.OnceValue(func() map[stix.ID][]*stix.Object {
	m := map[stix.ID][]*stix.Object{}
	for _, s := range stamps() {
		m[s.id] = s.defs
	}
	return m
})

// defined finds the definitions of a stamp.
func defined(id stix.ID) []*stix.Object { return definedBy()[id] }

// TestStamps: the leak battery knows of every marking how far it goes, and the
// gate says the same of it beside TLP:GREEN.
func TestStamps(t *testing.T) {
	w := readWorld(t)
	for _, jpn := range []bool{true, false} {
		c := w.caseOf(t, "USA", map[bool]string{true: "JPN", false: "ROK"}[jpn], noroshi.Real)
		for _, s := range stamps() {
			for _, from := range []release.Origin{release.Self, release.Other} {
				l := noroshi.MarkingLabel(s.id, s.defs, []string{allowed})
				if l.Handled() != (s.handles && len(l.Unknown) == 0) {
					t.Errorf("%s: handled %v", s.name, l.Handled())
				}
				j := c.Judge(l.Join(noroshi.Label{TLP: noroshi.Green}), from)
				want := s.reach(jpn, from == release.Self)
				if got := max(reach(j), 2*min(reach(j), 1)); got != want || j.NoCuts != s.whole || j.SourceDenied != s.unnamed {
					t.Errorf("%s to %s from %s: reach %d, want %d; %+v", s.name, c.Partner.CallSign, from, got, want, j)
				}
			}
		}
	}
}
