package store_test

import (
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestReferring: of the objects that refer to one, those of a type are found among
// others, in order, past a page and no more than were asked for.
func TestReferring(t *testing.T) {
	s := open(t)
	about := indicator(t, 1, "2024-01-01T00:00:00.000Z").Object.ID
	const many = store.MaxPage + 2
	do(t, s, noroshi.Act{Action: noroshi.ActImport}, func(tx *store.Tx) error {
		refer := func(v *store.Version) error {
			v.Refs = []stix.ID{about}
			_, _, err := tx.Put(v)
			return err
		}
		for n := range many {
			if err := refer(indicator(t, n+2, "2024-01-01T00:00:00.000Z")); err != nil {
				return err
			}
		}
		for _, typ := range []string{"identity", "infrastructure"} { // before and behind
			o, err := stix.Make(stix.Member{Name: "type", Value: typ}, stix.Member{Name: "spec_version", Value: "2.1"}, stix.Member{Name: "id", Value: stix.NewID(typ)},
				stix.Member{Name: "created", Value: "2024-01-01T00:00:00.000Z"}, stix.Member{Name: "modified", Value: "2024-01-01T00:00:00.000Z"}, stix.Member{Name: "name", Value: typ})
			if err != nil {
				return err
			}
			if err := refer(version(o, file)); err != nil {
				return err
			}
		}
		return nil
	})
	for _, c := range []struct {
		typ         string
		limit, want int
	}{{"indicator", 3, 3}, {"indicator", many - 1, many - 1}, {"indicator", many, many}, {"indicator", many + 9, many}, {"identity", 9, 1}, {"infrastructure", 9, 1}, {"incident", 9, 0}, {"indicator", 0, 0}, {"indicator", -1, 0}} {
		list, err := s.ReferrersOf(t.Context(), about, c.typ, c.limit)
		if err != nil || len(list) != c.want {
			t.Errorf("%d of %s: got %d, %v, want %d", c.limit, c.typ, len(list), err, c.want)
		}
		for i, id := range list {
			if id.Type() != c.typ || i > 0 && id <= list[i-1] {
				t.Errorf("%d of %s: got %s", c.limit, c.typ, id)
			}
		}
	}
	ids, err := s.ReferrersOf(t.Context(), about, "indicator", 3)
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.Referring(t.Context(), about, "indicator", 3)
	if err != nil || len(list) != 3 || list[2].Object.ID != ids[2] {
		t.Errorf("the first three: got %v, %v", list, err)
	}
}
