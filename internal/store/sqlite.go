package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/durable"
	driver "modernc.org/sqlite" // registers itself
)

// file is a SQLite file. One process opens it for writing.
type file struct {
	path  string
	lock  io.Closer     // held while it is open for writing
	db    *sql.DB       // the writer's
	grown chan struct{} // holds one when something was committed since tend last looked
}

func (f *file) prepare(_ context.Context, look bool) (err error) {
	if look {
		if _, err := os.Stat(f.path); err != nil {
			return noroshi.Errorf(noroshi.NotFound, "store.none", "no database at %s", f.path)
		}
		return nil
	}
	if err := makePrivate(f.path); err != nil {
		return err
	}
	f.lock, err = lockFile(f.path, os.O_CREATE)
	return err
}

func (f *file) alone(_ *conn, fn func() error) error { return fn() }

func (f *file) writer(ctx context.Context) (c *conn, err error) {
	if f.db, err = openDB(f.path, "journal_mode(WAL)", "synchronous(FULL)", "wal_autocheckpoint(0)", "cache_size(-65536)", "temp_store(MEMORY)"); err != nil {
		return nil, err
	}
	return dial(ctx, f.db, &sqlite)
}

func (f *file) readers() (*pool, error) {
	db, err := openDB(f.path, "query_only(1)", "cache_size(-8192)", "temp_store(MEMORY)")
	if err != nil {
		return nil, err
	}
	return newPool(db, &sqlite), nil
}

// begin needs no count: nobody else writes.
func (f *file) begin(_ context.Context, c *conn, _ class) (int64, error) {
	_, err := c.exec(sqlite.begin)
	return -1, err
}

func (f *file) commit(c *conn, _ int64) error {
	_, err := c.exec("COMMIT")
	select {
	case f.grown <- struct{}{}:
	default:
	}
	return err
}

func (f *file) awaited(*conn) bool { return false }

// enlarge gives the writer 256 MB of cache instead of 64: each insert touches a
// page of every random-order index.
func (f *file) enlarge(c *conn) error {
	_, err := c.exec("PRAGMA cache_size = -262144")
	return err
}

func (f *file) rest(c *conn) error {
	_, err := c.c.ExecContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)")
	return err
}

func (f *file) close() (err error) {
	if f.db != nil {
		err = f.db.Close()
	}
	if f.lock != nil {
		f.lock.Close()
	}
	return err
}

// magic is how a SQLite file begins.
const magic = "SQLite format 3\x00"

// ours looks at the beginning of the file, unless there is a lock beside it: then
// this process may have it open, and closing it would end SQLite's own locks.
func (f *file) ours() error {
	fi, err := os.Stat(f.path)
	if err != nil {
		return nil // prepare says so
	}
	if !fi.Mode().IsRegular() {
		return notOurs(f.path)
	}
	if _, err := os.Lstat(f.path + ".lock"); err == nil {
		return nil
	}
	r, err := os.Open(f.path)
	if err != nil {
		return noroshi.Errorf(noroshi.Invalid, "store.unreadable", "%s cannot be read: %w", f.path, err)
	}
	defer r.Close()
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(r, head); err != nil || string(head) != magic {
		return notOurs(f.path)
	}
	return nil
}

// unused is told by the lock.
func (f *file) unused(context.Context, *conn) error { return nil }

// fill makes the file under another name and moves it in place when it is whole
// and on the disk. It needs no log until then.
func (f *file) fill(ctx context.Context, fn func(*conn) error) (err error) {
	if _, err := os.Lstat(f.path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, notEmpty(f.path))
	}
	part := f.path + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(part)
		}
	}()
	if err := makePrivate(part); err != nil {
		return err
	}
	if err := fillPart(ctx, part, fn); err != nil {
		return err
	}
	if err := durable.SyncPath(part); err != nil {
		return err
	}
	return durable.Move("database", part, f.path)
}

// dialFile is a connection to a file of its own, until done.
func dialFile(ctx context.Context, path string, pragmas ...string) (c *conn, done func(), err error) {
	db, err := openDB(path, pragmas...)
	if err != nil {
		return nil, nil, err
	}
	if c, err = dial(ctx, db, &sqlite); err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return c, func() { c.close(); db.Close() }, nil
}

func fillPart(ctx context.Context, part string, fn func(*conn) error) error {
	c, done, err := dialFile(ctx, part, "journal_mode(OFF)", "synchronous(OFF)", "cache_size(-262144)", "temp_store(MEMORY)")
	if err != nil {
		return err
	}
	defer done()
	if _, err := c.exec(sqlite.begin); err != nil {
		return err
	}
	if err := fn(c); err != nil {
		return err
	}
	_, err = c.exec("COMMIT")
	return err
}

// makePrivate makes a new database file that only this user may open; its log
// takes over the mode. Where there was one, as its lock tells, which is made
// after it, none is made in its place: it would be a node that forgot all. A
// file that is there is not touched: closing it would end SQLite's own locks.
func makePrivate(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := os.Stat(path + ".lock"); err == nil {
		return noroshi.Errorf(noroshi.Broken, "store.gone", "the database %s is gone: restore it from the backup", path)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// openDB makes the handle for a file with pragmas for each connection.
func openDB(path string, pragmas ...string) (*sql.DB, error) {
	q := url.Values{"_pragma": append([]string{"busy_timeout(10000)"}, pragmas...)}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetConnMaxLifetime(0)
	db.SetConnMaxIdleTime(0)
	return db, nil
}

// damaged reports whether SQLite found that a file is none of its own, or broken
// (SQLITE_NOTADB, SQLITE_CORRUPT).
func damaged(err error) bool {
	var e *driver.Error
	return errors.As(err, &e) && (e.Code()&0xff == 26 || e.Code()&0xff == 11)
}

// Bounds of the write-ahead log.
const (
	walCopy    = 64 << 20  // beyond it pages are copied back beside the writer
	walRestart = 256 << 20 // beyond it it starts anew as soon as nobody waits
	walLimit   = 1 << 30   // beyond it it starts anew whoever waits
	walTick    = 200 * time.Millisecond
)

// tend copies the write-ahead log back into the file from a
// connection of its own while writing goes on, and lets the log start anew
// when that holds up nobody: in the lane it would hold everybody for as long
// as the copying takes. It looks some time after something was committed, and
// goes on looking while the log is long.
func (f *file) tend(ctx context.Context, s *Store) {
	size, copied := int64(0), int64(0)
	for {
		if size < walCopy {
			select {
			case <-f.grown:
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-time.After(walTick):
		case <-ctx.Done():
			return
		}
		size = fileSize(f.path + "-wal")
		if size < walCopy {
			copied = 0
			continue
		}
		if size-copied >= walCopy {
			f.pragma(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
			copied = size
		}
		switch {
		case size >= walLimit:
			f.restartWAL(ctx, s, ordinary)
		case size >= walRestart && s.lane.idle():
			f.restartWAL(ctx, s, background)
		}
	}
}

// restartWAL copies what is left and empties the log, with the lane held.
func (f *file) restartWAL(ctx context.Context, s *Store, c class) {
	f.pragma(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
	if s.lane.enter(ctx, c) != nil {
		return
	}
	defer s.lane.leave()
	f.pragma(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
}

// pragma runs one on a connection of its own. A checkpoint that does not get
// through is tried again at the next tick.
func (f *file) pragma(ctx context.Context, q string) {
	c, err := f.db.Conn(ctx)
	if err != nil {
		return
	}
	defer c.Close()
	c.ExecContext(ctx, "PRAGMA busy_timeout = 50")
	c.ExecContext(ctx, q)
}

func fileSize(path string) int64 {
	st, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return st.Size()
}
