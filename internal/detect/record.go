package detect

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// Entries are kept as records in byte chunks: no pointer, header or map per
// entry. The first value of an indicator carries the indicator; its further
// values point back to it.
//
//	head      1 byte: kind (low 4 bits), refers, odd
//	refers:   offset of the indicator's first record, 4 bytes
//	else:     id, 16 bytes of UUID; odd: length, text
//	          validity, 1 byte: number of a shared one, or ownValidity and 17 bytes
//	          seq, varint, less the arena's first
//	value     addresses and hashes in binary, their length given by the kind;
//	          texts as length and bytes, names with their suffix as one byte

const (
	headKind   = 0x0f
	headRefers = 0x10
	headOdd    = 0x20

	chunkBits = 16
	chunkSize = 1 << chunkBits

	ownValidity = 255 // the validity stands in the record
)

var (
	kindNumbers = map[noroshi.ValueKind]byte{
		noroshi.IPv4: 1, noroshi.IPv6: 2, noroshi.AddrPort: 3, noroshi.DomainName: 5, noroshi.URL: 6, noroshi.URLPart: 7,
		noroshi.MD5: 8, noroshi.SHA1: 9, noroshi.SHA256: 10, noroshi.SHA512: 11, noroshi.EmailAddr: 12,
	}
	kindNames = [16]noroshi.ValueKind{
		1: noroshi.IPv4, 2: noroshi.IPv6, 3: noroshi.AddrPort, 4: noroshi.AddrPort, 5: noroshi.DomainName, 6: noroshi.URL,
		7: noroshi.URLPart, 8: noroshi.MD5, 9: noroshi.SHA1, 10: noroshi.SHA256, 11: noroshi.SHA512, 12: noroshi.EmailAddr,
	}
	// kindSizes are the lengths of binary values; 0 is a text.
	kindSizes = [16]int{1: 4, 2: 16, 3: 6, 4: 18, 8: 16, 9: 20, 10: 32, 11: 64}
)

const (
	kindPort4 = 3
	kindPort6 = 4
	kindName  = 5
	kindURL   = 6
	kindPart  = 7
)

// payload returns a value as a record keeps it; dst is appended to. CIDR has
// none.
func payload(dst []byte, v noroshi.Value) (kind byte, text []byte, ok bool) {
	kind = kindNumbers[v.Kind]
	switch v.Kind {
	case noroshi.IPv4, noroshi.IPv6, noroshi.AddrPort:
		a, err := netip.ParseAddr(v.Text)
		if err != nil || a.Zone() != "" || v.Kind == noroshi.IPv4 && !a.Is4() || v.Kind == noroshi.IPv6 && !a.Is6() {
			return 0, nil, false
		}
		if v.Kind == noroshi.AddrPort && a.Is6() {
			kind = kindPort6
		}
		dst = append(dst, a.AsSlice()...)
		if v.Kind == noroshi.AddrPort {
			dst = binary.BigEndian.AppendUint16(dst, v.Port)
		}
		return kind, dst, true
	case noroshi.MD5, noroshi.SHA1, noroshi.SHA256, noroshi.SHA512:
		dst, err := hex.AppendDecode(dst, []byte(v.Text))
		return kind, dst, err == nil && len(dst) == kindSizes[kind]
	case noroshi.DomainName:
		return kind, packName(dst, v.Text), v.Text != "" && len(v.Text) <= maxName && ascii(v.Text)
	case "", noroshi.CIDR:
		return 0, nil, false
	}
	return kind, append(dst, v.Text...), kind != 0 && v.Text != "" && len(v.Text) <= MaxValueBytes
}

// validity is when an indicator counts and whether a warning-list names it.
type validity struct {
	from, until int64 // Unix nanoseconds; math.MinInt64 and MaxInt64 are open
	flagged     bool
}

func validityOf(e Entry) validity {
	v := validity{math.MinInt64, math.MaxInt64, e.Flagged}
	if !e.ValidFrom.IsZero() {
		v.from = nanos(e.ValidFrom)
	}
	if !e.ValidUntil.IsZero() {
		v.until = nanos(e.ValidUntil)
	}
	return v
}

// nanos is UnixNano, held at the ends of its range.
func nanos(t time.Time) int64 {
	switch y := t.Year(); {
	case y < 1678:
		return math.MinInt64
	case y > 2261:
		return math.MaxInt64
	}
	return t.UnixNano()
}

// holds reports whether t is in [from, until) (STIX 2.1 §4.7: valid_until is
// the first instant that is no longer valid). A time that is not known is.
func (v validity) holds(t time.Time, early bool) bool {
	if t.IsZero() {
		return true
	}
	n := nanos(t)
	return (early || n >= v.from) && n < v.until
}

// arena holds records. One writer appends; readers reach a record only through
// an offset published after it was written. A fixed arena never moves its
// slices, so it may be read while it is written.
type arena struct {
	chunks  [][]byte
	n       int // chunks in use
	used    int // bytes in use of the last one
	fixed   bool
	seq0    int64
	any     bool // seq0 is set
	classes [ownValidity]validity
	nclass  int
	dead    []uint64 // one bit for 16 bytes: the indicator that begins there is disarmed
}

// maxChunks keeps offsets below 1<<31.
const maxChunks = 1 << (31 - chunkBits)

const deadWords = chunkSize / 16 / 64 // of one chunk

// newArena returns a fixed arena of n chunks, or with 0 one that grows.
func newArena(n int) *arena {
	return &arena{chunks: make([][]byte, n), dead: make([]uint64, n*deadWords), fixed: n > 0}
}

// write appends a record and returns its offset; false when the arena is full.
// An indicator takes 16 bytes at least, so that it has a bit of its own.
func (a *arena) write(rec []byte) (uint32, bool) {
	need := max(len(rec), 16)
	if a.n == 0 || a.used+need > chunkSize {
		if a.n == len(a.chunks) {
			if a.fixed || a.n == maxChunks {
				return 0, false
			}
			a.chunks = append(a.chunks, nil)
			a.dead = append(a.dead, make([]uint64, deadWords)...)
		}
		a.chunks[a.n] = make([]byte, chunkSize)
		a.n, a.used = a.n+1, 0
	}
	off := uint32(a.n-1)<<chunkBits | uint32(a.used)
	copy(a.chunks[a.n-1][a.used:], rec)
	a.used += need
	return off, true
}

// at returns the bytes from an offset to the end of its chunk.
func (a *arena) at(off uint32) []byte { return a.chunks[off>>chunkBits][off&(chunkSize-1):] }

func (a *arena) kill(owner uint32) { atomic.OrUint64(&a.dead[owner>>10], 1<<(owner>>4&63)) }

func (a *arena) isDead(owner uint32) bool {
	return atomic.LoadUint64(&a.dead[owner>>10])>>(owner>>4&63)&1 == 1
}

// bytes is the memory held.
func (a *arena) bytes() int { return a.n*chunkSize + len(a.dead)*8 + len(a.chunks)*24 }

// appendIndicator writes the head and the indicator of a first record to dst.
func (a *arena) appendIndicator(dst []byte, kind byte, o owner) []byte {
	if !a.any {
		a.seq0, a.any = o.seq, true
	}
	if !o.odd {
		dst = append(append(dst, kind), o.id...)
	} else {
		dst = append(dst, kind|headOdd)
		dst = binary.AppendUvarint(dst, uint64(len(o.id)))
		dst = append(dst, o.id...)
	}
	n := a.class(o.valid)
	dst = append(dst, byte(n))
	if n == ownValidity {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(o.valid.from))
		dst = binary.LittleEndian.AppendUint64(dst, uint64(o.valid.until))
		flag := byte(0)
		if o.valid.flagged {
			flag = 1
		}
		dst = append(dst, flag)
	}
	return binary.AppendVarint(dst, o.seq-a.seq0)
}

// appendRefers writes the head of a further record.
func appendRefers(dst []byte, kind byte, own uint32) []byte {
	return binary.LittleEndian.AppendUint32(append(dst, kind|headRefers), own)
}

// appendValue writes a value.
func appendValue(dst []byte, kind byte, value []byte) []byte {
	if kindSizes[kind] == 0 {
		dst = binary.AppendUvarint(dst, uint64(len(value)))
	}
	return append(dst, value...)
}

// class returns the number of a shared validity, ownValidity when there are
// too many.
func (a *arena) class(v validity) int {
	for i := a.nclass - 1; i >= 0; i-- {
		if a.classes[i] == v {
			return i
		}
	}
	if a.nclass == len(a.classes) {
		return ownValidity
	}
	a.classes[a.nclass] = v
	a.nclass++
	return a.nclass - 1
}

const indicatorPrefix = "indicator--"

// uuidOf returns the UUID of an id in the usual spelling.
func uuidOf(id stix.ID) (u uuid.UUID, ok bool) {
	if len(id) != len(indicatorPrefix)+36 || id[:len(indicatorPrefix)] != indicatorPrefix {
		return u, false
	}
	for i := len(indicatorPrefix); i < len(id); i++ {
		if id[i] >= 'A' && id[i] <= 'F' {
			return u, false
		}
	}
	u, err := uuid.Parse(string(id[len(indicatorPrefix):]))
	return u, err == nil
}

// record is a decoded record.
type record struct {
	kind  byte
	owner uint32 // offset of the indicator
	value []byte
}

// owner is the decoded indicator of a record.
type owner struct {
	id    []byte // 16 bytes, or text when odd
	odd   bool
	valid validity
	seq   int64
}

func (o owner) ID() stix.ID {
	if o.odd {
		return stix.ID(o.id)
	}
	return stix.ID(indicatorPrefix + uuid.UUID(o.id).String())
}

// idKey returns what is hashed for an id.
func idKey(id stix.ID) (b []byte, odd bool) {
	if u, ok := uuidOf(id); ok {
		return u[:], false
	}
	return []byte(id), true
}

func (o owner) is(key []byte, odd bool) bool { return o.odd == odd && bytes.Equal(o.id, key) }

// ownerOf returns the indicator of an entry.
func ownerOf(e *Entry) owner {
	o := owner{valid: validityOf(*e), seq: e.Seq}
	o.id, o.odd = idKey(e.ID)
	return o
}

// read decodes the record at an offset, without its indicator.
func (a *arena) read(off uint32) record {
	r, _, _ := a.decode(off)
	return r
}

// owner decodes the indicator at an offset.
func (a *arena) owner(off uint32) owner {
	_, o, _ := a.decode(off)
	return o
}

// decode reads a record and, in a first record, its indicator.
func (a *arena) decode(off uint32) (r record, o owner, size int) {
	all := a.at(off)
	head, b := all[0], all[1:]
	r = record{kind: head & headKind, owner: off}
	if head&headRefers != 0 {
		r.owner, b = binary.LittleEndian.Uint32(b), b[4:]
	} else {
		o, b = a.decodeOwner(head, b)
	}
	n := kindSizes[r.kind]
	if n == 0 {
		l, k := binary.Uvarint(b)
		n, b = int(l), b[k:]
	}
	r.value = b[:n:n]
	return r, o, len(all) - len(b) + n
}

func (a *arena) decodeOwner(head byte, b []byte) (o owner, rest []byte) {
	n := 16
	if o.odd = head&headOdd != 0; o.odd {
		l, k := binary.Uvarint(b)
		n, b = int(l), b[k:]
	}
	o.id, b = b[:n:n], b[n:]
	class := b[0]
	b = b[1:]
	if class == ownValidity {
		o.valid = validity{int64(binary.LittleEndian.Uint64(b)), int64(binary.LittleEndian.Uint64(b[8:])), b[16] == 1}
		b = b[17:]
	} else {
		o.valid = a.classes[class]
	}
	d, k := binary.Varint(b)
	o.seq = a.seq0 + d
	return o, b[k:]
}

// Value returns the value of a record.
func (r record) Value() noroshi.Value {
	v := noroshi.Value{Kind: kindNames[r.kind]}
	switch r.kind {
	case 1, 2:
		a, _ := netip.AddrFromSlice(r.value)
		v.Text = a.String()
	case kindPort4, kindPort6:
		n := len(r.value) - 2
		a, _ := netip.AddrFromSlice(r.value[:n])
		v.Text, v.Port = a.String(), binary.BigEndian.Uint16(r.value[n:])
	case kindName:
		v.Text = string(unpackName(nil, r.value))
	case 8, 9, 10, 11:
		v.Text = hex.EncodeToString(r.value)
	default:
		v.Text = string(r.value)
	}
	return v
}

// hash returns the key a record is found by.
func (s seed) hash(r record) uint64 {
	switch r.kind {
	case 1, kindPort4:
		return s.addr4(r.value[:4])
	case 2, kindPort6:
		return s.key(classAddr, r.value[:16])
	case kindName:
		var buf [2 * maxName]byte
		return s.name(unpackName(buf[:0], r.value))
	case kindURL, kindPart:
		return s.url(splitText(string(r.value)))
	case 12:
		return s.key(classMail, r.value)
	}
	return s.key(classHash, r.value)
}
