package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/durable"
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
	if err == nil {
		return n.Close()
	}
	// Such as a database that does not answer: without its configuration the
	// folder is no node yet, and the same Init goes on with what it has.
	if rerr := os.Remove(filepath.Join(dir, configName)); rerr != nil {
		return errors.Join(err, rerr)
	}
	return err
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
	return durable.Write("identity", path, o.Bytes())
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
