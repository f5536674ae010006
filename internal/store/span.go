package store

import (
	"context"
	"database/sql"
	"sort"

	"github.com/noroshi-cti/noroshi"
)

// A span says of every version in a run of sequences one thing for one
// partner: a list of 100,000 imported at once is one row, not 100,000.
type span struct{ lo, hi, val int64 }

// Kinds of spans.
const (
	spanHeld     = 1 // val: hold.n it waits in
	spanReleased = 2 // val: batch.n it is decided in
	spanSent     = 3 // val: batch.n, a message of it with the version is in the stream; -batch.n: all such messages were withheld
	spanView     = 4 // val: number of the latest view of it that came into the stream, where that is not 0
)

// spans is an ordered list of spans that do not overlap; neighbours of one
// value are joined, so that equal contents are equal lists.
type spans []span

// at returns the value at a sequence, 0 for none.
func (s spans) at(seq int64) int64 {
	i := sort.Search(len(s), func(i int) bool { return s[i].hi >= seq })
	if i < len(s) && s[i].lo <= seq {
		return s[i].val
	}
	return 0
}

// set gives lo..hi the value; 0 clears.
func (s spans) set(lo, hi, val int64) spans {
	from := sort.Search(len(s), func(i int) bool { return s[i].hi >= lo-1 })
	to := from
	var put []span
	add := func(x span) {
		if x.val == 0 || x.lo > x.hi {
			return
		}
		if n := len(put); n > 0 && put[n-1].val == x.val && put[n-1].hi+1 == x.lo {
			put[n-1].hi = x.hi
			return
		}
		put = append(put, x)
	}
	var after []span
	for ; to < len(s) && s[to].lo <= hi+1; to++ {
		if x := s[to]; x.lo < lo {
			add(span{x.lo, min(x.hi, lo-1), x.val})
		}
		if x := s[to]; x.hi > hi {
			after = append(after, span{max(x.lo, hi+1), x.hi, x.val})
		}
	}
	add(span{lo, hi, val})
	for _, x := range after {
		add(x)
	}
	if len(put) == to-from {
		copy(s[from:to], put)
		return s
	}
	return append(s[:from:from], append(put, s[to:]...)...)
}

// runs joins sorted sequences into runs.
func runs(seqs []int64) []span {
	var list []span
	for _, q := range seqs {
		if n := len(list); n > 0 && list[n-1].hi+1 >= q {
			list[n-1].hi = max(list[n-1].hi, q)
			continue
		}
		list = append(list, span{q, q, 1})
	}
	return list
}

// spansIn reads the spans of a partner that touch lo..hi. SQLite plans a statement
// anew when a column is compared with a parameter that was 1 and is not any more, or
// the reverse; it does not look into a CAST.
func spansIn(c *conn, kind int, partner noroshi.NodeID, lo, hi int64) (list spans, err error) {
	var x span
	found, err := c.one(to(&x.lo, &x.hi, &x.val), "SELECT lo, hi, val FROM span WHERE kind = CAST($1 AS bigint) AND partner = $2 AND lo < $3 ORDER BY lo DESC LIMIT 1", kind, partner[:], lo)
	if err != nil {
		return nil, err
	}
	if found && x.hi >= lo {
		list = append(list, x)
	}
	err = c.each(context.Background(), func(rows *sql.Rows) error {
		var x span
		err := rows.Scan(&x.lo, &x.hi, &x.val)
		list = append(list, x)
		return err
	}, "SELECT lo, hi, val FROM span WHERE kind = CAST($1 AS bigint) AND partner = $2 AND lo >= $3 AND lo <= $4 ORDER BY lo", kind, partner[:], lo, hi)
	return list, err
}

// setSpans gives sorted sequences a value (0 clears them) and writes what
// changed.
func (t *Tx) setSpans(kind int, partner noroshi.NodeID, seqs []int64, val int64) error {
	for _, r := range runs(seqs) {
		old, err := spansIn(t.c, kind, partner, r.lo-1, r.hi+1)
		if err != nil {
			return err
		}
		fresh := append(spans(nil), old...).set(r.lo, r.hi, val)
		if err := t.replaceSpans(kind, partner, old, fresh); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tx) replaceSpans(kind int, partner noroshi.NodeID, old, fresh spans) error {
	keep := map[span]bool{}
	for _, x := range fresh {
		keep[x] = true
	}
	have := map[span]bool{}
	for _, x := range old {
		have[x] = true
		if !keep[x] {
			if err := t.c.run("DELETE FROM span WHERE kind = CAST($1 AS bigint) AND partner = $2 AND lo = $3", kind, partner[:], x.lo); err != nil {
				return err
			}
		}
	}
	for _, x := range fresh {
		if !have[x] {
			if err := t.c.run("INSERT INTO span (kind, partner, lo, hi, val) VALUES ($1, $2, $3, $4, $5)", kind, partner[:], x.lo, x.hi, x.val); err != nil {
				return err
			}
		}
	}
	return nil
}

// spanned returns the value at each of the sequences that has one.
func spanned(c *conn, kind int, partner noroshi.NodeID, seqs []int64) (map[int64]int64, error) {
	sorted := append([]int64(nil), seqs...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i] < sorted[j] })
	out := map[int64]int64{}
	for _, r := range runs(sorted) {
		list, err := spansIn(c, kind, partner, r.lo, r.hi)
		if err != nil {
			return nil, err
		}
		for _, x := range list {
			for q := max(x.lo, r.lo); q <= min(x.hi, r.hi); q++ {
				out[q] = x.val
			}
		}
	}
	return out, nil
}
