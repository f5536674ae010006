package media

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
)

// Bounds of what is read of a medium, whoever made it.
const (
	maxFiles    = 1 << 17
	maxFileSize = 8 << 30
	maxBlocks   = 1 << 21
	maxSmall    = 8 << 20  // a picture or a text
	maxDecoded  = 64 << 20 // bytes of blocks read from pictures and texts, in all
	maxLooked   = 1 << 30  // pixels of pictures, in all
)

// ref says where a block of a part lies.
type ref struct {
	file  int32 // in Medium.files; negative: in Medium.decoded
	set   uint16
	index uint8
	off   int64
}

// found is what is known of one part.
type found struct {
	size  uint32
	sets  uint16
	shape shape
	refs  []ref
	have  map[uint32]bool // set and index of them
}

// counts reports whether nothing of a part is missing, and whether enough is
// there.
func (f *found) counts() (whole, restorable bool) {
	have := make([]int, f.sets)
	for _, r := range f.refs {
		have[r.set]++
	}
	whole, restorable = true, true
	for _, n := range have {
		whole = whole && n == f.shape.data+f.shape.parity
		restorable = restorable && n >= f.shape.data
	}
	return whole, restorable
}

// source is one file that was looked at and holds blocks.
type source struct {
	name   string
	size   int64
	blocks int // of those it has, how many are intact
	spoilt int // bytes between them that are no block
	parts  []PartID
}

// Medium is what was found on a medium: which blocks of which parts. It holds a
// folder or file open until Close.
type Medium struct {
	path    string
	root    *os.Root // nil for a single file
	files   []source
	decoded [][]byte
	size    int64 // bytes of files with blocks
	bytes   int64 // of decoded
	pixels  int   // that may still be looked at
	parts   map[PartID]*found
	order   []PartID // as found
	blocks  int
	other   int // files that hold nothing of ours
}

// Open looks through a folder, not below it, or a file. Links are not followed,
// what is still being written is passed over,
// and of names nothing is believed. A medium with nothing on it is no error, one
// that does not exist is NotFound.
func Open(path string) (*Medium, error) {
	m := &Medium{path: path, parts: map[PartID]*found{}, pixels: maxLooked}
	fi, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, noroshi.Errorf(noroshi.NotFound, "media.none", "there is no %s", path)
	case err != nil:
		return nil, noroshi.Errorf(noroshi.Other, "media.read", "%s cannot be read: %w", path, err)
	case fi.IsDir():
		err = m.openFolder(path)
	case fi.Mode().IsRegular():
		err = m.look(filepath.Base(path), fi.Size())
	default:
		return nil, noroshi.Errorf(noroshi.Invalid, "media.no-file", "%s is neither a file nor a folder", path)
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

func (m *Medium) openFolder(path string) (err error) {
	if m.root, err = os.OpenRoot(path); err != nil {
		return noroshi.Errorf(noroshi.Other, "media.read", "%s cannot be read: %w", path, err)
	}
	dir, err := m.root.Open(".")
	if err != nil {
		return noroshi.Errorf(noroshi.Other, "media.read", "%s cannot be read: %w", path, err)
	}
	defer dir.Close()
	entries, err := dir.ReadDir(maxFiles + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return noroshi.Errorf(noroshi.Other, "media.read", "%s cannot be read: %w", path, err)
	}
	if len(entries) > maxFiles {
		return noroshi.Errorf(noroshi.Invalid, "media.files", "%s has more than %d files: pack into an empty folder", path, maxFiles)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), partial) { // somebody writes it now
			continue
		}
		fi, err := m.root.Lstat(e.Name())
		if err != nil || !fi.Mode().IsRegular() || fi.Size() == 0 {
			if err != nil || !fi.IsDir() {
				m.other++
			}
			continue
		}
		if err := m.look(e.Name(), fi.Size()); err != nil {
			return err
		}
	}
	return nil
}

// Close lets the medium go.
func (m *Medium) Close() error {
	if m.root == nil {
		return nil
	}
	return m.root.Close()
}

// open opens a file that is a file still, and no link or pipe put in its place.
func (m *Medium) open(name string) (*os.File, error) {
	if m.root == nil {
		return os.Open(m.path)
	}
	before, err := m.root.Lstat(name)
	if err == nil && !before.Mode().IsRegular() {
		err = fs.ErrInvalid
	}
	if err != nil {
		return nil, err
	}
	f, err := m.root.Open(name)
	if err != nil {
		return nil, err
	}
	after, err := f.Stat()
	if err == nil && !os.SameFile(before, after) {
		err = fs.ErrInvalid
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// look finds the blocks of one file: as they are, in a picture, or in a text.
// A file that cannot be read is as one that holds nothing.
func (m *Medium) look(name string, size int64) error {
	f, err := m.open(name)
	if err != nil {
		m.other++
		return nil
	}
	defer f.Close()
	src := source{name: name, size: size}
	if size <= maxFileSize {
		if err := m.blocksOf(f, &src); err != nil {
			return err
		}
	}
	if src.blocks == 0 && size <= maxSmall {
		small, err := io.ReadAll(io.LimitReader(f, maxSmall))
		if err == nil {
			m.decode(small, &src)
		}
	}
	if src.blocks == 0 {
		m.other++
		return nil
	}
	m.size += size
	m.files = append(m.files, src)
	return nil
}

// blocksOf walks a file block by block; behind what is no block it looks for
// the next at every blockStep. What that costs is bounded by the size of the
// file: heads made to be looked at in vain end the walk.
func (m *Medium) blocksOf(f io.ReaderAt, src *source) error {
	w := window{f: f, size: src.size}
	vain := src.size + maxBlock*4
	for off := int64(0); off+headLen <= src.size; {
		p := w.at(off)
		if len(p) == 0 { // a sector that cannot be read
			src.spoilt += sector
			off = (off + sector) / sector * sector
			continue
		}
		b, length, ok := readBlock(p)
		if ok {
			if m.blocks++; m.blocks > maxBlocks {
				return noroshi.Errorf(noroshi.Invalid, "media.blocks", "%s has more than %d blocks", m.path, maxBlocks)
			}
			m.add(b, ref{file: int32(len(m.files)), set: b.set, index: b.index, off: off}, src)
			off += int64(length)
			continue
		}
		if vain -= int64(length); vain < 0 {
			src.spoilt += int(src.size - off)
			break
		}
		off += blockStep
		src.spoilt += blockStep
	}
	return nil
}

// add takes note of an intact block; one that is there already, or says other
// things of its part than the first, is passed over.
func (m *Medium) add(b block, r ref, src *source) {
	src.blocks++
	p := m.parts[b.part]
	if p == nil {
		p = &found{size: b.size, sets: b.sets, shape: b.shape, have: map[uint32]bool{}}
		m.parts[b.part] = p
		m.order = append(m.order, b.part)
	}
	if n := len(src.parts); n == 0 || src.parts[n-1] != b.part {
		src.parts = append(src.parts, b.part)
	}
	place := uint32(b.set)<<8 | uint32(b.index)
	if p.size != b.size || p.shape != b.shape || p.sets != b.sets || p.have[place] {
		return
	}
	p.have[place] = true
	p.refs = append(p.refs, r)
}

// window reads a file in large pieces.
type window struct {
	f    io.ReaderAt
	size int64
	buf  []byte
	from int64
}

const (
	windowSize = 16 * maxBlock
	sector     = 4096
)

// at returns what begins at an offset: a whole block at least, where the file
// has as much.
func (w *window) at(off int64) []byte {
	have := w.from + int64(len(w.buf))
	if off >= w.from && (have-off >= maxBlock || have == w.size) && off <= have {
		return w.buf[off-w.from:]
	}
	if w.buf == nil {
		w.buf = make([]byte, 0, windowSize)
	}
	n, _ := w.f.ReadAt(w.buf[:windowSize], off)
	w.buf, w.from = w.buf[:n], off
	return w.buf
}

// read returns one block again, checked again.
func (m *Medium) read(r ref, s shape, f io.ReaderAt) (block, bool) {
	if r.file < 0 {
		b, _, ok := readBlock(m.decoded[r.off])
		return b, ok
	}
	buf := make([]byte, headLen+s.shard)
	n, err := f.ReadAt(buf, r.off)
	if err != nil && !errors.Is(err, io.EOF) {
		return block{}, false
	}
	b, _, ok := readBlock(buf[:n])
	return b, ok
}

// decode takes the blocks of a picture or a text.
func (m *Medium) decode(small []byte, src *source) {
	for _, raw := range decodeFrames(small, &m.pixels) {
		b, length, ok := readBlock(raw)
		if !ok || length != len(raw) || m.bytes+int64(length) > maxDecoded {
			continue
		}
		m.bytes += int64(length)
		m.decoded = append(m.decoded, bytes.Clone(raw))
		m.add(b, ref{file: -1, set: b.set, index: b.index, off: int64(len(m.decoded) - 1)}, src)
	}
}

// Code is the code of all parts of which anything is there (Code).
func (m *Medium) Code() string { return Code(m.order) }

// Size is how many bytes of files hold blocks.
func (m *Medium) Size() int64 { return m.size }
