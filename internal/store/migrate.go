package store

import (
	"embed"
	"fmt"
	"io/fs"
	"sort"
	"strconv"
	"strings"

	"github.com/noroshi-cti/noroshi"
)

//go:embed migrations
var migrations embed.FS

// dialect holds what differs between engines in the words of SQL; queries are
// shared but for these.
type dialect struct {
	name      string // folder under migrations
	hasSchema string // query: 1 when the meta table exists
	meta      string // statement that makes it
	begin     string // starts a write transaction
	beginRead string // starts a transaction that reads one committed state
	position  string // function: where a binary value lies in another, 0 for nowhere
	tables    string // query: the tables that a copy takes row by row
	keys      string // query: the primary key of table $1, in order
	indexedBy string // after a table: the index a query goes by; "" where the planner finds it
	words     wordIndex
}

// by names the index by which a query finds rows of the table it stands behind.
// SQLite has no statistics here, and takes a primary key for the better index
// though it leads to all of a shelf.
func (d *dialect) by(index string) string {
	if d.indexedBy == "" {
		return ""
	}
	return d.indexedBy + " " + index
}

var sqlite = dialect{
	name:      "sqlite",
	hasSchema: "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'meta'",
	meta:      "CREATE TABLE meta (k TEXT PRIMARY KEY, v BLOB NOT NULL) STRICT, WITHOUT ROWID",
	begin:     "BEGIN IMMEDIATE",
	beginRead: "BEGIN",
	position:  "instr",
	tables: `SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'meta' AND name NOT LIKE 'fts%' AND name NOT LIKE 'sqlite%'
		ORDER BY name`,
	keys:      "SELECT name FROM pragma_table_info($1) WHERE pk > 0 ORDER BY pk",
	indexedBy: "INDEXED BY",
	words:     fts5{},
}

var postgres = dialect{
	name:      "postgres",
	hasSchema: "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'meta'",
	meta:      "CREATE TABLE meta (k TEXT PRIMARY KEY, v BYTEA NOT NULL)",
	begin:     "BEGIN ISOLATION LEVEL READ COMMITTED",
	beginRead: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
	position:  "\"position\"",
	tables: `SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename NOT IN ('meta', 'fts', 'lease')
		ORDER BY tablename COLLATE "C"`,
	keys: `SELECT a.attname FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
		WHERE i.indisprimary AND n.nspname = current_schema() AND c.relname = $1 ORDER BY array_position(i.indkey::int2[], a.attnum)`,
	words: termLists{},
}

// migration is one numbered step; steps are applied in order, each in a
// transaction of its own, and never changed once published.
type migration struct {
	number int
	name   string
	text   string
}

// alsoDone is what migrations do behind their text, by number.
var alsoDone = map[int]func(*conn) error{4: settleEnded}

func (d *dialect) migrations() ([]migration, error) {
	dir := "migrations/" + d.name
	names, err := fs.Glob(migrations, dir+"/*.sql")
	if err != nil {
		return nil, err
	}
	sort.Strings(names)
	var steps []migration
	for i, name := range names {
		base := strings.TrimPrefix(name, dir+"/")
		n, err := strconv.Atoi(strings.SplitN(base, "_", 2)[0])
		if err != nil || n != i+1 {
			return nil, fmt.Errorf("migration %s: number must be %04d", base, i+1)
		}
		text, err := migrations.ReadFile(name)
		if err != nil {
			return nil, err
		}
		steps = append(steps, migration{n, base, string(text)})
	}
	return steps, nil
}

// version returns the number of the last migration a file has, 0 for a fresh one.
func (d *dialect) version(c *conn) (int, error) {
	var has int
	if _, err := c.one(to(&has), d.hasSchema); err != nil || has == 0 {
		return 0, err
	}
	var v []byte
	if _, err := c.one(to(&v), "SELECT v FROM meta WHERE k = 'schema'"); err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(string(v))
	if err != nil {
		return 0, noroshi.Errorf(noroshi.Broken, "store.schema", "schema number in meta is %q", string(v))
	}
	return n, nil
}

// migrate brings a file to this program's schema; it refuses a newer one.
func (d *dialect) migrate(c *conn, readOnly bool) error {
	steps, err := d.migrations()
	if err != nil {
		return err
	}
	have, err := d.version(c)
	if err != nil {
		return err
	}
	switch {
	case have > len(steps):
		return noroshi.Errorf(noroshi.Refused, "store.schema-newer", "the database has schema %d, this program knows up to %d: use a newer noroshi", have, len(steps))
	case readOnly && have < len(steps):
		return noroshi.Errorf(noroshi.Refused, "store.schema-older", "the database has schema %d, this program needs %d: start the node once to migrate it", have, len(steps))
	}
	for _, m := range steps[have:] {
		if err := d.apply(c, m); err != nil {
			return fmt.Errorf("migrate to %s: %w", m.name, err)
		}
	}
	return nil
}

func (d *dialect) apply(c *conn, m migration) error {
	if _, err := c.exec(d.begin); err != nil {
		return err
	}
	if err := d.step(c, m); err != nil {
		c.exec("ROLLBACK")
		return err
	}
	_, err := c.exec("COMMIT")
	return err
}

// step does a migration inside a transaction.
func (d *dialect) step(c *conn, m migration) error {
	if m.number == 1 {
		if _, err := c.exec(d.meta); err != nil {
			return err
		}
	}
	if err := c.script(m.text); err != nil {
		return err
	}
	if also := alsoDone[m.number]; also != nil {
		if err := also(c); err != nil {
			return err
		}
	}
	_, err := c.exec("INSERT INTO meta (k, v) VALUES ('schema', $1) ON CONFLICT (k) DO UPDATE SET v = excluded.v", []byte(strconv.Itoa(m.number)))
	return err
}
