package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// allied makes two real nodes with an agreement in force and begins to kill them.
func allied(t *testing.T, seed uint64, kills int) (usa, jpn *site, s *storm) {
	t.Helper()
	t.Logf("seed %d", seed)
	usa, jpn = newSite(t, "USA-01"), newSite(t, "JPN-01")
	if _, err := crew.Introduce(t.Context(), &usa.Crew, &jpn.Crew); err != nil {
		t.Fatal(err)
	}
	if _, err := crew.Agree(t.Context(), &usa.Crew, &jpn.Crew); err != nil {
		t.Fatal(err)
	}
	s = &storm{sites: []*site{usa, jpn}, kills: kills}
	s.begin(t, seed)
	return usa, jpn, s
}

// TestKilledNodes: two real nodes exchange 10,000 objects while either is
// killed with SIGKILL again and again, at any moment, also while it starts, and
// the cables between them break connections off. In the end nothing is lost,
// nothing is applied twice, the streams are equal and the records intact.
func TestKilledNodes(t *testing.T) {
	t.Parallel()
	kills, fromUSA, fromJPN, files := tier.N(50, 200), 6000, 4000, 50
	seed := uint64(time.Now().UnixNano())
	usa, jpn, storm := allied(t, seed, kills)
	var importing sync.WaitGroup
	for n, from := range []struct {
		*site
		count int
	}{{usa, fromUSA}, {jpn, fromJPN}} {
		random := rand.New(rand.NewPCG(seed, uint64(100+n)))
		cuts := random.Perm(from.count - 1)[:files-1]
		for i := range cuts {
			cuts[i]++
		}
		cuts = append(cuts, 0, from.count)
		slices.Sort(cuts)
		importing.Go(func() {
			for i := range files {
				storm.until(t, i*kills/files) // spread over the whole storm
				list := listOf(string(from.Sign), cuts[i], cuts[i+1])
				begun := func() {}
				if i%2 == 0 { // some die with the import in hand
					begun = func() { storm.strike(from.site, time.Duration(random.IntN(100))*time.Millisecond) }
				}
				if err := from.take(fmt.Sprintf("list-%d", i), list, begun); err != nil {
					t.Errorf("%s: %v", from.Sign, err)
					return
				}
			}
		})
	}
	importing.Wait()
	storm.until(t, kills)
	storm.end()
	if t.Failed() {
		return
	}
	start := time.Now()
	calm(t, usa, jpn)
	t.Logf("%d kills; whole %s after the last", usa.killed()+jpn.killed(), time.Since(start).Round(time.Millisecond))
	for _, x := range []struct {
		from, to *site
		count    int
	}{{usa, jpn, fromUSA}, {jpn, usa, fromJPN}} {
		if out, in := x.from.exchanged(x.to), x.to.exchanged(x.from); out.IndicatorsReceipted != x.count || in.ArmedFrom != x.count {
			link, err := x.from.link()
			t.Errorf("of %d indicators of %s %d are receipted and %d armed at %s; its link: %+v, %v", x.count, x.from.Sign, out.IndicatorsReceipted, in.ArmedFrom, x.to.Sign, link, err)
		}
	}
	for _, s := range []*site{usa, jpn} {
		var a web.ArmedState
		s.must("indicator.armed", web.ArmedRef{}, &a)
		if a.Indicators != fromUSA+fromJPN || a.Values != fromUSA+fromJPN {
			t.Errorf("%s: %d indicators with %d values armed, want %d", s.Sign, a.Indicators, a.Values, fromUSA+fromJPN)
		}
		var v web.Audited
		s.must("audit.verify", nil, &v)
		for _, f := range v.Faults {
			t.Errorf("%s: audit: %s at %d in %s: %s", s.Sign, f.Code, f.Index, f.Table, f.Msg)
		}
		s.end()
	}
	equal(t, usa, jpn, fromUSA)
	equal(t, jpn, usa, fromJPN)
}

// listOf is a list of names of a party, as lists come.
func listOf(who string, from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "n%05d.%s.example\n", i, strings.ToLower(who))
	}
	return b.String()
}

// storm kills nodes and breaks connections until it ends.
type storm struct {
	sites []*site
	kills int // in all, shared evenly
	over  chan struct{}
	group sync.WaitGroup
}

func (x *storm) begin(t *testing.T, seed uint64) {
	x.over = make(chan struct{})
	for i, s := range x.sites {
		random := rand.New(rand.NewPCG(seed, uint64(2*i)))
		x.group.Go(func() {
			for s.killed() < x.kills/len(x.sites) && x.moment(s, random) {
				s.signal(syscall.SIGKILL)
			}
		})
		breaks := rand.New(rand.NewPCG(seed, uint64(2*i+1)))
		x.group.Go(func() {
			for pause(x.over, time.Duration(breaks.IntN(400))*time.Millisecond) {
				if breaks.IntN(4) > 0 {
					s.cable.Drop()
					continue
				}
				s.cable.Cut()
				pause(x.over, time.Duration(breaks.IntN(300))*time.Millisecond)
				if err := s.cable.Mend(t.Context()); err != nil {
					t.Errorf("%s: cable: %v", s.Sign, err)
				}
			}
		})
	}
	t.Cleanup(x.end)
}

// moment waits until a process is to die; false when the storm is over. Some die
// while they start, some in the first rush of work, some later, and every
// second one in the middle of what it does: a breath after it committed an act,
// its own or what its partner sent.
func (x *storm) moment(s *site, random *rand.Rand) bool {
	if random.IntN(2) > 0 {
		most := []int{200, 400, 1200}[random.IntN(3)]
		return pause(x.over, time.Duration(random.IntN(most))*time.Millisecond)
	}
	acts, breath := 1+random.IntN(4), time.Duration(random.IntN(20_000))*time.Microsecond
	last := ""
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
	defer cancel()
	for ctx.Err() == nil && acts > 0 && pause(x.over, 10*time.Millisecond) {
		_ = s.client.Call(ctx, "feed", web.FeedRef{After: -1}, nil, func(b json.RawMessage) {
			var l web.FeedLine
			if json.Unmarshal(b, &l) == nil && l.Time != last { // the changes of one act have one time
				last = l.Time
				if acts--; acts == 0 {
					cancel()
				}
			}
		}, nil)
	}
	return pause(x.over, breath)
}

// strike kills a node in a moment.
func (x *storm) strike(s *site, in time.Duration) {
	x.group.Go(func() {
		if pause(x.over, in) {
			s.signal(syscall.SIGKILL)
		}
	})
}

// until waits for a number of kills.
func (x *storm) until(t *testing.T, kills int) {
	err := crew.Until(t.Context(), 5*time.Minute, fmt.Sprintf("%d kills", kills), func() (bool, error) {
		sum := 0
		for _, s := range x.sites {
			sum += s.killed()
		}
		return sum >= kills, nil
	})
	if err != nil {
		t.Error(err)
	}
}

func (x *storm) end() {
	select {
	case <-x.over:
	default:
		close(x.over)
	}
	x.group.Wait()
}

// calm waits until both streams are applied on both sides with nothing missing,
// and nothing waits.
func calm(t *testing.T, a, b *site) {
	t.Helper()
	var told string
	err := crew.Until(t.Context(), crew.Patience, "both streams whole", func() (is bool, err error) {
		is, told, err = whole(t.Context(), a, b)
		return is, err
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, told)
	}
}

// whole reports whether two nodes are calm, and tells of their links.
func whole(ctx context.Context, a, b *site) (is bool, told string, err error) {
	for _, s := range []*site{a, b} {
		head, err := s.Settled(ctx)
		if err != nil {
			return false, "", err
		}
		var armed web.ArmedState
		if err := s.call(ctx, "indicator.armed", web.ArmedRef{}, &armed); err != nil || armed.Seq < head {
			return false, "", err
		}
	}
	la, err := a.link()
	if err != nil {
		return false, "", err
	}
	lb, err := b.link()
	told = fmt.Sprintf("%s: %+v\n%s: %+v", a.Sign, la, b.Sign, lb)
	if err != nil || len(la.Waiting)+len(lb.Waiting)+len(la.Missing)+len(lb.Missing) > 0 {
		return false, told, err
	}
	return la.Confirmed && lb.Confirmed && la.OutApplied == la.OutHead && lb.OutApplied == lb.OutHead &&
		la.OutHead == lb.InApplied && lb.OutHead == la.InApplied, told, nil
}

// equal compares what one side sent with what the other has: each indicator
// once, byte for byte, and each message under its sequence.
func equal(t *testing.T, from, to *site, want int) {
	t.Helper()
	a, b := from.store(t), to.store(t)
	sent, kept := map[stix.ID]string{}, map[stix.ID]string{}
	for _, r := range versions(t, a) {
		if r.Source.Kind != noroshi.FromPartner {
			if sent[r.Object.ID] != "" {
				t.Errorf("%s has two versions of its %s", from.Sign, r.Object.ID)
			}
			sent[r.Object.ID] = string(r.Object.Bytes())
		}
	}
	for _, r := range versions(t, b) {
		if r.Source.Kind == noroshi.FromPartner {
			if kept[r.Object.ID] != "" {
				t.Errorf("%s has two versions of %s from %s", to.Sign, r.Object.ID, from.Sign)
			}
			kept[r.Object.ID] = string(r.Object.Bytes())
		}
	}
	lost, changed := 0, 0
	for id, bytes := range sent {
		switch kept[id] {
		case bytes:
		case "":
			lost++
		default:
			changed++
		}
	}
	if lost+changed > 0 || len(sent) != want || len(kept) != want {
		t.Errorf("%s has %d indicators, want %d; %s has %d of them: %d lost, %d changed", from.Sign, len(sent), want, to.Sign, len(kept), lost, changed)
	}
	out, in := stream(t, a, b.Keys.NodeID(), true), stream(t, b, a.Keys.NodeID(), false)
	if len(out) == 0 || !slices.Equal(out, in) {
		t.Errorf("the streams from %s to %s differ:\nout %v\nin  %v", from.Sign, to.Sign, out, in)
	}
	if q, err := b.Store.QuarantineList(t.Context(), 0, 10); err != nil || len(q) > 0 {
		t.Errorf("%s: quarantined %+v, error %v", to.Sign, q, err)
	}
}

// store opens the folder of a node that has ended.
func (s *site) store(t *testing.T) *node.Node {
	t.Helper()
	n, err := node.Open(t.Context(), s.dir, noroshi.Real, node.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// versions reads every version of every indicator.
func versions(t *testing.T, n *node.Node) (all []store.Record) {
	t.Helper()
	for after := int64(0); ; after = all[len(all)-1].Seq {
		page, err := n.Store.List(t.Context(), store.Filter{Type: "indicator", After: after, Limit: 1000, All: true})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page...)
		if len(page) < 1000 {
			return all
		}
	}
}

// stream lists the messages of the stream between two nodes, as its sender or
// its receiver keeps them.
func stream(t *testing.T, n *node.Node, partner noroshi.NodeID, sender bool) (list []string) {
	t.Helper()
	epochs := epochs(t, n, partner)
	for _, e := range epochs.Theirs {
		in, err := n.Store.In(t.Context(), partner, e, 1, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range in {
			if sender {
				break
			}
			if m.State != store.Applied {
				t.Errorf("%s has message %d in state %d", n.Self.CallSign, m.Seq, m.State)
			}
			list = append(list, fmt.Sprintf("%s %d %s", e, m.Seq, m.ID))
		}
	}
	for _, e := range epochs.Mine {
		out, err := n.Store.Out(t.Context(), partner, e, 1, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range out {
			if sender {
				list = append(list, fmt.Sprintf("%s %d %s", e, m.Seq, m.ID))
			}
		}
	}
	return list
}

// lives are the epochs of a link; one is written like a node.
type lives struct{ Mine, Theirs []noroshi.NodeID }

func epochs(t *testing.T, n *node.Node, partner noroshi.NodeID) (e lives) {
	t.Helper()
	doc, err := n.Store.Doc(t.Context(), "link", partner.String())
	if err == nil {
		err = json.Unmarshal(doc, &e)
	}
	if err != nil {
		t.Fatal(err)
	}
	return e
}
