package taxii_test

import (
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi/taxii"
)

// record is one record of a shelf.
type record struct {
	added time.Time
	raw   string
}

// shelf is a TAXII server with one collection, and with whatever faults a test
// gives it.
type shelf struct {
	mu       sync.Mutex
	records  []record
	requests int            // of objects
	sessions map[string]int // popping nexts: offset of what is left
	asked    []string       // the queries of objects

	pageMax    int // elements of a page at most
	member     string
	noNext     bool
	repeatNext bool                                               // next always leads to the first page
	cycleNext  bool                                               // next goes round
	popNext    bool                                               // a page behind next can be had once
	slideNext  bool                                               // next is one word, and gives the page behind the last one it gave
	expire     int                                                // every so many pages, next is not known any more
	more       func(more bool) string                             // how more is written
	inclusive  bool                                               // added_after gives what has that date
	ignore     bool                                               // added_after is not looked at
	date       func(time.Time) string                             // how a date header is written; "" = none
	clock      string                                             // Date header; "" = none
	manifest   bool                                               // whether there is one
	before     func(http.ResponseWriter, *http.Request, int) bool // true = answered
	mangle     func(n int, elements []string) string              // the list as written
	times      int                                                // how often a record is repeated
	zip        bool
	order      func([]record) []record // of the records of one answer
	precision  time.Duration           // of added_after and the headers
}

var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func domainIndicator(n int) string {
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-%012d","created":"2026-03-01T00:00:00.000Z","modified":"2026-03-01T00:00:00.000Z","pattern":"[domain-name:value = 'n%d.example']","pattern_type":"stix","valid_from":"2026-03-01T00:00:00Z"}`, n, n)
}

// fill puts n records on the shelf, dated one step apart.
func (s *shelf) fill(n int, step time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		at := day
		if len(s.records) > 0 {
			at = s.records[len(s.records)-1].added.Add(step)
		}
		s.records = append(s.records, record{at, domainIndicator(len(s.records))})
	}
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header()["Date"] = nil
	if s.clock != "" {
		w.Header().Set("Date", s.clock)
	}
	w.Header().Set("Content-Type", taxii.MediaType)
	switch r.URL.Path {
	case "/api/collections/c/objects/":
		s.requests++
		s.asked = append(s.asked, r.URL.RawQuery)
		if s.before == nil || !s.before(w, r, s.requests) {
			s.objects(w, r)
		}
	case "/api/collections/c/manifest/":
		s.listManifest(w, r)
	case "/api/collections/c/":
		fmt.Fprint(w, `{"id":"c","title":"t","can_read":true,"can_write":true}`)
	default:
		w.WriteHeader(404)
		fmt.Fprint(w, `{"title":"none"}`)
	}
}

func (s *shelf) after(r *http.Request) []record {
	after, err := time.Parse(time.RFC3339, r.FormValue("added_after"))
	if err != nil || s.ignore {
		return s.records
	}
	if s.precision > 0 {
		after = after.Truncate(s.precision)
	}
	var out []record
	for _, rec := range s.records {
		if rec.added.After(after) || s.inclusive && rec.added.Equal(after) {
			out = append(out, rec)
		}
	}
	return out
}

func (s *shelf) objects(w http.ResponseWriter, r *http.Request) {
	all := s.after(r)
	if s.order != nil {
		all = s.order(all)
	}
	limit, err := strconv.Atoi(r.FormValue("limit"))
	if err != nil {
		http.Error(w, "KeyError: 'limit'", 500)
		return
	}
	if s.pageMax > 0 {
		limit = min(limit, s.pageMax)
	}
	offset := 0
	if next := r.FormValue("next"); next != "" {
		var known bool
		if offset, known = s.offset(next); !known {
			http.Error(w, "no such session", 404)
			return
		}
	}
	offset = min(offset, len(all))
	page := all[offset:min(offset+limit, len(all))]
	s.write(w, page, s.nextOf(offset+len(page), len(all)), offset+len(page) < len(all))
}

func (s *shelf) offset(next string) (int, bool) {
	if s.expire > 0 && s.requests%s.expire == 0 {
		return 0, false
	}
	if s.popNext {
		n, known := s.sessions[next]
		delete(s.sessions, next)
		return n, known
	}
	if s.slideNext {
		n := s.sessions[next]
		s.sessions[next] += s.pageMax
		return n, true
	}
	n, err := strconv.Atoi(next)
	return n, err == nil
}

func (s *shelf) nextOf(offset, size int) string {
	switch {
	case s.repeatNext:
		return "0"
	case s.cycleNext:
		return strconv.Itoa(offset % max(size, 1))
	case s.noNext || offset >= size:
		return ""
	case s.slideNext:
		if s.sessions == nil {
			s.sessions = map[string]int{}
		}
		s.sessions["session"] = offset
		return "session"
	case s.popNext:
		if s.sessions == nil {
			s.sessions = map[string]int{}
		}
		token := fmt.Sprintf("session-%d", s.requests)
		s.sessions[token] = offset
		return token
	}
	return strconv.Itoa(offset)
}

func (s *shelf) write(w http.ResponseWriter, page []record, next string, more bool) {
	if len(page) > 0 {
		s.stamp(w, "First", page[0].added)
		s.stamp(w, "Last", page[len(page)-1].added)
	}
	var elements []string
	for _, rec := range page {
		for range max(s.times, 1) {
			elements = append(elements, rec.raw)
		}
	}
	list := "[" + strings.Join(elements, ",") + "]"
	if s.mangle != nil {
		list = s.mangle(s.requests, elements)
	}
	spelled := strconv.FormatBool(more)
	if s.more != nil {
		spelled = s.more(more)
	}
	member := s.member
	if member == "" {
		member = "objects"
	}
	body := fmt.Sprintf(`{"more":%s,"%s":%s`, spelled, member, list)
	if next != "" {
		body += fmt.Sprintf(`,"next":%q`, next)
	}
	body += "}"
	if !s.zip {
		fmt.Fprint(w, body)
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	fmt.Fprint(z, body)
	z.Close()
}

func (s *shelf) stamp(w http.ResponseWriter, which string, t time.Time) {
	if s.precision > 0 {
		t = t.Truncate(s.precision)
	}
	text := t.Format("2006-01-02T15:04:05.000000Z")
	if s.date != nil {
		text = s.date(t)
	}
	if text != "" {
		w.Header().Set("X-TAXII-Date-Added-"+which, text)
	}
}

func (s *shelf) listManifest(w http.ResponseWriter, r *http.Request) {
	if !s.manifest {
		http.Error(w, "no manifest", 404)
		return
	}
	var out []string
	for i, rec := range s.after(r) {
		id := fmt.Sprintf("indicator--00000000-0000-4000-8000-%012d", i)
		if want := r.FormValue("match[id]"); want == "" || want == id {
			out = append(out, fmt.Sprintf(`{"id":%q,"date_added":%q,"version":"2026-03-01T00:00:00.000Z"}`, id, rec.added.Format(time.RFC3339Nano)))
		}
	}
	fmt.Fprintf(w, `{"objects":[%s]}`, strings.Join(out, ","))
}

// waits is a clock that only counts what is waited for.
type waits struct {
	mu  sync.Mutex
	all []time.Duration
}

func (c *waits) wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, d)
	return ctx.Err()
}

// dial returns a client of a handler.
func dial(t *testing.T, h http.Handler, set func(*taxii.ClientOptions)) (*taxii.Client, *waits) {
	t.Helper()
	server := httptest.NewServer(h)
	transport := &http.Transport{}
	t.Cleanup(func() { transport.CloseIdleConnections(); server.Close() })
	clock := &waits{}
	o := taxii.ClientOptions{
		Base: server.URL + "/api/", Transport: transport, Limit: 5, Wait: clock.wait,
		Now: func() time.Time { return day.Add(time.Hour) }, Jitter: func() float64 { return 0.5 },
	}
	if set != nil {
		set(&o)
	}
	c, err := taxii.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	return c, clock
}
