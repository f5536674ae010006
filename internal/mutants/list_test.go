package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// required are the bugs that have to be among them, whatever else is.
var required = []string{"no-fsync", "receipt-before-commit", "window-dedupe", "sequence-reuse-after-restore", "dropped-empty-hello",
	"cursor-before-commit", "realm-unchecked", "suite-unchecked", "recall-lost-by-late-arrival", "approval-not-bound-to-bytes",
	"case-blind-compare", "missing-join", "placeholder-in-a-list", "count-in-an-error", "nonce-from-the-sequence",
	"newest-life-first-seen", "batch-sent-again-after-a-recall", "global-instead-of-link-checkpoint", "null-array-accepted", "small-order-key-accepted"}

// TestList: the list is true of the source as it is. That each bug is caught is
// seen by running them.
func TestList(t *testing.T) {
	t.Parallel()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range list() {
		names = append(names, m.name)
		b, err := m.apply(root)
		if err != nil {
			t.Error(err)
			continue
		}
		was, err := os.ReadFile(filepath.Join(root, m.file))
		if err != nil || string(b) == string(was) {
			t.Errorf("%s changes nothing, error %v", m.name, err)
		}
		if strings.HasSuffix(m.file, "_test.go") || m.promise == "" {
			t.Errorf("%s is in %s, of the promise %q", m.name, m.file, m.promise)
		}
		if !holdsTest(t, filepath.Join(root, m.in), m.top()) {
			t.Errorf("%s: there is no %s in %q", m.name, m.top(), m.in)
		}
	}
	if len(names) < 30 {
		t.Errorf("%d bugs, want 30", len(names))
	}
	slices.Sort(names)
	if n := len(slices.Compact(slices.Clone(names))); n != len(names) {
		t.Errorf("%d names for %d bugs", n, len(names))
	}
	for _, r := range required {
		if !slices.Contains(names, r) {
			t.Errorf("%s is not in the list", r)
		}
	}
}

// holdsTest reports whether a folder has a test of a name.
func holdsTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(file string) bool {
		b, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(b), "\nfunc "+name+"(")
	})
}
