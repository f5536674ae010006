package courier

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

const (
	// lostAfter is how long nothing that verifies has come from a partner, or it
	// has cited nothing new of ours, before STATE goes under the card's secret too.
	lostAfter = 2 * time.Minute
	// cardEvery parts two STATEs, and two LINKs, that go under the card's secret
	// while a LINK is in use. As much is taken; cardBurst may come at once. Two
	// KEYSETs are parted by cardKeys, and two AGREEMENTs: fewer than are looked at.
	cardEvery = time.Minute
	cardBurst = 4
	cardToken = cardEvery / 2
	cardKeys  = 2 * paperToken
	// cardLarge is what an envelope exceeds that has a KEYSET, with a key of 1,216
	// bytes in it, and a STATE only where it tells of many gaps.
	cardLarge = 4 << 10
	// linkPause is how old our newest LINK must be before what a partner sends
	// under the card's secret makes another: two sides that doubt each other
	// must come to an end.
	linkPause = 10 * time.Minute
)

// doubt is what a link thinks of whether both sides still hold the other's
// secrets; guarded by the link's mu.
type doubt struct {
	here     bool      // the partner may have lost ours: until our next LINK is stored
	heard    time.Time // when anything of the partner last verified
	cited    message.Citation
	citedAt  time.Time // when the partner last cited another STATE of ours than before: it hears us
	sentCard time.Time // when a STATE last went under the card's secret
	sentLink time.Time // and a LINK
	sentKeys time.Time // and a KEYSET
	sentFile time.Time // and an AGREEMENT
	cardRun  time.Time // the first STATE of the partner's under the card's secret since one under a LINK
	tokens   tokens    // of what may still come under the card's secret
	large    tokens    // of what exceeds cardLarge
}

// tend, at every tick, does what the secrets of a link ask for at now: moves them on to the day,
// and makes a LINK when one is due, however much waits: it may wait for the LINK.
func (l *link) tend(ctx context.Context) {
	now := l.c.o.Now()
	l.note(l.c.safe.turn(now))
	l.mu.Lock()
	may, doubts := l.mayGrow(), l.doubt.here
	l.mu.Unlock()
	if l.c.safe.vault == nil || !may || !l.tending.TryLock() {
		return
	}
	defer l.tending.Unlock()
	s := l.c.safe.of(l.node())
	due := s.Made == nil || now.Sub(s.Made.At) >= linkEvery || doubts
	if s.Next == nil && !due || s.Next != nil && s.Next.Seq > 0 {
		return
	}
	l.note(quiet(ctx, l.putLink(ctx, s.Next, now)))
}

// putLink makes a LINK and puts it into the stream. Its secrets are in the vault
// before the message is in the stream, and never in the database: a crash
// between leaves secrets that go into the stream at the next start, one after it
// at most a second message with the same. It goes before PRIORITY and ROUTINE,
// which may fill their windows and be opened nowhere until it is stored.
func (l *link) putLink(ctx context.Context, next *made, now time.Time) error {
	if next == nil {
		next = &made{At: now, Body: wireBody{Day: message.DayOf(now)}}
		rand.Read(next.Body.Gate[:])
		rand.Read(next.Body.Line[:])
		if err := l.c.safe.change(l.node(), func(s linkSecrets) linkSecrets { s.Next = next; return s }); err != nil {
			return err
		}
	}
	act := noroshi.Act{Action: noroshi.ActKeys, Subject: "link", Partner: l.node(), Precedence: noroshi.Immediate}
	d := draft{kind: message.Link, prec: noroshi.Immediate, content: message.EncodeLink(message.LinkBody(next.Body))}
	put, err := l.putDrafts(ctx, act, []draft{d}, nil)
	if err != nil || len(put) == 0 {
		return err
	}
	placed := *next
	placed.Epoch, placed.Seq = put[0].Epoch, put[0].Seq
	if err := l.c.safe.change(l.node(), func(s linkSecrets) linkSecrets { s.Next = &placed; return s }); err != nil {
		return err
	}
	l.mu.Lock()
	stored := l.side.StoredThere(placed.Epoch, placed.Seq)
	l.mu.Unlock()
	if stored { // its receipt was here before its place was known
		l.linkStored(placed.Epoch, []message.Range{{A: placed.Seq, B: placed.Seq}})
	}
	return nil
}

// linkContent returns the content of a LINK of ours in the stream: it lies in
// the vault until the partner has stored it, and nowhere after.
func (l *link) linkContent(m *message.Message) ([]byte, error) {
	s := l.c.safe.of(l.node())
	for _, k := range []*made{s.Next, s.Made} { // one just stored may be asked for once more
		if k == nil {
			continue
		}
		if content := message.EncodeLink(message.LinkBody(k.Body)); noroshi.Sum(content) == m.ContentHash {
			return content, nil
		}
	}
	return nil, noroshi.Errorf(noroshi.Refused, "courier.link-erased", "the secrets of LINK %d to %s are erased", m.Header.Seq, l.node())
}

// linkStored takes a receipt into account: what the partner has stored is used
// from now on.
func (l *link) linkStored(e message.Epoch, stored []message.Range) {
	next := l.c.safe.of(l.node()).Next
	if next == nil || next.Seq == 0 || next.Epoch != e ||
		!slices.ContainsFunc(stored, func(r message.Range) bool { return r.A <= next.Seq && next.Seq <= r.B }) {
		return
	}
	now := l.c.o.Now()
	err := l.c.safe.change(l.node(), func(s linkSecrets) linkSecrets {
		s.Made, s.Next = next, nil
		return s.on(now)
	})
	if err != nil {
		l.note(err)
		return
	}
	l.mu.Lock()
	l.doubt.here = false
	l.mu.Unlock()
}

// settleLink looks after the start whether the LINK in the stream has been
// stored meanwhile, and whether ours are of the present life of our log at all.
func (l *link) settleLink(ctx context.Context) error {
	s := l.c.safe.of(l.node())
	if present := message.Epoch(l.memo.Mine[len(l.memo.Mine)-1]); s.Made != nil && s.Made.Epoch != present {
		return l.forgetLinks()
	}
	next := s.Next
	if next == nil || next.Seq == 0 {
		return nil
	}
	out, err := l.c.s.Out(ctx, l.node(), next.Epoch, next.Seq, 1)
	if err != nil {
		return err
	}
	if len(out) == 0 || out[0].Seq != next.Seq { // the database was put back to before it
		return l.forgetLinks()
	}
	switch out[0].State {
	case store.Committed, store.Attempted:
		return nil
	case store.Withheld, store.Expired: // it never goes: another is made
		return l.c.safe.change(l.node(), func(s linkSecrets) linkSecrets { s.Next = nil; return s })
	}
	l.linkStored(next.Epoch, []message.Range{{A: next.Seq, B: next.Seq}})
	return nil
}

// forgetLinks goes back to the card's secret in our direction: our log begins a
// new life, and which of our LINKs the partner holds is not known.
func (l *link) forgetLinks() error {
	if s := l.c.safe.of(l.node()); s.Made == nil && s.Next == nil {
		return nil
	}
	return l.c.safe.change(l.node(), func(s linkSecrets) linkSecrets { s.Made, s.Next = nil, nil; return s })
}

// NewLink makes new secrets for what this node sends to a partner, before they
// are due.
func (c *Courier) NewLink(ctx context.Context, partner noroshi.NodeID) error {
	l, err := c.link(partner)
	if err != nil {
		return err
	}
	if c.safe.vault == nil {
		return noroshi.Errorf(noroshi.Refused, "courier.no-vault", "this node has no place for the secrets of links")
	}
	l.tending.Lock()
	defer l.tending.Unlock()
	if c.safe.of(partner).Next != nil {
		return nil // one is under way
	}
	return l.putLink(ctx, nil, c.o.Now())
}

// outbound is what a message, statement or document to the partner is sealed with
// for a kind of channel. A document goes under S1: who does not yet hold what it
// brings may know no other.
func (l *link) outbound(p message.Plain, channel string) message.Outbound {
	v, now, kind := l.view.Load(), l.c.o.Now(), p.Kind()
	o := message.Outbound{Realm: l.c.o.Realm, From: l.c.o.Node, To: v.keys, Secret: v.partner.GateOut, Now: now, Packings: v.packings}
	if kind != 0 && slices.Contains(v.suitesOn(channel), message.S1H) && v.keys.Has(message.S1H, now) {
		o.Suite = message.S1H
	}
	s := l.c.safe.of(l.node())
	if s.Made != nil && !l.underCard(p, now) {
		o.Secret, o.Links = s.Made.Body.Gate[:], []message.LinkBody{message.LinkBody(s.Made.Body)}
	}
	return o
}

// underCard reports whether something goes under the card's secret although the
// partner has stored a LINK: a LINK a minute while that is in doubt, and a STATE
// a minute, and a KEYSET and an AGREEMENT every other, then and while it is not heard,
// or does not hear. Neither waits for the other: each may be of no use alone.
func (l *link) underCard(p message.Plain, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := &l.doubt
	lost := d.here || now.Sub(d.heard) >= lostAfter || now.Sub(d.citedAt) >= lostAfter
	sent, every := &d.sentCard, cardEvery
	switch {
	case p.Kind() == message.Link && d.here:
		sent = &d.sentLink
	case p.Kind() == message.StateKind && lost:
	case lost && documentIs(p, message.KeysetDocument):
		sent, every = &d.sentKeys, cardKeys
	case lost && documentIs(p, message.AgreementDocument):
		sent, every = &d.sentFile, cardKeys
	default:
		return false
	}
	if now.Sub(*sent) < every {
		return false // as much as the partner takes; what goes now may be what it holds all the same
	}
	*sent = now
	return true
}

// hears takes note of what a STATE of the partner cites; under the link's mu.
func (d *doubt) hears(c message.Citation, now time.Time) {
	if c != d.cited {
		d.cited, d.citedAt = c, now
	}
}

// narrow makes of outbound what a narrow line takes: suite S2 where the agreement
// in force lists it for lines and the partner holds a LINK. What the partner cannot
// make again goes in full; an AGREEMENT is for who may hold another or none.
func (l *link) narrow(o message.Outbound, p message.Plain) message.Outbound {
	v := l.view.Load()
	var c message.Context
	first := false
	switch {
	case p.Message != nil:
		c, first = p.Message.Context, p.Message.Header.Seq == 1
	case p.Statement != nil:
		c = p.Statement.Context
	default:
		if kind, err := message.KindOfDocument(p.Document); err != nil || kind != message.KeysetDocument {
			return o
		}
	}
	if p.Kind() == message.Link || len(o.Links) == 0 || !slices.Contains(v.suitesOn(noroshi.ChannelLine), message.S2) {
		return o
	}
	now, _ := v.inForce(o.Now)
	l.mu.Lock()
	shown := slices.Contains(l.shown, c.Epoch)
	l.mu.Unlock()
	o.Suite = message.S2
	o.Full = first || !shown || c.Agreement != now
	return o
}

// FragmentKeys returns the keys that make the tags of fragments to a partner,
// and those that check the tags of what comes from it. They are of a day.
func (c *Courier) FragmentKeys(partner noroshi.NodeID) (out, in message.FragmentKeys, err error) {
	l, err := c.link(partner)
	if err != nil {
		return out, in, err
	}
	there, here := l.lines()
	now := c.o.Now()
	return there.Fragments(now), here.Fragments(now), nil
}

// lines are what both directions of the link are keyed by.
func (l *link) lines() (there, here message.Line) {
	p, s := l.view.Load().partner, l.c.safe.of(l.node())
	there = message.Line{Realm: l.c.o.Realm, From: l.c.o.Node, To: p.Node, Card: p.GateOut}
	if s.Made != nil {
		there.Links = []message.LinkBody{message.LinkBody(s.Made.Body)}
	}
	return there, message.Line{Realm: l.c.o.Realm, From: p.Node, To: l.c.o.Node, Card: p.GateIn, Links: s.bodies()}
}
