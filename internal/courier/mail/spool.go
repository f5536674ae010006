package mail

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/durable"
)

// The folders of a spool. A mail system fetches *.eml from out/ and removes them;
// it lays letters into in/, as files of any name or as a Maildir. What was read is
// moved: a file is read again only when the process ended before it was moved, and
// what is in it then comes twice, which the stream passes over.
const (
	outFolder   = "out"
	inFolder    = "in"
	doneFolder  = "done"
	waitFolder  = "quarantine" // nothing in it is for this node, or it cannot be read
	suffix      = ".eml"
	unfinished  = ".part"
	maxOut      = 1000      // letters nobody has fetched; beyond it Send is asked to come later
	maxOutBytes = 512 << 20 // and their bytes
	notFetched  = time.Hour // after which whoever should fetch them does not work
	maxLook     = 500       // files looked at in a round, of one folder
	maxArchived = 1000      // files in done and in quarantine, each
	maxArchive  = 256 << 20 // and their bytes
	youngest    = time.Minute
)

// spool is the folder. Its paths have slashes, below root.
type spool struct {
	root *os.Root
	mu   sync.Mutex // held while out is written to
}

// openSpool opens the folder and makes what is missing in it.
func openSpool(dir string) (*spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, spoolErr(dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, spoolErr(dir, err)
	}
	for _, d := range []string{outFolder, inFolder, doneFolder, waitFolder} {
		if err := root.Mkdir(d, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, errors.Join(spoolErr(path.Join(dir, d), err), root.Close())
		}
	}
	return &spool{root: root}, nil
}

// sweep removes letters that were being written when a process ended: whoever sent
// them was told nothing.
func (s *spool) sweep() error {
	left, err := fs.Glob(s.root.FS(), path.Join(outFolder, ".*"+suffix+unfinished))
	for _, name := range left {
		err = errors.Join(err, s.root.Remove(name))
	}
	return err
}

func spoolErr(name string, err error) error {
	return noroshi.Errorf(noroshi.Queued, "mail.spool", "the mail folder %s: %w", name, err)
}

func (s *spool) close() error { return s.root.Close() }

// layDown puts letters into out/. They are there durably when it returns.
func (m *Mail) layDown(node noroshi.NodeID, to string, envelope []byte) error {
	parts, err := m.pack(node, envelope, m.o.MaxLetter)
	if err != nil {
		return err
	}
	m.spool.mu.Lock()
	defer m.spool.mu.Unlock()
	if err := m.spool.room(m.o.Now(), len(parts)); err != nil {
		return err
	}
	for _, part := range parts {
		letter, err := compose(m.o.From, to, m.o.Now(), part)
		if err != nil {
			return err
		}
		if err := m.spool.write(letter); err != nil {
			return spoolErr(path.Join(m.o.Spool, outFolder), err)
		}
		m.counts.sent.Add(1)
	}
	return nil
}

// room says whether more letters may lie in out/.
func (s *spool) room(now time.Time, more int) error {
	list, err := s.list(outFolder, maxOut+1, nil)
	if err != nil {
		return spoolErr(path.Join(s.root.Name(), outFolder), err)
	}
	bytes, oldest := int64(0), now
	for _, f := range list {
		bytes += f.size
		if f.time.Before(oldest) {
			oldest = f.time
		}
	}
	if now.Sub(oldest) > notFetched {
		return noroshi.Errorf(noroshi.Queued, "mail.not-fetched", "letters in %s have waited since %s: nothing fetches them", path.Join(s.root.Name(), outFolder), oldest.UTC().Format(time.RFC3339))
	}
	if len(list)+more > maxOut && len(list) > 0 || bytes > maxOutBytes {
		return noroshi.Errorf(noroshi.Busy, "mail.spool-full", "%d letters wait in %s", len(list), path.Join(s.root.Name(), outFolder))
	}
	return nil
}

// write makes a letter appear in out/ whole.
func (s *spool) write(letter []byte) error {
	var b [12]byte
	rand.Read(b[:])
	name := path.Join(outFolder, hex.EncodeToString(b[:])+suffix)
	tmp := path.Join(outFolder, "."+path.Base(name)+unfinished)
	if err := durable.WriteIn(s.root, "letter", tmp, name, letter); err != nil {
		return err
	}
	return s.settle(outFolder)
}

// settle makes what happened in a folder durable.
func (s *spool) settle(folder string) error { return durable.SettleIn(s.root, "letter", folder) }

// file is a letter in a folder.
type file struct {
	name string
	size int64
	time time.Time
}

// list returns at most n whole files of a folder, the oldest first of those it
// saw, without those passed over. What is hidden or has a name of unfinished ones
// is not there yet.
func (s *spool) list(folder string, n int, passed map[string][]setID) (list []file, err error) {
	d, err := s.root.Open(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.Close()
	for len(list) < n {
		entries, err := d.ReadDir(100)
		for _, e := range entries {
			name := e.Name()
			if !e.Type().IsRegular() || strings.HasPrefix(name, ".") || strings.HasSuffix(name, unfinished) || strings.HasSuffix(name, ".tmp") || len(list) == n {
				continue
			}
			if passed[path.Join(folder, name)] != nil {
				continue
			}
			if fi, err := e.Info(); err == nil {
				list = append(list, file{path.Join(folder, name), fi.Size(), fi.ModTime()})
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b file) int {
		if c := a.time.Compare(b.time); c != 0 {
			return c
		}
		return strings.Compare(a.name, b.name)
	})
	return list, nil
}

// collect reads what comes into the spool until ctx ends. What goes wrong with a
// folder or a file is tried again in the next round: the disk may be full just now.
func (m *Mail) collect(ctx context.Context) error {
	tick := time.NewTicker(m.o.Poll)
	defer tick.Stop()
	for {
		for _, folder := range []string{inFolder, path.Join(inFolder, "new"), path.Join(inFolder, "cur")} {
			m.round(ctx, folder)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (m *Mail) round(ctx context.Context, folder string) {
	list, err := m.spool.list(folder, maxLook, m.held)
	if err != nil {
		return
	}
	moved := m.settle(folder)
	for _, f := range list {
		if ctx.Err() != nil {
			return
		}
		moved = m.pick(ctx, f) || moved
	}
	if moved {
		_ = m.spool.settle(folder)
		m.counts.cleared.Add(m.spool.prune(doneFolder) + m.spool.prune(waitFolder))
	}
}

// settle moves the letters whose parts are needed no more: those of envelopes that
// were whole, and those of what was given up.
func (m *Mail) settle(folder string) (moved bool) {
	for name, waits := range m.held {
		if path.Dir(name) != folder {
			continue
		}
		worst := ended
		for _, set := range waits {
			if is := m.shelf.standing(set, m.o.Now()); is == open || is == gone && worst == ended {
				worst = is
			}
		}
		to := doneFolder
		switch worst {
		case open:
			continue
		case gone:
			to = waitFolder
		}
		moved = m.spool.move(name, to) == nil || moved
		delete(m.held, name) // one that cannot be moved is read again
	}
	return moved
}

// pick reads a file and moves it. One that is not whole, or in which nothing was
// found, is left while it is young: it may still be being written. One with parts
// of what is not whole yet stays as long.
func (m *Mail) pick(ctx context.Context, f file) (moved bool) {
	r, err := m.spool.open(f.name)
	if err != nil {
		return false
	}
	became, waits := m.receive(ctx, r)
	r.Close()
	if len(waits) > 0 && became == taken {
		m.held[f.name] = waits
		return false
	}
	to := waitFolder
	switch age := m.o.Now().Sub(f.time); {
	case became == later:
		return false
	case became == taken:
		to = doneFolder
	case age >= 0 && age < youngest:
		return false
	}
	if m.spool.move(f.name, to) != nil {
		return false
	}
	if to == waitFolder {
		m.counts.dropped.Add(1)
	}
	return true
}

// open opens a file that is one: no pipe somebody put there, no way out of the
// folder.
func (s *spool) open(name string) (*os.File, error) {
	before, err := s.root.Lstat(name)
	if err != nil || !before.Mode().IsRegular() {
		return nil, errors.Join(err, fs.ErrInvalid)
	}
	f, err := s.root.Open(name)
	if err != nil {
		return nil, err
	}
	if fi, err := f.Stat(); err != nil || !os.SameFile(fi, before) {
		return nil, errors.Join(err, fs.ErrInvalid, f.Close())
	}
	return f, nil
}

// move moves a file into a folder, under another name where its own is taken.
func (s *spool) move(name, folder string) error {
	to := path.Join(folder, path.Base(filepath.ToSlash(name)))
	for i := 1; ; i++ {
		if _, err := s.root.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil || i > maxArchived {
			return errors.Join(err, fs.ErrExist)
		}
		to = path.Join(folder, fmt.Sprintf("%s.%d", path.Base(name), i))
	}
	return s.root.Rename(name, to)
}

// prune removes the oldest of a folder beyond its bounds, and returns how many.
func (s *spool) prune(folder string) (n int64) {
	list, err := s.list(folder, 4*maxArchived, nil)
	if err != nil {
		return 0
	}
	bytes := int64(0)
	for _, f := range list {
		bytes += f.size
	}
	for left := len(list); left > maxArchived || bytes > maxArchive; left-- {
		f := list[len(list)-left]
		if s.root.Remove(f.name) == nil {
			n++
		}
		bytes -= f.size
	}
	return n
}
