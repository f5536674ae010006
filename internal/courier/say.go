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

// speech is a statement to be signed and sent.
type speech struct {
	epoch   message.Epoch
	kind    message.Kind
	counter uint64
	body    []byte
}

// sayAll queues what a step wants said, under mu.
func (l *link) sayAll(fx []message.Effect) {
	for _, x := range fx {
		switch x := x.(type) {
		case message.SayState:
			l.say(speech{x.Epoch, message.StateKind, x.Counter, message.EncodeState(x.State)})
		case message.SayWant:
			l.say(speech{x.Epoch, message.WantKind, x.Counter, message.EncodeWant(x.Want)})
		case message.SayRefuse:
			l.say(speech{x.Epoch, message.RefuseKind, x.Counter, message.EncodeRefuse(x.Refuse)})
		}
	}
}

// say queues a statement; one that is not yet sent gives way to a newer one of
// its kind. One goroutine says them all, so that counters become durable in
// order.
func (l *link) say(x speech) {
	l.speeches = slices.DeleteFunc(l.speeches, func(o speech) bool { return o.kind == x.kind })
	l.speeches = append(l.speeches, x)
	signal(l.speak)
}

func (l *link) speaker(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.speak:
		}
		l.mu.Lock()
		list := l.speeches
		l.speeches = nil
		l.mu.Unlock()
		for _, x := range list {
			l.utter(ctx, x)
		}
	}
}

// utter makes the counter durable, then signs, seals and sends. A counter that
// is not durable must not be heard: after a crash it would be used again.
func (l *link) utter(ctx context.Context, x speech) {
	if err := l.c.s.Advance(ctx, counterName(l.node(), x.epoch), int64(x.counter)); err != nil {
		l.note(quiet(ctx, err))
		return
	}
	now := l.c.o.Now()
	c := message.Context{Realm: l.c.o.Realm, From: l.c.o.Node, To: l.node(), Epoch: x.epoch}
	c.Agreement, _ = l.view.Load().inForce(now)
	st, err := message.SignStatement(l.c.o.Keys, c, x.counter, x.kind, now, x.body)
	if err != nil {
		l.note(err)
		return
	}
	envelope, err := message.Seal(message.Plain{Statement: st}, l.outbound(), rand.Reader)
	if err != nil {
		l.note(err)
		return
	}
	l.c.counts.Statements.Add(1)
	_ = l.handOver(ctx, envelope) // a lost statement is replaced by the next
}

// receipted is what the partner newly holds, not yet kept here.
type receipted struct{ stored, applied []message.Range }

// receipt takes T3 into account: it is kept soon, with what comes meanwhile.
func (l *link) receipt(x message.Receipt) {
	l.mu.Lock()
	r := l.receipts[x.Epoch]
	if r == nil {
		r = &receipted{}
		l.receipts[x.Epoch] = r
	}
	r.stored, r.applied = append(r.stored, x.Stored...), append(r.applied, x.Applied...)
	l.mu.Unlock()
	signal(l.tally)
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

// keepReceipts is T3: the newest STATE as evidence, and how far each message it
// speaks of has got, in one act for all that came together.
func (l *link) keepReceipts(ctx context.Context) {
	l.tallying.Lock() // taken before mu
	defer l.tallying.Unlock()
	l.mu.Lock()
	list, told := l.receipts, l.told
	l.receipts = map[message.Epoch]*receipted{}
	l.mu.Unlock()
	if len(list) == 0 || told == nil {
		return
	}
	act := noroshi.Act{Action: noroshi.ActReceipt, Partner: l.node()}
	_, err := l.c.s.Do(ctx, act, func(tx *store.Tx) error {
		if err := tx.PutEvidence(l.node(), uint8(told.Kind), told.Context.Epoch, told.Counter, told.Encode()); err != nil {
			return err
		}
		for e, r := range list {
			if err := tx.SetOutState(l.node(), e, expand(r.stored), store.StoredThere, "STATE"); err != nil {
				return err
			}
			if err := tx.SetOutState(l.node(), e, expand(r.applied), store.AppliedThere, "STATE"); err != nil {
				return err
			}
		}
		return tx.Notice(store.StreamChanged, l.node().String())
	})
	if err == nil {
		return
	}
	l.note(quiet(ctx, err))
	l.mu.Lock() // try again with the next
	for e, r := range list {
		if now := l.receipts[e]; now != nil {
			now.stored, now.applied = append(now.stored, r.stored...), append(now.applied, r.applied...)
		} else {
			l.receipts[e] = r
		}
	}
	l.mu.Unlock()
}

func expand(list []message.Range) (seqs []uint64) {
	for _, r := range list {
		for n := r.A; n <= r.B; n++ {
			seqs = append(seqs, n)
		}
	}
	return seqs
}
