package stix_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/stix"
)

// TestVocabularies: every word of the OASIS schemas is known, also those the
// schemas run together, and nothing else that looks like one.
func TestVocabularies(t *testing.T) {
	for _, c := range []struct {
		file, name string
		knows      func(string) bool
		least      int
	}{{"identity", "industry-sector-ov", stix.Sector, 34}, {"location", "region-ov", stix.Region, 26}} {
		b, err := os.ReadFile("../testdata/schemas/schemas/sdos/" + c.file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var schema struct {
			Definitions map[string]struct {
				Enum []string `json:"enum"`
			} `json:"definitions"`
		}
		if err := json.Unmarshal(b, &schema); err != nil {
			t.Fatal(err)
		}
		words := strings.Fields(strings.Join(schema.Definitions[c.name].Enum, " "))
		if len(words) < c.least {
			t.Fatalf("%s has %d words", c.name, len(words))
		}
		for _, w := range words {
			if !c.knows(w) || c.knows(strings.ToUpper(w)) || c.knows(w+" ") {
				t.Errorf("%s: %q", c.name, w)
			}
		}
	}
	if !stix.Region("south-eastern-asia") || stix.Region("") || stix.Sector("") {
		t.Error("the specification's own word, or the empty one")
	}
}
