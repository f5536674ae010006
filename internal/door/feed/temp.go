package feed

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// deadAfter is after how long a run's folder in which nothing moved is one that a
// killed process left: no run takes as long.
const deadAfter = runTime + time.Hour

const tempPrefix = "noroshi-feed-"

// tempIn makes a folder for one run of a feed, that nobody else may look into. In
// a folder of the node's own, what a former run of the feed left is removed: the
// caller is the only one in the node who reads it.
func tempIn(dir, feed string) (string, error) {
	sum := sha256.Sum256([]byte(feed))
	prefix := tempPrefix + hex.EncodeToString(sum[:6]) + "-"
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", err
		}
		if err := removeIn(dir, func(e fs.DirEntry) bool { return strings.HasPrefix(e.Name(), prefix) }); err != nil {
			return "", err
		}
	}
	return os.MkdirTemp(dir, prefix)
}

// removeDead removes what runs left that were killed, of feeds that are there no
// more too. Another process may be reading one just now, so a young one stays.
func (rd *Reader) removeDead() error {
	if rd.o.Rules.Temp == "" {
		return nil
	}
	return removeIn(rd.o.Rules.Temp, func(e fs.DirEntry) bool {
		fi, err := e.Info()
		return err == nil && strings.HasPrefix(e.Name(), tempPrefix) && time.Since(fi.ModTime()) > deadAfter
	})
}

func removeIn(dir string, which func(fs.DirEntry) bool) error {
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range list {
		if which(e) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}
