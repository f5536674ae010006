package store

import (
	"context"
	"strings"
)

// engine is where a realm's tables are: a SQLite file, or a schema of a
// PostgreSQL database. What else differs is in conn and dialect.
type engine interface {
	// prepare readies the place: makes it where there is none, or only looks
	// for it, and takes what lock the engine has against other processes.
	prepare(ctx context.Context, look bool) error
	// alone runs fn, which may change tables, while no other process does.
	alone(c *conn, fn func() error) error
	// writer opens the connection that writes.
	writer(ctx context.Context) (*conn, error)
	// readers opens the pool of those that read.
	readers() (*pool, error)
	// begin starts a write transaction in its turn among processes, and returns
	// how many acts the ledger has then.
	begin(ctx context.Context, c *conn, k class) (acts int64, err error)
	// commit ends it; seq is where the feed then ends, 0 when it did not move.
	commit(c *conn, seq int64) error
	// awaited reports whether an urgent act, or one on a link, waits in another
	// process.
	awaited(c *conn) bool
	// enlarge gives the writer of a large store more memory.
	enlarge(c *conn) error
	// tend does what the engine needs beside the writer until ctx ends.
	tend(ctx context.Context, s *Store)
	// rest readies the place for being left alone.
	rest(c *conn) error
	close() error
}

// IsDSN reports whether an address given to Open names a PostgreSQL database
// and not a file.
func IsDSN(address string) bool {
	return strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://")
}
