package store_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// lay puts versions and lays them on a shelf in one act.
func lay(t testing.TB, s *store.Store, shelf string, versions ...*store.Version) (seqs []int64, laid int) {
	t.Helper()
	do(t, s, noroshi.Act{Action: noroshi.ActImport}, func(tx *store.Tx) error {
		var items []store.Laid
		for _, v := range versions {
			_, seq, err := tx.Put(v)
			if err != nil {
				return err
			}
			seqs, items = append(seqs, seq), append(items, store.Laid{Seq: seq})
		}
		var err error
		laid, _, err = tx.Lay(shelf, items)
		return err
	})
	return seqs, laid
}

func shelf(t *testing.T, s *store.Store, q store.ShelfQuery) []store.Shelved {
	t.Helper()
	list, _, err := s.Shelf(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// versionsOf tells what lies on a shelf as versions.
func versionsOf(list []store.Shelved) string {
	var b strings.Builder
	for _, x := range list {
		fmt.Fprintf(&b, "%s ", x.Version)
	}
	return strings.TrimSpace(b.String())
}

// TestShelfDates: every record of a collection has a date_added later than all
// before it, also when the clock stands still, goes back, or what was newest
// came off.
func TestShelfDates(t *testing.T) {
	now := time.Unix(1700000000, 0)
	o := options()
	o.Now = func() time.Time { return now }
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "real.db"), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	lay(t, s, "c", indicator(t, 1, "2024-01-01T00:00:00Z"), indicator(t, 2, "2024-01-01T00:00:00Z"))
	now = now.Add(-time.Hour)
	lay(t, s, "c", indicator(t, 3, "2024-01-01T00:00:00Z"))
	all := shelf(t, s, store.ShelfQuery{Collection: "c"})
	newest := all[2].Added
	do(t, s, noroshi.Act{Action: noroshi.ActImport}, func(tx *store.Tx) error { return tx.TakeOff("c", []time.Time{newest}) })
	lay(t, s, "c", indicator(t, 4, "2024-01-01T00:00:00Z"))
	all = shelf(t, s, store.ShelfQuery{Collection: "c"})
	if len(all) != 3 || !all[2].Added.After(newest) || all[1].Added.Sub(all[0].Added) != time.Microsecond {
		t.Errorf("got %v", all)
	}
	if v := verify(t, s); len(v.Faults) > 0 {
		t.Errorf("verify: %v", v.Faults)
	}
}

// TestShelfVersions: the first, the last, one and all versions of an object, in
// whatever order and spelling they came.
func TestShelfVersions(t *testing.T) {
	s := open(t)
	for _, v := range []string{"2024-01-02T00:00:00Z", "2024-01-01T00:00:00.5Z", "2024-01-03T00:00:00.000Z"} {
		lay(t, s, "c", indicator(t, 1, v))
	}
	lay(t, s, "c", indicator(t, 2, "2024-01-02T00:00:00Z"))
	at, err := stix.ParseTime("2024-01-03T00:00:00Z")
	if err != nil {
		t.Fatal(err)
	}
	one := indicator(t, 1, "2024-01-02T00:00:00Z").Object.ID
	for name, c := range map[string]struct {
		q    store.ShelfQuery
		want string
	}{
		"last":      {store.ShelfQuery{}, "2024-01-03T00:00:00.000Z 2024-01-02T00:00:00Z"},
		"first":     {store.ShelfQuery{Versions: []store.VersionOf{{First: true}}}, "2024-01-01T00:00:00.5Z 2024-01-02T00:00:00Z"},
		"both ends": {store.ShelfQuery{IDs: []stix.ID{one}, Versions: []store.VersionOf{{First: true}, {Last: true}}}, "2024-01-01T00:00:00.5Z 2024-01-03T00:00:00.000Z"},
		"exactly":   {store.ShelfQuery{IDs: []stix.ID{one}, Versions: []store.VersionOf{{At: at}}}, "2024-01-03T00:00:00.000Z"},
		"all":       {store.ShelfQuery{IDs: []stix.ID{one}, Versions: []store.VersionOf{{All: true}}}, "2024-01-02T00:00:00Z 2024-01-01T00:00:00.5Z 2024-01-03T00:00:00.000Z"},
		"type":      {store.ShelfQuery{Types: []string{"malware", "indicator"}}, "2024-01-03T00:00:00.000Z 2024-01-02T00:00:00Z"},
		"no type":   {store.ShelfQuery{Types: []string{"malware"}}, ""},
		"no id":     {store.ShelfQuery{IDs: []stix.ID{"indicator--00000000-0000-4000-8000-00000000ffff"}}, ""},
		"no shelf":  {store.ShelfQuery{Collection: "d"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if c.q.Collection == "" {
				c.q.Collection = "c"
			}
			if got := versionsOf(shelf(t, s, c.q)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	if v := verify(t, s); len(v.Faults) > 0 {
		t.Errorf("verify: %v", v.Faults)
	}
}

// TestShelfAgain: what lies on a shelf stays where it is when it is laid there
// again, and what is withdrawn is not there.
func TestShelfAgain(t *testing.T) {
	s := open(t)
	v := indicator(t, 1, "2024-01-01T00:00:00Z")
	seqs, _ := lay(t, s, "c", v)
	before := shelf(t, s, store.ShelfQuery{Collection: "c", Bodies: true})
	if _, laid := lay(t, s, "c", v); laid != 0 {
		t.Errorf("laid %d again, want 0", laid)
	}
	if after := shelf(t, s, store.ShelfQuery{Collection: "c", Bodies: true}); len(after) != 1 || after[0].Added != before[0].Added || after[0].Seq != seqs[0] || string(after[0].Body) != string(v.Object.Bytes()) {
		t.Errorf("got %v, want %v", after, before)
	}
	do(t, s, noroshi.Act{Action: noroshi.ActWithdraw}, func(tx *store.Tx) error { return tx.Withdraw(v.Object.ID, v.Source.Owner()) })
	if after := shelf(t, s, store.ShelfQuery{Collection: "c", Versions: []store.VersionOf{{All: true}}}); len(after) != 0 {
		t.Errorf("withdrawn, but it lies there: %v", after)
	}
	if v := verify(t, s); len(v.Faults) > 0 {
		t.Errorf("verify: %v", v.Faults)
	}
}

// TestShelfPages: keyset pages give each record once, in order.
func TestShelfPages(t *testing.T) {
	s := open(t)
	var versions []*store.Version
	for i := range 25 {
		versions = append(versions, indicator(t, i, "2024-01-01T00:00:00Z"))
	}
	lay(t, s, "c", versions...)
	var got []stix.ID
	for q := (store.ShelfQuery{Collection: "c", Limit: 10}); ; {
		list, more, err := s.Shelf(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range list {
			got, q.After = append(got, x.ID), x.Added
		}
		if !more {
			break
		}
	}
	want := make([]stix.ID, 0, len(versions))
	for _, v := range versions {
		want = append(want, v.Object.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

// TestShelfAsksForMany: as many ids and versions as a client likes may be asked
// for at once.
func TestShelfAsksForMany(t *testing.T) {
	s := open(t)
	q := store.ShelfQuery{Collection: "c"}
	for i := range 1500 {
		q.IDs = append(q.IDs, indicator(t, i, "2024-01-01T00:00:00Z").Object.ID)
		at, err := stix.ParseTime(fmt.Sprintf("2023-01-01T00:%02d:%02dZ", i/60%60, i%60))
		if err != nil {
			t.Fatal(err)
		}
		q.Versions = append(q.Versions, store.VersionOf{At: at})
	}
	lay(t, s, "c", indicator(t, 1, "2024-01-01T00:00:00Z"), indicator(t, 1499, "2023-01-01T00:00:07Z"))
	if got := versionsOf(shelf(t, s, q)); got != "2023-01-01T00:00:07Z" {
		t.Errorf("got %q", got)
	}
}

// TestShelfSize: a page ends where it has bytes enough, also where the bodies
// themselves are not asked for.
func TestShelfSize(t *testing.T) {
	s := open(t)
	one, two := indicator(t, 1, "2024-01-01T00:00:00Z"), indicator(t, 2, "2024-01-01T00:00:00Z")
	lay(t, s, "c", one, two, indicator(t, 3, "2024-01-01T00:00:00Z"))
	for _, bodies := range []bool{false, true} {
		for size, want := range map[int]int{1: 1, len(one.Object.Bytes()): 1, len(one.Object.Bytes()) + 1: 2, 0: 3} {
			list, more, err := s.Shelf(t.Context(), store.ShelfQuery{Collection: "c", Size: size, Bodies: bodies})
			if err != nil || len(list) != want || more != (want < 3) || (list[0].Body != nil) != bodies || list[0].Length != len(one.Object.Bytes()) {
				t.Errorf("%d bytes, bodies %v: %d of 3, more %v, %v", size, bodies, len(list), more, err)
			}
		}
	}
}
