package courier

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// docRecallOrder is the kind of the documents that hold a recall until the
// second person has signed it; key: object id; an empty body is settled.
const docRecallOrder = "recall-order"

// RecallOrder is a recall as a person orders it.
type RecallOrder struct {
	Object   stix.ID              `json:"object"`
	Reason   message.RecallReason `json:"reason"`
	Scope    message.RecallScope  `json:"scope"`
	Deadline time.Time            `json:"deadline,omitzero"`
}

// RecallPlan is what an order would do, before anybody signs it.
type RecallPlan struct {
	Order  RecallOrder      `json:"order"`
	Bound  noroshi.Hash     `json:"bound"`  // what a signature is over, with the object's id
	Needs  int              `json:"needs"`  // persons: as many as it took to let it go
	Signed []string         `json:"signed"` // persons who have signed this very order
	Has    []noroshi.NodeID `json:"has"`    // partners that have it or may have it

	objects []taken
	owners  []string
	by      []noroshi.Signed
}

// RecallPlan tells what an order would do. An order for the same object, reason
// and scope that waits for its second signature is taken as it stands.
func (c *Courier) RecallPlan(ctx context.Context, o RecallOrder) (RecallPlan, error) {
	return c.planRecall(ctx, c.s.Reads, o)
}

func (c *Courier) planRecall(ctx context.Context, r store.Reads, o RecallOrder) (RecallPlan, error) {
	if o.Reason < message.RecallMistaken || o.Reason > message.RecallOver || o.Scope != message.RecallStopUse && o.Scope != message.RecallDelete {
		return RecallPlan{}, noroshi.Errorf(noroshi.Invalid, "recall.order", "a recall needs a reason, and a scope that a person may order")
	}
	o.Deadline = o.Deadline.UTC().Truncate(time.Second)
	p := RecallPlan{Needs: 1}
	var waiting waitingOrder
	found, err := readJSON(ctx, r, docRecallOrder, string(o.Object), &waiting)
	if err != nil {
		return p, err
	}
	if same := waiting.Order.Reason == o.Reason && waiting.Order.Scope == o.Scope; found && same {
		o = waiting.Order
	}
	p.Order = o
	if p.objects, p.owners, err = ownObjects(ctx, r, o); err != nil {
		return p, err
	}
	if err := p.who(ctx, r); err != nil {
		return p, err
	}
	if p.Bound = p.bound(); found {
		for _, s := range waiting.By {
			if s.Bound == p.Bound {
				p.by, p.Signed = append(p.by, s.Signed), append(p.Signed, s.Signed.Person)
			}
		}
	}
	return p, nil
}

// waitingOrder is the body of docRecallOrder.
type waitingOrder struct {
	Order RecallOrder    `json:"order"`
	By    []boundToOrder `json:"by"`
}

type boundToOrder struct {
	Bound  noroshi.Hash   `json:"bound"`
	Signed noroshi.Signed `json:"signed"`
}

// ownObjects returns the object, and what says what it says, as this node has
// them of its own: what a partner brought, only that partner recalls.
func ownObjects(ctx context.Context, r store.Reads, o RecallOrder) (list []taken, owners []string, err error) {
	if typ := o.Object.Type(); typ == "marking-definition" || typ == "identity" {
		return nil, nil, noroshi.Errorf(noroshi.Refused, "recall.type", "a %s is no information that can be taken back", typ)
	}
	made, err := madeHere(ctx, r, o.Object)
	if err != nil {
		return nil, nil, err
	}
	for i, id := range append([]stix.ID{o.Object}, made...) {
		versions, err := r.Versions(ctx, id)
		if err != nil {
			return nil, nil, err
		}
		all := len(versions)
		versions = slices.DeleteFunc(versions, func(v store.Record) bool { return v.Source.Kind == noroshi.FromPartner })
		switch {
		case i == 0 && all == 0:
			return nil, nil, noroshi.Errorf(noroshi.NotFound, "recall.no-object", "there is no object %s here", string(id))
		case i == 0 && len(versions) == 0:
			return nil, nil, noroshi.Errorf(noroshi.Refused, "recall.not-ours", "object %s came from a partner: only that partner recalls it", string(id))
		case len(versions) == 0:
			continue
		}
		for _, v := range versions {
			if own := v.Source.Owner(); !slices.Contains(owners, own) {
				owners = append(owners, own)
			}
		}
		list = append(list, taken{versions: versions, entry: message.RecallEntry{Object: id, Modified: modifiedText(newestOf(versions)),
			Reason: o.Reason, Scope: o.Scope, Deadline: o.Deadline}})
	}
	owners = bothOurs(owners)
	slices.Sort(owners)
	return list, owners, nil
}

// maxTranslations bounds the translations that are recalled with an object.
const maxTranslations = 64

// translationsOf returns the translations of an object: they say what it says.
func translationsOf(ctx context.Context, r store.Reads, id stix.ID) ([]stix.ID, error) {
	return r.ReferrersOf(ctx, id, "language-content", maxTranslations)
}

// who finds out which partners have it, and how many persons let it go.
func (p *RecallPlan) who(ctx context.Context, r store.Reads) error {
	partners, err := r.Partners(ctx)
	if err != nil {
		return err
	}
	for _, of := range partners {
		node := of.Node
		for _, o := range p.objects {
			if msg, err := returnedBy(ctx, r, node, o.entry.Object); err != nil {
				return err
			} else if !msg.IsZero() && !slices.Contains(p.Has, node) {
				p.Has = append(p.Has, node)
			}
			carriers, err := r.Carriers(ctx, node, o.versions)
			if err != nil {
				return err
			}
			for _, c := range carriers {
				if m := c.Message; (m.Attempts > 0 || m.State >= store.StoredThere && m.State <= store.ReadThere) && !slices.Contains(p.Has, node) {
					p.Has = append(p.Has, node)
				}
				b, err := r.Batch(ctx, c.Message.Batch)
				if err != nil {
					return err
				}
				if len(b.Approvals) > 1 {
					p.Needs = 2
				}
			}
		}
	}
	slices.SortFunc(p.Has, func(a, b noroshi.NodeID) int { return slices.Compare(a[:], b[:]) })
	return nil
}

// bound is what the signatures of an order are over: what is asked, and the
// newest bytes it is about. Later bytes are another order.
func (p *RecallPlan) bound() noroshi.Hash {
	text := fmt.Sprintf("noroshi recall 1\n%s\n%d %d %d\n", p.Order.Object, p.Order.Reason, p.Order.Scope, max(0, p.Order.Deadline.Unix()))
	for _, v := range p.objects[0].versions {
		text += v.Hash.String() + "\n"
	}
	return noroshi.Sum([]byte(text))
}

// RecallState is a recall of ours with what it came to at each partner.
type RecallState struct {
	Recall
	To []RecallTo `json:"to,omitempty"`
}

// Open reports whether somebody owes an answer.
func (r RecallState) Open() bool { return slices.ContainsFunc(r.To, RecallTo.Open) }

// Recall takes an object of ours back. In one act: it is withdrawn here for
// good, everything that carries it and has no receipt is withheld, those who
// have it are told. Where two persons let it go two must sign; until the second
// has, the answer is a RecallState without an id and nothing is done.
func (c *Courier) Recall(ctx context.Context, o RecallOrder, by noroshi.Signed) (RecallState, error) {
	var out RecallState
	var done []reach
	act := noroshi.Act{Action: noroshi.ActRecall, Subject: string(o.Object), Precedence: noroshi.Immediate}
	_, err := c.s.Do(ctx, act, func(tx *store.Tx) error {
		out, done = RecallState{}, nil
		p, err := c.planRecall(ctx, tx.Reads, o)
		if err != nil {
			return err
		}
		persons, err := c.orderedBy(ctx, tx, p, by)
		if err != nil {
			return err
		}
		tx.Act().Persons = persons
		if len(persons) < p.Needs {
			return p.wait(tx, by)
		}
		out.Recall = p.made(c.o.Node, tx)
		for _, s := range persons {
			out.By = append(out.By, s.Person)
		}
		out.To, done, err = c.recall(ctx, tx, out.Recall, p.objects)
		if err != nil {
			return err
		}
		return tx.PutDoc(docRecallOrder, string(p.Order.Object), nil)
	})
	if err != nil {
		return RecallState{}, err
	}
	c.settle(done)
	return out, nil
}

// orderedBy checks who orders a recall and returns the signatures that count:
// of different persons who may, each over this very order. Accounts that share a
// key are one person.
func (c *Courier) orderedBy(ctx context.Context, tx *store.Tx, p RecallPlan, by noroshi.Signed) ([]noroshi.Signed, error) {
	register, err := tx.Persons(ctx)
	if err != nil {
		return nil, err
	}
	digest := noroshi.ActDigest(c.o.Realm, c.o.Node, noroshi.ActRecall, string(p.Order.Object), p.Bound)
	check := func(s noroshi.Signed) error {
		return register.At(s.Person, c.o.Now()).Check(s, noroshi.ActRecall, digest)
	}
	if err := check(by); err != nil {
		return nil, err
	}
	list := []noroshi.Signed{}
	for _, s := range p.by {
		switch {
		case s.Person == by.Person || bytes.Equal(register[s.Person].Key, register[by.Person].Key):
			if p.Needs > 1 {
				return nil, noroshi.Errorf(noroshi.Refused, "recall.same-person", "%s has signed this recall already: another person must", s.Person)
			}
		case check(s) == nil: // who may no more does not count
			list = append(list, s)
		}
	}
	list = append(list, by)
	return list[max(0, len(list)-2):], nil
}

// wait keeps an order until the second person has signed it.
func (p RecallPlan) wait(tx *store.Tx, by noroshi.Signed) error {
	w := waitingOrder{Order: p.Order, By: []boundToOrder{{p.Bound, by}}}
	if err := tx.Notice(RecallChanged, string(p.Order.Object)); err != nil {
		return err
	}
	return putJSON(tx, docRecallOrder, string(p.Order.Object), w)
}

// recall does a recall inside an act: the copies withdrawn here, every partner
// reached, the record, and last the recall list beside the database.
func (c *Courier) recall(ctx context.Context, tx *store.Tx, r Recall, objects []taken) (to []RecallTo, done []reach, err error) {
	for _, o := range objects {
		if err := r.withdraw(tx, o, r.Owners); err != nil {
			return nil, nil, err
		}
	}
	if to, done, err = everyPartner(ctx, tx, r, objects); err != nil {
		return nil, nil, err
	}
	if err := putJSON(tx, docRecall, r.ID, r); err != nil {
		return nil, nil, err
	}
	if err := tx.Notice(RecallChanged, r.ID); err != nil {
		return nil, nil, err
	}
	return to, done, listRecall(tx, r)
}

// listRecall appends a recall to the list beside the database.
func listRecall(tx *store.Tx, r Recall) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return tx.ListRecall(line)
}

// Withdraw takes an object of ours out of use for good, on the order of one
// person whose signature the act carries. It is a recall; where two persons let
// the object go, one may stop it here and at what has not left yet, and the
// answer has no id: a second must sign a recall.
func (c *Courier) Withdraw(ctx context.Context, act noroshi.Act, id stix.ID) (RecallState, []noroshi.NodeID, error) {
	var out RecallState
	var has []noroshi.NodeID
	var done []reach
	_, err := c.s.Do(ctx, act, func(tx *store.Tx) error {
		out, done = RecallState{}, nil
		p, err := c.planRecall(ctx, tx.Reads, RecallOrder{Object: id, Reason: message.RecallMistaken, Scope: message.RecallStopUse})
		if err != nil {
			return err
		}
		if has = p.Has; p.Needs > 1 && len(has) > 0 {
			for _, owner := range p.owners {
				if err := tx.Withdraw(id, owner); err != nil {
					return err
				}
			}
			r := p.made(c.o.Node, tx)
			r.Only = c.o.Node
			return listRecall(tx, r)
		}
		out.Recall = p.made(c.o.Node, tx)
		for _, s := range act.Persons {
			out.By = append(out.By, s.Person)
		}
		out.To, done, err = c.recall(ctx, tx, out.Recall, p.objects)
		return err
	})
	if err == nil {
		c.settle(done)
	}
	return out, has, err
}

// made is the recall of a plan.
func (p *RecallPlan) made(node noroshi.NodeID, tx *store.Tx) Recall {
	r := Recall{ID: newRecallID(node.String(), string(p.Order.Object), p.Bound.String(), fmt.Sprint(tx.Index())), Made: tx.Time().UTC(), Owners: p.owners}
	for _, x := range p.objects {
		r.Entries = append(r.Entries, x.entry)
	}
	return r
}
