package courier

import (
	"context"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// maxWait bounds how long an arriving message waits for room before its sender
// is asked to come again.
const maxWait = 20 * time.Second

// Receive takes an envelope from a channel; from is the partner the channel
// authenticated, zero when the channel knows none. It returns when a message is
// taken over for commit, or a statement has been acted on; an error of kind
// Busy asks to come again later. No error names a secret or content.
//
// Checks in order, first failure ends: size, gate over the live links, seal,
// strict form, context, agreement, key, signature, length, hash (message
// .Unseal), then binding and label where it is kept.
func (c *Courier) Receive(ctx context.Context, channel string, from noroshi.NodeID, envelope []byte) error {
	l, err := c.match(from, envelope)
	if err != nil {
		c.counts.Dropped.Add(1)
		c.refuse(ctx, from, envelope, err)
		return err
	}
	v := l.view.Load()
	in := message.Inbound{Realm: c.o.Realm, From: v.partner.Node, To: c.o.Node, Secret: v.partner.GateIn, Keys: v.keys, Agreements: v.agreements}
	plain, err := message.Unseal(c.o.Keys, in, envelope)
	if err != nil {
		c.counts.Refused.Add(1)
		l.note(err)
		c.refuse(ctx, l.node(), envelope, err)
		return err
	}
	c.counts.BytesReceived.Add(int64(len(envelope)))
	switch {
	case plain.Message != nil:
		return l.messageArrived(ctx, channel, plain.Message)
	case plain.Statement != nil:
		return l.statementArrived(plain.Statement)
	default:
		return l.documentArrived(ctx, plain.Document)
	}
}

// match finds the link an envelope belongs to by its gate. What matches none is
// dropped before anything is decapsulated.
func (c *Courier) match(from noroshi.NodeID, envelope []byte) (*link, error) {
	g, err := message.ReadGate(envelope)
	if err != nil {
		return nil, err
	}
	for _, l := range c.all() {
		p := l.view.Load().partner
		if (from == (noroshi.NodeID{}) || from == p.Node) && live(p) && g.Match(p.GateIn, c.o.Realm, p.Node, c.o.Node) {
			return l, nil
		}
	}
	return nil, noroshi.Errorf(noroshi.Refused, "courier.no-gate", "an envelope of %d bytes matches no link", len(envelope))
}

// messageArrived takes a verified message to Step and waits for room first:
// what waits for its commit is bounded, and FLASH has room of its own.
func (l *link) messageArrived(ctx context.Context, channel string, m *message.Message) error {
	room := l.inBulk
	if m.Header.Prec >= noroshi.Immediate {
		room = l.inUrg
	}
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case room <- struct{}{}:
	case <-ctx.Done():
		return noroshi.Errorf(noroshi.Busy, "courier.busy", "too much of %s waits to be kept", l.node())
	case <-timer.C:
		return noroshi.Errorf(noroshi.Busy, "courier.busy", "too much of %s waits to be kept", l.node())
	}
	l.c.counts.Received.Add(1)
	h := m.Header
	in := message.In{Epoch: m.Context.Epoch, Seq: h.Seq, ID: m.ID(), Kind: h.Kind, Prec: h.Prec, Deps: h.Deps}
	at := arrival{in.Epoch, in.Seq, in.ID}
	l.mu.Lock()
	if _, ok := l.arriving[at]; ok { // the same is on its way already
		l.mu.Unlock()
		<-room
		return nil
	}
	l.arriving[at] = arrived{m: m, channel: channel, room: room}
	fx := l.advance(message.Arrived{In: in})
	asked := false
	for _, x := range fx {
		k, ok := x.(message.Keep)
		asked = asked || ok && k.In.ID == in.ID && k.In.Seq == in.Seq
	}
	l.mu.Unlock()
	if !asked { // a duplicate: nothing will come of it
		l.forget(at)
	}
	l.perform(fx)
	return nil
}

// arrived is a message between Arrived and Kept.
type arrived struct {
	m       *message.Message
	channel string
	room    chan struct{}
}

// forget frees the room of an arrived message.
func (l *link) forget(at arrival) {
	l.mu.Lock()
	a, ok := l.arriving[at]
	delete(l.arriving, at)
	l.mu.Unlock()
	if ok {
		<-a.room
	}
}

// statementArrived acts on a verified statement. Statements have no place in
// the log: of one epoch only the highest counter counts.
func (l *link) statementArrived(st *message.Statement) error {
	if st.Ahead(l.c.o.Now()) {
		return noroshi.Errorf(noroshi.Refused, "courier.ahead", "statement %d of %s is dated a day ahead", st.Counter, l.node())
	}
	switch st.Kind {
	case message.StateKind:
		told, err := toldOf(st)
		if err != nil {
			return err
		}
		l.mu.Lock()
		fx := l.advance(*told)
		if newer(l.side.Status().Live, l.told, st) {
			l.told = st
		}
		close(l.heard)
		l.heard = make(chan struct{})
		l.ackPapers(told.State, st.Context.Agreement)
		l.mu.Unlock()
		l.perform(fx)
		if len(fx) > 0 {
			l.wakePull()
		}
	case message.WantKind:
		w, err := message.DecodeWant(st.Body)
		if err != nil {
			return err
		}
		l.step(message.Asked{Want: w})
	case message.RefuseKind:
		r, err := message.DecodeRefuse(st.Body)
		if err != nil {
			return err
		}
		l.note(noroshi.Errorf(noroshi.Refused, "courier.refused", "%s refuses what we send: code %d", l.node(), r.Code))
	}
	return nil
}

// newer reports whether a STATE is of the partner's live epoch and not older
// than the one kept: one that comes again late is no evidence of anything.
func newer(live message.Epoch, told, st *message.Statement) bool {
	return st.Context.Epoch == live && (told == nil || told.Context.Epoch != live || st.Counter >= told.Counter)
}

func (l *link) documentArrived(ctx context.Context, doc []byte) error {
	if l.c.arrived == nil {
		return nil
	}
	return l.c.arrived(ctx, l.node(), doc)
}

// arrivedOf returns a message between Arrived and Kept.
func (l *link) arrivedOf(at arrival) (arrived, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ok := l.arriving[at]
	return a, ok
}
