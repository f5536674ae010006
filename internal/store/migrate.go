package store

import (
	"context"
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

// dialect holds what differs between engines; queries are shared.
type dialect struct {
	name      string // folder under migrations
	hasSchema string // query: 1 when the meta table exists
	meta      string // statement that makes it
	begin     string // starts a write transaction
}

var sqlite = dialect{
	name:      "sqlite",
	hasSchema: "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'meta'",
	meta:      "CREATE TABLE meta (k TEXT PRIMARY KEY, v BLOB NOT NULL) STRICT, WITHOUT ROWID",
	begin:     "BEGIN IMMEDIATE",
}

// migration is one numbered step; steps are applied in order, each in a
// transaction of its own, and never changed once published.
type migration struct {
	number int
	name   string
	text   string
}

func (d dialect) migrations() ([]migration, error) {
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
func (d dialect) version(c *conn) (int, error) {
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
		return 0, noroshi.Errorf(noroshi.Broken, "store.schema", "schema number of the database is %q", string(v))
	}
	return n, nil
}

// migrate brings a file to this program's schema; it refuses a newer one.
func (d dialect) migrate(c *conn, readOnly bool) error {
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

func (d dialect) apply(c *conn, m migration) error {
	if _, err := c.exec(d.begin); err != nil {
		return err
	}
	err := func() error {
		if m.number == 1 {
			if _, err := c.exec(d.meta); err != nil {
				return err
			}
		}
		if _, err := c.c.ExecContext(context.Background(), m.text); err != nil {
			return err
		}
		_, err := c.exec("INSERT INTO meta (k, v) VALUES ('schema', $1) ON CONFLICT (k) DO UPDATE SET v = excluded.v", []byte(strconv.Itoa(m.number)))
		return err
	}()
	if err != nil {
		c.exec("ROLLBACK")
		return err
	}
	_, err = c.exec("COMMIT")
	return err
}
