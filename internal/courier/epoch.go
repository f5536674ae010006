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
	_, err := l.newEpoch(ctx, message.Open{Reason: message.FirstEpoch})
	return err
}

// open answers Step's wish for a new epoch.
func (l *link) open(ctx context.Context, x message.Open) {
	opened, err := l.newEpoch(ctx, x)
	for err != nil { // nothing is sent until it is made
		l.note(quiet(ctx, err))
		timer := time.NewTimer(time.Second)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		opened, err = l.newEpoch(ctx, x)
	}
	l.step(opened)
}

// newEpoch commits an epoch and its first message, EPOCH, in one act.
func (l *link) newEpoch(ctx context.Context, x message.Open) (opened message.Opened, err error) {
	l.minding.Lock() // what the link waits for follows from it
	defer l.minding.Unlock()
	rand.Read(opened.Epoch[:])
	e := opened.Epoch
	body := message.EpochBody{Reason: x.Reason}
	for _, p := range x.Parents {
		body.Parents = append(body.Parents, message.Parent{Epoch: p.Epoch, Seq: p.Head, Chain: p.Chain})
		opened.Parents = append(opened.Parents, p.Epoch)
	}
	disowns := l.c.o.Keys.Keyset().Disowned()
	var now memo
	act := noroshi.Act{Action: noroshi.ActEpoch, Subject: epochText(e), Partner: l.node(), Precedence: noroshi.Immediate}
	_, err = l.c.s.Do(ctx, act, func(tx *store.Tx) error {
		err := l.remember(ctx, tx, func(m *memo) {
			body.Reason = m.reason(x.Reason)
			opened.Anew = body.Reason.FromEarlier()
			m.opens(e, x.Parents, disowns)
			m.begin(x.Reason, l.c.o.Now())
			now = *m
		})
		if err != nil {
			return err
		}
		tail := message.EpochHead{Epoch: e, Chain: message.ChainStart(l.c.o.Realm, l.c.o.Node, l.node(), e)}
		out, err := l.append(tx, &tail, draft{kind: message.EpochStart, prec: noroshi.Immediate, content: message.EncodeEpoch(body)})
		if err != nil {
			return err
		}
		opened.First = l.outOf(out)
		return tx.Notice(RecoveryChanged, l.node().String())
	})
	if err == nil {
		l.learn(func(m *memo) {
			m.opens(e, x.Parents, disowns)
			m.Recover, m.After = now.Recover, now.After
			if x.Reason.FromEarlier() {
				l.lostTail = asking{}
			}
		})
		l.note(l.forgetLinks())
	}
	return opened, err
}

// opens adds an epoch of ours behind its parents; disowns counts the keys revoked by now.
func (m *memo) opens(e message.Epoch, parents []message.EpochHead, disowns int) {
	m.Parents = nil
	for _, p := range parents {
		m.Parents = append(m.Parents, epochID(p.Epoch))
		if !slices.Contains(m.Mine, epochID(p.Epoch)) {
			m.Mine = append(m.Mine, epochID(p.Epoch))
		}
	}
	m.Mine = append(m.Mine, epochID(e))
	m.ends(disowns)
}

// reason is what an EPOCH says. One that is opened for another reason while what was
// lost is not back may be all the partner hears of that: it says too that this node
// begins from an earlier state, or its ledger would seem to be rewritten. It goes by
// the memo as it is kept: what a person, or another process, ended meanwhile would
// begin anew.
func (m *memo) reason(why message.EpochReason) message.EpochReason {
	if r := m.Recover; !why.FromEarlier() && r.holdsUp() {
		return r.Why
	}
	return why
}

// ends notes, of the epoch just added, whether a key of ours was revoked since the one
// before was opened: all before it ended with that key.
func (m *memo) ends(disowns int) {
	if m.Disowns != nil && disowns > *m.Disowns && len(m.Mine) > 1 {
		m.Ends = m.Mine[len(m.Mine)-1]
	}
	m.Disowns = &disowns
}

// doubts are the epochs of ours that a STATE names and of which our KEYSET does not
// believe all that may be there.
func (m *memo) doubts(ks *message.Keyset, st message.State) (list []message.Doubt) {
	if len(ks.Revoked) == 0 {
		return nil
	}
	ended := m.Mine[:max(0, slices.Index(m.Mine, m.Ends))]
	named := []message.Epoch{st.Cited.Epoch}
	for _, in := range st.In {
		named = append(named, in.Epoch)
	}
	for _, e := range named {
		if d, ok := ks.Doubt(e, slices.Contains(ended, epochID(e))); ok {
			list = append(list, d)
		}
	}
	return list
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
	act := noroshi.Act{Action: noroshi.ActReceipt, Subject: epochText(x.Live), Partner: l.node(), Precedence: noroshi.Immediate}
	l.tallying.Lock()
	err := l.keepTold(ctx, act, func(tx *store.Tx) error { return l.remember(ctx, tx, counts) })
	l.tallying.Unlock()
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
