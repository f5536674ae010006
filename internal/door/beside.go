package door

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// leftAfter is after how long a file that was to take another's place is one that
// a killed program left: no export takes as long to write.
const leftAfter = time.Hour

// Beside makes a file that is to take the place of another when it is whole, in
// the same folder, which nobody but its owner may read. What programs that were
// killed left there for the same place is removed.
func Beside(place string) (*os.File, error) {
	dir, ours := filepath.Dir(place), besideName(place)
	removeLeft(dir, ours)
	return os.CreateTemp(dir, ours+"*")
}

// besideName is how names of files begin that are to take a place.
func besideName(place string) string {
	sum := sha256.Sum256([]byte(filepath.Base(place)))
	return ".noroshi-" + hex.EncodeToString(sum[:6]) + "-"
}

// removeLeft removes the files of a folder that were left, as far as it can:
// the next one tries again. Another program may be writing one just now, so a
// young one stays.
func removeLeft(dir, ours string) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range list {
		if !e.Type().IsRegular() || !strings.HasPrefix(e.Name(), ours) {
			continue
		}
		if fi, err := e.Info(); err == nil && time.Since(fi.ModTime()) > leftAfter {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// unnamed makes a file that is gone when it is closed, or the program is killed.
func unnamed() (*os.File, error) {
	f, err := os.CreateTemp("", ".noroshi-*")
	if err == nil {
		_ = os.Remove(f.Name()) // a system on which open files keep their names has Close remove it
	}
	return f, err
}
