package web

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"os"
	"path/filepath"

	"github.com/noroshi-cti/noroshi"
)

// MaxSignedImport bounds a file that a person signs for: it is read whole before
// anything of it is admitted.
const MaxSignedImport = 64 << 20

// ImportBound is what the signature of who imports a file is bound to: how it is
// read and marked, and its bytes. The person signs ActImport over its name.
func ImportBound(in ImportRef, file noroshi.Hash) noroshi.Hash {
	in.By, in.Size = nil, 0
	b, _ := json.Marshal(in) // strings only: cannot fail
	return noroshi.Sum(append(b, file[:]...))
}

// signedFor refuses what a person lets in without their signature, but from
// whoever has the data folder.
func signedFor(ctx context.Context, by *noroshi.Signed) error {
	if by == nil && callerOf(ctx) != "" {
		return noroshi.Errorf(noroshi.Forbidden, "import.unsigned", "a person signs for what they let in: by is missing")
	}
	return nil
}

// MaxImports bounds how many files that persons signed for are taken in at a time:
// each lies in the node's folder until it is admitted.
const MaxImports = 4

// brought returns what is to be imported: the body as it comes, or what a person
// signed for, whole and checked. done must be called when it was read.
func (c *Call) brought(ctx context.Context, in ImportRef) (body io.Reader, by noroshi.Signed, done func(), err error) {
	done = func() {}
	if err := signedFor(ctx, in.By); err != nil || in.By == nil {
		return c.Body, by, done, err
	}
	if _, err := c.person(ctx, in.By.Person); err != nil { // before anything is laid down
		return nil, by, done, err
	}
	var file io.ReadSeeker
	if at, laid := c.Body.(Laid); laid {
		file = at
	} else if file, done, err = c.lay(); err != nil {
		return nil, by, done, err
	}
	sum, err := wholeFile(file)
	if err == nil {
		err = c.signed(ctx, *in.By, noroshi.ActImport, in.Name, ImportBound(in, sum))
	}
	return file, *in.By, done, err
}

// Laid is a body that lies in the node's own folder already, where nobody changes
// it.
type Laid struct{ io.ReadSeeker }

// lay lays the body down in the node's folder, where it takes no memory.
func (c *Call) lay() (file *os.File, done func(), err error) {
	select {
	case c.Imports <- struct{}{}:
	default:
		return nil, func() {}, noroshi.Errorf(noroshi.Busy, "import.busy", "%d files are being taken in: try again in a moment", MaxImports)
	}
	leave := func() { <-c.Imports }
	dir, drop, err := c.Scratch()
	if err != nil {
		return nil, leave, err
	}
	file, err = os.OpenFile(filepath.Join(dir, "file"), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	done = func() {
		_ = file.Close() // of none: an error that says nothing
		drop()
		leave()
	}
	if err == nil {
		_, err = io.Copy(file, io.LimitReader(c.Body, MaxSignedImport+1))
	}
	return file, done, err
}

// wholeFile returns the hash of a file, which is then read from its start.
func wholeFile(file io.ReadSeeker) (sum noroshi.Hash, err error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return sum, err
	}
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(file, MaxSignedImport+1))
	if err == nil && n > MaxSignedImport {
		err = noroshi.Errorf(noroshi.Invalid, "import.signed-size", "a file that a person signs for may have at most %d MiB", MaxSignedImport>>20)
	}
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	h.Sum(sum[:0])
	return sum, err
}
