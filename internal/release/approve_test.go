package release_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

func TestReviewAndReturn(t *testing.T) {
	o := newOffice(t, jpn)
	file := noroshi.Source{Kind: noroshi.FromFile, Name: "x.json", Person: "sato"}
	dirty := version(t, file, "run-1", object("malware", 1, "", noroshi.Green, `,"is_family":false,"name":"(S) proxy"`))
	o.put(dirty)
	o.settle()
	h := o.holds()
	if len(h) != 1 || h[0].Key != noroshi.Review {
		t.Fatalf("holds: %+v", h)
	}
	if _, _, err := o.approve("sato", h[0].ID); noroshi.KindOf(err) != noroshi.Refused {
		t.Errorf("who brought it reviews it: %v", err)
	}
	if _, _, err := o.approve("jones", h[0].ID); err != nil {
		t.Errorf("review: %v", err)
	}
	has(t, o.sends(jpn), id("malware", 1))

	o.put(version(t, made, "run-2", object("indicator", 2, usa.Identity, noroshi.Amber, "")))
	o.settle()
	hold := o.holds()[0].ID
	if err := o.giveBack("root", hold); noroshi.KindOf(err) != noroshi.Forbidden {
		t.Errorf("an administrator returned it: %v", err)
	}
	if err := o.giveBack("sato", hold); err != nil {
		t.Fatal(err)
	}
	o.settle()
	if h := o.holds(); len(h) != 0 {
		t.Errorf("returned and open again: %+v", h)
	}
	all, err := o.store.Holds(o.ctx, store.HoldReturned)
	if err != nil || len(all) != 1 || all[0].ID != hold {
		t.Errorf("returned: %+v, %v", all, err)
	}
	if _, _, err := o.desk.Approve(o.ctx, hold, nil, noroshi.Signed{Person: "sato"}); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("a returned hold was approved: %v", err)
	}
	has(t, o.sends(jpn))
}

// TestWhoMarkedItDoesNotReviewIt: whoever assigned a marking, without which
// nothing would be reviewed, cannot alone approve what comes of it.
func TestWhoMarkedItDoesNotReviewIt(t *testing.T) {
	o := newOffice(t, jpn)
	o.put(malware(t, 1, noroshi.Red), version(t, noroshi.Source{Kind: noroshi.FromFile, Name: "x.json"}, "run-1", object("malware", 2, "", noroshi.NoTLP, `,"is_family":false,"name":"(S) proxy"`)))
	seq := o.current(id("malware", 2)).Seq
	if _, err := o.store.Do(o.ctx, noroshi.Act{Action: noroshi.ActAssignMarking, Persons: []noroshi.Signed{{Person: "sato"}}}, func(tx *store.Tx) error {
		return tx.AssignMarking(seq, noroshi.Green.MarkingID())
	}); err != nil {
		t.Fatal(err)
	}
	o.settle()
	h := o.holds()
	if len(h) != 1 || h[0].Key != noroshi.Review || h[0].Count != 1 {
		t.Fatalf("holds: %+v", h)
	}
	_, _, err := o.approve("sato", h[0].ID)
	if e, ok := err.(*noroshi.Error); !ok || e.Code != "release.own-marking" {
		t.Errorf("who marked it reviews it: %v", err)
	}
	if _, _, err := o.approve("jones", h[0].ID); err != nil {
		t.Errorf("review: %v", err)
	}
	has(t, o.sends(jpn), id("malware", 2))
}

// TestWhatIsSignedIsWhatLeaves: the definitions that leave with what is held are
// shown and signed with it: the batch has the root each person signed, whether or
// not the definition has gone before or goes in between.
func TestWhatIsSignedIsWhatLeaves(t *testing.T) {
	o := newOffice(t, jpn)
	mark := id("marking-definition", 8)
	o.put(version(t, made, "", definition(8, "", allowed)), version(t, made, "", marked(object("indicator", 1, usa.Identity, noroshi.Amber, ""), mark)))
	for n := 1; n <= 2; n++ {
		o.settle()
		h := o.holds()
		if len(h) != 1 {
			t.Fatalf("holds: %+v", h)
		}
		shown, err := o.desk.Shown(o.ctx, h[0], 0, 1)
		if err != nil || len(shown) != 2 || shown[0].Record.Object.ID != mark || string(shown[0].View.Bytes()) != definition(8, "", allowed) {
			t.Fatalf("shown: %+v, %v; want the definition first", shown, err)
		}
		if n, _, err := o.approve("sato", h[0].ID); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		o.put(version(t, made, "", marked(object("malware", n, usa.Identity, noroshi.Green, `,"name":"m","is_family":false`), mark)))
		o.settle()
		if got := o.sends(jpn); got[id("malware", n)] == "" {
			t.Fatalf("what nobody need approve does not go: %v", got)
		}
		missing, batch, err := o.approve("jones", h[0].ID)
		if missing != 0 || err != nil {
			t.Fatalf("the second approval: %d missing, %v", missing, err)
		}
		b, err := o.store.Batch(o.ctx, batch)
		if err != nil || len(b.Approvals) != 2 {
			t.Fatalf("%+v, %v", b, err)
		}
		for _, a := range b.Approvals {
			if a.Root != b.Root {
				t.Errorf("%s signed %s, and %s leaves", a.Person, a.Root, b.Root)
			}
		}
		has(t, o.sends(jpn), id("indicator", n), mark)
		o.put(version(t, made, "", marked(object("indicator", n+1, usa.Identity, noroshi.Amber, ""), mark)))
	}
}

// TestLostWhileApproving: who loses their place between the moment an approval is
// looked at and the moment it is written has not approved; the hold waits on.
func TestLostWhileApproving(t *testing.T) {
	for _, who := range []string{"sato", "jones"} { // who approved before, and who approves now
		t.Run(who, func(t *testing.T) {
			o := newOffice(t, jpn)
			o.put(version(t, made, "run-1", object("indicator", 1, usa.Identity, noroshi.Amber, "")))
			o.settle()
			hold := o.holds()[0].ID
			if n, _, err := o.approve("sato", hold); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			by := o.sign("jones", hold, noroshi.ActApprove)
			ctx, stop := context.WithCancel(t.Context())
			writes, gone := make(chan struct{}), make(chan error)
			go func() {
				_, err := o.store.Do(t.Context(), noroshi.Act{Action: noroshi.ActRemovePerson, Subject: who}, func(tx *store.Tx) error {
					close(writes)
					for !tx.Yield() && ctx.Err() == nil { // the approval waits for its turn
						runtime.Gosched()
					}
					p := o.persons[who]
					p.Removed = true
					return tx.PutJSON(noroshi.DocPerson, who, p)
				})
				gone <- err
			}()
			<-writes
			_, batch, err := o.desk.Approve(o.ctx, hold, nil, by)
			stop()
			if removed := <-gone; removed != nil {
				t.Fatal(removed)
			}
			if noroshi.CodeOf(err) != "person.unknown" || batch != "" {
				t.Errorf("approved by %s, who is gone: batch %q, %v", who, batch, err)
			}
			has(t, o.sends(jpn))
			if h := o.holds(); len(h) != 1 || h[0].ID != hold {
				t.Errorf("holds: %+v", h)
			}
			if v, err := o.store.Verify(t.Context(), nil); err != nil || len(v.Faults) > 0 {
				t.Errorf("verify: %+v, %v", v.Faults, err)
			}
			if who == "sato" { // whose approval counts no more
				if n, _, err := o.approve("jones", hold); n != 1 || err != nil {
					t.Fatal(n, err)
				}
			}
			if n, _, err := o.approve("kim", hold); n != 0 || err != nil {
				t.Fatal(n, err)
			}
			has(t, o.sends(jpn), id("indicator", 1))
		})
	}
}
