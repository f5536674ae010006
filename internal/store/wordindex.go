package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// wordIndex is the full-text index of an engine: of every version the tokens of
// its words. Both find the same.
type wordIndex interface {
	// put enters a version.
	put(s *Store, c *conn, seq int64, tokens []string) error
	// find calls fn with a page of the versions that have all the tokens, so long
	// as they are current.
	find(ctx context.Context, s *Store, c *conn, tokens []string, a Along, fn func(*sql.Rows) error) error
	// entries calls fn for every token of every version as it lies in the
	// index, and checks that a search would find it.
	entries(ctx context.Context, c *conn, fn func(key string, seq int64)) error
	// key is what entries calls a token.
	key(s *Store, token string) string
}

// fts5 is SQLite's own index. Its tokenizer takes each token whole, but of a very long
// one only the beginning: cut decides where that ends.
type fts5 struct{}

// maxFTS5Token is how many bytes of a token FTS5 takes (FTS5_MAX_TOKEN_SIZE).
const maxFTS5Token = 32768

// cut is a token as FTS5 takes it, and no part of a letter.
func (fts5) cut(token string) string {
	if len(token) <= maxFTS5Token {
		return token
	}
	n := maxFTS5Token
	for !utf8.RuneStart(token[n]) {
		n--
	}
	return token[:n]
}

func (f fts5) put(_ *Store, c *conn, seq int64, tokens []string) error {
	tokens = slices.Clone(tokens)
	for i, t := range tokens {
		tokens[i] = f.cut(t)
	}
	_, err := c.exec("INSERT INTO fts (rowid, words) VALUES ($1, $2)", seq, strings.Join(tokens, " "))
	return err
}

func (f fts5) find(ctx context.Context, _ *Store, c *conn, tokens []string, a Along, fn func(*sql.Rows) error) error {
	quoted := make([]string, len(tokens))
	for i, t := range tokens {
		quoted[i] = `"` + f.cut(t) + `"`
	}
	return c.each(ctx, fn, `SELECT f.rowid FROM fts f LEFT JOIN mark m ON m.seq = f.rowid
		WHERE fts MATCH $1 AND `+a.beyond("f.rowid", 2)+" AND (m.bits IS NULL OR m.bits & 1 = 0)"+a.order("f.rowid")+" LIMIT $3", strings.Join(quoted, " AND "), a.start(), a.Limit)
}

// entries reads the index both ways: term by term as it lies, and each term as
// a search would find it.
func (fts5) entries(ctx context.Context, c *conn, fn func(string, int64)) error {
	last, n := "", 0
	found := func() error {
		var hits int
		if last == "" {
			return nil
		}
		if _, err := c.one(to(&hits), "SELECT count(*) FROM fts WHERE fts MATCH $1", `"`+last+`"`); err != nil {
			return err
		}
		if hits != n {
			return fmt.Errorf("a search for %q finds %d of its %d entries", last, hits, n)
		}
		return nil
	}
	err := c.each(ctx, func(rows *sql.Rows) error {
		var term string
		var seq int64
		if err := rows.Scan(&term, &seq); err != nil {
			return err
		}
		if term != last {
			if err := found(); err != nil {
				return err
			}
			last, n = term, 0
		}
		n++
		fn(term, seq)
		return nil
	}, "SELECT term, doc FROM fts_terms")
	if err == nil {
		err = found()
	}
	return err
}

func (f fts5) key(_ *Store, token string) string { return f.cut(token) }

// termLists is PostgreSQL's index: a row a version with the keyed hashes of its
// tokens, under an index of its inverse. No rule of any language touches them;
// two tokens of one hash would only find more.
type termLists struct{}

func (termLists) put(s *Store, c *conn, seq int64, tokens []string) error {
	return c.run("INSERT INTO fts (seq, terms) VALUES ($1, CAST(CAST($2 AS text) AS bigint[])) ON CONFLICT DO NOTHING", seq, hashes(s, tokens))
}

// hashes is an array of the tokens' keyed hashes, each once, as PostgreSQL
// reads it.
func hashes(s *Store, tokens []string) string {
	list := make([]int64, len(tokens))
	for i, t := range tokens {
		list[i] = s.key64(t)
	}
	slices.Sort(list)
	return bigints(slices.Compact(list))
}

// bigints spells an array as PostgreSQL reads it.
func bigints(list []int64) string {
	b := []byte{'{'}
	for i, h := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, h, 10)
	}
	return string(append(b, '}'))
}

// texts spells an array of texts as PostgreSQL reads it.
func texts(list []string) string {
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = `"` + quote.Replace(s) + `"`
	}
	return "{" + strings.Join(quoted, ",") + "}"
}

// find has the inverse index asked first, whatever the planner thinks of it: a
// read that goes through the versions in order looks at all of them for a rare
// word.
func (termLists) find(ctx context.Context, s *Store, c *conn, tokens []string, a Along, fn func(*sql.Rows) error) error {
	if err := c.run("SET LOCAL enable_bitmapscan = on"); err != nil {
		return err
	}
	return c.each(ctx, fn, `WITH f AS MATERIALIZED (SELECT seq FROM fts WHERE terms @> CAST(CAST($1 AS text) AS bigint[]))
		SELECT f.seq FROM f LEFT JOIN mark m ON m.seq = f.seq
		WHERE `+a.beyond("f.seq", 2)+" AND (m.bits IS NULL OR m.bits & 1 = 0)"+a.order("f.seq")+" LIMIT $3", hashes(s, tokens), a.start(), a.Limit)
}

func (termLists) entries(ctx context.Context, c *conn, fn func(string, int64)) error {
	return c.each(ctx, func(rows *sql.Rows) error {
		var term, seq int64
		err := rows.Scan(&term, &seq)
		fn(strconv.FormatInt(term, 10), seq)
		return err
	}, "SELECT unnest(terms), seq FROM fts")
}

func (termLists) key(s *Store, token string) string { return strconv.FormatInt(s.key64(token), 10) }
