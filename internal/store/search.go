package store

import (
	"context"
	"database/sql"

	"github.com/noroshi-cti/noroshi"
)

// textCursor is how far the full-text index has followed the feed.
const textCursor = "store/text"

// Search finds current objects by words in names and descriptions, English or
// Japanese (bigrams): those that have every word of text, oldest first, after
// a sequence. behind is how many versions with words the text index still
// lacks.
func (r Reads) Search(ctx context.Context, text string, after int64, limit int) (found []Record, behind int64, err error) {
	limit = page(limit)
	err = r.on(ctx, func(c *conn) error {
		var done int64
		if _, err := c.one(to(&done), "SELECT seq FROM cursor WHERE follower = $1", textCursor); err != nil {
			return err
		}
		if behind, err = wordsAfter(c, done); err != nil {
			return err
		}
		q := match(text)
		if q == "" {
			return nil
		}
		var seqs []int64
		err = c.each(ctx, func(rows *sql.Rows) error {
			var seq int64
			err := rows.Scan(&seq)
			seqs = append(seqs, seq)
			return err
		}, `SELECT f.rowid FROM fts f LEFT JOIN mark m ON m.seq = f.rowid
			WHERE fts MATCH $1 AND f.rowid > $2 AND (m.bits IS NULL OR m.bits & 1 = 0) ORDER BY f.rowid LIMIT $3`, q, after, limit)
		if err != nil {
			return err
		}
		for _, seq := range seqs {
			rec, ok, err := r.bySeq(ctx, c, seq)
			if err != nil {
				return err
			}
			if ok {
				found = append(found, rec)
			}
		}
		return nil
	})
	return found, behind, err
}

// wordsAfter counts versions with words after a sequence.
func wordsAfter(c *conn, seq int64) (n int64, err error) {
	_, err = c.one(to(&n), "SELECT count(*) FROM object WHERE seq > $1 AND words <> ''", seq)
	return n, err
}

// indexText moves the full-text index along the feed by one slice. It reports
// whether there is more. Where there is nothing to index it takes no turn in
// the lane: most changes bring no words.
func (s *Store) indexText(ctx context.Context) (more bool, err error) {
	var some bool
	err = s.pool.read(ctx, func(c *conn) error {
		var done int64
		if _, err := c.one(to(&done), "SELECT seq FROM cursor WHERE follower = $1", textCursor); err != nil {
			return err
		}
		some, err = c.one(to(new(int)), "SELECT 1 FROM object WHERE seq > $1 AND words <> '' LIMIT 1", done)
		return err
	})
	if err != nil || !some {
		return false, err
	}
	err = s.write(ctx, background, noroshi.Act{}, func(t *Tx) error {
		at, err := t.Cursor(ctx, textCursor)
		if err != nil || at >= t.state.seq {
			return err
		}
		type item struct {
			seq  int64
			text string
		}
		var items []item
		err = t.c.each(ctx, func(rows *sql.Rows) error {
			var it item
			err := rows.Scan(&it.seq, &it.text)
			items = append(items, it)
			return err
		}, "SELECT seq, words FROM object WHERE seq > $1 AND words <> '' ORDER BY seq LIMIT 500", at)
		if err != nil {
			return err
		}
		at = t.state.seq
		for i, it := range items {
			if _, err := t.c.exec("INSERT INTO fts (rowid, words) VALUES ($1, $2)", it.seq, indexed(it.text)); err != nil {
				return err
			}
			if t.spent() || i == 499 {
				at, more = it.seq, true
				break
			}
		}
		return t.SetCursor(textCursor, at)
	})
	return more, err
}
