package store

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// Mark is a place in the record: an act, and how far the feed and the states of
// what was sent had come before it.
type Mark struct {
	Act   uint64 // index of the next act
	Seq   int64  // last sequence of the feed
	Event int64  // last row of what became of messages sent
}

// MarkAt returns the place of the first act at or after a time. It costs a few
// dozen look-ups, however long the record is.
func (r Reads) MarkAt(ctx context.Context, t time.Time) (m Mark, err error) {
	err = r.on(ctx, func(c *conn) error {
		acts, err := treeSize(c, 0)
		if err != nil {
			return err
		}
		first, err := least(int64(acts), func(i int64) (bool, error) {
			var at int64
			found, err := c.one(to(&at), "SELECT time FROM act WHERE idx = $1", i)
			return found && at >= micros(t), err
		})
		if err != nil {
			return err
		}
		m.Act = uint64(first)
		seq, err := head(c)
		if err != nil {
			return err
		}
		if m.Seq, err = least(seq, actOf(c, first, "SELECT act FROM object WHERE seq = $1 UNION ALL SELECT act FROM notice WHERE seq = $1")); err != nil {
			return err
		}
		var events int64
		if _, err := c.one(to(&events), "SELECT coalesce(max(n), 0) FROM out_event"); err != nil {
			return err
		}
		m.Event, err = least(events, actOf(c, first, "SELECT act FROM out_event WHERE n = $1"))
		return err
	})
	return m, err
}

// actOf reports of a place in rows that are dense from 1 whether the row behind
// it is of an act, or a later one.
func actOf(c *conn, act int64, query string) func(int64) (bool, error) {
	return func(i int64) (bool, error) {
		var at int64
		_, err := c.one(to(&at), query, i+1)
		return at >= act, err
	}
}

// least returns the least number below n for which ok holds, n for none.
func least(n int64, ok func(int64) (bool, error)) (int64, error) {
	low, high := int64(0), n
	for low < high {
		mid := low + (high-low)/2
		is, err := ok(mid)
		if err != nil {
			return 0, err
		}
		if is {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low, nil
}

// CountType counts the versions of a type in the feed after one sequence and up
// to another, from an index alone.
func (r Reads) CountType(ctx context.Context, typ string, after, upTo int64) (n int, err error) {
	err = r.on(ctx, func(c *conn) error { n, err = countType(c, typ, after, upTo); return err })
	return n, err
}

func countType(c *conn, typ string, after, upTo int64) (n int, err error) {
	if after >= upTo {
		return 0, nil
	}
	_, err = c.one(to(&n), "SELECT count(*) FROM object WHERE type = (SELECT n FROM word WHERE text = $1) AND seq > $2 AND seq <= $3", typ, after, upTo)
	return n, err
}

// SeqsOfType returns the sequences of the versions of a type after one sequence
// and up to another, at most MaxPage.
func (r Reads) SeqsOfType(ctx context.Context, typ string, after, upTo int64) (seqs []int64, err error) {
	err = r.on(ctx, func(c *conn) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			var seq int64
			err := rows.Scan(&seq)
			seqs = append(seqs, seq)
			return err
		}, "SELECT seq FROM object WHERE type = (SELECT n FROM word WHERE text = $1) AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4", typ, after, upTo, int64(MaxPage))
	})
	return seqs, err
}

// CountSent counts the versions of a type in the messages of a batch that an act
// put into the stream.
func (r Reads) CountSent(ctx context.Context, act uint64, batch, typ string) (n int, err error) {
	err = r.on(ctx, func(c *conn) error {
		var number int64
		if found, err := c.one(to(&number), "SELECT n FROM batch WHERE id = $1", batch); err != nil || !found {
			return err
		}
		var parts [][2]int
		err := c.each(ctx, func(rows *sql.Rows) error {
			var first, count int
			err := rows.Scan(&first, &count)
			parts = append(parts, [2]int{first, count})
			return err
		}, "SELECT first, count FROM out_message WHERE batch = $1 AND act = $2", batch, int64(act))
		if err != nil {
			return err
		}
		for _, p := range parts {
			rows, err := batchRows(ctx, c, number, p[0], p[1])
			if err != nil {
				return err
			}
			seqs := sequences(rows)
			slices.Sort(seqs)
			for _, run := range runs(seqs) {
				k, err := countType(c, typ, run.lo-1, run.hi)
				if err != nil {
					return err
				}
				n += k
			}
		}
		return nil
	})
	return n, err
}

// Reached is a message with objects that a partner has said it stored.
type Reached struct {
	Partner noroshi.NodeID
	Created time.Time
	Stored  time.Time // when the receipt was put on record here
}

// ReachedAfter returns which messages of objects were receipted as stored, in the
// order of their receipts after a place (Mark.Event), and the place they end at;
// the same place when there is nothing more.
func (r Reads) ReachedAfter(ctx context.Context, event int64) (list []Reached, end int64, err error) {
	end = event
	err = r.on(ctx, func(c *conn) error {
		var told []receipts
		err := c.each(ctx, func(rows *sql.Rows) error {
			var x receipts
			var at int64
			var seqs []byte
			if err := rows.Scan(&end, &x.partner, &x.epoch, &x.state, &seqs, &at); err != nil {
				return err
			}
			x.at = fromMicros(at)
			x.seqs, err = unpackRuns(seqs)
			told = append(told, x)
			return err
		}, `SELECT e.n, e.partner, e.epoch, e.state, e.seqs, coalesce(a.time, 0) FROM out_event e LEFT JOIN act a ON a.idx = e.act
			WHERE e.n > $1 AND e.n <= $2 ORDER BY e.n`, event, event+200)
		if err != nil {
			return err
		}
		for _, x := range told {
			if OutState(x.state) != StoredThere {
				continue
			}
			for _, run := range x.seqs {
				if list, err = x.reached(ctx, c, run, list); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return list, end, err
}

// receipts is one row of what became of messages.
type receipts struct {
	partner, epoch []byte
	state          int64
	seqs           []span
	at             time.Time
}

func (x receipts) reached(ctx context.Context, c *conn, run span, list []Reached) ([]Reached, error) {
	err := c.each(ctx, func(rows *sql.Rows) error {
		var created int64
		if err := rows.Scan(&created); err != nil {
			return err
		}
		m := Reached{Created: fromMicros(created), Stored: x.at}
		copy(m.Partner[:], x.partner)
		list = append(list, m)
		return nil
	}, "SELECT created FROM out_message WHERE partner = $1 AND epoch = $2 AND seq BETWEEN $3 AND $4 AND batch <> '' ORDER BY seq", x.partner, x.epoch, run.lo, run.hi)
	return list, err
}
