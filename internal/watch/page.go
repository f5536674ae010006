package watch

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// MaxPage is the most warnings a page has.
const MaxPage = 200

// Page is a page of warnings and how many are open in all.
type Page struct {
	Rows []Row                      `json:"data"`
	Next string                     `json:"next,omitempty"` // what the next page comes after, "" at the end
	Open map[noroshi.Precedence]int `json:"open"`
	Late int                        `json:"late"` // of the open ones, past the agreement's clock
}

// Page returns warnings in the order of List, at most limit (1..MaxPage), behind
// those up to after (a Next, "" = from the first on).
func (w *Watch) Page(ctx context.Context, open bool, after string, limit int) (Page, error) {
	from, err := parseKey(after)
	if err != nil {
		return Page{}, err
	}
	limit = min(max(limit, 1), MaxPage)
	w.board.mu.Lock()
	defer w.board.mu.Unlock()
	if err := w.catchUp(ctx); err != nil {
		return Page{}, err
	}
	p := Page{Rows: []Row{}, Open: map[noroshi.Precedence]int{}}
	now := w.o.Now()
	var first []*Row // so far, in order, one more than asked for
	for _, row := range w.board.rows {
		if row.Open() {
			p.Open[max(row.Precedence, noroshi.Routine)]++ // what it cannot be read as counts with the least
			if row.Late(now) {
				p.Late++
			}
		} else if open {
			continue
		}
		if after == "" || row.key().compare(from) > 0 {
			first = insert(first, row, limit+1)
		}
	}
	if len(first) > limit {
		first = first[:limit]
		p.Next = first[limit-1].key().String()
	}
	for _, row := range first {
		if err := w.recount(ctx, row); err != nil {
			return Page{}, err
		}
		p.Rows = append(p.Rows, row.clone())
	}
	return p, nil
}

// insert puts a row where it belongs among the first n.
func insert(first []*Row, row *Row, n int) []*Row {
	i, _ := slices.BinarySearchFunc(first, row, func(a, b *Row) int { return a.key().compare(b.key()) })
	if i == n {
		return first
	}
	if first = slices.Insert(first, i, row); len(first) > n {
		first = first[:n]
	}
	return first
}

// key is a warning's place in lists.
type key struct {
	open       int
	precedence noroshi.Precedence
	published  int64 // microseconds
	seq        int64
}

func (r *Row) key() key {
	return key{rank(r.Open()), r.Precedence, r.Published.UnixMicro(), r.Seq}
}

// compare orders as List does: open before closed, the highest precedence first,
// then the newest.
func (k key) compare(o key) int {
	return cmp.Or(cmp.Compare(o.open, k.open), cmp.Compare(o.precedence, k.precedence), cmp.Compare(o.published, k.published), cmp.Compare(o.seq, k.seq))
}

func (k key) String() string {
	return fmt.Sprintf("%d.%d.%d.%d", k.open, k.precedence, k.published, k.seq)
}

func parseKey(s string) (k key, err error) {
	if s == "" {
		return k, nil
	}
	if n, err := fmt.Sscanf(s, "%d.%d.%d.%d", &k.open, &k.precedence, &k.published, &k.seq); n != 4 || err != nil || k.String() != s {
		return k, noroshi.Errorf(noroshi.Invalid, "warning.page", "there is no page of warnings after %q", s)
	}
	return k, nil
}

// Pending says how many warnings wait and which FLASH came last, for what stands
// on every page.
type Pending struct {
	Open  int
	Flash int       // of them
	Last  *Row      // the FLASH that came last, nil for none
	Since time.Time // when it came
}

// Pending returns what waits.
func (w *Watch) Pending(ctx context.Context) (p Pending, err error) {
	w.board.mu.Lock()
	defer w.board.mu.Unlock()
	if err := w.catchUp(ctx); err != nil {
		return p, err
	}
	for _, row := range w.board.rows {
		if !row.Open() {
			continue
		}
		if p.Open++; row.Precedence != noroshi.Flash {
			continue
		}
		if p.Flash++; p.Last == nil || row.Seq > p.Last.Seq {
			p.Last, p.Since = row, row.Received
		}
	}
	if p.Last != nil {
		last := p.Last.clone()
		p.Last = &last
	}
	return p, nil
}

// Urgent returns the open warning that needs somebody first, nil when none is
// open: of the highest precedence the one whose acknowledgement is due first, which
// those are that are late already; then the newest.
func (w *Watch) Urgent(ctx context.Context) (*Row, error) {
	w.board.mu.Lock()
	defer w.board.mu.Unlock()
	if err := w.catchUp(ctx); err != nil {
		return nil, err
	}
	var first *Row
	for _, row := range w.board.rows {
		if row.Open() && (first == nil || row.before(first)) {
			first = row
		}
	}
	if first == nil {
		return nil, nil
	}
	if err := w.recount(ctx, first); err != nil {
		return nil, err
	}
	row := first.clone()
	return &row, nil
}

// before reports whether an open warning needs somebody before another does.
func (r *Row) before(o *Row) bool {
	switch {
	case r.Precedence != o.Precedence:
		return r.Precedence > o.Precedence
	case r.AckDue.IsZero() != o.AckDue.IsZero():
		return o.AckDue.IsZero()
	case !r.AckDue.Equal(o.AckDue):
		return r.AckDue.Before(o.AckDue)
	}
	return r.key().compare(o.key()) < 0
}
