// Package ledger holds the arithmetic of a tamper-evident record: RFC 6962
// Merkle trees that grow one leaf at a time, the leaf of an act, the hash of a
// database row, signed checkpoints and proofs that can be checked offline.
//
// It does no I/O. Whoever keeps a tree stores the hashes that Append returns,
// in order (the order of golang.org/x/mod/sumdb/tlog), and hands them back
// through a HashReader. Encodings are deterministic CBOR (RFC 8949 §4.2), so
// that one thing has one hash.
//
// An act has one leaf in the node's tree. The leaf names what was done and
// commits to everything the act wrote by the RFC 6962 root over the hashes of
// its rows. An act on a link has a second leaf, in that link's tree, that says
// nothing about rows, other links or persons: it is what a partner may see.
package ledger

import (
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// Hash is a SHA-256 as RFC 6962 uses it.
type Hash = tlog.Hash

// HashReader hands back stored hashes of a tree by their tlog index.
type HashReader = tlog.HashReader

// HashReaderFunc makes a function a HashReader.
type HashReaderFunc = tlog.HashReaderFunc

// LeafHash returns the hash of a leaf (RFC 6962 §2.1: SHA-256 of 0x00 and data).
func LeafHash(data []byte) Hash { return tlog.RecordHash(data) }

// HashCount returns how many hashes a tree of n leaves has stored.
func HashCount(n uint64) int64 { return tlog.StoredHashCount(int64(n)) }

// Empty is the root of a tree without leaves (RFC 6962 §2.1: SHA-256 of nothing).
var Empty = Hash{
	0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
	0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
}

// Tree is the right edge of a growing tree: all that is needed to append and
// to name the root. Append returns a new Tree and leaves the old one as it
// was, so that a transaction that fails simply drops it.
type Tree struct {
	size uint64
	edge [64]Hash // edge[k]: root of the complete subtree of 2^k leaves, where bit k of size is set
}

// Size returns the number of leaves.
func (t Tree) Size() uint64 { return t.size }

// Append adds a leaf and returns the grown tree and the hashes to store, in
// order, after those stored so far.
func (t Tree) Append(leaf Hash) (Tree, []Hash) {
	stored := make([]Hash, 1, 2+bits.TrailingZeros64(^t.size))
	stored[0] = leaf
	k := 0
	for h := leaf; ; k++ {
		if t.size&(1<<k) == 0 {
			t.edge[k] = h
			break
		}
		h = tlog.NodeHash(t.edge[k], h)
		t.edge[k] = Hash{}
		stored = append(stored, h)
	}
	t.size++
	return t, stored
}

// Root returns the root of the tree.
func (t Tree) Root() Hash {
	var root Hash
	found := false
	for k := range 64 {
		switch {
		case t.size&(1<<k) == 0:
		case found:
			root = tlog.NodeHash(t.edge[k], root)
		default:
			root, found = t.edge[k], true
		}
	}
	if !found {
		return Empty
	}
	return root
}

// OpenTree rebuilds the right edge of a tree of n leaves from stored hashes.
func OpenTree(n uint64, r HashReader) (Tree, error) {
	t := Tree{size: n}
	var at []int64
	var levels []int
	for k := 63; k >= 0; k-- {
		if n&(1<<k) != 0 {
			at = append(at, tlog.StoredHashIndex(k, int64(n>>(k+1))<<1))
			levels = append(levels, k)
		}
	}
	if len(at) == 0 {
		return t, nil
	}
	hashes, err := r.ReadHashes(at)
	if err != nil {
		return t, err
	}
	for i, k := range levels {
		t.edge[k] = hashes[i]
	}
	return t, nil
}

// Root returns the RFC 6962 root over leaf hashes.
func Root(leaves []Hash) Hash {
	switch len(leaves) {
	case 0:
		return Empty
	case 1:
		return leaves[0]
	}
	k := 1 << (bits.Len(uint(len(leaves)-1)) - 1)
	return tlog.NodeHash(Root(leaves[:k]), Root(leaves[k:]))
}
