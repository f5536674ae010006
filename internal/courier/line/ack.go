package line

import "encoding/binary"

// Ack says what is here of one envelope: all pieces below Base, and those of
// Have. It names the envelope by one byte, the last of its set, which its sender
// keeps different for all that are on their way.
type Ack struct {
	Ref  byte
	Base int    // 0 to 4,095; a whole envelope of 4,096 pieces says so by Have
	Have []byte // bit 7 of the first byte is piece Base
}

// Bounds of acknowledgements. The sender keeps to the window, so that all it
// has on its way has a place in them.
const (
	ackHead   = 3
	maxHave   = 15
	ackWindow = 8 * maxHave
	maxAcks   = 8 // entries of one frame
)

// NewAck describes what is held of an envelope.
func NewAck(ref byte, base int, have func(int) bool) Ack {
	a := Ack{Ref: ref, Base: min(base, maxCount-1)}
	var bits [maxHave]byte
	n := 0
	for i := range ackWindow {
		if place := a.Base + i; place < base || have(place) {
			bits[i/8] |= 0x80 >> (i % 8)
			n = i/8 + 1
		}
	}
	a.Have = bits[:n]
	return a
}

// Holds reports whether a piece is among those it names.
func (a Ack) Holds(i int) bool {
	if i < a.Base {
		return true
	}
	i -= a.Base
	return i/8 < len(a.Have) && a.Have[i/8]&(0x80>>(i%8)) != 0
}

// appendAck writes an entry: ref(1), base and length of have (12 + 4 bits),
// have.
func appendAck(b []byte, a Ack) []byte {
	b = append(b, a.Ref)
	b = binary.BigEndian.AppendUint16(b, uint16(a.Base<<4|len(a.Have)))
	return append(b, a.Have...)
}

// ReadAcks reads the payload of a control frame; what does not end with an
// entry is none at all.
func ReadAcks(b []byte) (list []Ack, ok bool) {
	for len(b) > 0 {
		if len(b) < ackHead {
			return nil, false
		}
		v := binary.BigEndian.Uint16(b[1:])
		a := Ack{Ref: b[0], Base: int(v >> 4)}
		n := int(v & 0x0f)
		if b = b[ackHead:]; n > maxHave || len(b) < n {
			return nil, false
		}
		a.Have, b = b[:n:n], b[n:]
		list = append(list, a)
	}
	return list, true
}
