package node

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/durable"
	"github.com/noroshi-cti/noroshi/internal/node/backup"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// SealingKey returns the key that seals the keys of the node in dir, or of the
// node that is to be there: of its configuration, or the systemd credential.
func SealingKey(dir string) ([]byte, error) {
	config, err := ReadConfig(dir)
	if err != nil && noroshi.KindOf(err) != noroshi.NotFound {
		return nil, err
	}
	secret, _, err := sealKey(dir, config, false)
	return secret, err
}

// CheckBackup reads a backup to its end: that it was sealed under the secret,
// that nothing of it was changed, and that it has what a node is made of. With
// audit the database in it, and nothing else, is unpacked into a temporary folder
// and verified; of a check that was killed the next one removes it.
func CheckBackup(ctx context.Context, r io.Reader, secret func(backup.How) ([]byte, error), audit bool) (web.BackedUp, error) {
	if !audit {
		return unpack(ctx, r, secret, "")
	}
	dir, done, err := scratch(os.TempDir(), checkName)
	if err != nil {
		return web.BackedUp{}, err
	}
	defer done()
	b, err := unpack(ctx, r, secret, dir, partStore)
	if err != nil {
		return b, err
	}
	s, err := store.Open(ctx, filepath.Join(dir, partStore), store.Options{Realm: b.Realm, ReadOnly: true})
	if err != nil {
		return b, err
	}
	v, err := s.Verify(ctx, nil)
	if err = errors.Join(err, s.Close()); err != nil {
		return b, err
	}
	if len(v.Faults) > 0 {
		f := v.Faults[0]
		return b, noroshi.Errorf(noroshi.Broken, "backup.audit", "the database in the backup does not verify: %s at act %d in %s", f.Code, f.Index, f.Table)
	}
	return b, nil
}

// checkName begins the names of the folders in which backups are checked.
const checkName = "noroshi-check-"

// unpack reads a backup to its end and puts its parts, or those named, into dir by
// their names; dir "" puts them nowhere. An error leaves what was written.
func unpack(ctx context.Context, r io.Reader, secret func(backup.How) ([]byte, error), dir string, only ...string) (out web.BackedUp, err error) {
	how, size := backup.How(""), &counter{}
	b, err := backup.Open(io.TeeReader(reader{ctx, r}, size), func(h backup.How) ([]byte, error) { how = h; return secret(h) })
	if err != nil {
		return out, err
	}
	need := map[string]bool{partConfig: true, partIdentity: true, partKeys: true, partStore: true}
	for {
		name, _, err := b.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return out, err
		}
		if !need[name] && name != partSeal {
			return out, noroshi.Errorf(noroshi.Broken, "backup.parts", "the backup has a part %q, which none of a node's has", name)
		}
		delete(need, name)
		if dir != "" && (len(only) == 0 || slices.Contains(only, name)) {
			if err := writePart(filepath.Join(dir, name), b); err != nil {
				return out, err
			}
		}
	}
	m, sum, err := b.Close()
	if err != nil {
		return out, err
	}
	for name := range need {
		return out, noroshi.Errorf(noroshi.Broken, "backup.part-missing", "the backup has no part %q", name)
	}
	return backedUp("", m, sum, size.n, how), nil
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) { c.n += int64(len(p)); return len(p), nil }

// writePart writes a new file of this user alone and brings it to the disk.
func writePart(path string, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, durable.Finish("restore", f, nil))
}
