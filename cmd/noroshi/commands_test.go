package main

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// commandPaths lists every command that a person can give, as "release show".
func commandPaths(t *testing.T) (paths []string) {
	t.Helper()
	k, err := kong.New(&cli{})
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range k.Model.Leaves(true) {
		paths = append(paths, strings.TrimPrefix(leaf.FullPath(), k.Model.Name+" "))
	}
	slices.Sort(paths)
	return paths
}

// TestCommandsPage holds docs/commands.md and its Japanese twin against the
// program: each command once, each exit code once.
func TestCommandsPage(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| `noroshi ([a-z -]+)`")
	code := regexp.MustCompile(`(?m)^\| ([0-9]+) \|`)
	for _, name := range []string{"commands.md", "commands.ja.md"} {
		page, err := os.ReadFile("../../docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		var have []string
		for _, m := range row.FindAllSubmatch(page, -1) {
			have = append(have, strings.TrimSpace(string(m[1])))
		}
		slices.Sort(have)
		if want := commandPaths(t); !slices.Equal(have, want) {
			t.Errorf("%s has the commands\n%q, the program\n%q", name, have, want)
		}
		var codes []string
		for _, m := range code.FindAllSubmatch(page, -1) {
			codes = append(codes, string(m[1]))
		}
		if want := strings.Fields("0 1 2 3 4 5 6 7 8 9 130"); !slices.Equal(codes, want) {
			t.Errorf("%s has the exit codes %q", name, codes)
		}
		for _, env := range []string{"NOROSHI_DIR", "NOROSHI_LANG", "real.db", "noroshi.toml", "seal.key"} {
			if !bytes.Contains(page, []byte(env)) {
				t.Errorf("%s says nothing of %s", name, env)
			}
		}
	}
}

// TestImportPage: every import that docs/import.md and its Japanese twin show is
// one that a story runs.
func TestImportPage(t *testing.T) {
	var story []byte
	for _, name := range []string{"formats.txt", "misp.txt"} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		story = append(story, b...)
	}
	shown := regexp.MustCompile(`(?m)^noroshi import .*$`)
	var first [][]byte
	for _, name := range []string{"import.md", "import.ja.md"} {
		page, err := os.ReadFile("../../docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		lines := shown.FindAll(page, -1)
		if len(lines) < 6 {
			t.Errorf("%s shows %d imports", name, len(lines))
		}
		if first == nil {
			first = lines
		}
		for i, l := range lines {
			if !bytes.Contains(story, append(l, " --dir"...)) {
				t.Errorf("%s: no story runs %s", name, l)
			}
			if i >= len(first) || !bytes.Equal(l, first[i]) {
				t.Errorf("%s: its example %d is not that of the other page", name, i)
			}
		}
	}
}
