package release_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/internal/locale"
)

var (
	reasonCode  = regexp.MustCompile(`(?:Code: |reason\(|\br\()"([a-z]+\.[a-z-]+)"`)
	unknownCode = regexp.MustCompile(`Unknown[A-Za-z0-9]+ += "([a-z0-9-]+)"`)
)

// TestReasonsHaveTexts: whatever code a decision gives as a reason, there is a
// text for it in both languages.
func TestReasonsHaveTexts(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	codes := 0
	check := func(file string, of *regexp.Regexp, before string) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range of.FindAllStringSubmatch(string(b), -1) {
			codes++
			for _, l := range locale.Langs {
				if _, ok := locale.Keys(l)[before+m[1]]; !ok {
					t.Errorf("%s: no text %s%s in %s", file, before, m[1], l)
				}
			}
		}
	}
	for _, f := range files {
		if !strings.HasSuffix(f, "_test.go") {
			check(f, reasonCode, "reason.")
		}
	}
	check("../../definition.go", unknownCode, "reason.marking.")
	if codes < 50 {
		t.Errorf("only %d codes were found", codes)
	}
}
