package release_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/stix"
)

func malware(t testing.TB, n int, mark noroshi.TLP) *store.Version {
	return version(t, made, "", object("malware", n, usa.Identity, mark, `,"name":"m","is_family":false`))
}

func indicator(t testing.TB, n int, mark noroshi.TLP) *store.Version {
	return version(t, made, "", object("indicator", n, usa.Identity, mark, ""))
}

func TestWaitsForWhatItRefersTo(t *testing.T) {
	o := newOffice(t, jpn)
	o.put(malware(t, 2, noroshi.Green), indicator(t, 1, noroshi.Amber),
		version(t, made, "", object("relationship", 3, usa.Identity, noroshi.Green, ends(id("indicator", 1), id("malware", 2)))),
		version(t, made, "", object("note", 4, usa.Identity, noroshi.Green, fmt.Sprintf(`,"content":"n","object_refs":[%q]`, id("relationship", 3)))),
		version(t, made, "", object("report", 5, usa.Identity, noroshi.Green, fmt.Sprintf(`,"name":"r","published":"2026-11-01T00:00:00Z","object_refs":[%q,%q]`, id("malware", 2), id("indicator", 1)))),
	)
	o.settle()
	before := o.sends(jpn)
	has(t, before, id("malware", 2), id("report", 5))
	if strings.Contains(before[id("report", 5)], string(id("indicator", 1))) {
		t.Errorf("the report names what waits: %s", before[id("report", 5)])
	}
	h := o.holds()
	if len(h) != 1 || h[0].Key != noroshi.TwoPersons {
		t.Fatalf("holds: %+v", h)
	}
	o.twoApprove(h[0].ID)
	o.settle()
	after := o.sends(jpn)
	has(t, after, id("indicator", 1), id("relationship", 3), id("note", 4), id("report", 5))
	if whole := string(o.current(id("report", 5)).Object.Bytes()); after[id("report", 5)] != whole {
		t.Errorf("the report goes as %s, want %s", after[id("report", 5)], whole)
	}
	if h := o.holds(); len(h) != 0 {
		t.Errorf("still held: %+v", h)
	}
}

func TestMakerComesLater(t *testing.T) {
	o := newOffice(t, jpn)
	maker := id("identity", 7)
	file := noroshi.Source{Kind: noroshi.FromFile, Name: "feed.json", Person: "sato"}
	o.put(version(t, file, "run", object("indicator", 1, maker, noroshi.Green, "")))
	o.settle()
	unnamed(t, o.sends(jpn), id("indicator", 1), maker)
	o.put(version(t, file, "run", object("identity", 7, "", noroshi.Green, `,"name":"vendor"`)))
	o.settle()
	has(t, o.sends(jpn), id("indicator", 1), maker)
}

// unnamed checks that one object goes and does not name its maker.
func unnamed(t testing.TB, got map[stix.ID]string, what, maker stix.ID) {
	t.Helper()
	has(t, got, what)
	if strings.Contains(got[what], string(maker)) {
		t.Errorf("a maker the partner does not have is named: %s", got[what])
	}
}

func TestMakerApprovedLater(t *testing.T) {
	o := newOffice(t, jpn)
	maker := id("identity", 7)
	o.put(version(t, made, "run", object("identity", 7, usa.Identity, noroshi.Amber, `,"name":"unit"`)),
		version(t, made, "run", object("indicator", 1, maker, noroshi.Green, "")))
	o.settle()
	unnamed(t, o.sends(jpn), id("indicator", 1), maker)
	for _, h := range o.holds() {
		if h.Key == noroshi.TwoPersons {
			o.twoApprove(h.ID)
		}
	}
	o.settle()
	has(t, o.sends(jpn), id("indicator", 1), maker)
}

// TestDefinitionComesLater is L5: an object may come before its marking.
func TestDefinitionComesLater(t *testing.T) {
	o := newOffice(t, jpn)
	statement := id("marking-definition", 8)
	marked := strings.Replace(object("indicator", 1, usa.Identity, noroshi.Green, ""), `"object_marking_refs":[`, fmt.Sprintf(`"object_marking_refs":[%q,`, statement), 1)
	o.put(version(t, made, "run", marked))
	o.settle()
	has(t, o.sends(jpn))
	if h := o.holds(); len(h) != 1 || h[0].Key != noroshi.NotUnderstood {
		t.Fatalf("holds: %+v", h)
	}
	definition := fmt.Sprintf(`{"type":"marking-definition","spec_version":"2.1","id":%q,"created":"2026-11-01T00:00:00.000Z","definition_type":"statement","definition":{"statement":%q}}`, statement, allowed)
	o.put(version(t, made, "run", definition))
	o.settle()
	got := o.sends(jpn)
	has(t, got, id("indicator", 1), statement)
	if got[statement] != definition {
		t.Errorf("definition is %s", got[statement])
	}
	// A second body under its id: what carries it is not understood any more.
	o.put(version(t, made, "run", strings.Replace(marked, id1, string(id("indicator", 2)), 1)))
	o.settle()
	o.put(version(t, fromFile, "", strings.Replace(definition, allowed, "other", 1)))
	o.settle()
	has(t, o.sends(jpn))
}

var id1 = string(id("indicator", 1))

func TestThirdPartiesAndEchoes(t *testing.T) {
	o := newOffice(t, jpn, kor)
	theirs := func(typ string, n int, mark noroshi.TLP) *store.Version {
		return version(t, fromJPN, "", object(typ, n, jpn.Identity, mark, ""))
	}
	sighting := func(n, of int) *store.Version {
		return version(t, made, "", object("sighting", n, usa.Identity, noroshi.Amber, fmt.Sprintf(`,"sighting_of_ref":%q,"count":1`, id("indicator", of))))
	}
	o.put(theirs("indicator", 1, noroshi.Amber), theirs("indicator", 2, noroshi.Green),
		sighting(3, 1), sighting(4, 2),
		version(t, noroshi.Source{Kind: noroshi.FromFile, Name: "vendor.json"}, "", object("indicator", 5, id("identity", 9), noroshi.Amber, "")),
		version(t, noroshi.Source{Kind: noroshi.FromFile, Name: "claims.json"}, "", object("indicator", 6, usa.Identity, noroshi.Amber, "")),
		version(t, fromJPN, "", object("indicator", 7, usa.Identity, noroshi.Amber, "")),
	)
	o.settle()
	has(t, o.sends(jpn), id("sighting", 3), id("sighting", 4))
	has(t, o.sends(kor), id("indicator", 2), id("sighting", 4))
	if h := o.holds(); len(h) != 0 {
		t.Errorf("a third party's AMBER waits for persons: %+v", h)
	}
}

// TestDecidedAgainBeforeItGoes: what was released and has not gone is stopped
// by anything that would stop it now.
func TestDecidedAgainBeforeItGoes(t *testing.T) {
	for name, x := range map[string]struct {
		change func(o *office)
		want   []stix.ID // that goes before the desk decided anew
	}{
		"withdrawn": {func(o *office) {
			o.do(noroshi.ActWithdraw, func(tx *store.Tx) error { return tx.Withdraw(id("indicator", 1), made.Owner()) })
		}, []stix.ID{id("malware", 2)}},
		"relabelled": {func(o *office) {
			seq := o.current(id("indicator", 1)).Seq
			o.do(noroshi.ActAssignMarking, func(tx *store.Tx) error { return tx.AssignMarking(seq, noroshi.Red.MarkingID()) })
		}, []stix.ID{id("malware", 2)}},
		"relabelled to what persons must approve": {func(o *office) {
			seq := o.current(id("indicator", 1)).Seq
			o.do(noroshi.ActAssignMarking, func(tx *store.Tx) error { return tx.AssignMarking(seq, noroshi.Amber.MarkingID()) })
		}, []stix.ID{id("malware", 2)}},
		"superseded by an unmarked version": {func(o *office) {
			o.put(version(o.t, made, "", later(object("indicator", 1, usa.Identity, noroshi.NoTLP, ""))))
		}, []stix.ID{id("malware", 2)}},
		"another body under the same version": {func(o *office) {
			o.put(version(o.t, made, "", object("indicator", 1, usa.Identity, noroshi.Green, `,"name":"other"`)))
		}, []stix.ID{id("malware", 2)}},
		"agreement expired": {func(o *office) { o.now = now.AddDate(0, 2, 0) }, nil},
		"suspended": {func(o *office) {
			o.doc(noroshi.DocPartner, jpn.Node.String(), noroshi.Partner{Node: jpn.Node, Trust: noroshi.Suspended})
		}, nil},
		"another agreement": {func(o *office) {
			o.agree(jpn, release.Template(release.Draft{Realm: real, Self: usa, Partner: jpn, From: now.AddDate(0, -1, 0), Until: now.AddDate(0, 3, 0)}))
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, jpn)
			o.put(indicator(t, 1, noroshi.Green), malware(t, 2, noroshi.Green),
				version(t, made, "", object("relationship", 3, usa.Identity, noroshi.Green, ends(id("indicator", 1), id("malware", 2)))))
			o.settle()
			x.change(o)
			has(t, o.sends(jpn), x.want...)
			o.settle()
			switch name {
			case "another agreement": // what had not gone goes under the new one
				has(t, o.sends(jpn), id("indicator", 1), id("malware", 2), id("relationship", 3))
			case "relabelled to what persons must approve":
				h := o.holds()
				if len(h) != 1 || h[0].Key != noroshi.TwoPersons || h[0].Count != 1 {
					t.Fatalf("holds: %+v", h)
				}
				o.twoApprove(h[0].ID)
				o.settle()
				got := o.sends(jpn)
				if got[id("indicator", 1)] == "" {
					t.Errorf("approved and stays: %v", got)
				}
			default:
				has(t, o.sends(jpn))
			}
		})
	}
}

// TestFormerVersionGoes: a version released and overtaken by a later one under
// the same terms still goes, so that a message in the stream is not withheld
// for it.
func TestFormerVersionGoes(t *testing.T) {
	o := newOffice(t, jpn)
	o.put(indicator(t, 1, noroshi.Green))
	o.settle()
	o.put(version(t, made, "", later(object("indicator", 1, usa.Identity, noroshi.Green, ""))))
	ids, err := o.store.UnsentBatches(o.ctx, jpn.Node)
	if err != nil || len(ids) != 1 {
		t.Fatal(ids, err)
	}
	if c, err := o.desk.Next(o.ctx, ids[0], 0); err != nil || len(c.Objects()) != 1 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestAgain(t *testing.T) {
	o := newOffice(t, jpn)
	o.put(indicator(t, 1, noroshi.Green), indicator(t, 2, noroshi.Green))
	o.settle()
	o.sends(jpn)
	m, err := o.store.Out(o.ctx, jpn.Node, [16]byte{1}, 1, 10)
	if err != nil || len(m) != 1 {
		t.Fatal(m, err)
	}
	c, err := o.desk.Again(o.ctx, m[0])
	if err != nil || len(c.Objects()) != 2 || c.Batch().ID != m[0].Batch || c.First() != 0 {
		t.Fatalf("%+v, %v", c, err)
	}
	for name, change := range map[string]func(*store.OutMessage){
		"another partner": func(m *store.OutMessage) { m.Partner = kor.Node },
		"too many":        func(m *store.OutMessage) { m.Count = 3 },
		"none":            func(m *store.OutMessage) { m.Count = 0 },
		"before":          func(m *store.OutMessage) { m.First = -1 },
	} {
		x := m[0]
		change(&x)
		if _, err := o.desk.Again(o.ctx, x); noroshi.KindOf(err) != noroshi.Refused {
			t.Errorf("%s: %v", name, err)
		}
	}
	o.do(noroshi.ActWithdraw, func(tx *store.Tx) error { return tx.Withdraw(id("indicator", 2), made.Owner()) })
	rest, err := o.desk.Rest(o.ctx, m[0])
	if err != nil || len(rest) != 1 || rest[0].First() != 0 || len(rest[0].Objects()) != 1 {
		t.Errorf("rest: %+v, %v", rest, err)
	}
	if c, err := o.desk.Again(o.ctx, m[0]); noroshi.KindOf(err) != noroshi.Refused || c.Valid() {
		t.Errorf("withdrawn and still cleared: %v", err)
	}
	o.now = now.AddDate(0, 2, 0)
	if _, err := o.desk.Again(o.ctx, m[0]); noroshi.KindOf(err) != noroshi.Refused {
		t.Errorf("expired and still cleared: %v", err)
	}
}

// TestStands: a clearance stands until something changes that it was decided on,
// and not because of anything else.
func TestStands(t *testing.T) {
	o := newOffice(t, jpn, kor)
	seqs := o.put(
		version(t, made, "", object("indicator", 1, usa.Identity, noroshi.Green, "")),
		version(t, made, "", object("malware", 2, usa.Identity, noroshi.Green, `,"name":"m","is_family":false`)),
		version(t, made, "", object("relationship", 3, usa.Identity, noroshi.Green, ends(id("indicator", 1), id("malware", 2)))),
	)
	o.settle()
	o.sends(jpn)
	m, err := o.store.Out(o.ctx, jpn.Node, [16]byte{1}, 1, 10)
	if err != nil || len(m) != 1 {
		t.Fatal(m, err)
	}
	undone := errors.New("undone")
	for _, x := range []struct {
		name string
		want bool
		do   func(tx *store.Tx) error
	}{
		{"nothing", true, func(*store.Tx) error { return nil }},
		{"another object, and a marking of it", true, func(tx *store.Tx) error {
			_, seq, err := tx.Put(indicator(t, 7, noroshi.Green))
			if err != nil {
				return err
			}
			return tx.AssignMarking(seq, noroshi.Red.MarkingID())
		}},
		{"another object withdrawn", true, func(tx *store.Tx) error { return tx.Withdraw(id("indicator", 7), made.Owner()) }},
		{"a stricter marking", false, func(tx *store.Tx) error { return tx.AssignMarking(seqs[1], noroshi.Red.MarkingID()) }},
		{"withdrawn", false, func(tx *store.Tx) error { return tx.Withdraw(id("indicator", 1), made.Owner()) }},
		{"a later version", false, func(tx *store.Tx) error {
			_, _, err := tx.Put(version(t, made, "", later(object("malware", 2, usa.Identity, noroshi.Red, `,"name":"m","is_family":false`))))
			return err
		}},
		{"another partner's keys", true, func(tx *store.Tx) error { return tx.Notice(store.PartnerChanged, kor.Node.String()) }},
		{"an agreement", false, func(tx *store.Tx) error { return tx.Notice(store.AgreementChanged, jpn.Node.String()) }},
		{"a partner's keys", false, func(tx *store.Tx) error { return tx.Notice(store.PartnerChanged, jpn.Node.String()) }},
	} {
		c, err := o.desk.Again(o.ctx, m[0])
		if err != nil {
			t.Fatalf("before %s: %v", x.name, err)
		}
		_, err = o.store.Do(o.ctx, noroshi.Act{Action: noroshi.ActConfigure, Subject: "test"}, func(tx *store.Tx) error {
			if err := x.do(tx); err != nil {
				return err
			}
			if ok, err := c.Stands(o.ctx, tx); ok != x.want || err != nil {
				t.Errorf("%s: stands is %v, %v", x.name, ok, err)
			}
			if ok, err := (release.Cleared{}).Stands(o.ctx, tx); ok || err != nil {
				t.Errorf("what no desk made stands: %v, %v", ok, err)
			}
			if x.want {
				return nil
			}
			return undone
		})
		if x.want && err != nil || !x.want && !errors.Is(err, undone) {
			t.Fatal(x.name, err)
		}
	}
}

// TestStandsNoLonger: what ends with a person or by the clock ends a clearance too.
func TestStandsNoLonger(t *testing.T) {
	for name, x := range map[string]struct {
		office func() *office
		ends   func(o *office, tx *store.Tx) error
	}{
		"a signer of the standing rule is removed": {
			func() *office {
				o := standing(t, asIs)
				o.put(flash(t, 1, noroshi.Green))
				return o
			},
			func(o *office, tx *store.Tx) error {
				gone := o.persons["jones"]
				gone.Removed = true
				return tx.PutJSON(noroshi.DocPerson, gone.ID, gone)
			},
		},
		"the agreement ends": {
			func() *office {
				o := newOffice(t, jpn)
				o.put(indicator(t, 1, noroshi.Green))
				return o
			},
			func(o *office, _ *store.Tx) error { return nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := x.office()
			o.settle()
			o.sends(jpn)
			m, err := o.store.Out(o.ctx, jpn.Node, [16]byte{1}, 1, 10)
			if err != nil || len(m) == 0 {
				t.Fatal(m, err)
			}
			c, err := o.desk.Again(o.ctx, m[0])
			if err != nil {
				t.Fatal(err)
			}
			if name == "the agreement ends" {
				o.now = o.now.AddDate(1, 0, 0)
			}
			o.do(noroshi.ActConfigure, func(tx *store.Tx) error {
				if err := x.ends(o, tx); err != nil {
					return err
				}
				if ok, err := c.Stands(o.ctx, tx); ok || err != nil {
					t.Errorf("it stands: %v, %v", ok, err)
				}
				return nil
			})
		})
	}
}

// TestNotBackToWhoBroughtItMeanwhile: what names no maker, or another, is
// released to a partner, and before it goes the partner brings it itself.
func TestNotBackToWhoBroughtItMeanwhile(t *testing.T) {
	for name, maker := range map[string]stix.ID{"no maker": "", "another": id("identity", 7)} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, jpn, kor)
			file := noroshi.Source{Kind: noroshi.FromFile, Name: "feed.json"}
			x := object("malware", 1, maker, noroshi.Green, `,"name":"m","is_family":false`)
			o.put(version(t, file, "", x), version(t, file, "", object("malware", 2, maker, noroshi.Green, `,"name":"m","is_family":false`)))
			o.settle()
			o.put(version(t, fromJPN, "", x))
			faster, err := o.store.UnsentBatches(o.ctx, jpn.Node)
			if err != nil || len(faster) != 1 {
				t.Fatal(faster, err)
			}
			if c, err := o.desk.Next(o.ctx, faster[0], 0); err != nil || c.First() != 1 || len(c.Objects()) != 1 {
				t.Errorf("before the desk has looked, from row %d: %d objects, %v; want the second alone", c.First(), len(c.Objects()), err)
			}
			o.settle()
			has(t, o.sends(jpn), id("malware", 2))
			has(t, o.sends(kor), id("malware", 1), id("malware", 2))
			o.settle()
			has(t, o.sends(jpn))
			if h := o.holds(); len(h) != 0 {
				t.Errorf("held: %+v", h)
			}
		})
	}
}

// TestNewAgreement: what was here before is decided when an agreement comes
// into force, and anew under the next one; nothing goes twice.
func TestNewAgreement(t *testing.T) {
	o := newOffice(t)
	o.put(indicator(t, 1, noroshi.Green), indicator(t, 2, noroshi.Amber))
	o.settle()
	draft := release.Draft{Realm: real, Self: usa, Partner: jpn, From: now.AddDate(0, -1, 0), Until: now.AddDate(0, 1, 0)}
	o.agree(jpn, release.Template(draft))
	o.settle()
	has(t, o.sends(jpn), id("indicator", 1))
	old := o.holds()
	if len(old) != 1 {
		t.Fatalf("holds: %+v", old)
	}
	if n, _, err := o.approve("sato", old[0].ID); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	draft.Until = now.AddDate(0, 6, 0)
	o.agree(jpn, release.Template(draft))
	if _, _, err := o.approve("jones", old[0].ID); noroshi.KindOf(err) != noroshi.Refused {
		t.Errorf("approved under a former agreement: %v", err)
	}
	o.settle()
	fresh := o.holds()
	if len(fresh) != 1 || fresh[0].ID == old[0].ID || fresh[0].Agreement == old[0].Agreement {
		t.Fatalf("holds: %+v", fresh)
	}
	o.twoApprove(fresh[0].ID)
	has(t, o.sends(jpn), id("indicator", 2))
}

// TestSuspendedAndBack: what came while a partner was suspended is decided when
// it is back under the same agreement.
func TestSuspendedAndBack(t *testing.T) {
	o := newOffice(t, jpn, kor)
	o.settle()
	body, err := o.store.Doc(o.ctx, noroshi.DocPartner, jpn.Node.String())
	if err != nil {
		t.Fatal(err)
	}
	o.doc(noroshi.DocPartner, jpn.Node.String(), noroshi.Partner{Node: jpn.Node, Trust: noroshi.Suspended})
	o.put(indicator(t, 1, noroshi.Green))
	o.settle()
	has(t, o.sends(jpn))
	has(t, o.sends(kor), id("indicator", 1))
	o.doc(noroshi.DocPartner, jpn.Node.String(), body)
	o.put(indicator(t, 2, noroshi.Green))
	o.settle()
	has(t, o.sends(jpn), id("indicator", 1), id("indicator", 2))
}

func TestFlashAndItsTranslation(t *testing.T) {
	o := newOffice(t, jpn)
	o.put(indicator(t, 1, noroshi.Green))
	o.settle()
	o.sends(jpn)
	warning := func(n int, precedence string) *store.Version {
		return version(t, made, "", object("report", n, usa.Identity, noroshi.Amber, fmt.Sprintf(
			`,"name":"w","published":"2026-11-01T00:00:00Z","object_refs":[%q],"extensions":{%q:{"extension_type":"property-extension","severity":"high","precedence":%q}}`,
			id("indicator", 1), noroshi.WarningExtension, precedence)))
	}
	translation := func(n, of int) *store.Version {
		return version(t, made, "", object("language-content", n, usa.Identity, noroshi.Amber, fmt.Sprintf(`,"object_ref":%q,"contents":{"ja":{"name":"警"}}`, id("report", of))))
	}
	o.put(warning(2, "immediate"), translation(3, 2), warning(4, "flash"), translation(5, 4), warning(6, "urgent"))
	o.settle()
	ids, err := o.store.UnsentBatches(o.ctx, jpn.Node)
	if err != nil || len(ids) != 1 {
		t.Fatal(ids, err)
	}
	b, err := o.store.Batch(o.ctx, ids[0])
	if err != nil || b.Precedence != noroshi.Immediate || b.Count != 2 {
		t.Errorf("batch %+v, %v", b, err)
	}
	if c, err := o.desk.Next(o.ctx, ids[0], 0); err != nil || len(c.Objects()) != 2 {
		t.Errorf("a warning goes with its translation: %d objects, %v", len(c.Objects()), err)
	}
	has(t, o.sends(jpn), id("report", 2), id("language-content", 3))
	h := o.holds()
	if len(h) != 1 || h[0].Precedence != noroshi.Flash || h[0].Key != noroshi.TwoPersons || h[0].Count != 3 {
		t.Fatalf("holds: %+v", h)
	}
	flash := o.twoApprove(h[0].ID)
	if c, err := o.desk.Next(o.ctx, flash, 0); err != nil || len(c.Objects()) != 2 {
		t.Errorf("one warning a message: %d objects, %v", len(c.Objects()), err)
	}
	has(t, o.sends(jpn), id("report", 4), id("language-content", 5), id("report", 6))
}

// TestStepTwice: a desk that reads the feed again, as after a crash before its
// cursor moved, does nothing twice.
func TestStepTwice(t *testing.T) {
	o := newOffice(t, jpn, kor)
	listed(t, o, 300, noroshi.Amber)
	o.put(indicator(t, 1000, noroshi.Green), malware(t, 1001, noroshi.Green),
		version(t, made, "", object("relationship", 1002, usa.Identity, noroshi.Green, ends(id("indicator", 1000), id("malware", 1001)))))
	o.settle()
	before, err := o.store.Head(o.ctx)
	if err != nil {
		t.Fatal(err)
	}
	holds, n := o.holds(), o.acts()
	if err := o.store.Advance(o.ctx, "release", 0); err != nil {
		t.Fatal(err)
	}
	o.settle()
	after, err := o.store.Head(o.ctx)
	if err != nil || before != after || n != o.acts() {
		t.Errorf("feed went from %d to %d, ledger from %d to %d, %v", before, after, n, o.acts(), err)
	}
	if diff := cmp.Diff(holds, o.holds()); diff != "" {
		t.Error(diff)
	}
}

func TestRevokedGoesLikeAnyVersion(t *testing.T) {
	o := newOffice(t, jpn)
	o.put(indicator(t, 1, noroshi.Green))
	o.settle()
	o.sends(jpn)
	o.put(version(t, made, "", later(object("indicator", 1, usa.Identity, noroshi.Green, `,"revoked":true`))))
	o.settle()
	if got := o.sends(jpn); !strings.Contains(got[id("indicator", 1)], `"revoked":true`) {
		t.Errorf("got %v", got)
	}
}

func TestExplain(t *testing.T) {
	o := newOffice(t, jpn)
	seqs := o.put(indicator(t, 1, noroshi.Green), indicator(t, 2, noroshi.Red), indicator(t, 3, noroshi.NoTLP), indicator(t, 4, noroshi.Amber), indicator(t, 5, noroshi.Amber))
	o.settle()
	seqs = append(seqs, o.put(version(t, made, "run-2", object("indicator", 6, usa.Identity, noroshi.Amber, "")))...)
	o.settle()
	hold := o.holds()[0].ID // the last one opened
	if err := o.giveBack("sato", hold); err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		outcome noroshi.Outcome
		code    string
	}{{noroshi.Release, "batch.released"}, {noroshi.Deny, "tlp.red"}, {noroshi.Hold, "marking.none"}, {noroshi.Hold, "clause.two-persons"}, {noroshi.Hold, "hold.open"}, {noroshi.Hold, "hold.returned"}} {
		got, reasons, err := o.desk.Explain(o.ctx, seqs[i], jpn.Node)
		found := false
		for _, r := range reasons {
			found = found || r.Code == want.code
		}
		if err != nil || got != want.outcome || !found {
			t.Errorf("%d: got %s %v %v, want %s %s", i, got, reasons, err, want.outcome, want.code)
		}
	}
	if got, _, err := o.desk.Explain(o.ctx, seqs[0], kor.Node); got != noroshi.Deny || err != nil {
		t.Errorf("a stranger: %s, %v", got, err)
	}
	if _, _, err := o.desk.Explain(o.ctx, 9999, jpn.Node); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("no such version: %v", err)
	}
}

// TestCanaries is L1 and L2 through a store: whatever stands in objects above
// the partner, the batches and bytes for it are the same and say none of it.
func TestCanaries(t *testing.T) {
	run := func(canary string) (string, []string) {
		o := newOffice(t, jpn)
		for i, mark := range []noroshi.TLP{noroshi.Red, noroshi.NoTLP} {
			n := 100 * (i + 1)
			o.put(
				version(t, made, "", object("malware", n+1, usa.Identity, mark, fmt.Sprintf(`,"is_family":false,"name":%q,"description":%q,"x_note":%q,"external_references":[{"source_name":%q}]`, canary, canary, canary, canary))),
				version(t, made, "", object("indicator", n+2, usa.Identity, mark, fmt.Sprintf(`,"name":%q,"pattern":"[file:name = '%s']","pattern_type":"stix","valid_from":"2026-11-01T00:00:00Z"`, canary, canary))),
				version(t, made, "", object("relationship", n+3, usa.Identity, noroshi.Green, ends(id("malware", n+1), id("malware", 1)))),
				version(t, made, "", object("sighting", n+4, usa.Identity, noroshi.Green, fmt.Sprintf(`,"sighting_of_ref":%q`, id("indicator", n+2)))),
				version(t, made, "", object("report", n+5, usa.Identity, noroshi.Green, fmt.Sprintf(`,"name":"r","published":"2026-11-01T00:00:00Z","object_refs":[%q]`, id("malware", n+1)))),
				version(t, made, "", object("language-content", n+6, usa.Identity, noroshi.Green, fmt.Sprintf(`,"object_ref":%q,"contents":{"ja":{"name":"x"}}`, id("malware", n+1)))),
			)
		}
		unknown := id("marking-definition", 50)
		o.put(version(t, made, "", fmt.Sprintf(`{"type":"marking-definition","spec_version":"2.1","id":%q,"created":"2026-11-01T00:00:00.000Z","definition_type":"statement","definition":{"statement":%q}}`, unknown, canary)),
			version(t, made, "", strings.Replace(object("indicator", 51, usa.Identity, noroshi.Green, fmt.Sprintf(`,"name":%q`, canary)), `"object_marking_refs":[`, fmt.Sprintf(`"object_marking_refs":[%q,`, unknown), 1)),
			malware(t, 1, noroshi.Green), indicator(t, 2, noroshi.Green))
		o.settle()
		ids, err := o.store.UnsentBatches(o.ctx, jpn.Node)
		if err != nil {
			t.Fatal(err)
		}
		var wire strings.Builder
		got := o.sends(jpn)
		has(t, got, id("malware", 1), id("indicator", 2))
		for _, x := range []stix.ID{id("malware", 1), id("indicator", 2)} {
			wire.WriteString(got[x])
		}
		return wire.String(), ids
	}
	wire, batches := run("CANARY-7f3a")
	if strings.Contains(wire, "CANARY") {
		t.Error("a canary is on the wire")
	}
	other, others := run("something else, of another length")
	if diff := cmp.Diff(wire, other); diff != "" {
		t.Error(diff)
	}
	if len(batches) != len(others) {
		t.Errorf("%d batches, then %d", len(batches), len(others))
	}
}

// TestBulkIsOneHoldAPartner: a list waits as one item for each partner, is
// approved with two signatures, and costs few ledger entries.
func TestBulkIsOneHoldAPartner(t *testing.T) {
	o := newOffice(t, jpn, kor)
	o.settle()
	n := tier.N(4_500, 100_000)
	listed(t, o, n, noroshi.Amber)
	before := o.acts()
	o.settle()
	h := o.holds()
	if len(h) != 2 || h[0].Count != n || h[1].Count != n {
		t.Fatalf("holds: %+v", h)
	}
	for _, x := range h {
		o.twoApprove(x.ID)
	}
	o.settle()
	if entries := o.acts() - before; entries > 150 {
		t.Errorf("%d ledger entries", entries)
	}
	if a, b := len(o.sends(jpn)), len(o.sends(kor)); a != n || b != n {
		t.Errorf("%d and %d go, want %d", a, b, n)
	}
}
