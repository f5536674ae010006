// Package storetest gives tests places for stores on either engine: a file in a
// temporary folder, or a schema in a private PostgreSQL cluster that is started
// for the test process and ends with it, however it ends.
//
// The engine is that of NOROSHI_ENGINE, sqlite or postgres; without it tests
// run on SQLite, and a suite that begins with Main on both, one after the other.
package storetest

import (
	"database/sql"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	_ "modernc.org/sqlite" // for Raw

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store/pg"
)

// The engines.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

const engineEnv = "NOROSHI_ENGINE"

// running is the engine Main is at; "" before it.
var running atomic.Value

// Engine returns the engine tests run on now.
func Engine() string {
	if e, ok := running.Load().(string); ok {
		return e
	}
	if e := os.Getenv(engineEnv); e != "" {
		return e
	}
	return SQLite
}

// Main runs a suite on both engines, or on the one NOROSHI_ENGINE names, and
// returns the exit code. Benchmarks run on one.
func Main(m *testing.M) int {
	if os.Getenv(engineEnv) != "" || measures() {
		return m.Run()
	}
	for _, e := range []string{SQLite, Postgres} {
		running.Store(e)
		if code := m.Run(); code != 0 {
			fmt.Fprintln(os.Stderr, "engine:", e)
			return code
		}
	}
	return 0
}

// Address returns a place for a store of a realm that no other test has: what
// store.Open takes.
func Address(t testing.TB, r noroshi.Realm) string {
	t.Helper()
	return In(t, t.TempDir(), r)
}

// In is Address with the folder in which a file lies.
func In(t testing.TB, dir string, r noroshi.Realm) string {
	t.Helper()
	if Engine() == SQLite {
		return filepath.Join(dir, r.File())
	}
	return DSN(t)
}

// measures reports whether benchmarks are asked for.
func measures() bool {
	flag.Parse()
	f := flag.Lookup("test.bench")
	return f != nil && f.Value.String() != ""
}

var schemas atomic.Int64

// DSN returns the address of PostgreSQL with a name for schemas that no other
// test has, whatever the engine tests run on.
func DSN(t testing.TB) string {
	t.Helper()
	c, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	q := url.Values{"host": {c.sockets}, "search_path": {fmt.Sprintf("t%d_%d", os.Getpid(), schemas.Add(1))}}
	return "postgres://" + user + "@/postgres?" + q.Encode()
}

// Raw opens the tables of a store of the real realm past it.
func Raw(t testing.TB, address string) *sql.DB {
	t.Helper()
	var db *sql.DB
	if strings.HasPrefix(address, "postgres://") {
		config, err := pgconn.ParseConfig(address)
		if err != nil {
			t.Fatal(err)
		}
		config.RuntimeParams["search_path"] += "_real"
		db = sql.OpenDB(pg.Connector{Config: config})
	} else {
		var err error
		if db, err = sql.Open("sqlite", "file:"+address); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// shared is the cluster of this process.
var shared = sync.OnceValues(start)
