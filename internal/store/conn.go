package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi/internal/store/pg"
)

// readers bounds how many reads run at once; more wait.
const readers = 6

// conn is one database connection with its prepared statements, of whichever
// engine. It is used by one goroutine at a time.
type conn struct {
	c     *sql.Conn
	d     *dialect
	stmts map[string]*sql.Stmt
	pg    *pg.Conn // the same connection on PostgreSQL, nil on SQLite

	// anew opens another connection while a read has had no answer on this one,
	// which may have been lost since the last; nil otherwise.
	anew func() (*conn, error)
}

// dial opens one connection.
func dial(ctx context.Context, db *sql.DB, d *dialect) (*conn, error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	x := &conn{c: c, d: d, stmts: map[string]*sql.Stmt{}}
	err = c.Raw(func(raw any) error { x.pg, _ = raw.(*pg.Conn); return nil })
	return x, err
}

// lost reports whether the connection has ended without being closed.
func (c *conn) lost() bool { return c.pg != nil && c.pg.Dead() }

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

// run is exec where nobody asks for the count: PostgreSQL runs it together with
// the next statement that is waited for, and its error is that one's.
func (c *conn) run(q string, args ...any) error {
	if c.pg == nil {
		_, err := c.exec(q, args...)
		return err
	}
	named := make([]driver.NamedValue, len(args))
	for i, a := range args {
		v, err := driver.DefaultParameterConverter.ConvertValue(a)
		if err != nil {
			return fmt.Errorf("execute %q: %w", q, err)
		}
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	if err := c.pg.Defer(q, named); err != nil {
		return fmt.Errorf("execute %q: %w", q, err)
	}
	return nil
}

// insert is a statement that adds a row to a table that no statement of the
// same transaction changes otherwise.
type insert struct {
	table   string
	columns []string
	text    string
}

func insertInto(table string, columns ...string) *insert {
	holes := make([]string, len(columns))
	for i := range holes {
		holes[i] = fmt.Sprintf("$%d", i+1)
	}
	return &insert{table, columns, fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", table, strings.Join(columns, ", "), strings.Join(holes, ", "))}
}

// append adds a row; PostgreSQL gets many of them at once, before the next
// statement that is waited for.
func (c *conn) append(i *insert, values ...any) error {
	if c.pg == nil {
		_, err := c.exec(i.text, values...)
		return err
	}
	return c.pg.Append(i.table, i.columns, values...)
}

// script runs a text of several statements.
func (c *conn) script(text string) error {
	if c.pg != nil {
		return c.pg.Script(context.Background(), text)
	}
	_, err := c.c.ExecContext(context.Background(), text)
	return err
}

// one scans the one row of a query; found is false when there is none.
func (c *conn) one(dest []any, q string, args ...any) (found bool, err error) {
	return c.await(context.Background(), dest, q, args...)
}

// await is one for a query that may have to wait: ctx ends the waiting.
func (c *conn) await(ctx context.Context, dest []any, q string, args ...any) (found bool, err error) {
	err = c.heard(func() error {
		s, err := c.prepare(q)
		if err != nil {
			return err
		}
		err = s.QueryRowContext(ctx, args...).Scan(dest...)
		switch found = err == nil; {
		case found, errors.Is(err, sql.ErrNoRows):
			return nil
		default:
			return fmt.Errorf("query %q: %w", q, err)
		}
	})
	return found, err
}

// query runs a query; its first rows, or that there are none, have been
// answered when it returns.
func (c *conn) query(q string, args ...any) (rows *sql.Rows, err error) {
	err = c.heard(func() error {
		s, err := c.prepare(q)
		if err != nil {
			return err
		}
		if rows, err = s.QueryContext(context.Background(), args...); err != nil {
			return fmt.Errorf("query %q: %w", q, err)
		}
		return nil
	})
	return rows, err
}

// once runs a query as query does, without keeping its statement.
func (c *conn) once(q string, args ...any) (rows *sql.Rows, err error) {
	err = c.heard(func() error {
		rows, err = c.c.QueryContext(context.Background(), q, args...)
		return err
	})
	return rows, err
}

// heard asks a question. The first of a read goes to another connection where
// this one proves to be lost: nothing has been read of its snapshot yet.
func (c *conn) heard(question func() error) error {
	err := question()
	anew := c.anew
	c.anew = nil
	if err == nil || anew == nil || !c.lost() {
		return err
	}
	x, err := anew()
	if err != nil {
		return err
	}
	c.close()
	*c = *x
	if err := c.enter(); err != nil {
		return err
	}
	return question()
}

// each calls fn for every row of a query; fn scans.
func (c *conn) each(ctx context.Context, fn func(*sql.Rows) error, q string, args ...any) error {
	rows, err := c.query(q, args...)
	if err != nil {
		return err
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

// pool hands out read connections: the one that was used last, since it has its
// statements prepared and its pages at hand.
type pool struct {
	db    *sql.DB
	d     *dialect
	turns chan struct{} // full while as many read as may
	shut  chan struct{} // closed when nothing is read any more

	mu   sync.Mutex // guards idle
	idle []*conn    // open and not in use, the last used last
}

func newPool(db *sql.DB, d *dialect) *pool {
	return &pool{db: db, d: d, turns: make(chan struct{}, readers), shut: make(chan struct{})}
}

// take returns an idle connection, nil where there is none.
func (p *pool) take() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle) - 1
	if n < 0 {
		return nil
	}
	c := p.idle[n]
	p.idle = p.idle[:n]
	return c
}

// give takes a connection back; one that was lost is closed.
func (p *pool) give(c *conn) {
	switch {
	case c == nil:
	case c.lost():
		c.close()
	default:
		p.mu.Lock()
		p.idle = append(p.idle, c)
		p.mu.Unlock()
	}
}

// read runs fn on one snapshot of the committed state.
func (p *pool) read(ctx context.Context, fn func(*conn) error) error {
	select {
	case p.turns <- struct{}{}:
		defer func() { <-p.turns }()
	case <-p.shut:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	c, err := p.begun(ctx, p.take())
	defer func() { p.give(c) }()
	if err != nil {
		return err
	}
	err = fn(c)
	if e := c.leave(); err == nil {
		err = e
	}
	return err
}

// begun starts a read on a connection, on a new one where it has none or the
// one it has was lost since the last read.
func (p *pool) begun(ctx context.Context, c *conn) (*conn, error) {
	if c != nil {
		c.anew = func() (*conn, error) { return p.dial(ctx) }
		err := c.enter()
		if err == nil || !c.lost() {
			return c, err
		}
		c.close()
	}
	c, err := p.dial(ctx)
	if err != nil {
		return nil, err
	}
	return c, c.enter()
}

func (p *pool) dial(ctx context.Context) (*conn, error) {
	c, err := dial(ctx, p.db, p.d)
	if err != nil {
		return nil, fmt.Errorf("open read connection: %w", err)
	}
	return c, nil
}

// fresh is how long a connection that was spoken on is taken to live.
const fresh = time.Second

// enter starts a read; on PostgreSQL together with its first question, where
// the connection can be taken to live.
func (c *conn) enter() error {
	if c.pg != nil && c.pg.Idle() < fresh {
		return c.run(c.d.beginRead)
	}
	_, err := c.exec(c.d.beginRead)
	return err
}

// atOnce runs fn, which only reads, on one committed state: whoever looks beside a
// writer must not take half of an act of its for harm.
func (c *conn) atOnce(fn func() error) (err error) {
	if err := c.enter(); err != nil {
		return err
	}
	defer func() {
		if e := c.leave(); err == nil {
			err = e
		}
	}()
	return fn()
}

// leave ends a read.
func (c *conn) leave() error {
	if c.pg != nil {
		return c.pg.Leave()
	}
	_, err := c.exec("ROLLBACK")
	return err
}

// close waits for running reads and closes every connection.
func (p *pool) close() error {
	close(p.shut)
	for range readers {
		p.turns <- struct{}{} // and keep it: nothing is read after
	}
	for c := p.take(); c != nil; c = p.take() {
		c.close()
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
