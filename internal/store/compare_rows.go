package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strconv"
)

// A derived table is first compared by the sum of its rows, in memory that does not
// grow with it. Where the sums differ it is read once more, row by row, so that what
// is told names the rows: what they stand for, or that they stand for nothing.

// row is one row of a derived table as it is, or as it must be: its keyed hash, and
// what it stands for.
type row struct {
	hash uint64
	name func() string
}

// rowsOf gives every row of a table to fn.
type rowsOf func(fn func(row)) error

// maxNamed bounds the rows of one table that are named of either kind.
const maxNamed = 10

// same reports whether a table is what it must be.
func same(have, want rowsOf) (bool, error) {
	var is, must sumOf
	err := want(func(r row) { must.add(r.hash) })
	if err == nil {
		err = have(func(r row) { is.add(r.hash) })
	}
	return is == must, err
}

// table compares a table with what it must hold.
func (p *replay) table(table string, have, want rowsOf, differs differ) error {
	if ok, err := same(have, want); ok || err != nil {
		return err
	}
	return name(table, have, want, differs)
}

// name says which rows of a table that differs are missing in it, and which are
// others than the record gives.
func name(table string, have, want rowsOf, differs differ) error {
	left := map[uint64]string{}
	if err := want(func(r row) { left[r.hash] = r.name() }); err != nil {
		return err
	}
	wrong := 0
	tell := func(what, format string) {
		if wrong++; wrong <= maxNamed {
			differs("row", table, format, what)
		}
	}
	if err := have(func(r row) {
		if _, there := left[r.hash]; !there {
			tell(r.name(), "%s: the record does not give it so")
		}
		delete(left, r.hash)
	}); err != nil {
		return err
	}
	names := slices.Sorted(maps.Values(left))
	for _, what := range names[:min(len(names), maxNamed)] {
		differs("row-missing", table, "%s: what the record gives is not there", what)
	}
	if more := max(wrong-maxNamed, 0) + max(len(names)-maxNamed, 0); more > 0 {
		differs("more", table, "%d more rows differ", more)
	}
	return nil
}

// called is a row by the numbers and texts that make it, and its name.
func (p *replay) called(name func() string, parts ...any) row {
	var h maphash.Hash
	h.SetSeed(p.seed)
	var n [8]byte
	for _, x := range parts {
		switch x := x.(type) {
		case int64:
			binary.BigEndian.PutUint64(n[:], uint64(x))
			h.Write(n[:])
		case string:
			binary.BigEndian.PutUint64(n[:], uint64(len(x)))
			h.Write(n[:])
			h.WriteString(x)
		default:
			panic(fmt.Sprintf("store: a %T in a row", x))
		}
	}
	return row{h.Sum64(), name}
}

// derived reads a derived table; scan makes a row of a row.
func derived(ctx context.Context, c *conn, query string, scan func(*sql.Rows) (row, error)) rowsOf {
	return func(fn func(row)) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			r, err := scan(rows)
			if err == nil {
				fn(r)
			}
			return err
		}, query)
	}
}

// headRow is the place of an id: its first version, and the current one.
func (p *replay) headRow(h, first, current int64) row {
	return p.called(func() string { return fmt.Sprintf("the place of version %d, with version %d current", first, current) }, "head", h, first, current)
}

// compareHeads compares the places of ids, the lists of their versions, and marks.
func (p *replay) compareHeads(ctx context.Context, c *conn, currents map[int64]int64, differs differ) error {
	placed, all := 0, 0
	have := derived(ctx, c, "SELECT h, first, current FROM head", func(rows *sql.Rows) (row, error) {
		var h, first, current int64
		err := rows.Scan(&h, &first, &current)
		all++
		if _, there := p.heads[h]; there {
			placed++
		}
		return p.headRow(h, first, current), err
	})
	want := func(fn func(row)) error {
		for h, first := range p.heads {
			current, changed := currents[h]
			if !changed {
				current = first
			}
			fn(p.headRow(h, first, current))
		}
		return nil
	}
	ok, err := same(have, want)
	switch {
	case err == nil && !ok && all > 0 && placed == 0:
		differs("seed", "meta", "seed: no id is where the seed puts it: it is another than the tables were made with")
		return nil
	case err == nil && !ok:
		err = name("head", have, want, differs)
	}
	if err != nil {
		return err
	}
	version := func(h, seq int64) row {
		return p.called(func() string { return fmt.Sprintf("version %d in the list of its id", seq) }, "version", h, seq)
	}
	err = p.table("version", derived(ctx, c, "SELECT h, seq FROM version", func(rows *sql.Rows) (row, error) {
		var h, seq int64
		err := rows.Scan(&h, &seq)
		return version(h, seq), err
	}), func(fn func(row)) error {
		for h, list := range p.later {
			for _, seq := range list {
				fn(version(h, seq))
			}
		}
		return nil
	}, differs)
	if err != nil {
		return err
	}
	mark := func(seq, bits int64) row {
		return p.called(func() string { return fmt.Sprintf("the mark of version %d", seq) }, "mark", seq, bits)
	}
	return p.table("mark", derived(ctx, c, "SELECT seq, bits FROM mark", func(rows *sql.Rows) (row, error) {
		var seq, bits int64
		err := rows.Scan(&seq, &bits)
		return mark(seq, bits), err
	}), func(fn func(row)) error {
		for seq, m := range p.marks {
			if m != 0 {
				fn(mark(seq, int64(m)))
			}
		}
		return nil
	}, differs)
}

// entryOf is an entry of an index that a version gives.
func entryOf(hash uint64, seq int64) row {
	return row{hash, func() string { return fmt.Sprintf("an entry of version %d", seq) }}
}

// compareIndexes compares the indexes with what the versions give.
func (p *replay) compareIndexes(ctx context.Context, c *conn, differs differ) error {
	for _, x := range []struct {
		table string
		want  sumOf
		have  rowsOf
	}{
		{"value", p.values, derived(ctx, c, "SELECT h, seq FROM value", func(rows *sql.Rows) (row, error) {
			var h, seq int64
			err := rows.Scan(&h, &seq)
			return entryOf(p.pair(h, seq), seq), err
		})},
		{"addr", p.addrs, derived(ctx, c, "SELECT ip, bits, seq, port FROM addr", func(rows *sql.Rows) (row, error) {
			var ip sql.RawBytes
			var bits, seq, port int64
			err := rows.Scan(&ip, &bits, &seq, &port)
			return entryOf(p.texts(string(ip), fmt.Sprint(bits, seq, port)), seq), err
		})},
		{"ref", p.refs, derived(ctx, c, "SELECT target, sid FROM ref", func(rows *sql.Rows) (row, error) {
			var target, sid string
			err := rows.Scan(&target, &sid)
			return p.refRow(target, sid), err
		})},
		{"fts", p.words, func(fn func(row)) error {
			return c.d.words.entries(ctx, c, func(key string, seq int64) { fn(entryOf(p.texts(key, strconv.FormatInt(seq, 10)), seq)) })
		}},
	} {
		var have sumOf
		err := x.have(func(r row) { have.add(r.hash) })
		if err != nil && x.table == "fts" {
			differs("unreadable", "fts", "it cannot be read: %v", err)
			continue
		}
		if err == nil && have != x.want {
			err = name(x.table, x.have, p.entries(ctx, x.table), differs)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *replay) refRow(target, sid string) row {
	return row{p.texts(target, sid), func() string { return "the reference of " + sid + " to " + target }}
}

// entries reads the versions once more, for what they give to one index.
func (p *replay) entries(ctx context.Context, table string) rowsOf {
	return func(fn func(row)) error {
		s, err := openScan(p.c, objectTable)
		if err != nil {
			return err
		}
		defer s.close()
		for ; s.ok && err == nil; err = s.next() {
			if m, err := unpackMeta(s.bytes("meta")); err == nil && table != "fts" {
				p.gives(s.key, s.text("sid"), &m, func(into string, r row) {
					if into == table {
						fn(r)
					}
				})
			}
			if words := s.bytes("words"); table == "fts" && len(words) > 0 && s.key <= p.textTo {
				for _, h := range p.terms(s.key, string(words)) {
					fn(entryOf(h, s.key))
				}
			}
		}
		return err
	}
}
