// Package pg is a driver of database/sql for PostgreSQL, as a store with one
// writer needs it. It speaks the wire protocol through pgx's connection.
//
// What it gives beyond a usual driver: several results of one connection can
// be open at once, as with SQLite (each is a portal that is read in parts);
// rows that are only appended, and statements whose count nobody asks for, are
// held back and go out together with the next question, in one round trip.
//
// What it does not: it knows whole numbers, texts, bytes and booleans alone,
// and a connection is used by one goroutine at a time.
package pg

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// Connector opens connections of one configuration for database/sql.
type Connector struct{ Config *pgconn.Config }

// Connect opens a connection.
func (c Connector) Connect(ctx context.Context) (driver.Conn, error) { return Dial(ctx, c.Config) }

// Driver is there for database/sql; connections are opened by a Connector only.
func (c Connector) Driver() driver.Driver { return none{} }

type none struct{}

// Open refuses: there is no DSN of this driver.
func (none) Open(string) (driver.Conn, error) { return nil, errors.New("pg: use a Connector") }

// Conn is one connection.
type Conn struct {
	pc       *pgconn.PgConn
	stmts    map[string]*statement
	copies   []*copying // rows appended and not sent, by table
	byTable  map[string]*copying
	held     int    // bytes in copies and deferred
	deferred []byte // Bind and Execute of statements not sent
	runs     int    // how many
	closes   []byte // Close of portals done with
	portals  int    // names given so far
	free     []string
	failed   error // what the running transaction failed of
	within   bool  // a transaction has begun, or will with what is deferred
	unread   int   // rounds sent of which nobody read the answers yet
	used     time.Time
}

// Dial opens a connection that is no database/sql one: to listen on.
func Dial(ctx context.Context, config *pgconn.Config) (*Conn, error) {
	pc, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return &Conn{pc: pc, stmts: map[string]*statement{}, byTable: map[string]*copying{}}, nil
}

// Dead reports whether the connection was lost or closed.
func (c *Conn) Dead() bool { return c.pc.IsClosed() }

// IsValid tells database/sql not to keep a connection that was lost.
func (c *Conn) IsValid() bool { return !c.Dead() }

// Close ends the connection; what was held back is lost.
func (c *Conn) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return c.pc.Close(ctx)
}

// Begin is not used: a transaction begins by a statement.
func (c *Conn) Begin() (driver.Tx, error) { return nil, errors.New("pg: begin by a statement") }

// Prepare prepares a statement, once for a text.
func (c *Conn) Prepare(q string) (driver.Stmt, error) { return c.statement(q) }

// Script runs statements without arguments, several in one text.
func (c *Conn) Script(ctx context.Context, text string) error {
	if err := c.catchUp(); err != nil {
		return err
	}
	_, err := c.pc.Exec(ctx, text).ReadAll()
	return err
}

// Notified waits for a notification of a channel that is listened on.
func (c *Conn) Notified(ctx context.Context) error { return c.pc.WaitForNotification(ctx) }

// statement is a prepared statement; it lives as long as its connection.
type statement struct {
	c      *Conn
	name   string
	text   string
	params []uint32
	fields []pgconn.FieldDescription
}

func (c *Conn) statement(q string) (*statement, error) {
	if s := c.stmts[q]; s != nil {
		return s, nil
	}
	if err := c.catchUp(); err != nil {
		return nil, err
	}
	d, err := c.pc.Prepare(context.Background(), "s"+strconv.Itoa(len(c.stmts)), q, nil)
	if err != nil {
		return nil, err
	}
	s := &statement{c: c, name: d.Name, text: q, params: d.ParamOIDs, fields: d.Fields}
	c.stmts[q] = s
	return s, nil
}

// Close leaves the statement to its connection.
func (s *statement) Close() error { return nil }

// NumInput returns the number of parameters.
func (s *statement) NumInput() int { return len(s.params) }

// Exec and Query are the old forms, which database/sql does not use here.
func (s *statement) Exec([]driver.Value) (driver.Result, error) { return nil, driver.ErrSkip }
func (s *statement) Query([]driver.Value) (driver.Rows, error)  { return nil, driver.ErrSkip }

// ExecContext runs the statement after all that was held back.
func (s *statement) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if s.text == "ROLLBACK" {
		s.c.forget()
		s.c.failed = nil
	}
	switch {
	case s.text == "ROLLBACK", s.text == "COMMIT":
		defer func() { s.c.within = false }()
	case strings.HasPrefix(s.text, "BEGIN"):
		s.c.within = true
	}
	bound, err := s.bind(nil, "", args)
	if err != nil {
		return nil, err
	}
	tag, err := s.c.exchange(ctx, bound, nil)
	if err == nil && s.text == "COMMIT" && tag.String() != "COMMIT" {
		err = errors.New("transaction was not committed")
	}
	return driver.RowsAffected(tag.RowsAffected()), err
}

// QueryContext runs the statement after all that was held back.
func (s *statement) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	r := &rows{s: s, portal: s.c.portal(), size: firstRows}
	if !s.c.within {
		r.size = 0 // the portal ends with the round trip: all at once
	}
	bound, err := s.bindRows(nil, r.portal, args)
	if err != nil {
		return nil, err
	}
	return r, r.fetch(ctx, bound)
}

// Defer holds a statement back until the next one that is not: it runs before
// that, and its error is that one's. Its arguments are copied.
func (c *Conn) Defer(q string, args []driver.NamedValue) error {
	s, err := c.statement(q)
	if err != nil {
		return err
	}
	c.within = c.within || strings.HasPrefix(q, "BEGIN")
	n := len(c.deferred)
	if c.deferred, err = s.bind(c.deferred, "", args); err != nil {
		return err
	}
	c.runs++
	return c.hold(len(c.deferred) - n)
}

// Idle returns how long the connection has not been spoken on.
func (c *Conn) Idle() time.Duration { return time.Since(c.used) }

// Leave ends a transaction that only read, without waiting until it has.
func (c *Conn) Leave() error {
	c.forget()
	c.failed, c.within = nil, false
	s, err := c.statement("ROLLBACK")
	if err != nil {
		return err
	}
	bound, err := s.bind(nil, "", nil)
	if err != nil {
		return err
	}
	if err := c.send(bound); err != nil {
		return err
	}
	c.unread++
	return nil
}

// Bounds of what is held back: the server's answers to it must fit into the
// socket, for nobody reads them while it is being sent.
const (
	maxHeld = 4 << 20 // bytes
	maxRuns = 500     // statements
)

func (c *Conn) hold(n int) error {
	c.held += n
	if c.held < maxHeld && c.runs < maxRuns {
		return nil
	}
	return c.Flush(context.Background())
}

// Flush sends what was held back and waits until it is done.
func (c *Conn) Flush(ctx context.Context) error {
	if len(c.copies) == 0 && c.runs == 0 {
		return nil
	}
	_, err := c.exchange(ctx, nil, nil)
	return err
}

// forget drops what was held back.
func (c *Conn) forget() {
	for _, x := range c.copies {
		x.clear()
	}
	c.copies, c.deferred, c.runs, c.held = c.copies[:0], c.deferred[:0], 0, 0
}

// portal returns the name of a portal that is not in use.
func (c *Conn) portal() string {
	if n := len(c.free); n > 0 {
		name := c.free[n-1]
		c.free = c.free[:n-1]
		return name
	}
	c.portals++
	return "p" + strconv.Itoa(c.portals)
}

// closePortal gives a portal's name back; the server hears of it with the next
// message, before the name is used again.
func (c *Conn) closePortal(name string) {
	c.closes, _ = (&pgproto3.Close{ObjectType: 'P', Name: name}).Encode(c.closes)
	c.free = append(c.free, name)
}

// exchange sends what was held back and then last, and reads the answers. sink
// takes the rows of last; tag is that of last, empty when a portal has more.
func (c *Conn) exchange(ctx context.Context, last []byte, sink func([][]byte)) (tag pgconn.CommandTag, err error) {
	switch {
	case c.failed != nil:
		return tag, c.failed // until ROLLBACK
	case c.Dead():
		return tag, errors.New("connection to PostgreSQL is lost")
	}
	if err := c.catchUp(); err != nil {
		return tag, err
	}
	before := len(c.copies) + c.runs
	if ctx.Done() != nil {
		defer c.cancelWith(ctx)()
	}
	if err := c.send(last); err != nil {
		return tag, err
	}
	tag, err = c.answers(before, sink)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	if c.pc.TxStatus() == 'E' {
		c.failed = err
	}
	return tag, err
}

// catchUp reads answers that were left.
func (c *Conn) catchUp() error {
	for ; c.unread > 0; c.unread-- {
		if _, err := c.answers(0, nil); err != nil {
			return err
		}
	}
	return nil
}

// send sends what was held back and then last.
func (c *Conn) send(last []byte) (err error) {
	out := append(make([]byte, 0, c.held+len(last)+256), c.closes...)
	for _, x := range c.copies {
		if out, err = x.encode(out); err != nil {
			return err
		}
	}
	out = append(append(out, c.deferred...), last...)
	c.forget()
	c.closes, c.used = c.closes[:0], time.Now()
	if out, err = (&pgproto3.Sync{}).Encode(out); err != nil {
		return err
	}
	if _, err := c.pc.Conn().Write(out); err != nil {
		c.Close()
		return fmt.Errorf("send to PostgreSQL: %w", err)
	}
	return nil
}

// answers reads until the server is ready again.
func (c *Conn) answers(before int, sink func([][]byte)) (tag pgconn.CommandTag, err error) {
	for done := 0; ; {
		m, e := c.pc.ReceiveMessage(context.Background())
		if e != nil {
			c.Close()
			return tag, fmt.Errorf("receive from PostgreSQL: %w", e)
		}
		switch m := m.(type) {
		case *pgproto3.DataRow:
			if done == before && sink != nil {
				sink(m.Values)
			}
		case *pgproto3.CommandComplete:
			if done == before {
				tag = pgconn.NewCommandTag(string(m.CommandTag))
			}
			done++
		case *pgproto3.EmptyQueryResponse:
			done++
		case *pgproto3.ErrorResponse:
			if err == nil {
				err = pgconn.ErrorResponseToPgError(m)
			}
		case *pgproto3.ReadyForQuery:
			return tag, err
		}
	}
}

// cancelWith asks the server to give up when ctx ends; the returned function
// ends that.
func (c *Conn) cancelWith(ctx context.Context) func() {
	asked := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(asked)
		soon, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = c.pc.CancelRequest(soon) // without it the answer comes when it comes
	})
	return func() {
		if !stop() {
			<-asked
		}
	}
}

// Parameter returns what the server said of itself when it was connected to.
func (c *Conn) Parameter(name string) string { return c.pc.ParameterStatus(name) }

// Has reports whether a query without arguments gives a row.
func (c *Conn) Has(q string) (bool, error) {
	found := false
	err := c.ask(context.Background(), q, nil, func([][]byte) { found = true })
	return found, err
}

// Lock takes an advisory lock for as long as the connection lives: it waits for
// it, or reports whether it got it at once.
func (c *Conn) Lock(ctx context.Context, key int64, wait bool) (held bool, err error) {
	q := "SELECT pg_try_advisory_lock($1)"
	if wait {
		q = "SELECT true FROM pg_advisory_lock($1)"
	}
	err = c.ask(ctx, q, []driver.NamedValue{{Ordinal: 1, Value: key}}, func(row [][]byte) { held = row[0][0] == 1 })
	return held, err
}

// ask runs a query and gives its rows to sink, as the wire has them.
func (c *Conn) ask(ctx context.Context, q string, args []driver.NamedValue, sink func([][]byte)) error {
	s, err := c.statement(q)
	if err != nil {
		return err
	}
	bound, err := s.bind(nil, "", args)
	if err != nil {
		return err
	}
	_, err = c.exchange(ctx, bound, sink)
	return err
}
