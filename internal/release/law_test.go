package release_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/internal/release"
)

// TestOnlyADeskMakesCleared holds the first law: no field of Cleared can be set
// outside the room, its zero value is not valid, and within the room it is
// made with contents in clear.go alone.
func TestOnlyADeskMakesCleared(t *testing.T) {
	typ := reflect.TypeFor[release.Cleared]()
	for i := range typ.NumField() {
		if typ.Field(i).IsExported() {
			t.Errorf("field %s is exported", typ.Field(i).Name)
		}
	}
	if (release.Cleared{}).Valid() {
		t.Error("the zero value is valid")
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		for _, made := range composites(t, f, "Cleared") {
			if f != "clear.go" && made > 0 {
				t.Errorf("%s makes a Cleared with contents", f)
			}
		}
	}
}

// TestNobodyForgesCleared reads the whole module: outside the room only the
// zero value can be written, and nobody uses unsafe or reflection to fill it.
func TestNobodyForgesCleared(t *testing.T) {
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return nil // a file being written; the compiler will say
		}
		uses := map[string]bool{}
		for _, im := range f.Imports {
			uses[strings.Trim(im.Path.Value, `"`)] = true
		}
		if uses["github.com/noroshi-cti/noroshi/internal/release"] && (uses["unsafe"] || uses["reflect"]) {
			t.Errorf("%s imports release together with unsafe or reflect", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// composites returns the number of elements of each composite literal of a type.
func composites(t *testing.T, file, name string) []int {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	ast.Inspect(f, func(n ast.Node) bool {
		if c, ok := n.(*ast.CompositeLit); ok {
			if id, ok := c.Type.(*ast.Ident); ok && id.Name == name {
				found = append(found, len(c.Elts))
			}
		}
		return true
	})
	return found
}
