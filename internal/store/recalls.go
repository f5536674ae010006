package store

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/durable"
)

// recallsPlace is the cursor that says how many bytes of the recall list this
// database knows of. A database put back from a backup knows of fewer.
const recallsPlace = "recall-list"

// recallsPath is the recall list: a file beside the database that no backup
// holds, one recall a line, only ever appended to. It can only take back: lines
// nobody ordered withdraw what could stay, and release nothing.
// A store on PostgreSQL has one only where Options.Recalls names it.
func (s *Store) recallsPath() string { return s.options.Recalls }

// ListRecall appends a line to the recall list, durably, and remembers it in
// the database with the act. It goes last in an act: one that does not commit
// after it is done again at the next start.
func (t *Tx) ListRecall(line []byte) error {
	if bytes.IndexByte(line, '\n') >= 0 {
		return noroshi.Errorf(noroshi.Invalid, "store.recall-line", "a line of the recall list has no line in it")
	}
	if t.s.recallsPath() == "" {
		return noroshi.Errorf(noroshi.Invalid, "store.recalls-nowhere", "this store was opened without a file for its recall list")
	}
	end, err := durable.Append("recall list", t.s.recallsPath(), line)
	if err != nil {
		return err
	}
	return t.SetCursor(recallsPlace, end)
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
	if s.recallsPath() == "" || errors.Is(err, fs.ErrNotExist) {
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
