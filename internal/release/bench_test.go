package release_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/stix"
)

// listed makes list entries as an import makes them: this node's own.
func listed(t testing.TB, o *office, n int, mark noroshi.TLP) {
	t.Helper()
	for from := 0; from < n; from += 5000 {
		var all []*store.Version
		for i := from; i < min(n, from+5000); i++ {
			all = append(all, version(t, made, "list", object("indicator", i, usa.Identity, mark, fmt.Sprintf(`,"name":"domain a%d.example","pattern":"[domain-name:value = 'a%d.example']","pattern_type":"stix","pattern_version":"2.1","indicator_types":["malicious-activity"],"valid_from":"2026-11-01T00:00:00.000Z"`, i, i))))
		}
		o.put(all...)
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkBudgetRelease decides and batches a list for two partners.
func BenchmarkBudgetRelease(b *testing.B) {
	n := tier.N(20_000, 100_000)
	for b.Loop() {
		b.StopTimer()
		o := newOffice(b, jpn, kor)
		o.settle()
		listed(b, o, n, noroshi.Amber)
		before, acts := cpu(), o.acts()
		b.StartTimer()
		o.settle()
		held := cpu()
		for _, h := range o.holds() {
			if h.Count != n {
				b.Fatalf("hold has %d", h.Count)
			}
			o.twoApprove(h.ID)
		}
		o.settle()
		decided := cpu()
		b.StopTimer()
		got := len(o.sends(jpn)) + len(o.sends(kor))
		if got != 2*n {
			b.Fatalf("%d go", got)
		}
		b.ReportMetric((held - before).Seconds(), "cpu-s/hold")
		b.ReportMetric((decided - before).Seconds(), "cpu-s/decide")
		b.ReportMetric((cpu() - decided).Seconds(), "cpu-s/clear")
		b.ReportMetric((cpu()-before).Seconds()*100_000/float64(n), "cpu-s")
		b.ReportMetric(float64(o.acts()-acts), "ledger-entries")
		b.StartTimer()
	}
}

func (o *office) acts() int {
	o.t.Helper()
	n := 0
	for {
		page, err := o.store.Acts(o.ctx, uint64(n), 1000)
		if err != nil {
			o.t.Fatal(err)
		}
		if n += len(page); len(page) == 0 {
			return n
		}
	}
}

// BenchmarkBudgetDecide decides 100,000 real objects for three partners, as
// the desk does a slice at a time: markings of every kind, cuts, lists,
// translations. Then what a person asks: why, and what the partner would see.
func BenchmarkBudgetDecide(b *testing.B) {
	const slice = 4000
	n := tier.N(12_000, 100_000)
	fixed := desks()
	third := readWorld(b).caseOf(b, "USA", public, noroshi.Real)
	for b.Loop() {
		b.StopTimer()
		var cases [][3]release.Case
		objects, seed := 0, uint64(0)
		for objects < n {
			all := [3]release.Case{fixed[true][1], fixed[false][1], third}
			for k := range all {
				all[k].Items, all[k].Around = nil, nil
			}
			for at := 0; at < slice; seed++ {
				g := draw(rand.New(rand.NewPCG(seed, 14)))
				g.apart(at)
				at += len(g.things)
				for k := range all {
					c, err := g.caseOf(sound(), all[k], &memory{})
					if err != nil {
						b.Fatal(err)
					}
					all[k] = c
				}
			}
			for k := range all {
				all[k].Items = once(all[k].Items)
			}
			objects += len(all[0].Items)
			cases = append(cases, all)
		}
		before := cpu()
		b.StartTimer()
		for _, all := range cases {
			for _, c := range all {
				if len(release.Decide(c)) != len(c.Items) {
					b.Fatal("a decision is missing")
				}
			}
		}
		b.StopTimer()
		used := (cpu() - before).Seconds()
		b.ReportMetric(used*100_000/float64(objects), "cpu-s")
		b.ReportMetric(3*float64(objects)/used, "decisions/s")
		b.StartTimer()
	}
}

// once leaves out what came up before: definitions that graphs share.
func once(items []release.Item) []release.Item {
	seen := map[stix.ID]bool{}
	return slices.DeleteFunc(items, func(it release.Item) bool {
		again := seen[it.ID]
		seen[it.ID] = true
		return again
	})
}

// BenchmarkBudgetPreview is what a person waits for who asks why an object goes
// or not, and what of it the partner would see, beside 20,000 others.
func BenchmarkBudgetPreview(b *testing.B) {
	o := newOffice(b, jpn)
	listed(b, o, 20_000, noroshi.Green)
	var list []string
	for i := range 200 {
		list = append(list, string(id("indicator", i)))
	}
	body := granular(object("report", 90_001, usa.Identity, noroshi.Green, `,"name":"r","description":"d","published":"2026-11-01T00:00:00Z","object_refs":["`+strings.Join(list, `","`)+`"]`), noroshi.Red.MarkingID(), "description")
	seq := o.put(version(b, made, "", body))[0]
	o.settle()
	for b.Loop() {
		const times = 50
		start := time.Now()
		for range times {
			if p, err := o.desk.Preview(o.ctx, seq, jpn.Node); err != nil || len(p.Decision.Cut) == 0 {
				b.Fatal(p, err)
			}
		}
		b.ReportMetric(float64(time.Since(start).Microseconds())/1000/times, "ms")
	}
}

// BenchmarkOneRelease is the way of one indicator from its admission to the
// cleared bytes, beside 1,000 others and some holds.
func BenchmarkOneRelease(b *testing.B) {
	o := newOffice(b, jpn)
	listed(b, o, 1000, noroshi.Green)
	for i := range 20 {
		o.put(version(b, made, fmt.Sprint("run-", i), object("indicator", 5000+i, usa.Identity, noroshi.Amber, "")))
	}
	o.settle()
	o.sends(jpn)
	n := 10_000
	for b.Loop() {
		b.StopTimer()
		n++
		o.put(version(b, made, "", object("indicator", n, usa.Identity, noroshi.Green, "")))
		b.StartTimer()
		if _, err := o.desk.Step(o.ctx); err != nil {
			b.Fatal(err)
		}
		ids, err := o.store.UnsentBatches(o.ctx, jpn.Node)
		if err != nil || len(ids) == 0 {
			b.Fatal(ids, err)
		}
		c, err := o.desk.Next(o.ctx, ids[len(ids)-1], 0)
		if err != nil || len(c.Objects()) != 1 {
			b.Fatal(c, err)
		}
		b.StopTimer()
		o.sends(jpn)
		o.settle()
		b.StartTimer()
	}
}
