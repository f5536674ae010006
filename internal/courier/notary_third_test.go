package courier_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/stix"
)

// exchange carries envelopes between any nodes.
type exchange struct {
	nodes []*node
	tasks sync.WaitGroup
}

type exchangeEnd struct {
	x    *exchange
	from *node
}

func (e *exchangeEnd) Name() string { return "https" }

func (e *exchangeEnd) Traits() courier.Traits { return courier.Traits{Kind: noroshi.ChannelHTTPS} }

func (e *exchangeEnd) Send(_ context.Context, p noroshi.Partner, _ noroshi.Precedence, envelope []byte) error {
	for _, n := range e.x.nodes {
		c := n.running()
		if n.id() != p.Node || c == nil {
			continue
		}
		e.x.tasks.Go(func() {
			ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
			defer stop()
			_ = c.Receive(ctx, "https", e.from.id(), envelope)
		})
		return nil
	}
	return noroshi.Errorf(noroshi.Queued, "test.down", "the other end is down")
}

// allInForce is an agreement that releases whatever its markings let go.
func allInForce(a, b noroshi.Party) []byte {
	now := time.Now().UTC().Truncate(time.Second)
	return append(release.Template(release.Draft{Realm: noroshi.Real, Self: a, Partner: b, From: now.AddDate(0, -1, 0), Until: now.AddDate(1, 0, 0)}), `
[[clause]]
id = "all"
article_en = "Article 9"
article_ja = "第9条"
en = "What its markings let go is released."
ja = "マーキングが許すものは提供する。"
cedar = 'permit (principal, action == Action::"release", resource);'
`...)
}

// newTrio is a node with two partners that have nothing to do with each other.
func newTrio(t *testing.T) (a, b, c *node, until *pair) {
	t.Helper()
	x := &exchange{}
	for i, sign := range ringSigns {
		n := newNode(t, sign, stix.ID(fmt.Sprintf("identity--5a1f6c2e-2d3b-4c57-9a43-0d8a1f1a00%02d", i+1)))
		n.wire, n.check = &exchangeEnd{x, n}, 300*time.Millisecond
		n.open()
		x.nodes = append(x.nodes, n)
	}
	a, b, c = x.nodes[0], x.nodes[1], x.nodes[2]
	for i, o := range []*node{b, c} {
		file := allInForce(a.party(), o.party())
		out, in := []byte(strings.Repeat(fmt.Sprint(i), 32)), []byte(strings.Repeat(fmt.Sprint(5+i), 32))
		a.meet(o, file, out, in)
		o.meet(a, file, in, out)
	}
	t.Cleanup(func() {
		for _, n := range x.nodes {
			n.end()
		}
		x.tasks.Wait()
	})
	for _, n := range x.nodes {
		n.start()
	}
	return a, b, c, &pair{t: t, a: a, b: b}
}

// told is what the statements about A's ledger rest on that B got: the acts it
// stands for, by what the partner may see of each, how many leaves it has, and
// how often a head of it was issued.
func told(a, b *node) (acts string, leaves, heads int) {
	a.t.Helper()
	list, err := a.store.LinkLeaves(a.t.Context(), b.id(), 0, 1000)
	if err != nil {
		a.t.Fatal(err)
	}
	// What the clock decides is left out: in how many acts a list goes, and what
	// the other side did in between.
	count := map[string]int64{}
	for _, l := range list {
		if !noroshi.Action(l.Action).Evidence() {
			count[fmt.Sprintf("%s %q %d", l.Action, l.Label, l.Precedence)] += max(l.Count, 1)
		}
	}
	docs, err := a.store.DocVersions(a.t.Context(), "link-checkpoint", b.id().String())
	if err != nil {
		a.t.Fatal(err)
	}
	return fmt.Sprint(count), len(list), len(docs)
}

// acs is a marking for some nations alone, and the member that puts it on an
// object.
func acs(n int, nations string) (definition, member string) {
	id := fmt.Sprintf("marking-definition--00000000-0000-4000-8000-%012d", n)
	return fmt.Sprintf(`{"type":"marking-definition","spec_version":"2.1","id":%q,"created":"2026-11-01T00:00:00.000Z","extensions":{%q:{"extension_type":"property-extension","identifier":"isa:guide.999191.ACS3-%d","create_date_time":"2026-11-01T00:00:00.000Z","responsible_entity_custodian":"USA.MOD","policy_reference":"urn:isa:policy:acs:ns:v3.0?privdefault=permit&sharedefault=permit","control_set":{"classification":"U","permitted_nationalities":[%s]}}}}`,
		id, noroshi.ACSExtension, n, nations), fmt.Sprintf(`,"object_marking_refs":[%q]`, id)
}

// TestCheckpointsTellNothingOfOthers: what a node has to do with a third one
// moves neither the ledger that its partner countersigns, nor when it is issued,
// nor how large the statements are.
func TestCheckpointsTellNothingOfOthers(t *testing.T) {
	t.Parallel()
	run := func(third bool) string {
		a, b, c, p := newTrio(t)
		a.importList("one.txt", 0, 20)
		p.until("the first list", 20*time.Second, func() bool { return b.count("indicator") == 20 && a.covered(b) && b.covered(a) })
		_, leaves, heads := told(a, b)
		theirs, _ := b.store.EvidenceOf(t.Context(), a.id(), uint8(message.CheckpointKind), 0, 1000)
		if third {
			notB, id := acs(77, `"USA","KOR"`)
			for i := range 3 {
				c.bundle(fmt.Sprintf("c%d.json", i), notB, domain(ringID(31+i), fmt.Sprintf("from-c-%d", i), noroshi.NoTLP, id))
				p.until("what C sent", 20*time.Second, func() bool { return a.count("indicator") == i+1 && c.covered(a) && a.covered(c) })
			}
			onlyC, id := acs(78, `"KOR"`)
			a.bundle("a.json", onlyC, domain(ringID(21), "for-c", noroshi.NoTLP, id))
			p.until("what only C gets", 20*time.Second, func() bool { return c.has(ringID(21), a) && a.covered(c) })
			c.recall(c.running(), ringID(31), message.RecallStopUse)
			p.until("the recall", 20*time.Second, func() bool { return a.current(ringID(31)).Withdrawn && a.covered(c) && c.covered(a) })
		} else {
			p.until("heartbeats", 20*time.Second, func() bool { return a.running().Counters().Statements > 30 })
		}
		_, nowLeaves, nowHeads := told(a, b)
		now, _ := b.store.EvidenceOf(t.Context(), a.id(), uint8(message.CheckpointKind), 0, 1000)
		if nowLeaves != leaves || nowHeads != heads || len(now) != len(theirs) {
			t.Errorf("third %t: %d leaves, %d heads issued, %d countersigned; then %d, %d, %d", third, leaves, heads, len(theirs), nowLeaves, nowHeads, len(now))
		}
		a.importList("two.txt", 50, 60)
		p.until("the second list", 20*time.Second, func() bool { return b.count("indicator") == 30 && a.covered(b) && b.covered(a) })
		acts, _, _ := told(a, b)
		for _, e := range now {
			st, err := message.DecodeStatement(noroshi.Real, e.Signed)
			if err != nil {
				t.Fatal(err)
			}
			body, err := message.DecodeCheckpoint(st.Body)
			if err != nil || len(st.Body)-34*len(body.Proof) > 400 {
				t.Errorf("a checkpoint of %d bytes with %d hashes, error %v", len(st.Body), len(body.Proof), err)
			}
		}
		return acts
	}
	alone, beside := run(false), run(true)
	if alone != beside {
		t.Errorf("what stands on the link depends on a third party:\n%s\nand with it:\n%s", alone, beside)
	}
	if !strings.Contains(alone, "send") {
		t.Errorf("nothing was sent:\n%s", alone)
	}
}

func ringID(n int) stix.ID {
	return stix.ID(fmt.Sprintf("indicator--0a0b0c0d-0000-4000-8000-%012d", n))
}
