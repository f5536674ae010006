package watch_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/stix"
)

func TestRules(t *testing.T) {
	for _, c := range []struct {
		strength   detect.Strength
		kind       noroshi.ValueKind
		want       string
		severity   noroshi.Severity
		precedence noroshi.Precedence
		action     string
	}{
		{detect.Strong, noroshi.DomainName, "name", noroshi.High, noroshi.Priority, "investigate"},
		{detect.Strong, noroshi.AddrPort, "exact", noroshi.High, noroshi.Immediate, "investigate"},
		{detect.Strong, noroshi.URL, "exact", noroshi.High, noroshi.Immediate, "investigate"},
		{detect.Strong, noroshi.URLPart, "exact", noroshi.High, noroshi.Immediate, "investigate"},
		{detect.Strong, noroshi.SHA256, "file", noroshi.High, noroshi.Immediate, "isolate"},
		{detect.Strong, noroshi.MD5, "file", noroshi.High, noroshi.Immediate, "isolate"},
		{detect.Strong, noroshi.IPv4, "address", noroshi.Medium, noroshi.Priority, "investigate"},
		{detect.Strong, noroshi.CIDR, "address", noroshi.Medium, noroshi.Priority, "investigate"},
		{detect.Strong, noroshi.EmailAddr, "any", noroshi.Medium, noroshi.Priority, "check"},
		{detect.Strong, "of-tomorrow", "any", noroshi.Medium, noroshi.Priority, "check"},
		{detect.Weak, noroshi.AddrPort, "weak", noroshi.Low, noroshi.Routine, "check"},
		{detect.Weak, noroshi.DomainName, "weak", noroshi.Low, noroshi.Routine, "check"},
	} {
		r, ok := watch.RuleFor(c.strength, c.kind)
		if !ok || r.ID != c.want || r.Severity != c.severity || r.Precedence != c.precedence || r.Action != c.action {
			t.Errorf("%s %s: got %+v, want rule %s", c.strength, c.kind, r, c.want)
		}
	}
	if r, ok := watch.RuleFor("", noroshi.DomainName); ok {
		t.Errorf("a hit of no strength: rule %s speaks", r.ID)
	}
}

func TestRulesAreSound(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range watch.Rules() {
		if seen[r.ID] || r.Due <= 0 || !slices.Contains(watch.Actions(), r.Action) {
			t.Errorf("rule %+v: doubled, without due time or with an unknown action", r)
		}
		seen[r.ID] = true
		if r.Precedence >= noroshi.Flash {
			t.Errorf("rule %s makes a FLASH, which takes two people", r.ID)
		}
	}
	for _, a := range watch.Actions() {
		if !locale.Has("action."+a) || !locale.Has("action."+a+".text") {
			t.Errorf("action %s has no text", a)
		}
	}
}

func TestSightingIDs(t *testing.T) {
	at := time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC)
	const ind = "indicator--4b5e1a4f-5b93-4b0e-8d2a-5ad1b8a3f0c1"
	salt := [16]byte{1}
	base := watch.SightingID(salt, ind, "dmz-1", at)
	if base.Type() != "sighting" || base != watch.SightingID(salt, ind, "dmz-1", at.In(locale.JST)) {
		t.Errorf("the same place has another id: %s", base)
	}
	if _, err := stix.ParseID(string(base)); err != nil {
		t.Error(err)
	}
	for name, other := range map[string]stix.ID{
		"another salt":      watch.SightingID([16]byte{2}, ind, "dmz-1", at),
		"another sensor":    watch.SightingID(salt, ind, "dmz-2", at),
		"another hour":      watch.SightingID(salt, ind, "dmz-1", at.Add(time.Hour)),
		"another indicator": watch.SightingID(salt, "indicator--4b5e1a4f-5b93-4b0e-8d2a-5ad1b8a3f0c2", "dmz-1", at),
	} {
		if other == base {
			t.Errorf("%s: the same id", name)
		}
	}
}

func TestSightingMarks(t *testing.T) {
	green, amber, red := noroshi.Green.MarkingID(), noroshi.Amber.MarkingID(), noroshi.Red.MarkingID()
	const (
		green1    = "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"
		statement = "marking-definition--fa42a846-8d90-4e51-bc29-71d5b4802168"
		secret    = "marking-definition--aaaaaaaa-8d90-4e51-bc29-71d5b4802168"
		acs       = "marking-definition--acacacac-8d90-4e51-bc29-71d5b4802168"
		iep       = "marking-definition--eeeeeeee-8d90-4e51-bc29-71d5b4802168"
		japanese  = "marking-definition--ffffffff-8d90-4e51-bc29-71d5b4802168"
	)
	bodies := map[stix.ID]string{
		statement: `"definition_type":"statement","definition":{"statement":"s"}`,
		acs:       extension(noroshi.ACSExtension, `"identifier":"isa:guide.999191.ACS3-1","create_date_time":"2026-11-01T00:00:00.000Z","responsible_entity_custodian":"USA.DOD","policy_reference":"urn:isa:policy:acs:ns:v3.0?privdefault=permit&sharedefault=permit","control_set":{"classification":"U"}`),
		iep:       extension(noroshi.IEPExtension, `"iep_id":"ee5fb97f-1477-5d87-8262-a94796f884ab","iep_version":2.0,"description":"","tlp":"amber","encrypt_in_transit":"must","permitted_actions":"none","affected_party_notifications":"may","provider_attribution":"may","unmodified_resale":"may","start_date":"2026-01-01T00:00:00.000Z"`),
		japanese:  extension(noroshi.JapaneseExtension, `"kubun":"公開","originator":"JPN.MOD"`),
	}
	defs := func(id stix.ID) []*stix.Object {
		body, known := bodies[id]
		if !known {
			return nil
		}
		o, err := stix.Parse([]byte(`{"type":"marking-definition","spec_version":"2.1","id":"` + string(id) + `","created":"2026-11-01T00:00:00.000Z",` + body + `}`))
		if err != nil {
			t.Fatal(err)
		}
		return []*stix.Object{o}
	}
	record := func(marks, granular string, assigned ...stix.ID) store.Record {
		t.Helper()
		o, err := stix.Parse([]byte(`{"type":"indicator","spec_version":"2.1","id":"indicator--4b5e1a4f-5b93-4b0e-8d2a-5ad1b8a3f0c1",` +
			`"created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z","pattern":"[domain-name:value = 'a.example']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"` +
			marks + granular + `}`))
		if err != nil {
			t.Fatal(err)
		}
		return store.Record{Object: o, Assigned: assigned}
	}
	refs := func(ids ...string) string { return `,"object_marking_refs":["` + strings.Join(ids, `","`) + `"]` }
	granular := func(id string) string {
		return `,"granular_markings":[{"marking_ref":"` + id + `","selectors":["pattern"]},{"lang":"en","selectors":["pattern"]}]`
	}
	for _, c := range []struct {
		name string
		r    store.Record
		mark noroshi.TLP
		want []stix.ID
	}{
		{"green becomes the mark", record(refs(string(green)), ""), noroshi.Amber, []stix.ID{amber}},
		{"a mark below lowers nothing", record(refs(string(amber)), ""), noroshi.Green, []stix.ID{amber}},
		{"red stays red", record(refs(string(red)), ""), noroshi.Amber, []stix.ID{red}},
		{"TLP 1.0 is read", record(refs(green1), ""), noroshi.Clear, []stix.ID{green}},
		{"assigned counts", record("", "", amber), noroshi.Green, []stix.ID{amber}},
		{"own and assigned join", record(refs(string(green)), "", red), noroshi.Amber, []stix.ID{red}},
		{"a statement goes along", record(refs(statement, string(green)), ""), noroshi.Amber, []stix.ID{amber, statement}},
		{"what is not understood goes along", record(refs(string(green), secret), ""), noroshi.Amber, []stix.ID{amber, secret}},
		{"a marked pattern marks its sighting", record(refs(string(green)), granular(secret)), noroshi.Amber, []stix.ID{amber, secret}},
		{"a red pattern", record(refs(string(green)), granular(string(red))), noroshi.Amber, []stix.ID{red}},
		{"unmarked lends none", record("", ""), noroshi.Amber, nil},
		{"a statement alone lends none", record(refs(statement), ""), noroshi.Amber, []stix.ID{statement}},
		{"ACS alone gets the mark", record(refs(acs), ""), noroshi.Amber, []stix.ID{amber, acs}},
		{"Japanese alone gets the mark", record(refs(japanese), ""), noroshi.Amber, []stix.ID{amber, japanese}},
		{"IEP beside a statement", record(refs(statement, iep), ""), noroshi.Green, []stix.ID{green, iep, statement}},
		{"a marked pattern gets it too", record("", granular(acs)), noroshi.Amber, []stix.ID{amber, acs}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := watch.SightingMarks(c.r, c.mark, defs); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// extension is what a marking definition says in an extension.
func extension(id stix.ID, members string) string {
	return `"extensions":{"` + string(id) + `":{"extension_type":"property-extension",` + members + `}}`
}

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"evil.example":          "evil.example",
		"evil\u202egpj.example": "evil\ufffdgpj.example",
		"a\nb":                  "a\ufffdb",
		"zero\u200bwidth":       "zero\ufffdwidth",
		"悪い例.example":           "悪い例.example",
	} {
		if got := watch.Visible(in, 100); got != want {
			t.Errorf("Visible(%q) = %q, want %q", in, got, want)
		}
	}
	if got := watch.Visible(strings.Repeat("あ", 50), 10); got != strings.Repeat("あ", 10)+"…" {
		t.Errorf("cut: %q", got)
	}
}

func TestDraftBound(t *testing.T) {
	d := watch.Draft{ID: "report--4b5e1a4f-5b93-4b0e-8d2a-5ad1b8a3f0c1", TitleEN: "t", Severity: noroshi.Low, Precedence: noroshi.Flash}
	same, e := d, d
	e.TextJA = "x"
	if d.Bound() != same.Bound() || d.Bound() == e.Bound() {
		t.Error("Bound must cover the draft and nothing else")
	}
}
