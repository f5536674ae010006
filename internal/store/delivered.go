package store

import (
	"context"
	"database/sql"
	"slices"
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

// Unsent is what of a batch is in no message yet.
type Unsent struct {
	Precedence noroshi.Precedence
	Released   time.Time
	Left       int // versions
}

// Owed returns what a partner is to get and has not stored: of its
// messages how many were made before the time given for their precedence, and
// the batches that are not wholly in messages yet.
func (r Reads) Owed(ctx context.Context, partner noroshi.NodeID, before func(noroshi.Precedence) time.Time) (late int, unsent []Unsent, err error) {
	err = r.on(ctx, func(c *conn) error {
		args := []any{partner[:]}
		for p := noroshi.Flash; p >= noroshi.Routine; p-- { // by rank
			args = append(args, micros(before(p)))
		}
		if _, err := c.one(to(&late), `SELECT count(*) FROM pending p JOIN out_message o ON o.partner = p.partner AND o.epoch = p.epoch AND o.seq = p.seq
			WHERE p.partner = $1 AND o.created < CASE p.rank WHEN 0 THEN CAST($2 AS bigint) WHEN 1 THEN CAST($3 AS bigint) WHEN 2 THEN CAST($4 AS bigint) ELSE CAST($5 AS bigint) END`, args...); err != nil {
			return err
		}
		return c.each(ctx, func(rows *sql.Rows) error {
			var u Unsent
			var released int64
			if err := rows.Scan(&u.Precedence, &u.Left, &released); err != nil {
				return err
			}
			u.Released = fromMicros(released)
			unsent = append(unsent, u)
			return nil
		}, `SELECT b.prec, b.count - coalesce(c.seq, 0), a.time FROM unsent u JOIN batch b ON b.n = u.batch
			JOIN act a ON a.idx = b.act LEFT JOIN cursor c ON c.follower = $2 || b.id
			WHERE u.partner = $1 AND b.count > coalesce(c.seq, 0)`, partner[:], BatchPlace(""))
	})
	return late, unsent, err
}

// Delivery returns how far the message that carries a version of a batch has
// got, and since when; Committed with a zero time while it is in no message.
func (r Reads) Delivery(ctx context.Context, batch string, seq int64) (state OutState, since time.Time, err error) {
	t, err := r.trail(ctx, batch, seq)
	return t.state, t.since, err
}

// Trail is what became of a message.
type Trail struct {
	Precedence noroshi.Precedence
	Created    time.Time // zero while there is no message
	Ways       []string  // channels it was handed to, each once, in their order; at most those of its first days
	Steps      []OutStep // what the partner has said of it: oldest first, attempts left out
}

// OutStep is a state that a message has got to.
type OutStep struct {
	State OutState
	Time  time.Time
	How   string // as SetOutState was told
}

// Trail returns what became of the message that carries a version of a batch.
func (r Reads) Trail(ctx context.Context, batch string, seq int64) (Trail, error) {
	t, err := r.trail(ctx, batch, seq)
	if err != nil || t.state < Attempted {
		return t.Trail, err
	}
	var acts []int64
	err = r.on(ctx, func(c *conn) error {
		var last int64
		if _, err := c.one(to(&last), "SELECT coalesce(max(n), 0) FROM out_event"); err != nil {
			return err
		}
		from, err := least(last, actOf(c, t.act, "SELECT act FROM out_event WHERE n = $1"))
		for n := from; err == nil && n < last && !t.whole(); n += eventPage {
			if n-from > maxAttempts && t.state < StoredThere {
				break
			}
			err = t.follow(ctx, c, n, &acts)
		}
		return err
	})
	for i, act := range acts {
		list, err := r.Acts(ctx, uint64(act), 1)
		if err != nil {
			return t.Trail, err
		}
		for _, e := range list {
			t.Steps[i].Time = e.Time
		}
	}
	return t.Trail, err
}

// What is read of out_event for one message, beginning where it was made: so
// many rows at once, and so many at most for one that has no receipt yet.
const (
	eventPage   = 500
	maxAttempts = 20_000
)

// whole reports whether the steps lead to the state the message is in.
func (t *trail) whole() bool {
	return slices.ContainsFunc(t.Steps, func(s OutStep) bool { return s.State >= t.state })
}

// follow adds what a page of out_event says of the message.
func (t *trail) follow(ctx context.Context, c *conn, after int64, acts *[]int64) error {
	return c.each(ctx, func(rows *sql.Rows) error {
		var s OutStep
		var act int64
		var seqs []byte
		if err := rows.Scan(&act, &s.State, &s.How, &seqs); err != nil {
			return err
		}
		list, err := unpackRuns(seqs)
		if err != nil || !slices.ContainsFunc(list, func(x span) bool { return x.lo <= t.seq && t.seq <= x.hi }) {
			return err
		}
		switch {
		case s.State >= StoredThere:
			t.Steps, *acts = append(t.Steps, s), append(*acts, act)
		case s.State == Attempted && !slices.Contains(t.Ways, s.How):
			t.Ways = append(t.Ways, s.How)
		}
		return nil
	}, "SELECT act, state, how, seqs FROM out_event WHERE n > $1 AND n <= $2 AND partner = $3 AND epoch = $4 ORDER BY n", after, after+eventPage, t.partner, t.epoch)
}

// trail is a Trail without its steps, and where they are to be found.
type trail struct {
	Trail
	act            int64 // that put the message into the stream
	partner, epoch []byte
	seq            int64
	state          OutState
	since          time.Time
}

func (r Reads) trail(ctx context.Context, batch string, seq int64) (t trail, err error) {
	for from := 0; ; from += MaxPage {
		rows, err := r.BatchRows(ctx, batch, from, MaxPage)
		if err != nil || len(rows) == 0 {
			return t, err
		}
		for i, row := range rows {
			if row.Seq == seq {
				return r.trailOf(ctx, batch, from+i)
			}
		}
	}
}

func (r Reads) trailOf(ctx context.Context, batch string, ordinal int) (t trail, err error) {
	err = r.on(ctx, func(c *conn) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			var created, at int64
			err := rows.Scan(&t.act, &t.partner, &t.epoch, &t.seq, &t.Precedence, &created, &t.state, &at)
			t.Created, t.since = fromMicros(created), fromMicros(at)
			return err
		}, `SELECT o.act, o.partner, o.epoch, o.seq, o.prec, o.created, s.state, s.time FROM out_message o JOIN out_state s ON s.n = o.n
			WHERE o.batch = $1 AND o.first <= $2 AND o.first + o.count > $3 ORDER BY o.n DESC LIMIT 1`, batch, int64(ordinal), int64(ordinal))
	})
	return t, err
}
