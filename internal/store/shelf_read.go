package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// Shelved is one version as it lies on a shelf.
type Shelved struct {
	Laid
	Added   time.Time // date_added: UTC, whole microseconds, unique on its shelf
	ID      stix.ID
	Version string // as spelled: modified, else created, else ""
	Body    []byte // nil where it was not asked for
	Length  int    // bytes of the body, asked for or not
	Beside  bool   // of a Body: markings were assigned here that are not in it
	Batch   string // in a partner's collection: the batch its message carries rows of
	Ordinal int    // and which of them it is
}

// ShelfQuery says what of a shelf is asked for. What was withdrawn is not
// there.
type ShelfQuery struct {
	Collection string
	After      time.Time // exclusive
	Limit      int       // 1..1000
	Size       int       // bytes of bodies, asked for or not, after which it ends early; 0 = no such limit
	Bodies     bool
	IDs        []stix.ID
	Types      []string
	Versions   []VersionOf // none = the last
}

// VersionOf is which versions of each object are asked for.
type VersionOf struct {
	First, Last, All bool
	At               stix.Time // exactly this one
}

// Shelf returns what lies on a shelf, in the order it was laid there, and
// whether there is more.
func (r Reads) Shelf(ctx context.Context, q ShelfQuery) (list []Shelved, more bool, err error) {
	limit := page(q.Limit)
	err = r.on(ctx, func(c *conn) error {
		w := &clauses{}
		n, err := r.number(c, q.Collection)
		if err != nil || n == 0 {
			return err
		}
		w.add("s.c = %s", n)
		w.add("s.added > %s", micros(q.After))
		w.where = append(w.where, fmt.Sprintf("(m.bits IS NULL OR m.bits & %d = 0)", withdrawn))
		if len(q.IDs) > 0 {
			w.in("s.h", len(q.IDs), func(i int) any { return r.s.key64(string(q.IDs[i])) })
			w.in("o.sid", len(q.IDs), func(i int) any { return string(q.IDs[i]) })
		}
		if len(q.Types) > 0 {
			numbers := make([]int64, len(q.Types))
			for i, typ := range q.Types {
				if numbers[i], err = r.number(c, typ); err != nil {
					return err
				}
			}
			w.in("s.type", len(numbers), func(i int) any { return numbers[i] })
		}
		w.versions(q.Versions)
		body := "CASE WHEN o.modified = '' THEN o.body END"
		if q.Bodies {
			body = "o.body"
		}
		limited := w.hole(limit + 1)
		text := fmt.Sprintf(`SELECT s.added, s.seq, s.at, o.sid, o.modified, coalesce(out.batch, ''), coalesce(out.first, 0), %s, length(o.body), o.meta, coalesce(m.bits, 0)
			FROM shelved s %s JOIN object o ON o.seq = s.seq LEFT JOIN mark m ON m.seq = s.seq LEFT JOIN out_message out ON s.at > 0 AND out.n = s.at / 1024
			WHERE %s ORDER BY s.added LIMIT %s`, body, q.by(c.d), strings.Join(w.where, " AND "), limited)
		size := 0
		return c.each(ctx, func(rows *sql.Rows) error {
			if q.Size > 0 && size >= q.Size {
				more = true
				return errEnough
			}
			x, err := shelvedOf(rows, q.Bodies)
			list, size = append(list, x), size+x.Length
			return err
		}, text, w.args...)
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	if len(list) > limit {
		list, more = list[:limit], true
	}
	return list, more, err
}

// by names the index that leads to what is asked for: to ids, or along the dates
// of one type. Several types are found along all dates, which are in order.
func (q ShelfQuery) by(d *dialect) string {
	switch {
	case len(q.IDs) > 0:
		return d.by("shelved_id")
	case len(q.Types) == 1:
		return d.by("shelved_type")
	}
	return ""
}

func shelvedOf(rows *sql.Rows, bodies bool) (Shelved, error) {
	var x Shelved
	var added, at int64
	var sid string
	var body, packed []byte
	var mark int
	if err := rows.Scan(&added, &x.Seq, &at, &sid, &x.Version, &x.Batch, &x.Ordinal, &body, &x.Length, &packed, &mark); err != nil {
		return x, err
	}
	m, err := unpackMeta(packed)
	if err != nil {
		return x, err
	}
	if x.Version, err = versionText(x.Version, body); err != nil {
		return x, noroshi.Errorf(noroshi.Broken, "store.body", "read version %d: %w", x.Seq, err)
	}
	x.Added, x.ID, x.Message, x.Row = fromMicros(added), stix.ID(sid), at>>rowBits, int(at&(1<<rowBits-1))
	x.Ordinal += x.Row
	if bodies {
		x.Body, x.Beside = body, len(m.assigned) > 0 || mark&assigned != 0
	}
	return x, nil
}

// clauses collects the conditions of a query and their arguments.
type clauses struct {
	where []string
	args  []any
}

func (w *clauses) hole(v any) string {
	w.args = append(w.args, v)
	return fmt.Sprintf("$%d", len(w.args))
}

func (w *clauses) add(form string, v any) { w.where = append(w.where, fmt.Sprintf(form, w.hole(v))) }

// padded is how many values a query of n values is written for: statements are
// kept by their text, and clients are not to make one for each number there is.
func padded(n int) int {
	p := 1
	for p < n {
		p *= 2
	}
	return p
}

// in asks for one of n values of a column.
func (w *clauses) in(column string, n int, value func(int) any) {
	w.where = append(w.where, w.oneOf(column, n, value))
}

func (w *clauses) oneOf(column string, n int, value func(int) any) string {
	holes := make([]string, padded(n))
	for i := range holes {
		holes[i] = w.hole(value(min(i, n-1)))
	}
	return column + " IN (" + strings.Join(holes, ", ") + ")"
}

// versions asks for versions.
func (w *clauses) versions(list []VersionOf) {
	ends := 0
	var exact []string
	for _, v := range list {
		switch {
		case v.All:
			return
		case v.First:
			ends |= endFirst
		case v.Last:
			ends |= endLast
		default:
			exact = append(exact, instantOf(v.At.String()))
		}
	}
	if len(list) == 0 {
		ends = endLast
	}
	var parts []string
	if len(exact) > 0 {
		parts = append(parts, w.oneOf("s.ver", len(exact), func(i int) any { return exact[i] }))
	}
	parts = append(parts, fmt.Sprintf("s.ends & %d <> 0", ends))
	w.where = append(w.where, "("+strings.Join(parts, " OR ")+")")
}

// Carrying is a message of the stream to a partner that carries rows of a batch.
type Carrying struct {
	N     int64 // dense from 1 over all messages to partners
	Batch string
	First int // ordinal of its first row
	Count int
}

// CarryingAfter returns messages with objects that are in the stream to a
// partner and were not withheld, from after N on, in order.
func (r Reads) CarryingAfter(ctx context.Context, partner noroshi.NodeID, after int64, limit int) (list []Carrying, err error) {
	err = r.on(ctx, func(c *conn) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			var m Carrying
			err := rows.Scan(&m.N, &m.Batch, &m.First, &m.Count)
			list = append(list, m)
			return err
		}, `SELECT o.n, o.batch, o.first, o.count FROM out_message o JOIN out_state s ON s.n = o.n
			WHERE o.n > $1 AND o.partner = $2 AND o.batch <> '' AND s.state NOT IN ($3, $4) ORDER BY o.n LIMIT $5`,
			after, partner[:], int64(Withheld), int64(Expired), page(limit))
	})
	return list, err
}

// Shelves counts the versions that lie on a shelf.
func (r Reads) Shelves(ctx context.Context, collection string) (count int, err error) {
	err = r.on(ctx, func(c *conn) error {
		n, err := r.number(c, collection)
		if err != nil || n == 0 {
			return err
		}
		_, err = c.one(to(&count), "SELECT count(*) FROM shelved WHERE c = $1", n)
		return err
	})
	return count, err
}

// ShelfHead returns a number that grows with whatever is laid on a shelf or taken
// off it; 0 when nothing ever was.
func (r Reads) ShelfHead(ctx context.Context, collection string) (n int64, err error) {
	err = r.on(ctx, func(c *conn) error {
		_, err := c.one(to(&n), "SELECT coalesce(max(n), 0) FROM shelf WHERE collection = $1", collection)
		return err
	})
	return n, err
}

// Numbers gives every id that ever lay on a shelf a number, from 1 in the order
// in which they first came there: a number is never given to another.
func (r Reads) Numbers(ctx context.Context, collection string) (map[stix.ID]int64, error) {
	numbers := map[stix.ID]int64{}
	err := r.on(ctx, func(c *conn) error {
		var all []int64
		err := c.each(ctx, func(rows *sql.Rows) error {
			var members []byte
			if err := rows.Scan(&members); err != nil {
				return err
			}
			items, err := unpackLaid(members)
			for _, it := range items {
				all = append(all, it.Seq)
			}
			return err
		}, "SELECT members FROM shelf WHERE collection = $1 AND what = 1 ORDER BY n", collection)
		if err != nil {
			return err
		}
		for part := range slices.Chunk(all, MaxPage) {
			ids, err := idsOf(ctx, c, part)
			if err != nil {
				return err
			}
			for _, seq := range part {
				if sid := ids[seq]; numbers[sid] == 0 {
					numbers[sid] = int64(len(numbers) + 1)
				}
			}
		}
		return nil
	})
	return numbers, err
}

// idsOf returns the ids of versions.
func idsOf(ctx context.Context, c *conn, seqs []int64) (map[int64]stix.ID, error) {
	w := &clauses{}
	w.in("seq", len(seqs), func(i int) any { return seqs[i] })
	ids := make(map[int64]stix.ID, len(seqs))
	return ids, c.each(ctx, func(rows *sql.Rows) error {
		var seq int64
		var sid string
		err := rows.Scan(&seq, &sid)
		ids[seq] = stix.ID(sid)
		return err
	}, "SELECT seq, sid FROM object WHERE "+w.where[0], w.args...)
}

// First returns the sequence of the first version of an id that came here; 0
// when there is none.
func (r Reads) First(ctx context.Context, id stix.ID) (seq int64, err error) {
	err = r.on(ctx, func(c *conn) error {
		f, err := r.familyOn(c, string(id), r.s.key64(string(id)))
		if err == nil && len(f.claims) > 0 {
			seq = f.claims[0].seq
		}
		return err
	})
	return seq, err
}

// EverLaid is a version that lay on a shelf once, whether it does now or not.
type EverLaid struct {
	Collection string
	Seq        int64
	Added      time.Time
}

// EverLaid finds every place on every shelf that versions ever had.
func (r Reads) EverLaid(ctx context.Context, seqs []int64) (list []EverLaid, err error) {
	err = r.on(ctx, func(c *conn) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			var collection string
			var added int64
			var members []byte
			if err := rows.Scan(&collection, &added, &members); err != nil {
				return err
			}
			items, err := unpackLaid(members)
			for i, it := range items {
				if slices.Contains(seqs, it.Seq) {
					list = append(list, EverLaid{collection, it.Seq, fromMicros(added + int64(i))})
				}
			}
			return err
		}, "SELECT collection, added, members FROM shelf WHERE what = 1 ORDER BY n")
	})
	return list, err
}
