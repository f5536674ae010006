package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"time"

	driver "modernc.org/sqlite" // registers itself
)

// readers bounds how many reads run at once; more wait.
const readers = 6

// conn is one database connection with its prepared statements. It is used by
// one goroutine at a time.
type conn struct {
	c     *sql.Conn
	stmts map[string]*sql.Stmt
}

// dial opens one connection to a SQLite file. Waiting for other processes'
// locks is bounded by busy_timeout.
func dial(ctx context.Context, db *sql.DB) (*conn, error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{c, map[string]*sql.Stmt{}}, nil
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

func (c *conn) close() {
	for _, s := range c.stmts {
		s.Close()
	}
	c.c.Close()
}

func (c *conn) prepare(q string) (*sql.Stmt, error) {
	if s := c.stmts[q]; s != nil {
		return s, nil
	}
	s, err := c.c.PrepareContext(context.Background(), q)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", q, err)
	}
	c.stmts[q] = s
	return s, nil
}

// exec runs a statement that returns no rows.
func (c *conn) exec(q string, args ...any) (int64, error) {
	s, err := c.prepare(q)
	if err != nil {
		return 0, err
	}
	r, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, fmt.Errorf("execute %q: %w", q, err)
	}
	return r.RowsAffected()
}

// one scans the one row of a query; found is false when there is none.
func (c *conn) one(dest []any, q string, args ...any) (found bool, err error) {
	s, err := c.prepare(q)
	if err != nil {
		return false, err
	}
	switch err := s.QueryRowContext(context.Background(), args...).Scan(dest...); {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("query %q: %w", q, err)
	}
	return true, nil
}

// each calls fn for every row of a query; fn scans.
func (c *conn) each(ctx context.Context, fn func(*sql.Rows) error, q string, args ...any) error {
	s, err := c.prepare(q)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(context.Background(), args...)
	if err != nil {
		return fmt.Errorf("query %q: %w", q, err)
	}
	defer rows.Close()
	for i := 0; rows.Next(); i++ {
		if i&255 == 255 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := fn(rows); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("query %q: %w", q, err)
	}
	return nil
}

// to makes the arguments of one readable at the call.
func to(dest ...any) []any { return dest }

// pool hands out read connections.
type pool struct {
	db   *sql.DB
	free chan *conn // nil entries are connections not opened yet
}

func newPool(db *sql.DB) *pool {
	p := &pool{db: db, free: make(chan *conn, readers)}
	for range readers {
		p.free <- nil
	}
	return p
}

// read runs fn on one snapshot of the committed state.
func (p *pool) read(ctx context.Context, fn func(*conn) error) error {
	var c *conn
	select {
	case c = <-p.free:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { p.free <- c }()
	if err := ctx.Err(); err != nil {
		return err
	}
	if c == nil {
		n, err := dial(ctx, p.db)
		if err != nil {
			return fmt.Errorf("open read connection: %w", err)
		}
		c = n
	}
	if _, err := c.exec("BEGIN"); err != nil {
		return err
	}
	err := fn(c)
	if _, e := c.exec("ROLLBACK"); err == nil {
		err = e
	}
	return err
}

// close waits for running reads and closes every connection.
func (p *pool) close() error {
	for range readers {
		if c := <-p.free; c != nil {
			c.close()
		}
	}
	return p.db.Close()
}

// micros is a time as the database has it: whole microseconds since 1970 UTC.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// blob is b as a binary column: never NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
