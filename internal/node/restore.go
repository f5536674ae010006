package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/durable"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/node/backup"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// stageName is the folder in the data folder where a backup lies unpacked until
// persons have signed for it.
const stageName = ".restore"

// partNext is the next root's key of keys in the folder that are newer than the
// backup's; it lies in the stage, and in no backup.
const partNext = "next-root.key"

// Restoring is a backup that was read to its end and unpacked beside the place
// it goes to. Nothing of the node is touched before Commit.
type Restoring struct {
	Backup web.BackedUp
	// Officers are the release officers of the register in the backup, and Needs
	// how many of them must sign: two, or one where there is one.
	Officers int
	Needs    int
	// NextRoot is the file of the next root's key, which is in no backup, where
	// there is none in the folder: it is to be kept elsewhere.
	NextRoot string

	dir, stage string
	at         time.Time
	config     Config
	secret     []byte // seals the keys in dir
	newSecret  bool   // it comes out of the backup
	keys       *message.Keyring
	store      *store.Store
	register   noroshi.Register
	lock       io.Closer // nil where the store is no file
}

// BeginRestore unpacks a backup for the node in dir, or for an empty dir. The
// configuration that is in dir stays, so does its recall list, and so do its keys
// where they are newer. A node that runs there, another node's folder, and a
// backup that is damaged or opened by another secret are refused, and leave dir
// as it was.
func BeginRestore(ctx context.Context, dir string, file io.Reader, secret func(backup.How) ([]byte, error)) (_ *Restoring, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := finishRestore(ctx, dir); err != nil { // one that was interrupted
		return nil, err
	}
	x := &Restoring{dir: dir, stage: filepath.Join(dir, stageName), at: time.Now().UTC()}
	if err := errors.Join(os.RemoveAll(x.stage), os.Mkdir(x.stage, 0o700)); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, x.Abandon())
		}
	}()
	if x.Backup, err = unpack(ctx, file, secret, x.stage); err != nil {
		return nil, err
	}
	if err := x.samePlace(ctx); err != nil {
		return nil, err
	}
	if err := x.openKeys(); err != nil {
		return nil, err
	}
	if err := x.openStore(ctx); err != nil {
		return nil, err
	}
	return x, x.mayBeUnsigned()
}

// mayBeUnsigned refuses a backup that nobody can sign for, of a node that had no
// release officers yet, where there is a node already: what is there has persons,
// or may have.
func (x *Restoring) mayBeUnsigned() error {
	if x.Officers > 0 {
		return nil
	}
	for _, name := range []string{identityName, x.Backup.Realm.File(), x.Backup.Realm.File() + ".keys"} {
		if _, err := os.Lstat(filepath.Join(x.dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return noroshi.Errorf(noroshi.Refused, "restore.no-officers",
				"the register in the backup has no release officer who could sign: it goes into an empty folder only, and there is a node in %s", x.dir)
		}
	}
	return nil
}

// configOf reads the configuration that counts after a restore: that of the
// folder, else that of the backup.
func configOf(dir, stage string) (Config, error) {
	if _, err := os.Stat(filepath.Join(dir, configName)); errors.Is(err, fs.ErrNotExist) {
		dir = stage
	}
	return ReadConfig(dir)
}

// samePlace refuses a folder of another node, and one that is in use.
func (x *Restoring) samePlace(ctx context.Context) (err error) {
	there, err := readIdentity(x.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	ours, err := readIdentity(x.stage)
	if err != nil {
		return err
	}
	if there != nil && there.ID != ours.ID {
		return noroshi.Errorf(noroshi.Conflict, "restore.other-node", "%s is the folder of another node than the backup is of (%s)", x.dir, string(x.Backup.CallSign))
	}
	if x.config, err = configOf(x.dir, x.stage); err != nil {
		return err
	}
	place, err := x.config.place(x.dir, x.Backup.Realm)
	if err != nil || store.IsDSN(place) {
		return err
	}
	x.lock, err = store.Lock(place)
	if noroshi.KindOf(err) == noroshi.Busy {
		return noroshi.Errorf(noroshi.Busy, "restore.running", "a process has %s open: stop the node first", place)
	}
	return err
}

// openKeys takes the newer of the keys in the backup and those in the folder: a
// partner may know of keys that the backup has not.
func (x *Restoring) openKeys() error {
	secret, _, err := sealKey(x.dir, x.config, false)
	if err != nil && noroshi.KindOf(err) != noroshi.NotFound {
		return err
	}
	inBackup, serr := os.ReadFile(filepath.Join(x.stage, partSeal))
	if serr != nil {
		inBackup = secret
	}
	if x.secret = secret; secret == nil {
		x.secret, x.newSecret = inBackup, true
	}
	if x.secret == nil {
		return err
	}
	sealed, err := os.ReadFile(filepath.Join(x.stage, partKeys))
	if err != nil {
		return err
	}
	if x.keys, err = keyringOf(sealed, inBackup, x.Backup.Realm); err != nil {
		return err
	}
	if x.keys.NodeID() != x.Backup.Node {
		return noroshi.Errorf(noroshi.Broken, "backup.keys", "the keys in the backup are of another node")
	}
	if secret == nil {
		return nil // there is nothing that opens those in the folder
	}
	return x.newerKeys(secret)
}

// newerKeys takes the keys in the folder where they are newer, those that lie
// beside their place too: a failing disk left them there, and they are in use. The
// next root's key beside it belongs to them; it is readied to go with them.
func (x *Restoring) newerKeys(secret []byte) error {
	path := keysPath(x.dir, x.Backup.Realm)
	for _, suffix := range []string{"", turnedSuffix} {
		sealed, err := os.ReadFile(path + suffix)
		if err != nil {
			continue // there are none
		}
		k, err := keyringOf(sealed, secret, x.Backup.Realm)
		if err != nil || k.NodeID() != x.keys.NodeID() {
			continue // nobody can use them
		}
		have, least := k.Keyset().Version, x.keys.Keyset().Version
		if have < least || have == least && suffix != "" {
			continue
		}
		x.keys = k
		if suffix == "" {
			continue
		}
		next, err := os.ReadFile(nextRootPath(x.dir, x.Backup.Realm) + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it is in its place already
		}
		if err != nil {
			return err
		}
		return durable.Write("restore", filepath.Join(x.stage, partNext), next)
	}
	return nil
}

func (x *Restoring) openStore(ctx context.Context) (err error) {
	public, sign := x.keys.Control()
	x.store, err = store.Open(ctx, filepath.Join(x.stage, partStore), store.Options{Realm: x.Backup.Realm, Node: x.keys.NodeID(), Sign: sign, Key: public, Former: x.keys.Controls(),
		Recalls: filepath.Join(x.dir, x.Backup.Realm.File()+".recalls")})
	if err != nil {
		return err
	}
	if x.register, err = x.store.Persons(ctx); err != nil {
		return err
	}
	for _, p := range x.register {
		if p.Has(noroshi.ReleaseOffice) {
			x.Officers++
		}
	}
	x.Needs = min(x.Officers, 2)
	next := nextRootPath(x.dir, x.Backup.Realm)
	if _, err := os.Stat(next); errors.Is(err, fs.ErrNotExist) && !x.staged(partNext) {
		x.NextRoot = next
	}
	return nil
}

// staged says whether a part lies in the stage.
func (x *Restoring) staged(part string) bool {
	_, err := os.Stat(filepath.Join(x.stage, part))
	return err == nil
}

// Person returns a person of the register in the backup.
func (x *Restoring) Person(id string) (noroshi.Person, error) {
	p := x.register.At(id, x.at)
	if p.ID == "" || p.Removed {
		return p, noroshi.Errorf(noroshi.Forbidden, "person.unknown", "person %q is not known here", id)
	}
	return p, nil
}

// Digest is what each person signs: this backup, into this folder, now.
func (x *Restoring) Digest() noroshi.Hash {
	b := fmt.Appendf(nil, "%s\n%s\n%s", x.Backup.SHA256, x.dir, x.at.Format(time.RFC3339Nano))
	return noroshi.ActDigest(x.Backup.Realm, x.Backup.Node, noroshi.ActRestore, x.Backup.SHA256.String(), noroshi.Sum(b))
}

// check refuses what not enough persons, or one twice, or somebody without the
// role has signed.
func (x *Restoring) check(by []noroshi.Signed) error {
	keys := map[string]bool{}
	for _, s := range by {
		p, err := x.Person(s.Person)
		if err == nil {
			err = p.Check(s, noroshi.ActRestore, x.Digest())
		}
		if err != nil {
			return err
		}
		keys[string(p.Key)] = true
	}
	if len(keys) < x.Needs || len(keys) < len(by) {
		return noroshi.Errorf(noroshi.Refused, "restore.persons", "a restore takes the signatures of %d different release officers of the register in the backup", x.Needs)
	}
	return nil
}

// Commit puts the backup in place of what is there, which is moved aside into a
// folder whose name is returned, "" where there was nothing. On record as the
// next act of the database that was put back. A crash before everything is ready
// leaves what was; after that, the next command that opens the folder, if only to
// read, does what is left to do.
func (x *Restoring) Commit(ctx context.Context, by []noroshi.Signed) (aside string, err error) {
	if err := x.check(by); err != nil {
		return "", err
	}
	moves, err := x.ready(ctx, by)
	if err != nil {
		return "", err
	}
	if err := moves.fillDatabase(ctx, x.dir); err != nil { // nothing has moved yet
		return "", errors.Join(err, os.Remove(filepath.Join(x.stage, readyName)))
	}
	if err := moves.carryOut(x.dir); err != nil {
		return "", err
	}
	if x.lock != nil {
		err = x.lock.Close()
		x.lock = nil
	}
	if _, serr := os.Stat(filepath.Join(x.dir, moves.Aside)); serr == nil {
		aside = filepath.Join(x.dir, moves.Aside)
	}
	return aside, err
}

// ready does all that comes before the first move: the act, and the list of what
// is to be moved. From then on the restore is carried out, whoever does it.
func (x *Restoring) ready(ctx context.Context, by []noroshi.Signed) (m moves, err error) {
	leap := courier.Leap{From: x.keys.Keyset().Version}
	if err := x.keys.Leap(x.at); err != nil {
		return m, err
	}
	leap.To = x.keys.Keyset().Version
	if err := x.record(ctx, by, leap); err != nil {
		return m, err
	}
	s := x.store
	x.store = nil
	if err := s.Close(); err != nil {
		return m, err
	}
	if m, err = x.moves(); err != nil {
		return m, err
	}
	return m, writeJSON(filepath.Join(x.stage, readyName), m)
}

// record makes the act: who put back what, and that every link begins anew.
func (x *Restoring) record(ctx context.Context, by []noroshi.Signed, leap courier.Leap) error {
	act := noroshi.Act{Action: noroshi.ActRestore, Persons: by, Subject: x.Backup.SHA256.String(), Count: int(x.Backup.Acts), Precedence: noroshi.Immediate}
	_, err := x.store.Do(ctx, act, func(tx *store.Tx) error {
		if err := courier.BeginAnew(ctx, tx, leap); err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join(x.dir, x.Backup.Realm.File()+".recalls")); errors.Is(err, fs.ErrNotExist) {
			return tx.Recalled(0) // a new list begins
		}
		return nil
	})
	return err
}

// moves readies the parts and says where each goes.
func (x *Restoring) moves() (moves, error) {
	m := moves{Realm: x.Backup.Realm, Aside: "replaced-" + x.at.Format("20060102T150405Z")}
	if err := sealInto(filepath.Join(x.stage, partKeys), x.secret, x.keys); err != nil {
		return m, err
	}
	m.Moves = append(m.Moves, move{partKeys, x.Backup.Realm.File() + ".keys"})
	if x.staged(partNext) {
		m.Moves = append(m.Moves, move{partNext, filepath.Join("secret", filepath.Base(nextRootPath(x.dir, x.Backup.Realm)))})
	}
	if _, err := os.Stat(filepath.Join(x.dir, configName)); errors.Is(err, fs.ErrNotExist) {
		m.Moves = append(m.Moves, move{partConfig, configName})
	}
	if _, err := os.Stat(filepath.Join(x.dir, identityName)); errors.Is(err, fs.ErrNotExist) {
		m.Moves = append(m.Moves, move{partIdentity, identityName})
	}
	if x.newSecret {
		m.Moves = append(m.Moves, move{partSeal, filepath.Join("secret", "seal.key")})
	}
	place, err := x.config.place(x.dir, x.Backup.Realm)
	if err != nil {
		return m, err
	}
	if m.Database = store.IsDSN(place); m.Database {
		return m, nil
	}
	m.Store = true
	m.Moves = append(m.Moves, move{partStore, x.Backup.Realm.File()})
	return m, nil
}

// Abandon leaves everything as it was; after Commit it does nothing.
func (x *Restoring) Abandon() (err error) {
	if x.store != nil {
		err = x.store.Close()
		x.store = nil
	}
	if x.lock != nil {
		err = errors.Join(err, x.lock.Close())
		x.lock = nil
	}
	if _, serr := os.Stat(filepath.Join(x.stage, readyName)); serr == nil {
		return err // begun to move: to be finished, not undone
	}
	return errors.Join(err, os.RemoveAll(x.stage))
}

func writeJSON(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return durable.Write("restore", path, b)
}
