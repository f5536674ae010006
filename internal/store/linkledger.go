package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/ledger"
)

// onLink runs fn on the tree of a link: its number and size, 0 and 0 where no
// act has begun it.
func (r Reads) onLink(ctx context.Context, partner noroshi.NodeID, fn func(c *conn, id int64, size uint64) error) error {
	err := r.on(ctx, func(c *conn) error {
		var id int64
		found, err := c.one(to(&id), "SELECT id FROM tree WHERE partner = $1", partner[:])
		if err != nil {
			return err
		}
		size := uint64(0)
		if found {
			if size, err = treeSize(c, id); err != nil {
				return err
			}
		}
		return fn(c, id, size)
	})
	if err != nil {
		return fmt.Errorf("read ledger of link %s: %w", partner, err)
	}
	return nil
}

func linkRoot(c *conn, id int64, size uint64) (noroshi.Hash, error) {
	if size == 0 {
		return noroshi.Hash(ledger.Empty), nil
	}
	root, err := ledger.RootAt(size, hashReader(c, id))
	return noroshi.Hash(root), err
}

// LinkRoot returns the root the link ledger with a partner had at a size; false
// when it never had so many leaves.
func (r Reads) LinkRoot(ctx context.Context, partner noroshi.NodeID, size uint64) (root noroshi.Hash, ok bool, err error) {
	err = r.onLink(ctx, partner, func(c *conn, id int64, n uint64) error {
		if ok = size <= n; !ok {
			return nil
		}
		root, err = linkRoot(c, id, size)
		return err
	})
	return root, ok, err
}

// LinkConsistency proves that the link ledger at one size begins with what it
// was at a smaller one; nothing is needed from 0 or from the size itself.
func (r Reads) LinkConsistency(ctx context.Context, partner noroshi.NodeID, from, size uint64) (proof []noroshi.Hash, err error) {
	err = r.onLink(ctx, partner, func(c *conn, id int64, n uint64) error {
		if from > size || size > n {
			return noroshi.Errorf(noroshi.Invalid, "store.link-size", "the ledger of link %s has %d leaves: nothing is proven from %d to %d", partner.String(), n, from, size)
		}
		hashes, err := ledger.Consistency(size, from, hashReader(c, id))
		for _, h := range hashes {
			proof = append(proof, noroshi.Hash(h))
		}
		return err
	})
	return proof, err
}

// LinkLeaf is one act as the ledger of its link has it.
type LinkLeaf struct {
	Act  uint64 // index in the node's ledger
	Leaf []byte // exact bytes in the link's tree (ledger.LinkLeaf)
	ledger.LinkLeaf
	Salt []byte // opens what the leaf says of its subject, with
	Of   string // the subject
}

// LinkLeaves lists the leaves of a link's ledger from an index on.
func (r Reads) LinkLeaves(ctx context.Context, partner noroshi.NodeID, from uint64, limit int) (list []LinkLeaf, err error) {
	err = r.onLink(ctx, partner, func(c *conn, id int64, size uint64) error {
		if from >= size {
			return nil
		}
		return c.each(ctx, func(rows *sql.Rows) error {
			var at, act int64
			var leaf, detail []byte
			if err := rows.Scan(&at, &act, &leaf, &detail); err != nil {
				return err
			}
			x, err := readLinkLeaf(leaf, detail, uint64(at&(1<<treeShift-1)))
			if err != nil {
				return noroshi.Errorf(noroshi.Broken, "store.act", "read act %d: %w", act, err)
			}
			x.Act = uint64(act)
			list = append(list, x)
			return nil
		}, "SELECT l.id, l.act, a.leaf, a.detail FROM link_leaf l JOIN act a ON a.idx = l.act WHERE l.id >= $1 AND l.id < $2 ORDER BY l.id LIMIT $3",
			id<<treeShift|int64(from), (id+1)<<treeShift, page(limit))
	})
	return list, err
}

func readLinkLeaf(leaf, detail []byte, index uint64) (x LinkLeaf, err error) {
	l, err := ledger.Decode[ledger.Leaf](leaf)
	if err != nil {
		return x, err
	}
	d, err := ledger.Decode[ledger.Detail](detail)
	if err != nil {
		return x, err
	}
	x.LinkLeaf = linkLeaf(&l, d, index)
	x.Leaf, x.Salt, x.Of = ledger.Encode(x.LinkLeaf), d.LinkSalt(), d.Subject
	return x, nil
}

// LinkActed reports whether the ledger of a link has a leaf of class act (see
// noroshi.Action.Evidence) from an index on, and how many leaves it has.
func (r Reads) LinkActed(ctx context.Context, partner noroshi.NodeID, from uint64) (acted bool, size uint64, err error) {
	for size, _, err = r.linkSize(ctx, partner); err == nil && from < size; {
		list, err := r.LinkLeaves(ctx, partner, from, MaxPage)
		if err != nil || len(list) == 0 {
			return false, size, err
		}
		for _, l := range list {
			if !noroshi.Action(l.Action).Evidence() {
				return true, size, nil
			}
		}
		from += uint64(len(list))
	}
	return false, size, err
}

func (r Reads) linkSize(ctx context.Context, partner noroshi.NodeID) (size uint64, id int64, err error) {
	err = r.onLink(ctx, partner, func(_ *conn, tree int64, n uint64) error {
		id, size = tree, n
		return nil
	})
	return size, id, err
}

// Head is the head of a tree of the ledger as it stands, with the note the node
// signs over it.
type Head struct {
	Size uint64       `json:"size"`
	Root noroshi.Hash `json:"root"`
	Note []byte       `json:"note,omitempty"` // signed note of C2SP, without a signature where the store has no key; none of an empty tree
}

// DocIssued is the kind of the documents that hold each head issued to a
// partner; key: NodeID; body: an Issued as JSON.
const DocIssued = "link-checkpoint"

// Issued is a head of a link's ledger as it was issued to the partner. Salt and
// Whole open the commitment to the node's whole ledger that went with it; and as
// the document is under the link's next head, what the partner countersigns
// holds the whole ledger too.
type Issued struct {
	Size  uint64    `json:"size"`
	Note  []byte    `json:"note"`
	At    time.Time `json:"at"`
	Salt  []byte    `json:"salt"`
	Whole Head      `json:"whole"` // of the node's ledger at that moment
}

// Head returns the head of the ledger of a link, or of the node's whole ledger
// (zero), without the act that is being written.
func (t *Tx) Head(partner noroshi.NodeID) (Head, error) {
	tr, ok := t.state.trees[partner]
	h := Head{Size: tr.edge.Size(), Root: noroshi.Hash(tr.edge.Root())}
	if !ok || h.Size == 0 {
		return h, nil
	}
	_, err := t.c.one(to(&h.Note), "SELECT note FROM checkpoint WHERE id = $1", tr.id<<treeShift|int64(h.Size/checkpointRun))
	return h, err
}

// LedgerRoot returns the root the node's whole ledger had at a size; false when
// it never had so many entries.
func (r Reads) LedgerRoot(ctx context.Context, size uint64) (root noroshi.Hash, ok bool, err error) {
	err = r.on(ctx, func(c *conn) error {
		n, err := treeSize(c, 0)
		if ok = size <= n; err != nil || !ok {
			return err
		}
		root, err = linkRoot(c, 0, size)
		return err
	})
	return root, ok, err
}

// LedgerHead returns the head of the node's whole ledger, and the proof that it
// begins with what it was at a smaller size (none from 0).
func (r Reads) LedgerHead(ctx context.Context, from uint64) (h Head, proof []noroshi.Hash, err error) {
	err = r.on(ctx, func(c *conn) error {
		if h.Size, err = treeSize(c, 0); err != nil || h.Size == 0 {
			return err
		}
		if from > h.Size {
			return noroshi.Errorf(noroshi.Invalid, "store.ledger-size", "the ledger has %d entries, not %d", h.Size, from)
		}
		root, err := ledger.RootAt(h.Size, hashReader(c, 0))
		if err != nil {
			return err
		}
		h.Root = noroshi.Hash(root)
		hashes, err := ledger.Consistency(h.Size, from, hashReader(c, 0))
		if err != nil {
			return err
		}
		for _, x := range hashes {
			proof = append(proof, noroshi.Hash(x))
		}
		_, err = c.one(to(&h.Note), "SELECT note FROM checkpoint WHERE id = $1", int64(h.Size/checkpointRun))
		return err
	})
	return h, proof, err
}

// LinkNote returns the signed head of a link's ledger as it stands.
func (r Reads) LinkNote(ctx context.Context, partner noroshi.NodeID) (note []byte, size uint64, err error) {
	err = r.onLink(ctx, partner, func(c *conn, id int64, n uint64) error {
		if size = n; n == 0 {
			return nil // no ledger yet: id 0 is the node's own
		}
		_, err := c.one(to(&note), "SELECT note FROM checkpoint WHERE id = $1", id<<treeShift|int64(n/checkpointRun))
		return err
	})
	return note, size, err
}

// Epochs returns the epochs of a stream, ours to the partner or the partner's,
// in the order in which they began here.
func (r Reads) Epochs(ctx context.Context, partner noroshi.NodeID, out bool) (list [][16]byte, err error) {
	table := "in_message"
	if out {
		table = "out_message"
	}
	err = r.on(ctx, func(c *conn) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			var e []byte
			err := rows.Scan(&e)
			list = append(list, [16]byte(append(e, make([]byte, 16)...)))
			return err
		}, "SELECT epoch FROM "+table+" WHERE partner = $1 GROUP BY epoch ORDER BY min(n)", partner[:])
	})
	return list, err
}
