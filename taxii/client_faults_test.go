package taxii_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi/taxii"
)

// TestFaultsOfServers walks over a server with each fault of the table below.
func TestFaultsOfServers(t *testing.T) {
	t.Parallel()
	for _, tt := range faults {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &shelf{pageMax: 5}
			step := 1500 * time.Microsecond
			if tt.same {
				s.fill(4, step)
				s.fill(3, 0)
				s.fill(4, step)
				s.fill(3, 0)
				s.fill(9, step)
			} else {
				s.fill(23, step)
			}
			tt.fault(s)
			c, _ := dial(t, s, func(o *taxii.ClientOptions) { o.Limit = max(tt.limit, 5) })
			w := walk(t, c, taxii.Position{}, 1000)
			check(t, s, w, tt.want)
			if most := max(tt.requests, 8); s.requests > most {
				t.Errorf("%d requests, want at most %d:\n%s", s.requests, most, strings.Join(s.asked, "\n"))
			}

			// More comes: one of the last date, two later.
			s.fill(1, 0)
			s.fill(2, step)
			w2 := walk(t, c, w.end, 1000)
			for raw := range w2.raw {
				w.raw[raw]++
			}
			w2.raw = w.raw
			check(t, s, w2, nil)

			// Nothing comes: nothing is handed out.
			if w3 := walk(t, c, w2.end, 1000); w3.err != nil || len(w3.raw) > 0 {
				t.Errorf("a third walk: %d records, error %v", len(w3.raw), w3.err)
			}
		})
	}
}

// faults is a table of what real servers do. Each is walked from the start and,
// with a little more on the shelf, again from the kept position.
var faults = []struct {
	name     string
	fault    func(*shelf)
	same     bool     // several records have one date
	want     []string // codes of faults that are told
	requests int      // at most, of the first walk over 23 records by 5; 0 = 8
	limit    int      // that the client asks for; 0 = 5
}{
	{name: "none", fault: func(s *shelf) {}},
	{name: "none, several of one date", fault: func(s *shelf) {}, same: true},
	{name: "no next", fault: func(s *shelf) { s.noNext = true }, requests: 9},
	{name: "no next, several of one date", fault: func(s *shelf) { s.noNext = true }, same: true, requests: 12},
	{name: "no next, more as a string", fault: func(s *shelf) {
		s.noNext = true
		s.more = func(m bool) string { return fmt.Sprintf("%q", fmt.Sprint(m)) }
	}, requests: 9},
	{name: "more is never true", fault: func(s *shelf) { s.noNext = true; s.more = func(bool) string { return "false" } }, requests: 9},
	{name: "more is never true, several of one date", fault: func(s *shelf) { s.noNext = true; s.more = func(bool) string { return "false" } }, same: true, requests: 12},
	{name: "more is always true", fault: func(s *shelf) { s.more = func(bool) string { return "true" } }, want: []string{"endless"}, requests: 20},
	{name: "more is always true, no next", fault: func(s *shelf) { s.noNext = true; s.more = func(bool) string { return "true" } }, want: []string{"endless"}, requests: 20},
	{name: "added_after is inclusive", fault: func(s *shelf) { s.inclusive = true }},
	{name: "added_after is inclusive, no next", fault: func(s *shelf) { s.inclusive = true; s.noNext = true }, requests: 9},
	{name: "added_after is inclusive, no next, more is always true", fault: func(s *shelf) {
		s.inclusive, s.noNext = true, true
		s.more = func(bool) string { return "true" }
	}, want: []string{"endless"}, requests: 20},
	{name: "added_after is ignored", fault: func(s *shelf) { s.ignore = true }, requests: 12},
	{name: "next leads to the first page for ever", fault: func(s *shelf) { s.repeatNext = true }, want: []string{"loop"}, requests: 24},
	{name: "next goes round", fault: func(s *shelf) { s.cycleNext = true; s.more = func(bool) string { return "true" } }, want: []string{"loop"}, requests: 30},
	{name: "next can be had once", fault: func(s *shelf) { s.popNext = true }},
	{name: "next can be had once and the answer is lost", fault: func(s *shelf) {
		s.popNext = true
		s.before = func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n != 3 {
				return false
			}
			s.offset(r.FormValue("next"))
			panic(http.ErrAbortHandler)
		}
	}, want: []string{"next"}, requests: 10},
	{name: "next is one word that moves on", fault: func(s *shelf) { s.slideNext = true }},
	{name: "next is one word that moves on, and an answer is lost", fault: func(s *shelf) {
		s.slideNext = true
		s.before = func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n != 3 {
				return false
			}
			s.offset(r.FormValue("next"))
			panic(http.ErrAbortHandler)
		}
	}, want: []string{"next"}, requests: 10},
	{name: "next expires", fault: func(s *shelf) { s.expire = 3 }, want: []string{"next"}, requests: 16},
	{name: "next always fails", fault: func(s *shelf) { s.expire = 1 }, want: []string{"next"}, requests: 24},
	{name: "next always fails, several of one date", fault: func(s *shelf) { s.expire = 1 }, same: true, want: []string{"next"}, requests: 40},
	{name: "dates without a fraction", fault: func(s *shelf) {
		s.date = func(t time.Time) string { return t.Format(time.RFC3339) }
	}, requests: 10},
	{name: "dates without a fraction, no next, manifest there", fault: func(s *shelf) {
		s.date = func(t time.Time) string { return t.Format(time.RFC3339) }
		s.noNext, s.manifest = true, true
	}, requests: 24},
	{name: "dates cut to milliseconds", fault: func(s *shelf) { s.precision = time.Millisecond; s.noNext = true }, requests: 9},
	{name: "dates with a zone", fault: func(s *shelf) {
		tokyo := time.FixedZone("JST", 9*3600)
		s.date = func(t time.Time) string { return t.In(tokyo).Format(time.RFC3339Nano) }
		s.noNext = true
	}, requests: 9},
	{name: "dates with a space and no zone", fault: func(s *shelf) {
		s.date = func(t time.Time) string { return t.Format("2006-01-02 15:04:05.000000") }
		s.noNext = true
	}, requests: 9},
	{name: "dates are undefined", fault: func(s *shelf) {
		s.date = func(time.Time) string { return "undefined" }
		s.manifest = true
	}, want: []string{"dates"}},
	{name: "dates missing, no next, manifest there", fault: func(s *shelf) {
		s.date = func(time.Time) string { return "" }
		s.noNext, s.manifest = true, true
	}, want: []string{"dates"}, requests: 9},
	{name: "dates missing, no manifest, next there", fault: func(s *shelf) {
		s.date = func(time.Time) string { return "" }
		s.clock = day.Add(time.Minute).Format(http.TimeFormat)
	}, want: []string{"dates"}},
	{name: "dates and clock missing, no manifest", fault: func(s *shelf) { s.date = func(time.Time) string { return "" } }, want: []string{"dates"}},
	{name: "dates far ahead", fault: func(s *shelf) {
		s.date = func(t time.Time) string { return t.AddDate(40, 0, 0).Format(time.RFC3339) }
		s.manifest = true
	}, want: []string{"dates"}},
	{name: "not in order", fault: func(s *shelf) {
		s.order = func(r []record) []record {
			r = slices.Clone(r)
			slices.Reverse(r)
			return r
		}
	}, want: []string{"order"}, requests: 8},
	{name: "envelope with items", fault: func(s *shelf) { s.member = "items" }},
	{name: "each record four times", fault: func(s *shelf) { s.times = 4 }},
	{name: "gzip", fault: func(s *shelf) { s.zip = true }},
	{name: "refuses a limit over 100", fault: func(s *shelf) {
		s.before = func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n > 1 {
				return false
			}
			w.WriteHeader(400)
			return true
		}
	}, limit: 1000, want: []string{"limit"}},
	{name: "busy", fault: func(s *shelf) {
		s.before = func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n%2 == 0 {
				return false
			}
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(429 + 74*(n%4/2))
			return true
		}
	}, requests: 14},
	{name: "an answer breaks off", fault: func(s *shelf) {
		s.before = func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n != 2 {
				return false
			}
			fmt.Fprint(w, `{"more":true,"objects":[`+domainIndicator(5)+`,{"type":"ind`)
			return true
		}
	}, want: []string{"limit"}, requests: 16},
}
