package courier_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/stix"
)

// link returns the only link of a node.
func (n *node) link() courier.LinkStatus {
	c := n.running()
	if c == nil {
		return courier.LinkStatus{}
	}
	links, err := c.Links(context.Background())
	if err != nil || len(links) != 1 {
		n.t.Fatalf("%s has links %v, error %v", n.sign, links, err)
	}
	return links[0]
}

// settled reports whether everything that was released is receipted as applied
// on both sides.
func (p *pair) settled() bool {
	for _, n := range []*node{p.a, p.b} {
		l := n.link()
		if !l.Confirmed || len(l.Waiting) > 0 || l.OutApplied != l.OutHead || len(l.Missing) > 0 {
			return false
		}
	}
	return p.a.link().OutHead == p.b.link().InHead && p.b.link().OutHead == p.a.link().InHead
}

func TestBulkArrivesOnceInFewEntries(t *testing.T) {
	t.Parallel()
	bulk := tier.Few(5000)
	p := newPair(t, 1, 0, 0)
	p.a.importList("list.txt", 0, bulk) // before anybody is urgent: acts on a link cut bulk acts short
	p.start()
	p.until("all indicators at B", 20*time.Second, func() bool { return p.b.count("indicator") == bulk })
	p.until("all receipted", 10*time.Second, p.settled)
	if n, err := p.a.running().Receipted(t.Context(), p.b.id(), "indicator"); err != nil || n != bulk {
		t.Errorf("receipted %d indicators, error %v", n, err)
	}
	// What moves 5,000 objects costs a few entries on either side, not one each.
	if total, by := p.a.acts(); total > 80 {
		t.Errorf("A has %d entries: %v", total, by)
	}
	if total, by := p.b.acts(); total > 60 {
		t.Errorf("B has %d entries: %v", total, by)
	}
}

// TestExchangeOverARoughWireWithRestarts is: nothing lost, nothing applied
// twice, streams equal, whatever the wire does and whoever restarts.
func TestExchangeOverARoughWireWithRestarts(t *testing.T) {
	t.Parallel()
	seed := uint64(7)
	p := newPair(t, seed, 10, 15)
	p.start()
	rng := rand.New(rand.NewPCG(seed, 2))
	parts, each := 20, tier.Few(tier.N(500, 5000))
	for i := range parts {
		from := p.a
		if i%2 == 1 {
			from = p.b
		}
		from.importList(fmt.Sprintf("%s-%d.txt", from.sign, i), i*each, (i+1)*each)
		if rng.IntN(3) == 0 {
			again := []*node{p.a, p.b}[rng.IntN(2)]
			again.end()
			again.open()
			again.start()
		}
	}
	half := parts / 2 * each
	p.until("half of them on each side", time.Minute, func() bool { return p.b.count("indicator") == half && p.a.count("indicator") == half })
	p.until("all receipted", time.Minute, p.settled)
	for _, n := range []*node{p.a, p.b} {
		once(t, n, half)
		// That a restarting partner is not to be reached is said where it takes long.
		codes := slices.DeleteFunc(n.alarms(), func(code string) bool { return code == "no-path" })
		if c := n.running().Counters(); c.Seconds > 0 || len(codes) > 0 {
			t.Errorf("%s raised alarms: %+v %v", n.sign, c, codes)
		}
		if v, err := n.store.Verify(t.Context(), nil); err != nil || len(v.Faults) > 0 {
			t.Errorf("%s: audit: %v %v", n.sign, v.Faults, err)
		}
	}
}

// once checks that each object that came was kept in exactly one version.
func once(t *testing.T, n *node, want int) {
	t.Helper()
	kept := 0
	for after := int64(0); ; {
		list, err := n.store.List(t.Context(), store.Filter{Type: "indicator", After: after, Limit: 1000, All: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list {
			after = r.Seq
			if r.Source.Kind == noroshi.FromPartner {
				kept++
			}
		}
		if len(list) < 1000 {
			break
		}
	}
	if kept != want {
		t.Errorf("%s keeps %d versions from its partner, want %d", n.sign, kept, want)
	}
}

// TestCutLinkKeepsEverything: what is released while the wire is cut waits, is
// seen to wait, and goes when the wire is back.
func TestCutLinkKeepsEverything(t *testing.T) {
	t.Parallel()
	p := newPair(t, 3, 0, 0)
	p.start()
	p.until("the link is confirmed", 5*time.Second, p.settled)
	p.net.setCut(true)
	p.a.importList("list.txt", 0, 50)
	p.until("it is seen to wait", 5*time.Second, func() bool { l := p.a.link(); return !l.Up && len(l.Waiting) > 0 && l.LastError.Message != "" })
	if n := p.b.count("indicator"); n != 0 {
		t.Errorf("%d indicators went through a cut wire", n)
	}
	p.net.setCut(false)
	p.until("all is there", 5*time.Second, func() bool { return p.b.count("indicator") == 50 && p.settled() })
}

// TestLinksAtRest: what was sent, received and waits is seen while nothing
// runs, and looking writes nothing.
func TestLinksAtRest(t *testing.T) {
	t.Parallel()
	p := newPair(t, 13, 0, 0)
	p.start()
	p.a.importList("list.txt", 0, 50)
	p.until("it is there", 5*time.Second, func() bool { return p.b.count("indicator") == 50 && p.settled() })
	want := p.a.link()
	for _, n := range []*node{p.a, p.b} {
		n.end()
		n.open()
	}
	before, err := p.a.store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rest := func(n *node) courier.LinkStatus {
		c, err := courier.New(n.store, n.gate, n.desk, courier.Options{Realm: noroshi.Real, Node: n.id(), Keys: n.keys})
		if err != nil {
			t.Fatal(err)
		}
		links, err := c.Links(t.Context())
		if err != nil || len(links) != 1 {
			t.Fatalf("got %v, %v", links, err)
		}
		return links[0]
	}
	if a := rest(p.a); a.Up || a.OutHead == 0 || a.OutHead != want.OutHead || a.OutApplied != want.OutApplied || len(a.Waiting) > 0 {
		t.Errorf("sender at rest: got %+v, want %+v", a, want)
	}
	if b := rest(p.b); b.Up || b.InHead != want.OutHead || b.InApplied != want.OutApplied {
		t.Errorf("receiver at rest: got %+v", b)
	}
	if after, err := p.a.store.Head(t.Context()); err != nil || after != before {
		t.Errorf("looking moved the feed from %d to %d, %v", before, after, err)
	}
}

// arrived is a pair of which b has one indicator of a's, in a message, and no line
// to a any more.
func arrived(t *testing.T, seed uint64) (p *pair, id noroshi.Hash) {
	t.Helper()
	p = newPair(t, seed, 0, 0)
	p.start()
	p.a.importList("list.txt", 0, 1)
	p.until("it is there", 5*time.Second, func() bool { return p.b.count("indicator") == 1 && p.settled() })
	if err := p.b.store.Each(t.Context(), "indicator", 0, func(r store.Record) error { id = r.Source.Message; return nil }); err != nil {
		t.Fatal(err)
	}
	p.net.setCut(true)
	return p, id
}

// TestReadTravelsBack: a person reads a message, its sender learns of it once,
// also when the reader's node restarts in between.
func TestReadTravelsBack(t *testing.T) {
	t.Parallel()
	p, id := arrived(t, 4)
	for range 2 {
		if err := p.b.running().ReadBy(t.Context(), p.a.id(), id, noroshi.Duty, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	p.b.end()
	p.b.open()
	p.net.setCut(false)
	p.b.start()
	read := 0
	p.until("A knows it was read", 5*time.Second, func() bool {
		list, err := p.a.store.Feed(t.Context(), 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		read = 0
		for _, c := range list {
			if c.Kind == courier.MessageRead && c.ID == id.String() {
				read++
			}
		}
		return read > 0 && p.settled()
	})
	if read != 1 {
		t.Errorf("A was told %d times, want once", read)
	}
	if err := p.b.running().ReadBy(t.Context(), p.a.id(), noroshi.Hash{9}, noroshi.Duty, time.Now()); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("an unknown message: got %v, want NotFound", err)
	}
}

// TestAWaitingReadIsSeen: a READ given while the link is unconfirmed is not in
// the stream and counts as waiting.
func TestAWaitingReadIsSeen(t *testing.T) {
	t.Parallel()
	p, id := arrived(t, 16)
	p.b.end()
	p.b.open()
	p.b.start()
	p.until("B reads it", 5*time.Second, func() bool {
		return p.b.running().ReadBy(t.Context(), p.a.id(), id, noroshi.Duty, time.Now()) == nil
	})
	if l := p.b.link(); l.Confirmed || l.Waiting["priority"] != 1 {
		t.Errorf("the READ is not seen to wait: %+v", l)
	}
	p.net.setCut(false)
	p.until("it has gone", 5*time.Second, p.settled)
}

// TestReadWhileTheCourierStarts: until the links are made, ReadBy asks to come
// again. NotFound would say for ever that there is nobody to tell.
func TestReadWhileTheCourierStarts(t *testing.T) {
	t.Parallel()
	p := newPair(t, 15, 0, 0)
	held, free := make(chan struct{}), make(chan struct{})
	var act sync.WaitGroup
	act.Go(func() { // the link's first epoch waits behind this act
		_, _ = p.b.store.Do(context.Background(), noroshi.Act{}, func(*store.Tx) error {
			close(held)
			<-free
			return nil
		})
	})
	<-held
	p.start()
	var known *noroshi.Error
	p.until("the courier starts", 5*time.Second, func() bool {
		err := p.b.running().ReadBy(t.Context(), p.a.id(), noroshi.Hash{9}, noroshi.Duty, time.Now())
		return errors.As(err, &known) && known.Code != "courier.stopped"
	})
	if known.Kind != noroshi.Queued {
		t.Errorf("while the courier starts: got %v, want Queued", known)
	}
	close(free)
	act.Wait()
	p.until("the link is confirmed", 5*time.Second, p.settled)
	if err := p.b.running().ReadBy(t.Context(), noroshi.NodeID{9}, noroshi.Hash{9}, noroshi.Duty, time.Now()); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("no such partner: got %v, want NotFound", err)
	}
}

func TestSendTakesOnlyCleared(t *testing.T) {
	t.Parallel()
	p := newPair(t, 5, 0, 0)
	p.start()
	p.until("the link is confirmed", 5*time.Second, p.settled)
	if err := p.a.running().Send(t.Context(), release.Cleared{}); noroshi.KindOf(err) != noroshi.Refused {
		t.Errorf("the zero Cleared: got %v, want Refused", err)
	}
}

// TestStatementsGoInOrder: whoever steps a link, statements leave in the order
// of their counters. An older one said last would take back what the newer one
// receipted, and the counter kept as issued.
func TestStatementsGoInOrder(t *testing.T) {
	t.Parallel()
	p := newPair(t, 14, 0, 0)
	p.start()
	p.until("the link is confirmed", 5*time.Second, p.settled)
	p.net.mu.Lock()
	p.net.watch = true
	p.net.mu.Unlock()
	var probes sync.WaitGroup
	for range 16 {
		probes.Go(func() {
			for range 20 {
				if _, err := p.a.running().Test(t.Context(), p.b.id(), ""); err != nil {
					t.Error(err)
				}
			}
		})
	}
	probes.Wait()
	p.net.mu.Lock()
	seen := p.net.seen
	p.net.mu.Unlock()
	in := message.Inbound{Realm: noroshi.Real, From: p.a.id(), To: p.b.id(), Secret: []byte(strings.Repeat("a", 32)), Keys: p.a.keys.Keyset()}
	signed, err := p.b.store.Docs(t.Context(), noroshi.DocAgreement)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range signed {
		in.Agreements = append(in.Agreements, noroshi.Sum(file))
	}
	said, last := 0, uint64(0)
	for _, e := range seen {
		plain, err := message.Unseal(p.b.keys, in, e)
		if err != nil || plain.Statement == nil {
			continue // B's, or a message
		}
		if n := plain.Statement.Counter; n <= last {
			t.Errorf("statement %d was said after %d", n, last)
		} else {
			last = n
		}
		said++
	}
	if said == 0 {
		t.Error("A said nothing")
	}
}

func TestProbeGivesTheRoundTrip(t *testing.T) {
	t.Parallel()
	p := newPair(t, 6, 0, 0)
	p.start()
	p.until("the link is confirmed", 5*time.Second, p.settled)
	d, err := p.a.running().Test(t.Context(), p.b.id(), "")
	if err != nil || d <= 0 || d > 3*time.Second {
		t.Errorf("round trip %v, error %v", d, err)
	}
	p.net.setCut(true)
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	if _, err := p.a.running().Test(ctx, p.b.id(), ""); noroshi.KindOf(err) != noroshi.Queued {
		t.Errorf("over a cut wire: got %v, want Queued", err)
	}
	if _, err := p.a.running().Test(t.Context(), noroshi.NodeID{9}, ""); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("no such partner: got %v, want NotFound", err)
	}
}

// TestHostileEnvelopes: noise, a stranger's envelope and altered ones are
// dropped, counted, and answered with nothing that tells of content.
func TestHostileEnvelopes(t *testing.T) {
	t.Parallel()
	p := newPair(t, 8, 0, 0)
	p.net.watch = true
	p.start()
	p.a.importList("list.txt", 0, 20)
	p.until("all there", 5*time.Second, func() bool { return p.b.count("indicator") == 20 && p.settled() })
	p.net.mu.Lock()
	seen := p.net.seen
	p.net.mu.Unlock()
	ctx, c := t.Context(), p.b.running()
	before := c.Counters()
	if len(seen) < 3 {
		t.Fatalf("%d envelopes were seen", len(seen))
	}
	for i, e := range seen {
		bad := append([]byte(nil), e...)
		bad[len(bad)/2+i%7] ^= 1
		if err := c.Receive(ctx, "https", p.a.id(), bad); err == nil {
			t.Fatalf("an altered envelope was taken")
		}
		if err := c.Receive(ctx, "https", noroshi.NodeID{9}, e); err == nil {
			t.Fatalf("an envelope was taken from another than its sender")
		}
		if err := c.Receive(ctx, "https", p.a.id(), e[:len(e)-1]); err == nil {
			t.Fatalf("a cut envelope was taken")
		}
		_ = c.Receive(ctx, "https", noroshi.NodeID{}, e) // replay: harmless
	}
	for _, e := range [][]byte{nil, {0x11}, {0x99, 1, 2}, make([]byte, message.MaxEnvelope+1)} {
		if err := c.Receive(ctx, "https", p.a.id(), e); err == nil {
			t.Errorf("%d bytes of noise were taken", len(e))
		}
	}
	p.until("quiet again", 5*time.Second, p.settled)
	if after := c.Counters(); after.Applied != before.Applied || after.Alarms != 0 {
		t.Errorf("replay had effects: before %+v after %+v", before, after)
	}
	once(t, p.b, 20)
}

// TestWithheldWhenItMayNoLongerGo: an object withdrawn between release and
// sending never leaves; its message is closed by a tombstone and the others go.
func TestWithheldWhenItMayNoLongerGo(t *testing.T) {
	t.Parallel()
	p := newPair(t, 9, 0, 0)
	p.start()
	p.until("the link is confirmed", 5*time.Second, p.settled)
	p.net.setCut(true)
	// Nothing is sealed while the link is down; before that an envelope might be
	// on its way already.
	p.until("A sees the cut", 5*time.Second, func() bool { return !p.a.link().Up })
	p.a.importList("list.txt", 0, 20)
	p.until("it is in the stream", 5*time.Second, func() bool { return p.a.link().OutHead > 1 })
	var victim store.Record
	n := 0
	if err := p.a.store.Each(t.Context(), "indicator", 0, func(r store.Record) error {
		if n++; n == 10 {
			victim = r
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.a.store.Do(t.Context(), noroshi.Act{Action: noroshi.ActWithdraw, Subject: string(victim.Object.ID)}, func(tx *store.Tx) error {
		return tx.Withdraw(victim.Object.ID, victim.Source.Owner())
	}); err != nil {
		t.Fatal(err)
	}
	p.net.setCut(false)
	p.until("the others are there", 10*time.Second, func() bool { return p.b.count("indicator") == 19 && p.settled() })
	if held, err := p.b.store.Held(t.Context(), []stix.ID{victim.Object.ID}); err != nil || held[victim.Object.ID] {
		t.Errorf("what was withdrawn reached the partner (error %v)", err)
	}
	if c := p.a.running().Counters(); c.Withheld != 1 {
		t.Errorf("withheld %d messages, want 1", c.Withheld)
	}
	for _, n := range []*node{p.a, p.b} { // and a restart reads it all back
		n.end()
		n.open()
		n.start()
	}
	p.until("settled after a restart", 10*time.Second, p.settled)
	if v, err := p.b.store.Verify(t.Context(), nil); err != nil || len(v.Faults) > 0 {
		t.Errorf("audit: %v %v", v.Faults, err)
	}
}

// BenchmarkHundredThousand is the bulk release: a list of 100,000
// entries costs fewer than 500 ledger entries on either side.
func BenchmarkHundredThousand(b *testing.B) {
	for b.Loop() {
		p := newPair(b, 41, 0, 0)
		p.start()
		begin := time.Now()
		p.a.importList("list.txt", 0, 100_000)
		p.until("100,000 at B", 5*time.Minute, func() bool {
			return p.b.link().InApplied >= 100 && p.settled()
		})
		p.until("all of them", time.Minute, func() bool { return p.b.count("indicator") == 100_000 })
		b.ReportMetric(100_000/time.Since(begin).Seconds(), "objects/s")
		a, by := p.a.acts()
		t, _ := p.b.acts()
		b.ReportMetric(float64(a-by[noroshi.ActImport]-by[noroshi.ActRelease]), "entries-A")
		b.ReportMetric(float64(t), "entries-B")
		b.Logf("A: %v", by)
		if a-by[noroshi.ActImport] > 500 || t > 500 {
			b.Errorf("A has %d entries (%v), B %d", a, by, t)
		}
	}
}

// TestRefuse: an envelope of another version is kept for a person, once a
// minute, and its sender is told why; one of another suite likewise.
func TestRefuse(t *testing.T) {
	t.Parallel()
	p := newPair(t, 11, 0, 0)
	p.start()
	p.until("the link is confirmed", 5*time.Second, p.settled)
	for range 3 {
		for _, first := range []byte{0x99, 0x12} {
			if err := p.b.running().Receive(t.Context(), "https", p.a.id(), bytes.Repeat([]byte{first}, 2000)); err == nil {
				t.Fatal("an envelope of another version was taken")
			}
		}
	}
	if err := p.b.running().Receive(t.Context(), "https", noroshi.NodeID{9}, bytes.Repeat([]byte{0x99}, 2000)); err == nil {
		t.Fatal("a stranger's envelope was taken")
	}
	p.until("A is told", 5*time.Second, func() bool { // a later error takes the place of the text
		return strings.Contains(p.a.link().LastError.Message, "refuses what we send") || slices.Contains(p.a.alarms(), "refused-suite")
	})
	kept, err := p.b.store.QuarantineList(t.Context(), 0, 10)
	if err != nil || len(kept) != 2 || kept[0].Size != 2000 || kept[0].Code != "message.version" || kept[1].Code != "message.suite" {
		t.Errorf("kept %d (%v), want one envelope of each", len(kept), err)
	}
}
