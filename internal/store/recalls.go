package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/noroshi-cti/noroshi"
)

// recallsPlace is the cursor that says how many bytes of the recall list this
// database knows of. A database put back from a backup knows of fewer.
const recallsPlace = "recall-list"

// recallsPath is the recall list: a file beside the database that no backup
// holds, one recall a line, only ever appended to. It can only take back: lines
// nobody ordered withdraw what could stay, and release nothing.
func (s *Store) recallsPath() string { return s.path + ".recalls" }

// ListRecall appends a line to the recall list, durably, and remembers it in
// the database with the act. It goes last in an act: one that does not commit
// after it is done again at the next start.
func (t *Tx) ListRecall(line []byte) error {
	if bytes.IndexByte(line, '\n') >= 0 {
		return noroshi.Errorf(noroshi.Invalid, "store.recall-line", "a line of the recall list has no line in it")
	}
	end, err := appendLine(t.s.recallsPath(), line)
	if err != nil {
		return err
	}
	return t.SetCursor(recallsPlace, end)
}

// appendLine appends a line, after ending one that a crash cut short, and
// returns where the file ends then.
func appendLine(path string, line []byte) (end int64, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if end, err = f.Seek(0, io.SeekEnd); err != nil {
		return 0, err
	}
	last := []byte{'\n'}
	if end > 0 {
		if _, err := f.ReadAt(last, end-1); err != nil {
			return 0, err
		}
	}
	text := append(append([]byte{}, line...), '\n')
	if last[0] != '\n' {
		text = append([]byte{'\n'}, text...)
	}
	if _, err := f.WriteAt(text, end); err != nil {
		return 0, err
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	if end == 0 {
		if err := syncDir(filepath.Dir(path)); err != nil {
			return 0, err
		}
	}
	return end + int64(len(text)), nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ForgottenRecalls returns the lines of the recall list that this database
// does not know of: it was put back from before them. Recalled says that they
// were done again.
func (s *Store) ForgottenRecalls(ctx context.Context) (lines [][]byte, end int64, err error) {
	known, err := s.Cursor(ctx, recallsPlace)
	if err != nil {
		return nil, 0, err
	}
	all, err := os.ReadFile(s.recallsPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, known, nil
	}
	if err != nil {
		return nil, 0, err
	}
	end = int64(len(all))
	if known >= end {
		return nil, known, nil
	}
	for line := range bytes.SplitSeq(all[known:], []byte{'\n'}) {
		if len(line) > 0 {
			lines = append(lines, line)
		}
	}
	return lines, end, nil
}

// Recalled notes inside an act that the recall list was read up to a place.
func (t *Tx) Recalled(end int64) error { return t.SetCursor(recallsPlace, end) }
