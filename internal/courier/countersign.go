package courier

import (
	"context"
	"strconv"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/audit"
	"github.com/noroshi-cti/noroshi/internal/ledger"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// takeCheckpoint takes a CHECKPOINT: the head of the partner's ledger of this
// link. One that is not signed by the partner's control key is refused.
func (l *link) takeCheckpoint(ctx context.Context) error {
	n := &l.notary
	st := n.take(message.CheckpointKind)
	if st == nil {
		return nil
	}
	body, err := message.DecodeCheckpoint(st.Body)
	if err != nil {
		return err
	}
	head, err := audit.OpenHead(l.names(), l.view.Load().keys, body)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return l.countersign(ctx, st, body, head)
}

// countersign judges a head of the partner's ledger against what was
// countersigned before, keeps it, and only then answers. Of an epoch that does
// not count nothing is taken, nor what a later statement has overtaken.
func (l *link) countersign(ctx context.Context, st *message.Statement, body message.CheckpointBody, head ledger.Checkpoint) error {
	r := l.c.s.Reads
	last, seen, err := audit.LastSeen(ctx, r, l.c.o.Realm, l.node())
	if err != nil {
		return err
	}
	l.mu.Lock()
	live := l.side.Status().Live
	l.mu.Unlock()
	if st.Context.Epoch != live || seen && last.Epoch == live && st.Counter <= last.Counter {
		return nil
	}
	told := audit.Told{Head: head, From: body.From, Proof: body.Proof}
	if seen && last.Epoch != live {
		known, restored, err := l.partnerRestored(ctx, live)
		if err != nil || !known {
			return err // its EPOCH is still on its way: the head comes again
		}
		told.Restored = restored
	}
	if older, ok, err := audit.SeenAt(ctx, r, l.c.o.Realm, l.node(), body.From); err != nil {
		return err
	} else if ok {
		told.Older = &older.Head
	}
	var before *ledger.Checkpoint
	if seen {
		before = &last.Head
	}
	return l.answer(ctx, st, head, last.Head, audit.Judge(before, told))
}

// answer does what a verdict on the partner's ledger asks for.
func (l *link) answer(ctx context.Context, st *message.Statement, head, last ledger.Checkpoint, v audit.Verdict) error {
	n := &l.notary
	l.mu.Lock()
	run, cited := l.partnerRun, l.doubt.cited
	l.mu.Unlock()
	if v != audit.Elsewhere {
		n.elsewhere = elsewhere{}
	} else if n.elsewhere.again(run, cited, l.c.o.Now()) {
		v = audit.Rewritten // it has been told again and again where to begin
	}
	switch v {
	case audit.Grown, audit.Branch:
		if !due(l.c.o.Now(), n.kept, l.c.o.Checkpoint/(2*gapParts)) {
			return nil // a partner that never ends must not fill the record
		}
		if err := l.keepHead(ctx, uint8(st.Kind), st, head); err != nil {
			return err
		}
		n.kept = l.c.o.Now()
	case audit.Same:
	case audit.Elsewhere:
		head = last
	default:
		if err := l.rewritten(ctx, st, head); err != nil {
			return err
		}
		head = last // the answer shows the partner's officers what was countersigned
	}
	if v != audit.Grown && v != audit.Branch && !l.mayAnswer() {
		return nil
	}
	body := audit.Cosign(l.names(), l.c.o.Keys, head, l.c.o.Now())
	if at, said := l.attestAt(message.Attest{Kind: message.CosignKind, Body: message.EncodeCosign(body)}); said && v == audit.Elsewhere {
		n.elsewhere.answered(at)
	}
	return nil
}

// attestAt is step that says where what is said stands; false when it is not said.
func (l *link) attestAt(a message.Attest) (at message.Citation, said bool) {
	l.mu.Lock()
	fx := l.advance(a)
	l.mu.Unlock()
	for _, x := range fx {
		if b, ok := x.(message.SayBody); ok {
			at, said = message.Citation{Epoch: b.Epoch, Counter: b.Counter}, true
		}
	}
	l.perform(fx)
	return at, said
}

// mayAnswer bounds what a partner makes us say that says nothing new.
func (l *link) mayAnswer() bool {
	n, now := &l.notary, l.c.o.Now()
	if due(now, n.window, l.c.o.Checkpoint) {
		n.window, n.answered = now, 0
	}
	n.answered++
	return n.answered <= maxAnswers
}

func (l *link) keepHead(ctx context.Context, kind uint8, st *message.Statement, head ledger.Checkpoint) error {
	act := noroshi.Act{Action: noroshi.ActCosign, Partner: l.node(), Subject: "checkpoint " + strconv.FormatUint(head.Size, 10)}
	_, err := l.c.s.Do(ctx, act, func(tx *store.Tx) error {
		return tx.PutEvidence(l.node(), kind, st.Context.Epoch, st.Counter, st.Encode())
	})
	return err
}

// rewritten tells both duty officers that the partner's ledger is not the one
// countersigned here, and keeps what it claims now beside what it claimed.
func (l *link) rewritten(ctx context.Context, st *message.Statement, head ledger.Checkpoint) error {
	known, err := l.knows(ctx, store.RefusedCheckpoint, func(old *message.Statement) bool {
		b, err := message.DecodeCheckpoint(old.Body)
		if err != nil {
			return false
		}
		had, err := ledger.Peek(b.Note)
		return err == nil && had == head
	})
	if err != nil {
		return err
	}
	if !known && l.first("checkpoint.refused") {
		if err := l.keepHead(ctx, store.RefusedCheckpoint, st, head); err != nil {
			return err
		}
	}
	l.alarm(ctx, "log-rewritten", head.Size)
	return nil
}

// partnerRestored reads the EPOCH of one of the partner's epochs: whether it is
// here, and whether it says that the node was put back.
func (l *link) partnerRestored(ctx context.Context, e message.Epoch) (known, restored bool, err error) {
	rows, err := l.c.s.In(ctx, l.node(), e, 1, 1)
	if err != nil || len(rows) == 0 || rows[0].Seq != 1 || rows[0].State < store.Stored {
		return false, false, err
	}
	return true, fromEarlier(rows[0].Kind, rows[0].Content), nil
}
