package courier_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
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

// mesh is a node's wires to all others.
type mesh map[noroshi.NodeID]*roughEnd

func (m mesh) Name() string { return "https" }

func (m mesh) Traits() courier.Traits { return courier.Traits{Kind: noroshi.ChannelHTTPS} }

func (m mesh) Send(ctx context.Context, p noroshi.Partner, prec noroshi.Precedence, envelope []byte) error {
	return m[p.Node].Send(ctx, p, prec, envelope)
}

// newMesh is three running nodes, each in agreement with the others, over wires
// that lose and double.
func newMesh(t *testing.T, seed uint64) (nodes []*node, net *rough) {
	t.Helper()
	net = &rough{rng: rand.New(rand.NewPCG(seed, 1)), loss: 10, twice: 10, stopped: make(chan struct{})}
	for i, sign := range ringSigns {
		nodes = append(nodes, newNode(t, sign, stix.ID(fmt.Sprintf("identity--5a1f6c2e-2d3b-4c57-9a43-0d8a1f1a000%d", i+1))))
	}
	now := time.Now().UTC().Truncate(time.Second)
	for _, n := range nodes {
		wires := mesh{}
		for _, o := range nodes {
			wires[o.id()] = &roughEnd{net: net, from: n, to: o}
		}
		n.wire = wires
		n.open()
	}
	for i, n := range nodes {
		for j, o := range nodes[:i] {
			file := release.Template(release.Draft{Realm: noroshi.Real, Self: n.party(), Partner: o.party(), From: now.AddDate(0, -1, 0), Until: now.AddDate(1, 0, 0)})
			to, from := []byte(strings.Repeat(fmt.Sprint(i), 32)), []byte(strings.Repeat(fmt.Sprint(3+j), 32))
			n.meet(o, file, to, from)
			o.meet(n, file, from, to)
		}
	}
	t.Cleanup(func() {
		close(net.stopped)
		net.drain(nodes...)
	})
	for _, n := range nodes {
		n.start()
	}
	return nodes, net
}

// busy reports why a node is not at rest, or "".
func (n *node) busy() string {
	links, err := n.running().Links(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	for _, l := range links {
		if !l.Confirmed || len(l.Waiting) > 0 || l.OutApplied != l.OutHead || len(l.Missing) > 0 {
			return fmt.Sprintf("%s: %+v", n.sign, l)
		}
	}
	recalls, err := n.running().Recalls(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	for _, r := range recalls {
		for _, to := range r.To {
			if to.Open() {
				return fmt.Sprintf("%s: recall %s of %v waits for %s", n.sign, r.ID, r.Entries, to.Partner)
			}
		}
	}
	return ""
}

// TestRecallsAmongThree: three nodes make indicators, pass on each other's and
// recall their own, over wires that lose, double and are cut. In the end every
// recall is answered by everyone it went to, and what was recalled is in use
// nowhere, by whatever way it came.
func TestRecallsAmongThree(t *testing.T) {
	t.Parallel()
	const seed = 41
	nodes, net := newMesh(t, seed)
	r := rand.New(rand.NewPCG(seed, 2))
	var made [3][]stix.ID
	recalled := map[stix.ID]bool{}
	serial := 0
	for range tier.N(60, 600) {
		i := r.IntN(3)
		n := nodes[i]
		switch k := r.IntN(10); {
		case k < 5 || len(made[i]) == 0:
			serial++
			id := stix.ID(fmt.Sprintf("indicator--0a0b0c0d-0000-4000-8000-%012d", serial))
			n.bundle(fmt.Sprintf("%d.json", serial), domain(id, fmt.Sprintf("h%d", serial), noroshi.Green, ""))
			made[i] = append(made[i], id)
		case k < 8:
			at := r.IntN(len(made[i]))
			id := made[i][at]
			made[i] = append(made[i][:at], made[i][at+1:]...)
			n.recall(n.running(), id, message.RecallStopUse)
			recalled[id] = true
		case k < 9:
			net.setCut(true)
		default:
			net.setCut(false)
		}
	}
	net.setCut(false)
	deadline := time.Now().Add(2 * time.Minute)
	for rest := 0; rest < 3; {
		why := ""
		for _, n := range nodes {
			if why == "" {
				why = n.busy()
			}
		}
		if rest++; why != "" {
			rest = 0
		}
		if time.Now().After(deadline) {
			t.Fatalf("never at rest: %s", why)
		}
		tick := time.NewTimer(20 * time.Millisecond)
		<-tick.C
	}
	answers := 0
	for _, n := range nodes {
		list, err := n.running().Recalls(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list {
			answers += len(r.To)
		}
		if err := n.store.Each(t.Context(), "indicator", 0, func(rec store.Record) error {
			if recalled[rec.Object.ID] && rec.Current && !rec.Withdrawn {
				t.Errorf("%s still uses %s, which was recalled", n.sign, rec.Object.ID)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if v, err := n.store.Verify(t.Context(), nil); err != nil || len(v.Faults) > 0 {
			t.Errorf("%s: audit: %v %v", n.sign, v.Faults, err)
		}
	}
	if len(recalled) < 5 || answers < 5 {
		t.Errorf("%d objects were recalled, %d answers", len(recalled), answers)
	}
	t.Logf("%d made, %d recalled, %d answered", serial, len(recalled), answers)
}
