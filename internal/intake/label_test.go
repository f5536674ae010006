package intake_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestLabelOfAMessage: an object keeps the label it travelled under, so that
// what a sender assigned narrows it here too; one marked more strictly than its
// message is refused.
func TestLabelOfAMessage(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	src := noroshi.Source{Kind: noroshi.FromPartner, Partner: noroshi.NodeID{7}, Message: noroshi.Sum([]byte("m"))}
	const bare = `{"type":"malware","spec_version":"2.1","id":"malware--00000000-0000-4000-8000-00000000000%d","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"x","is_family":false%s}`
	ref := func(l noroshi.TLP) string { return `,"object_marking_refs":["` + string(l.MarkingID()) + `"]` }
	p, err := h.Prepare(src, "link", []intake.Raw{
		{Bytes: []byte(fmt.Sprintf(bare, 1, "")), Label: noroshi.Label{TLP: noroshi.Amber}},
		{Bytes: []byte(fmt.Sprintf(bare, 2, ref(noroshi.Green))), Label: noroshi.Label{TLP: noroshi.Amber}},
		{Bytes: []byte(fmt.Sprintf(bare, 3, ref(noroshi.Amber))), Label: noroshi.Label{TLP: noroshi.Amber}},
		{Bytes: []byte(fmt.Sprintf(bare, 4, ref(noroshi.Red))), Label: noroshi.Label{TLP: noroshi.Amber}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var a intake.Admitted
	if _, err := h.store.Do(t.Context(), noroshi.Act{Action: noroshi.ActReceive, Subject: "m"}, func(tx *store.Tx) (err error) {
		a, err = h.Admit(tx, p)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if a.New != 3 || len(a.Faults) != 1 || a.Faults[0].Index != 3 || a.Faults[0].Code != "label" {
		t.Errorf("admitted %+v", a)
	}
	for n, want := range map[int]int{1: 1, 2: 1, 3: 0} {
		r, err := h.store.Current(t.Context(), stix.ID(fmt.Sprintf("malware--00000000-0000-4000-8000-00000000000%d", n)))
		if err != nil || len(r.Assigned) != want || want == 1 && r.Assigned[0] != noroshi.Amber.MarkingID() {
			t.Errorf("object %d: assigned %v (%v), want %d", n, r.Assigned, err, want)
		}
	}
}

// TestLabelBeyondTLP: what an object's own markings and a TLP level cannot say of
// the label it travelled under keeps it out, so that nothing is less restricted
// here than where it came from. A definition may come behind what it marks.
func TestLabelBeyondTLP(t *testing.T) {
	const object = `{"type":"malware","spec_version":"2.1","id":"malware--00000000-0000-4000-8000-0000000000%02d","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"x","is_family":false%s}`
	acs := func(n int, nations string) (id, definition string) {
		id = fmt.Sprintf("marking-definition--00000000-0000-4000-8000-00000000000%d", n)
		return id, `{"type":"marking-definition","spec_version":"2.1","id":"` + id + `","created":"2026-11-01T00:00:00.000Z","extensions":{"extension-definition--3a65884d-005a-4290-8335-cb2d778a83ce":{
			"extension_type":"property-extension","identifier":"isa:guide.999191.ACS3-d81d720a-a41c-5bc0-bc47-e977380c5ec` + fmt.Sprint(n) + `","create_date_time":"2026-11-01T00:00:00.000Z","responsible_entity_custodian":"USA.DOD",
			"policy_reference":"urn:isa:policy:acs:ns:v3.0?privdefault=deny&sharedefault=deny","control_set":{"classification":"U","permitted_nationalities":[` + nations + `],"formal_determination":["FOUO"]}}}}`
	}
	rel, relDef := acs(3, `"USA","JPN"`)
	only, onlyDef := acs(4, `"USA"`)
	means := func(id, def string) noroshi.Label {
		o, err := stix.Parse([]byte(def))
		if err != nil {
			t.Fatal(err)
		}
		return noroshi.MarkingLabel(stix.ID(id), []*stix.Object{o}, nil)
	}
	green := noroshi.Label{TLP: noroshi.Green}
	one, both := green.Join(means(rel, relDef)), green.Join(means(rel, relDef)).Join(means(only, onlyDef))
	if len(both.ACS) != 2 || len(both.Unknown) > 0 {
		t.Fatalf("the labels are %s", both)
	}
	marked := func(ids ...string) string { return `,"object_marking_refs":["` + strings.Join(ids, `","`) + `"]` }
	part := func(id string) string {
		return `,"granular_markings":[{"marking_ref":"` + id + `","selectors":["name"]}]`
	}
	from := func(n byte) noroshi.Source {
		return noroshi.Source{Kind: noroshi.FromPartner, Partner: noroshi.NodeID{n}, Message: noroshi.Sum([]byte{n})}
	}
	for name, c := range map[string]struct {
		before  []string // definitions that are here, from partner 8
		with    []string // definitions in the message, from partner 7
		members string
		label   noroshi.Label
		refused bool
	}{
		"as it is marked":                       {with: []string{relDef}, members: marked(rel), label: one},
		"a part is":                             {with: []string{relDef}, members: part(rel), label: one},
		"marked twice":                          {with: []string{relDef, onlyDef}, members: marked(rel, only), label: both},
		"assigned by the sender":                {with: []string{relDef}, label: one, refused: true},
		"one of two assigned":                   {with: []string{relDef, onlyDef}, members: marked(rel), label: both, refused: true},
		"the definition comes later":            {members: marked(rel), label: one},
		"it cannot say both":                    {members: marked(rel), label: both, refused: true},
		"it says something else":                {with: []string{onlyDef}, members: marked(only), label: one, refused: true},
		"another partner's definition is none":  {before: []string{onlyDef}, members: marked(only), label: one},
		"a TLP level says nothing of it":        {members: marked(string(noroshi.Green.MarkingID())), label: one, refused: true},
		"marked more strictly than its message": {with: []string{relDef}, members: marked(rel, string(noroshi.Green.MarkingID())), label: means(rel, relDef), refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, noroshi.Real, nil)
			if len(c.before) > 0 {
				h.admit(from(8), c.before...)
			}
			raws := []intake.Raw{{Bytes: []byte(fmt.Sprintf(object, 1, c.members)), Label: c.label}}
			for _, d := range c.with {
				raws = append(raws, intake.Raw{Bytes: []byte(d), Label: c.label})
			}
			p, err := h.Prepare(from(7), "link", raws)
			if err != nil {
				t.Fatal(err)
			}
			var a intake.Admitted
			if _, err := h.store.Do(t.Context(), noroshi.Act{Action: noroshi.ActReceive, Subject: "m"}, func(tx *store.Tx) (err error) {
				a, err = h.Admit(tx, p)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			refused := len(a.Faults) == 1 && a.Faults[0].Index == 0 && a.Faults[0].Code == "label"
			if refused != c.refused || a.Quarantined > 0 != c.refused {
				t.Errorf("admitted %+v, want refused %v", a, c.refused)
			}
		})
	}
}
