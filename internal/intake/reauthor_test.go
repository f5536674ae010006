package intake_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

const clearMalware = `{"name":"clear","is_family":false}`

// acsDefinition is a definition of an ACS marking.
func acsDefinition(id string) string {
	return `{"type":"marking-definition","spec_version":"2.1","id":"` + id + `","created":"2026-01-01T00:00:00.000Z","extensions":{"` + string(noroshi.ACSExtension) + `":{
"extension_type":"property-extension","identifier":"isa:guide.999191.ACS3-1","create_date_time":"2026-01-01T00:00:00.000Z","responsible_entity_custodian":"USA.MOD",
"policy_reference":"urn:isa:policy:acs:ns:v3.0?privdefault=deny&sharedefault=deny","control_set":{"classification":"U"}}}}`
}

// TestRedraw: nothing of the original is carried over, what the file must not
// say is refused by name, and what cannot be re-authored is not.
func TestRedraw(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	const ours, theirs = "marking-definition--00000000-0000-4000-8000-0000000000c2", "marking-definition--00000000-0000-4000-8000-0000000000c3"
	const original, statement = "malware--00000000-0000-4000-8000-0000000000AB", "marking-definition--00000000-0000-4000-8000-0000000000c1"
	id := stix.ID(strings.ToLower(original))
	const head = `"spec_version":"2.1","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z"`
	h.admit(fromFile,
		`{"type":"malware","id":"`+string(id)+`",`+head+`,"name":"secret","is_family":false,"x_secret":1}`,
		`{"type":"relationship","id":"relationship--00000000-0000-4000-8000-000000000001",`+head+`,"relationship_type":"uses","source_ref":"`+string(id)+`","target_ref":"`+string(id)+`"}`,
		`{"type":"ipv4-addr","id":"ipv4-addr--00000000-0000-4000-8000-000000000001","value":"192.0.2.1"}`,
		`{"type":"marking-definition","spec_version":"2.1","id":"`+statement+`","created":"2026-01-01T00:00:00.000Z","definition_type":"statement","definition":{"statement":"x"}}`)
	h.admit(noroshi.Source{Kind: noroshi.FromPartner, Partner: noroshi.NodeID{7}, Message: noroshi.Sum(nil)},
		`{"type":"malware","id":"malware--00000000-0000-4000-8000-000000000007",`+head+`,"name":"theirs","is_family":false}`,
		acsDefinition(theirs))
	h.admit(fromFile, acsDefinition(ours),
		`{"type":"malware","id":"malware--00000000-0000-4000-8000-000000000008",`+head+`,"name":"theirs too","is_family":false,"created_by_ref":"`+string(partner)+`"}`,
		`{"type":"malware","id":"malware--00000000-0000-4000-8000-000000000009",`+head+`,"name":"a vendor's","is_family":false,"created_by_ref":"identity--33333333-3333-4333-8333-333333333333"}`)
	body, err := json.Marshal(noroshi.Partner{Node: noroshi.NodeID{7}, Organisation: noroshi.Organisation{CallSign: "JPN-01", Identity: partner}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.store.Do(t.Context(), noroshi.Act{Action: noroshi.ActConfigure, Subject: "test"}, func(tx *store.Tx) error {
		return tx.PutDoc(noroshi.DocPartner, noroshi.NodeID{7}.String(), body)
	}); err != nil {
		t.Fatal(err)
	}
	with := func(member string) string { return strings.Replace(clearMalware, "{", "{"+member+",", 1) }
	for name, c := range map[string]struct {
		of      stix.ID
		clear   string
		marking string
		change  func(*intake.Redraft)
		code    string
		arg     string
	}{
		"good":                 {clear: clearMalware},
		"another type":         {clear: `{"type":"note","content":"x","object_refs":["malware--00000000-0000-4000-8000-000000000099"]}`},
		"numbers stay":         {clear: with(`"x_n": 123456789012345678901234567890`)},
		"not here":             {of: "malware--00000000-0000-4000-8000-000000000042", clear: clearMalware, code: "store.no-object"},
		"a partner's":          {of: "malware--00000000-0000-4000-8000-000000000007", clear: clearMalware, code: "reauthor.partners"},
		"a partner's, by file": {of: "malware--00000000-0000-4000-8000-000000000008", clear: clearMalware, code: "reauthor.partners", arg: "JPN-01"},
		"a vendor's":           {of: "malware--00000000-0000-4000-8000-000000000009", clear: clearMalware},
		"a marking of ours":    {clear: clearMalware, marking: ours},
		"a partner's marking":  {clear: clearMalware, marking: theirs, code: "reauthor.their-marking", arg: theirs},
		"a relationship":       {of: "relationship--00000000-0000-4000-8000-000000000001", clear: clearMalware, code: "reauthor.type", arg: "relationship"},
		"an address":           {of: "ipv4-addr--00000000-0000-4000-8000-000000000001", clear: clearMalware, code: "reauthor.type", arg: "ipv4-addr"},
		"as a bundle":          {clear: `{"type":"bundle"}`, code: "reauthor.type", arg: "bundle"},
		"as a type of numbers": {clear: `{"type":1}`, code: "reauthor.type"},
		"no JSON":              {clear: `{"name":`, code: "reauthor.file", arg: "8"},
		"empty":                {clear: ``, code: "reauthor.file"},
		"null":                 {clear: `null`, code: "reauthor.file"},
		"a list":               {clear: `[` + clearMalware + `]`, code: "reauthor.file"},
		"a member twice":       {clear: with(`"name":"x"`), code: "reauthor.file"},
		"an id":                {clear: with(`"id":"` + string(id) + `"`), code: "reauthor.set-here", arg: "id"},
		"a time":               {clear: with(`"Modified":"2026-01-01T00:00:00.000Z"`), code: "reauthor.set-here", arg: "Modified"},
		"a maker":              {clear: with(`"created_by_ref":"` + string(partner) + `"`), code: "reauthor.set-here", arg: "created_by_ref"},
		"markings":             {clear: with(`"object_marking_refs":[]`), code: "reauthor.marked", arg: "object_marking_refs"},
		"granular markings":    {clear: with(`"granular_markings":[]`), code: "reauthor.marked", arg: "granular_markings"},
		"incomplete":           {clear: `{"name":"x"}`, code: "reauthor.invalid", arg: "missing"},
		"a null":               {clear: with(`"description":null`), code: "reauthor.invalid", arg: "/description"},
		"the original's id":    {clear: with(`"description":"from ` + string(id) + `"`), code: "reauthor.names"},
		"its number":           {clear: with(`"x_a":[{"b":"` + original[9:] + `"}]`), code: "reauthor.names"},
		"escaped":              {clear: with(`"x_a":"\u0030` + string(id)[10:] + `"`), code: "reauthor.names"},
		"as a name":            {clear: with(`"x_a":{"` + string(id) + `":1}`), code: "reauthor.names"},
		"no level":             {clear: clearMalware, marking: "tlp:pink", code: "reauthor.marking", arg: "tlp:pink"},
		"a statement":          {clear: clearMalware, marking: statement, code: "reauthor.marking"},
		"no definition":        {clear: clearMalware, marking: "marking-definition--00000000-0000-4000-8000-0000000000c9", code: "reauthor.marking"},
		"another day":          {clear: clearMalware, change: func(d *intake.Redraft) { d.Made = now.AddDate(0, 0, -2) }, code: "reauthor.order"},
		"another id":           {clear: clearMalware, change: func(d *intake.Redraft) { d.ID = "tool--00000000-0000-4000-8000-000000000001" }, code: "reauthor.order"},
	} {
		t.Run(name, func(t *testing.T) {
			d := intake.Redraft{Original: id, Clear: c.clear, Markings: []string{"tlp:green"}}
			if c.of != "" {
				d.Original = c.of
			}
			if c.marking != "" {
				d.Markings = []string{c.marking}
			}
			if c.change != nil {
				c.change(&d)
			}
			r, err := h.Redraw(t.Context(), &d)
			var e *noroshi.Error
			switch {
			case c.code != "":
				if !errors.As(err, &e) || e.Code != c.code || c.arg != "" && !slices.Contains(e.Args, c.arg) {
					t.Errorf("%v, want %s of %q", err, c.code, c.arg)
				}
				return
			case err != nil:
				t.Fatal(err)
			}
			want := []stix.ID{noroshi.Green.MarkingID()}
			if c.marking != "" {
				want = []stix.ID{stix.ID(c.marking)}
			}
			if o := r.Object; strings.Contains(string(o.Bytes()), "secret") || o.CreatedBy != self || o.ID == id || o.ID != d.ID || o.Created.IsZero() || o.Created != o.Modified ||
				!slices.Equal(o.Markings, want) {
				t.Errorf("made %s", o.Bytes())
			}
			if again, err := h.Redraw(t.Context(), &d); err != nil || again.Bound() != r.Bound() {
				t.Errorf("the same redraft comes to other bytes: %v", err)
			}
		})
	}
	d := intake.Redraft{Original: id, Clear: clearMalware}
	if _, err := h.Redraw(t.Context(), &d); noroshi.KindOf(err) != noroshi.Invalid {
		t.Errorf("without a marking: %v", err)
	}
}

// TestReauthoredLink: what says where a new object was drawn from is marked with
// all that the original is marked: its own, its parts', and what was assigned.
func TestReauthoredLink(t *testing.T) {
	realm, err := noroshi.ParseRealm("exercise:ex-1")
	if err != nil {
		t.Fatal(err)
	}
	h := open(t, realm, nil)
	id := func(n int) string {
		return fmt.Sprintf("marking-definition--00000000-0000-4000-8000-0000000000%02d", n)
	}
	const original = "malware--00000000-0000-4000-8000-0000000000ab"
	h.admit(fromFile,
		`{"type":"marking-definition","spec_version":"2.1","id":"`+id(1)+`","created":"2026-01-01T00:00:00.000Z","extensions":{"`+string(noroshi.ExerciseExtension)+`":{"extension_type":"property-extension","exercise_id":"ex-1"}}}`,
		`{"type":"malware","spec_version":"2.1","id":"`+original+`","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"secret","is_family":false,
		"object_marking_refs":["`+id(1)+`","`+id(2)+`","`+string(noroshi.Green.MarkingID())+`"],"granular_markings":[{"marking_ref":"`+id(3)+`","selectors":["name"]},{"marking_ref":"`+id(2)+`","selectors":["name"]}]}`)
	seq := h.current(original).Seq
	standIn := noroshi.StandIn(stix.ID(id(2)), noroshi.Amber)
	if _, err := h.store.Do(t.Context(), noroshi.Act{Action: noroshi.ActAssignMarking, Subject: original}, func(tx *store.Tx) error {
		return errors.Join(tx.AssignMarking(seq, noroshi.Red.MarkingID()), tx.AssignMarking(seq, standIn))
	}); err != nil {
		t.Fatal(err)
	}
	d := intake.Redraft{Original: original, Clear: clearMalware, Markings: []string{"tlp:green"}}
	r, err := h.Redraw(t.Context(), &d)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Reauthor(t.Context(), r, noroshi.Signed{Person: "hana"}); err != nil {
		t.Fatal(err)
	}
	link, object := h.current(d.Link), h.current(d.ID)
	want := []stix.ID{stix.ID(id(1)), stix.ID(id(2)), stix.ID(id(3)), noroshi.Green.MarkingID(), noroshi.Red.MarkingID()}
	slices.Sort(want)
	if !slices.Equal(link.Object.Markings, want) || !slices.Equal(link.Assigned, []stix.ID{standIn}) {
		t.Errorf("the relationship is marked %v and %v, want %v and %v", link.Object.Markings, link.Assigned, want, standIn)
	}
	if link.Object.Text("source_ref") != string(d.ID) || link.Object.Text("target_ref") != original || link.Object.Text("relationship_type") != intake.DerivedFrom {
		t.Errorf("the relationship is %s", link.Object.Bytes())
	}
	// Of the original's markings the new object has the exercise's alone.
	want = []stix.ID{stix.ID(id(1)), noroshi.Green.MarkingID()}
	if !slices.Equal(object.Object.Markings, want) || len(object.Assigned) > 0 {
		t.Errorf("the new object is marked %v and %v, want %v", object.Object.Markings, object.Assigned, want)
	}
	for _, v := range []store.Record{link, object} {
		if v.Source.Kind != noroshi.FromSelf || v.Source.Person != "hana" || !v.Creator || v.Act != object.Act {
			t.Errorf("%s came from %+v by act %d", v.Object.ID, v.Source, v.Act)
		}
	}
	if err := h.Reauthor(t.Context(), r, noroshi.Signed{Person: "hana"}); noroshi.KindOf(err) != noroshi.Conflict {
		t.Errorf("a second time: %v", err)
	}
	// Marked otherwise meanwhile, what was drawn before is not taken in.
	d = intake.Redraft{Original: original, Clear: clearMalware, Markings: []string{"tlp:green"}, Made: now.Add(time.Second)}
	if r, err = h.Redraw(t.Context(), &d); err != nil {
		t.Fatal(err)
	}
	if _, err := h.store.Do(t.Context(), noroshi.Act{Action: noroshi.ActAssignMarking, Subject: original}, func(tx *store.Tx) error {
		return tx.AssignMarking(seq, stix.ID(id(9)))
	}); err != nil {
		t.Fatal(err)
	}
	if err := h.Reauthor(t.Context(), r, noroshi.Signed{Person: "hana"}); noroshi.KindOf(err) != noroshi.Conflict {
		t.Errorf("marked otherwise: %v", err)
	}
	if held, err := h.store.Held(t.Context(), []stix.ID{d.ID, d.Link}); err != nil || held[d.ID] || held[d.Link] {
		t.Errorf("half of it was taken in: %v, %v", held, err)
	}
}
