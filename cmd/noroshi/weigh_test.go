package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestWeighedAsImported: what is said of a file before it is imported is what
// then becomes of it, under a clause that reads warning-lists too.
func TestWeighedAsImported(t *testing.T) {
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	var text string
	usa.Must("agreement.draft", web.DraftRef{With: jpn.Sign}, &text)
	text += "\n[[clause]]\nid = \"9\"\narticle_en = \"Article 9\"\narticle_ja = \"第9条\"\nen = \"What is known to be good is not sent.\"\nja = \"無害と知られたものは提供しない。\"\n" +
		"cedar = 'forbid (principal, action, resource) when { resource.known_good };'\n"
	if _, err := crew.Sign(t.Context(), &usa.Crew, &jpn.Crew, []byte(text)); err != nil {
		t.Fatal(err)
	}
	const list = `{"type":"bundle","id":"bundle--0d0b4bd9-4b4b-4b0c-8d7e-6a7f0a4b1c09","objects":[`
	indicator := func(n, value string) string {
		return `{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-00000000000` + n + `","created":"2026-11-01T00:00:00.000Z","modified":"2026-11-01T00:00:00.000Z",` +
			`"pattern":"[ipv4-addr:value = '` + value + `']","pattern_type":"stix","valid_from":"2026-11-01T00:00:00Z","object_marking_refs":["` + string(noroshi.Green.MarkingID()) + `"]}`
	}
	file := list + indicator("1", "8.8.8.8") + "," + indicator("2", "91.219.236.18") + "]}"
	var w web.Weighed
	name := filepath.Join(t.TempDir(), "b.json")
	if err := os.WriteFile(name, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	var o, e bytes.Buffer
	if code := run(t.Context(), []string{"release", "explain", name, "--to", "JPN-01", "-o", "json", "--dir", usa.Dir}, stdio{strings.NewReader(""), &o, &e}); code != exitOK {
		t.Fatalf("exit code %d: %s", code, e.String())
	}
	if err := json.Unmarshal(o.Bytes(), &w); err != nil {
		t.Fatal(err)
	}
	usa.Import("b.json", "", strings.NewReader(file))
	said := map[stix.ID]string{}
	for _, o := range w.Objects {
		said[o.ID] = o.Outcome
		var e web.Explained
		usa.Must("release.explain", web.ExplainRef{Object: o.ID, Partner: jpn.Sign}, &e)
		if e.Outcome != o.Outcome {
			t.Errorf("%s: %s before it is imported, %s then", o.ID, o.Outcome, e.Outcome)
		}
	}
	if said["indicator--00000000-0000-4000-8000-000000000001"] != "deny" || said["indicator--00000000-0000-4000-8000-000000000002"] != "release" {
		t.Errorf("said: %v", said)
	}
}
