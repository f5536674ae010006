package courier

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// verdict is what a received message comes to, decided before the write lane
// is taken.
type verdict struct {
	standing message.Standing
	why      string           // of Held: a technical code
	objects  *intake.Prepared // DATA
	views    []uint32         // of its objects
	whole    *store.Quarantined
	faults   []message.OutcomeCode
	tombs    []message.TombstoneBody
	read     *message.ReadBody
	restored bool // the partner begins anew from an earlier state
	recall   []message.RecallEntry
	link     *message.LinkBody
	done     *message.RecallDoneBody
	keys     *message.Keyset // of the partner, as it was when this was decided
}

// keep is R1 and, with apply, R2 in the same act: binding, every object
// decided, effects, marker. Nothing is receipted before the commit.
func (l *link) keep(ctx context.Context, in message.In, apply bool) {
	at := arrival{in.Epoch, in.Seq, in.ID}
	a, ok := l.arrivedOf(at)
	if !ok {
		return
	}
	if l.keptOut(in.Kind) { // no work for what costs its sender nothing
		l.forget(at)
		in.Standing = message.Absent
		l.step(message.Kept{In: in})
		return
	}
	v := verdict{standing: message.Stored, keys: l.view.Load().keys}
	if apply || a.m.Header.Kind == message.Link { // whose content is in the database at no time
		v = l.judge(a.m)
	}
	kept, tombs, v, err := l.commitNew(ctx, in, a, v)
	l.forget(at)
	if err != nil {
		in.Standing = message.Absent // not durable: as if it had not come
		kept, tombs = message.Kept{In: in}, nil
		if err == errSuspended { // the link has not heard of it yet: what was done is paid for
			l.quota.charge(in.Kind, in.Prec, messageCost, l.c.o.Now())
		} else {
			l.note(quiet(ctx, err))
		}
	}
	l.tellKept(kept, tombs)
	if err == nil {
		l.closed(ctx, append(tombs, kept.In), v.doubted(kept))
	}
}

// tellKept tells Step what became durable.
func (l *link) tellKept(kept message.Kept, tombs []message.In) {
	l.step(kept)
	for _, t := range tombs {
		l.step(message.Kept{In: t})
	}
}

// doubted is the message that was kept, where it waits for a last good point.
func (v verdict) doubted(kept message.Kept) []message.In {
	if v.why != keyChain || kept.Second || kept.Again {
		return nil
	}
	return []message.In{kept.In}
}

// applyKept is R2 of a message that was stored and waited.
func (l *link) applyKept(ctx context.Context, in message.In) {
	kept, tombs, v, err := l.apply(ctx, in, message.Stored)
	if err != nil {
		in.Standing = message.Absent
		l.step(message.Kept{In: in})
		l.unapplied(ctx, in.Kind, err)
		return
	}
	l.tellKept(kept, tombs)
	l.closed(ctx, tombs, v.doubted(kept))
}

// applyHeld is R2 of a message that was held and is believed by now, and returns
// what else is bound with it. What is held for another reason too waits on.
func (l *link) applyHeld(ctx context.Context, in message.In) []message.In {
	kept, tombs, v, err := l.apply(ctx, in, message.Held)
	switch {
	case err == nil:
		l.tellKept(kept, tombs)
	case errors.Is(err, errNothing) && v.why != noAgreement:
	default:
		l.leave(in)
		l.unapplied(ctx, in.Kind, err)
	}
	return tombs
}

// apply applies what has stood as stored or as held until now, if it may be. Where it
// was held and still is, or is not any more, the error is errNothing.
func (l *link) apply(ctx context.Context, of message.In, was message.Standing) (kept message.Kept, tombs []message.In, v verdict, err error) {
	if l.keptOut(of.Kind) {
		return kept, nil, v, errSuspended
	}
	rows, err := l.c.s.In(ctx, l.node(), of.Epoch, of.Seq, 1)
	if err != nil {
		return kept, nil, v, err
	}
	if len(rows) == 0 || rows[0].Seq != of.Seq {
		return kept, nil, v, noroshi.Errorf(noroshi.Broken, "courier.stream", "sequence %d is not in the stream of %s", of.Seq, l.node())
	}
	if was == message.Held && rows[0].State != store.Held {
		return kept, nil, v, errNothing
	}
	in, err := l.inOf(rows[0])
	if err != nil {
		return kept, nil, v, err
	}
	m, err := message.DecodeSigned(l.c.o.Realm, rows[0].Signed)
	v.keys = l.view.Load().keys
	switch {
	case err == nil && m.Header.Kind == message.Link && len(rows[0].Content) == 0 && l.doubtful(m) == "":
		// Its secrets came and went while it was held. Its sender finds that they are not
		// here by what comes under the card's, and makes others.
		v.standing = message.Applied
	case err == nil:
		if m, err = m.WithContent(rows[0].Content); err == nil {
			v = l.judge(m)
		}
	}
	if err == nil && was == message.Held && v.standing == message.Held {
		err = errNothing
	}
	if err != nil {
		return kept, nil, v, err
	}
	a := arrived{m: m, channel: rows[0].Channel}
	kept, tombs, err = l.commitIn(ctx, in, a, v)
	switch {
	case !isRekeyed(err):
	case was == message.Held: // it is looked at again under the KEYSET that came
		err = errNothing
	default:
		v = verdict{standing: message.Held, why: keyChain}
		kept, tombs, err = l.commitIn(ctx, in, a, v)
	}
	return kept, tombs, v, err
}

// judge decides what a verified message comes to. Unknown kinds, forms and
// labels, data under no agreement in force, and what is dated a day ahead are
// held for an upgrade or a person, never guessed.
func (l *link) judge(m *message.Message) (v verdict) {
	keys := l.view.Load().keys
	v = verdict{standing: message.Held, why: l.doubtful(m)}
	switch {
	case v.why != "":
	case m.Ahead(l.c.o.Now()) && m.Header.Kind != message.Link: // whose secrets come this once
		v.why = "ahead"
	default:
		v = l.judgeKind(m)
	}
	v.keys = keys
	return v
}

// judgeKind is judge whatever the date and the key.
func (l *link) judgeKind(m *message.Message) verdict {
	held := func(why string) verdict { return verdict{standing: message.Held, why: why} }
	switch m.Header.Kind {
	case message.Data:
		return l.judgeData(m)
	case message.Tombstone, message.Outcome, message.Read, message.EpochStart, message.Recall, message.RecallDone, message.Link:
		if m.Header.Form != message.ControlForm {
			return held("form")
		}
		return judgeControl(m)
	}
	return held("kind")
}

// noAgreement says of DATA that no agreement is in force that it may come under.
const noAgreement = "agreement"

func (l *link) judgeData(m *message.Message) verdict {
	// A message signed under the agreement before may still be on its way when
	// a later one comes into force: Unseal has checked that both signed it.
	_, ok := l.view.Load().inForce(l.c.o.Now())
	switch {
	case m.Header.Form != message.ObjectsForm:
		return verdict{standing: message.Held, why: "form"}
	case !ok || m.Context.Agreement.IsZero():
		return verdict{standing: message.Held, why: noAgreement}
	case m.Header.LabelRef != 0:
		return verdict{standing: message.Held, why: "label"}
	}
	label, err := noroshi.ParseLabel(m.Header.Label)
	if err != nil || !label.Handled() || label.Exercise != l.c.o.Realm.Exercise() && label.Exercise != "" {
		return verdict{standing: message.Held, why: "label"}
	}
	src := noroshi.Source{Kind: noroshi.FromPartner, Partner: l.node(), Message: m.ID()}
	run := "link:" + string(l.view.Load().partner.Organisation.CallSign)
	objects, err := message.DecodeObjects(m.Content)
	if err != nil {
		return verdict{standing: message.Applied, faults: []message.OutcomeCode{{Index: 0, Code: outcomeMalformed}},
			whole: &store.Quarantined{Source: src, Run: run, Code: "message.malformed", Place: place(m, 0),
				Detail: "the content is not a list of objects", Raw: m.Content[:min(len(m.Content), 64<<10)], Size: int64(len(m.Content))}}
	}
	raws, views := make([]intake.Raw, len(objects)), make([]uint32, len(objects))
	for i, o := range objects {
		views[i] = o.View
		raws[i] = intake.Raw{Bytes: o.Bytes, View: o.View, Label: label, Place: place(m, i+1)}
	}
	p, err := l.c.gate.Prepare(src, run, raws)
	if err != nil {
		return verdict{standing: message.Held, why: "intake"}
	}
	return verdict{standing: message.Applied, objects: p, views: views}
}

func place(m *message.Message, object int) string {
	return fmt.Sprintf("message %d, object %d", m.Header.Seq, object)
}

// Codes of OUTCOME: technical faults only. Whether something is known-good or
// guarded here is not told.
const (
	outcomeMalformed = 1
	outcomeUnknown   = 2
	outcomeTooLarge  = 3
	outcomeLabel     = 4
	outcomeConflict  = 5
)

func outcomeOf(code string) (uint8, bool) {
	switch code {
	case "malformed", "invalid", "future":
		return outcomeMalformed, true
	case "too-large":
		return outcomeTooLarge, true
	case "label":
		return outcomeLabel, true
	case "conflict":
		return outcomeConflict, true
	}
	return outcomeUnknown, code == "unknown-type"
}

// commitIn writes a received message and what it comes to in one act.
func (l *link) commitIn(ctx context.Context, in message.In, a arrived, v verdict) (kept message.Kept, tombs []message.In, err error) {
	l.mu.Lock()
	fresh, live := !slices.Contains(l.memo.Theirs, epochID(in.Epoch)), l.memo.Live
	if live == (epochID{}) {
		live = epochID(l.side.Status().Live)
	}
	l.mu.Unlock()
	knows := func(m *memo) {
		m.know(in.Epoch)
		if m.Live == (epochID{}) {
			m.Live = live
		}
	}
	row := store.InMessage{Partner: l.node(), Epoch: in.Epoch, Seq: in.Seq, ID: in.ID, Kind: uint8(in.Kind), Prec: in.Prec,
		Created: a.m.Header.Created, Signed: a.m.EncodeSigned(), Content: a.m.Content, Channel: a.channel,
		State: store.InState(v.standing), Time: l.c.o.Now()}
	if v.standing == message.Applied && in.Kind == message.Data || in.Kind == message.Link {
		row.Content = nil // the objects are kept, their bytes make it up; secrets are in the vault alone
	}
	act := noroshi.Act{Action: noroshi.ActReceive, Partner: l.node(), Agreement: a.m.Context.Agreement, Label: a.m.Header.Label,
		Message: in.ID, Precedence: in.Prec}
	var then []reach
	_, err = l.c.s.Do(ctx, act, func(tx *store.Tx) error {
		if err := l.flows(ctx, tx, a.m, v); err != nil {
			return err
		}
		if err := l.tookLink(in, v.link); err != nil { // before it is receipted: from then on the partner uses it
			return err
		}
		tombs, then = nil, nil
		in.Standing = v.standing
		kept = message.Kept{In: in}
		isNew, paid, err := l.putIn(ctx, tx, row, a.m, &kept)
		if err == nil && !kept.Again {
			err = l.pay(tx, a.m, v.cost(a.m)-paid)
		}
		if err != nil || !isNew {
			return err
		}
		if fresh {
			if err := l.remember(ctx, tx, knows); err != nil {
				return err
			}
		}
		tombs, then, err = l.effects(ctx, tx, in, a.m, v)
		return err
	})
	if err != nil {
		return kept, nil, err
	}
	if fresh && !kept.Second && !kept.Again {
		l.learn(knows)
	}
	l.c.settle(then)
	if kept.Second {
		l.c.counts.Seconds.Add(1)
	}
	if v.standing == message.Applied && !kept.Again && !kept.Second {
		l.c.counts.Applied.Add(1)
		if v.restored {
			l.alarm(ctx, "peer-restored", in.Seq)
		}
	}
	return kept, tombs, nil
}

// errSuspended keeps DATA out while the agreement is suspended. It is not held:
// its sender is being told, withholds it, and sends what may still go anew when the
// agreement is resumed.
var errSuspended = noroshi.Errorf(noroshi.Queued, "courier.suspended", "the agreement is suspended: nothing of it is taken")

// flows refuses inside an act what by then may not be done any more: DATA when the
// agreement is suspended, and anything when the key that signed it was revoked since
// it was decided.
func (l *link) flows(ctx context.Context, tx *store.Tx, m *message.Message, v verdict) error {
	if err := l.stillSigned(ctx, tx, m, v); err != nil || m.Header.Kind != message.Data {
		return err
	}
	p, err := store.DocOf[noroshi.Partner](ctx, tx.Reads, noroshi.DocPartner, l.node().String())
	if err == nil && len(p.Suspended) > 0 {
		err = errSuspended
	}
	return err
}

// putIn binds the sequence, and reports whether there is anything to do, and what
// was paid for the message when it was stored.
func (l *link) putIn(ctx context.Context, tx *store.Tx, row store.InMessage, m *message.Message, kept *message.Kept) (isNew bool, paid int64, err error) {
	rows, err := tx.In(ctx, row.Partner, row.Epoch, row.Seq, 1)
	if err != nil {
		return false, 0, err
	}
	if len(rows) == 0 || rows[0].Seq != row.Seq {
		_, err := tx.PutIn(row)
		return err == nil, 0, err
	}
	have := rows[0]
	if have.State == store.Tombstoned {
		if have.ID, err = tombID(ctx, tx.Reads, row.Partner, row.Epoch, row.Seq); err != nil {
			return false, 0, err
		}
		if have.ID == row.ID { // late, but it came after all
			isNew, err = tx.PutIn(row)
			return isNew, 0, err
		}
		kept.Second = true // its id is not that of the tombstone: kept for a person, nothing more
		return false, 0, l.keepSecond(ctx, tx, m)
	}
	switch {
	case have.ID != row.ID:
		kept.Second = true
		_, err := tx.PutIn(row) // kept beside the first, which stands
		return false, 0, err
	case have.State >= store.Applied || have.State >= row.State:
		kept.Again = true
		kept.In.Standing = message.Standing(have.State)
		return false, 0, nil
	}
	return true, bareCost(len(have.Content)), tx.SetInState(row.Partner, row.Epoch, row.Seq, row.State)
}

// effects does what a message comes to, inside the act that binds it; then is
// what the act leaves to be done in memory.
func (l *link) effects(ctx context.Context, tx *store.Tx, in message.In, m *message.Message, v verdict) (tombs []message.In, then []reach, err error) {
	faults := v.faults
	if v.whole != nil {
		if err := tx.Quarantine(*v.whole); err != nil {
			return nil, nil, err
		}
	}
	if v.objects != nil {
		a, err := l.c.gate.Admit(tx, v.objects)
		if err != nil {
			return nil, nil, err
		}
		if a.Unchanged > 0 {
			if err := putBrought(tx, tombKey(l.node(), in.Epoch, in.Seq), v.views, a); err != nil {
				return nil, nil, err
			}
		}
		for _, f := range a.Faults {
			if code, ok := outcomeOf(f.Code); ok {
				faults = append(faults, message.OutcomeCode{Index: uint32(f.Index), Code: code})
			}
		}
	}
	if len(faults) > 0 {
		if err := l.pay(tx, m, faultCost*int64(len(faults))); err != nil {
			return nil, nil, err
		}
		o := l.outcome(in, faults)
		then = append(then, reach{node: l.node(), pending: []pendingMessage{o}})
		if err := keepPending(tx, o); err != nil {
			return nil, nil, err
		}
	}
	if v.standing != message.Applied {
		return nil, then, nil
	}
	if tombs, err = l.entomb(ctx, tx, v.tombs); err != nil {
		return nil, nil, err
	}
	var more []reach
	switch {
	case v.read != nil:
		err = l.readThere(ctx, tx, *v.read)
	case v.recall != nil:
		more, err = l.recalled(ctx, tx, in.ID, v.recall)
	case v.done != nil:
		more, err = l.answered(ctx, tx, m.Header, *v.done)
	}
	return tombs, append(then, more...), err
}
