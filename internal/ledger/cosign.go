package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// cosignID is the key hash of C2SP tlog-cosignature: as keyID, with 0x04.
func cosignID(name string, key []byte) []byte {
	h := sha256.Sum256(append(append([]byte(name), '\n', 4), key...))
	return h[:4]
}

// cosigned is what a witness signs (C2SP tlog-cosignature): that at this time
// it had seen the tree grow to this head and to no other.
func cosigned(text []byte, at uint64) []byte {
	return append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", at), text...)
}

// Cosign returns the signature line by which a witness of a name countersigns a
// checkpoint at a time (whole seconds), its newline included.
func (c Checkpoint) Cosign(name string, key []byte, at time.Time, sign func(text []byte) []byte) []byte {
	seconds := uint64(max(at.Unix(), 0))
	sig := binary.BigEndian.AppendUint64(cosignID(name, key), seconds)
	sig = append(sig, sign(cosigned(c.Text(), seconds))...)
	return fmt.Appendf(nil, "— %s %s\n", name, base64.StdEncoding.EncodeToString(sig))
}

// OpenCosignature checks a line that Cosign made against a witness's name and
// key, and returns when it was signed.
func (c Checkpoint) OpenCosignature(line []byte, name string, key []byte) (time.Time, error) {
	bad := fmt.Errorf("cosignature of size %d: it is not that of %s", c.Size, name)
	f := strings.Split(strings.TrimSuffix(string(line), "\n"), " ")
	if len(f) != 3 || f[0] != "—" || f[1] != name || len(key) != ed25519.PublicKeySize {
		return time.Time{}, bad
	}
	sig, err := base64.StdEncoding.Strict().DecodeString(f[2])
	if err != nil || len(sig) != 4+8+ed25519.SignatureSize || !bytes.Equal(sig[:4], cosignID(name, key)) {
		return time.Time{}, bad
	}
	seconds := binary.BigEndian.Uint64(sig[4:12])
	if seconds > 1<<40 || !ed25519.Verify(key, cosigned(c.Text(), seconds), sig[12:]) {
		return time.Time{}, bad
	}
	return time.Unix(int64(seconds), 0).UTC(), nil
}

// OpenAny is Open with whichever of some keys the note is signed with, and
// returns that key. No keys, or none that fits, is an error.
func OpenAny(note []byte, keys [][]byte) (c Checkpoint, key []byte, err error) {
	err = fmt.Errorf("checkpoint: no key to check it with")
	for _, k := range keys {
		if c, err = Open(note, k); err == nil {
			return c, k, nil
		}
	}
	return c, nil, err
}
