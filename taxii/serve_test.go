package taxii_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/taxii"
)

const (
	mediaType = "application/taxii+json;version=2.1"
	root      = "/taxii2/api1/"
	openID    = "a1111111-1111-4111-8111-11111111111b" // reader reads, tool reads and writes
	dropID    = "22222222-2222-4222-8222-222222222222" // tool writes only
	shutID    = "33333333-3333-4333-8333-333333333333" // tool sees it and may do nothing
	hiddenID  = "44444444-4444-4444-8444-444444444444" // nobody but owner
)

// service is a server over a Memory, with three clients: tool, reader and owner;
// each one's secret is its name and "-secret".
type service struct {
	*httptest.Server
	t      *testing.T
	memory *taxii.Memory
}

func newService(t *testing.T, change ...func(*taxii.Options)) *service {
	t.Helper()
	m := newMemory()
	o := taxii.Options{Title: "Test", Contact: "duty@example.org", Key: []byte("0123456789abcdef0123456789abcdef")}
	for _, f := range change {
		f(&o)
	}
	return serveBackend(t, m, m, o)
}

func serveBackend(t *testing.T, b taxii.Backend, m *taxii.Memory, o taxii.Options) *service {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &service{Server: httptest.NewUnstartedServer(taxii.NewHandler(b, o)), t: t, memory: m}
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func newMemory() *taxii.Memory {
	start := time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.UTC)
	m := taxii.NewMemory(func() time.Time { return start })
	for _, c := range []taxii.Collection{
		{ID: openID, Title: "Open", Alias: "open", MediaTypes: []string{taxii.StixMediaType}},
		{ID: dropID, Title: "Drop box"},
		{ID: shutID, Title: "Shut"},
		{ID: hiddenID, Title: "Hidden", Alias: "hidden"},
	} {
		m.AddCollection(c)
	}
	for _, name := range []string{"tool", "reader", "owner"} {
		m.AddClient(name, name+"-secret")
	}
	m.Grant("tool", openID, true, true)
	m.Grant("tool", dropID, false, true)
	m.Grant("tool", shutID, false, false)
	m.Grant("reader", openID, true, false)
	m.Grant("owner", hiddenID, true, true)
	return m
}

// reply is an answer that was read.
type reply struct {
	*http.Response
	body []byte
}

// do sends a request as tool; headers override what it sets, an empty value
// takes the header away.
func (s *service) do(method, path, body string, headers ...string) reply {
	s.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, s.URL+path, r)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Accept", mediaType)
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("Authorization", "Bearer tool-secret")
	if body != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	for i := 0; i < len(headers); i += 2 {
		if req.Header.Del(headers[i]); headers[i+1] != "" {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	return s.send(req)
}

func (s *service) send(req *http.Request) reply {
	s.t.Helper()
	resp, err := s.Client().Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{resp, b}
}

func (s *service) get(path string, headers ...string) reply {
	s.t.Helper()
	return s.do("GET", path, "", headers...)
}

// want checks the status code and, of an error, its body.
func (r reply) want(t *testing.T, status int) reply {
	t.Helper()
	if r.StatusCode != status {
		t.Fatalf("%s %s: status %d, want %d; body %s", r.Request.Method, r.Request.URL, r.StatusCode, status, r.body)
	}
	if got := r.Header.Get("Content-Type"); got != mediaType && status != http.StatusNotModified {
		t.Errorf("%s: Content-Type %q", r.Request.URL, got)
	}
	if status >= 400 && r.Request.Method != "HEAD" {
		var e map[string]any
		if err := json.Unmarshal(r.body, &e); err != nil {
			t.Fatalf("%s: error body %q: %v", r.Request.URL, r.body, err)
		}
		if e["title"] == "" || e["title"] == nil || e["http_status"] != fmt.Sprint(status) {
			t.Errorf("%s: error body %s", r.Request.URL, r.body)
		}
	}
	return r
}

// into decodes the body.
func (r reply) into(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal(r.body, v); err != nil {
		t.Fatalf("%s: %v in %q", r.Request.URL, err, r.body)
	}
}

// envelope is a page as a client reads it.
type envelope struct {
	More     bool              `json:"more"`
	Next     string            `json:"next"`
	Objects  []json.RawMessage `json:"objects"`
	Versions []string          `json:"versions"`
}

func (r reply) page(t *testing.T) envelope {
	t.Helper()
	var e envelope
	r.want(t, 200).into(t, &e)
	return e
}

// ids returns the ids of the objects of a page.
func (e envelope) ids(t *testing.T) []string {
	t.Helper()
	var ids []string
	for _, o := range e.Objects {
		var head struct{ ID string }
		if err := json.Unmarshal(o, &head); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, head.ID)
	}
	return ids
}

// post puts objects into the open collection and returns the status.
func (s *service) post(objects ...string) taxii.Status {
	s.t.Helper()
	var st taxii.Status
	s.do("POST", objectsPath, wrap(objects...)).want(s.t, 202).into(s.t, &st)
	return st
}

// fill posts indicators 0 to n-1.
func (s *service) fill(n int) {
	s.t.Helper()
	var objects []string
	for i := range n {
		objects = append(objects, indicator(i, "2024-01-01T00:00:00.000Z"))
	}
	if st := s.post(objects...); st.SuccessCount != n {
		s.t.Fatalf("%d of %d were taken", st.SuccessCount, n)
	}
}

const (
	collectionPath = root + "collections/" + openID + "/"
	objectsPath    = collectionPath + "objects/"
	manifestPath   = collectionPath + "manifest/"
)

func wrap(objects ...string) string { return `{"objects":[` + strings.Join(objects, ",") + `]}` }

func indicatorID(n int) string {
	return string(stix.DeriveID("indicator", [16]byte{7}, fmt.Sprint(n)))
}

// indicator is one version of the indicator number n.
func indicator(n int, modified string) string {
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":%q,"created":"2024-01-01T00:00:00.000Z","modified":%q,`+
		`"name":"指標 %d","pattern":"[ipv4-addr:value = '192.0.2.%d']","pattern_type":"stix","valid_from":"2024-01-01T00:00:00Z","x_number":1.10e+2}`,
		indicatorID(n), modified, n, n%250)
}

func address(n int) string {
	return fmt.Sprintf(`{"type":"ipv4-addr","id":%q,"value":"198.51.100.%d"}`, stix.DeriveID("ipv4-addr", [16]byte{7}, fmt.Sprint(n)), n%250)
}
