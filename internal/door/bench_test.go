package door_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/taxii"
)

// house is a store with its gates and a door, served over HTTP on loopback.
type house struct {
	t     testing.TB
	path  string
	store *store.Store
	gate  *intake.Gate
	door  *door.Door
	url   string // of the collection "c"
	token string
	http  *http.Client
}

// build builds one; a client may read and write its collection "c".
func build(t testing.TB) *house {
	t.Helper()
	return buildAt(t, storetest.Address(t, noroshi.Real))
}

func buildAt(t testing.TB, address string) *house {
	t.Helper()
	self := noroshi.Organisation{CallSign: "USA-01", Tokens: []string{"USA.DOD"}, Identity: "identity--c78cb6e5-0c4b-4611-8297-d1b8b55e40b5"}
	h := &house{t: t, path: address}
	var err error
	if h.store, err = store.Open(t.Context(), h.path, store.Options{Realm: noroshi.Real, Node: noroshi.NodeID{1}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.store.Close() })
	h.gate = intake.New(h.store, intake.Options{Realm: noroshi.Real, Node: noroshi.NodeID{1}, Self: self})
	desk, err := release.New(h.store, release.Options{Realm: noroshi.Real, Node: noroshi.NodeID{1}, Self: self})
	if err != nil {
		t.Fatal(err)
	}
	h.door = door.New(h.store, h.gate, desk, door.Options{Realm: noroshi.Real})
	c, err := h.door.AddCollection(t.Context(), door.Collection{Name: "c"})
	if err != nil {
		t.Fatal(err)
	}
	if h.token, err = h.door.AddClient(t.Context(), door.NewClient{Name: "tool", Read: []string{"c"}, Write: []string{"c"}}); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(taxii.NewHandler(h.door.TAXII(true), taxii.Options{Key: make([]byte, 32)}))
	t.Cleanup(srv.Close)
	h.url, h.http = srv.URL+"/taxii2/api1/collections/"+c.ID+"/", srv.Client()
	return h
}

// do sends a request and returns the answer's body and headers.
func (h *house) do(method, url string, body []byte) ([]byte, http.Header) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+h.token)
	req.Header.Set("Content-Type", taxii.MediaType)
	resp, err := h.http.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		h.t.Fatalf("%s %s: %s %s %v", method, url, resp.Status, answer, err)
	}
	return answer, resp.Header
}

// post posts n objects, made from number k on.
func (h *house) post(k, n int) time.Duration {
	h.t.Helper()
	parts := make([]string, n)
	for i := range parts {
		name := fmt.Sprintf("host%d.example.net", (k+i)*2654435761%100000007)
		parts[i] = fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":%q,"created_by_ref":"identity--c78cb6e5-0c4b-4611-8297-d1b8b55e40b5","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":%q,"description":"%0300d","indicator_types":["malicious-activity"],"pattern":"[domain-name:value = '%s']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z","object_marking_refs":["marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"]}`,
			stix.DeriveID("indicator", [16]byte{1}, fmt.Sprint(k+i)), name, k+i, name)
	}
	body := []byte(`{"objects":[` + strings.Join(parts, ",") + `]}`)
	began := time.Now()
	answer, _ := h.do("POST", h.url+"objects/", body)
	took := time.Since(began)
	var st taxii.Status
	if err := json.Unmarshal(answer, &st); err != nil || st.SuccessCount != n {
		h.t.Fatalf("POST: %d of %d, %v", st.SuccessCount, n, err)
	}
	return took
}

// pages reads pages of 1,000 from a moment on, at most most of them, and returns
// how many objects they had, where the last ended and how long it took.
func (h *house) pages(after string, most int) (objects int, last string, took time.Duration) {
	h.t.Helper()
	began := time.Now()
	for range most {
		body, head := h.do("GET", h.url+"objects/?limit=1000&added_after="+after, nil)
		n := bytes.Count(body, []byte(`"spec_version"`))
		if n == 0 {
			break
		}
		objects, after = objects+n, head.Get(taxii.HeaderLast)
	}
	return objects, after, time.Since(began)
}

// copied is the rate at which the same bytes go from the database to a loopback
// socket with nothing else done.
func (h *house) copied(objects int) float64 {
	h.t.Helper()
	db := storetest.Raw(h.t, h.path)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		after, err := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
		if err != nil {
			h.t.Error(err)
			return
		}
		rows, err := db.QueryContext(r.Context(), "SELECT body FROM object WHERE seq > $1 ORDER BY seq LIMIT 1000", after)
		if err != nil {
			h.t.Error(err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var body []byte
			if err := rows.Scan(&body); err != nil {
				h.t.Error(err)
				return
			}
			_, _ = w.Write(body)
		}
	}))
	defer srv.Close()
	began := time.Now()
	for after := 0; after < objects; after += 1000 {
		resp, err := srv.Client().Get(fmt.Sprintf("%s?after=%d", srv.URL, after))
		if err != nil {
			h.t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); err != nil || n == 0 {
			h.t.Fatal(n, err)
		}
		resp.Body.Close()
	}
	return float64(objects) / time.Since(began).Seconds()
}

// BenchmarkBudgetTAXII posts objects one by one and by the thousand, and reads
// them in pages of 1,000: with 10,000 in the collection, and at the full size, on
// both engines.
func BenchmarkBudgetTAXII(b *testing.B) {
	for name, address := range map[string]func() string{
		storetest.SQLite:   func() string { return filepath.Join(b.TempDir(), "real.db") },
		storetest.Postgres: func() string { return storetest.DSN(b) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				budget(b, buildAt(b, address()))
			}
		})
	}
}

func budget(b *testing.B, h *house) {
	const few = 10_000
	full := tier.N(40_000, 1_000_000)
	var one time.Duration
	for i := range 500 {
		one += h.post(i, 1)
	}
	b.ReportMetric(500/one.Seconds(), "objects/s-post-1")
	fill := func(from, to int) (rate float64) {
		for k := from; k < to; k += 1000 {
			took := h.post(k, min(1000, to-k))
			if k >= to-10_000 {
				rate += took.Seconds()
			}
		}
		return float64(min(10_000, to-from)) / rate
	}
	b.ReportMetric(fill(500, few), "objects/s-post-1000-few")
	const start = "2000-01-01T00:00:00Z"
	read := func(what, after string) {
		objects, _, took := h.pages(after, 10)
		b.ReportMetric(float64(objects)/took.Seconds(), "objects/s-get-"+what)
	}
	h.pages(start, 10)
	read("few", start)
	heap := h.live()
	b.ReportMetric(fill(few, full), "objects/s-post-1000-full")
	_, last, _ := h.pages(start, full/1000-10)
	read("first", start)
	read("last", last)
	b.ReportMetric(h.live()-heap, "MB-more-at-full")
	objects, _, took := h.pages(start, 100)
	copied := h.copied(objects)
	b.ReportMetric(float64(objects)/took.Seconds(), "objects/s-get")
	b.ReportMetric(copied, "objects/s-copied")
	b.ReportMetric(float64(objects)/took.Seconds()/copied, "of-copied")
}

// live is what the process holds, in MB.
func (h *house) live() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / 1e6
}
