package taxii_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi/taxii"
)

// full returns a Memory with n indicators in the open collection.
func full(tb testing.TB, n int) *taxii.Memory {
	tb.Helper()
	m := newMemory()
	for start := 0; start < n; start += 1000 {
		var objects []string
		for i := start; i < min(n, start+1000); i++ {
			objects = append(objects, indicator(i, "2024-01-01T00:00:00.000Z"))
		}
		posted, err := taxii.ReadEnvelope([]byte(wrap(objects...)))
		if err != nil {
			tb.Fatal(err)
		}
		if st, err := m.Add(tb.Context(), "tool", openID, posted); err != nil || st.FailureCount > 0 {
			tb.Fatal(err, st)
		}
	}
	return m
}

// TestAllocations: a page of 1,000 objects costs fewer allocations than it has
// objects, by far: nothing is made anew for each.
func TestAllocations(t *testing.T) {
	h := taxii.NewHandler(full(t, 2000), taxii.Options{})
	for _, c := range []struct {
		path string
		most float64
	}{{objectsPath, 150}, {manifestPath, 150}} {
		req := httptest.NewRequest("GET", c.path+"?limit=1000", nil)
		req.Header.Set("Authorization", "Bearer tool-secret")
		w := &sink{header: http.Header{}}
		got := testing.AllocsPerRun(20, func() {
			clear(w.header)
			w.n = 0
			h.ServeHTTP(w, req)
		})
		if w.status != 200 || w.n < 100_000 {
			t.Fatalf("%s: status %d, %d bytes", c.path, w.status, w.n)
		}
		if got > c.most {
			t.Errorf("%s: %.0f allocations for 1000 objects, want at most %.0f", c.path, got, c.most)
		}
	}
}

// sink is a ResponseWriter that counts.
type sink struct {
	header http.Header
	status int
	n      int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(b []byte) (int, error) { s.n += len(b); return len(b), nil }

// BenchmarkPages fetches pages of 1,000 of 100,000 objects over loopback, each the
// one after the last. share is how much of the speed that is which the same
// objects have when they are taken from the same backend and written to a bare
// loopback socket, in the same run.
func BenchmarkPages(b *testing.B) {
	m := full(b, 100_000)
	s := httptest.NewServer(taxii.NewHandler(m, taxii.Options{}))
	defer s.Close()
	for _, coding := range []string{"identity", "gzip", "zstd"} {
		b.Run(coding, func(b *testing.B) {
			after, pages := "", 0
			start := time.Now()
			for b.Loop() {
				after = "&added_after=" + fetchPage(b, s, coding, after)
				if pages++; pages%100 == 0 {
					after = ""
				}
			}
			took := time.Since(start)
			b.ReportMetric(float64(1000*pages)/took.Seconds(), "objects/s")
			b.ReportMetric(copyAlone(b, m, pages).Seconds()/took.Seconds(), "share")
		})
	}
}

func fetchPage(b *testing.B, s *httptest.Server, coding, after string) (last string) {
	req, err := http.NewRequest("GET", s.URL+objectsPath+"?limit=1000"+after, nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer tool-secret")
	req.Header.Set("Accept-Encoding", coding)
	resp, err := s.Client().Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
		b.Fatal(resp.Status, err)
	}
	return resp.Header.Get("X-TAXII-Date-Added-Last")
}

// copyAlone takes pages from the backend and sends their bytes through a socket.
func copyAlone(b *testing.B, m *taxii.Memory, pages int) time.Duration {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	start := time.Now()
	received := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, err = io.Copy(io.Discard, c)
			c.Close()
		}
		received <- err
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriterSize(c, 64<<10)
	q := taxii.Query{Limit: 1000, Bodies: true}
	for p := range pages {
		if p%100 == 0 {
			q.After = time.Time{}
		}
		records, _, err := m.Page(b.Context(), "tool", openID, q)
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range records {
			w.Write(r.Bytes)
			q.After = r.Added
		}
	}
	if err := errors.Join(w.Flush(), c.Close(), <-received); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// BenchmarkEnvelope reads an envelope of 1,000 objects.
func BenchmarkEnvelope(b *testing.B) {
	var objects []string
	for i := range 1000 {
		objects = append(objects, indicator(i, "2024-01-01T00:00:00.000Z"))
	}
	body := wrap(objects...)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := taxii.ReadEnvelope([]byte(body)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(1000*b.N)/b.Elapsed().Seconds(), "objects/s")
}

// BenchmarkManifest fetches pages of 1,000 manifest records without a socket.
func BenchmarkManifest(b *testing.B) {
	h := taxii.NewHandler(full(b, 10_000), taxii.Options{})
	req := httptest.NewRequest("GET", manifestPath+"?limit=1000", strings.NewReader(""))
	req.Header.Set("Authorization", "Bearer tool-secret")
	w := &sink{header: http.Header{}}
	for b.Loop() {
		clear(w.header)
		h.ServeHTTP(w, req)
	}
	b.ReportMetric(float64(1000*b.N)/b.Elapsed().Seconds(), "records/s")
}
