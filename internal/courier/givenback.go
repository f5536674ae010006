package courier

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// back is what a returned message did here, to be done again.
type back struct {
	m       *message.Message
	objects []*intake.Prepared // DATA: by source
	shown   []viewed
	given   []*stix.Object // of them those that this node did not make
	tombs   []message.TombstoneBody
	recall  []message.RecallEntry
}

// viewed is an object as the partner has it.
type viewed struct {
	object *stix.Object
	view   uint32
}

// prepareBack reads a returned message outside of the write lane.
func (l *link) prepareBack(m *message.Message) (b back, err error) {
	b.m = m
	if m.Content == nil {
		return b, nil
	}
	switch m.Header.Kind {
	case message.Data:
		return b, l.prepareObjects(&b)
	case message.Tombstone:
		b.tombs, err = message.DecodeTombstones(m.Content)
	case message.Recall:
		b.recall, err = message.DecodeRecall(m.Content)
	}
	return b, err
}

// runReturned is the run of what a partner gave back.
const runReturned = "returned"

// givenBack is the source of what a partner gave back and this node did not make.
func (l *link) givenBack() noroshi.Source {
	return noroshi.Source{Kind: noroshi.FromFile, Name: "returned by " + string(l.view.Load().partner.Organisation.CallSign), Returned: l.node()}
}

// endReturned takes those versions of an object out of use that were given back and
// are chosen, and returns them: from whom this node had them is forgotten, and who
// may have brought them took them back. What a file brought stands, whether it came
// before or comes later.
func endReturned(ctx context.Context, tx *store.Tx, id stix.ID, chosen func(store.Record) bool) ([]store.Record, error) {
	list, err := tx.Versions(ctx, id)
	list = slices.DeleteFunc(list, func(v store.Record) bool { return v.Source.Returned == noroshi.NodeID{} || !chosen(v) })
	for _, v := range list {
		err = errors.Join(err, tx.EndVersion(id, v.Source.Owner(), v.Seq))
	}
	return list, err
}

// withdrawTheirs takes the partner's copies of an object out of use, and of what was
// given back those versions that say of themselves that it made them, as far as the
// entry goes; it returns the latter. What somebody else brought says nothing of them:
// a partner may send anything as its own.
func (l *link) withdrawTheirs(ctx context.Context, tx *store.Tx, e message.RecallEntry) ([]store.Record, error) {
	if err := withdraw(tx, e, noroshi.Source{Kind: noroshi.FromPartner, Partner: l.node()}.Owner()); err != nil {
		return nil, err
	}
	maker := l.view.Load().partner.Organisation.Identity
	return endReturned(ctx, tx, e.Object, func(v store.Record) bool {
		return (v.Object.CreatedBy == maker || v.Object.ID == maker) && concerns(e, v.Object)
	})
}

// prepareObjects readies the objects of a DATA of ours to come in again. What
// this node's identity made is its own; everything else is known by the partner
// that gave it back, and by nobody it may have come from. A view is no object of
// ours: it says less. Its number is not given to other bytes again.
func (l *link) prepareObjects(b *back) (err error) {
	all, err := message.DecodeObjects(b.m.Content)
	if err != nil {
		return nil // it was malformed when it went
	}
	label, err := noroshi.ParseLabel(b.m.Header.Label)
	if err != nil {
		return nil
	}
	self := noroshi.Source{Kind: noroshi.FromSelf}
	given := l.givenBack()
	raws := map[noroshi.Source][]intake.Raw{}
	identity := l.c.gate.Self().Identity
	for i, o := range all {
		x, err := stix.Parse(o.Bytes)
		if err != nil {
			continue
		}
		b.shown = append(b.shown, viewed{x, o.View})
		if o.View > 0 {
			continue
		}
		src := given
		if x.CreatedBy == identity || x.ID == identity {
			src = self
		} else {
			b.given = append(b.given, x)
		}
		raws[src] = append(raws[src], intake.Raw{Bytes: o.Bytes, Label: label, Place: place(b.m, i+1)})
	}
	for _, src := range []noroshi.Source{self, given} {
		if len(raws[src]) == 0 {
			continue
		}
		p, err := l.c.gate.Prepare(src, runReturned, raws[src])
		if err != nil {
			return err
		}
		b.objects = append(b.objects, p)
	}
	return nil
}

// do does it again, inside the act that puts the message back.
func (b back) do(ctx context.Context, tx *store.Tx, l *link) (done []reach, err error) {
	banned, err := tx.Banned(ctx, b.given)
	if err != nil {
		return nil, err
	}
	for _, p := range b.objects {
		if _, err := l.c.gate.Admit(tx, p); err != nil {
			return nil, err
		}
	}
	for i, x := range b.given {
		if banned[i] {
			if _, err := endReturned(ctx, tx, x.ID, func(v store.Record) bool { return v.Hash == x.Hash() }); err != nil {
				return nil, err
			}
		}
	}
	msg := b.m.ID()
	for _, x := range b.shown {
		if err := errors.Join(tx.PutDoc(docReturned, returnedKey(l.node(), x.object.ID), msg[:]), tx.ViewShown(l.node(), x.object, x.view)); err != nil {
			return nil, err
		}
	}
	if done, err = l.tellRecalled(ctx, tx, b.shown); err != nil {
		return nil, err
	}
	closed := reach{node: l.node(), closed: map[message.Epoch][]uint64{}}
	for _, t := range b.tombs {
		if err := l.closeAgain(ctx, tx, t, &closed); err != nil {
			return nil, err
		}
	}
	done = append(done, closed)
	if len(b.recall) == 0 {
		return done, nil
	}
	more, err := l.recallAgain(ctx, tx, b)
	return append(done, more...), err
}

// closeAgain does again what a line of a TOMBSTONE of ours says. Of a message that
// is here the partner may have the TOMBSTONE alone, which its STATE does not tell
// from the message: what else was in it goes again, once. Twice is harmless, never
// is not.
func (l *link) closeAgain(ctx context.Context, tx *store.Tx, t message.TombstoneBody, r *reach) error {
	if err := tx.SetOutState(l.node(), t.Epoch, []uint64{t.Seq}, tombstone{t.ID, t.Reason}.state(), "TOMBSTONE"); err != nil {
		return err
	}
	r.closed[t.Epoch] = append(r.closed[t.Epoch], t.Seq)
	rows, err := tx.Out(ctx, l.node(), t.Epoch, t.Seq, 1)
	if err != nil || len(rows) == 0 || rows[0].Seq != t.Seq || rows[0].ID != t.ID || rows[0].State == store.ReadThere || t.Reason != tombWithheld {
		return err
	}
	p, goes, err := l.anew(ctx, tx, rows[0])
	if err != nil || !goes {
		return err
	}
	if had, err := tx.DocVersions(ctx, docPending, p.Key); err != nil || len(had) > 0 {
		return err // it was withheld in this life too
	}
	r.pending = append(r.pending, p)
	return keepPending(tx, p)
}

// tellRecalled tells the partner of recalls of what it gave back: they were done
// here again by the list beside the database, which knows of nobody who has what
// this node had forgotten it sent.
func (l *link) tellRecalled(ctx context.Context, tx *store.Tx, shown []viewed) (done []reach, err error) {
	if len(shown) == 0 {
		return nil, nil
	}
	docs, err := tx.Docs(ctx, docRecall)
	if err != nil {
		return nil, err
	}
	for key, body := range docs {
		var r Recall
		if json.Unmarshal(body, &r) != nil {
			return nil, noroshi.Errorf(noroshi.Broken, "courier.recall", "the record of recall %s cannot be read", key)
		}
		if err := r.endAgain(ctx, tx, shown); err != nil {
			return nil, err
		}
		if r.From == l.node() || r.Only != (noroshi.NodeID{}) && r.Only != l.node() {
			continue
		}
		objects, err := r.untold(ctx, tx, l.node(), shown)
		if err != nil {
			return nil, err
		}
		if len(objects) == 0 {
			continue
		}
		if r.ID, err = l.retold(ctx, tx, r, objects); err != nil {
			return nil, err
		}
		_, out, err := takeBack(ctx, tx, r, l.node(), objects)
		if err != nil {
			return nil, err
		}
		done = append(done, out)
	}
	return done, nil
}

// endAgain takes out of use what came back of the versions that alone were meant: no
// withdrawal says so of what comes later.
func (r *Recall) endAgain(ctx context.Context, tx *store.Tx, shown []viewed) error {
	for _, x := range shown {
		if x.view > 0 || !slices.Contains(r.Ended, x.object.Hash()) {
			continue
		}
		if _, err := endReturned(ctx, tx, x.object.ID, func(v store.Record) bool { return v.Hash == x.object.Hash() }); err != nil {
			return err
		}
	}
	return nil
}

// untold returns the objects of a recall that are among some that a partner has,
// and that it was not told of.
func (r *Recall) untold(ctx context.Context, tx *store.Tx, node noroshi.NodeID, shown []viewed) ([]taken, error) {
	var to RecallTo
	if _, err := readJSON(ctx, tx.Reads, docRecallTo, recallKey(r.ID, node), &to); err != nil {
		return nil, err
	}
	list, err := r.about(ctx, tx, shown)
	return slices.DeleteFunc(list, func(x taken) bool {
		return slices.ContainsFunc(to.Entries, func(e message.RecallEntry) bool { return e.Object == x.entry.Object })
	}), err
}

// retold returns the id under which the partner is told of objects of a recall: a
// new one where it was told of others by that recall.
func (l *link) retold(ctx context.Context, tx *store.Tx, r Recall, objects []taken) (string, error) {
	if _, err := tx.Doc(ctx, docRecallTo, recallKey(r.ID, l.node())); noroshi.KindOf(err) == noroshi.NotFound {
		return r.ID, nil
	} else if err != nil {
		return "", err
	}
	r.ID, r.Only, r.Entries = newRecallID("told", r.ID, l.node().String(), string(objects[0].entry.Object)), l.node(), nil
	for _, x := range objects {
		r.Entries = append(r.Entries, x.entry)
	}
	if err := tx.Notice(RecallChanged, r.ID); err != nil {
		return "", err
	}
	return r.ID, putJSON(tx, docRecall, r.ID, r)
}

// about returns the objects of a recall that are among some that a partner has. Where
// versions alone were meant, it is those of them that it has.
func (r *Recall) about(ctx context.Context, tx *store.Tx, shown []viewed) (list []taken, err error) {
	for _, e := range r.Entries {
		has := slices.DeleteFunc(slices.Clone(shown), func(x viewed) bool { return x.object.ID != e.Object || !concerns(e, x.object) })
		if len(has) == 0 {
			continue
		}
		t := taken{entry: e}
		t.entry.Message = noroshi.Hash{}
		if t.versions, err = tx.Versions(ctx, e.Object); err != nil {
			return nil, err
		}
		t.versions = slices.DeleteFunc(t.versions, func(v store.Record) bool { return !r.means(v) })
		if len(r.Ended) == 0 || slices.ContainsFunc(has, func(x viewed) bool { return x.among(t.versions) }) {
			list = append(list, t)
		}
	}
	return list, nil
}

// recallAgain does again a RECALL of ours that this node had forgotten: our own
// copies go out of use, and everybody who has it is told, the partner that gave
// the RECALL back too, since its answer was lost. What a partner brought, only
// that partner's word withdraws.
func (l *link) recallAgain(ctx context.Context, tx *store.Tx, b back) ([]reach, error) {
	id := b.m.ID()
	r := Recall{ID: newRecallID("returned", id.String()), Entries: b.recall, Made: b.m.Header.Created, Owners: []string{noroshi.Source{Kind: noroshi.FromSelf}.Owner(), noroshi.Source{Kind: noroshi.FromFile}.Owner()}}
	var objects []taken
	for _, e := range b.recall {
		x := taken{entry: e, forgotten: true}
		x.entry.Message = noroshi.Hash{}
		var err error
		if x.versions, err = tx.Versions(ctx, e.Object); err != nil {
			return nil, err
		}
		all := len(x.versions)
		x.versions = slices.DeleteFunc(x.versions, func(v store.Record) bool { return v.Source.Kind == noroshi.FromPartner })
		if all > 0 && len(x.versions) == 0 {
			continue // it was passed on: who made it says so itself
		}
		for _, v := range x.versions {
			if own := v.Source.Owner(); !slices.Contains(r.Owners, own) {
				r.Owners = append(r.Owners, own)
			}
		}
		objects = append(objects, x)
	}
	_, done, err := l.c.recall(ctx, tx, r, objects)
	return done, err
}
