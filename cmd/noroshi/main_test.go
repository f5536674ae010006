package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/noroshi-cti/noroshi/internal/store/storetest"
)

// TestMain lets the test binary be the program: scripts and stories run it by
// the name noroshi, and have curl.
func TestMain(m *testing.M) {
	testscript.Main(tidied{m}, map[string]func(){"noroshi": main, "curl": curl})
}

// TestScripts are the stories of the command line, as each party in turn.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", RequireExplicitExec: true})
}

var block = regexp.MustCompile("(?s)<!-- story: ([a-z]+) -->\n```\n(.*?)```\n")

// TestReadme runs README's blocks verbatim: two nodes that share, detect and
// verify.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	script.WriteString("set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n")
	blocks := block.FindAllStringSubmatch(string(readme), -1)
	if len(blocks) < 7 {
		t.Fatalf("%d story blocks in README, want at least 7", len(blocks))
	}
	for _, b := range blocks {
		script.WriteString("echo '== " + b[1] + "'\n" + b[2])
	}
	out := runStory(t, script.String())
	for _, want := range []string{"wiper-control.example", "ドメイン名", "JPN-01"} {
		if !strings.Contains(out, want) {
			t.Errorf("the story's output lacks %q:\n%s", want, out)
		}
	}
}

// TestPostgresPage runs the blocks of docs/postgres.md verbatim.
func TestPostgresPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/postgres.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DSN", storetest.DSN(t))
	t.Setenv("DSN2", storetest.DSN(t))
	script := "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n"
	blocks := block.FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 3 {
		t.Fatalf("%d story blocks, want 3", len(blocks))
	}
	for _, b := range blocks {
		script += "echo '== " + b[1] + "'\n" + b[2]
	}
	out := runStory(t, script+"echo; cat there.json back.json\n")
	var copies []map[string]any
	for line := range strings.Lines(out) {
		var c map[string]any
		if json.Unmarshal([]byte(line), &c) != nil || c["tables"] == nil {
			continue
		}
		c["tables"] = slices.DeleteFunc(c["tables"].([]any), func(x any) bool {
			return x.(map[string]any)["table"] == "cursor" // whoever opens a node in between lets its followers go on
		})
		copies = append(copies, c)
	}
	if len(copies) != 2 || len(copies[0]["tables"].([]any)) < 30 {
		t.Fatalf("two copies, table by table, are not in\n%s", out)
	}
	if diff := cmp.Diff(copies[0], copies[1]); diff != "" {
		t.Errorf("there and back again (-there +back):\n%s", diff)
	}
}

// TestPagesAgree: a Japanese page has the same commands as the English one.
func TestPagesAgree(t *testing.T) {
	fence := regexp.MustCompile("(?s)```\n(.*?)```")
	read := func(name string) [][]byte {
		b, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		return fence.FindAll(b, -1)
	}
	for _, name := range []string{"README", "docs/postgres"} {
		en, ja := read(name+".md"), read(name+".ja.md")
		if len(en) != len(ja) || len(en) == 0 {
			t.Fatalf("%s: %d blocks in English, %d in Japanese", name, len(en), len(ja))
		}
		for i := range en {
			if !bytes.Equal(en[i], ja[i]) {
				t.Errorf("%s: block %d differs:\n%s\n%s", name, i+1, en[i], ja[i])
			}
		}
	}
}

// runStory runs a shell script in an empty folder with noroshi on the PATH.
func runStory(t *testing.T, script string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "PATH="+program(t)+string(os.PathListSeparator)+os.Getenv("PATH"), "NOROSHI_LANG=en")
	out, err := cmd.CombinedOutput()
	if err != nil {
		logs, _ := filepath.Glob(filepath.Join(cmd.Dir, "*.log"))
		for _, l := range logs {
			b, _ := os.ReadFile(l)
			t.Logf("%s:\n%s", filepath.Base(l), b)
		}
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// program returns a folder with this test binary under the name noroshi.
func program(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("noroshi")
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(path)
}
