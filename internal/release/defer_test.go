package release_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// TestDefer: that a hold is left waiting is one person's signed act, with a reason
// and perhaps a time, which is kept and hinders nobody; what opens again after it
// was returned waits anew.
func TestDefer(t *testing.T) {
	o := newOffice(t, jpn)
	bring := func(run string, n int) store.HoldGroup {
		o.put(version(t, made, run, object("indicator", n, usa.Identity, noroshi.Amber, "")))
		o.settle()
		return o.holds()[0]
	}
	h := bring("run-1", 1)
	until := now.Add(6 * time.Hour)
	signed := func(person, why string, until time.Time) noroshi.Signed {
		bound, err := o.desk.Digest(o.ctx, h.ID)
		if err != nil {
			t.Fatal(err)
		}
		return noroshi.SignAct(person, o.keys[person], noroshi.ActDigest(real, usa.Node, noroshi.ActDefer, h.ID, release.DeferBound(bound, why, until)))
	}
	by := signed("sato", "the source is asked", until)
	for name, x := range map[string]struct {
		why   string
		until time.Time
		by    noroshi.Signed
		code  string
	}{
		"no reason":      {" ", until, signed("sato", " ", until), "release.defer-why"},
		"a long reason":  {strings.Repeat("a", 2000), until, by, "release.why"},
		"another reason": {"nobody is asked", until, by, "person.signature"},
		"another time":   {"the source is asked", until.Add(time.Hour), by, "person.signature"},
		"the past":       {"x", now.Add(-time.Hour), signed("sato", "x", now.Add(-time.Hour)), "release.defer-until"},
		"far off":        {"x", now.AddDate(1, 0, 0), signed("sato", "x", now.AddDate(1, 0, 0)), "release.defer-until"},
		"a stranger":     {"x", until, signed("root", "x", until), "person.role-may-not"},
		"a return":       {"the source is asked", until, o.sign("sato", h.ID, noroshi.ActReturn), "person.signature"},
	} {
		err := o.desk.Defer(o.ctx, h.ID, x.why, x.until, x.by)
		if noroshi.CodeOf(err) != x.code {
			t.Errorf("%s: %v, want %s", name, err, x.code)
		}
	}
	if d, err := o.desk.Deferred(o.ctx, h); d != nil || err != nil {
		t.Errorf("what was refused is kept: %+v, %v", d, err)
	}
	if err := o.desk.Defer(o.ctx, h.ID, "the source is asked", until, by); err != nil {
		t.Fatal(err)
	}
	d, err := o.desk.Deferred(o.ctx, h)
	if err != nil || d == nil || d.Person != "sato" || d.Why != "the source is asked" || !d.Until.Equal(until) {
		t.Fatalf("kept: %+v, %v", d, err)
	}
	acts, err := o.store.Acts(o.ctx, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	last := acts[len(acts)-1].Act
	if last.Action != noroshi.ActDefer || last.Subject != h.ID || len(last.Persons) != 1 || last.Persons[0].Person != "sato" || last.Partner != (noroshi.NodeID{}) {
		t.Errorf("on record: %+v", last)
	}
	if err := o.desk.Defer(o.ctx, h.ID, "until somebody answers", time.Time{}, signed("jones", "until somebody answers", time.Time{})); err != nil {
		t.Fatal(err)
	}
	if d, err = o.desk.Deferred(o.ctx, h); err != nil || d.Person != "jones" || !d.Until.IsZero() {
		t.Errorf("the last one counts: %+v, %v", d, err)
	}
	o.now = o.now.Add(time.Minute)
	if err := o.giveBack("sato", h.ID); err != nil {
		t.Fatal(err)
	}
	again := bring("run-1", 2)
	if d, err := o.desk.Deferred(o.ctx, again); d != nil || err != nil {
		t.Errorf("returned, come again, and said to wait because of before: %+v, %v", d, err)
	}
	o.twoApprove(again.ID)
	if err := o.desk.Defer(o.ctx, h.ID, "x", until, by); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("what has gone: %v", err)
	}
	if !slices.Contains(noroshi.PersonActions(), noroshi.ActDefer) {
		t.Error("the role table does not know it")
	}
}
