package partner

import (
	"bytes"
	"cmp"
	"context"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// docSuspension holds a node's latest SUSPENSION about an agreement; key: Hash
// + "/" + NodeID; body: the document.
const docSuspension = "suspension"

// word returns the document of a node's latest word on an agreement, nil when it
// never said one.
func word(ctx context.Context, r store.Reads, h noroshi.Hash, node noroshi.NodeID) ([]byte, error) {
	doc, err := r.Doc(ctx, docSuspension, signatureKey(h, node))
	if noroshi.KindOf(err) == noroshi.NotFound {
		return nil, nil
	}
	return doc, err
}

// latest returns a node's latest word on an agreement; the zero Suspension when
// it never suspended it. It stands until the node says another, whatever becomes of
// the key that signed it: what is stopped does not go on for want of a key.
func (o *Office) latest(ctx context.Context, r store.Reads, h noroshi.Hash, node noroshi.NodeID) (message.Suspension, error) {
	doc, err := word(ctx, r, h, node)
	if err != nil || doc == nil {
		return message.Suspension{Resumed: true}, err
	}
	return message.ReadSuspension(o.o.Realm, doc)
}

func (o *Office) suspendable(ctx context.Context, r store.Reads, order noroshi.Order) error {
	_, p, err := o.inForce(ctx, r, order.Agreement)
	if err != nil {
		return err
	}
	ours, err := o.latest(ctx, r, order.Agreement, o.o.Keys.NodeID())
	switch {
	case err != nil:
		return err
	case order.Action == noroshi.ActSuspendAgreement && !ours.Resumed:
		return noroshi.Errorf(noroshi.Conflict, "agreement.suspended", "this node has suspended the agreement with %s already", p.Organisation.CallSign)
	case order.Action == noroshi.ActResumeAgreement && ours.Resumed:
		return noroshi.Errorf(noroshi.Conflict, "agreement.not-suspended", "this node has not suspended the agreement with %s", p.Organisation.CallSign)
	}
	return nil
}

// suspend stops all data under an agreement, or lets it go on as far as this
// node is concerned, and tells the partner.
func (o *Office) suspend(ctx context.Context, tx *store.Tx, order noroshi.Order) (func() error, error) {
	_, p, err := o.inForce(ctx, tx.Reads, order.Agreement)
	if err != nil {
		return nil, err
	}
	was, err := o.latest(ctx, tx.Reads, order.Agreement, o.o.Keys.NodeID())
	if err != nil {
		return nil, err
	}
	doc, err := o.say(ctx, tx, p, message.Suspension{Agreement: order.Agreement, Counter: was.Counter + 1, Resumed: order.Action == noroshi.ActResumeAgreement})
	return func() error { return o.post(ctx, p.Node, doc) }, err
}

// say signs this node's word and keeps it.
func (o *Office) say(ctx context.Context, tx *store.Tx, p noroshi.Partner, s message.Suspension) ([]byte, error) {
	s.Created = o.o.Now()
	doc, err := message.SignSuspension(o.o.Keys, s)
	if err != nil {
		return nil, err
	}
	if err := tx.PutDoc(docSuspension, signatureKey(s.Agreement, o.o.Keys.NodeID()), doc); err != nil {
		return nil, err
	}
	return doc, o.settleSuspended(ctx, tx, p)
}

// settleSuspended brings a partner's record up to what both nodes said last
// about the agreement: data flows only while neither has suspended it.
func (o *Office) settleSuspended(ctx context.Context, tx *store.Tx, p noroshi.Partner) error {
	p.Suspended = nil
	for _, n := range []noroshi.NodeID{o.o.Keys.NodeID(), p.Node} {
		s, err := o.latest(ctx, tx.Reads, p.Agreement, n)
		if err != nil {
			return err
		}
		if !s.Resumed {
			p.Suspended = append(p.Suspended, n)
		}
	}
	switch {
	case len(p.Suspended) > 0 && p.Trust == noroshi.InForce:
		p.Trust = noroshi.Introduced // the control stream goes on
	case len(p.Suspended) == 0 && p.Trust == noroshi.Introduced && !p.Agreement.IsZero():
		p.Trust = noroshi.InForce
	}
	if err := put(tx, p); err != nil {
		return err
	}
	return tx.Notice(store.AgreementChanged, p.Node.String())
}

// suspensionArrived takes a SUSPENSION from a partner. One that is not newer
// than the last changes nothing; the partner is given that back, for it may have
// been put back to before it said so.
func (o *Office) suspensionArrived(ctx context.Context, p noroshi.Partner, doc []byte) error {
	if s, err := message.ReadSuspension(o.o.Realm, doc); err == nil && s.Node == o.o.Keys.NodeID() {
		return o.givenBack(ctx, p, doc)
	}
	s, newer, err := o.heard(ctx, o.store.Reads, p.Node, doc)
	if err != nil {
		return err
	}
	if a, err := o.Agreement(ctx, s.Agreement); err != nil || a.Partner != p.Node {
		return noroshi.Errorf(noroshi.Refused, "agreement.none", "no agreement %s", s.Agreement)
	}
	if !newer {
		return o.giveBack(ctx, p, s.Agreement, doc)
	}
	_, err = o.store.Do(ctx, actOf(p, s), func(tx *store.Tx) error {
		if _, newer, err := o.heard(ctx, tx.Reads, p.Node, doc); err != nil || !newer {
			return cmp.Or(err, errKnown)
		}
		return o.take(ctx, tx, p, s, doc)
	})
	return unlessKnown(err)
}

// heard reads a word of a partner's, by the keys of it that are held now, and whether
// it counts over the one that is kept.
func (o *Office) heard(ctx context.Context, r store.Reads, node noroshi.NodeID, doc []byte) (s message.Suspension, newer bool, err error) {
	ks, err := o.keyset(ctx, r, node)
	if err != nil {
		return s, false, err
	}
	if s, err = message.VerifySuspension(doc, ks); err != nil {
		return s, false, err
	}
	held, err := word(ctx, r, s.Agreement, node)
	return s, message.CompareSuspensions(doc, held, ks) > 0, err
}

// take keeps a word on the agreement, inside the act.
func (o *Office) take(ctx context.Context, tx *store.Tx, p noroshi.Partner, s message.Suspension, doc []byte) error {
	if err := tx.PutDoc(docSuspension, signatureKey(s.Agreement, s.Node), doc); err != nil {
		return err
	}
	now, err := partner(ctx, tx.Reads, p.Node)
	if err != nil {
		return err
	}
	return o.settleSuspended(ctx, tx, now)
}

func actOf(p noroshi.Partner, s message.Suspension) noroshi.Act {
	act := noroshi.Act{Action: noroshi.ActSuspendAgreement, Subject: s.Agreement.String(), Partner: p.Node, Agreement: s.Agreement, Precedence: noroshi.Immediate}
	if s.Resumed {
		act.Action = noroshi.ActResumeAgreement
	}
	return act
}

// giveBack sends a partner its own latest word, unless it is the one it just said.
func (o *Office) giveBack(ctx context.Context, p noroshi.Partner, agreement noroshi.Hash, said []byte) error {
	held, err := o.store.Doc(ctx, docSuspension, signatureKey(agreement, p.Node))
	if err != nil || bytes.Equal(held, said) {
		return err
	}
	return o.post(ctx, p.Node, held)
}

// remind gives a partner its suspension back that consents as if there were none.
func (o *Office) remind(ctx context.Context, p noroshi.Partner, agreement noroshi.Hash) error {
	if was, err := o.latest(ctx, o.store.Reads, agreement, p.Node); err != nil || was.Resumed {
		return err
	}
	return o.giveBack(ctx, p, agreement, nil)
}
