package detect

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
)

// seed keys every hash of an index. It is random for each index, so that
// nobody outside can choose values that fall on one place.
type seed struct{ a, b uint64 }

func newSeed() seed { return seed{rand.Uint64() | 1, rand.Uint64() | 1} }

// The classes of keys; the class is hashed first.
const (
	classAddr uint64 = iota + 1
	className
	classPath // URL and URL part
	classHash
	classMail
	classID
)

// mix folds one word into a running hash.
func (s seed) mix(h, w uint64) uint64 {
	hi, lo := bits.Mul64(h^w^s.a, s.b^0x9e3779b97f4a7c15)
	return hi ^ lo ^ bits.RotateLeft64(w, 29)
}

func (s seed) start(class uint64) uint64 { return bits.RotateLeft64(s.b, int(class)) }

// bytes folds a byte string into a running hash, its length included, so that
// no two sequences of strings share their words.
func (s seed) bytes(h uint64, b []byte) uint64 {
	n := uint64(len(b))
	for len(b) >= 8 {
		h = s.mix(h, binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	var w uint64
	switch k := len(b); {
	case k >= 4:
		w = uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[k-4:]))<<(8*(k-4))
	case k > 0:
		w = uint64(b[0]) | uint64(b[k/2])<<(8*(k/2)) | uint64(b[k-1])<<(8*(k-1))
	}
	return s.mix(h, w|n<<56)
}

func (s seed) key(class uint64, b []byte) uint64 { return s.bytes(s.start(class), b) }

// dotted hashes an IPv4 address. Its text serves as well as its number, as it
// has one only, and need not be parsed first.
func (s seed) dotted(d dotted) uint64 { return s.mix(s.mix(s.start(classAddr), d.head), d.tail) }

// bloom is a filter whose bits of one key lie in one word: a look-up costs one
// access to memory. At twelve bits a key about one miss in thirty passes. Bits
// are set atomically, so readers need no lock.
type bloom []uint64

func newBloom(keys int) bloom { return make(bloom, keys*12/64+1) }

func bloomBits(h uint64) uint64 {
	return 1<<(h&63) | 1<<(h>>6&63) | 1<<(h>>12&63) | 1<<(h>>18&63)
}

func (b bloom) word(h uint64) uint64 {
	hi, _ := bits.Mul64(h, uint64(len(b)))
	return hi
}

func (b bloom) add(h uint64) { atomic.OrUint64(&b[b.word(h)], bloomBits(h)) }

func (b bloom) has(h uint64) bool {
	want := bloomBits(h)
	return atomic.LoadUint64(&b[b.word(h)])&want == want
}

// place maps a hash to one of n slots.
func place(h uint64, n int) int {
	hi, _ := bits.Mul64(bits.RotateLeft64(h, 17), uint64(n))
	return int(hi)
}
