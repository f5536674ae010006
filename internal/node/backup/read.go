package backup

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"hash"
	"io"

	"github.com/noroshi-cti/noroshi"
)

// Reader reads a backup. Nothing it gave may be believed before Close returned
// without an error: only then is it known to be whole.
type Reader struct {
	in   *opener
	tar  *tar.Reader
	seen []Part
	at   *part
	raw  io.Reader
	all  hash.Hash
	m    *Manifest
}

// part is what is being read.
type part struct {
	Part
	sum hash.Hash
}

// Open begins to read a backup. secret is asked for once the file says what
// kind opens it.
func Open(r io.Reader, secret func(How) ([]byte, error)) (*Reader, error) {
	all := sha256.New()
	b := bufio.NewReaderSize(io.TeeReader(r, all), piece+overhead)
	how, salt, err := readHeader(b)
	if err != nil {
		return nil, err
	}
	given, err := secret(how)
	if err != nil {
		return nil, err
	}
	s, err := derive(how, given, salt)
	if err != nil {
		return nil, err
	}
	gcm, err := s.aead()
	if err != nil {
		return nil, err
	}
	in := &opener{r: b, gcm: gcm, header: s.header()}
	return &Reader{in: in, tar: tar.NewReader(in), raw: b, all: all}, nil
}

// Next goes to the next part and returns its name and size; io.EOF after the
// last one.
func (r *Reader) Next() (name string, size int64, err error) {
	if err := r.finish(); err != nil {
		return "", 0, err
	}
	h, err := r.tar.Next()
	if errors.Is(err, io.EOF) {
		return "", 0, malformed("has no manifest")
	}
	if err != nil {
		return "", 0, broken(err)
	}
	if h.Name == ManifestName {
		return "", 0, r.manifest(h.Size)
	}
	if h.Typeflag != tar.TypeReg || !partName.MatchString(h.Name) || len(r.seen) == maxParts {
		return "", 0, malformed("has a part that is none")
	}
	r.at = &part{Part: Part{Name: h.Name, Size: h.Size}, sum: sha256.New()}
	return h.Name, h.Size, nil
}

// Read reads the present part.
func (r *Reader) Read(p []byte) (int, error) {
	if r.at == nil {
		return 0, io.EOF
	}
	n, err := r.tar.Read(p)
	r.at.sum.Write(p[:n])
	if err != nil && !errors.Is(err, io.EOF) {
		err = broken(err)
	}
	return n, err
}

// finish reads what is left of a part, so that its hash is known.
func (r *Reader) finish() error {
	if r.at == nil {
		return nil
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	r.at.SHA256 = noroshi.Hash(r.at.sum.Sum(nil))
	r.seen, r.at = append(r.seen, r.at.Part), nil
	return nil
}

// manifest reads the manifest and compares it with what came before; io.EOF when
// all is as it says.
func (r *Reader) manifest(size int64) error {
	if size > maxManifest {
		return malformed("has a manifest that is too long")
	}
	b, err := io.ReadAll(r.tar)
	if err != nil {
		return broken(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var m Manifest
	if err := d.Decode(&m); err != nil || m.Format != 1 || m.Realm.IsZero() {
		return malformed("has a manifest that cannot be read")
	}
	if len(m.Parts) != len(r.seen) {
		return malformed("does not have the parts its manifest names")
	}
	for i, p := range m.Parts {
		if p != r.seen[i] {
			return malformed("has a part that is not what its manifest says: " + p.Name)
		}
	}
	if _, err := r.tar.Next(); !errors.Is(err, io.EOF) {
		return malformed("goes on after its manifest")
	}
	if _, err := io.Copy(io.Discard, r.in); err != nil { // the last piece says that it is the last
		return err
	}
	r.m = &m
	return io.EOF
}

// Close returns the manifest and the SHA-256 of the whole file, once Next has
// returned io.EOF: every part was there, and is what the manifest says.
func (r *Reader) Close() (Manifest, noroshi.Hash, error) {
	if r.m == nil {
		return Manifest{}, noroshi.Hash{}, malformed("was not read to its end")
	}
	if _, err := io.Copy(io.Discard, r.raw); err != nil {
		return Manifest{}, noroshi.Hash{}, err
	}
	return *r.m, noroshi.Hash(r.all.Sum(nil)), nil
}

func malformed(what string) error {
	return noroshi.Errorf(noroshi.Broken, "backup.form", "the backup %s", what)
}

// broken keeps what the seal found and says of everything else that the archive
// is none.
func broken(err error) error {
	var e *noroshi.Error
	if errors.As(err, &e) {
		return err
	}
	return malformed("is no archive: " + err.Error())
}
