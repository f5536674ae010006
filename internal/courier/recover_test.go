package courier_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
	"github.com/noroshi-cti/noroshi/stix"
)

// copyOf copies the store of a node that is ended, and starts the node again.
func (n *node) copyOf() string {
	n.t.Helper()
	n.end()
	at := storetest.Address(n.t, noroshi.Real)
	if _, err := store.Copy(n.t.Context(), n.at, at, noroshi.Real, nil); err != nil {
		n.t.Fatal(err)
	}
	n.open()
	n.start()
	return at
}

// putBack ends a node, puts the copy in the place of its store, and starts it:
// told that it was put back, or not.
func (n *node) putBack(at string, told, list bool) {
	n.t.Helper()
	n.end()
	n.at = at
	if !list {
		if err := os.Remove(filepath.Join(n.dir, noroshi.Real.File()+".recalls")); err != nil {
			n.t.Fatal(err)
		}
	}
	n.open()
	if told {
		n.beginAnew()
	}
	n.start()
}

// beginAnew notes what a restore does.
func (n *node) beginAnew() {
	n.t.Helper()
	_, err := n.store.Do(n.t.Context(), noroshi.Act{Action: noroshi.ActRestore, Subject: "test"}, func(tx *store.Tx) error {
		return courier.BeginAnew(n.t.Context(), tx, n.leap)
	})
	if err != nil {
		n.t.Fatal(err)
	}
}

// own returns the indicators this node did not get from a partner.
func (n *node) own() (ids []stix.ID) {
	err := n.store.Each(context.Background(), "indicator", 0, func(r store.Record) error {
		if r.Source.Kind != noroshi.FromPartner {
			ids = append(ids, r.Object.ID)
		}
		return nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return ids
}

// answered reports whether a recall of the node's own was answered.
func (n *node) answered() bool {
	list, err := n.running().Recalls(context.Background())
	if err != nil {
		n.t.Fatal(err)
	}
	return slices.ContainsFunc(list, func(r courier.RecallState) bool { return len(r.To) == 1 && r.To[0].Answer != nil })
}

// recovered reports whether no link of the node waits for anything.
func (n *node) recovered() bool {
	list, err := courier.RecoveringLinks(context.Background(), n.store.Reads)
	if err != nil {
		n.t.Fatal(err)
	}
	return len(list) == 0
}

// TestRecover (I4, I6, I9): a node is put back to before traffic both ways and a
// recall each way. What the partner sent comes again, what the node itself had
// sent is given back by the partner, nothing is doubled, and what was recalled
// stays out of use, the list beside the database being there or lost with it.
// A plain copy that tells the node nothing is found by the partner and heals
// alike once a person has said that it is one.
func TestRecover(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		first      bool // the node that recalls first is put back
		told, list bool
		lose       bool
	}{
		{"restored", true, true, true, true},
		{"restored without its recall list", true, true, false, false},
		{"a plain copy", true, false, true, false},
		{"the partner restored without its recall list", false, true, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, 61, 0, 0)
			p.start()
			p.a.importList("a.txt", 0, 3)
			p.b.importList("b.txt", 100, 103)
			p.until("the first are there", 20*time.Second, func() bool { return p.b.count("indicator") == 3 && p.a.count("indicator") == 3 && p.settled() })
			mine, theirs := p.a.own()[1], p.b.own()[1]
			n := p.a
			if !c.first {
				n = p.b
			}
			at := n.copyOf()
			p.until("the link is confirmed", 20*time.Second, p.settled)
			p.a.importList("more.txt", 3, 6)
			p.b.importList("more.txt", 103, 106)
			p.until("the others are there", 20*time.Second, func() bool { return p.b.count("indicator") == 6 && p.a.count("indicator") == 6 && p.settled() })
			p.a.recall(p.a.running(), mine, message.RecallStopUse)
			p.b.recall(p.b.running(), theirs, message.RecallStopUse)
			p.until("both answers", 20*time.Second, func() bool { return p.a.answered() && p.b.answered() && p.settled() })

			if c.lose { // what leaves and never arrives: the partner only hears of it
				p.net.onlySmall(true)
				p.a.importLarge("lost.json", 200, 201)
				p.until("the partner heard of it", 20*time.Second, func() bool { return len(p.b.link().Missing) > 0 })
			}
			n.putBack(at, c.told, c.list)
			p.net.onlySmall(false)
			if !c.told {
				p.takeBack()
			}
			// Of six one is withdrawn on each side.
			p.until("recovered", 30*time.Second, func() bool {
				return len(p.a.own()) == 5 && len(p.b.own()) == 5 && p.a.count("indicator") == 5 && p.b.count("indicator") == 5 && n.recovered() && p.settled()
			})
			p.until("recalled still", 20*time.Second, func() bool {
				return p.a.current(mine).Withdrawn && p.b.current(mine).Withdrawn && p.a.current(theirs).Withdrawn && p.b.current(theirs).Withdrawn
			})
			for _, x := range []*node{p.a, p.b} {
				if k := x.running().Counters(); k.Seconds != 0 {
					t.Errorf("%s: %d second ids", x.sign, k.Seconds)
				}
			}
			if c.lose {
				p.until("what nobody has is closed", 20*time.Second, func() bool {
					tombs, err := p.b.store.Docs(t.Context(), "courier-tombstone")
					return err == nil && len(tombs) > 0
				})
			}
			p.a.importList("last.txt", 6, 7)
			p.until("it goes on", 20*time.Second, func() bool { return p.b.count("indicator") == 6 && p.settled() })
			p.intact()
		})
	}
}

// TestNothingIsSaidBeforeTheNewEpoch: a node that was put back says nothing in the
// life it lost, whoever is quicker than what drives the link: its partner would take it
// for a life that takes receipts back.
func TestNothingIsSaidBeforeTheNewEpoch(t *testing.T) {
	t.Parallel()
	p := newPair(t, 65, 0, 0)
	p.start()
	p.until("the link is confirmed", 20*time.Second, p.settled)
	for _, c := range []struct {
		name string
		back bool
	}{{"started again", false}, {"put back", true}} {
		p.a.end()
		p.a.open()
		if c.back {
			p.a.beginAnew()
		}
		said, err := courier.New(p.a.store, p.a.gate, p.a.desk, courier.Options{Realm: noroshi.Real, Node: p.a.id(), Keys: p.a.keys, Channels: []courier.Channel{p.a.wire}})
		if err != nil {
			t.Fatal(err)
		}
		n, err := said.SaidAtOnce(t.Context(), p.b.id())
		if err != nil || (n == 0) != c.back {
			t.Errorf("%s: %d statements wait to be said, %v", c.name, n, err)
		}
		p.a.start()
		p.until(c.name+": it goes on", 20*time.Second, func() bool { return p.a.recovered() && p.settled() })
	}
	p.intact()
}

// TestPutBackTwice (I4): a node is put back to the same copy twice, so that of the
// epoch it opened after the first time nothing is left to it. The partner gives it
// back without anybody's word, and it has the chain it had.
func TestPutBackTwice(t *testing.T) {
	t.Parallel()
	p := newPair(t, 63, 0, 0)
	p.start()
	p.until("the link is confirmed", 20*time.Second, p.settled)
	for i, at := range []string{p.a.copyOf(), p.a.copyOf()} {
		p.a.putBack(at, true, true)
		p.until("recovered", 20*time.Second, func() bool { return p.a.recovered() && len(p.a.own()) == i && p.settled() })
		p.a.importList("more.txt", i, i+1)
		p.until("it is there", 20*time.Second, func() bool { return p.b.count("indicator") == i+1 && p.settled() })
	}
	ends, err := p.a.running().Ends(t.Context(), p.a.store.Reads, time.Time{})
	if err != nil || len(ends) < 3 {
		t.Fatalf("%d logs, %v", len(ends), err)
	}
	for _, e := range ends {
		chain := message.ChainStart(noroshi.Real, p.a.id(), p.b.id(), e.Epoch)
		in, err := p.b.store.In(t.Context(), p.a.id(), e.Epoch, 1, int(e.Seq))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range in {
			chain = message.ChainNext(chain, m.ID)
		}
		if e.Chain != chain {
			t.Errorf("the log of epoch %x ends in another chain than its %d messages make", e.Epoch[:4], e.Seq)
		}
	}
	p.intact()
}

// TestRecalledBeforeItComesBack (I9): a node had an object of its own out of a
// file, recalled it while nobody heard it, and is put back to before either. The
// list beside the database is all that knows of the recall, and what the partner
// gives back of the object does not come into use.
func TestRecalledBeforeItComesBack(t *testing.T) {
	t.Parallel()
	p := newPair(t, 64, 0, 0)
	p.start()
	p.until("the link is confirmed", 20*time.Second, p.settled)
	at := p.a.copyOf()
	p.until("the link is confirmed again", 20*time.Second, p.settled)
	p.a.bundle("own.json", domain(openID, "own", noroshi.Green, fmt.Sprintf(`,"created_by_ref":%q`, p.a.ident)))
	p.until("it is there", 20*time.Second, func() bool { return p.b.count("indicator") == 1 && p.settled() })
	p.net.setCut(true)
	p.a.recall(p.a.running(), openID, message.RecallStopUse)
	p.a.end()
	p.a.at = at
	p.a.open()
	p.a.beginAnew()
	c, err := courier.New(p.a.store, p.a.gate, p.a.desk, courier.Options{Realm: noroshi.Real, Node: p.a.id(), Keys: p.a.keys})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := c.RepeatRecalls(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d recalls done again, %v", n, err)
	}
	p.a.start()
	p.net.setCut(false)
	p.until("it is given back", 20*time.Second, func() bool { return p.a.recovered() && p.settled() })
	if !p.a.current(openID).Withdrawn {
		t.Error("what was recalled is in use again")
	}
	p.intact()
}

// takeBack waits until a person is asked at A about a tail that A lost without
// a restore, and lets a release officer take it back.
func (p *pair) takeBack() {
	p.t.Helper()
	p.until("a person is asked", 20*time.Second, func() bool { return p.a.link().Recovering == "person" })
	by := p.a.officer("officer", noroshi.ReleaseOffice)(noroshi.ActGoOn, p.b.id().String(), courier.GoOnBound(p.b.id(), true))
	if err := p.a.running().GoOn(p.t.Context(), p.b.id(), true, by); err != nil {
		p.t.Fatal(err)
	}
}

// TestGoOn: nobody answers a node that was put back. A release officer, and
// nobody else, lets the link go on without, on record; the new epoch stands.
func TestGoOn(t *testing.T) {
	t.Parallel()
	p := newPair(t, 62, 0, 0)
	p.start()
	p.a.importList("a.txt", 0, 3)
	p.until("they are there", 20*time.Second, func() bool { return p.b.count("indicator") == 3 && p.settled() })
	at := p.a.copyOf()
	p.until("the link is confirmed", 20*time.Second, p.settled)
	p.net.setCut(true)
	p.a.putBack(at, true, true)
	p.until("the new epoch", 20*time.Second, func() bool { return p.a.link().Recovering == "recalls" })
	ctx := context.Background()
	goOn := func(sign func(noroshi.Action, string, noroshi.Hash) noroshi.Signed) error {
		return p.a.running().GoOn(ctx, p.b.id(), false, sign(noroshi.ActGoOn, p.b.id().String(), courier.GoOnBound(p.b.id(), false)))
	}
	if err := goOn(p.a.officer("duty", noroshi.Duty)); noroshi.KindOf(err) != noroshi.Forbidden {
		t.Errorf("a duty officer: %v", err)
	}
	if p.a.recovered() {
		t.Fatal("the link goes on although nobody may say so")
	}
	officer := p.a.officer("officer", noroshi.ReleaseOffice)
	if err := goOn(officer); err != nil {
		t.Fatal(err)
	}
	if !p.a.recovered() || p.a.link().Recovering != "" {
		t.Errorf("the link still waits: %q", p.a.link().Recovering)
	}
	if err := goOn(officer); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("a link that waits for nothing: %v", err)
	}
	p.net.setCut(false)
	p.a.importList("more.txt", 3, 6)
	p.until("it goes on", 20*time.Second, func() bool { return p.b.count("indicator") == 6 && p.settled() })
	if _, by := p.a.acts(); by[noroshi.ActGoOn] != 1 || by[noroshi.ActEpoch] != 2 {
		t.Errorf("on record: %v", by)
	}
	p.intact()
}

// TestRecoveryIsReadInOrder: what a link waits for is read anew while acts go on
// changing it. What memory knows is never older than the last of them.
func TestRecoveryIsReadInOrder(t *testing.T) {
	t.Parallel()
	p := newPair(t, 66, 0, 0)
	p.start()
	p.until("the link is confirmed", 20*time.Second, p.settled)
	at := p.a.copyOf()
	p.net.setCut(true)
	p.a.putBack(at, true, true)
	p.until("the new epoch", 20*time.Second, func() bool { return p.a.link().Recovering == "recalls" })
	c, to := p.a.running(), p.b.id()
	var done atomic.Int64
	ended := make(chan error, 1)
	go func() {
		for n := int64(1); n <= 200; n++ {
			if err := c.Moved(t.Context(), to, n); err != nil {
				ended <- err
				return
			}
			done.Store(n)
		}
		ended <- nil
	}()
	for done.Load() < 200 {
		if err := c.ReadRecoveries(t.Context()); err != nil {
			t.Fatal(err)
		}
		if last, got := done.Load(), c.MovedTo(to); got < last {
			t.Fatalf("memory knows of act %d, after %d was done", got, last)
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
		default:
		}
	}
}

// TestRestoredToBeforeTheLink: the backup that a node is put back from was made when
// it had met its partner and had said nothing to it yet. Its link begins as one that
// was put back all the same: nobody is told that a record was rewritten.
func TestRestoredToBeforeTheLink(t *testing.T) {
	t.Parallel()
	p := checked(t, 65, 0)
	at := storetest.Address(t, noroshi.Real)
	p.a.end()
	if _, err := store.Copy(t.Context(), p.a.at, at, noroshi.Real, nil); err != nil {
		t.Fatal(err)
	}
	p.a.open()
	p.start()
	p.a.importList("a.txt", 0, 3)
	p.until("both ledgers countersigned", 20*time.Second, func() bool { return p.b.count("indicator") == 3 && p.covered() })
	p.a.putBack(at, true, true)
	p.until("it is all back", 30*time.Second, func() bool { return p.a.recovered() && len(p.a.own()) == 3 && p.covered() })
	if codes := p.a.alarms(); slices.Contains(codes, "own-log") {
		t.Errorf("alarms %v", codes)
	}
	p.intact()
}
