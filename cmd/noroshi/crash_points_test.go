package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
)

// storyActs are the acts that the story comes to on each of its ways, and so to
// the four steps of the store's door in each.
var storyActs = []noroshi.Action{
	noroshi.ActImport, noroshi.ActRelease, noroshi.ActHold, noroshi.ActApprove, noroshi.ActSend, noroshi.ActAttempt, noroshi.ActReceive, noroshi.ActReceipt,
	noroshi.ActRecall, noroshi.ActWithhold, noroshi.ActKeys, noroshi.ActRotateKey, noroshi.ActCheckpoint, noroshi.ActCosign,
	noroshi.ActWarn, noroshi.ActAck, noroshi.ActBackup, "derived",
}

var actSteps = []string{"commit", "wal write 1", "wal sync", "committed"}

// storyFiles are the files beside the database that the story writes, and the
// steps of each.
var storyFiles = map[string][]string{
	"keys":        {"write", "sync", "written", "move", "moved", "remove"},
	"next root":   {"write", "sync", "written", "move", "moved", "remove"},
	"links":       {"write", "sync", "written", "moved"},
	"recall list": {"write", "sync"},
	"backup":      {"write", "sync", "written", "move", "moved"},
	"database":    {"write 1", "write 64", "sync"}, // the copy of a backup
}

// elsewhere says of what the story does not come to why, and which test breaks it
// off, if one does. An act has no steps of its own: the door is one for all.
var elsewhere = map[string]string{
	"init identity configuration seal-key": "a node is made before anything is confirmed to anybody; what was begun is begun anew",
	"restore":                              "TestInterruptedRestore of node breaks it off between any two moves",
	"export":                               "what is handed out is made anew by the next run",
	"letter":                               "the story's channel is HTTPS; one that is not whole has another name",
	"medium":                               "the story's channel is HTTPS; TestHalfWritten of media breaks it off",
	"introduce propose-agreement sign-agreement agreement-in-force add-person remove-person countersign delegate standing-rule end-standing-rule": "the crew is there and has agreed before a plan is",
	"change-path refuse quarantine configure alarm": "the story comes to them as deaths have it, and dies there when it does",
	"epoch recover": "the story's end comes to them, where a node is put back, and dies there",
	"go-on revoke-key drill-key compare witness":                         "of stories in which a person lets a link go on, or a key is revoked, or nodes compare",
	"translate check-translation machine-translate machine-words":        "of texts that persons put into another language, or a service that the story has not: its warnings are written in both at once",
	"suspend-agreement resume-agreement declare-emergency end-retention": "of stories in which an agreement ends or begins",
	"decide-held defer assign-marking re-author withdraw observe refuse-recall return shelve fetch serve read-audit read sign-in sign-out enrol invite passkey token": "of tools and persons that the story has not",
}

// reasons are elsewhere, by name.
func reasons() map[string]string {
	all := map[string]string{}
	for names, why := range elsewhere {
		for name := range strings.FieldsSeq(names) {
			all[strings.ReplaceAll(name, "seal-key", "seal key")] = why
		}
	}
	return all
}

var (
	pointCall  = regexp.MustCompile(`durable\.(?:(?:Write|Finish|Sync|Move|MoveNew|Remove|Append|Point)\(|(?:WriteIn|SettleIn)\([^,]+, )"([^"]+)"`)
	actionText = regexp.MustCompile(`(?m)^\tAct\w+\s+(?:Action )?= "([^"]+)"`)
)

// pointNames are the names that points have in the source.
func pointNames(t *testing.T) (names []string) {
	t.Helper()
	acts, err := os.ReadFile(filepath.Join("..", "..", "act.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range actionText.FindAllSubmatch(acts, -1) {
		names = append(names, string(m[1]))
	}
	for _, root := range []string{".", filepath.Join("..", "..", "internal")} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			b, err := os.ReadFile(path)
			for _, m := range pointCall.FindAllSubmatch(b, -1) {
				names = append(names, string(m[1]))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// TestEveryPointIsNamed: each point that stands in the source is one of the story's,
// which fails where it is not struck, or is named with what it is left out for.
func TestEveryPointIsNamed(t *testing.T) {
	t.Parallel()
	names, why := pointNames(t), reasons()
	if len(names) < 70 {
		t.Fatalf("only %d points are found: they are written otherwise now", len(names))
	}
	known := map[string]int{}
	for _, a := range storyActs {
		known[string(a)]++
	}
	for f := range storyFiles {
		known[f]++
	}
	for name := range why {
		known[name]++
	}
	for _, name := range names {
		if known[name] == 0 {
			t.Errorf("%q is neither struck nor named", name)
		}
	}
	for name, n := range known {
		if twice := name == "keys" || name == "backup"; n > 1 && !twice { // an act and a file
			t.Errorf("%q is both struck and left out", name)
		}
		if name != "derived" && !slices.Contains(names, name) {
			t.Errorf("%q stands nowhere in the source any more", name)
		}
	}
}

// everyStruck checks the journals of a plan that leaves nothing out: what was
// passed was struck, and nothing of the story was passed by. A point behind which
// nothing can fail is passed where the disk fails.
func (x *exchange) everyStruck(p plan) {
	x.t.Helper()
	for _, m := range []*mortal{x.usa, x.jpn} {
		for _, at := range m.points() {
			if at.what == "passed" && !p.unfailing(at.name) {
				x.t.Errorf("%s: %s was passed and not struck", m.Sign, at.name)
			}
		}
	}
	for _, name := range x.missing(p) {
		x.t.Errorf("%s was not struck on either side", name)
	}
}

// unfailing reports whether nothing can fail at a point.
func (p plan) unfailing(point string) bool {
	return p.Fail && (strings.HasSuffix(point, " commit") || strings.HasSuffix(point, " committed"))
}

// missing are the points of the story that neither side was struck at.
func (x *exchange) missing(p plan) (names []string) {
	x.t.Helper()
	struck := map[string]bool{}
	for _, m := range []*mortal{x.usa, x.jpn} {
		for _, at := range m.points() {
			struck[at.name] = struck[at.name] || at.what != "passed" || p.unfailing(at.name)
		}
	}
	want := func(what string, steps []string) {
		for _, step := range steps {
			if name := fmt.Sprint(what, " ", step); !struck[name] {
				names = append(names, name)
			}
		}
	}
	for _, a := range storyActs {
		want(string(a), actSteps)
	}
	for f, steps := range storyFiles {
		want(f, steps)
	}
	return names
}
