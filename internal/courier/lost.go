package courier

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// lostID stands for the id of a message of ours that was lost and that nobody
// has: chain and tombstone need one, and both sides make the same.
func lostID(e message.Epoch, seq uint64) noroshi.Hash {
	return noroshi.Sum(binary.BigEndian.AppendUint64(append([]byte("NX/1 lost"), e[:]...), seq))
}

// Bounds of what is closed because nobody has it: in one act, and in one epoch
// above where this node's log ended. Who has stolen a key can leave any gap.
const (
	maxUnknown = 1024
	maxLost    = 1 << 20
)

// closeUnknown answers a WANT for messages of a former epoch that this node has
// forgotten it made and that never reached the partner, which only heard of
// them: they are closed for good once nothing can bring them any more.
func (l *link) closeUnknown(w message.Want) {
	l.mu.Lock()
	mine, present, waits := slices.Clone(l.memo.Mine), l.side.Tail().Epoch, l.memo.Recover != nil
	now := l.c.o.Now()
	if waits = waits || now.Sub(l.closedAt) < l.c.o.Heartbeat; !waits {
		l.closedAt = now // a gap is asked for every other heartbeat
	}
	l.mu.Unlock()
	runs := slices.DeleteFunc(slices.Clone(w.Runs), func(r message.EpochRange) bool {
		return r.Epoch == present || !slices.Contains(mine, epochID(r.Epoch))
	})
	if waits || len(runs) == 0 {
		return
	}
	l.lane(0, func(ctx context.Context) { l.note(quiet(ctx, l.closeRuns(ctx, runs))) })
}

// underWay is what the partner lacks of ours, this node has forgotten, and may yet
// arrive; until is when it is closed. It counts while the partner asks for it.
type underWay struct {
	runs  []message.EpochRange
	until time.Time
}

func (l *link) closeRuns(ctx context.Context, runs []message.EpochRange) error {
	until, err := l.lastArrival(ctx)
	if err != nil {
		return err
	}
	var waits underWay
	for _, run := range runs {
		head, err := l.head(ctx, run.Epoch)
		if err != nil {
			return err
		}
		if run.Range.A > head.Head+1 || run.Range.B <= head.Head {
			continue
		}
		if l.c.o.Now().Before(until) {
			run.Range.A = head.Head + 1
			waits.runs, waits.until = append(waits.runs, run), until
			continue
		}
		if _, err = l.closeUpto(ctx, head, min(run.Range.B, head.Head+maxUnknown)); err != nil {
			return err
		}
	}
	l.mu.Lock()
	l.underWay = waits
	l.mu.Unlock()
	return nil
}

// hasCome forgets what was under way and the partner says it holds; under mu.
func (u *underWay) hasCome(st message.State) {
	u.runs = slices.DeleteFunc(u.runs, func(r message.EpochRange) bool {
		return st.Holds(r.Epoch, r.Range.A) && st.Holds(r.Epoch, r.Range.B)
	})
	if len(u.runs) == 0 {
		*u = underWay{}
	}
}

// lastArrival is until when something of ours may arrive that this node has
// forgotten: zero where all goes by channels whose other end has it at once or never
// will. A letter or a medium brings it for as long after it went as secrets count,
// and it went before the epoch was opened that followed on the loss. Of one that says
// so again, because what was lost was not back, the log does not tell that it followed
// on no loss more: it counts, and to wait longer loses nothing.
func (l *link) lastArrival(ctx context.Context) (until time.Time, err error) {
	if slow, err := l.slow(ctx); err != nil || !slow {
		return until, err
	}
	l.mu.Lock()
	mine := slices.Clone(l.memo.Mine)
	l.mu.Unlock()
	for i := len(mine) - 1; i > 0; i-- { // the first followed on nothing
		began, why, err := l.began(ctx, message.Epoch(mine[i]))
		if err != nil {
			return until, err
		}
		if began.IsZero() {
			continue
		}
		if until = began.Add(secretOverlap); why == 0 || why.FromEarlier() {
			break
		}
	}
	return until, nil
}

// began is when an epoch of ours was opened, zero of one that is forgotten too, and
// why, 0 where nobody has that any more.
func (l *link) began(ctx context.Context, e message.Epoch) (at time.Time, why message.EpochReason, err error) {
	out, err := l.c.s.Out(ctx, l.node(), e, 1, 1)
	if err != nil || len(out) == 0 || out[0].Seq != 1 {
		return at, 0, err
	}
	if body, err := message.DecodeEpoch(out[0].Content); err == nil {
		why = body.Reason
	}
	return out[0].Created, why, nil
}

// mayCome is lastArrival for a recovery that nothing waits for. One that DATA and
// arming wait for closes what nobody has yet at once: what lies above it, recalls
// too, is needed here, and what comes later is kept at the partner (keepSecond).
func (l *link) mayCome(ctx context.Context, r *recovery) (until time.Time, err error) {
	if r == nil || !r.Late {
		return until, nil
	}
	return l.lastArrival(ctx)
}

// slow reports whether something may have gone to the partner by mail or on a medium:
// such a channel is wired, or an agreement that was ever signed lists one, by which
// persons pack.
func (l *link) slow(ctx context.Context) (bool, error) {
	quick := func(kind string) bool { return kind == noroshi.ChannelHTTPS || kind == noroshi.ChannelLine }
	if slices.ContainsFunc(l.c.o.Channels, func(ch Channel) bool { return !quick(ch.Traits().Kind) }) {
		return true, nil
	}
	all := l.view.Load().agreements
	for _, h := range all {
		file, err := l.c.s.Doc(ctx, noroshi.DocAgreement, h.String())
		if err != nil && noroshi.KindOf(err) != noroshi.NotFound {
			return false, err
		}
		a, err := noroshi.ParseAgreement(file)
		if err != nil || slices.ContainsFunc(a.Channels, func(kind string) bool { return !quick(kind) }) {
			return true, nil
		}
	}
	return len(all) == 0, nil
}

// closeUpto closes what lies behind the end of one of our logs up to a sequence,
// and returns its new end.
func (l *link) closeUpto(ctx context.Context, head message.EpochHead, upto uint64) (tail message.EpochHead, err error) {
	var put []store.OutMessage
	var tombs pendingMessage
	act := noroshi.Act{Action: noroshi.ActWithhold, Subject: epochText(head.Epoch), Partner: l.node(), Precedence: noroshi.Immediate}
	_, err = l.c.s.Do(ctx, act, func(tx *store.Tx) error {
		tail = head
		put, tombs, err = l.fill(tx, &tail, upto)
		tx.Act().Count = len(put)
		return err
	})
	if err != nil {
		return head, err
	}
	l.closedLost(put)
	if tombs.Key != "" {
		l.addPending(tombs)
	}
	return tail, nil
}

// closedLost tells Step of messages of ours that were put into a former log.
func (l *link) closedLost(put []store.OutMessage) {
	for _, o := range put {
		x := l.outOf(o)
		x.Closed = o.Kind == 0
		l.step(message.Committed{Out: x})
	}
}

// fill closes our sequences up to one: as a TOMBSTONE that came back did, or, of
// what was lost and nobody has, by a new one, which joins the stream later.
func (l *link) fill(tx *store.Tx, tail *message.EpochHead, upto uint64) (put []store.OutMessage, tombs pendingMessage, err error) {
	var lines []message.TombstoneBody
	for seq := tail.Head + 1; seq <= upto; seq++ {
		l.mu.Lock()
		t, closed := l.lostTail.closed[seqOf{tail.Epoch, seq}]
		l.mu.Unlock()
		if !closed {
			t = tombstone{lostID(tail.Epoch, seq), tombDestroyed}
			lines = append(lines, message.TombstoneBody{Epoch: tail.Epoch, Seq: seq, ID: t.id, Reason: t.reason})
		}
		o := store.OutMessage{Partner: l.node(), Epoch: tail.Epoch, Seq: seq, ID: t.id, Prec: noroshi.Routine, Created: tx.Time(), Chain: message.ChainNext(tail.Chain, t.id)}
		if err := tx.PutOut(o); err != nil {
			return nil, tombs, err
		}
		if err := tx.SetOutState(l.node(), tail.Epoch, []uint64{seq}, t.state(), "lost"); err != nil {
			return nil, tombs, err
		}
		tail.Head, tail.Chain = seq, o.Chain
		put = append(put, o)
	}
	if len(lines) == 0 {
		return put, tombs, nil
	}
	tombs = pendingMessage{Key: fmt.Sprintf("%s/tombstone/%s", l.node(), lines[0].ID), Kind: message.Tombstone, Prec: noroshi.Priority, Content: message.EncodeTombstones(lines)}
	return put, tombs, keepPending(tx, tombs)
}

// state is what a message of ours is that a tombstone has closed.
func (t tombstone) state() store.OutState {
	if t.reason == tombExpired {
		return store.Expired
	}
	return store.Withheld
}

// Reasons of TOMBSTONE (docs/wire.md).
const (
	tombExpired   = 1
	tombWithheld  = 2
	tombDestroyed = 3
)
