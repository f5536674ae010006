package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

func keysPath(dir string, r noroshi.Realm) string {
	return filepath.Join(dir, r.File()+".keys")
}

// makeKeys makes and seals the keys of a realm unless they are there.
func makeKeys(dir string, c Config, r noroshi.Realm) error {
	path := keysPath(dir, r)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	k, err := message.NewKeyring(r, time.Now())
	if err != nil {
		return err
	}
	return writeKeys(dir, c, k)
}

// writeKeys seals a keyring and puts it in the place of the one before.
func writeKeys(dir string, c Config, k *message.Keyring) error {
	plain, err := k.MarshalBinary()
	if err != nil {
		return err
	}
	secret, _, err := sealKey(dir, c, false)
	if err != nil {
		return err
	}
	sealed, err := sealBytes(secret, plain, sealPurpose(k.Realm()))
	if err != nil {
		return err
	}
	return writeDurably(keysPath(dir, k.Realm()), sealed)
}

func sealPurpose(r noroshi.Realm) string { return "noroshi keys " + r.String() }

// readKeys opens the sealed keys of a realm.
func readKeys(dir string, c Config, r noroshi.Realm) (*message.Keyring, Seal, error) {
	sealed, err := os.ReadFile(keysPath(dir, r))
	if r != noroshi.Real && errors.Is(err, fs.ErrNotExist) {
		return nil, "", noroshi.Errorf(noroshi.NotFound, "node.no-realm", "there is no %s in %s", r, dir)
	}
	if err != nil {
		return nil, "", noroshi.Errorf(noroshi.NotFound, "node.no-keys", "no keys of realm %s: %w", r, err)
	}
	secret, how, err := sealKey(dir, c, false)
	if err != nil {
		return nil, "", err
	}
	plain, err := unsealBytes(secret, sealed, sealPurpose(r))
	if err != nil {
		return nil, "", err
	}
	k, err := message.UnmarshalKeyring(plain)
	if err != nil {
		return nil, "", errors.Join(noroshi.Errorf(noroshi.Broken, "node.keys", "the node's keys cannot be read"), err)
	}
	return k, how, nil
}

// A KEYSET says how long partners may take its keys as confirmed; the node
// makes the next one when less than renewBefore of that is left, and looks
// every renewEvery.
const (
	renewBefore = 4 * 24 * time.Hour
	renewEvery  = time.Hour
)

// renew keeps the node's KEYSET fresh until ctx ends.
func (n *Node) renew(ctx context.Context) error {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		if err := n.Renew(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Renew makes the next KEYSET when the present one is about to be stale, and
// sends it to every partner. The keys are sealed on disk before the KEYSET
// leaves the node, so that a crash between leaves nobody with a KEYSET this
// node does not have.
func (n *Node) Renew(ctx context.Context) error {
	now := n.opts.Now()
	if !n.Keys.Keyset().Fresh(now.Add(renewBefore)) {
		if err := n.Keys.Renew(now); err != nil {
			return err
		}
		if err := writeKeys(n.Dir, n.Config, n.Keys); err != nil {
			return err
		}
	}
	doc, id := n.Keys.Keyset().Bytes(), n.Keys.NodeID().String()
	kept, err := n.Store.Doc(ctx, noroshi.DocKeyset, id)
	if err == nil && string(kept) == string(doc) {
		return nil
	}
	if _, err := n.Store.Do(ctx, noroshi.Act{Action: noroshi.ActKeys, Subject: id}, func(tx *store.Tx) error {
		return tx.PutDoc(noroshi.DocKeyset, id, doc)
	}); err != nil {
		return err
	}
	for node := range n.peers() {
		// A courier that does not run yet is no error: Resend hands it in.
		if err := n.Courier.Document(ctx, node, doc); err != nil && noroshi.KindOf(err) != noroshi.Queued {
			return err
		}
	}
	return nil
}
