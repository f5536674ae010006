package noroshi_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// published are the extensions of docs/extensions by file name.
var published = map[string]stix.ID{
	"japanese-marking": noroshi.JapaneseExtension, "exercise-marking": noroshi.ExerciseExtension, "warning": noroshi.WarningExtension,
}

// schemas compiles the published schemas by extension.
func schemas(t *testing.T) map[stix.ID]*jsonschema.Schema {
	t.Helper()
	all := map[stix.ID]*jsonschema.Schema{}
	for name, id := range published {
		s, err := jsonschema.NewCompiler().Compile("docs/extensions/" + name + ".schema.json")
		if err != nil {
			t.Fatal(err)
		}
		all[id] = s
	}
	return all
}

func valid(t testing.TB, s *jsonschema.Schema, raw []byte) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

// TestExtensionDefinitions: what is published is good STIX, about the extension
// the program speaks, and points to the schema beside it.
func TestExtensionDefinitions(t *testing.T) {
	for name, id := range published {
		for _, file := range []string{name, "identity"} {
			raw, err := os.ReadFile("docs/extensions/" + file + ".json")
			if err != nil {
				t.Fatal(err)
			}
			o, err := stix.Parse(raw)
			if err != nil {
				t.Fatal(file, err)
			}
			if p := stix.Validate(o); len(p) > 0 {
				t.Errorf("%s: %v", file, p)
			}
			if file == "identity" {
				continue
			}
			schema, err := os.ReadFile("docs/extensions/" + name + ".schema.json")
			if err != nil {
				t.Fatal(err)
			}
			var head struct {
				ID          string `json:"$id"`
				Draft       string `json:"$schema"`
				Description string
			}
			if err := json.Unmarshal(schema, &head); err != nil {
				t.Fatal(err)
			}
			if o.ID != id || head.ID != o.Text("schema") || !strings.HasSuffix(head.Draft, "2020-12/schema") || !strings.Contains(head.Description, string(id)) {
				t.Errorf("%s: %s with schema %q, which is %q for %q", name, o.ID, o.Text("schema"), head.ID, head.Description)
			}
		}
	}
}

// TestSchemasOfExtensions holds the samples, the program's own objects and what
// only looks like them against the schemas.
func TestSchemasOfExtensions(t *testing.T) {
	all := schemas(t)
	seen := map[stix.ID]int{}
	files, err := filepath.Glob("testdata/markings/d*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var bundle struct {
			Objects []struct{ Extensions map[stix.ID]json.RawMessage }
		}
		if err := json.Unmarshal(raw, &bundle); err != nil {
			t.Fatal(f, err)
		}
		for _, o := range bundle.Objects {
			for id, body := range o.Extensions {
				if s := all[id]; s != nil {
					seen[id]++
					if err := valid(t, s, body); err != nil {
						t.Errorf("%s: %v", f, err)
					}
				}
			}
		}
	}
	if seen[noroshi.JapaneseExtension] < 5 || seen[noroshi.ExerciseExtension] < 2 {
		t.Errorf("the samples have %v", seen)
	}
	for _, x := range []struct {
		id   stix.ID
		body string
		want bool
	}{
		{noroshi.WarningExtension, `{"extension_type":"property-extension","severity":"high","precedence":"immediate","action":"isolate","due":"2026-11-24T06:30:00.000Z"}`, true},
		{noroshi.WarningExtension, `{"extension_type":"property-extension","severity":"critical","precedence":"flash","action":"block","audience":["JPN-01"],"replaces":"report--d57b5236-557d-55b7-833c-5085983e62d4"}`, true},
		{noroshi.WarningExtension, `{"extension_type":"property-extension","severity":"low","precedence":"routine","action":"inform","number":"USA-01/2026/48310"}`, true},
		{noroshi.WarningExtension, `{"extension_type":"property-extension","severity":"low","precedence":"routine","action":"inform","number":"7"}`, false},
		{noroshi.WarningExtension, `{"extension_type":"property-extension","severity":"High","precedence":"flash","action":"block"}`, false},
		{noroshi.WarningExtension, `{"extension_type":"property-extension","severity":"high","precedence":"flash","action":"block","audience":[]}`, false},
		{noroshi.ExerciseExtension, `{"extension_type":"property-extension","exercise_id":""}`, false},
		{noroshi.ExerciseExtension, `{"extension_type":"property-extension","exercise_id":"EX 1"}`, false},
		{noroshi.ExerciseExtension, `{"extension_type":"property-extension","exercise_id":"ex-1","x":1}`, false},
	} {
		if err := valid(t, all[x.id], []byte(x.body)); (err == nil) != x.want {
			t.Errorf("%s: %v", x.body, err)
		}
	}
}

// TestSchemaAndReaderAgree: a Japanese marking is understood exactly when its
// schema passes it.
func TestSchemaAndReaderAgree(t *testing.T) {
	s := schemas(t)[noroshi.JapaneseExtension]
	rapid.Check(t, func(r *rapid.T) {
		m := drawJapanese(r).(map[string]any)
		odd := rapid.SampledFrom([]any{nil, "", "usa", "USA ", "JPN..MOD", ".MOD", "ＵＳＡ", 1, []string{}, []string{"US"}, []string{"USA", "KOR"}, "秘", "㊙", "property-extension"})
		if rapid.Bool().Draw(r, "odd") {
			m[rapid.SampledFrom([]string{"extension_type", "kubun", "originator", "releasable_to", "x_new"}).Draw(r, "member")] = odd.Draw(r, "value")
		}
		raw, err := json.Marshal(m)
		if err != nil {
			r.Fatal(err)
		}
		o, err := body(private, noroshi.JapaneseExtension, m)
		if err != nil {
			r.Fatal(err)
		}
		understood := len(noroshi.MarkingLabel(private, []*stix.Object{o}, nil).Unknown) == 0
		if err := valid(t, s, raw); (err == nil) != understood {
			r.Fatalf("%s: understood %v, schema: %v", raw, understood, err)
		}
	})
}
