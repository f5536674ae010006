package watch_test

import (
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// TestTheMostUrgentWarning: of the highest precedence the one due first, whatever
// came since, then the one that has no time set.
func TestTheMostUrgentWarning(t *testing.T) {
	d := newDesk(t)
	d.inForce("tlp:amber", flashClock)
	if row, err := d.watch.Urgent(t.Context()); row != nil || err != nil {
		t.Fatalf("of none: %v, %v", row, err)
	}
	want := func(why, id string) {
		t.Helper()
		got, err := d.watch.Urgent(t.Context())
		if err != nil || got == nil || string(got.ID) != id {
			t.Errorf("%s: %+v, %v, want %s", why, got, err, id)
		}
	}
	d.admit(fromFile, indicator(1, domain("one.example"), noroshi.Amber, ""))
	first, report, words := partnerWarning(1, "2026-11-24T05:00:00.000Z", "")
	d.admit(fromPartner, report, words)
	d.later(time.Minute)
	second, report, words := partnerWarning(2, "2026-11-24T05:00:00.000Z", "")
	d.admit(fromPartner, report, words)
	d.later(20 * time.Minute)
	own := draft()
	if err := d.write("tanaka", own); err != nil {
		t.Fatal(err)
	}
	want("two are late, and one came since", string(first))
	if err := d.ack("yamada", d.one(first).Row); err != nil {
		t.Fatal(err)
	}
	want("the other is late", string(second))
	if err := d.ack("yamada", d.one(second).Row); err != nil {
		t.Fatal(err)
	}
	want("one has no time set", string(own.ID))
}
