package door

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi/internal/durable"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Scheduled is an export that is kept in a file.
type Scheduled struct {
	Export
	File  string        // where it is kept; files beside it lie in the same folder
	Every time.Duration // how often it is looked at
	Mode  fs.FileMode   // who may read the files; 0 = FileMode
}

// FileMode is the mode of files of exports: those of a group that their owner
// names may read what is in them, and nobody else.
const FileMode fs.FileMode = 0o640

// docPlaced is the kind of document that says which edition lies in a file; its
// key is the file's name.
const docPlaced = "export-file"

// placed is what was put in place, and for whom.
type placed struct {
	edition
	Mode fs.FileMode `json:"mode,omitempty"`
}

// Refresh makes a scheduled export anew and puts its files in their place where
// something changed or they are not there; each is whole at every moment.
// While nothing may leave they stay as they are, and that is the error.
func (d *Door) Refresh(ctx context.Context, s Scheduled) (changed bool, err error) {
	s.Mode = cmp.Or(s.Mode, FileMode)
	if err := d.o.MayLeave(ctx); err != nil {
		return false, err
	}
	was, err := store.DocOrZero[placed](ctx, d.store.Reads, docPlaced, s.File)
	if err != nil {
		return false, err
	}
	known, ok, err := d.known(ctx, s.Export)
	if err != nil {
		return false, fmt.Errorf("export %s: %w", s.File, err)
	}
	if ok && s.has(was, known) {
		return false, nil
	}
	done, err := d.turn(ctx, s.Export)
	if err != nil {
		return false, err
	}
	defer done()
	out, err := d.render(ctx, s.File, s.Export)
	if err != nil {
		return false, fmt.Errorf("export %s: %w", s.File, err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if s.has(was, out.edition) {
		return false, nil
	}
	if err := s.place(out, was.Files); err != nil {
		return false, fmt.Errorf("export %s: %w", s.File, err)
	}
	return true, d.keep(ctx, "export "+s.File, docPlaced, s.File, placed{out.edition, s.Mode})
}

// beside is where a file beside the first lies; "" is the first.
func (s Scheduled) beside(name string) string {
	if name == "" {
		return s.File
	}
	return filepath.Join(filepath.Dir(s.File), name)
}

// has reports whether what was put in place is this edition, and is there still.
func (s Scheduled) has(was placed, is edition) bool {
	return was.Sum == is.Sum && was.Mode == s.Mode && !slices.ContainsFunc(append([]string{""}, is.Files...), func(name string) bool {
		_, err := os.Stat(s.beside(name))
		return err != nil
	})
}

// place puts files in their place, and takes away those of before that are none
// any more.
func (s Scheduled) place(out *rendering, before []string) error {
	// The rules go last: they load what lies beside them.
	for _, f := range slices.Backward(out.files) {
		fresh := f.file.Name() + ".new"
		if err := f.file.Chmod(s.Mode); err != nil {
			return err
		}
		if err := durable.Sync("export", f.file); err != nil { // what is not whole on the disk takes no place
			return err
		}
		if err := os.Link(f.file.Name(), fresh); err != nil {
			return err
		}
		if err := durable.Move("export", fresh, s.beside(f.name)); err != nil {
			return errors.Join(err, durable.Remove("export", fresh))
		}
	}
	for _, name := range before {
		if slices.Contains(out.Files, name) {
			continue
		}
		if err := durable.Remove("export", s.beside(name)); err != nil {
			return err
		}
	}
	return nil
}
