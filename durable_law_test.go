package noroshi_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// ownMoves is every file of the program that brings something to the disk, or
// gives it a name, beside internal/durable, and why: what is written there has no
// points where a crash can be played.
var ownMoves = map[string]string{
	"internal/courier/mail/spool.go":     "lays a letter that was read aside: one that is laid there twice is read twice, which the stream passes over",
	"internal/door/scheduled.go":         "a second name of a file that is moved in place by durable",
	"internal/node/nodetest/alliance.go": "tests: puts a copy of a database back",
	"internal/durable/durable.go":        "is that room",
	"internal/durable/folder.go":         "is that room",
}

// TestFilesGoThroughDurable: nothing else syncs, renames or links a file.
func TestFilesGoThroughDurable(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	walkGo(t, func(path string) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			what := sel.Sel.Name
			if what == "Sync" && len(call.Args) == 0 || (what == "Rename" || what == "Link" || what == "Symlink") && len(call.Args) == 2 {
				row := filepath.ToSlash(path)
				if seen[row] = true; ownMoves[row] == "" {
					t.Errorf("%s calls %s: files are brought to the disk by internal/durable", row, what)
				}
			}
			return true
		})
	})
	for row := range ownMoves {
		if !seen[row] {
			t.Errorf("listed, but does nothing of the kind: %s", row)
		}
	}
}
