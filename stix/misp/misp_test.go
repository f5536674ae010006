package misp_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/stix/misp"
)

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func read(t testing.TB, b []byte) *misp.Event {
	t.Helper()
	e, err := misp.Read(b, misp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func write(t testing.TB, objects []*stix.Object, rest []byte, o misp.Options) []byte {
	t.Helper()
	b, _, err := misp.Write(objects, rest, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode(t testing.TB, b []byte) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return v
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// same compares two JSON texts by their canonical form (RFC 8785).
func same(t testing.TB, got, want []byte) {
	t.Helper()
	g, err := stix.Canonical(got)
	if err != nil {
		t.Fatal(err)
	}
	w, err := stix.Canonical(want)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(g, w) {
		t.Errorf("difference (-got +want):\n%s", cmp.Diff(decode(t, g), decode(t, w)))
	}
}

type fields = map[string]any

// attribute is an attribute as MISP writes it, with more to set.
func attribute(n int, typ, value string, toIDs bool, more fields) fields {
	a := fields{"id": "1", "event_id": "7", "uuid": uuid(n), "type": typ, "category": "Other", "value": value, "to_ids": toIDs,
		"timestamp": "1700000000", "distribution": "5", "comment": "", "deleted": false, "disable_correlation": false, "object_relation": nil}
	for name, v := range more {
		a[name] = v
	}
	return a
}

// uuid is the nth UUID of the tests.
func uuid(n int) string {
	const digits = "0123456789abcdef"
	return "00000000-0000-4000-8000-0000000000" + string([]byte{digits[n/16%16], digits[n%16]})
}

const eventUUID = "5d9b516c-e5f0-4e7c-a958-5d8c0a019371"

// event is an event around attributes, with more to set.
func event(t testing.TB, more fields, attributes ...fields) []byte {
	t.Helper()
	list := []any{}
	for _, a := range attributes {
		list = append(list, a)
	}
	e := fields{"id": "7", "uuid": eventUUID, "info": "test", "date": "2023-11-01", "published": true, "analysis": "1",
		"threat_level_id": "2", "timestamp": "1700000500", "publish_timestamp": "1700000600", "distribution": "3",
		"Orgc": fields{"id": "2", "name": "CERT", "uuid": "55f6ea5e-2c60-40e5-964f-47a8950d210f"}, "Attribute": list}
	for name, v := range more {
		e[name] = v
	}
	return encode(t, fields{"Event": e})
}

func tags(names ...string) []any {
	list := []any{}
	for _, n := range names {
		list = append(list, fields{"name": n, "colour": "#ffffff"})
	}
	return list
}

// find returns the object of an id, nil for none.
func find(objects []*stix.Object, id stix.ID) *stix.Object {
	for _, o := range objects {
		if o.ID == id {
			return o
		}
	}
	return nil
}

// TestRealFiles: what comes in goes out again without any difference.
func TestRealFiles(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]struct{ indicators, observed, notes, attributes int }{
		"misp-dukes-operation-ghost-event.json": {0, 87, 26, 101},
		"misp-telebots.json":                    {69, 9, 18, 95},
		"misp-turla-crutch-event.json":          {0, 16, 5, 20},
		"oceanlotus.misp.event.json":            {0, 104, 8, 111},
	} {
		t.Run(file, func(t *testing.T) {
			b := readFile(t, filepath.Join("testdata", file))
			e := read(t, b)
			if len(e.Attributes) != want.attributes || len(e.Faults) > 0 {
				t.Errorf("%d attributes and %d faults, want %d and none", len(e.Attributes), len(e.Faults), want.attributes)
			}
			r := e.STIX(misp.Options{})
			count := map[string]int{}
			for _, o := range r.Objects {
				count[o.Type]++
			}
			if count["indicator"] != want.indicators || count["observed-data"] != want.observed || count["note"] != want.notes {
				t.Errorf("got %v, want %+v", count, want)
			}
			same(t, write(t, r.Objects, r.Rest, misp.Options{}), b)
			again := read(t, b).STIX(misp.Options{})
			if !slices.EqualFunc(r.Objects, again.Objects, func(x, y *stix.Object) bool { return x.Hash() == y.Hash() }) || !bytes.Equal(r.Rest, again.Rest) {
				t.Error("the same event gave other bytes")
			}
			sound(t, r.Objects)
			bare(t, b, r.Objects)
		})
	}
}

// bare checks that without a rest every attribute's value, type, to_ids,
// timestamp and tags are there still.
func bare(t *testing.T, b []byte, objects []*stix.Object) {
	t.Helper()
	was, now := read(t, b), read(t, write(t, objects, nil, misp.Options{}))
	all := func(e *misp.Event) map[string]misp.Attribute {
		m := map[string]misp.Attribute{}
		for _, a := range e.Attributes {
			m[a.UUID] = a
		}
		return m
	}
	have := all(now)
	for id, a := range all(was) {
		got := have[id]
		want := strings.Replace(a.Value, `HKCU\`, `HKEY_CURRENT_USER\`, 1) // as STIX spells it
		if got.Value != want || got.Type != a.Type || got.ToIDs != a.ToIDs || got.At != a.At || !slices.Equal(got.Tags, a.Tags) ||
			got.Category != a.Category || got.Comment != a.Comment || got.Deleted != a.Deleted {
			t.Errorf("without a rest attribute %s is\n%+v, was\n%+v", id, got, a)
		}
	}
	if len(have) != len(was.Attributes) || now.Info != was.Info || now.At != was.At || now.UUID != was.UUID || now.Date != was.Date ||
		now.Published != was.Published || !slices.Equal(now.Tags, was.Tags) || now.Orgc.Name != was.Orgc.Name {
		t.Errorf("without a rest the event is\n%+v", now)
	}
}

// TestWrappers: an event is read whatever stands around it, and is written with
// the same around it.
func TestWrappers(t *testing.T) {
	t.Parallel()
	inner := string(encode(t, decode(t, event(t, nil, attribute(1, "domain", "a.example", true, nil)))["Event"]))
	for _, b := range []string{
		inner, `{"Event":` + inner + `}`, `{"response":[{"Event":` + inner + `}]}`, `[{"Event":` + inner + `}]`,
		`{"response":{"Event":` + inner + `}}`, `[` + inner + `]`,
	} {
		r := read(t, []byte(b)).STIX(misp.Options{})
		got := write(t, r.Objects, r.Rest, misp.Options{})
		if string(canonical(t, got)) != string(canonical(t, []byte(b))) {
			t.Errorf("got %s\nwant %s", got, b)
		}
	}
	many, err := misp.ReadAll([]byte(`{"response":[{"Event":`+inner+`},{"Event":`+inner+`}]}`), misp.Options{})
	if err != nil || len(many) != 2 {
		t.Errorf("got %d events, %v", len(many), err)
	}
	for _, b := range []string{``, `[]`, `{}`, `{"Event":{}}`, `{"Event":5}`, `{"response":[]}`, `{"type":"bundle","objects":[]}`, `"x"`,
		inner + inner, `{"Event":` + inner + `,"Event":{}}`, strings.Repeat("[", 100) + strings.Repeat("]", 100)} {
		if _, err := misp.Read([]byte(b), misp.Options{}); err == nil {
			t.Errorf("%.80s: no error", b)
		}
	}
}

func canonical(t testing.TB, b []byte) []byte {
	t.Helper()
	c, err := stix.Canonical(b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestFaults: what is wrong with one attribute is said with its place and loses
// no other, and comes back with the rest.
func TestFaults(t *testing.T) {
	t.Parallel()
	good := attribute(1, "domain", "a.example", true, nil)
	for code, bad := range map[string]any{
		"object":    "no attribute",
		"type":      attribute(2, "", "x", true, nil),
		"value":     attribute(2, "domain", "", true, nil),
		"value2":    attribute(2, "domain", "", true, fields{"value": []any{"x"}}),
		"flag":      attribute(2, "domain", "b.example", true, fields{"to_ids": "perhaps"}),
		"timestamp": attribute(2, "domain", "b.example", true, fields{"timestamp": "yesterday"}),
		"uuid":      attribute(1, "domain", "b.example", true, nil),
		"tags":      attribute(2, "domain", "b.example", true, fields{"Tag": tags(strings.Split(strings.Repeat("t,", 300), ",")...)}),
	} {
		t.Run(code, func(t *testing.T) {
			b := event(t, fields{"Attribute": []any{good, bad, attribute(3, "url", "https://b.example/", true, nil)}})
			e := read(t, b)
			code = strings.TrimSuffix(code, "2")
			if len(e.Attributes) != 2 || len(e.Faults) != 1 || e.Faults[0].Code != code || e.Faults[0].Place != "/Event/Attribute/1" {
				t.Fatalf("got %d attributes, faults %+v", len(e.Attributes), e.Faults)
			}
			if a, ok := bad.(fields); ok && e.Faults[0].UUID != a["uuid"] {
				t.Errorf("fault names %q", e.Faults[0].UUID)
			}
			r := e.STIX(misp.Options{})
			same(t, write(t, r.Objects, r.Rest, misp.Options{}), b)
		})
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	b := event(t, nil, attribute(1, "domain", "a.example", true, nil), attribute(2, "domain", "b.example", true, nil))
	for name, o := range map[string]misp.Options{"bytes": {MaxBytes: len(b) - 1}, "attributes": {MaxAttributes: 1}} {
		if _, err := misp.Read(b, o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := misp.Read(b, misp.Options{MaxBytes: len(b), MaxAttributes: 2}); err != nil {
		t.Error(err)
	}
	if _, err := misp.Read(event(t, fields{"Tag": tags(strings.Split(strings.Repeat("t,", 300), ",")...)}), misp.Options{}); err == nil {
		t.Error("an event with 300 tags is read")
	}
	if _, _, err := misp.Write(nil, nil, misp.Options{}); err == nil {
		t.Error("nothing can be written")
	}
	r := read(t, b).STIX(misp.Options{})
	for _, rest := range []string{``, `{}`, `{"misp":1}`, `{"misp":1,"event":{"l":{"Attribute":[{}]}}}`, `{"misp":1,"event":{"m":{"x":1}}}`, string(b)} {
		if _, _, err := misp.Write(r.Objects, []byte(rest), misp.Options{}); err == nil {
			t.Errorf("rest %.60s is taken", rest)
		}
	}
}

// TestTolerance: numbers, booleans and nulls as instances and scripts write them.
func TestTolerance(t *testing.T) {
	t.Parallel()
	b := []byte(`{"Event":{"uuid":"` + strings.ToUpper(eventUUID) + `","info":"数","date":"2023-11-01","published":"1","timestamp":1700000500,
	"publish_timestamp":null,"Orgc":{"name":"X"},"Tag":null,"Object":null,"Attribute":[
	{"uuid":"` + strings.ToUpper(uuid(1)) + `","type":"port","category":"Network activity","value":8080,"to_ids":"1","timestamp":1700000000,"deleted":0},
	{"type":"domain","value":"no-uuid.example","to_ids":1},
	{"type":"domain","value":"no-uuid.example","to_ids":0,"first_seen":"1581984000000000","last_seen":"2020-02-19T09:00:00.5+09:00"}]}}`)
	e := read(t, b)
	if len(e.Faults) > 0 || len(e.Attributes) != 3 || e.Attributes[0].Value != "8080" || !e.Attributes[0].ToIDs || !e.Published {
		t.Fatalf("%+v", e)
	}
	if a := e.Attributes[2]; a.FirstSeen.String() != "2020-02-18T00:00:00.000000Z" || a.LastSeen.String() != "2020-02-19T00:00:00.500000Z" {
		t.Errorf("seen %s to %s", a.FirstSeen, a.LastSeen)
	}
	r := e.STIX(misp.Options{})
	if find(r.Objects, "indicator--"+stix.ID(uuid(1))) == nil || find(r.Objects, "report--"+eventUUID) == nil {
		t.Error("a UUID in capitals is not the same UUID")
	}
	same(t, write(t, r.Objects, r.Rest, misp.Options{}), b)
}
