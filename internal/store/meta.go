package store

import (
	"encoding/binary"
	"errors"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// meta is what an object row says beside the object's own bytes: what the
// indexes hold, the markings assigned at admission, and of an indicator the
// time it is valid, so that arming reads no JSON.
//
// Packed: validity (two zig-zag varints, microseconds, 0 = open), then four
// lists, each a count and its elements: values (kind byte, text, port),
// assigned markings, flags, references. Texts are a length and bytes.
type meta struct {
	from, until int64
	values      []noroshi.Value
	assigned    []stix.ID
	flags       []string
	refs        []stix.ID
}

// kinds of values by their byte; 0 is written before a kind's own text.
var kinds = []noroshi.ValueKind{"", noroshi.IPv4, noroshi.IPv6, noroshi.CIDR, noroshi.AddrPort, noroshi.DomainName, noroshi.URL,
	noroshi.URLPart, noroshi.MD5, noroshi.SHA1, noroshi.SHA256, noroshi.SHA512, noroshi.EmailAddr}

func kindByte(k noroshi.ValueKind) byte {
	for i, known := range kinds {
		if known == k {
			return byte(i)
		}
	}
	return 0
}

func appendText[T ~string](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendTexts[T ~string](b []byte, list []T) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = appendText(b, s)
	}
	return b
}

func appendValues(b []byte, list []noroshi.Value) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, v := range list {
		k := kindByte(v.Kind)
		b = append(b, k)
		if k == 0 {
			b = appendText(b, v.Kind)
		}
		b = appendText(b, v.Text)
		if v.Kind == noroshi.AddrPort || k == 0 {
			b = binary.AppendUvarint(b, uint64(v.Port))
		}
	}
	return b
}

func (m *meta) pack() []byte {
	b := binary.AppendVarint(make([]byte, 0, 64), m.from)
	b = binary.AppendVarint(b, m.until)
	b = appendValues(b, m.values)
	b = appendTexts(b, m.assigned)
	b = appendTexts(b, m.flags)
	return appendTexts(b, m.refs)
}

var errPacked = errors.New("packed column is damaged: run audit verify")

// errEnough ends a walk over rows early.
var errEnough = errors.New("enough")

// unpacker reads packed columns; after the first fault it reads nothing more.
type unpacker struct {
	b   []byte
	err error
}

func (u *unpacker) fail() { u.b, u.err = nil, errPacked }

func (u *unpacker) uvarint() uint64 {
	v, n := binary.Uvarint(u.b)
	if n <= 0 {
		u.fail()
		return 0
	}
	u.b = u.b[n:]
	return v
}

func (u *unpacker) varint() int64 {
	v, n := binary.Varint(u.b)
	if n <= 0 {
		u.fail()
		return 0
	}
	u.b = u.b[n:]
	return v
}

func (u *unpacker) take(n uint64) []byte {
	if n > uint64(len(u.b)) {
		u.fail()
		return nil
	}
	p := u.b[:n]
	u.b = u.b[n:]
	return p
}

func (u *unpacker) text() string { return string(u.take(u.uvarint())) }

// count reads the length of a list; no element is shorter than a byte.
func (u *unpacker) count() int {
	n := u.uvarint()
	if n > uint64(len(u.b)) {
		u.fail()
		return 0
	}
	return int(n)
}

func (u *unpacker) value() noroshi.Value {
	k := u.take(1)
	if len(k) == 0 || int(k[0]) >= len(kinds) {
		u.fail()
		return noroshi.Value{}
	}
	v := noroshi.Value{Kind: kinds[k[0]]}
	if k[0] == 0 {
		v.Kind = noroshi.ValueKind(u.text())
	}
	v.Text = u.text()
	if v.Kind == noroshi.AddrPort || k[0] == 0 {
		v.Port = uint16(u.uvarint())
	}
	return v
}

func (u *unpacker) values(into []noroshi.Value) []noroshi.Value {
	for range u.count() {
		into = append(into, u.value())
	}
	return into
}

func unpackTexts[T ~string](u *unpacker) []T {
	n := u.count()
	if n == 0 {
		return nil
	}
	list := make([]T, 0, n)
	for range n {
		list = append(list, T(u.text()))
	}
	return list
}

func unpackMeta(b []byte) (m meta, err error) {
	u := unpacker{b: b}
	m.from, m.until = u.varint(), u.varint()
	m.values = u.values(nil)
	m.assigned, m.flags, m.refs = unpackTexts[stix.ID](&u), unpackTexts[string](&u), unpackTexts[stix.ID](&u)
	if u.err == nil && len(u.b) > 0 {
		u.fail()
	}
	return m, u.err
}
