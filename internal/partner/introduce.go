package partner

import (
	"context"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Fingerprint returns ours: what our officer reads aloud to the partner's.
func (o *Office) Fingerprint() string { return o.o.Keys.Keyset().Fingerprint() }

// Confirm says that a person heard the partner read this fingerprint aloud.
// Spaces and hyphens do not matter. When it is the right one, from two
// different persons where the node has two who may, the partner is Introduced;
// waiting is how many are missing. The person signs ActIntroduce over subject
// NODEID bound to FingerprintBound(fingerprint). A wrong fingerprint changes
// nothing and is a Broken error: someone may stand between the two nodes; what
// has not sixty digits is Invalid. Of a partner that is introduced and has a new
// root its old one did not sign, it is the new root's fingerprint that is heard
// so.
func (o *Office) Confirm(ctx context.Context, node noroshi.NodeID, fingerprint string, by noroshi.Signed) (waiting int, err error) {
	if err := o.ordered(ctx, by, noroshi.ActIntroduce, node.String(), FingerprintBound(fingerprint)); err != nil {
		return 0, err
	}
	if d := noroshi.Digits(fingerprint); len(d) != 60 || strings.Contains(d, "x") {
		return 0, noroshi.Errorf(noroshi.Invalid, "partner.fingerprint-form", "a fingerprint is twelve groups of five digits; %d digits were entered", len(strings.ReplaceAll(d, "x", "")))
	}
	act := noroshi.Act{Action: noroshi.ActIntroduce, Persons: []noroshi.Signed{by}, Subject: node.String(), Partner: node}
	_, err = o.store.Do(ctx, act, func(tx *store.Tx) error {
		// Inside the act: a card handed in meanwhile may have brought other keys.
		ks, err := o.keyset(ctx, tx.Reads, node)
		if err != nil {
			return err
		}
		all, err := persons(ctx, tx.Reads, o.o.Now())
		if err != nil {
			return err
		}
		left, ok, err := o.confirmRoot(ctx, tx, node, fingerprint, by.Person, all)
		if waiting = left; err != nil || ok {
			return err
		}
		if noroshi.Digits(fingerprint) != noroshi.Digits(ks.Fingerprint()) {
			return noroshi.Errorf(noroshi.Broken, "partner.fingerprint", "that is not the fingerprint of node %s: check the card, do not go on", node)
		}
		return o.change(ctx, tx, node, func(p *noroshi.Partner) error {
			waiting, err = confirmed(p, by.Person, all)
			return err
		})
	})
	return waiting, err
}

// confirmed adds a person who heard the fingerprint and says how many more are
// missing. Who was removed since, or shares a key with another, counts nothing.
func confirmed(p *noroshi.Partner, person string, all map[string]noroshi.Person) (waiting int, err error) {
	switch {
	case p.Trust == noroshi.Suspended:
		return 0, noroshi.Errorf(noroshi.Refused, "partner.suspended", "%s is suspended", p.Organisation.CallSign)
	case p.Trust != noroshi.CardHeld:
		return 0, noroshi.Errorf(noroshi.Conflict, "partner.known", "%s is introduced already: its own keys speak for it", p.Organisation.CallSign)
	case slices.Contains(p.ConfirmedBy, person), sameKey(all, p.ConfirmedBy, person) != "":
		return 0, noroshi.Errorf(noroshi.Refused, "partner.second-person", "%s has confirmed already: a second person must hear it too", person)
	}
	p.ConfirmedBy = append(p.ConfirmedBy, person)
	if waiting = needed(all, noroshi.ActIntroduce) - len(distinct(all, p.ConfirmedBy, noroshi.ActIntroduce)); waiting > 0 {
		return waiting, nil
	}
	p.Trust = noroshi.Introduced
	return 0, nil
}

// FingerprintBound is what a confirmation is bound to: the sixty digits.
func FingerprintBound(fingerprint string) noroshi.Hash {
	return noroshi.Sum([]byte(noroshi.Digits(fingerprint)))
}

// keyset returns the newest keyset we hold of a partner.
func (o *Office) keyset(ctx context.Context, r store.Reads, node noroshi.NodeID) (*message.Keyset, error) {
	doc, err := r.Doc(ctx, noroshi.DocKeyset, node.String())
	if noroshi.KindOf(err) == noroshi.NotFound {
		return nil, noroshi.Errorf(noroshi.NotFound, "partner.none", "no partner %s", node)
	}
	if err != nil {
		return nil, err
	}
	return message.ParseKeyset(o.o.Realm, doc)
}
