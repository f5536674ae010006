package main

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestExamples: every command by which other tools are connected, or a node is
// moved, shows examples in its help, in both languages, and each is a line that
// the program takes for this command.
func TestExamples(t *testing.T) {
	left := maps.Clone(examples)
	for _, path := range commandPaths(t) {
		room, _, _ := strings.Cut(path, " ")
		lines := examples[path]
		delete(left, path)
		if len(lines) == 0 && slices.Contains([]string{"taxii", "export", "feed", "store"}, room) {
			t.Errorf("%s has no example", path)
		}
		for _, line := range lines {
			words, _, _ := strings.Cut(line, " >")
			k, err := kong.New(&cli{}, kong.Name("noroshi"))
			if err != nil {
				t.Fatal(err)
			}
			x, err := k.Parse(strings.Fields(words)[1:])
			if err != nil {
				t.Errorf("%s: %v", line, err)
			} else if got := strings.TrimPrefix(x.Selected().FullPath(), "noroshi "); got != path {
				t.Errorf("%s is an example of %s, it stands at %s", line, got, path)
			}
			for lang, title := range map[string]string{"en": "Examples:", "ja": "例："} {
				var out, err bytes.Buffer
				if code := run(t.Context(), append(strings.Fields(path), "--help", "--lang="+lang), stdio{strings.NewReader(""), &out, &err}); code != exitOK || !strings.Contains(out.String(), "\n"+title+"\n") || !strings.Contains(out.String(), "\n  "+line+"\n") {
					t.Errorf("%s (%s): exit code %d\n%s%s", path, lang, code, out.String(), err.String())
				}
			}
		}
	}
	for path := range left {
		t.Errorf("%q is no command", path)
	}
}
