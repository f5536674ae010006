package feed

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
)

// maxFiles bounds the files of a folder.
const maxFiles = 10_000

// readFolder reads the files of a folder that are new or have changed, each once.
func (r *feeding) readFolder(ctx context.Context, root *os.Root) error {
	parts, err := r.reader.parts(ctx, r.feed)
	if err != nil {
		return err
	}
	names, err := r.filesIn(root)
	if err != nil {
		return err
	}
	gone := goneOf(parts, func(name string) bool { return slices.Contains(names, name) })
	b := batch{r: r, gone: gone}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		p, err := r.fileOf(root, name, parts[name])
		if err != nil {
			r.blame(err)
			continue
		}
		if p != nil {
			if err := b.add(ctx, *p); err != nil {
				return err
			}
		}
	}
	return b.flush(ctx)
}

// goneOf lists the parts that are not there any more.
func goneOf(parts map[string]part, there func(name string) bool) (gone []string) {
	for name, p := range parts {
		if !p.Gone && !there(name) {
			gone = append(gone, name)
		}
	}
	slices.Sort(gone)
	return gone
}

// filesIn lists the files of a folder, not of folders in it. What begins with a
// dot or ends as a file does that is still being written is passed over.
func (r *feeding) filesIn(root *os.Root) (names []string, err error) {
	dir, err := root.Open(".")
	if err == nil {
		var entries []fs.DirEntry
		entries, err = dir.ReadDir(maxFiles + 1)
		dir.Close()
		if err == io.EOF {
			err = nil
		}
		for _, e := range entries {
			if n := e.Name(); !e.IsDir() && !strings.HasPrefix(n, ".") && !strings.HasSuffix(n, ".tmp") && !strings.HasSuffix(n, ".part") {
				names = append(names, n)
			}
		}
	}
	if err != nil {
		return nil, noroshi.Errorf(noroshi.Invalid, "feed.folder", "the folder %s cannot be read: %w", r.feed.Path, err)
	}
	if len(names) > maxFiles {
		return nil, noroshi.Errorf(noroshi.Invalid, "feed.files", "the folder %s has more than %d files", r.feed.Path, maxFiles)
	}
	slices.Sort(names)
	return names, nil
}

// fileOf copies a file that is new or has changed; nil when it has not, or when
// it changes at this moment.
func (r *feeding) fileOf(root *os.Root, name string, was part) (*piece, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, noroshi.Errorf(noroshi.Refused, "feed.file", "%s in %s is not read: %w", intake.Beginning([]byte(name)), r.feed.Path, err)
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, noroshi.Errorf(noroshi.Refused, "feed.file", "%s in %s is not read: %w", intake.Beginning([]byte(name)), r.feed.Path, fs.ErrInvalid)
	}
	if !was.Gone && was.Print == printOf(before) {
		return nil, nil
	}
	file, size, sum, err := r.spool(f, maxFile)
	if err != nil {
		return nil, err
	}
	after, err := f.Stat()
	if err != nil || printOf(after) != printOf(before) || size != after.Size() {
		return nil, err // somebody writes it: another time
	}
	return &piece{name: name, title: intake.Beginning([]byte(name)), file: file, size: size, part: part{Print: printOf(before), Sum: sum.String()}}, nil
}

// printOf is what a file is known by as long as nobody writes it.
func printOf(fi fs.FileInfo) string {
	return fmt.Sprintf("%d %d", fi.Size(), fi.ModTime().UnixNano())
}

// batch gathers pieces to be taken together.
type batch struct {
	r      *feeding
	pieces []piece
	gone   []string
	size   int64
}

// add adds a piece, and takes those before it when they are many.
func (b *batch) add(ctx context.Context, p piece) error {
	b.pieces, b.size = append(b.pieces, p), b.size+p.size
	if len(b.pieces) < maxPieces && b.size < maxSpooled {
		return nil
	}
	return b.flush(ctx)
}

// flush takes what is there.
func (b *batch) flush(ctx context.Context) error {
	if len(b.pieces)+len(b.gone) == 0 {
		return nil
	}
	files := make([]string, len(b.pieces))
	for i, p := range b.pieces {
		files[i] = p.file
	}
	err := b.r.take(ctx, b.pieces, b.gone)
	for _, f := range files {
		os.Remove(f)
	}
	b.pieces, b.gone, b.size = nil, nil, 0
	return err
}
