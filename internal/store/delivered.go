package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// Delivered is a run of a batch's rows that went in one message.
type Delivered struct {
	Batch string
	First int
	Count int
}

// AppliedThere returns what a partner has receipted as applied, by the runs of
// batches its messages carried, in the order they were sent.
func (r Reads) AppliedThere(ctx context.Context, partner noroshi.NodeID) (runs []Delivered, err error) {
	err = r.on(ctx, func(c *conn) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			var d Delivered
			if err := rows.Scan(&d.Batch, &d.First, &d.Count); err != nil {
				return err
			}
			runs = append(runs, d)
			return nil
		}, `SELECT o.batch, o.first, o.count FROM out_message o JOIN out_state s ON s.n = o.n
			WHERE o.partner = $1 AND o.batch <> '' AND s.state IN ($2, $3) ORDER BY o.n`, partner[:], int64(AppliedThere), int64(ReadThere))
	})
	return runs, err
}

// Delivery returns how far the message that carries a version of a batch has
// got, and since when; Committed with a zero time while it is in no message.
func (r Reads) Delivery(ctx context.Context, batch string, seq int64) (state OutState, since time.Time, err error) {
	for from := 0; ; from += MaxPage {
		rows, err := r.BatchRows(ctx, batch, from, MaxPage)
		if err != nil || len(rows) == 0 {
			return Committed, time.Time{}, err
		}
		for i, row := range rows {
			if row.Seq == seq {
				return r.deliveryOf(ctx, batch, from+i)
			}
		}
	}
}

func (r Reads) deliveryOf(ctx context.Context, batch string, ordinal int) (state OutState, since time.Time, err error) {
	err = r.on(ctx, func(c *conn) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			var at int64
			err := rows.Scan(&state, &at)
			since = fromMicros(at)
			return err
		}, `SELECT s.state, s.time FROM out_message o JOIN out_state s ON s.n = o.n
			WHERE o.batch = $1 AND o.first <= $2 AND o.first + o.count > $3 ORDER BY o.n DESC LIMIT 1`, batch, int64(ordinal), int64(ordinal))
	})
	return state, since, err
}
