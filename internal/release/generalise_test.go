package release_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/stix"
)

// lessExact is the template agreement with a switch in one of its clauses.
func lessExact(clause string, list ...noroshi.Generalise) []byte {
	var b strings.Builder
	for _, g := range list {
		fmt.Fprintf(&b, "\n[[clause.generalise]]\ntype = %q\nselector = %q\nhow = %q\n", g.Type, g.Selector, string(g.How))
	}
	self := usa
	self.Tokens = []string{"USA.DOD"}
	text := string(release.Template(release.Draft{Realm: real, Self: self, Partner: jpn, From: now.AddDate(0, -1, 0), Until: now.AddDate(0, 1, 0), Statements: []string{allowed}}))
	at := strings.Index(text, "\n[[clause]]\nid = \""+clause+"\"")
	if next := strings.Index(text[at+2:], "\n[[clause]]"); next >= 0 {
		at += 2 + next
	} else {
		at = len(text)
	}
	return []byte(text[:at] + b.String() + text[at:])
}

var (
	hours = []noroshi.Generalise{{Type: "infrastructure", Selector: "first_seen", How: noroshi.ToHour}, {Type: "infrastructure", Selector: "last_seen", How: noroshi.ToHour},
		{Type: "infrastructure", Selector: "x_address", How: noroshi.ToPrefix}, {Type: "infrastructure", Selector: "x_address6", How: noroshi.ToPrefix}}
	assets = []noroshi.Generalise{{Type: "identity", Selector: "name", How: noroshi.ToSector}, {Type: "identity", Selector: "contact_information", How: noroshi.CutOut},
		{Type: "location", Selector: "name", How: noroshi.ToRegion}, {Type: "location", Selector: "latitude", How: noroshi.CutOut}, {Type: "location", Selector: "longitude", How: noroshi.CutOut}}
)

const exact = `,"name":"n","first_seen":"2026-11-20T03:04:05.678Z","last_seen":"2026-11-20T05:16:17Z","x_address":"198.51.100.77","x_address6":"2001:db8:7:8::9"`

// TestGeneralise: under a clause that asks for it our own objects leave saying
// less, numbered as views; the exact value is in no byte that leaves, the stored
// row makes the same bytes again, and the record holds.
func TestGeneralise(t *testing.T) {
	o := newOffice(t)
	o.agree(jpn, lessExact("1", append(slices.Clone(hours), assets...)...))
	o.settle()
	seqs := o.put(version(t, made, "", object("infrastructure", 1, usa.Identity, noroshi.Green, exact)),
		version(t, made, "", object("identity", 2, usa.Identity, noroshi.Green, `,"name":"Yokosuka substation 4","identity_class":"organization","sectors":["energy"],"contact_information":"duty 0468"`)),
		version(t, made, "", object("location", 3, usa.Identity, noroshi.Green, `,"name":"Pier 4","region":"eastern-asia","latitude":35.29123,"longitude":139.67456`)))
	o.settle()
	p, err := o.desk.Preview(o.ctx, seqs[0], jpn.Node)
	if err != nil || p.Decision.Outcome != noroshi.Redact {
		t.Fatalf("%+v %v", p.Decision, err)
	}
	sees := string(p.View.Bytes())
	again, err := release.View(p.Record.Object, p.Decision.Cut)
	if err != nil || string(again.Bytes()) != sees {
		t.Errorf("twice the same: %v", err)
	}
	batches, err := o.store.UnsentBatches(o.ctx, jpn.Node)
	if err != nil || len(batches) != 1 {
		t.Fatal(batches, err)
	}
	rows, err := o.store.Views(o.ctx, batches[0])
	if err != nil || len(rows) != 3 {
		t.Fatal(rows, err)
	}
	for _, r := range rows {
		if r.N != 1 || len(r.Cut) == 0 || r.View == r.Hash {
			t.Errorf("row %+v", r)
		}
	}
	got := o.sends(jpn)
	if got[p.Record.Object.ID] != sees {
		t.Errorf("goes as %s, previewed as %s", got[p.Record.Object.ID], sees)
	}
	all := fmt.Sprint(got)
	for _, want := range []string{`"first_seen":"2026-11-20T03:00:00Z"`, `"last_seen":"2026-11-20T05:00:00Z"`, `"198.51.100.0/24"`, `"2001:db8:7::/48"`, `"name":"energy"`, `"name":"eastern-asia"`} {
		if !strings.Contains(all, want) {
			t.Errorf("%s is not in what goes: %s", want, all)
		}
	}
	for _, secret := range []string{"03:04", "05.678", "05:16", "100.77", "7:8::9", "Yokosuka", "0468", "Pier 4", "35.29", "139.67", "latitude"} {
		if strings.Contains(all, secret) {
			t.Errorf("%s leaves: %s", secret, all)
		}
	}
	if got := o.sends(jpn); len(got) != 0 {
		t.Errorf("goes again: %v", got)
	}
	o.settle()
	if report, err := o.store.Verify(o.ctx, nil); err != nil || len(report.Faults) > 0 {
		t.Errorf("record: %+v %v", report, err)
	}
}

// TestNoSealedPartIsSaidLessExactly: a part that goes whole or not at all is not
// rewritten, not even all of it: it is cut out.
func TestNoSealedPartIsSaidLessExactly(t *testing.T) {
	sealed := id("marking-definition", 8)
	body, err := json.Marshal(edit{string(noroshi.ACSExtension): acs(edit{".permitted_nationalities": relJPN,
		"access_privilege": []edit{access("deny", "TEARLINE", edit{"permitted_nationalities": relJPN})}})})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		mark stix.ID
		want string
	}{
		"sealed": {sealed, ""},
		"free":   {noroshi.Green.MarkingID(), `"first_seen":"2026-11-20T03:00:00Z"`},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			o.agree(jpn, lessExact("1", hours[0]))
			o.put(version(t, made, "", fmt.Sprintf(`{"type":"marking-definition","spec_version":"2.1","id":%q,"created":"2026-11-01T00:00:00.000Z","extensions":%s}`, sealed, body)),
				version(t, made, "", granular(object("infrastructure", 1, usa.Identity, noroshi.Green, `,"name":"n","first_seen":"2026-11-20T03:04:05.678Z"`), c.mark, "first_seen")))
			o.settle()
			got := o.sends(jpn)[id("infrastructure", 1)]
			if got == "" || strings.Contains(got, "first_seen") != (c.want != "") || !strings.Contains(got, c.want) {
				t.Errorf("goes as %q, want %q", got, c.want)
			}
		})
	}
}

// TestGeneralisedValueTellsNothing: two objects that differ only in what is said
// less exactly leave as the same bytes under the same number, also where nothing
// needs to be changed.
func TestGeneralisedValueTellsNothing(t *testing.T) {
	var first string
	for _, exactly := range []string{"2026-11-20T03:04:05.678Z", "2026-11-20T03:00:00Z", "2026-11-20T03:59:59Z", "2026-11-20T03:00:00.000Z"} {
		for _, mark := range []noroshi.TLP{noroshi.Green, noroshi.Amber} {
			clause := map[noroshi.TLP]string{noroshi.Green: "1", noroshi.Amber: "2"}[mark]
			o := newOffice(t)
			o.agree(jpn, lessExact(clause, hours[0]))
			o.settle()
			o.put(version(t, made, "", object("infrastructure", 1, usa.Identity, mark, `,"name":"n","first_seen":"`+exactly+`"`)))
			o.settle()
			if mark == noroshi.Amber {
				o.twoApprove(o.holds()[0].ID)
				o.settle()
			}
			batches, err := o.store.UnsentBatches(o.ctx, jpn.Node)
			if err != nil || len(batches) != 1 {
				t.Fatal(clause, batches, err)
			}
			rows, err := o.store.Views(o.ctx, batches[0])
			if err != nil || len(rows) != 1 || rows[0].N != 1 {
				t.Fatalf("clause %s, %s: rows %+v %v", clause, exactly, rows, err)
			}
			got := strings.ReplaceAll(fmt.Sprint(o.sends(jpn)), string(mark.MarkingID()), "mark")
			if first == "" {
				first = got
			}
			if got != first {
				t.Errorf("%s leaves as %s, others as %s", exactly, got, first)
			}
			o.settle()
			if got := o.sends(jpn); len(got) != 0 {
				t.Errorf("goes again: %v", got)
			}
			if report, err := o.store.Verify(o.ctx, nil); err != nil || len(report.Faults) > 0 {
				t.Errorf("record: %+v %v", report, err)
			}
		}
	}
}

// TestGeneraliseOthers: what others made is never rewritten but cut; what cannot
// be said less exactly is cut, what cannot be cut stays; a part whose marking
// lets less go is no source of words; and a translation follows.
func TestGeneraliseOthers(t *testing.T) {
	red := string(noroshi.Red.MarkingID())
	clauses := func(file []byte) *release.Clauses {
		a, err := noroshi.ParseAgreement(file)
		if err != nil {
			t.Fatal(err)
		}
		c, err := release.Compile(a)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	list := append(append(slices.Clone(hours), assets...), noroshi.Generalise{Type: "report", Selector: "published", How: noroshi.CutOut},
		noroshi.Generalise{Type: "report", Selector: "name", How: noroshi.ToSector})
	decide := func(src noroshi.Source, by stix.ID, typ, members string) (release.Decision, string) {
		t.Helper()
		o, err := stix.Parse([]byte(object(typ, 1, by, noroshi.Green, members)))
		if err != nil {
			t.Fatal(err)
		}
		none := func(stix.ID) []*stix.Object { return nil }
		it := release.ItemOf(o, release.Facts{Label: noroshi.LabelOf(o, nil, none, nil), Source: src, Self: usa.Identity, Partner: jpn, Portions: noroshi.PortionsOf(o, none, nil)})
		c := release.Case{Realm: real, Now: now, Self: usa.Identity, Holder: usa, Partner: jpn, Clauses: clauses(lessExact("1", list...)), Items: []release.Item{it},
			Around: map[stix.ID]release.Standing{}, Nodes: map[stix.ID]bool{kor.Identity: true}}
		d := release.Decide(c)[0]
		if d.Outcome == noroshi.Deny {
			return d, ""
		}
		v, err := release.View(o, d.Cut)
		if err != nil {
			t.Fatal(err)
		}
		return d, string(v.Bytes())
	}
	file := noroshi.Source{Kind: noroshi.FromFile, Name: "x"}
	d, sees := decide(file, "", "infrastructure", exact)
	if d.Outcome != noroshi.Redact || strings.Contains(sees, "seen") || strings.Contains(sees, "address") || slices.ContainsFunc(d.Cut, func(c string) bool { return strings.Contains(c, "=>") }) {
		t.Errorf("another's: %+v, leaves %s", d, sees)
	}
	d, sees = decide(made, usa.Identity, "infrastructure", `,"name":"n","x_address":"gate 4"`)
	if d.Outcome != noroshi.Redact || strings.Contains(sees, "gate 4") {
		t.Errorf("no address: %+v, leaves %s", d, sees)
	}
	d, _ = decide(made, usa.Identity, "identity", `,"name":"Yokosuka","identity_class":"organization"`)
	if d.Outcome != noroshi.Deny || d.Reasons[len(d.Reasons)-1].Code != "generalise.impossible" {
		t.Errorf("a name that cannot be cut: %+v", d)
	}
	d, _ = decide(made, usa.Identity, "identity", `,"name":"Yokosuka","identity_class":"organization","sectors":["energy","defense"],"granular_markings":[{"marking_ref":"`+red+`","selectors":["sectors.[1]"]}]`)
	if d.Outcome != noroshi.Deny {
		t.Errorf("sectors that are cut: %+v", d)
	}
	d, sees = decide(made, usa.Identity, "infrastructure", exact+`,"granular_markings":[{"marking_ref":"`+red+`","selectors":["first_seen"]}]`)
	if d.Outcome != noroshi.Redact || strings.Contains(sees, "first_seen") || !strings.Contains(sees, "05:00:00Z") {
		t.Errorf("a part that may not go: %+v, leaves %s", d, sees)
	}
	for _, bad := range []noroshi.Generalise{
		{Type: "ipv4-addr", Selector: "value", How: noroshi.ToPrefix}, {Type: "file", Selector: "hashes.MD5", How: noroshi.CutOut},
		{Type: "indicator", Selector: "pattern", How: noroshi.ToPrefix}, {Type: "sighting", Selector: "modified", How: noroshi.ToHour},
		{Type: "sighting", Selector: "id", How: noroshi.CutOut}, {Type: "sighting", Selector: "sighting_of_ref", How: noroshi.ToSector},
		{Type: "sighting", Selector: "object_marking_refs", How: noroshi.CutOut}, {Type: "sighting", Selector: "first_seen", How: "day"},
		{Type: "", Selector: "first_seen", How: noroshi.ToHour}, {Type: "sighting", Selector: "", How: noroshi.ToHour}, {Type: "x", Selector: "a=>hour", How: noroshi.CutOut},
	} {
		if _, err := noroshi.ParseAgreement(lessExact("1", bad)); noroshi.KindOf(err) != noroshi.Invalid {
			t.Errorf("%+v: %v, want invalid", bad, err)
		}
	}
	if _, err := noroshi.ParseAgreement(lessExact("1", hours[0], noroshi.Generalise{Type: hours[0].Type, Selector: hours[0].Selector, How: noroshi.CutOut})); noroshi.KindOf(err) != noroshi.Invalid {
		t.Errorf("named twice: %v", err)
	}
}

// TestGeneraliseUnderEveryClause: an object says less wherever a clause asks for
// that under which it goes or would go with fewer markings, whichever clause is
// cited; what one wants cut out is cut out.
func TestGeneraliseUnderEveryClause(t *testing.T) {
	permit := func(id string, when string, less ...noroshi.Generalise) noroshi.Clause {
		return noroshi.Clause{ID: id, Cedar: `permit (principal, action == Action::"release", resource) when { ` + when + ` };`, Generalise: less}
	}
	cut := noroshi.Generalise{Type: "infrastructure", Selector: "last_seen", How: noroshi.CutOut}
	o, err := stix.Parse([]byte(object("infrastructure", 1, usa.Identity, noroshi.Green, exact)))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name    string
		clauses []noroshi.Clause
		cut     string
		by      string // clauses the cuts are by
	}{
		{"the cited one", []noroshi.Clause{permit("1", "true", hours[0])}, "first_seen=>hour", "1"},
		{"another that permits too", []noroshi.Clause{permit("1", "true"), permit("2", "true", hours[0])}, "first_seen=>hour", "2"},
		{"both", []noroshi.Clause{permit("1", "true", hours[0]), permit("2", "true", hours[2])}, "first_seen=>hour x_address=>prefix", "1 2"},
		{"the strictest", []noroshi.Clause{permit("1", "true", hours[1]), permit("2", "true", cut)}, "last_seen", "2"},
		{"the strictest first", []noroshi.Clause{permit("1", "true", cut), permit("2", "true", hours[1])}, "last_seen", "1"},
		{"of fewer markings", []noroshi.Clause{permit("1", "resource.level == 1", hours[0]), permit("2", "resource.level == 2")}, "first_seen=>hour", "1"},
		{"of more markings", []noroshi.Clause{permit("1", "resource.level == 2"), permit("2", "resource.level == 3", hours[0])}, "", ""},
		{"of more markings, by which it goes", []noroshi.Clause{permit("2", "resource.level == 3", hours[0])}, "first_seen=>hour", "2"},
		{"one that does not permit", []noroshi.Clause{permit("1", "true"), permit("2", "resource.warning", hours[0])}, "", ""},
	} {
		c := readWorld(t).caseOf(t, "USA", "JPN", real)
		a := *c.Clauses.Agreement()
		a.Clauses = x.clauses
		if c.Clauses, err = release.Compile(&a); err != nil {
			t.Fatal(err)
		}
		c.Items = []release.Item{release.ItemOf(o, release.Facts{Label: noroshi.Label{TLP: noroshi.Green}, Source: made, Self: c.Self, Partner: c.Partner})}
		d := release.Decide(c)[0]
		var by []string
		for _, r := range d.Reasons {
			if r.Outcome == noroshi.Redact {
				by = append(by, r.Clause)
			}
		}
		if got := strings.Join(d.Cut, " "); got != x.cut || strings.Join(by, " ") != x.by {
			t.Errorf("%s: cut %q by %q, want %q by %q", x.name, got, by, x.cut, x.by)
		}
	}
}
