package courier_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestL12Relabelled: an object marked more strictly after it went is recalled
// from whoever may hold it no more, by id and time alone; so is its earlier
// version when a stricter one takes its place. A later version that may go again
// goes, and is in use there.
func TestL12Relabelled(t *testing.T) {
	t.Parallel()
	p := newPair(t, 26, 0, 0)
	p.start()
	version := func(id, day, marking string) {
		t.Helper()
		text := fmt.Sprintf(`[{"type":"indicator","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-%sT00:00:00.000Z","valid_from":"2026-01-01T00:00:00Z",
			"pattern_type":"stix","pattern":"[domain-name:value = 'secret-%s.example']","indicator_types":["benign"],"object_marking_refs":[%q]}]`, id, day, day, marking)
		if r, err := p.a.gate.Import(t.Context(), strings.NewReader(text), intake.ImportOptions{Name: "b.json", Format: "stix"}); err != nil || r.Quarantined > 0 {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	const assigned, versioned, same = "indicator--00000000-0000-4000-8000-000000000001", "indicator--00000000-0000-4000-8000-000000000002", "indicator--00000000-0000-4000-8000-000000000003"
	for _, id := range []string{assigned, versioned, same} {
		version(id, "02", string(noroshi.Green.MarkingID()))
	}
	p.until("they are there", 10*time.Second, func() bool { return p.b.count("indicator") == 3 && p.settled() })
	r := p.a.current(assigned)
	if _, err := p.a.store.Do(t.Context(), noroshi.Act{Action: noroshi.ActAssignMarking, Subject: assigned}, func(tx *store.Tx) error {
		return tx.AssignMarking(r.Seq, noroshi.Red.MarkingID())
	}); err != nil {
		t.Fatal(err)
	}
	version(versioned, "03", string(noroshi.Red.MarkingID()))
	version(same, "03", string(noroshi.Green.MarkingID()))
	answered := func(n int) func() bool {
		return func() bool {
			list, err := p.a.running().Recalls(t.Context())
			if err != nil || len(list) != n {
				return false
			}
			return !slices.ContainsFunc(list, courier.RecallState.Open)
		}
	}
	p.until("both are recalled", 10*time.Second, answered(2))
	for id, want := range map[stix.ID]bool{assigned: true, versioned: true, same: false} {
		if got := p.b.current(id).Withdrawn; got != want {
			t.Errorf("%s: withdrawn at B is %v, want %v", id, got, want)
		}
		if p.a.current(id).Withdrawn {
			t.Errorf("%s was withdrawn at A", id)
		}
	}
	came, err := p.b.running().RecalledHere(t.Context())
	if err != nil || len(came) != 2 {
		t.Fatal(came, err)
	}
	for _, in := range came {
		want := message.RecallEntry{Message: in.Entries[0].Message, Object: in.Entries[0].Object, Modified: "2026-01-02T00:00:00.000Z", Reason: message.RecallRelabelled, Scope: message.RecallReMark}
		if len(in.Entries) != 1 || in.Entries[0] != want {
			t.Errorf("B is told %+v, want %+v", in.Entries, want)
		}
	}
	version(versioned, "04", string(noroshi.Green.MarkingID()))
	p.until("a version that may go", 10*time.Second, func() bool {
		r := p.b.current(versioned)
		return r.Object.Modified.String() == "2026-01-04T00:00:00.000Z" && !r.Withdrawn && p.settled()
	})
	p.until("no more recalls", 5*time.Second, answered(2))
	p.intact()
}

// TestRecallRedefined: when a marking gets a stricter second definition, what
// went under the first is recalled, and what is marked otherwise is not, whether
// the agreement is in force or not.
func TestRecallRedefined(t *testing.T) {
	t.Parallel()
	for name, ended := range map[string]bool{"in force": false, "ended": true} {
		t.Run(name, func(t *testing.T) { recallRedefined(t, ended) })
	}
}

// TestRelabelledWarning: with an object that is marked more strictly, the
// node's own warning about it alone is recalled from who may hold it no more.
func TestRelabelledWarning(t *testing.T) {
	t.Parallel()
	p := newPair(t, 28, 0, 0)
	p.start()
	p.a.importList("list.txt", 0, 2)
	p.until("they are there", 10*time.Second, func() bool { return p.b.count("indicator") == 2 && p.settled() })
	one, other := p.a.indicator(1), p.a.indicator(2)
	alone, both := p.a.warn(1, one.Object.ID), p.a.warn(2, one.Object.ID, other.Object.ID)
	p.until("the warnings are there", 10*time.Second, func() bool { return p.b.count("report") == 2 && p.settled() })
	if _, err := p.a.store.Do(t.Context(), noroshi.Act{Action: noroshi.ActAssignMarking, Subject: "test"}, func(tx *store.Tx) error {
		return tx.AssignMarking(one.Seq, noroshi.Red.MarkingID())
	}); err != nil {
		t.Fatal(err)
	}
	p.until("the answer", 10*time.Second, func() bool { return p.a.to().Answer != nil })
	for id, want := range map[stix.ID]bool{one.Object.ID: true, alone: true, both: false, other.Object.ID: false} {
		if got := p.b.current(id).Withdrawn; got != want {
			t.Errorf("%s: withdrawn at B is %v, want %v", id, got, want)
		}
	}
	if p.a.current(alone).Withdrawn {
		t.Error("the warning is out of use where it was made")
	}
	p.intact()
}

// TestRelabelledPart: a version that shows a part which a later version marks as
// what the partner may not have is recalled; the later version's view stays in
// use, with what translates it. A part that was cut from the earlier version
// too takes nothing back.
func TestRelabelledPart(t *testing.T) {
	t.Parallel()
	p := newPair(t, 29, 0, 0)
	p.start()
	put := func(objects ...string) {
		t.Helper()
		if r, err := p.a.gate.Import(t.Context(), strings.NewReader("["+strings.Join(objects, ",")+"]"), intake.ImportOptions{Name: "b.json", Format: "stix"}); err != nil || r.Quarantined > 0 {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	const shown, hidden = stix.ID("tool--00000000-0000-4000-8000-000000000031"), stix.ID("tool--00000000-0000-4000-8000-000000000032")
	const early, late = stix.ID("language-content--00000000-0000-4000-8000-000000000033"), stix.ID("language-content--00000000-0000-4000-8000-000000000034")
	tool := func(id stix.ID, day, description string, red bool) string {
		part := ""
		if red {
			part = fmt.Sprintf(`,"granular_markings":[{"marking_ref":%q,"selectors":["description"]}]`, noroshi.Red.MarkingID())
		}
		return fmt.Sprintf(`{"type":"tool","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-%sT00:00:00.000Z","name":"n","description":%q,"object_marking_refs":[%q]%s}`,
			id, day, description, noroshi.Green.MarkingID(), part)
	}
	words := func(id stix.ID, day string) string {
		return fmt.Sprintf(`{"type":"language-content","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-%sT00:00:00.000Z","object_ref":%q,"object_modified":"2026-01-%sT00:00:00.000Z","contents":{"ja":{"name":"名"}},"object_marking_refs":[%q]}`,
			id, day, shown, day, noroshi.Green.MarkingID())
	}
	put(tool(shown, "02", "said to all", false), tool(hidden, "02", "said to none", true), words(early, "02"))
	p.until("they are there", 10*time.Second, func() bool { return p.b.count("tool") == 2 && p.b.count("language-content") == 1 && p.settled() })
	put(tool(shown, "03", "said to all", true), tool(hidden, "03", "said to none, again", true), words(late, "03"))
	p.until("the answer", 10*time.Second, func() bool { return p.a.to().Answer != nil && p.settled() })
	for _, id := range []stix.ID{shown, hidden, late} {
		p.until("the later version is in use", 10*time.Second, func() bool {
			r, err := p.b.store.Current(t.Context(), id)
			return err == nil && !r.Withdrawn && r.Object.Modified.String() == "2026-01-03T00:00:00.000Z"
		})
		if text := p.b.current(id).Object.Text("description"); text != "" {
			t.Errorf("%s says %q at B", id, text)
		}
	}
	versions, err := p.b.store.Versions(t.Context(), shown)
	if err != nil || len(versions) != 2 || !versions[0].Withdrawn || versions[1].Withdrawn {
		t.Errorf("%d versions of what was shown, %v", len(versions), err)
	}
	if versions, err := p.b.store.Versions(t.Context(), hidden); err != nil || len(versions) != 2 || versions[0].Withdrawn {
		t.Errorf("%d versions of what was hidden, %v", len(versions), err)
	}
	if !p.b.current(early).Withdrawn {
		t.Error("the translation of what was recalled is in use at B")
	}
	if list, err := p.a.running().Recalls(t.Context()); err != nil || len(list) != 1 || list[0].Entries[0].Modified != "2026-01-02T00:00:00.000Z" {
		t.Errorf("recalls %+v, %v", list, err)
	}
	p.intact()
}

// TestRelabelledAfterTheEnd: when the agreement has ended, what is marked more
// strictly is recalled all the same, also what is marked so by a part; what is
// only touched, or has a part that never went, is not.
func TestRelabelledAfterTheEnd(t *testing.T) {
	t.Parallel()
	p := newPair(t, 30, 0, 0)
	p.start()
	tool := func(n int, day, description, part string) string {
		if part != "" {
			part = fmt.Sprintf(`,"granular_markings":[{"marking_ref":%q,"selectors":[%q]}]`, noroshi.Red.MarkingID(), part)
		}
		return fmt.Sprintf(`{"type":"tool","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-%sT00:00:00.000Z","name":"n","description":%q,"object_marking_refs":[%q]%s}`,
			toolID(n), day, description, noroshi.Green.MarkingID(), part)
	}
	put := func(objects ...string) {
		t.Helper()
		if r, err := p.a.gate.Import(t.Context(), strings.NewReader("["+strings.Join(objects, ",")+"]"), intake.ImportOptions{Name: "b.json", Format: "stix"}); err != nil || r.Quarantined > 0 {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	put(tool(1, "02", "whole", ""), tool(2, "02", "part", ""), tool(3, "02", "never", "description"), tool(4, "02", "same", ""))
	p.until("they are there", 10*time.Second, func() bool { return p.b.count("tool") == 4 && p.settled() })
	p.a.suspend(p.b)
	put(tool(2, "03", "part", "description"), tool(3, "03", "never", "description"), tool(4, "03", "same", ""))
	r := p.a.current(toolID(1))
	if _, err := p.a.store.Do(t.Context(), noroshi.Act{Action: noroshi.ActAssignMarking, Subject: "test"}, func(tx *store.Tx) error {
		return tx.AssignMarking(r.Seq, noroshi.Red.MarkingID())
	}); err != nil {
		t.Fatal(err)
	}
	p.until("both are recalled", 10*time.Second, func() bool {
		list, err := p.a.running().Recalls(t.Context())
		return err == nil && len(list) == 2 && !slices.ContainsFunc(list, courier.RecallState.Open)
	})
	for n, want := range map[int]bool{1: true, 2: true, 3: false, 4: false} {
		if got := p.b.current(toolID(n)).Withdrawn; got != want {
			t.Errorf("tool %d: withdrawn at B is %v, want %v", n, got, want)
		}
	}
	p.intact()
}

// suspend ends the agreement with a partner; the control stream stays up.
func (n *node) suspend(o *node) { n.t.Helper(); n.trusts(o, noroshi.Introduced) }

// trusts writes what came of suspending or resuming, and has those who follow the
// feed hear of it.
func (n *node) trusts(o *node, trust noroshi.Trust) { n.t.Helper(); n.writeTrust(o, trust, true) }

func (n *node) writeTrust(o *node, trust noroshi.Trust, heard bool) {
	n.t.Helper()
	if _, err := n.store.Do(n.t.Context(), noroshi.Act{Action: noroshi.ActSuspendAgreement, Subject: "test"}, func(tx *store.Tx) error {
		var p noroshi.Partner
		body, err := tx.Doc(n.t.Context(), noroshi.DocPartner, o.id().String())
		if err == nil {
			err = json.Unmarshal(body, &p)
		}
		if err != nil {
			return err
		}
		p.Trust, p.Suspended = trust, nil
		if trust != noroshi.InForce {
			p.Suspended = []noroshi.NodeID{n.id()}
		}
		if body, err = json.Marshal(p); err != nil {
			return err
		}
		if err := tx.PutDoc(noroshi.DocPartner, o.id().String(), body); err != nil {
			return err
		}
		if !heard {
			return nil
		}
		return tx.Notice(store.AgreementChanged, o.id().String())
	}); err != nil {
		n.t.Fatal(err)
	}
}

func recallRedefined(t *testing.T, ended bool) {
	t.Parallel()
	p := newPair(t, 27, 0, 0)
	p.start()
	take := func(objects ...string) {
		t.Helper()
		if r, err := p.a.gate.Import(t.Context(), strings.NewReader("["+strings.Join(objects, ",")+"]"), intake.ImportOptions{Name: "b.json", Format: "stix"}); err != nil || r.Quarantined > 0 {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	const marking, marked, other = "marking-definition--25dba6d6-20f2-54e7-a024-5483a321ccae", "indicator--00000000-0000-4000-8000-000000000011", "indicator--00000000-0000-4000-8000-000000000012"
	define := func(tlp string) string {
		return fmt.Sprintf(`{"type":"marking-definition","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00.000Z","extensions":{%q:{"extension_type":"property-extension",
			"iep_id":"ee5fb97f-1477-5d87-8262-a94796f884ab","iep_version":2.0,"description":"x","start_date":"2026-01-01T00:00:00.000Z","tlp":%q,"encrypt_in_transit":"must",
			"permitted_actions":"none","affected_party_notifications":"may","provider_attribution":"may","unmodified_resale":"must-not"}}}`, marking, noroshi.IEPExtension, tlp)
	}
	indicator := func(id, markings string) string {
		return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","valid_from":"2026-01-01T00:00:00Z",
			"pattern_type":"stix","pattern":"[domain-name:value = '%s.example']","indicator_types":["benign"],"object_marking_refs":[%q%s]}`, id, id[len(id)-4:], noroshi.Green.MarkingID(), markings)
	}
	take(define("green"), indicator(marked, fmt.Sprintf(`,%q`, marking)), indicator(other, ""))
	p.until("they are there", 10*time.Second, func() bool { return p.b.count("indicator") == 2 && p.settled() })
	if ended {
		p.a.suspend(p.b)
	}
	take(define("red"))
	p.until("it is recalled", 10*time.Second, func() bool { return p.a.to().Answer != nil })
	if !p.b.current(marked).Withdrawn || p.b.current(other).Withdrawn {
		t.Errorf("at B withdrawn %v, the other %v", p.b.current(marked).Withdrawn, p.b.current(other).Withdrawn)
	}
	if list, err := p.a.running().Recalls(t.Context()); err != nil || len(list) != 1 || list[0].Entries[0].Reason != message.RecallRelabelled {
		t.Errorf("recalls %+v, %v", list, err)
	}
	p.intact()
}
