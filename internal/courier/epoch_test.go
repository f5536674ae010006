package courier_test

import (
	"context"
	"encoding/json"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// waits reports whether some goroutine waits in one function that another called.
func waits(in, of string) bool {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for s := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(s, in) && strings.Contains(s, of) {
			return true
		}
	}
	return false
}

// TestAnEpochWhileARecoveryEnds: a new log is ordered while the end of a recovery is
// being written: by what the partner gave back, for which the log waits, or by a
// person, for whom it does not. It says that it was ordered, and nothing that is over
// by then begins again.
func TestAnEpochWhileARecoveryEnds(t *testing.T) { // alone: it looks at what waits
	for name, end := range map[string]struct {
		by func(p *pair) func(context.Context) error
		in string // where it waits for the writer
		on string // what the epoch waits for meanwhile
	}{
		"all is back": {func(p *pair) func(context.Context) error {
			return func(ctx context.Context) error { return p.a.running().Recovered(ctx, p.b.id()) }
		}, "moveRecovery", "sync.(*Mutex).Lock"},
		"a person goes on": {func(p *pair) func(context.Context) error {
			by := p.a.officer("officer", noroshi.ReleaseOffice)(noroshi.ActGoOn, p.b.id().String(), courier.GoOnBound(p.b.id(), false))
			return func(ctx context.Context) error { return p.a.running().GoOn(ctx, p.b.id(), false, by) }
		}, "(*Courier).GoOn", "store.(*Store).Do"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, 71, 0, 0)
			p.start()
			p.until("confirmed", 5*time.Second, p.settled)
			at := p.a.copyOf()
			p.net.setCut(true)
			p.a.putBack(at, true, true)
			p.until("the new epoch", 5*time.Second, func() bool { return p.a.link().Recovering == "recalls" })
			was, ends := p.a.mine(), end.by(p)

			let := p.a.hold(noroshi.Routine)
			defer let()
			p.a.does(ends)
			p.until("its end to wait for the writer", 5*time.Second, func() bool { return waits("store.(*Store).Do", end.in) })
			p.a.does(func(ctx context.Context) error { return p.a.running().NewEpoch(ctx, p.b.id()) })
			p.until("the epoch to wait too", 5*time.Second, func() bool { return waits(end.on, "newEpoch") })
			let()
			p.until("the epoch", 5*time.Second, func() bool { return len(p.a.mine()) > len(was) })

			now := p.a.mine()
			out, err := p.a.store.Out(t.Context(), p.b.id(), now[len(now)-1], 1, 1)
			if err != nil || len(out) != 1 {
				t.Fatalf("its first message: %v, %v", out, err)
			}
			body, err := message.DecodeEpoch(out[0].Content)
			if err != nil || body.Reason != message.OrderedEpoch {
				t.Errorf("the epoch says %d, %v, want that it was ordered", body.Reason, err)
			}
			if !p.a.recovered() {
				t.Errorf("what was over has begun again: %q", p.a.link().Recovering)
			}
		})
	}
}

// hold keeps the writer of a node busy until it is let go.
func (n *node) hold(p noroshi.Precedence) (let func()) {
	busy, free := make(chan struct{}), make(chan struct{})
	let = sync.OnceFunc(func() { close(free) })
	n.t.Cleanup(let) // the node, which ends after this, would wait for ever where the test fails before
	n.does(func(ctx context.Context) error {
		_, err := n.store.Do(ctx, noroshi.Act{Action: noroshi.ActConfigure, Subject: "busy", Precedence: p}, func(*store.Tx) error {
			close(busy)
			<-free
			return nil
		})
		return err
	})
	<-busy
	return let
}

// does has something go on beside the test, which ends after it.
func (n *node) does(fn func(context.Context) error) {
	ctx := context.WithoutCancel(n.t.Context()) // the test may have seen enough before it is over
	n.done.Go(func() {
		if err := fn(ctx); err != nil {
			n.t.Error(err)
		}
	})
}

// mine are the epochs of the node's one log.
func (n *node) mine() [][16]byte {
	n.t.Helper()
	docs, err := n.store.Docs(n.t.Context(), "link")
	if err != nil {
		n.t.Fatal(err)
	}
	for _, body := range docs {
		return epochsOf(n.t, body)
	}
	return nil
}

// TestAnOldMemo: a link that was kept before it was noted which keys were revoked when
// its newest log was opened goes on from those that are when it is read: a log ordered
// then ends none of those before.
func TestAnOldMemo(t *testing.T) {
	t.Parallel()
	p, ends := began(t, 59)
	p.revoke(ends)
	p.a.running().Reopen()
	p.b.takeKeys(p.a)
	p.until("a second log", 10*time.Second, func() bool { return len(p.a.mine()) == 2 && p.settled() })
	p.a.end()
	p.a.open()
	memo := func() (m map[string]json.RawMessage) {
		body, err := p.a.store.Doc(t.Context(), "link", p.b.id().String())
		if err != nil || json.Unmarshal(body, &m) != nil {
			t.Fatal(err)
		}
		return m
	}
	old := memo()
	if old["disowns"] == nil || old["ends"] == nil {
		t.Fatalf("the revocation is not noted: %s", old)
	}
	delete(old, "disowns")
	delete(old, "ends")
	body, err := json.Marshal(old)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.a.store.Do(t.Context(), noroshi.Act{Action: noroshi.ActConfigure, Subject: "test"}, func(tx *store.Tx) error {
		return tx.PutDoc("link", p.b.id().String(), body)
	}); err != nil {
		t.Fatal(err)
	}
	p.a.start()
	p.until("both speak again", 10*time.Second, p.settled)
	p.a.running().Reopen()
	p.until("a third log", 10*time.Second, func() bool { return len(p.a.mine()) == 3 })
	if now := memo(); now["ends"] != nil || string(now["disowns"]) != "1" {
		t.Errorf("the memo: %s", now)
	}
}

// TestReceiptsInTheFirstStateOfALife: the STATE by which a new life of B's comes to count
// at A has a receipt too. It is kept in the one act that keeps the STATE: A believes what
// it kept of a STATE after a start, and would not note the receipt ever again.
func TestReceiptsInTheFirstStateOfALife(t *testing.T) {
	t.Parallel()
	p := newPair(t, 88, 0, 0)
	p.start()
	p.a.importAt("one", noroshi.Green)
	p.until("the first is receipted", 20*time.Second, func() bool { return p.b.count("indicator") == 1 && p.settled() })
	dumb := func(mute bool) {
		p.net.mu.Lock()
		defer p.net.mu.Unlock()
		p.net.spoils = func(from *node, _ []byte) bool { return mute && from == p.b }
	}
	dumb(true)
	p.a.importAt("two", noroshi.Green)
	p.until("B has the second, and would say so", 20*time.Second, func() bool {
		return p.b.count("indicator") == 2 && p.b.link().InApplied == p.a.link().OutHead
	})
	before := len(p.b.mine())
	p.b.running().Reopen()
	p.until("B's new life", 20*time.Second, func() bool { return len(p.b.mine()) == before+1 })
	dumb(false)
	p.until("the second is receipted", 20*time.Second, p.settled)
	var act store.Entry
	for _, e := range p.a.record() {
		if e.Act.Action == noroshi.ActReceipt && strings.HasPrefix(e.Act.Subject, "epoch ") {
			act = e
		}
	}
	wrote := func(table string) bool {
		return slices.ContainsFunc(act.Wrote, func(w store.Wrote) bool { return w.Table == table })
	}
	if !wrote("evidence") || !wrote("out_event") || act.Fed == 0 {
		t.Errorf("the act by which the life came to count wrote %+v and put %d changes into the feed, want the STATE, the receipt in it and a change", act.Wrote, act.Fed)
	}
}
