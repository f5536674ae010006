package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/noroshi-cti/noroshi/stix"
)

// EachUnarmed calls fn with the id of every indicator that Each would give and
// EachArmed would not: those without values, whose pattern is not of an armed
// form. It reads every indicator's row; callers do it beside their work, and it rests
// as long as it reads, a few milliseconds at a time.
func (r Reads) EachUnarmed(ctx context.Context, fn func(stix.ID) error) error {
	return r.on(ctx, func(c *conn) error {
		out, err := outOfEffect(ctx, c, 0)
		if err != nil {
			return err
		}
		begun, read := time.Now(), 0
		return c.each(ctx, func(rows *sql.Rows) error {
			if read++; read%2048 == 0 {
				rest := time.NewTimer(min(time.Since(begun), 50*time.Millisecond))
				select {
				case <-ctx.Done():
					rest.Stop()
					return ctx.Err()
				case <-rest.C:
				}
				begun = time.Now()
			}
			var seq int64
			var id, packed sql.RawBytes
			if err := rows.Scan(&seq, &id, &packed); err != nil || out[seq] {
				return err
			}
			u := unpacker{b: packed}
			u.varint()
			u.varint()
			n := u.count()
			if u.err != nil {
				return fmt.Errorf("version %d: %w", seq, u.err)
			}
			if n > 0 {
				return nil
			}
			return fn(stix.ID(id))
		}, "SELECT seq, sid, meta FROM object WHERE type = (SELECT n FROM word WHERE text = 'indicator')")
	})
}
