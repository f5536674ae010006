package release_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// TestOutline: what is remembered of a hold is what is there, whatever comes into
// it and leaves it, and approvals count only of that.
func TestOutline(t *testing.T) {
	o := newOffice(t, jpn)
	cut := func(n int) *store.Version {
		return version(t, made, "run-1", object("indicator", n, usa.Identity, noroshi.Amber, `,"description":"secret","granular_markings":[{"marking_ref":"`+string(noroshi.Red.MarkingID())+`","selectors":["description"]}]`))
	}
	plain := func(n int) *store.Version {
		return version(t, made, "run-1", object("indicator", n, usa.Identity, noroshi.Amber, ""))
	}
	again := version(t, made, "run-1", later(object("indicator", 3, usa.Identity, noroshi.Amber, `,"name":"again"`)))
	var before noroshi.Hash
	for i, step := range []struct {
		put     []*store.Version
		count   int
		changed int
	}{
		{[]*store.Version{cut(1), plain(2)}, 2, 1},
		{[]*store.Version{plain(3)}, 3, 1},
		{[]*store.Version{again}, 3, 1}, // one leaves and one comes
		{[]*store.Version{version(t, made, "", later(object("indicator", 1, usa.Identity, noroshi.Red, "")))}, 2, 0},
	} {
		o.put(step.put...)
		o.settle()
		h := o.holds()
		if len(h) != 1 || h[0].Count != step.count {
			t.Fatalf("step %d: holds: %+v", i, h)
		}
		for range 2 { // the second time it is remembered
			got, err := o.desk.Outline(o.ctx, h[0].ID)
			want, err2 := o.desk.Digest(o.ctx, h[0].ID)
			if err := errors.Join(err, err2); err != nil || got.Digest != want || got.Digest == before {
				t.Fatalf("step %d: outline of %s, digest %s, %v", i, got.Digest, want, err)
			}
			if len(got.Changed) != step.changed || got.Cut != step.changed || got.Less != 0 {
				t.Errorf("step %d: %+v, want %d changed", i, got, step.changed)
			}
		}
		shown, err := o.desk.ShownChanged(o.ctx, h[0], 0, 10)
		if err != nil || len(shown) != step.changed {
			t.Errorf("step %d: %d shown as changed, %v", i, len(shown), err)
		}
		if before, err = o.desk.Digest(o.ctx, h[0].ID); err != nil {
			t.Fatal(err)
		}
		counting, err := o.desk.Counting(o.ctx, h[0])
		if err != nil || len(counting) != 0 {
			t.Errorf("step %d: %d approvals of what was there before count, %v", i, len(counting), err)
		}
		if _, _, err := o.approve("sato", h[0].ID); err != nil {
			t.Fatal(err)
		}
		if counting, err = o.desk.Counting(o.ctx, h[0]); err != nil || len(counting) != 1 {
			t.Errorf("step %d: %d approvals count, %v", i, len(counting), err)
		}
		for person, code := range map[string]string{"sato": "release.same-person", "jones": ""} {
			refused, err := o.desk.Refuses(o.ctx, h[0], person)
			got := ""
			if refused != nil {
				got = refused.Code
			}
			if err != nil || got != code {
				t.Errorf("step %d: %s is refused for %q, %v; want %q", i, person, got, err, code)
			}
		}
	}
}

// TestWhyReturned: the reason of a return is kept with who gave it, and signed:
// another reason than was signed is refused.
func TestWhyReturned(t *testing.T) {
	o := newOffice(t, jpn)
	o.put(version(t, made, "run-1", object("indicator", 1, usa.Identity, noroshi.Amber, "")))
	o.settle()
	hold := o.holds()[0].ID
	digest, err := o.desk.Digest(o.ctx, hold)
	if err != nil {
		t.Fatal(err)
	}
	by := noroshi.SignAct("sato", o.keys["sato"], noroshi.ActDigest(real, usa.Node, noroshi.ActReturn, hold, release.ReturnBound(digest, "ask the source")))
	if err := o.desk.Return(o.ctx, hold, "ask nobody", by); noroshi.KindOf(err) != noroshi.Forbidden {
		t.Errorf("another reason: %v", err)
	}
	if err := o.desk.Return(o.ctx, hold, string(slices.Repeat([]byte("a"), 2000)), by); noroshi.KindOf(err) != noroshi.Invalid {
		t.Errorf("a long reason: %v", err)
	}
	if err := o.desk.Return(o.ctx, hold, " ", o.sign("sato", hold, noroshi.ActReturn)); noroshi.CodeOf(err) != "release.no-why" {
		t.Errorf("no reason: %v", err)
	}
	if err := o.desk.Return(o.ctx, hold, "ask the source", by); err != nil {
		t.Fatal(err)
	}
	if why, err := o.desk.WhyReturned(o.ctx, hold); err != nil || why == nil || why.Person != "sato" || why.Why != "ask the source" {
		t.Errorf("kept: %+v, %v", why, err)
	}
}

// TestPreviews: versions that are looked at together are decided as each alone.
func TestPreviews(t *testing.T) {
	o := newOffice(t, jpn)
	seqs := o.put(indicator(t, 1, noroshi.Green), indicator(t, 2, noroshi.Red), indicator(t, 3, noroshi.NoTLP), indicator(t, 4, noroshi.Amber))
	o.settle()
	seqs = append(seqs, o.put(version(t, made, "", later(object("indicator", 1, usa.Identity, noroshi.Green, ""))))...)
	slices.Reverse(seqs)
	all, err := o.desk.Previews(o.ctx, seqs, jpn.Node)
	if err != nil {
		t.Fatal(err)
	}
	for i, seq := range seqs {
		one, err := o.desk.Preview(o.ctx, seq, jpn.Node)
		if err != nil || one.Record.Seq != all[i].Record.Seq || one.Decision.Outcome != all[i].Decision.Outcome || len(one.Decision.Reasons) != len(all[i].Decision.Reasons) || (one.View == nil) != (all[i].View == nil) {
			t.Errorf("%d: alone %+v, together %+v, %v", seq, one, all[i], err)
		}
	}
}
