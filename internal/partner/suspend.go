package partner

import (
	"context"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// docSuspension holds a node's latest SUSPENSION about an agreement; key: Hash
// + "/" + NodeID; body: the document.
const docSuspension = "suspension"

// latest returns a node's latest word on an agreement; the zero Suspension when
// it never suspended it.
func (o *Office) latest(ctx context.Context, r store.Reads, h noroshi.Hash, node noroshi.NodeID) (message.Suspension, error) {
	doc, err := r.Doc(ctx, docSuspension, signatureKey(h, node))
	if noroshi.KindOf(err) == noroshi.NotFound {
		return message.Suspension{Resumed: true}, nil
	}
	if err != nil {
		return message.Suspension{}, err
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
	doc, err := message.SignSuspension(o.o.Keys, message.Suspension{Agreement: order.Agreement, Counter: was.Counter + 1,
		Resumed: order.Action == noroshi.ActResumeAgreement, Created: o.o.Now()})
	if err != nil {
		return nil, err
	}
	if err := tx.PutDoc(docSuspension, signatureKey(order.Agreement, o.o.Keys.NodeID()), doc); err != nil {
		return nil, err
	}
	return func() error { return o.post(ctx, p.Node, doc) }, o.settleSuspended(ctx, tx, p)
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
// than the last changes nothing.
func (o *Office) suspensionArrived(ctx context.Context, p noroshi.Partner, doc []byte) error {
	ks, err := o.keyset(ctx, o.store.Reads, p.Node)
	if err != nil {
		return err
	}
	s, err := message.VerifySuspension(doc, ks)
	if err != nil {
		return err
	}
	if a, err := o.Agreement(ctx, s.Agreement); err != nil || a.Partner != p.Node {
		return noroshi.Errorf(noroshi.Refused, "agreement.none", "no agreement %s", s.Agreement)
	}
	was, err := o.latest(ctx, o.store.Reads, s.Agreement, p.Node)
	if err != nil || s.Counter <= was.Counter {
		return err
	}
	act := noroshi.Act{Action: noroshi.ActSuspendAgreement, Subject: s.Agreement.String(), Partner: p.Node, Agreement: s.Agreement, Precedence: noroshi.Immediate}
	if s.Resumed {
		act.Action = noroshi.ActResumeAgreement
	}
	_, err = o.store.Do(ctx, act, func(tx *store.Tx) error {
		if was, err := o.latest(ctx, tx.Reads, s.Agreement, p.Node); err != nil || s.Counter <= was.Counter {
			return err
		}
		if err := tx.PutDoc(docSuspension, signatureKey(s.Agreement, p.Node), doc); err != nil {
			return err
		}
		now, err := partner(ctx, tx.Reads, p.Node)
		if err != nil {
			return err
		}
		return o.settleSuspended(ctx, tx, now)
	})
	return err
}
