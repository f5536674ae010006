package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/noroshi-cti/noroshi"
)

// Carried is one message to a partner that carries a version of an object.
type Carried struct {
	Message OutMessage // without its bytes
	Row     Decided    // the version, and what of it the partner gets
}

// Carriers returns every message of every epoch to a partner that carries one
// of these versions, as itself or as a view, oldest first.
func (r Reads) Carriers(ctx context.Context, partner noroshi.NodeID, versions []Record) ([]Carried, error) {
	var all []Carried
	err := r.on(ctx, func(c *conn) error {
		for _, v := range versions {
			list, err := carriers(ctx, c, partner, v)
			if err != nil {
				return err
			}
			all = append(all, list...)
		}
		return nil
	})
	return all, err
}

// carriers looks for the version's hash in the packed rows: the engine reads
// them, and only those that have it are unpacked. What never came into the
// stream costs no search, and what came without a second view is in one batch.
func carriers(ctx context.Context, c *conn, partner noroshi.NodeID, v Record) (list []Carried, err error) {
	sent, err := spansIn(c, spanSent, partner, v.Seq, v.Seq)
	if err != nil || sent.at(v.Seq) == 0 {
		return nil, err
	}
	views, err := spansIn(c, spanView, partner, v.Seq, v.Seq)
	if err != nil {
		return nil, err
	}
	where, args := "", []any{partner[:], v.Hash[:]}
	if n := sent.at(v.Seq); views.at(v.Seq) == 0 {
		n = max(n, -n)
		first, found, err := likelyRows(c, n, v)
		if err != nil {
			return nil, err
		}
		if where, args = " AND b.n = $3", append(args, n); found {
			where, args = where+" AND r.first = $4", append(args, first)
		}
	}
	type run struct {
		batch string
		first int
		rows  []Decided
	}
	var runs []run
	err = c.each(ctx, func(rows *sql.Rows) error {
		var x run
		var packed []byte
		err := rows.Scan(&x.batch, &x.first, &packed)
		if err == nil {
			x.rows, err = unpackMembers(packed)
		}
		runs = append(runs, x)
		return err
	}, "SELECT b.id, r.first, r.members FROM batch b JOIN batch_rows r ON r.batch = b.n WHERE b.partner = $1 AND "+c.d.position+"(r.members, $2) > 0"+where+" ORDER BY r.n", args...)
	if err != nil {
		return nil, err
	}
	for _, x := range runs {
		for i, row := range x.rows {
			if row.Seq != v.Seq {
				continue
			}
			found, err := carriersOf(ctx, c, partner, x.batch, x.first+i)
			if err != nil {
				return nil, err
			}
			for _, m := range found {
				list = append(list, Carried{m, row})
			}
		}
	}
	return list, nil
}

// likelyRows finds the packed rows of a batch that have a version where the batch
// has its versions in the order in which they came, as most do; where it has not,
// all of them are looked through.
func likelyRows(c *conn, batch int64, v Record) (first int64, found bool, err error) {
	var count int64
	if _, err := c.one(to(&count), "SELECT count FROM batch WHERE n = $1", batch); err != nil {
		return 0, false, err
	}
	lo, hi := int64(0), (count+chunkMembers-1)/chunkMembers // the rows are among these
	for hi-lo > 1 {
		mid := (lo + hi) / 2
		var begins []byte
		if _, err := c.one(to(&begins), "SELECT substr(members, 1, 10) FROM batch_rows WHERE batch = $1 AND first = $2", batch, mid*chunkMembers); err != nil {
			return 0, false, err
		}
		u := unpacker{b: begins}
		if u.varint() <= v.Seq {
			lo = mid
		} else {
			hi = mid
		}
	}
	var packed []byte
	if _, err := c.one(to(&packed), "SELECT members FROM batch_rows WHERE batch = $1 AND first = $2", batch, lo*chunkMembers); err != nil {
		return 0, false, err
	}
	rows, err := unpackMembers(packed)
	return lo * chunkMembers, slices.ContainsFunc(rows, func(d Decided) bool { return d.Seq == v.Seq && d.Hash == v.Hash }), err
}

func carriersOf(ctx context.Context, c *conn, partner noroshi.NodeID, batch string, ordinal int) (list []OutMessage, err error) {
	err = c.each(ctx, func(rows *sql.Rows) error {
		m := OutMessage{Partner: partner, Batch: batch}
		var id, epoch []byte
		var created, at int64
		err := rows.Scan(&epoch, &m.Seq, &id, &m.Kind, &m.Prec, &created, &m.First, &m.Count, &m.State, &at, &m.Attempts)
		copy(m.Epoch[:], epoch)
		copy(m.ID[:], id)
		m.Created, m.StateTime = fromMicros(created), fromMicros(at)
		list = append(list, m)
		return err
	}, `SELECT o.epoch, o.seq, o.id, o.kind, o.prec, o.created, o.first, o.count, s.state, s.time, s.attempts FROM out_message o JOIN out_state s ON s.n = o.n
		WHERE o.batch = $1 AND o.first <= $2 AND o.first + o.count > $2 ORDER BY o.n`, batch, int64(ordinal))
	return list, err
}

// Closed reports whether a message was withheld or has expired.
func (t *Tx) Closed(partner noroshi.NodeID, epoch [16]byte, seq uint64) (bool, error) {
	m, err := t.outState(partner, epoch, seq)
	return m.state.closed(), err
}

// NoticeOverheld puts into the feed that a partner was given a version which,
// as it is marked now, it may not hold.
func (t *Tx) NoticeOverheld(partner noroshi.NodeID, seq int64) error {
	return t.Notice(Overheld, fmt.Sprintf("%s %d", partner, seq))
}

// ParseOverheld reads the id of an Overheld change.
func ParseOverheld(id string) (partner noroshi.NodeID, seq int64, err error) {
	var node string
	n, err := fmt.Sscanf(id, "%s %d", &node, &seq)
	if err == nil {
		err = partner.UnmarshalText([]byte(node))
	}
	if n != 2 || err != nil {
		return partner, 0, noroshi.Errorf(noroshi.Broken, "store.overheld", "change names %q: must be a partner and a version", id)
	}
	return partner, seq, nil
}

// InStream returns the runs of versions that messages to a partner carry which
// are in the stream and were not withheld.
func (r Reads) InStream(ctx context.Context, partner noroshi.NodeID) (list [][2]int64, err error) {
	err = r.on(ctx, func(c *conn) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			var x [2]int64
			err := rows.Scan(&x[0], &x[1])
			list = append(list, x)
			return err
		}, "SELECT lo, hi FROM span WHERE kind = $1 AND partner = $2 AND val > 0 ORDER BY lo", spanSent, partner[:])
	})
	return list, err
}
