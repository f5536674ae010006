package watch_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// BenchmarkBudgetWarning measures from handing a hit over to the commit of its
// warning (budget: p99 at most 250 ms), a thousand times.
func BenchmarkBudgetWarning(b *testing.B) {
	d := newDesk(b)
	const n = 1000
	var objects []string
	for i := range n {
		objects = append(objects, indicator(i, domain(fmt.Sprintf("n%d.example", i)), noroshi.Amber, ""))
	}
	d.admit(fromFile, objects...)
	d.running()
	d.settled()
	hour := 0
	for b.Loop() {
		took := make([]time.Duration, n)
		hour++
		for i := range took {
			h := hit(i, fmt.Sprintf("n%d.example", i), at.AddDate(0, 0, hour))
			start := time.Now()
			if o := d.observe("a", h); len(o.Warnings) != 1 {
				b.Fatalf("hit %d raised %d warnings", i, len(o.Warnings))
			}
			took[i] = time.Since(start)
		}
		slices.Sort(took)
		for _, p := range []int{50, 99} {
			b.ReportMetric(float64(took[n*p/100].Microseconds())/1000, fmt.Sprintf("ms-p%d", p))
		}
	}
}

// BenchmarkArm measures filling the index from the store.
func BenchmarkArm(b *testing.B) {
	d := newDesk(b)
	const n = 20_000
	for from := 0; from < n; from += 1000 {
		var objects []string
		for i := from; i < from+1000; i++ {
			objects = append(objects, indicator(i, domain(fmt.Sprintf("n%d.example", i)), noroshi.Amber, ""))
		}
		d.admit(fromFile, objects...)
	}
	for b.Loop() {
		d.restart()
		if err := d.watch.Arm(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "indicators/s")
}
