//go:build unix

package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/noroshi-cti/noroshi"
)

// lockFile takes the lock beside a database, opened as how says: one process opens
// it for writing.
// The lock ends with the process, however it ends.
func lockFile(path string, how int) (io.Closer, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|how, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock of %s: %w", path, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, noroshi.Errorf(noroshi.Busy, "store.locked", "another process has %s open for writing", path)
	}
	return heldLock{f}, nil
}

// heldLock gives the lock up before the file is closed: a child of this process
// that has not become another program yet has the file open too.
type heldLock struct{ *os.File }

// Close gives the lock up.
func (l heldLock) Close() error {
	return errors.Join(syscall.Flock(int(l.Fd()), syscall.LOCK_UN), l.File.Close())
}
