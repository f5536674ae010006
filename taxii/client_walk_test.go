package taxii_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi/taxii"
)

// walked is what a walk handed out.
type walked struct {
	raw    map[string]int
	bad    []error
	faults map[string]int
	pages  int
	end    taxii.Position
	err    error
}

// walk goes over the shelf, at most for so many pages, and passes the position
// through JSON after each, as a caller that keeps it does.
func walk(t *testing.T, c *taxii.Client, from taxii.Position, pages int) walked {
	t.Helper()
	w := walked{raw: map[string]int{}, faults: map[string]int{}, end: from}
	for p, err := range c.Objects(t.Context(), "", "c", taxii.Query{}, from) {
		if err != nil {
			w.err = err
			return w
		}
		for _, e := range p.Elements {
			w.raw[string(e.Raw)]++
			if e.Err != nil {
				w.bad = append(w.bad, e.Err)
			}
		}
		for _, f := range p.Faults {
			w.faults[f.Code]++
		}
		text, err := json.Marshal(p.Position)
		if err != nil {
			t.Fatal(err)
		}
		w.end = taxii.Position{}
		if err := json.Unmarshal(text, &w.end); err != nil {
			t.Fatal(err)
		}
		if len(p.Elements) > 0 {
			w.pages++
		}
		if w.pages >= pages {
			return w
		}
	}
	return w
}

// lacks returns which records of the shelf were not handed out.
func (w walked) lacks(s *shelf) (missing []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.records {
		if w.raw[r.raw] == 0 {
			missing = append(missing, r.raw[78:90])
		}
	}
	return missing
}

func (w walked) repeats() (n int) {
	for _, times := range w.raw {
		n += times - 1
	}
	return n
}

func check(t *testing.T, s *shelf, w walked, want []string) {
	t.Helper()
	if w.err != nil {
		t.Errorf("the walk ended: %v", w.err)
	}
	if missing := w.lacks(s); len(missing) > 0 {
		t.Errorf("%d records are missing: %q\n%s", len(missing), missing, strings.Join(s.asked, "\n"))
	}
	if n := w.repeats(); n > 0 {
		t.Errorf("%d records handed out again", n)
	}
	for _, code := range want {
		if w.faults[code] == 0 {
			t.Errorf("fault %q is not told: %v", code, w.faults)
		}
	}
	if w.faults[taxii.FaultStalled] > 0 {
		t.Errorf("told that something may be missing: %v", w.faults)
	}
}

// TestEveryPageIsAPlaceToGoOn ends a walk behind each page and goes on from the
// position it left, for every fault: nothing is missing.
func TestEveryPageIsAPlaceToGoOn(t *testing.T) {
	t.Parallel()
	for _, tt := range faults {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &shelf{pageMax: 5}
			s.fill(9, 1500*time.Microsecond)
			s.fill(3, 0)
			s.fill(11, 1500*time.Microsecond)
			tt.fault(s)
			c, _ := dial(t, s, func(o *taxii.ClientOptions) { o.Limit = max(tt.limit, 5) })
			got := walked{raw: map[string]int{}}
			var at taxii.Position
			for range 40 {
				w := walk(t, c, at, 1)
				if w.err != nil {
					t.Fatal(w.err)
				}
				for raw := range w.raw {
					got.raw[raw]++
				}
				at = w.end
			}
			if missing := got.lacks(s); len(missing) > 0 {
				t.Errorf("%d records are missing: %q", len(missing), missing)
			}
		})
	}
}

// TestOneDateForEverything: a batch of one date, larger than a page, from a
// server without next. A larger page reaches it.
func TestOneDateForEverything(t *testing.T) {
	t.Parallel()
	s := &shelf{noNext: true}
	s.fill(1, 0)
	s.fill(300, 0)
	s.fill(10, time.Second)
	c, _ := dial(t, s, nil)
	w := walk(t, c, taxii.Position{}, 1000)
	check(t, s, w, nil)

	// Where the server gives no larger page, what is missing is told.
	s = &shelf{noNext: true, pageMax: 5}
	s.fill(20, 0)
	s.fill(10, time.Second)
	c, _ = dial(t, s, nil)
	w = walk(t, c, taxii.Position{}, 1000)
	if len(w.raw) < 15 || w.faults[taxii.FaultStalled] == 0 {
		t.Errorf("%d of 30 records, faults %v", len(w.raw), w.faults)
	}
}

// TestABatchBeyondMemory: more records of one date than a walk remembers.
func TestABatchBeyondMemory(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	s.fill(1, 0)
	s.fill(1200, 0)
	c, _ := dial(t, s, func(o *taxii.ClientOptions) { o.Limit, o.Remember = 100, 500 })
	w := walk(t, c, taxii.Position{}, 100)
	check(t, s, w, nil)
	s.fill(3, time.Second)
	w2 := walk(t, c, w.end, 100)
	if w2.err != nil || len(w2.raw) != 3 {
		t.Errorf("a second walk: %d records, error %v, want the 3 new", len(w2.raw), w2.err)
	}
}

// TestLateRecords: what a server dated before it let it be seen comes all the
// same, within the overlap.
func TestLateRecords(t *testing.T) {
	t.Parallel()
	s := &shelf{pageMax: 5}
	s.fill(12, time.Second)
	late := s.records[9]
	s.records = slices.Delete(s.records, 9, 10)
	c, _ := dial(t, s, nil)
	w := walk(t, c, taxii.Position{}, 100)
	s.records = slices.Insert(s.records, 9, late)
	w2 := walk(t, c, w.end, 100)
	if len(w2.raw) != 1 || w2.raw[late.raw] != 1 {
		t.Errorf("%d records, want the late one alone", len(w2.raw))
	}
}

// TestLateRecordsWhileStopped: the same where the walk stopped behind a page
// that was about as old as the server's clock.
func TestLateRecordsWhileStopped(t *testing.T) {
	t.Parallel()
	s := &shelf{pageMax: 5}
	s.fill(12, time.Second)
	s.clock = day.Add(6 * time.Second).Format(http.TimeFormat)
	late := s.records[2]
	s.records = slices.Delete(s.records, 2, 3)
	c, _ := dial(t, s, nil)
	w := walk(t, c, taxii.Position{}, 1)
	s.records = slices.Insert(s.records, 2, late)
	w2 := walk(t, c, w.end, 100)
	if len(w.raw) != 5 || len(w2.raw) != 7 || w2.raw[late.raw] != 1 {
		t.Errorf("%d and then %d records, want 5 and then 7, the late one among them", len(w.raw), len(w2.raw))
	}
}

// TestPagesNotInOrder: the last date says nothing of what is still to come, so
// a next that fails is begun again from the start.
func TestPagesNotInOrder(t *testing.T) {
	t.Parallel()
	s := &shelf{pageMax: 5, order: func(r []record) []record {
		if len(r) < 15 {
			return r
		}
		return slices.Concat(r[10:15], r[:10], r[15:])
	}}
	s.before = func(w http.ResponseWriter, _ *http.Request, n int) bool {
		if n == 3 {
			w.WriteHeader(404)
		}
		return n == 3
	}
	s.fill(23, time.Second)
	c, _ := dial(t, s, nil)
	check(t, s, walk(t, c, taxii.Position{}, 100), []string{"order", "next"})
}

// TestEmpty: a collection with nothing in it, however the server says so.
func TestEmpty(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(http.ResponseWriter, *http.Request, int) bool{
		"envelope": nil,
		"404":      func(w http.ResponseWriter, _ *http.Request, _ int) bool { w.WriteHeader(404); return true },
		"204":      func(w http.ResponseWriter, _ *http.Request, _ int) bool { w.WriteHeader(204); return true },
		"null": func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			fmt.Fprint(w, `{"objects":null}`)
			return true
		},
		"{}": func(w http.ResponseWriter, _ *http.Request, _ int) bool { fmt.Fprint(w, `{}`); return true },
	} {
		s := &shelf{before: before}
		c, _ := dial(t, s, nil)
		if w := walk(t, c, taxii.Position{}, 10); w.err != nil || len(w.raw) > 0 || s.requests != 1 || !w.end.IsZero() {
			t.Errorf("%s: %d records, %d requests, position %v, error %v", name, len(w.raw), s.requests, w.end.After(), w.err)
		}
	}
	c, _ := dial(t, &answers{}, nil)
	for _, err := range c.Objects(t.Context(), "", "none", taxii.Query{}, taxii.Position{}) {
		if err == nil {
			t.Error("a collection that is not there: no error")
		}
	}
}

// TestNoDatesAtAll: the server's clock is a place to go on from.
func TestNoDatesAtAll(t *testing.T) {
	t.Parallel()
	s := &shelf{pageMax: 5, date: func(time.Time) string { return "" }, clock: day.Add(time.Hour).Format(http.TimeFormat)}
	s.fill(12, time.Second)
	c, _ := dial(t, s, nil)
	if w := walk(t, c, taxii.Position{}, 100); len(w.lacks(s)) > 0 || !w.end.After().Equal(day.Add(55*time.Minute)) {
		t.Errorf("%d records, position %v", len(w.raw), w.end.After())
	}
}

// TestBadObjectsLoseNoOthers: each bad element is handed out with its bytes and
// the reason; the others come.
func TestBadObjectsLoseNoOthers(t *testing.T) {
	t.Parallel()
	bad := []string{
		`{"type":"indicator","id":"indicator--1","x":NaN}`,
		`{"type":"indicator","type":"malware","id":"indicator--00000000-0000-4000-8000-000000000099"}`,
		`{"type":"software","id":"software--00000000-0000-4000-8000-000000000099","modified":{}}`,
		`{"type":"indicator","id":` + strings.Repeat("[", 3000) + strings.Repeat("]", 3000) + `}`,
		`"a string"`, `null`, `17`, "{\"type\":\"a\xff\"}",
	}
	s := &shelf{pageMax: 5}
	s.fill(8, time.Second)
	s.mangle = func(_ int, elements []string) string {
		if len(elements) == 0 {
			return "[]"
		}
		return "[" + strings.Join(slices.Concat(elements[:1], bad, elements[1:]), " ,\n") + "]"
	}
	c, _ := dial(t, s, nil)
	w := walk(t, c, taxii.Position{}, 100)
	check(t, s, w, nil)
	if len(w.bad) != len(bad) {
		t.Errorf("%d bad elements, want %d: %v", len(w.bad), len(bad), w.bad)
	}
	for _, raw := range bad {
		if w.raw[raw] != 1 {
			t.Errorf("handed out %d times: %.60q", w.raw[raw], raw)
		}
	}
}

// TestSameVersionOtherBytes: it is handed out, and ends no walk by itself.
func TestSameVersionOtherBytes(t *testing.T) {
	t.Parallel()
	s := &shelf{pageMax: 5}
	s.fill(4, time.Second)
	s.mangle = func(n int, elements []string) string { // other white space in each answer
		return "[" + strings.ReplaceAll(strings.Join(elements, ","), `"type":"indicator"`, `"type":`+strings.Repeat(" ", n)+`"indicator"`) + "]"
	}
	c, _ := dial(t, s, nil)
	w := walk(t, c, taxii.Position{}, 100)
	if w.err != nil || w.pages > 4 || len(w.raw) < 5 {
		t.Errorf("%d spellings on %d pages, error %v", len(w.raw), w.pages, w.err)
	}
}

// TestTooLarge: a page beyond the limit comes in smaller ones.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	s := &shelf{zip: true}
	s.fill(60, time.Second)
	c, _ := dial(t, s, func(o *taxii.ClientOptions) { o.Limit = 60; o.MaxAnswer = 8 << 10 })
	w := walk(t, c, taxii.Position{}, 100)
	check(t, s, w, []string{"limit"})

	s.records[30].raw = strings.Replace(s.records[30].raw, "n30", strings.Repeat("n", 9<<10), 1)
	w = walk(t, c, taxii.Position{}, 100)
	if !errors.Is(w.err, taxii.ErrTooLarge) || len(w.raw) != 30 {
		t.Errorf("%d records and error %v, want 30 and one that says what is too large", len(w.raw), w.err)
	}
}

func TestNoWayOn(t *testing.T) {
	t.Parallel()
	s := &shelf{pageMax: 5, noNext: true, date: func(time.Time) string { return "" }}
	s.fill(12, time.Second)
	c, _ := dial(t, s, nil)
	w := walk(t, c, taxii.Position{}, 100)
	if !errors.Is(w.err, taxii.ErrNoWay) || len(w.raw) != 5 {
		t.Errorf("%d records and error %v, want what came and %v", len(w.raw), w.err, taxii.ErrNoWay)
	}
}
