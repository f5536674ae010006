// Package durable brings what lies beside the database to the disk: a crash or
// a cut of power leaves the old file or the new one, and what was confirmed.
//
// It is also where crashes are played. Point stands at every step of a write,
// here and at the store's door. In the program as it is built for use it is an
// empty function: the program has no switch by which somebody could make it die.
// A program built with the tag crashpoints counts the points, and at those its
// plan names it kills itself or is told that the disk failed (docs/crashes.md).
package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/noroshi-cti/noroshi"
)

// Unfinished begins the names of files that are being written; the name each is
// to have follows, and a full stop. A process that is killed leaves its own.
const Unfinished = ".new-"

// Write puts a file in the place of the one that may be there: written beside it
// as a file of this user alone, brought to the disk, moved in place. what names
// the kind of file, for points. An error leaves what was there.
func Write(what, path string, b []byte) error { return explain(path, write(what, path, b)) }

// explain says which file a failure of the disk is about.
func explain(path string, err error) error {
	if err == nil {
		return nil
	}
	var known *noroshi.Error
	if errors.As(err, &known) && known.Code == "disk.write" {
		err = known.Unwrap() // what is being made is named by its place
	}
	return noroshi.Errorf(noroshi.Other, "disk.write", "%s cannot be written: %w", path, err)
}

func write(what, path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), Unfinished+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	if err := Finish(what, f, b); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := Point(what, "written"); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return settlePath(what, filepath.Dir(path))
}

// Finish writes the rest of a file, brings it to the disk and closes it. With an
// error it is closed too.
func Finish(what string, f *os.File, b []byte) error {
	err := Point(what, "write")
	if err == nil {
		_, err = f.Write(b)
	}
	if err == nil {
		err = Sync(what, f)
	}
	return explain(f.Name(), errors.Join(err, f.Close()))
}

// Sync brings a file to the disk.
func Sync(what string, f *os.File) error {
	if err := Point(what, "sync"); err != nil {
		return explain(f.Name(), err)
	}
	return explain(f.Name(), f.Sync())
}

// Move gives a file that is on the disk its place, and brings that to the disk.
func Move(what, from, to string) error {
	if err := Point(what, "move"); err != nil {
		return explain(to, err)
	}
	if err := os.Rename(from, to); err != nil {
		return explain(to, err)
	}
	return explain(to, settlePath(what, filepath.Dir(to)))
}

// MoveNew is Move to a name that nobody has: one that somebody took meanwhile is
// fs.ErrExist, and nothing is written over. A stick may know no links: there the
// name is taken first, by an empty file that an error takes away again and a kill
// may leave.
func MoveNew(what, from, to string) error {
	if err := Point(what, "move"); err != nil {
		return explain(to, err)
	}
	err := os.Link(from, to)
	if err == nil {
		err = os.Remove(from)
	} else if linkless(err) {
		err = moveOnto(from, to)
	}
	if err != nil {
		return explain(to, err)
	}
	return explain(to, settlePath(what, filepath.Dir(to)))
}

// linkless says whether a link failed because the file system has none. That is
// EPERM on Linux and ERROR_INVALID_FUNCTION on Windows, both of them 1.
func linkless(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.Errno(1))
}

// moveOnto moves a file onto an empty one that it makes first.
func moveOnto(from, to string) error {
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Close(), os.Rename(from, to)); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

// Remove removes a file that may be gone already, and brings that to the disk.
func Remove(what, path string) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := Point(what, "remove"); err != nil {
		return explain(path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return explain(path, err)
	}
	return explain(path, settlePath(what, filepath.Dir(path)))
}

// settlePath brings to the disk what a folder has, after a change of what.
func settlePath(what, folder string) error {
	return settle(what, func() (*os.File, error) { return os.Open(folder) })
}

func settle(what string, open func() (*os.File, error)) error {
	if err := Point(what, "moved"); err != nil {
		return err
	}
	err := syncOpened(open())
	// There are systems on which a folder cannot be synced, and sticks.
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EINVAL) {
		return nil
	}
	return err
}

// SyncPath brings a file or folder to the disk.
func SyncPath(path string) error { return syncOpened(os.Open(path)) }

func syncOpened(f *os.File, err error) error {
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Append adds a line to a file, after ending one that a crash cut short, brings
// it to the disk and returns where the file ends then.
func Append(what, path string, line []byte) (end int64, err error) {
	end, err = appendTo(what, path, line)
	return end, explain(path, err)
}

func appendTo(what, path string, line []byte) (end int64, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if end, err = f.Seek(0, io.SeekEnd); err != nil {
		return 0, err
	}
	last := []byte{'\n'}
	if end > 0 {
		if _, err := f.ReadAt(last, end-1); err != nil {
			return 0, err
		}
	}
	text := append(append([]byte{}, line...), '\n')
	if last[0] != '\n' {
		text = append([]byte{'\n'}, text...)
	}
	if err := Point(what, "write"); err != nil {
		return 0, err
	}
	if _, err := f.WriteAt(text, end); err != nil {
		return 0, err
	}
	if err := Sync(what, f); err != nil {
		return 0, err
	}
	if end == 0 {
		if err := settlePath(what, filepath.Dir(path)); err != nil {
			return 0, err
		}
	}
	return end + int64(len(text)), nil
}
