package store_test

import (
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestViewShown: after a restore a partner shows views whose batches are not here
// any more. Other bytes of such a version get a number above, the same bytes keep
// theirs, and what was not shown, or to another partner, is numbered from one.
func TestViewShown(t *testing.T) {
	s := open(t)
	rows := fill(t, s, 4)
	recs, err := s.Records(t.Context(), []int64{rows[0].Seq, rows[1].Seq, rows[2].Seq, rows[3].Seq})
	if err != nil {
		t.Fatal(err)
	}
	cut := func(of *stix.Object, description string) *stix.Object {
		t.Helper()
		o, err := stix.Make(stix.Member{Name: "type", Value: "indicator"}, stix.Member{Name: "spec_version", Value: "2.1"}, stix.Member{Name: "id", Value: of.ID},
			stix.Member{Name: "created", Value: of.Created}, stix.Member{Name: "modified", Value: of.Modified}, stix.Member{Name: "description", Value: description},
			stix.Member{Name: "pattern", Value: "[domain-name:value = 'x.example']"}, stix.Member{Name: "pattern_type", Value: "stix"}, stix.Member{Name: "valid_from", Value: of.Created})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	do(t, s, noroshi.Act{Action: noroshi.ActRecovered, Partner: nodeB}, func(tx *store.Tx) error {
		for _, x := range []struct {
			row  int
			text string
			view uint32
		}{{0, "less", 2}, {0, "least", 1}, {1, "less", 2}, {2, "", 0}} {
			o := cut(recs[x.row].Object, x.text)
			if x.view == 0 {
				o = recs[x.row].Object
			}
			if err := tx.ViewShown(nodeB, o, x.view); err != nil {
				return err
			}
		}
		return nil
	})
	for i, text := range []string{"other", "less", "other", "other"} {
		rows[i].View, rows[i].Cut = cut(recs[i].Object, text).Hash(), []string{"description"}
	}
	numbers := func(batch string, to noroshi.NodeID) (list [4]uint32) {
		t.Helper()
		do(t, s, noroshi.Act{Action: noroshi.ActRelease, Partner: to}, func(tx *store.Tx) error {
			return tx.PutBatch(store.Batch{ID: batch, Partner: to, Label: "TLP:GREEN", Precedence: noroshi.Routine}, rows)
		})
		got, err := s.BatchRows(t.Context(), batch, 0, 10)
		if err != nil || len(got) != 4 {
			t.Fatalf("%d rows, %v", len(got), err)
		}
		for i, r := range got {
			list[i] = r.N
		}
		return list
	}
	if got, want := numbers("b1", nodeB), ([4]uint32{3, 2, 1, 1}); got != want {
		t.Errorf("views are %v, want %v", got, want)
	}
	if got, want := numbers("b2", noroshi.NodeID{9}), ([4]uint32{1, 1, 1, 1}); got != want {
		t.Errorf("to another: views are %v, want %v", got, want)
	}
	if v := verify(t, s); len(v.Faults) > 0 {
		t.Errorf("faults: %v", v.Faults)
	}
}
