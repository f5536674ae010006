package intake_test

import (
	"fmt"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestLabelOfAMessage: an object keeps the label it travelled under, so that
// what a sender assigned narrows it here too; one marked more strictly than its
// message is refused.
func TestLabelOfAMessage(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	src := noroshi.Source{Kind: noroshi.FromPartner, Partner: noroshi.NodeID{7}, Message: noroshi.Sum([]byte("m"))}
	const bare = `{"type":"malware","spec_version":"2.1","id":"malware--00000000-0000-4000-8000-00000000000%d","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"x","is_family":false%s}`
	ref := func(l noroshi.TLP) string { return `,"object_marking_refs":["` + string(l.MarkingID()) + `"]` }
	p, err := h.Prepare(src, "link", []intake.Raw{
		{Bytes: []byte(fmt.Sprintf(bare, 1, "")), Label: noroshi.Amber},
		{Bytes: []byte(fmt.Sprintf(bare, 2, ref(noroshi.Green))), Label: noroshi.Amber},
		{Bytes: []byte(fmt.Sprintf(bare, 3, ref(noroshi.Amber))), Label: noroshi.Amber},
		{Bytes: []byte(fmt.Sprintf(bare, 4, ref(noroshi.Red))), Label: noroshi.Amber},
	})
	if err != nil {
		t.Fatal(err)
	}
	var a intake.Admitted
	if _, err := h.store.Do(t.Context(), noroshi.Act{Action: noroshi.ActReceive, Subject: "m"}, func(tx *store.Tx) (err error) {
		a, err = h.Admit(tx, p)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if a.New != 3 || len(a.Faults) != 1 || a.Faults[0].Index != 3 || a.Faults[0].Code != "label" {
		t.Errorf("admitted %+v", a)
	}
	for n, want := range map[int]int{1: 1, 2: 1, 3: 0} {
		r, err := h.store.Current(t.Context(), stix.ID(fmt.Sprintf("malware--00000000-0000-4000-8000-00000000000%d", n)))
		if err != nil || len(r.Assigned) != want || want == 1 && r.Assigned[0] != noroshi.Amber.MarkingID() {
			t.Errorf("object %d: assigned %v (%v), want %d", n, r.Assigned, err, want)
		}
	}
}
