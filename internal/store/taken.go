package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"github.com/noroshi-cti/noroshi"
)

// TakeBack takes versions out of what was released to a partner, so that they
// can be decided anew; what a message in the stream carries stays released. A
// batch keeps its rows: Released says in which batch a version stands now.
func (t *Tx) TakeBack(partner noroshi.NodeID, seqs []int64) error {
	released, err := spanned(t.c, spanReleased, partner, seqs)
	if err != nil || len(released) == 0 {
		return err
	}
	sent, err := spanned(t.c, spanSent, partner, slices.Sorted(maps.Keys(released)))
	if err != nil {
		return err
	}
	maps.DeleteFunc(released, func(seq, _ int64) bool { return sent[seq] > 0 })
	if len(released) == 0 {
		return nil
	}
	back := slices.Sorted(maps.Keys(released))
	if err := t.add(holdTable, t.next(holdTable), "", int64(holdTaken), blob(partner[:]), back[0], back[len(back)-1], packRuns(back)); err != nil {
		return err
	}
	return t.setSpans(spanReleased, partner, back, 0)
}

// PassRows notes that rows of a batch may not go when their turn has come: they
// are put into no stream under it, and wait to be decided anew.
func (t *Tx) PassRows(batch string, first, count int) error {
	for ; count > 0; first, count = first+MaxPage, count-MaxPage {
		if err := t.Notice(RowsPassed, rowsID(batch, first, min(count, MaxPage))); err != nil {
			return err
		}
	}
	return nil
}

func rowsID(batch string, first, count int) string {
	return fmt.Sprintf("%s %d %d", batch, first, count)
}

// ParseRows reads the id of a RowsWithheld or RowsPassed change: a batch, the
// ordinal of the first of the rows, and their number.
func ParseRows(id string) (batch string, first, count int, err error) {
	if n, err := fmt.Sscanf(id, "%s %d %d", &batch, &first, &count); n != 3 || err != nil {
		return "", 0, 0, noroshi.Errorf(noroshi.Broken, "store.rows", "change names rows %q: must be batch, first and count", id)
	}
	return batch, first, count, nil
}

// remark notes that a message's rows are no more in the stream, or are after
// all. A row that another message of the batch carries stays in the stream.
func (t *Tx) remark(partner noroshi.NodeID, m outStateRow, closed bool) error {
	var n int64
	if _, err := t.c.one(to(&n), "SELECT n FROM batch WHERE id = $1", m.batch); err != nil {
		return err
	}
	seqs, err := t.carried(n, m.first, m.count)
	if err != nil {
		return err
	}
	stay := map[int64]bool{}
	if closed {
		if stay, err = t.carriedElsewhere(n, m); err != nil {
			return err
		}
	}
	marks, err := spanned(t.c, spanSent, partner, seqs)
	if err != nil {
		return err
	}
	if closed {
		if err := t.Notice(RowsWithheld, rowsID(m.batch, m.first, m.count)); err != nil {
			return err
		}
	}
	seqs, val := remarked(n, closed, seqs, stay, func(seq int64) int64 { return marks[seq] })
	return t.setSpans(spanSent, partner, seqs, val)
}

// remarked returns which of a message's versions get another mark, and which:
// those whose mark is of its batch n.
func remarked(n int64, closed bool, seqs []int64, stay map[int64]bool, mark func(int64) int64) ([]int64, int64) {
	was, becomes := -n, n
	if closed {
		was, becomes = n, -n
	}
	return slices.DeleteFunc(seqs, func(seq int64) bool { return stay[seq] || mark(seq) != was }), becomes
}

// carried returns the sequences of a run of a batch's rows, sorted.
func (t *Tx) carried(batch int64, first, count int) (seqs []int64, err error) {
	for at := first; at < first+count; {
		rows, err := batchRows(context.Background(), t.c, batch, at, first+count-at)
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			break
		}
		seqs = append(seqs, sequences(rows)...)
		at += len(rows)
	}
	slices.Sort(seqs)
	return seqs, nil
}

// carriedElsewhere returns what other messages of the batch carry of a
// message's rows and that were not withheld.
func (t *Tx) carriedElsewhere(batch int64, m outStateRow) (map[int64]bool, error) {
	type run struct{ first, count int }
	var others []run
	err := t.c.each(context.Background(), func(rows *sql.Rows) error {
		var r run
		err := rows.Scan(&r.first, &r.count)
		others = append(others, r)
		return err
	}, `SELECT o.first, o.count FROM out_message o JOIN out_state s ON s.n = o.n
		WHERE o.batch = $1 AND o.n <> $2 AND o.first < $3 AND o.first + o.count > $4 AND s.state NOT IN ($5, $6)`,
		m.batch, m.n, m.first+m.count, m.first, int64(Withheld), int64(Expired))
	if err != nil {
		return nil, err
	}
	stay := map[int64]bool{}
	for _, r := range others {
		seqs, err := t.carried(batch, r.first, r.count)
		if err != nil {
			return nil, err
		}
		for _, seq := range seqs {
			stay[seq] = true
		}
	}
	return stay, nil
}
