package store

import (
	"context"
	"database/sql"
	"slices"

	"github.com/noroshi-cti/noroshi/stix"
)

// Counting returns what says which of some versions of an object, by their sequences,
// counted when something came: by what had come and been withdrawn until then. It is 0
// for none. What is not among them is as if it were not there.
func (r Reads) Counting(ctx context.Context, id stix.ID, among map[int64]bool) (func(when Record) int64, error) {
	var f family
	var gone []goneAt
	err := r.on(ctx, func(c *conn) (err error) {
		if f, err = r.familyOn(c, string(id), r.s.key64(string(id))); err != nil {
			return err
		}
		return c.each(ctx, func(rows *sql.Rows) error {
			var g goneAt
			err := rows.Scan(&g.act, &g.owner, &g.upto)
			gone = append(gone, g)
			return err
		}, "SELECT act, owner, upto FROM withdrawn WHERE sid = $1", string(id))
	})
	f.claims = slices.DeleteFunc(f.claims, func(k claim) bool { return !among[k.seq] })
	return func(when Record) int64 {
		n := slices.IndexFunc(f.claims, func(k claim) bool { return k.seq >= when.Seq })
		if n < 0 {
			n = len(f.claims)
		}
		if n == 0 {
			return 0
		}
		then := withdrawals{}
		for _, g := range gone {
			if g.act < when.Act {
				then[g.owner] = append(then[g.owner], g.upto)
			}
		}
		_, current, marks := settle(f.claims[:n], then)
		if i := slices.IndexFunc(f.claims[:n], func(k claim) bool { return k.seq == current }); i < 0 || marks[i]&withdrawn != 0 {
			return 0
		}
		return current
	}, err
}

// goneAt is a withdrawal, and the ledger index of the act that made it.
type goneAt struct {
	act         uint64
	owner, upto string
}
