package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"maps"
	"slices"

	"github.com/noroshi-cti/noroshi"
)

// PutDoc keeps a new version of a small document: person, partner, card,
// keyset, agreement, signature, run, config. Kinds and keys are the caller's.
// The newest version is the document; all are kept.
func (t *Tx) PutDoc(kind, key string, body []byte) error {
	return t.add(docTable, t.next(docTable), kind, key, blob(body))
}

// PutJSON keeps a new version of a document that is written as JSON.
func (t *Tx) PutJSON(kind, key string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return t.PutDoc(kind, key, body)
}

// Doc returns the newest version of a document, or a NotFound error.
func (r Reads) Doc(ctx context.Context, kind, key string) (body []byte, err error) {
	err = r.on(ctx, func(c *conn) error {
		found, err := c.one(to(&body), "SELECT body FROM doc WHERE kind = $1 AND id = $2 ORDER BY n DESC LIMIT 1", kind, key)
		if err == nil && !found {
			err = noroshi.Errorf(noroshi.NotFound, "store.no-doc", "no document %s %s", kind, key)
		}
		return err
	})
	return body, err
}

// Docs returns the newest version of every document of a kind by key.
func (r Reads) Docs(ctx context.Context, kind string) (map[string][]byte, error) {
	return r.docs(ctx, "kind = $1", kind)
}

// DocsUnder is Docs of the keys that begin with one and a slash.
func (r Reads) DocsUnder(ctx context.Context, kind, key string) (map[string][]byte, error) {
	return r.docs(ctx, "kind = $1 AND id > $2 AND id < $3", kind, key+"/", key+string('/'+1))
}

func (r Reads) docs(ctx context.Context, which string, args ...any) (map[string][]byte, error) {
	docs := map[string][]byte{}
	err := r.on(ctx, func(c *conn) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			var key string
			var body []byte
			err := rows.Scan(&key, &body)
			docs[key] = body
			return err
		}, "SELECT id, body FROM doc WHERE n IN (SELECT max(n) FROM doc WHERE "+which+" GROUP BY id)", args...)
	})
	return docs, err
}

// Persons returns the register of this node's persons.
func (r Reads) Persons(ctx context.Context) (noroshi.Register, error) {
	return DocsOf[noroshi.Person](ctx, r, noroshi.DocPerson)
}

// Partners returns the record of every partner, by node.
func (r Reads) Partners(ctx context.Context) ([]noroshi.Partner, error) {
	all, err := DocsOf[noroshi.Partner](ctx, r, noroshi.DocPartner)
	return slices.SortedFunc(maps.Values(all), func(a, b noroshi.Partner) int { return bytes.Compare(a.Node[:], b.Node[:]) }), err
}

// DocVersions returns all versions of a document, oldest first.
func (r Reads) DocVersions(ctx context.Context, kind, key string) ([][]byte, error) {
	return r.bodies(ctx, "SELECT body FROM doc WHERE kind = $1 AND id = $2 ORDER BY n", kind, key)
}

// DocLatest returns the latest versions of a document, the newest first.
func (r Reads) DocLatest(ctx context.Context, kind, key string, limit int) ([][]byte, error) {
	return r.bodies(ctx, "SELECT body FROM doc WHERE kind = $1 AND id = $2 ORDER BY n DESC LIMIT $3", kind, key, page(limit))
}

func (r Reads) bodies(ctx context.Context, query string, args ...any) (list [][]byte, err error) {
	err = r.on(ctx, func(c *conn) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			var body []byte
			err := rows.Scan(&body)
			list = append(list, body)
			return err
		}, query, args...)
	})
	return list, err
}

// DocOf reads the newest version of a document that is kept as JSON, or
// NotFound.
func DocOf[T any](ctx context.Context, r Reads, kind, key string) (v T, err error) {
	body, err := r.Doc(ctx, kind, key)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return v, unreadable(kind, key, err)
	}
	return v, nil
}

// DocOrZero is DocOf, or the zero value where there is no such document.
func DocOrZero[T any](ctx context.Context, r Reads, kind, key string) (v T, err error) {
	v, err = DocOf[T](ctx, r, kind, key)
	if noroshi.KindOf(err) == noroshi.NotFound {
		err = nil
	}
	return v, err
}

// DocsOf reads the newest version of every document of a kind that is kept as
// JSON, by key.
func DocsOf[T any](ctx context.Context, r Reads, kind string) (map[string]T, error) {
	bodies, err := r.Docs(ctx, kind)
	if err != nil {
		return nil, err
	}
	all := make(map[string]T, len(bodies))
	for key, body := range bodies {
		var v T
		if err := json.Unmarshal(body, &v); err != nil {
			return nil, unreadable(kind, key, err)
		}
		all[key] = v
	}
	return all, nil
}

func unreadable(kind, key string, err error) error {
	return noroshi.Errorf(noroshi.Broken, "store.doc", "read %s %s: %w", kind, key, err)
}
