package node

import "os"

// ownFolder says whether a path is a folder, and no link to one. A temporary
// folder of Windows is the user's alone.
func ownFolder(path string) bool {
	fi, err := os.Lstat(path)
	return err == nil && fi.IsDir()
}
