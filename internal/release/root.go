package release

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// HoldDigest binds a hold's root to everything an approval is about: realm and
// node, partner, agreement, clause, label, precedence, key, count and the moment
// it was opened. Change any of them and former approvals are void: what was
// returned, or released and taken back, is approved anew.
func HoldDigest(realm noroshi.Realm, node noroshi.NodeID, g store.HoldGroup, root noroshi.Hash) noroshi.Hash {
	h := sha256.New()
	for _, part := range [][]byte{
		[]byte("noroshi hold 2"), []byte(realm.String()), node[:], g.Partner[:], g.Agreement[:],
		[]byte(g.Clause), []byte(g.Label), {byte(g.Precedence)}, []byte(g.Key),
		binary.BigEndian.AppendUint64(nil, uint64(g.Count)), root[:],
		binary.BigEndian.AppendUint64(nil, uint64(g.Opened.UnixMicro())),
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
