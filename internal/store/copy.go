package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/ledger"
)

// Copied says what a copy holds; the same of its source.
type Copied struct {
	Acts   uint64       // in the node's ledger
	Head   noroshi.Hash // its root
	Tables []CopiedTable
}

// CopiedTable is one table: its rows, and the SHA-256 over all of them in the
// order of its key, which is the same on either engine.
type CopiedTable struct {
	Name string
	Rows int64
	Sum  noroshi.Hash
}

// Copy copies a realm from one place to another, of either engine: every row of
// evidence with its act, the ledger, and what is derived; full text is made
// anew. Nobody may have the source open for writing, and nobody writes to it
// meanwhile; it stays as it is. The target must be new, or an empty schema, and
// is there whole or not at all. In the end the copy is read back and compared
// with the source, table by table and by the head of the ledger.
//
// progress may be nil; it gets the table that is being copied and how many of
// its rows are.
func Copy(ctx context.Context, from, to string, r noroshi.Realm, progress func(table string, rows int64)) (Copied, error) {
	if progress == nil {
		progress = func(string, int64) {}
	}
	source, err := at(from, Options{Realm: r})
	if err != nil {
		return Copied{}, err
	}
	target, err := at(to, Options{Realm: r})
	if err != nil {
		return Copied{}, err
	}
	var out Copied
	err = source.still(ctx, func() error {
		return target.engine.(copies).fill(ctx, func(c *conn) (err error) {
			out, err = copyAll(ctx, source, c, progress)
			return err
		})
	})
	if damaged(err) {
		return Copied{}, noroshi.Errorf(noroshi.Broken, "store.damaged", "%s is no database or is damaged: %w", source.path, err)
	}
	if err != nil {
		return Copied{}, fmt.Errorf("copy %s to %s: %w", source.path, target.path, err)
	}
	return out, nil
}

// copies is what an engine gives for a copy.
type copies interface {
	// ours refuses a place that is none of a realm, as far as that can be told
	// without opening it.
	ours() error
	// unused refuses a place that another process has open.
	unused(ctx context.Context, c *conn) error
	// fill makes the place and runs fn in one transaction on it. What fails
	// leaves nothing.
	fill(ctx context.Context, fn func(*conn) error) error
	// snapshot makes a SQLite file of what is committed, beside writers.
	snapshot(ctx context.Context, s *Store, path string) error
}

// still opens the store enough to be read, with nobody writing.
func (s *Store) still(ctx context.Context, fn func() error) (err error) {
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.engine.(copies).ours(); err != nil {
		return err
	}
	for _, look := range []bool{true, false} { // nothing is made where nothing is
		if err := s.engine.prepare(ctx, look); err != nil {
			return err
		}
	}
	if s.w, err = s.engine.writer(ctx); err != nil {
		return err
	}
	if err := s.engine.(copies).unused(ctx, s.w); err != nil {
		return err
	}
	return s.engine.alone(s.w, func() error {
		switch schema, err := s.w.d.version(s.w); {
		case err != nil:
			return err
		case schema == 0:
			return notOurs(s.path)
		}
		if err := s.w.d.migrate(s.w, true); err != nil {
			return err
		}
		s.options.ReadOnly = true
		if err := s.identify(); err != nil {
			return err
		}
		return s.w.atOnce(fn)
	})
}

func notOurs(place string) error {
	return noroshi.Errorf(noroshi.Invalid, "store.not-ours", "%s is no database of a realm of noroshi", place)
}

// copyAll copies a realm into an empty database.
func copyAll(ctx context.Context, s *Store, c *conn, progress func(string, int64)) (out Copied, err error) {
	steps, err := c.d.migrations()
	if err != nil {
		return out, err
	}
	for _, m := range steps {
		if err := c.d.step(c, m); err != nil {
			return out, err
		}
	}
	if err := copyMeta(ctx, s.w, c); err != nil {
		return out, err
	}
	names, err := tableNames(ctx, s.w)
	if err != nil {
		return out, err
	}
	if there, err := tableNames(ctx, c); err != nil || !slices.Equal(names, there) {
		return out, errors.Join(err, fmt.Errorf("tables %v are not %v", there, names))
	}
	for _, name := range names {
		t, err := copyTable(ctx, s.w, c, name, progress)
		if err != nil {
			return out, fmt.Errorf("table %s: %w", name, err)
		}
		out.Tables = append(out.Tables, t)
	}
	progress("fts", 0)
	if err := copyWords(ctx, s, c); err != nil {
		return out, err
	}
	return out, out.compare(ctx, s.w, c)
}

func copyMeta(ctx context.Context, from, to *conn) error {
	return from.each(ctx, func(rows *sql.Rows) error {
		var k string
		var v []byte
		if err := rows.Scan(&k, &v); err != nil {
			return err
		}
		return to.run("INSERT INTO meta (k, v) VALUES ($1, $2)", k, blob(v))
	}, "SELECT k, v FROM meta WHERE k <> 'schema'")
}

func tableNames(ctx context.Context, c *conn) (names []string, err error) {
	return c.column(ctx, c.d.tables)
}

// column returns the texts a query gives.
func (c *conn) column(ctx context.Context, q string, args ...any) (list []string, err error) {
	err = c.each(ctx, func(rows *sql.Rows) error {
		var s string
		err := rows.Scan(&s)
		list = append(list, s)
		return err
	}, q, args...)
	return list, err
}

// copyWords makes the full-text index up to where it was.
func copyWords(ctx context.Context, s *Store, c *conn) error {
	var done int64
	if _, err := s.w.one(to(&done), "SELECT seq FROM cursor WHERE follower = $1", textCursor); err != nil {
		return err
	}
	return s.w.each(ctx, func(rows *sql.Rows) error {
		var seq int64
		var words string
		if err := rows.Scan(&seq, &words); err != nil {
			return err
		}
		return c.d.words.put(s, c, seq, tokens(words))
	}, "SELECT seq, words FROM object WHERE seq <= $1 AND words <> '' ORDER BY seq", done)
}

// shape is a table's columns; which are whole numbers, and which texts where
// the engine tells them from bytes.
type shape struct {
	name    string
	columns []string
	kinds   []string
	order   []string
}

func shapeOf(ctx context.Context, c *conn, name string) (t shape, err error) {
	t.name = name
	if t.order, err = c.column(ctx, c.d.keys, name); err != nil {
		return t, err
	}
	rows, err := c.c.QueryContext(ctx, "SELECT * FROM "+name+" LIMIT 0")
	if err != nil {
		return t, err
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	for _, x := range types {
		t.columns, t.kinds = append(t.columns, x.Name()), append(t.kinds, x.DatabaseTypeName())
	}
	return t, err
}

// each calls fn for every row in the order of the key. Values are int64 and
// []byte, valid during the call, and enter the sum.
func (t shape) each(ctx context.Context, c *conn, fn func(values []any) error) (CopiedTable, error) {
	sum := sha256.New()
	out := CopiedTable{Name: t.name}
	ints, raws := make([]int64, len(t.columns)), make([]sql.RawBytes, len(t.columns))
	dest, values := make([]any, len(t.columns)), make([]any, len(t.columns))
	for i, k := range t.kinds {
		if dest[i] = &raws[i]; k == "INTEGER" {
			dest[i] = &ints[i]
		}
	}
	err := c.each(ctx, func(rows *sql.Rows) error {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		for i, k := range t.kinds {
			if k == "INTEGER" {
				values[i] = ints[i]
				addInt(sum, ints[i])
				continue
			}
			values[i] = blob(raws[i])
			addInt(sum, int64(len(raws[i])))
			sum.Write(raws[i])
		}
		out.Rows++
		return fn(values)
	}, "SELECT "+strings.Join(t.columns, ", ")+" FROM "+t.name+" ORDER BY "+strings.Join(t.order, ", "))
	out.Sum = noroshi.Hash(sum.Sum(nil))
	return out, err
}

func addInt(h hash.Hash, v int64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(v))
	h.Write(b[:])
}

// copyTable copies a table and compares what was written with what was read.
func copyTable(ctx context.Context, from, to *conn, name string, progress func(string, int64)) (CopiedTable, error) {
	src, err := shapeOf(ctx, from, name)
	if err != nil {
		return CopiedTable{}, err
	}
	dst, err := shapeOf(ctx, to, name)
	if err != nil {
		return CopiedTable{}, err
	}
	if !slices.Equal(src.columns, dst.columns) || !slices.Equal(src.order, dst.order) {
		return CopiedTable{}, fmt.Errorf("columns %v with key %v are not %v with key %v", dst.columns, dst.order, src.columns, src.order)
	}
	add := insertInto(name, dst.columns...)
	n := int64(0)
	read, err := src.each(ctx, from, func(values []any) error {
		for i, k := range dst.kinds {
			if b, ok := values[i].([]byte); ok && k == "TEXT" {
				values[i] = string(b)
			}
		}
		if n++; n%10_000 == 1 {
			progress(name, n)
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		return to.append(add, values...)
	})
	if err != nil {
		return read, err
	}
	written, err := dst.each(ctx, to, func([]any) error { return nil })
	if err == nil && written != read {
		err = noroshi.Errorf(noroshi.Broken, "store.copy-differs", "the copy has %d rows with SHA-256 %s, the source %d with %s", written.Rows, written.Sum, read.Rows, read.Sum)
	}
	return read, err
}

// compare compares the heads of the two ledgers.
func (out *Copied) compare(ctx context.Context, from, to *conn) error {
	var heads [2]noroshi.Hash
	for i, c := range []*conn{from, to} {
		n, err := treeSize(c, 0)
		if err != nil {
			return err
		}
		t, err := ledger.OpenTree(n, hashReader(c, 0))
		if err != nil {
			return noroshi.Errorf(noroshi.Broken, "store.tree", "open ledger tree %d of %d leaves: %w", 0, n, err)
		}
		heads[i], out.Acts = noroshi.Hash(t.Root()), n
	}
	out.Head = heads[0]
	if heads[0] != heads[1] {
		return noroshi.Errorf(noroshi.Broken, "store.copy-head", "the ledger of the copy ends in %s, that of the source in %s", heads[1], heads[0])
	}
	return ctx.Err()
}

// notEmpty refuses a place that has something.
func notEmpty(place string) error {
	return noroshi.Errorf(noroshi.Conflict, "store.copy-target", "%s is not empty: a copy goes to a new place only", place)
}

// goneAfter is how long a process that has ended may still be seen.
const goneAfter = 2 * time.Second

// ours is told when it is open.
func (d *database) ours() error { return nil }

func (d *database) unused(ctx context.Context, c *conn) error {
	for start := time.Now(); ; {
		var others int
		if _, err := c.await(ctx, to(&others), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = current_setting('application_name') AND pid <> pg_backend_pid()`); err != nil {
			return err
		}
		switch {
		case others == 0:
			return nil
		case time.Since(start) > goneAfter:
			return noroshi.Errorf(noroshi.Busy, "store.in-use", "other processes have %s open: stop them first", d.String())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// fill makes the schema and all in it in one transaction.
func (d *database) fill(ctx context.Context, fn func(*conn) error) error {
	c, err := d.writer(ctx)
	if err != nil {
		return err
	}
	defer func() {
		c.exec("ROLLBACK")
		c.close()
		d.close()
	}()
	if _, err := c.exec(postgres.begin); err != nil {
		return err
	}
	if _, err := c.exec("SELECT pg_advisory_xact_lock($1)", d.key("lane")); err != nil {
		return err
	}
	var tables int64
	found, err := c.one(to(&tables), "SELECT (SELECT count(*) FROM pg_class c WHERE c.relnamespace = n.oid) FROM pg_namespace n WHERE nspname = $1", d.schema)
	switch {
	case err != nil:
		return err
	case tables > 0:
		return notEmpty(d.String())
	case !found:
		if err := c.script(`CREATE SCHEMA "` + d.schema + `"`); err != nil {
			return err
		}
	}
	if err := fn(c); err != nil {
		return err
	}
	_, err = c.exec("COMMIT")
	return err
}
