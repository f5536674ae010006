package release_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/noroshi-cti/noroshi"
)

// TestEachViewHasItsNumber: whenever a partner's bytes of a version change, they
// go under the next number, for the partner keeps them by it.
func TestEachViewHasItsNumber(t *testing.T) {
	o := newOffice(t, jpn)
	refs := fmt.Sprintf(`,"name":"r","published":"2026-01-01T00:00:00Z","object_refs":[%q,%q,%q]`, id("malware", 1), id("indicator", 2), id("indicator", 3))
	seqs := o.put(malware(t, 1, noroshi.Green), version(t, made, "two", object("indicator", 2, usa.Identity, noroshi.Amber, "")),
		version(t, made, "three", object("indicator", 3, usa.Identity, noroshi.Amber, "")),
		version(t, made, "", object("report", 4, usa.Identity, noroshi.Green, refs)))
	var views []string
	for {
		o.settle()
		if got := o.sends(jpn)[id("report", 4)]; got != "" {
			views = append(views, got)
		}
		holds := o.holds()
		if len(holds) == 0 {
			break
		}
		o.twoApprove(holds[0].ID)
	}
	var numbers []uint32
	out, err := o.store.Out(o.ctx, jpn.Node, [16]byte{1}, 1, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range out {
		rows, err := o.store.BatchRows(o.ctx, m.Batch, m.First, m.Count)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if r.Seq == seqs[3] {
				numbers = append(numbers, r.N)
			}
		}
	}
	if len(views) != 3 || !slices.Equal(numbers, []uint32{1, 2, 3}) {
		t.Errorf("views %d, numbers %d", len(views), numbers)
	}
}
