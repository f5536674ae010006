package node

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/durable"
	"github.com/noroshi-cti/noroshi/internal/store"
)

const (
	scratchLock = "in-use" // what a process locks as long as it uses a scratch folder
	scratchAim  = "aim"    // names the file outside that is being written with it
	partSuffix  = ".part"  // ends the name of that file
	maxSwept    = 100      // so often a folder is made that another process sweeps before it is locked
)

// scratch makes a folder to work in, which a lock shows to be in use until done,
// and removes those that processes have left which were killed. Everybody may write
// where they lie: only a folder that this user alone can have filled is looked into.
func scratch(parent, prefix string) (dir string, done func(), err error) {
	if err := sweepScratch(parent, prefix); err != nil {
		return "", nil, err
	}
	for range maxSwept {
		if dir, err = os.MkdirTemp(parent, prefix); err != nil {
			return "", nil, err
		}
		lock, err := store.Lock(filepath.Join(dir, scratchLock))
		if err == nil {
			// Between the making and the lock somebody may have swept it.
			if _, err = os.Lstat(filepath.Join(dir, scratchLock+".lock")); err == nil {
				return dir, func() { _ = errors.Join(os.RemoveAll(dir), lock.Close()) }, nil
			}
			err = errors.Join(err, lock.Close())
		}
		if noroshi.KindOf(err) != noroshi.Busy && !errors.Is(err, fs.ErrNotExist) {
			return "", nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	return "", nil, noroshi.Errorf(noroshi.Busy, "store.locked", "another process has %s open for writing", parent)
}

// sweepScratch removes what nobody uses any more. What cannot be removed now is
// looked at the next time.
func sweepScratch(parent, prefix string) error {
	left, err := inFolder(parent, prefix)
	for _, dir := range left {
		if !ownFolder(dir) {
			continue
		}
		place := filepath.Join(dir, scratchLock)
		if fi, err := os.Lstat(place + ".lock"); err != nil || !fi.Mode().IsRegular() {
			continue
		}
		if lock, err := store.LockThere(place); err == nil {
			_ = errors.Join(removeScratch(dir), lock.Close())
		}
	}
	return err
}

// inFolder lists what is in a folder and has a name that begins so.
func inFolder(folder, prefix string) (list []string, err error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			list = append(list, filepath.Join(folder, e.Name()))
		}
	}
	return list, err
}

// removeScratch removes a scratch folder, and the file outside that was being
// written with it. While that one's own folder is not there, as of a stick that was
// drawn, what names it stays.
func removeScratch(dir string) error {
	if fi, err := os.Lstat(dir); err != nil || !fi.IsDir() {
		return os.RemoveAll(dir) // what is no folder names nothing
	}
	aim, err := os.ReadFile(filepath.Join(dir, scratchAim))
	if err == nil && filepath.IsAbs(string(aim)) && !removePart(string(aim)) {
		list, err := inFolder(dir, "")
		for _, path := range list {
			if filepath.Base(path) != scratchAim && filepath.Base(path) != scratchLock+".lock" {
				err = errors.Join(err, os.RemoveAll(path))
			}
		}
		return err
	}
	return os.RemoveAll(dir)
}

// removePart removes a file that was not whole when its process was killed, and
// says whether there is nothing left to do. What stands under its name and is no
// file is not it.
func removePart(path string) (gone bool) {
	fi, err := os.Lstat(path)
	switch {
	case !strings.HasSuffix(path, partSuffix):
		return true
	case err == nil && fi.Mode().IsRegular():
		return os.Remove(path) == nil
	case errors.Is(err, fs.ErrNotExist):
		_, err := os.Stat(filepath.Dir(path))
		return err == nil
	}
	return err == nil
}

// longestWrite is after how long a file that is not whole is no longer being
// written, where other processes may write in the same folder.
const longestWrite = time.Hour

// sweep removes what a backup of a realm, a file brought to its screens, or one of
// its own that was being written left when the process was killed: secrets of links that are erased must not go
// on lying there. alone says that nobody else has the realm open, as of the one
// process that opens its file for writing; on PostgreSQL others may be just
// writing, and what they use or have begun lately stays. What is of other realms
// is not touched.
func sweep(dir string, r noroshi.Realm, alone bool) error {
	begun := []string{durable.Unfinished + r.File() + "."}
	if r == noroshi.Real { // with it goes what is of no realm: it was written as the node was made
		begun = append(begun, durable.Unfinished+configName+".", durable.Unfinished+identityName+".", durable.Unfinished+"seal.key.")
	}
	var errs []error
	for _, prefix := range begun {
		for _, folder := range []string{dir, filepath.Join(dir, "secret")} {
			left, err := inFolder(folder, prefix)
			errs = append(errs, err)
			for _, path := range left {
				if fi, err := os.Lstat(path); err == nil && (alone || time.Since(fi.ModTime()) > longestWrite) {
					errs = append(errs, os.RemoveAll(path))
				}
			}
		}
	}
	for _, name := range []string{snapshotName, uploadName} {
		prefix := name + r.File() + "."
		if !alone {
			errs = append(errs, sweepScratch(dir, prefix))
			continue
		}
		left, err := inFolder(dir, prefix)
		errs = append(errs, err)
		for _, path := range left {
			errs = append(errs, removeScratch(path))
		}
	}
	return errors.Join(errs...)
}
