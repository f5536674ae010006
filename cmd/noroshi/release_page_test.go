package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestReleaseCommands runs the commands of docs/release.md as they stand; its
// Japanese twin has the same.
func TestReleaseCommands(t *testing.T) {
	read := func(name string) (blocks []string) {
		page, err := os.ReadFile("../../docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range block.FindAllStringSubmatch(string(page), -1) {
			blocks = append(blocks, "echo '== "+b[1]+"'\n"+b[2])
		}
		return blocks
	}
	blocks := read("release.md")
	if ja := read("release.ja.md"); len(blocks) < 2 || !slices.Equal(blocks, ja) {
		t.Fatalf("the pages have other commands:\n%s\n%s", blocks, ja)
	}
	out := runStory(t, `set -euo pipefail
echo correct-horse-battery > pass
noroshi init --yes --org USA-01 --dir USA
noroshi person add admin --role administrator --passphrase-file pass --dir USA
noroshi person add hana --role analyst --passphrase-file pass --as admin --as-passphrase-file pass --dir USA
echo unmarked.example > list.txt
noroshi import list.txt --dir USA
id=$(noroshi indicator find unmarked.example --dir USA --no-header | cut -d" " -f1)
`+strings.Join(blocks, ""))
	for _, want := range []string{"TLP:AMBER", "drawn from", "re-authored as"} {
		if !strings.Contains(out, want) {
			t.Errorf("the story's output lacks %q:\n%s", want, out)
		}
	}
}
