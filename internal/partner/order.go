package partner

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// docOrder holds an order with its signatures; key: its Bound.
const docOrder = "order"

// orderAhead is how far an order may be dated ahead of this node's clock.
const orderAhead = 10 * time.Minute

// pendingOrder is an order as it is kept.
type pendingOrder struct {
	Order  noroshi.Order    `json:"order"`
	Signed []noroshi.Signed `json:"signed"`
	Done   bool             `json:"done,omitempty"` // an order is carried out once
}

// Ordered says where an order stands.
type Ordered struct {
	Order    noroshi.Order `json:"order"`
	SignedBy []string      `json:"signed_by,omitempty"`
	Waiting  int           `json:"waiting"` // signatures still missing; 0 = it is done
}

// Draw draws an order up for a person to sign, or returns the one that says the
// same and waits for a further signature. It writes nothing.
func (o *Office) Draw(ctx context.Context, want noroshi.Order) (Ordered, error) {
	want.At, want.Until = o.o.Now().UTC().Truncate(time.Second), want.Until.UTC()
	if err := o.possible(ctx, o.store.Reads, want); err != nil {
		return Ordered{}, err
	}
	all, err := persons(ctx, o.store.Reads, o.o.Now())
	if err != nil {
		return Ordered{}, err
	}
	orders, err := store.DocsOf[pendingOrder](ctx, o.store.Reads, docOrder)
	if err != nil {
		return Ordered{}, err
	}
	for _, p := range orders {
		if !p.Done && p.Order.Same(want) && o.fresh(p.Order) == nil {
			by := o.standing(all, p)
			return Ordered{Order: p.Order, SignedBy: by, Waiting: max(1, o.signatures(all, want.Action)-len(by))}, nil
		}
	}
	return Ordered{Order: want, Waiting: o.signatures(all, want.Action)}, nil
}

// Waiting lists the orders that wait for a further signature and can still be
// carried out in time, the oldest first.
func (o *Office) Waiting(ctx context.Context) ([]Ordered, error) {
	orders, err := store.DocsOf[pendingOrder](ctx, o.store.Reads, docOrder)
	if err != nil {
		return nil, err
	}
	all, err := persons(ctx, o.store.Reads, o.o.Now())
	if err != nil {
		return nil, err
	}
	list := []Ordered{}
	for _, p := range orders {
		if by := o.standing(all, p); !p.Done && len(by) > 0 && o.fresh(p.Order) == nil {
			list = append(list, Ordered{Order: p.Order, SignedBy: by, Waiting: max(1, o.signatures(all, p.Order.Action)-len(by))})
		}
	}
	slices.SortFunc(list, func(a, b Ordered) int { return a.Order.At.Compare(b.Order.At) })
	return list, nil
}

// Give adds a person's signature to an order; with the last one needed it is
// carried out, in the same act. The person signs the order's action over
// Subject bound to Bound.
func (o *Office) Give(ctx context.Context, order noroshi.Order, by noroshi.Signed) (Ordered, error) {
	if err := o.ordered(ctx, by, order.Action, order.Subject(), order.Bound()); err != nil {
		return Ordered{}, err
	}
	if err := o.fresh(order); err != nil {
		return Ordered{}, err
	}
	var out Ordered
	var after func() error
	act, err := o.actOf(ctx, order, by)
	if err != nil {
		return out, err
	}
	_, err = o.store.Do(ctx, act, func(tx *store.Tx) error {
		out, after = Ordered{Order: order}, nil
		all, err := persons(ctx, tx.Reads, o.o.Now())
		if err != nil {
			return err
		}
		p, err := o.add(ctx, tx, all, order, by)
		if err != nil {
			return err
		}
		out.SignedBy = o.standing(all, p)
		out.Waiting = max(0, o.signatures(all, order.Action)-len(out.SignedBy))
		if err := o.possible(ctx, tx.Reads, order); err != nil {
			return err
		}
		if p.Done = out.Waiting == 0; p.Done {
			if after, err = o.carryOut(ctx, tx, order, out.SignedBy); err != nil {
				return err
			}
		}
		return tx.PutJSON(docOrder, order.Bound().String(), p)
	})
	if err == nil && after != nil {
		err = after()
	}
	return out, err
}

// actOf is the act of one more signature: all who signed stand in it.
func (o *Office) actOf(ctx context.Context, order noroshi.Order, by noroshi.Signed) (noroshi.Act, error) {
	act := noroshi.Act{Action: order.Action, Subject: order.Subject(), Agreement: order.Agreement, Precedence: noroshi.Immediate}
	p, err := o.pending(ctx, o.store.Reads, order)
	if err != nil {
		return act, err
	}
	all, err := persons(ctx, o.store.Reads, o.o.Now())
	if err != nil {
		return act, err
	}
	counts := o.standing(all, p)
	for _, s := range p.Signed {
		if s.Person != by.Person && slices.Contains(counts, s.Person) {
			act.Persons = append(act.Persons, s)
		}
	}
	act.Persons = append(act.Persons, by)
	if order.Agreement.IsZero() {
		return act, nil
	}
	a, err := o.Agreement(ctx, order.Agreement)
	act.Partner = a.Partner
	return act, err
}

func (o *Office) pending(ctx context.Context, r store.Reads, order noroshi.Order) (pendingOrder, error) {
	p, err := store.DocOf[pendingOrder](ctx, r, docOrder, order.Bound().String())
	if noroshi.KindOf(err) == noroshi.NotFound {
		return pendingOrder{Order: order}, nil
	}
	return p, err
}

// add adds a signature: a second one of the same person, or of another account
// with the same key, is refused, as is one more for what is done.
func (o *Office) add(ctx context.Context, tx *store.Tx, all map[string]noroshi.Person, order noroshi.Order, by noroshi.Signed) (pendingOrder, error) {
	p, err := o.pending(ctx, tx.Reads, order)
	if err != nil {
		return p, err
	}
	if p.Done {
		return p, noroshi.Errorf(noroshi.Refused, "order.done", "the order is carried out already: draw up another")
	}
	for _, id := range o.standing(all, p) {
		if id == by.Person || bytes.Equal(all[id].Key, all[by.Person].Key) {
			return p, noroshi.Errorf(noroshi.Refused, "order.second-person", "%s has signed already: a second person must sign too", id)
		}
	}
	p.Signed = append(slices.DeleteFunc(p.Signed, func(s noroshi.Signed) bool { return s.Person == by.Person }), by)
	return p, nil
}

// standing returns who signed and still counts: who may, with the key that
// signed, each key once.
func (o *Office) standing(all map[string]noroshi.Person, p pendingOrder) []string {
	digest := noroshi.ActDigest(o.o.Realm, o.o.Keys.NodeID(), p.Order.Action, p.Order.Subject(), p.Order.Bound())
	var ids []string
	for _, s := range p.Signed {
		if all[s.Person].Check(s, p.Order.Action, digest) == nil {
			ids = append(ids, s.Person)
		}
	}
	return distinct(all, ids, p.Order.Action)
}

// signatures is how many an order takes: two, and only what stops data or
// narrows what may go takes one where the node has a single release officer. To
// let data go on, or to make one more officer, never does.
func (o *Office) signatures(all map[string]noroshi.Person, a noroshi.Action) int {
	switch a {
	case noroshi.ActSuspendAgreement, noroshi.ActEndStandingRule, noroshi.ActRotateKey, noroshi.ActRevokeKey:
		return needed(all, a)
	}
	return 2
}

// fresh refuses an order that waited too long, or is dated ahead.
func (o *Office) fresh(order noroshi.Order) error {
	if age := o.o.Now().Sub(order.At); age > noroshi.OrderLife || age < -orderAhead {
		return noroshi.Errorf(noroshi.Refused, "order.stale", "the order of %s waited too long: draw up another", order.At.UTC().Format(time.RFC3339))
	}
	return nil
}

// possible says why an order cannot be carried out as things stand, or nil.
func (o *Office) possible(ctx context.Context, r store.Reads, order noroshi.Order) error {
	switch order.Action {
	case noroshi.ActSuspendAgreement, noroshi.ActResumeAgreement:
		return o.suspendable(ctx, r, order)
	case noroshi.ActDeclareEmergency:
		return o.declarable(ctx, r, order)
	case noroshi.ActStandingRule:
		return o.allowable(ctx, r, order)
	case noroshi.ActEndStandingRule:
		return o.endable(ctx, r, order)
	case noroshi.ActDelegate:
		return o.delegable(ctx, r, order)
	case noroshi.ActRotateKey, noroshi.ActRevokeKey:
		return o.turnable(ctx, r, order)
	}
	return noroshi.Errorf(noroshi.Invalid, "order.unknown", "%s is no order", string(order.Action))
}

// carryOut does what was ordered; what is to be done after the commit, if
// anything, is returned.
func (o *Office) carryOut(ctx context.Context, tx *store.Tx, order noroshi.Order, by []string) (after func() error, err error) {
	switch order.Action {
	case noroshi.ActSuspendAgreement, noroshi.ActResumeAgreement:
		return o.suspend(ctx, tx, order)
	case noroshi.ActDeclareEmergency:
		return nil, o.declare(ctx, tx, order)
	case noroshi.ActStandingRule:
		return nil, o.allow(tx, order, by)
	case noroshi.ActEndStandingRule:
		return nil, o.endRule(ctx, tx, order, by)
	case noroshi.ActRotateKey, noroshi.ActRevokeKey:
		return o.turn(ctx, tx, order)
	}
	return nil, o.delegate(ctx, tx, order, by)
}

// inForce returns the agreement an order is about and its partner, which must
// be the one that both sides signed last.
func (o *Office) inForce(ctx context.Context, r store.Reads, h noroshi.Hash) (*noroshi.Agreement, noroshi.Partner, error) {
	file, err := r.Doc(ctx, noroshi.DocAgreement, h.String())
	if noroshi.KindOf(err) == noroshi.NotFound {
		return nil, noroshi.Partner{}, noroshi.Errorf(noroshi.NotFound, "agreement.none", "no agreement %s", h)
	}
	if err != nil {
		return nil, noroshi.Partner{}, err
	}
	a, err := noroshi.ParseAgreement(file)
	if err != nil {
		return nil, noroshi.Partner{}, err
	}
	other, _ := a.Other(o.o.Keys.NodeID())
	p, err := partner(ctx, r, other.Node)
	if err == nil && p.Agreement != h {
		err = noroshi.Errorf(noroshi.Refused, "agreement.not-in-force", "agreement %s is not in force with %s", h, p.Organisation.CallSign)
	}
	return a, p, err
}

// declarable refuses an emergency that the agreement does not provide for, or
// for so long.
func (o *Office) declarable(ctx context.Context, r store.Reads, order noroshi.Order) error {
	a, p, err := o.inForce(ctx, r, order.Agreement)
	switch {
	case err != nil:
		return err
	case p.Trust != noroshi.InForce || !a.InForce(o.o.Now()):
		return noroshi.Errorf(noroshi.Refused, "agreement.not-in-force", "agreement %s is not in force with %s", a.Hash, p.Organisation.CallSign)
	case a.Emergency == nil:
		return noroshi.Errorf(noroshi.Refused, "agreement.no-emergency", "the agreement with %s provides for no emergency", p.Organisation.CallSign)
	case order.Hours < 1 || order.Hours > a.Emergency.Hours:
		return noroshi.Errorf(noroshi.Invalid, "agreement.emergency-hours", "an emergency may last 1 to %d hours under this agreement", a.Emergency.Hours)
	}
	return nil
}

// declare lets the emergency begin now. The exit gate reads it and decides
// again over what it holds; it ends by itself.
func (o *Office) declare(ctx context.Context, tx *store.Tx, order noroshi.Order) error {
	_, p, err := o.inForce(ctx, tx.Reads, order.Agreement)
	if err != nil {
		return err
	}
	now := o.o.Now().UTC()
	e := noroshi.Emergency{From: now, Until: now.Add(time.Duration(order.Hours) * time.Hour)}
	if err := tx.PutJSON(noroshi.DocEmergency, order.Agreement.String(), e); err != nil {
		return err
	}
	return tx.Notice(store.AgreementChanged, p.Node.String())
}
