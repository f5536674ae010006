package detect

import (
	"encoding/binary"
	"math/bits"
)

// A name is hashed label by label from its right end, so that one pass over an
// observed name gives the key of every parent.

// name returns the key of a normal name.
func (s seed) name(name []byte) uint64 {
	h := s.start(className)
	for end := len(name); end >= 0; {
		dot := end - 1
		for dot >= 0 && name[dot] != '.' {
			dot--
		}
		h = s.bytes(h, name[dot+1:end])
		end = dot
		if dot < 0 {
			break
		}
	}
	return h
}

// A path is hashed piece by piece from its left end. A piece ends behind one of
// / ? = &, so that a URL part that ends at a boundary is met on the way.

// pathDelimiter reports the bytes behind which a piece ends.
func pathDelimiter(c byte) bool { return c == '/' || c == '?' || c == '=' || c == '&' }

// host returns the running hash of a URL's host; "" stands for any.
func (s seed) host(host []byte) uint64 { return s.bytes(s.start(classPath), host) }

// url returns the key of a URL or URL part. Scheme and port are compared later.
func (s seed) url(u urlText) uint64 {
	h := s.host([]byte(u.host))
	path := []byte(u.path)
	for len(path) > 0 {
		n := 0
		for n < len(path) && !pathDelimiter(path[n]) {
			n++
		}
		n = min(n+1, len(path))
		h = s.bytes(h, path[:n])
		path = path[n:]
	}
	return h
}

const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// appendLower appends b in lower case and reports whether it is ASCII.
func appendLower(dst, b []byte) ([]byte, bool) {
	from := len(dst)
	dst = append(dst, b...)
	p, seen := dst[from:], uint64(0)
	for len(p) >= 8 {
		w := binary.LittleEndian.Uint64(p)
		seen |= w
		low := w &^ tops
		upper := (low + (0x80-'A')*ones) &^ (low + (0x7f-'Z')*ones) &^ w & tops
		binary.LittleEndian.PutUint64(p, w|upper>>2)
		p = p[8:]
	}
	for i, c := range p {
		seen |= uint64(c)
		if c-'A' <= 'Z'-'A' {
			p[i] = c | 0x20
		}
	}
	return dst, seen&tops == 0
}

// dotted is a text of digits and three dots as two words: each byte xor '0', then
// zeros, the length on top.
type dotted struct{ head, tail uint64 }

const maxDotted = len("255.255.255.255")

// dottedOf reads what may be an IPv4 address. It looks at what stands behind the
// text in its array, but lets it count for nothing.
func dottedOf(b []byte) (d dotted, ok bool) {
	n := len(b)
	if n < len("0.0.0.0") || n > maxDotted {
		return d, false
	}
	if cap(b) < 16 {
		var room [16]byte
		b = append(room[:0], b...)
	}
	d.head = (word(b[:16], 0) ^ '0'*ones) & lowBytes(min(n, 8))
	d.tail = (word(b[:16], 8) ^ '0'*ones) & lowBytes(max(n, 8)-8)
	dots, more := notDigits(d.head)>>7, notDigits(d.tail)>>7
	const dot = ('.' ^ '0') * ones
	strange := (d.head^dot)&(dots*0xff) | (d.tail^dot)&(more*0xff)
	d.tail |= uint64(n) << 56
	return d, strange == 0 && bits.OnesCount64(dots)+bits.OnesCount64(more) == 3
}

// first returns the number before the first dot, if it is a byte.
func (d dotted) first() uint8 {
	n := firstSet(notDigits(d.head)) & 3
	w := uint32(d.head) << (32 - 8*n)
	return uint8(w>>24 + w>>16&15*10 + w>>8&15*100)
}

// lowBytes is the mask of the n lowest bytes.
func lowBytes(n int) uint64 { return 1<<(8*uint(n)) - 1 }

// notDigits sets the top bit of each byte of digits xor '0' that is none.
func notDigits(w uint64) uint64 { return ((w&^tops + (0x80-10)*ones) | w) & tops }

// parseIPv4 reads a dotted address without leading zeros.
func parseIPv4(b []byte) (a uint32, ok bool) {
	n, digits, dots := uint32(0), 0, 0
	for _, c := range b {
		if c == '.' {
			if digits == 0 || dots == 3 {
				return 0, false
			}
			a, n, digits, dots = a<<8|n, 0, 0, dots+1
			continue
		}
		if c < '0' || c > '9' || digits == 1 && n == 0 {
			return 0, false
		}
		if n, digits = n*10+uint32(c-'0'), digits+1; n > 255 {
			return 0, false
		}
	}
	return a<<8 | n, dots == 3 && digits > 0
}

// parseIPv6 reads an address without zone.
func parseIPv6(b []byte) (a [16]byte, ok bool) {
	at, gap := 0, -1
	if len(b) >= 2 && b[0] == ':' && b[1] == ':' {
		gap, b = 0, b[2:]
	}
	for len(b) > 0 {
		if at == 16 {
			return a, false
		}
		n, i := uint32(0), 0
		for i < len(b) && i < 5 {
			d := hexDigit(b[i])
			if d > 15 {
				break
			}
			n, i = n<<4|uint32(d), i+1
		}
		if i < len(b) && b[i] == '.' {
			v4, ok := parseIPv4(b)
			if !ok || at > 12 {
				return a, false
			}
			binary.BigEndian.PutUint32(a[at:], v4)
			at, b = at+4, nil
			break
		}
		if i == 0 || i > 4 {
			return a, false
		}
		a[at], a[at+1], at, b = byte(n>>8), byte(n), at+2, b[i:]
		if len(b) == 0 {
			break
		}
		if b[0] != ':' || len(b) == 1 {
			return a, false
		}
		if b = b[1:]; b[0] == ':' {
			if gap >= 0 {
				return a, false
			}
			gap, b = at, b[1:]
		}
	}
	if at == 16 {
		return a, gap < 0
	}
	if gap < 0 {
		return a, false
	}
	copy(a[16-(at-gap):], a[gap:at])
	clear(a[gap : 16-(at-gap)])
	return a, true
}

func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return (c | 0x20) - 'a' + 10
	}
	return 0xff
}

// firstSet returns the index of the lowest byte whose top bit is set.
func firstSet(w uint64) int { return bits.TrailingZeros64(w) >> 3 }
