// Package courier keeps the streams to partner nodes: sequence, precedence,
// receipts, repair. It takes nothing but release.Cleared and the fixed control
// forms of message, and hands in nothing but through intake.
//
// It is a thin driver around message.Step: what Step wants durable it commits
// by store.Do, what Step wants sent it seals and hands to a channel, and only
// what was committed goes back to Step as an event. All that is known of a link
// can be rebuilt from the store, at any moment (exchange: T1 to T4, R1, R2).
package courier

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Options of a Courier.
type Options struct {
	Realm     noroshi.Realm
	Node      noroshi.NodeID
	Keys      *message.Keyring
	Channels  []Channel
	Now       func() time.Time // nil = time.Now
	Heartbeat time.Duration    // STATE at least this often; 0 = 10 s
	Resend    time.Duration    // first wait for a receipt before a message is sent again; 0 = 2 s
	Vault     Vault            // for the secrets of LINKs; nil = none is made, the cards' serve

	// Checkpoint is how often the head of a link's ledger is issued at most, when
	// it has grown by an act; with a FLASH it goes at once. 0 = 60 s.
	Checkpoint time.Duration

	// Quota is how many bytes of one partner are kept in a day; 0 = DefaultQuota.
	Quota int64
}

// Courier drives the streams of one node in one realm. It is safe for
// concurrent use.
type Courier struct {
	s    *store.Store
	gate *intake.Gate
	desk *release.Desk
	o    Options

	making sync.Mutex // held while a link is made: two would open two first epochs; taken before mu
	mu     sync.Mutex // guards links, ctx, begun; taken before any link's lock
	links  map[noroshi.NodeID]*link
	ctx    context.Context // of Run; nil before
	begun  bool            // the links Run found at its start are there
	ready  chan struct{}   // closed when begun
	tasks  sync.WaitGroup  // everything Run started
	counts counters

	turn     sync.Mutex // held by Step
	remarked int64      // guarded by turn; how far Step has read the feed

	safe safe

	looking    sync.Mutex                   // held while recovering is read
	recovering atomic.Pointer[[]Recovering] // links that wait, as last read

	arrived func(ctx context.Context, from noroshi.NodeID, doc []byte) error
}

// New wires a courier; nothing runs before Run.
func New(s *store.Store, g *intake.Gate, d *release.Desk, o Options) (*Courier, error) {
	if s == nil || g == nil || d == nil || o.Keys == nil || o.Realm.IsZero() || o.Node == (noroshi.NodeID{}) {
		return nil, noroshi.Errorf(noroshi.Invalid, "courier.options", "a courier needs a store, both gates, keys, a realm and a node")
	}
	if o.Keys.Realm() != o.Realm || o.Keys.NodeID() != o.Node {
		return nil, noroshi.Errorf(noroshi.Invalid, "courier.keys", "the keys are of node %s in realm %s, not of %s in %s",
			o.Keys.NodeID(), o.Keys.Realm(), o.Node, o.Realm)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Heartbeat <= 0 {
		o.Heartbeat = 10 * time.Second
	}
	if o.Checkpoint <= 0 {
		o.Checkpoint = time.Minute
	}
	if o.Quota <= 0 {
		o.Quota = DefaultQuota
	}
	return &Courier{s: s, gate: g, desk: d, o: o, links: map[noroshi.NodeID]*link{}, ready: make(chan struct{}), safe: safe{vault: o.Vault}}, nil
}

// While runs fn with a courier that runs: at once where this one does, and when
// alone says that nobody else drives the streams, as for a command that opened the
// folder itself, in one that runs for the time of fn. Else the error is Queued.
func (c *Courier) While(ctx context.Context, alone bool, fn func(context.Context) error) error {
	c.mu.Lock()
	running, ready := c.ctx != nil, c.ready
	c.mu.Unlock()
	ended := make(chan error, 1)
	switch {
	case running:
	case !alone:
		return noroshi.Errorf(noroshi.Queued, "courier.stopped", "no courier runs here now")
	default:
		run, stop := context.WithCancel(ctx)
		defer func() {
			stop()
			<-ended
		}()
		go func() {
			defer close(ended)
			ended <- c.Run(run)
		}()
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-ready:
		return fn(ctx)
	}
}

// OnDocument is called for documents that arrive (set before Run).
func (c *Courier) OnDocument(fn func(ctx context.Context, from noroshi.NodeID, doc []byte) error) {
	c.arrived = fn
}

// Run follows the feed and the clock until ctx ends: puts released batches into
// the streams, seals and sends by precedence, repairs gaps. When it returns
// nothing it started is running any more.
func (c *Courier) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	c.mu.Lock()
	if c.ctx != nil {
		c.mu.Unlock()
		stop()
		return noroshi.Errorf(noroshi.Conflict, "courier.running", "the courier runs already")
	}
	c.ctx = ctx
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		stop() // under the lock: what spawn starts is started before the wait, or never
		c.mu.Unlock()
		c.tasks.Wait()
		c.mu.Lock()
		if c.begun {
			c.ready = make(chan struct{})
		}
		c.ctx, c.begun, c.links = nil, false, map[noroshi.NodeID]*link{}
		c.mu.Unlock()
	}()
	return c.follow(ctx)
}

// follow wakes links when the feed says that something changed for them.
func (c *Courier) follow(ctx context.Context) error {
	after, err := c.s.Head(ctx)
	if err != nil {
		return quiet(ctx, err)
	}
	if err := c.safe.load(); err != nil {
		return err
	}
	if err := errors.Join(c.readRecoveries(ctx), c.refresh(ctx)); err != nil {
		return quiet(ctx, err)
	}
	c.mu.Lock()
	c.begun = true
	close(c.ready)
	c.mu.Unlock()
	for {
		if err := c.s.Wait(ctx, after); err != nil {
			return quiet(ctx, err)
		}
		changes, err := c.s.Feed(ctx, after, 1000)
		if err != nil {
			return quiet(ctx, err)
		}
		var partners, pull, recovery bool
		for _, ch := range changes {
			after = ch.Seq
			partners = partners || ch.Kind == store.PartnerChanged || ch.Kind == store.AgreementChanged
			pull = pull || ch.Kind == store.BatchReleased
			recovery = recovery || ch.Kind == RecoveryChanged
		}
		if partners {
			if err := c.refresh(ctx); err != nil {
				return quiet(ctx, err)
			}
		}
		if recovery || partners {
			if err := c.readRecoveries(ctx); err != nil {
				return quiet(ctx, err)
			}
		}
		if pull || partners {
			for _, l := range c.all() {
				l.released.Store(true)
				l.wakePull()
			}
		}
	}
}

// quiet makes the end of ctx no error.
func quiet(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// refresh reads partners, keys and agreements anew, starts links that have
// become live and tells the others what changed.
func (c *Courier) refresh(ctx context.Context) error {
	partners, err := c.s.Partners(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range partners {
		if err := c.refreshLink(ctx, p); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// live reports whether anything may flow to or from a partner.
func live(p noroshi.Partner) bool {
	return (p.Trust == noroshi.Introduced || p.Trust == noroshi.InForce) && len(p.GateIn) > 0 && len(p.GateOut) > 0
}

func (c *Courier) refreshLink(ctx context.Context, p noroshi.Partner) error {
	c.making.Lock()
	defer c.making.Unlock()
	c.mu.Lock()
	l, run := c.links[p.Node], c.ctx
	c.mu.Unlock()
	if l == nil && !live(p) {
		return nil
	}
	v, err := c.view(ctx, p)
	if err != nil {
		return err
	}
	if l != nil {
		switch was := l.view.Swap(v); {
		case was.keys.Hash() != v.keys.Hash():
			l.spawn(l.keysChanged)
		case v.another(was), was.suspended() && !v.suspended(): // what came before may be applied
			l.spawn(l.resume)
		}
		l.rewire()
		return nil
	}
	if l, err = c.build(ctx, v); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.links[p.Node] != nil || run == nil || c.ctx != run {
		return nil
	}
	c.links[p.Node] = l
	c.tasks.Go(func() { l.run(run) })
	return nil
}

// view is what a link knows of the other side's papers; it is replaced whole.
type view struct {
	partner    noroshi.Partner
	keys       *message.Keyset
	agreement  *noroshi.Agreement // in force; nil = none
	agreements []noroshi.Hash     // both signed, present and former
	packings   []uint8            // that contents may have
	spoken     *noroshi.Agreement // the last in force, while it is suspended too: what is on its way is sealed under it
}

func (c *Courier) view(ctx context.Context, p noroshi.Partner) (*view, error) {
	v := &view{partner: p}
	doc, err := c.s.Doc(ctx, noroshi.DocKeyset, p.Node.String())
	if err != nil {
		return nil, err
	}
	if v.keys, err = message.ParseKeyset(c.o.Realm, doc); err != nil {
		return nil, err
	}
	signed, err := c.s.Docs(ctx, noroshi.DocSignature)
	if err != nil {
		return nil, err
	}
	for key := range signed {
		if len(key) != 64+1+32 || key[65:] != p.Node.String() || signed[key[:65]+c.o.Node.String()] == nil {
			continue
		}
		var h noroshi.Hash
		if h.UnmarshalText([]byte(key[:64])) == nil {
			v.agreements = append(v.agreements, h)
		}
	}
	if p.Agreement.IsZero() {
		return v, nil
	}
	if p.Trust == noroshi.InForce && !slices.Contains(v.agreements, p.Agreement) {
		v.agreements = append(v.agreements, p.Agreement)
	}
	file, err := c.s.Doc(ctx, noroshi.DocAgreement, p.Agreement.String())
	if err != nil && noroshi.KindOf(err) != noroshi.NotFound {
		return nil, err
	}
	if a, err := noroshi.ParseAgreement(file); err == nil && a.Hash == p.Agreement {
		v.spoken = a // else it is unreadable, and not in force
	}
	if p.Trust == noroshi.InForce {
		v.agreement, v.packings = v.spoken, message.Packings(v.spoken)
	}
	return v, nil
}

// another reports whether an agreement is in force that was not.
func (v *view) another(was *view) bool {
	return v.agreement != nil && (was.agreement == nil || v.agreement.Hash != was.agreement.Hash)
}

// suspended reports whether nothing of the agreement is given or taken.
func (v *view) suspended() bool { return len(v.partner.Suspended) > 0 }

// suitesOn are those of envelopes over a kind of channel.
func (v *view) suitesOn(kind string) []message.Suite { return message.SuitesOn(v.agreement, kind) }

// heardOn are the suites of what may come over a kind of channel.
func (v *view) heardOn(kind string) []message.Suite {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(v.suitesOn(kind), message.SuitesOn(v.spoken, kind)))))
}

// would reports whether an agreement is in force but for a suspension.
func (v *view) would(agreement noroshi.Hash, now time.Time) bool {
	return v.spoken != nil && v.spoken.Hash == agreement && v.spoken.InForce(now)
}

// inForce reports whether data may flow now, and under which agreement.
func (v *view) inForce(now time.Time) (noroshi.Hash, bool) {
	if v.partner.Trust != noroshi.InForce || v.agreement == nil || !v.agreement.InForce(now) {
		return noroshi.Hash{}, false
	}
	return v.agreement.Hash, true
}

// lastAgreement returns the agreement in force, else the last one both signed.
func (v *view) lastAgreement(now time.Time) (noroshi.Hash, bool) {
	if h, ok := v.inForce(now); ok {
		return h, true
	}
	if !v.partner.Agreement.IsZero() {
		return v.partner.Agreement, true
	}
	if n := len(v.agreements); n > 0 {
		return v.agreements[n-1], true
	}
	return noroshi.Hash{}, false
}

func (c *Courier) all() []*link {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]*link, 0, len(c.links))
	for _, l := range c.links {
		list = append(list, l)
	}
	return list
}

// link returns the live link with a partner, or an error that says why not:
// NotFound only when there is none, not while the links are still being made.
func (c *Courier) link(partner noroshi.NodeID) (*link, error) {
	c.mu.Lock()
	l, running, begun := c.links[partner], c.ctx != nil, c.begun
	c.mu.Unlock()
	switch {
	case l != nil && live(l.view.Load().partner):
		return l, nil
	case !running:
		return nil, noroshi.Errorf(noroshi.Queued, "courier.stopped", "no courier runs here now")
	case l == nil && !begun:
		return nil, noroshi.Errorf(noroshi.Queued, "courier.starting", "the courier is starting")
	}
	return nil, noroshi.Errorf(noroshi.NotFound, "courier.no-link", "there is no link with %s", partner)
}
