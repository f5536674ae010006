package stix_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/noroshi-cti/noroshi/stix"
)

// corpusFiles are the bundles of the test data; see testdata/SOURCES.md.
func corpusFiles(t testing.TB) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"attack/*.json.gz", "indicators/stix/*", "markings/d*.json"} {
		found, err := filepath.Glob(filepath.Join("../testdata", pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("no test data %s: %v", pattern, err)
		}
		files = append(files, found...)
	}
	return files
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(path, ".gz") {
		return raw
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if raw, err = io.ReadAll(z); err != nil {
		t.Fatal(err)
	}
	return raw
}

// rawObjects takes a bundle apart with jsontext, not with the reader under test.
func rawObjects(t testing.TB, path string) []jsontext.Value {
	t.Helper()
	var bundle struct {
		Objects []jsontext.Value `json:"objects"`
	}
	if err := json.Unmarshal(readFile(t, path), &bundle); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return bundle.Objects
}

// parsed holds the corpus once it was read; objects are immutable.
var parsed struct {
	sync.Mutex
	objects []*stix.Object
}

// corpus returns every object of the test data.
func corpus(t testing.TB) []*stix.Object {
	t.Helper()
	parsed.Lock()
	defer parsed.Unlock()
	if parsed.objects == nil {
		parsed.objects = parseCorpus(t)
	}
	return parsed.objects[:len(parsed.objects):len(parsed.objects)]
}

func parseCorpus(t testing.TB) []*stix.Object {
	t.Helper()
	var all []*stix.Object
	for _, file := range corpusFiles(t) {
		for _, raw := range rawObjects(t, file) {
			o, err := stix.Parse(raw)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			all = append(all, o)
		}
	}
	return all
}

// sample returns every nth object of the corpus.
func sample(t testing.TB, n int) []*stix.Object {
	t.Helper()
	var some []*stix.Object
	for i, o := range corpus(t) {
		if i%n == 0 {
			some = append(some, o)
		}
	}
	return some
}
