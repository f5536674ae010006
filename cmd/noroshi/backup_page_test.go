package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// TestBackupPage runs the blocks of docs/backup.md verbatim, on a node with
// something in it; the Japanese page has the same.
func TestBackupPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/backup.md")
	if err != nil {
		t.Fatal(err)
	}
	ja, err := os.ReadFile("../../docs/backup.ja.md")
	if err != nil {
		t.Fatal(err)
	}
	script := `set -euo pipefail
echo correct-horse-battery > pass; echo another-long-passphrase > sealing
noroshi init --yes --org USA-01 --dir USA
noroshi person add admin --role administrator --passphrase-file pass --dir USA
noroshi person add taro --role release --passphrase-file pass --as admin --as-passphrase-file pass --dir USA
noroshi person add hanako --role release --passphrase-file pass --as admin --as-passphrase-file pass --with taro --with-passphrase-file pass --dir USA
`
	blocks := block.FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d story blocks, want 2", len(blocks))
	}
	for _, b := range blocks {
		script += b[2]
		if !bytes.Contains(ja, []byte(b[2])) {
			t.Errorf("the Japanese page lacks the block %s", b[1])
		}
	}
	if out := runStory(t, script); !strings.Contains(out, "replaced-") || !strings.Contains(out, "The record is intact.") {
		t.Errorf("the story's output:\n%s", out)
	}
}
