package taxii_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestStandardTable: every test that docs/taxii.md names is there, and every row
// names one, or says after a dash why none can.
func TestStandardTable(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/taxii.md")
	if err != nil {
		t.Fatal(err)
	}
	sources := testSources(t)
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]*)(?:/([^`]*))?`")
	rows := 0
	for line := range strings.Lines(string(doc)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| ---") || strings.HasSuffix(strings.TrimSpace(line), "| test |") {
			continue
		}
		rows++
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		last := strings.TrimSpace(cells[len(cells)-1])
		tests := named.FindAllStringSubmatch(last, -1)
		if len(tests) == 0 && !strings.HasPrefix(last, "– ") {
			t.Errorf("no test and no reason: %s", line)
		}
		for _, n := range tests {
			source, ok := sources[n[1]]
			if !ok {
				t.Errorf("%s is named and not there", n[1])
			}
			if n[2] != "" && !strings.Contains(source, `"`+n[2]+`"`) {
				t.Errorf("%s has no case %q", n[1], n[2])
			}
		}
	}
	if rows < 100 {
		t.Errorf("%d rows were read", rows)
	}
}

// testSources returns the text of every test function of the package by its name.
func testSources(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	begin := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9]*)\(`)
	sources := map[string]string{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		at := begin.FindAllSubmatchIndex(b, -1)
		for i, m := range at {
			end := len(b)
			if i+1 < len(at) {
				end = at[i+1][0]
			}
			sources[string(b[m[2]:m[3]])] = string(b[m[0]:end])
		}
	}
	return sources
}
