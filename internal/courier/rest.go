package courier

import (
	"context"
	"fmt"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// restOf is what the withholding of a message leaves to be sent: the rows of its
// batch that may still go. It is kept in the act that withholds.
func restOf(node noroshi.NodeID, o store.OutMessage) pendingMessage {
	return pendingMessage{Key: fmt.Sprintf("%s/rest/%s", node, o.ID), Kind: message.Data, Prec: o.Prec,
		Batch: o.Batch, First: o.First, Count: o.Count}
}

// dropRest settles what is left of a message whose batch is not here any more: the
// database was put back to before it, and what it decided is decided anew.
func (l *link) dropRest(ctx context.Context, p pendingMessage) error {
	act := noroshi.Act{Action: noroshi.ActWithhold, Subject: p.Batch, Count: p.Count}
	_, err := l.c.s.Do(ctx, act, func(tx *store.Tx) error { return tx.PutDoc(docPending, p.Key, nil) })
	if err == nil {
		l.settled(p)
	}
	return err
}

// settled takes what waited off the list, once the act that says so has committed.
func (l *link) settled(p pendingMessage) {
	l.mu.Lock()
	delete(l.pending, p.Key)
	l.mu.Unlock()
}

// putRests puts what is left of withheld messages into the stream again, each
// as new messages of the same batch, once the batch itself is in the stream:
// until then the store counts its rows.
func (l *link) putRests(ctx context.Context) error {
	l.mu.Lock()
	var rests []pendingMessage
	for _, p := range l.pending {
		if p.Kind == message.Data {
			rests = append(rests, p)
		}
	}
	l.mu.Unlock()
	for _, p := range rests {
		if err := l.putRest(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (l *link) putRest(ctx context.Context, p pendingMessage) error {
	b, err := l.c.s.Batch(ctx, p.Batch)
	if noroshi.KindOf(err) == noroshi.NotFound {
		return l.dropRest(ctx, p)
	}
	if err != nil {
		return err
	}
	next, err := l.c.s.Cursor(ctx, store.BatchPlace(p.Batch))
	if err != nil || !b.Sent && next < store.Exhausted {
		return err
	}
	list, err := l.c.desk.Rest(ctx, store.OutMessage{Partner: l.node(), Batch: p.Batch, First: p.First, Count: p.Count})
	if noroshi.KindOf(err) == noroshi.Queued {
		return nil // suspended: it goes when the agreement is resumed
	}
	if err != nil && noroshi.KindOf(err) != noroshi.Refused {
		return err
	}
	act := noroshi.Act{Action: noroshi.ActSend, Subject: b.ID, Partner: b.Partner, Agreement: b.Agreement, Label: b.Label,
		Previous: b.Act + 1, Precedence: b.Precedence}
	var drafts []draft
	for _, x := range list {
		act.Count += len(x.Objects())
		drafts = append(drafts, draft{kind: message.Data, prec: b.Precedence, content: encodeCleared(x), cleared: x, pending: p.Key})
	}
	if len(drafts) > 0 {
		err = l.put(ctx, act, drafts, nil)
	} else {
		_, err = l.c.s.Do(ctx, act, func(tx *store.Tx) error { return tx.PutDoc(docPending, p.Key, nil) })
	}
	if err == nil {
		l.settled(p)
	}
	return err
}
