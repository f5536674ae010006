package store

import (
	"errors"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/noroshi-cti/noroshi"
	driver "modernc.org/sqlite"
)

// Results of SQLite that speak of the disk, without their details: I/O error, no
// room, a file that cannot be opened.
const (
	sqliteIOErr    = 10
	sqliteFull     = 13
	sqliteCantOpen = 14
)

// pgDiskFull is SQLSTATE disk_full.
const pgDiskFull = "53100"

// explain tells a failure of the disk from others: the operator can mend it, and
// nothing that was confirmed is touched by it.
func (s *Store) explain(err error) error {
	var lite *driver.Error
	var pg *pgconn.PgError
	switch {
	case noroshi.CodeOf(err) != "internal": // none, or it is explained
		return err
	case errors.As(err, &pg) && pg.Code == pgDiskFull, errors.As(err, &lite) && lite.Code()&0xff == sqliteFull:
		return noroshi.Errorf(noroshi.Other, "store.full", "the disk of %s is full: %w", s.path, err)
	case lite != nil && (lite.Code()&0xff == sqliteIOErr || lite.Code()&0xff == sqliteCantOpen):
		return noroshi.Errorf(noroshi.Other, "store.disk", "%s cannot be read or written on its disk: %w", s.path, err)
	}
	return err
}

// failure is what ended writing.
type failure struct {
	mu   sync.Mutex // guards err
	err  error
	told chan struct{} // closed when there is one
}

// Failed is closed when the disk of a SQLite file failed in a write. What it has
// of that write is not known until the file is opened again: nothing is written
// any more, and the process should end.
func (s *Store) Failed() <-chan struct{} { return s.failure.told }

// Failure returns why nothing is written any more, nil while all is well.
func (s *Store) Failure() error {
	s.failure.mu.Lock()
	defer s.failure.mu.Unlock()
	return s.failure.err
}

// failed explains the error of a write, and ends writing where the disk failed.
func (s *Store) failed(err error) error {
	err = s.explain(err)
	var lite *driver.Error
	if code := noroshi.CodeOf(err); code != "store.disk" && code != "store.full" || !errors.As(err, &lite) {
		return err
	}
	s.failure.mu.Lock()
	defer s.failure.mu.Unlock()
	if s.failure.err == nil {
		s.failure.err = err
		close(s.failure.told)
	}
	return err
}
