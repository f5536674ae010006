package nodetest_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// canary is an object that must not leave, and the word that would betray it.
const canaryObject = `{"type":"indicator","spec_version":"2.1","id":"indicator--%[2]s","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z",
"name":"%[1]s-name","description":"%[1]s-description","pattern":"[domain-name:value = '%[1]s-pattern.example']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z",
"x_secret":"%[1]s-x","external_references":[{"source_name":"%[1]s-reference","url":"https://%[1]s-url.example/"}]%[3]s}`

const canaryMarking = `{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--%[2]s","created":"2026-01-01T00:00:00.000Z","definition_type":"statement","definition":{"statement":"%[1]s-statement"}}`

// TestNothingLeaks is L2 and L11 between nodes: unmarked, TLP:RED and unknown-marked objects never reach
// the partner, nor anything that names them: the words are searched in the
// partner's files, logs and answers, and in our own logs and error texts.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	kinds := []struct{ name, uuid, members string }{
		{"unmarked", "aaaaaaaa-1111-4111-8111-111111111111", ""},
		{"red", "aaaaaaaa-2222-4222-8222-222222222222", `,"object_marking_refs":["marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"]`},
		{"statement", "aaaaaaaa-3333-4333-8333-333333333333", `,"object_marking_refs":["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb","marking-definition--bbbbbbbb-3333-4333-8333-333333333333"]`},
		{"missing", "aaaaaaaa-4444-4444-8444-444444444444", `,"object_marking_refs":["marking-definition--bbbbbbbb-4444-4444-8444-444444444444"]`},
		{"granular", "aaaaaaaa-5555-4555-8555-555555555555", `,"object_marking_refs":["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"],"granular_markings":[{"marking_ref":"marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1","selectors":["description","pattern"]}]`},
	}
	var objects, words, ids []string
	for _, k := range kinds {
		objects = append(objects, fmt.Sprintf(canaryObject, "zz-canary-"+k.name, k.uuid, k.members))
		words = append(words, "zz-canary-"+k.name)
		ids = append(ids, k.uuid)
	}
	// Of one only some parts may not leave: an indicator may be without them.
	objects = append(objects, `{"type":"indicator","spec_version":"2.1","id":"indicator--aaaaaaaa-6666-4666-8666-666666666666","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z",
"name":"zz-canary-part-name","description":"zz-canary-part-description","pattern":"[domain-name:value = 'part.example']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z",
"x_secret":{"a":["zz-canary-part-x",1]},"external_references":[{"source_name":"open"},{"source_name":"zz-canary-part-reference"}],"object_marking_refs":["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"],
"granular_markings":[{"marking_ref":"marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1","selectors":["name","description","x_secret.a.[0]","external_references.[1]"]}]}`)
	words = append(words, "zz-canary-part")
	objects = append(objects, fmt.Sprintf(canaryMarking, "zz-canary-marking", "bbbbbbbb-3333-4333-8333-333333333333"))
	words = append(words, "zz-canary-marking", "zz-canary-file", "bbbbbbbb-3333-4333", "bbbbbbbb-4444-4444")
	words = append(words, ids...)
	// What may leave refers to what may not: relationships, a report, a note, a
	// custom property.
	for i, id := range ids {
		objects = append(objects, fmt.Sprintf(`{"type":"relationship","spec_version":"2.1","id":"relationship--cccccccc-%04d-4111-8111-111111111111","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","relationship_type":"related-to","source_ref":"indicator--%s","target_ref":"malware--dddddddd-1111-4111-8111-111111111111","object_marking_refs":["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"]}`, i, id),
			fmt.Sprintf(`{"type":"note","spec_version":"2.1","id":"note--cccccccc-%04d-4222-8222-222222222222","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","content":"free","object_refs":["malware--dddddddd-1111-4111-8111-111111111111","indicator--%s"],"object_marking_refs":["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"]}`, i, id),
			fmt.Sprintf(`{"type":"malware","spec_version":"2.1","id":"malware--cccccccc-%04d-4333-8333-333333333333","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"free","is_family":false,"x_seen_with_ref":"indicator--%s","object_marking_refs":["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"]}`, i, id))
	}
	objects = append(objects, `{"type":"malware","spec_version":"2.1","id":"malware--dddddddd-1111-4111-8111-111111111111","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"may-leave","is_family":false,"object_marking_refs":["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"]}`)
	usa.Import("zz-canary-file.json", "", strings.NewReader(`{"type":"bundle","id":"bundle--0d0b4bd9-4b4b-4b0c-8d7e-6a7f0a4b1c09","objects":[`+strings.Join(objects, ",\n")+`]}`))
	usa.Settle()
	nodetest.Whole(t, usa, jpn)

	// The free object is there, so something did leave.
	if _, err := jpn.Node.Store.Current(t.Context(), "malware--dddddddd-1111-4111-8111-111111111111"); err != nil {
		t.Fatalf("the object that may leave did not: %v", err)
	}
	if _, err := jpn.Node.Store.Current(t.Context(), "indicator--aaaaaaaa-6666-4666-8666-666666666666"); err != nil {
		t.Errorf("what may leave of an object did not: %v", err)
	}
	// Answers to the partner's own questions.
	for _, w := range words {
		var f web.Found
		jpn.Must("indicator.find", web.FindRef{Query: w}, &f)
		if len(f.Data) > 0 {
			t.Errorf("JPN-01 finds %q", w)
		}
		if err := jpn.Do(t.Context(), "indicator.show", web.ObjectRef{ID: stix.ID("indicator--" + w)}, nil); err == nil {
			t.Errorf("JPN-01 shows indicator--%s", w)
		}
	}
	// Errors and logs on our side name no content either: ids may stand in
	// what our own officers ask for, words may not stand in logs.
	logs := usa.Log.String() + jpn.Log.String()
	jpn.Stop()
	search(t, jpn.Dir, words)
	for _, w := range words {
		if strings.Contains(logs, w) {
			t.Errorf("%q stands in a log", w)
		}
	}
}

// search looks for words in every file of a folder.
func search(t *testing.T, dir string, words []string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for _, w := range words {
			if bytes.Contains(b, []byte(w)) {
				t.Errorf("%s contains %q", filepath.Base(path), w)
			}
		}
		return nil
	})
	if err != nil || files < 4 {
		t.Fatalf("searched %d files: %v", files, err)
	}
}
