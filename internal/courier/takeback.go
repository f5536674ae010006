package courier

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// returnArrived takes a RETURN: messages of our own that this node has lost.
// Each must bear our own signature, for this partner and in an epoch of ours;
// under a key that was revoked it only closes its sequence. One that does not is
// passed over, with an alarm; where it bears a key that this node does not know,
// its own KEYSET is too old to judge what comes back, and a person is needed.
func (l *link) returnArrived(st *message.Statement) error {
	list, err := message.DecodeReturn(l.c.o.Realm, st.Body)
	if err != nil {
		return err
	}
	l.mu.Lock()
	r := l.memo.Recover
	waits := r.believed() && !r.Tail && !l.memo.forgotten(l.keysNamed().Version, l.c.o.Keys.Keyset().Version)
	mine, present := slices.Clone(l.memo.Mine), l.side.Tail().Epoch
	l.mu.Unlock()
	if !waits {
		return nil
	}
	keys := l.c.o.Keys.Keyset()
	list = slices.DeleteFunc(list, func(m *message.Message) bool {
		err := m.Verify(keys)
		switch {
		case m.Context.To != l.node() || m.Context.Epoch == present || !slices.Contains(mine, epochID(m.Context.Epoch)):
			err = noroshi.Errorf(noroshi.Refused, "courier.not-ours", "%s returns message %d, which is not of a former epoch of ours to it", l.node(), m.Header.Seq)
		case err != nil && !slices.ContainsFunc(keys.Keys, func(k message.Key) bool { return k.ID == m.KeyID }):
			l.mu.Lock()
			l.lostTail.unsigned = keys.Version
			l.mu.Unlock()
		case err == nil || message.IsRevoked(err):
			return false
		default:
			l.lane(noroshi.Immediate, func(ctx context.Context) { l.alarm(ctx, "returned-unsigned", m.Header.Seq) })
		}
		l.note(err)
		return true
	})
	slices.SortStableFunc(list, func(a, b *message.Message) int {
		return cmp.Or(bytes.Compare(a.Context.Epoch[:], b.Context.Epoch[:]), cmp.Compare(a.Header.Seq, b.Header.Seq))
	})
	l.lane(0, func(ctx context.Context) { // bulk work: FLASH does not wait for it
		l.taking.Lock()
		defer l.taking.Unlock()
		some, err := l.takeBackAll(ctx, list)
		l.note(quiet(ctx, err))
		if some { // else it is asked for again in its time
			l.cameBack()
		}
	})
	return nil
}

// takeBackAll takes returned messages in, each in an act of its own, in order. One
// behind a sequence that the partner holds, and that is not here, waits for it:
// for another RETURN, or for the TOMBSTONE that closed it. One behind a sequence
// that may still come to the partner waits for that, where nothing waits for the
// tail. some reports whether any was.
func (l *link) takeBackAll(ctx context.Context, list []*message.Message) (some bool, err error) {
	l.mu.Lock()
	told, r := l.told, l.memo.Recover
	l.mu.Unlock()
	if told == nil {
		return false, nil // it is asked for again once the partner has said what it holds
	}
	st, err := message.DecodeState(told.Body)
	if err != nil {
		return false, err
	}
	until, err := l.mayCome(ctx, r)
	if err != nil {
		return false, err
	}
	l.gatherClosed(list)
	for _, m := range list {
		head, err := l.head(ctx, m.Context.Epoch)
		if err != nil {
			return some, err
		}
		if m.Header.Seq > head.Head+maxLost {
			continue
		}
		if m.Header.Seq <= head.Head {
			if err := l.sameAsHere(ctx, m); err != nil {
				return some, err
			}
			continue
		}
		if l.missing(st, m, head.Head+1) || l.c.o.Now().Before(until) && l.nobodyHas(st, m, head.Head+1) {
			continue
		}
		if err := l.takeBackOne(ctx, m, head); err != nil {
			return some, err
		}
		some = true
	}
	more, err := l.closeClosed(ctx)
	return some || more, err
}

// closeClosed closes at the end of our former logs what TOMBSTONEs that came back
// have closed and nothing that came back lies behind.
func (l *link) closeClosed(ctx context.Context) (some bool, err error) {
	upto := map[message.Epoch]uint64{}
	l.mu.Lock()
	present := l.side.Tail().Epoch
	for at := range l.lostTail.closed {
		if at.epoch != present && slices.Contains(l.memo.Mine, epochID(at.epoch)) {
			upto[at.epoch] = 0
		}
	}
	l.mu.Unlock()
	for e := range upto {
		head, err := l.head(ctx, e)
		if err != nil {
			return some, err
		}
		end := head.Head
		l.mu.Lock()
		for _, closed := l.lostTail.closed[seqOf{e, end + 1}]; closed && end < head.Head+maxUnknown; _, closed = l.lostTail.closed[seqOf{e, end + 1}] {
			end++
		}
		l.mu.Unlock()
		if end == head.Head {
			continue
		}
		if _, err := l.closeUpto(ctx, head, end); err != nil {
			return some, err
		}
		some = true
	}
	return some, nil
}

// gatherClosed notes what returned TOMBSTONEs have closed.
func (l *link) gatherClosed(list []*message.Message) {
	keys := l.c.o.Keys.Keyset()
	for _, m := range list {
		if m.Header.Kind != message.Tombstone || m.Content == nil || m.Verify(keys) != nil {
			continue
		}
		lines, err := message.DecodeTombstones(m.Content)
		if err != nil {
			continue
		}
		l.mu.Lock()
		if l.lostTail.closed == nil {
			l.lostTail.closed = map[seqOf]tombstone{}
		}
		for _, t := range lines {
			l.lostTail.closed[seqOf{t.Epoch, t.Seq}] = tombstone{t.ID, t.Reason}
		}
		l.mu.Unlock()
	}
}

// missing reports whether the partner holds something between from and a message
// that is neither here nor closed, and notes that this is so.
func (l *link) missing(st message.State, m *message.Message, from uint64) bool {
	e := m.Context.Epoch
	l.mu.Lock()
	defer l.mu.Unlock()
	for seq := from; seq < m.Header.Seq; seq++ {
		if _, closed := l.lostTail.closed[seqOf{e, seq}]; closed || !st.Holds(e, seq) {
			continue
		}
		if l.lostTail.top == nil {
			l.lostTail.top = map[message.Epoch]uint64{}
		}
		l.lostTail.top[e] = max(l.lostTail.top[e], m.Header.Seq)
		return true
	}
	delete(l.lostTail.top, e)
	return false
}

// nobodyHas reports whether something between from and a message is neither here nor
// with the partner, nor closed.
func (l *link) nobodyHas(st message.State, m *message.Message, from uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for seq := from; seq < m.Header.Seq; seq++ {
		if _, closed := l.lostTail.closed[seqOf{m.Context.Epoch, seq}]; !closed && !st.Holds(m.Context.Epoch, seq) {
			return true
		}
	}
	return false
}

// sameAsHere raises an alarm where the partner holds another message under a
// sequence that is here: both bear our signature.
func (l *link) sameAsHere(ctx context.Context, m *message.Message) error {
	out, err := l.c.s.Out(ctx, l.node(), m.Context.Epoch, m.Header.Seq, 1)
	if err == nil && len(out) > 0 && out[0].Seq == m.Header.Seq && out[0].ID != m.ID() {
		l.alarm(ctx, message.AlarmSecondID, m.Header.Seq)
	}
	return err
}

// takeBackOne puts a returned message where it was in our log, with what it did
// here: what lies between and nobody has is closed for good.
func (l *link) takeBackOne(ctx context.Context, m *message.Message, head message.EpochHead) (err error) {
	for m.Header.Seq-1 > head.Head+maxUnknown {
		if head, err = l.closeUpto(ctx, head, head.Head+maxUnknown); err != nil {
			return err
		}
	}
	back, stolen := back{m: m}, message.IsRevoked(m.Verify(l.c.o.Keys.Keyset()))
	if !stolen {
		if back, err = l.prepareBack(m); err != nil {
			return err
		}
	}
	act := noroshi.Act{Action: noroshi.ActRecovered, Subject: fmt.Sprintf("message %d", m.Header.Seq), Partner: l.node(), Message: m.ID(),
		Agreement: m.Context.Agreement, Label: m.Header.Label, Precedence: noroshi.Immediate}
	var put []store.OutMessage
	var then []reach
	_, err = l.c.s.Do(ctx, act, func(tx *store.Tx) (err error) {
		tail := head
		var tombs pendingMessage
		if put, tombs, err = l.fill(tx, &tail, m.Header.Seq-1); err != nil {
			return err
		}
		if then = nil; tombs.Key != "" {
			then = append(then, reach{node: l.node(), pending: []pendingMessage{tombs}})
		}
		o, err := l.putBackOut(tx, m, tail.Chain, stolen)
		if err != nil {
			return err
		}
		put = append(put, o)
		done, err := back.do(ctx, tx, l)
		then = append(then, done...)
		return err
	})
	if err != nil {
		return err
	}
	l.closedLost(put)
	l.c.settle(then)
	return nil
}

// putBackOut puts a returned message into our log, behind a chain: as what the
// partner has stored, or, where a thief may have signed it, as a sequence closed.
func (l *link) putBackOut(tx *store.Tx, m *message.Message, chain noroshi.Hash, stolen bool) (store.OutMessage, error) {
	o := store.OutMessage{Partner: l.node(), Epoch: m.Context.Epoch, Seq: m.Header.Seq, ID: m.ID(), Kind: uint8(m.Header.Kind), Prec: m.Header.Prec,
		Created: m.Header.Created, TTL: m.Header.TTL, Signed: m.EncodeSigned(), Content: m.Content, Chain: message.ChainNext(chain, m.ID())}
	state := store.StoredThere
	if stolen {
		o.Kind, o.Signed, o.Content, state = 0, nil, nil, store.Withheld
	}
	if err := tx.PutOut(o); err != nil {
		return o, err
	}
	if err := tx.SetOutState(l.node(), o.Epoch, []uint64{o.Seq}, state, "RETURN"); err != nil {
		return o, err
	}
	if err := tx.PutDoc(docTakenBack, takenBackKey(l.node(), o.ID), []byte{1}); err != nil {
		return o, err
	}
	return o, nil
}

// docTakenBack is the kind of the documents that name messages of ours that a
// partner gave back; key: NodeID + "/" + id.
const docTakenBack = "courier-taken-back"

func takenBackKey(partner noroshi.NodeID, id noroshi.Hash) string {
	return partner.String() + "/" + id.String()
}
