package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/ledger"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// LinkProof proves by the ledger of a link that an act wrote a row.
type LinkProof struct {
	Size    uint64 // of the tree the path leads to
	Leaf    []byte // the act's leaf in it (ledger.LinkLeaf)
	Path    []noroshi.Hash
	Row     []byte // the row, deterministic CBOR
	At      uint64 // its place among the act's rows
	Rows    uint64 // how many the act wrote
	RowPath []noroshi.Hash
}

// Place names a row of evidence.
type Place struct {
	Partner noroshi.NodeID
	Table   string // "out_message", "in_message", "batch", "evidence"
	Key     int64
}

// ProveLink proves a row by the link's ledger as it was at a size, 0 for as it
// is. The error is Invalid for an act of before the leaves of links had their
// rows, or after that size.
func (r Reads) ProveLink(ctx context.Context, p Place, size uint64) (x LinkProof, err error) {
	err = r.onLink(ctx, p.Partner, func(c *conn, id int64, n uint64) error {
		if x.Size = size; size == 0 || size > n {
			x.Size = n
		}
		t := tableNamed(p.Table)
		if t == nil {
			return noroshi.Errorf(noroshi.Invalid, "store.not-on-link", "no act among the first %d of the link wrote it", x.Size)
		}
		var act int64
		found, err := c.one(to(&act), "SELECT act FROM "+t.name+" WHERE "+t.key+" = $1", p.Key)
		if err != nil {
			return err
		}
		var leafID int64
		var leaf, detail []byte
		if found {
			found, err = c.one(to(&leafID, &leaf, &detail), "SELECT l.id, a.leaf, a.detail FROM link_leaf l JOIN act a ON a.idx = l.act WHERE l.id >= $1 AND l.id < $2 AND l.act = $3",
				id<<treeShift, (id+1)<<treeShift, act)
		}
		if err != nil {
			return err
		}
		index := uint64(leafID & (1<<treeShift - 1))
		if !found || index >= x.Size {
			return noroshi.Errorf(noroshi.Invalid, "store.not-on-link", "no act among the first %d of the link wrote it", x.Size)
		}
		own, err := readLinkLeaf(leaf, detail, index)
		if err != nil {
			return err
		}
		if own.Version < 2 {
			return noroshi.Errorf(noroshi.Invalid, "store.link-form", "act %d was entered before leaves of links could prove what it wrote; prove it by its index", act)
		}
		x.Leaf = own.Leaf
		hashes, err := ledger.Inclusion(x.Size, index, hashReader(c, id))
		if err != nil {
			return err
		}
		x.Path = own64(hashes)
		return x.row(c, act, p)
	})
	return x, err
}

// row fills in the row and its path through the rows of its act.
func (x *LinkProof) row(c *conn, act int64, p Place) error {
	var all []ledger.Hash
	at := -1
	err := eachRow(c, act, func(t *table, key int64, r *ledger.Row) {
		if t.name == p.Table && key == p.Key {
			at, x.Row = len(all), append([]byte(nil), r.Encoding()...)
		}
		all = append(all, r.Hash())
	})
	if err != nil || at < 0 {
		return fmt.Errorf("act %d has no row %d of %s: %w", act, p.Key, p.Table, err)
	}
	x.At, x.Rows, x.RowPath = uint64(at), uint64(len(all)), own64(ledger.Path(all, at))
	return nil
}

func own64(hashes []ledger.Hash) (list []noroshi.Hash) {
	for _, h := range hashes {
		list = append(list, noroshi.Hash(h))
	}
	return list
}

func tableNamed(name string) *table {
	for _, t := range tables {
		if t.name == name {
			return t
		}
	}
	return nil
}

// Column returns a column of a row as ProveLink gives it, by the table's name
// and the column's; false where the row is not of that table or has it not. A
// number is an int64 or uint64, a text a string, bytes a []byte.
func Column(row []any, tableName, column string) (any, bool) {
	if len(row) < 2 || row[0] != tableName {
		return nil, false
	}
	at := 2
	t := tableNamed(tableName)
	if t == nil {
		return nil, false
	}
	for i, c := range t.columns {
		if c == column && at < len(row) {
			return row[at], true
		}
		if t.kinds[i] != 'x' {
			at++
		}
	}
	return nil, false
}

// MessageAt is where a message stands on record.
type MessageAt struct {
	Place
	Out     bool
	Epoch   [16]byte
	Seq     uint64
	Kind    uint8
	Signed  []byte
	Content []byte // where it is kept with the message
}

// FindMessage looks for a message by its id, sent or received.
func (r Reads) FindMessage(ctx context.Context, id noroshi.Hash) (m MessageAt, err error) {
	err = r.on(ctx, func(c *conn) error {
		var partner, epoch []byte
		found, err := c.one(to(&m.Key, &partner, &epoch, &m.Seq, &m.Kind, &m.Signed, &m.Content),
			"SELECT n, partner, epoch, seq, kind, signed, content FROM out_message WHERE id = $1 ORDER BY n LIMIT 1", id[:])
		if m.Table, m.Out = "out_message", true; err == nil && !found {
			m.Table, m.Out = "in_message", false
			found, err = c.one(to(&m.Key, &partner, &epoch, &m.Seq, &m.Kind, &m.Signed, &m.Content),
				"SELECT i.n, i.partner, i.epoch, i.seq, i.kind, i.signed, c.content FROM in_message i LEFT JOIN in_content c ON c.n = i.n WHERE i.id = $1 ORDER BY i.n LIMIT 1", id[:])
		}
		if err == nil && !found {
			err = noroshi.Errorf(noroshi.NotFound, "store.no-message-id", "no message %s is on record", id.String())
		}
		copy(m.Partner[:], partner)
		copy(m.Epoch[:], epoch)
		return err
	})
	return m, err
}

// BatchAt returns where a batch stands on record.
func (r Reads) BatchAt(ctx context.Context, id string) (p Place, err error) {
	p.Table = "batch"
	err = r.on(ctx, func(c *conn) error {
		var partner []byte
		found, err := c.one(to(&p.Key, &partner), "SELECT n, partner FROM batch WHERE id = $1", id)
		if err == nil && !found {
			err = noroshi.Errorf(noroshi.NotFound, "store.no-batch", "no batch %s is on record", id)
		}
		copy(p.Partner[:], partner)
		return err
	})
	return p, err
}

// RecallMessages lists the RECALL messages sent to partners, or received, the
// latest first: pass the Key of the last of a page as before, 0 to begin.
func (r Reads) RecallMessages(ctx context.Context, out bool, before int64, limit int) (list []MessageAt, err error) {
	table := "in_message"
	q := "SELECT i.n, i.partner, i.epoch, i.seq, i.signed, c.content FROM in_message i JOIN in_content c ON c.n = i.n WHERE i.kind = $1 AND i.n < $2 ORDER BY i.n DESC LIMIT $3"
	if out {
		table, q = "out_message", "SELECT n, partner, epoch, seq, signed, content FROM out_message WHERE kind = $1 AND n < $2 ORDER BY n DESC LIMIT $3"
	}
	if before <= 0 {
		before = 1 << 62
	}
	err = r.on(ctx, func(c *conn) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			m := MessageAt{Place: Place{Table: table}, Out: out, Kind: uint8(message.Recall)}
			var partner, epoch []byte
			err := rows.Scan(&m.Key, &partner, &epoch, &m.Seq, &m.Signed, &m.Content)
			copy(m.Partner[:], partner)
			copy(m.Epoch[:], epoch)
			list = append(list, m)
			return err
		}, q, int64(message.Recall), before, page(limit))
	})
	return list, err
}
