package node

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/durable"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/partner"
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
	return custody{dir: dir, conf: c, realm: r}.write(k, "")
}

// sealInto seals a keyring into a file.
func sealInto(path string, secret []byte, k *message.Keyring) error {
	plain, err := k.MarshalBinary()
	if err != nil {
		return err
	}
	sealed, err := sealBytes(secret, plain, sealPurpose(k.Realm()))
	if err != nil {
		return err
	}
	return durable.Write("keys", path, sealed)
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
	k, err := keyringOf(sealed, secret, r)
	return k, how, err
}

// keyringOf opens sealed keys of a realm.
func keyringOf(sealed, secret []byte, r noroshi.Realm) (*message.Keyring, error) {
	plain, err := unsealBytes(secret, sealed, sealPurpose(r))
	if err != nil {
		return nil, err
	}
	k, err := message.UnmarshalKeyring(plain)
	if err != nil {
		return nil, errors.Join(noroshi.Errorf(noroshi.Broken, "node.keys", "the node's keys cannot be read"), err)
	}
	return k, nil
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
// node does not have. What another process of the node has made comes first.
func (n *Node) Renew(ctx context.Context) error {
	for {
		if err := cmp.Or(n.settleKeys(ctx), n.reload(ctx), n.resign(ctx)); err != nil {
			return err
		}
		err := n.Office.Renew(ctx, n.opts.Now().Add(renewBefore))
		if noroshi.CodeOf(err) != partner.KeysTurning {
			return err
		}
	}
}
