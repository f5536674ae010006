package release_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/stix"
)

// decided decides objects of our own for JPN-01 and returns the decisions by id.
func decided(t *testing.T, objects ...string) (release.Case, map[stix.ID]release.Decision) {
	t.Helper()
	w := readWorld(t)
	var all []*stix.Object
	for _, b := range objects {
		o, err := stix.Parse([]byte(b))
		if err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		all = append(all, o)
	}
	c := w.caseOf(t, "USA", "JPN", noroshi.Real)
	defs := func(id stix.ID) []*stix.Object { return slices.Concat(definitions(all)(id), defined(id)) }
	for _, o := range all {
		it := release.ItemOf(o, release.Facts{Label: noroshi.LabelOf(o, nil, defs, w.Statements), Portions: noroshi.PortionsOf(o, defs, w.Statements),
			Source: noroshi.Source{Kind: noroshi.FromSelf}, Self: c.Self, Partner: c.Partner, Mark: release.PortionMark(o.Bytes())})
		c.Items = append(c.Items, it)
	}
	release.Translate(c.Items)
	out := map[stix.ID]release.Decision{}
	for i, d := range release.Decide(c) {
		out[c.Items[i].ID] = d
	}
	return c, out
}

func stampOf(t *testing.T, name string) *stamp {
	t.Helper()
	i := slices.IndexFunc(stamps(), func(s *stamp) bool { return s.name == name })
	if i < 0 {
		t.Fatalf("no stamp %s", name)
	}
	return stamps()[i]
}

func granular(object string, mark stix.ID, selectors ...string) string {
	list := `"` + strings.Join(selectors, `","`) + `"`
	return object[:len(object)-1] + fmt.Sprintf(`,"granular_markings":[{"marking_ref":%q,"selectors":[%s]}]}`, mark, list)
}

// TestReferenceToADefinition: a marking's definition leaves with what it marks
// alone, so a reference to one that does not is cut.
func TestReferenceToADefinition(t *testing.T) {
	s, other := stampOf(t, "ACS open"), stampOf(t, "statement")
	_, out := decided(t, other.bodies[0], strings.Replace(s.bodies[0], `"created_by_ref":"`+string(vendor)+`",`, "", 1),
		marked(object("report", 1, usa.Identity, noroshi.Green, fmt.Sprintf(`,"name":"r","published":"2026-11-01T00:00:00Z","object_refs":[%q,%q,%q]`, s.id, other.id, usa.Identity)), other.id))
	if d := out[id("report", 1)]; d.Outcome != noroshi.Redact || !slices.Equal(d.Cut, []string{"object_refs.[0]"}) {
		t.Errorf("%s, cut %v", d.Outcome, d.Cut)
	}
}

// TestNoRingWithWhatNeverGoes: an object that cannot go whatever persons sign
// holds nothing it refers to in a circle, and brings no marking into it.
func TestNoRingWithWhatNeverGoes(t *testing.T) {
	s := stampOf(t, "statement")
	_, out := decided(t, s.bodies[0],
		object("note", 1, usa.Identity, noroshi.Green, fmt.Sprintf(`,"content":"n","object_refs":[%q,%q]`, id("note", 2), usa.Identity)),
		marked(object("note", 2, usa.Identity, noroshi.Green, fmt.Sprintf(`,"content":"(S) n","object_refs":[%q]`, id("relationship", 4))), s.id),
		object("relationship", 4, usa.Identity, noroshi.Green, ends(id("note", 1), id("malware", 3))),
		object("malware", 3, usa.Identity, noroshi.Red, `,"name":"m","is_family":false`))
	if d := out[id("note", 1)]; d.Outcome != noroshi.Redact || len(d.Travels) > 0 {
		t.Errorf("%s with %v: %v", d.Outcome, d.Travels, d.Reasons)
	}
}

// TestPortionsThatCannotGoTogether: where an object is none of its type without
// two portions, it takes their decision: it has nothing cut out, and waits under
// their label with their marking.
func TestPortionsThatCannotGoTogether(t *testing.T) {
	s := stampOf(t, "秘")
	_, out := decided(t, s.bodies[0],
		object("ipv4-addr", 1, "", noroshi.Green, `,"value":"192.0.2.1"`),
		granular(object("network-traffic", 2, "", noroshi.Green, fmt.Sprintf(`,"protocols":["tcp"],"src_ref":%q,"dst_ref":%q`, id("ipv4-addr", 1), id("ipv4-addr", 1))), s.id, "src_ref", "dst_ref"),
		granular(object("indicator", 3, usa.Identity, noroshi.Green, ""), s.id, "pattern"))
	for _, id := range []stix.ID{id("network-traffic", 2), id("indicator", 3)} {
		d := out[id]
		if d.Outcome != noroshi.Hold || d.Key != noroshi.TwoPersons || len(d.Cut) > 0 || !strings.Contains(d.Label.String(), "JPN:") || !slices.Contains(d.Travels, s.id) {
			t.Errorf("%s: %s %s, cut %v, %s, with %v", id, d.Outcome, d.Key, d.Cut, d.Label, d.Travels)
		}
	}
}
