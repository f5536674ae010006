package taxii_test

import (
	"errors"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/taxii"
)

// TestMemoryOfNobody: a client nobody made known sees nothing.
func TestMemoryOfNobody(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.Grant("nobody", openID, true, true)
	if list, err := m.Collections(t.Context(), "nobody"); err != nil || len(list) != 0 {
		t.Errorf("sees %v, %v", list, err)
	}
	_, _, page := m.Page(t.Context(), "nobody", openID, taxii.Query{Limit: 1})
	_, add := m.Add(t.Context(), "nobody", openID, nil)
	remove := m.Remove(t.Context(), "nobody", openID, stix.ID(indicatorID(1)), taxii.Query{})
	_, status := m.Status(t.Context(), "nobody", "x")
	for i, err := range []error{page, add, remove, status} {
		if !errors.Is(err, taxii.ErrNotFound) {
			t.Errorf("answer %d is %v", i, err)
		}
	}
}

// TestMemoryClock: date_added rises even where the clock stands still or goes back.
func TestMemoryClock(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	m := taxii.NewMemory(func() time.Time { now = now.Add(-time.Hour); return now })
	id := m.AddCollection(taxii.Collection{Title: "x"})
	m.AddClient("tool", "secret")
	m.Grant("tool", id, true, true)
	for i := range 5 {
		posted, err := taxii.ReadEnvelope([]byte(wrap(address(2*i), address(2*i+1))))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Add(t.Context(), "tool", id, posted); err != nil {
			t.Fatal(err)
		}
	}
	records, more, err := m.Page(t.Context(), "tool", id, taxii.Query{Limit: 100})
	if err != nil || more || len(records) != 10 {
		t.Fatal(len(records), more, err)
	}
	for i, r := range records[1:] {
		if !r.Added.After(records[i].Added) {
			t.Errorf("record %d has %v after %v", i+1, r.Added, records[i].Added)
		}
	}
}
