package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// Approval is one person's signature over a hold's root.
type Approval struct {
	Hold      string
	Person    string
	Root      noroshi.Hash // Merkle root signed
	Digest    noroshi.Hash // what was signed: root bound to partner, agreement, clause, label, counts
	Signature []byte
	Time      time.Time
}

// PutApproval keeps an approval.
func (t *Tx) PutApproval(a Approval) error {
	return t.add(approvalTable, t.next(approvalTable), a.Hold, a.Person, a.Root[:], a.Digest[:], blob(a.Signature), micros(a.Time))
}

// Approvals returns a hold's approvals, oldest first.
func (r Reads) Approvals(ctx context.Context, hold string) (list []Approval, err error) {
	err = r.on(ctx, func(c *conn) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			a := Approval{Hold: hold}
			var root, digest []byte
			var at int64
			if err := rows.Scan(&a.Person, &root, &digest, &a.Signature, &at); err != nil {
				return err
			}
			copy(a.Root[:], root)
			copy(a.Digest[:], digest)
			a.Time = fromMicros(at)
			list = append(list, a)
			return nil
		}, "SELECT person, root, digest, signature, time FROM approval WHERE hold = $1 ORDER BY n", hold)
	})
	return list, err
}

// Batch is one release decision: certain bytes to a certain partner.
type Batch struct {
	ID         string
	Partner    noroshi.NodeID
	Agreement  noroshi.Hash
	Clause     string
	Label      string
	Precedence noroshi.Precedence
	Count      int
	Root       noroshi.Hash // over (object hash, view hash, outcome) of its rows
	Hold       string       // the hold it came from, "" when a clause released it
	Approvals  []Approval   // copies, when persons approved
	Act        uint64       // ledger index
	Sent       bool         // derived: all its messages are in the stream
}

// PutBatch keeps a batch and its rows and numbers their views; a version
// released to the partner already is refused as Conflict, unless that was as
// another view, or under another agreement or label without the version ever
// coming into the stream, or it is a marking's definition, which goes with
// whatever it marks. A zero Root is computed by BatchRoot; Count is that
// of the rows.
func (t *Tx) PutBatch(b Batch, rows []Decided) error {
	seqs := sequences(rows)
	slices.Sort(seqs)
	already, err := spanned(t.c, spanReleased, b.Partner, seqs)
	if err != nil {
		return err
	}
	if err := t.anew(b.Partner, b.Agreement, b.Label, already, rows); err != nil {
		return err
	}
	if err := t.leaveDefinitions(already); err != nil {
		return err
	}
	if len(already) > 0 || len(slices.Compact(slices.Clone(seqs))) < len(seqs) {
		return noroshi.Errorf(noroshi.Conflict, "store.released", "put batch %s: %d of its versions are released to %s already", b.ID, max(len(already), 1), b.Partner.String())
	}
	if len(rows) == 0 {
		return noroshi.Errorf(noroshi.Invalid, "store.batch-empty", "put batch %s: it has no rows", b.ID)
	}
	if rows, err = t.number(b.Partner, rows); err != nil {
		return err
	}
	if b.Root.IsZero() {
		b.Root = BatchRoot(rows)
	}
	if b.Approvals == nil {
		b.Approvals = []Approval{}
	}
	approvals, err := json.Marshal(b.Approvals)
	if err != nil {
		return err
	}
	n := t.next(batchTable)
	if err := t.add(batchTable, n, b.ID, blob(b.Partner[:]), b.Agreement[:], b.Clause, b.Label, int64(b.Precedence),
		int64(len(rows)), b.Root[:], b.Hold, approvals); err != nil {
		return fmt.Errorf("put batch %s: %w", b.ID, err)
	}
	first := 0
	for part := range slices.Chunk(rows, chunkMembers) {
		if err := t.add(batchRowsTable, t.next(batchRowsTable), n, int64(first), int64(len(part)), countViews(part), packMembers(part)); err != nil {
			return err
		}
		first += len(part)
	}
	if err := t.setSpans(spanReleased, b.Partner, seqs, n); err != nil {
		return err
	}
	if err := t.c.run("INSERT INTO unsent (partner, rank, batch, sent) VALUES ($1, $2, $3, 0)", b.Partner[:], rank(b.Precedence), n); err != nil {
		return err
	}
	return t.Notice(BatchReleased, b.ID)
}

// rank sorts higher precedence first.
func rank(p noroshi.Precedence) int64 { return int64(noroshi.Flash) - int64(p) }

const batchColumns = `SELECT b.n, b.act, b.id, b.partner, b.agreement, b.clause, b.label, b.prec, b.count, b.root, b.hold, b.approvals, u.batch IS NULL
	FROM batch b LEFT JOIN unsent u ON u.partner = b.partner AND u.rank = 4 - b.prec AND u.batch = b.n `

// Batch returns one batch, or a NotFound error.
func (r Reads) Batch(ctx context.Context, id string) (b Batch, err error) {
	err = r.on(ctx, func(c *conn) error { b, _, err = r.batch(c, id); return err })
	return b, err
}

func (r Reads) batch(c *conn, id string) (b Batch, n int64, err error) {
	var partner, agreement, root, approvals []byte
	var act int64
	found, err := c.one(to(&n, &act, &b.ID, &partner, &agreement, &b.Clause, &b.Label, &b.Precedence, &b.Count, &root, &b.Hold, &approvals, &b.Sent),
		batchColumns+"WHERE b.id = $1", id)
	if err != nil {
		return b, 0, err
	}
	if !found {
		return b, 0, noroshi.Errorf(noroshi.NotFound, "store.no-batch", "no batch %s", id)
	}
	copy(b.Partner[:], partner)
	copy(b.Agreement[:], agreement)
	copy(b.Root[:], root)
	b.Act = uint64(act)
	if err := json.Unmarshal(approvals, &b.Approvals); err != nil {
		return b, n, fmt.Errorf("read batch %s: %w", id, err)
	}
	return b, n, nil
}

// BatchRows returns a batch's rows in order, from ordinal `from`.
func (r Reads) BatchRows(ctx context.Context, id string, from, limit int) (rows []Decided, err error) {
	err = r.on(ctx, func(c *conn) error {
		var n int64
		if found, err := c.one(to(&n), "SELECT n FROM batch WHERE id = $1", id); err != nil || !found {
			return err
		}
		rows, err = batchRows(ctx, c, n, from, page(limit))
		return err
	})
	return rows, err
}

func batchRows(ctx context.Context, c *conn, n int64, from, limit int) (list []Decided, err error) {
	err = c.each(ctx, func(rows *sql.Rows) error {
		var first, count int
		var packed []byte
		if err := rows.Scan(&first, &count, &packed); err != nil {
			return err
		}
		part, err := unpackMembers(packed)
		if err != nil || len(part) != count {
			return fmt.Errorf("batch %d: %w", n, errPacked)
		}
		list = append(list, part[max(0, from-first):]...)
		return nil
	}, "SELECT first, count, members FROM batch_rows WHERE batch = $1 AND first + count > $2 AND first < $3 ORDER BY first", n, from, from+limit)
	return list[:min(len(list), limit)], err
}

// Views returns the rows of a batch that are views: cut, or numbered.
func (r Reads) Views(ctx context.Context, batch string) (list []Decided, err error) {
	err = r.views(ctx, func(d Decided) { list = append(list, d) },
		"SELECT r.members FROM batch_rows r JOIN batch b ON b.n = r.batch WHERE b.id = $1 AND r.cuts > 0 ORDER BY r.first", batch)
	return list, err
}

// ViewsTo returns the rows of all batches for a partner that are views.
func (r Reads) ViewsTo(ctx context.Context, partner noroshi.NodeID) (list []Decided, err error) {
	err = r.views(ctx, func(d Decided) { list = append(list, d) },
		"SELECT r.members FROM batch_rows r JOIN batch b ON b.n = r.batch WHERE r.cuts > 0 AND b.partner = $1 ORDER BY r.n", partner[:])
	return list, err
}

func (r Reads) views(ctx context.Context, fn func(Decided), query string, args ...any) error {
	return r.on(ctx, func(c *conn) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			var packed []byte
			if err := rows.Scan(&packed); err != nil {
				return err
			}
			part, err := unpackMembers(packed)
			for _, d := range part {
				if d.view() {
					fn(d)
				}
			}
			return err
		}, query, args...)
	})
}

// BatchPlace names the cursor that holds the next row of a batch to be put into
// the stream.
func BatchPlace(id string) string { return "courier/batch/" + id }

// Exhausted is the place in a batch of which nothing more may go.
const Exhausted = math.MaxInt32

// UnsentBatches returns ids of batches for a partner of which something may
// still be put into the stream, highest precedence first, then oldest.
func (r Reads) UnsentBatches(ctx context.Context, partner noroshi.NodeID) (ids []string, err error) {
	err = r.on(ctx, func(c *conn) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			var id string
			err := rows.Scan(&id)
			ids = append(ids, id)
			return err
		}, `SELECT b.id FROM unsent u JOIN batch b ON b.n = u.batch
			WHERE u.partner = $1 AND NOT EXISTS (SELECT 1 FROM cursor c WHERE c.follower = $2 || b.id AND c.seq >= $3)
			ORDER BY u.rank, u.batch`, partner[:], BatchPlace(""), Exhausted)
	})
	return ids, err
}

// Released reports which of these versions went (or are decided to go) to the
// partner, and in which batch.
func (r Reads) Released(ctx context.Context, partner noroshi.NodeID, seqs []int64) (map[int64]string, error) {
	return r.spannedIDs(ctx, spanReleased, "SELECT id FROM batch WHERE n = $1", partner, seqs)
}

// HeldFor reports which of these versions wait in an open or returned hold for the partner.
func (r Reads) HeldFor(ctx context.Context, partner noroshi.NodeID, seqs []int64) (map[int64]string, error) {
	return r.spannedIDs(ctx, spanHeld, "SELECT id FROM hold WHERE n = $1", partner, seqs)
}

func (r Reads) spannedIDs(ctx context.Context, kind int, idQuery string, partner noroshi.NodeID, seqs []int64) (map[int64]string, error) {
	out := map[int64]string{}
	err := r.on(ctx, func(c *conn) error {
		numbers, err := spanned(c, kind, partner, seqs)
		if err != nil {
			return err
		}
		ids := map[int64]string{}
		for seq, n := range numbers {
			n = max(n, -n)
			id, ok := ids[n]
			if !ok {
				if _, err := c.one(to(&id), idQuery, n); err != nil {
					return err
				}
				ids[n] = id
			}
			out[seq] = id
		}
		return nil
	})
	return out, err
}

// Streamed reports which of these versions a message to the partner carries
// that is in the stream and was not withheld.
func (r Reads) Streamed(ctx context.Context, partner noroshi.NodeID, seqs []int64) (map[int64]bool, error) {
	in := map[int64]bool{}
	err := r.on(ctx, func(c *conn) error {
		sent, err := spanned(c, spanSent, partner, seqs)
		for seq, n := range sent {
			if n > 0 {
				in[seq] = true
			}
		}
		return err
	})
	return in, err
}

// PartnerHas reports which ids the partner has: it sent them, or a message with
// them to it is in the stream and was not withheld.
func (r Reads) PartnerHas(ctx context.Context, partner noroshi.NodeID, ids []string) (map[string]bool, error) {
	has := map[string]bool{}
	from := noroshi.Source{Kind: noroshi.FromPartner, Partner: partner}.Owner()
	err := r.on(ctx, func(c *conn) error {
		for _, id := range ids {
			f, err := r.familyOn(c, id, r.s.key64(string(stix.ID(id))))
			if err != nil {
				return err
			}
			for _, k := range f.claims {
				if k.owner == from {
					has[id] = true
					break
				}
				sent, err := spansIn(c, spanSent, partner, k.seq, k.seq)
				if err != nil {
					return err
				}
				if sent.at(k.seq) > 0 {
					has[id] = true
					break
				}
			}
		}
		return ctx.Err()
	})
	return has, err
}
