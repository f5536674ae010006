package console

import (
	"crypto/rand"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// Bounds of the files that lie between preview and import: each person has one,
// for half an hour.
const (
	maxUploads  = 8
	uploadLasts = 30 * time.Minute
)

// upload is a file that a person brought: looked at, and not let in before they
// sign for it.
type upload struct {
	Token  string
	Ref    web.ImportRef
	Size   int64
	Survey intake.Survey
	Report *intake.Report // of the import, once it is done

	person string
	hash   noroshi.Hash
	path   string
	at     time.Time
	busy   bool
	drop   func() // removes the file
}

// uploads are the files of all persons. They are in the node's folder, and with
// it gone when it stops.
type uploads struct {
	scratch func() (dir string, done func(), err error)

	mu sync.Mutex
	by map[string]*upload // by token
}

// keep takes a file in, in place of an earlier one of the person's.
func (u *uploads) keep(person string, r io.Reader, now time.Time) (*upload, error) {
	u.forget(now, func(x *upload) bool { return x.person == person })
	u.mu.Lock()
	full := len(u.by) >= maxUploads
	u.mu.Unlock()
	if full {
		return nil, noroshi.Errorf(noroshi.Busy, "console.uploads", "%d files wait for their import: try again in some minutes", maxUploads)
	}
	dir, done, err := u.scratch()
	if err != nil {
		return nil, err
	}
	x := &upload{Token: rand.Text(), person: person, path: filepath.Join(dir, "file"), at: now, drop: sync.OnceFunc(done)}
	if err := x.write(r); err != nil {
		done()
		return nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.by[x.Token] = x
	return x, nil
}

func (x *upload) write(r io.Reader) error {
	f, err := os.OpenFile(x.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if x.Size, err = io.Copy(io.MultiWriter(f, h), io.LimitReader(r, web.MaxSignedImport+1)); err != nil {
		return err
	}
	if x.Size > web.MaxSignedImport {
		return noroshi.Errorf(noroshi.Invalid, "import.signed-size", "a file that a person signs for may have at most %d MiB", web.MaxSignedImport>>20)
	}
	h.Sum(x.hash[:0])
	return f.Close()
}

// of returns a person's file, NotFound when it is not there any more, is
// another's or never was.
func (u *uploads) of(person, token string, now time.Time) (upload, error) {
	u.forget(now, nil)
	u.mu.Lock()
	defer u.mu.Unlock()
	x := u.by[token]
	if x == nil || x.person != person {
		return upload{}, noroshi.Errorf(noroshi.NotFound, "console.none", "no such file waits")
	}
	return *x, nil
}

// take begins the import of a file: one at a time. done is told how it ended.
func (u *uploads) take(person, token string, now time.Time) (x upload, done func(*intake.Report), err error) {
	if _, err = u.of(person, token, now); err != nil {
		return x, nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	at := u.by[token]
	if at == nil || at.busy || at.Report != nil {
		return x, nil, noroshi.Errorf(noroshi.Conflict, "console.imported", "this file is being imported, or was already")
	}
	at.busy = true
	return *at, func(r *intake.Report) {
		u.mu.Lock()
		defer u.mu.Unlock()
		at.busy = false
		if r != nil {
			at.Report = r
			at.drop()
		}
	}, nil
}

// forget drops what is too old, and what else is said.
func (u *uploads) forget(now time.Time, also func(*upload) bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for token, x := range u.by {
		if !x.busy && (now.Sub(x.at) > uploadLasts || also != nil && also(x)) {
			delete(u.by, token)
			x.drop()
		}
	}
}

// Close removes the files that wait for their import.
func (c *Console) Close() {
	c.uploads.forget(time.Time{}, func(*upload) bool { return true })
}
