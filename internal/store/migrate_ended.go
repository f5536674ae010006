package store

import (
	"context"
	"database/sql"
)

// settleEnded decides anew what is current of every object of which a term is over, as
// settle does since schema 4. The tables made from the record follow; the record, which
// says nothing of what is current, stays.
func settleEnded(c *conn) error {
	var ids []string
	err := c.each(context.Background(), func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, "SELECT DISTINCT sid FROM withdrawn WHERE upto LIKE '#%' ORDER BY sid")
	if err != nil || len(ids) == 0 {
		return err // a new database has no seed yet
	}
	s := &Store{w: c}
	if _, err := c.one(to(&s.seed), "SELECT v FROM meta WHERE k = 'seed'"); err != nil {
		return err
	}
	t := &Tx{s: s, c: c}
	t.Reads = Reads{s, t}
	for _, id := range ids {
		f, err := t.family(id, s.key64(id))
		if err != nil {
			return err
		}
		if _, _, err := t.resettle(f); err != nil {
			return err
		}
	}
	return nil
}
