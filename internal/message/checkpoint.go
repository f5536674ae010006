package message

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strconv"

	"github.com/noroshi-cti/noroshi"
)

// Bounds of CHECKPOINT and COSIGN.
const (
	maxProof     = 128 // hashes of a consistency proof between any two trees (RFC 9162 §2.1.4)
	maxCosigners = 8   // signature lines of a note
	maxNoteName  = 255 // bytes of an origin or of a signer's name
	maxNoteSign  = 128 // bytes of a signature with its key hash
)

// CheckpointBody is a CHECKPOINT: the head of the sender's ledger of this link,
// with the proof that it only grew since the size the partner last cosigned.
type CheckpointBody struct {
	// Note is a C2SP signed note over a C2SP checkpoint: origin, size, root and
	// one to eight signature lines. Decoding holds its form; that origin and
	// signatures are the partner's is for whoever reads the ledger.
	Note       []byte
	From       uint64         // size the proof begins at; 0 = none, and no proof
	Proof      []noroshi.Hash // consistency proof from From to the note's size
	Commitment noroshi.Hash   // SHA-256(salt ‖ root of the node's whole ledger)
}

// CosignBody is a COSIGN: the receiver of a CHECKPOINT signs the same text.
type CosignBody struct {
	Checkpoint noroshi.Hash // SHA-256 of the note's text: its three lines
	Size       uint64       // of the tree in it, so that it is found
	Signature  []byte       // one signature line of a note, its newline included
}

type wireCheckpoint struct {
	_          struct{} `cbor:",toarray"`
	Note       []byte
	From       uint64
	Proof      [][32]byte
	Commitment [32]byte
}

type wireCosign struct {
	_          struct{} `cbor:",toarray"`
	Checkpoint [32]byte
	Size       uint64
	Signature  []byte
}

// EncodeCheckpoint makes the body of a CHECKPOINT.
func EncodeCheckpoint(c CheckpointBody) []byte {
	w := wireCheckpoint{Note: c.Note, From: c.From, Commitment: c.Commitment}
	for _, h := range c.Proof {
		w.Proof = append(w.Proof, h)
	}
	return encode(w)
}

// DecodeCheckpoint reads the body of a CHECKPOINT; the note has the one form of
// C2SP, so that no free text rides in it but the names, which have no spaces.
func DecodeCheckpoint(b []byte) (c CheckpointBody, err error) {
	var w wireCheckpoint
	if err := decode("checkpoint", b, &w); err != nil {
		return c, err
	}
	if err := sized("checkpoint proof", len(w.Proof), 0, maxProof); err != nil {
		return c, err
	}
	text, err := noteText(w.Note)
	if err != nil {
		return c, err
	}
	size, ok := noteSize(text)
	switch {
	case !ok:
		return c, malformed("checkpoint", "note is not of origin, size and root")
	case w.From > size, (w.From == 0 || w.From == size) && len(w.Proof) > 0, w.From > 0 && w.From < size && len(w.Proof) == 0:
		return c, malformed("checkpoint", "proof does not go from an earlier size to the note's")
	}
	c = CheckpointBody{Note: w.Note, From: w.From, Commitment: w.Commitment}
	for _, h := range w.Proof {
		c.Proof = append(c.Proof, h)
	}
	return c, nil
}

// EncodeCosign makes the body of a COSIGN.
func EncodeCosign(c CosignBody) []byte {
	return encode(wireCosign{Checkpoint: c.Checkpoint, Size: c.Size, Signature: c.Signature})
}

// DecodeCosign reads the body of a COSIGN.
func DecodeCosign(b []byte) (CosignBody, error) {
	var w wireCosign
	if err := decode("cosign", b, &w); err != nil {
		return CosignBody{}, err
	}
	if !bytes.HasSuffix(w.Signature, []byte("\n")) || !signatureLine(bytes.TrimSuffix(w.Signature, []byte("\n"))) {
		return CosignBody{}, malformed("cosign", "signature is no line of a signed note")
	}
	return CosignBody{Checkpoint: w.Checkpoint, Size: w.Size, Signature: w.Signature}, nil
}

// noteText returns the text of a signed note, its last newline included, after
// holding the form of its signature lines (C2SP signed-note).
func noteText(note []byte) ([]byte, error) {
	text, rest, ok := bytes.Cut(note, []byte("\n\n"))
	lines := bytes.Split(bytes.TrimSuffix(rest, []byte("\n")), []byte("\n"))
	if !ok || !bytes.HasSuffix(rest, []byte("\n")) || len(lines) > maxCosigners {
		return nil, malformed("checkpoint", "note has no text, or not 1 to 8 signature lines")
	}
	for _, l := range lines {
		if !signatureLine(l) {
			return nil, malformed("checkpoint", "a signature line of the note is malformed")
		}
	}
	return note[:len(text)+1], nil
}

// noteSize reads the size out of a checkpoint's text (C2SP tlog-checkpoint):
// exactly the lines origin, size in decimal, root in base64.
func noteSize(text []byte) (uint64, bool) {
	l := bytes.Split(text, []byte("\n"))
	if len(l) != 4 || len(l[3]) > 0 || !noteName(l[0]) {
		return 0, false
	}
	size, err := strconv.ParseUint(string(l[1]), 10, 63)
	root, ok := base64Of(l[2])
	return size, err == nil && strconv.FormatUint(size, 10) == string(l[1]) && ok && len(root) == 32
}

func signatureLine(line []byte) bool {
	f := bytes.Split(line, []byte(" "))
	if len(f) != 3 || string(f[0]) != "—" || !noteName(f[1]) {
		return false
	}
	sig, ok := base64Of(f[2])
	return ok && len(sig) > 4 && len(sig) <= maxNoteSign
}

func noteName(b []byte) bool {
	return len(b) > 0 && len(b) <= maxNoteName && !slices.ContainsFunc(b, func(c byte) bool { return c <= ' ' || c > '~' || c == '+' })
}

// base64Of refuses a second spelling of the same bytes.
func base64Of(b []byte) ([]byte, bool) {
	out, err := base64.StdEncoding.Strict().DecodeString(string(b))
	return out, err == nil && base64.StdEncoding.EncodeToString(out) == string(b)
}
