package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// Checkpoint is the head of a tree: whose, how many leaves, their root.
type Checkpoint struct {
	Origin string // "noroshi/REALM/NODE" of the node's tree, and "/link/PARTNER" after it of a link's
	Size   uint64
	Root   Hash
}

// Text returns the checkpoint as it is signed: three lines (the checkpoint
// body of C2SP tlog-checkpoint: origin, size, root in base64).
func (c Checkpoint) Text() []byte {
	return fmt.Appendf(nil, "%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]))
}

// keyID is the key hash of C2SP signed-note for Ed25519: the first four bytes
// of SHA-256(name, newline, 0x01, key).
func keyID(origin string, key []byte) []byte {
	h := sha256.Sum256(append(append([]byte(origin), '\n', 1), key...))
	return h[:4]
}

// Sign returns the signed note of a checkpoint (C2SP signed-note): the text,
// an empty line, and one signature line. A nil sign leaves it unsigned.
func (c Checkpoint) Sign(key []byte, sign func(text []byte) []byte) []byte {
	text := c.Text()
	if sign == nil {
		return text
	}
	sig := append(keyID(c.Origin, key), sign(text)...)
	return fmt.Appendf(text, "\n— %s %s\n", c.Origin, base64.StdEncoding.EncodeToString(sig))
}

// Open reads a signed note back. With a key the signature must be there and
// be good; with none only the text is read and there must be no signature.
func Open(note, key []byte) (Checkpoint, error) {
	text, rest, signed := bytes.Cut(note, []byte("\n\n"))
	if signed {
		text = note[:len(text)+1]
	} else {
		text = note
	}
	c, err := parseText(string(text))
	if err != nil {
		return c, err
	}
	if signed != (key != nil) {
		return c, fmt.Errorf("checkpoint of size %d: signed is %t, expected %t", c.Size, signed, key != nil)
	}
	if !signed {
		return c, nil
	}
	if !bytes.Equal(note, c.Sign(key, func([]byte) []byte { return signature(rest) })) {
		return c, fmt.Errorf("checkpoint of size %d: signature line is not this key's", c.Size)
	}
	if !ed25519.Verify(key, text, signature(rest)) {
		return c, fmt.Errorf("checkpoint of size %d: signature does not verify", c.Size)
	}
	return c, nil
}

// Peek reads the head in a note without checking who signed it.
func Peek(note []byte) (Checkpoint, error) {
	text, _, signed := bytes.Cut(note, []byte("\n\n"))
	if signed {
		text = note[:len(text)+1]
	}
	return parseText(string(text))
}

// signature takes the 64 bytes out of a signature line, or none.
func signature(line []byte) []byte {
	f := strings.Split(strings.TrimSuffix(string(line), "\n"), " ")
	if len(f) != 3 {
		return nil
	}
	b, err := base64.StdEncoding.Strict().DecodeString(f[2])
	if err != nil || len(b) != 4+ed25519.SignatureSize {
		return nil
	}
	return b[4:]
}

func parseText(s string) (Checkpoint, error) {
	l := strings.Split(s, "\n")
	if len(l) != 4 || l[3] != "" {
		return Checkpoint{}, fmt.Errorf("checkpoint must have three lines")
	}
	n, err := strconv.ParseUint(l[1], 10, 63)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint size: %w", err)
	}
	root, err := base64.StdEncoding.Strict().DecodeString(l[2])
	if err != nil || len(root) != 32 {
		return Checkpoint{}, fmt.Errorf("checkpoint root must be 32 bytes in base64")
	}
	c := Checkpoint{Origin: l[0], Size: n, Root: Hash(root)}
	if string(c.Text()) != s {
		return c, fmt.Errorf("checkpoint is not in its one form")
	}
	return c, nil
}
