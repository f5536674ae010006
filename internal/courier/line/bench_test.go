package line_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// BenchmarkPayload says what share of a line's bits is envelope: while one long
// ROUTINE goes, by rate and by what the line does.
func BenchmarkPayload(b *testing.B) {
	for _, duplex := range []bool{false, true} {
		for _, rate := range []int{75, 300, 2400, 9600} {
			for _, h := range []struct {
				name         string
				bits, frames float64
			}{{"clean", 0, 0}, {"bits=0.001", 1e-3, 0}, {"bits=0.003", 3e-3, 0}, {"bits=0.01", 1e-2, 0}, {"lost=0.1", 1e-3, 0.1}, {"lost=0.5", 1e-3, 0.5}} {
				b.Run(fmt.Sprintf("duplex=%v/%d/%s", duplex, rate, h.name), func(b *testing.B) {
					var bytes, seconds float64
					for seed := range uint64(b.N) {
						w := newWorld(b, conditions{rate: rate, turn: 2 * time.Second, duplex: duplex, bits: h.bits, frames: h.frames}, seed)
						e := w.envelope(min(100<<10, rate*60))
						w.queue(0, 1, noroshi.Routine, e)
						took := w.until(1000*time.Hour, func() bool { return len(w.ends[0].done) == 1 })
						bytes, seconds = bytes+float64(len(e)), seconds+took.Seconds()
					}
					b.ReportMetric(100*8*bytes/seconds/float64(rate), "payload%")
					b.ReportMetric(0, "ns/op")
				})
			}
		}
	}
}

// BenchmarkBudgetFlash is the budget of the narrow line with published indicators,
// in time of the line.
func BenchmarkBudgetFlash(b *testing.B) {
	for range b.N {
		var took []time.Duration
		list := indicators(b)
		for seed := range uint64(100) {
			took = append(took, newFlight(b, list[seed%10]).pass(b, seed))
		}
		slices.Sort(took)
		b.ReportMetric(took[94].Seconds(), "s-p95")
		b.ReportMetric(took[99].Seconds(), "s-worst")
	}
}
