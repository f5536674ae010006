package store

import (
	"context"
	"database/sql"

	"github.com/noroshi-cti/noroshi"
)

// OutIDs calls fn for every message of our stream in a run of sequences, with how
// far it has got.
func (r Reads) OutIDs(ctx context.Context, partner noroshi.NodeID, epoch [16]byte, a, b uint64, fn func(seq uint64, id noroshi.Hash, state OutState)) error {
	return r.ids(ctx, func(seq uint64, id noroshi.Hash, state int64) { fn(seq, id, OutState(state)) },
		`SELECT o.seq, o.id, s.state FROM out_message o JOIN out_state s ON s.n = o.n
			WHERE o.partner = $1 AND o.epoch = $2 AND o.seq >= $3 AND o.seq <= $4 ORDER BY o.seq`, partner, epoch, a, b)
}

// InIDs calls fn for every sequence in a run of a partner's stream that is bound
// here, with the id that stands; zero where a tombstone closed it.
func (r Reads) InIDs(ctx context.Context, partner noroshi.NodeID, epoch [16]byte, a, b uint64, fn func(seq uint64, id noroshi.Hash, state InState)) error {
	return r.ids(ctx, func(seq uint64, id noroshi.Hash, state int64) { fn(seq, id, InState(state)) },
		`SELECT s.seq, i.id, s.state FROM in_state s LEFT JOIN in_message i ON i.partner = s.partner AND i.epoch = s.epoch AND i.seq = s.seq AND i.second = 0
			WHERE s.partner = $1 AND s.epoch = $2 AND s.seq >= $3 AND s.seq <= $4 ORDER BY s.seq`, partner, epoch, a, b)
}

func (r Reads) ids(ctx context.Context, fn func(uint64, noroshi.Hash, int64), q string, partner noroshi.NodeID, epoch [16]byte, a, b uint64) error {
	const top = 1<<63 - 1
	return r.on(ctx, func(c *conn) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			var seq, state int64
			var id []byte
			var h noroshi.Hash
			if err := rows.Scan(&seq, &id, &state); err != nil {
				return err
			}
			copy(h[:], id)
			fn(uint64(seq), h, state)
			return nil
		}, q, partner[:], epoch[:], int64(min(a, top)), int64(min(b, top)))
	})
}
