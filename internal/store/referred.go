package store

import (
	"context"
	"database/sql"

	"github.com/noroshi-cti/noroshi/stix"
)

// ReferrersTo returns the ids of objects that refer, in any version, to an
// object that one of these versions (in ascending order) is of: one question
// for a whole batch instead of one an object.
func (r Reads) ReferrersTo(ctx context.Context, seqs []int64) (list []stix.ID, err error) {
	seen := map[string]bool{}
	err = r.on(ctx, func(c *conn) error {
		for _, run := range runs(seqs) {
			err := c.each(ctx, func(rows *sql.Rows) error {
				var sid string
				err := rows.Scan(&sid)
				if !seen[sid] {
					seen[sid] = true
					list = append(list, stix.ID(sid))
				}
				return err
			}, "SELECT r.sid FROM object o JOIN ref r ON r.target = o.sid WHERE o.seq BETWEEN $1 AND $2", run.lo, run.hi)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return list, err
}
