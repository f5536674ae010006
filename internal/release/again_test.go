package release_test

import (
	"errors"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

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
