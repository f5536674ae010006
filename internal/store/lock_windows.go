package store

import (
	"fmt"
	"io"
	"os"

	"github.com/noroshi-cti/noroshi"
	"golang.org/x/sys/windows"
)

// lockFile takes the lock beside a database, opened as how says: one process opens
// it for writing.
// The lock ends with the process, however it ends.
func lockFile(path string, how int) (io.Closer, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|how, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock of %s: %w", path, err)
	}
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	if err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped)); err != nil {
		f.Close()
		return nil, noroshi.Errorf(noroshi.Busy, "store.locked", "another process has %s open for writing", path)
	}
	return f, nil
}
