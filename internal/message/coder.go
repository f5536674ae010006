package message

import "sync"

// The short profile codes a content bit by bit: a model says how likely the next
// bit is, an arithmetic coder writes what is not likely. The model has read the
// dictionary before, so it knows STIX. Everything is integers, and the same on
// every machine: docs/wire.md §6 gives it number by number.

const (
	coderOrders = 6  // contexts of the last 1, 2, 3, 4, 6 bytes, and of the word
	coderInputs = 8  // those, the match, and a constant
	slotBits    = 17 // slots of each context
	matchBits   = 15
	matchLeast  = 5  // bytes that must agree before a match is followed
	matchMost   = 31 // bytes beyond which a match is no longer
	slotLimit   = 255
	mixerRate   = 10
)

// squashed is 4096 / (1 + e^(-x/256)) at x = -2048, -1920, … 2048.
var squashed = [33]int32{1, 2, 4, 6, 10, 17, 27, 45, 74, 120, 194, 311, 488, 747, 1102, 1546, 2048,
	2550, 2994, 3349, 3608, 3785, 3902, 3976, 4022, 4051, 4069, 4079, 4086, 4090, 4092, 4094, 4095}

func squash(x int32) int32 {
	x = min(max(x, -2047), 2047) + 2048
	i, w := x>>7, x&127
	return (squashed[i]*(128-w) + squashed[i+1]*w + 64) >> 7
}

// stretched is the inverse of squash: for each p the least x that reaches it.
var stretched = sync.OnceValue(func() *[4096]int32 {
	t := new([4096]int32)
	p := int32(0)
	for x := int32(-2047); x <= 2047; x++ {
		for v := squash(x); p <= v; p++ {
			t[p] = x
		}
	}
	for ; p < 4096; p++ {
		t[p] = 2047
	}
	return t
})

// slot is a probability of a 1 in 22 bits, and in 10 how often it was asked.
type slot uint32

const newSlot slot = 1 << 31

func (s slot) p() int32 { return int32(s >> 20) }

func (s *slot) learn(bit int32) {
	n, p := int64(*s&1023), int64(*s>>10)
	target := int64(bit) * (1<<22 - 1)
	p += (target - p) * 2 / (2*n + 3)
	if n < slotLimit {
		n++
	}
	*s = slot(p<<10 | n)
}

// model predicts the next bit. A value holds all it has learnt.
type model struct {
	slots   [coderOrders][1 << slotBits]slot
	matched [2 * (matchMost + 1)]slot
	weights [matchMost + 1][coderInputs]int32
	last    [1 << matchBits]int32 // where the bytes before were last, plus one

	seen   []byte
	hashes [coderOrders]uint32
	word   uint32
	at     int32 // the byte that is expected, by the match; 0 is none
	length int32

	partial uint32 // the bits of the present byte behind a 1
	index   [coderOrders]uint32
	input   [coderInputs]int32
	match   int // slot of the match, -1 none
	odds    int32
}

func newModel() *model {
	m := &model{partial: 1}
	for i := range m.slots {
		for j := range m.slots[i] {
			m.slots[i][j] = newSlot
		}
	}
	for i := range m.matched {
		m.matched[i] = newSlot
	}
	for i := range m.weights {
		for j := range m.weights[i] {
			m.weights[i][j] = 1 << 14
		}
	}
	m.predict()
	return m
}

func (m *model) clone() *model {
	c := *m
	c.seen = append(make([]byte, 0, len(m.seen)+maxShort), m.seen...)
	return &c
}

// predict sets odds: how likely the next bit is a 1, of 4096.
func (m *model) predict() {
	t := stretched()
	for i := range m.slots {
		h := (m.hashes[i] + m.partial*0x9E3779B1) * 0x85EBCA6B
		m.index[i] = (h ^ h>>15) * 0xC2B2AE35 >> (32 - slotBits)
		m.input[i] = t[m.slots[i][m.index[i]].p()]
	}
	m.match, m.input[coderOrders] = -1, 0
	if m.length > 0 {
		expected := uint32(m.seen[m.at]) | 256
		bits := 0
		for p := m.partial; p > 1; p >>= 1 {
			bits++
		}
		if expected>>(8-bits) == m.partial {
			bit := int(expected >> (7 - bits) & 1)
			m.match = 2*int(min(m.length, matchMost)) + bit
			m.input[coderOrders] = t[m.matched[m.match].p()]
		}
	}
	m.input[coderInputs-1] = 256
	sum := int64(0)
	for i, w := range m.weights[m.set()] {
		sum += int64(w) * int64(m.input[i])
	}
	m.odds = min(max(squash(int32(min(max(sum>>16, -2047), 2047))), 1), 4095)
}

// set chooses the weights: by how far the match goes.
func (m *model) set() int {
	if m.match < 0 {
		return 0
	}
	return m.match / 2
}

// learn takes the bit that came, and predicts the next.
func (m *model) learn(bit int32) {
	err := (bit<<12 - m.odds) * mixerRate
	w := &m.weights[m.set()]
	for i := range w {
		w[i] += (m.input[i]*err + 1<<15) >> 16
	}
	for i := range m.slots {
		m.slots[i][m.index[i]].learn(bit)
	}
	if m.match >= 0 {
		m.matched[m.match].learn(bit)
	}
	if m.partial = m.partial<<1 | uint32(bit); m.partial >= 256 {
		m.endByte(byte(m.partial))
		m.partial = 1
	}
	m.predict()
}

// endByte takes a whole byte into the contexts.
func (m *model) endByte(c byte) {
	m.seen = append(m.seen, c)
	n := len(m.seen)
	switch {
	case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 128:
		m.word = (m.word + uint32(c) + 1) * 0x2C1B3C6D
	default:
		m.word = 0
	}
	for i, order := range [coderOrders]int{1, 2, 3, 4, 6, 0} {
		h := uint32(i+1) * 0x3D4D51CB
		for k := 1; k <= min(order, n); k++ {
			h = (h + uint32(m.seen[n-k]) + 1) * 0x2C1B3C6D
			h ^= h >> 15
		}
		if order == 0 {
			h = (h + m.word + uint32(c)) * 0x2C1B3C6D
		}
		m.hashes[i] = h
	}
	m.follow(c)
}

// follow goes on with the match, or looks for one.
func (m *model) follow(c byte) {
	n := int32(len(m.seen))
	if m.length > 0 && m.seen[m.at] == c {
		m.length = min(m.length+1, matchMost)
		m.at++
	} else {
		m.length = 0
	}
	if n < matchLeast {
		return
	}
	h := uint32(0)
	for _, b := range m.seen[n-matchLeast:] {
		h = (h + uint32(b) + 1) * 0x2C1B3C6D
		h ^= h >> 15
	}
	h >>= 32 - matchBits
	if m.length == 0 && m.last[h] > 0 {
		m.at = m.last[h]
		for m.length < matchMost && m.length < m.at && m.seen[m.at-1-m.length] == m.seen[n-1-m.length] {
			m.length++
		}
		if m.length < matchLeast {
			m.length = 0
		}
	}
	m.last[h] = n
}

// primed is the model that has read the dictionary. It is made once, when a
// narrow line first needs it.
var primed = sync.OnceValue(func() *model {
	m := newModel()
	for _, c := range dictionaryText() {
		for i := 7; i >= 0; i-- {
			m.learn(int32(c >> i & 1))
		}
	}
	return m
})

// shorten codes a content of at most maxShort bytes.
func shorten(content []byte) []byte {
	m := primed().clone()
	low, high := uint32(0), ^uint32(0)
	var out []byte
	for _, c := range content {
		for i := 7; i >= 0; i-- {
			mid := low + uint32(uint64(high-low)*uint64(m.odds)>>12)
			bit := int32(c >> i & 1)
			if bit == 1 {
				high = mid
			} else {
				low = mid + 1
			}
			m.learn(bit)
			for (low^high)>>24 == 0 {
				out = append(out, byte(high>>24))
				low, high = low<<8, high<<8|255
			}
		}
	}
	// The shortest bytes that lie between low and high whatever is read behind
	// them as zeros.
	for n := 0; n <= 4; n++ {
		keep := ^uint32(0) << (32 - 8*n)
		if n == 0 {
			keep = 0
		}
		if v := (high & keep); v >= low {
			for i := range n {
				out = append(out, byte(v>>(24-8*i)))
			}
			break
		}
	}
	for len(out) > 0 && out[len(out)-1] == 0 {
		out = out[:len(out)-1] // zeros are read behind the end anyway
	}
	return out
}

// lengthen gives back size bytes of what shorten coded: bytes behind the end are
// zeros.
func lengthen(b []byte, size int) ([]byte, error) {
	if !worthShort(size, len(b)) || len(b) > size+16 {
		return nil, badFrame("short profile is for at most 64 KiB, 64 times what came")
	}
	m := primed().clone()
	low, high, x, at := uint32(0), ^uint32(0), uint32(0), 0
	next := func() {
		x <<= 8
		if at < len(b) {
			x |= uint32(b[at])
		}
		at++
	}
	for range 4 {
		next()
	}
	out := make([]byte, 0, size)
	for range size {
		for range 8 {
			mid := low + uint32(uint64(high-low)*uint64(m.odds)>>12)
			bit := int32(0)
			if x <= mid {
				bit, high = 1, mid
			} else {
				low = mid + 1
			}
			m.learn(bit)
			for (low^high)>>24 == 0 {
				low, high = low<<8, high<<8|255
				next()
			}
		}
		out = append(out, m.seen[len(m.seen)-1])
	}
	if at < len(b) {
		return nil, badFrame("more than the content")
	}
	return out, nil
}

// maxShort bounds what the short profile codes, and maxRatio how many times as long
// as what it makes of it a content above smallShort may be: some 30 milliseconds of
// work, for no less than a thousand bytes of a slow line.
const (
	maxShort   = 64 << 10
	smallShort = 1 << 10
	maxRatio   = 64
)

// worthShort reports whether a content may be coded as so many bytes.
func worthShort(size, coded int) bool {
	return size <= maxShort && (size <= smallShort || size <= maxRatio*coded)
}
