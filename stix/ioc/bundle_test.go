package ioc_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/stix/ioc"
)

func object(t *testing.T, text string) *stix.Object {
	t.Helper()
	o, err := stix.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// objects reads the objects of package stix's own tests.
func objects(t *testing.T) (list []*stix.Object) {
	t.Helper()
	f, err := os.Open("../testdata/objects.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for r := stix.NewReader(f); ; {
		item, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		if item.Object != nil {
			list = append(list, item.Object)
		}
	}
}

const bundleID = "bundle--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"

// TestBundle: every byte of every object is in the bundle, in order, and a
// strict reader finds them again.
func TestBundle(t *testing.T) {
	t.Parallel()
	want := objects(t)
	want = append(want, object(t, "{\n  \"type\" : \"x-new\",\"id\":\"x-new--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f\" , \"n\": 1.50e2, \"s\":\"\\u65e5 日 ]}\"\n}\n"))
	if len(want) < 10 {
		t.Fatalf("%d objects to write", len(want))
	}
	var b bytes.Buffer
	res, err := ioc.Bundle(&b, bundleID, slices.Values(want))
	if err != nil || res.Lines != len(want) {
		t.Fatalf("%d objects of %d: %v", res.Lines, len(want), err)
	}
	r := stix.NewReader(&b)
	for i, o := range want {
		item, err := r.Next()
		if err != nil || item.Object == nil {
			t.Fatalf("object %d: %v %v", i, item.Err, err)
		}
		if !bytes.Equal(bytes.TrimSpace(item.Object.Bytes()), bytes.TrimSpace(o.Bytes())) {
			t.Errorf("object %d changed from\n%s\nto\n%s", i, o.Bytes(), item.Object.Bytes())
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("behind the objects: %v", err)
	}
}

func TestBundleForm(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if _, err := ioc.Bundle(&b, bundleID, slices.Values([]*stix.Object(nil))); err != nil || b.String() != `{"type":"bundle","id":"`+bundleID+"\"}\n" {
		t.Errorf("empty bundle %q: %v", b.String(), err)
	}
	for _, id := range []stix.ID{"", "bundle--1", "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", bundleID + `","x":"`} {
		b.Reset()
		if _, err := ioc.Bundle(&b, id, slices.Values(objects(t))); err == nil || b.Len() > 0 {
			t.Errorf("id %q: error %v, %d bytes", id, err, b.Len())
		}
	}
	if _, err := ioc.Bundle(&broken{}, bundleID, slices.Values(objects(t))); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("full disk: %v", err)
	}
}

// TestTechniqueEntries: attack-patterns of ATT&CK with what points at them,
// whichever comes first.
func TestTechniqueEntries(t *testing.T) {
	t.Parallel()
	id := func(typ string, n string) string { return typ + "--00000000-0000-4000-8000-00000000000" + n }
	const times = `,"spec_version":"2.1","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z"`
	uses := func(n, to string) string {
		return `{"type":"relationship","id":"` + id("relationship", n) + `"` + times + `,"relationship_type":"uses","source_ref":"` + id("malware", "1") + `","target_ref":"` + to + `"}`
	}
	pattern := func(n, source, technique string) string {
		return `{"type":"attack-pattern","id":"` + id("attack-pattern", n) + `"` + times + `,"name":"p","external_references":[{"source_name":"capec","external_id":"CAPEC-1"},{"source_name":"` + source + `","external_id":"` + technique + `"}]}`
	}
	var list []*stix.Object
	for _, text := range []string{
		uses("1", id("attack-pattern", "1")), pattern("1", "mitre-attack", "T1059.001"), uses("2", id("attack-pattern", "1")),
		pattern("2", "mitre-ics-attack", "T0800"), pattern("3", "elsewhere", "T1"), pattern("4", "mitre-attack", "T1\\\"}"),
		uses("3", id("attack-pattern", "9")), uses("4", id("malware", "1")),
	} {
		list = append(list, object(t, text))
	}
	mark := func(o *stix.Object) string {
		if o.Type == "relationship" && strings.HasSuffix(string(o.ID), "2") {
			return "TLP:RED"
		}
		return "TLP:GREEN"
	}
	var got []string
	for e := range ioc.TechniqueEntries(slices.Values(list), mark) {
		got = append(got, e.Techniques[0]+" "+e.Marking)
	}
	want := []string{"T1059.001 TLP:GREEN", "T1059.001 TLP:GREEN", "T1059.001 TLP:RED", "T0800 TLP:GREEN"}
	if !slices.Equal(got, want) {
		t.Errorf("entries %q, want %q", got, want)
	}
	for range ioc.TechniqueEntries(slices.Values(list), mark) {
		break // and the sequence ends when its reader does
	}
}

// TestNavigatorDomain: a domain the Navigator does not know is refused.
func TestNavigatorDomain(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if _, err := ioc.Navigator(&b, slices.Values(sample()), ioc.Options{Navigator: ioc.LayerOptions{Domain: "mars-attack"}}); err == nil || b.Len() > 0 {
		t.Errorf("error %v, %d bytes", err, b.Len())
	}
}
