package release_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/stix"
)

func malware(t testing.TB, n int, mark noroshi.TLP) *store.Version {
	return version(t, made, "", object("malware", n, usa.Identity, mark, `,"name":"m","is_family":false`))
}

func indicator(t testing.TB, n int, mark noroshi.TLP) *store.Version {
	return version(t, made, "", object("indicator", n, usa.Identity, mark, ""))
}

func TestWaitsForWhatItRefersTo(t *testing.T) {
	o := newOffice(t, jpn)
	o.put(malware(t, 2, noroshi.Green), indicator(t, 1, noroshi.Amber),
		version(t, made, "", object("relationship", 3, usa.Identity, noroshi.Green, ends(id("indicator", 1), id("malware", 2)))),
		version(t, made, "", object("note", 4, usa.Identity, noroshi.Green, fmt.Sprintf(`,"content":"n","object_refs":[%q]`, id("relationship", 3)))),
		version(t, made, "", object("report", 5, usa.Identity, noroshi.Green, fmt.Sprintf(`,"name":"r","published":"2026-11-01T00:00:00Z","object_refs":[%q,%q]`, id("malware", 2), id("indicator", 1)))),
	)
	o.settle()
	before := o.sends(jpn)
	has(t, before, id("malware", 2), id("report", 5))
	if strings.Contains(before[id("report", 5)], string(id("indicator", 1))) {
		t.Errorf("the report names what waits: %s", before[id("report", 5)])
	}
	h := o.holds()
	if len(h) != 1 || h[0].Key != noroshi.TwoPersons {
		t.Fatalf("holds: %+v", h)
	}
	o.twoApprove(h[0].ID)
	o.settle()
	after := o.sends(jpn)
	has(t, after, id("indicator", 1), id("relationship", 3), id("note", 4), id("report", 5))
	if whole := string(o.current(id("report", 5)).Object.Bytes()); after[id("report", 5)] != whole {
		t.Errorf("the report goes as %s, want %s", after[id("report", 5)], whole)
	}
	if h := o.holds(); len(h) != 0 {
		t.Errorf("still held: %+v", h)
	}
}

func TestMakerComesLater(t *testing.T) {
	o := newOffice(t, jpn)
	maker := id("identity", 7)
	file := noroshi.Source{Kind: noroshi.FromFile, Name: "feed.json", Person: "sato"}
	o.put(version(t, file, "run", object("indicator", 1, maker, noroshi.Green, "")))
	o.settle()
	unnamed(t, o.sends(jpn), id("indicator", 1), maker)
	o.put(version(t, file, "run", object("identity", 7, "", noroshi.Green, `,"name":"vendor"`)))
	o.settle()
	has(t, o.sends(jpn), id("indicator", 1), maker)
}

// unnamed checks that one object goes and does not name its maker.
func unnamed(t testing.TB, got map[stix.ID]string, what, maker stix.ID) {
	t.Helper()
	has(t, got, what)
	if strings.Contains(got[what], string(maker)) {
		t.Errorf("a maker the partner does not have is named: %s", got[what])
	}
}

func TestMakerApprovedLater(t *testing.T) {
	o := newOffice(t, jpn)
	maker := id("identity", 7)
	o.put(version(t, made, "run", object("identity", 7, usa.Identity, noroshi.Amber, `,"name":"unit"`)),
		version(t, made, "run", object("indicator", 1, maker, noroshi.Green, "")))
	o.settle()
	unnamed(t, o.sends(jpn), id("indicator", 1), maker)
	for _, h := range o.holds() {
		if h.Key == noroshi.TwoPersons {
			o.twoApprove(h.ID)
		}
	}
	o.settle()
	has(t, o.sends(jpn), id("indicator", 1), maker)
}

// TestDefinitionComesLater is L5: an object may come before its marking.
func TestDefinitionComesLater(t *testing.T) {
	o := newOffice(t, jpn)
	statement := id("marking-definition", 8)
	marked := strings.Replace(object("indicator", 1, usa.Identity, noroshi.Green, ""), `"object_marking_refs":[`, fmt.Sprintf(`"object_marking_refs":[%q,`, statement), 1)
	o.put(version(t, made, "run", marked))
	o.settle()
	has(t, o.sends(jpn))
	if h := o.holds(); len(h) != 1 || h[0].Key != noroshi.NotUnderstood {
		t.Fatalf("holds: %+v", h)
	}
	definition := fmt.Sprintf(`{"type":"marking-definition","spec_version":"2.1","id":%q,"created":"2026-11-01T00:00:00.000Z","definition_type":"statement","definition":{"statement":%q}}`, statement, allowed)
	o.put(version(t, made, "run", definition))
	o.settle()
	got := o.sends(jpn)
	has(t, got, id("indicator", 1), statement)
	if got[statement] != definition {
		t.Errorf("definition is %s", got[statement])
	}
	// A second body under its id: what carries it is not understood any more.
	o.put(version(t, made, "run", strings.Replace(marked, id1, string(id("indicator", 2)), 1)))
	o.settle()
	o.put(version(t, fromFile, "", strings.Replace(definition, allowed, "other", 1)))
	o.settle()
	has(t, o.sends(jpn))
}

var id1 = string(id("indicator", 1))

func TestThirdPartiesAndEchoes(t *testing.T) {
	o := newOffice(t, jpn, kor)
	theirs := func(typ string, n int, mark noroshi.TLP) *store.Version {
		return version(t, fromJPN, "", object(typ, n, jpn.Identity, mark, ""))
	}
	sighting := func(n, of int) *store.Version {
		return version(t, made, "", object("sighting", n, usa.Identity, noroshi.Amber, fmt.Sprintf(`,"sighting_of_ref":%q,"count":1`, id("indicator", of))))
	}
	o.put(theirs("indicator", 1, noroshi.Amber), theirs("indicator", 2, noroshi.Green),
		sighting(3, 1), sighting(4, 2),
		version(t, noroshi.Source{Kind: noroshi.FromFile, Name: "vendor.json"}, "", object("indicator", 5, id("identity", 9), noroshi.Amber, "")),
		version(t, noroshi.Source{Kind: noroshi.FromFile, Name: "claims.json"}, "", object("indicator", 6, usa.Identity, noroshi.Amber, "")),
		version(t, fromJPN, "", object("indicator", 7, usa.Identity, noroshi.Amber, "")),
	)
	o.settle()
	has(t, o.sends(jpn), id("sighting", 3), id("sighting", 4))
	has(t, o.sends(kor), id("indicator", 2), id("sighting", 4))
	if h := o.holds(); len(h) != 0 {
		t.Errorf("a third party's AMBER waits for persons: %+v", h)
	}
}

func TestFlashAndItsTranslation(t *testing.T) {
	o := newOffice(t, jpn)
	o.put(indicator(t, 1, noroshi.Green))
	o.settle()
	o.sends(jpn)
	warning := func(n int, precedence string) *store.Version {
		return version(t, made, "", object("report", n, usa.Identity, noroshi.Amber, fmt.Sprintf(
			`,"name":"w","published":"2026-11-01T00:00:00Z","object_refs":[%q],"extensions":{%q:{"extension_type":"property-extension","severity":"high","precedence":%q}}`,
			id("indicator", 1), noroshi.WarningExtension, precedence)))
	}
	translation := func(n, of int) *store.Version {
		return version(t, made, "", object("language-content", n, usa.Identity, noroshi.Amber, fmt.Sprintf(`,"object_ref":%q,"contents":{"ja":{"name":"警"}}`, id("report", of))))
	}
	o.put(warning(2, "immediate"), translation(3, 2), warning(4, "flash"), translation(5, 4), warning(6, "urgent"))
	o.settle()
	ids, err := o.store.UnsentBatches(o.ctx, jpn.Node)
	if err != nil || len(ids) != 1 {
		t.Fatal(ids, err)
	}
	b, err := o.store.Batch(o.ctx, ids[0])
	if err != nil || b.Precedence != noroshi.Immediate || b.Count != 2 {
		t.Errorf("batch %+v, %v", b, err)
	}
	if c, err := o.desk.Next(o.ctx, ids[0], 0); err != nil || len(c.Objects()) != 2 {
		t.Errorf("a warning goes with its translation: %d objects, %v", len(c.Objects()), err)
	}
	has(t, o.sends(jpn), id("report", 2), id("language-content", 3))
	h := o.holds()
	if len(h) != 1 || h[0].Precedence != noroshi.Flash || h[0].Key != noroshi.TwoPersons || h[0].Count != 3 {
		t.Fatalf("holds: %+v", h)
	}
	flash := o.twoApprove(h[0].ID)
	if c, err := o.desk.Next(o.ctx, flash, 0); err != nil || len(c.Objects()) != 2 {
		t.Errorf("one warning a message: %d objects, %v", len(c.Objects()), err)
	}
	has(t, o.sends(jpn), id("report", 4), id("language-content", 5), id("report", 6))
}

// TestStepTwice: a desk that reads the feed again, as after a crash before its
// cursor moved, does nothing twice.
func TestStepTwice(t *testing.T) {
	o := newOffice(t, jpn, kor)
	listed(t, o, 300, noroshi.Amber)
	o.put(indicator(t, 1000, noroshi.Green), malware(t, 1001, noroshi.Green),
		version(t, made, "", object("relationship", 1002, usa.Identity, noroshi.Green, ends(id("indicator", 1000), id("malware", 1001)))))
	o.settle()
	before, err := o.store.Head(o.ctx)
	if err != nil {
		t.Fatal(err)
	}
	holds, n := o.holds(), o.acts()
	if err := o.store.Advance(o.ctx, "release", 0); err != nil {
		t.Fatal(err)
	}
	o.settle()
	after, err := o.store.Head(o.ctx)
	if err != nil || before != after || n != o.acts() {
		t.Errorf("feed went from %d to %d, ledger from %d to %d, %v", before, after, n, o.acts(), err)
	}
	if diff := cmp.Diff(holds, o.holds()); diff != "" {
		t.Error(diff)
	}
}

func TestRevokedGoesLikeAnyVersion(t *testing.T) {
	o := newOffice(t, jpn)
	o.put(indicator(t, 1, noroshi.Green))
	o.settle()
	o.sends(jpn)
	o.put(version(t, made, "", later(object("indicator", 1, usa.Identity, noroshi.Green, `,"revoked":true`))))
	o.settle()
	if got := o.sends(jpn); !strings.Contains(got[id("indicator", 1)], `"revoked":true`) {
		t.Errorf("got %v", got)
	}
}

func TestExplain(t *testing.T) {
	o := newOffice(t, jpn)
	seqs := o.put(indicator(t, 1, noroshi.Green), indicator(t, 2, noroshi.Red), indicator(t, 3, noroshi.NoTLP), indicator(t, 4, noroshi.Amber), indicator(t, 5, noroshi.Amber))
	o.settle()
	seqs = append(seqs, o.put(version(t, made, "run-2", object("indicator", 6, usa.Identity, noroshi.Amber, "")))...)
	o.settle()
	hold := o.holds()[0].ID // the last one opened
	if err := o.giveBack("sato", hold); err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		outcome noroshi.Outcome
		code    string
	}{{noroshi.Release, "batch.released"}, {noroshi.Deny, "tlp.red"}, {noroshi.Hold, "marking.none"}, {noroshi.Hold, "clause.two-persons"}, {noroshi.Hold, "hold.open"}, {noroshi.Hold, "hold.returned"}} {
		got, reasons, err := o.desk.Explain(o.ctx, seqs[i], jpn.Node)
		found := false
		for _, r := range reasons {
			found = found || r.Code == want.code
		}
		if err != nil || got != want.outcome || !found {
			t.Errorf("%d: got %s %v %v, want %s %s", i, got, reasons, err, want.outcome, want.code)
		}
	}
	if got, _, err := o.desk.Explain(o.ctx, seqs[0], kor.Node); got != noroshi.Deny || err != nil {
		t.Errorf("a stranger: %s, %v", got, err)
	}
	if _, _, err := o.desk.Explain(o.ctx, 9999, jpn.Node); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("no such version: %v", err)
	}
}

// TestCanaries is L1 and L2 through a store: whatever stands in objects above
// the partner, the batches and bytes for it are the same and say none of it.
func TestCanaries(t *testing.T) {
	run := func(canary string) (string, []string) {
		o := newOffice(t, jpn)
		for i, mark := range []noroshi.TLP{noroshi.Red, noroshi.NoTLP} {
			n := 100 * (i + 1)
			o.put(
				version(t, made, "", object("malware", n+1, usa.Identity, mark, fmt.Sprintf(`,"is_family":false,"name":%q,"description":%q,"x_note":%q,"external_references":[{"source_name":%q}]`, canary, canary, canary, canary))),
				version(t, made, "", object("indicator", n+2, usa.Identity, mark, fmt.Sprintf(`,"name":%q,"pattern":"[file:name = '%s']","pattern_type":"stix","valid_from":"2026-11-01T00:00:00Z"`, canary, canary))),
				version(t, made, "", object("relationship", n+3, usa.Identity, noroshi.Green, ends(id("malware", n+1), id("malware", 1)))),
				version(t, made, "", object("sighting", n+4, usa.Identity, noroshi.Green, fmt.Sprintf(`,"sighting_of_ref":%q`, id("indicator", n+2)))),
				version(t, made, "", object("report", n+5, usa.Identity, noroshi.Green, fmt.Sprintf(`,"name":"r","published":"2026-11-01T00:00:00Z","object_refs":[%q]`, id("malware", n+1)))),
				version(t, made, "", object("language-content", n+6, usa.Identity, noroshi.Green, fmt.Sprintf(`,"object_ref":%q,"contents":{"ja":{"name":"x"}}`, id("malware", n+1)))),
			)
		}
		unknown := id("marking-definition", 50)
		o.put(version(t, made, "", fmt.Sprintf(`{"type":"marking-definition","spec_version":"2.1","id":%q,"created":"2026-11-01T00:00:00.000Z","definition_type":"statement","definition":{"statement":%q}}`, unknown, canary)),
			version(t, made, "", strings.Replace(object("indicator", 51, usa.Identity, noroshi.Green, fmt.Sprintf(`,"name":%q`, canary)), `"object_marking_refs":[`, fmt.Sprintf(`"object_marking_refs":[%q,`, unknown), 1)),
			malware(t, 1, noroshi.Green), indicator(t, 2, noroshi.Green))
		o.settle()
		ids, err := o.store.UnsentBatches(o.ctx, jpn.Node)
		if err != nil {
			t.Fatal(err)
		}
		var wire strings.Builder
		got := o.sends(jpn)
		has(t, got, id("malware", 1), id("indicator", 2))
		for _, x := range []stix.ID{id("malware", 1), id("indicator", 2)} {
			wire.WriteString(got[x])
		}
		return wire.String(), ids
	}
	wire, batches := run("CANARY-7f3a")
	if strings.Contains(wire, "CANARY") {
		t.Error("a canary is on the wire")
	}
	other, others := run("something else, of another length")
	if diff := cmp.Diff(wire, other); diff != "" {
		t.Error(diff)
	}
	if len(batches) != len(others) {
		t.Errorf("%d batches, then %d", len(batches), len(others))
	}
}

// TestBulkIsOneHoldAPartner: a list waits as one item for each partner, is
// approved with two signatures, and costs few ledger entries.
func TestBulkIsOneHoldAPartner(t *testing.T) {
	o := newOffice(t, jpn, kor)
	o.settle()
	n := tier.N(4_500, 100_000)
	listed(t, o, n, noroshi.Amber)
	before := o.acts()
	o.settle()
	h := o.holds()
	if len(h) != 2 || h[0].Count != n || h[1].Count != n {
		t.Fatalf("holds: %+v", h)
	}
	for _, x := range h {
		o.twoApprove(x.ID)
	}
	o.settle()
	if entries := o.acts() - before; entries > 150 {
		t.Errorf("%d ledger entries", entries)
	}
	if a, b := len(o.sends(jpn)), len(o.sends(kor)); a != n || b != n {
		t.Errorf("%d and %d go, want %d", a, b, n)
	}
}
