package store

import (
	"context"
	"fmt"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/ledger"
)

const (
	chunkHashes   = 32   // hashes in one row of tree_hash
	treeShift     = 40   // tree number << treeShift | place in the tree
	checkpointRun = 1000 // of every so many sizes the last checkpoint is kept
)

// tree is one ledger tree as the writer needs it: number, right edge, and the
// last, unfinished row of hashes. Node zero stands for the node's own tree.
type tree struct {
	id   int64
	edge ledger.Tree
	tail []byte // shared between copies; append copies it first
}

// loadTrees reads the trees' right edges; sizes come from the act and
// link_leaf tables.
func (s *Store) loadTrees() error {
	s.state.trees = map[noroshi.NodeID]tree{}
	type known struct {
		id      int64
		partner noroshi.NodeID
	}
	list := []known{{}}
	rows, err := s.w.c.QueryContext(context.Background(), "SELECT id, partner FROM tree ORDER BY id")
	if err != nil {
		return err
	}
	for rows.Next() {
		var k known
		var p []byte
		if err := rows.Scan(&k.id, &p); err != nil {
			return err
		}
		copy(k.partner[:], p)
		list = append(list, k)
	}
	if err := rows.Close(); err != nil {
		return err
	}
	for _, k := range list {
		n, err := treeSize(s.w, k.id)
		if err != nil {
			return err
		}
		t := tree{id: k.id}
		if t.edge, err = ledger.OpenTree(n, hashReader(s.w, k.id)); err != nil {
			return noroshi.Errorf(noroshi.Broken, "store.tree", "open ledger tree %d, with %d leaves in %s: %w", k.id, n, leavesIn(k.id), err)
		}
		if count := ledger.HashCount(n); count%chunkHashes != 0 {
			if _, err := s.w.one(to(&t.tail), "SELECT hashes FROM tree_hash WHERE id = $1", k.id<<treeShift|count/chunkHashes); err != nil {
				return err
			}
			if int64(len(t.tail)) != count%chunkHashes*32 {
				return noroshi.Errorf(noroshi.Broken, "store.tree", "open ledger tree %d, with %d leaves in %s: %w", k.id, n, leavesIn(k.id), fmt.Errorf("the last row of it in tree_hash has %d bytes", len(t.tail)))
			}
		}
		s.state.trees[k.partner] = t
	}
	return nil
}

// leavesIn is the table whose rows are a tree's leaves.
func leavesIn(id int64) string {
	if id == 0 {
		return "act"
	}
	return "link_leaf"
}

// treeSize counts a tree's leaves by its last row.
func treeSize(c *conn, id int64) (uint64, error) {
	var n int64
	var err error
	if id == 0 {
		_, err = c.one(to(&n), "SELECT coalesce(max(idx) + 1, 0) FROM act")
	} else {
		_, err = c.one(to(&n), "SELECT coalesce(max(id) + 1 - $1, 0) FROM link_leaf WHERE id >= $1 AND id < $2", id<<treeShift, (id+1)<<treeShift)
	}
	return uint64(n), err
}

// hashReader reads a tree's stored hashes.
func hashReader(c *conn, id int64) ledger.HashReader {
	return ledger.HashReaderFunc(func(at []int64) ([]ledger.Hash, error) {
		out := make([]ledger.Hash, len(at))
		for i, x := range at {
			var row []byte
			if _, err := c.one(to(&row), "SELECT hashes FROM tree_hash WHERE id = $1", id<<treeShift|x/chunkHashes); err != nil {
				return nil, err
			}
			off := int(x%chunkHashes) * 32
			if len(row) < off+32 {
				return nil, fmt.Errorf("hash %d of tree %d is missing in tree_hash", x, id)
			}
			copy(out[i][:], row[off:])
		}
		return out, nil
	})
}

// grow appends a leaf to a tree, writes its hashes and its checkpoint.
func (t *Tx) grow(partner noroshi.NodeID, leaf ledger.Hash) (tree, error) {
	tr, ok := t.state.trees[partner]
	if !ok && partner != (noroshi.NodeID{}) {
		tr.id = int64(len(t.state.trees))
		if err := t.c.run("INSERT INTO tree (id, partner) VALUES ($1, $2)", tr.id, partner[:]); err != nil {
			return tr, err
		}
	}
	tr, err := tr.grown(leaf, func(row int64, hashes []byte) error { return t.putHashes(tr.id, row, hashes) })
	if err != nil {
		return tr, err
	}
	t.state.trees[partner] = tr
	return tr, t.checkpoint(partner, tr)
}

// grown is the tree with a leaf more; put gets the rows of hashes that changed.
func (tr tree) grown(leaf ledger.Hash, put func(row int64, hashes []byte) error) (tree, error) {
	at := ledger.HashCount(tr.edge.Size())
	grown, hashes := tr.edge.Append(leaf)
	tail := append(make([]byte, 0, 32*(chunkHashes+8)), tr.tail...)
	row := at / chunkHashes
	for _, h := range hashes {
		tail = append(tail, h[:]...)
		if len(tail) == 32*chunkHashes {
			if err := put(row, tail); err != nil {
				return tr, err
			}
			row, tail = row+1, tail[:0]
		}
	}
	if len(tail) > 0 {
		if err := put(row, tail); err != nil {
			return tr, err
		}
	}
	tr.edge, tr.tail = grown, tail
	return tr, nil
}

func (t *Tx) putHashes(id, row int64, hashes []byte) error {
	return t.c.run("INSERT INTO tree_hash (id, hashes) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET hashes = excluded.hashes", id<<treeShift|row, hashes)
}

// checkpoint signs a tree's head; of every thousand sizes the last stays.
func (t *Tx) checkpoint(partner noroshi.NodeID, tr tree) error {
	c := ledger.Checkpoint{Origin: origin(t.s.options.Realm, t.state.node, partner), Size: tr.edge.Size(), Root: tr.edge.Root()}
	note := c.Sign(t.state.key, t.s.signs.Load().sign)
	return t.c.run("INSERT INTO checkpoint (id, note) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET note = excluded.note",
		tr.id<<treeShift|int64(c.Size/checkpointRun), note)
}
