package stix_test

import (
	"testing"

	"github.com/noroshi-cti/noroshi/stix"
)

func TestMark(t *testing.T) {
	const (
		a = "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487"
		b = "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"
	)
	for name, c := range map[string]struct{ in, want string }{
		"none before":    {`{"type":"x-a","id":"x-a--00000000-0000-4000-8000-000000000001" }`, `{"type":"x-a","id":"x-a--00000000-0000-4000-8000-000000000001","object_marking_refs":["` + a + `"]}`},
		"another before": {"{\"object_marking_refs\": [ \"" + b + "\" ],\n \"type\":\"x-a\",\"n\":1.0,\"id\":\"x-a--00000000-0000-4000-8000-000000000001\"}", "{\"object_marking_refs\": [ \"" + b + "\",\"" + a + "\"],\n \"type\":\"x-a\",\"n\":1.0,\"id\":\"x-a--00000000-0000-4000-8000-000000000001\"}"},
		"that before":    {`{"type":"x-a","object_marking_refs":["` + a + `"],"id":"x-a--00000000-0000-4000-8000-000000000001"}`, `{"type":"x-a","object_marking_refs":["` + a + `"],"id":"x-a--00000000-0000-4000-8000-000000000001"}`},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := stix.Parse([]byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			m, err := stix.Mark(o, a)
			if err != nil {
				t.Fatal(err)
			}
			if string(m.Bytes()) != c.want || m.Markings[len(m.Markings)-1] != a {
				t.Errorf("got %s\nwant %s", m.Bytes(), c.want)
			}
		})
	}
}
