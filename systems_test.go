package noroshi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestOtherSystems holds that the program is whole on the other systems: each
// package of it, its libraries' and Go's own included, has there the files and
// names that the others use. Packages are read, not compiled; make cross, in
// the battery, builds them.
func TestOtherSystems(t *testing.T) {
	for _, system := range []string{"linux/arm64", "darwin/arm64", "windows/amd64"} {
		t.Run(system, func(t *testing.T) {
			t.Parallel()
			goos, arch, _ := strings.Cut(system, "/")
			if own := readProgram(t, goos, arch); own < 20 {
				t.Errorf("only %d packages of the module are in the program", own)
			}
		})
	}
}

// readProgram checks the types of cmd/noroshi and all that it imports, and
// returns how many packages of this module there were. Go's own functions
// are not read inside.
func readProgram(t *testing.T, goos, arch string) (own int) {
	t.Helper()
	list := exec.Command("go", "list", "-deps", "-json=ImportPath,Dir,GoFiles,ImportMap,Module", "./cmd/noroshi")
	list.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+arch)
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]*types.Package{"unsafe": types.Unsafe}
	files := token.NewFileSet()
	for in := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath, Dir string
			GoFiles         []string
			ImportMap       map[string]string
			Module          *struct {
				GoVersion string
				Main      bool
			}
		}
		if err := in.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.ImportPath == "unsafe" {
			continue
		}
		ours := p.Module != nil && p.Module.Main
		if ours {
			own++
		}
		var parsed []*ast.File
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(files, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			parsed = append(parsed, f)
		}
		conf := types.Config{
			Importer: importerFunc(func(path string) (*types.Package, error) {
				if to, is := p.ImportMap[path]; is {
					path = to
				}
				return read[path], nil
			}),
			Sizes:            types.SizesFor("gc", arch),
			IgnoreFuncBodies: p.Module == nil,
		}
		if p.Module != nil && p.Module.GoVersion != "" {
			conf.GoVersion = "go" + p.Module.GoVersion
		}
		if read[p.ImportPath], err = conf.Check(p.ImportPath, files, parsed, nil); err != nil {
			t.Fatalf("%s: %v", p.ImportPath, err)
		}
	}
	return own
}

type importerFunc func(string) (*types.Package, error)

func (f importerFunc) Import(path string) (*types.Package, error) { return f(path) }
