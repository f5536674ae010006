package courier

import (
	"context"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// speech is a statement to be signed and sent.
type speech struct {
	epoch   message.Epoch
	kind    message.Kind
	counter uint64
	body    []byte
	echo    [8]byte // of a STATE
}

// mouth is what one channel is to say. A slow channel holds up no other's.
type mouth struct {
	channel  Channel
	speeches []speech // guarded by the link's mu; to be said in this order
	wake     chan struct{}
}

// maxSpeeches bounds the STATEs of a quick channel that wait to be said.
const maxSpeeches = 4

// sayAll queues what a step wants said, under mu.
func (l *link) sayAll(fx []message.Effect) {
	for _, x := range fx {
		switch x := x.(type) {
		case message.SayState:
			l.say(x.Channel, l.stateOf(x))
		case message.SayWant:
			l.say(x.Channel, speech{epoch: x.Epoch, kind: message.WantKind, counter: x.Counter, body: message.EncodeWant(x.Want)})
		case message.SayRefuse:
			l.say(x.Channel, speech{epoch: x.Epoch, kind: message.RefuseKind, counter: x.Counter, body: message.EncodeRefuse(x.Refuse)})
		case message.SayBody:
			l.say(x.Channel, speech{epoch: x.Epoch, kind: x.Kind, counter: x.Counter, body: x.Body})
		}
	}
}

// say queues a statement for a channel; one that is not yet sent gives way to a
// newer one of its kind, but for those that are parts of something longer. On a
// quick channel a STATE that answers another challenge does not either: the
// partner may have several ways to where this one leads.
func (l *link) say(channel string, x speech) {
	m := l.mouths[channel]
	if m == nil {
		return
	}
	if !isPart(x.kind) {
		narrow, others := m.channel.Traits().Narrow, 0
		m.speeches = slices.DeleteFunc(m.speeches, func(o speech) bool {
			if o.kind != x.kind {
				return false
			}
			if !narrow && o.echo != x.echo && others < maxSpeeches {
				others++
				return false
			}
			return true
		})
	}
	m.speeches = append(m.speeches, x)
	signal(m.wake)
}

// isPart reports whether statements of a kind are parts of something longer.
func isPart(k message.Kind) bool {
	return k == message.ReturnKind || k == message.RecallsKind || k == message.HoldingsKind
}

// maxParts is how many parts of something longer wait for a channel before what
// else the partner asks for is not answered: a channel that takes nothing must
// not fill memory.
const maxParts = 4

// partsWait counts the parts of answers that wait for the channel where most do;
// under mu.
func (l *link) partsWait() (most int) {
	for _, m := range l.mouths {
		n := 0
		for _, x := range m.speeches {
			if isPart(x.kind) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// speaker says what one channel is to say.
func (l *link) speaker(ctx context.Context, m *mouth) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.wake:
		}
		for ctx.Err() == nil {
			l.mu.Lock()
			var x speech
			more := len(m.speeches) > 0
			if more {
				x, m.speeches = m.speeches[0], m.speeches[1:]
			}
			l.mu.Unlock()
			if !more {
				break
			}
			l.utter(ctx, m.channel, x)
		}
	}
}

// issued is the last counter that is durable.
type issued struct {
	epoch   message.Epoch
	counter uint64
}

// issueCounter makes a counter durable, and with it all below. One that is not
// must not be heard: after a crash it would be used again.
func (l *link) issueCounter(ctx context.Context, x speech) error {
	l.issuing.Lock()
	defer l.issuing.Unlock()
	if l.issued.epoch == x.epoch && l.issued.counter >= x.counter {
		return nil
	}
	if err := l.c.s.Advance(ctx, counterName(l.node(), x.epoch), int64(x.counter)); err != nil {
		return err
	}
	l.issued = issued{x.epoch, x.counter}
	return nil
}

// stateOf is a STATE to be said, with the versions of the keys as they are now:
// Step has them of when the link was made.
func (l *link) stateOf(x message.SayState) speech {
	x.State.Keys = l.keyVersions()
	return speech{x.Epoch, message.StateKind, x.Counter, message.EncodeState(x.State), x.State.Echo}
}

// statement makes the counter durable, then signs.
func (l *link) statement(ctx context.Context, x speech) (*message.Statement, error) {
	if err := l.issueCounter(ctx, x); err != nil {
		return nil, err
	}
	now := l.c.o.Now()
	c := message.Context{Realm: l.c.o.Realm, From: l.c.o.Node, To: l.node(), Epoch: x.epoch}
	c.Agreement, _ = l.view.Load().inForce(now)
	return message.SignStatementFor(l.c.o.Keys, l.heldThere(), c, x.counter, x.kind, now, x.body)
}

// utter signs, seals and sends.
func (l *link) utter(ctx context.Context, ch Channel, x speech) {
	st, err := l.statement(ctx, x)
	if err != nil {
		l.note(quiet(ctx, err))
		return
	}
	envelope, err := l.envelope(ch, message.Plain{Statement: st})
	if err != nil {
		l.note(err)
		return
	}
	l.c.counts.Statements.Add(1)
	_ = l.handOver(ctx, ch, 0, envelope) // a lost statement is replaced by the next
}

// receipted is what the partner newly holds, not yet kept here.
type receipted struct{ stored, applied []message.Range }

// noteReceipt notes receipts that are not kept yet; under mu, with the statement that gave
// them, or that would be kept without them.
func (l *link) noteReceipt(x message.Receipt) {
	r := l.receipts[x.Epoch]
	if r == nil {
		r = &receipted{}
		l.receipts[x.Epoch] = r
	}
	r.stored, r.applied = append(r.stored, x.Stored...), append(r.applied, x.Applied...)
}

// tallyWait is how long a receipt waits for company before it is kept. Nothing
// rests on it meanwhile but memory: after a crash a message is sent once more.
const tallyWait = 50 * time.Millisecond

func (l *link) tallier(ctx context.Context) {
	defer func() { // what has come is kept when the courier stops
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer stop()
		l.keepReceipts(ctx)
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.tally:
		}
		company := time.NewTimer(tallyWait) // receipts travel to the ledger together
		select {
		case <-ctx.Done():
			company.Stop()
			return
		case <-company.C:
		}
		l.keepReceipts(ctx)
	}
}

// keepReceipts is T3, for all receipts that came together.
func (l *link) keepReceipts(ctx context.Context) {
	l.tallying.Lock() // taken before mu
	defer l.tallying.Unlock()
	l.mu.Lock()
	none := len(l.receipts) == 0 || l.told == nil
	l.mu.Unlock()
	if none {
		return
	}
	act := noroshi.Act{Action: noroshi.ActReceipt, Partner: l.node()}
	l.note(quiet(ctx, l.keepTold(ctx, act, func(*store.Tx) error { return nil })))
}

// keepTold keeps the newest STATE as evidence, and how far each message it speaks of has
// got, in one act with what also does. After a start a link believes what is kept of a
// STATE: one that is kept without its receipts would have them never come again. Under
// tallying.
func (l *link) keepTold(ctx context.Context, act noroshi.Act, also func(*store.Tx) error) error {
	l.mu.Lock()
	list, told := l.receipts, l.told
	l.receipts = map[message.Epoch]*receipted{}
	l.mu.Unlock()
	_, err := l.c.s.Do(ctx, act, func(tx *store.Tx) error {
		if told != nil {
			if err := tx.PutEvidence(l.node(), uint8(told.Kind), told.Context.Epoch, told.Counter, told.Encode()); err != nil {
				return err
			}
		}
		for e, r := range list {
			if err := tx.SetOutState(l.node(), e, expand(r.stored), store.StoredThere, "STATE"); err != nil {
				return err
			}
			if err := tx.SetOutState(l.node(), e, expand(r.applied), store.AppliedThere, "STATE"); err != nil {
				return err
			}
		}
		if len(list) > 0 {
			if err := tx.Notice(store.StreamChanged, l.node().String()); err != nil {
				return err
			}
		}
		return also(tx)
	})
	if err != nil {
		l.mu.Lock() // try again with the next
		for e, r := range list {
			l.noteReceipt(message.Receipt{Epoch: e, Stored: r.stored, Applied: r.applied})
		}
		l.mu.Unlock()
	}
	return err
}

func expand(list []message.Range) (seqs []uint64) {
	for _, r := range list {
		for n := r.A; n <= r.B; n++ {
			seqs = append(seqs, n)
		}
	}
	return seqs
}
