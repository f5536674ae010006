package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door"
	"github.com/noroshi-cti/noroshi/internal/durable"
	"github.com/noroshi-cti/noroshi/internal/web"
)

type exportCmd struct {
	To         string   `placeholder:"PARTNER" help:"help.export-to"`
	Internal   bool     `xor:"to" help:"help.export-internal"`
	Format     string   `required:"" placeholder:"FORMAT" help:"help.export-format"`
	Collection string   `placeholder:"COLLECTION" help:"help.export-collection"`
	Event      string   `placeholder:"UUID" help:"help.export-event"`
	Max        []string `sep:"none" placeholder:"LABEL" help:"help.export-max"`
	Out        string   `placeholder:"FILE|DIR" help:"help.export-out"`
	Individual bool     `help:"help.export-individual"`
	Zone       string   `placeholder:"NAME" help:"help.export-zone"`
	Wildcard   bool     `help:"help.export-wildcard"`
	Sinkhole   string   `placeholder:"ADDRESS" help:"help.export-sinkhole"`
}

// Run writes an export to a file, a folder or standard output, and says what is
// in it.
func (x *exportCmd) Run(c *cli) error {
	if x.Internal == (x.To != "") {
		return noroshi.Errorf(noroshi.Invalid, "export.whither", "say whither the export goes: --to PARTNER or --internal")
	}
	in := web.ExportRef{To: x.To, Export: door.Export{Format: x.Format, Collection: x.Collection, Event: x.Event, Max: x.Max,
		Individual: x.Individual, Zone: x.Zone, Wildcard: x.Wildcard, Sinkhole: x.Sinkhole}}
	if err := in.Check(); err != nil {
		return err
	}
	if x.Out == "-" {
		x.Out = ""
	}
	if x.Out == "" && in.Several() {
		return noroshi.Errorf(noroshi.Invalid, "export.folder", "this format has several files: give a folder with --out")
	}
	w := &exportFiles{c: c, out: x.Out, name: "noroshi" + door.Ending(x.Format)}
	var done door.Exported
	err := c.callBody("export", in, nil, w.part, &done)
	if err = errors.Join(err, w.close(err == nil)); err != nil {
		return err
	}
	if x.Out == "" {
		c.say("cli.exported", n(done.Carried), n(done.Entries), done.Marking)
		return nil
	}
	var skipped []string
	for reason, k := range done.Skipped {
		skipped = append(skipped, c.wordOr("export."+string(reason), string(reason))+" "+n(k))
	}
	slices.Sort(skipped)
	written := struct {
		door.Exported
		Files []string `json:"files"`
	}{done, w.done}
	return one(c, written, [2]string{"id", done.ID}, [2]string{"format", done.Format}, [2]string{"marking", done.Marking},
		[2]string{"carried", n(done.Carried)}, [2]string{"entries", n(done.Entries)}, [2]string{"skipped", strings.Join(skipped, "\n")},
		[2]string{"notes", c.some(done.Notes)}, [2]string{"files", strings.Join(w.done, "\n")})
}

// exportFiles puts the files of an export where they belong: each is written
// beside its place and put there when all are whole.
type exportFiles struct {
	c    *cli
	out  string // --out
	name string // of the first file, where out is a folder
	file string // the one at hand
	w    io.Writer
	temp []*os.File
	done []string // where they go
	err  error
}

// part takes a piece of a file.
func (e *exportFiles) part(b json.RawMessage) {
	var p web.ExportPart
	if e.err != nil {
		return
	}
	if e.err = json.Unmarshal(b, &p); e.err != nil {
		return
	}
	if e.w == nil || p.File != e.file {
		e.w, e.err = e.open(p.File)
		e.file = p.File
	}
	if e.err == nil {
		_, e.err = e.w.Write(p.Data)
	}
}

func (e *exportFiles) open(file string) (io.Writer, error) {
	if e.out == "" {
		return e.c.io.out, nil
	}
	path := e.out
	if fi, err := os.Stat(e.out); err == nil && fi.IsDir() {
		path = filepath.Join(e.out, e.name)
	}
	if file != "" {
		path = filepath.Join(filepath.Dir(path), filepath.Base(file))
	}
	path, err := place(path)
	if err != nil {
		return nil, err
	}
	f, err := door.Beside(path)
	if err != nil {
		return nil, noroshi.Errorf(noroshi.NotFound, "export.cannot-write", "%s cannot be written: %w", path, err)
	}
	e.temp, e.done = append(e.temp, f), append(e.done, path)
	return f, nil
}

// place returns where a file is put: what is there is replaced, so it must be a
// file or nothing, and no device, pipe or folder.
func place(path string) (string, error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	} else if _, err := os.Lstat(path); err == nil {
		return "", noroshi.Errorf(noroshi.Invalid, "export.no-file", "%s is no file", path)
	}
	if fi, err := os.Stat(path); err == nil && !fi.Mode().IsRegular() {
		return "", noroshi.Errorf(noroshi.Invalid, "export.no-file", "%s is no file", path)
	}
	return path, nil
}

// putInPlace moves a file to its place when it is whole on the disk, and away
// when it is not.
func putInPlace(f *os.File, place string) error {
	err := f.Chmod(door.FileMode)
	if err == nil {
		err = durable.Sync("export", f)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = durable.Move("export", f.Name(), place)
	}
	if err != nil {
		return errors.Join(err, durable.Remove("export", f.Name()))
	}
	return nil
}

// close puts the files in their places, or away.
func (e *exportFiles) close(whole bool) error {
	err := e.err
	for i, f := range e.temp {
		if err == nil && whole {
			err = putInPlace(f, e.done[i])
		} else {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}
	if err == nil {
		return nil
	}
	var e2 *noroshi.Error
	if errors.As(err, &e2) {
		return err
	}
	return noroshi.Errorf(noroshi.KindOf(err), "export.write", "the export could not be written: %w", err)
}
