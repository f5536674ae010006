package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// Record is an object version as kept.
type Record struct {
	Seq       int64 // change-feed sequence of its admission
	Object    *stix.Object
	Hash      noroshi.Hash
	Source    noroshi.Source
	Creator   bool // the source made the object itself
	Run       string
	View      uint32
	Values    []noroshi.Value
	Assigned  []stix.ID
	Flags     []string
	Current   bool
	Withdrawn bool
	Foreign   bool // not from the owner of the object
	Conflict  bool
	Act       uint64 // ledger index of the act that brought it
}

// MaxPage bounds what one call returns; a larger limit is cut to it.
const MaxPage = 1000

func page(limit int) int {
	if limit < 1 || limit > MaxPage {
		return MaxPage
	}
	return limit
}

const recordColumns = `SELECT o.seq, o.act, o.source, o.run, o.view, o.bits, o.hash, o.meta, o.body, coalesce(m.bits, 0)
	FROM object o LEFT JOIN mark m ON m.seq = o.seq `

// raw is a record as the row has it.
type raw struct {
	seq, act, source, run int64
	view                  uint32
	bits, mark            int
	hash, meta, body      []byte
}

func (w *raw) scan(rows *sql.Rows) error {
	return rows.Scan(&w.seq, &w.act, &w.source, &w.run, &w.view, &w.bits, &w.hash, &w.meta, &w.body, &w.mark)
}

// record makes a Record of a row.
func (r Reads) record(c *conn, w *raw) (Record, error) {
	rec := Record{Seq: w.seq, View: w.view, Act: uint64(w.act), Creator: w.bits&bitCreator != 0,
		Current: w.mark&superseded == 0, Withdrawn: w.mark&withdrawn != 0, Foreign: w.mark&foreign != 0, Conflict: w.mark&conflict != 0}
	copy(rec.Hash[:], w.hash)
	m, err := unpackMeta(w.meta)
	if err != nil {
		return rec, fmt.Errorf("version %d: %w", w.seq, err)
	}
	rec.Values, rec.Flags, rec.Assigned = m.values, m.flags, m.assigned
	if w.mark&assigned != 0 {
		if rec.Assigned, err = r.assigned(c, w.seq, w.meta, w.mark); err != nil {
			return rec, err
		}
	}
	if rec.Source, err = r.source(c, w.source); err != nil {
		return rec, err
	}
	if rec.Run, err = r.text(c, w.run); err != nil {
		return rec, err
	}
	if rec.Object, err = stix.Parse(w.body); err != nil {
		return rec, noroshi.Errorf(noroshi.Broken, "store.body", "read version %d: %w", w.seq, err)
	}
	return rec, nil
}

// records runs a query over recordColumns.
func (r Reads) records(ctx context.Context, c *conn, q string, args ...any) (list []Record, err error) {
	var found []raw
	err = c.each(ctx, func(rows *sql.Rows) error {
		found = append(found, raw{})
		return found[len(found)-1].scan(rows)
	}, recordColumns+q, args...)
	if err != nil {
		return nil, err
	}
	for i := range found {
		rec, err := r.record(c, &found[i])
		if err != nil {
			return nil, err
		}
		list = append(list, rec)
	}
	return list, nil
}

// bySeq returns one version.
func (r Reads) bySeq(ctx context.Context, c *conn, seq int64) (Record, bool, error) {
	list, err := r.records(ctx, c, "WHERE o.seq = $1", seq)
	if err != nil || len(list) == 0 {
		return Record{}, false, err
	}
	return list[0], true, nil
}

// IDOf returns the id of the object a version is of, "" when there is no such version.
func (r Reads) IDOf(ctx context.Context, seq int64) (id stix.ID, err error) {
	err = r.on(ctx, func(c *conn) error {
		_, err := c.one(to((*string)(&id)), "SELECT sid FROM object WHERE seq = $1", seq)
		return err
	})
	return id, err
}

// Current returns the current version of an object, or a NotFound error. A
// withdrawn object still has one, marked Withdrawn; an object whose only
// versions are in conflict has none.
func (r Reads) Current(ctx context.Context, id stix.ID) (rec Record, err error) {
	err = r.on(ctx, func(c *conn) error {
		found := false
		if rec, found, err = r.current(ctx, c, id); err == nil && !found {
			err = noroshi.Errorf(noroshi.NotFound, "store.no-object", "no current version of %s", string(id))
		}
		return err
	})
	return rec, err
}

// Currents returns the current versions of objects, as Current does of one, in one go;
// what has none is left out.
func (r Reads) Currents(ctx context.Context, ids []stix.ID) (map[stix.ID]Record, error) {
	list := make(map[stix.ID]Record, len(ids))
	err := r.on(ctx, func(c *conn) error {
		for _, id := range ids {
			if _, read := list[id]; read {
				continue
			}
			rec, found, err := r.current(ctx, c, id)
			if err != nil {
				return err
			}
			if found {
				list[id] = rec
			}
		}
		return ctx.Err()
	})
	return list, err
}

func (r Reads) current(ctx context.Context, c *conn, id stix.ID) (Record, bool, error) {
	seq, found, err := headOf(c, string(id), r.s.key64(string(id)))
	if err != nil || !found || seq == 0 {
		return Record{}, false, err
	}
	return r.bySeq(ctx, c, seq)
}

// Versions returns every version and edition kept under an id, oldest first
// (in the order they came).
func (r Reads) Versions(ctx context.Context, id stix.ID) (list []Record, err error) {
	err = r.on(ctx, func(c *conn) error {
		f, err := r.familyOn(c, string(id), r.s.key64(string(id)))
		if err != nil {
			return err
		}
		for _, k := range f.claims {
			rec, found, err := r.bySeq(ctx, c, k.seq)
			if err != nil {
				return err
			}
			if found {
				list = append(list, rec)
			}
		}
		return nil
	})
	return list, err
}

// Records returns the versions with these sequences, in the order asked;
// unknown ones are left out. Sequences that follow one another are read in one
// go.
func (r Reads) Records(ctx context.Context, seqs []int64) (list []Record, err error) {
	list = make([]Record, 0, len(seqs))
	err = r.on(ctx, func(c *conn) error {
		for rest := seqs; len(rest) > 0; {
			n := inARow(rest)
			recs, err := r.records(ctx, c, "WHERE o.seq >= $1 AND o.seq <= $2 ORDER BY o.seq", rest[0], rest[n-1])
			if err != nil {
				return err
			}
			list, rest = append(list, recs...), rest[n:]
		}
		return ctx.Err()
	})
	return list, err
}

// Held reports which of these ids the store has in any version.
func (r Reads) Held(ctx context.Context, ids []stix.ID) (map[stix.ID]bool, error) {
	held := map[stix.ID]bool{}
	err := r.on(ctx, func(c *conn) error {
		for _, id := range ids {
			_, found, err := headOf(c, string(id), r.s.key64(string(id)))
			if err != nil {
				return err
			}
			if found {
				held[id] = true
			}
		}
		return ctx.Err()
	})
	return held, err
}

// Filter selects objects for List.
type Filter struct {
	Type  string // "" = every type
	Run   string
	After int64 // keyset: records with Seq > After
	Limit int   // 1..1000
	Back  bool  // the newest first: records with Seq < After, 0 = from the end
	All   bool  // every version, not only current ones
}

// List returns records in feed order, or backwards.
func (r Reads) List(ctx context.Context, f Filter) (list []Record, err error) {
	err = r.on(ctx, func(c *conn) error {
		a := Along{After: f.After, Back: f.Back}
		where, args := []string{a.beyond("o.seq", 1)}, []any{a.start()}
		for _, w := range []struct{ column, text string }{{"o.type", f.Type}, {"o.run", f.Run}} {
			if w.text == "" {
				continue
			}
			n, err := r.number(c, w.text)
			if err != nil || n == 0 {
				return err
			}
			args = append(args, n)
			where = append(where, fmt.Sprintf("%s = $%d", w.column, len(args)))
		}
		if !f.All {
			where = append(where, fmt.Sprintf("(m.bits IS NULL OR m.bits & %d = 0)", superseded))
		}
		args = append(args, page(f.Limit))
		list, err = r.records(ctx, c, fmt.Sprintf("WHERE %s%s LIMIT $%d", strings.Join(where, " AND "), a.order("o.seq"), len(args)), args...)
		return err
	})
	return list, err
}

// inUse chooses the versions of type $1 behind $2 that are in use, in blocks.
var inUse = fmt.Sprintf("WHERE o.type = $1 AND o.seq > $2 AND (m.bits IS NULL OR m.bits & %d = 0) ORDER BY o.seq LIMIT 1000", superseded|withdrawn|revoked)

// Each calls fn for every current, not withdrawn, not revoked version of a
// type in feed order, reading in blocks; it sees the state at the call.
// EachArmed reads indicators many times faster, without their bytes.
func (r Reads) Each(ctx context.Context, typ string, after int64, fn func(Record) error) error {
	return r.on(ctx, func(c *conn) error {
		n, err := r.number(c, typ)
		if err != nil || n == 0 {
			return err
		}
		for {
			list, err := r.records(ctx, c, inUse, n, after)
			if err != nil || len(list) == 0 {
				return err
			}
			for i := range list {
				if err := fn(list[i]); err != nil {
					return err
				}
			}
			after = list[len(list)-1].Seq
		}
	})
}

// EachFrom calls fn for the versions that Each reads, with their ids and sources
// alone: many times faster, for nothing of an object is read.
func (r Reads) EachFrom(ctx context.Context, typ string, fn func(stix.ID, noroshi.Source) error) error {
	return r.on(ctx, func(c *conn) error {
		n, err := r.number(c, typ)
		if err != nil || n == 0 {
			return err
		}
		type row struct {
			seq, source int64
			id          string
		}
		for after := int64(0); ; {
			var block []row
			err := c.each(ctx, func(rows *sql.Rows) error {
				var w row
				err := rows.Scan(&w.seq, &w.source, &w.id)
				block = append(block, w)
				return err
			}, "SELECT o.seq, o.source, o.sid FROM object o LEFT JOIN mark m ON m.seq = o.seq "+inUse, n, after)
			if err != nil || len(block) == 0 {
				return err
			}
			for _, w := range block {
				from, err := r.source(c, w.source)
				if err == nil {
					err = fn(stix.ID(w.id), from)
				}
				if err != nil {
					return err
				}
			}
			after = block[len(block)-1].seq
		}
	})
}

// Count says how many of these versions are of objects of a type.
func (r Reads) Count(ctx context.Context, typ string, seqs []int64) (count int, err error) {
	err = r.on(ctx, func(c *conn) error {
		n, err := r.number(c, typ)
		if err != nil || n == 0 {
			return err
		}
		for rest := seqs; len(rest) > 0; {
			run, here := inARow(rest), 0
			if _, err := c.one(to(&here), "SELECT count(*) FROM object WHERE seq >= $1 AND seq <= $2 AND type = $3", rest[0], rest[run-1], n); err != nil {
				return err
			}
			count, rest = count+here, rest[run:]
		}
		return ctx.Err()
	})
	return count, err
}

// inARow says how many of the first of these follow each other without a gap.
func inARow(seqs []int64) (n int) {
	n = 1
	for n < len(seqs) && seqs[n] == seqs[n-1]+1 {
		n++
	}
	return n
}

// Referrers returns the ids of objects that refer to id in any version, in
// order, in keyset pages: pass the last id of a page as after.
func (r Reads) Referrers(ctx context.Context, id, after stix.ID, limit int) (list []stix.ID, err error) {
	err = r.on(ctx, func(c *conn) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			var sid string
			err := rows.Scan(&sid)
			list = append(list, stix.ID(sid))
			return err
		}, "SELECT sid FROM ref WHERE target = $1 AND sid > $2 ORDER BY sid LIMIT $3", string(id), string(after), page(limit))
	})
	return list, err
}

// ReferrersOf returns the ids of the objects of one type that refer to id in any
// version, in order, at most so many.
func (r Reads) ReferrersOf(ctx context.Context, id stix.ID, typ string, limit int) (list []stix.ID, err error) {
	for after := stix.ID(typ + "--"); len(list) < limit; {
		ids, err := r.Referrers(ctx, id, after, limit-len(list))
		if err != nil {
			return nil, err
		}
		for _, x := range ids {
			if x.Type() != typ {
				return list, nil
			}
			list, after = append(list, x), x
		}
		if len(ids) < page(limit) {
			break
		}
	}
	return list, nil
}

// Referring returns the current versions of the objects of one type that refer to
// id in any version, by id, of the first so many.
func (r Reads) Referring(ctx context.Context, id stix.ID, typ string, limit int) (list []Record, err error) {
	ids, err := r.ReferrersOf(ctx, id, typ, limit)
	for _, x := range ids {
		o, err := r.Current(ctx, x)
		if noroshi.KindOf(err) == noroshi.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, o)
	}
	return list, err
}
