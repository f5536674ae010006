package taxii

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
)

// Position is how far a walk over a collection has come. It may be kept as JSON
// and given to a later walk with the same filters, which then hands out what
// came since, and again what may have been missed. The zero Position is the
// start of the collection.
//
// It is a date and the marks of what was handed out about that date, never a
// server's next: that may expire, or skip a page whose answer was lost.
type Position struct {
	after time.Time // as added_after
	tip   bool      // where the collection ended: what came late may still be dated before it
	seen  []mark
}

// IsZero reports whether the position is the start.
func (p Position) IsZero() bool { return p.after.IsZero() && len(p.seen) == 0 }

// After returns the date behind which a walk goes on, the zero time at the
// start.
func (p Position) After() time.Time { return p.after }

// maxSeen bounds what a walk remembers and a position has.
const maxSeen = 1 << 16

// mark stands for a record that was handed out: the first half for its id and
// version, the second for its bytes.
type mark struct{ record, bytes uint64 }

type positionJSON struct {
	After string `json:"after,omitempty"`
	Tip   bool   `json:"tip,omitempty"`
	Seen  string `json:"seen,omitempty"`
}

// micros is how the client writes added_after: six digits, for some servers
// refuse a time without a fraction. Rounding down asks for more, never for less.
const micros = "2006-01-02T15:04:05.000000Z"

// MarshalJSON writes the position as an object of at most 1.5 MB.
func (p Position) MarshalJSON() ([]byte, error) {
	j := positionJSON{Tip: p.tip}
	if !p.after.IsZero() {
		j.After = p.after.UTC().Format(micros)
	}
	var b []byte
	for _, m := range p.seen {
		b = binary.BigEndian.AppendUint64(b, m.record)
		b = binary.BigEndian.AppendUint64(b, m.bytes)
	}
	j.Seen = base64.StdEncoding.EncodeToString(b)
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (p *Position) UnmarshalJSON(text []byte) error {
	var j positionJSON
	if err := json.Unmarshal(text, &j, json.RejectUnknownMembers(true)); err != nil {
		return fmt.Errorf("taxii position: %w", err)
	}
	q := Position{tip: j.Tip}
	if j.After != "" {
		t, err := time.Parse(micros, j.After)
		if err != nil {
			return fmt.Errorf("taxii position: after: %w", err)
		}
		q.after = t
	}
	b, err := base64.StdEncoding.DecodeString(j.Seen)
	if err != nil || len(b)%16 != 0 || len(b) > 16*maxSeen {
		return fmt.Errorf("taxii position: seen is not a list of at most %d marks", maxSeen)
	}
	for ; len(b) > 0; b = b[16:] {
		q.seen = append(q.seen, mark{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])})
	}
	*p = q
	return nil
}

// window is what a walk has seen lately, page by page.
type window struct {
	pages []seenPage // oldest first
	marks map[mark]int
	known map[uint64]int // mark.record -> how many marks
	lost  time.Time      // the latest date of what was forgotten for want of room
	room  int            // marks it holds, as far as these are of several pages
}

type seenPage struct {
	last  time.Time // date of its last record; zero when not known
	marks []mark
}

func newWindow(p Position, room int) *window {
	w := &window{room: room, marks: map[mark]int{}, known: map[uint64]int{}}
	// What is in a position was dated at most a microsecond behind it.
	w.add(p.after.Add(time.Microsecond), p.seen)
	return w
}

func (w *window) add(last time.Time, marks []mark) {
	if len(marks) == 0 {
		return
	}
	for _, m := range marks {
		w.marks[m]++
		w.known[m.record]++
	}
	w.pages = append(w.pages, seenPage{last, marks})
	for len(w.marks) > w.room && len(w.pages) > 1 {
		w.forget()
	}
}

func (w *window) forget() {
	old := w.pages[0]
	w.pages = w.pages[1:]
	if old.last.After(w.lost) {
		w.lost = old.last
	}
	for _, m := range old.marks {
		if w.marks[m]--; w.marks[m] == 0 {
			delete(w.marks, m)
		}
		if w.known[m.record]--; w.known[m.record] == 0 {
			delete(w.known, m.record)
		}
	}
}

// since returns the marks of pages that reach to a date or behind it, or whose
// date is not known, and whether these are all there were.
func (w *window) since(t time.Time) (marks []mark, whole bool) {
	for i := len(w.pages) - 1; i >= 0; i-- {
		if p := w.pages[i]; p.last.IsZero() || !p.last.Before(t) {
			marks = append(marks, p.marks...)
		}
	}
	return marks[:min(len(marks), w.room)], len(marks) <= w.room && w.lost.Before(t)
}
