// Package backup is the file a realm of a node is backed up in: everything of it
// in one sealed file, with a manifest that names each part by its hash. It knows
// nothing of nodes: it is given parts and gives them back, whole and unchanged,
// or not at all.
//
// A file is
//
//	"noroshi backup 1 passphrase\n", or "noroshi backup 1 key\n"
//	salt (16)
//	pieces: AES-256-GCM with a random nonce over 64 KiB, the last one less
//
// The key of a file is derived from the secret and the salt: of a passphrase by
// argon2id (RFC 9106: 3 passes, 64 MiB, 1 lane), of a key of 32 bytes by HKDF
// with SHA-256 (RFC 5869). The additional data of a piece is header and salt, its
// number, and whether it is the last: pieces cannot be moved, left out, doubled
// or cut off at the end.
//
// What is sealed is a tar archive (POSIX.1-2001) of the parts, the manifest last.
package backup

import (
	"archive/tar"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"regexp"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/noroshi-cti/noroshi"
)

// Bounds of what is read.
const (
	maxManifest = 1 << 20
	maxParts    = 64
)

// ManifestName is the name of the last entry.
const ManifestName = "manifest.json"

// Manifest says what is in a backup.
type Manifest struct {
	Format   int              `json:"format"` // 1
	Node     noroshi.NodeID   `json:"node"`
	CallSign noroshi.CallSign `json:"call_sign"`
	Realm    noroshi.Realm    `json:"realm"`
	Made     time.Time        `json:"made"`
	Version  string           `json:"version,omitempty"` // of the program that made it
	Acts     uint64           `json:"acts"`              // in the ledger of the database in it
	Parts    []Part           `json:"parts"`
}

// Part is one file in a backup.
type Part struct {
	Name   string       `json:"name"`
	Size   int64        `json:"size"`
	SHA256 noroshi.Hash `json:"sha256"`
}

// Sealing is how a file is sealed: by what kind of secret, and the key derived
// from it for this file alone.
type Sealing struct {
	How  How    `json:"how"`
	Salt []byte `json:"salt"` // 16 bytes
	Key  []byte `json:"key"`  // 32 bytes; never on disk
}

// How is the kind of secret that opens a file.
type How string

// The kinds.
const (
	Passphrase How = "passphrase"
	Key        How = "key" // 32 bytes
)

// Kind tells which kind a secret is: 32 bytes are a key, as in seal_key_file.
func Kind(secret []byte) How {
	if len(secret) == 32 {
		return Key
	}
	return Passphrase
}

// Seal derives a new sealing from a secret.
func Seal(how How, secret []byte) (Sealing, error) {
	salt := make([]byte, 16)
	rand.Read(salt)
	return derive(how, secret, salt)
}

func derive(how How, secret, salt []byte) (Sealing, error) {
	s := Sealing{How: how, Salt: salt}
	var err error
	switch {
	case len(secret) == 0:
		return s, noroshi.Errorf(noroshi.Invalid, "backup.secret", "a backup is sealed by a passphrase or a key of 32 bytes")
	case how == Passphrase:
		s.Key = argon2.IDKey(secret, salt, 3, 64<<10, 1, 32)
	case how == Key && len(secret) == 32:
		s.Key, err = hkdf.Key(sha256.New, secret, salt, "noroshi backup", 32)
	default:
		err = noroshi.Errorf(noroshi.Invalid, "backup.secret", "a backup is sealed by a passphrase or a key of 32 bytes")
	}
	return s, err
}

func (s Sealing) header() []byte {
	return append([]byte("noroshi backup 1 "+string(s.How)+"\n"), s.Salt...)
}

func (s Sealing) aead() (cipher.AEAD, error) {
	if s.How != Passphrase && s.How != Key || len(s.Salt) != 16 || len(s.Key) != 32 {
		return nil, noroshi.Errorf(noroshi.Invalid, "backup.secret", "a backup is sealed by a passphrase or a key of 32 bytes")
	}
	block, err := aes.NewCipher(s.Key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Writer writes a backup. It is used by one goroutine.
type Writer struct {
	m   Manifest
	tar *tar.Writer
	out *sealer
	all hash.Hash
}

// Create begins a backup on w. The manifest's parts are filled in by Add.
func Create(w io.Writer, s Sealing, m Manifest) (*Writer, error) {
	all := sha256.New()
	out, err := newSealer(io.MultiWriter(w, all), s)
	if err != nil {
		return nil, err
	}
	m.Format, m.Parts = 1, nil
	return &Writer{m: m, out: out, tar: tar.NewWriter(out), all: all}, nil
}

// Add puts size bytes of r in as a part.
func (w *Writer) Add(name string, size int64, r io.Reader) error {
	if !partName.MatchString(name) || len(w.m.Parts) == maxParts {
		return noroshi.Errorf(noroshi.Invalid, "backup.part", "%q is no name of a part", name)
	}
	sum := sha256.New()
	if err := w.entry(name, size, io.TeeReader(r, sum)); err != nil {
		return err
	}
	w.m.Parts = append(w.m.Parts, Part{Name: name, Size: size, SHA256: noroshi.Hash(sum.Sum(nil))})
	return nil
}

func (w *Writer) entry(name string, size int64, r io.Reader) error {
	if err := w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600}); err != nil {
		return err
	}
	if n, err := io.Copy(w.tar, io.LimitReader(r, size)); err != nil || n < size {
		return fmt.Errorf("%s ended after %d of %d bytes: %w", name, n, size, err)
	}
	return nil
}

// Close ends the backup with its manifest and returns that, and the SHA-256 of
// the whole file. It does not close what it writes to.
func (w *Writer) Close() (m Manifest, sum noroshi.Hash, err error) {
	b, err := json.MarshalIndent(w.m, "", "  ")
	if err == nil {
		err = w.entry(ManifestName, int64(len(b)), bytes.NewReader(b))
	}
	if err == nil {
		err = w.tar.Close()
	}
	if err == nil {
		err = w.out.Close()
	}
	return w.m, noroshi.Hash(w.all.Sum(nil)), err
}

// partName bounds what a part may be called: names alone, never a path.
var partName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,127}$`)
