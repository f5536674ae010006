package taxii

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Bounds of a walk.
const (
	maxLimit     = 1 << 14        // what a walk raises its limit to, at most
	safeLimit    = 100            // what it lowers it to where a server refuses it
	maxLostNexts = 8              // after which it goes by dates only
	maxStalls    = 4              // answers in a row that bring nothing new and no later date
	maxHollow    = 3              // pages in a row without an element, each with a next
	clockSlack   = 24 * time.Hour // a date so far ahead of the server's clock is no date
	dateSlack    = 5 * time.Minute
)

// ErrNoWay is returned where a server says that there is more and names neither
// a next page nor a date.
var ErrNoWay = errors.New("taxii: the server says there is more, and not how to get it")

// walk is one pass over a list that comes in pages. It follows next, and goes
// by dates where there is none or it fails: a date can always be asked again,
// from just before itself, so that what has the same date is not missed.
type walk struct {
	c       *Client
	url     *url.URL
	filters url.Values
	list    listing
	dates   func(ctx context.Context, e element) time.Time // where the headers have none; nil = none
	shelf   *url.URL                                       // the collection, where 404 may mean that nothing is new; nil = it does not

	start time.Time // as given by the position
	tip   bool      // of the position
	after time.Time // what is asked now
	next  string    // not empty: what is asked now is this page behind it
	limit int

	last      time.Time // latest date known
	began     time.Time // by the server's clock, the first answer with something in it, less dateSlack
	near      bool      // the last date is within the overlap of the server's clock
	tail      element   // the last one that a date can be asked for
	largest   int       // elements of a page so far; 0 = none before
	unordered bool      // dates went back: the last one says nothing while the walk goes on
	noNext    bool
	lostNexts int
	stalls    int
	hollow    int
	raised    int  // elements of the page before the limit was raised, 0 = not raised
	dirty     bool // something new since the last time it was asked by date
	done      bool
	chain     map[uint64]bool // pages since it was last asked by date
	seen      *window
	faults    []Fault
}

// gathered is a page of new elements.
type gathered struct {
	elements []element
	position Position
	faults   []Fault
}

func (c *Client) walk(root, collection string, below []string, q Query, from Position, list listing) (*walk, error) {
	u, err := c.at(root, append([]string{"collections", collection}, below...)...)
	if err != nil {
		return nil, err
	}
	w := &walk{c: c, url: u, filters: q.filters(), list: list, limit: q.Limit, start: from.after, tip: from.tip, seen: newWindow(from, c.o.Remember)}
	if w.limit < 1 {
		w.limit = c.o.Limit
	}
	if from.IsZero() {
		w.start = q.After
	}
	w.after = w.start
	if from.tip {
		w.after = w.start.Add(-c.o.Overlap)
	}
	if below[0] == "objects" && len(below) < 3 {
		w.dates = func(ctx context.Context, e element) time.Time { return c.dateOf(ctx, root, collection, e) }
	}
	if len(below) == 1 {
		w.shelf, err = c.at(root, "collections", collection)
		return w, err
	}
	return w, nil
}

func (w *walk) pages(ctx context.Context) iter.Seq2[gathered, error] {
	return func(yield func(gathered, error) bool) {
		for !w.done {
			a, header, err := w.ask(ctx)
			if err != nil {
				yield(gathered{faults: w.faults}, err)
				return
			}
			fresh, elements := w.take(ctx, a, header)
			err = w.onward(ctx, a, header, fresh)
			got := gathered{elements, w.position(), w.faults}
			w.faults = nil
			if !yield(got, nil) {
				return
			}
			if err != nil {
				yield(gathered{}, err)
				return
			}
		}
	}
}

// ask gets the next page, in a smaller piece or by its date where it cannot be
// had otherwise.
func (w *walk) ask(ctx context.Context) (answer, http.Header, error) {
	for {
		r, err := w.c.try(ctx, outgoing{method: http.MethodGet, url: w.request(), once: w.next != ""}, w.again)
		var a answer
		if err == nil && len(r.body) == 0 {
			w.fault("empty", "an answer without a body")
			return a, r.header, nil
		}
		if err == nil {
			if a, err = splitAnswer(r.body, w.list.members); err == nil {
				return a, r.header, nil
			}
			err = r.unreadable(err)
		}
		switch status := statusOf(err); {
		case ctx.Err() != nil:
			return a, nil, ctx.Err()
		case w.limit > 1 && (errors.Is(err, ErrTooLarge) || errors.Is(err, ErrUnreadable)):
			w.fault("limit", "asking for %d at once: %v", w.limit, err)
			w.limit /= 2
			w.byDate(w.resume())
		case w.next != "" && losesNext(err):
			w.fault("next", "%v", err)
			w.lostNexts++
			w.noNext = w.noNext || w.lostNexts >= maxLostNexts
			w.byDate(w.resume())
		case status == http.StatusBadRequest && w.limit > safeLimit:
			w.fault("limit", "asking for %d at once: %v", w.limit, err)
			w.limit = safeLimit
		case status == http.StatusNotFound && w.exists(ctx):
			w.fault("empty", "%v, though the collection is there", err)
			return answer{}, http.Header{}, nil
		default:
			return a, nil, err
		}
	}
}

// again: a page behind next is asked again only when the server said that it
// did not give it; one whose answer was lost may be gone.
func (w *walk) again(err error) bool {
	if w.next != "" {
		return crowded(err)
	}
	return passing(err)
}

// losesNext reports whether an error may be of the next alone.
func losesNext(err error) bool {
	var busy *BusyError
	s := statusOf(err)
	return !errors.As(err, &busy) && s != http.StatusUnauthorized && s != http.StatusForbidden
}

func (w *walk) request() *url.URL {
	v := url.Values{}
	for k, list := range w.filters {
		v[k] = list
	}
	// next goes with the query it came of, and a limit: some servers fail
	// without (section 3.5).
	if !w.after.IsZero() {
		v.Set("added_after", w.after.UTC().Format(micros))
	}
	v.Set("limit", strconv.Itoa(w.limit))
	if w.next != "" {
		v.Set("next", w.next)
	}
	u := *w.url
	u.RawQuery = v.Encode()
	return &u
}

// exists reports whether the collection can be seen: some servers answer 404
// where there is nothing new.
func (w *walk) exists(ctx context.Context) bool {
	if w.next != "" || w.shelf == nil {
		return false
	}
	_, err := w.c.call(ctx, http.MethodGet, w.shelf, nil)
	return err == nil
}

// take reads the elements of an answer and returns those not seen lately, and
// how many of them are of records not seen lately: another spelling of the same
// record is handed out, but is no progress.
func (w *walk) take(ctx context.Context, a answer, header http.Header) (fresh int, elements []element) {
	marks := make([]mark, 0, len(a.elements))
	here := map[mark]bool{}
	last := w.dated(header)
	for _, raw := range a.elements {
		e := w.list.read(raw)
		marks = append(marks, e.mark)
		if e.added.After(last) && !w.ahead(e.added, header) {
			last = e.added
		}
		if e.object != nil {
			w.tail = e
		}
		if w.seen.marks[e.mark] > 0 || here[e.mark] {
			continue
		}
		here[e.mark] = true
		if w.seen.known[e.mark.record] == 0 {
			fresh++
		}
		elements = append(elements, e)
	}
	onByDate := a.next == "" || w.noNext
	if last.IsZero() && onByDate && (a.more || fresh > 0) {
		w.fault("dates", "no date in the headers: the manifest is asked")
		last = w.asked(ctx, header)
	}
	if last.After(w.last) {
		w.last = last
	}
	now := headerTime(header.Get("Date"))
	if w.began.IsZero() && len(elements) > 0 && !now.IsZero() {
		w.began = now.Add(-dateSlack)
	}
	w.near = w.clock(header).Sub(w.last) < w.c.o.Overlap
	w.seen.add(last, marks)
	return fresh, elements
}

// onward decides what is asked next.
func (w *walk) onward(ctx context.Context, a answer, h http.Header, fresh int) error {
	n := len(a.elements)
	full := n > 1 && (n >= w.limit || w.largest > 0 && n >= w.largest)
	w.largest = max(w.largest, n)
	if fresh > 0 {
		w.dirty, w.stalls = true, 0
	}
	if a.next != "" && !w.noNext && (a.more || fresh > 0) {
		if !w.loops(a) {
			w.next = a.next
			return nil
		}
		w.fault("loop", "next leads to a page that was there before")
		a.more = true
	}
	if a.more && n > 0 {
		return w.step(ctx, h, n, full)
	}
	if a.more {
		w.fault("endless", "the server says there is more, and gives nothing")
	}
	// It says that this is the end. Some say so too early: the end is where
	// asking again from the last date brings nothing, and so does asking behind
	// it, where all of a full page has that date.
	switch {
	case w.last.IsZero():
	case w.dirty:
		w.byDate(w.behind())
		return nil
	case full && w.after.Before(w.last):
		w.byDate(w.last)
		return nil
	}
	w.done = true
	return nil
}

// loops reports whether a chain of next has come to a page it had before.
func (w *walk) loops(a answer) bool {
	if len(a.elements) == 0 {
		w.hollow++
		return w.hollow >= maxHollow
	}
	w.hollow = 0
	h := sha256.New()
	for _, e := range a.elements {
		s := sha256.Sum256(e)
		h.Write(s[:])
	}
	print := binary.BigEndian.Uint64(h.Sum(nil))
	if w.chain[print] {
		return true
	}
	if w.chain == nil {
		w.chain = map[uint64]bool{}
	}
	w.chain[print] = true
	return false
}

// step goes on by date behind a page that has n elements.
func (w *walk) step(ctx context.Context, h http.Header, n int, full bool) error {
	if w.last.IsZero() {
		return fmt.Errorf("%s: %w", w.url.Path, ErrNoWay)
	}
	if w.behind().After(w.after) {
		w.raised = 0
		w.byDate(w.behind())
		return nil
	}
	// All of the page has the date that was asked for. A larger page may reach
	// behind it, and the manifest may know the date more exactly.
	if full && w.limit < maxLimit && n > w.raised {
		w.raised = n
		w.limit = min(2*w.limit, maxLimit)
		w.byDate(w.after)
		return nil
	}
	if t := w.asked(ctx, h); full && t.After(w.last) {
		w.last = t
		w.byDate(w.behind())
		return nil
	}
	if w.stalls++; w.stalls >= maxStalls {
		w.fault("endless", "the server says there is more, and gives the same again")
		w.done = true
		return nil
	}
	if full {
		w.fault(FaultStalled, "there may be more of the date %s than the server gives at once", w.last.Format(micros))
	}
	w.byDate(later(w.last, w.after.Add(time.Microsecond)))
	return nil
}

// byDate asks by date from now on.
func (w *walk) byDate(after time.Time) {
	w.after, w.next, w.chain, w.hollow, w.dirty = after, "", nil, 0, false
}

// behind is the date from which whatever has the last date comes again, and the
// last date itself where there was too much of it to tell it apart.
func (w *walk) behind() time.Time {
	last := w.last.Truncate(time.Microsecond)
	if _, whole := w.seen.since(last); !whole {
		return last
	}
	return last.Add(-time.Microsecond)
}

// resume is the date from which nothing that is still to come is missed.
func (w *walk) resume() time.Time {
	if w.last.IsZero() || w.unordered {
		return w.after
	}
	return later(w.last.Truncate(time.Microsecond).Add(-time.Microsecond), w.after)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// position is where another walk goes on.
func (w *walk) position() Position {
	p := Position{after: w.start, tip: w.tip}
	switch last := w.last.Truncate(time.Microsecond); {
	case w.done && w.last.IsZero() && w.began.After(w.start):
		// No date at all: the server's clock when the walk began, less a margin.
		p = Position{after: w.began}
	case w.done && w.behind().After(w.start):
		p = Position{after: w.behind(), tip: w.behind().Before(last)}
	case !w.done && !w.unordered && last.Add(-time.Microsecond).After(w.start):
		p = Position{after: last.Add(-time.Microsecond), tip: w.near}
	}
	p.seen, _ = w.seen.since(p.after.Add(-w.c.o.Overlap))
	return p
}

func (w *walk) fault(code, format string, args ...any) {
	w.faults = append(w.faults, Fault{code, fmt.Sprintf(format, args...)})
}
