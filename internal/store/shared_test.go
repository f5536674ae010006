package store_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// TestSharedSince: what was released to a partner since a time is added up by
// agreement, clause and label; what is older, or another partner's, is not in it.
func TestSharedSince(t *testing.T) {
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	now := start
	s := openWith(t, address(t), func(o *store.Options) { o.Now = func() time.Time { return now } })
	if got, err := s.SharedSince(t.Context(), nodeB, start); err != nil || len(got) > 0 {
		t.Fatalf("of nothing: %v, %v", got, err)
	}
	rows := fill(t, s, 10)
	for day, b := range []struct {
		to            noroshi.NodeID
		clause, label string
		rows          []store.Decided
	}{{nodeB, "1", "TLP:GREEN", rows[:2]}, {nodeB, "1", "TLP:GREEN", rows[2:5]}, {nodeB, "2", "TLP:AMBER", rows[5:6]}, {noroshi.NodeID{9}, "1", "TLP:GREEN", rows[:7]}, {nodeB, "1", "TLP:GREEN", rows[6:10]}} {
		now = start.AddDate(0, 0, day)
		do(t, s, noroshi.Act{Action: noroshi.ActRelease, Partner: b.to}, func(tx *store.Tx) error {
			return tx.PutBatch(store.Batch{ID: "b" + b.clause + now.Format(time.DateOnly), Partner: b.to, Agreement: noroshi.Hash{7}, Clause: b.clause, Label: b.label, Precedence: noroshi.Routine}, b.rows)
		})
	}
	for days, want := range map[int][]store.Shared{
		0: {{noroshi.Hash{7}, "1", "TLP:GREEN", 3, 9, start.AddDate(0, 0, 4)}, {noroshi.Hash{7}, "2", "TLP:AMBER", 1, 1, start.AddDate(0, 0, 2)}},
		1: {{noroshi.Hash{7}, "1", "TLP:GREEN", 2, 7, start.AddDate(0, 0, 4)}, {noroshi.Hash{7}, "2", "TLP:AMBER", 1, 1, start.AddDate(0, 0, 2)}},
		3: {{noroshi.Hash{7}, "1", "TLP:GREEN", 1, 4, start.AddDate(0, 0, 4)}},
		5: nil,
	} {
		if got, err := s.SharedSince(t.Context(), nodeB, start.AddDate(0, 0, days)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("since day %d: got %+v, %v, want %+v", days, got, err, want)
		}
	}
}
