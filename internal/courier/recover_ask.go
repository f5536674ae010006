package courier

import (
	"context"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// asking is how asking for what a link lost stands, in this run.
type asking struct {
	after    message.Citation         // the partner's STATE before its recalls were asked for; what answers has a higher counter
	parts    []message.RecallsBody    // of its list, until it is whole
	wanted   time.Time                // when the last WANT for either was said
	wait     time.Duration            // until the next, when nothing comes: twice as long each time
	closed   map[seqOf]tombstone      // what TOMBSTONEs of ours that came back have closed
	top      map[message.Epoch]uint64 // the highest that came back and has no place yet: one below it is missing
	further  bool                     // the next WANT goes on behind top: the TOMBSTONE of the one missing may be there
	unsigned uint64                   // version of our KEYSET that has not the key of something that came back; 0 = none
}

type seqOf struct {
	epoch message.Epoch
	seq   uint64
}

type tombstone struct {
	id     noroshi.Hash
	reason uint8
}

// recoverer asks the partner for what a link that begins anew has lost, again
// and again until all of it is there: first its recalls, then our own messages.
func (l *link) recoverer(ctx context.Context) {
	for ctx.Err() == nil {
		wait := time.Hour
		l.note(quiet(ctx, l.cameLate(ctx)))
		if r := l.recovering(); r != nil {
			wait = l.c.o.Heartbeat / 2
			if err := l.ask(ctx, r); err != nil {
				l.note(quiet(ctx, err))
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-l.lostNow:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// lateFor is for how long after a restore what comes late is still taken back
// without a person's word: partners keep content no longer.
const lateFor = 90 * 24 * time.Hour

// cameLate begins to take back what came to the partner after all that it held was
// taken back: it was under way when this node was put back.
func (l *link) cameLate(ctx context.Context) error {
	l.mu.Lock()
	after, told, now := l.memo.After, l.told, l.c.o.Now()
	idle := l.memo.Recover == nil && l.side.Confirmed()
	l.mu.Unlock()
	if !idle || told == nil || after == nil || now.Sub(after.Since) > lateFor {
		return nil
	}
	st, err := message.DecodeState(told.Body)
	if err != nil {
		return err
	}
	until, err := l.lastArrival(ctx)
	if err != nil {
		return err
	}
	if lost, whole, err := l.lost(ctx, st, until); err != nil || !whole || len(lost) == 0 {
		return err
	}
	return l.moveRecovery(ctx, "late", nil, func(m *memo) {
		if m.Recover == nil && m.After != nil {
			r := *m.After
			r.Tail, r.Late = false, r.believed()
			m.Recover = &r
		}
	})
}

// ask asks for what is missing next.
func (l *link) ask(ctx context.Context, r *recovery) error {
	l.mu.Lock()
	ready, told, present := r.Opened && l.side.Confirmed(), l.told, l.side.Tail().Epoch
	if ready && told != nil && l.lostTail.after.Epoch != told.Context.Epoch {
		l.lostTail.after, l.lostTail.parts = message.Citation{Epoch: told.Context.Epoch, Counter: told.Counter}, nil
	}
	l.mu.Unlock()
	if !ready || told == nil || r.Recalls && r.Tail {
		return nil
	}
	if !r.Recalls {
		l.want(message.Want{Reason: wantRecalls})
		return nil
	}
	st, err := message.DecodeState(told.Body)
	if err != nil || st.Cited.Epoch != present {
		return err // it does not know of the new epoch yet
	}
	until, err := l.mayCome(ctx, r)
	if err != nil {
		return err
	}
	lost, whole, err := l.lost(ctx, st, until)
	if err != nil || !whole {
		return err
	}
	switch {
	case len(lost) == 0:
		return l.advanceRecovery(ctx, "tail", nil, func(r *recovery) { r.Tail = true })
	case !r.believed():
		return nil
	case l.keysAwaited(st.Keys[1].Version):
		l.alarm(ctx, "keys-forgotten", st.Keys[1].Version)
		return nil
	}
	l.want(message.Want{Reason: wantTail, Runs: lost})
	return nil
}

// keysAwaited reports whether what comes back cannot be judged: a KEYSET that this
// node has forgotten it made may revoke the key that signed it, or name it.
func (l *link) keysAwaited(held uint64) bool {
	ours := l.c.o.Keys.Keyset().Version
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.memo.forgotten(held, ours) || l.lostTail.unsigned == ours
}

// want says a WANT, unless one was said a moment ago and nothing came since: on a
// narrow line the answer takes long.
func (l *link) want(w message.Want) {
	now := l.c.o.Now()
	l.mu.Lock()
	soon := now.Sub(l.lostTail.wanted) < l.lostTail.wait
	if !soon {
		l.lostTail.wanted, l.lostTail.wait = now, min(max(2*l.lostTail.wait, l.c.o.Heartbeat/2), 8*l.c.o.Heartbeat)
		l.lostTail.further = !l.lostTail.further
	}
	l.mu.Unlock()
	if !soon {
		l.step(message.Attest{Kind: message.WantKind, Body: message.EncodeWant(w)})
	}
}

// cameBack lets the next WANT be said at once: the last one was answered.
func (l *link) cameBack() {
	l.mu.Lock()
	l.lostTail.wanted, l.lostTail.wait = time.Time{}, 0
	l.mu.Unlock()
	signal(l.lostNow)
}

// Reasons of WANT (docs/wire.md).
const (
	wantTail    = 3
	wantRecalls = 4
)

// lost returns what to ask for of what the partner holds of our former epochs
// beyond what is here: none when nothing is. It is not the whole while the partner
// holds an epoch of ours that this node has forgotten: Step finds it, and makes it
// a parent of the next. Before until, what lies above something that the partner
// does not hold waits: that may still come, and would find its sequence closed.
func (l *link) lost(ctx context.Context, st message.State, until time.Time) (list []message.EpochRange, whole bool, err error) {
	l.mu.Lock()
	mine, present, top, further := slices.Clone(l.memo.Mine), l.side.Tail().Epoch, l.lostTail.top, l.lostTail.further
	l.mu.Unlock()
	waits := l.c.o.Now().Before(until)
	var all, behind []message.EpochRange
	for _, in := range st.In {
		if in.Epoch == present {
			continue
		}
		if !slices.Contains(mine, epochID(in.Epoch)) {
			if in.Cum > 0 || len(in.Ranges) > 0 {
				return nil, false, nil
			}
			continue
		}
		head, err := l.head(ctx, in.Epoch)
		if err != nil {
			return nil, false, err
		}
		for _, r := range append([]message.Range{{A: 1, B: in.Cum}}, in.Ranges...) {
			r.B = min(r.B, head.Head+maxLost)
			if waits && r.A > head.Head+1 {
				break // ranges rise, and between two the partner lacks something
			}
			if r.A = max(r.A, head.Head+1); r.A <= r.B {
				all = append(all, message.EpochRange{Epoch: in.Epoch, Range: r})
			}
			if r.A = max(r.A, top[in.Epoch]+1); r.A <= r.B {
				behind = append(behind, message.EpochRange{Epoch: in.Epoch, Range: r})
			}
		}
	}
	if further && len(behind) > 0 {
		all = behind
	}
	return all[:min(len(all), maxLostRuns)], true, nil
}

// maxLostRuns is how many runs one WANT has room for.
const maxLostRuns = 256

// maxRecallsParts bounds a partner's list of recalls, which is kept in memory until
// it is whole: half a million recalls.
const maxRecallsParts = 1024

// recallsArrived takes a part of the partner's list of recalls in force. Only
// one that was said after it was asked for counts: an older one may lack some.
func (l *link) recallsArrived(st *message.Statement) error {
	part, err := message.DecodeRecalls(st.Body)
	if err == nil && part.Parts > maxRecallsParts {
		err = noroshi.Errorf(noroshi.Refused, "courier.recalls", "%s has a list of recalls in %d parts: at most %d are read", l.node(), part.Parts, maxRecallsParts)
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	r, a := l.memo.Recover, &l.lostTail
	if r == nil || r.Recalls || st.Context.Epoch != l.side.Status().Live || st.Context.Epoch != a.after.Epoch || st.Counter <= a.after.Counter {
		l.mu.Unlock()
		return nil
	}
	if len(a.parts) > 0 && a.parts[0].List != part.List {
		a.parts = nil
	}
	if !slices.ContainsFunc(a.parts, func(p message.RecallsBody) bool { return p.Part == part.Part }) {
		a.parts = append(a.parts, part)
		a.wanted = l.c.o.Now() // it is being answered
	}
	list, whole, err := message.JoinRecalls(a.parts)
	if whole || err != nil {
		a.parts = nil
	}
	l.mu.Unlock()
	if !whole || err != nil {
		return err
	}
	l.lane(noroshi.Flash, func(ctx context.Context) { l.note(quiet(ctx, l.takeRecalls(ctx, list))) })
	return nil
}

// takeRecalls does what the partner's list of recalls asks for here: its copies
// go out of use for good. The RECALLs themselves come again by the stream, and
// are answered then.
func (l *link) takeRecalls(ctx context.Context, list []message.RecallEntry) error {
	act := noroshi.Act{Action: noroshi.ActRecovered, Subject: "recalls", Partner: l.node(), Precedence: noroshi.Immediate}
	for part := range slices.Chunk(list, recallsAtOnce) {
		if _, err := l.c.s.Do(ctx, act, func(tx *store.Tx) error {
			tx.Act().Count = len(part)
			for _, e := range part {
				if _, err := l.withdrawTheirs(ctx, tx, e); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return l.advanceRecovery(ctx, "recalls", nil, func(r *recovery) { r.Recalls = true })
}

// recallsAtOnce bounds the recalls that are done in one act, which FLASH waits for.
const recallsAtOnce = 512
