package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the test binary be the program: scripts and stories run it by
// the name noroshi.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"noroshi": main})
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

// TestReadmesAgree: the Japanese README has the same commands.
func TestReadmesAgree(t *testing.T) {
	fence := regexp.MustCompile("(?s)```\n(.*?)```")
	read := func(name string) [][]byte {
		b, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		return fence.FindAll(b, -1)
	}
	en, ja := read("README.md"), read("README.ja.md")
	if len(en) != len(ja) {
		t.Fatalf("%d blocks in English, %d in Japanese", len(en), len(ja))
	}
	for i := range en {
		if !bytes.Equal(en[i], ja[i]) {
			t.Errorf("block %d differs:\n%s\n%s", i+1, en[i], ja[i])
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
