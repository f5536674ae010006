package web_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// TestCheckerVerifiesOnce: whoever asks while the record is being verified waits
// for the same; it can be stopped, and what was found before stays on show.
func TestCheckerVerifiesOnce(t *testing.T) {
	t.Parallel()
	c := web.NewChecker(time.Now)
	defer c.Close()
	var begun atomic.Int32
	started, let := make(chan struct{}, 8), make(chan struct{})
	verify := func(ctx context.Context, progress func(done, total uint64)) (web.Audited, error) {
		begun.Add(1)
		progress(3, 7)
		started <- struct{}{}
		select {
		case <-let:
			return web.Audited{Acts: 7}, nil
		case <-ctx.Done():
			return web.Audited{}, fmt.Errorf("verify: %w", ctx.Err())
		}
	}
	c.Begin(verify)
	<-started
	c.Begin(verify)
	if s := c.Checking(); !s.Running || s.Done != 3 || s.Total != 7 || s.Last != nil {
		t.Errorf("while it runs: %+v", s)
	}
	close(let)
	ended := func(at time.Time) *web.Checked {
		for {
			if s := c.Checking(); !s.Running && s.Last != nil && s.Last.At.After(at) {
				return s.Last
			}
			runtime.Gosched()
		}
	}
	first := ended(time.Time{})
	if !first.Good() || first.Acts != 7 || begun.Load() != 1 {
		t.Errorf("it ended with %+v after %d runs, want one", first, begun.Load())
	}
	let = make(chan struct{})
	c.Begin(verify)
	<-started
	if s := c.Checking(); s.Last != first {
		t.Error("what was found before is not on show")
	}
	c.End()
	if last := ended(first.At); !last.Stopped || last.Good() || last.Error != nil {
		t.Errorf("stopped: %+v", last)
	}
	c.Begin(verify)
	<-started
	c.Close()
	if c.Begin(verify); begun.Load() != 3 {
		t.Errorf("%d runs, one after the end", begun.Load())
	}
}

// TestAuditFind: pages of the record have every entry once, the latest first,
// and what is looked for alone.
func TestAuditFind(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	for range 7 {
		p.Must("collection.add", web.CollectionAdd{Name: fmt.Sprintf("c%d", time.Now().UnixNano())}, nil)
	}
	var all []web.ActRow
	p.Must("audit.log", web.AuditRef{Limit: 1000}, &all)
	slices.Reverse(all)
	pages := func(in web.AuditSift) (rows []web.ActRow) {
		for {
			var found web.AuditFound
			p.Must("audit.find", in, &found)
			rows = append(rows, found.Rows...)
			if found.Next == nil {
				return rows
			}
			if len(found.Rows) != in.Limit {
				t.Errorf("a page of %d entries and a next one, want %d", len(found.Rows), in.Limit)
			}
			in.Before = found.Next
		}
	}
	indices := func(rows []web.ActRow) (list []uint64) {
		for _, r := range rows {
			list = append(list, r.Index)
		}
		return list
	}
	fit := func(is func(web.ActRow) bool) (list []uint64) {
		for _, r := range all {
			if is(r) {
				list = append(list, r.Index)
			}
		}
		return list
	}
	at := func(i int) time.Time {
		x, err := time.Parse(time.RFC3339Nano, all[i].Time)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	from, until := at(5), at(2) // the later ones come first
	for _, c := range []struct {
		name string
		in   web.AuditSift
		want func(web.ActRow) bool
	}{
		{"all", web.AuditSift{Limit: 3}, func(web.ActRow) bool { return true }},
		{"action", web.AuditSift{Limit: 2, Action: noroshi.ActAddPerson}, func(r web.ActRow) bool { return r.Action == noroshi.ActAddPerson }},
		{"person", web.AuditSift{Limit: 2, Person: "release1"}, func(r web.ActRow) bool { return slices.Contains(r.Persons, "release1") }},
		{"time", web.AuditSift{Limit: 1, From: from, Until: until}, func(r web.ActRow) bool { return r.Index >= all[5].Index && r.Index < all[2].Index }},
		{"before all", web.AuditSift{Limit: 1, Until: at(len(all) - 1).Add(-time.Hour)}, func(web.ActRow) bool { return false }},
	} {
		if got, want := indices(pages(c.in)), fit(c.want); !slices.Equal(got, want) || c.name != "before all" && len(want) == 0 {
			t.Errorf("%s: %v, want %v", c.name, got, want)
		}
	}
	var entry web.AuditEntry
	p.Must("audit.entry", web.ProveRef{Index: fit(func(r web.ActRow) bool { return slices.Contains(r.Persons, "release1") })[0]}, &entry)
	if len(entry.Signers) != 2 || !entry.Signers[0].Good || !entry.Signers[1].Good || entry.Leaf.IsZero() || len(entry.Wrote) == 0 {
		t.Errorf("the entry: %+v", entry)
	}
}
