package noroshi_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/noroshi-cti/noroshi"

// layers says what a room may import besides the standard library and its
// libraries. A room stands for its sub-folders unless they have a row of their
// own. "*" is every room.
var layers = map[string][]string{
	"stix":                   {},
	"stix/pattern":           {"stix"},
	"internal/ledger":        {},
	"internal/locale":        {},
	"internal/tier":          {},
	"internal/demodata":      {},
	".":                      {"stix"},
	"internal/message":       {".", "stix"},
	"internal/detect":        {".", "stix", "stix/pattern"},
	"internal/store":         {".", "stix", "internal/message", "internal/ledger"},
	"internal/intake":        {"internal/detect", "internal/store", ".", "stix", "stix/pattern"},
	"internal/release":       {"internal/store", ".", "stix", "stix/pattern"},
	"internal/courier":       {"internal/intake", "internal/release", "internal/message", "internal/store", ".", "stix"},
	"internal/courier/https": {"internal/message", "."},
	"internal/partner":       {"internal/courier", "internal/message", "internal/store", "."},
	"internal/watch":         {"internal/courier", "internal/release", "internal/intake", "internal/detect", "internal/store", ".", "stix", "stix/pattern", "internal/locale"},
	"internal/web":           {"internal/watch", "internal/partner", "internal/courier", "internal/intake", "internal/release", "internal/store", "internal/detect", "internal/message", "internal/locale", ".", "stix", "stix/pattern"},
	"internal/node":          {"*"},
	"cmd":                    {"*"},
}

// TestLayers holds the import table of ARCHITECTURE.md against the code: a
// room imports only rooms below it.
func TestLayers(t *testing.T) {
	files := 0
	walkGo(t, func(path string) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		files++
		room := filepath.ToSlash(filepath.Dir(path))
		row := rowOf(room)
		if row == "" {
			t.Errorf("%s: room %q has no row in the import table", path, room)
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, im := range f.Imports {
			p, _ := strconv.Unquote(im.Path.Value)
			if p != module && !strings.HasPrefix(p, module+"/") {
				continue
			}
			target := strings.TrimPrefix(strings.TrimPrefix(p, module), "/")
			if target == "" {
				target = "."
			}
			if to := rowOf(target); to != row && !slices.Contains(layers[row], to) && !slices.Contains(layers[row], "*") {
				t.Errorf("%s: room %q may not import %q", path, row, to)
			}
		}
	})
	if files < 50 {
		t.Errorf("only %d files were looked at", files)
	}
}

// rowOf returns the row a folder belongs to: its own or the nearest above.
func rowOf(room string) string {
	for {
		if _, ok := layers[room]; ok {
			return room
		}
		i := strings.LastIndexByte(room, '/')
		if i < 0 {
			return ""
		}
		room = room[:i]
	}
}

func walkGo(t *testing.T, fn func(path string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") {
			fn(path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
