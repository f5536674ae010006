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
	"github.com/noroshi-cti/noroshi/stix"
)

// recalled does what a RECALL asks, inside the act that applies it: the copies
// that came from its sender are withdrawn, with those it overtook; whom they
// were passed on to is told; what this node made of them is taken back too; the
// answer waits for the stream.
func (l *link) recalled(ctx context.Context, tx *store.Tx, id noroshi.Hash, entries []message.RecallEntry) ([]reach, error) {
	in := RecallIn{Message: id, From: l.node(), Entries: entries, Time: tx.Time().UTC(), Results: make([]message.RecallResult, len(entries))}
	owner := noroshi.Source{Kind: noroshi.FromPartner, Partner: in.From}.Owner()
	pass := Recall{ID: newRecallID(l.c.o.Node.String(), id.String()), Entries: entries, Made: in.Time, From: in.From, Came: id}
	var objects []taken
	for i, e := range entries {
		x := taken{entry: e}
		var err error
		if x.versions, in.Results[i].ActiveBefore, err = about(ctx, tx.Reads, e, owner); err != nil {
			return nil, err
		}
		x.entry.Message = noroshi.Hash{}
		in.Results[i].Found = uint32(len(x.versions))
		returned, err := l.withdrawTheirs(ctx, tx, e)
		if err != nil {
			return nil, err
		}
		if _, in.Results[i].ActiveAfter, err = about(ctx, tx.Reads, e, owner); err != nil {
			return nil, err
		}
		x.versions = append(x.versions, returned...)
		objects = append(objects, x)
	}
	to, done, err := l.c.recall(ctx, tx, pass, objects)
	if err != nil {
		return nil, err
	}
	in.Onward = pass.ID
	in.count(to)
	derived, err := l.c.recallDerived(ctx, tx, in, objects, false)
	if err != nil {
		return nil, err
	}
	answer, err := answerRecall(tx, in)
	return append(append(done, derived...), answer), err
}

// about returns the versions that came from an owner and that an entry of a
// RECALL is about, and how many of them are in use as far as the owner says:
// whether this node or others say more of the object is not for it to learn. What went
// out of use takes no other's place, and revokes none: it may have been a thief's.
func about(ctx context.Context, r store.Reads, e message.RecallEntry, owner string) (list []store.Record, active uint32, err error) {
	all, err := r.Versions(ctx, e.Object)
	all = slices.DeleteFunc(all, func(v store.Record) bool { return v.Source.Owner() != owner })
	revoked := slices.ContainsFunc(all, func(v store.Record) bool { return v.Object.Revoked && !v.Withdrawn })
	for _, v := range all {
		if !concerns(e, v.Object) {
			continue
		}
		list = append(list, v)
		later := func(w store.Record) bool {
			return !w.Withdrawn && cmp.Or(w.Object.Modified.Compare(v.Object.Modified), cmp.Compare(w.View, v.View), bytes.Compare(v.Hash[:], w.Hash[:])) > 0
		}
		if !v.Withdrawn && !v.Conflict && !revoked && !slices.ContainsFunc(all, later) {
			active++
		}
	}
	return list, active, err
}

// concerns reports whether an entry of a RECALL is about a version of its object: one
// for re-marking goes up to a version, and is about none that has no time.
func concerns(e message.RecallEntry, o *stix.Object) bool {
	upto, err := stix.ParseTime(e.Modified)
	return e.Scope != message.RecallReMark || err != nil || !o.Modified.IsZero() && o.Modified.Compare(upto) <= 0
}

// inUse reports whether this node uses one of the versions of an object.
func inUse(list []store.Record) bool {
	return slices.ContainsFunc(list, func(v store.Record) bool {
		return v.Current && !v.Withdrawn && !v.Object.Revoked && !v.Conflict
	})
}

func withdraw(tx *store.Tx, e message.RecallEntry, owner string) error {
	if upto, err := stix.ParseTime(e.Modified); err == nil && e.Scope == message.RecallReMark {
		return tx.WithdrawUpTo(e.Object, owner, upto)
	}
	return tx.Withdraw(e.Object, owner)
}

// count counts whom each object was passed on to, and who of them answered.
func (in *RecallIn) count(to []RecallTo) {
	for i, e := range in.Entries {
		in.Results[i].Onward, in.Results[i].Answered = 0, 0
		for _, r := range to {
			for _, x := range r.Entries {
				if x.Object == e.Object {
					in.Results[i].Onward++
					if r.Answer != nil {
						in.Results[i].Answered++
					}
					break
				}
			}
		}
	}
}

// answer keeps what a RECALL came to and queues its RECALL_DONE.
func answerRecall(tx *store.Tx, in RecallIn) (reach, error) {
	p := pendingMessage{Key: fmt.Sprintf("%s/recall-done/%s/%020d", in.From, in.Message, tx.Index()), Kind: message.RecallDone, Prec: noroshi.Priority,
		Content: message.EncodeRecallDone(message.RecallDoneBody{Recall: in.Message, Results: in.Results})}
	if err := putJSON(tx, docRecalled, in.Message.String(), in); err != nil {
		return reach{}, err
	}
	if err := tx.Notice(RecallChanged, in.Message.String()); err != nil {
		return reach{}, err
	}
	return reach{node: in.From, pending: []pendingMessage{p}}, keepPending(tx, p)
}

// answered takes a RECALL_DONE: the newest of a partner counts. What was passed
// on for another is told to it.
func (l *link) answered(ctx context.Context, tx *store.Tx, h message.Header, d message.RecallDoneBody) ([]reach, error) {
	key, err := tx.Doc(ctx, docRecalls, d.Recall.String())
	if noroshi.KindOf(err) == noroshi.NotFound {
		return nil, nil // of a life this node has lost: the message is kept
	}
	if err != nil {
		return nil, err
	}
	var to RecallTo
	if found, err := readJSON(ctx, tx.Reads, docRecallTo, string(key), &to); err != nil || !found || to.Partner != l.node() || len(to.Entries) != len(d.Results) {
		return nil, err // an answer to what it was not asked says nothing
	}
	a := RecallAnswer{Results: d.Results, Until: d.Until, Time: tx.Time().UTC(), Created: h.Created, Seq: h.Seq}
	if to.Answer != nil && (a.Created.Before(to.Answer.Created) || a.Created.Equal(to.Answer.Created) && a.Seq < to.Answer.Seq) {
		return nil, nil
	}
	to.Answer = &a
	if err := putJSON(tx, docRecallTo, string(key), to); err != nil {
		return nil, err
	}
	id := string(key)[:len(key)-1-len(l.node().String())]
	if err := tx.Notice(RecallChanged, id); err != nil {
		return nil, err
	}
	return l.tellBack(ctx, tx, id)
}

// tellBack tells the partner a recall was passed on for that one more of those
// behind this node has answered.
func (l *link) tellBack(ctx context.Context, tx *store.Tx, id string) ([]reach, error) {
	var r Recall
	if found, err := readJSON(ctx, tx.Reads, docRecall, id, &r); err != nil || !found || r.Came.IsZero() {
		return nil, err
	}
	var in RecallIn
	if found, err := readJSON(ctx, tx.Reads, docRecalled, r.Came.String(), &in); err != nil || !found {
		return nil, err
	}
	to, err := recallTo(ctx, tx.Reads, id)
	if err != nil {
		return nil, err
	}
	before := fmt.Sprint(in.Results)
	if in.count(to); fmt.Sprint(in.Results) == before {
		return nil, nil
	}
	done, err := answerRecall(tx, in)
	return []reach{done}, err
}

// RefuseRecall tells a partner that not all that its RECALL asks is done, and
// why. Use has stopped all the same: nobody puts that off.
func (c *Courier) RefuseRecall(ctx context.Context, msg noroshi.Hash, why message.Refusal, by noroshi.Signed) error {
	if why < message.RefusedLaw || why > message.RefusedOther {
		return noroshi.Errorf(noroshi.Invalid, "recall.refusal", "a refusal needs a reason")
	}
	var done reach
	act := noroshi.Act{Action: noroshi.ActRefuseRecall, Persons: []noroshi.Signed{by}, Subject: msg.String(), Message: msg, Precedence: noroshi.Immediate}
	_, err := c.s.Do(ctx, act, func(tx *store.Tx) error {
		register, err := tx.Persons(ctx)
		if err != nil {
			return err
		}
		if err := register.At(by.Person, c.o.Now()).Check(by, noroshi.ActRefuseRecall, noroshi.ActDigest(c.o.Realm, c.o.Node, noroshi.ActRefuseRecall, msg.String(), RefusalBound(why))); err != nil {
			return err
		}
		var in RecallIn
		found, err := readJSON(ctx, tx.Reads, docRecalled, msg.String(), &in)
		if err != nil {
			return err
		}
		if !found {
			return noroshi.Errorf(noroshi.NotFound, "recall.none", "no recall %s came here", msg.String())
		}
		for i := range in.Results {
			in.Results[i].Refusal = why
		}
		in.By = by.Person
		done, err = answerRecall(tx, in)
		return err
	})
	if err == nil {
		c.settle([]reach{done})
	}
	return err
}

// RefusalBound is what the signature of a refusal is bound to.
func RefusalBound(why message.Refusal) noroshi.Hash {
	return noroshi.Sum(fmt.Appendf(nil, "noroshi recall refused 1\n%d\n", why))
}
