package store

import (
	"context"
	"database/sql"

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
