package ledger

import (
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// Inclusion returns the path that proves leaf n of a stored tree of a size
// (RFC 6962 §2.1.1).
func Inclusion(size, n uint64, r HashReader) ([]Hash, error) {
	return tlog.ProveRecord(int64(size), int64(n), r)
}

// CheckInclusion checks a path that Inclusion or Path made.
func CheckInclusion(path []Hash, size uint64, root Hash, n uint64, leaf Hash) error {
	if n >= size || size >= 1<<62 {
		return fmt.Errorf("leaf %d is not below the tree's size %d", n, size)
	}
	return tlog.CheckRecord(path, int64(size), root, int64(n), leaf)
}

// Path is Inclusion for a tree that is there leaf by leaf, as Root takes it.
func Path(leaves []Hash, n int) []Hash {
	if len(leaves) < 2 {
		return nil
	}
	k := 1 << (bits.Len(uint(len(leaves)-1)) - 1)
	if n < k {
		return append(Path(leaves[:k], n), Root(leaves[k:]))
	}
	return append(Path(leaves[k:], n-k), Root(leaves[:k]))
}

// Consistency returns the hashes that prove that a stored tree of a size begins
// with the tree of a smaller size (RFC 6962 §2.1.2); none from 0 or from the
// size itself.
func Consistency(size, from uint64, r HashReader) ([]Hash, error) {
	if from == 0 || from == size {
		return nil, nil
	}
	return tlog.ProveTree(int64(size), int64(from), r)
}

// Extends checks that a tree only grew since an earlier head: the same origin,
// no smaller, and the earlier one's leaves at its beginning, by a proof that
// Consistency made. An empty earlier tree is the beginning of every tree.
func (c Checkpoint) Extends(old Checkpoint, proof []Hash) error {
	switch {
	case c.Origin != old.Origin:
		return fmt.Errorf("checkpoint is of %q, not of %q", c.Origin, old.Origin)
	case c.Size < old.Size || c.Size >= 1<<62:
		return fmt.Errorf("tree of %d leaves had %d before", c.Size, old.Size)
	case c.Size == old.Size && c.Root != old.Root:
		return fmt.Errorf("tree of %d leaves has another root than before", c.Size)
	case old.Size == 0 && old.Root != Empty && old.Root != (Hash{}):
		return fmt.Errorf("tree without leaves has a root")
	case c.Size == old.Size || old.Size == 0:
		if len(proof) > 0 {
			return fmt.Errorf("tree of %d leaves: there is nothing to prove from %d", c.Size, old.Size)
		}
		return nil
	}
	if err := tlog.CheckTree(proof, int64(c.Size), c.Root, int64(old.Size), old.Root); err != nil {
		return fmt.Errorf("tree of %d leaves does not begin with that of %d: %w", c.Size, old.Size, err)
	}
	return nil
}

// RootAt returns the root a stored tree had at a size.
func RootAt(size uint64, r HashReader) (Hash, error) {
	t, err := OpenTree(size, r)
	return t.Root(), err
}

// Origin is the name under which a tree's checkpoints are signed: of a realm
// and a node, and of the link with a partner unless that is empty.
func Origin(realm, node, partner string) string {
	o := "noroshi/" + realm + "/" + node
	if partner != "" {
		o += "/link/" + partner
	}
	return o
}
