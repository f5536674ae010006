package backup

import (
	"bufio"
	"bytes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"io"
	"strings"

	"github.com/noroshi-cti/noroshi"
)

const (
	piece    = 64 << 10
	overhead = 12 + 16 // nonce and tag of a sealed piece
)

// sealer seals what is written to it piece by piece.
type sealer struct {
	w      io.Writer
	gcm    cipher.AEAD
	header []byte
	n      uint64
	buf    []byte
}

func newSealer(w io.Writer, s Sealing) (*sealer, error) {
	gcm, err := s.aead()
	if err != nil {
		return nil, err
	}
	x := &sealer{w: w, gcm: gcm, header: s.header(), buf: make([]byte, 0, piece)}
	_, err = w.Write(x.header)
	return x, err
}

func (x *sealer) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if len(x.buf) == piece { // more follows, so it is not the last
			if err := x.flush(false); err != nil {
				return n, err
			}
		}
		k := min(len(p), piece-len(x.buf))
		x.buf = append(x.buf, p[:k]...)
		n, p = n+k, p[k:]
	}
	return n, nil
}

// Close seals the last piece.
func (x *sealer) Close() error { return x.flush(true) }

func (x *sealer) flush(last bool) error {
	_, err := x.w.Write(x.gcm.Seal(nil, nil, x.buf, about(x.header, x.n, last)))
	x.buf, x.n = x.buf[:0], x.n+1
	return err
}

// about is the additional data of a piece.
func about(header []byte, n uint64, last bool) []byte {
	b := binary.BigEndian.AppendUint64(bytes.Clone(header), n)
	if last {
		return append(b, 1)
	}
	return append(b, 0)
}

// opener gives back what a sealer sealed.
type opener struct {
	r      *bufio.Reader
	gcm    cipher.AEAD
	header []byte
	n      uint64
	left   []byte
	done   bool
}

// errSeal is a piece that the secret does not open, or that was changed.
func errSeal() error {
	return noroshi.Errorf(noroshi.Broken, "backup.seal", "the backup is damaged, cut off, or sealed under another passphrase or key")
}

// readHeader reads how a file is sealed and its salt.
func readHeader(r *bufio.Reader) (how How, salt []byte, err error) {
	line, err := r.Peek(64)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", nil, err
	}
	text, _, ok := strings.Cut(string(line), "\n")
	how = How(strings.TrimPrefix(text, "noroshi backup 1 "))
	if !ok || how != Passphrase && how != Key || text == string(how) {
		return "", nil, noroshi.Errorf(noroshi.Invalid, "backup.no-backup", "this is no backup of a node, or of a later version of noroshi")
	}
	if _, err := r.Discard(len(text) + 1); err != nil {
		return "", nil, err
	}
	salt = make([]byte, 16)
	if _, err := io.ReadFull(r, salt); err != nil {
		return "", nil, errSeal()
	}
	return how, salt, nil
}

func (x *opener) Read(p []byte) (int, error) {
	for len(x.left) == 0 {
		if x.done {
			return 0, io.EOF
		}
		if err := x.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, x.left)
	x.left = x.left[n:]
	return n, nil
}

func (x *opener) next() error {
	sealed := make([]byte, piece+overhead)
	n, err := io.ReadFull(x.r, sealed)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		if errors.Is(err, io.EOF) {
			return errSeal() // no piece said it was the last
		}
		return err
	}
	_, peek := x.r.Peek(1)
	x.done = errors.Is(peek, io.EOF)
	if !x.done && peek != nil {
		return peek
	}
	x.left, err = x.gcm.Open(nil, nil, sealed[:n], about(x.header, x.n, x.done))
	if err != nil {
		return errSeal()
	}
	x.n++
	return nil
}
