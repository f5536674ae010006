package courier_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/tier"
)

// TestTheHostileHour: for an hour a partner sends all there is to be sent that is
// wrong, in storms, and each minute another partner's FLASH comes in the middle of
// one. It is no later than in a quiet hour; memory and the store keep their
// bounds; every kind of act is on record; and nothing of anybody else is changed.
func TestTheHostileHour(t *testing.T) {
	warmCoders(t)
	cryptotest.SetGlobalRandom(t, 5) // the generator of FIPS 140 gathers entropy from a clock that does not stand still
	minutes, acts := tier.N(5, 60), tier.N(24, 120)
	var quiet, hostile *hour
	synctest.Test(t, func(t *testing.T) {
		quiet = newHour(t, false)
		quiet.play(minutes, 0)
		quiet.end()
	})
	synctest.Test(t, func(t *testing.T) {
		hostile = newHour(t, true)
		hostile.foe.revokesAll(tier.N(512, 1024))
		hostile.v.takeKeys(hostile.foe.node)
		hostile.play(minutes, acts)
		hostile.overOnce()
		hostile.onRecord()
		hostile.verified()
		hostile.end()
	})
	// Of what one fragment takes nothing is left in virtual time but the timers
	// that are waited for, and a slice of a bulk act is the longest of them.
	for i, took := range hostile.late {
		if took > quiet.late[i]+10*time.Millisecond {
			t.Errorf("FLASH %d took %v, %v in the quiet hour", i, took, quiet.late[i])
		}
	}
	if !maps.Equal(hostile.held, quiet.held) {
		t.Errorf("the victim holds of others %v, %v in the quiet hour", hostile.held, quiet.held)
	}
	if grown, bound := hostile.size-quiet.size, hourQuota+4*int64(message.MaxContent); grown > bound {
		t.Errorf("the store grew by %d MiB, want at most %d", grown>>20, bound>>20)
	}
	if hostile.peak > quiet.peak+192<<20 {
		t.Errorf("the heap came to %d MiB, %d in the quiet hour", hostile.peak>>20, quiet.peak>>20)
	}
	t.Logf("%d acts: store %d KiB, heap %d KiB more than in the quiet hour", minutes*acts, (hostile.size-quiet.size)>>10, (int64(hostile.peak)-int64(quiet.peak))>>10)
}

// onRecord holds that each kind of act is to be found.
func (h *hour) onRecord() {
	h.t.Helper()
	alarms, refused := h.v.subjects(noroshi.ActAlarm), h.v.subjects(noroshi.ActQuarantine)
	for _, want := range []string{"nonsense", "quota", "realm", "keyset.fork", message.AlarmSecondID, message.AlarmClone, message.AlarmRolledBack, message.AlarmShrank} {
		if !slices.Contains(alarms, want) {
			h.t.Errorf("no alarm %s among %v", want, slices.Compact(slices.Sorted(slices.Values(alarms))))
		}
	}
	for _, want := range []string{"message.form", "message.signature", "message.compression", "message.hash", "message.realm", "message.link", "message.unknown-agreement"} {
		if !slices.Contains(refused, want) {
			h.t.Errorf("no refusal %s on record among %v", want, slices.Compact(slices.Sorted(slices.Values(refused))))
		}
	}
	h.quarantined()
	n := h.v.running().Counters()
	for what, got := range map[string]int64{"dropped": n.Dropped, "refused": n.Refused, "second ids": n.Seconds, "beyond the quota": n.OverQuota, "alarms": n.Alarms} {
		if got == 0 {
			h.t.Errorf("nothing is counted as %s", what)
		}
	}
}

// overOnce holds that of the epochs that revoked keys name each sequence was gone
// over about once, however many keys do and however much comes for them, and that
// what waited for the last of them is applied.
func (h *hour) overOnce() {
	h.t.Helper()
	f := h.foe
	all := len(f.ends.lines) + 1
	if n := h.closed(f.ends.epoch); n != all {
		h.t.Errorf("%d sequences are closed up to where the keys end, want %d", n, all)
	}
	if n := h.v.running().Counters().Chained; n < int64(all) || n > 2*int64(all+int(f.seq)) {
		h.t.Errorf("%d sequences were gone over for the last good points of revoked keys, of %d", n, all+int(f.seq))
	}
}

// verified holds that the record is whole. What the foe has signed of it is its
// word, and shown as such.
func (h *hour) verified() {
	h.t.Helper()
	v, err := h.v.store.Verify(context.Background(), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, f := range v.Faults {
		if f.Code != "cosignature" || !strings.Contains(f.Msg, "the partner "+h.foe.id().String()) {
			h.t.Errorf("audit verify: %+v", f)
		}
	}
}

// quarantined holds that what can be read only in part waits for a person.
func (h *hour) quarantined() {
	h.t.Helper()
	found := map[string]bool{}
	for after := int64(0); ; {
		list, err := h.v.store.QuarantineList(context.Background(), after, 1000)
		if err != nil {
			h.t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, q := range list {
			after, found[q.Code] = q.Seq, true
		}
	}
	for _, want := range []string{"message.refused", "message.malformed", "malformed", "too-large"} {
		if !found[want] {
			h.t.Errorf("nothing is in quarantine as %s: %v", want, found)
		}
	}
	held, err := h.v.running().Held(context.Background())
	if err != nil {
		h.t.Fatal(err)
	}
	why := map[string]bool{}
	for _, m := range held {
		why[m.Why] = true
	}
	for _, want := range []string{"kind", "form", "label", "ahead"} {
		if !why[want] {
			h.t.Errorf("no message is held for its %s: %v", want, why)
		}
	}
}
