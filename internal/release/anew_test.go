package release_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestDefinitionInALaterAct: a marking's definition comes in an act of its own
// after the objects, and its maker after it: all go, as they would together.
func TestDefinitionInALaterAct(t *testing.T) {
	o := newOffice(t, jpn)
	file := noroshi.Source{Kind: noroshi.FromFile, Name: "attack.json", Person: "jones"}
	mark, maker := id("marking-definition", 8), id("identity", 7)
	o.put(version(t, file, "run", marked(object("indicator", 1, "", noroshi.Green, ""), mark)),
		version(t, file, "run", marked(object("malware", 2, maker, noroshi.Green, `,"name":"m","is_family":false`), mark)),
		version(t, file, "run", marked(object("relationship", 3, maker, noroshi.Green, ends(id("indicator", 1), id("malware", 2))), mark)))
	o.settle()
	o.put(version(t, file, "run", definition(8, maker, allowed)))
	o.settle()
	has(t, o.sends(jpn)) // the definition cannot travel without its maker
	o.put(version(t, file, "run", marked(object("identity", 7, "", noroshi.Green, `,"name":"vendor"`), mark)))
	o.settle()
	has(t, o.sends(jpn), id("indicator", 1), id("malware", 2), id("relationship", 3), mark, maker)
	if h := o.holds(); len(h) != 0 {
		t.Errorf("still held: %+v", h)
	}
}

// TestMarkingBecomesDoubtful: a second definition holds what was released under
// the first and has not gone, and what would not stand without it.
func TestMarkingBecomesDoubtful(t *testing.T) {
	o := newOffice(t, jpn)
	mark := id("marking-definition", 8)
	o.put(version(t, made, "", definition(8, "", allowed)), malware(t, 2, noroshi.Green),
		version(t, made, "", marked(object("indicator", 1, usa.Identity, noroshi.Green, ""), mark)),
		version(t, made, "", object("relationship", 3, usa.Identity, noroshi.Green, ends(id("indicator", 1), id("malware", 2)))),
		version(t, made, "", object("report", 4, usa.Identity, noroshi.Green, fmt.Sprintf(`,"name":"r","published":"2026-11-01T00:00:00Z","object_refs":[%q,%q]`, id("malware", 2), id("indicator", 1)))),
		version(t, made, "", marked(object("indicator", 5, usa.Identity, noroshi.Amber, ""), mark)))
	o.settle()
	o.put(version(t, fromJPN, "", definition(8, "", "other")))
	o.settle()
	keys := map[string]int{}
	for _, h := range o.holds() {
		if h.Key != noroshi.NotUnderstood {
			t.Errorf("hold %+v", h)
		}
		keys[h.Reasons[0].Code] += h.Count
	}
	if keys["marking.two-definitions"] != 2 || len(keys) != 1 {
		t.Errorf("holds: %v", keys)
	}
	got := o.sends(jpn)
	has(t, got, id("malware", 2), id("report", 4))
	if strings.Contains(got[id("report", 4)], string(id("indicator", 1))) {
		t.Errorf("the report names what may not go: %s", got[id("report", 4)])
	}
}

// TestReleasedNotGoneFollowsItsReferences: what was released with an object
// that must now be approved waits for it, and goes when it goes.
func TestReleasedNotGoneFollowsItsReferences(t *testing.T) {
	o := newOffice(t, jpn)
	o.put(indicator(t, 1, noroshi.Green), malware(t, 2, noroshi.Green),
		version(t, made, "", object("relationship", 3, usa.Identity, noroshi.Green, ends(id("indicator", 1), id("malware", 2)))),
		version(t, made, "", object("note", 4, usa.Identity, noroshi.Green, fmt.Sprintf(`,"content":"n","object_refs":[%q]`, id("relationship", 3)))))
	o.settle()
	seq := o.current(id("indicator", 1)).Seq
	o.do(noroshi.ActAssignMarking, func(tx *store.Tx) error {
		if err := tx.AssignMarking(seq, noroshi.Amber.MarkingID()); err != nil {
			return err
		}
		return tx.Notice(store.MarkingAssigned, fmt.Sprint(seq))
	})
	has(t, o.sends(jpn), id("malware", 2)) // the courier is faster than the desk
	o.settle()
	for _, h := range o.holds() {
		if h.Key == noroshi.TwoPersons {
			o.twoApprove(h.ID)
		}
	}
	o.settle()
	has(t, o.sends(jpn), id("indicator", 1), id("relationship", 3), id("note", 4))
	if h := o.holds(); len(h) != 0 {
		t.Errorf("still held: %+v", h)
	}
	if v, err := o.store.Verify(o.ctx, nil); err != nil || len(v.Faults) > 0 {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestWithheldIsDecidedAnew: a message that is withheld takes its rows out of
// what the partner has; what may not go is held, the rest goes again.
func TestWithheldIsDecidedAnew(t *testing.T) {
	o := newOffice(t, jpn)
	o.put(indicator(t, 1, noroshi.Green), indicator(t, 2, noroshi.Green))
	o.settle()
	has(t, o.sends(jpn), id("indicator", 1), id("indicator", 2))
	seq := o.current(id("indicator", 1)).Seq
	o.do(noroshi.ActAssignMarking, func(tx *store.Tx) error {
		if err := tx.AssignMarking(seq, noroshi.Amber.MarkingID()); err != nil {
			return err
		}
		return tx.Notice(store.MarkingAssigned, fmt.Sprint(seq))
	})
	o.settle()
	if h := o.holds(); len(h) != 0 {
		t.Errorf("what is in the stream is held: %+v", h)
	}
	m, err := o.store.Out(o.ctx, jpn.Node, [16]byte{1}, 1, 10)
	if err != nil || len(m) != 1 {
		t.Fatal(m, err)
	}
	if _, err := o.desk.Again(o.ctx, m[0]); noroshi.KindOf(err) != noroshi.Refused {
		t.Errorf("relabelled and still cleared: %v", err)
	}
	o.do(noroshi.ActWithhold, func(tx *store.Tx) error {
		return tx.SetOutState(jpn.Node, [16]byte{1}, []uint64{1}, store.Withheld, "https")
	})
	o.settle()
	h := o.holds()
	if len(h) != 1 || h[0].Key != noroshi.TwoPersons || h[0].Count != 1 || o.first(h[0]) != seq {
		t.Fatalf("holds: %+v", h)
	}
	rest, err := o.desk.Rest(o.ctx, m[0])
	if err != nil || len(rest) != 1 || len(rest[0].Objects()) != 1 || !strings.Contains(string(rest[0].Objects()[0].Bytes), string(id("indicator", 2))) {
		t.Errorf("rest: %+v, %v", rest, err)
	}
	o.twoApprove(h[0].ID)
	has(t, o.sends(jpn), id("indicator", 1))
}

// TestCircleOverHolds: objects that refer to each other in a circle wait in
// one hold, whatever run, reason or key each would wait under alone.
func TestCircleOverHolds(t *testing.T) {
	note := func(n, of int, text string) string {
		return object("note", n, usa.Identity, noroshi.Amber, fmt.Sprintf(`,"content":%q,"object_refs":[%q]`, text, id("note", of)))
	}
	green := func(n, of int, text string) string {
		return object("note", n, usa.Identity, noroshi.Green, fmt.Sprintf(`,"content":%q,"object_refs":[%q]`, text, id("note", of)))
	}
	for name, x := range map[string]struct {
		bodies []string
		key    noroshi.HoldKey
	}{
		"runs":                 {[]string{note(1, 2, "a"), note(2, 3, "b"), note(3, 1, "c")}, noroshi.TwoPersons},
		"reasons":              {[]string{note(1, 2, "a"), note(2, 1, "(S) b")}, noroshi.TwoPersons},
		"release and review":   {[]string{green(1, 2, "a"), green(2, 1, "(S) b")}, noroshi.Review},
		"a marking of its own": {[]string{note(1, 2, "a"), marked(note(2, 1, "b"), id("marking-definition", 8))}, noroshi.TwoPersons},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, jpn)
			o.put(version(t, made, "", definition(8, "", allowed)))
			var want []stix.ID
			for i, b := range x.bodies {
				v := version(t, made, fmt.Sprint("run-", len(x.bodies)-i), b)
				want = append(want, v.Object.ID)
				want = append(want, slices.DeleteFunc(slices.Clone(v.Object.Markings), func(m stix.ID) bool { return noroshi.TLPOf(m) != noroshi.NoTLP })...)
				o.put(v)
				o.settle()
			}
			h := o.holds()
			if len(h) != 1 || h[0].Key != x.key || h[0].Count != len(x.bodies) {
				t.Fatalf("holds: %+v", h)
			}
			if x.key == noroshi.Review {
				if _, _, err := o.approve("jones", h[0].ID); err != nil {
					t.Fatal(err)
				}
			} else {
				o.twoApprove(h[0].ID)
			}
			o.settle()
			has(t, o.sends(jpn), want...)
		})
	}
}

// TestNoReferenceToWhatStillWaits: what persons approved does not go before
// what it refers to, if that waits in another hold.
func TestNoReferenceToWhatStillWaits(t *testing.T) {
	o := newOffice(t, jpn)
	o.put(version(t, made, "run", object("malware", 1, usa.Identity, noroshi.Amber, `,"is_family":false,"name":"(S) proxy"`)),
		version(t, made, "run", object("note", 2, usa.Identity, noroshi.Amber, fmt.Sprintf(`,"content":"n","object_refs":[%q]`, id("malware", 1)))))
	o.settle()
	for _, h := range o.holds() {
		if h.Key == noroshi.TwoPersons && o.first(h) == o.current(id("note", 2)).Seq {
			t.Errorf("a note may be approved before what it is about: %+v", h)
		}
	}
	for range 2 {
		for _, h := range o.holds() {
			if h.Key == noroshi.TwoPersons {
				o.twoApprove(h.ID)
			}
		}
		o.settle()
	}
	has(t, o.sends(jpn), id("malware", 1), id("note", 2))
}

// TestUrgentPassesBulk: a warning put while a list waits undecided is decided
// in the next step, whatever was admitted before it.
func TestUrgentPassesBulk(t *testing.T) {
	o := newOffice(t, jpn)
	o.settle()
	n := tier.N(300, 100_000)
	if n == 300 {
		release.SetSlice(o.desk, 20)
	}
	listed(t, o, n, noroshi.Amber)
	warning := func(n int, precedence string) *store.Version {
		return version(t, made, "", object("report", n, usa.Identity, noroshi.Amber, fmt.Sprintf(
			`,"name":"w","published":"2026-11-01T00:00:00Z","object_refs":[%q],"extensions":{%q:{"extension_type":"property-extension","severity":"high","precedence":%q}}`,
			usa.Identity, noroshi.WarningExtension, precedence)))
	}
	translation := func(n, of int) *store.Version {
		return version(t, made, "", object("language-content", n, usa.Identity, noroshi.Amber, fmt.Sprintf(`,"object_ref":%q,"contents":{"ja":{"name":"警"}}`, id("report", of))))
	}
	o.put(warning(n+1, "flash"), translation(n+2, n+1), warning(n+3, "routine"))
	step := func() {
		t.Helper()
		if more, err := o.desk.Step(o.ctx); err != nil || !more {
			t.Fatal(more, err)
		}
	}
	step()
	flash := func() int {
		for _, h := range o.holds() {
			if h.Precedence == noroshi.Flash {
				return h.Count
			}
		}
		return 0
	}
	if flash() != 2 {
		t.Errorf("a FLASH and its translation wait behind a list: %+v", o.holds())
	}
	o.put(warning(n+4, "immediate"), translation(n+5, n+4))
	step()
	ids, err := o.store.UnsentBatches(o.ctx, jpn.Node)
	if err != nil || len(ids) != 1 {
		t.Fatal(ids, err)
	}
	if b, err := o.store.Batch(o.ctx, ids[0]); err != nil || b.Precedence != noroshi.Immediate || b.Count != 2 {
		t.Errorf("batch %+v, %v", b, err)
	}
	o.settle()
	count := 0
	for _, h := range o.holds() {
		if h.Precedence == noroshi.Routine {
			count = h.Count
		}
	}
	if count != n || flash() != 2 {
		t.Errorf("holds: %+v", o.holds())
	}
	has(t, o.sends(jpn), id("report", n+3), id("report", n+4), id("language-content", n+5))
}

// TestMarkingOfAnExerciseComesLater: in an exercise an object whose marking is
// not here yet is held, not denied: the marking may be the exercise's.
func TestMarkingOfAnExerciseComesLater(t *testing.T) {
	drill, err := noroshi.ParseRealm("exercise:ex-1")
	if err != nil {
		t.Fatal(err)
	}
	a, err := noroshi.ParseAgreement(release.Template(release.Draft{Realm: drill, Self: usa, Partner: jpn, From: now.AddDate(0, -1, 0), Until: now.AddDate(0, 1, 0)}))
	if err != nil {
		t.Fatal(err)
	}
	clauses, err := release.Compile(a)
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		label noroshi.Label
		want  noroshi.Outcome
	}{
		"unresolved":       {noroshi.Label{TLP: noroshi.Green, Unknown: []string{"unresolved x"}}, noroshi.Hold},
		"of this exercise": {noroshi.Label{TLP: noroshi.Green, Exercise: "ex-1"}, noroshi.Release},
		"of another":       {noroshi.Label{TLP: noroshi.Green, Exercise: "ex-2", Unknown: []string{"unresolved x"}}, noroshi.Deny},
		"of none":          {noroshi.Label{TLP: noroshi.Green}, noroshi.Deny},
	} {
		c := release.Case{Realm: drill, Now: now, Self: usa.Identity, Partner: jpn, Clauses: clauses,
			Items: []release.Item{{ID: id("malware", 1), Type: "malware", Label: x.label, Origin: release.Self, Precedence: noroshi.Routine}}}
		if d := release.Decide(c)[0]; d.Outcome != x.want {
			t.Errorf("%s: %s %v, want %s", name, d.Outcome, d.Reasons, x.want)
		}
	}
}

// TestAgreementComesIntoForceByDate: what came before an agreement's first day
// is decided when that has come.
func TestAgreementComesIntoForceByDate(t *testing.T) {
	o := newOffice(t)
	o.agree(jpn, release.Template(release.Draft{Realm: real, Self: usa, Partner: jpn, From: now.AddDate(0, 0, 1), Until: now.AddDate(0, 1, 0)}))
	o.put(indicator(t, 1, noroshi.Green))
	o.settle()
	has(t, o.sends(jpn))
	o.now = now.AddDate(0, 0, 2)
	o.settle()
	has(t, o.sends(jpn), id("indicator", 1))
}
