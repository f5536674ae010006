package store

import (
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
	rows, err := c.once(t.scan, from)
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
	hashes  *ahead
	notes   *ahead
	stored  int64  // hashes compared so far
	tail    []byte // of the row not yet compared
	first   []int64
	lastAct int64
}

// ahead reads rows of an id and bytes of which one may be missing.
type ahead struct {
	rows *sql.Rows
	id   int64
	b    []byte
	has  bool // id and b are a row that nobody has taken
}

// take returns the next row where it is the one wanted, or comes before it, or any
// where that is negative; id is -1 where there is none.
func (a *ahead) take(want int64) (id int64, b []byte, err error) {
	if !a.has {
		if a.has = a.rows.Next(); !a.has {
			return -1, nil, a.rows.Err()
		}
		if err := a.rows.Scan(&a.id, &a.b); err != nil {
			return -1, nil, err
		}
	}
	if want >= 0 && a.id > want {
		return -1, nil, nil
	}
	a.has = false
	return a.id, a.b, nil
}

// rest tells fn the places in their tree of the rows that are left, of many the first.
func (a *ahead) rest(fn func(row int64)) error {
	for range maxNamed {
		id, _, err := a.take(-1)
		if err != nil || id < 0 {
			return err
		}
		fn(id & (1<<treeShift - 1))
	}
	return nil
}

func (v *verifier) openTree(id int64, partner noroshi.NodeID) (*treeCheck, error) {
	t := &treeCheck{v: v, id: id, partner: partner}
	lo, hi := id<<treeShift, (id+1)<<treeShift
	hashes, err := v.c.once("SELECT id, hashes FROM tree_hash WHERE id >= $1 AND id < $2 ORDER BY id", lo, hi)
	if err != nil {
		return nil, err
	}
	notes, err := v.c.once("SELECT id, note FROM checkpoint WHERE id >= $1 AND id < $2 ORDER BY id", lo, hi)
	if err != nil {
		hashes.Close()
		return nil, err
	}
	t.hashes, t.notes = &ahead{rows: hashes}, &ahead{rows: notes}
	return t, nil
}

func (t *treeCheck) close() {
	t.hashes.rows.Close()
	t.notes.rows.Close()
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
	id, got, err := t.hashes.take(want)
	if err != nil {
		return err
	}
	if id != want || string(got) != string(t.tail) {
		at := t.first[0]
		for i := range t.first {
			if id == want && len(got) >= (i+1)*32 && string(got[i*32:(i+1)*32]) == string(t.tail[i*32:(i+1)*32]) && i+1 < len(t.first) {
				at = t.first[i+1]
				continue
			}
			break
		}
		t.v.fault(at, "tree", "hashes", "tree_hash", "row %d of the hashes of tree %d is not what its leaves give", t.stored, t.id)
	}
	t.stored++
	t.tail, t.first = t.tail[:0], t.first[:0]
	return nil
}

// compareNote checks the checkpoint kept for the size the tree has now.
func (t *treeCheck) compareNote(act int64) error {
	want := t.id<<treeShift | int64(t.edge.Size()/checkpointRun)
	id, note, err := t.notes.take(want)
	if err != nil {
		return err
	}
	if id != want {
		t.v.fault(act, "checkpoint", "missing", "checkpoint", "tree %d has no checkpoint of %d leaves", t.id, t.edge.Size())
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
		t.v.fault(act, "checkpoint", "note", "checkpoint", "checkpoint of %d leaves of tree %d: %v", t.edge.Size(), t.id, err)
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
	err := t.hashes.rest(func(row int64) {
		t.v.fault(acts, "tree", "beyond", "tree_hash", "row %d of the hashes of tree %d is beyond its leaves", row, t.id)
	})
	if err != nil {
		return err
	}
	return t.notes.rest(func(row int64) {
		t.v.fault(acts, "checkpoint", "beyond", "checkpoint", "checkpoint %d of tree %d is beyond its leaves", row, t.id)
	})
}
