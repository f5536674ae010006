package partner

import (
	"cmp"
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

// errKnown says that a KEYSET is the one held, or late.
var errKnown = errors.New("the keyset is known, or late")

// newKeys takes a KEYSET that follows the one we hold. Two keysets of one
// version, and a new root the old one did not sign, change nothing here: they
// raise an alarm for people. Inside the act it is held against what is there then:
// others may come, and a root be confirmed, at the same time.
func (o *Office) newKeys(ctx context.Context, from noroshi.NodeID, doc []byte) error {
	ks, err := message.ParseKeyset(o.o.Realm, doc)
	if err != nil {
		return err
	}
	code, why := o.judge(ctx, o.store.Reads, from, ks)
	if code == "" && why != nil { // takes no turn to write
		return unlessKnown(why)
	}
	act := noroshi.Act{Action: noroshi.ActKeys, Subject: from.String(), Partner: from, Precedence: noroshi.Immediate}
	_, err = o.store.Do(ctx, act, func(tx *store.Tx) error {
		switch code, why = o.judge(ctx, tx.Reads, from, ks); {
		case code != "":
			return o.alarm(ctx, tx, code, why, ks)
		case why != nil:
			return why
		}
		if err := tx.PutDoc(noroshi.DocKeyset, from.String(), doc); err != nil {
			return err
		}
		return tx.Notice(store.PartnerChanged, from.String())
	})
	return unlessKnown(cmp.Or(err, why))
}

func unlessKnown(err error) error {
	if err == errKnown {
		return nil
	}
	return err
}

// judge says what becomes of a KEYSET that came: it is taken where why is nil; else
// code names the alarm that it raises, "" for none.
func (o *Office) judge(ctx context.Context, r store.Reads, from noroshi.NodeID, ks *message.Keyset) (code string, why error) {
	held, err := o.keyset(ctx, r, from)
	if err != nil {
		return "", err
	}
	// Who has stolen the root held here gives versions under it as high as they
	// like: what the root behind it signed is not late.
	next := ks.Node == from && ks.Follows(held)
	if ks.Node == from && (ks.Hash() == held.Hash() || ks.Version < held.Version && !next) {
		return "", errKnown
	}
	confirm, err := ks.Succeeds(held)
	stop, ferr := frozen(ctx, r, from)
	if noroshi.KindOf(err) == noroshi.Conflict && next {
		confirm, err = true, nil
	}
	switch {
	case noroshi.KindOf(err) == noroshi.Conflict:
		return alarmFork, err
	case err != nil || ferr != nil:
		return "", errors.Join(err, ferr)
	case stop && string(ks.Root) == string(held.Root):
		return "", noroshi.Errorf(noroshi.Refused, "partner.keys-frozen", "the keys of node %s change no more: two keysets of one version came, so a new root must be confirmed by voice", from)
	case confirm || stop:
		return alarmNewRoot, noroshi.Errorf(noroshi.Refused, "partner.new-root", "node %s has a new root its old one did not sign: confirm it by voice", from)
	}
	return "", nil
}

// alarm puts a code into the feed and keeps the KEYSET that raised it, inside the
// act. One that is not newer than what waits under its root raises none: it is why.
func (o *Office) alarm(ctx context.Context, tx *store.Tx, code string, why error, ks *message.Keyset) error {
	waits, err := waitingKeyset(ctx, tx.Reads, ks.Node, code)
	if err != nil {
		return err
	}
	if was, err := message.ParseKeyset(o.o.Realm, waits); err == nil && string(was.Root) == string(ks.Root) && ks.Version <= was.Version {
		return why // nothing is written
	}
	tx.Act().Action, tx.Act().Subject = noroshi.ActAlarm, code
	if err := tx.PutDoc(docPendingKeyset, ks.Node.String()+"/"+code, ks.Bytes()); err != nil {
		return err
	}
	return tx.Notice(store.AlarmRaised, code)
}
