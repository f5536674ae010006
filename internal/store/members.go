package store

import (
	"encoding/binary"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/ledger"
)

// Decided is one object's outcome in a release or hold: rows of one batch or
// hold in the order of its Merkle tree.
type Decided struct {
	Seq  int64        // version
	Hash noroshi.Hash // of the version's bytes
	View noroshi.Hash // of the bytes the partner gets; equals Hash when uncut
	Cut  []string     // what is cut out of the version or said less exactly, as the exit gate writes it; none when uncut
	N    uint32       // number of the view, 0 = the version's own bytes as they first went; PutBatch gives it
}

// view reports whether a row shows other than the version's own bytes as they
// first went, or would if they said more: what a cut leaves as it was is a view
// too, so that its number tells nothing of what could have been cut.
func (d *Decided) view() bool { return d.View != d.Hash || d.N != 0 || len(d.Cut) > 0 }

func countViews(rows []Decided) (n int64) {
	for i := range rows {
		if rows[i].view() {
			n++
		}
	}
	return n
}

// BatchRoot is the root of a batch or hold: the RFC 6962 root over the leaves
// CBOR ["decided", object hash, view hash, outcome], outcome being Redact where
// the view differs and Release where it does not.
func BatchRoot(rows []Decided) noroshi.Hash {
	hashes := make([]ledger.Hash, len(rows))
	var r ledger.Row
	for i := range rows {
		d := &rows[i]
		outcome := noroshi.Release
		if d.View != d.Hash {
			outcome = noroshi.Redact
		}
		r.Begin("decided", 3)
		r.Bytes(d.Hash[:])
		r.Bytes(d.View[:])
		r.Int(int64(outcome))
		hashes[i] = r.Hash()
	}
	return noroshi.Hash(ledger.Root(hashes))
}

// chunkMembers bounds how many members one row holds.
const chunkMembers = 1000

// packMembers packs members: each the difference of its sequence to the one
// before (zig-zag varint), then 0 and the hash, or 1, hash, view, the view's
// number and the selectors of what is cut.
func packMembers(rows []Decided) []byte {
	b := make([]byte, 0, 36*len(rows))
	last := int64(0)
	for i := range rows {
		d := &rows[i]
		b = binary.AppendVarint(b, d.Seq-last)
		last = d.Seq
		if !d.view() {
			b = append(append(b, 0), d.Hash[:]...)
			continue
		}
		b = append(append(append(b, 1), d.Hash[:]...), d.View[:]...)
		b = binary.AppendUvarint(b, uint64(d.N))
		b = appendTexts(b, d.Cut)
	}
	return b
}

func unpackMembers(b []byte) ([]Decided, error) {
	u := unpacker{b: b}
	var rows []Decided
	last := int64(0)
	for len(u.b) > 0 {
		last += u.varint()
		d := Decided{Seq: last}
		form := u.take(1)
		copy(d.Hash[:], u.take(32))
		d.View = d.Hash
		if len(form) == 1 && form[0] == 1 {
			copy(d.View[:], u.take(32))
			d.N = uint32(u.uvarint())
			for range u.count() {
				d.Cut = append(d.Cut, u.text())
			}
		}
		rows = append(rows, d)
	}
	return rows, u.err
}

// packRuns packs sorted sequences as runs: the gap to the run, its length.
func packRuns(seqs []int64) []byte {
	var b []byte
	last := int64(0)
	for _, r := range runs(seqs) {
		b = binary.AppendUvarint(b, uint64(r.lo-last))
		b = binary.AppendUvarint(b, uint64(r.hi-r.lo))
		last = r.hi
	}
	return b
}

// maxRun bounds a run that is read back, so that a damaged row cannot make a
// reader count for ever.
const maxRun = 1 << 26

func unpackRuns(b []byte) ([]span, error) {
	u := unpacker{b: b}
	var list []span
	last := int64(0)
	for len(u.b) > 0 {
		lo := last + int64(u.uvarint())
		hi := lo + int64(u.uvarint())
		if lo < last || hi < lo || hi-lo > maxRun {
			return nil, errPacked
		}
		list = append(list, span{lo, hi, 1})
		last = hi
	}
	return list, u.err
}
