package intake_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/stix/misp"
)

const mispFiles = "../../stix/misp/testdata/"

// held returns everything a house holds.
func (h house) held(t *testing.T, b []byte) (objects []*stix.Object) {
	t.Helper()
	e, err := misp.Read(b, misp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range e.STIX(misp.Options{}).Objects {
		objects = append(objects, h.current(o.ID).Object)
	}
	return objects
}

// TestMISPFiles takes real events: told by their content, the same again adds
// nothing, and what is held gives the file back with what is kept beside it.
func TestMISPFiles(t *testing.T) {
	for file, c := range map[string]struct {
		uuid         string
		new, armed   int
		assigned     noroshi.TLP
		also         noroshi.TLP // given by the import
		assignedAlso noroshi.TLP
	}{
		"misp-telebots.json":                    {"58503e2f-4c78-442d-833f-8ad202de0b81", 108, 69, noroshi.Clear, noroshi.Green, noroshi.Green},
		"misp-turla-crutch-event.json":          {"47b9e2de-7283-4fd3-bf41-dcf9f19d8c62", 40, 0, noroshi.NoTLP, noroshi.Green, noroshi.Green},
		"misp-dukes-operation-ghost-event.json": {"5d9b516c-e5f0-4e7c-a958-5d8c0a019371", 263, 0, noroshi.NoTLP, noroshi.Clear, noroshi.Clear},
		"oceanlotus.misp.event.json":            {"5a610659-d718-4a1f-b020-04d80a016219", 219, 0, noroshi.NoTLP, noroshi.Amber, noroshi.Amber},
	} {
		t.Run(file, func(t *testing.T) {
			h := open(t, noroshi.Real, nil)
			r := h.takeFile(mispFiles+file, intake.ImportOptions{Strict: true})
			if r.New != c.new || r.Quarantined+r.Conflicts+r.Foreign+r.Unchanged != 0 || r.Noted == 0 {
				t.Errorf("%s, noted %d: %+v", sum(r), r.Noted, r.Faults)
			}
			b := bytesOf(t, mispFiles+file)
			objects := h.held(t, b)
			indicators := 0
			for _, o := range objects {
				record := h.current(o.ID)
				if got := strictestOf(record.Assigned); got != c.assigned || len(record.Assigned) > 1 {
					t.Errorf("%s is assigned %v, want %s", o.ID, record.Assigned, c.assigned)
				}
				if record.Source != (noroshi.Source{Kind: noroshi.FromFile, Name: file}) {
					t.Errorf("%s comes from %+v", o.ID, record.Source)
				}
				if o.Type == "indicator" {
					indicators++
				}
			}
			if indicators != c.armed || r.NotArmed != 0 {
				t.Errorf("%d indicators, want %d; %d are not armed: %+v", indicators, c.armed, r.NotArmed, r.Unarmed)
			}
			rest, err := h.store.Doc(h.Context(), "misp", c.uuid)
			if err != nil {
				t.Fatal(err)
			}
			out, _, err := misp.Write(objects, rest, misp.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(canonical(t, out), canonical(t, b)) {
				t.Error("what is held gives another event")
			}
			seq := h.lastSeq()
			again := h.takeFile(mispFiles+file, intake.ImportOptions{Strict: true})
			if again.Unchanged != c.new || again.New+again.Updated+again.Marked+again.Quarantined != 0 || h.lastSeq() != seq {
				t.Errorf("the same again: %s", sum(again))
			}
			other := open(t, noroshi.Real, nil)
			other.takeFile(mispFiles+file, intake.ImportOptions{Marking: c.also})
			for _, o := range objects {
				if got := strictestOf(other.current(o.ID).Assigned); got != c.assignedAlso {
					t.Errorf("with a marking %s is assigned %s", o.ID, got)
				}
			}
		})
	}
}

func canonical(t *testing.T, b []byte) []byte {
	t.Helper()
	c, err := stix.Canonical(b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// strictestOf is the strictest level among markings.
func strictestOf(ids []stix.ID) noroshi.TLP {
	t := noroshi.NoTLP
	for _, id := range ids {
		t = max(t, noroshi.TLPOf(id))
	}
	return t
}

// lastSeq is the number of the last thing in the change feed.
func (h house) lastSeq() int64 {
	h.Helper()
	seq, err := h.store.Head(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	return seq
}

const mispEvent = `{"Event":{"uuid":"5d9b516c-e5f0-4e7c-a958-5d8c0a019371","info":"x","date":"2023-11-01","published":true,"timestamp":"AT","publish_timestamp":"0",
"distribution":"3","Orgc":{"name":"CERT","uuid":"55f6ea5e-2c60-40e5-964f-47a8950d210f"},"Tag":[TAGS],"Attribute":[
{"uuid":"00000000-0000-4000-8000-000000000001","type":"domain","category":"Network activity","value":"a.example","to_ids":true,"timestamp":"1700000000","distribution":"5"},
{"uuid":"00000000-0000-4000-8000-000000000002","type":"domain","category":"Network activity","value":"b.example","to_ids":false,"timestamp":"1700000000","distribution":"5","Tag":[{"name":"tlp:red"}]},
{"uuid":"00000000-0000-4000-8000-000000000003","type":"domain","category":"Network activity","value":"c.example","to_ids":true,"timestamp":"1700000000","distribution":"DIST"},
{"uuid":"00000000-0000-4000-8000-000000000004","type":"domain","category":"Network activity","value":"","to_ids":true,"timestamp":"1700000000"}]}}`

func mispOf(at, distribution string, tags ...string) string {
	for i, t := range tags {
		tags[i] = `{"name":"` + t + `"}`
	}
	return strings.NewReplacer("AT", at, "TAGS", strings.Join(tags, ","), "DIST", distribution).Replace(mispEvent)
}

const (
	first  stix.ID = "indicator--00000000-0000-4000-8000-000000000001"
	second stix.ID = "observed-data--00000000-0000-4000-8000-000000000002"
	third  stix.ID = "indicator--00000000-0000-4000-8000-000000000003"
)

// TestMISPMarkings: the event's tags count for all of it, an attribute's own and
// its distribution for it; the import's marking never widens them.
func TestMISPMarkings(t *testing.T) {
	green, amber, red := []stix.ID{noroshi.Green.MarkingID()}, []stix.ID{noroshi.Amber.MarkingID()}, []stix.ID{noroshi.Red.MarkingID()}
	for name, c := range map[string]struct {
		text                 string
		marking              noroshi.TLP
		first, second, third []stix.ID
	}{
		"the event's":            {mispOf("1700000500", "5", "tlp:green"), noroshi.NoTLP, green, red, green},
		"stricter import":        {mispOf("1700000500", "5", "tlp:green"), noroshi.Amber, amber, red, amber},
		"wider import":           {mispOf("1700000500", "5", "tlp:amber"), noroshi.Green, amber, red, amber},
		"a closed circle":        {mispOf("1700000500", "0", "tlp:green"), noroshi.NoTLP, green, red, nil},
		"closed and an import":   {mispOf("1700000500", "4", "tlp:green"), noroshi.Green, green, red, nil},
		"not understood":         {mispOf("1700000500", "5", "tlp:green", "PAP:RED"), noroshi.NoTLP, nil, nil, nil},
		"not understood, import": {mispOf("1700000500", "5", "取扱:部内限り"), noroshi.Green, nil, nil, nil},
		"a harmless tag":         {mispOf("1700000500", "5", "type:OSINT", "workflow:todo"), noroshi.NoTLP, nil, red, nil},
		"no tag, an import":      {mispOf("1700000500", "5"), noroshi.Green, green, red, green},
		"closed event":           {strings.Replace(mispOf("1700000500", "5", "tlp:green"), `"distribution":"3"`, `"distribution":"0"`, 1), noroshi.NoTLP, nil, nil, nil},
		"closed event, import":   {strings.Replace(mispOf("1700000500", "5", "tlp:green"), `"distribution":"3"`, `"distribution":"0"`, 1), noroshi.Green, green, red, green},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, noroshi.Real, nil)
			r := h.take("event.json", c.text, intake.ImportOptions{Marking: c.marking})
			if r.Quarantined != 1 || !strings.Contains(r.Faults[0].Msg, "value") || r.Faults[0].Path != "/Event/Attribute/3" {
				t.Errorf("%s: %+v", sum(r), r.Faults)
			}
			for id, want := range map[stix.ID][]stix.ID{first: c.first, second: c.second, third: c.third} {
				if got := h.current(id).Assigned; !slices.Equal(got, want) {
					t.Errorf("%s is assigned %v, want %v", id, got, want)
				}
			}
		})
	}
}

// TestMISPLater: a later state of an event narrows what is here; an older one
// takes nothing back.
func TestMISPLater(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	h.take("a.json", mispOf("1700000500", "5", "tlp:green"), intake.ImportOptions{})
	h.take("b.json", mispOf("1700000600", "5", "tlp:amber"), intake.ImportOptions{})
	if got := strictestOf(h.current(first).Assigned); got != noroshi.Amber {
		t.Errorf("after a stricter tag it is %s", got)
	}
	h.take("c.json", mispOf("1700000400", "5", "tlp:green", "old"), intake.ImportOptions{})
	if got := strictestOf(h.current(first).Assigned); got != noroshi.Amber {
		t.Errorf("after the older state it is %s", got)
	}
	rest, err := h.store.Doc(h.Context(), "misp", "5d9b516c-e5f0-4e7c-a958-5d8c0a019371")
	if err != nil {
		t.Fatal(err)
	}
	if about, err := misp.ReadRest(rest); err != nil || !slices.Equal(about.Tags, []string{"tlp:amber"}) {
		t.Errorf("kept is %+v, %v", about, err)
	}
	h.take("d.json", mispOf("1700000700", "5", "tlp:amber", "NOFORN"), intake.ImportOptions{})
	if got := h.current(first).Assigned; !slices.Contains(got, noroshi.Doubt) {
		t.Errorf("a new restriction leaves it at %v", got)
	}
}

// TestMISPOwnCircle: what a person marked after a restriction was known stays as
// the person marked it.
func TestMISPOwnCircle(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	text := mispOf("1700000500", "5", "tlp:green", "NOFORN")
	h.take("a.json", text, intake.ImportOptions{})
	if _, err := h.Mark(h.Context(), h.current(first), noroshi.Amber, noroshi.Signed{}); err != nil {
		t.Fatal(err)
	}
	h.take("a.json", text, intake.ImportOptions{})
	h.take("b.json", strings.Replace(text, "1700000500", "1700000600", 1), intake.ImportOptions{})
	if got := h.current(first).Assigned; !slices.Equal(got, []stix.ID{noroshi.Amber.MarkingID()}) {
		t.Errorf("it is %v", got)
	}
}

// TestMISPRefuses: what is no event enters nowhere, and says so.
func TestMISPRefuses(t *testing.T) {
	for name, text := range map[string]string{"no event": `{"Event":{}}`, "broken": `{"Event":{"info":"x","Attribute":[`, "a list of nothing": `{"response":[]}`} {
		t.Run(name, func(t *testing.T) {
			h := open(t, noroshi.Real, nil)
			_, err := h.Import(h.Context(), strings.NewReader(text), intake.ImportOptions{Name: "x.json"})
			if noroshi.KindOf(err) != noroshi.Invalid {
				t.Errorf("got %v", err)
			}
		})
	}
}
