package courier

import (
	"context"
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
	whole    *store.Quarantined
	faults   []message.OutcomeCode
	tombs    []message.TombstoneBody
	read     *message.ReadBody
	restored bool // the partner begins anew from an earlier state
	recall   []message.RecallEntry
	done     *message.RecallDoneBody
}

// keep is R1 and, with apply, R2 in the same act: binding, every object
// decided, effects, marker. Nothing is receipted before the commit.
func (l *link) keep(ctx context.Context, in message.In, apply bool) {
	at := arrival{in.Epoch, in.Seq, in.ID}
	a, ok := l.arrivedOf(at)
	if !ok {
		return
	}
	if len(l.view.Load().partner.Suspended) > 0 && a.m.Header.Kind == message.Data {
		// Not held: its sender is being told, withholds it, and sends what may
		// still go anew when the agreement is resumed.
		l.forget(at)
		in.Standing = message.Absent
		l.step(message.Kept{In: in})
		return
	}
	v := verdict{standing: message.Stored}
	if apply {
		v = l.judge(a.m)
	}
	kept, tombs, err := l.commitIn(ctx, in, a, v)
	l.forget(at)
	if err != nil {
		in.Standing = message.Absent // not durable: as if it had not come
		kept = message.Kept{In: in}
		if ctx.Err() == nil {
			l.note(err)
		}
	}
	l.step(kept)
	for _, t := range tombs {
		l.step(message.Kept{In: t})
	}
}

// applyKept is R2 of a message that was stored and waited.
func (l *link) applyKept(ctx context.Context, e message.Epoch, seq uint64) {
	kept, tombs, err := l.apply(ctx, e, seq)
	if err != nil {
		l.note(quiet(ctx, err))
		return
	}
	l.step(kept)
	for _, t := range tombs {
		l.step(message.Kept{In: t})
	}
}

func (l *link) apply(ctx context.Context, e message.Epoch, seq uint64) (kept message.Kept, tombs []message.In, err error) {
	rows, err := l.c.s.In(ctx, l.node(), e, seq, 1)
	if err != nil {
		return kept, nil, err
	}
	if len(rows) == 0 || rows[0].Seq != seq {
		return kept, nil, noroshi.Errorf(noroshi.Broken, "courier.stream", "sequence %d is not in the stream of %s", seq, l.node())
	}
	in, err := l.inOf(rows[0])
	if err != nil {
		return kept, nil, err
	}
	m, err := message.DecodeSigned(l.c.o.Realm, rows[0].Signed)
	if err == nil {
		m, err = m.WithContent(rows[0].Content)
	}
	if err != nil {
		return kept, nil, err
	}
	return l.commitIn(ctx, in, arrived{m: m, channel: rows[0].Channel}, l.judge(m))
}

// judge decides what a verified message comes to. Unknown kinds, forms and
// labels, data under no agreement in force, and what is dated a day ahead are
// held for an upgrade or a person, never guessed.
func (l *link) judge(m *message.Message) verdict {
	held := func(why string) verdict { return verdict{standing: message.Held, why: why} }
	if m.Ahead(l.c.o.Now()) {
		return held("ahead")
	}
	switch m.Header.Kind {
	case message.Data:
		return l.judgeData(m)
	case message.Tombstone, message.Outcome, message.Read, message.EpochStart, message.Recall, message.RecallDone:
		if m.Header.Form != message.ControlForm {
			return held("form")
		}
		return judgeControl(m)
	}
	return held("kind")
}

func (l *link) judgeData(m *message.Message) verdict {
	// A message signed under the agreement before may still be on its way when
	// a later one comes into force: Unseal has checked that both signed it.
	_, ok := l.view.Load().inForce(l.c.o.Now())
	switch {
	case m.Header.Form != message.ObjectsForm:
		return verdict{standing: message.Held, why: "form"}
	case !ok || m.Context.Agreement.IsZero():
		return verdict{standing: message.Held, why: "agreement"}
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
	raws := make([]intake.Raw, len(objects))
	for i, o := range objects {
		raws[i] = intake.Raw{Bytes: o.Bytes, View: o.View, Label: label, Place: place(m, i+1)}
	}
	p, err := l.c.gate.Prepare(src, run, raws)
	if err != nil {
		return verdict{standing: message.Held, why: "intake"}
	}
	return verdict{standing: message.Applied, objects: p}
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
	if v.standing == message.Applied && in.Kind == message.Data {
		row.Content = nil // the objects are kept; their bytes make it up
	}
	act := noroshi.Act{Action: noroshi.ActReceive, Partner: l.node(), Agreement: a.m.Context.Agreement, Label: a.m.Header.Label,
		Message: in.ID, Precedence: in.Prec}
	var then []reach
	_, err = l.c.s.Do(ctx, act, func(tx *store.Tx) error {
		tombs, then = nil, nil
		in.Standing = v.standing
		kept = message.Kept{In: in}
		isNew, err := l.putIn(ctx, tx, row, &kept)
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

// putIn binds the sequence, and reports whether there is anything to do.
func (l *link) putIn(ctx context.Context, tx *store.Tx, row store.InMessage, kept *message.Kept) (bool, error) {
	rows, err := tx.In(ctx, row.Partner, row.Epoch, row.Seq, 1)
	if err != nil {
		return false, err
	}
	if len(rows) == 0 || rows[0].Seq != row.Seq {
		_, err := tx.PutIn(row)
		return err == nil, err
	}
	have := rows[0]
	if have.State == store.Tombstoned {
		if have.ID, err = tombID(ctx, tx.Reads, row.Partner, row.Epoch, row.Seq); err != nil {
			return false, err
		}
		if have.ID == row.ID { // late, but it came after all
			return tx.PutIn(row)
		}
		kept.Second = true // its id is not that of the tombstone: evidence, nothing more
		return false, tx.PutEvidence(row.Partner, row.Kind, row.Epoch, row.Seq, row.Signed)
	}
	switch {
	case have.ID != row.ID:
		kept.Second = true
		_, err := tx.PutIn(row) // kept beside the first, which stands
		return false, err
	case have.State >= store.Held || have.State >= row.State:
		kept.Again = true
		kept.In.Standing = message.Standing(have.State)
		return false, nil
	}
	return true, tx.SetInState(row.Partner, row.Epoch, row.Seq, row.State)
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
		for _, f := range a.Faults {
			if code, ok := outcomeOf(f.Code); ok {
				faults = append(faults, message.OutcomeCode{Index: uint32(f.Index), Code: code})
			}
		}
	}
	if len(faults) > 0 {
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
	switch {
	case v.read != nil:
		err = l.readThere(ctx, tx, *v.read)
	case v.recall != nil:
		then, err = l.recalled(ctx, tx, in.ID, v.recall)
	case v.done != nil:
		then, err = l.answered(ctx, tx, m.Header, *v.done)
	}
	return tombs, then, err
}
