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

// firstEpoch opens the link's first epoch.
func (l *link) firstEpoch(ctx context.Context) error {
	_, _, err := l.newEpoch(ctx, message.Open{Reason: message.FirstEpoch})
	return err
}

// open answers Step's wish for a new epoch.
func (l *link) open(ctx context.Context, x message.Open) {
	e, first, err := l.newEpoch(ctx, x)
	for err != nil { // nothing is sent until it is made
		l.note(quiet(ctx, err))
		timer := time.NewTimer(time.Second)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		e, first, err = l.newEpoch(ctx, x)
	}
	var parents []message.Epoch
	for _, p := range x.Parents {
		parents = append(parents, p.Epoch)
	}
	l.step(message.Opened{Epoch: e, Parents: parents, First: first})
}

// newEpoch commits an epoch and its first message, EPOCH, in one act.
func (l *link) newEpoch(ctx context.Context, x message.Open) (e message.Epoch, first message.Out, err error) {
	rand.Read(e[:])
	body := message.EpochBody{Reason: x.Reason}
	for _, p := range x.Parents {
		body.Parents = append(body.Parents, message.Parent{Epoch: p.Epoch, Seq: p.Head, Chain: p.Chain})
	}
	opens := func(m *memo) {
		m.Parents = nil
		for _, p := range x.Parents {
			m.Parents = append(m.Parents, epochID(p.Epoch))
			if !slices.Contains(m.Mine, epochID(p.Epoch)) {
				m.Mine = append(m.Mine, epochID(p.Epoch))
			}
		}
		m.Mine = append(m.Mine, epochID(e))
	}
	d := draft{kind: message.EpochStart, prec: noroshi.Immediate, content: message.EncodeEpoch(body)}
	act := noroshi.Act{Action: noroshi.ActEpoch, Subject: epochText(e), Partner: l.node(), Precedence: noroshi.Immediate}
	_, err = l.c.s.Do(ctx, act, func(tx *store.Tx) error {
		tail := message.EpochHead{Epoch: e, Chain: message.ChainStart(l.c.o.Realm, l.c.o.Node, l.node(), e)}
		out, err := l.append(tx, &tail, d)
		if err != nil {
			return err
		}
		first = outOf(out)
		return l.remember(ctx, tx, opens)
	})
	if err == nil {
		l.learn(opens)
	}
	return e, first, err
}

func epochText(e message.Epoch) string {
	b, _ := epochID(e).MarshalText()
	return "epoch " + string(b)
}

// rememberLives keeps which of the partner's epochs counts, with the statement
// that made it so.
func (l *link) rememberLives(ctx context.Context, x message.Lives) {
	counts := func(m *memo) {
		m.Live, m.Retired = epochID(x.Live), nil
		for _, e := range x.Retired {
			m.Retired = append(m.Retired, epochID(e))
			m.know(e)
		}
		m.know(x.Live)
	}
	l.mu.Lock()
	told := l.told
	l.mu.Unlock()
	act := noroshi.Act{Action: noroshi.ActReceipt, Subject: epochText(x.Live), Partner: l.node(), Precedence: noroshi.Immediate}
	_, err := l.c.s.Do(ctx, act, func(tx *store.Tx) error {
		if told != nil {
			if err := tx.PutEvidence(l.node(), uint8(told.Kind), told.Context.Epoch, told.Counter, told.Encode()); err != nil {
				return err
			}
		}
		return l.remember(ctx, tx, counts)
	})
	if err != nil {
		l.note(err)
		return
	}
	l.learn(counts)
}

// know adds one of the partner's epochs.
func (m *memo) know(e message.Epoch) {
	if !slices.Contains(m.Theirs, epochID(e)) {
		m.Theirs = append(m.Theirs, epochID(e))
	}
}
