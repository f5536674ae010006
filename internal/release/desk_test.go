package release_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
	"github.com/noroshi-cti/noroshi/stix"
)

// office is a node's store and desk with two partners and some persons.
type office struct {
	t       testing.TB
	ctx     context.Context
	store   *store.Store
	desk    *release.Desk
	now     time.Time
	keys    map[string]ed25519.PrivateKey
	persons map[string]noroshi.Person
}

var kor = noroshi.Party{CallSign: "KOR-01", Node: noroshi.NodeID{3}, Identity: "identity--ea891413-555c-5175-a1c0-125e24cb3093"}

func newOffice(t testing.TB, partners ...noroshi.Party) *office {
	t.Helper()
	o := &office{t: t, ctx: context.Background(), now: now, keys: map[string]ed25519.PrivateKey{}, persons: map[string]noroshi.Person{}}
	s, err := store.Open(o.ctx, storetest.Address(t, real), store.Options{Realm: real, Node: usa.Node, Now: func() time.Time { return o.now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	o.store = s
	o.desk, err = release.New(s, release.Options{
		Realm: real, Node: usa.Node, Self: noroshi.Organisation{CallSign: usa.CallSign, Identity: usa.Identity}, Now: func() time.Time { return o.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range partners {
		o.agree(p, release.Template(release.Draft{Realm: real, Self: usa, Partner: p, From: now.AddDate(0, -1, 0), Until: now.AddDate(0, 1, 0), Statements: []string{allowed}}))
	}
	for i, name := range []string{"sato", "jones", "kim"} {
		key := ed25519.NewKeyFromSeed(append(make([]byte, 31), byte(i+1)))
		o.person(noroshi.Person{ID: name, Name: name, Roles: []noroshi.Role{noroshi.ReleaseOffice}, Key: key.Public().(ed25519.PublicKey)}, key)
	}
	key := ed25519.NewKeyFromSeed(append(make([]byte, 31), 9))
	o.person(noroshi.Person{ID: "root", Name: "root", Roles: []noroshi.Role{noroshi.Administrator}, Key: key.Public().(ed25519.PublicKey)}, key)
	return o
}

const allowed = "Copyright 2026, Exercise CERT. Reuse allowed with attribution."

func (o *office) do(a noroshi.Action, fn func(tx *store.Tx) error) {
	o.t.Helper()
	if _, err := o.store.Do(o.ctx, noroshi.Act{Action: a, Subject: "test"}, fn); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) doc(kind, key string, v any) {
	o.t.Helper()
	body, ok := v.([]byte)
	if !ok {
		var err error
		if body, err = json.Marshal(v); err != nil {
			o.t.Fatal(err)
		}
	}
	o.do(noroshi.ActConfigure, func(tx *store.Tx) error { return tx.PutDoc(kind, key, body) })
}

func (o *office) person(p noroshi.Person, key ed25519.PrivateKey) {
	o.doc(noroshi.DocPerson, p.ID, p)
	o.persons[p.ID], o.keys[p.ID] = p, key
}

func (o *office) agree(p noroshi.Party, file []byte) {
	o.t.Helper()
	a, err := noroshi.ParseAgreement(file)
	if err != nil {
		o.t.Fatal(err)
	}
	o.doc(noroshi.DocAgreement, a.Hash.String(), file)
	o.doc(noroshi.DocPartner, p.Node.String(), noroshi.Partner{
		Node: p.Node, Trust: noroshi.InForce, Agreement: a.Hash,
		Organisation: noroshi.Organisation{CallSign: p.CallSign, Identity: p.Identity},
	})
	o.do(noroshi.ActAgreementInForce, func(tx *store.Tx) error { return tx.Notice(store.AgreementChanged, p.Node.String()) })
}

var (
	made    = noroshi.Source{Kind: noroshi.FromSelf}
	fromJPN = noroshi.Source{Kind: noroshi.FromPartner, Partner: jpn.Node, Message: noroshi.Sum([]byte("m"))}
)

func version(t testing.TB, src noroshi.Source, run, object string, assign ...noroshi.TLP) *store.Version {
	t.Helper()
	ob, err := stix.Parse([]byte(object))
	if err != nil {
		t.Fatalf("%v: %s", err, object)
	}
	v := &store.Version{Object: ob, Hash: noroshi.Sum(ob.Bytes()), Source: src, Run: run}
	for _, r := range ob.Refs() {
		if r.Path != "created_by_ref" {
			v.Refs = append(v.Refs, r.Target)
		}
	}
	for _, l := range assign {
		v.Assign = append(v.Assign, l.MarkingID())
	}
	return v
}

// put admits versions as an import does, in one act, and returns their sequences.
func (o *office) put(versions ...*store.Version) []int64 {
	o.t.Helper()
	var seqs []int64
	o.do(noroshi.ActImport, func(tx *store.Tx) error {
		for _, v := range versions {
			_, seq, err := tx.Put(v)
			if err != nil {
				return err
			}
			seqs = append(seqs, seq)
		}
		return nil
	})
	return seqs
}

func (o *office) settle() {
	o.t.Helper()
	for range 1000 {
		more, err := o.desk.Step(o.ctx)
		if err != nil {
			o.t.Fatal(err)
		}
		if !more {
			return
		}
	}
	o.t.Fatal("the desk never comes to rest")
}

// sends clears everything released to a partner, as the courier does, and
// returns the bytes by object id; it puts the messages into the stream.
func (o *office) sends(p noroshi.Party) map[stix.ID]string {
	o.t.Helper()
	out := map[stix.ID]string{}
	ids, err := o.store.UnsentBatches(o.ctx, p.Node)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, id := range ids {
		place := store.BatchPlace(id)
		cursor, err := o.store.Cursor(o.ctx, place)
		if err != nil {
			o.t.Fatal(err)
		}
		for at := int(cursor); ; {
			c, err := o.desk.Next(o.ctx, id, at)
			if noroshi.KindOf(err) == noroshi.Queued {
				break
			}
			if err != nil && noroshi.KindOf(err) != noroshi.Refused {
				o.t.Fatal(err)
			}
			if !c.Valid() {
				b, err := o.store.Batch(o.ctx, id)
				if err != nil {
					o.t.Fatal(err)
				}
				o.pass(id, at, b.Count, store.Exhausted)
				break
			}
			o.stream(p, c)
			for _, x := range c.Objects() {
				ob, err := stix.Parse(x.Bytes)
				if err != nil {
					o.t.Fatal(err)
				}
				if out[ob.ID] == string(x.Bytes) && ob.Type != "marking-definition" {
					o.t.Errorf("%s goes twice", ob.ID)
				}
				out[ob.ID] = string(x.Bytes)
			}
			next := c.First() + len(c.Objects())
			o.pass(id, at, c.First(), next)
			at = next
		}
	}
	return out
}

// pass moves a batch's place, and says which rows were passed over.
func (o *office) pass(batch string, at, to, place int) {
	o.t.Helper()
	if _, err := o.store.Do(o.ctx, noroshi.Act{Action: noroshi.ActWithhold}, func(tx *store.Tx) error {
		if err := tx.PassRows(batch, at, to-at); err != nil {
			return err
		}
		return tx.SetCursor(store.BatchPlace(batch), int64(place))
	}); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) stream(p noroshi.Party, c release.Cleared) {
	o.t.Helper()
	last, err := o.store.Out(o.ctx, p.Node, [16]byte{1}, 1, 1000)
	if err != nil {
		o.t.Fatal(err)
	}
	b := c.Batch()
	o.do(noroshi.ActSend, func(tx *store.Tx) error {
		return tx.PutOut(store.OutMessage{
			Partner: p.Node, Epoch: [16]byte{1}, Seq: uint64(len(last) + 1), ID: noroshi.Sum(fmt.Append(nil, b.ID, c.First())), Kind: 1,
			Prec: b.Precedence, Created: o.now, Batch: b.ID, First: c.First(), Count: len(c.Objects()), Signed: []byte{1},
		})
	})
}

// first is the first version in a hold.
func (o *office) first(h store.HoldGroup) int64 {
	o.t.Helper()
	seq, err := o.store.HoldFirst(o.ctx, h.ID)
	if err != nil || seq == 0 {
		o.t.Fatalf("hold %s begins at %d: %v", h.ID, seq, err)
	}
	return seq
}

func (o *office) holds() []store.HoldGroup {
	o.t.Helper()
	all, err := o.store.Holds(o.ctx, store.HoldOpen)
	if err != nil {
		o.t.Fatal(err)
	}
	var some []store.HoldGroup
	for _, h := range all {
		if h.Count > 0 {
			some = append(some, h)
		}
	}
	return some
}

// giveBack has a person return a hold.
func (o *office) giveBack(person, hold string) error {
	o.t.Helper()
	bound, err := o.desk.Digest(o.ctx, hold)
	if err != nil {
		o.t.Fatal(err)
	}
	by := noroshi.SignAct(person, o.keys[person], noroshi.ActDigest(real, usa.Node, noroshi.ActReturn, hold, release.ReturnBound(bound, "too much of it")))
	return o.desk.Return(o.ctx, hold, "too much of it", by)
}

func (o *office) sign(person, hold string, a noroshi.Action) noroshi.Signed {
	o.t.Helper()
	bound, err := o.desk.Digest(o.ctx, hold)
	if err != nil {
		o.t.Fatal(err)
	}
	return noroshi.SignAct(person, o.keys[person], noroshi.ActDigest(real, usa.Node, a, hold, bound))
}

func (o *office) approve(person, hold string) (int, string, error) {
	o.t.Helper()
	return o.desk.Approve(o.ctx, hold, nil, o.sign(person, hold, noroshi.ActApprove))
}

func (o *office) twoApprove(hold string) string {
	o.t.Helper()
	if n, _, err := o.approve("sato", hold); n != 1 || err != nil {
		o.t.Fatalf("first approval: %d missing, %v", n, err)
	}
	n, batch, err := o.approve("jones", hold)
	if n != 0 || batch == "" || err != nil {
		o.t.Fatalf("second approval: %d missing, batch %q, %v", n, batch, err)
	}
	return batch
}

// id makes the n-th id of a type.
func id(typ string, n int) stix.ID {
	return stix.ID(fmt.Sprintf("%s--00000000-0000-4000-8000-%012d", typ, n))
}

// object writes an object of our own, made by an identity, with members added.
func object(typ string, n int, by stix.ID, mark noroshi.TLP, members string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"type":%q,"spec_version":"2.1","id":%q,"created":"2026-11-01T00:00:00.000Z","modified":"2026-11-01T00:00:00.000Z"`, typ, id(typ, n))
	if by != "" {
		fmt.Fprintf(&b, `,"created_by_ref":%q`, by)
	}
	if mark != noroshi.NoTLP {
		fmt.Fprintf(&b, `,"object_marking_refs":[%q]`, mark.MarkingID())
	}
	if typ == "indicator" && !strings.Contains(members, `"pattern"`) {
		fmt.Fprintf(&b, `,"pattern":"[domain-name:value = 'a%d.example']","pattern_type":"stix","valid_from":"2026-11-01T00:00:00Z"`, n)
	}
	b.WriteString(members + "}")
	return b.String()
}

func later(object string) string {
	return strings.Replace(object, `"modified":"2026-11-01`, `"modified":"2026-11-02`, 1)
}

func ends(from, to stix.ID) string {
	return fmt.Sprintf(`,"relationship_type":"indicates","source_ref":%q,"target_ref":%q`, from, to)
}

func has(t testing.TB, got map[stix.ID]string, want ...stix.ID) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d objects go, want %d: %v", len(got), len(want), got)
	}
	for _, w := range want {
		if got[w] == "" {
			t.Errorf("%s does not go", w)
		}
	}
}

func TestReleaseByClause(t *testing.T) {
	o := newOffice(t, jpn, kor)
	green := object("indicator", 1, usa.Identity, noroshi.Green, "")
	o.put(
		version(t, made, "", green),
		version(t, made, "", object("malware", 2, usa.Identity, noroshi.Green, `,"name":"m","is_family":false`)),
		version(t, made, "", object("relationship", 3, usa.Identity, noroshi.Green, ends(id("indicator", 1), id("malware", 2)))),
		version(t, made, "", object("indicator", 4, usa.Identity, noroshi.Red, "")),
		version(t, made, "", object("relationship", 5, usa.Identity, noroshi.Green, ends(id("indicator", 4), id("malware", 2)))),
		version(t, made, "", object("indicator", 6, usa.Identity, noroshi.NoTLP, "")),
	)
	o.settle()
	for _, p := range []noroshi.Party{jpn, kor} {
		got := o.sends(p)
		has(t, got, id("indicator", 1), id("malware", 2), id("relationship", 3))
		if got[id("indicator", 1)] != green {
			t.Errorf("bytes changed: %s", got[id("indicator", 1)])
		}
	}
	o.settle()
	if got := o.sends(jpn); len(got) != 0 {
		t.Errorf("goes again: %v", got)
	}
	if h := o.holds(); len(h) != 2 || h[0].Key != noroshi.Unmarked || h[0].Count != 1 {
		t.Errorf("holds: %+v", h)
	}
}

func TestUnmarkedImportIsOneGroupedHold(t *testing.T) {
	o := newOffice(t, jpn)
	var all []*store.Version
	for i := range 50 {
		all = append(all, version(t, noroshi.Source{Kind: noroshi.FromFile, Name: "x.json", Person: "sato"}, "run-1", object("indicator", i, "", noroshi.NoTLP, "")))
	}
	seqs := o.put(all...)
	o.settle()
	h := o.holds()
	if len(h) != 1 || h[0].Count != 50 || h[0].Key != noroshi.Unmarked || h[0].Run != "run-1" || h[0].Label != "UNMARKED" {
		t.Fatalf("holds: %+v", h)
	}
	if _, _, err := o.approve("sato", h[0].ID); noroshi.KindOf(err) != noroshi.Refused {
		t.Errorf("an unmarked hold was approved: %v", err)
	}
	o.do(noroshi.ActAssignMarking, func(tx *store.Tx) error {
		for _, s := range seqs {
			if err := tx.AssignMarking(s, noroshi.Green.MarkingID()); err != nil {
				return err
			}
			if err := tx.Notice(store.MarkingAssigned, fmt.Sprint(s)); err != nil {
				return err
			}
		}
		return nil
	})
	o.settle()
	if h := o.holds(); len(h) != 0 {
		t.Errorf("still held: %+v", h)
	}
	if got := o.sends(jpn); len(got) != 50 {
		t.Errorf("%d go, want 50", len(got))
	}
}

func TestTwoPersons(t *testing.T) {
	o := newOffice(t, jpn)
	o.put(
		version(t, made, "run-1", object("indicator", 1, usa.Identity, noroshi.Amber, "")),
		version(t, made, "run-1", object("malware", 2, usa.Identity, noroshi.Amber, `,"name":"m","is_family":false`)),
		version(t, made, "run-1", object("relationship", 3, usa.Identity, noroshi.Amber, ends(id("indicator", 1), id("malware", 2)))),
	)
	o.settle()
	h := o.holds()
	if len(h) != 1 || h[0].Count != 3 || h[0].Key != noroshi.TwoPersons || h[0].Clause != "2" {
		t.Fatalf("holds: %+v", h)
	}
	hold := h[0].ID
	for name, x := range map[string]struct {
		sign func() noroshi.Signed
		want noroshi.Kind
	}{
		"administrator":         {func() noroshi.Signed { return o.sign("root", hold, noroshi.ActApprove) }, noroshi.Forbidden},
		"nobody":                {func() noroshi.Signed { s := o.sign("sato", hold, noroshi.ActApprove); s.Person = "nobody"; return s }, noroshi.Forbidden},
		"signature of another":  {func() noroshi.Signed { s := o.sign("jones", hold, noroshi.ActApprove); s.Person = "sato"; return s }, noroshi.Forbidden},
		"signature of a return": {func() noroshi.Signed { return o.sign("sato", hold, noroshi.ActReturn) }, noroshi.Forbidden},
		"another hold's digest": {func() noroshi.Signed { return noroshi.SignAct("sato", o.keys["sato"], noroshi.Sum(nil)) }, noroshi.Forbidden},
		"one bit of the signature": {func() noroshi.Signed {
			s := o.sign("sato", hold, noroshi.ActApprove)
			s.Signature[5] ^= 1
			return s
		}, noroshi.Forbidden},
	} {
		if _, _, err := o.desk.Approve(o.ctx, hold, nil, x.sign()); noroshi.KindOf(err) != x.want {
			t.Errorf("%s: %v, want kind %d", name, err, x.want)
		}
	}
	if got := o.sends(jpn); len(got) != 0 {
		t.Fatalf("goes unapproved: %v", got)
	}
	if n, _, err := o.approve("sato", hold); n != 1 || err != nil {
		t.Fatalf("first: %d, %v", n, err)
	}
	if _, _, err := o.approve("sato", hold); noroshi.KindOf(err) != noroshi.Refused {
		t.Errorf("the same person twice: %v", err)
	}
	second := o.keys["sato"]
	o.person(noroshi.Person{ID: "sato2", Name: "sato again", Roles: []noroshi.Role{noroshi.ReleaseOffice}, Key: second.Public().(ed25519.PublicKey)}, second)
	if _, _, err := o.approve("sato2", hold); noroshi.KindOf(err) != noroshi.Refused {
		t.Errorf("the same key under two names: %v", err)
	}
	n, batch, err := o.approve("jones", hold)
	if n != 0 || err != nil {
		t.Fatalf("second: %d, %v", n, err)
	}
	b, err := o.store.Batch(o.ctx, batch)
	if err != nil || len(b.Approvals) != 2 || b.Hold != hold || b.Clause != "2" || b.Label != "TLP:AMBER" {
		t.Errorf("batch: %+v, %v", b, err)
	}
	has(t, o.sends(jpn), id("indicator", 1), id("malware", 2), id("relationship", 3))
	if _, _, err := o.desk.Approve(o.ctx, hold, nil, noroshi.Signed{Person: "kim"}); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("approved twice: %v", err)
	}
}

// TestApprovalIsVoidWhenMembersChange: one object more, or another version of
// one, and the first signature counts nothing.
func TestApprovalIsVoidWhenMembersChange(t *testing.T) {
	for name, change := range map[string]func(o *office){
		"another member": func(o *office) {
			o.put(version(o.t, made, "run-1", object("indicator", 2, usa.Identity, noroshi.Amber, "")))
		},
		"another version": func(o *office) {
			o.put(version(o.t, made, "run-1", later(object("indicator", 1, usa.Identity, noroshi.Amber, `,"name":"new"`))))
		},
		"a member withdrawn": func(o *office) {
			o.do(noroshi.ActWithdraw, func(tx *store.Tx) error { return tx.Withdraw(id("indicator", 9), made.Owner()) })
		},
		"a member relabelled": func(o *office) {
			seq := o.current(id("indicator", 9)).Seq
			o.do(noroshi.ActAssignMarking, func(tx *store.Tx) error { return tx.AssignMarking(seq, noroshi.Red.MarkingID()) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, jpn)
			o.put(version(t, made, "run-1", object("indicator", 1, usa.Identity, noroshi.Amber, "")),
				version(t, made, "run-1", object("indicator", 9, usa.Identity, noroshi.Amber, "")))
			o.settle()
			hold := o.holds()[0].ID
			old := o.sign("jones", hold, noroshi.ActApprove)
			if n, _, err := o.approve("sato", hold); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			change(o)
			o.settle()
			h := o.holds()
			if len(h) != 1 || h[0].ID != hold {
				t.Fatalf("holds: %+v", h)
			}
			if _, _, err := o.desk.Approve(o.ctx, hold, nil, old); noroshi.KindOf(err) != noroshi.Forbidden {
				t.Errorf("a signature over the former root counts: %v", err)
			}
			if n, _, err := o.approve("jones", hold); n != 1 || err != nil {
				t.Errorf("%d missing, %v: the first approval must be void", n, err)
			}
			if n, batch, err := o.approve("sato", hold); n != 0 || batch == "" || err != nil {
				t.Errorf("both anew: %d missing, %v", n, err)
			}
			got := o.sends(jpn)
			if strings.HasPrefix(name, "a member") {
				has(t, got, id("indicator", 1))
			} else if len(got) != h[0].Count {
				t.Errorf("%d go, want %d", len(got), h[0].Count)
			}
		})
	}
}

func (o *office) current(id stix.ID) store.Record {
	o.t.Helper()
	r, err := o.store.Current(o.ctx, id)
	if err != nil {
		o.t.Fatal(err)
	}
	return r
}
