package courier_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestTombstonedSinceTheBackup: the TOMBSTONE of a message that this node has in
// its backup lies in the lost tail. The partner holds the sequence and not the
// message: what else was in it goes again.
func TestTombstonedSinceTheBackup(t *testing.T) {
	t.Parallel()
	p := newPair(t, 81, 0, 0)
	p.start()
	p.a.importList("a.txt", 0, 3)
	p.until("the first are there", 20*time.Second, func() bool { return p.b.count("indicator") == 3 && p.settled() })
	p.net.onlySmall(true)
	p.net.keep(true)
	p.a.importLarge("withheld.json", 200, 204)
	p.until("it is on its way", 20*time.Second, func() bool { return len(p.b.link().Missing) > 0 && p.net.largest() != nil })
	p.net.keep(false)
	at := p.a.copyOf()
	p.until("the link is confirmed", 20*time.Second, func() bool { return p.a.link().Confirmed })
	taken := p.a.own()[3]
	p.a.recall(p.a.running(), taken, message.RecallStopUse)
	p.until("it is closed", 20*time.Second, func() bool {
		tombs, err := p.b.store.Docs(t.Context(), "courier-tombstone")
		recalled, rerr := p.b.running().RecalledHere(t.Context())
		return err == nil && rerr == nil && len(tombs) > 0 && len(recalled) > 0
	})
	p.a.putBack(at, true, false) // the recall list is lost with the disk
	p.net.onlySmall(false)
	p.until("the rest is there", 20*time.Second, func() bool { return p.b.count("indicator") == 3+3 && p.a.recovered() && p.settled() })
	if !p.a.current(taken).Withdrawn {
		t.Error("what was recalled is in use again")
	}
	p.intact()
}

// TestArrivesAfterTheTail: what a node sent before it was put back was still under
// way when it had asked for all that it lost. It comes, and is taken back then;
// meanwhile nothing waits for it.
func TestArrivesAfterTheTail(t *testing.T) {
	t.Parallel()
	p := newPair(t, 82, 0, 0)
	p.a.beat, p.b.beat = 2*time.Second, 2*time.Second // the way is not given up before all has left
	p.start()
	p.a.importList("a.txt", 0, 3)
	p.until("the first are there", 20*time.Second, func() bool { return p.b.count("indicator") == 3 && p.settled() })
	at := p.a.copyOf()
	p.until("the link is confirmed", 20*time.Second, p.settled)
	p.net.keep(true)
	p.net.setLoss(100)
	p.a.importLarge("late.json", 200, 201)
	p.until("it is on its way", 20*time.Second, func() bool { return p.net.largest() != nil })
	late := p.net.largest()
	p.net.keep(false)
	p.a.putBack(at, true, true)
	p.net.setLoss(0)
	p.until("recovered", 20*time.Second, func() bool { return p.a.recovered() && p.settled() })
	p.a.importList("more.txt", 3, 5)
	p.until("it goes on", 20*time.Second, func() bool { return p.b.count("indicator") == 5 && p.settled() })

	if err := p.b.running().Receive(t.Context(), noroshi.ChannelHTTPS, p.a.id(), late); err != nil {
		t.Fatal(err)
	}
	p.until("it is taken back", 20*time.Second, func() bool {
		list, err := courier.RecoveringLinks(t.Context(), p.a.store.Reads)
		if err != nil || slices.ContainsFunc(list, func(r courier.Recovering) bool { return r.Bars(time.Now()) }) || p.a.link().Recovering == "others" {
			t.Fatalf("something waits for what came late: %v, %v", list, err)
		}
		return len(p.a.own()) == 5+1 && len(list) == 0 && p.settled()
	})
	p.until("both sides hold the same", 20*time.Second, func() bool {
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
		defer stop()
		c, err := p.a.running().Compare(ctx, p.b.id())
		return err == nil && c.Equal
	})
	p.intact()
}

// TestRolledBackBehindAnOrderedEpoch: a node that was put back unseen opens another
// epoch before its partner speaks, for another reason. What it lost of the former one
// it hears of all the same, also after one more start, and takes it back.
func TestRolledBackBehindAnOrderedEpoch(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]bool{"in one run": false, "in the next": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, 86, 0, 0)
			p.start()
			p.a.importList("a.txt", 0, 3)
			p.until("the first are there", 20*time.Second, func() bool { return p.b.count("indicator") == 3 && p.settled() })
			at := p.a.copyOf()
			p.until("the link is confirmed", 20*time.Second, p.settled)
			p.a.importList("lost.txt", 3, 5)
			p.until("the others too", 20*time.Second, func() bool { return p.b.count("indicator") == 5 && p.settled() })
			p.net.setCut(true)
			p.a.putBack(at, false, true)
			p.until("it looks for its partner", 20*time.Second, func() bool { x := p.a.link().Paths; return len(x) > 0 && x[0].Why.Code != "" })
			p.a.running().Reopen()
			p.until("the ordered epoch", 20*time.Second, func() bool { return len(p.a.mine()) == 2 })
			if again {
				p.a.end()
				p.a.open()
				p.a.start()
			}
			p.net.setCut(false)
			p.takeBack()
			p.until("it is back", 20*time.Second, func() bool { return len(p.a.own()) == 5 && p.a.recovered() && p.settled() })
			p.until("both sides hold the same", 20*time.Second, func() bool {
				ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
				defer stop()
				c, err := p.a.running().Compare(ctx, p.b.id())
				return err == nil && c.Equal
			})
			if n := len(p.a.mine()); n != 3 {
				t.Errorf("%d epochs, want the first, the ordered one and one that says what was lost", n)
			}
			p.intact()
		})
	}
}

// keep has every envelope kept from now on, or no more.
func (n *rough) keep(on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.watch, n.seen = on, nil
}

func (n *rough) setLoss(of int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.loss = of
}

// largest returns the largest envelope that was kept, if it is larger than a STATE.
func (n *rough) largest() []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	var most []byte
	for _, e := range n.seen {
		if len(e) > max(2100, len(most)) {
			most = e
		}
	}
	return most
}

// TestRecalledAndSentSinceTheBackup: in the backup an object waited to be sent; it
// went, and was recalled, and nobody heard of that. The recall list has the recall,
// and the partner is told: that nothing had left is not known any more.
func TestRecalledAndSentSinceTheBackup(t *testing.T) {
	t.Parallel()
	p := newPair(t, 83, 0, 0)
	p.start()
	p.a.importList("a.txt", 0, 3)
	p.until("the first are there", 20*time.Second, func() bool { return p.b.count("indicator") == 3 && p.settled() })
	before, head := p.a.own(), p.a.link().OutHead
	p.net.setCut(true)
	p.until("no answer", 20*time.Second, func() bool { return !p.a.link().Up })
	p.a.importList("waits.txt", 3, 5)
	p.until("it is in the stream", 20*time.Second, func() bool { return p.a.link().OutHead > head })
	at := p.a.copyOf()
	p.net.setCut(false)
	p.until("it is there", 20*time.Second, func() bool { return p.b.count("indicator") == 5 && p.settled() })
	p.net.setCut(true)
	later := slices.DeleteFunc(p.a.own(), func(id stix.ID) bool { return slices.Contains(before, id) })
	p.a.recall(p.a.running(), later[0], message.RecallStopUse)
	p.a.putBack(at, true, true)
	p.net.setCut(false)
	p.until("recovered", 20*time.Second, func() bool { return p.a.recovered() && p.settled() })
	p.until("the partner was told", 5*time.Second, func() bool { return p.b.current(later[0]).Withdrawn && p.a.answered() })
	if p.b.current(later[1]).Withdrawn || p.a.current(later[1]).Withdrawn {
		t.Error("something else is out of use than what was recalled")
	}
	p.intact()
}

// TestRecalledWhileTheTailIsAsked (I9): a node that was put back recalls what it had of
// a file and sent since, before its partner has answered. What the partner gives back
// of it does not come into use, and does not go again.
func TestRecalledWhileTheTailIsAsked(t *testing.T) {
	t.Parallel()
	p := newPair(t, 87, 0, 0)
	p.start()
	p.until("the link is confirmed", 20*time.Second, p.settled)
	p.net.setCut(true)
	p.a.bundle("own.json", domain(openID, "own", noroshi.Green, fmt.Sprintf(`,"created_by_ref":%q`, p.a.ident)))
	at := p.a.copyOf()
	p.net.setCut(false)
	p.until("it is there", 20*time.Second, func() bool { return p.b.count("indicator") == 1 && p.settled() })
	p.net.setCut(true)
	p.a.putBack(at, true, true)
	p.a.recall(p.a.running(), openID, message.RecallStopUse)
	p.net.setCut(false)
	p.until("recovered", 20*time.Second, func() bool { return p.a.recovered() && p.settled() })
	p.until("it is out of use there", 20*time.Second, func() bool { return p.b.current(openID).Withdrawn && p.a.answered() })
	if !p.a.current(openID).Withdrawn {
		t.Error("what was recalled is in use again")
	}
	p.intact()
}

// TestRecalledWithItsTranslation: a recall that nobody heard of took back an object
// that stands in the backup, and its translation, which is younger. The partner is
// told of the former at once, and of the latter when it gives it back.
func TestRecalledWithItsTranslation(t *testing.T) {
	t.Parallel()
	p := newPair(t, 84, 0, 0)
	p.start()
	p.a.importList("a.txt", 0, 3)
	p.until("the first are there", 20*time.Second, func() bool { return p.b.count("indicator") == 3 && p.settled() })
	at := p.a.copyOf()
	p.until("the link is confirmed", 20*time.Second, p.settled)
	id, words := p.a.own()[1], stix.ID("language-content--00000000-0000-4000-8000-000000000084")
	now := stix.TimeOf(time.Now()).String() // one that is older than what it translates stays here
	p.a.bundle("words.json", fmt.Sprintf(`{"type":"language-content","spec_version":"2.1","id":%q,"created":%q,"modified":%q,"object_ref":%q,"contents":{"ja":{"name":"x"}},"object_marking_refs":[%q]}`,
		words, now, now, id, noroshi.Green.MarkingID()))
	p.until("its translation is there", 20*time.Second, func() bool { return p.b.count("language-content") == 1 && p.settled() })
	p.net.setCut(true)
	p.a.recall(p.a.running(), id, message.RecallStopUse)
	p.a.putBack(at, true, true)
	p.net.setCut(false)
	p.until("recovered", 20*time.Second, func() bool { return p.a.recovered() && p.settled() })
	p.until("both are out of use", 5*time.Second, func() bool { return p.b.current(id).Withdrawn && p.b.current(words).Withdrawn })
	p.until("both are answered", 20*time.Second, func() bool {
		list, err := p.a.running().Recalls(t.Context())
		return err == nil && !slices.ContainsFunc(list, courier.RecallState.Open) && p.settled()
	})
	p.intact()
}

// TestReturnedAndRecalledByItsMaker: what a node had from one partner and passed on
// to another comes back from the latter after a restore, and its maker has recalled
// it since. Whichever comes first, it is out of use everywhere.
func TestReturnedAndRecalledByItsMaker(t *testing.T) {
	t.Parallel()
	for name, returnedFirst := range map[string]bool{"returned, then recalled": true, "recalled, then returned": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, c := newThree(t, 85)
			calm := func() bool {
				return !slices.ContainsFunc([]*node{p.b, c}, func(n *node) bool {
					there, here := n.link(), p.a.linkTo(n)
					return here.OutApplied != here.OutHead || there.OutApplied != there.OutHead || len(here.Waiting)+len(there.Waiting) > 0
				})
			}
			p.start()
			c.start()
			p.until("the links are confirmed", 20*time.Second, func() bool { return p.a.linkTo(p.b).Confirmed && p.a.linkTo(c).Confirmed })
			at := p.a.copyOf()
			p.b.importList("b.txt", 0, 3)
			p.until("it was passed on", 20*time.Second, func() bool { return c.count("indicator") == 3 && calm() })
			taken := p.b.own()[1]
			first, second, with := p.b, c, p.net
			further := c.wire.(*roughEnd).net
			if returnedFirst {
				first, second, with = c, p.b, further
			}
			p.net.setCut(true)
			further.setCut(true)
			p.a.putBack(at, true, true)
			if first == p.b {
				p.b.recall(p.b.running(), taken, message.RecallStopUse)
			}
			with.setCut(false)
			p.until("the one has answered", 20*time.Second, func() bool { return p.a.linkTo(first).Recovering == "others" })
			if second == p.b {
				p.b.recall(p.b.running(), taken, message.RecallStopUse)
			}
			p.net.setCut(false)
			further.setCut(false)
			p.until("recovered", 20*time.Second, func() bool { return p.a.recovered() && calm() })
			p.until("it is out of use", 20*time.Second, func() bool { return p.a.current(taken).Withdrawn && c.current(taken).Withdrawn })
			p.until("the others are in use", 20*time.Second, func() bool { return p.a.count("indicator") == 2 && c.count("indicator") == 2 })
			p.intact()
		})
	}
}
