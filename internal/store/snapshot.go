package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/durable"
	sqlitedriver "modernc.org/sqlite"
)

// Snapshot writes what is committed now into a new SQLite file of this realm,
// while others go on reading and writing: nobody waits for it. A realm on
// PostgreSQL becomes a file too, read back and compared as Copy does. What
// fails leaves nothing.
func (s *Store) Snapshot(ctx context.Context, path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, notEmpty(path))
	}
	if err := s.engine.(copies).snapshot(ctx, s, path); err != nil {
		return errors.Join(s.snapshotFailed(path, err), removeSnapshot(path))
	}
	return nil
}

// sqliteReads are the results of SQLite that say a file could not be read.
var sqliteReads = []int{sqliteIOErr | 1<<8, sqliteIOErr | 2<<8}

// snapshotFailed says which disk failed. Where it is that of the new file the node
// goes on: nothing of its own is in doubt.
func (s *Store) snapshotFailed(path string, err error) error {
	var lite *sqlitedriver.Error
	switch {
	case noroshi.CodeOf(err) != "internal":
		return err
	case errors.As(err, &lite) && slices.Contains(sqliteReads, lite.Code()):
		return s.explain(err)
	case lite != nil && slices.Contains([]int{sqliteIOErr, sqliteFull, sqliteCantOpen}, lite.Code()&0xff):
		return noroshi.Errorf(noroshi.Other, "disk.write", "%s cannot be written: %w", path, err)
	}
	return fmt.Errorf("snapshot of %s: %w", s.path, err)
}

func removeSnapshot(path string) (err error) {
	for _, end := range []string{"", "-journal", "-wal", "-shm", ".part"} {
		if e := os.Remove(path + end); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// snapshotPages is how many pages are copied before the context is looked at:
// some 16 MiB.
const snapshotPages = 4096

// snapshot copies pages by SQLite's online backup. The read transaction it is
// made in keeps to one committed state, so it does not begin anew when somebody
// writes; the log grows meanwhile, and is copied back afterwards.
func (f *file) snapshot(ctx context.Context, _ *Store, path string) error {
	if err := makePrivate(path); err != nil {
		return err
	}
	c, done, err := dialFile(ctx, f.path, "query_only(1)")
	if err != nil {
		return err
	}
	defer done()
	if _, err := c.exec(sqlite.beginRead); err != nil {
		return err
	}
	defer c.exec("ROLLBACK")
	if _, err := c.one(to(new(int64)), "SELECT count(*) FROM meta"); err != nil { // the state is that of the first read
		return err
	}
	err = c.c.Raw(func(raw any) error {
		online, ok := raw.(interface {
			NewBackup(string) (*sqlitedriver.Backup, error)
		})
		if !ok {
			return driver.ErrSkip
		}
		b, err := online.NewBackup((&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}).String())
		if err != nil {
			return err
		}
		for more := true; more && err == nil; {
			if more, err = b.Step(snapshotPages); err == nil {
				err = ctx.Err()
			}
		}
		return errors.Join(err, b.Finish())
	})
	if err != nil {
		return err
	}
	return durable.SyncPath(path)
}

// snapshot copies the rows of one committed state into a file.
func (d *database) snapshot(ctx context.Context, s *Store, path string) error {
	other := &database{config: d.config, schema: d.schema}
	c, err := other.writer(ctx)
	if err != nil {
		return errors.Join(err, other.close())
	}
	defer other.close()
	defer c.close()
	if _, err := c.exec(postgres.beginRead); err != nil {
		return err
	}
	defer c.exec("ROLLBACK")
	source := &Store{options: s.options, path: s.path, engine: other, seed: s.seed, w: c}
	return (&file{path: path}).fill(ctx, func(target *conn) error {
		_, err := copyAll(ctx, source, target, func(string, int64) {})
		return err
	})
}

// Lock keeps every other process from opening the SQLite file at path for
// writing, whether it is there or not, until it is closed; Busy when one has it.
func Lock(path string) (io.Closer, error) { return lockFile(path, os.O_CREATE) }

// LockThere is Lock where the lock's file is there already; fs.ErrNotExist when it
// is not.
func LockThere(path string) (io.Closer, error) { return lockFile(path, 0) }
