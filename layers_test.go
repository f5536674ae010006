package noroshi_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
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
	"stix":                             {},
	"stix/pattern":                     {"stix"},
	"stix/ioc":                         {"stix", "stix/pattern"},
	"stix/misp":                        {"stix", "stix/pattern"},
	"internal/ledger":                  {},
	"internal/locale":                  {},
	"internal/oracle":                  {},
	"internal/tier":                    {},
	"internal/durable":                 {"."},
	"internal/mutants":                 {},
	"internal/model":                   {},
	"internal/pictures":                {"internal/web/console/consoletest"},
	"internal/demodata":                {},
	".":                                {"stix"},
	"taxii":                            {"stix"},
	"internal/message":                 {".", "stix"},
	"internal/detect":                  {".", "stix", "stix/pattern"},
	"internal/store":                   {".", "stix", "internal/message", "internal/ledger", "internal/durable"},
	"internal/store/storetest":         {"internal/store", "internal/ledger", "."},
	"internal/intake":                  {"internal/detect", "internal/store", ".", "stix", "stix/pattern", "stix/misp"},
	"internal/release":                 {"internal/store", ".", "stix", "stix/pattern"},
	"internal/audit":                   {"internal/store", "internal/message", "internal/ledger", "."},
	"internal/courier":                 {"internal/audit", "internal/ledger", "internal/intake", "internal/release", "internal/message", "internal/store", ".", "stix"},
	"internal/courier/https":           {"internal/message", "."},
	"internal/courier/mail":            {"internal/message", ".", "internal/durable"},
	"internal/courier/line":            {"internal/message", "."},
	"internal/courier/media":           {"internal/message", ".", "internal/durable"},
	"internal/door":                    {"internal/durable", "internal/intake", "internal/release", "internal/store", "taxii", ".", "stix", "stix/pattern", "stix/ioc", "stix/misp"},
	"internal/partner":                 {"internal/courier", "internal/message", "internal/store", "."},
	"internal/watch":                   {"internal/courier", "internal/release", "internal/intake", "internal/detect", "internal/store", ".", "stix", "stix/pattern", "internal/locale"},
	"internal/door/fetch":              {"."},
	"internal/door/feed":               {"internal/door/fetch", "internal/intake", "internal/store", "taxii", ".", "stix", "stix/misp"},
	"internal/door/translate":          {"."},
	"internal/door/siem":               {"internal/store", ".", "stix"},
	"internal/web":                     {"internal/audit", "internal/door", "internal/door/feed", "internal/door/siem", "internal/door/translate", "internal/watch", "internal/partner", "internal/courier", "internal/intake", "internal/release", "internal/store", "internal/detect", "internal/message", "internal/locale", ".", "stix", "stix/pattern"},
	"internal/web/console":             {"internal/web", "internal/audit", "internal/door", "internal/door/feed", "internal/door/siem", "internal/watch", "internal/partner", "internal/courier", "internal/intake", "internal/release", "internal/store", "internal/message", "internal/locale", ".", "stix", "stix/pattern"},
	"internal/web/console/consoletest": {},
	"internal/node":                    {"*"},
	"cmd":                              {"*"},
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

// TestDependencies: every direct dependency has its line of reason, and no line
// stands for one that is gone.
func TestDependencies(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	direct := map[string]bool{}
	for _, line := range strings.Split(string(mod), "\n") {
		f := strings.Fields(line)
		if len(f) == 2 && strings.HasPrefix(f[1], "v") && strings.Contains(f[0], ".") {
			direct[f[0]] = true
		}
	}
	if len(direct) < 10 {
		t.Fatalf("%d direct dependencies read from go.mod", len(direct))
	}
	for m := range direct {
		if !strings.Contains(string(doc), "| "+m+" |") {
			t.Errorf("docs/dependencies.md has no line for %s", m)
		}
	}
	for _, line := range strings.Split(string(doc), "\n") {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "|" && strings.Contains(f[1], ".") && !direct[f[1]] {
			t.Errorf("docs/dependencies.md has a line for %s, which go.mod does not require directly", f[1])
		}
	}
}
