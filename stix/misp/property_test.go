package misp_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/stix/misp"
)

// someValue draws a value, mostly one of a type of the table.
func someValue(t *rapid.T) (typ, value string) {
	c := rapid.SampledFrom(types).Draw(t, "type")
	switch rapid.IntRange(0, 5).Draw(t, "form") {
	case 0:
		return c.typ, rapid.StringN(1, 20, 60).Draw(t, "value")
	case 1:
		return rapid.SampledFrom([]string{"text", "link", "comment", "vulnerability", "campaign-name", "threat-actor", "pdb", "未知"}).Draw(t, "plain"), c.value
	}
	return c.typ, c.value
}

func someTags(t *rapid.T) []any {
	return tags(rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"tlp:green", "tlp:red", "PAP:RED", `misp-galaxy:threat-actor="APT 29"`,
		`misp-galaxy:mitre-malware="X - S0001"`, `misp:type="x"`, "日本", "a:b"}), 0, 3, rapid.ID).Draw(t, "tags")...)
}

func someAttribute(t *rapid.T, n int) fields {
	typ, value := someValue(t)
	more := fields{"timestamp": fmt.Sprint(rapid.IntRange(1, 2_000_000_000).Draw(t, "at")), "comment": rapid.SampledFrom([]string{"", "説明", "x"}).Draw(t, "comment"),
		"deleted": rapid.IntRange(0, 9).Draw(t, "deleted") == 0, "distribution": fmt.Sprint(rapid.IntRange(0, 5).Draw(t, "distribution")),
		"category": rapid.SampledFrom([]string{"Other", "Network activity", "Payload delivery", ""}).Draw(t, "category")}
	if rapid.Bool().Draw(t, "tagged") {
		more["Tag"] = someTags(t)
	}
	for _, name := range []string{"first_seen", "last_seen"} {
		if s := rapid.SampledFrom([]string{"-", "", "2019-06-02T22:14:28.711954+00:00", "2030-01-01T00:00:00.000001+09:00", "1581984000000000"}).Draw(t, name); s != "-" {
			more[name] = s
		}
	}
	if rapid.IntRange(0, 9).Draw(t, "uuid") == 0 {
		more["uuid"] = ""
	}
	return attribute(n, typ, value, rapid.Bool().Draw(t, "ids"), more)
}

// someEvent draws an event with attributes, objects and references between them.
func someEvent(t *rapid.T) fields {
	n := 0
	some := func(most int) []any {
		list := []any{}
		for range rapid.IntRange(0, most).Draw(t, "attributes") {
			n++
			list = append(list, someAttribute(t, n))
		}
		return list
	}
	more := fields{"Attribute": some(5), "published": rapid.Bool().Draw(t, "published"), "Tag": someTags(t),
		"timestamp": fmt.Sprint(rapid.IntRange(1, 2_000_000_000).Draw(t, "at")), "date": rapid.SampledFrom([]string{"2001-01-01", "2030-02-30", ""}).Draw(t, "date"),
		"info": rapid.SampledFrom([]string{"", "警報", "info"}).Draw(t, "info")}
	var objects []any
	for range rapid.IntRange(0, 3).Draw(t, "objects") {
		n++
		o := object(n, rapid.SampledFrom([]string{"file", "domain-ip", "x"}).Draw(t, "name"), fields{"deleted": rapid.IntRange(0, 5).Draw(t, "deleted") == 0})
		list := some(4)
		for _, a := range list {
			a.(fields)["object_relation"] = rapid.SampledFrom([]any{"md5", "a,b=c", "", nil}).Draw(t, "relation")
		}
		o["Attribute"] = list
		n++
		o["ObjectReference"] = []any{fields{"uuid": uuid(n), "referenced_uuid": uuid(rapid.IntRange(1, n).Draw(t, "target")), "relationship_type": "uses", "timestamp": "1700000000"}}
		objects = append(objects, o)
	}
	if rapid.Bool().Draw(t, "text") {
		n++
		more["EventReport"] = []any{fields{"id": "1", "uuid": uuid(n), "name": "報告", "content": "# 経緯\n本文", "timestamp": "1700000000", "distribution": "0", "deleted": rapid.Bool().Draw(t, "gone")}}
	}
	if objects != nil {
		more["Object"] = objects
	}
	return more
}

// TestRoundTrip: whatever the event, with its rest it comes back without any
// difference, its objects are good STIX, and without the rest nothing that was
// made into an object is lost.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	kinds := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		b := event(t, someEvent(rt))
		e := read(t, b)
		r := e.STIX(misp.Options{})
		got := write(t, r.Objects, r.Rest, misp.Options{})
		if string(canonical(t, got)) != string(canonical(t, b)) {
			same(t, got, b)
			rt.Fatalf("%s", b)
		}
		sound(t, r.Objects)
		for _, o := range r.Objects {
			kinds[o.Type]++
		}
		total := func(e *misp.Event) int {
			n := len(e.Attributes)
			for _, o := range e.Objects {
				n += len(o.Attributes)
			}
			return n
		}
		if now := read(t, write(t, r.Objects, nil, misp.Options{})); total(now) != total(e) {
			rt.Fatalf("without a rest %d attributes come back of %d: %s", total(now), total(e), b)
		}
	})
	for _, typ := range []string{"indicator", "observed-data", "note", "grouping", "report", "relationship", "intrusion-set", "malware"} {
		if kinds[typ] == 0 {
			t.Errorf("the events drawn made no %s: %v", typ, kinds)
		}
	}
}

func seeds(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 4 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if len(b) < 100_000 {
			f.Add(b)
		}
	}
	var list []fields
	for i, c := range types {
		list = append(list, attribute(i+1, c.typ, c.value, i%2 == 0, nil))
	}
	f.Add(event(f, fields{"Object": []any{object(200, "file", nil, list[0], list[3])}}, list...))
	f.Add([]byte(`{"info":"x","Attribute":[{"type":"domain","value":"a"}]}`))
}

// FuzzRead: whatever is read, the faults have a place, and each part is either
// read or a fault.
func FuzzRead(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		events, err := misp.ReadAll(b, misp.Options{})
		if err != nil {
			return
		}
		for _, e := range events {
			for _, fault := range e.Faults {
				if fault.Code == "" || fault.Text == "" || len(fault.Raw) == 0 {
					t.Errorf("%+v", fault)
				}
			}
		}
	})
}

// FuzzRoundTrip: an event that can be read comes back as it was.
func FuzzRoundTrip(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := misp.Read(b, misp.Options{})
		if err != nil {
			return
		}
		want, err := again(e)
		if err != nil {
			t.Fatal(err)
		}
		e2, err := misp.Read(want, misp.Options{})
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, want)
		}
		got, err := again(e2)
		if err != nil || string(got) != string(want) {
			t.Fatalf("%v\n%s\n%s", err, got, want)
		}
		in, err := stix.Canonical(b)
		if err != nil {
			return // a number no double can hold has no canonical form
		}
		if out, err := stix.Canonical(want); err != nil || string(in) != string(out) {
			t.Fatalf("%v\n%s\n%s", err, out, in)
		}
	})
}

func again(e *misp.Event) ([]byte, error) {
	r := e.STIX(misp.Options{})
	b, _, err := misp.Write(r.Objects, r.Rest, misp.Options{})
	return b, err
}

// FuzzWrite: whatever stands in a rest and in an object, the event that is
// written can be read.
func FuzzWrite(f *testing.F) {
	e, err := misp.Read(event(f, nil, attribute(1, "domain", "a.example", true, nil)), misp.Options{})
	if err != nil {
		f.Fatal(err)
	}
	r := e.STIX(misp.Options{})
	for _, o := range r.Objects {
		f.Add(o.Bytes(), r.Rest)
	}
	f.Add([]byte(`{"type":"indicator","id":"indicator--`+uuid(1)+`","pattern":"[a:b='c']","pattern_type":"stix","labels":["misp:attributes=\"a=b\""]}`),
		[]byte(`{"misp":1,"uuid":"","at":"2024-01-01T00:00:00Z","event":{"m":{"Attribute":{"is":[1]}},"l":{"Attribute":[{"add":1},{"key":"x","drop":true}]}}}`))
	f.Fuzz(func(t *testing.T, object, rest []byte) {
		o, err := stix.Parse(object)
		if err != nil {
			return
		}
		for _, rest := range [][]byte{nil, r.Rest, rest} {
			b, _, err := misp.Write(append([]*stix.Object{o}, r.Objects...), rest, misp.Options{})
			if err != nil {
				continue
			}
			if _, err := misp.ReadAll(b, misp.Options{}); err != nil && rest == nil {
				t.Errorf("%v: %s", err, b)
			}
		}
	})
}
