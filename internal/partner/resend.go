package partner

import (
	"context"
	"errors"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// post hands a document to the courier. One that does not run now is no error:
// Resend hands it in when it does.
func (o *Office) post(ctx context.Context, to noroshi.NodeID, doc []byte) error {
	err := o.mail.Document(ctx, to, doc)
	if noroshi.KindOf(err) == noroshi.Queued {
		return nil
	}
	return err
}

// retryResend is how long Resend waits for a courier that is starting.
const retryResend = 100 * time.Millisecond

// Resend sends our proposals, consents, suspensions and renewed keys again, as a
// node does when it starts: a courier keeps documents no longer than it runs,
// and a crash may have come between keeping one and handing it over. It waits
// for the courier to run, until ctx ends. The partner takes the same document
// once.
func (o *Office) Resend(ctx context.Context) error {
	for {
		err := o.resend(ctx)
		if noroshi.KindOf(err) != noroshi.Queued {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retryResend):
		}
	}
}

func (o *Office) resend(ctx context.Context) error {
	_, err := o.signAnew(ctx) // what a crash kept from it
	errs := []error{err}
	all, err := partners(ctx, o.store.Reads)
	if err != nil {
		return err
	}
	keys := o.o.Keys.Keyset()
	for _, p := range all {
		if p.Trust != noroshi.Introduced && p.Trust != noroshi.InForce {
			continue
		}
		if keys.Version > 1 { // the first is on the card
			err := o.mail.Document(ctx, p.Node, keys.Bytes())
			if noroshi.KindOf(err) == noroshi.Queued {
				return err
			}
			errs = append(errs, err)
		}
		for _, h := range spokenOf(p) {
			doc, err := o.ours(ctx, h)
			if noroshi.KindOf(err) == noroshi.NotFound {
				continue // theirs, and we have not answered
			}
			if err == nil {
				err = o.mail.Document(ctx, p.Node, doc)
			}
			if noroshi.KindOf(err) == noroshi.Queued {
				return err
			}
			errs = append(errs, err)
		}
		doc, err := o.store.Doc(ctx, docSuspension, signatureKey(p.Agreement, o.o.Keys.NodeID()))
		if err == nil {
			err = o.mail.Document(ctx, p.Node, doc)
		}
		switch noroshi.KindOf(err) {
		case noroshi.NotFound: // we never suspended it
		case noroshi.Queued:
			return err
		default:
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// ours returns our document about an agreement: our consent, or our proposal
// when we have not consented; NotFound when we did neither.
func (o *Office) ours(ctx context.Context, h noroshi.Hash) ([]byte, error) {
	doc, err := o.store.Doc(ctx, noroshi.DocSignature, signatureKey(h, o.o.Keys.NodeID()))
	if noroshi.KindOf(err) == noroshi.NotFound {
		return o.store.Doc(ctx, docProposal, h.String())
	}
	return doc, err
}
