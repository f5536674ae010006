package partner

import (
	"cmp"
	"context"
	"errors"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// paper is a document of this node's about an agreement, and where it is kept.
type paper struct {
	to        noroshi.NodeID
	kind, key string
	doc       []byte
}

// signAnew signs anew, with the present keys, what this node says of agreements under
// keys that were revoked or are not in its KEYSET any more: a partner that was put back
// to before it had that could never believe it. It is no new order of anybody: what is
// said stays the same to the byte, a consent what two officers signed, and the act says
// that it was signed anew. What was is returned for the partners.
func (o *Office) signAnew(ctx context.Context) (list []paper, err error) {
	all, err := partners(ctx, o.store.Reads)
	errs := []error{err}
	for _, p := range all {
		for _, h := range spokenOf(p) {
			of, err := o.signAnewOf(ctx, p, h)
			list, errs = append(list, of...), append(errs, err)
		}
	}
	return list, errors.Join(errs...)
}

// sayAnew signs anew what is to be, and sends it. Where nothing is, it writes and sends
// nothing.
func (o *Office) sayAnew(ctx context.Context) error {
	list, err := o.signAnew(ctx)
	errs := []error{err}
	for _, x := range list {
		errs = append(errs, o.post(ctx, x.to, x.doc))
	}
	return errors.Join(errs...)
}

func (o *Office) signAnewOf(ctx context.Context, p noroshi.Partner, h noroshi.Hash) (list []paper, err error) {
	if list, err = o.lapsed(ctx, o.store.Reads, p.Node, h); err != nil || len(list) == 0 {
		return nil, err
	}
	act := noroshi.Act{Action: noroshi.ActKeys, Subject: "signed anew", Partner: p.Node, Agreement: h, Precedence: noroshi.Immediate}
	_, err = o.store.Do(ctx, act, func(tx *store.Tx) error {
		if list, err = o.lapsed(ctx, tx.Reads, p.Node, h); err != nil || len(list) == 0 {
			return cmp.Or(err, errKnown)
		}
		for _, x := range list {
			if err := tx.PutDoc(x.kind, x.key, x.doc); err != nil {
				return err
			}
		}
		tx.Act().Count = len(list)
		return tx.Notice(store.AgreementChanged, p.Node.String()) // the process that leads sends them
	})
	if err != nil {
		return nil, unlessKnown(err)
	}
	return list, nil
}

// lapsed returns, signed anew, what this node says of an agreement under keys that do
// not stand. It is nothing where another process of this node has changed the keys and
// this one has not taken them over yet.
func (o *Office) lapsed(ctx context.Context, r store.Reads, with noroshi.NodeID, h noroshi.Hash) (list []paper, err error) {
	self := o.o.Keys.NodeID()
	if behind, err := o.behind(ctx, r); err != nil || behind {
		return nil, err
	}
	for _, x := range []struct {
		kind, key string
		use       message.KeyUse
	}{
		{noroshi.DocSignature, signatureKey(h, self), message.UseRelease},
		{docProposal, h.String(), message.UseControl},
		{docSuspension, signatureKey(h, self), message.UseRelease},
	} {
		doc, err := r.Doc(ctx, x.kind, x.key)
		if noroshi.KindOf(err) == noroshi.NotFound {
			continue
		}
		if err == nil {
			doc, err = message.SignAnew(o.o.Keys, doc, x.use, o.o.Now())
		}
		if ok := true; err == nil && doc != nil && x.kind == noroshi.DocSignature {
			if ok, err = o.consented(ctx, r, h); !ok {
				doc = nil
			}
		}
		if err != nil {
			return nil, err
		}
		if doc != nil {
			list = append(list, paper{with, x.kind, x.key, doc})
		}
	}
	return list, nil
}

// behind reports whether another process of this node has changed the keys and this
// one has not taken them over yet.
func (o *Office) behind(ctx context.Context, r store.Reads) (bool, error) {
	ks, err := o.keyset(ctx, r, o.o.Keys.NodeID())
	if noroshi.KindOf(err) == noroshi.NotFound {
		return false, nil
	}
	return err == nil && ks.Version > o.o.Keys.Keyset().Version, err
}

// consented reports whether the signatures of officers enough to consent to an
// agreement are on record, of whoever was one then.
func (o *Office) consented(ctx context.Context, r store.Reads, h noroshi.Hash) (bool, error) {
	register, err := r.Persons(ctx)
	if err != nil {
		return false, err
	}
	digest := noroshi.ActDigest(o.o.Realm, o.o.Keys.NodeID(), noroshi.ActSignAgreement, h.String(), h)
	keys := map[string]bool{}
	for id, p := range register {
		by, err := store.DocOrZero[noroshi.Signed](ctx, r, docApproval, h.String()+"/"+id)
		if err != nil {
			return false, err
		}
		if p.Signed(digest, by.Signature) {
			keys[string(p.Key)] = true
		}
	}
	return len(keys) >= officersToSign, nil
}

// spokenOf returns the agreements with a partner that this node may have said
// something of: those proposed and that which both signed last.
func spokenOf(p noroshi.Partner) []noroshi.Hash {
	switch {
	case p.Trust != noroshi.Introduced && p.Trust != noroshi.InForce:
		return nil
	case p.Agreement.IsZero():
		return p.Proposed
	}
	return append(p.Proposed, p.Agreement)
}
