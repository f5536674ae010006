package courier

import (
	"context"
	"slices"
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
// Checks in order, first failure ends: size, gate over the live links, suite, seal,
// strict form, context, agreement, key, signature, length, hash (message
// .Unseal), then binding and label where it is kept.
func (c *Courier) Receive(ctx context.Context, channel string, from noroshi.NodeID, envelope []byte) error {
	l, plain, err := c.opened(ctx, c.kindOf(channel), from, envelope)
	if err != nil {
		return err
	}
	err = l.take(ctx, channel, plain)
	if plain.Message == nil {
		l.refused(ctx, envelope, err)
	}
	return err
}

// opened finds the link of an envelope that came by a kind of channel and opens
// it. With an error the link is
// nil when none matches.
func (c *Courier) opened(ctx context.Context, kind string, from noroshi.NodeID, envelope []byte) (*link, message.Plain, error) {
	l, by, err := c.match(kind, from, envelope)
	if err != nil {
		c.counts.Dropped.Add(1)
		c.refuse(ctx, from, envelope, err)
		return nil, message.Plain{}, err
	}
	v := l.view.Load()
	in := message.Inbound{Realm: c.o.Realm, From: v.partner.Node, To: c.o.Node, Secret: by.secret, Keys: v.keys, Agreements: v.agreements,
		Now: c.o.Now(), Suites: v.heardOn(kind), Packings: message.Packings(v.spoken)}
	if envelope[0] == byte(message.S2) {
		l.compactly(&in)
	}
	plain, err := message.Unseal(c.o.Keys, in, envelope)
	if by.few && plain.Document == nil {
		l.mu.Lock()
		l.doubt.wasNone(len(envelope), c.o.Now())
		l.mu.Unlock()
	}
	if err == nil {
		err = l.opened(ctx, by, plain)
	}
	if err != nil {
		c.counts.Refused.Add(1)
		l.note(err)
		if message.IsRevoked(err) && plain.Message != nil {
			l.distrust(ctx, plain.Message)
			return l, plain, err
		}
		l.refused(ctx, envelope, err)
		l.tellRefused(err)
		return l, plain, err
	}
	c.counts.BytesReceived.Add(int64(len(envelope)))
	return l, plain, nil
}

// take hands on what an envelope carried.
func (l *link) take(ctx context.Context, channel string, plain message.Plain) error {
	switch {
	case plain.Message != nil:
		return l.messageArrived(ctx, channel, plain.Message)
	case plain.Statement != nil:
		return l.statementArrived(channel, plain.Statement)
	default:
		return l.documentArrived(ctx, plain.Document)
	}
}

// match finds the link an envelope belongs to by its gate. What matches none is
// dropped before anything is decapsulated.
func (c *Courier) match(kind string, from noroshi.NodeID, envelope []byte) (*link, opening, error) {
	g, err := message.ReadGate(envelope)
	if err != nil {
		return nil, opening{}, err
	}
	for _, l := range c.all() {
		p := l.view.Load().partner
		if g.Suite() != message.S1 && p.Node == from && !slices.Contains(l.view.Load().heardOn(kind), g.Suite()) {
			return nil, opening{}, noroshi.Errorf(noroshi.Refused, "message.suite", "suite %s is not agreed with %s for what came, on the channel it came by", g.Suite(), from)
		}
		if from != (noroshi.NodeID{}) && from != p.Node || !live(p) {
			continue
		}
		if by, ok := l.opens(g, envelope); ok {
			return l, by, nil
		}
	}
	return nil, opening{}, noroshi.Errorf(noroshi.Refused, "courier.no-gate", "an envelope of %d bytes matches no link", len(envelope))
}

// messageArrived takes a verified message to Step and waits for room first:
// what waits for its commit is bounded, and FLASH has room of its own.
func (l *link) messageArrived(ctx context.Context, channel string, m *message.Message) error {
	if err := l.affords(m); err != nil {
		return err
	}
	if !l.inbox(m.Header.Prec).take(ctx, places(m)) {
		return noroshi.Errorf(noroshi.Busy, "courier.busy", "too much of %s waits to be kept", l.node())
	}
	l.c.counts.Received.Add(1)
	l.weakPath(channel, m)
	h := m.Header
	in := message.In{Epoch: m.Context.Epoch, Seq: h.Seq, ID: m.ID(), Kind: h.Kind, Prec: h.Prec, Deps: h.Deps, Via: channel, Key: m.KeyID}
	at := arrival{in.Epoch, in.Seq, in.ID}
	l.mu.Lock()
	if _, ok := l.arriving[at]; ok { // the same is on its way already
		l.mu.Unlock()
		l.inbox(h.Prec).give(places(m))
		return nil
	}
	l.arriving[at] = arrived{m: m, channel: channel}
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

// weakPath has both duty officers told of objects that came by a channel the
// agreement they came under does not admit for them. They are here all the same,
// and kept: what is wrong is how the partner sends.
func (l *link) weakPath(channel string, m *message.Message) {
	a := l.view.Load().agreement
	if a == nil || m.Header.Kind != message.Data || m.Context.Agreement != a.Hash {
		return
	}
	if !carries(a, l.c.kindOf(channel), m.Header.Label) {
		seq := m.Header.Seq
		l.lane(noroshi.Immediate, func(ctx context.Context) { l.alarm(ctx, "weak-path", seq) })
	}
}

// arrived is a message between Arrived and Kept.
type arrived struct {
	m       *message.Message
	channel string
}

// forget frees the room of an arrived message.
func (l *link) forget(at arrival) {
	l.mu.Lock()
	a, ok := l.arriving[at]
	delete(l.arriving, at)
	l.mu.Unlock()
	if ok {
		l.inbox(a.m.Header.Prec).give(places(a.m))
	}
}

// statementArrived acts on a verified statement. Statements have no place in
// the log: of one epoch only the highest counter counts.
func (l *link) statementArrived(channel string, st *message.Statement) error {
	if st.Ahead(l.c.o.Now()) {
		return noroshi.Errorf(noroshi.Refused, "courier.ahead", "statement %d of %s is dated a day ahead", st.Counter, l.node())
	}
	switch st.Kind {
	case message.StateKind:
		told, err := toldOf(st)
		if err != nil {
			return err
		}
		told.Channel = channel
		l.mu.Lock()
		told.Doubts = l.memo.doubts(l.c.o.Keys.Keyset(), told.State)
		anew := !slices.Contains(l.memo.Theirs, epochID(st.Context.Epoch))
		fx := l.advance(*told)
		live := l.side.Status().Live
		last := newer(live, l.told, st)
		if last {
			l.doubt.hears(told.State.Cited, l.c.o.Now())
			l.told, l.shown = st, epochsOf(told.State)
			l.underWay.hasCome(told.State)
		}
		if l.memo.Recover != nil || last && l.memo.After != nil && l.side.Beyond(told.State) {
			signal(l.lostNow)
		}
		after := l.firstAfterOutage(st, told.State)
		close(l.heard)
		l.heard = make(chan struct{})
		if last { // an old one may be of before it forgot
			l.known.Store(&told.State.Keys[1])
			if !st.Context.Agreement.IsZero() {
				l.spoke = underOf{st.Context.Agreement, told.State.Run}
			}
			l.ackPapers()
		}
		l.mu.Unlock()
		if last {
			l.keysThere(told.State.Keys[1])
		} else {
			l.keysLacked(told.State.Keys[1])
		}
		l.consentLacked(st, told.State.Run, anew)
		l.perform(fx)
		if after { // the first word after an outage
			l.lane(0, func(ctx context.Context) { l.note(quiet(ctx, l.checkChains(ctx, told.State))) })
		}
		if len(fx) > 0 {
			l.wakePull()
		}
	case message.WantKind:
		w, err := message.DecodeWant(st.Body)
		if err != nil {
			return err
		}
		if w.Reason >= wantTail {
			l.wanted(w)
			return nil
		}
		l.closeUnknown(w)
		l.step(message.Asked{Want: w})
	case message.RefuseKind:
		r, err := message.DecodeRefuse(st.Body)
		if err != nil {
			return err
		}
		l.note(noroshi.Errorf(noroshi.Refused, "courier.refused", "%s refuses what we send: code %d", l.node(), r.Code))
		if r.Code == refuseSuite {
			l.lane(noroshi.Immediate, func(ctx context.Context) { l.alarm(ctx, "refused-suite", 0) })
		}
	case message.CheckpointKind, message.CosignKind:
		l.notary.wait(st)
	case message.ReturnKind:
		return l.returnArrived(st)
	case message.HoldingsKind:
		return l.holdingsArrived(st)
	case message.RecallsKind:
		return l.recallsArrived(st)
	}
	return nil
}

// firstAfterOutage reports whether a STATE is the first of the partner's live
// epoch since the link was down or either side started; under mu.
func (l *link) firstAfterOutage(st *message.Statement, state message.State) bool {
	s := l.side.Status()
	if st.Context.Epoch != s.Live || !s.Confirmed || !s.Up {
		return false
	}
	first := !l.checked || l.partnerRun != state.Run
	l.checked, l.partnerRun = true, state.Run
	return first
}

// newer reports whether a STATE is of the partner's live epoch and not older
// than the one kept: one that comes again late is no evidence of anything.
func newer(live message.Epoch, told, st *message.Statement) bool {
	return st.Context.Epoch == live && (told == nil || told.Context.Epoch != live || st.Counter >= told.Counter)
}

// documentArrived hands a document on, of each kind so many: others of a partner, said
// again by whoever recorded them, keep no KEYSET out. A KEYSET that is held, or late, is
// none of them.
func (l *link) documentArrived(ctx context.Context, doc []byte) error {
	if l.c.arrived == nil {
		return nil
	}
	kind, err := message.KindOfDocument(doc)
	if err != nil {
		return err
	}
	if kind == message.KeysetDocument {
		ks, err := message.ParseKeyset(l.c.o.Realm, doc)
		if err != nil {
			return err
		}
		if held := l.view.Load().keys; ks.Node == l.node() && (ks.Hash() == held.Hash() || ks.Version < held.Version && !ks.Follows(held)) {
			return nil
		}
	}
	l.mu.Lock()
	in := l.papersIn[kind]
	may := in.take(1, l.c.o.Now(), paperBurst, paperToken)
	l.papersIn[kind] = in
	l.mu.Unlock()
	if !may {
		return noroshi.Errorf(noroshi.Refused, "courier.papers", "%s sends more documents than are looked at", l.node())
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

// compactly adds what the compact form of suite S2 is held against, the likely
// first: the agreement in force or the one that may have been when it was
// signed, and the partner's epochs.
func (l *link) compactly(in *message.Inbound) {
	now, _ := l.view.Load().inForce(in.Now)
	last, _ := l.view.Load().lastAgreement(in.Now)
	in.Recent = []noroshi.Hash{now, last}
	if now == last {
		in.Recent[1] = noroshi.Hash{}
	}
	in.Links = l.c.safe.of(l.node()).bodies()
	l.mu.Lock()
	defer l.mu.Unlock()
	if live := l.side.Status().Live; live != (message.Epoch{}) {
		in.Epochs = []message.Epoch{live}
	}
	for i := len(l.memo.Theirs) - 1; i >= 0; i-- {
		if e := message.Epoch(l.memo.Theirs[i]); !slices.Contains(in.Epochs, e) {
			in.Epochs = append(in.Epochs, e)
		}
	}
}

// epochsOf are those of ours that a STATE of the partner shows.
func epochsOf(s message.State) []message.Epoch {
	list := make([]message.Epoch, len(s.In))
	for i, in := range s.In {
		list[i] = in.Epoch
	}
	return list
}
