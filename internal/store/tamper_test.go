package store_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
	"github.com/noroshi-cti/noroshi/internal/tier"
)

// victim is a store that is tampered with again and again.
type victim interface {
	// fresh returns the address of a whole copy; broken is the table that was
	// tampered with last, "" for none.
	fresh(t *testing.T, broken string) string
	tables(t *testing.T, db *sql.DB) []string
	columns(t *testing.T, db *sql.DB, table string) (names, keys []string)
	// change is an expression of another value for a column of a table.
	change(table, col string, by int, last byte) string
	times() int // how often
}

// TestTamperingIsFound: every change by hand to any row of any table, every row that is
// taken out and every one that is put in is found, and what is found names the row: one
// of the record by its table and its act, one of a table that is made from the record by
// its table and by what it stands for. What has been changed so that the node does not
// open says which table cannot be read.
func TestTamperingIsFound(t *testing.T) {
	t.Parallel()
	path := address(t)
	s, err := store.Open(t.Context(), path, options())
	if err != nil {
		t.Fatal(err)
	}
	live(t, s, tier.N(20, 1010))
	if err := store.Derive(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var v victim
	if storetest.Engine() == storetest.SQLite {
		v = newFileVictim(t, path)
	} else {
		v = newSchemaVictim(t, path)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	count, columns, added, atDoor, idle := map[string]int{}, map[string]bool{}, 0, 0, 0
	var x edit
	for i := range v.times() {
		at := v.fresh(t, x.table)
		x = tamper(t, v, rng, at, i)
		count[x.table]++
		columns[x.table+"."+x.column] = true
		if x.added {
			added++
		}
		o := options()
		o.ReadOnly = true
		s, err := store.Open(t.Context(), at, o)
		if err != nil {
			if atDoor++; !x.shut(err) {
				t.Errorf("the door does not name what was changed: %v: %s", err, x.done)
			}
			continue
		}
		found, err := s.Verify(t.Context(), nil)
		switch {
		case err != nil:
			t.Errorf("verify ends with %v: %s", err, x.done)
		case len(found.Faults) == 0 && strings.HasPrefix(x.table, "fts_") && searches(t, s):
			idle++ // a byte of the engine's pages that means nothing
		case !slices.ContainsFunc(found.Faults, x.named):
			t.Errorf("not named: %s of %v\n\t%+v", x.done, x.was, found.Faults[:min(3, len(found.Faults))])
		}
		s.Close()
	}
	t.Logf("%d changes, %d of them rows put in, of which the door found %d and %d have no effect", v.times(), added, atDoor, idle)
	if added < v.times()/12 {
		t.Errorf("%d rows were put in, want a twelfth of %d changes", added, v.times())
	}
	db := rawDB(t, v.fresh(t, x.table))
	defer db.Close()
	var missed []string
	for _, table := range v.tables(t, db) {
		if table == "armed" || strings.HasPrefix(table, "fts") { // TestAPackedBlockIsChecked; the engine's own pages and arrays
			continue
		}
		if count[table] == 0 {
			missed = append(missed, table)
		}
		cols, _ := v.columns(t, db, table)
		for _, c := range cols {
			if tier.N(0, 1) > 0 && !columns[table+"."+c] {
				missed = append(missed, table+"."+c)
			}
		}
	}
	if len(missed) > tier.N(3, 0) { // which row and column is chance
		t.Errorf("there is nothing in %v, or nothing of it can be changed", missed)
	}
}

// edit is one change by hand.
type edit struct {
	table, column, done string         // column "" = the whole row
	was                 map[string]any // the row before, or that was put in
	added               bool
}

// named reports whether a fault names the row that was changed.
func (x edit) named(f store.Fault) bool {
	table := x.table
	if strings.HasPrefix(table, "fts_") {
		table = "fts" // pages of the engine's, of which a row is no thing
	}
	if !slices.Contains(strings.Split(f.Table, ", "), table) {
		return false
	}
	act, evidence := x.was["act"]
	switch {
	case table == "act":
		return f.Index == uint64(x.was["idx"].(int64))
	case evidence && table != "link_leaf":
		return f.Index == uint64(act.(int64))
	case table == "fts" || table == "meta": // of which no row is a thing
		return true
	}
	what := said[table](x.was)
	if x.added {
		what = strings.TrimSuffix(what, lost)
	}
	return strings.Contains(f.Msg, what)
}

// shut reports whether the door, where it does not open, names the row: by its
// table, or by what the node is told by it.
func (x edit) shut(err error) bool {
	tells := map[string]string{"signer": "node"}[x.table]
	if x.table == "meta" {
		tells = fmt.Sprintf("%s", x.was["k"])
	}
	return strings.Contains(err.Error(), x.table) || tells != "" && strings.Contains(err.Error(), tells)
}

// said is how verify names a row of a table that is no evidence: by what it stands
// for. Of a follower's place that is gone nothing tells whose it was.
var said = map[string]func(was map[string]any) string{
	"tree":       func(r map[string]any) string { return fmt.Sprintf("tree %d", r["id"]) },
	"tree_hash":  func(r map[string]any) string { return fmt.Sprintf("row %d of the hashes of tree %d ", in(r), of(r)) },
	"link_leaf":  func(r map[string]any) string { return fmt.Sprintf("leaf %d of tree %d ", in(r), of(r)) },
	"checkpoint": func(r map[string]any) string { return fmt.Sprintf("tree %d", of(r)) },
	"head": func(r map[string]any) string {
		return fmt.Sprintf("place of version %d, with version %d current", r["first"], r["current"]) + lost
	},
	"version":   func(r map[string]any) string { return fmt.Sprintf("version %d in the list of its id", r["seq"]) + lost },
	"mark":      func(r map[string]any) string { return fmt.Sprintf("mark of version %d", r["seq"]) + lost },
	"value":     func(r map[string]any) string { return fmt.Sprintf("entry of version %d", r["seq"]) + lost },
	"addr":      func(r map[string]any) string { return fmt.Sprintf("entry of version %d", r["seq"]) + lost },
	"ref":       func(r map[string]any) string { return fmt.Sprintf("%s to %s", r["sid"], r["target"]) + lost },
	"hold":      func(r map[string]any) string { return fmt.Sprintf("hold %s", r["id"]) + lost },
	"span":      func(r map[string]any) string { return fmt.Sprintf("versions %d to %d are ", r["lo"], r["hi"]) },
	"unsent":    func(r map[string]any) string { return fmt.Sprintf("batch %d to %x", r["batch"], r["partner"]) + lost },
	"out_state": func(r map[string]any) string { return fmt.Sprintf("out_message %d", r["n"]) + lost },
	"pending": func(r map[string]any) string {
		return fmt.Sprintf("message %d to %x in epoch %x", r["seq"], r["partner"], r["epoch"]) + lost
	},
	"in_state": func(r map[string]any) string {
		return fmt.Sprintf("message %d of %x in epoch %x", r["seq"], r["partner"], r["epoch"]) + lost
	},
	"in_content": func(r map[string]any) string { return fmt.Sprintf("in_message %d", r["n"]) + lost },
	"shelved":    func(r map[string]any) string { return fmt.Sprintf("version %d in the collection ", r["seq"]) },
	"armed":      func(r map[string]any) string { return fmt.Sprintf("block %d ", r["block"]) },
	"cursor":     func(map[string]any) string { return "place" },
}

// lost ends what verify says of a row that is no more as it was.
const lost = ": what the record gives is not there"

// A row of a tree's has the tree's number and its own place in one id.
func of(r map[string]any) int64 { return r["id"].(int64) >> 40 }
func in(r map[string]any) int64 { return r["id"].(int64) & (1<<40 - 1) }

// TestAddedRowsAreNamed: rows that the record gives no place to be looked for are found
// too, and named: in a collection, or of a version, that there is not, under a key that
// is none, and behind the end of a tree.
func TestAddedRowsAreNamed(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct{ table, add, named string }{
		"in no collection": {"shelved", "INSERT INTO shelved (c, added, seq, at, h, type, ver, ends) SELECT c + 100000, added, seq, at, h, type, ver, ends FROM shelved ORDER BY c, added LIMIT 1", "in the collection , added"},
		"of no version":    {"shelved", "INSERT INTO shelved (c, added, seq, at, h, type, ver, ends) SELECT c, added + 100000, seq + 100000, at, h, type, ver, ends FROM shelved ORDER BY c, added LIMIT 1", "version 1000"},
		"under no key":     {"meta", "INSERT INTO meta (k, v) SELECT 'seedy', v FROM meta WHERE k = 'seed'", "seedy"},
		"behind a tree":    {"tree_hash", "INSERT INTO tree_hash (id, hashes) SELECT id + 77, hashes FROM tree_hash ORDER BY id LIMIT 1", "row 77 of the hashes of tree 0 "},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			path := address(t)
			s, err := store.Open(t.Context(), path, options())
			if err != nil {
				t.Fatal(err)
			}
			live(t, s, 1)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			raw(t, path, c.add)
			if s, err = store.Open(t.Context(), path, options()); err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			v, err := s.Verify(t.Context(), nil)
			if err != nil || !slices.ContainsFunc(v.Faults, func(f store.Fault) bool { return f.Table == c.table && strings.Contains(f.Msg, c.named) }) {
				t.Errorf("%s: %+v, %v", c.add, v.Faults, err)
			}
		})
	}
}

// TestAPackedBlockIsChecked: what a node is armed from at its start is derived, and
// a block of it that was changed, moved or added is found. One that was taken out
// is only not made yet, and is made anew.
func TestAPackedBlockIsChecked(t *testing.T) {
	t.Parallel()
	path := address(t)
	s, err := store.Open(t.Context(), path, options())
	if err != nil {
		t.Fatal(err)
	}
	fill(t, s, 4200)
	if err := store.Derive(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		"UPDATE armed SET block = block + 1",
		"UPDATE armed SET entries = substr(entries, 1, length(entries) - 1)",
		"INSERT INTO armed (block, entries) SELECT block + 1, entries FROM armed",
	} {
		raw(t, path, q)
		s, err := store.Open(t.Context(), path, options())
		if err != nil {
			t.Fatal(err)
		}
		v, err := s.Verify(t.Context(), nil)
		if err != nil || len(v.Faults) == 0 {
			t.Errorf("not found: %s (%v)", q, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		raw(t, path, "DELETE FROM armed")
		if s, err = store.Open(t.Context(), path, options()); err != nil {
			t.Fatal(err)
		}
		if err := store.Derive(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if v, err := s.Verify(t.Context(), nil); err != nil || len(v.Faults) > 0 {
			t.Errorf("made anew it is not whole: %v %v", v.Faults, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// searches reports whether full-text search still finds what it should: not
// every byte of the engine's own pages has an effect.
func searches(t *testing.T, s *store.Store) bool {
	t.Helper()
	for _, q := range []string{"狼煙", "ransomware", "上が"} {
		found, _, err := s.Search(t.Context(), q, store.Along{Limit: 10})
		if err != nil || len(found) != 1 {
			return false
		}
	}
	return true
}

// tamper changes, removes or puts in one row of a table by raw SQL.
func tamper(t *testing.T, v victim, rng *rand.Rand, at string, i int) edit {
	t.Helper()
	db := rawDB(t, at)
	defer db.Close()
	names := v.tables(t, db)
	for {
		table := names[i%len(names)]
		var n int
		err := db.QueryRow("SELECT count(*) FROM " + table).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			i = rng.IntN(1000)
			continue
		}
		cols, keys := v.columns(t, db, table)
		key := strings.Join(keys, ", ")
		pick := fmt.Sprintf("(%s) = (SELECT %s FROM %s ORDER BY %s LIMIT 1 OFFSET %d)", key, key, table, key, rng.IntN(n))
		x := edit{table: table, was: row(t, db, table, pick)}
		before := dump(t, db, table, key)
		if x.was == nil {
			i = rng.IntN(1000)
			continue
		}
		visit, try := i/len(names), []string(nil)
		switch visit % 6 {
		case 1:
			x.added = true
			try = copies(v, rng, table, pick, cols, keys)
		case 5:
			try = []string{"DELETE FROM " + table + " WHERE " + pick}
		default:
			// One column after the other, so that in time each has its turn.
			x.column = cols[(visit-(visit+4)/6-visit/6)%len(cols)]
			for _, by := range []int{[]int{1, -1, 7, 1 << 20}[rng.IntN(4)], 1 << 20} { // the next may be taken
				try = append(try, fmt.Sprintf("UPDATE %s SET %s = %s WHERE %s", table, x.column, v.change(table, x.column, by, byte(rng.IntN(256))), pick))
			}
		}
		for _, x.done = range try {
			if _, err = db.Exec(x.done); err == nil {
				break
			}
		}
		after := dump(t, db, table, key)
		if err != nil || slices.Equal(before, after) { // a constraint forbids it, or it changes nothing
			i = rng.IntN(1000)
			continue
		}
		if x.added {
			x.was = extra(t, db, table, key, before)
		}
		return x
	}
}

// copies are ways to put in a row like another one but for one column of the key, and
// one column more where the draw or a constraint wants it.
func copies(v victim, rng *rand.Rand, table, pick string, cols, keys []string) (try []string) {
	key := keys[rng.IntN(len(keys))]
	for _, i := range append([]int{rng.IntN(2 * len(cols))}, rng.Perm(len(cols))...) {
		list := slices.Clone(cols)
		for j, c := range cols {
			if c == key || j == i {
				list[j] = v.change(table, c, []int{1, 7, 1 << 20}[rng.IntN(3)], byte(rng.IntN(256)))
			}
		}
		try = append(try, fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s WHERE %s", table, strings.Join(cols, ", "), strings.Join(list, ", "), table, pick))
	}
	return try
}

// extra reads the row that a table has more than before.
func extra(t *testing.T, db *sql.DB, table, key string, before []string) map[string]any {
	t.Helper()
	for i, line := range dump(t, db, table, key) {
		if i == len(before) || line != before[i] {
			return row(t, db, table, fmt.Sprintf("(%s) = (SELECT %s FROM %s ORDER BY %s LIMIT 1 OFFSET %d)", key, key, table, key, i))
		}
	}
	t.Fatalf("nothing was put into %s", table)
	return nil
}

// row reads one row, nil for none: a key without a value is equal to nothing.
func row(t *testing.T, db *sql.DB, table, pick string) map[string]any {
	t.Helper()
	rows, err := db.Query("SELECT * FROM " + table + " WHERE " + pick)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	cols, _ := rows.Columns()
	vals, dest := make([]any, len(cols)), make([]any, len(cols))
	for i := range vals {
		dest[i] = &vals[i]
	}
	if !rows.Next() {
		return nil
	}
	if err := rows.Scan(dest...); err != nil {
		t.Fatal(err)
	}
	was := map[string]any{}
	for i, c := range cols {
		was[c] = vals[i]
	}
	return was
}

func column(t *testing.T, db *sql.DB, q string, args ...any) (list []string) {
	t.Helper()
	rows, err := db.Query(q, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

// dump are the rows of a table in the order of its key.
func dump(t *testing.T, db *sql.DB, table, key string) (lines []string) {
	t.Helper()
	rows, err := db.Query("SELECT * FROM " + table + " ORDER BY " + key)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	cols, _ := rows.Columns()
	for rows.Next() {
		vals := make([]any, len(cols))
		dest := make([]any, len(cols))
		for i := range vals {
			dest[i] = &vals[i]
		}
		if err := rows.Scan(dest...); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%#v", vals)) // not %q, which shows numbers as the characters they are
	}
	return lines
}

// fileVictim is a SQLite file.
type fileVictim struct{ whole []byte }

func newFileVictim(t *testing.T, path string) victim {
	t.Helper()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fileVictim{whole}
}

func (v fileVictim) fresh(t *testing.T, _ string) string {
	copied := filepath.Join(t.TempDir(), "real.db")
	if err := os.WriteFile(copied, v.whole, 0o600); err != nil {
		t.Fatal(err)
	}
	return copied
}

func (fileVictim) tables(t *testing.T, db *sql.DB) []string {
	return column(t, db, "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' AND name NOT IN ('fts_config') ORDER BY name")
}

func (fileVictim) columns(t *testing.T, db *sql.DB, table string) (names, keys []string) {
	return column(t, db, "SELECT name FROM pragma_table_info('"+table+"')"), column(t, db, "SELECT name FROM pragma_table_info('"+table+"') WHERE pk > 0 ORDER BY pk")
}

func (fileVictim) change(_, col string, by int, last byte) string {
	return fmt.Sprintf(`CASE typeof(%[1]s) WHEN 'integer' THEN %[1]s + %[2]d WHEN 'text' THEN %[1]s || 'x'
		ELSE CASE WHEN length(%[1]s) = 0 THEN x'00' ELSE CAST(substr(%[1]s, 1, length(%[1]s) - 1) || x'%02[3]x' AS BLOB) END END`, col, by, last)
}

func (fileVictim) times() int { return tier.N(200, 1200) }

// schemaVictim is a schema of PostgreSQL beside which a whole copy lies.
type schemaVictim struct {
	path  string
	whole string // the schema of the copy
	all   []string
	kind  map[string]string // type by table.column
	cols  map[string][2][]string
}

func newSchemaVictim(t *testing.T, path string) victim {
	t.Helper()
	v := &schemaVictim{path: path, kind: map[string]string{}, cols: map[string][2][]string{}}
	db := rawDB(t, path)
	v.whole = column(t, db, "SELECT current_schema() || '_whole'")[0]
	v.all = column(t, db, "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() AND tablename <> 'lease' ORDER BY tablename")
	if _, err := db.Exec("CREATE SCHEMA " + v.whole); err != nil {
		t.Fatal(err)
	}
	for _, table := range v.all {
		if _, err := db.Exec("CREATE TABLE " + v.whole + "." + table + " AS TABLE " + table); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func (v *schemaVictim) fresh(t *testing.T, broken string) string {
	if broken != "" {
		raw(t, v.path, "DELETE FROM "+broken)
		raw(t, v.path, "INSERT INTO "+broken+" TABLE "+v.whole+"."+broken)
	}
	return v.path
}

func (v *schemaVictim) tables(*testing.T, *sql.DB) []string { return v.all }

func (v *schemaVictim) columns(t *testing.T, db *sql.DB, table string) (names, keys []string) {
	if known, ok := v.cols[table]; ok {
		return known[0], known[1]
	}
	names = column(t, db, "SELECT column_name::text FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position", table)
	kinds := column(t, db, "SELECT data_type::text FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position", table)
	for i, name := range names {
		v.kind[table+"."+name] = kinds[i]
	}
	keys = column(t, db, `SELECT a.attname::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
		WHERE i.indisprimary AND i.indrelid = (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = current_schema() AND c.relname = $1)
		ORDER BY array_position(i.indkey::int2[], a.attnum)`, table)
	v.cols[table] = [2][]string{names, keys}
	return names, keys
}

func (v *schemaVictim) change(table, col string, by int, last byte) string {
	switch v.kind[table+"."+col] {
	case "bigint":
		return fmt.Sprintf("%s + %d", col, by)
	case "text":
		return col + " || 'x'"
	case "bytea":
		return fmt.Sprintf(`CASE WHEN length(%[1]s) = 0 THEN '\x00' ELSE substr(%[1]s, 1, length(%[1]s) - 1) || '\x%02[2]x'::bytea END`, col, last)
	}
	return fmt.Sprintf("array_append(%s, %d)", col, by)
}

func (v *schemaVictim) times() int { return tier.N(100, 1100) }
