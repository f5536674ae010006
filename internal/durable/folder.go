package durable

import (
	"errors"
	"io/fs"
	"os"
	"path"
)

// New makes a file of this user alone, whatever stood under its name: a link that
// somebody left there is taken away and not followed.
func New(path string) (*os.File, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, explain(path, err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	return f, explain(path, err)
}

// WriteIn is Write to a name in a folder that others use too, on a stick or of a
// mail system: nothing leads out of it, and the file is written as temp, a name
// that is the caller's to sweep. What stands under it is replaced. The file is on
// the disk then; its name is after SettleIn, which several files may share.
func WriteIn(folder *os.Root, what, temp, name string, b []byte) error {
	return explain(path.Join(folder.Name(), name), writeIn(folder, what, temp, name, b))
}

func writeIn(folder *os.Root, what, temp, name string, b []byte) error {
	if err := folder.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := folder.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err = Finish(what, f, b); err == nil {
		err = Point(what, "written")
	}
	if err == nil {
		err = folder.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, folder.Remove(temp))
	}
	return nil
}

// SettleIn brings to the disk what a folder of folder, or itself as ".", has.
func SettleIn(folder *os.Root, what, name string) error {
	return explain(path.Join(folder.Name(), name), settle(what, func() (*os.File, error) { return folder.Open(name) }))
}
