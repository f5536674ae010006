package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// HoldGroup is what waits for a named human act: grouped by run, label, reason
// and partner.
type HoldGroup struct {
	ID         string // derived from the group's key
	Partner    noroshi.NodeID
	Run        string
	Label      string
	Key        noroshi.HoldKey
	Clause     string // the clause that would release it, for TwoPersons
	Agreement  noroshi.Hash
	Precedence noroshi.Precedence `json:"-"`
	Reasons    []noroshi.Reason
	Count      int       `json:"-"`
	State      string    `json:"-"` // "open", "approved", "returned"
	Opened     time.Time `json:"-"`
}

// holdBody is a group as its row has it.
type holdBody struct {
	HoldGroup
	Prec uint8
}

// What a row of hold_log says.
const (
	holdPut   = 1
	holdClose = 2
	holdDrop  = 3
	holdTaken = 4
)

// PutHold adds versions to a hold, opening it if need be (a closed one opens
// again, without what was returned in it); versions already in it, or released
// to the partner already, add nothing. A version waits in one hold per partner:
// from another it moves.
func (t *Tx) PutHold(g HoldGroup, members []Decided) error {
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b Decided) int { return int(a.Seq - b.Seq) })
	have, err := t.hold(t.c, g.ID)
	if err != nil {
		return err
	}
	seqs := sequences(members)
	released, err := spanned(t.c, spanReleased, g.Partner, seqs)
	if err != nil {
		return err
	}
	if err := t.anew(g.Partner, g.Agreement, g.Label, released, members); err != nil {
		return err
	}
	held, err := spanned(t.c, spanHeld, g.Partner, seqs)
	if err != nil {
		return err
	}
	members = slices.DeleteFunc(members, func(d Decided) bool {
		return released[d.Seq] != 0 || have.n != 0 && (held[d.Seq] == have.n || held[d.Seq] == -have.n)
	})
	if len(members) == 0 {
		return nil
	}
	body, err := json.Marshal(holdBody{g, uint8(g.Precedence)})
	if err != nil {
		return fmt.Errorf("put hold %s: %w", g.ID, err)
	}
	for part := range slices.Chunk(members, chunkMembers) {
		if err := t.add(holdTable, t.next(holdTable), g.ID, int64(holdPut), body, part[0].Seq, part[len(part)-1].Seq, packMembers(part)); err != nil {
			return err
		}
	}
	if err := t.moveHeld(g, have, members, held, body); err != nil {
		return err
	}
	return t.Notice(HoldChanged, g.ID)
}

// moveHeld brings the derived tables up to a put.
func (t *Tx) moveHeld(g HoldGroup, have holdRow, members []Decided, held map[int64]int64, body []byte) error {
	n, opened := have.n, have.opened
	if n == 0 {
		if _, err := t.c.one(to(&n), "SELECT coalesce(max(n), 0) + 1 FROM hold"); err != nil {
			return err
		}
	}
	if have.state != "open" {
		opened = micros(t.now)
	}
	moved := map[int64]int64{}
	for _, d := range members {
		if h := held[d.Seq]; h != 0 {
			moved[d.Seq] = h
		}
	}
	if err := t.lose(moved); err != nil {
		return err
	}
	if err := t.setSpans(spanHeld, g.Partner, sequences(members), n); err != nil {
		return err
	}
	err := t.c.run(`INSERT INTO hold (id, n, partner, state, opened, body, members) VALUES ($1, $2, $3, 'open', $4, $5, $6)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, opened = excluded.opened, body = excluded.body, 
		members = CASE WHEN hold.state = 'open' THEN hold.members ELSE 0 END + excluded.members`,
		g.ID, n, g.Partner[:], opened, body, len(members))
	return err
}

// lose counts versions out of the holds they are in; returned versions are
// counted only while their hold is returned.
func (t *Tx) lose(held map[int64]int64) error {
	lost := map[int64]int{}
	for _, h := range held {
		lost[h]++
	}
	for h, k := range lost {
		q := "UPDATE hold SET members = members - $2 WHERE n = $1 AND state = 'open'"
		if h < 0 {
			h, q = -h, "UPDATE hold SET members = members - $2 WHERE n = $1 AND state = 'returned'"
		}
		if err := t.c.run(q, h, k); err != nil {
			return err
		}
	}
	return nil
}

func sequences(rows []Decided) []int64 {
	seqs := make([]int64, len(rows))
	for i := range rows {
		seqs[i] = rows[i].Seq
	}
	return seqs
}

// holdRow is a hold as derived; n is 0 when there is none.
type holdRow struct {
	n       int64
	partner noroshi.NodeID
	state   string
	opened  int64
	members int
}

func (r Reads) hold(c *conn, id string) (h holdRow, err error) {
	var partner []byte
	_, err = c.one(to(&h.n, &partner, &h.state, &h.opened, &h.members), "SELECT n, partner, state, opened, members FROM hold WHERE id = $1", id)
	copy(h.partner[:], partner)
	return h, err
}

// Hold states.
const (
	HoldOpen     = "open"
	HoldApproved = "approved"
	HoldReturned = "returned"
)

// CloseHold sets the state of a hold. An approved hold's members leave the
// queue: they are in its batch, and the hold keeps their count. A returned hold
// keeps them, on record.
func (t *Tx) CloseHold(id, state string) error {
	if state != HoldApproved && state != HoldReturned {
		return noroshi.Errorf(noroshi.Invalid, "store.hold-state", "close hold %s: state %q must be approved or returned", id, state)
	}
	h, err := t.hold(t.c, id)
	if err != nil {
		return err
	}
	if h.n == 0 {
		return noroshi.Errorf(noroshi.NotFound, "store.no-hold", "close hold: no hold %s", id)
	}
	if h.state != HoldOpen {
		return noroshi.Errorf(noroshi.Conflict, "store.hold-closed", "close hold %s: it is %s already", id, h.state)
	}
	if err := t.add(holdTable, t.next(holdTable), id, int64(holdClose), []byte(state), int64(0), int64(0), []byte{}); err != nil {
		return err
	}
	seqs, err := t.waiting(h)
	if err != nil {
		return err
	}
	var val int64
	if state == HoldReturned {
		val = -h.n
	}
	if err := t.setSpans(spanHeld, h.partner, seqs, val); err != nil {
		return err
	}
	if err := t.c.run("UPDATE hold SET state = $2 WHERE id = $1", id, state); err != nil {
		return err
	}
	return t.Notice(HoldChanged, id)
}

// waiting returns the sequences that wait in a hold.
func (t *Tx) waiting(h holdRow) (seqs []int64, err error) {
	err = t.c.each(context.Background(), func(rows *sql.Rows) error {
		var lo, hi int64
		err := rows.Scan(&lo, &hi)
		for ; lo <= hi; lo++ {
			seqs = append(seqs, lo)
		}
		return err
	}, "SELECT lo, hi FROM span WHERE kind = $1 AND partner = $2 AND val = $3 ORDER BY lo", spanHeld, h.partner[:], h.n)
	return seqs, err
}

// DropHeld takes single versions out of whatever hold they wait in for the
// partner (relabelled, superseded, withdrawn).
func (t *Tx) DropHeld(partner noroshi.NodeID, seqs []int64) error {
	held, err := spanned(t.c, spanHeld, partner, seqs)
	if err != nil || len(held) == 0 {
		return err
	}
	drop := slices.Sorted(maps.Keys(held))
	if err := t.add(holdTable, t.next(holdTable), "", int64(holdDrop), blob(partner[:]), drop[0], drop[len(drop)-1], packRuns(drop)); err != nil {
		return err
	}
	if err := t.lose(held); err != nil {
		return err
	}
	return t.setSpans(spanHeld, partner, drop, 0)
}

// newestFirst is the order of lists of holds.
const newestFirst = " ORDER BY opened DESC, n DESC"

// Holds lists holds in a state ("" = all), newest first. A hold whose last
// member was dropped stays, with Count 0.
func (r Reads) Holds(ctx context.Context, state string) ([]HoldGroup, error) {
	if state == "" {
		return r.holds(ctx, newestFirst)
	}
	return r.holds(ctx, "WHERE state = $1"+newestFirst, state)
}

// HoldsAfter is Holds, at most limit of those that follow a hold ("" = from the
// newest).
func (r Reads) HoldsAfter(ctx context.Context, state, hold string, limit int) ([]HoldGroup, error) {
	args := []any{page(limit)}
	var where []string
	if state != "" {
		args = append(args, state)
		where = append(where, fmt.Sprintf("state = $%d", len(args)))
	}
	if hold != "" {
		args = append(args, hold)
		where = append(where, fmt.Sprintf("(opened, n) < (SELECT opened, n FROM hold WHERE id = $%d)", len(args)))
	}
	which := newestFirst + " LIMIT $1"
	if len(where) > 0 {
		which = "WHERE " + strings.Join(where, " AND ") + which
	}
	return r.holds(ctx, which, args...)
}

// Hold returns a hold in whatever state; NotFound when there is none.
func (r Reads) Hold(ctx context.Context, id string) (HoldGroup, error) {
	list, err := r.holds(ctx, "WHERE id = $1", id)
	if err == nil && len(list) == 0 {
		err = noroshi.Errorf(noroshi.NotFound, "hold.none", "no hold %q", id)
	}
	if err != nil {
		return HoldGroup{}, err
	}
	return list[0], nil
}

// HoldPoint names the last time something was put into a hold. While that, the
// hold's state, when it was opened and its count stay the same, so do its members:
// all else that is done to one only takes members out.
func (r Reads) HoldPoint(ctx context.Context, id string) (n int64, err error) {
	err = r.on(ctx, func(c *conn) error {
		_, err := c.one(to(&n), "SELECT coalesce(max(n), 0) FROM hold_log WHERE hold = $1", id)
		return err
	})
	return n, err
}

func (r Reads) holds(ctx context.Context, which string, args ...any) (list []HoldGroup, err error) {
	err = r.on(ctx, func(c *conn) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			var g holdBody
			var body []byte
			var n, opened int64
			if err := rows.Scan(&n, &body, &g.State, &opened, &g.Count); err != nil {
				return err
			}
			if err := json.Unmarshal(body, &g); err != nil {
				return fmt.Errorf("read hold %d: %w", n, err)
			}
			g.Opened, g.Precedence = fromMicros(opened), noroshi.Precedence(g.Prec)
			list = append(list, g.HoldGroup)
			return nil
		}, "SELECT n, body, state, opened, members FROM hold "+which, args...)
	})
	return list, err
}

// CountHolds counts the holds in which something waits.
func (r Reads) CountHolds(ctx context.Context) (n int, err error) {
	err = r.on(ctx, func(c *conn) error {
		_, err := c.one(to(&n), "SELECT count(*) FROM hold WHERE state = $1 AND members > 0", HoldOpen)
		return err
	})
	return n, err
}

// mark is the value under which a hold's members stand in span: returned ones
// apart, so that a hold that opens again starts anew.
func mark(state string, n int64) int64 {
	if state == HoldReturned {
		return -n
	}
	return n
}

// HoldFirst returns the first version in a hold, 0 when nothing is in it. It looks
// only where something was put into the hold.
func (r Reads) HoldFirst(ctx context.Context, id string) (seq int64, err error) {
	err = r.on(ctx, func(c *conn) error {
		h, err := r.hold(c, id)
		if err != nil || h.n == 0 {
			return err
		}
		_, err = c.one(to(&seq), `SELECT lo FROM span WHERE kind = $1 AND partner = $2 AND val = $3
			AND lo BETWEEN (SELECT min(lo) FROM hold_log WHERE hold = $4 AND what = 1) AND (SELECT max(hi) FROM hold_log WHERE hold = $4 AND what = 1) ORDER BY lo LIMIT 1`, spanHeld, h.partner[:], mark(h.state, h.n), id)
		return err
	})
	return seq, err
}

// HoldMembers returns a hold's members in order (by sequence), after one.
func (r Reads) HoldMembers(ctx context.Context, id string, after int64, limit int) (list []Decided, err error) {
	limit = page(limit)
	err = r.on(ctx, func(c *conn) error {
		h, err := r.hold(c, id)
		if err != nil || h.n == 0 {
			return err
		}
		found := map[int64]Decided{}
		newest := map[int64]int64{} // by sequence: the row that put it last
		bound, full := int64(0), false
		err = c.each(ctx, func(rows *sql.Rows) error {
			var n, lo, hi int64
			var packed []byte
			if err := rows.Scan(&n, &lo, &hi, &packed); err != nil {
				return err
			}
			if full && lo > bound {
				return errEnough
			}
			part, err := unpackMembers(packed)
			if err != nil {
				return fmt.Errorf("hold %s: %w", id, err)
			}
			held, err := spansIn(c, spanHeld, h.partner, lo, hi)
			if err != nil {
				return err
			}
			for _, d := range part { // in order
				if full && d.Seq > bound {
					break
				}
				if d.Seq > after && n > newest[d.Seq] && held.at(d.Seq) == mark(h.state, h.n) {
					found[d.Seq], newest[d.Seq] = d, n
				}
				if !full && len(found) == limit {
					full, bound = true, nth(found, limit)
				}
			}
			return nil
		}, "SELECT n, lo, hi, members FROM hold_log WHERE hold = $1 AND what = 1 AND hi > $2 ORDER BY lo, n", id, after)
		if err != nil && err != errEnough {
			return err
		}
		for _, d := range found {
			list = append(list, d)
		}
		slices.SortFunc(list, func(a, b Decided) int { return int(a.Seq - b.Seq) })
		list = list[:min(len(list), limit)]
		return nil
	})
	return list, err
}

// nth returns the limit-th smallest sequence.
func nth(found map[int64]Decided, limit int) int64 {
	seqs := make([]int64, 0, len(found))
	for q := range found {
		seqs = append(seqs, q)
	}
	slices.Sort(seqs)
	return seqs[limit-1]
}
