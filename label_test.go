package noroshi_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// labels draws labels as they arise: joins of single markings.
func labels() *rapid.Generator[noroshi.Label] {
	single := rapid.OneOf(
		rapid.Map(rapid.IntRange(int(noroshi.NoTLP), int(noroshi.Red)), func(n int) noroshi.Label { return noroshi.Label{TLP: noroshi.TLP(n)} }),
		rapid.Map(rapid.SampledFrom([]string{"ex-1", "ex-2", "ex-3"}), func(x string) noroshi.Label { return noroshi.Label{Exercise: x} }),
		rapid.Map(rapid.SampledFrom([]string{"granular", "unresolved marking-definition--9c167222-415d-5284-9cba-f7bec0acccdf", "statement malformed-id"}),
			func(u string) noroshi.Label { return noroshi.Label{Unknown: []string{u}} }),
		rapid.Map(rapid.Custom(drawIEP), func(p noroshi.IEP) noroshi.Label { return noroshi.Label{IEP: []noroshi.IEP{p}} }),
		rapid.Map(rapid.Custom(drawACS), func(v any) noroshi.Label { return understood(noroshi.ACSExtension, v) }),
		rapid.Map(rapid.Custom(drawJapanese), func(v any) noroshi.Label { return understood(noroshi.JapaneseExtension, v) }),
	)
	return rapid.Custom(func(t *rapid.T) noroshi.Label {
		var l noroshi.Label
		for _, m := range rapid.SliceOfN(single, 0, 4).Draw(t, "markings") {
			l = l.Join(m)
		}
		return l
	})
}

func same(a, b noroshi.Label) bool {
	return a.TLP == b.TLP && slices.Equal(texts(a.IEP), texts(b.IEP)) && slices.Equal(texts(a.ACS), texts(b.ACS)) &&
		slices.Equal(texts(a.JPN), texts(b.JPN)) && a.Exercise == b.Exercise && slices.Equal(a.Unknown, b.Unknown)
}

func texts[M fmt.Stringer](set []M) (list []string) {
	for _, m := range set {
		list = append(list, m.String())
	}
	return list
}

func TestJoinIsALattice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := labels().Draw(t, "a"), labels().Draw(t, "b"), labels().Draw(t, "c")
		if !same(a.Join(b), b.Join(a)) {
			t.Fatalf("not commutative: %s, %s", a, b)
		}
		if l, r := a.Join(b).Join(c), a.Join(b.Join(c)); !same(l, r) {
			t.Fatalf("not associative: %s and %s", l, r)
		}
		if !same(a.Join(a), a) {
			t.Fatalf("not idempotent: %s", a)
		}
		j := a.Join(b)
		if j.TLP < a.TLP || (a.Handled() && !j.Handled()) || (a.Exercise != "" && j.Exercise == "") {
			t.Fatalf("not monotone: %s joined with %s is %s", a, b, j)
		}
		for _, part := range strings.Split(a.String(), ";") {
			if kind, _, _ := strings.Cut(part, ":"); (kind == "ACS" || kind == "IEP" || kind == "JPN") && !slices.Contains(strings.Split(j.String(), ";"), part) {
				t.Fatalf("join forgot %q", part)
			}
		}
		for _, u := range a.Unknown {
			if !slices.Contains(j.Unknown, u) {
				t.Fatalf("join forgot %q", u)
			}
		}
		if !same(j.Join(a), j) {
			t.Fatalf("join is no upper bound: %s, %s", j, a)
		}
	})
}

func TestLabelNormalForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := labels().Draw(t, "a"), labels().Draw(t, "b")
		if (a.String() == b.String()) != same(a, b) {
			t.Fatalf("normal forms %q and %q", a, b)
		}
		back, err := noroshi.ParseLabel(a.String())
		good := len(a.Unknown) == 0 && (a.Handled() || a.Exercise != "")
		if good != (err == nil) || (good && !same(back, a)) {
			t.Fatalf("%q reads as %s, %v", a, back, err)
		}
		if kept, err := noroshi.KeptLabel(a.String()); err != nil || !same(kept, a) {
			t.Fatalf("%q is kept as %s, %v", a, kept, err)
		}
	})
}

// definition makes a marking-definition from members.
func definition(t *testing.T, id stix.ID, members string) *stix.Object {
	t.Helper()
	o, err := stix.Parse([]byte(`{"type":"marking-definition","spec_version":"2.1","id":"` + string(id) + `","created":"2026-11-01T00:00:00.000Z"` + members + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

const private stix.ID = "marking-definition--9c167222-415d-5284-9cba-f7bec0acccdf"

func tlp20(value string) string {
	return `,"extensions":{"` + string(stix.TLP20Extension) + `":{"extension_type":"property-extension","tlp_2_0":` + value + `}}`
}

func TestMarkingLabel(t *testing.T) {
	const allowed = "Copyright 2026, Exercise CERT."
	green := noroshi.Green.MarkingID()
	for _, x := range []struct {
		name   string
		id     stix.ID
		bodies []string
		want   string
	}{
		{"well known, no body", green, nil, "TLP:GREEN"},
		{"well known, its body", green, []string{tlp20(`"green"`)}, "TLP:GREEN"},
		{"well known, its body twice in another layout", green, []string{tlp20(`"green"`), tlp20(` "green" `)}, "TLP:GREEN"},
		{"other serialisation of the same level", green, []string{`,"definition_type":"tlp","definition":{"tlp":"green"}`}, "TLP:GREEN"},
		{"well known, other level", green, []string{tlp20(`"clear"`)}, "redefined"},
		{"well known, one body of another level", green, []string{tlp20(`"green"`), tlp20(`"red"`)}, "redefined"},
		{"well known, statement body", green, []string{`,"definition_type":"statement","definition":{"statement":"` + allowed + `"}`}, "redefined"},
		{"well known, marked itself", green, []string{tlp20(`"green"`) + `,"object_marking_refs":["` + string(noroshi.Red.MarkingID()) + `"]`}, "marked"},
		{"unresolved", private, nil, "unresolved"},
		{"private id, clear body", private, []string{tlp20(`"clear"`)}, "private-tlp"},
		{"private id, TLP 1.0 body", private, []string{`,"definition_type":"tlp","definition":{"tlp":"white"}`}, "private-tlp"},
		{"statement allowed", private, []string{`,"definition_type":"statement","definition":{"statement":"` + allowed + `"}`}, "UNMARKED"},
		{"statement allowed, with references", private, []string{`,"external_references":[{"source_name":"x"}],"definition_type":"statement","definition":{"statement":"` + allowed + `"}`}, "field"},
		{"statement allowed, named otherwise", private, []string{`,"name":"x","definition_type":"statement","definition":{"statement":"` + allowed + `"}`}, "field"},
		{"exercise, named", private, []string{`,"name":"x","extensions":{"` + string(noroshi.ExerciseExtension) + `":{"extension_type":"property-extension","exercise_id":"ex-1"}}`}, "field"},
		{"statement allowed, named by it", private, []string{`,"name":"` + allowed + `","definition_type":"statement","definition":{"statement":"` + allowed + `"}`}, "UNMARKED"},
		{"statement with a space more", private, []string{`,"definition_type":"statement","definition":{"statement":"` + allowed + ` "}`}, "statement"},
		{"statement in other case", private, []string{`,"definition_type":"statement","definition":{"statement":"` + strings.ToUpper(allowed) + `"}`}, "statement"},
		{"statement with another member", private, []string{`,"x_note":"also","definition_type":"statement","definition":{"statement":"` + allowed + `"}`}, "field"},
		{"statement with another field", private, []string{`,"definition_type":"statement","definition":{"statement":"` + allowed + `","x":1}`}, "field"},
		{"two bodies", private, []string{`,"definition_type":"statement","definition":{"statement":"` + allowed + `"}`, `,"definition_type":"statement","definition":{"statement":"other"}`}, "two-definitions"},
		{"marked itself", private, []string{`,"definition_type":"statement","definition":{"statement":"` + allowed + `"},"object_marking_refs":["` + string(green) + `"]`}, "marked"},
		{"unknown definition_type", private, []string{`,"definition_type":"x-corp-level","definition":{"level":"public"}`}, "definition-type"},
		{"definition_type in other case", private, []string{`,"definition_type":"Statement","definition":{"statement":"` + allowed + `"}`}, "definition-type"},
		{"unknown extension", private, []string{`,"extensions":{"extension-definition--6349c792-27bd-5e30-b33e-b7ee3c677cfc":{"extension_type":"property-extension","level":0}}`}, "extension"},
		{"two extensions", private, []string{`,"extensions":{"` + string(noroshi.ExerciseExtension) + `":{"extension_type":"property-extension","exercise_id":"ex-1"},"` + string(stix.TLP20Extension) + `":{"extension_type":"property-extension","tlp_2_0":"clear"}}`}, "extension"},
		{"exercise", private, []string{`,"extensions":{"` + string(noroshi.ExerciseExtension) + `":{"extension_type":"property-extension","exercise_id":"EX-2026-1"}}`}, "EXERCISE:ex-2026-1"},
		{"exercise with an impossible id", private, []string{`,"extensions":{"` + string(noroshi.ExerciseExtension) + `":{"extension_type":"property-extension","exercise_id":"a;TLP:CLEAR"}}`}, "exercise-id"},
		{"exercise and statement", private, []string{`,"definition_type":"statement","definition":{"statement":"any"},"extensions":{"` + string(noroshi.ExerciseExtension) + `":{"extension_type":"property-extension","exercise_id":"ex-1"}}`}, "EXERCISE:ex-1"},
		{"exercise and statement allowed", private, []string{`,"definition_type":"statement","definition":{"statement":"` + allowed + `"},"extensions":{"` + string(noroshi.ExerciseExtension) + `":{"extension_type":"property-extension","exercise_id":"ex-1"}}`}, "EXERCISE:ex-1"},
		{"nothing", private, []string{``}, "definition-type"},
	} {
		t.Run(x.name, func(t *testing.T) {
			var bodies []*stix.Object
			for _, b := range x.bodies {
				bodies = append(bodies, definition(t, x.id, b))
			}
			l := noroshi.MarkingLabel(x.id, bodies, []string{allowed})
			got := l.String()
			if len(l.Unknown) == 1 {
				got, _, _ = strings.Cut(l.Unknown[0], " ")
			}
			if got != x.want {
				t.Errorf("got %s, want %s", l, x.want)
			}
		})
	}
}

// TestNearMissMarkings is L3: whatever only looks like a marking never means
// more than "not understood".
func TestNearMissMarkings(t *testing.T) {
	variants := 0
	try := func(name string, id stix.ID, body string) {
		t.Helper()
		variants++
		o, err := stix.Parse([]byte(`{"type":"marking-definition","spec_version":"2.1","id":"` + string(id) + `","created":"2026-11-01T00:00:00.000Z"` + body + `}`))
		if err != nil {
			return // refused at the door
		}
		if l := noroshi.MarkingLabel(id, []*stix.Object{o}, nil); len(l.Unknown) == 0 {
			t.Errorf("%s: understood as %s", name, l)
		}
	}
	for level := noroshi.Clear; level <= noroshi.Red; level++ {
		id := level.MarkingID()
		word := strings.ToLower(strings.TrimPrefix(level.String(), "TLP:"))
		spelled := []string{
			strings.ToUpper(word), strings.ToTitle(word[:1]) + word[1:], " " + word, word + " ", "TLP:" + word, word + "\\u200b",
			"\\ufeff" + word, fullWidth(word), word + "\\u0000", strings.Replace(word, "e", "\\u0435", 1), strings.Replace(word, "a", "\\u0430", 1) + "x", "", "null",
		}
		for _, s := range spelled {
			if s != word {
				try(level.String()+" as "+s, id, tlp20(`"`+s+`"`))
			}
		}
		for _, raw := range []string{`null`, `0`, `["` + word + `"]`, `{"v":"` + word + `"}`, `true`} {
			try(level.String()+" as "+raw, id, tlp20(raw))
		}
		try("duplicate", id, tlp20(`"`+word+`","tlp_2_0":"clear"`))
		try("case clash", id, tlp20(`"`+word+`","TLP_2_0":"clear"`))
		try("extra field", id, tlp20(`"`+word+`","x":1`))
		for i := len("marking-definition--"); i < len(id); i++ {
			if id[i] == '-' {
				continue
			}
			near := []byte(id)
			near[i] = "0123456789abcdef0"[strings.IndexByte("0123456789abcdef", id[i])+1]
			try(fmt.Sprintf("near id %s", near), stix.ID(near), tlp20(`"`+word+`"`))
		}
		try("upper-case id", stix.ID(strings.ToUpper(string(id))), tlp20(`"`+word+`"`))
	}
	if variants < 250 {
		t.Fatalf("only %d variants were tried", variants)
	}
}

func fullWidth(s string) string {
	return strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f {
			return r + 0xfee0
		}
		return r
	}, s)
}

func TestLabelOf(t *testing.T) {
	object := func(markings string) (*stix.Object, error) {
		return stix.Parse([]byte(`{"type":"identity","spec_version":"2.1","id":"identity--d57b5236-557d-55b7-833c-5085983e62d4","created":"2026-11-01T00:00:00.000Z","modified":"2026-11-01T00:00:00.000Z","name":"x"` + markings + `}`))
	}
	none := func(stix.ID) []*stix.Object { return nil }
	for _, x := range []struct {
		name, markings string
		assigned       []stix.ID
		want           string
	}{
		{"unmarked", "", nil, "UNMARKED"},
		{"assigned where there is none", "", []stix.ID{noroshi.Clear.MarkingID()}, "TLP:CLEAR"},
		{"assignment only narrows", `,"object_marking_refs":["` + string(noroshi.Red.MarkingID()) + `"]`, []stix.ID{noroshi.Clear.MarkingID()}, "TLP:RED"},
		{"assigned stricter", `,"object_marking_refs":["` + string(noroshi.Clear.MarkingID()) + `"]`, []stix.ID{noroshi.Amber.MarkingID()}, "TLP:AMBER"},
		{"null list never counts as unmarked", `,"object_marking_refs":null`, []stix.ID{noroshi.Clear.MarkingID()}, "?field"},
		{"empty list never counts as unmarked", `,"object_marking_refs":[]`, []stix.ID{noroshi.Clear.MarkingID()}, "?field"},
		{"other case of the member", `,"Object_Marking_Refs":["` + string(noroshi.Red.MarkingID()) + `"]`, []stix.ID{noroshi.Clear.MarkingID()}, "?field"},
		{"granular, which marks a portion", `,"granular_markings":[{"selectors":["name"],"marking_ref":"` + string(noroshi.Red.MarkingID()) + `"}]`, []stix.ID{noroshi.Clear.MarkingID()}, "TLP:CLEAR"},
		{"granular, which marks nothing", `,"granular_markings":[{"selectors":["nam"],"marking_ref":"` + string(noroshi.Red.MarkingID()) + `"}]`, []stix.ID{noroshi.Clear.MarkingID()}, "?granular"},
	} {
		t.Run(x.name, func(t *testing.T) {
			o, err := object(x.markings)
			if err != nil {
				return // refused at the door, which is as good
			}
			got := noroshi.LabelOf(o, x.assigned, none, nil)
			if !strings.Contains(got.String(), x.want) {
				t.Errorf("got %s, want %s", got, x.want)
			}
		})
	}
}
