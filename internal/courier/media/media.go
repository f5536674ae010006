// Package media carries sealed envelopes on what is handed over or runs one way
// only: a stick, a disc, a diode, paper. It knows nothing but bytes: whom they
// are for, what is in them and whether they arrived is for others to say.
//
// Envelopes travel in parts, and a part in blocks, some of them parity: what is
// lost or damaged of a part is restored from the rest (docs/wire.md, Media). A
// part is named by the hash of what is in it, a block by its own, so that what
// was written once is known again, whatever files it lies in, and nothing is
// read from a name or a path of the medium.
//
// It promises that what it gives out is exactly what was put in, and says what
// is missing. It does not promise that anything arrives.
package media

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/noroshi-cti/noroshi"
)

// Sizes of blocks, head included. All are multiples of blockStep, so that a
// reader finds the next block behind a damaged one.
const (
	blockStep = 64
	minBlock  = 512
	maxBlock  = 64 << 10

	// Datagram is a block that fits one packet of a one-way link: Ethernet less
	// IPv6 and UDP heads.
	Datagram = 22 * blockStep
	// Frame is a block that fits a QR code a telephone can read.
	Frame = 11 * blockStep
)

// Bounds of a part.
const (
	maxStream = 32 << 20 // bytes of envelopes with their lengths
	maxData   = 128      // blocks of a set that are no parity
	blockType = 0x21
	sumLen    = 16
	headLen   = 1 + 16 + 2 + 2 + 1 + 1 + 1 + 4 + 4 + sumLen
)

// PartID is the first half of the SHA-256 of what a part carries.
type PartID [16]byte

// String writes hexadecimal digits.
func (id PartID) String() string { return hex.EncodeToString(id[:]) }

// block is one block: the head, and where in its set it stands.
type block struct {
	part  PartID
	set   uint16
	sets  uint16
	index uint8
	shape shape
	size  uint32 // bytes of the part's stream
	bytes []byte // the shard
}

// shape says how a set is cut: of equal shards, data of them the stream and
// parity of them computed.
type shape struct{ data, parity, shard int }

// cut decides how a stream is cut into blocks of a size. Reader and writer
// agree on it, so a head that says anything else is no head.
func cut(stream, size int) (sets int, s shape) {
	s.shard = size - headLen
	shards := max(1, (stream+s.shard-1)/s.shard)
	sets = (shards + maxData - 1) / maxData
	s.data = (shards + sets - 1) / sets
	s.parity = parityOf(s.data)
	return sets, s
}

// parityOf is how many blocks are added to so many: small sets, in which chance
// has more of a say, get as many again, large ones half.
func parityOf(data int) int {
	if data <= 16 {
		return max(4, data)
	}
	return (data + 1) / 2
}

func (b *block) encode() []byte {
	out := make([]byte, headLen-sumLen, headLen+len(b.bytes))
	out[0] = blockType
	copy(out[1:], b.part[:])
	binary.BigEndian.PutUint16(out[17:], b.set)
	binary.BigEndian.PutUint16(out[19:], b.sets)
	out[21], out[22], out[23] = b.index, uint8(b.shape.data), uint8(b.shape.parity)
	binary.BigEndian.PutUint32(out[24:], b.size)
	binary.BigEndian.PutUint32(out[28:], uint32(len(b.bytes)))
	h := sha256.New()
	h.Write(out)
	h.Write(b.bytes)
	return append(append(out, h.Sum(nil)[:sumLen]...), b.bytes...)
}

// readHead reads a head and tells how long the block is; false when it is none.
func readHead(p []byte) (b block, length int, ok bool) {
	if len(p) < headLen || p[0] != blockType {
		return b, 0, false
	}
	copy(b.part[:], p[1:])
	b.set, b.sets = binary.BigEndian.Uint16(p[17:]), binary.BigEndian.Uint16(p[19:])
	b.index, b.size = p[21], binary.BigEndian.Uint32(p[24:])
	shard := binary.BigEndian.Uint32(p[28:])
	if b.size == 0 || b.size > maxStream || shard > maxBlock || shard < minBlock-headLen {
		return b, 0, false
	}
	length = headLen + int(shard)
	sets, s := cut(int(b.size), length)
	if length%blockStep != 0 || int(b.sets) != sets || b.set >= b.sets || int(p[22]) != s.data || int(p[23]) != s.parity || int(b.index) >= s.data+s.parity {
		return b, 0, false
	}
	b.shape = s
	return b, length, true
}

// readBlock reads the block at the beginning of p, whole and undamaged; length
// is that of the block the head speaks of, 0 where there is no head.
func readBlock(p []byte) (b block, length int, ok bool) {
	b, length, ok = readHead(p)
	if !ok || length > len(p) {
		return b, length, false
	}
	h := sha256.New()
	h.Write(p[:headLen-sumLen])
	h.Write(p[headLen:length])
	if [sumLen]byte(h.Sum(nil)) != [sumLen]byte(p[headLen-sumLen:headLen]) {
		return b, length, false
	}
	b.bytes = p[headLen:length]
	return b, length, true
}

// nameOf is what a block's file is called: the beginning of the hash of it.
func nameOf(encoded []byte) string {
	sum := noroshi.Sum(encoded)
	return hex.EncodeToString(sum[:16]) + ending
}

const ending = ".nx"
