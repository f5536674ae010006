package line

import (
	"encoding/binary"

	"github.com/noroshi-cti/noroshi"
)

// Sizes of a fragment: set(4) index(2) count(2) bytes mac(8).
const (
	fragmentHead = 8
	macLen       = 8
	pieceMax     = payloadMax - fragmentHead - macLen
	maxCount     = 4096
	// Largest is the largest envelope a line takes, cut into the largest pieces.
	Largest = maxCount * pieceMax
)

// parityBit in the index says that the bytes are parity: the rest of the index
// is block x blockLen + row.
const parityBit = 0x8000

// Piece is a fragment taken apart.
type Piece struct {
	Set    uint32
	Index  int // of its kind, from 0
	Parity bool
	Count  int // pieces of the envelope, parity not counted
	Bytes  []byte
}

// ReadFragment takes apart what ends with a MAC that the caller has found
// good. It checks the numbers against each other and their bounds.
func ReadFragment(b []byte) (Piece, error) {
	if len(b) <= fragmentHead+macLen || len(b) > payloadMax {
		return Piece{}, noroshi.Errorf(noroshi.Invalid, "line.fragment", "a fragment of %d bytes must have %d to %d", len(b), fragmentHead+macLen+1, payloadMax)
	}
	i := int(binary.BigEndian.Uint16(b[4:]))
	p := Piece{Set: binary.BigEndian.Uint32(b), Index: i &^ parityBit, Parity: i&parityBit != 0,
		Count: int(binary.BigEndian.Uint16(b[6:])), Bytes: b[fragmentHead : len(b)-macLen]}
	last := p.Count - 1
	if p.Parity {
		last = blocks(p.Count)*blockLen - 1
	}
	if p.Count < 1 || p.Count > maxCount || p.Index > last {
		return Piece{}, noroshi.Errorf(noroshi.Invalid, "line.fragment-index", "fragment %d of %d is none", p.Index, p.Count)
	}
	return p, nil
}

// appendFragment writes a piece without its MAC.
func appendFragment(p Piece) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, fragmentHead+len(p.Bytes)+macLen), p.Set)
	i := uint16(p.Index)
	if p.Parity {
		i |= parityBit
	}
	b = binary.BigEndian.AppendUint16(b, i)
	b = binary.BigEndian.AppendUint16(b, uint16(p.Count))
	return append(b, p.Bytes...)
}
