package courier_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
	"github.com/noroshi-cti/noroshi/stix"
)

// node is one side: a real store, both gates and a courier, that can be ended
// and started again.
type node struct {
	t     testing.TB
	sign  noroshi.CallSign
	dir   string
	at    string // where its store is
	keys  *message.Keyring
	ident stix.ID
	wire  courier.Channel
	check time.Duration     // Options.Checkpoint
	beat  time.Duration     // Options.Heartbeat; 0 = 300 ms
	quota int64             // Options.Quota
	more  []courier.Channel // besides wire
	vault courier.Vault     // nil: no LINK is made
	clock func() time.Time  // nil: the real one
	leap  courier.Leap      // of its keys, at its next restore
	asks  func() time.Time  // the clock of the release desk; nil: the real one

	document func(context.Context, noroshi.NodeID, []byte) error // what takes documents; nil: nothing

	mu      sync.Mutex
	courier *courier.Courier // nil while the node is down
	store   *store.Store
	gate    *intake.Gate
	desk    *release.Desk
	stop    context.CancelFunc
	done    sync.WaitGroup
}

func newNode(t testing.TB, sign noroshi.CallSign, identity stix.ID) *node {
	t.Helper()
	keys, err := message.NewKeyring(noroshi.Real, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return &node{t: t, sign: sign, dir: dir, at: storetest.In(t, dir, noroshi.Real), keys: keys, ident: identity}
}

func (n *node) id() noroshi.NodeID { return n.keys.NodeID() }

func (n *node) party() noroshi.Party {
	return noroshi.Party{CallSign: n.sign, Node: n.id(), Identity: n.ident}
}

// open opens the store and what stands on it.
func (n *node) open() {
	n.t.Helper()
	public, sign := n.keys.Control()
	s, err := store.Open(context.Background(), n.at, store.Options{Realm: noroshi.Real, Node: n.id(), Sign: sign, Key: public,
		Recalls: filepath.Join(n.dir, noroshi.Real.File()+".recalls")})
	if err != nil {
		n.t.Fatal(err)
	}
	self := noroshi.Organisation{CallSign: n.sign, Identity: n.ident}
	n.store = s
	n.gate = intake.New(s, intake.Options{Realm: noroshi.Real, Node: n.id(), Self: self})
	if n.desk, err = release.New(s, release.Options{Realm: noroshi.Real, Node: n.id(), Self: self, Now: n.asks}); err != nil {
		n.t.Fatal(err)
	}
}

// start runs courier and desk.
func (n *node) start() {
	n.t.Helper()
	c, err := courier.New(n.store, n.gate, n.desk, courier.Options{Realm: noroshi.Real, Node: n.id(), Keys: n.keys,
		Channels: append([]courier.Channel{n.wire}, n.more...), Heartbeat: cmp.Or(n.beat, 300*time.Millisecond), Resend: 100 * time.Millisecond,
		Vault: n.vault, Now: n.clock, Checkpoint: n.check, Quota: n.quota})
	if err != nil {
		n.t.Fatal(err)
	}
	if _, err := c.RepeatRecalls(context.Background()); err != nil {
		n.t.Fatal(err)
	}
	if n.document != nil {
		c.OnDocument(n.document)
	}
	ctx, stop := context.WithCancel(context.Background())
	n.mu.Lock()
	n.courier, n.stop = c, stop
	n.mu.Unlock()
	n.done.Go(func() {
		if err := c.Run(ctx); err != nil {
			n.t.Errorf("%s: courier: %v", n.sign, err)
		}
	})
	n.done.Go(func() { n.decide(ctx) })
}

// decide follows the feed with the desk. Where the feed ends is asked before each
// look: what comes meanwhile is not waited past.
func (n *node) decide(ctx context.Context) {
	for ctx.Err() == nil {
		after, err := n.store.Head(ctx)
		more := false
		if err == nil {
			more, err = n.desk.Step(ctx)
		}
		if c := n.running(); err == nil && !more && c != nil {
			more, err = c.Step(ctx)
		}
		if err != nil && ctx.Err() == nil {
			n.t.Errorf("%s: desk and recalls: %v", n.sign, err)
			return
		}
		if !more {
			_ = n.store.Wait(ctx, after)
		}
	}
}

// end stops the node and closes its store.
func (n *node) end() {
	n.mu.Lock()
	stop := n.stop
	n.courier, n.stop = nil, nil
	n.mu.Unlock()
	if stop != nil {
		stop()
		n.done.Wait()
	}
	if n.store != nil {
		if err := n.store.Close(); err != nil {
			n.t.Errorf("%s: close: %v", n.sign, err)
		}
		n.store = nil
	}
}

func (n *node) running() *courier.Courier {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.courier
}

// meet writes what an introduction and an agreement leave behind.
func (n *node) meet(o *node, agreement []byte, out, in []byte) {
	n.t.Helper()
	a, err := noroshi.ParseAgreement(agreement)
	if err != nil {
		n.t.Fatal(err)
	}
	p := noroshi.Partner{Node: o.id(), Trust: noroshi.InForce, Agreement: a.Hash, GateOut: out, GateIn: in,
		Organisation: noroshi.Organisation{CallSign: o.sign, Identity: o.ident}}
	body, err := json.Marshal(p)
	if err != nil {
		n.t.Fatal(err)
	}
	_, err = n.store.Do(context.Background(), noroshi.Act{Action: noroshi.ActAgreementInForce, Subject: "test"}, func(tx *store.Tx) error {
		for kind, doc := range map[[2]string][]byte{
			{noroshi.DocPartner, o.id().String()}:                           body,
			{noroshi.DocKeyset, o.id().String()}:                            o.keys.Keyset().Bytes(),
			{noroshi.DocAgreement, a.Hash.String()}:                         agreement,
			{noroshi.DocSignature, a.Hash.String() + "/" + n.id().String()}: {1},
			{noroshi.DocSignature, a.Hash.String() + "/" + o.id().String()}: {1},
		} {
			if err := tx.PutDoc(kind[0], kind[1], doc); err != nil {
				return err
			}
		}
		return tx.Notice(store.AgreementChanged, o.id().String())
	})
	if err != nil {
		n.t.Fatal(err)
	}
}

// pair is two nodes with an agreement in force over a rough wire.
type pair struct {
	t    testing.TB
	a, b *node
	net  *rough
	file []byte // of the agreement
}

func newPair(t testing.TB, seed uint64, loss, twice int) *pair {
	t.Helper()
	return newPairUnder(t, seed, loss, twice, func(file string) string { return file })
}

// newPairUnder is a pair under a changed agreement.
func newPairUnder(t testing.TB, seed uint64, loss, twice int, change func(string) string) *pair {
	t.Helper()
	p := &pair{t: t, a: newNode(t, "USA-01", "identity--5a1f6c2e-2d3b-4c57-9a43-0d8a1f1a0001"),
		b: newNode(t, "JPN-01", "identity--5a1f6c2e-2d3b-4c57-9a43-0d8a1f1a0002")}
	p.net = &rough{rng: rand.New(rand.NewPCG(seed, 1)), loss: loss, twice: twice, stopped: make(chan struct{})}
	p.a.wire, p.b.wire = &roughEnd{net: p.net, from: p.a, to: p.b}, &roughEnd{net: p.net, from: p.b, to: p.a}
	now := time.Now().UTC().Truncate(time.Second)
	p.file = []byte(change(string(release.Template(release.Draft{Realm: noroshi.Real, Self: p.a.party(), Partner: p.b.party(), From: now.AddDate(0, -1, 0), Until: now.AddDate(1, 0, 0)}))))
	ab, ba := []byte(strings.Repeat("a", 32)), []byte(strings.Repeat("b", 32))
	p.a.open()
	p.b.open()
	p.a.meet(p.b, p.file, ab, ba)
	p.b.meet(p.a, p.file, ba, ab)
	t.Cleanup(func() {
		close(p.net.stopped)
		p.net.drain(p.a, p.b)
	})
	return p
}

func (p *pair) start() { p.a.start(); p.b.start() }

// rough loses, doubles and reorders envelopes.
type rough struct {
	mu      sync.Mutex
	rng     *rand.Rand
	loss    int // of a hundred
	twice   int
	cut     bool
	tasks   sync.WaitGroup
	stopped chan struct{}
	seen    [][]byte // every envelope, when watch is on
	watch   bool
	small   bool // what is larger than a STATE is lost
	full    int  // so many of what is larger than a STATE are not taken
	narrow  bool
	spoils  func(from *node, envelope []byte) bool // it is lost
	still   *still                                 // somebody waits for both ends to hand one over
}

// still is where the ends wait for each other, each with an envelope it hands over.
type still struct {
	here     map[*node]bool
	all, end chan struct{}
}

type roughEnd struct {
	net      *rough
	from, to *node
	kind     string // "" = https
}

func (e *roughEnd) Name() string { return e.Traits().Kind }

func (e *roughEnd) Traits() courier.Traits {
	t := courier.Traits{Kind: cmp.Or(e.kind, noroshi.ChannelHTTPS), Cost: 1}
	if e.net.narrow {
		t.Kind, t.Narrow = noroshi.ChannelLine, true
	}
	if t.Kind != noroshi.ChannelHTTPS {
		t.Cost = 2
	}
	return t
}

func (e *roughEnd) Send(ctx context.Context, p noroshi.Partner, prec noroshi.Precedence, envelope []byte) error {
	n := e.net
	n.mu.Lock()
	if n.watch {
		n.seen = append(n.seen, envelope)
	}
	if x := n.still; x != nil && !x.here[e.from] {
		if x.here[e.from] = true; len(x.here) == 2 {
			close(x.all)
		}
		n.mu.Unlock()
		select {
		case <-x.end:
		case <-n.stopped:
		}
		n.mu.Lock()
	}
	cut, lost, copies := n.cut, n.rng.IntN(100) < n.loss, 1
	lost = lost || n.small && len(envelope) > 2100 || n.spoils != nil && n.spoils(e.from, envelope)
	full := n.full > 0 && len(envelope) > 2100
	if full {
		n.full--
	}
	if n.rng.IntN(100) < n.twice {
		copies = 2
	}
	delay := time.Duration(n.rng.IntN(4)) * time.Millisecond * time.Duration(min(n.loss, 1))
	n.mu.Unlock()
	if full {
		return noroshi.Errorf(noroshi.Busy, "test.full", "the wire is full")
	}
	if cut {
		return noroshi.Errorf(noroshi.Queued, "test.cut", "the wire is cut")
	}
	if lost {
		return nil
	}
	to := e.to.running()
	if to == nil {
		return noroshi.Errorf(noroshi.Queued, "test.down", "the other end is down")
	}
	for range copies {
		n.tasks.Go(func() {
			select {
			case <-time.After(delay):
			case <-n.stopped:
				return
			}
			ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
			defer stop()
			_ = to.Receive(ctx, e.Name(), e.from.id(), envelope)
		})
	}
	return nil
}

// drain ends who sends over the wire, and only then waits for what is under way: a
// wait while more may be sent is over too soon.
func (n *rough) drain(senders ...*node) {
	for _, x := range senders {
		x.end()
	}
	n.tasks.Wait()
}

func (n *rough) setCut(cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = cut
}

// between runs f while each end is handing an envelope over: what either of them says
// of itself is sealed one after the other, so that none is sealed that has not come here.
func (p *pair) between(f func()) {
	p.t.Helper()
	x := &still{map[*node]bool{}, make(chan struct{}), make(chan struct{})}
	set := func(x *still) {
		p.net.mu.Lock()
		defer p.net.mu.Unlock()
		p.net.still = x
	}
	set(x)
	defer close(x.end)
	defer set(nil)
	p.until("both ends say something", 20*time.Second, func() bool {
		select {
		case <-x.all:
			return true
		default:
			return false
		}
	})
	f()
}

func (n *rough) onlySmall(small bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.small = small
}

// until waits for something that takes within on a quiet machine, and gives up
// after ten times that; each look costs what is waited for, so that looks become rarer.
func (p *pair) until(what string, within time.Duration, ok func() bool) {
	p.t.Helper()
	for start := time.Now(); !ok(); {
		waited := time.Since(start)
		if waited > 10*within {
			p.t.Fatalf("not in %v: %s\nA: %s\nB: %s", within, what, p.a.show(), p.b.show())
		}
		tick := time.NewTimer(min(max(waited/8, time.Millisecond), 50*time.Millisecond))
		<-tick.C
	}
}

func (n *node) show() string {
	c := n.running()
	if c == nil {
		return "down"
	}
	links, err := c.Links(context.Background())
	text, _ := json.Marshal(links)
	return fmt.Sprintf("%s %v %+v", text, err, c.Counters())
}

func (n *node) count(typ string) int {
	count := 0
	err := n.store.Each(context.Background(), typ, 0, func(r store.Record) error {
		if r.Source.Kind == noroshi.FromPartner {
			count++
		}
		return nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return count
}

// importList imports domains from..to-1 as TLP:GREEN.
func (n *node) importList(name string, from, to int) {
	n.t.Helper()
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "host-%d.example.net\n", i)
	}
	if _, err := n.gate.Import(context.Background(), strings.NewReader(b.String()), intake.ImportOptions{Name: name, Format: "list", Marking: noroshi.Green}); err != nil {
		n.t.Fatal(err)
	}
}

// importLarge imports indicators from..to-1 of which each makes any message that it
// is in larger than a STATE. Of a list that is not so: while others write, an import
// is cut, and its parts fit into the smallest envelope.
func (n *node) importLarge(name string, from, to int) {
	n.t.Helper()
	var objects []string
	for i := from; i < to; i++ {
		noise := make([]byte, 3000)
		rng := rand.NewChaCha8([32]byte{byte(i), byte(i >> 8)})
		_, _ = rng.Read(noise)
		id := stix.ID(fmt.Sprintf("indicator--0a0b0c0d-0001-4000-8000-%012d", i))
		objects = append(objects, domain(id, fmt.Sprintf("large-%d", i), noroshi.Green, fmt.Sprintf(`,"created_by_ref":%q,"description":"%x"`, n.ident, noise)))
	}
	n.bundle(name, objects...)
}

// acts counts ledger entries by action.
func (n *node) acts() (total int, by map[noroshi.Action]int) {
	by = map[noroshi.Action]int{}
	list := n.record()
	for _, e := range list {
		by[e.Act.Action]++
	}
	return len(list), by
}

// record is the whole ledger: what is said of it must not stop at a page.
func (n *node) record() (all []store.Entry) {
	n.t.Helper()
	for {
		list, err := n.store.Acts(context.Background(), uint64(len(all)), store.MaxPage)
		if err != nil {
			n.t.Fatal(err)
		}
		if all = append(all, list...); len(list) < store.MaxPage {
			return all
		}
	}
}
