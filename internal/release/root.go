package release

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Root returns the Merkle root of a hold or batch (RFC 6962 §2.1) over one
// leaf per row, in order: object hash, view hash, outcome.
func Root(rows []store.Decided) noroshi.Hash {
	if len(rows) == 0 {
		return sha256.Sum256(nil)
	}
	level := make([]noroshi.Hash, len(rows))
	for i, r := range rows {
		level[i] = leaf(r)
	}
	// A tree of RFC 6962 is the same as pairing level by level and carrying an
	// odd one up.
	for len(level) > 1 {
		up := level[:0]
		for i := 0; i < len(level); i += 2 {
			if i+1 == len(level) {
				up = append(up, level[i])
				break
			}
			up = append(up, pair(level[i], level[i+1]))
		}
		level = up
	}
	return level[0]
}

func leaf(r store.Decided) noroshi.Hash {
	var b [1 + 32 + 32 + 1]byte
	copy(b[1:], r.Hash[:])
	copy(b[33:], r.View[:])
	b[65] = byte(noroshi.Release)
	if r.View != r.Hash {
		b[65] = byte(noroshi.Redact)
	}
	return sha256.Sum256(b[:])
}

func pair(l, r noroshi.Hash) noroshi.Hash {
	var b [65]byte
	b[0] = 1
	copy(b[1:], l[:])
	copy(b[33:], r[:])
	return sha256.Sum256(b[:])
}

// HoldDigest binds a hold's root to everything an approval is about: realm and
// node, partner, agreement, clause, label, precedence, key and count. Change
// any of them and former approvals are void.
func HoldDigest(realm noroshi.Realm, node noroshi.NodeID, g store.HoldGroup, root noroshi.Hash) noroshi.Hash {
	h := sha256.New()
	for _, part := range [][]byte{
		[]byte("noroshi hold 1"), []byte(realm.String()), node[:], g.Partner[:], g.Agreement[:],
		[]byte(g.Clause), []byte(g.Label), {byte(g.Precedence)}, []byte(g.Key),
		binary.BigEndian.AppendUint64(nil, uint64(g.Count)), root[:],
	} {
		writePart(h, part)
	}
	return noroshi.Hash(h.Sum(nil))
}

// writePart writes a part with its length before it, so that no two lists of
// parts read alike.
func writePart(h hash.Hash, part []byte) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(part)))
	h.Write(n[:])
	h.Write(part)
}
