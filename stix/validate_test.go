package stix_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/noroshi-cti/noroshi/internal/oracle"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/stix"
)

func newOracle(t testing.TB) *oracle.Oracle {
	t.Helper()
	o, err := oracle.New("..")
	if err != nil {
		t.Fatal(err)
	}
	return o
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
	holds func(tree map[string]any) bool
}{
	{"the schema wants a marking_ref in every granular marking; §7.2.3 allows a lang alone",
		func(tree map[string]any) bool {
			return anyGranular(tree, func(g map[string]any) bool { return g["marking_ref"] == nil && g["lang"] != nil })
		}},
	{"the schema's selectors have no capitals; keys of dictionaries do (§2.4)",
		func(tree map[string]any) bool {
			return anyGranular(tree, func(g map[string]any) bool { s := fmt.Sprint(g["selectors"]); return s != strings.ToLower(s) })
		}},
	{"the schema's expression for IPv6 has d where it means any digit, s for space and . for a point",
		func(tree map[string]any) bool {
			value, _ := tree["value"].(string)
			return tree["type"] == "ipv6-addr" && strings.ContainsAny(value, ".%s")
		}},
	{"the schema asks for a process property created, which §6.13 calls created_time",
		func(tree map[string]any) bool {
			return tree["type"] == "process" && tree["created_time"] != nil && !hasAny(tree, "extensions", "is_hidden", "pid", "name",
				"created", "cwd", "arguments", "command_line", "environment_variables", "opened_connection_refs", "creator_user_ref",
				"image_ref", "parent_ref", "child_refs")
		}},
	{"the schema asks for a registry key property modified, which §6.17 calls modified_time",
		func(tree map[string]any) bool {
			return tree["type"] == "windows-registry-key" && tree["modified_time"] != nil &&
				!hasAny(tree, "key", "values", "modified", "creator_user_ref", "number_of_subkeys")
		}},
}

func hasAny(tree map[string]any, names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { _, ok := tree[n]; return ok })
}

func anyGranular(tree map[string]any, f func(map[string]any) bool) bool {
	list, _ := tree["granular_markings"].([]any)
	return slices.ContainsFunc(list, func(e any) bool {
		g, ok := e.(map[string]any)
		return ok && f(g)
	})
}

func exceptionOf(tree map[string]any) string {
	for _, e := range exceptions {
		if e.holds(tree) {
			return e.name
		}
	}
	return ""
}

// compare reports a disagreement about an object.
func compare(o *oracle.Oracle, obj *stix.Object, tree map[string]any) string {
	problems := slices.DeleteFunc(stix.Validate(obj), func(p stix.Problem) bool { return slices.Contains(schemaOnly, p.Code) })
	err := o.Judge(tree)
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
		if d := compare(o, obj, decode(t, obj.Bytes())); d != "" {
			t.Errorf("%s: %s", obj.ID, d)
		}
		for _, p := range stix.Validate(obj) {
			if p.Code == stix.ProblemCalendar || p.Code == stix.ProblemOrder {
				t.Errorf("%s: %+v", obj.ID, p)
			}
		}
	}
	for _, typ := range o.Types() {
		if types[typ] == 0 {
			t.Errorf("no object of type %s", typ)
		}
	}
}

// TestValidateMutationsAgainstSchemas changes objects at random and asks both.
func TestValidateMutationsAgainstSchemas(t *testing.T) {
	o := newOracle(t)
	seeds := append(ownObjects(t), sample(t, 300)...)
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
		d := compare(o, obj, tree)
		switch {
		case d == "" && o.Judge(tree) == nil:
			good++
		case d == "":
			bad++
		case exceptionOf(tree) != "":
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

// TestValidateEdgesAgainstSchemas puts every edge value in every place it is
// for, and takes every place away once.
func TestValidateEdgesAgainstSchemas(t *testing.T) {
	o := newOracle(t)
	m := mutator{rng: rand.New(rand.NewPCG(4, 1))}
	compared := 0
	for _, own := range ownObjects(t) {
		tree := decode(t, own.Bytes())
		for i, s := range spots(tree, "", nil) {
			var changes []func(spot)
			for _, v := range edgeValues[s.key] {
				changes = append(changes, func(s spot) { s.set(m.clone(v)) })
			}
			if s.object != nil {
				changes = append(changes, func(s spot) { delete(s.object, s.key) })
			}
			for range tier.N(1, 40) {
				changes = append(changes, func(s spot) { s.set(m.value()) }, func(s spot) { s.set(m.nudge(s.get())) })
			}
			for _, change := range changes {
				clone := m.clone(tree).(map[string]any)
				change(spots(clone, "", nil)[i])
				raw, err := json.Marshal(clone)
				if err != nil {
					t.Fatal(err)
				}
				obj, err := stix.Parse(raw)
				if err != nil {
					continue
				}
				compared++
				if d := compare(o, obj, clone); d != "" && exceptionOf(clone) == "" {
					t.Errorf("%s: %s\n%s", s.key, d, raw)
				}
			}
		}
	}
	if compared < 3000 {
		t.Errorf("only %d objects compared", compared)
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
		m.change(clone)
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

// spot is a place where a tree can be changed: a member or an element.
type spot struct {
	object map[string]any
	key    string
	list   []any
	index  int
}

func (s spot) get() any {
	if s.object != nil {
		return s.object[s.key]
	}
	return s.list[s.index]
}

func (s spot) set(v any) {
	if s.object != nil {
		s.object[s.key] = v
		return
	}
	s.list[s.index] = v
}

// spots lists every place of a tree, so that a deep one is hit as often as
// another; key is the name of the member that v stands under.
func spots(v any, key string, all []spot) []spot {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			all = spots(v[k], k, append(all, spot{object: v, key: k}))
		}
	case []any:
		for i, e := range v {
			all = spots(e, key, append(all, spot{list: v, index: i, key: key}))
		}
	}
	return all
}

// change alters one place of a tree.
func (m *mutator) change(tree map[string]any) {
	all := spots(tree, "", nil)
	s := all[m.rng.IntN(len(all))]
	if len(all) == 0 || (s.key == "type" || s.key == "id") && m.rng.IntN(3) > 0 {
		return
	}
	if edges := edgeValues[s.key]; len(edges) > 0 && m.rng.IntN(2) == 0 {
		s.set(m.clone(edges[m.rng.IntN(len(edges))]))
		return
	}
	op := m.rng.IntN(7)
	if s.object == nil && op != 2 {
		op = 3
	}
	switch op {
	case 0:
		delete(s.object, s.key)
	case 1:
		s.object[m.name()] = m.value()
	case 2:
		s.set(m.value())
	case 3:
		s.set(m.nudge(s.get()))
	case 4:
		value := s.get()
		delete(s.object, s.key)
		s.object[m.nudgeText(s.key)] = value
	case 5:
		s.object[m.name()] = m.clone(s.get())
	case 6:
		other := m.trees[m.rng.IntN(len(m.trees))]
		names := slices.Sorted(maps.Keys(other))
		if name := names[m.rng.IntN(len(names))]; name != "type" && name != "id" {
			s.object[name] = m.clone(other[name])
		}
	}
}

// edgeValues are values at the edges of what a property may be.
var edgeValues = map[string][]any{
	"external_id":              {"CVE-2026-000", "CVE-2026-123", "CVE-2026-0000", "CVE-2026-00000", "CVE-2026-10000", "CVE-2026-1", "CVE-202-0001", "cve-2026-0001", "CAPEC-", "CAPEC-1", "CAPEC-1x", "XCAPEC-1"},
	"source_name":              {"cve", "capec", "CVE", "cvex", ""},
	"SSDEEP":                   {strings.Repeat("a", 128), strings.Repeat("a", 129), "", "a b"},
	"MD5":                      {strings.Repeat("A", 32), strings.Repeat("a", 31), strings.Repeat("g", 32)},
	"hashes":                   {map[string]any{"AB": "x"}, map[string]any{"ABC": "x"}, map[string]any{"TLSH": strings.Repeat("a", 70)}, map[string]any{"TLSH": strings.Repeat("a", 69)}, map[string]any{"x-SHA-256": "x"}, map[string]any{"MD5x": "x"}, map[string]any{"SHA3-256": strings.Repeat("0", 64), "SHA3-512": strings.Repeat("0", 128)}, map[string]any{"a b c": "x"}, map[string]any{strings.Repeat("a", 251): "x"}},
	"value":                    {"1.2.3.4/0", "1.2.3.4/32", "1.2.3.4/33", "1.2.3.4/01", "1.2.3", "01.2.3.4", "::", "::/0", "::/128", "::/129", "::/01", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::2::3", "12345::", "00:11:22:33:44:55", "00:11:22:33:44", "0A:11:22:33:44:55", "00-11-22-33-44-55"},
	"options":                  {map[string]any{"SO_": json.Number("1")}, map[string]any{"SO": json.Number("1")}, map[string]any{"SO_A": "x"}, map[string]any{"IPV6_A_B": json.Number("1")}, map[string]any{"XX_A": json.Number("1")}, map[string]any{"SO_A1": json.Number("1")}, map[string]any{"SO_A_": json.Number("1")}, map[string]any{"TCP_A": json.Number("1.5")}},
	"exif_tags":                {map[string]any{"Make": "x"}, map[string]any{"M": "x"}, map[string]any{"make": "x"}, map[string]any{"MAke-_1": json.Number("2.0")}, map[string]any{"Ma": json.Number("2.5")}, map[string]any{"Ma": true}, map[string]any{}},
	"startup_info":             {map[string]any{"lpTitle": "x"}, map[string]any{"xlpTitlex": "x"}, map[string]any{"xlpDesktop": "x"}, map[string]any{"hStdErrorx": "x"}, map[string]any{"xhStdError": "x"}, map[string]any{"cbReserved2": json.Number("0")}, map[string]any{"cbReserved2": json.Number("1")}, map[string]any{"cbx": json.Number("1")}, map[string]any{"xdwYSizex": json.Number("1")}, map[string]any{"lpReserved": nil}, map[string]any{"lpReserved2": ""}, map[string]any{"lpReserved2": "x"}, map[string]any{"cblpTitle": json.Number("1")}},
	"additional_header_fields": {map[string]any{"X": []any{"a"}}, map[string]any{"X": []any{"a", "b"}}, map[string]any{"X": []any{"a", json.Number("1")}}, map[string]any{"date": "x"}, map[string]any{"dates": "x", "my-from_ref-x": "y"}, map[string]any{"subject2": "x"}, map[string]any{"X": true}, map[string]any{"my_subject": "x", "X": "y"}, map[string]any{"X Y": "a"}},
	"request_header":           {map[string]any{"A": []any{"b"}}, map[string]any{"A": "b"}, map[string]any{"": []any{"b"}}, map[string]any{"A": []any{}}, map[string]any{"A": []any{json.Number("1")}}, map[string]any{"A B": []any{"b"}}},
	"ipfix":                    {map[string]any{"a": json.Number("1.5")}, map[string]any{"a": json.Number("10e-1")}, map[string]any{"a": "b"}, map[string]any{"a": true}},
	"definition_type":          {"statement", "statementx", "xstatement", "tlp", "tlpx", "xtlp", ""},
	"definition":               {map[string]any{"tlp": "white"}, map[string]any{"tlp": "green"}, map[string]any{"tlp": json.Number("1")}, map[string]any{"statement": "x"}, map[string]any{"statement": json.Number("1")}, map[string]any{}, "x"},
	"objects":                  {map[string]any{"0": map[string]any{"type": "my-file-x", "id": "my-file-x--30038539-3eb6-44bc-a59e-d0d3fe84695a"}}, map[string]any{"0": map[string]any{"type": "xurl", "id": "xurl--30038539-3eb6-44bc-a59e-d0d3fe84695a"}}, map[string]any{"0": map[string]any{"type": "urlx", "id": "urlx--30038539-3eb6-44bc-a59e-d0d3fe84695a"}}, map[string]any{"0": map[string]any{"type": "artifactx", "id": "artifactx--30038539-3eb6-44bc-a59e-d0d3fe84695a"}}, map[string]any{"0": map[string]any{"type": "url", "value": "x", "id": "file--30038539-3eb6-44bc-a59e-d0d3fe84695a"}}, map[string]any{"0": map[string]any{"type": "url", "value": "x"}}, map[string]any{"0": map[string]any{"type": "indicator", "id": "indicator--30038539-3eb6-44bc-a59e-d0d3fe84695a"}}, map[string]any{"0": map[string]any{"type": "abc-", "id": "abc--30038539-3eb6-44bc-a59e-d0d3fe84695a"}}, map[string]any{"0": map[string]any{"type": "ab", "id": "abc--30038539-3eb6-44bc-a59e-d0d3fe84695a"}}, map[string]any{"0": map[string]any{"type": strings.Repeat("a", 251), "id": "abc--30038539-3eb6-44bc-a59e-d0d3fe84695a"}}, map[string]any{"0": map[string]any{"type": "x-y", "id": "x-y--30038539-3eb6-44bc-a59e-d0d3fe84695a"}}, map[string]any{"0": json.Number("5")}},
	"object_refs":              {[]any{"url--anything"}, []any{"artifact--x"}, []any{"artifact--30038539-3eb6-44bc-a59e-d0d3fe84695a"}, []any{"toolbox--30038539-3eb6-44bc-a59e-d0d3fe84695a"}, []any{"xtool--30038539-3eb6-44bc-a59e-d0d3fe84695a"}, []any{"filex--y"}},
	"cpe":                      {"cpe:2.3:a:b:c:*:*:*:*:*:*:*:*", "xcpe:2.3:a:b:c:*:*:*:*:*:*:*:*x", "cpe:2.3:x:b:c:*:*:*:*:*:*:*:*", "cpe:2.3:a:b:c:*:*:*:en-US:*:*:*:*", "cpe:2.3:a:b:c:*:*:*:english:*:*:*:*", "cpe:2.3:a:b\\:c:?x?:*:*:*:*:*:*:*:*", "cpe:/a:b:c"},
	"languages":                {[]any{"en-US"}, []any{"eng"}, []any{"engl"}, []any{"en-us"}, []any{"EN"}, []any{"en-latn-US"}, []any{"zh-Hant"}, []any{"de-12345"}},
	"mime_type":                {"text/x", "text/", "text/ ", "xtext/x", "font/+", "image/é"},
	"path_enc":                 {"a", "ab", "a b", strings.Repeat("a", 250), strings.Repeat("a", 251)},
	"key":                      {"HKLM\\x", "xHKLM", "xHKCUx", "xhklmx", "hkey_x", "HKU"},
	"time_date_stamp":          {"2016-01-22T12:31:12.5Z", "2016-01-22T12:31:60Z", "2016-01-22T12:31:12Z"},
	"created":                  {"2026-01-01T00:00:00.00Z", "2026-01-01T00:00:00.0000Z", "2026-01-01T00:00:00Z"},
	"payload_bin":              {"AAAA", "AAA=", "AA==", "A===", "AAAA=", "=AAA", "AA=A", "", "AAA_"},
	"magic_number_hex":         {"", "0", "00", "0g", "0A"},
	"selectors":                {[]any{"ab"}, []any{"abc"}, []any{"id"}, []any{"abc."}, []any{"abc.[0]"}, []any{"abc.[]"}, []any{"abc.[x]"}, []any{"abc.a"}, []any{"abc.a b"}, []any{"[0].abc"}, []any{strings.Repeat("a", 249)}, []any{strings.Repeat("a", 250)}, []any{"abc." + strings.Repeat("a", 250)}, []any{"abc." + strings.Repeat("a", 251)}, []any{"a-_1.b"}},
	"extension_types":          {[]any{"new-sdo"}, []any{"toplevel-property-extension"}, []any{"new"}, "toplevel-property-extension"},
	"relationship_type":        {"a_b", "a-b", "A", "", "a b", "1"},
	"extensions":               {map[string]any{"abc-ext": map[string]any{"abc": "d"}}, map[string]any{"abc-ext": map[string]any{"a b": json.Number("1")}}, map[string]any{"-ext": map[string]any{"abc": "d"}}, map[string]any{"abc": map[string]any{"abc": "d"}}, map[string]any{"a--b-ext": map[string]any{"abc": "d"}}, map[string]any{"abc-ext": map[string]any{"abc": nil}}, map[string]any{"abc-ext": map[string]any{"abc é": "d"}}, map[string]any{"extension-definition--9c59fd79-4215-4ba2-920d-3e4f320e1e62": map[string]any{"abc é": "d", "extension_type": "new-sdo"}}, map[string]any{"extension-definition--9c59fd79-4215-7ba2-920d-3e4f320e1e62": map[string]any{"extension_type": "new-sdo"}}, map[string]any{"tcp-ext": map[string]any{"src_flags_hex": "0"}}},
	"latitude":                 {json.Number("90"), json.Number("90.0000000000000000001"), json.Number("-90"), json.Number("-9e1"), json.Number("-9.1e1"), json.Number("900e-1"), json.Number("0.0")},
	"confidence":               {json.Number("0"), json.Number("100"), json.Number("101"), json.Number("-0"), json.Number("-1"), json.Number("1e2"), json.Number("1000e-1"), json.Number("0.5")},
	"size":                     {json.Number("-0"), json.Number("-1"), json.Number("0.0"), json.Number("99999999999999999999")},
	"socket_descriptor":        {json.Number("-1"), json.Number("0")},
	"src_port":                 {json.Number("65535"), json.Number("65536"), json.Number("65535.0"), json.Number("65535.5")},
	"number_observed":          {json.Number("0"), json.Number("1"), json.Number("999999999"), json.Number("1000000000")},
	"count":                    {json.Number("0"), json.Number("-1"), json.Number("999999999"), json.Number("1e9")},
	"contents":                 {map[string]any{"a b": map[string]any{}}, map[string]any{"ja": map[string]any{}}, map[string]any{"": "x"}, map[string]any{"ja": nil}, map[string]any{}},
	"body_multipart":           {[]any{map[string]any{"body": "x"}}, []any{map[string]any{"body": "x", "body_raw_ref": "y"}}, []any{map[string]any{}}, []any{}, []any{"x"}, []any{map[string]any{"body": "x", "content_type": json.Number("1")}}},
	"document_info_dict":       {map[string]any{"a": json.Number("1")}, map[string]any{"a": "b"}, map[string]any{"": "b"}},
	"optional_header":          {map[string]any{"other": json.Number("1")}, map[string]any{"magic_hex": "00"}, map[string]any{"size_of_code": json.Number("-1")}, map[string]any{}, map[string]any{"image_base": json.Number("-1")}},
	"alternate_data_streams":   {[]any{}, []any{"x"}, []any{map[string]any{}}, []any{map[string]any{"name": "x", "size": json.Number("-1")}}},
	"values":                   {[]any{map[string]any{}}, []any{map[string]any{"data": json.Number("1")}}, []any{map[string]any{"data_type": "REG_X"}}, []any{"x"}},
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
