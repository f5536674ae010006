package node

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/durable"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// custody keeps the node's private keys in files. What an order makes lies
// beside what is in use (NAME.keys.new, and the next root's) until the act with
// the new KEYSET has committed; a start after a crash between looks into the
// database and takes the one the KEYSET there names.
type custody struct {
	dir   string
	conf  Config
	realm noroshi.Realm
	keys  *message.Keyring // in use; nil where only files are written
}

func (n *Node) custody() custody { return custody{n.Dir, n.Config, n.Realm, n.Keys} }

const turnedSuffix = ".new"

// nextRootPath is where the next root's key is kept, apart from the others: an
// operator may carry the file away, and brings it for the change.
func nextRootPath(dir string, r noroshi.Realm) string {
	return filepath.Join(dir, "secret", r.File()+".next-root.key")
}

func nextPurpose(r noroshi.Realm) string { return "noroshi next root " + r.String() }

// Next reads the next root's key from a file, "" for the usual one; nil when
// there is none and none was named: the keyring may have it. A file that was
// carried away before this node was put back on another disk is sealed under the
// sealing key of that time, which was carried away with it.
func (c custody) Next(file string) ([]byte, error) {
	named := file != ""
	if !named {
		file = nextRootPath(c.dir, c.realm)
	}
	sealed, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return nil, nil
	}
	if err != nil {
		return nil, noroshi.Errorf(noroshi.NotFound, "key.next-file", "the next root's key: %w", err)
	}
	secret, _, err := sealKey(c.dir, c.conf, false)
	if err != nil {
		return nil, err
	}
	plain, err := unsealBytes(secret, sealed, nextPurpose(c.realm))
	if noroshi.KindOf(err) != noroshi.Forbidden || !named {
		return plain, err
	}
	then, rerr := os.ReadFile(filepath.Join(filepath.Dir(file), "seal.key"))
	if rerr != nil {
		return nil, noroshi.Errorf(noroshi.Forbidden, "key.next-sealed", "%s is sealed under another sealing key, and there is no seal.key beside it", file)
	}
	return unsealBytes(then, sealed, nextPurpose(c.realm))
}

// Keep writes a turned keyring beside the one in use. A next root's key that an
// earlier change left there, and which never came to be, goes first: Settle would
// put it in the place of the one the KEYSET names.
func (c custody) Keep(turned *message.Keyring) error {
	if err := c.finish(); err != nil {
		return err
	}
	if err := durable.Remove("next root", nextRootPath(c.dir, c.realm)+turnedSuffix); err != nil {
		return err
	}
	return c.write(turned, turnedSuffix)
}

// finish settles keys that are in use and lie beside their place, because the
// disk failed when they were to be moved: nothing else may be written there before.
func (c custody) finish() error {
	turned, err := c.readTurned()
	if turned == nil || err != nil || string(turned.Keyset().Bytes()) != string(c.keys.Keyset().Bytes()) {
		return err
	}
	return c.Settle(turned)
}

// forgetTurned removes what Keep wrote for a change that did not come to be.
func (c custody) forgetTurned() error {
	if err := durable.Remove("keys", keysPath(c.dir, c.realm)+turnedSuffix); err != nil {
		return err
	}
	return durable.Remove("next root", nextRootPath(c.dir, c.realm)+turnedSuffix)
}

// write seals a keyring into its files; the next root's key goes into its own.
func (c custody) write(k *message.Keyring, suffix string) error {
	secret, _, err := sealKey(c.dir, c.conf, false)
	if err != nil {
		return err
	}
	if next := k.TakeNext(); next != nil {
		sealed, err := sealBytes(secret, next, nextPurpose(c.realm))
		if err != nil {
			return err
		}
		path := nextRootPath(c.dir, c.realm)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := durable.Write("next root", path+suffix, sealed); err != nil {
			return err
		}
	}
	return sealInto(keysPath(c.dir, c.realm)+suffix, secret, k)
}

// Settle puts what Keep wrote in its place, the next root's key first and for
// good: as long as the keys lie beside their place, a start does the same again.
// Another process of the node may have done it already; where the keys are neither
// beside their place nor in it, that is an error.
func (c custody) Settle(turned *message.Keyring) error {
	if there, err := c.readTurned(); err != nil {
		return err
	} else if there == nil || there.Keyset().Hash() != turned.Keyset().Hash() {
		return c.settled(turned)
	}
	next := nextRootPath(c.dir, c.realm)
	if err := durable.Move("next root", next+turnedSuffix, next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	keys := keysPath(c.dir, c.realm)
	err := durable.Move("keys", keys+turnedSuffix, keys)
	if errors.Is(err, fs.ErrNotExist) {
		return c.settled(turned)
	}
	return err
}

// settled says whether a turned keyring, or one after it, is in its place.
func (c custody) settled(turned *message.Keyring) error {
	k, _, err := readKeys(c.dir, c.conf, c.realm)
	if err != nil {
		return err
	}
	if have, want := k.Keyset(), turned.Keyset(); have.Version < want.Version || have.Version == want.Version && have.Hash() != want.Hash() {
		return notKept(c.dir, c.realm, want.Version)
	}
	return nil
}

func notKept(dir string, r noroshi.Realm, version uint64) error {
	return noroshi.Errorf(noroshi.Broken, "key.not-kept", "the keys of KEYSET %d are not in %s, and not beside it", version, keysPath(dir, r))
}

// settleKeys finishes, or forgets, a change of keys that a crash came into. It
// does so in its turn to write: another process that shares the folder may be
// inside the act between Keep and its commit, and holds the turn until then.
func (n *Node) settleKeys(ctx context.Context) error {
	_, err := n.Store.Do(ctx, noroshi.Act{Action: noroshi.ActKeys}, func(tx *store.Tx) error {
		return n.settleInTurn(ctx, tx)
	})
	return err
}

// settleInTurn writes nothing into the database.
func (n *Node) settleInTurn(ctx context.Context, tx *store.Tx) error {
	c := n.custody()
	turned, err := c.readTurned()
	if err != nil {
		return err
	}
	if turned == nil { // the crash came before the keys, which Keep writes last
		return errors.Join(c.forgetTurned(), n.readAgain())
	}
	doc, err := tx.Doc(ctx, noroshi.DocKeyset, n.Keys.NodeID().String())
	if err != nil && noroshi.KindOf(err) != noroshi.NotFound {
		return err
	}
	if string(doc) == string(turned.Keyset().Bytes()) {
		return errors.Join(c.Settle(turned), n.adopt(turned))
	}
	return errors.Join(c.forgetTurned(), n.readAgain()) // its act did not commit: nobody has heard of these keys
}

// adopt takes over a keyring that is ahead of the one in use. Whoever ordered it, or
// a later one, may do so at the same time.
func (n *Node) adopt(k *message.Keyring) error {
	err := n.Keys.Adopt(k)
	if k.Keyset().Version <= n.Keys.Keyset().Version {
		return nil
	}
	return err
}

// readAgain takes over keys that were put in their place since they were read.
func (n *Node) readAgain() error {
	k, _, err := readKeys(n.Dir, n.Config, n.Realm)
	if err != nil {
		return err
	}
	return n.adopt(k)
}

// sealedKeys returns the file with the keys that the KEYSET on record names, in
// its turn to write: they lie beside their place while they are just being put
// there, and where the disk failed.
func (n *Node) sealedKeys(ctx context.Context) (sealed []byte, err error) {
	_, err = n.Store.Do(ctx, noroshi.Act{Action: noroshi.ActKeys}, func(tx *store.Tx) error {
		path := keysPath(n.Dir, n.Realm)
		turned, err := n.custody().readTurned()
		if err != nil {
			return err
		}
		doc, err := tx.Doc(ctx, noroshi.DocKeyset, n.Keys.NodeID().String())
		if err != nil && noroshi.KindOf(err) != noroshi.NotFound {
			return err
		}
		if turned != nil && string(doc) == string(turned.Keyset().Bytes()) {
			path += turnedSuffix
		}
		sealed, err = os.ReadFile(path)
		return err
	})
	return sealed, err
}

// readTurned opens what Keep wrote, nil when there is nothing.
func (c custody) readTurned() (*message.Keyring, error) {
	plain, err := readSealed(c.dir, c.conf, keysPath(c.dir, c.realm)+turnedSuffix, sealPurpose(c.realm))
	if plain == nil || err != nil {
		return nil, err
	}
	return message.UnmarshalKeyring(plain)
}

// reload takes over the keys that another process of this node has made, in its
// turn to write: then they are in their place, or beside it since the disk failed,
// and in use all the same.
func (n *Node) reload(ctx context.Context) error {
	doc, err := n.Store.Doc(ctx, noroshi.DocKeyset, n.Keys.NodeID().String())
	if err != nil {
		return err
	}
	held, err := message.ParseKeyset(n.Realm, doc)
	if err != nil || held.Version <= n.Keys.Keyset().Version {
		return err
	}
	if err = n.settleKeys(ctx); n.Keys.Keyset().Version < held.Version {
		return cmp.Or(err, notKept(n.Dir, n.Realm, held.Version))
	}
	if err != nil {
		n.opts.Log.Error("keys that another process has made are in use, and not in their place", "err", err)
	}
	return n.resign(ctx)
}

// turns takes over, until ctx ends, the keys that other processes of this node
// make: one that went on with the old ones would sign the record with a key that
// it names no more.
func (n *Node) turns(ctx context.Context) error {
	after, err := n.Store.Head(ctx)
	if err != nil {
		return err
	}
	own := func(c store.Change) bool {
		return c.Kind == store.PartnerChanged && c.ID == n.Keys.NodeID().String()
	}
	return n.onChange(ctx, after, own, func() error { return n.reload(ctx) })
}

// resign has the control key in use sign the record.
func (n *Node) resign(ctx context.Context) error {
	key, sign := n.Keys.Control()
	return n.Store.SignWith(ctx, key, sign)
}

// tlsKey is the TLS key in use since the start: one that stands in the KEYSET
// every partner is known to hold, so that a new key cuts nobody off.
func (n *Node) tlsKey(ctx context.Context) crypto.Signer {
	if n.tls == nil {
		held := n.Keys.Keyset().Version
		if list, err := courier.KeysOnRecord(ctx, n.Store, n.Realm); err == nil {
			for _, x := range list {
				held = min(held, max(x.Version, 1))
			}
		}
		n.tls = n.Keys.TLSKey(held)
	}
	return n.tls
}
