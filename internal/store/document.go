package store

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/noroshi-cti/noroshi"
)

// PutDoc keeps a new version of a small document: person, partner, card,
// keyset, agreement, signature, run, config. Kinds and keys are the caller's.
// The newest version is the document; all are kept.
func (t *Tx) PutDoc(kind, key string, body []byte) error {
	return t.add(docTable, t.next(docTable), kind, key, blob(body))
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
	docs := map[string][]byte{}
	err := r.on(ctx, func(c *conn) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			var key string
			var body []byte
			err := rows.Scan(&key, &body)
			docs[key] = body
			return err
		}, "SELECT id, body FROM doc WHERE n IN (SELECT max(n) FROM doc WHERE kind = $1 GROUP BY id)", kind)
	})
	return docs, err
}

// Persons returns the register of this node's persons.
func (r Reads) Persons(ctx context.Context) (noroshi.Register, error) {
	docs, err := r.Docs(ctx, noroshi.DocPerson)
	if err != nil {
		return nil, err
	}
	all := make(noroshi.Register, len(docs))
	for id, body := range docs {
		var p noroshi.Person
		if err := json.Unmarshal(body, &p); err != nil {
			return nil, noroshi.Errorf(noroshi.Broken, "store.person", "read person %s: %w", id, err)
		}
		all[id] = p
	}
	return all, nil
}

// DocVersions returns all versions of a document, oldest first.
func (r Reads) DocVersions(ctx context.Context, kind, key string) (list [][]byte, err error) {
	err = r.on(ctx, func(c *conn) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			var body []byte
			err := rows.Scan(&body)
			list = append(list, body)
			return err
		}, "SELECT body FROM doc WHERE kind = $1 AND id = $2 ORDER BY n", kind, key)
	})
	return list, err
}
