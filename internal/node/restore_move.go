package node

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/durable"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// readyName is the file in the stage that says that persons have signed and what
// is to be moved. With it the restore is done, whenever the moving ends.
const readyName = "ready"

// moves are the moves of a restore. Each can be done again: what was moved
// already is not there any more.
type moves struct {
	Realm    noroshi.Realm `json:"realm"`
	Aside    string        `json:"aside"`              // folder for what was there
	Store    bool          `json:"store"`              // a database file is among them
	Database bool          `json:"database,omitempty"` // a database that is no file is filled before them
	Moves    []move        `json:"moves"`
}

type move struct {
	From string `json:"from"` // in the stage
	To   string `json:"to"`   // in the data folder
}

// finishRestore does what an interrupted restore left to be moved.
func finishRestore(ctx context.Context, dir string) (err error) {
	b, err := os.ReadFile(filepath.Join(dir, stageName, readyName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var m moves
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		return noroshi.Errorf(noroshi.Broken, "restore.interrupted", "a restore was interrupted in %s and cannot be finished: restore again into an empty folder: %w", dir, err)
	}
	if m.Store {
		lock, err := store.Lock(filepath.Join(dir, m.Realm.File()))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, lock.Close()) }()
	}
	if err := m.fillDatabase(ctx, dir); err != nil {
		return err
	}
	return m.carryOut(dir)
}

// fillDatabase copies what is restored into the database that the configuration
// names, in one transaction on it. Where it is there already, from before a crash,
// there is nothing left to do.
func (m moves) fillDatabase(ctx context.Context, dir string) error {
	if !m.Database {
		return nil
	}
	stage := filepath.Join(dir, stageName)
	config, err := configOf(dir, stage)
	if err != nil {
		return err
	}
	place, err := config.place(dir, m.Realm)
	if err != nil {
		return err
	}
	from := filepath.Join(stage, partStore)
	_, err = store.Copy(ctx, from, place, m.Realm, nil)
	if noroshi.KindOf(err) != noroshi.Conflict {
		return err
	}
	ours, lerr := lastAct(ctx, from, m.Realm, 0)
	if lerr != nil {
		return errors.Join(err, lerr)
	}
	if there, lerr := lastAct(ctx, place, m.Realm, ours.Index); lerr == nil && bytes.Equal(ours.Leaf, there.Leaf) {
		return nil
	}
	return err
}

// lastAct reads an act of a store, 0 = its last.
func lastAct(ctx context.Context, place string, r noroshi.Realm, index uint64) (store.Entry, error) {
	s, err := store.Open(ctx, place, store.Options{Realm: r, ReadOnly: true})
	if err != nil {
		return store.Entry{}, err
	}
	next, err := s.NextAct(ctx)
	if index == 0 && next > 0 {
		index = next - 1
	}
	var list []store.Entry
	if err == nil {
		list, err = s.Acts(ctx, index, 1)
	}
	if err = errors.Join(err, s.Close()); err != nil || len(list) == 0 {
		return store.Entry{}, cmp.Or(err, error(noroshi.Errorf(noroshi.NotFound, "store.no-act", "there is no act %d", index)))
	}
	return list[0], nil
}

// carryOut moves what is left to be moved, what is in the way aside, and ends
// the restore. A database goes aside with its log, before its place is taken.
func (m moves) carryOut(dir string) error {
	for _, x := range m.Moves {
		if err := m.carry(dir, x); err != nil {
			return err
		}
	}
	if err := durable.SyncPath(dir); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(dir, stageName))
}

// carry makes one move, if it is not made.
func (m moves) carry(dir string, x move) error {
	from, to := filepath.Join(dir, stageName, x.From), filepath.Join(dir, x.To)
	if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	ways := []string{x.To}
	switch x.From {
	case partStore:
		ways = []string{x.To + "-shm", x.To + "-wal", x.To}
	case partSeal: // no key is left that opens the secrets of links that were here
		ways = []string{x.To, m.Realm.File() + ".links"}
	}
	for _, name := range ways {
		if err := m.setAside(dir, name); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return durable.Move("restore", from, to)
}

func (m moves) setAside(dir, name string) error {
	if _, err := os.Lstat(filepath.Join(dir, name)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	aside := filepath.Join(dir, m.Aside)
	if err := os.MkdirAll(aside, 0o700); err != nil {
		return err
	}
	return durable.Move("restore", filepath.Join(dir, name), filepath.Join(aside, filepath.Base(name)))
}
