package store

import (
	"context"
	"database/sql"
	"maps"
	"slices"

	"github.com/noroshi-cti/noroshi"
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

// anew takes out of released what may be released again under an agreement and
// label: versions that were decided under another one and never came into the
// stream. What is in the stream is never released again, and what names no
// label replaces nothing.
func (t *Tx) anew(partner noroshi.NodeID, agreement noroshi.Hash, label string, released map[int64]int64) error {
	if len(released) == 0 || label == "" {
		return nil
	}
	sent, err := spanned(t.c, spanSent, partner, slices.Sorted(maps.Keys(released)))
	if err != nil {
		return err
	}
	same := map[int64]bool{} // by batch: decided under this agreement and label
	for seq, n := range released {
		if sent[seq] > 0 {
			continue
		}
		now, known := same[n]
		if !known {
			var a []byte
			var l string
			if _, err := t.c.one(to(&a, &l), "SELECT agreement, label FROM batch WHERE n = $1", n); err != nil {
				return err
			}
			now = l == label && string(a) == string(agreement[:])
			same[n] = now
		}
		if !now {
			delete(released, seq)
		}
	}
	return nil
}
