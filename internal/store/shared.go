package store

import (
	"context"
	"database/sql"
	"sort"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// Shared is what was released to a partner under one clause of one agreement,
// with one label.
type Shared struct {
	Agreement noroshi.Hash
	Clause    string
	Label     string
	Batches   int
	Objects   int
	Last      time.Time // of the last batch
}

// SharedSince adds up the batches released to a partner since a time, by
// agreement, clause and label.
func (r Reads) SharedSince(ctx context.Context, partner noroshi.NodeID, since time.Time) (list []Shared, err error) {
	err = r.on(ctx, func(c *conn) error {
		first, err := firstBatch(c, since)
		if err != nil {
			return err
		}
		return c.each(ctx, func(rows *sql.Rows) error {
			var agreement, clause, label []byte
			var s Shared
			var last int64
			if err := rows.Scan(&agreement, &clause, &label, &s.Batches, &s.Objects, &last); err != nil {
				return err
			}
			copy(s.Agreement[:], agreement)
			s.Clause, s.Label, s.Last = string(clause), string(label), fromMicros(last)
			list = append(list, s)
			return nil
		}, `SELECT b.agreement, b.clause, b.label, count(*), CAST(sum(b.count) AS BIGINT), max(a.time)
			FROM batch b JOIN act a ON a.idx = b.act WHERE b.n >= $1 AND b.partner = $2
			GROUP BY b.agreement, b.clause, b.label ORDER BY b.agreement, b.clause, b.label`, first, partner[:])
	})
	return list, err
}

// firstBatch returns the number of the first batch released at or after a time.
func firstBatch(c *conn, since time.Time) (n int64, err error) {
	var last int64
	if _, err := c.one(to(&last), "SELECT coalesce(max(n), 0) FROM batch"); err != nil {
		return 0, err
	}
	at := sort.Search(int(last), func(i int) bool {
		var t int64
		found, e := c.one(to(&t), "SELECT a.time FROM batch b JOIN act a ON a.idx = b.act WHERE b.n = $1", int64(i)+1)
		if e != nil {
			err = e
		}
		return found && t >= micros(since)
	})
	return int64(at) + 1, err
}
