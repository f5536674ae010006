package release_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// old puts the second version of a tool and Japanese words for its first, and
// returns the hold the tool waits in.
func (o *office) old(src noroshi.Source, mark noroshi.TLP, members string) store.HoldGroup {
	o.t.Helper()
	o.put(version(o.t, made, "", later(object("tool", 1, usa.Identity, noroshi.Amber, `,"name":"probe"`))), version(o.t, src, "", translated(mark, "2026-11-01T00:00:00.000Z", members)))
	o.settle()
	h := o.holds()
	if len(h) != 1 || h[0].Count != 1 {
		o.t.Fatalf("holds: %+v", h)
	}
	return h[0]
}

func translated(mark noroshi.TLP, of, members string) string {
	return object("language-content", 2, usa.Identity, mark, fmt.Sprintf(`,"object_ref":%q,"object_modified":%q,"contents":{"ja":{"name":"探針"}}`, id("tool", 1), of)+members)
}

// goWithout has a person approve a hold without some translations.
func (o *office) goWithout(person, hold string, ids ...stix.ID) (int, error) {
	o.t.Helper()
	bound, err := o.desk.Digest(o.ctx, hold)
	if err != nil {
		o.t.Fatal(err)
	}
	by := noroshi.SignAct(person, o.keys[person], noroshi.ActDigest(real, usa.Node, noroshi.ActApprove, hold, release.ApproveBound(bound, ids)))
	n, _, err := o.desk.Approve(o.ctx, hold, ids, by)
	return n, err
}

// TestOldTranslationBlocksApproval: nobody approves an object beside a translation
// of another version that would be the partner's too, until it is renewed or
// withdrawn, or both officers sign that the object goes without it.
func TestOldTranslationBlocksApproval(t *testing.T) {
	words := id("language-content", 2)
	refused := func(o *office, h store.HoldGroup) {
		o.t.Helper()
		if _, _, err := o.approve("sato", h.ID); noroshi.CodeOf(err) != "release.old-translation" || !strings.Contains(err.Error(), string(words)) {
			o.t.Errorf("approved beside a translation of an earlier version: %v", err)
		}
		old, err := o.desk.OldWords(o.ctx, h)
		if err != nil || len(old) != 1 || old[0].Words.Object.ID != words || old[0].Of.Object.ID != id("tool", 1) {
			o.t.Errorf("old words: %+v, %v", old, err)
		}
	}
	t.Run("expressly without", func(t *testing.T) {
		o := newOffice(t, jpn)
		h := o.old(made, noroshi.Amber, "")
		refused(o, h)
		if _, err := o.goWithout("sato", h.ID, id("language-content", 3)); noroshi.CodeOf(err) != "release.old-translation" {
			t.Errorf("without another one: %v", err)
		}
		if _, err := o.goWithout("sato", h.ID, words, id("language-content", 3)); noroshi.CodeOf(err) != "hold.without" {
			t.Errorf("without another one too: %v", err)
		}
		if n, err := o.goWithout("sato", h.ID, words); n != 1 || err != nil {
			t.Fatalf("the first: %d missing, %v", n, err)
		}
		if _, _, err := o.approve("jones", h.ID); noroshi.CodeOf(err) != "release.old-translation" {
			t.Errorf("the second says nothing of it: %v", err)
		}
		if n, err := o.goWithout("jones", h.ID, words); n != 0 || err != nil {
			t.Fatalf("the second: %d missing, %v", n, err)
		}
		has(t, o.sends(jpn), id("tool", 1))
	})
	t.Run("renewed", func(t *testing.T) {
		o := newOffice(t, jpn)
		h := o.old(made, noroshi.Amber, "")
		refused(o, h)
		if n, err := o.goWithout("sato", h.ID, words); n != 1 || err != nil {
			t.Fatalf("the first: %d missing, %v", n, err)
		}
		o.put(version(t, made, "", later(translated(noroshi.Amber, "2026-11-02T00:00:00.000Z", ""))))
		o.settle()
		h = o.holds()[0]
		if count, err := o.desk.Counting(o.ctx, h); h.Count != 2 || len(count) != 0 || err != nil {
			t.Errorf("%d wait, %d approvals without it count, %v", h.Count, len(count), err)
		}
		o.twoApprove(h.ID)
		has(t, o.sends(jpn), id("tool", 1), words)
	})
	t.Run("withdrawn", func(t *testing.T) {
		o := newOffice(t, jpn)
		h := o.old(made, noroshi.Amber, "")
		refused(o, h)
		o.put(version(t, made, "", later(translated(noroshi.Amber, "2026-11-01T00:00:00.000Z", `,"revoked":true`))))
		o.settle()
		for _, person := range []string{"sato", "jones"} {
			if _, _, err := o.approve(person, h.ID); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("it comes behind the first approval", func(t *testing.T) {
		o := newOffice(t, jpn)
		o.put(version(t, made, "", later(object("tool", 1, usa.Identity, noroshi.Amber, `,"name":"probe"`))))
		o.settle()
		h := o.holds()[0]
		if _, _, err := o.approve("jones", h.ID); err != nil {
			t.Fatal(err)
		}
		o.put(version(t, made, "", translated(noroshi.Amber, "2026-11-01T00:00:00.000Z", "")))
		o.settle()
		refused(o, h)
		if count, err := o.desk.Counting(o.ctx, h); len(count) != 0 || err != nil {
			t.Errorf("%d approvals count of before, %v", len(count), err)
		}
	})
	for name, x := range map[string]struct {
		src     noroshi.Source
		mark    noroshi.TLP
		members string
	}{
		"it stays for its marking":   {made, noroshi.Red, ""},
		"it is the partner's":        {fromJPN, noroshi.Amber, ""},
		"a program's nobody checked": {made, noroshi.Amber, `,"labels":["machine-translation"]`},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, jpn)
			h := o.old(x.src, x.mark, x.members)
			if old, err := o.desk.OldWords(o.ctx, h); err != nil || len(old) > 0 {
				t.Errorf("%+v, %v", old, err)
			}
			o.twoApprove(h.ID)
		})
	}
	if a, b := release.ApproveBound(noroshi.Hash{1}, []stix.ID{"a--1", "b--2"}), release.ApproveBound(noroshi.Hash{1}, slices.Clone([]stix.ID{"b--2", "a--1", "a--1"})); a != b || a == release.ApproveBound(noroshi.Hash{1}, []stix.ID{"a--1"}) {
		t.Error("what an approval is bound to depends on the order, or not on the names")
	}
}
