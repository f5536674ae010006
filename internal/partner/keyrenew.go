package partner

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Renew makes the next KEYSET of this node where the present one is not fresh
// until then, or lacks a key of suite S1H that an agreement in force asks for, and
// sends it to every partner. One that is not on record, as after a restore, is put
// there and sent as it is. What a crash or a full disk kept from being signed anew is
// signed and sent then. It is Busy when another process of this node has changed
// the keys and this one has not taken them over yet.
func (o *Office) Renew(ctx context.Context, until time.Time) error {
	var turned *message.Keyring
	id := o.o.Keys.NodeID().String()
	_, err := o.store.Do(ctx, noroshi.Act{Action: noroshi.ActKeys}, func(tx *store.Tx) error {
		k := o.o.Keys.Copy()
		if err := o.renewCopy(ctx, tx.Reads, k, until); err != nil {
			return err
		}
		doc, err := tx.Doc(ctx, noroshi.DocKeyset, id)
		if err != nil && noroshi.KindOf(err) != noroshi.NotFound || string(doc) == string(k.Keyset().Bytes()) {
			return err
		}
		tx.Act().Subject, turned = id, k
		return o.publish(ctx, tx, k)
	})
	switch {
	case err != nil:
		return err
	case turned == nil:
		return o.sayAnew(ctx)
	}
	return o.turned(ctx, noroshi.ActKeys, turned)
}

func (o *Office) renewCopy(ctx context.Context, r store.Reads, k *message.Keyring, until time.Time) error {
	now := o.o.Now()
	if !k.Keyset().Has(message.S1H, now) {
		asked, err := o.asksS1H(ctx, r)
		if err == nil && asked {
			err = k.Strengthen(rand.Reader, now)
		}
		if err != nil {
			return err
		}
	}
	if k.Keyset().Fresh(until) {
		return nil
	}
	return k.Renew(now)
}

// asksS1H reports whether an agreement in force lists suite S1H.
func (o *Office) asksS1H(ctx context.Context, r store.Reads) (bool, error) {
	all, err := partners(ctx, r)
	if err != nil {
		return false, err
	}
	for _, p := range all {
		if p.Trust != noroshi.InForce {
			continue
		}
		file, err := r.Doc(ctx, noroshi.DocAgreement, p.Agreement.String())
		if noroshi.KindOf(err) == noroshi.NotFound {
			continue
		}
		if err != nil {
			return false, err
		}
		// An agreement that cannot be read is not in force.
		if a, err := noroshi.ParseAgreement(file); err == nil && slices.Contains(a.Suites, noroshi.SuiteS1H) {
			return true, nil
		}
	}
	return false, nil
}
