package web_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/noroshi-cti/noroshi/internal/web"
)

var update = flag.Bool("update", false, "write testdata anew")

// TestShapesAreThoseOfTheOperations: each operation has a shape, and nothing else
// does.
func TestShapesAreThoseOfTheOperations(t *testing.T) {
	if diff := cmp.Diff(slices.Sorted(maps.Keys(web.Ops)), slices.Sorted(maps.Keys(web.Shapes))); diff != "" {
		t.Errorf("operations without a shape (-), shapes without an operation (+):\n%s", diff)
	}
}

// TestOpenAPI holds the description of the API against the one that was looked at
// last: whoever changes an operation's input or output sees it in the diff.
func TestOpenAPI(t *testing.T) {
	const golden = "testdata/openapi.json"
	got, err := web.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the API is not what %s says (go test -update writes it anew):\n%s", golden, cmp.Diff(string(want), string(got)))
	}
	var doc struct {
		Paths      map[string]any
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(got, &doc); err != nil {
		t.Fatal(err)
	}
	for _, ref := range refs(doc.Paths, refs(doc.Components.Schemas, nil)) {
		if _, ok := doc.Components.Schemas[ref]; !ok {
			t.Errorf("schema %s is referred to and not there", ref)
		}
	}
	if doc.Paths["/api/v1/backup"] != nil || doc.Paths["/api/v1/warning.list"] == nil {
		t.Error("what names files of the machine is described, or what does not is not")
	}
}

// refs collects the names of schemas that are referred to.
func refs(v any, all []string) []string {
	switch v := v.(type) {
	case map[string]any:
		ref, _ := v["$ref"].(string)
		if name, ok := strings.CutPrefix(ref, "#/components/schemas/"); ok {
			all = append(all, name)
		}
		for _, x := range v {
			all = refs(x, all)
		}
	case []any:
		for _, x := range v {
			all = refs(x, all)
		}
	}
	return all
}
