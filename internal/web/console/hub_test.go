package console_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/tier"
)

// stream is one page's stream of events.
type stream struct {
	t      *testing.T
	lines  *bufio.Scanner
	lastID string
}

// listen opens a stream: with an id as a browser that comes back, else as a page
// made at a place of the feed.
func (r *reader) listen(query, lastID string) *stream {
	r.t.Helper()
	q, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.base+"/live"+query, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if lastID != "" {
		q.Header.Set("Last-Event-ID", lastID)
	}
	res, err := r.http.Do(q)
	if err != nil || res.StatusCode != http.StatusOK {
		r.t.Fatalf("no stream: %v %v", res, err)
	}
	r.t.Cleanup(func() { res.Body.Close() })
	return &stream{t: r.t, lines: bufio.NewScanner(res.Body)}
}

// until reads events until one of a topic, and returns them.
func (s *stream) until(topic string) (seen []string) {
	s.t.Helper()
	for s.lines.Scan() {
		name, value, _ := strings.Cut(s.lines.Text(), ": ")
		switch name {
		case "event":
			seen = append(seen, value)
		case "id":
			s.lastID = value
		case "data:":
			if seen[len(seen)-1] == topic {
				return seen
			}
		}
	}
	s.t.Fatalf("the stream ended after %v: %v", seen, s.lines.Err())
	return nil
}

// TestStreamOfEvents: a page is told what has changed since it was made, by topic;
// who comes back is told what they missed and nothing that they were told.
func TestStreamOfEvents(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	r := newReader(t, p)
	r.signIn("duty")
	made := p.Head()
	p.Import("one.txt", "tlp:green", strings.NewReader("one.example.net\n"))
	s := r.listen(fmt.Sprintf("?from=%d", made), "")
	if seen := s.until("changed"); !slices.Contains(seen, "indicators") || slices.Contains(seen, "warnings") {
		t.Errorf("missed between page and stream: %v", seen)
	}
	place := s.lastID
	p.Import("two.txt", "tlp:green", strings.NewReader("two.example.net\n"))
	s.until("indicators")
	back := r.listen("", place)
	if seen := back.until("changed"); !slices.Contains(seen, "indicators") || !slices.Contains(seen, "links") || slices.Contains(seen, "warnings") {
		t.Errorf("told after coming back: %v", seen)
	}
	many(t, p, r)
}

// many has many pages open at once: each is told of a warning, and fetches its
// parts, which are made once for all of them.
func many(t *testing.T, p *nodetest.Party, r *reader) {
	t.Helper()
	streams := make([]*stream, tier.N(40, 200))
	for i := range streams {
		streams[i] = r.listen(fmt.Sprintf("?from=%d", p.Head()), "")
	}
	began := time.Now()
	warnOf(t, p, noroshi.Flash, "Seen by many", "多数の画面に表示")
	var all sync.WaitGroup
	var mu sync.Mutex
	bodies := map[string]int{}
	for _, s := range streams {
		all.Go(func() {
			s.until("warnings")
			for _, part := range []string{"/?part=need", "/?part=warnings", "/rail?here=picture"} {
				q, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, r.base+part, nil)
				q.Header.Set("HX-Request", "true")
				res, err := r.http.Do(q)
				if err != nil {
					t.Error(err)
					return
				}
				body, _ := io.ReadAll(res.Body)
				res.Body.Close()
				mu.Lock()
				bodies[part] = max(bodies[part], squeezed(t, body))
				mu.Unlock()
				if res.StatusCode != http.StatusOK || !strings.Contains(string(body), "Seen by many") && !strings.Contains(string(body), `data-flash="1"`) {
					t.Errorf("%s: %d\n%s", part, res.StatusCode, body)
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d pages told and brought up to date in %s; compressed sizes %v", len(streams), time.Since(began), bodies)
	for part, n := range bodies {
		if n > 4<<10 {
			t.Errorf("%s is %d bytes compressed, over 4 KiB", part, n)
		}
	}
}

// squeezed is the size of a body as gzip -9 leaves it.
func squeezed(t *testing.T, body []byte) int {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Len()
}
