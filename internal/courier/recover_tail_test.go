package courier_test

import (
	"context"
	crand "crypto/rand"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestTombstoneInTheLostTail: of what a restored node lost, the partner holds a
// sequence that was closed, and no message for it: the TOMBSTONE that comes back
// behind it says so, and the tail is whole. So it is when the TOMBSTONE stands in
// another epoch than what it closed.
func TestTombstoneInTheLostTail(t *testing.T) {
	t.Parallel()
	for name, reopen := range map[string]bool{"in one epoch": false, "in two": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, 71, 0, 0)
			p.start()
			p.a.importList("a.txt", 0, 3)
			p.until("the first are there", 20*time.Second, func() bool { return p.b.count("indicator") == 3 && p.settled() })
			at := p.a.copyOf()
			p.until("the link is confirmed", 20*time.Second, p.settled)
			p.net.onlySmall(true)
			p.a.importLarge("withheld.json", 200, 204)
			p.until("it is on its way", 20*time.Second, func() bool { return len(p.b.link().Missing) > 0 })
			if reopen {
				p.a.running().Reopen()
				p.until("the second epoch", 20*time.Second, func() bool { _, by := p.a.acts(); return by[noroshi.ActEpoch] == 2 })
			}
			taken := p.a.own()[5]
			p.a.recall(p.a.running(), taken, message.RecallStopUse)
			p.until("it is closed", 20*time.Second, func() bool {
				tombs, err := p.b.store.Docs(t.Context(), "courier-tombstone")
				return err == nil && len(tombs) > 0
			})
			p.net.onlySmall(false)
			p.a.importList("more.txt", 3, 6)
			p.until("the rest is there", 20*time.Second, func() bool { return p.b.count("indicator") == 6+3 && p.settled() })

			p.a.putBack(at, true, true)
			p.until("recovered", 20*time.Second, func() bool { return p.a.recovered() && p.settled() })
			p.a.importList("last.txt", 6, 7)
			p.until("it goes on", 20*time.Second, func() bool { return p.b.count("indicator") == 7+3 && p.settled() })
			p.intact()
			for _, n := range []*node{p.a, p.b} {
				for _, code := range n.alarms() {
					if strings.HasPrefix(code, "link.chain") || strings.HasPrefix(code, "link.second") {
						t.Errorf("%s: alarm %s", n.sign, code)
					}
				}
			}
		})
	}
}

// TestForgottenKeyset: a node put back to before a change of its keys cannot judge
// what the partner returns: a KEYSET it has forgotten may revoke the key that
// signed it. It takes nothing back while the partner names that KEYSET, nor what
// is signed by a key it does not know; a person lets the link go on.
func TestForgottenKeyset(t *testing.T) {
	t.Parallel()
	p := newPair(t, 72, 0, 0)
	p.start()
	p.a.importList("a.txt", 0, 3)
	p.until("the first are there", 20*time.Second, func() bool { return p.b.count("indicator") == 3 && p.settled() })
	at, saved := p.a.copyOf(), p.a.keys.Copy()
	p.until("the link is confirmed", 20*time.Second, p.settled)
	p.a.importList("old-key.txt", 3, 5)
	p.until("under the old key", 20*time.Second, func() bool { return p.b.count("indicator") == 5 && p.settled() })
	if err := p.a.keys.Rotate(crand.Reader, message.UseRelease, time.Now()); err != nil {
		t.Fatal(err)
	}
	p.b.takeKeys(p.a)
	p.until("the partner names the new keys", 20*time.Second, func() bool {
		list, err := p.a.running().KeysThere(t.Context())
		return err == nil && len(list) == 1 && list[0].Version == 2
	})
	p.a.importList("new-key.txt", 5, 7)
	p.until("under the new key", 20*time.Second, func() bool { return p.b.count("indicator") == 7 && p.settled() })

	p.a.end()
	from := saved.Keyset().Version
	if err := saved.Leap(time.Now()); err != nil {
		t.Fatal(err)
	}
	p.a.keys, p.a.leap = saved, courier.Leap{From: from, To: saved.Keyset().Version}
	p.a.putBack(at, true, true)
	waits := func() bool { return p.a.link().Recovering == "keys" }
	p.until("the keys are waited for", 20*time.Second, waits)
	if n := len(p.a.own()); n != 3 {
		t.Errorf("%d objects of its own, want the three of the backup", n)
	}
	p.b.takeKeys(p.a)
	p.until("what the old key signed", 20*time.Second, func() bool { return len(p.a.own()) == 5 && waits() })
	by := p.a.officer("officer", noroshi.ReleaseOffice)(noroshi.ActGoOn, p.b.id().String(), courier.GoOnBound(p.b.id(), false))
	if err := p.a.running().GoOn(t.Context(), p.b.id(), false, by); err != nil {
		t.Fatal(err)
	}
	p.a.importList("last.txt", 7, 8)
	p.until("it goes on", 20*time.Second, func() bool { return p.b.count("indicator") == 8 && p.settled() })
}

// TestForgottenKeysetOfALaterLoss: a node put back to before a change of its keys had
// lost nothing else, and is rolled back later, which its partner alone finds. Still it
// has forgotten the KEYSET that the partner names, and takes nothing back.
func TestForgottenKeysetOfALaterLoss(t *testing.T) {
	t.Parallel()
	p := newPair(t, 70, 0, 0)
	p.start()
	p.a.importList("a.txt", 0, 3)
	p.until("the first are there", 20*time.Second, func() bool { return p.b.count("indicator") == 3 && p.settled() })
	at, saved := p.a.copyOf(), p.a.keys.Copy()
	p.until("the link is confirmed", 20*time.Second, p.settled)
	if err := p.a.keys.Rotate(crand.Reader, message.UseTLS, time.Now()); err != nil {
		t.Fatal(err)
	}
	p.b.takeKeys(p.a)
	p.until("the partner names the new keys", 20*time.Second, func() bool {
		list, err := p.a.running().KeysThere(t.Context())
		return err == nil && len(list) == 1 && list[0].Version == 2
	})
	p.a.end()
	from := saved.Keyset().Version
	if err := saved.Leap(time.Now()); err != nil {
		t.Fatal(err)
	}
	p.a.keys, p.a.leap = saved, courier.Leap{From: from, To: saved.Keyset().Version}
	p.a.putBack(at, true, true)
	p.until("recovered", 20*time.Second, func() bool { return p.a.recovered() && p.settled() })

	at = p.a.copyOf()
	p.until("the link is confirmed again", 20*time.Second, p.settled)
	p.a.importList("more.txt", 3, 5)
	p.until("they are there", 20*time.Second, func() bool { return p.b.count("indicator") == 5 && p.settled() })
	p.a.putBack(at, false, true)
	p.until("a person is waited for", 20*time.Second, func() bool { return p.a.link().Recovering == "person" })
	by := p.a.officer("officer", noroshi.ReleaseOffice)(noroshi.ActGoOn, p.b.id().String(), courier.GoOnBound(p.b.id(), true))
	if err := p.a.running().GoOn(t.Context(), p.b.id(), true, by); err != nil {
		t.Fatal(err)
	}
	p.until("the keys are waited for", 20*time.Second, func() bool { return p.a.link().Recovering == "keys" })
	if n := len(p.a.own()); n != 3 {
		t.Errorf("%d objects of its own, want the three of the backup", n)
	}
	p.b.takeKeys(p.a)
	p.until("it is all back", 20*time.Second, func() bool { return p.a.recovered() && len(p.a.own()) == 5 && p.settled() })
}

// TestReturnWithABadSignature: one message in a RETURN that does not bear our
// signature is passed over, and the others are taken back.
func TestReturnWithABadSignature(t *testing.T) {
	t.Parallel()
	p := newPair(t, 73, 0, 0)
	p.start()
	p.a.importList("a.txt", 0, 3)
	p.until("the first are there", 20*time.Second, func() bool { return p.b.count("indicator") == 3 && p.settled() })
	at := p.a.copyOf()
	p.until("the link is confirmed", 20*time.Second, p.settled)
	p.a.importLarge("lost.json", 200, 201) // and so is its RETURN
	p.until("it is there", 20*time.Second, func() bool { return p.b.count("indicator") == 3+1 && p.settled() })
	epoch := p.a.sentIn()
	rows, err := p.b.store.In(t.Context(), p.a.id(), epoch, 1, 100)
	if err != nil {
		t.Fatal(err)
	}
	p.net.onlySmall(true)
	p.a.putBack(at, true, true)
	p.until("the tail is waited for", 20*time.Second, func() bool { return p.a.link().Recovering == "tail" })
	var list []*message.Message
	for _, row := range rows {
		m, err := message.DecodeSigned(noroshi.Real, row.Signed)
		if err != nil {
			t.Fatal(err)
		}
		bad := *m
		bad.Signature = append([]byte{m.Signature[0] ^ 1}, m.Signature[1:]...)
		list = append(list, &bad, m)
	}
	if err := p.a.running().Returned(p.b.id(), list); err != nil {
		t.Fatal(err)
	}
	p.until("recovered", 20*time.Second, p.a.recovered)
}

// TestRestoredBeforeAll: while one partner of a restored node has not told what was
// recalled since, no data goes to another either; what it recalled may be in it.
func TestRestoredBeforeAll(t *testing.T) {
	t.Parallel()
	p, c := newThree(t, 74)
	p.start()
	c.start()
	p.a.importList("a.txt", 0, 3)
	p.until("both have the first", 20*time.Second, func() bool { return p.b.count("indicator") == 3 && c.count("indicator") == 3 })
	at := p.a.copyOf()
	p.net.setCut(true)
	p.a.putBack(at, true, true)
	with := func(n *node) courier.LinkStatus { return p.a.linkTo(n) }
	p.until("the one has answered", 20*time.Second, func() bool { return with(c).Recovering == "others" && with(p.b).Recovering == "recalls" })
	p.a.importList("more.txt", 3, 6)
	p.until("it was decided", 20*time.Second, func() bool { return with(c).Waiting["routine"] > 0 && with(c).OutStored > 0 })
	if n, st := c.count("indicator"), with(c); n != 3 || st.OutHead > 1 { // the EPOCH
		t.Errorf("%d objects went before the other partner had told its recalls: %+v", n-3, st)
	}
	p.net.setCut(false)
	p.until("it goes on", 20*time.Second, func() bool { return p.b.count("indicator") == 6 && c.count("indicator") == 6 })
}

// newThree is a pair whose first node has a further partner, over a wire of its own.
func newThree(t *testing.T, seed uint64) (*pair, *node) {
	t.Helper()
	p := newPair(t, seed, 0, 0)
	c := newNode(t, "KOR-01", "identity--5a1f6c2e-2d3b-4c57-9a43-0d8a1f1a0003")
	further := &rough{rng: rand.New(rand.NewPCG(seed, 2)), stopped: make(chan struct{})}
	c.wire = &roughEnd{net: further, from: c, to: p.a}
	p.a.wire = fork{p.a.wire, c.id(), &roughEnd{net: further, from: p.a, to: c}}
	c.open()
	agreement := strings.ReplaceAll(strings.ReplaceAll(string(p.file), "JPN-01", "KOR-01"), p.b.id().String(), c.id().String())
	agreement = strings.ReplaceAll(agreement, string(p.b.ident), string(c.ident))
	ab, ba := []byte(strings.Repeat("c", 32)), []byte(strings.Repeat("d", 32))
	p.a.meet(c, []byte(agreement), ab, ba)
	c.meet(p.a, []byte(agreement), ba, ab)
	t.Cleanup(func() {
		close(further.stopped)
		further.drain(c, p.a)
	})
	return p, c
}

// fork is a channel that has a wire of its own to one partner.
type fork struct {
	courier.Channel
	node noroshi.NodeID
	wire courier.Channel
}

func (f fork) Send(ctx context.Context, p noroshi.Partner, prec noroshi.Precedence, envelope []byte) error {
	if p.Node == f.node {
		return f.wire.Send(ctx, p, prec, envelope)
	}
	return f.Channel.Send(ctx, p, prec, envelope)
}

// linkTo returns the state of the link with one of several partners.
func (n *node) linkTo(o *node) courier.LinkStatus {
	list, err := n.running().Links(context.Background())
	if err != nil {
		n.t.Fatal(err)
	}
	for _, l := range list {
		if l.Partner == o.id() {
			return l
		}
	}
	return courier.LinkStatus{}
}

// sentIn returns the present epoch of the node's stream.
func (n *node) sentIn() message.Epoch {
	n.t.Helper()
	ends, err := n.running().Ends(n.t.Context(), n.store.Reads, time.Time{})
	if err != nil || len(ends) == 0 {
		n.t.Fatalf("ends: %v, %v", ends, err)
	}
	return ends[0].Epoch
}

// TestRestOfNoBatch: something left to be sent of a batch that this node does not
// know holds up nothing.
func TestRestOfNoBatch(t *testing.T) {
	t.Parallel()
	p := newPair(t, 75, 0, 0)
	p.start()
	p.until("the link is confirmed", 20*time.Second, p.settled)
	for _, batch := range []string{"", "none"} {
		if err := p.a.running().KeepRest(t.Context(), p.b.id(), batch); err != nil {
			t.Fatal(err)
		}
	}
	p.a.importList("a.txt", 0, 3)
	p.until("it goes on", 20*time.Second, func() bool { return p.b.count("indicator") == 3 && p.settled() })
	p.intact()
}

// TestAsksWithoutEnd: a partner that asks for its lost messages again and again
// over a way that takes nothing makes the node keep one answer, not one for each
// question.
func TestAsksWithoutEnd(t *testing.T) {
	t.Parallel()
	p := newPair(t, 76, 0, 0)
	var ahead atomic.Int64
	p.b.clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	slow := &stuck{Channel: p.b.wire, free: make(chan struct{})}
	p.b.wire = slow
	p.start()
	p.a.importList("a.txt", 0, 3)
	p.until("it is there", 20*time.Second, func() bool { return p.b.count("indicator") == 3 && p.settled() })
	w := message.Want{Reason: 3, Runs: []message.EpochRange{{Epoch: p.a.sentIn(), Range: message.Range{A: 1, B: 10}}}}
	slow.on.Store(true)
	defer close(slow.free)
	most := 0
	for range 50 {
		ahead.Add(int64(time.Second))
		if err := p.b.running().Wanted(p.a.id(), w); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			runtime.Gosched()
			most = max(most, p.b.running().Unsaid(p.a.id()))
		}
	}
	p.until("something waits for the way", 20*time.Second, func() bool {
		most = max(most, p.b.running().Unsaid(p.a.id()))
		return most > 0 || slow.held.Load() > 0
	})
	if most > 8 {
		t.Errorf("%d parts of answers wait", most)
	}
}

// stuck is a channel that takes nothing while it is on.
type stuck struct {
	courier.Channel
	on   atomic.Bool
	held atomic.Int64 // envelopes it was given meanwhile
	free chan struct{}
}

func (s *stuck) Send(ctx context.Context, p noroshi.Partner, prec noroshi.Precedence, envelope []byte) error {
	if s.on.Load() {
		s.held.Add(1)
		select {
		case <-s.free:
		case <-ctx.Done():
		}
	}
	return s.Channel.Send(ctx, p, prec, envelope)
}

// recallAll recalls everything a node made.
func recallAll(t *testing.T, n *node) {
	t.Helper()
	sign, c := n.officer("duty", noroshi.Duty), n.running()
	for _, id := range n.own() {
		order := courier.RecallOrder{Object: id, Reason: message.RecallSpill, Scope: message.RecallStopUse}
		plan, err := c.RecallPlan(t.Context(), order)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Recall(t.Context(), order, sign(noroshi.ActRecall, string(id), plan.Bound)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRecallsOfANewLife: while a restored node waits for its partner's recalls the
// partner begins a new epoch, whose counters are small again. Its list counts.
func TestRecallsOfANewLife(t *testing.T) {
	t.Parallel()
	p := newPair(t, 77, 0, 0)
	p.start()
	p.b.importList("b.txt", 0, 40)
	p.until("they are there", 20*time.Second, func() bool { return p.a.count("indicator") == 40 && p.settled() })
	at := p.a.copyOf()
	p.until("the link is confirmed", 20*time.Second, p.settled)
	recallAll(t, p.b)
	p.until("they are recalled", 20*time.Second, func() bool { return p.a.count("indicator") == 0 && p.settled() })
	p.net.onlySmall(true) // the list of recalls is larger
	p.a.putBack(at, true, true)
	var life message.Epoch
	var before uint64
	p.until("the list is asked for", 20*time.Second, func() bool {
		life, before = p.a.running().Told(p.b.id())
		return p.a.link().Recovering == "recalls" && before > 40
	})
	p.b.running().Reopen()
	p.until("the new life is heard", 20*time.Second, func() bool { now, _ := p.a.running().Told(p.b.id()); return now != life })
	p.net.onlySmall(false)
	p.until("recovered", 20*time.Second, p.a.recovered)
	if _, now := p.a.running().Told(p.b.id()); now >= before {
		t.Errorf("recovered after statement %d of the new life, as if it were the %d of the old", now, before)
	}
	p.until("recalled still", 20*time.Second, func() bool { return p.a.count("indicator") == 0 })
}

// TestRecallThatNobodyHeard: an object and its recall are both younger than the
// backup, and only the object reached the partner. The recall list has the recall,
// the partner gives the object back: then it is told.
func TestRecallThatNobodyHeard(t *testing.T) {
	t.Parallel()
	p := newPair(t, 78, 0, 0)
	p.start()
	p.a.importList("a.txt", 0, 3)
	p.until("the first are there", 20*time.Second, func() bool { return p.b.count("indicator") == 3 && p.settled() })
	at := p.a.copyOf()
	p.until("the link is confirmed", 20*time.Second, p.settled)
	before := p.a.own()
	p.a.importList("later.txt", 3, 5)
	p.until("the others are there", 20*time.Second, func() bool { return p.b.count("indicator") == 5 && p.settled() })
	later := slices.DeleteFunc(p.a.own(), func(id stix.ID) bool { return slices.Contains(before, id) })
	p.net.setCut(true)
	p.a.recall(p.a.running(), later[0], message.RecallStopUse)
	p.a.putBack(at, true, true)
	p.net.setCut(false)
	p.until("recovered", 20*time.Second, func() bool { return p.a.recovered() && p.settled() })
	p.until("the partner was told", 2*time.Second, func() bool { return p.b.current(later[0]).Withdrawn && p.a.answered() })
	if !p.a.current(later[0]).Withdrawn || p.b.current(later[1]).Withdrawn || p.a.current(later[1]).Withdrawn {
		t.Error("something else is out of use than what was recalled")
	}
	p.intact()
}

// TestRecallBesideAnothersCopy: a recall of its own that a node forgot takes its
// own copy out of use again, though a partner brought the object too.
func TestRecallBesideAnothersCopy(t *testing.T) {
	t.Parallel()
	p := newPair(t, 79, 0, 0)
	p.start()
	p.a.importList("a.txt", 0, 3)
	p.until("they are there", 20*time.Second, func() bool { return p.b.count("indicator") == 3 && p.settled() })
	id := p.a.own()[0]
	x, err := p.a.gate.Prepare(noroshi.Source{Kind: noroshi.FromPartner, Partner: p.b.id(), Message: noroshi.Hash{1}}, "link:JPN-01",
		[]intake.Raw{{Bytes: p.a.current(id).Object.Bytes(), Label: noroshi.Label{TLP: noroshi.Green}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.a.store.Do(t.Context(), noroshi.Act{Action: noroshi.ActReceive, Partner: p.b.id()}, func(tx *store.Tx) error {
		_, err := p.a.gate.Admit(tx, x)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	at := p.a.copyOf()
	p.until("the link is confirmed", 20*time.Second, p.settled)
	p.a.recall(p.a.running(), id, message.RecallStopUse)
	p.until("the answer", 20*time.Second, func() bool { return p.a.answered() && p.settled() })
	p.a.putBack(at, true, false)
	p.until("recovered", 20*time.Second, func() bool { return p.a.recovered() && p.settled() })
	versions, err := p.a.store.Versions(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	own := 0
	for _, v := range versions {
		if v.Source.Kind == noroshi.FromPartner {
			continue
		}
		if own++; !v.Withdrawn {
			t.Errorf("the copy from %+v is in use again", v.Source)
		}
	}
	if own == 0 || own == len(versions) {
		t.Errorf("%d copies of %d are its own", own, len(versions))
	}
}

// TestOneClaimHoldsUpNobodyElse: a partner that says that this node lost something,
// and then tells no recalls, holds up no data to another.
func TestOneClaimHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	p, c := newThree(t, 80)
	p.start()
	c.start()
	p.a.importList("a.txt", 0, 3)
	p.until("both have the first", 20*time.Second, func() bool { return p.b.count("indicator") == 3 && c.count("indicator") == 3 })
	at := p.a.copyOf()
	p.until("the link is confirmed", 20*time.Second, func() bool { return p.a.linkTo(p.b).Confirmed && p.a.linkTo(c).Confirmed })
	p.b.importList("b.txt", 100, 140)
	p.until("they are there", 20*time.Second, func() bool { return p.a.count("indicator") == 40 })
	recallAll(t, p.b)
	p.until("they are recalled", 20*time.Second, func() bool { return p.a.count("indicator") == 0 })
	p.a.importList("lost.txt", 200, 203)
	p.until("it is there", 20*time.Second, func() bool { return p.b.count("indicator") == 6 && c.count("indicator") == 6 })
	p.net.onlySmall(true) // its list of recalls is larger
	p.a.putBack(at, false, true)
	p.until("the recalls are waited for", 20*time.Second, func() bool { return p.a.linkTo(p.b).Recovering == "recalls" })
	if r := p.a.linkTo(c).Recovering; r == "others" {
		t.Error("the link with the other waits too")
	}
}
