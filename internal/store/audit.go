package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/ledger"
)

// Entry is one act as the ledger has it.
type Entry struct {
	Index uint64
	Time  time.Time
	Act   noroshi.Act
	Rows  int          // rows the act wrote
	Root  noroshi.Hash // Merkle root over them
	Leaf  []byte       // the exact leaf
}

// Acts lists ledger entries from an index on, oldest first.
func (r Reads) Acts(ctx context.Context, from uint64, limit int) ([]Entry, error) {
	return r.entries(ctx, "SELECT idx, leaf, detail FROM act WHERE idx >= $1 ORDER BY idx LIMIT $2", int64(from), page(limit))
}

// Alarms lists the acts that raised an alarm, the latest first.
func (r Reads) Alarms(ctx context.Context, limit int) ([]Entry, error) {
	return r.entries(ctx, `SELECT a.idx, a.leaf, a.detail FROM notice n JOIN act a ON a.idx = n.act
		WHERE n.kind = $1 ORDER BY n.seq DESC LIMIT $2`, string(AlarmRaised), page(limit))
}

// Markers returns the persons whose acts assigned a marking to one of some
// versions (in ascending order) after its admission, each once.
func (r Reads) Markers(ctx context.Context, seqs []int64) (persons []string, err error) {
	for _, run := range runs(seqs) {
		acts, err := r.entries(ctx, `SELECT idx, leaf, detail FROM act
			WHERE idx IN (SELECT act FROM assigned WHERE seq BETWEEN $1 AND $2) ORDER BY idx`, run.lo, run.hi)
		if err != nil {
			return nil, err
		}
		for _, a := range acts {
			for _, p := range a.Act.Persons {
				persons = append(persons, p.Person)
			}
		}
	}
	slices.Sort(persons)
	return slices.Compact(persons), nil
}

func (r Reads) entries(ctx context.Context, query string, args ...any) (list []Entry, err error) {
	err = r.on(ctx, func(c *conn) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			var index int64
			var leaf, detail []byte
			if err := rows.Scan(&index, &leaf, &detail); err != nil {
				return err
			}
			e, err := entry(leaf, detail)
			if err != nil {
				return noroshi.Errorf(noroshi.Broken, "store.act", "read act %d: %w", index, err)
			}
			list = append(list, e)
			return nil
		}, query, args...)
	})
	return list, err
}

// NextAct returns the index the next act will have: how many there are.
func (r Reads) NextAct(ctx context.Context) (next uint64, err error) {
	err = r.on(ctx, func(c *conn) error {
		next, err = treeSize(c, 0)
		return err
	})
	return next, err
}

// entry reads an act back from its leaf and detail.
func entry(leaf, detail []byte) (Entry, error) {
	l, err := ledger.Decode[ledger.Leaf](leaf)
	if err != nil {
		return Entry{}, err
	}
	d, err := ledger.Decode[ledger.Detail](detail)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Index: l.Index, Time: fromMicros(l.Time), Root: noroshi.Hash(l.Root), Leaf: leaf, Act: noroshi.Act{
		Action: noroshi.Action(l.Action), Subject: d.Subject, Label: l.Label, Previous: l.Previous, Count: int(l.Count), Precedence: noroshi.Precedence(l.Precedence),
	}}
	copy(e.Act.Partner[:], l.Partner)
	copy(e.Act.Agreement[:], l.Agreement)
	copy(e.Act.Message[:], l.Message)
	for _, p := range d.Persons {
		e.Act.Persons = append(e.Act.Persons, noroshi.Signed{Person: p.ID, Digest: noroshi.Hash(p.Digest), Signature: p.Signature})
	}
	for _, t := range l.Rows {
		e.Rows += int(t.Rows)
	}
	return e, nil
}

// LinkHead returns the size and root of the link ledger with a partner.
func (r Reads) LinkHead(ctx context.Context, partner noroshi.NodeID) (size uint64, root noroshi.Hash, err error) {
	err = r.on(ctx, func(c *conn) error {
		var id int64
		found, err := c.one(to(&id), "SELECT id FROM tree WHERE partner = $1", partner[:])
		if err != nil || !found {
			root = noroshi.Hash(ledger.Empty)
			return err
		}
		if size, err = treeSize(c, id); err != nil {
			return err
		}
		tr, err := ledger.OpenTree(size, hashReader(c, id))
		if err != nil {
			return fmt.Errorf("read ledger of link %s: %w", partner, err)
		}
		root = noroshi.Hash(tr.Root())
		return nil
	})
	return size, root, err
}

// Fault is one thing Verify found.
type Fault struct {
	Index uint64 // first bad ledger index
	Code  string // "row-changed", "row-missing", "row-extra", "leaf", "tree", "checkpoint", "link", "derived", "batch-signature"
	Table string
	Msg   string
}

// Verified is the outcome of Verify.
type Verified struct {
	Acts   uint64
	Rows   uint64
	Links  int
	Head   noroshi.Hash // root of the node's ledger
	Faults []Fault      // empty = intact; the first has the lowest index
}
