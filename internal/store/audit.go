package store

import (
	"context"
	"database/sql"
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
	Fed   int          // changes it put into the feed
	Root  noroshi.Hash // Merkle root over them
	Leaf  []byte       // the exact leaf
	Wrote []Wrote      // its rows by table
}

// Wrote says how many rows an act wrote into a table.
type Wrote struct {
	Table string `json:"table"`
	Rows  uint64 `json:"rows"`
}

// Acts lists ledger entries from an index on, oldest first.
func (r Reads) Acts(ctx context.Context, from uint64, limit int) ([]Entry, error) {
	return r.entries(ctx, "SELECT idx, leaf, detail FROM act WHERE idx >= $1 ORDER BY idx LIMIT $2", int64(from), page(limit))
}

// ActsBefore lists ledger entries below an index, the latest first.
func (r Reads) ActsBefore(ctx context.Context, before uint64, limit int) ([]Entry, error) {
	return r.entries(ctx, "SELECT idx, leaf, detail FROM act WHERE idx < $1 ORDER BY idx DESC LIMIT $2", int64(before), page(limit))
}

// ActAt returns the index of the first act at a time or after it, or how many
// acts there are. It halves: where the node's clock was once put back, acts
// around that moment may be on the other side.
func (r Reads) ActAt(ctx context.Context, at time.Time) (index uint64, err error) {
	err = r.on(ctx, func(c *conn) error {
		lo, hi := uint64(0), uint64(0)
		if hi, err = treeSize(c, 0); err != nil {
			return err
		}
		for lo < hi {
			mid := lo + (hi-lo)/2
			var t int64
			if _, err := c.one(to(&t), "SELECT time FROM act WHERE idx = $1", int64(mid)); err != nil {
				return err
			}
			if t < at.UnixMicro() {
				lo = mid + 1
			} else {
				hi = mid
			}
		}
		index = lo
		return nil
	})
	return index, err
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
	if len(d.Caller) == 2 {
		e.Act.Caller = noroshi.Caller{Person: d.Caller[0], Token: d.Caller[1]}
	}
	for _, t := range l.Rows {
		if e.Rows += int(t.Rows); t.Table == objectTable.name || t.Table == noticeTable.name {
			e.Fed += int(t.Rows)
		}
		e.Wrote = append(e.Wrote, Wrote{t.Table, t.Rows})
	}
	return e, nil
}

// Fault is one thing Verify found.
type Fault struct {
	Index uint64 // first bad ledger index
	Code  string // "row-changed", "row-missing", "row-extra", "leaf", "tree", "checkpoint", "link", "derived", "batch-signature", "cosignature"
	Why   string // what exactly, within the code
	Table string
	Args  []string // of its text in any language
	Msg   string   // the text in English
}

// Verified is the outcome of Verify.
type Verified struct {
	Acts     uint64
	Rows     uint64
	Links    int
	Head     noroshi.Hash  // root of the node's ledger
	Cosigned []LinkWitness // by link, in the order they began
	Faults   []Fault       // empty = intact; the first has the lowest index
}
