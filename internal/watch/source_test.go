package watch_test

import (
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi/internal/watch"
)

// TestASilentSensor: a sensor that does not report for a while is silent until it
// does, with hits or without.
func TestASilentSensor(t *testing.T) {
	d := newDesk(t)
	d.observe("zeek-kanto")
	for _, step := range []struct {
		after  time.Duration
		report bool
		silent bool
	}{
		{watch.SensorSilent - time.Second, false, false},
		{time.Second, false, true},
		{time.Hour, false, true},
		{0, true, false},
	} {
		d.later(step.after)
		if step.report {
			d.observe("zeek-kanto")
		}
		if list := d.watch.Sources(); len(list) != 1 || list[0].Silent != step.silent {
			t.Errorf("%s later: %+v, want silent %v", step.after, list, step.silent)
		}
	}
}
