package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/noroshi-cti/noroshi"
)

// textCursor is how far the full-text index has followed the feed.
const textCursor = "store/text"

// Search finds current objects by words in names and descriptions, English or
// Japanese (bigrams): those that have every word of text. behind is how many
// versions with words the text index still lacks, counted up to MaxBehind.
func (r Reads) Search(ctx context.Context, text string, a Along) (found []Record, behind int64, err error) {
	a.Limit = page(a.Limit)
	err = r.on(ctx, func(c *conn) error {
		var done int64
		if _, err := c.one(to(&done), "SELECT seq FROM cursor WHERE follower = $1", textCursor); err != nil {
			return err
		}
		if behind, err = wordsAfter(c, done); err != nil {
			return err
		}
		sought := tokens(text)
		if len(sought) == 0 {
			return nil
		}
		var seqs []int64
		err = c.d.words.find(ctx, r.s, c, sought, a, func(rows *sql.Rows) error {
			var seq int64
			err := rows.Scan(&seq)
			seqs = append(seqs, seq)
			return err
		})
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

// MaxBehind is up to how many versions a search counts that cannot be found yet:
// just after a large import it would count for longer than it looks.
const MaxBehind = 100_000

// wordsAfter counts versions with words after a sequence, up to MaxBehind.
func wordsAfter(c *conn, seq int64) (n int64, err error) {
	_, err = c.one(to(&n), fmt.Sprintf("SELECT count(*) FROM (SELECT 1 FROM object WHERE seq > $1 AND words <> '' LIMIT %d) a", MaxBehind), seq)
	return n, err
}

// indexText moves the full-text index along the feed by one slice. It reports
// whether there is more. What a text is found by is made before it takes a turn
// in the lane, and where there is nothing to index it takes none: most changes
// bring no words.
func (s *Store) indexText(ctx context.Context) (more bool, err error) {
	from, to, items, err := s.unindexed(ctx)
	if err != nil || len(items) == 0 {
		return false, err
	}
	err = s.write(ctx, background, noroshi.Act{}, func(t *Tx) error {
		at, err := t.Cursor(ctx, textCursor)
		if err != nil || at != from {
			more = err == nil // somebody else was here meanwhile, and may not be through
			return err
		}
		more = len(items) == textsAtOnce
		for i, it := range items {
			if err := t.c.d.words.put(t.s, t.c, it.seq, it.tokens); err != nil {
				return err
			}
			if t.spent() && i+1 < len(items) {
				to, more = it.seq, true
				break
			}
		}
		return t.SetCursor(textCursor, to)
	})
	return more, err
}

// textsAtOnce is how many versions one slice of the full-text index has at most.
const textsAtOnce = 500

// worded is a version with words, and what it is found by.
type worded struct {
	seq    int64
	tokens []string
}

// unindexed reads the next versions behind the full-text index, which stands at
// from and stands at to when it has them.
func (s *Store) unindexed(ctx context.Context) (from, to int64, items []worded, err error) {
	err = s.pool.read(ctx, func(c *conn) error {
		if _, err := c.one([]any{&from}, "SELECT seq FROM cursor WHERE follower = $1", textCursor); err != nil {
			return err
		}
		if to, err = head(c); err != nil {
			return err
		}
		return c.each(ctx, func(rows *sql.Rows) error {
			var seq int64
			var text string
			err := rows.Scan(&seq, &text)
			items = append(items, worded{seq, tokens(text)})
			return err
		}, "SELECT seq, words FROM object WHERE seq > $1 AND words <> '' ORDER BY seq LIMIT $2", from, textsAtOnce)
	})
	if len(items) == textsAtOnce {
		to = items[len(items)-1].seq
	}
	return from, to, items, err
}
