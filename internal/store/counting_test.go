package store_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestCounting: which version counted when something came is the one that was current
// then, whatever came, was withdrawn or ended since, and before.
func TestCounting(t *testing.T) {
	s := open(t)
	trial, mark, ended := 0, 1_000_000, 0
	rapid.Check(t, func(rt *rapid.T) {
		trial++
		id := stix.ID(fmt.Sprintf("indicator--00000000-0000-4000-8000-%012d", trial))
		var when []store.Record
		var want []int64
		for _, x := range steps(rt, id) {
			outcome(rt, s, id, []step{x})
			if all, err := s.Versions(rt.Context(), id); err != nil {
				rt.Fatal(err)
			} else if len(all) > 0 && rapid.IntRange(0, 3).Draw(rt, "end") == 0 {
				v := rapid.SampledFrom(all).Draw(rt, "of")
				ended++
				do(t, s, noroshi.Act{Action: noroshi.ActKeys}, func(tx *store.Tx) error { return tx.EndVersion(id, v.Source.Owner(), v.Seq) })
			}
			mark++
			made := indicator(t, mark, "2024-01-01T00:00:00Z")
			put(t, s, made)
			m, err := s.Current(rt.Context(), made.Object.ID)
			if err != nil {
				rt.Fatal(err)
			}
			now, err := s.Current(rt.Context(), id)
			if err != nil && noroshi.KindOf(err) != noroshi.NotFound {
				rt.Fatal(err)
			}
			if now.Withdrawn {
				now.Seq = 0
			}
			when, want = append(when, m), append(want, now.Seq)
		}
		all, err := s.Versions(rt.Context(), id)
		if err != nil {
			rt.Fatal(err)
		}
		among := map[int64]bool{}
		for _, v := range all {
			among[v.Seq] = true
		}
		counting, err := s.Counting(rt.Context(), id, among)
		if err != nil {
			rt.Fatal(err)
		}
		for i, m := range when {
			if got := counting(m); got != want[i] {
				rt.Errorf("after step %d version %d counted, want %d", i, got, want[i])
			}
		}
		if none, err := s.Counting(rt.Context(), id, nil); err != nil || none(when[len(when)-1]) != 0 {
			rt.Errorf("of nobody's versions one counted: %v", err)
		}
	})
	if ended < trial/2 {
		t.Errorf("%d versions ended in %d trials", ended, trial)
	}
}
