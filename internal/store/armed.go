package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// Armed is what arming needs of an indicator, without its bytes.
type Armed struct {
	Seq        int64
	ID         stix.ID
	Values     []noroshi.Value
	ValidFrom  int64 // microseconds since 1970 UTC, 0 = not given
	ValidUntil int64 // the same
	Flagged    bool  // a known-good warning-list names one of its values
}

// Indicator is an indicator version and how it stands, without its bytes.
type Indicator struct {
	Armed // without Values when the pattern is not of an armed form

	Current, Conflict, Withdrawn, Revoked bool
}

// EachIndicator calls fn for every indicator version after one sequence up to
// another, whatever its standing: the way an index follows the feed. x and its
// Values may be kept.
func (r Reads) EachIndicator(ctx context.Context, after, until int64, fn func(x Indicator) error) error {
	return r.on(ctx, func(c *conn) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			var x Indicator
			var bits, mark int
			var packed sql.RawBytes
			if err := rows.Scan(&x.Seq, &x.ID, &bits, &packed, &mark); err != nil {
				return err
			}
			m, err := unpackMeta(packed)
			if err != nil {
				return fmt.Errorf("version %d: %w", x.Seq, err)
			}
			x.Values, x.ValidFrom, x.ValidUntil, x.Flagged = m.values, m.from, m.until, bits&bitFlagged != 0
			x.Current, x.Conflict, x.Withdrawn = mark&superseded == 0, mark&conflict != 0, mark&withdrawn != 0
			x.Revoked = bits&bitRevoked != 0 || mark&revoked != 0
			return fn(x)
		}, `SELECT o.seq, o.sid, o.bits, o.meta, coalesce(m.bits, 0) FROM object o LEFT JOIN mark m ON m.seq = o.seq
			WHERE o.type = (SELECT n FROM word WHERE text = 'indicator') AND o.seq > $1 AND o.seq <= $2 ORDER BY o.seq`, after, until)
	})
}

// blockSeqs is how many sequences of the feed one packed block covers.
const blockSeqs = 4096

// EachArmed calls fn for every indicator that Each would give and that has
// values, in feed order, from packed blocks: the way 1.6 million indicators
// are armed at start without reading their JSON. head is the feed's last
// sequence at the call: a follower that starts there misses nothing. a and its
// Values are valid only during the call.
func (r Reads) EachArmed(ctx context.Context, after int64, fn func(a *Armed) error) (newest int64, err error) {
	err = r.on(ctx, func(c *conn) error {
		if newest, err = head(c); err != nil {
			return err
		}
		out, err := outOfEffect(ctx, c, after)
		if err != nil {
			return err
		}
		done := after
		var a Armed
		err = c.each(ctx, func(rows *sql.Rows) error {
			var block int64
			var packed sql.RawBytes
			if err := rows.Scan(&block, &packed); err != nil {
				return err
			}
			done = max(done, (block+1)*blockSeqs-1)
			return eachPacked(packed, block*blockSeqs, &a, func(a *Armed) error {
				if a.Seq <= after || out[a.Seq] {
					return nil
				}
				return fn(a)
			})
		}, "SELECT block, entries FROM armed WHERE block >= $1 ORDER BY block", after/blockSeqs)
		if err != nil {
			return err
		}
		return eachUnpacked(ctx, c, done, 1<<62, func(a *Armed) error {
			if out[a.Seq] {
				return nil
			}
			return fn(a)
		})
	})
	return newest, err
}

// outOfEffect returns the versions after a sequence that are not armed.
func outOfEffect(ctx context.Context, c *conn, after int64) (map[int64]bool, error) {
	out := map[int64]bool{}
	err := c.each(ctx, func(rows *sql.Rows) error {
		var seq int64
		err := rows.Scan(&seq)
		out[seq] = true
		return err
	}, "SELECT seq FROM mark WHERE seq > $1 AND bits & $2 <> 0", after, superseded|withdrawn|revoked)
	return out, err
}

// eachUnpacked reads indicators from their rows.
func eachUnpacked(ctx context.Context, c *conn, after, until int64, fn func(*Armed) error) error {
	return c.each(ctx, func(rows *sql.Rows) error {
		var a Armed
		var bits int
		var packed []byte
		if err := rows.Scan(&a.Seq, &a.ID, &bits, &packed); err != nil {
			return err
		}
		m, err := unpackMeta(packed)
		if err != nil {
			return fmt.Errorf("version %d: %w", a.Seq, err)
		}
		if len(m.values) == 0 {
			return nil
		}
		a.Values, a.ValidFrom, a.ValidUntil, a.Flagged = m.values, m.from, m.until, bits&bitFlagged != 0
		return fn(&a)
	}, "SELECT seq, sid, bits, meta FROM object WHERE type = (SELECT n FROM word WHERE text = 'indicator') AND seq > $1 AND seq <= $2 ORDER BY seq", after, until)
}

// packArmed packs one entry of a block: sequence as the difference to the one
// before, a flag byte, id (its part after the type), validity, values.
func packArmed(b []byte, last int64, a *Armed) []byte {
	b = binary.AppendUvarint(b, uint64(a.Seq-last))
	flag := byte(0)
	if a.Flagged {
		flag = 1
	}
	b = append(b, flag)
	b = appendText(b, a.ID)
	b = binary.AppendVarint(b, a.ValidFrom)
	b = binary.AppendVarint(b, a.ValidUntil)
	return appendValues(b, a.Values)
}

// eachPacked reads a block.
func eachPacked(b []byte, last int64, a *Armed, fn func(*Armed) error) error {
	u := unpacker{b: b}
	for len(u.b) > 0 {
		last += int64(u.uvarint())
		flag := u.take(1)
		a.Seq, a.Flagged = last, len(flag) == 1 && flag[0] == 1
		a.ID = stix.ID(u.text())
		a.ValidFrom, a.ValidUntil = u.varint(), u.varint()
		a.Values = u.values(a.Values[:0])
		if u.err != nil {
			return fmt.Errorf("block at %d: %w", last, u.err)
		}
		if err := fn(a); err != nil {
			return err
		}
	}
	return u.err
}

// packBlock makes the block that ends at or before the feed's end, if the next
// one is full. It reports whether there may be more.
func (s *Store) packBlock(ctx context.Context) (more bool, err error) {
	var next, newest int64
	err = s.pool.read(ctx, func(c *conn) error {
		if _, err := c.one(to(&next), "SELECT coalesce(max(block) + 1, 0) FROM armed"); err != nil {
			return err
		}
		newest, err = head(c)
		return err
	})
	if err != nil || newest < (next+1)*blockSeqs-1 {
		return false, err
	}
	var packed []byte
	err = s.pool.read(ctx, func(c *conn) error {
		packed, err = block(ctx, c, next)
		return err
	})
	if err != nil {
		return false, err
	}
	return true, s.write(ctx, background, noroshi.Act{}, func(t *Tx) error {
		t.derived = true
		return t.c.run("INSERT INTO armed (block, entries) VALUES ($1, $2) ON CONFLICT DO NOTHING", next, blob(packed))
	})
}

// block packs the indicators of a full block from their rows.
func block(ctx context.Context, c *conn, n int64) ([]byte, error) {
	var b []byte
	last := n * blockSeqs
	err := eachUnpacked(ctx, c, n*blockSeqs-1, (n+1)*blockSeqs-1, func(a *Armed) error {
		b = packArmed(b, last, a)
		last = a.Seq
		return nil
	})
	return b, err
}
