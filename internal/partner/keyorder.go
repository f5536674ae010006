package partner

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Custody keeps the node's private keys; node does, and tests in memory. Keep
// makes the keys of a turned keyring durable beside those in use, before the
// KEYSET that names them is anywhere; Settle puts them in their place once the
// act that ordered it is. Both are called in a turn to write. Next reads the seed of the next root from where it is
// kept apart, file "" for the usual place.
type Custody interface {
	Next(file string) ([]byte, error)
	Keep(turned *message.Keyring) error
	Settle(turned *message.Keyring) error
}

// Logs knows where the logs to partners end, and begins new ones.
type Logs interface {
	Ends(ctx context.Context, r store.Reads, before time.Time) ([]message.LastGood, error)
	Reopen()
	NewLink(ctx context.Context, partner noroshi.NodeID) error
}

// keyUses are the words for the uses of keys in orders and lists; the root has
// none on the wire.
var keyUses = map[noroshi.KeyWord]message.KeyUse{noroshi.KeyRelease: message.UseRelease, noroshi.KeyControl: message.UseControl,
	noroshi.KeyKEM: message.UseKEM, noroshi.KeyTLS: message.UseTLS, noroshi.KeyRealm: message.UseRealm, noroshi.KeyRoot: 0}

func keyWord(u message.KeyUse) noroshi.KeyWord {
	for w, x := range keyUses {
		if x == u {
			return w
		}
	}
	return ""
}

// turnable refuses an order about keys that cannot be carried out: it is tried on
// a copy, so that nobody signs in vain.
func (o *Office) turnable(ctx context.Context, r store.Reads, order noroshi.Order) error {
	if order.Key == nil || o.o.Custody == nil {
		return noroshi.Errorf(noroshi.Invalid, "key.form", "an order about keys names a use or a key")
	}
	k, now := *order.Key, o.o.Now()
	switch order.Action {
	case noroshi.ActRevokeKey:
		if err := revocable(k, now); err != nil {
			return err
		}
	default:
		if err := o.rotatable(k); err != nil {
			return err
		}
	}
	if k.Partner != (noroshi.NodeID{}) {
		if _, err := partner(ctx, r, k.Partner); err != nil {
			return err
		}
	}
	if k.Use == noroshi.KeyLink {
		return nil
	}
	return o.turnCopy(ctx, r, o.o.Keys.Copy(), order, now)
}

// rotatable says what does not go together in an order to rotate.
func (o *Office) rotatable(k noroshi.KeyOrder) error {
	use, ok := keyUses[k.Use]
	switch link := k.Use == noroshi.KeyLink && o.o.Logs != nil; {
	case !link && (!ok || use == message.UseRealm):
		return noroshi.Errorf(noroshi.Invalid, "key.use", "keys of use %q are not rotated: release, control, kem, tls, link or root", string(k.Use))
	case !link && k.Partner != (noroshi.NodeID{}):
		return noroshi.Errorf(noroshi.Invalid, "key.with", "only the secrets of a link are rotated with one partner")
	case k.Use != noroshi.KeyRoot && (k.NextFile != "" || k.Alone):
		return noroshi.Errorf(noroshi.Invalid, "key.root-only", "only of the root the next one is brought, or signs alone")
	}
	return nil
}

// revocable says what does not go together in an order to revoke.
func revocable(k noroshi.KeyOrder, now time.Time) error {
	switch {
	case k.LastGood > 0 && !k.Since.IsZero():
		return noroshi.Errorf(noroshi.Invalid, "key.since-or-last-good", "what is believed ends at a time or at a message, not both")
	case (k.LastGood > 0) != (k.Partner != noroshi.NodeID{}):
		return noroshi.Errorf(noroshi.Invalid, "key.last-good-with", "the last good message is one to a partner: name both")
	case k.Stranger && (k.LastGood > 0 || !k.Since.IsZero()):
		return noroshi.Errorf(noroshi.Invalid, "key.stranger", "of a key that was never this node's nothing is believed")
	case k.Since.After(now.Add(orderAhead)):
		return noroshi.Errorf(noroshi.Invalid, "key.since-ahead", "the key cannot have been stolen at %s: that lies ahead", k.Since.UTC().Format(time.RFC3339))
	}
	return nil
}

// OwnKey says why an id names no key of this node that stands, or nil.
func (o *Office) OwnKey(id string) error {
	_, err := o.ownKey(id)
	return err
}

// keyID reads the id of a key.
func keyID(text string) (id [4]byte, ok bool) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(id) {
		return id, false
	}
	return [4]byte(b), true
}

// ownKey finds a key of this node by its id.
func (o *Office) ownKey(id string) (message.Key, error) {
	at, ok := keyID(id)
	ks := o.o.Keys.Keyset()
	i := slices.IndexFunc(ks.Keys, func(x message.Key) bool { return ok && x.ID == at })
	if i < 0 {
		return message.Key{}, noroshi.Errorf(noroshi.NotFound, "key.none", "this node has no key %q", id)
	}
	if ks.RevokedKey(ks.Keys[i].ID) != nil {
		return message.Key{}, noroshi.Errorf(noroshi.Conflict, "keyring.revoked", "key %s is revoked already", id)
	}
	return ks.Keys[i], nil
}

// turn changes a copy of the keys, makes it durable, and publishes its KEYSET in
// the act; what is to be done after the commit is returned.
func (o *Office) turn(ctx context.Context, tx *store.Tx, order noroshi.Order) (func() error, error) {
	if order.Key.Use == noroshi.KeyLink {
		return func() error { return o.newLinks(ctx, order.Key.Partner) }, nil
	}
	turned, now := o.o.Keys.Copy(), o.o.Now()
	if err := o.turnCopy(ctx, tx.Reads, turned, order, now); err != nil {
		return nil, err
	}
	if err := o.publish(ctx, tx, turned); err != nil {
		return nil, err
	}
	return func() error { return o.turned(ctx, order.Action, turned) }, nil
}

// publish makes turned keys durable, beside those in use, and puts their KEYSET on
// record. Nobody else of this node does so until the act has ended.
func (o *Office) publish(ctx context.Context, tx *store.Tx, turned *message.Keyring) error {
	if err := o.newest(ctx, tx, turned.Keyset()); err != nil {
		return err
	}
	if err := o.o.Custody.Keep(turned); err != nil {
		return err
	}
	id := turned.NodeID().String()
	if err := tx.PutDoc(noroshi.DocKeyset, id, turned.Keyset().Bytes()); err != nil {
		return err
	}
	return tx.Notice(store.PartnerChanged, id)
}

// newest refuses a KEYSET that does not come after the one on record: another
// process of this node has made that, and this one has not taken it over yet; or
// the keys here are not those that the database names.
func (o *Office) newest(ctx context.Context, tx *store.Tx, ks *message.Keyset) error {
	doc, err := tx.Doc(ctx, noroshi.DocKeyset, ks.Node.String())
	if noroshi.KindOf(err) == noroshi.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	held, err := message.ParseKeyset(o.o.Realm, doc)
	switch {
	case err != nil || held.Version < ks.Version:
		return err
	case held.Version > o.o.Keys.Keyset().Version:
		return noroshi.Errorf(noroshi.Busy, KeysTurning, "another process is just changing the keys")
	}
	return noroshi.Errorf(noroshi.Broken, "key.other-keyset", "KEYSET %d on record is another than the one that these keys are of", held.Version)
}

// KeysTurning is the code of what is refused because another process of this node
// has changed the keys and this one has not taken them over yet.
const KeysTurning = "node.keys-turning"

// turned does what is to be done once the act with a new KEYSET has committed: all
// of it, whatever comes of one part, for the KEYSET is out, and though whoever ordered
// it is gone meanwhile. Where the disk fails the keys are in use all the same.
func (o *Office) turned(ctx context.Context, action noroshi.Action, turned *message.Keyring) error {
	ctx = context.WithoutCancel(ctx)
	errs := []error{o.settle(ctx, turned), o.o.Keys.Adopt(turned)} // in this order
	key, sign := o.o.Keys.Control()
	errs = append(errs, o.store.SignWith(ctx, key, sign))
	if action == noroshi.ActRevokeKey && o.o.Logs != nil {
		o.o.Logs.Reopen()
	}
	return errors.Join(append(errs, o.postAll(ctx, turned.Keyset().Bytes()), o.sayAnew(ctx))...)
}

// settle has the custody put turned keys in their place, in a turn of its own:
// another process of this node may else be writing its own beside that place.
func (o *Office) settle(ctx context.Context, turned *message.Keyring) error {
	_, err := o.store.Do(ctx, noroshi.Act{Action: noroshi.ActKeys}, func(*store.Tx) error {
		return o.o.Custody.Settle(turned)
	})
	return err
}

func (o *Office) turnCopy(ctx context.Context, r store.Reads, turned *message.Keyring, order noroshi.Order, now time.Time) error {
	k := order.Key
	if order.Action == noroshi.ActRevokeKey && k.Stranger {
		id, ok := keyID(k.ID)
		if !ok {
			return noroshi.Errorf(noroshi.Invalid, "key.id", "%q is no id of a key: 8 hexadecimal digits", k.ID)
		}
		return turned.Disown(id, now)
	}
	if order.Action == noroshi.ActRevokeKey {
		key, err := o.ownKey(k.ID)
		if err != nil {
			return err
		}
		x := message.Revocation{ID: key.ID}
		if key.Use == message.UseRelease || key.Use == message.UseControl {
			if x.Last, err = o.lastGood(ctx, r, *k); err != nil {
				return err
			}
		}
		return turned.Revoke(rand.Reader, x, now)
	}
	if k.Use != noroshi.KeyRoot {
		return turned.Rotate(rand.Reader, keyUses[k.Use], now)
	}
	next, err := o.o.Custody.Next(k.NextFile)
	if err != nil {
		return err
	}
	return turned.RotateRoot(rand.Reader, next, k.Alone, now)
}

// lastGood are the ends of this node's logs, cut to what the order believes.
func (o *Office) lastGood(ctx context.Context, r store.Reads, k noroshi.KeyOrder) ([]message.LastGood, error) {
	if o.o.Logs == nil {
		return nil, nil
	}
	ends, err := o.o.Logs.Ends(ctx, r, k.Since)
	if err != nil || k.LastGood == 0 {
		return ends, err
	}
	return o.cut(ctx, r, ends, k.Partner, k.LastGood)
}

// cut takes the present log to a partner back to a sequence.
func (o *Office) cut(ctx context.Context, r store.Reads, ends []message.LastGood, node noroshi.NodeID, seq uint64) ([]message.LastGood, error) {
	for i := range ends {
		out, err := r.Out(ctx, node, ends[i].Epoch, seq, 1)
		if err != nil {
			return nil, err
		}
		if len(out) > 0 && out[0].Seq == seq {
			ends[i].Seq, ends[i].Chain = seq, out[0].Chain
			return ends, nil // logs in use come first
		}
	}
	return nil, noroshi.Errorf(noroshi.NotFound, "key.no-message", "there is no message %d to that partner", seq)
}

// newLinks makes new secrets for what goes to a partner, or to each.
func (o *Office) newLinks(ctx context.Context, only noroshi.NodeID) error {
	return o.each(ctx, func(node noroshi.NodeID) error {
		if only != (noroshi.NodeID{}) && only != node {
			return nil
		}
		return o.o.Logs.NewLink(ctx, node)
	})
}

// postAll hands a document to every partner that is introduced.
func (o *Office) postAll(ctx context.Context, doc []byte) error {
	return o.each(ctx, func(node noroshi.NodeID) error { return o.post(ctx, node, doc) })
}

// each calls fn for every partner that is introduced, whatever comes of one.
func (o *Office) each(ctx context.Context, fn func(noroshi.NodeID) error) error {
	all, err := partners(ctx, o.store.Reads)
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range all {
		if p.Trust == noroshi.Introduced || p.Trust == noroshi.InForce {
			errs = append(errs, fn(p.Node))
		}
	}
	return errors.Join(errs...)
}
