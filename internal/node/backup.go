package node

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/durable"
	"github.com/noroshi-cti/noroshi/internal/node/backup"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// The parts of a backup. The recall list is none of them: what was recalled
// since a backup was made must outlive its being put back.
const (
	partConfig   = configName
	partIdentity = identityName
	partSeal     = "seal.key" // only where the sealing key lies in the folder
	partKeys     = "keys"
	partStore    = "store.db"
)

// snapshotName begins the name of the folder a snapshot lies in until it is
// sealed, in the node's own folder; the realm's file name and a full stop follow.
// The file at the place a backup goes to never has anything that is not sealed.
const snapshotName = ".backup-"

// backUp writes a backup of the realm while the node goes on. What stands under the
// file's name is whole and has its act, or is empty, where a medium knows no links
// and the process was killed just then. An act may be there without its file.
func (n *Node) backUp(ctx context.Context, o web.BackupOrder) (out web.BackedUp, err error) {
	sealing := backup.Sealing{How: backup.How(o.How), Salt: o.Salt, Key: o.Key}
	if o.How == "" {
		if sealing, err = n.ownSealing(); err != nil {
			return out, err
		}
	}
	if !filepath.IsAbs(o.File) {
		return out, noroshi.Errorf(noroshi.Invalid, "backup.place", "%q must be an absolute path", o.File)
	}
	if _, err := os.Lstat(o.File); !errors.Is(err, fs.ErrNotExist) {
		return out, cmp.Or(err, written(o.File))
	}
	dir, done, err := scratch(n.Dir, snapshotName+n.Realm.File()+".")
	if err != nil {
		return out, err
	}
	defer done()
	part, err := newPart(dir, o.File)
	if err != nil {
		return out, err
	}
	defer os.Remove(part.Name())
	m, sum, size, err := n.writeBackup(ctx, dir, part, sealing)
	if err = errors.Join(err, part.Close()); err != nil {
		return out, err
	}
	act := noroshi.Act{Action: noroshi.ActBackup, Subject: sum.String(), Count: int(m.Acts)}
	if _, err := n.Store.Do(ctx, act, func(*store.Tx) error { return nil }); err != nil {
		return out, err
	}
	switch err := durable.MoveNew("backup", part.Name(), o.File); {
	case errors.Is(err, fs.ErrExist):
		return out, written(o.File)
	case err != nil:
		return out, err
	}
	return backedUp(o.File, m, sum, size, sealing.How), nil
}

// sealedBackup is the order of a backup that is sealed by a passphrase.
func sealedBackup(file string, passphrase []byte) (web.BackupOrder, error) {
	s, err := backup.Seal(backup.Passphrase, passphrase)
	return web.BackupOrder{File: file, How: string(s.How), Salt: s.Salt, Key: s.Key}, err
}

// newPart makes the file that is to take a place. The scratch folder names it
// before it is there: whoever sweeps the folder removes it too.
func newPart(dir, place string) (*os.File, error) {
	path := place + "." + rand.Text() + partSuffix
	if err := durable.Write("backup", filepath.Join(dir, scratchAim), []byte(path)); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, noroshi.Errorf(noroshi.Invalid, "backup.write", "the backup cannot be written: %w", err)
	}
	return f, nil
}

func written(file string) error {
	return noroshi.Errorf(noroshi.Conflict, "backup.exists", "there is a file %s already: no backup is written over", file)
}

func backedUp(file string, m backup.Manifest, sum noroshi.Hash, size int64, how backup.How) web.BackedUp {
	return web.BackedUp{File: file, CallSign: m.CallSign, Node: m.Node, Realm: m.Realm, Made: m.Made, Acts: m.Acts, Bytes: size, SHA256: sum, Sealed: string(how)}
}

// ownSealing seals under the node's own sealing key. One that lies in the folder
// is lost with it: a backup sealed by it could not be opened when it is needed.
func (n *Node) ownSealing() (backup.Sealing, error) {
	secret, where, err := sealKey(n.Dir, n.Config, false)
	if err != nil {
		return backup.Sealing{}, err
	}
	if where == SealFolder {
		return backup.Sealing{}, noroshi.Errorf(noroshi.Invalid, "backup.passphrase",
			"the sealing key lies in the folder itself and would be lost with it: give a passphrase for the backup")
	}
	return backup.Seal(backup.Kind(secret), secret)
}

// writeBackup seals a snapshot, made in a scratch folder, and what belongs to it
// into a file. The keys are read after the database: a KEYSET in it never names a
// key that is missing.
func (n *Node) writeBackup(ctx context.Context, dir string, f *os.File, s backup.Sealing) (m backup.Manifest, sum noroshi.Hash, size int64, err error) {
	snapshot := filepath.Join(dir, partStore)
	if err := n.Store.Snapshot(ctx, snapshot); err != nil {
		return m, sum, 0, err
	}
	m = backup.Manifest{Node: n.Keys.NodeID(), CallSign: n.Self.CallSign, Realm: n.Realm, Made: n.opts.Now().UTC(), Version: n.opts.Version}
	if m.Acts, err = actsIn(ctx, snapshot, n.Realm); err != nil {
		return m, sum, 0, err
	}
	w, err := backup.Create(f, s, m)
	if err != nil {
		return m, sum, 0, err
	}
	if err := n.addParts(ctx, w, snapshot); err != nil {
		return m, sum, 0, err
	}
	if m, sum, err = w.Close(); err != nil {
		return m, sum, 0, err
	}
	if err := durable.Sync("backup", f); err != nil {
		return m, sum, 0, err
	}
	size, err = f.Seek(0, io.SeekCurrent)
	return m, sum, size, err
}

// actsIn counts the acts of a snapshot, which shows that it can be opened.
func actsIn(ctx context.Context, path string, r noroshi.Realm) (uint64, error) {
	s, err := store.Open(ctx, path, store.Options{Realm: r, ReadOnly: true})
	if err != nil {
		return 0, err
	}
	acts, err := s.NextAct(ctx)
	return acts, errors.Join(err, s.Close())
}

func (n *Node) addParts(ctx context.Context, w *backup.Writer, snapshot string) error {
	small := [][2]string{{partConfig, filepath.Join(n.Dir, configName)}, {partIdentity, filepath.Join(n.Dir, identityName)}}
	if n.Seal == SealFolder {
		small = append(small, [2]string{partSeal, sealPath(n.Dir)})
	}
	for _, p := range small {
		b, err := os.ReadFile(p[1])
		if err == nil {
			err = w.Add(p[0], int64(len(b)), bytes.NewReader(b))
		}
		if err != nil {
			return err
		}
	}
	keys, err := n.sealedKeys(ctx)
	if err == nil {
		err = w.Add(partKeys, int64(len(keys)), bytes.NewReader(keys))
	}
	if err != nil {
		return err
	}
	f, err := os.Open(snapshot)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	return w.Add(partStore, fi.Size(), reader{ctx, f})
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
