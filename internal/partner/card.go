package partner

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

const (
	cardLife = 30 * 24 * time.Hour
	cardsOut = "out/" // before the call sign: key of cards handed out, in DocCard
)

// Card makes the card for one partner: who we are, our keyset, where we can be
// reached and a gate secret made for this partner alone. It is good for 30
// days. A card made again for the same call sign carries the same secret, so
// that the partner may use either. The person signs ActIntroduce over subject
// "card/CALLSIGN" bound to CardBound(endpoints).
func (o *Office) Card(ctx context.Context, partner noroshi.CallSign, endpoints []string, by noroshi.Signed) ([]byte, error) {
	if _, err := noroshi.ParseCallSign(string(partner)); err != nil {
		return nil, err
	}
	if partner == o.o.Self.CallSign {
		return nil, noroshi.Errorf(noroshi.Invalid, "partner.self", "%s is this node: a card is for a partner", partner)
	}
	subject := "card/" + string(partner)
	if err := o.ordered(ctx, by, noroshi.ActIntroduce, subject, CardBound(endpoints)); err != nil {
		return nil, err
	}
	secret, err := o.gateSecret(ctx, partner)
	if err != nil {
		return nil, err
	}
	now := o.o.Now().UTC().Truncate(time.Second)
	doc, err := message.SignCard(o.o.Keys, message.Card{CallSign: o.o.Self.CallSign, Tokens: o.o.Self.Tokens, Identity: o.o.Identity,
		Endpoints: endpoints, GateSecret: secret, From: now, Until: now.Add(cardLife)})
	if err != nil {
		return nil, err
	}
	act := noroshi.Act{Action: noroshi.ActIntroduce, Persons: []noroshi.Signed{by}, Subject: subject}
	known, err := o.byCallSign(ctx, partner)
	if err != nil && noroshi.KindOf(err) != noroshi.NotFound {
		return nil, err
	}
	if err == nil {
		act.Partner = known.Node
	}
	_, err = o.store.Do(ctx, act, func(tx *store.Tx) error {
		if err := tx.PutDoc(noroshi.DocCard, cardsOut+string(partner), doc); err != nil || act.Partner == (noroshi.NodeID{}) {
			return err
		}
		return o.change(ctx, tx, known.Node, func(p *noroshi.Partner) error {
			p.GateIn = secret
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return doc, nil
}

// Handed returns the last card made for a call sign, or NotFound.
func (o *Office) Handed(ctx context.Context, partner noroshi.CallSign) ([]byte, error) {
	doc, err := o.store.Doc(ctx, noroshi.DocCard, cardsOut+string(partner))
	if noroshi.KindOf(err) == noroshi.NotFound {
		err = noroshi.Errorf(noroshi.NotFound, "partner.no-card", "no card was made for %s", partner)
	}
	return doc, err
}

// CardBound is what an order for a card is bound to: its endpoints.
func CardBound(endpoints []string) noroshi.Hash {
	return noroshi.Sum([]byte(strings.Join(endpoints, "\n")))
}

// gateSecret returns the secret on the last card for a call sign, or a new one.
func (o *Office) gateSecret(ctx context.Context, partner noroshi.CallSign) ([]byte, error) {
	doc, err := o.Handed(ctx, partner)
	if noroshi.KindOf(err) == noroshi.NotFound {
		secret := make([]byte, 32)
		rand.Read(secret)
		return secret, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := message.ParseCard(o.o.Realm, doc)
	if err != nil {
		return nil, err
	}
	return c.GateSecret, nil
}

// Receive takes a partner's card in. The partner's record is then at CardHeld
// and nothing flows. The person signs ActIntroduce over subject "receive" bound
// to the SHA-256 of the card. Another card of a partner we hold renews its
// endpoints and secret while it stays at CardHeld, unless its KEYSET neither is
// nor follows the one held (docs/wire.md, CARD), and must be confirmed anew; the
// same card handed in again keeps who confirmed it. Later only its own keys speak
// for it. A card under the call sign of another node is a Conflict, but
// replaces one that was never confirmed.
func (o *Office) Receive(ctx context.Context, card []byte, by noroshi.Signed) (noroshi.Partner, error) {
	var none noroshi.Partner
	if err := o.ordered(ctx, by, noroshi.ActIntroduce, "receive", noroshi.Sum(card)); err != nil {
		return none, err
	}
	c, err := message.ParseCard(o.o.Realm, card)
	if noroshi.KindOf(err) == noroshi.Invalid { // some file, or a card that was cut off
		return none, noroshi.Errorf(noroshi.Invalid, "card.form", "take in a card: %w", err)
	}
	if err != nil {
		return none, err
	}
	identity, err := noroshi.IdentityOf(c.Identity)
	if err != nil {
		return none, err
	}
	switch {
	case c.Node == o.o.Keys.NodeID() || c.CallSign == o.o.Self.CallSign || identity == o.o.Self.Identity:
		return none, noroshi.Errorf(noroshi.Invalid, "partner.self", "%s is this node: a card is for a partner", c.CallSign)
	case !c.Valid(o.o.Now()):
		return none, noroshi.Errorf(noroshi.Invalid, "card.expired", "card of %s is good from %s to %s only", c.CallSign, c.From.Format(time.RFC3339), c.Until.Format(time.RFC3339))
	}
	fresh := noroshi.Partner{Node: c.Node, Trust: noroshi.CardHeld, Endpoints: c.Endpoints, GateOut: c.GateSecret, CardUntil: c.Until,
		Organisation: noroshi.Organisation{CallSign: c.CallSign, Tokens: c.Tokens, Identity: identity}}
	fresh.GateIn, err = o.handedOut(ctx, c.CallSign)
	if err != nil {
		return none, err
	}
	act := noroshi.Act{Action: noroshi.ActIntroduce, Persons: []noroshi.Signed{by}, Subject: c.Node.String(), Partner: c.Node}
	_, err = o.store.Do(ctx, act, func(tx *store.Tx) error {
		if err := o.makeRoom(ctx, tx, fresh); err != nil {
			return err
		}
		if err := o.sameNode(ctx, tx, c.Keyset); err != nil {
			return err
		}
		if held, err := tx.Doc(ctx, noroshi.DocCard, c.Node.String()); err == nil && bytes.Equal(held, card) {
			p, err := partner(ctx, tx.Reads, c.Node)
			if err != nil {
				return err
			}
			fresh.ConfirmedBy = p.ConfirmedBy // the second person hands the same card in
		}
		if err := tx.PutDoc(noroshi.DocCard, c.Node.String(), card); err != nil {
			return err
		}
		if err := tx.PutDoc(noroshi.DocKeyset, c.Node.String(), c.Keyset.Bytes()); err != nil {
			return err
		}
		return put(tx, fresh)
	})
	return fresh, err
}

// handedOut returns the secret on the card we made for a call sign, nil when
// none was made yet.
func (o *Office) handedOut(ctx context.Context, partner noroshi.CallSign) ([]byte, error) {
	if _, err := o.Handed(ctx, partner); noroshi.KindOf(err) == noroshi.NotFound {
		return nil, nil
	}
	return o.gateSecret(ctx, partner)
}

// makeRoom refuses a card that would push a confirmed partner aside, and
// suspends one that was never confirmed.
func (o *Office) makeRoom(ctx context.Context, tx *store.Tx, fresh noroshi.Partner) error {
	all, err := partners(ctx, tx.Reads)
	if err != nil {
		return err
	}
	for _, p := range all {
		switch {
		case p.Node == fresh.Node && p.Trust != noroshi.CardHeld:
			return noroshi.Errorf(noroshi.Conflict, "partner.known", "%s is introduced already: its own keys speak for it", p.Organisation.CallSign)
		case p.Node == fresh.Node || p.Trust == noroshi.Suspended:
		case p.Organisation.CallSign == fresh.Organisation.CallSign && p.Trust == noroshi.CardHeld:
			p.Trust = noroshi.Suspended
			if err := put(tx, p); err != nil {
				return err
			}
		case p.Organisation.CallSign == fresh.Organisation.CallSign || p.Organisation.Identity == fresh.Organisation.Identity:
			return noroshi.Errorf(noroshi.Conflict, "partner.taken", "%s is another node, introduced as %s", p.Organisation.CallSign, p.Node)
		}
	}
	return nil
}

// sameNode refuses a KEYSET that claims a node id held here with other keys. A
// first one proves its node id by itself; a later one only by following.
func (o *Office) sameNode(ctx context.Context, tx *store.Tx, ks *message.Keyset) error {
	held, err := o.keyset(ctx, tx.Reads, ks.Node)
	if noroshi.KindOf(err) == noroshi.NotFound {
		return nil
	}
	if err != nil || ks.Hash() == held.Hash() || ks.Version == 1 && string(ks.Root) != string(held.Root) {
		return err
	}
	_, err = ks.Succeeds(held)
	return err
}

// partners returns every partner record, by call sign.
func partners(ctx context.Context, r store.Reads) ([]noroshi.Partner, error) {
	all, err := r.Partners(ctx)
	slices.SortStableFunc(all, func(a, b noroshi.Partner) int { return cmp.Compare(a.Organisation.CallSign, b.Organisation.CallSign) })
	return all, err
}

// put writes a partner's record and tells the feed.
func put(tx *store.Tx, p noroshi.Partner) error {
	if err := tx.PutJSON(noroshi.DocPartner, p.Node.String(), p); err != nil {
		return err
	}
	return tx.Notice(store.PartnerChanged, p.Node.String())
}

// partner reads one record; NotFound when there is none.
func partner(ctx context.Context, r store.Reads, node noroshi.NodeID) (noroshi.Partner, error) {
	p, err := store.DocOf[noroshi.Partner](ctx, r, noroshi.DocPartner, node.String())
	if noroshi.KindOf(err) == noroshi.NotFound {
		err = noroshi.Errorf(noroshi.NotFound, "partner.none", "no partner %s", node)
	}
	return p, err
}

// change rewrites a partner's record inside an act, from what stands there now.
func (o *Office) change(ctx context.Context, tx *store.Tx, node noroshi.NodeID, fn func(*noroshi.Partner) error) error {
	p, err := partner(ctx, tx.Reads, node)
	if err != nil {
		return err
	}
	if err := fn(&p); err != nil {
		return err
	}
	return put(tx, p)
}

// byCallSign finds the partner under a call sign; one that is not suspended
// comes first.
func (o *Office) byCallSign(ctx context.Context, sign noroshi.CallSign) (noroshi.Partner, error) {
	all, err := partners(ctx, o.store.Reads)
	if err != nil {
		return noroshi.Partner{}, err
	}
	var found *noroshi.Partner
	for i, p := range all {
		if p.Organisation.CallSign == sign && (found == nil || found.Trust == noroshi.Suspended) {
			found = &all[i]
		}
	}
	if found == nil {
		return noroshi.Partner{}, noroshi.Errorf(noroshi.NotFound, "partner.none", "no partner %s", sign)
	}
	return *found, nil
}
