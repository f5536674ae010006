package message

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/noroshi-cti/noroshi"
)

// HoldingsKind is the statement by which two sides compare what each has of one
// stream (docs/wire.md, HOLDINGS).
const HoldingsKind Kind = 23

// Holdings asks for, or gives, the roots of runs of one epoch: of the log of its
// sender, and of what its receiver holds of it. Whose epoch it is tells which.
type Holdings struct {
	Nonce  [8]byte // of the question; an answer repeats it
	Answer bool
	Epoch  Epoch
	Runs   []HeldRun // rising, apart
}

// HeldRun is a run and its root at whoever says it.
type HeldRun struct {
	Range Range
	Root  [16]byte
}

// maxHeldRuns bounds the runs of one HOLDINGS.
const maxHeldRuns = 256

type wireHoldings struct {
	_      struct{} `cbor:",toarray"`
	Nonce  [8]byte
	Answer uint8
	Epoch  [16]byte
	Runs   []wireHeld
}

type wireHeld struct {
	_    struct{} `cbor:",toarray"`
	A, B uint64
	Root [16]byte
}

// EncodeHoldings makes the body of a HOLDINGS.
func EncodeHoldings(h Holdings) []byte {
	w := wireHoldings{Nonce: h.Nonce, Epoch: h.Epoch}
	if h.Answer {
		w.Answer = 1
	}
	for _, r := range h.Runs {
		w.Runs = append(w.Runs, wireHeld{A: r.Range.A, B: r.Range.B, Root: r.Root})
	}
	return encode(w)
}

// DecodeHoldings reads the body of a HOLDINGS: 1 to 256 runs that rise and do not
// overlap.
func DecodeHoldings(b []byte) (Holdings, error) {
	var w wireHoldings
	if err := decode("holdings", b, &w); err != nil {
		return Holdings{}, err
	}
	if err := sized("holdings", len(w.Runs), 1, maxHeldRuns); err != nil {
		return Holdings{}, err
	}
	if w.Answer > 1 {
		return Holdings{}, malformed("holdings", "is neither a question nor an answer")
	}
	h := Holdings{Nonce: w.Nonce, Answer: w.Answer == 1, Epoch: w.Epoch}
	last := uint64(0)
	for _, r := range w.Runs {
		if r.A <= last || r.A > r.B {
			return Holdings{}, malformed("holdings", "runs must rise and lie apart")
		}
		last = r.B
		h.Runs = append(h.Runs, HeldRun{Range: Range{A: r.A, B: r.B}, Root: r.Root})
	}
	return h, nil
}

// HoldingsRoot is the root of a run: ids by sequence, zero where there is none.
func HoldingsRoot(e Epoch, r Range, id func(seq uint64) noroshi.Hash) (root [16]byte) {
	h := sha256.New()
	h.Write([]byte("NX/1 holdings"))
	h.Write(e[:])
	var n [16]byte
	binary.BigEndian.PutUint64(n[:8], r.A)
	binary.BigEndian.PutUint64(n[8:], r.B)
	h.Write(n[:])
	for seq := r.A; seq <= r.B; seq++ {
		x := id(seq)
		h.Write(x[:])
	}
	copy(root[:], h.Sum(nil))
	return root
}
