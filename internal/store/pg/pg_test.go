package pg_test

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/noroshi-cti/noroshi/internal/store/pg"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
)

// open opens a database/sql connection and what lies under it, with a schema of
// its own.
func open(t *testing.T) (*sql.Conn, *pg.Conn) {
	t.Helper()
	config, err := pgconn.ParseConfig(storetest.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(pg.Connector{Config: config})
	t.Cleanup(func() { db.Close() })
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	var raw *pg.Conn
	if err := c.Raw(func(d any) error { raw = d.(*pg.Conn); return nil }); err != nil {
		t.Fatal(err)
	}
	run(t, c, "CREATE SCHEMA "+config.RuntimeParams["search_path"])
	run(t, c, "CREATE TABLE item (n BIGINT PRIMARY KEY, name TEXT NOT NULL, body BYTEA)")
	return c, raw
}

func run(t *testing.T, c *sql.Conn, q string, args ...any) {
	t.Helper()
	if _, err := c.ExecContext(t.Context(), q, args...); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, c *sql.Conn) (n int) {
	t.Helper()
	if err := c.QueryRowContext(t.Context(), "SELECT count(*) FROM item").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

var columns = []string{"n", "name", "body"}

// Results of one connection stand open side by side, each of more rows than are
// read at once, while others are asked and written.
func TestResultsSideBySide(t *testing.T) {
	t.Parallel()
	c, raw := open(t)
	run(t, c, "BEGIN")
	const n = 3000
	for i := range n {
		if err := raw.Append("item", columns, i, fmt.Sprint("name ", i), bytes.Repeat([]byte{byte(i)}, i%700)); err != nil {
			t.Fatal(err)
		}
	}
	rows := make([]*sql.Rows, 3)
	for i := range rows {
		var err error
		if rows[i], err = c.QueryContext(t.Context(), "SELECT n, name, body FROM item WHERE n % 3 >= $1 OR n >= 0 ORDER BY n", i); err != nil {
			t.Fatal(err)
		}
	}
	for k := range n {
		for i, r := range rows {
			var at int
			var name string
			var body sql.RawBytes
			if !r.Next() {
				t.Fatalf("result %d ends at %d: %v", i, k, r.Err())
			}
			if err := r.Scan(&at, &name, &body); err != nil {
				t.Fatal(err)
			}
			if at != k || name != fmt.Sprint("name ", k) || len(body) != k%700 || bytes.Count(body, []byte{byte(k)}) != len(body) {
				t.Fatalf("result %d: row %d is %d %q with %d bytes", i, k, at, name, len(body))
			}
		}
		if k%500 == 0 {
			run(t, c, "UPDATE item SET name = name WHERE n = $1", k)
		}
	}
	for _, r := range rows {
		if r.Next() || r.Err() != nil {
			t.Errorf("more rows, or %v", r.Err())
		}
	}
	run(t, c, "COMMIT")
	if got := count(t, c); got != n {
		t.Errorf("%d rows, want %d", got, n)
	}
}

// What is held back is done before the next statement, in order, and its fault
// is that one's, and every later one's until the transaction ends.
func TestHeldBack(t *testing.T) {
	t.Parallel()
	c, raw := open(t)
	args := func(v ...any) (list []driver.NamedValue) {
		for i, x := range v {
			list = append(list, driver.NamedValue{Ordinal: i + 1, Value: x})
		}
		return list
	}
	run(t, c, "BEGIN")
	if err := errors.Join(
		raw.Defer("UPDATE item SET name = name || $1", args("!")), // after the rows below
		raw.Append("item", columns, 1, "", nil),
		raw.Append("item", columns, 2, "two", []byte{}),
	); err != nil {
		t.Fatal(err)
	}
	var name string
	var body []byte
	if err := c.QueryRowContext(t.Context(), "SELECT name, body FROM item WHERE n = 1").Scan(&name, &body); err != nil || name != "!" || body != nil {
		t.Errorf("got %q, %v, %v", name, body, err)
	}
	if err := c.QueryRowContext(t.Context(), "SELECT body FROM item WHERE n = 2").Scan(&body); err != nil || body == nil || len(body) > 0 {
		t.Errorf("an empty value is %v, %v", body, err)
	}
	run(t, c, "COMMIT")
	run(t, c, "BEGIN")
	if err := raw.Append("item", columns, 2, "twice", nil); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"UPDATE item SET name = 'x'", "COMMIT"} {
		if _, err := c.ExecContext(t.Context(), q); err == nil || !strings.Contains(err.Error(), "item_pkey") {
			t.Errorf("%s after a row that is there: %v", q, err)
		}
	}
	run(t, c, "ROLLBACK")
	run(t, c, "BEGIN")
	if err := raw.Append("item", columns, 3, "forgotten", nil); err != nil {
		t.Fatal(err)
	}
	run(t, c, "ROLLBACK")
	if got := count(t, c); got != 2 {
		t.Errorf("%d rows, want 2", got)
	}
	for _, bad := range [][]any{{"1", "text for a number", nil}, {5, 2, nil}, {1.5, "x", nil}} {
		if err := raw.Append("item", columns, bad...); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
	if err := raw.Append("item", columns, 4, "after bad ones", nil); err != nil {
		t.Fatal(err)
	}
	if got := count(t, c); got != 3 {
		t.Errorf("%d rows, want 3", got)
	}
}

// A statement that waits ends with its context, and the connection goes on.
func TestWaitingEnds(t *testing.T) {
	t.Parallel()
	c, _ := open(t)
	_, other := open(t)
	if held, err := other.Lock(t.Context(), 77_001, true); !held || err != nil {
		t.Fatal(held, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go cancel()
	if _, err := c.ExecContext(ctx, "SELECT pg_advisory_lock($1)", 77_001); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	if got := count(t, c); got != 0 {
		t.Errorf("%d rows, want none", got)
	}
}
