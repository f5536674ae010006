package lift_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/noroshi-cti/noroshi/internal/intake/lift"
)

// TestTellsMISP: an event is told by its content, and nothing else is taken for
// one.
func TestTellsMISP(t *testing.T) {
	events := []string{`{"Event":{"info":"x"}}`, `{"response":[{"Event":{}}]}`, `[{"Event":{"info":"x"}}]`, "\ufeff" + `{"info":"x","Attribute":[]}`,
		`{"id":"1","orgc_id":"2","info":"x"}`}
	files, err := filepath.Glob("../../../stix/misp/testdata/*.json")
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, string(b[:min(len(b), 64<<10)]))
	}
	for _, e := range events {
		if f := lift.Told([]byte(e)); f == nil || f.Name != "misp" {
			t.Errorf("%.60s is told as %v", e, f)
		}
	}
	for _, other := range []string{`{"type":"bundle","id":"bundle--1","objects":[]}`, `{"type":"report","id":"report--1","info":"x","Attribute":1}`,
		`{"objects":[]}`, `[]`, `{}`, `{"info":"x"}`, `Event,info`, `{"x":{"Event":1}}`, `{"document":{"Event":1}}`} {
		if f := lift.Told([]byte(other)); f != nil && f.Name == "misp" {
			t.Errorf("%s is told as MISP", other)
		}
	}
}
