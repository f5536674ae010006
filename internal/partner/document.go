package partner

import (
	"bytes"
	"context"
	"errors"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// docPendingKeyset holds a KEYSET that raised an alarm: its change of root must
// be confirmed by voice before it is believed, or it is one of two of its
// version; key: NodeID + "/" + code of the alarm.
const docPendingKeyset = "keyset-pending"

// Document takes a document that a partner's link brought: a KEYSET that
// succeeds the one we hold, an AGREEMENT it proposes or consents to, or a
// SUSPENSION of one, its own or one of ours that it gives back. The
// same document again changes nothing. A card is refused: cards are handed in
// by persons.
func (o *Office) Document(ctx context.Context, from noroshi.NodeID, doc []byte) error {
	kind, err := message.KindOfDocument(doc)
	if err != nil {
		return err
	}
	p, err := partner(ctx, o.store.Reads, from)
	if err != nil {
		return err
	}
	if p.Trust != noroshi.Introduced && p.Trust != noroshi.InForce {
		return noroshi.Errorf(noroshi.Refused, "partner.not-introduced", "%s is not introduced: its documents are not taken", p.Organisation.CallSign)
	}
	switch kind {
	case message.KeysetDocument:
		return o.newKeys(ctx, from, doc)
	case message.AgreementDocument:
		return o.agreementArrived(ctx, p, doc)
	case message.SuspensionDocument:
		return o.suspensionArrived(ctx, p, doc)
	}
	return noroshi.Errorf(noroshi.Refused, "partner.document", "a %s is not taken from a link: a person hands it in", string(kind))
}

// newKeys takes a KEYSET that follows the one we hold. Two keysets of one
// version, and a new root the old one did not sign, change nothing here: they
// raise an alarm for people.
func (o *Office) newKeys(ctx context.Context, from noroshi.NodeID, doc []byte) error {
	ks, err := message.ParseKeyset(o.o.Realm, doc)
	if err != nil {
		return err
	}
	held, err := o.keyset(ctx, o.store.Reads, from)
	if err != nil {
		return err
	}
	// Who has stolen the root held here gives versions under it as high as they
	// like: what the root behind it signed is not late.
	next := ks.Node == from && ks.Follows(held)
	if ks.Node == from && (ks.Hash() == held.Hash() || ks.Version < held.Version && !next) {
		return nil // known, or late
	}
	confirm, err := ks.Succeeds(held)
	stop, ferr := frozen(ctx, o.store.Reads, from)
	if noroshi.KindOf(err) == noroshi.Conflict && next {
		confirm, err = true, nil
	}
	switch {
	case noroshi.KindOf(err) == noroshi.Conflict:
		return o.alarm(ctx, from, alarmFork, err, doc)
	case err != nil || ferr != nil:
		return errors.Join(err, ferr)
	case stop && string(ks.Root) == string(held.Root):
		return noroshi.Errorf(noroshi.Refused, "partner.keys-frozen", "the keys of node %s change no more: two keysets of one version came, so a new root must be confirmed by voice", from)
	case confirm || stop:
		unconfirmed := noroshi.Errorf(noroshi.Refused, "partner.new-root", "node %s has a new root its old one did not sign: confirm it by voice", from)
		return o.alarm(ctx, from, alarmNewRoot, unconfirmed, doc)
	}
	act := noroshi.Act{Action: noroshi.ActKeys, Subject: from.String(), Partner: from, Precedence: noroshi.Immediate}
	_, err = o.store.Do(ctx, act, func(tx *store.Tx) error {
		if err := tx.PutDoc(noroshi.DocKeyset, from.String(), doc); err != nil {
			return err
		}
		return tx.Notice(store.PartnerChanged, from.String())
	})
	return err
}

// alarm puts a code into the feed, keeps the document that raised it, and
// returns why. The same document again raises none.
func (o *Office) alarm(ctx context.Context, from noroshi.NodeID, code string, why error, doc []byte) error {
	act := noroshi.Act{Action: noroshi.ActAlarm, Subject: code, Partner: from, Precedence: noroshi.Immediate}
	key := from.String() + "/" + code
	_, err := o.store.Do(ctx, act, func(tx *store.Tx) error {
		if held, err := tx.Doc(ctx, docPendingKeyset, key); err == nil && bytes.Equal(held, doc) {
			return why // nothing is written
		}
		if err := tx.PutDoc(docPendingKeyset, key, doc); err != nil {
			return err
		}
		return tx.Notice(store.AlarmRaised, code)
	})
	if err != nil {
		return err
	}
	return why
}
