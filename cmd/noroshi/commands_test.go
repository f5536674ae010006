package main

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/noroshi-cti/noroshi/internal/locale"
)

// commandPaths lists every command that a person can give, as "release show".
func commandPaths(t *testing.T) (paths []string) {
	t.Helper()
	k, err := kong.New(&cli{}, kong.Vars(helpTexts(locale.EN)))
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
