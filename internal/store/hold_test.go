package store_test

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
)

// TestHoldsByPages: holds come one page after the other, each once, newest first;
// one is read by its id, and its point moves when something is put into it and by
// nothing else.
func TestHoldsByPages(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	rows := fill(t, s, 12)
	group := func(i int) store.HoldGroup {
		return store.HoldGroup{ID: fmt.Sprint("h", i), Partner: nodeB, Label: "TLP:AMBER", Key: noroshi.TwoPersons}
	}
	for i := range 5 {
		do(t, s, noroshi.Act{Action: noroshi.ActHold}, func(tx *store.Tx) error { return tx.PutHold(group(i), rows[2*i:2*i+2]) })
	}
	do(t, s, noroshi.Act{Action: noroshi.ActReturn}, func(tx *store.Tx) error { return tx.CloseHold("h3", store.HoldReturned) })
	var ids string
	for after := ""; ; {
		page, err := s.HoldsAfter(ctx, store.HoldOpen, after, 3)
		if err != nil || len(page) > 3 {
			t.Fatalf("%d holds, %v", len(page), err)
		}
		if len(page) == 0 {
			break
		}
		for _, h := range page {
			ids, after = ids+" "+h.ID, h.ID
		}
	}
	if ids != " h4 h2 h1 h0" {
		t.Errorf("open holds by pages:%s", ids)
	}
	h, err := s.Hold(ctx, "h3")
	if err != nil || h.State != store.HoldReturned || h.Count != 2 {
		t.Errorf("h3: %+v, %v", h, err)
	}
	if _, err := s.Hold(ctx, "h9"); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("a hold that is none: %v", err)
	}
	point := func() int64 {
		t.Helper()
		n, err := s.HoldPoint(ctx, "h0")
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
		return n
	}
	was := point()
	do(t, s, noroshi.Act{}, func(tx *store.Tx) error { return tx.DropHeld(nodeB, []int64{rows[0].Seq}) })
	do(t, s, noroshi.Act{Action: noroshi.ActHold}, func(tx *store.Tx) error { return tx.PutHold(group(1), rows[10:11]) })
	if now := point(); now != was {
		t.Errorf("nothing was put into it, and its point went from %d to %d", was, now)
	}
	do(t, s, noroshi.Act{Action: noroshi.ActHold}, func(tx *store.Tx) error { return tx.PutHold(group(0), rows[:1]) })
	if now := point(); now <= was {
		t.Errorf("something was put into it, and its point went from %d to %d", was, now)
	}
}

// TestMembersOfAHold: the first of a hold is known, whatever was taken out of it,
// and its members come in order and once each, however they were put into it and
// however small the pages are.
func TestMembersOfAHold(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	rows := fill(t, s, 60)
	put := func(id string, members ...store.Decided) {
		t.Helper()
		do(t, s, noroshi.Act{Action: noroshi.ActHold}, func(tx *store.Tx) error {
			return tx.PutHold(store.HoldGroup{ID: id, Partner: nodeB, Label: "TLP:AMBER", Key: noroshi.TwoPersons}, members)
		})
	}
	var even, odd []store.Decided
	for i, r := range rows {
		if i%2 == 0 {
			even = append(even, r)
		} else {
			odd = append(odd, r)
		}
	}
	put("h", even[10:]...) // from the middle on
	put("other", odd...)
	put("h", even[:20]...) // from the start, over it
	put("h", odd[5:9]...)  // moved here
	do(t, s, noroshi.Act{}, func(tx *store.Tx) error { return tx.DropHeld(nodeB, []int64{even[0].Seq, even[12].Seq}) })
	first := func(id string) int64 {
		t.Helper()
		seq, err := s.HoldFirst(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		return seq
	}
	if got := []int64{first("h"), first("other"), first("none")}; !slices.Equal(got, []int64{even[1].Seq, odd[0].Seq, 0}) {
		t.Errorf("the first of each: %v", got)
	}
	want := slices.Concat(even[1:12], even[13:], odd[5:9])
	slices.SortFunc(want, func(a, b store.Decided) int { return int(a.Seq - b.Seq) })
	for _, limit := range []int{1, 3, 7, 100} {
		var got []store.Decided
		for after := int64(0); ; {
			page, err := s.HoldMembers(ctx, "h", after, limit)
			if err != nil || len(page) > limit {
				t.Fatalf("%d members, %v", len(page), err)
			}
			if len(page) == 0 {
				break
			}
			got, after = append(got, page...), page[len(page)-1].Seq
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("by %d: %d members, want %d", limit, len(got), len(want))
		}
	}
	do(t, s, noroshi.Act{Action: noroshi.ActReturn}, func(tx *store.Tx) error { return tx.CloseHold("h", store.HoldReturned) })
	do(t, s, noroshi.Act{}, func(tx *store.Tx) error { return tx.DropHeld(nodeB, sequences(odd)) })
	if got := []int64{first("h"), first("other")}; !slices.Equal(got, []int64{even[1].Seq, 0}) {
		t.Errorf("the first of the returned, and of what is empty: %v", got)
	}
}

func sequences(rows []store.Decided) (seqs []int64) {
	for _, r := range rows {
		seqs = append(seqs, r.Seq)
	}
	return seqs
}

// TestHoldPlans: what is asked of holds by their state reads no others: those that
// were decided become more for ever.
func TestHoldPlans(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "real.db")
	s := openAt(t, path)
	ctx := t.Context()
	for _, ask := range []func() error{
		func() error { _, err := s.CountHolds(ctx); return err },
		func() error { _, err := s.Holds(ctx, store.HoldOpen); return err },
		func() error { _, err := s.HoldsAfter(ctx, store.HoldReturned, "", 10); return err },
		func() error { _, err := s.HoldsAfter(ctx, store.HoldReturned, "h", 10); return err },
	} {
		if err := ask(); err != nil {
			t.Fatal(err)
		}
	}
	db := storetest.Raw(t, path)
	asked := 0
	for _, text := range store.Asked(s) {
		if !strings.Contains(text, "FROM hold WHERE state") {
			continue
		}
		asked++
		if got := plan(t, db, text); !strings.Contains(got, "INDEX hold_state (state=?") || strings.Contains(got, "TEMP B-TREE") {
			t.Errorf("%s\ngoes by %s", text, got)
		}
	}
	if asked != 4 {
		t.Errorf("%d statements ask for holds in a state, want 4", asked)
	}
}
