package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/stix"
)

// Init makes a node in dir: configuration, sealing key, the organisation's one
// STIX identity, and the real realm with its keys. A Conflict error when there
// is a node already; nothing is half made that a second Init would trip over.
func Init(ctx context.Context, dir string, c Config) error {
	if err := c.check(configName); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, configName)); err == nil {
		return noroshi.Errorf(noroshi.Conflict, "node.exists", "there is a node in %s already", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := makeIdentity(dir, c); err != nil {
		return err
	}
	if _, _, err := sealKey(dir, c, true); err != nil {
		return err
	}
	if err := makeKeys(dir, c, noroshi.Real); err != nil {
		return err
	}
	if err := writeConfig(dir, c); err != nil {
		return err
	}
	n, err := Open(ctx, dir, noroshi.Real, Options{})
	if err != nil {
		return err
	}
	return n.Close()
}

const identityName = "identity.json"

// makeIdentity writes the node's STIX identity unless an interrupted Init did.
func makeIdentity(dir string, c Config) error {
	path := filepath.Join(dir, identityName)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	now := stix.TimeOf(time.Now())
	o, err := stix.Make(
		stix.Member{Name: "type", Value: "identity"},
		stix.Member{Name: "spec_version", Value: "2.1"},
		stix.Member{Name: "id", Value: stix.NewID("identity")},
		stix.Member{Name: "created", Value: now},
		stix.Member{Name: "modified", Value: now},
		stix.Member{Name: "name", Value: string(c.CallSign)},
		stix.Member{Name: "identity_class", Value: "organization"},
		stix.Member{Name: "object_marking_refs", Value: []stix.ID{noroshi.Clear.MarkingID()}},
	)
	if err != nil {
		return err
	}
	return writeDurably(path, o.Bytes())
}

func readIdentity(dir string) (*stix.Object, error) {
	b, err := os.ReadFile(filepath.Join(dir, identityName))
	if err != nil {
		return nil, err
	}
	o, err := stix.Parse(b)
	if err != nil {
		return nil, noroshi.Errorf(noroshi.Broken, "node.identity", "%s: %w", filepath.Join(dir, identityName), err)
	}
	return o, nil
}

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
	plain, err := k.MarshalBinary()
	if err != nil {
		return err
	}
	secret, _, err := sealKey(dir, c, false)
	if err != nil {
		return err
	}
	sealed, err := sealBytes(secret, plain, sealPurpose(r))
	if err != nil {
		return err
	}
	return writeDurably(path, sealed)
}

func sealPurpose(r noroshi.Realm) string { return "noroshi keys " + r.String() }

// readKeys opens the sealed keys of a realm.
func readKeys(dir string, c Config, r noroshi.Realm) (*message.Keyring, Seal, error) {
	sealed, err := os.ReadFile(keysPath(dir, r))
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
