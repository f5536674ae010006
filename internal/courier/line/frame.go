package line

import (
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"math/bits"
	"sync"

	"storj.io/infectious"

	"github.com/noroshi-cti/noroshi"
)

// Sizes of a frame: head, body, parity. A body is 4 to 112 bytes in steps of 4.
const (
	headLen    = 2
	bodyStep   = 4
	bodyMax    = 112
	classes    = bodyMax / bodyStep
	shortBody  = 16 // up to here 8 bytes of parity are as sure as 16 are for the longest
	shortCheck = 8  // corrects 4 bytes
	longCheck  = 16 // corrects 8 bytes
	frameMax   = headLen + bodyMax + longCheck
	payloadMax = bodyMax - 1 // what one frame carries besides its first byte
)

// FrameType is what a frame carries.
type FrameType uint8

// The types. Parity is a fragment whose index says so; a control frame without
// an entry does nothing but pass the turn.
const (
	Whole    FrameType = iota // an envelope that fits one frame
	Fragment                  // a piece of one, or parity of such pieces
	Control                   // acknowledgements
)

// leftMax stands for so many frames to come, or more.
const leftMax = 15

// Frame is one frame as it was sent, errors corrected.
type Frame struct {
	Type    FrameType
	Left    int    // frames that follow before the turn passes; 15 = 15 or more
	Payload []byte // at most 111 bytes
	Mended  int    // bytes that had to be corrected
}

// heads are the words a frame begins with, one for each length of body. They
// are words of the Reed-Muller code RM(1,4), any two of which differ in at
// least 8 of 16 bits, moved by a bent function, so that each also differs in at
// least 6 bits from a line at rest (all ones, all zeros) and from regular
// patterns.
var heads = func() (list [classes]uint16) {
	for c := range list {
		for x := range 16 {
			bit := c&1 ^ c>>1&x ^ c>>2&(x>>1) ^ c>>3&(x>>2) ^ c>>4&(x>>3) ^ x&(x>>1) ^ (x>>2)&(x>>3)
			list[c] |= uint16(bit&1) << x
		}
	}
	return list
}()

// head returns the length of body a word stands for and in how many bits it is
// wrong, 0 and 16 when in more than 3: then it could be any.
func head(w uint16) (body, wrong int) {
	for c, h := range heads {
		if d := bits.OnesCount16(w ^ h); d <= 3 {
			return (c + 1) * bodyStep, d
		}
	}
	return 0, 16
}

func checkLen(body int) int {
	if body <= shortBody {
		return shortCheck
	}
	return longCheck
}

func frameLen(body int) int { return headLen + body + checkLen(body) }

// sizeOf is the length on the line of a frame with such a payload.
func sizeOf(payload int) int {
	return frameLen((payload + 1 + bodyStep - 1) / bodyStep * bodyStep)
}

// code is the Reed-Solomon code of one length of body.
type code struct {
	*infectious.FEC
	rows [][]*[256]byte // what each parity byte takes of each byte of the body, by the byte
}

// codes are those of all lengths, made when first wanted.
var codes = func() (list [classes]func() code) {
	for c := range list {
		list[c] = sync.OnceValue(func() code { return newCode((c + 1) * bodyStep) })
	}
	return list
}()

// newCode asks the library for the parity of each unit word once: after that a
// parity is a few table look-ups.
func newCode(body int) code {
	f, err := infectious.NewFEC(body, body+checkLen(body))
	if err != nil {
		panic(err) // the sizes above are wrong
	}
	c := code{f, make([][]*[256]byte, checkLen(body))}
	unit, factor := make([]byte, body), make([]byte, 1)
	for j := range c.rows {
		c.rows[j] = make([]*[256]byte, body)
		for i := range unit {
			unit[i] = 1
			if err := f.EncodeSingle(unit, factor, body+j); err != nil {
				panic(err) // the sizes are those of the code
			}
			unit[i] = 0
			c.rows[j][i] = &product()[factor[0]]
		}
	}
	return c
}

// product is multiplication in GF(2^8), x^8 + x^4 + x^3 + x^2 + 1.
var product = sync.OnceValue(func() *[256][256]byte {
	var t [256][256]byte
	for a := range 256 {
		for b := range 256 {
			p := 0
			for i := range 8 {
				p ^= a << i * (b >> i & 1)
			}
			for i := 14; i >= 8; i-- {
				p ^= 0x11d << (i - 8) * (p >> i & 1)
			}
			t[a][b] = byte(p)
		}
	}
	return &t
})

// EncodeFrame returns the bytes of a frame. An error says that it is too large
// or of no type.
func EncodeFrame(f Frame) ([]byte, error) {
	if len(f.Payload) > payloadMax || f.Type > Control || f.Left < 0 {
		return nil, noroshi.Errorf(noroshi.Invalid, "line.frame", "a frame of type %d with %d bytes must carry at most %d", f.Type, len(f.Payload), payloadMax)
	}
	body := (len(f.Payload) + 1 + bodyStep - 1) / bodyStep * bodyStep
	b := make([]byte, frameLen(body))
	binary.BigEndian.PutUint16(b, heads[body/bodyStep-1])
	pad := body - 1 - len(f.Payload)
	b[headLen] = byte(f.Type)<<6 | byte(pad)<<4 | byte(min(f.Left, leftMax))
	copy(b[headLen+1:], f.Payload)
	parity(b[headLen:headLen+body], b[headLen+body:])
	whiten(b[headLen:])
	return b, nil
}

// white is laid over body and parity. Without it a block from which bytes are
// lost would be another word of the code but for a few bytes, since the code is
// nearly cyclic, and be "corrected" into nonsense.
var white = func() (w []byte) {
	for i := range byte(2) {
		h := sha512.Sum512(append([]byte("NX/1 line"), i))
		w = append(w, h[:]...)
	}
	return w
}()

func whiten(block []byte) { subtle.XORBytes(block, block, white[:len(block)]) }

func parity(body, check []byte) {
	for j, row := range codes[len(body)/bodyStep-1]().rows {
		check[j] = 0
		for i, x := range body {
			check[j] ^= row[i][x]
		}
	}
}

// intact reports whether a block is what its sender sent, as far as its parity
// tells: the cheap question.
func intact(block []byte, body int) bool {
	var check [longCheck]byte
	parity(block[:body], check[:len(block)-body])
	return string(check[:len(block)-body]) == string(block[body:])
}

// mend corrects up to half as many bytes as there are parity bytes; the
// expensive question. It reports how many were wrong.
func mend(block []byte, body int) (fixed []byte, wrong int, ok bool) {
	shares := make([]infectious.Share, len(block))
	for i := range shares {
		shares[i] = infectious.Share{Number: i, Data: block[i : i+1]}
	}
	if codes[body/bodyStep-1]().Correct(shares) != nil {
		return nil, 0, false
	}
	fixed = make([]byte, len(block))
	for i, s := range shares {
		fixed[i] = s.Data[0]
		if fixed[i] != block[i] {
			wrong++
		}
	}
	// Twice: the library solves equations, and what is no word of the code, or
	// too far from what came, must not pass for corrected.
	return fixed, wrong, wrong <= checkLen(body)/2 && intact(fixed, body)
}

// readBody takes a body apart that stood between head and parity.
func readBody(body []byte, mended int) (Frame, bool) {
	f := Frame{Type: FrameType(body[0] >> 6), Left: int(body[0] & 0x0f), Mended: mended}
	pad := int(body[0] >> 4 & 3)
	if f.Type > Control {
		return Frame{}, false
	}
	f.Payload = body[1 : len(body)-pad]
	return f, true
}
