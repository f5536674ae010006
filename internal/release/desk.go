package release

import (
	"context"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Options of a Desk.
type Options struct {
	Realm noroshi.Realm
	Node  noroshi.NodeID
	Self  noroshi.Organisation
	Now   func() time.Time // nil = time.Now
}

// Desk decides, holds, takes approvals and clears. It is safe for concurrent
// use; deciding and approving take turns, clearing does not wait for them.
type Desk struct {
	store *store.Store
	o     Options
	slice int // how many changes one Step takes

	turn sync.Mutex // held by Step, Approve, Return and Defer: only they change holds and batches

	mu       sync.Mutex                // taken inside turn, never the reverse
	clauses  map[noroshi.Hash]*Clauses // guarded by mu; compiled agreements
	outlines map[string]outlined       // guarded by mu; by hold
	words    map[string]worded         // guarded by mu; by hold
}

// New returns the desk of a store.
func New(s *store.Store, o Options) (*Desk, error) {
	if o.Realm.IsZero() || o.Node == (noroshi.NodeID{}) || o.Self.Identity.Type() != "identity" {
		return nil, noroshi.Errorf(noroshi.Invalid, "release.options", "release desk needs a realm, a node and its identity")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Desk{store: s, o: o, slice: changesAtOnce, clauses: map[noroshi.Hash]*Clauses{}, outlines: map[string]outlined{}, words: map[string]worded{}}, nil
}

// link is a partner with an agreement in force, and the identities of all
// partners, which bear out who made what they sent.
type link struct {
	party   noroshi.Party
	clauses *Clauses
	now     time.Time // when it was looked up
	senders map[noroshi.NodeID]stix.ID
	from    map[noroshi.NodeID]*Sender // by partner that may bring objects: what they may be passed on under
	urgency noroshi.Emergency          // declared under the agreement, the last one
}

// links reads the partners things may be released to, in the order of their ids.
func (d *Desk) links(ctx context.Context) ([]*link, error) { return d.linksAt(ctx, d.o.Now()) }

func (d *Desk) linksAt(ctx context.Context, now time.Time) ([]*link, error) {
	all, err := d.store.Partners(ctx)
	if err != nil {
		return nil, err
	}
	senders, from, err := d.senders(ctx, all)
	if err != nil {
		return nil, err
	}
	var found []*link
	for _, p := range all {
		l, err := d.link(ctx, p, now)
		if err != nil {
			return nil, err
		}
		if l != nil {
			l.senders, l.from = senders, from
			found = append(found, l)
		}
	}
	return found, nil
}

// senders returns the identities of partners, and what may be passed on of what
// they bring.
func (d *Desk) senders(ctx context.Context, all []noroshi.Partner) (map[noroshi.NodeID]stix.ID, map[noroshi.NodeID]*Sender, error) {
	ids, from := map[noroshi.NodeID]stix.ID{}, map[noroshi.NodeID]*Sender{}
	for _, p := range all {
		ids[p.Node] = p.Organisation.Identity
		s, err := d.sender(ctx, p)
		if err != nil {
			return nil, nil, err
		}
		from[p.Node] = s
	}
	return ids, from, nil
}

// link returns a partner's link, nil when none is in force.
func (d *Desk) link(ctx context.Context, p noroshi.Partner, now time.Time) (*link, error) {
	if p.Trust != noroshi.InForce || p.Agreement.IsZero() {
		return nil, nil
	}
	c, err := d.compiled(ctx, p.Agreement)
	switch noroshi.KindOf(err) {
	case noroshi.Invalid, noroshi.Broken, noroshi.NotFound:
		return nil, nil // what cannot be read releases nothing, and stops nobody else
	}
	if err != nil {
		return nil, err
	}
	party, ok := c.Agreement().Other(d.o.Node)
	if a := c.Agreement(); !ok || party.Node != p.Node || a.Realm != d.o.Realm || !a.InForce(now) {
		return nil, nil // an agreement of others, of another realm or another time releases nothing
	}
	l := &link{party: party, clauses: c, now: now}
	if c.emergency && c.Agreement().Emergency != nil {
		l.urgency, err = d.urgency(ctx, p.Agreement)
	}
	return l, err
}

// sender returns a partner as the one who brought objects. Its agreement counts
// whether it is in force or not: what was received under it stays under it.
func (d *Desk) sender(ctx context.Context, p noroshi.Partner) (*Sender, error) {
	s := &Sender{CallSign: p.Organisation.CallSign}
	if p.Agreement.IsZero() {
		return s, nil
	}
	c, err := d.compiled(ctx, p.Agreement)
	switch noroshi.KindOf(err) {
	case noroshi.Invalid, noroshi.Broken, noroshi.NotFound:
		s.Terms = &noroshi.Agreement{Onward: noroshi.OnwardNone} // what cannot be read lets nothing be passed on
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	s.Terms = c.Agreement()
	return s, nil
}

// urgency returns the last emergency that was declared under an agreement.
func (d *Desk) urgency(ctx context.Context, h noroshi.Hash) (noroshi.Emergency, error) {
	return store.DocOrZero[noroshi.Emergency](ctx, d.store.Reads, noroshi.DocEmergency, h.String())
}

// linkTo returns the link to one partner, or a Refused error.
func (d *Desk) linkTo(ctx context.Context, partner noroshi.NodeID) (*link, error) {
	all, err := d.links(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range all {
		if l.party.Node == partner {
			return l, nil
		}
	}
	return nil, noAgreement(partner)
}

func noAgreement(partner noroshi.NodeID) error {
	return noroshi.Errorf(noroshi.Refused, "release.no-agreement", "no agreement is in force with %s", partner.String())
}

// compiled returns the clauses of an agreement this node keeps.
func (d *Desk) compiled(ctx context.Context, h noroshi.Hash) (*Clauses, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.clauses[h]; c != nil {
		return c, nil
	}
	file, err := d.store.Doc(ctx, noroshi.DocAgreement, h.String())
	if err != nil {
		return nil, err
	}
	a, err := noroshi.ParseAgreement(file)
	if err != nil {
		return nil, err
	}
	if a.Hash != h {
		return nil, noroshi.Errorf(noroshi.Broken, "release.agreement-hash", "agreement %s is kept with other bytes", h.String())
	}
	c, err := Compile(a)
	if err != nil {
		return nil, err
	}
	d.clauses[h] = c
	return c, nil
}
