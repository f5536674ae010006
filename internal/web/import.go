package web

import (
	"bytes"
	"context"
	"encoding/json"
	"io"

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

// brought returns what is to be imported: the body as it comes, or what a person
// signed for, whole and checked.
func (c *Call) brought(ctx context.Context, in ImportRef) (io.Reader, noroshi.Signed, error) {
	if in.By == nil {
		return c.Body, noroshi.Signed{}, nil
	}
	file, err := io.ReadAll(io.LimitReader(c.Body, MaxSignedImport+1))
	if err != nil {
		return nil, noroshi.Signed{}, err
	}
	if len(file) > MaxSignedImport {
		return nil, noroshi.Signed{}, noroshi.Errorf(noroshi.Invalid, "import.signed-size", "a file that a person signs for may have at most %d MiB", MaxSignedImport>>20)
	}
	p, err := c.person(ctx, in.By.Person)
	if err != nil {
		return nil, noroshi.Signed{}, err
	}
	digest := noroshi.ActDigest(c.Realm, c.Node, noroshi.ActImport, in.Name, ImportBound(in, noroshi.Sum(file)))
	return bytes.NewReader(file), *in.By, p.Check(*in.By, noroshi.ActImport, digest)
}
