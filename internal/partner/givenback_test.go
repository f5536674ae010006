package partner_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// alarmed returns how often an alarm was raised, and fails where it is not in the feed
// as often, or has no words.
func (s *side) alarmed(code string) (n int) {
	s.t.Helper()
	for _, l := range []locale.Lang{locale.EN, locale.JA} {
		if locale.Or(l, "alarm."+code, "") == "" {
			s.t.Errorf("alarm %s has no words in %s", code, l)
		}
	}
	alarms, err := s.store.Alarms(s.t.Context(), 1000)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range alarms {
		if e.Act.Action == noroshi.ActAlarm && e.Act.Subject == code {
			n++
		}
	}
	changes, err := s.store.Feed(s.t.Context(), 0, 1000)
	if err != nil {
		s.t.Fatal(err)
	}
	told := 0
	for _, c := range changes {
		if c.Kind == store.AlarmRaised && c.ID == code {
			told++
		}
	}
	if told != n {
		s.t.Errorf("alarm %s: %d on record, %d in the feed", code, n, told)
	}
	return n
}

// TestRestoredToBeforeAKey: database and keys of a node are put back to before its
// release key was rotated, and what it said under the new key is at the partner alone.
// What that stopped stays stopped on both sides; what let data go on is believed of
// nobody. The officers of either state can go on.
func TestRestoredToBeforeAKey(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after int    // words said before the backup, and after it
		want          string // what stands then
		alarms        int
	}{
		{"a suspension", 0, 1, "suspended", 1},
		{"a second one", 2, 1, "suspended", 1},
		{"a resumption", 1, 1, "suspended", 0},
		{"one suspended since", 1, 2, "suspended", 0},
		{"one resumed since", 2, 2, "in-force", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			usa, jpn, h := agreed(t, "")
			orders := []noroshi.Order{{Action: noroshi.ActSuspendAgreement, Agreement: h}, {Action: noroshi.ActResumeAgreement, Agreement: h}}
			for i := range c.before {
				usa.both(orders[i%2])
			}
			talk(usa, jpn)
			at, keys := usa.copyOf(), usa.keys.Copy()
			usa.now = usa.now.Add(time.Hour)
			if err := usa.keys.Rotate(rand.Reader, message.UseRelease, usa.now); err != nil {
				t.Fatal(err)
			}
			if err := jpn.office.Document(t.Context(), usa.keys.NodeID(), usa.keys.Keyset().Bytes()); err != nil {
				t.Fatal(err)
			}
			for i := range c.after {
				usa.both(orders[(c.before+i)%2])
			}
			talk(usa, jpn)
			usa.now = usa.now.Add(time.Hour)
			if err := keys.Leap(usa.now); err != nil {
				t.Fatal(err)
			}
			usa.keys = keys
			usa.putBack(at)
			state := func(want string) {
				t.Helper()
				talk(usa, jpn)
				usa.state(h, want)
				jpn.state(h, want)
			}
			if state(c.want); usa.alarmed("suspension.taken-back") != c.alarms {
				t.Errorf("%d alarms, want %d", usa.alarmed("suspension.taken-back"), c.alarms)
			}
			if c.want == "in-force" {
				usa.both(orders[0])
				state("suspended")
			}
			usa.both(orders[1])
			state("in-force")
			usa.both(orders[0])
			state("suspended")
			usa.intact()
			jpn.intact()
		})
	}
}

// TestForgottenStopUnderARevokedKey: the database of a node is put back to before a
// suspension, and the key that signed that was revoked since, which the partner has not
// heard. The stop holds again, with an alarm, until the officers resume.
func TestForgottenStopUnderARevokedKey(t *testing.T) {
	for name, before := range map[string]int{"the first word": 0, "a later one": 2} {
		t.Run(name, func(t *testing.T) {
			usa, jpn, h := agreed(t, "")
			suspend, resume := noroshi.Order{Action: noroshi.ActSuspendAgreement, Agreement: h}, noroshi.Order{Action: noroshi.ActResumeAgreement, Agreement: h}
			for i := range before {
				usa.both([]noroshi.Order{suspend, resume}[i%2])
			}
			talk(usa, jpn)
			at := usa.copyOf()
			usa.both(suspend)
			talk(usa, jpn)
			usa.revokes()
			usa.putBack(at)
			talk(usa, jpn)
			usa.state(h, "suspended")
			jpn.state(h, "suspended")
			if n := usa.alarmed("suspension.taken-back"); n != 1 {
				t.Errorf("%d alarms, want 1", n)
			}
			usa.both(resume)
			talk(usa, jpn)
			usa.state(h, "in-force")
			jpn.state(h, "in-force")
			usa.intact()
			jpn.intact()
		})
	}
}

// TestStrangeWordIsTold: where a thief's word stands at the partner, far above ours, what
// is ordered here does not count there, and officers are told so, at most once a minute.
// When they have revoked the key it does.
func TestStrangeWordIsTold(t *testing.T) {
	usa, jpn, h := agreed(t, "")
	doc, err := message.SignSuspension(usa.keys, message.Suspension{Agreement: h, Counter: 1<<64 - 1, Resumed: true, Created: usa.now})
	if err != nil {
		t.Fatal(err)
	}
	if err := jpn.office.Document(t.Context(), usa.keys.NodeID(), doc); err != nil {
		t.Fatal(err)
	}
	usa.both(noroshi.Order{Action: noroshi.ActSuspendAgreement, Agreement: h})
	for _, want := range []int{1, 1, 2} {
		talk(usa, jpn)
		if n := usa.alarmed("suspension.strange"); n != want {
			t.Errorf("%d alarms, want %d", n, want)
		}
		if err := usa.office.Resend(t.Context()); err != nil {
			t.Fatal(err)
		}
		usa.now = usa.now.Add(31 * time.Second)
	}
	usa.state(h, "suspended")
	jpn.state(h, "in-force")
	usa.revokes()
	talk(usa, jpn)
	jpn.state(h, "suspended")
	usa.intact()
}
