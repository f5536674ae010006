package store_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestShelfPlans: what is asked of a shelf by id or by type goes by the index that
// leads there; along the dates of a shelf it costs as much as the shelf is long,
// for each object that is laid on it.
func TestShelfPlans(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "real.db")
	s := openAt(t, path)
	v, w := indicator(t, 1, "2024-01-01T00:00:00Z"), indicator(t, 2, "2024-01-01T00:00:00Z")
	lay(t, s, "c", v, w)
	for _, q := range []store.ShelfQuery{
		{Collection: "c", IDs: []stix.ID{v.Object.ID, w.Object.ID}},
		{Collection: "c", IDs: []stix.ID{v.Object.ID}, Types: []string{"indicator"}, Versions: []store.VersionOf{{All: true}}},
		{Collection: "c", Types: []string{"indicator"}},
	} {
		if got := len(shelf(t, s, q)); got != len(q.IDs) && got != 2 {
			t.Errorf("%v: got %d objects", q, got)
		}
	}
	db := storetest.Raw(t, path)
	asked := 0
	for _, text := range store.Asked(s) {
		if !strings.Contains(text, "FROM shelved s") || !strings.Contains(text, "s.h IN") && !strings.Contains(text, "s.h =") && !strings.Contains(text, "s.type IN") {
			continue
		}
		asked++
		if got := plan(t, db, text); !strings.Contains(got, "USING INDEX shelved_") {
			t.Errorf("%s\ngoes by %s", text, got)
		}
	}
	if asked != 4 {
		t.Errorf("%d statements ask a shelf by id or type, want 4", asked)
	}
}

// plan returns how SQLite goes about a statement.
func plan(t *testing.T, db *sql.DB, text string) string {
	t.Helper()
	args := make([]any, strings.Count(text, "$"))
	rows, err := db.Query("EXPLAIN QUERY PLAN "+text, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	return strings.Join(steps, "; ")
}
