package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store/pg"
)

// database is a realm's schema in a PostgreSQL database. Several processes of
// the node have it open.
type database struct {
	config *pgconn.Config
	schema string
	db     *sql.DB // the writer's

	grown   chan struct{} // the feed has doubled since the tables were last counted
	counted int64         // its length then; guarded by the lane
}

// newDatabase reads a DSN. The realm's schema is noroshi_real or
// noroshi_exercise_ID; search_path in the DSN puts another name in the place of
// noroshi.
func newDatabase(dsn string, r noroshi.Realm) (*database, error) {
	config, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, noroshi.Errorf(noroshi.Invalid, "store.dsn", "the address of the PostgreSQL database cannot be read: %w", err)
	}
	name := config.RuntimeParams["search_path"]
	if name == "" {
		name = "noroshi"
	}
	d := &database{config: config, schema: schemaName(name, r), grown: make(chan struct{}, 1), counted: firstCount}
	if strings.ContainsAny(name, `",\ `) || len(name) > 30 {
		return nil, noroshi.Errorf(noroshi.Invalid, "store.dsn", "the address of the PostgreSQL database cannot be read: %w", fmt.Errorf("search_path %q must be one plain name of at most 30 bytes", name))
	}
	for k, v := range map[string]string{
		"search_path": `"` + d.schema + `"`, "application_name": appName(d.schema), "client_encoding": "UTF8",
		// Every query has its index, joins by it and reads it in order, as on SQLite:
		// plans do not wait for statistics, and no page of a list is sorted out of all.
		"enable_seqscan": "off", "enable_bitmapscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off", "enable_material": "off",
		"jit": "off", "plan_cache_mode": "force_generic_plan",
		// A connection that is gone does not keep the lane.
		"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3",
	} {
		config.RuntimeParams[k] = v
	}
	return d, nil
}

// appName is what the server calls the processes that have a schema open: at
// most 63 bytes.
func appName(schema string) string {
	name := "noroshi " + schema
	return name[:min(len(name), 63)]
}

// schemaName keeps within the 63 bytes PostgreSQL gives a name.
func schemaName(prefix string, r noroshi.Realm) string {
	name := prefix + "_" + strings.ReplaceAll(r.String(), ":", "_")
	if len(name) > 63 {
		h := sha256.Sum256([]byte(r.Exercise()))
		name = fmt.Sprintf("%s_exercise_%x", prefix, h[:8])
	}
	return name
}

// String names the place, without what is secret of the DSN.
func (d *database) String() string {
	return fmt.Sprintf("schema %s of database %s at %s:%d", d.schema, d.config.Database, d.config.Host, d.config.Port)
}

// Keys of advisory locks: of the lane, and of the flag that somebody waits for
// it whom a bulk act must not keep long.
func (d *database) key(what string) int64 {
	h := sha256.Sum256([]byte("noroshi " + what + " " + d.schema))
	return int64(binary.BigEndian.Uint64(h[:8]))
}

func (d *database) prepare(ctx context.Context, look bool) error {
	c, err := pg.Dial(ctx, d.config)
	if err != nil {
		return unreachable(d, err)
	}
	defer c.Close()
	if enc := c.Parameter("server_encoding"); enc != "UTF8" {
		return noroshi.Errorf(noroshi.Refused, "store.encoding", "%s has the encoding %s: make the database with ENCODING 'UTF8'", d, enc)
	}
	have, err := c.Has("SELECT 1 FROM pg_namespace WHERE nspname = " + literal(d.schema))
	switch {
	case err != nil || have:
		return err
	case look:
		return noroshi.Errorf(noroshi.NotFound, "store.none", "no database at %s", d.String())
	}
	return c.Script(ctx, `CREATE SCHEMA IF NOT EXISTS "`+d.schema+`"`)
}

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// unreachable says that a database cannot be connected to.
func unreachable(d *database, err error) error {
	return noroshi.Errorf(noroshi.Busy, "store.unreachable", "%s cannot be reached: %w", d, err)
}

// alone holds the lane for the session: nobody migrates or writes meanwhile.
func (d *database) alone(c *conn, fn func() error) error {
	if _, err := c.exec("SELECT pg_advisory_lock($1)", d.key("lane")); err != nil {
		return err
	}
	err := fn()
	if _, e := c.exec("SELECT pg_advisory_unlock($1)", d.key("lane")); err == nil {
		err = e
	}
	return err
}

// maxStalled is how long a transaction may stand still with the lane before the
// server ends it: its process has stopped without ending.
const maxStalled = time.Minute

func (d *database) writer(ctx context.Context) (*conn, error) {
	if d.db == nil {
		config := d.config.Copy()
		config.RuntimeParams["idle_in_transaction_session_timeout"] = strconv.Itoa(int(maxStalled.Milliseconds()))
		d.db = sql.OpenDB(pg.Connector{Config: config})
	}
	c, err := dial(ctx, d.db, &postgres)
	if err != nil {
		return nil, unreachable(d, err)
	}
	// What the server was told to acknowledge early it does not here.
	_, err = c.exec("SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'")
	return c, err
}

func (d *database) readers() (*pool, error) {
	return newPool(sql.OpenDB(pg.Connector{Config: d.config}), &postgres), nil
}

// begin waits in the one queue all processes have. Each process has one in it,
// the first of its own lane; the urgent raise a flag that ends bulk acts.
func (d *database) begin(ctx context.Context, c *conn, k class) (acts int64, err error) {
	if err := c.run(postgres.begin); err != nil {
		return 0, err
	}
	if k == urgent || k == linked {
		err = c.run("SELECT pg_advisory_xact_lock_shared($1), pg_advisory_xact_lock($2)", d.key("flag"), d.key("lane"))
	} else {
		err = c.run("SELECT pg_advisory_xact_lock($1)", d.key("lane"))
	}
	if err == nil {
		_, err = c.await(ctx, to(&acts), "SELECT coalesce(max(idx) + 1, 0) FROM act")
	}
	return acts, err
}

func (d *database) commit(c *conn, seq int64) error {
	if seq > 0 {
		if err := c.run("SELECT pg_notify($1, $2)", d.schema, strconv.FormatInt(seq, 10)); err != nil {
			return err
		}
	}
	if _, err := c.exec("COMMIT"); err != nil {
		return err
	}
	if seq > 2*d.counted {
		d.counted = seq
		select {
		case d.grown <- struct{}{}:
		default:
		}
	}
	return nil
}

// firstCount is the length of the feed from which tables are worth counting.
const firstCount = 500

// count tells the planner how large the tables are, whenever they have doubled:
// the server's own turn comes too late for a node that has just been filled.
func (d *database) count(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.grown:
		}
		c, err := pg.Dial(ctx, d.config)
		if err != nil {
			continue
		}
		_ = c.Script(ctx, "ANALYZE "+counted) // the server does it too, later
		c.Close()
	}
}

// counted are the tables that grow with what comes in.
const counted = "word, object, notice, doc, act, head, version, mark, value, addr, ref, span, shelved, shelf, out_message, in_message, fts"

// awaited looks for the flag of somebody who waits. An error is none to a bulk
// act that may as well go on.
func (d *database) awaited(c *conn) bool {
	key := uint64(d.key("flag"))
	found, err := c.one(to(new(int64)), `SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND CAST(classid AS bigint) = $1 AND CAST(objid AS bigint) = $2 LIMIT 1`, int64(key>>32), int64(key&0xffffffff))
	return found && err == nil
}

func (d *database) enlarge(*conn) error { return nil }

// retry is how long the ear waits before it connects anew; until then it looks.
const retry = time.Second

// tend hears of what other processes commit, until ctx ends.
func (d *database) tend(ctx context.Context, s *Store) {
	config := d.config.Copy()
	config.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) {
		if seq, err := strconv.ParseInt(n.Payload, 10, 64); err == nil {
			s.passed(seq)
		}
	}
	var counting sync.WaitGroup
	counting.Go(func() { d.count(ctx) })
	defer counting.Wait()
	for ctx.Err() == nil {
		d.listen(ctx, config, s)
		select {
		case <-time.After(retry):
		case <-ctx.Done():
		}
	}
}

// listen hears until the connection is lost. What was committed before it began
// to is looked for once.
func (d *database) listen(ctx context.Context, config *pgconn.Config, s *Store) {
	c, err := pg.Dial(ctx, config)
	if err != nil {
		return
	}
	defer c.Close()
	if c.Script(ctx, `LISTEN "`+d.schema+`"`) != nil {
		return
	}
	if seq, err := s.Head(ctx); err == nil {
		s.passed(seq)
	}
	for c.Notified(ctx) == nil {
	}
}

func (d *database) rest(*conn) error { return nil }

func (d *database) close() error {
	if d.db == nil {
		return nil
	}
	return d.db.Close()
}
