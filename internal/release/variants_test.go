package release_test

import (
	"encoding/json"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/stix"
)

// variants yields what only looks like a JSON value: every string, list,
// number, object and member name in it spelled, typed or repeated otherwise, one
// at a time, with what was changed. Members at the top that make the object one
// (type, id) stay as they are.
func variants(v any) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		n := 0
		for {
			w := &writer{target: n}
			w.value(v, "")
			if w.target >= 0 {
				return // fewer places than that
			}
			for _, change := range w.changes {
				if !yield(w.place+": "+change[:min(len(change), 60)], strings.Replace(w.b.String(), hole, change, 1)) {
					return
				}
			}
			n++
		}
	}
}

// hole stands where a change goes.
const hole = "\x00HOLE\x00"

// writer writes JSON with a hole at its target-th place.
type writer struct {
	b       strings.Builder
	target  int // places still to pass
	place   string
	changes []string
}

// here reports whether the place reached is the target.
func (w *writer) here(place string, changes ...string) bool {
	w.target--
	if w.target != -1 {
		return false
	}
	w.place, w.changes = place, changes
	w.b.WriteString(hole)
	return true
}

func (w *writer) value(v any, at string) {
	raw, _ := json.Marshal(v)
	own := string(raw)
	switch v := v.(type) {
	case map[string]any:
		if at != "" && w.here(at, "null", "[]", "{}", "true", `""`, "["+own+"]", strings.TrimSuffix(own, "}")+`,"x_new":1}`, strings.TrimSuffix(own, "}")+`,"":null}`) {
			return
		}
		w.members(v, at)
	case []any:
		changes := []string{"null", "[]", "{}", "[null]", "[1]", `[""]`, "[" + own + "]", `{"0":` + own + "}"}
		if len(v) > 0 {
			first, _ := json.Marshal(v[0])
			changes = append(changes, string(first), strings.TrimSuffix(own, "]")+","+string(first)+"]", strings.TrimSuffix(own, "]")+",null]", strings.TrimSuffix(own, "]")+`,"X Y"]`)
		}
		if w.here(at, changes...) {
			return
		}
		w.b.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				w.b.WriteByte(',')
			}
			w.value(e, at+"."+strconv.Itoa(i))
		}
		w.b.WriteByte(']')
	case string:
		if w.here(at, spellings(v)...) {
			return
		}
		w.b.WriteString(own)
	default:
		if w.here(at, "null", `"`+own+`"`, "["+own+"]", own+"00", own+"e1", "-"+own, "true", own+"000000000000000000001") {
			return
		}
		w.b.WriteString(own)
	}
}

func (w *writer) members(m map[string]any, at string) {
	w.b.WriteByte('{')
	for i, name := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			w.b.WriteByte(',')
		}
		fixed := at == "" && (name == "type" || name == "id" || name == "spec_version" || name == "created")
		var in writer
		in.target = -2 // no hole
		in.value(m[name], name)
		if !fixed {
			pair := func(s string) string { return quote(s) + ":" + in.b.String() }
			if w.here(at+"."+name, pair(strings.ToUpper(name)), pair(strings.ToUpper(name[:1])+name[1:]), pair(name+" "), pair(wide(name)), pair(name+"\u200b"),
				pair(name)+","+pair(name), pair(name)+","+quote(name)+":null", quote(name)+":null,"+pair(name), pair(name)+","+pair(strings.ToUpper(name)),
				quote(name)+`:"PUBREL",`+pair(strings.ToUpper(name)), pair(strings.ReplaceAll(name, "_", "-")+"_")) {
				continue
			}
		}
		w.b.WriteString(quote(name) + ":")
		if fixed {
			w.b.WriteString(in.b.String())
		} else {
			w.value(m[name], at+"."+name)
		}
	}
	w.b.WriteByte('}')
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// spellings are what a person might take for the same text.
func spellings(s string) []string {
	var out []string
	for _, x := range []string{
		strings.ToUpper(s), strings.ToLower(s), strings.ToUpper(s[:1]) + s[1:], s + " ", " " + s, s + "\n", s + "\u200b", "\ufeff" + s, "\u202e" + s, wide(s),
		strings.NewReplacer("A", "\u0391", "a", "\u0430").Replace(s), strings.NewReplacer("E", "\u0395", "e", "\u0435").Replace(s),
		strings.NewReplacer("O", "\u041e", "o", "\u043e").Replace(s), s + "\x00", "", s + "," + s, s + "/" + s, strings.ReplaceAll(s, ".", "\u2024"), s + "\u0301", "&amp;" + s,
	} {
		if x != s {
			out = append(out, quote(x))
		}
	}
	return append(out, "null", "0", "1", "true", "false", "["+quote(s)+"]", `{"v":`+quote(s)+"}")
}

func wide(s string) string {
	return strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f {
			return r + 0xfee0
		}
		return r
	}, s)
}

var uuid = regexp.MustCompile(`(?:marking|extension)-definition--[0-9a-f-]{36}`)

// nearIDs returns an object with one digit of its own id, or of its
// extension's, changed.
func nearIDs(raw string) (list []string) {
	for _, at := range uuid.FindAllStringIndex(raw, -1) {
		for i := at[1] - 36; i < at[1]; i++ {
			if n := strings.IndexByte("0123456789abcdef0", raw[i]); n >= 0 {
				list = append(list, raw[:i]+"0123456789abcdef0"[n+1:n+2]+raw[i+1:])
			}
		}
	}
	return list
}

// reach says how far an outcome lets a thing go: by itself, after a review,
// after two persons, not at all as it is.
func reach(j release.Judgement) int {
	switch {
	case j.Outcome == noroshi.Release:
		return 3
	case j.Key == noroshi.Review:
		return 2
	case j.Key == noroshi.TwoPersons:
		return 1
	}
	return 0
}

// originals are definitions of every kind of marking.
func originals() map[string]map[string]any {
	definition := func(id stix.ID, members edit) map[string]any {
		m := map[string]any{"type": "marking-definition", "spec_version": "2.1", "id": string(id), "created": "2026-11-01T00:00:00.000Z"}
		maps.Copy(m, members)
		return m
	}
	extension := func(id stix.ID, content edit) edit {
		return edit{"extensions": map[string]any{string(id): content}}
	}
	all := map[string]map[string]any{
		"statement":           definition(mark, edit{"definition_type": "statement", "definition": edit{"statement": "Copyright 2026, Exercise CERT. Reuse allowed with attribution."}}),
		"statement not known": definition(mark, edit{"definition_type": "statement", "definition": edit{"statement": "Do not share."}}),
		"exercise":            definition(mark, extension(noroshi.ExerciseExtension, edit{"extension_type": "property-extension", "exercise_id": "ex-2026-1"})),
		"iep":                 definition(mark, extension(noroshi.IEPExtension, iep(edit{"end_date": "2027-01-01T00:00:00.000Z"}))),
		"iep red":             definition(mark, extension(noroshi.IEPExtension, iep(edit{"tlp": "red"}))),
		"iep expired":         definition(mark, extension(noroshi.IEPExtension, iep(edit{"tlp": "white", "end_date": "2026-06-01T00:00:00.000Z"}))),
		"acs nf":              definition(mark, extension(noroshi.ACSExtension, acs(edit{".formal_determination": []string{"NF"}, "policy_reference": bothPermit}))),
		"acs rel": definition(mark, extension(noroshi.ACSExtension, acs(edit{".classification": "C", "derivative_classification": classified, ".permitted_nationalities": relJPN,
			".formal_determination": []string{"FOUO"}, ".caveat": []string{"FISA"}}))),
		"acs rules": definition(mark, extension(noroshi.ACSExtension, acs(edit{"responsible_entity_custodian": "USA.DHS", "policy_reference": bothPermit,
			"further_sharing":  []edit{share("permit", "FOREIGNGOV"), share("deny", "KOR.MND")},
			"access_privilege": []edit{access("deny", "TEARLINE", edit{"permitted_nationalities": []string{"ALL"}}), access("deny", "IDSRC", edit{"permitted_organizations": []string{"JPN.MOD"}, "entity": []string{"MIL"}})}}))),
		"acs public":    definition(mark, extension(noroshi.ACSExtension, acs(edit{".formal_determination": []string{"PUBREL"}, "public_release": released}))),
		"acs sensitive": definition(mark, extension(noroshi.ACSExtension, acs(edit{".sensitivity": []string{"LES"}, ".entity": []string{"MIL"}, ".permitted_organizations": []string{"JPN.MOD"}}))),
		"japanese":      definition(mark, extension(noroshi.JapaneseExtension, edit{"extension_type": "property-extension", "kubun": "秘", "originator": "USA.DOD", "releasable_to": []string{"JPN"}})),
		"japanese open": definition(mark, extension(noroshi.JapaneseExtension, edit{"extension_type": "property-extension", "kubun": "公開", "originator": "JPN.MOD"})),
	}
	for level := noroshi.Clear; level <= noroshi.Red; level++ {
		word := strings.ToLower(strings.TrimPrefix(level.String(), "TLP:"))
		all["tlp 2.0 "+word] = definition(level.MarkingID(), extension(stix.TLP20Extension, edit{"extension_type": "property-extension", "tlp_2_0": word}))
	}
	for word, id := range map[string]stix.ID{
		"white": "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9", "green": "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da",
		"amber": "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82", "red": "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed",
	} {
		all["tlp 1.0 "+word] = definition(id, edit{"name": "TLP:" + strings.ToUpper(word), "definition_type": "tlp", "definition": edit{"tlp": word}})
	}
	// As JSON reads them, so that one walk serves all.
	for name, m := range all {
		raw, _ := json.Marshal(m)
		d := json.NewDecoder(strings.NewReader(string(raw)))
		d.UseNumber()
		var v map[string]any
		if err := d.Decode(&v); err != nil {
			panic(err)
		}
		all[name] = v
	}
	return all
}

// TestVariantsNeverWiden is L3: whatever only looks like a marking lets nothing
// go further than the marking does, and frees no source and no cut.
func TestVariantsNeverWiden(t *testing.T) {
	w := readWorld(t)
	var cases []release.Case
	for _, realm := range []noroshi.Realm{noroshi.Real, realmOf(t, "exercise")} {
		for _, p := range partners {
			cases = append(cases, w.caseOf(t, "USA", p, realm))
		}
	}
	total := 0
	for name, def := range originals() {
		t.Run(name, func(t *testing.T) {
			id := stix.ID(def["id"].(string))
			meaning := func(raw string) (noroshi.Label, bool) {
				o, err := stix.Parse([]byte(raw))
				if err != nil {
					return noroshi.Label{}, false // refused at the door
				}
				l := noroshi.MarkingLabel(id, []*stix.Object{o}, w.World().Statements)
				if !l.Handled() { // to see what it adds
					l = l.Join(noroshi.Label{TLP: noroshi.Green})
				}
				return l, true
			}
			raw, _ := json.Marshal(def)
			original, ok := meaning(string(raw))
			if !ok || len(original.Unknown) > 0 && name != "statement not known" {
				t.Fatalf("the original: %s", original)
			}
			tried, kept := 0, 0
			for change, variant := range variants(def) {
				tried++
				l, ok := meaning(variant)
				if !ok {
					continue
				}
				if len(l.Unknown) == 0 {
					kept++
				}
				for _, c := range cases {
					for _, from := range []release.Origin{release.Self, release.Other} {
						was, is := c.Judge(original, from), c.Judge(l, from)
						if reach(is) > reach(was) || reach(is) > 0 && (was.SourceDenied && !is.SourceDenied || was.NoCuts && !is.NoCuts) {
							t.Errorf("%s: %s for %s, was %s: %s", change, is.Outcome, c.Partner.CallSign, was.Outcome, l)
						}
					}
				}
			}
			for _, near := range nearIDs(string(raw)) {
				tried++
				o, err := stix.Parse([]byte(near))
				if err != nil {
					continue
				}
				l := noroshi.MarkingLabel(o.ID, []*stix.Object{o}, w.World().Statements)
				if o.ID != mark && len(l.Unknown) == 0 && noroshi.TLPOf(id) != noroshi.NoTLP || o.ID == id && len(l.Unknown) == 0 {
					t.Errorf("understood as %s: %s", l, near)
				}
				if l := noroshi.MarkingLabel(o.ID, nil, w.World().Statements); o.ID != id && len(l.Unknown) == 0 {
					t.Errorf("understood without a definition as %s: %s", l, o.ID)
				}
			}
			if tried < 50 {
				t.Errorf("only %d variants", tried)
			}
			total += tried
			t.Logf("%d variants, %d of the same meaning", tried, kept)
		})
	}
	if total < 1000 {
		t.Errorf("only %d variants", total)
	}
}

// TestGranularVariants: what only looks like a granular marking holds the
// object, or marks what it marked.
func TestGranularVariants(t *testing.T) {
	def := map[string]any{
		"type": "indicator", "spec_version": "2.1", "id": "indicator--00000000-0000-4000-8000-000000000001", "created": "2026-11-01T00:00:00.000Z",
		"description": "d", "labels": []any{"a", "b"}, "granular_markings": []any{
			map[string]any{"marking_ref": string(noroshi.Red.MarkingID()), "selectors": []any{"description", "labels.[1]"}},
			map[string]any{"lang": "en", "selectors": []any{"labels"}},
		},
	}
	says := func(raw string) (string, bool) {
		o, err := stix.Parse([]byte(raw))
		if err != nil {
			return "", false
		}
		if l := noroshi.FormLabel(o); len(l.Unknown) > 0 {
			return "", false
		}
		var marked []string // repetition says nothing new
		for _, p := range noroshi.PortionsOf(o, definitions(nil), nil) {
			for _, sel := range p.Selectors {
				marked = append(marked, sel+" "+p.Label.String())
			}
		}
		slices.Sort(marked)
		return strings.Join(slices.Compact(marked), ", "), true
	}
	raw, _ := json.Marshal(def)
	want, ok := says(string(raw))
	if !ok || !strings.Contains(want, "TLP:RED") {
		t.Fatalf("the original: %q %v", want, ok)
	}
	tried, kept := 0, 0
	for change, variant := range variants(def) {
		tried++
		if !strings.Contains(change, "granular_markings") {
			continue
		}
		if got, ok := says(variant); ok && got != want {
			t.Errorf("%s: %s", change, got)
		} else if ok {
			kept++
		}
	}
	if tried < 150 || kept > 40 {
		t.Errorf("%d variants, %d kept", tried, kept)
	}
}
