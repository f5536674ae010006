package media

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/durable"
)

// partial is the ending of what is being written; it is never read.
const partial = ".part"

// Writer adds parts to a medium: a folder that is there, or a file, which is
// replaced whole when Close succeeds. Envelopes are gathered until they make a
// part. Everything has mode 0600.
//
// A process that ends in between leaves a folder with whole blocks, of one part
// perhaps too few, and a file as it was: the next Writer takes away what is too
// little, mends what can be mended and goes on.
type Writer struct {
	path    string
	folder  *os.Root
	file    *os.File // of a medium in one file, the new one
	temp    string   // its name until it is whole
	block   int
	limit   int64 // bytes the medium may come to; 0 = no limit
	held    int64 // bytes on it
	waiting [][]byte
	waits   int
}

// Create opens a medium to be added to. What is there of earlier parts stays.
// Only what Create has mended or taken away was broken anyway.
func Create(path string, limit int64) (w *Writer, err error) {
	w = &Writer{path: path, limit: limit}
	fi, err := os.Stat(path)
	switch {
	case err == nil && fi.IsDir():
		err = w.intoFolder()
	case err == nil && !fi.Mode().IsRegular():
		return nil, noroshi.Errorf(noroshi.Invalid, "media.no-file", "%s is neither a file nor a folder", path)
	case err == nil || errors.Is(err, fs.ErrNotExist):
		err = w.intoFile(err == nil)
	}
	if err != nil {
		return nil, errors.Join(unwritten(path, err), w.Abandon())
	}
	return w, nil
}

// unwritten says that a medium cannot be written, unless err says more.
func unwritten(path string, err error) error {
	var e *noroshi.Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return noroshi.Errorf(noroshi.Other, "media.write", "%s cannot be written: %w", path, err)
}

func (w *Writer) intoFolder() (err error) {
	m, err := Open(w.path)
	if err != nil {
		return err
	}
	defer m.Close()
	w.held = m.Size()
	if w.folder, err = os.OpenRoot(w.path); err != nil {
		return err
	}
	return w.mend(m)
}

// mend completes parts of which blocks are missing and takes away blocks of
// those that cannot be restored: what is in them is packed again, for it has no
// receipt.
func (w *Writer) mend(m *Medium) error {
	for _, id := range m.Parts() {
		if whole, _ := m.parts[id].counts(); whole {
			continue
		}
		list, _, err := m.Envelopes(id)
		if err != nil {
			if err := w.remove(m, id); err != nil {
				return err
			}
			continue
		}
		p, err := NewPart(list, m.parts[id].shape.shard+headLen)
		if err == nil {
			err = w.put(p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// remove takes away the files that hold one block of a part and nothing else,
// under the name it was written by.
func (w *Writer) remove(m *Medium, id PartID) error {
	for _, f := range m.files {
		if f.blocks != 1 || f.spoilt > 0 || !slices.Equal(f.parts, []PartID{id}) || !strings.HasSuffix(f.name, ending) {
			continue
		}
		if err := w.folder.Remove(f.name); err != nil {
			return err
		}
		w.held -= f.size
	}
	return nil
}

func (w *Writer) intoFile(there bool) (err error) {
	if w.file, err = durable.New(w.path + partial); err != nil {
		return err
	}
	w.temp = w.path + partial
	if !there {
		return nil
	}
	old, err := os.Open(w.path)
	if err != nil {
		return err
	}
	defer old.Close()
	if w.held, err = io.Copy(w.file, old); err != nil {
		return err
	}
	// A block begins where a reader looks for one.
	pad := (blockStep - w.held%blockStep) % blockStep
	_, err = w.file.Write(make([]byte, pad))
	w.held += pad
	return err
}

// Room is how many bytes of envelopes the medium still takes, at least; a large
// number where it has no limit.
func (w *Writer) Room() int64 {
	if w.limit <= 0 {
		return 1 << 60
	}
	return max(0, (w.limit-w.held)/5*2-8<<10) // parity, heads and the fill of the last block of a part
}

// Add takes an envelope, and writes a part when enough of them wait.
func (w *Writer) Add(envelope []byte) error {
	if w.waits > 0 && w.waits+len(envelope) > PartBytes {
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.waiting = append(w.waiting, envelope)
	w.waits += len(envelope)
	return nil
}

func (w *Writer) flush() error {
	if len(w.waiting) == 0 {
		return nil
	}
	p, err := NewPart(w.waiting, w.block)
	if err != nil {
		return err
	}
	w.waiting, w.waits = nil, 0
	return unwritten(w.path, w.put(p))
}

func (w *Writer) put(p Part) error {
	if w.folder != nil {
		return w.putFiles(p)
	}
	for _, b := range p.Blocks {
		if _, err := w.file.Write(b); err != nil {
			return err
		}
		w.held += int64(len(b))
	}
	return nil
}

// putFiles writes each block to a file of its own, named by its hash; one that
// is there is not written again.
func (w *Writer) putFiles(p Part) error {
	for _, b := range p.Blocks {
		name := nameOf(b)
		if fi, err := w.folder.Lstat(name); err == nil && fi.Mode().IsRegular() && fi.Size() == int64(len(b)) && w.intact(name, b) {
			continue
		}
		if err := durable.WriteIn(w.folder, "medium", name+partial, name, b); err != nil {
			return err
		}
		w.held += int64(len(b))
	}
	return durable.SettleIn(w.folder, "medium", ".")
}

func (w *Writer) intact(name string, want []byte) bool {
	got, err := w.folder.ReadFile(name)
	return err == nil && string(got) == string(want)
}

// Close writes what waits and puts a file in its place.
func (w *Writer) Close() error {
	err := w.flush()
	if err != nil || w.folder != nil {
		return errors.Join(err, w.Abandon())
	}
	if err = durable.Sync("medium", w.file); err == nil {
		err = w.file.Close()
		w.file = nil
	}
	if err == nil && w.held > 0 {
		err = durable.Move("medium", w.temp, w.path)
	}
	return unwritten(w.path, errors.Join(err, w.Abandon()))
}

// Abandon lets a medium go that is not to be finished; after Close it does
// nothing. What a folder has got stays, a file is as it was.
func (w *Writer) Abandon() error {
	var err error
	if w.folder != nil {
		err = w.folder.Close()
		w.folder = nil
	}
	if w.file != nil {
		err = errors.Join(err, w.file.Close())
		w.file = nil
	}
	if w.temp != "" {
		if err2 := os.Remove(w.temp); !errors.Is(err2, fs.ErrNotExist) {
			err = errors.Join(err, err2)
		}
		w.temp = ""
	}
	return err
}
