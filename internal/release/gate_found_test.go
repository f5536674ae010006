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
		it := release.ItemOf(o, release.Facts{Label: noroshi.LabelOf(o, nil, defs, []string{allowed}), Portions: noroshi.PortionsOf(o, defs, []string{allowed}),
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

// TestApartWhateverTravels: of two parts that may not go together neither goes,
// though one of them could not stay for want of its marking's definition: the
// other would tell that.
func TestApartWhateverTravels(t *testing.T) {
	for name, stamp := range map[string]string{"its definition goes": "ACS REL TO JPN", "its definition stays": "ACS open"} {
		t.Run(name, func(t *testing.T) {
			s := stampOf(t, stamp)
			tool := object("tool", 1, usa.Identity, noroshi.Green, `,"name":"n","description":"d","x_a":"a"`)
			c, _ := decided(t, s.bodies[0], tool[:len(tool)-1]+fmt.Sprintf(`,"granular_markings":[{"marking_ref":%q,"selectors":["description"]},{"marking_ref":%q,"selectors":["x_a"]}]}`, noroshi.Amber.MarkingID(), s.id))
			a := *c.Clauses.Agreement()
			a.Clauses = []noroshi.Clause{{ID: "a", Cedar: `permit (principal, action, resource);`},
				{ID: "b", Cedar: `forbid (principal, action, resource) when { resource.level == 3 && resource.classification == 1 };`}}
			var err error
			if c.Clauses, err = release.Compile(&a); err != nil {
				t.Fatal(err)
			}
			if d := release.Decide(c)[1]; d.Outcome != noroshi.Redact || !slices.Equal(d.Cut, []string{"description", "x_a"}) {
				t.Errorf("%s, cut %v: %v", d.Outcome, d.Cut, d.Reasons)
			}
		})
	}
}

// TestTranslations: a translation says no more than the version it translates
// lets leave, however it is put.
func TestTranslations(t *testing.T) {
	tool := granular(object("tool", 1, usa.Identity, noroshi.Green, `,"name":"n","labels":["a","b"],"description":"d"`), noroshi.Red.MarkingID(), "labels.[1]")
	words := func(members string) string {
		return object("language-content", 2, usa.Identity, noroshi.Green, fmt.Sprintf(`,"object_ref":%q%s`, id("tool", 1), members))
	}
	for name, x := range map[string]struct {
		members string
		outcome noroshi.Outcome
		cut     []string
	}{
		"of all":                   {`,"contents":{"ja":{"name":"n","labels":["a","b"]}}`, noroshi.Redact, []string{"contents.ja.labels"}},
		"of a list, shorter":       {`,"contents":{"ja":{"name":"n","labels":["b"]}}`, noroshi.Redact, []string{"contents.ja.labels"}},
		"of a property not there":  {`,"contents":{"ja":{"name":"n","x_secret":"b"}}`, noroshi.Redact, []string{"contents.ja.x_secret"}},
		"in other spelling":        {`,"contents":{"ja":{"name":"n","Labels":["b"]}}`, noroshi.Redact, []string{"contents.ja.Labels"}},
		"with a mark in a cut":     {`,"contents":{"ja":{"name":"n","labels":["a","(S) b"]}}`, noroshi.Redact, []string{"contents.ja.labels"}},
		"of the current version":   {`,"object_modified":"2026-11-01T00:00:00Z","contents":{"ja":{"name":"n"}}`, noroshi.Release, nil},
		"of an earlier version":    {`,"object_modified":"2026-10-01T00:00:00Z","contents":{"ja":{"name":"n"}}`, noroshi.Deny, nil},
		"of a later version":       {`,"object_modified":"2026-11-01T00:00:00.001Z","contents":{"ja":{"name":"n"}}`, noroshi.Deny, nil},
		"by a program":             {`,"labels":["machine-translation"],"contents":{"ja":{"name":"n"}}`, noroshi.Deny, nil},
		"by a program, checked":    {`,"labels":["translation-checked","machine-translation"],"contents":{"ja":{"name":"n"}}`, noroshi.Release, nil},
		"of a cut in odd names":    {`,"contents":{"ja.x":{"labels":["b"]}}`, noroshi.Deny, nil},
		"of nothing that may go":   {`,"contents":{"ja":{"labels":["b"]},"ko":{"labels":["b"]}}`, noroshi.Deny, []string{"contents.ja.labels", "contents.ko.labels"}},
		"with a name of no length": {`,"contents":{"ja":{"":"b","name":"n"}}`, noroshi.Deny, nil},
	} {
		_, out := decided(t, tool, words(x.members))
		if d := out[id("language-content", 2)]; d.Outcome != x.outcome || !slices.Equal(d.Cut, x.cut) {
			t.Errorf("%s: %s, cut %v: %v", name, d.Outcome, d.Cut, d.Reasons)
		}
	}
}

// TestPrecedenceOfAWarning: a warning's precedence shows in the head of its
// message, so that it cannot be cut out; nor can it that an object is revoked.
func TestPrecedenceOfAWarning(t *testing.T) {
	for selector, want := range map[string]noroshi.Outcome{
		"extensions." + string(noroshi.WarningExtension) + ".precedence": noroshi.Deny, "extensions": noroshi.Deny, "revoked": noroshi.Deny,
		"extensions." + string(noroshi.WarningExtension) + ".severity": noroshi.Redact,
	} {
		_, out := decided(t, granular(object("report", 1, usa.Identity, noroshi.Green, fmt.Sprintf(
			`,"revoked":true,"name":"w","published":"2026-11-01T00:00:00Z","object_refs":[%q],"extensions":{%q:{"extension_type":"property-extension","severity":"high","precedence":"immediate"}}`,
			usa.Identity, noroshi.WarningExtension)), noroshi.Red.MarkingID(), selector))
		if d := out[id("report", 1)]; d.Outcome != want {
			t.Errorf("%s: %s, cut %v", selector, d.Outcome, d.Cut)
		}
	}
}

// TestMarkingInsideACut: a portion inside of one that is cut out goes with it:
// its marking neither travels nor shows in the label.
func TestMarkingInsideACut(t *testing.T) {
	s := stampOf(t, "公開")
	body := granular(object("tool", 1, usa.Identity, noroshi.Green, `,"name":"n","aliases":["a","b"]`), noroshi.Red.MarkingID(), "aliases")
	body = strings.Replace(body, `"granular_markings":[`, fmt.Sprintf(`"granular_markings":[{"marking_ref":%q,"selectors":["aliases.[1]"]},`, s.id), 1)
	_, out := decided(t, s.bodies[0], body)
	if d := out[id("tool", 1)]; d.Outcome != noroshi.Redact || len(d.Travels) > 0 || d.Label.String() != "TLP:GREEN" {
		t.Errorf("%s under %s with %v", d.Outcome, d.Label, d.Travels)
	}
}

// TestTranslationOfALaterVersion: that the partner has an earlier version frees
// no translation of what the current one says.
func TestTranslationOfALaterVersion(t *testing.T) {
	c, _ := decided(t, object("tool", 1, usa.Identity, noroshi.Red, `,"name":"n"`),
		object("language-content", 2, usa.Identity, noroshi.Green, fmt.Sprintf(`,"object_ref":%q,"contents":{"ja":{"name":"n"}}`, id("tool", 1))),
		object("note", 3, usa.Identity, noroshi.Green, fmt.Sprintf(`,"content":"c","object_refs":[%q]`, id("tool", 1))))
	c.Around = map[stix.ID]release.Standing{id("tool", 1): release.Had}
	out := release.Decide(c)
	if out[1].Outcome != noroshi.Deny || out[2].Outcome != noroshi.Release {
		t.Errorf("translation %s, note %s", out[1].Outcome, out[2].Outcome)
	}
}

// TestOldTranslationOfNoVersion: a translation that names no version is of none
// that came after it.
func TestOldTranslationOfNoVersion(t *testing.T) {
	tool := object("tool", 1, usa.Identity, noroshi.Green, `,"name":"n"`)
	later := strings.Replace(tool, `"modified":"2026-11-01T00:00:00.000Z"`, `"modified":"2026-11-01T00:00:00.001Z"`, 1)
	words := object("language-content", 2, usa.Identity, noroshi.Green, fmt.Sprintf(`,"object_ref":%q,"contents":{"ja":{"name":"n"}}`, id("tool", 1)))
	for original, want := range map[string]noroshi.Outcome{tool: noroshi.Release, later: noroshi.Deny} {
		_, out := decided(t, original, words)
		if d := out[id("language-content", 2)]; d.Outcome != want {
			t.Errorf("%s: %s: %v", original, d.Outcome, d.Reasons)
		}
	}
}
