package ledger

import (
	"encoding/binary"
)

// Row builds the deterministic CBOR of one database row: an array of the
// table's name and the columns in the table's order (RFC 8949 §4.2.1: shortest
// heads, definite lengths). A Row may be used again after Begin.
type Row struct{ buf []byte }

// Begin starts a row with n columns.
func (r *Row) Begin(table string, n int) {
	r.buf = appendHead(r.buf[:0], 4, uint64(n+1))
	r.Text(table)
}

// Int adds an integer column.
func (r *Row) Int(v int64) {
	if v < 0 {
		r.buf = appendHead(r.buf, 1, uint64(-1-v))
		return
	}
	r.buf = appendHead(r.buf, 0, uint64(v))
}

// Text adds a text column.
func (r *Row) Text(s string) {
	r.buf = appendHead(r.buf, 3, uint64(len(s)))
	r.buf = append(r.buf, s...)
}

// TextOf adds a text column given as bytes.
func (r *Row) TextOf(b []byte) {
	r.buf = appendHead(r.buf, 3, uint64(len(b)))
	r.buf = append(r.buf, b...)
}

// Bytes adds a binary column.
func (r *Row) Bytes(b []byte) {
	r.buf = appendHead(r.buf, 2, uint64(len(b)))
	r.buf = append(r.buf, b...)
}

// Encoding returns the row's bytes, valid until the next Begin.
func (r *Row) Encoding() []byte { return r.buf }

// Hash returns the row's leaf hash.
func (r *Row) Hash() Hash { return LeafHash(r.buf) }

func appendHead(b []byte, major byte, n uint64) []byte {
	m := major << 5
	switch {
	case n < 24:
		return append(b, m|byte(n))
	case n < 1<<8:
		return append(b, m|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, m|25), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, m|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, m|27), n)
}
