package courier

import (
	"context"
	"errors"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Bounds of one act that puts messages into a stream.
const (
	maxActMessages = 8
	maxActBytes    = 4 << 20
)

// draft is a message before it has a sequence.
type draft struct {
	kind    message.Kind
	prec    noroshi.Precedence
	content []byte
	cleared release.Cleared // DATA only
	pending string          // key of the pending document it settles, if any
	recall  string          // RECALL: key of the document that says what it came to
}

func (d draft) data() bool { return d.cleared.Valid() }

// errNothing ends an act that found nothing to do.
var errNothing = errors.New("nothing to do")

// append signs a draft as the next of a log and puts it into the stream, inside
// the act (T1). tail moves on.
func (l *link) append(tx *store.Tx, tail *message.EpochHead, d draft) (store.OutMessage, error) {
	now := l.c.o.Now()
	ctx := message.Context{Realm: l.c.o.Realm, From: l.c.o.Node, To: l.node(), Epoch: tail.Epoch}
	h := message.Header{Seq: tail.Head + 1, Kind: d.kind, Prec: d.prec, Created: now, Form: message.ControlForm}
	o := store.OutMessage{Partner: l.node(), Epoch: tail.Epoch, Seq: h.Seq, Kind: uint8(d.kind), Prec: d.prec, Content: d.content}
	if d.data() {
		b := d.cleared.Batch()
		if _, err := noroshi.ParseLabel(b.Label); err != nil { // what was not understood travels not even by name
			return o, noroshi.Errorf(noroshi.Refused, "courier.not-cleared", "batch %s has no label that may travel", b.ID)
		}
		h.Form, h.Label, ctx.Agreement = message.ObjectsForm, b.Label, b.Agreement
		o.Content, o.Batch, o.First, o.Count = nil, b.ID, d.cleared.First(), len(d.cleared.Objects())
	} else if agreement, ok := l.view.Load().inForce(now); ok {
		ctx.Agreement = agreement
	} else if d.kind == message.Recall { // what went under an agreement can be taken back after it
		ctx.Agreement, _ = l.view.Load().lastAgreement(now)
	}
	m, err := message.SignFor(l.c.o.Keys, l.heldThere(), ctx, h, d.content)
	if err != nil {
		return o, err
	}
	if d.kind == message.Link {
		o.Content = nil // secrets are never in the database: nothing is erased there
	}
	o.ID, o.Created, o.TTL, o.Signed = m.ID(), m.Header.Created, m.Header.TTL, m.EncodeSigned()
	o.Chain = message.ChainNext(tail.Chain, o.ID)
	if err := tx.PutOut(o); err != nil {
		return o, err
	}
	tail.Head, tail.Chain = o.Seq, o.Chain
	return o, nil
}

// put is T1: the next sequences for these drafts, signed, in one act with
// whatever else belongs to it. It refuses while the link is unconfirmed and the
// epoch not of this run: a log that may have been rolled back must not grow.
func (l *link) put(ctx context.Context, act noroshi.Act, drafts []draft, also func(*store.Tx) error) error {
	_, err := l.putDrafts(ctx, act, drafts, also)
	return err
}

// putDrafts is put that says what came into the stream.
func (l *link) putDrafts(ctx context.Context, act noroshi.Act, drafts []draft, also func(*store.Tx) error) (done []store.OutMessage, err error) {
	_, err = l.c.s.Do(ctx, act, func(tx *store.Tx) error {
		done = done[:0]
		tail, err := l.tail(ctx, tx)
		if err != nil {
			return err
		}
		for _, d := range drafts {
			if d.data() && d.pending == "" {
				next, err := tx.Cursor(ctx, store.BatchPlace(d.cleared.Batch().ID))
				if err != nil {
					return err
				}
				if next > int64(d.cleared.First()) {
					continue // it is in the stream already
				}
			}
			o, err := l.append(tx, &tail, d)
			if err != nil {
				return err
			}
			done = append(done, o)
			if err := l.mark(ctx, tx, d, o); err != nil {
				return err
			}
		}
		if len(done) == 0 {
			return errNothing
		}
		if also != nil {
			return also(tx)
		}
		return nil
	})
	if err != nil {
		if errors.Is(err, errNothing) {
			return nil, nil
		}
		return nil, err
	}
	l.c.counts.Written.Add(int64(len(done)))
	for _, o := range done {
		l.step(message.Committed{Out: l.outOf(o)})
		if o.Prec == noroshi.Flash {
			l.attestSoon()
		}
	}
	return done, nil
}

// mark notes inside the act what a draft settles.
func (l *link) mark(ctx context.Context, tx *store.Tx, d draft, o store.OutMessage) error {
	if d.recall != "" {
		if err := l.markRecall(ctx, tx, d.recall, o); err != nil {
			return err
		}
	}
	if d.pending != "" {
		return tx.PutDoc(docPending, d.pending, nil)
	}
	if d.data() {
		place := store.BatchPlace(o.Batch)
		next, err := tx.Cursor(ctx, place)
		if err != nil {
			return err
		}
		if err := tx.PassRows(o.Batch, int(next), o.First-int(next)); err != nil {
			return err
		}
		return tx.SetCursor(place, int64(o.First+o.Count))
	}
	return nil
}

// tail returns where our log ends: what Step knows, and what other acts have
// put behind it meanwhile.
func (l *link) tail(ctx context.Context, tx *store.Tx) (message.EpochHead, error) {
	l.mu.Lock()
	tail, ok := l.side.Tail(), l.mayGrow()
	l.mu.Unlock()
	if !ok {
		return tail, noroshi.Errorf(noroshi.Queued, "courier.unconfirmed", "the link with %s has not been confirmed since the start: what waits is sent when it is", l.node())
	}
	for {
		out, err := tx.Out(ctx, l.node(), tail.Epoch, tail.Head+1, 64)
		if err != nil || len(out) == 0 {
			return tail, err
		}
		last := out[len(out)-1]
		tail.Head, tail.Chain = last.Seq, last.Chain
	}
}

// Send puts one cleared message into the partner's stream (sequence, signature,
// ledger, outbox in one transaction). Doing it twice adds nothing. While the
// link is unconfirmed the answer is Queued: the batch waits in the store and
// Run puts it into the stream later.
func (c *Courier) Send(ctx context.Context, x release.Cleared) error {
	if !x.Valid() {
		return noroshi.Errorf(noroshi.Refused, "courier.not-cleared", "only what the release desk cleared may go")
	}
	l, err := c.link(x.Batch().Partner)
	if err != nil {
		return err
	}
	return l.putCleared(ctx, []release.Cleared{x})
}

// putCleared puts cleared messages of one batch into the stream.
func (l *link) putCleared(ctx context.Context, list []release.Cleared) error {
	b := list[0].Batch()
	if err := l.mayGive(); err != nil {
		return err
	}
	agreement, ok := l.view.Load().inForce(l.c.o.Now())
	if !ok || agreement != b.Agreement {
		return noroshi.Errorf(noroshi.Refused, "courier.agreement", "batch %s was decided under an agreement that is not in force with %s", b.ID, l.node())
	}
	act := noroshi.Act{Action: noroshi.ActSend, Subject: b.ID, Partner: b.Partner, Agreement: b.Agreement, Label: b.Label,
		Previous: b.Act + 1, Precedence: b.Precedence}
	drafts := make([]draft, len(list))
	for i, x := range list {
		act.Count += len(x.Objects())
		drafts[i] = draft{kind: message.Data, prec: b.Precedence, content: encodeCleared(x), cleared: x}
	}
	return l.put(ctx, act, drafts, nil)
}

// puller puts released batches and waiting control messages into the stream.
func (l *link) puller(ctx context.Context) {
	for {
		if err := l.pull(ctx); err != nil && ctx.Err() == nil {
			l.note(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-l.pullNow:
		}
	}
}

func (l *link) pull(ctx context.Context) error {
	l.pulling.Lock()
	defer l.pulling.Unlock()
	for ctx.Err() == nil {
		if !l.hasRoom() {
			return nil
		}
		if err := l.putPending(ctx); err != nil {
			return err
		}
		if _, ok := l.view.Load().inForce(l.c.o.Now()); !ok || l.mayGive() != nil {
			return nil
		}
		l.released.Store(false)
		ids, err := l.c.s.UnsentBatches(ctx, l.node())
		if err != nil {
			return err
		}
		more, err := l.pullOne(ctx, ids)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// hasRoom reports whether the stream may grow: it may, and not too much
// waits for receipts already.
func (l *link) hasRoom() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mayGrow() && l.side.Outstanding() < maxWaiting
}

// pullOne puts the next messages of the first batch that has any into the
// stream: several in one act, so that a list of 100,000 costs few entries, but
// no more when something new was released meanwhile.
func (l *link) pullOne(ctx context.Context, ids []string) (bool, error) {
	for _, id := range ids {
		next, err := l.c.s.Cursor(ctx, store.BatchPlace(id))
		if err != nil {
			return false, err
		}
		var list []release.Cleared
		size := 0
		for len(list) < maxActMessages && size < maxActBytes && (len(list) == 0 || !l.released.Load()) {
			x, err := l.c.desk.Next(ctx, id, int(next))
			if noroshi.KindOf(err) == noroshi.Refused || err == nil && !x.Valid() {
				break // what was decided stands no more; the desk decides anew
			}
			if err != nil {
				return false, err // suspended: it waits where it is
			}
			next = int64(x.First() + len(x.Objects()))
			list = append(list, x)
			for _, o := range x.Objects() {
				size += len(o.Bytes)
			}
		}
		if len(list) == 0 {
			if err := l.exhaust(ctx, id); err != nil {
				return false, err
			}
			continue
		}
		return true, l.putCleared(ctx, list)
	}
	return false, nil
}

// exhaust closes a batch of which nothing more may go. The rows that are not in
// the stream are left to the desk in the same act.
func (l *link) exhaust(ctx context.Context, id string) error {
	b, err := l.c.s.Batch(ctx, id)
	if err != nil {
		return err
	}
	place := store.BatchPlace(id)
	// Not an act on the link: the partner must not learn, even by the size of the
	// link's ledger, that something ended which it never saw begin.
	act := noroshi.Act{Action: noroshi.ActWithhold, Agreement: b.Agreement, Label: b.Label, Previous: b.Act + 1, Precedence: b.Precedence}
	_, err = l.c.s.Do(ctx, act, func(tx *store.Tx) error {
		next, err := tx.Cursor(ctx, place)
		if err != nil {
			return err
		}
		if left := b.Count - int(next); left > 0 {
			tx.Act().Subject, tx.Act().Count = id, left
			if err := tx.PassRows(id, int(next), left); err != nil {
				return err
			}
		}
		return tx.SetCursor(place, store.Exhausted)
	})
	return err
}
