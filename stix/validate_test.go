package stix_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/stix"
)

// oracle holds the OASIS JSON schemas of STIX 2.1 by type.
type oracle struct {
	byType                  map[string]*jsonschema.Schema
	object, cyberObservable *jsonschema.Schema
}

func newOracle(t testing.TB) *oracle {
	t.Helper()
	c := jsonschema.NewCompiler()
	ids := map[string]string{}
	err := filepath.WalkDir("../testdata/schemas/schemas", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			return err
		}
		id := doc.(map[string]any)["$id"].(string)
		ids[strings.TrimSuffix(filepath.Base(path), ".json")] = id
		return c.AddResource(id, doc)
	})
	if err != nil {
		t.Fatal(err)
	}
	compile := func(name string) *jsonschema.Schema {
		s, err := c.Compile(ids[name])
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	o := &oracle{byType: map[string]*jsonschema.Schema{}, object: compile("core"), cyberObservable: compile("cyber-observable-core")}
	for name, id := range ids {
		if strings.Contains(id, "/sdos/") || strings.Contains(id, "/sros/") || strings.Contains(id, "/observables/") ||
			name == "language-content" || name == "extension-definition" || name == "marking-definition" {
			o.byType[name] = compile(name)
		}
	}
	return o
}

// judge asks the schema of the object's type.
func (o *oracle) judge(tree map[string]any) error {
	typ, _ := tree["type"].(string)
	s := o.byType[typ]
	if s == nil {
		s = o.cyberObservable
		if tree["created"] != nil || tree["modified"] != nil {
			s = o.object
		}
	}
	return s.Validate(tree)
}

func decode(t testing.TB, raw []byte) map[string]any {
	t.Helper()
	tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return tree.(map[string]any)
}

// schemaOnly are the codes of what a JSON schema cannot see.
var schemaOnly = []string{stix.ProblemCalendar, stix.ProblemOrder}

// exceptions are the places where the schemas part from the specification.
// Each tells an object in which they may answer otherwise than Validate.
var exceptions = []struct {
	name  string
	holds func(tree map[string]any, raw string) bool
}{
	{"the schema wants a marking_ref in every granular marking; §7.2.3 allows a lang alone",
		func(tree map[string]any, raw string) bool {
			return anyGranular(tree, func(g map[string]any) bool { return g["marking_ref"] == nil && g["lang"] != nil })
		}},
	{"the schema's selectors have no capitals; keys of dictionaries do (§2.4)",
		func(tree map[string]any, raw string) bool {
			return anyGranular(tree, func(g map[string]any) bool { s := fmt.Sprint(g["selectors"]); return s != strings.ToLower(s) })
		}},
	{"the schema's expression for IPv6 has d where it means any digit, s for space and . for a point",
		func(tree map[string]any, raw string) bool {
			return strings.Contains(raw, `"ipv6-addr"`)
		}},
	{"the schema asks for a process property created, which §6.13 calls created_time",
		func(tree map[string]any, raw string) bool {
			return strings.Contains(raw, `"process"`) && strings.Contains(raw, `"created_time"`)
		}},
	{"the schema asks for a registry key property modified, which §6.17 calls modified_time",
		func(tree map[string]any, raw string) bool {
			return strings.Contains(raw, `"windows-registry-key"`) && strings.Contains(raw, `"modified_time"`)
		}},
}

func anyGranular(tree map[string]any, f func(map[string]any) bool) bool {
	list, _ := tree["granular_markings"].([]any)
	return slices.ContainsFunc(list, func(e any) bool {
		g, ok := e.(map[string]any)
		return ok && f(g)
	})
}

func (o *oracle) excepted(tree map[string]any, raw string) string {
	for _, e := range exceptions {
		if e.holds(tree, raw) {
			return e.name
		}
	}
	return ""
}

// compare reports a disagreement about an object.
func (o *oracle) compare(obj *stix.Object, tree map[string]any) string {
	problems := slices.DeleteFunc(stix.Validate(obj), func(p stix.Problem) bool { return slices.Contains(schemaOnly, p.Code) })
	err := o.judge(tree)
	switch {
	case err == nil && len(problems) > 0:
		return fmt.Sprintf("the schema takes it, Validate says %v", problems)
	case err != nil && len(problems) == 0:
		return fmt.Sprintf("Validate takes it, the schema says %v", err)
	}
	return ""
}

// ownObjects has at least one full object of each type of STIX 2.1.
func ownObjects(t testing.TB) []*stix.Object {
	t.Helper()
	var all []*stix.Object
	for line := range bytes.Lines(readFile(t, "testdata/objects.jsonl")) {
		all = append(all, mustParse(t, string(line)))
	}
	return all
}

func TestValidateCorpusAgainstSchemas(t *testing.T) {
	o := newOracle(t)
	types := map[string]int{}
	for _, obj := range append(corpus(t), ownObjects(t)...) {
		types[obj.Type]++
		if d := o.compare(obj, decode(t, obj.Bytes())); d != "" {
			t.Errorf("%s: %s", obj.ID, d)
		}
		for _, p := range stix.Validate(obj) {
			if p.Code == stix.ProblemCalendar || p.Code == stix.ProblemOrder {
				t.Errorf("%s: %+v", obj.ID, p)
			}
		}
	}
	for typ := range o.byType {
		if types[typ] == 0 {
			t.Errorf("no object of type %s", typ)
		}
	}
}

// TestValidateMutationsAgainstSchemas changes objects at random and asks both.
func TestValidateMutationsAgainstSchemas(t *testing.T) {
	o := newOracle(t)
	seeds := append(ownObjects(t), sample(t, 60)...)
	var trees []map[string]any
	for _, s := range seeds {
		trees = append(trees, decode(t, s.Bytes()))
	}
	rng := rand.New(rand.NewPCG(2, 1))
	n := tier.N(2_000, 100_000)
	good, bad, excepted, failed := 0, 0, 0, 0
	for i := range n {
		m := mutator{rng: rng, trees: trees}
		tree := m.mutate(trees[rng.IntN(len(trees))])
		raw, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		obj, err := stix.Parse(raw)
		if err != nil {
			continue
		}
		d := o.compare(obj, tree)
		switch {
		case d == "" && o.judge(tree) == nil:
			good++
		case d == "":
			bad++
		case o.excepted(tree, string(raw)) != "":
			excepted++
		default:
			if failed++; failed < 20 {
				t.Errorf("mutation %d: %s\n%s", i, d, raw)
			}
		}
	}
	t.Logf("%d mutations: %d good, %d bad, %d under an exception, the rest no objects", n, good, bad, excepted)
	if good < n/10 || bad < n/4 || excepted > n/20 {
		t.Errorf("the mutations are one-sided: %d good, %d bad, %d excepted of %d", good, bad, excepted, n)
	}
}

// mutator changes a JSON tree here and there.
type mutator struct {
	rng   *rand.Rand
	trees []map[string]any
}

func (m *mutator) mutate(tree map[string]any) map[string]any {
	clone := m.clone(tree).(map[string]any)
	for range 1 + m.rng.IntN(3) {
		m.change(clone, 0)
	}
	return clone
}

func (m *mutator) clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		c := make(map[string]any, len(v))
		for k, e := range v {
			c[k] = m.clone(e)
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i, e := range v {
			c[i] = m.clone(e)
		}
		return c
	}
	return v
}

// change alters one place at or below an object.
func (m *mutator) change(o map[string]any, depth int) {
	keys := slices.Sorted(maps.Keys(o))
	if len(keys) == 0 {
		o[m.name()] = m.value()
		return
	}
	key := keys[m.rng.IntN(len(keys))]
	if m.rng.IntN(3) > 0 && m.descend(o[key], depth) {
		return
	}
	if depth == 0 && (key == "type" || key == "id") && m.rng.IntN(4) > 0 {
		return
	}
	switch m.rng.IntN(7) {
	case 0:
		delete(o, key)
	case 1:
		o[m.name()] = m.value()
	case 2:
		o[key] = m.value()
	case 3, 4:
		o[key] = m.nudge(o[key])
	case 5:
		o[m.name()] = o[key]
	case 6:
		other := m.trees[m.rng.IntN(len(m.trees))]
		names := slices.Sorted(maps.Keys(other))
		name := names[m.rng.IntN(len(names))]
		if name != "type" && name != "id" {
			o[name] = m.clone(other[name])
		}
	}
}

// descend changes something inside v, if it has an inside.
func (m *mutator) descend(v any, depth int) bool {
	switch v := v.(type) {
	case map[string]any:
		m.change(v, depth+1)
		return true
	case []any:
		if len(v) == 0 {
			return false
		}
		i := m.rng.IntN(len(v))
		if !m.descend(v[i], depth) {
			v[i] = m.nudge(v[i])
		}
		return true
	}
	return false
}

// nudge changes a value a little.
func (m *mutator) nudge(v any) any {
	switch v := v.(type) {
	case string:
		return m.nudgeText(v)
	case []any:
		switch m.rng.IntN(3) {
		case 0:
			return []any{}
		case 1:
			return append(v[:len(v):len(v)], m.value())
		}
		return map[string]any{"key": v}
	case json.Number:
		if strings.Trim(string(v), "0123456789") != "" {
			return json.Number("0")
		}
		return json.Number([]string{string(v) + ".0", string(v) + ".5", "-" + string(v), string(v) + "e3", string(v) + "e0", "7" + string(v)}[m.rng.IntN(6)])
	case map[string]any:
		return []any{v}
	case bool:
		return !v
	}
	return m.value()
}

func (m *mutator) nudgeText(s string) string {
	pieces := []string{"0", "1", "9", "-", "--", "_", ".", "a", "f", "g", "Z", "A", " ", "/", "/24", "/129", ":", "::", "=", "60", "é", "[0]", "d", "s"}
	piece := pieces[m.rng.IntN(len(pieces))]
	if s == "" {
		return piece
	}
	i := m.rng.IntN(len(s))
	switch m.rng.IntN(5) {
	case 0:
		return s[:i] + s[i+1:]
	case 1:
		return s[:i] + piece + s[i:]
	case 2:
		return s[:i] + piece + s[i+1:]
	case 3:
		return s + piece
	}
	return strings.ToUpper(s)
}

func (m *mutator) value() any {
	values := []any{
		"", "a", "2.1", "2.0", true, false, nil, []any{}, map[string]any{}, json.Number("0"), json.Number("-1"), json.Number("1.5"),
		json.Number("1.0"), json.Number("100"), json.Number("100.0000001"), json.Number("1e2"), json.Number("999999999999999999999999"),
		json.Number("-90.00000000000000000001"), json.Number("65536"),
		[]any{"a"}, []any{nil}, []any{"a", "b"}, []any{json.Number("1")}, []any{map[string]any{}}, map[string]any{"abc": "d"}, map[string]any{"a b": "d"},
		map[string]any{"abc": nil}, map[string]any{"abc": []any{}}, map[string]any{"statement": "s"}, map[string]any{"tlp": "red"},
		"2026-01-01T00:00:00Z", "2026-02-31T00:00:00.000Z", "2026-01-01T00:00:60.123Z", "2026-13-01T00:00:00.000Z", "2026-01-01T00:00:00.000+09:00",
		"indicator--26ffb872-1dd9-446e-b6f5-d58527e5b5d2", "software--26ffb872-1dd9-746e-b6f5-d58527e5b5d2", "file--26ffb872-1dd9-446e-c6f5-d58527e5b5d2",
		"relationship--26ffb872-1dd9-446e-b6f5-d58527e5b5d2", "marking-definition--26ffb872-1dd9-546e-b6f5-d58527e5b5d2", "file--x", "note-book--26ffb872-1dd9-446e-b6f5-d58527e5b5d2",
		"00", "0", "AA==", "A===", "AAA=", "CVE-2026-0001", "CVE-2026-00001", "CAPEC-1", "cve", "capec", "tlp", "statement", "xtlp", "statements",
		"198.51.100.256", "198.51.100.01", "::1", "::ffff:192.0.2.1", "fe80::1%eth0", "HKLM\\x", "my HKCU", "text/plain", "text/", "other/plain", "en-US", "e",
		[]any{"toplevel-property-extension"}, []any{"property-extension"}, "property-extension",
	}
	return m.clone(values[m.rng.IntN(len(values))])
}

func (m *mutator) name() string {
	names := []string{
		"x_a", "ab", "id", "grid", "1ab", "Abc", "abC", "a-b", "abc-def", "é", "", "x_y_hex", "x_y_bin", "_hex", "a_bin", "severity", "action", "username", "phone_numbers",
		"name", "url", "hashes", "payload_bin", "decryption_key", "encryption_algorithm", "body", "body_multipart", "is_multipart", "latitude", "longitude", "precision", "region",
		"objects", "object_refs", "is_family", "extensions", "extension_properties", "extension_types", "definition", "definition_type", "created", "modified", "created_time",
		"MD5", "SHA-256", "SHA-999", "X", "any-ext", "Any-ext", "any--ext", "ntfs-ext", "extension-definition--9c59fd79-4215-4ba2-920d-3e4f320e1e62", "extension-definition--9c59fd79",
		"lang", "marking_ref", "selectors", "extension_type", "source_name", "external_id", "description", "end", "is_active", "lpReserved", "lpTitle", "cbReserved2", "xdwXx", "SO_A", "so_a", "Make", "make",
		"Date", "date", "subject", "x_subject", "key", "values", "src_ref", "pid", "granular_markings", "external_references", strings.Repeat("a", 251), strings.Repeat("a", 250),
	}
	return names[m.rng.IntN(len(names))]
}

func BenchmarkValidate(b *testing.B) {
	objects := sample(b, 1)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		stix.Validate(objects[i%len(objects)])
	}
}
