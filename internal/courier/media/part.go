package media

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/klauspost/reedsolomon"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// PartBytes is about how many bytes of envelopes are put into one part: what a
// reader must have in memory to restore it.
const PartBytes = 4 << 20

// A Part is envelopes that travel together.
type Part struct {
	ID     PartID
	Blocks [][]byte // encoded, set by set turn and turn about, so that damage in one place is shared among the sets
}

// NewPart cuts envelopes into blocks of a size, Datagram or Frame, or one that
// suits a stick or disc for 0. It fails when there is nothing or too much.
func NewPart(envelopes [][]byte, size int) (Part, error) {
	var stream []byte
	for _, e := range envelopes {
		if len(e) == 0 || len(e) > message.MaxEnvelope || len(stream)+4+len(e) > maxStream {
			return Part{}, noroshi.Errorf(noroshi.Invalid, "media.part", "an envelope of %d bytes does not fit a part of %d", len(e), maxStream)
		}
		stream = append(binary.BigEndian.AppendUint32(stream, uint32(len(e))), e...)
	}
	if len(stream) == 0 {
		return Part{}, noroshi.Errorf(noroshi.Invalid, "media.empty", "there is nothing to pack")
	}
	if size == 0 {
		size = suits(len(stream))
	}
	sum := sha256.Sum256(stream)
	p := Part{ID: PartID(sum[:16])}
	sets, s := cut(len(stream), size)
	code, err := reedsolomon.New(s.data, s.parity)
	if err != nil {
		return p, err
	}
	p.Blocks = make([][]byte, sets*(s.data+s.parity))
	for set := range sets {
		shards := shardsOf(stream, set, s)
		if err := code.Encode(shards); err != nil {
			return p, err
		}
		for i, shard := range shards {
			b := block{part: p.ID, set: uint16(set), sets: uint16(sets), index: uint8(i), shape: s, size: uint32(len(stream)), bytes: shard}
			p.Blocks[i*sets+set] = b.encode()
		}
	}
	return p, nil
}

// suits is the size of blocks of a stick or disc: about eight of a small part,
// the largest for others.
func suits(stream int) int {
	size := (stream/8 + headLen + blockStep) / blockStep * blockStep
	return min(max(size, minBlock), maxBlock)
}

// shardsOf cuts one set out of a stream, with room for its parity.
func shardsOf(stream []byte, set int, s shape) [][]byte {
	all := make([]byte, (s.data+s.parity)*s.shard)
	from := min(set*s.data*s.shard, len(stream))
	copy(all[:s.data*s.shard], stream[from:])
	shards := make([][]byte, s.data+s.parity)
	for i := range shards {
		shards[i] = all[i*s.shard : (i+1)*s.shard]
	}
	return shards
}

// errLost says that too little of a part is there.
var errLost = noroshi.Errorf(noroshi.Broken, "media.lost", "too many blocks of a part are lost or damaged")

// restore makes the stream of a part of the shards that are there; a missing
// one is nil. It checks the whole against the part's name.
func restore(id PartID, size int, s shape, sets [][][]byte) ([]byte, error) {
	code, err := reedsolomon.New(s.data, s.parity)
	if err != nil {
		return nil, err
	}
	stream := make([]byte, 0, len(sets)*s.data*s.shard)
	for _, shards := range sets {
		if code.ReconstructData(shards) != nil {
			return nil, errLost
		}
		for _, shard := range shards[:s.data] {
			stream = append(stream, shard...)
		}
	}
	stream = stream[:size]
	if sum := sha256.Sum256(stream); PartID(sum[:16]) != id {
		return nil, errLost
	}
	return stream, nil
}

// envelopesOf cuts a stream into its envelopes. A stream that is not made as
// NewPart makes them ends it.
func envelopesOf(stream []byte) (list [][]byte, err error) {
	for len(stream) > 0 {
		if len(stream) < 4 {
			return list, errLost
		}
		n := binary.BigEndian.Uint32(stream)
		if n == 0 || n > message.MaxEnvelope || int(n) > len(stream)-4 {
			return list, errLost
		}
		list = append(list, stream[4:4+n])
		stream = stream[4+n:]
	}
	return list, nil
}
