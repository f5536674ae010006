package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/ledger"
)

// scan is an evidential table read row by row, in key order.
type scan struct {
	t        *table
	rows     *sql.Rows
	key, act int64
	ints     []int64
	raws     []sql.RawBytes
	dest     []any
	ok       bool
}

func openScan(c *conn, t *table) (*scan, error) { return openScanFrom(c, t, -1<<62) }

// openScanFrom reads from a key on.
func openScanFrom(c *conn, t *table, from int64) (*scan, error) {
	rows, err := c.c.QueryContext(context.Background(), t.scan, from)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", t.name, err)
	}
	s := &scan{t: t, rows: rows, ints: make([]int64, len(t.columns)), raws: make([]sql.RawBytes, len(t.columns))}
	s.dest = []any{&s.key, &s.act}
	for i := range t.columns {
		if t.kinds[i] == 'i' {
			s.dest = append(s.dest, &s.ints[i])
		} else {
			s.dest = append(s.dest, &s.raws[i])
		}
	}
	return s, s.next()
}

func (s *scan) close() { s.rows.Close() }

// next goes to the next row; ok is false after the last.
func (s *scan) next() error {
	if s.ok = s.rows.Next(); !s.ok {
		return s.rows.Err()
	}
	return s.rows.Scan(s.dest...)
}

func (s *scan) column(name string) int {
	i := slices.Index(s.t.columns, name)
	if i < 0 {
		panic("store: table " + s.t.name + " has no column " + name)
	}
	return i
}

func (s *scan) int(name string) int64    { return s.ints[s.column(name)] }
func (s *scan) bytes(name string) []byte { return s.raws[s.column(name)] }
func (s *scan) text(name string) string  { return string(s.bytes(name)) }

func (s *scan) partner() (p noroshi.NodeID) { copy(p[:], s.bytes("partner")); return p }

// hash is the row's leaf hash, as table.encode makes it when it is written.
func (s *scan) hash(r *ledger.Row) ledger.Hash {
	n := 1
	for i := range s.t.columns {
		if s.t.kinds[i] != 'x' {
			n++
		}
	}
	r.Begin(s.t.name, n)
	r.Int(s.key)
	for i := range s.t.columns {
		switch s.t.kinds[i] {
		case 'i':
			r.Int(s.ints[i])
		case 't':
			r.TextOf(s.raws[i])
		case 'b':
			r.Bytes(s.raws[i])
		case 'h':
			h := sum(s.raws[i])
			r.Bytes(h[:])
		}
	}
	return r.Hash()
}

// treeCheck rebuilds a tree leaf by leaf and compares its stored hashes and
// checkpoints on the way.
type treeCheck struct {
	v       *verifier
	id      int64
	partner noroshi.NodeID
	edge    ledger.Tree
	hashes  *sql.Rows
	notes   *sql.Rows
	stored  int64  // hashes compared so far
	tail    []byte // of the row not yet compared
	first   []int64
	lastAct int64
	bad     bool
}

func (v *verifier) openTree(id int64, partner noroshi.NodeID) (*treeCheck, error) {
	t := &treeCheck{v: v, id: id, partner: partner}
	var err error
	lo, hi := id<<treeShift, (id+1)<<treeShift
	if t.hashes, err = v.c.c.QueryContext(context.Background(), "SELECT id, hashes FROM tree_hash WHERE id >= $1 AND id < $2 ORDER BY id", lo, hi); err != nil {
		return nil, err
	}
	if t.notes, err = v.c.c.QueryContext(context.Background(), "SELECT id, note FROM checkpoint WHERE id >= $1 AND id < $2 ORDER BY id", lo, hi); err != nil {
		t.hashes.Close()
		return nil, err
	}
	return t, nil
}

func (t *treeCheck) close() {
	t.hashes.Close()
	t.notes.Close()
}

// add appends a leaf; act is whose it is.
func (t *treeCheck) add(leaf ledger.Hash, act int64) error {
	var fresh []ledger.Hash
	t.edge, fresh = t.edge.Append(leaf)
	t.lastAct = act
	for _, h := range fresh {
		t.tail, t.first = append(t.tail, h[:]...), append(t.first, act)
		if len(t.first) == chunkHashes {
			if err := t.compareChunk(); err != nil {
				return err
			}
		}
	}
	if t.edge.Size()%checkpointRun == checkpointRun-1 {
		return t.compareNote(act)
	}
	return nil
}

// compareChunk compares one row of stored hashes.
func (t *treeCheck) compareChunk() error {
	want := t.id<<treeShift | t.stored
	var id int64
	var got []byte
	if t.hashes.Next() {
		if err := t.hashes.Scan(&id, &got); err != nil {
			return err
		}
	}
	if err := t.hashes.Err(); err != nil {
		return err
	}
	if !t.bad && (id != want || string(got) != string(t.tail)) {
		t.bad = true
		at := t.first[0]
		for i := range t.first {
			if id == want && len(got) >= (i+1)*32 && string(got[i*32:(i+1)*32]) == string(t.tail[i*32:(i+1)*32]) && i+1 < len(t.first) {
				at = t.first[i+1]
				continue
			}
			break
		}
		t.v.fault(at, "tree", "tree_hash", "row %d of the hashes of tree %d is not what its leaves give", t.stored, t.id)
	}
	t.stored++
	t.tail, t.first = t.tail[:0], t.first[:0]
	return nil
}

// compareNote checks the checkpoint kept for the size the tree has now.
func (t *treeCheck) compareNote(act int64) error {
	want := t.id<<treeShift | int64(t.edge.Size()/checkpointRun)
	var id int64
	var note []byte
	if t.notes.Next() {
		if err := t.notes.Scan(&id, &note); err != nil {
			return err
		}
	}
	if err := t.notes.Err(); err != nil {
		return err
	}
	if id != want {
		t.v.fault(act, "checkpoint", "checkpoint", "tree %d has no checkpoint of %d leaves", t.id, t.edge.Size())
		return nil
	}
	var by signerAt
	for _, s := range t.v.signers {
		if s.act <= act {
			by = s
		}
	}
	if len(by.key) == 0 {
		by.key = nil
	}
	c, err := ledger.Open(note, by.key)
	o := origin(t.v.s.options.Realm, by.node, t.partner)
	if err == nil && (c.Origin != o || c.Size != t.edge.Size() || c.Root != t.edge.Root()) {
		err = fmt.Errorf("it is of %s with %d leaves, or of another root", c.Origin, c.Size)
	}
	if err != nil {
		t.v.fault(act, "checkpoint", "checkpoint", "checkpoint of %d leaves of tree %d: %v", t.edge.Size(), t.id, err)
	}
	return nil
}

// finish compares what is left: the last row, the last checkpoint, and that
// nothing follows them.
func (t *treeCheck) finish(acts int64) error {
	if len(t.first) > 0 {
		if err := t.compareChunk(); err != nil {
			return err
		}
	}
	if n := t.edge.Size(); n > 0 && n%checkpointRun != checkpointRun-1 {
		if err := t.compareNote(t.lastAct); err != nil {
			return err
		}
	}
	if t.hashes.Next() {
		t.v.fault(acts, "tree", "tree_hash", "tree %d has more hashes than its leaves give", t.id)
	}
	if t.notes.Next() {
		t.v.fault(acts, "checkpoint", "checkpoint", "tree %d has a checkpoint beyond its leaves", t.id)
	}
	return nil
}
