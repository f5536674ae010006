package lift_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/internal/intake/lift"
	"github.com/noroshi-cti/noroshi/stix"
)

// one finds the object of a type whose property has a text.
func one(t *testing.T, list []*stix.Object, typ, name, text string) *stix.Object {
	t.Helper()
	for _, o := range list {
		if o.Type == typ && (name == "" || o.Text(name) == text) {
			return o
		}
	}
	t.Fatalf("no %s with %s %q", typ, name, text)
	return nil
}

// TestSTIX20 lifts a bundle of every type of 2.0 and holds what comes of it
// against 2.1, property by property where something changes.
func TestSTIX20(t *testing.T) {
	d := read(t, "stix20", file(t, "testdata/every-type-2.0.json"))
	if f := faults(d); len(f) > 0 {
		t.Fatal(f)
	}
	list := objects(t, d)
	sound(t, list)
	types := map[string]bool{}
	for _, o := range list {
		if types[o.Type] = true; o.SpecVersion != "2.1" {
			t.Errorf("%s is of %q", o.ID, o.SpecVersion)
		}
	}
	if len(types) != 35 {
		t.Errorf("%d types: %v, want all 35", len(types), types)
	}
	for _, c := range []struct{ typ, by, text, property, want string }{
		{"indicator", "", "", "indicator_types", `["malicious-activity"]`},
		{"indicator", "", "", "labels", `["tlp:amber","給電"]`},
		{"indicator", "", "", "pattern_type", `"stix"`},
		{"indicator", "", "", "pattern_version", `"2.0"`},
		{"malware", "name", "Dropper", "is_family", `true`},
		{"malware", "name", "Dropper", "malware_types", `["dropper"]`},
		{"malware", "name", "Marked", "labels", `["trojan"]`},
		{"report", "", "", "report_types", `["threat-report"]`},
		{"threat-actor", "", "", "threat_actor_types", `["nation-state"]`},
		{"tool", "", "", "tool_types", `["remote-access"]`},
		{"identity", "", "", "roles", `["operator"]`},
		{"identity", "", "", "x_own", `{"a":123456789012345678901234567890}`},
		{"directory", "", "", "ctime", `"2020-01-01T00:00:00Z"`},
		{"file", "name", "a.exe", "mtime", `"2020-01-01T00:00:00Z"`},
		{"file", "name", "a.exe", "x_is_encrypted", `false`},
		{"process", "", "", "created_time", `"2020-01-01T00:00:00Z"`},
		{"process", "", "", "x_name", `"a"`},
		{"user-account", "", "", "credential_last_changed", `"2020-01-01T00:00:00Z"`},
		{"windows-registry-key", "", "", "modified_time", `"2020-01-01T00:00:00Z"`},
	} {
		if got := string(one(t, list, c.typ, c.by, c.text).Property(c.property)); got != c.want {
			t.Errorf("%s.%s is %s, want %s", c.typ, c.property, got, c.want)
		}
	}
	if want := "is-family×2, labels indicator_types×1, labels malware_types×1, labels report_types×1, labels roles×1, labels threat_actor_types×1, labels tool_types×1, labels-marked×1"; !strings.HasPrefix(codes(d), want) {
		t.Errorf("notes %s", codes(d))
	}
}

// TestObserved: references lead to objects with the ids STIX derives, each with
// the markings of where it stood, and the same document gives the same.
func TestObserved(t *testing.T) {
	text := file(t, "testdata/every-type-2.0.json")
	list := objects(t, read(t, "stix20", text))
	again := objects(t, read(t, "stix20", text))
	for i, o := range list {
		if string(o.Bytes()) != string(again[i].Bytes()) {
			t.Errorf("%s differs the second time", o.ID)
		}
		if id, err := stix.SCOID(o); o.Created.IsZero() && o.Type != "process" && !strings.HasPrefix(o.Type, "x-") && o.Type != "marking-definition" && (err != nil || id != o.ID) {
			t.Errorf("%s should be %s (%v)", o.ID, id, err)
		}
	}
	seen := one(t, list, "observed-data", "", "")
	if seen.Property("objects") != nil || len(seen.Refs()) < 15 || string(seen.Property("granular_markings")) != `[{"marking_ref":"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed","selectors":["first_observed"]}]` {
		t.Errorf("%s", seen.Bytes())
	}
	const amber, red = "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82", "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"
	for _, r := range seen.Refs() {
		i := slices.IndexFunc(list, func(o *stix.Object) bool { return o.ID == r.Target })
		switch {
		case r.Path == "created_by_ref":
		case i < 0:
			t.Errorf("%s is not there", r.Target)
		case !slices.Equal(list[i].Markings, []stix.ID{amber, red}):
			t.Errorf("%s is marked %v", r.Target, list[i].Markings)
		}
	}
	traffic, address := one(t, list, "network-traffic", "", ""), one(t, list, "ipv4-addr", "value", "192.0.2.7")
	if traffic.Text("src_ref") != string(address.ID) {
		t.Errorf("traffic comes from %s, want %s", traffic.Text("src_ref"), address.ID)
	}
	dir, inside := one(t, list, "directory", "", ""), one(t, list, "file", "name", "a.exe")
	if inside.Text("parent_directory_ref") != string(dir.ID) || fmt.Sprint(property(t, dir, "contains_refs")) != fmt.Sprintf("[%s]", inside.ID) {
		t.Errorf("%s and %s", dir.Bytes(), inside.Bytes())
	}
}

// TestSTIX20Told: what is of 2.1, or of neither, is left to the reader of 2.1.
func TestSTIX20Told(t *testing.T) {
	t.Parallel()
	old := `{"type":"campaign","id":"campaign--00000000-0000-4000-8000-000000000001","created":"2020-01-01T00:00:00Z","modified":"2020-01-01T00:00:00Z","name":"x"}`
	current := strings.Replace(old, `"id"`, `"spec_version":"2.1","id"`, 1)
	for text, want := range map[string]bool{
		`{"type":"bundle","id":"bundle--1","spec_version":"2.0","objects":[`:              true,
		`{"type":"bundle","id":"bundle--1","spec_version":"2.1","objects":[` + old + `]}`: false,
		`{"type":"bundle","id":"bundle--1","objects":[` + old + "," + current + `]}`:      true,
		`{"type":"bundle","id":"bundle--1","objects":[` + current + "," + old + `]}`:      false,
		`{"objects":[` + old + `]}`: true,
		"[" + old + "]":             true,
		old + "\n" + old:            true,
		old[:len(old)-1]:            false, // it may come behind what is seen
		current:                     false,
		`{"type":"ipv4-addr","id":"ipv4-addr--00000000-0000-4000-8000-000000000001","value":"1.2.3.4"}`: false,
		"bad.example\n": false,
		"":              false,
	} {
		f := lift.Told([]byte(text))
		if got := f != nil && f.Name == "stix20"; got != want {
			t.Errorf("%.80s: told as 2.0 %v, want %v", text, got, want)
		}
	}
}

func TestSTIX20Faults(t *testing.T) {
	t.Parallel()
	wrap := func(objects string) string {
		return `{"type":"bundle","id":"bundle--00000000-0000-4000-8000-000000000001","spec_version":"2.0","objects":[` + objects + `]}`
	}
	seen := func(objects string) string {
		return wrap(`{"type":"observed-data","id":"observed-data--00000000-0000-4000-8000-000000000001","created":"2020-01-01T00:00:00Z","modified":"2020-01-01T00:00:00Z","objects":` + objects + `}`)
	}
	deep := `{`
	for i := range 200 {
		deep += fmt.Sprintf(`"%d":{"type":"file","name":"f%d","parent_directory_ref":"%d"},`, i, i, i+1)
	}
	deep += `"200":{"type":"directory","path":"/"}}`
	for text, want := range map[string]string{
		wrap(`{"type":5}`): "type",
		wrap(`{"type":"campaign","id":"campaign--00000000-0000-4000-8000-000000000001","name":"a","name":"b"}`): "name",
		seen(`{}`):                               "must be a dictionary of 1 to",
		seen(`[1]`):                              "must be a dictionary of 1 to",
		seen(`{"0":5}`):                          "objects.0",
		seen(`{"0":{"value":"x"}}`):              "objects.0",
		seen(`{"0":{"type":"UPPER","value":1}}`): "objects.0",
		seen(`{"0":{"type":"ipv4-addr","value":"1.2.3.4","resolves_to_refs":["7"]}}`): `objects.0: resolves_to_refs: refers to "7"`,
		seen(deep): "",
	} {
		f := faults(read(t, "stix20", text))
		if got := strings.Join(f, "; "); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%.160s: faults %q, want %q", text, got, want)
		}
	}
	if _, err := lift.Named("stix20").Lift([]byte(wrap("")[:50]+"nonsense"), feed); err == nil {
		t.Error("a broken bundle is lifted")
	}
}

// TestLiftingLosesNothing: what is not named as changed stays byte for byte.
func TestLiftingLosesNothing(t *testing.T) {
	text := file(t, "testdata/every-type-2.0.json")
	var bundle struct {
		Objects []map[string]json.RawMessage `json:"objects"`
	}
	if err := json.Unmarshal([]byte(text), &bundle); err != nil {
		t.Fatal(err)
	}
	list := objects(t, read(t, "stix20", text))
	for _, was := range bundle.Objects {
		var id stix.ID
		if err := json.Unmarshal(was["id"], &id); err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(list, func(o *stix.Object) bool { return o.ID == id })
		for name, value := range was {
			if slices.Contains([]string{"labels", "objects", "object_marking_refs", "granular_markings"}, name) {
				continue
			}
			if got := list[i].Property(name); string(got) != string(value) {
				t.Errorf("%s.%s was %s, is %s", id, name, value, got)
			}
		}
	}
}

func FuzzSTIX20(f *testing.F) {
	f.Add(file(f, "testdata/every-type-2.0.json"))
	f.Add(`{"type":"bundle","objects":[{"type":"observed-data","id":"observed-data--00000000-0000-4000-8000-000000000001","created":"2020-01-01T00:00:00Z","objects":{"0":{"type":"file","parent_directory_ref":"1"},"1":{"type":"directory","path":"a","contains_refs":["0"]}}}]}`)
	f.Fuzz(func(t *testing.T, text string) { fuzzed(t, "stix20", text) })
}

// fuzzed lifts whatever text; each item is one thing, and made twice the same.
func fuzzed(t *testing.T, format, text string) {
	lift.Told([]byte(text))
	d, err := lift.Named(format).Lift([]byte(text), feed)
	if err != nil {
		return
	}
	for _, item := range d.Items {
		kinds := 0
		for _, is := range []bool{item.Object != nil, item.Make != nil, item.Fault != nil} {
			if is {
				kinds++
			}
		}
		if kinds != 1 {
			t.Fatalf("an item that is %d things: %+v", kinds, item)
		}
		if item.Make == nil {
			continue
		}
		a, err := item.Make(feed.First, feed.First)
		if err != nil {
			continue
		}
		if b, err := item.Make(feed.First, feed.First); err != nil || string(a.Bytes()) != string(b.Bytes()) || a.Created.Compare(feed.First) != 0 && !a.Created.IsZero() {
			t.Fatalf("made %s, then %v %s", a.Bytes(), err, b.Bytes())
		}
	}
}
