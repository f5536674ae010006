package nodetest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// mark assigns a marking to an object as a person.
func mark(t *testing.T, p *nodetest.Party, person string, id stix.ID, marking string) (m web.Marked, err error) {
	t.Helper()
	r, err := p.Node.Store.Current(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	level, _ := intake.Assignable(marking)
	by, err := p.Signed(t.Context(), person, noroshi.ActAssignMarking, string(id), intake.MarkBound(r.Hash, level))
	if err != nil {
		t.Fatal(err)
	}
	err = p.Do(t.Context(), "marking.assign", web.MarkRef{Object: id, Marking: marking, By: by}, &m)
	return m, err
}

// TestMark: what came unmarked waits until a person marks it, and then goes;
// marked more strictly it is recalled from the partner, which does not learn
// what it is marked now.
func TestMark(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	usa.Import("list.txt", "", strings.NewReader("marked.example\n"))
	usa.Settle()
	id := only(t, usa)
	holds := func() (rows []web.HoldRow) {
		usa.Settle()
		usa.Must("release.list", web.HoldRef{}, &rows)
		return rows
	}
	if rows := holds(); len(rows) != 1 || rows[0].Key != noroshi.Unmarked {
		t.Fatalf("holds of what is unmarked: %+v", rows)
	}

	// Nobody whose role may not; nothing that is no level; nothing that changed.
	if _, err := mark(t, usa, "liaison", id, "tlp:green"); noroshi.KindOf(err) != noroshi.Forbidden {
		t.Errorf("a liaison officer marked it: %v", err)
	}
	for marking, code := range map[string]string{"tlp:pink": "tlp.unknown", "": "tlp.unknown", "ACS:U,USA.MOD": "marking.only-tlp", "秘": "marking.only-tlp",
		"marking-definition--d46bc253-aadc-57b9-8bb2-47d1d8d4f73b": "marking.only-tlp"} {
		_, err := mark(t, usa, "duty", id, marking)
		if e, ok := err.(*noroshi.Error); !ok || e.Code != code {
			t.Errorf("marked %q: %v, want %s", marking, err, code)
		}
	}
	r, err := usa.Node.Store.Current(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	other, err := usa.Signed(t.Context(), "duty", noroshi.ActAssignMarking, string(id), intake.MarkBound(r.Hash, noroshi.Red))
	if err != nil {
		t.Fatal(err)
	}
	if err := usa.Do(t.Context(), "marking.assign", web.MarkRef{Object: id, Marking: "tlp:green", By: other}, nil); noroshi.KindOf(err) != noroshi.Forbidden {
		t.Errorf("a signature for another level served: %v", err)
	}
	if err := usa.Do(t.Context(), "marking.assign", web.MarkRef{Object: "indicator--00000000-0000-4000-8000-000000000009", Marking: "tlp:green", By: other}, nil); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("what is not here was marked: %v", err)
	}
	if rows := holds(); len(rows) != 1 {
		t.Fatalf("refused marks changed the holds: %+v", rows)
	}

	// Marked, it goes.
	m, err := mark(t, usa, "duty", id, "tlp:green")
	if err != nil || !m.Changed || m.Marking != "TLP:GREEN" {
		t.Fatalf("marked: %+v, %v", m, err)
	}
	if rows := holds(); len(rows) != 0 {
		t.Errorf("it is still held: %+v", rows)
	}
	nodetest.Whole(t, usa, jpn)
	armed(jpn, id, true)
	before := usa.Head()
	for _, same := range []string{"tlp:green", "tlp:clear"} {
		if m, err := mark(t, usa, "release1", id, same); err != nil || m.Changed || m.Marking != "TLP:GREEN" {
			t.Errorf("marked %s again: %+v, %v", same, m, err)
		}
	}
	if got := usa.Head(); got != before {
		t.Errorf("a mark that adds nothing moved the feed from %d to %d", before, got)
	}

	// Marked more strictly, it is taken back.
	if m, err := mark(t, usa, "release1", id, "tlp:red"); err != nil || !m.Changed || m.Marking != "TLP:RED" {
		t.Fatalf("marked: %+v, %v", m, err)
	}
	armed(jpn, id, false)
	usa.Until("the answer", func() (bool, error) {
		rows := recalls(usa, true)
		return len(rows) == 1 && rows[0].State == "confirmed", nil
	})
	if !withdrawnAt(t, jpn, id) || withdrawnAt(t, usa, id) {
		t.Error("it is to be withdrawn at JPN-01 and in use at USA-01")
	}
	acts, err := usa.Node.Store.Acts(t.Context(), 0, store.MaxPage)
	if err != nil {
		t.Fatal(err)
	}
	var by []string
	for _, a := range acts {
		if a.Act.Action == noroshi.ActAssignMarking {
			by = append(by, fmt.Sprint(a.Act.Subject == string(id), " ", a.Act.Label, " ", a.Act.Persons[0].Person))
		}
	}
	if got, want := strings.Join(by, "; "), "true TLP:GREEN duty; true TLP:RED release1"; got != want {
		t.Errorf("on record: %s, want %s", got, want)
	}
	usa.Intact()
	jpn.Intact()
	jpn.Stop()
	search(t, jpn.Dir, []string{"TLP:RED", string(noroshi.Red.MarkingID())})
}

// acsTo is a definition of an ACS marking of USA.MOD's, releasable to nations.
func acsTo(id stix.ID, nations string) string {
	return `{"type":"marking-definition","spec_version":"2.1","id":"` + string(id) + `","created":"2026-01-01T00:00:00.000Z","extensions":{"extension-definition--3a65884d-005a-4290-8335-cb2d778a83ce":{
"extension_type":"property-extension","identifier":"isa:guide.999191.ACS3-d81d720a-a41c-5bc0-bc47-e977380c5ec3","create_date_time":"2026-01-01T00:00:00.000Z","responsible_entity_custodian":"USA.MOD",
"policy_reference":"urn:isa:policy:acs:ns:v3.0?privdefault=deny&sharedefault=deny","control_set":{"classification":"U","permitted_nationalities":[` + nations + `],"formal_determination":["FOUO"]}}}}`
}

// TestAssignedBeyondTLP: a node that assigns what only the header of its message
// can say does not get the object past the partner's entry gate less restricted.
func TestAssignedBeyondTLP(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	const rel, id = "marking-definition--00000000-0000-4000-8000-0000000000a1", "malware--00000000-0000-4000-8000-0000000000a2"
	usa.Import("in.json", "", strings.NewReader(`[`+acsTo(rel, `"USA","JPN"`)+`,{"type":"malware","spec_version":"2.1","id":"`+id+`","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"x","is_family":false}]`))
	usa.Settle()
	r, err := usa.Node.Store.Current(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := usa.Node.Store.Do(t.Context(), noroshi.Act{Action: noroshi.ActAssignMarking, Subject: id}, func(tx *store.Tx) error {
		if err := tx.AssignMarking(r.Seq, noroshi.Green.MarkingID()); err != nil {
			return err
		}
		return tx.AssignMarking(r.Seq, rel)
	}); err != nil {
		t.Fatal(err)
	}
	usa.Settle()
	nodetest.Whole(t, usa, jpn)
	if _, err := jpn.Node.Store.Current(t.Context(), id); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("JPN-01 took in what it cannot mark as it came: %v", err)
	}
	q, err := jpn.Node.Store.QuarantineList(t.Context(), 0, 10)
	if err != nil || len(q) != 1 || q[0].Code != "label" {
		t.Errorf("quarantine at JPN-01: %+v, %v", q, err)
	}
	jpn.Intact()
}
