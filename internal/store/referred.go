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
func (r Reads) ReferrersTo(ctx context.Context, seqs []int64) ([]stix.ID, error) {
	return r.referring(ctx, seqs, "")
}

// ReferringTo is ReferrersTo of those of one type alone.
func (r Reads) ReferringTo(ctx context.Context, typ string, seqs []int64) ([]stix.ID, error) {
	return r.referring(ctx, seqs, " AND r.sid > $3 AND r.sid < $4", typ+"--", typ+"--~")
}

func (r Reads) referring(ctx context.Context, seqs []int64, and string, args ...any) (list []stix.ID, err error) {
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
			}, "SELECT r.sid FROM object o JOIN ref r ON r.target = o.sid WHERE o.seq BETWEEN $1 AND $2"+and, append([]any{run.lo, run.hi}, args...)...)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return list, err
}

// LastOfType returns the sequence of the last version of a type, 0 for none.
func (r Reads) LastOfType(ctx context.Context, typ string) (seq int64, err error) {
	err = r.on(ctx, func(c *conn) error {
		_, err := c.one(to(&seq), "SELECT coalesce(max(seq), 0) FROM object WHERE type = (SELECT n FROM word WHERE text = $1)", typ)
		return err
	})
	return seq, err
}

// OfType returns the ids of those of some versions (in ascending order) that
// are of a type.
func (r Reads) OfType(ctx context.Context, typ string, seqs []int64) (list []stix.ID, err error) {
	err = r.on(ctx, func(c *conn) error {
		var word int64
		if found, err := c.one(to(&word), "SELECT n FROM word WHERE text = $1", typ); err != nil || !found {
			return err
		}
		for _, run := range runs(seqs) {
			err := c.each(ctx, func(rows *sql.Rows) error {
				var sid string
				err := rows.Scan(&sid)
				list = append(list, stix.ID(sid))
				return err
			}, "SELECT sid FROM object WHERE seq BETWEEN $1 AND $2 AND type = $3", run.lo, run.hi, word)
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
// stream, and those whose rows show the partner other bytes than were released
// last. What is in the stream is never released again as it is, and what names
// no label replaces nothing.
func (t *Tx) anew(partner noroshi.NodeID, agreement noroshi.Hash, label string, released map[int64]int64, rows []Decided) error {
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
	return t.otherViews(released, rows)
}

// leaveDefinitions takes marking definitions out of versions that are released:
// any number of batches may have one.
func (t *Tx) leaveDefinitions(released map[int64]int64) error {
	for seq := range released {
		var sid string
		if _, err := t.c.one(to(&sid), "SELECT sid FROM object WHERE seq = $1", seq); err != nil {
			return err
		}
		if stix.ID(sid).Type() == "marking-definition" {
			delete(released, seq)
		}
	}
	return nil
}

// otherViews takes out of released the versions of which rows have another
// view than the batch they were released in.
func (t *Tx) otherViews(released map[int64]int64, rows []Decided) error {
	batches := map[int64]map[int64]noroshi.Hash{} // views of a batch by version
	for _, r := range rows {
		n, ok := released[r.Seq]
		if !ok {
			continue
		}
		if batches[n] == nil {
			views, err := viewsOf(t.c, n)
			if err != nil {
				return err
			}
			batches[n] = views
		}
		if view, ok := batches[n][r.Seq]; ok && view != r.View {
			delete(released, r.Seq)
		}
	}
	return nil
}

// viewsOf returns the hashes of what a batch's rows show, by version.
func viewsOf(c *conn, n int64) (map[int64]noroshi.Hash, error) {
	views := map[int64]noroshi.Hash{}
	for from := 0; ; from += MaxPage {
		rows, err := batchRows(context.Background(), c, n, from, MaxPage)
		if err != nil || len(rows) == 0 {
			return views, err
		}
		for _, r := range rows {
			views[r.Seq] = r.View
		}
	}
}

// number gives every row the number of its view: 0 for the version's own bytes
// where nothing of it came into the stream before, else one more than the
// latest that did, or that the partner showed after a restore.
func (t *Tx) number(partner noroshi.NodeID, rows []Decided) ([]Decided, error) {
	seqs := sequences(rows)
	sent, err := spanned(t.c, spanSent, partner, seqs)
	if err != nil {
		return nil, err
	}
	latest, err := spanned(t.c, spanView, partner, seqs)
	if err != nil {
		return nil, err
	}
	rows = slices.Clone(rows)
	for i := range rows {
		r := &rows[i]
		switch {
		case sent[r.Seq] != 0:
			r.N = uint32(latest[r.Seq]) + 1
		case r.View != r.Hash, len(r.Cut) > 0:
			r.N = 1
		default:
			r.N = 0
		}
	}
	return rows, t.aboveShown(partner, rows)
}
