//go:build unix

package store

import (
	"fmt"
	"os"
	"syscall"

	"github.com/noroshi-cti/noroshi"
)

// lockFile takes the lock beside a database: one process opens it for writing.
// The lock ends with the process, however it ends.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock of %s: %w", path, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, noroshi.Errorf(noroshi.Busy, "store.locked", "another process has %s open for writing", path)
	}
	return f, nil
}
