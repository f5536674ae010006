//go:build unix

package node

import (
	"os"
	"syscall"
)

// ownFolder says whether a path is a folder, and no link to one, of this user
// alone.
func ownFolder(path string) bool {
	fi, err := os.Lstat(path)
	if err != nil || !fi.IsDir() || fi.Mode().Perm() != 0o700 {
		return false
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Getuid()
}
