package sim_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// disk is what a node finds when it starts: the database with its log and the
// list of recalls in a folder, and in memory what lies sealed beside them.
type disk struct {
	dir   string
	realm noroshi.Realm

	mu     sync.Mutex // held while an image is taken, so that nothing of it is from two moments
	vault  []byte
	keys   *message.Keyring
	turned *message.Keyring // made durable, not yet in the place of keys
}

func (d *disk) path() string { return filepath.Join(d.dir, d.realm.File()) }

// image is all of a disk at one moment.
type image struct {
	db, wal, recalls []byte
	vault            []byte
	keys, turned     *message.Keyring
	known            known // what the node knew then, for the checks
}

func read(path string) []byte {
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		panic(err)
	}
	return b
}

// image reads the disk as a process that is killed now leaves it. The database
// file is not written to while a node runs, only its log is, and a log that is cut
// anywhere is one that a kill may leave. The list of recalls is read after it, for
// it is ahead of it at any time.
func (d *disk) image() image {
	d.mu.Lock()
	defer d.mu.Unlock()
	return image{db: read(d.path()), wal: read(d.path() + "-wal"), recalls: read(d.path() + ".recalls"),
		vault: bytes.Clone(d.vault), keys: d.keys.Copy(), turned: copyKeys(d.turned)}
}

func copyKeys(k *message.Keyring) *message.Keyring {
	if k == nil {
		return nil
	}
	return k.Copy()
}

// newDisk writes an image into a folder of its own.
func newDisk(r noroshi.Realm, x image) *disk {
	dir, err := os.MkdirTemp(memory(), "noroshi-sim-")
	if err != nil {
		panic(err)
	}
	d := &disk{dir: dir, realm: r, vault: bytes.Clone(x.vault), keys: x.keys.Copy(), turned: copyKeys(x.turned)}
	for name, b := range map[string][]byte{d.path(): x.db, d.path() + "-wal": x.wal, d.path() + ".recalls": x.recalls} {
		if len(b) == 0 {
			continue
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			panic(err)
		}
	}
	return d
}

func (d *disk) remove() { os.RemoveAll(d.dir) }

// errDead is what the disk of a node that was killed says.
var errDead = errors.New("the node was killed")

// vault keeps the secrets of links of one life of a node.
type vault struct{ l *life }

func (v vault) Load() ([]byte, error) {
	d := v.l.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	return bytes.Clone(d.vault), nil
}

func (v vault) Save(b []byte) error {
	v.l.step("before the vault")
	d := v.l.disk
	d.mu.Lock()
	if v.l.dead.Load() {
		d.mu.Unlock()
		return errDead
	}
	d.vault = bytes.Clone(b)
	d.mu.Unlock()
	v.l.n.w.learn(v.l.n, b)
	v.l.step("after the vault")
	return nil
}

// custody keeps the private keys of one life of a node, as a node's files do.
type custody struct{ l *life }

func (c custody) Next(string) ([]byte, error) { return nil, nil }

func (c custody) Keep(turned *message.Keyring) error {
	c.l.step("before the keys")
	d := c.l.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.l.dead.Load() {
		return errDead
	}
	d.turned = turned.Copy()
	return nil
}

func (c custody) Settle(*message.Keyring) error {
	c.l.step("before the keys are in place")
	d := c.l.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.l.dead.Load() {
		return errDead
	}
	if d.turned == nil {
		return nil
	}
	d.keys, d.turned = d.turned.Copy(), nil
	return nil
}
