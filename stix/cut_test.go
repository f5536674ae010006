package stix_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/noroshi-cti/noroshi/stix"
)

func TestResolve(t *testing.T) {
	o := mustParse(t, domain(`"labels":["a","b"],"hashes":{"MD5":"x"},"x_d":{"l":[[0,1],{"k":null}]}`))
	good := []string{"type", "labels", "labels.[1]", "hashes.MD5", "x_d.l.[0].[1]", "x_d.l.[1].k"}
	for _, s := range good {
		if !stix.Resolve(o, s) {
			t.Errorf("%q names nothing", s)
		}
	}
	bad := []string{"", "Type", "labels.[2]", "labels.1", "labels.[01]", "labels.[-1]", "labels.[]", "labels.[99999999999999999999]",
		"hashes.md5", "hashes.", ".hashes", "hashes.[0]", "value.a", "x_d.l.[1].k.z", "labels.[1"}
	for _, s := range bad {
		if stix.Resolve(o, s) {
			t.Errorf("%q names something", s)
		}
	}
}

func TestCut(t *testing.T) {
	marks := func(entries ...string) string { return `"granular_markings":[` + strings.Join(entries, ",") + `]` }
	mark := func(selectors string) string {
		return `{"marking_ref":"` + amberID + `","selectors":[` + selectors + `]}`
	}
	tests := []struct {
		name, object, want string
		cut                []string
	}{
		{"nothing", domain(`"x_a":1`), domain(`"x_a":1`), nil},
		{"a property", domain(`"x_a":1,"x_b":2`), domain(`"x_b":2`), []string{"x_a"}},
		{"the last property", domain(`"x_a":1,"x_b":2`), domain(`"x_a":1`), []string{"x_b"}},
		{"the same twice", domain(`"x_a":1,"x_b":2`), domain(`"x_a":1`), []string{"x_b", "x_b"}},
		{"inside and whole", domain(`"x_a":{"b":[1]},"x_b":2`), domain(`"x_b":2`), []string{"x_a.b.[0]", "x_a"}},
		{"elements", domain(`"x_l":[0,1,2,3]`), domain(`"x_l":[1,3]`), []string{"x_l.[0]", "x_l.[2]"}},
		{"all elements", domain(`"x_l":[0,1],"x_b":2`), domain(`"x_b":2`), []string{"x_l.[0]", "x_l.[1]"}},
		{"empty parents go", domain(`"x_a":{"b":{"c":[[1]]}},"x_b":2`), domain(`"x_b":2`), []string{"x_a.b.c.[0].[0]"}},
		{"empty ones that were so stay", domain(`"x_a":{"b":[],"c":1}`), domain(`"x_a":{"b":[]}`), []string{"x_a.c"}},
		{"bytes stay", "\n{\n  \"type\": \"domain-name\" ,\n  \"x_a\": 1.50 ,\n  \"id\":\"" + domainID + "\",\n  \"x_\\u0062\": [ 1e0 , 2 , \"\\u0041\" ]\n} ",
			"\n{\n  \"type\": \"domain-name\" ,\n  \"id\":\"" + domainID + "\",\n  \"x_\\u0062\": [ 1e0 , \"\\u0041\" ]\n} ", []string{"x_a", "x_b.[1]"}},
		{"its marking goes", domain(`"x_a":1,` + marks(mark(`"x_a"`))), domain(""), []string{"x_a"}},
		{"its selector goes", domain(`"x_a":1,` + marks(mark(`"x_a","value"`), mark(`"x_a"`))), domain(marks(mark(`"value"`))), []string{"x_a"}},
		{"selectors inside go", domain(`"x_a":{"b":[1]},` + marks(mark(`"x_a.b.[0]","value"`), mark(`"x_a.b"`), mark(`"x_a"`))),
			domain(marks(mark(`"value"`))), []string{"x_a"}},
		{"selectors above stay", domain(`"x_a":{"b":1,"c":2},` + marks(mark(`"x_a"`))), domain(`"x_a":{"c":2},` + marks(mark(`"x_a"`))), []string{"x_a.b"}},
		{"selectors of the emptied go", domain(`"x_a":{"b":1},` + marks(mark(`"x_a"`), mark(`"value"`))), domain(marks(mark(`"value"`))), []string{"x_a.b"}},
		{"positions move up", domain(`"x_l":[0,1,2,{"k":[5,6]}],` + marks(mark(`"x_l.[0]","x_l.[1]","x_l.[3].k.[1]","x_l.[3].k.[0]"`))),
			domain(`"x_l":[1,{"k":[6]}],` + marks(mark(`"x_l.[0]","x_l.[1].k.[0]"`))), []string{"x_l.[0]", "x_l.[2]", "x_l.[3].k.[0]"}},
		{"other lists do not move", domain(`"x_l":[0,1],"x_m":[0,1],` + marks(mark(`"x_m.[1]"`))),
			domain(`"x_l":[1],"x_m":[0,1],` + marks(mark(`"x_m.[1]"`))), []string{"x_l.[0]"}},
		{"selectors that lead to nothing inside go", domain(`"x_a":{"b":[1]},` + marks(mark(`"x_a.b.[0][","x_a.c","value"`))),
			domain(marks(mark(`"value"`))), []string{"x_a"}},
		{"selectors past the end move up", domain(`"x_l":[0,1],` + marks(mark(`"x_l.[5].k","x_l.[01]"`))),
			domain(`"x_l":[1],` + marks(mark(`"x_l.[4].k","x_l.[01]"`))), []string{"x_l.[0]"}},
		{"lang stays with its selector", domain(`"x_l":[0,1],"granular_markings":[{"lang":"ja","selectors":["x_l.[1]"]}]`),
			domain(`"x_l":[1],"granular_markings":[{"lang":"ja","selectors":["x_l.[0]"]}]`), []string{"x_l.[0]"}},
		{"the markings themselves", domain(marks(mark(`"value"`))), domain(""), []string{"granular_markings"}},
		{"one of the markings", domain(marks(mark(`"value"`), mark(`"id"`))), domain(marks(mark(`"id"`))), []string{"granular_markings.[0]"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := mustParse(t, test.object)
			got, err := stix.Cut(o, test.cut)
			if err != nil {
				t.Fatal(err)
			}
			if string(got.Bytes()) != test.want {
				t.Errorf("\n%s, want\n%s", got.Bytes(), test.want)
			}
			if string(o.Bytes()) != test.object {
				t.Error("the object was changed")
			}
		})
	}
}

func TestCutRefuses(t *testing.T) {
	o := mustParse(t, domain(`"x_a":1,"created_by_ref":"`+identityID+`"`))
	for _, cut := range [][]string{{"absent"}, {"x_a", "x_a.b"}, {"type"}, {"id"}, {""}, {"x_a", "value.[0]"}} {
		if got, err := stix.Cut(o, cut); err == nil {
			t.Errorf("cut %q: %s", cut, got.Bytes())
		}
	}
}

// A reference under a name that holds a point is not mistaken for the same
// words as places.
func TestCutByRefPath(t *testing.T) {
	o := mustParse(t, domain(`"x_a":{"b_ref":"`+identityID+`"},"x_a.b_ref":"`+indicatorID+`"`))
	refs := o.Refs()
	if refs[0].Path != "x_a.b_ref" || stix.Resolve(o, refs[1].Path) {
		t.Errorf("paths %q and %q", refs[0].Path, refs[1].Path)
	}
	for _, o := range append(ownObjects(t), sample(t, 7)...) {
		for _, r := range o.Refs() {
			if !stix.Resolve(o, r.Path) {
				t.Errorf("%s: the path %s of a reference names nothing", o.ID, r.Path)
			}
		}
	}
}

// places lists every selector of a tree but those of the header.
func places(v any, prefix string) []string {
	var all []string
	add := func(part string, e any) {
		path := part
		if prefix != "" {
			path = prefix + "." + part
		}
		if path != "type" && path != "id" {
			all = append(all, path)
		}
		all = append(all, places(e, path)...)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			add(k, v[k])
		}
	case []any:
		for i, e := range v {
			add(fmt.Sprintf("[%d]", i), e)
		}
	}
	return all
}

// oddKeys reports whether a tree has keys that no selector can say.
func oddKeys(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if k == "" || strings.ContainsAny(k, `.["`) || oddKeys(e) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, oddKeys)
	}
	return false
}

// cutTree is Cut on a decoded tree, written another way: it marks, then
// removes, then renames by looking each selector's value up again.
func cutTree(v any, path string, gone map[string]bool, renamed map[string]string, newPath string) (any, bool) {
	if gone[path] {
		return nil, false
	}
	renamed[path] = newPath
	join := func(p, part string) string {
		if p == "" {
			return part
		}
		return p + "." + part
	}
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			if left, ok := cutTree(e, join(path, k), gone, renamed, join(newPath, k)); ok {
				out[k] = left
			}
		}
		if len(out) == 0 && len(v) > 0 {
			delete(renamed, path)
			return nil, false
		}
		return out, true
	case []any:
		out := []any{}
		for i, e := range v {
			left, ok := cutTree(e, join(path, fmt.Sprintf("[%d]", i)), gone, renamed, join(newPath, fmt.Sprintf("[%d]", len(out))))
			if ok {
				out = append(out, left)
			}
		}
		if len(out) == 0 && len(v) > 0 {
			delete(renamed, path)
			return nil, false
		}
		return out, true
	}
	return v, true
}

// wantCut is the tree that is left after a cut.
func wantCut(tree map[string]any, selectors []string) any {
	gone := map[string]bool{}
	for _, s := range selectors {
		gone[s] = true
	}
	renamed := map[string]string{}
	before := append(places(tree, ""), "type", "id")
	left, _ := cutTree(tree, "", gone, renamed, "")
	out, _ := left.(map[string]any)
	list, ok := out["granular_markings"].([]any)
	if !ok {
		return out
	}
	var kept []any
	for _, e := range list {
		g, ok := e.(map[string]any)
		if !ok {
			kept = append(kept, e)
			continue
		}
		old, ok := g["selectors"].([]any)
		if !ok {
			kept = append(kept, e)
			continue
		}
		var stay []any
		for _, s := range old {
			text, ok := s.(string)
			if !ok {
				stay = append(stay, s)
			} else if to, ok := renameBy(before, renamed, text); ok {
				stay = append(stay, to)
			}
		}
		if len(stay) > 0 {
			g["selectors"] = stay
			kept = append(kept, g)
		}
	}
	out["granular_markings"] = kept
	if len(kept) == 0 {
		delete(out, "granular_markings")
	}
	return out
}

// renameBy says what a selector is called after the cut, by the longest part of
// it that named a place before; false when that place is gone.
func renameBy(before []string, renamed map[string]string, selector string) (string, bool) {
	parts := strings.Split(selector, ".")
	for n := len(parts); n > 0; n-- {
		place := strings.Join(parts[:n], ".")
		if !slices.Contains(before, place) {
			continue
		}
		to, stays := renamed[place]
		if !stays {
			return "", false
		}
		rest := parts[n:]
		if len(rest) > 0 {
			rest[0] = shifted(before, renamed, place, rest[0])
		}
		return strings.Join(append([]string{to}, rest...), "."), true
	}
	return selector, true
}

// shifted moves a position past the end of a list up by as many as were cut
// from it.
func shifted(before []string, renamed map[string]string, list, part string) string {
	if !regexp.MustCompile(`^\[(0|[1-9]\d{0,17})\]$`).MatchString(part) {
		return part
	}
	cut := 0
	for i := 0; slices.Contains(before, fmt.Sprintf("%s.[%d]", list, i)); i++ {
		if _, stays := renamed[fmt.Sprintf("%s.[%d]", list, i)]; !stays {
			cut++
		}
	}
	n, err := strconv.Atoi(part[1 : len(part)-1])
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("[%d]", n-cut)
}

// checkCut cuts an object at random places and compares with cutTree.
func checkCut(t *testing.T, o *stix.Object, rng *rand.Rand) {
	t.Helper()
	tree := decode(t, o.Bytes())
	if oddKeys(tree) {
		return // cutTree writes places as words and would mix them up
	}
	all := slices.DeleteFunc(places(tree, ""), func(s string) bool { return strings.HasPrefix(s, "granular_markings") })
	if len(all) == 0 {
		return
	}
	var selectors []string
	for range 1 + rng.IntN(4) {
		selectors = append(selectors, all[rng.IntN(len(all))])
	}
	cut, err := stix.Cut(o, selectors)
	if err != nil {
		t.Fatalf("cut %q of %s: %v", selectors, o.Bytes(), err)
	}
	got, want := decode(t, cut.Bytes()), wantCut(tree, selectors)
	if !reflect.DeepEqual(any(got), want) {
		w, _ := json.Marshal(want)
		t.Fatalf("cut %q of\n%s is\n%s, want\n%s", selectors, o.Bytes(), cut.Bytes(), w)
	}
	for name, v := range cut.Root().Members() {
		touched := name == "granular_markings" || slices.ContainsFunc(selectors, func(s string) bool { return strings.HasPrefix(s, name+".") })
		if !touched && !bytes.Equal(v, o.Property(name)) {
			t.Fatalf("cut %q changed the bytes of %s", selectors, name)
		}
	}
}

func TestCutCorpus(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	for _, o := range append(ownObjects(t), sample(t, 9)...) {
		for range 4 {
			checkCut(t, o, rng)
		}
	}
}

// FuzzCut cuts whatever object comes at random places.
func FuzzCut(f *testing.F) {
	for i, o := range ownObjects(f) {
		f.Add(o.Bytes(), uint64(i))
	}
	f.Add([]byte(domain(`"x_l":[0,[1,{"k":2}]],"granular_markings":[{"selectors":["x_l.[1].[1].k","x_l.[0]"]},5,{"selectors":[1,"nothing"]}]`)), uint64(7))
	f.Add([]byte(domain(`"x_l":[0,[1,{"k":2}]],"granular_markings":[{"selectors":["x_l.[0][","x_l.[9].k","x_l.[1].[7]"]}]`)), uint64(7))
	f.Fuzz(func(t *testing.T, raw []byte, seed uint64) {
		o, err := stix.Parse(raw)
		if err != nil {
			return
		}
		if _, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw)); err != nil {
			return // a number that the test's decoder cannot take
		}
		checkCut(t, o, rand.New(rand.NewPCG(seed, 1)))
	})
}
