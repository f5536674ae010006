package taxii_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/taxii"
)

func TestNewClientRefuses(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]taxii.ClientOptions{
		"no base":                 {Transport: http.DefaultTransport},
		"another scheme":          {Base: "ftp://h/taxii2/", Transport: http.DefaultTransport},
		"a file":                  {Base: "file:///etc/passwd", Transport: http.DefaultTransport},
		"a user in the base":      {Base: "https://u:p@h/", Transport: http.DefaultTransport},
		"a query in the base":     {Base: "https://h/?x=1", Transport: http.DefaultTransport},
		"no transport":            {Base: "https://h/"},
		"token over http":         {Base: "http://h.example/", Token: "t", Transport: http.DefaultTransport},
		"password over http":      {Base: "http://192.0.2.1/", User: "u", Transport: http.DefaultTransport},
		"two sorts of credential": {Base: "https://h/", Token: "t", User: "u", Transport: http.DefaultTransport},
	} {
		if _, err := taxii.NewClient(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// answers is a handler with one fixed answer a path; what it was asked is kept.
type answers struct {
	paths map[string]string
	seen  []*http.Request
	sent  []string
}

func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.seen, a.sent = append(a.seen, r), append(a.sent, string(body))
	text, ok := a.paths[r.Method+" "+r.URL.Path]
	if !ok {
		w.WriteHeader(404)
		fmt.Fprint(w, `{"title":"there is no such thing"}`)
		return
	}
	w.Header().Set("Content-Type", taxii.MediaType)
	fmt.Fprint(w, text)
}

func TestResources(t *testing.T) {
	t.Parallel()
	a := &answers{paths: map[string]string{
		"GET /api/":                           `{"title":"発見","api_roots":["/one/","http://elsewhere.example/two/"],"x":1}`,
		"GET /one/":                           `{"title":"one","versions":["application/taxii+json;version=2.1"],"max_content_length":10}`,
		"GET /one/collections/":               `{"collections":[{"id":"c1","title":"t","can_read":true,"can_write":false,"alias":"a b"}]}`,
		"GET /one/collections/a b/":           `{"id":"c1","title":"t","can_read":true,"can_write":false}`,
		"GET /one/status/s/":                  `{"id":"s","status":"complete","total_count":1,"success_count":1}`,
		"DELETE /one/collections/c1/objects/": ``,
		"DELETE /one/collections/c1/objects/malware--31b940d4-6f7f-459a-80ea-9c1f17b5891b/":       ``,
		"GET /one/collections/c1/objects/malware--31b940d4-6f7f-459a-80ea-9c1f17b5891b/versions/": `{"versions":["2026-01-01T00:00:00Z","2026-01-02T00:00:00.123456Z"]}`,
		"GET /one/collections/c1/manifest/":                                                       `{"objects":[{"id":"malware--31b940d4-6f7f-459a-80ea-9c1f17b5891b","date_added":"2026-01-01T00:00:00.5Z","version":"2026-01-01T00:00:00Z"},{"id":7}]}`,
	}}
	c, _ := dial(t, a, func(o *taxii.ClientOptions) { o.Token = "secret" })
	ctx := t.Context()
	if d, err := c.Discovery(ctx); err != nil || d.Title != "発見" || len(d.APIRoots) != 2 {
		t.Errorf("discovery %+v, error %v", d, err)
	}
	if r, err := c.APIRoot(ctx, "/one/"); err != nil || r.MaxContentLength != 10 {
		t.Errorf("API root %+v, error %v", r, err)
	}
	if list, err := c.Collections(ctx, "/one"); err != nil || len(list) != 1 || !list[0].CanRead {
		t.Errorf("collections %+v, error %v", list, err)
	}
	if one, err := c.Collection(ctx, "/one/", "a b"); err != nil || one.ID != "c1" {
		t.Errorf("collection %+v, error %v", one, err)
	}
	if s, err := c.Status(ctx, "/one/", "s"); err != nil || s.SuccessCount != 1 {
		t.Errorf("status %+v, error %v", s, err)
	}
	id := stix.ID("malware--31b940d4-6f7f-459a-80ea-9c1f17b5891b")
	if v, err := c.Versions(ctx, "/one/", "c1", id, taxii.Query{}); err != nil || !slices.Equal(v, []string{"2026-01-01T00:00:00Z", "2026-01-02T00:00:00.123456Z"}) {
		t.Errorf("versions %q, error %v", v, err)
	}
	at, _ := stix.ParseTime("2026-01-01T00:00:00.1234567Z")
	if err := c.Delete(ctx, "/one/", "c1", id, taxii.Query{Version: []taxii.VersionMatch{{Kind: taxii.Exactly, At: at}, {Kind: taxii.First}}}); err != nil {
		t.Errorf("delete: %v", err)
	}
	if q := a.seen[len(a.seen)-1].URL.Query(); q.Get("match[version]") != "2026-01-01T00:00:00.1234567Z,first" {
		t.Errorf("delete asked %v", q)
	}
	var entries, bad int
	for e, err := range c.Manifest(ctx, "/one/", "c1", taxii.Query{Types: []string{"malware", "tool"}, Version: []taxii.VersionMatch{{Kind: taxii.All}}}) {
		switch {
		case err != nil:
			bad++
		case e.ID == id && e.DateAdded == "2026-01-01T00:00:00.5Z":
			entries++
		}
	}
	if entries != 1 || bad != 1 {
		t.Errorf("manifest: %d good entries and %d bad, want one of each", entries, bad)
	}
	if q := a.seen[len(a.seen)-1].URL.Query(); q.Get("match[type]") != "malware,tool" || q.Get("match[version]") != "all" {
		t.Errorf("manifest asked %v", q)
	}
	for _, r := range a.seen {
		if got := r.Header.Get("Authorization"); got != "Bearer secret" {
			t.Errorf("%s: Authorization %q", r.URL, got)
		}
		if r.Header.Get("Accept") != taxii.MediaType || r.Header.Get("Cookie")+r.Header.Get("Referer") != "" {
			t.Errorf("%s: header %v", r.URL, r.Header)
		}
	}
}

// TestElsewhere: what a server names on another host, port or scheme is not
// asked, and ids do not climb.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	a := &answers{}
	c, _ := dial(t, a, nil)
	for _, root := range []string{"http://elsewhere.example/", "https://127.0.0.1/", "//elsewhere.example/x/", "file:///etc/", "http://u@127.0.0.1/"} {
		if _, err := c.APIRoot(t.Context(), root); !errors.Is(err, taxii.ErrElsewhere) {
			t.Errorf("%s: error %v", root, err)
		}
	}
	for _, id := range []string{"", ".", ".."} {
		if _, err := c.Collection(t.Context(), "", id); err == nil {
			t.Errorf("collection %q: no error", id)
		}
	}
	if len(a.seen) > 0 {
		t.Errorf("%d requests were sent", len(a.seen))
	}
	c.Collection(t.Context(), "", "../../x?y#z")
	if got := a.seen[0].URL.EscapedPath(); got != "/api/collections/..%2F..%2Fx%3Fy%23z/" {
		t.Errorf("asked %s", got)
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	other := &answers{paths: map[string]string{"GET /": `{"title":"stolen"}`}}
	thief := httptest.NewServer(other)
	defer thief.Close()
	for _, tt := range []struct {
		to   string
		code int
		want error
	}{
		{"/api/there/", 302, nil}, {"there/", 308, nil},
		{thief.URL + "/", 301, taxii.ErrElsewhere}, {thief.URL + "/", 307, taxii.ErrElsewhere},
		{"https://127.0.0.1/", 302, taxii.ErrElsewhere}, {"file:///etc/passwd", 302, taxii.ErrElsewhere},
		{"//elsewhere.example/", 302, taxii.ErrElsewhere}, {"/api/", 302, taxii.ErrNoTAXII}, {"", 302, taxii.ErrNoTAXII}, {"::", 302, taxii.ErrNoTAXII},
	} {
		c, clock := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "there/") {
				fmt.Fprint(w, `{"title":"here"}`)
				return
			}
			w.Header().Set("Location", tt.to)
			w.WriteHeader(tt.code)
		}), func(o *taxii.ClientOptions) { o.Token = "secret" })
		d, err := c.Discovery(t.Context())
		if !errors.Is(err, tt.want) || (err == nil) != (d.Title == "here") || len(clock.all) > 0 {
			t.Errorf("%d to %q: %+v, error %v, waits %v", tt.code, tt.to, d, err, clock.all)
		}
		if _, err := c.Post(t.Context(), "", "c", [][]byte{[]byte(domainIndicator(1))}, 0); err == nil && tt.code < 307 {
			t.Errorf("%d to %q: a POST followed", tt.code, tt.to)
		}
	}
	if len(other.seen) > 0 {
		t.Errorf("another host was asked %d times", len(other.seen))
	}
}

// TestWaits: how long is waited after each sort of failure, and when not at all.
func TestWaits(t *testing.T) {
	t.Parallel()
	s := time.Second
	for _, tt := range []struct {
		name   string
		status int
		after  string
		fails  int
		want   []time.Duration
		err    bool
	}{
		{"busy, seconds", 429, "7", 2, []time.Duration{7 * s, 7 * s}, false},
		{"busy, date", 503, day.Add(time.Hour + 9*s).Format(http.TimeFormat), 1, []time.Duration{9 * s}, false},
		{"busy, date gone by", 503, day.Format(http.TimeFormat), 1, []time.Duration{0}, false},
		{"busy, nonsense", 503, "soon", 1, []time.Duration{750 * time.Millisecond}, false},
		{"busy for long", 429, "600", 1, nil, true},
		{"broken, twice as long each time", 500, "", 9, []time.Duration{750 * time.Millisecond, 1500 * time.Millisecond, 3 * s, 6 * s}, true},
		{"broken, up to a bound", 502, "", 9, []time.Duration{750 * time.Millisecond, 1500 * time.Millisecond, 3 * s, 6 * s}, true},
		{"not allowed", 403, "", 9, nil, true},
		{"not known", 401, "5", 9, nil, true},
		{"not there", 404, "", 9, nil, true},
	} {
		n := 0
		c, clock := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n++; n > tt.fails {
				fmt.Fprint(w, `{"title":"t"}`)
				return
			}
			w.Header()["Date"] = nil
			w.Header().Set("Retry-After", tt.after)
			w.WriteHeader(tt.status)
		}), nil)
		_, err := c.Discovery(t.Context())
		if !slices.Equal(clock.all, tt.want) || (err != nil) != tt.err {
			t.Errorf("%s: waited %v and error %v, want %v", tt.name, clock.all, err, tt.want)
		}
		var busy *taxii.BusyError
		if tt.name == "busy for long" && (!errors.As(err, &busy) || busy.After != 600*s) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestWaitEndsWithTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c, clock := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cancel()
		w.WriteHeader(503)
	}), nil)
	if _, err := c.Discovery(ctx); !errors.Is(err, context.Canceled) || len(clock.all) > 1 {
		t.Errorf("error %v, waits %v", err, clock.all)
	}
}

func TestFinalErrorsAreNotTriedAgain(t *testing.T) {
	t.Parallel()
	refused := errors.New("not an allowed address")
	n := 0
	c, _ := dial(t, &answers{}, func(o *taxii.ClientOptions) {
		o.Transport = roundTrip(func(*http.Request) (*http.Response, error) { n++; return nil, refused })
		o.Final = func(err error) bool { return errors.Is(err, refused) }
	})
	if _, err := c.Discovery(t.Context()); !errors.Is(err, refused) || n != 1 {
		t.Errorf("%d tries, error %v", n, err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestErrorBodies: what servers say about a failure, in whatever form.
func TestErrorBodies(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]taxii.Error{
		`{"title":"no","error_code":"7","error_id":"5","description":"why","http_status":"403"}`: {Title: "no", Code: "7", ID: "5", Detail: "why", HTTPStatus: 403},
		`{"name":"no","code":"7","http_status":403}`:                                             {Title: "no", Code: "7", HTTPStatus: 403},
		`{"title":{},"message":"no"}`:                                                            {Title: "no", Detail: "no", HTTPStatus: 403},
		"{\"title\":\"\\u001b[2Ja\\nb\"}":                                                        {Title: " [2Ja b", HTTPStatus: 403},
		`<html>403</html>`:                                                                       {Title: "403 Forbidden", HTTPStatus: 403},
		``:                                                                                       {Title: "403 Forbidden", HTTPStatus: 403},
		`[1]`:                                                                                    {Title: "403 Forbidden", HTTPStatus: 403},
	} {
		c, _ := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(403)
			fmt.Fprint(w, body)
		}), nil)
		_, err := c.Discovery(t.Context())
		var got *taxii.Error
		if !errors.As(err, &got) || *got != want {
			t.Errorf("%s: %+v, want %+v", body, got, want)
		}
	}
	long := &taxii.Error{}
	c, _ := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		fmt.Fprintf(w, `{"title":%q}`, strings.Repeat("警", 9999))
	}), nil)
	if _, err := c.Discovery(t.Context()); !errors.As(err, &long) || len(long.Title) > 310 {
		t.Errorf("a long title: %d bytes", len(long.Title))
	}
}

// TestSpellings: a server that refuses one spelling of the media type gets
// another, and is asked with it from then on.
func TestSpellings(t *testing.T) {
	t.Parallel()
	n := 0
	c, _ := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n++; r.Header.Get("Accept") != "application/taxii+json" {
			w.WriteHeader(406)
			return
		}
		fmt.Fprint(w, `{"title":"t"}`)
	}), nil)
	for range 2 {
		if _, err := c.Discovery(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if n != 4 {
		t.Errorf("%d requests, want three spellings and the last again", n)
	}
	n = 0
	c, _ = dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { n++; w.WriteHeader(415) }), nil)
	if _, err := c.Discovery(t.Context()); err == nil || n != 3 {
		t.Errorf("a server that refuses all: %d requests, error %v", n, err)
	}
}

// TestAnswersThatAreNone: each is one error, without a second try.
func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	io.Copy(z, io.LimitReader(spaces{}, 4<<20))
	z.Close()
	for _, tt := range []struct {
		name, typ, encoding, body string
		want                      error
	}{
		{"a page for people", "text/html", "", "<!doctype html>", taxii.ErrNoTAXII},
		{"TAXII 2.0", "application/vnd.oasis.taxii+json; version=2.0", "", `{"title":"t"}`, taxii.ErrNoTAXII},
		{"NaN", taxii.MediaType, "", `{"title":NaN}`, taxii.ErrUnreadable},
		{"a name twice", taxii.MediaType, "", `{"title":"a","title":"b"}`, taxii.ErrUnreadable},
		{"bad UTF-8", taxii.MediaType, "", "{\"title\":\"\xff\"}", taxii.ErrUnreadable},
		{"too large", taxii.MediaType, "", `{"title":"` + strings.Repeat("x", 2<<20) + `"}`, taxii.ErrTooLarge},
		{"a bomb", taxii.MediaType, "gzip", bomb.String(), taxii.ErrTooLarge},
		{"no gzip", taxii.MediaType, "gzip", `{"title":"t"}`, taxii.ErrUnreadable},
		{"an encoding nobody asked for", taxii.MediaType, "br", `{"title":"t"}`, taxii.ErrUnreadable},
	} {
		n := 0
		c, _ := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n++
			w.Header().Set("Content-Type", tt.typ)
			if tt.encoding != "" {
				w.Header().Set("Content-Encoding", tt.encoding)
			}
			fmt.Fprint(w, tt.body)
		}), func(o *taxii.ClientOptions) { o.MaxAnswer = 1 << 20 })
		if _, err := c.Discovery(t.Context()); !errors.Is(err, tt.want) || n != 1 {
			t.Errorf("%s: %d requests, error %v, want %v", tt.name, n, err, tt.want)
		}
	}
}

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestPost(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		statuses []string // the answer to POST, then those of status
		patience time.Duration
		want     string
		asked    int
		fails    bool
	}{
		{"at once", []string{`{"id":"s","status":"complete","success_count":1}`}, time.Minute, "complete", 0, false},
		{"after a while", []string{`{"id":"s","status":"pending","pending_count":1}`, `{"id":"s","status":"pending"}`, `{"id":"s","status":"complete"}`}, time.Minute, "complete", 2, false},
		{"spelled otherwise", []string{`{"id":"s","status":"Pending"}`, `{"id":"s","status":"Completed"}`}, time.Minute, "Completed", 1, false},
		{"no word, by count", []string{`{"id":"s","pending_count":1}`, `{"id":"s"}`}, time.Minute, "", 1, false},
		{"not within patience", []string{`{"id":"s","status":"pending"}`}, 10 * time.Second, "pending", 4, false},
		{"without patience", []string{`{"id":"s","status":"pending"}`}, 0, "pending", 0, false},
		{"no status", []string{`<html>`}, time.Minute, "", 0, true},
	} {
		asked := 0
		var body string
		c, clock := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				b, _ := io.ReadAll(r.Body)
				body = r.Header.Get("Content-Type") + " " + string(b)
				w.WriteHeader(202)
				fmt.Fprint(w, tt.statuses[0])
				return
			}
			asked++
			fmt.Fprint(w, tt.statuses[min(asked, len(tt.statuses)-1)])
		}), nil)
		odd := `{ "type":"x-a", "id":"x-a--00000000-0000-4000-8000-000000000001", "n":1.0e5 }`
		s, err := c.Post(t.Context(), "", "c", [][]byte{[]byte(odd), []byte(domainIndicator(1))}, tt.patience)
		if s.Status != tt.want || asked != tt.asked || (err != nil) != tt.fails {
			t.Errorf("%s: %+v, error %v, status asked %d times", tt.name, s, err, asked)
		}
		if want := taxii.MediaType + ` {"objects":[` + odd + "," + domainIndicator(1) + "]}"; body != want {
			t.Errorf("%s: sent %s", tt.name, body)
		}
		var waited time.Duration
		for _, d := range clock.all {
			waited += d
		}
		if waited > tt.patience {
			t.Errorf("%s: waited %v", tt.name, waited)
		}
	}
	c, _ := dial(t, &answers{}, nil)
	if _, err := c.Post(t.Context(), "", "c", [][]byte{[]byte(`{"type":"x"},{"a":1}`)}, 0); err == nil {
		t.Error("what is no object was sent")
	}
}

// TestClientCertificate: the caller's transport brings it; Basic goes beside it.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		fmt.Fprintf(w, `{"title":"%d %s %s"}`, len(r.TLS.PeerCertificates), user, password)
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: server.TLS.Certificates[:1]}}
	defer transport.CloseIdleConnections()
	c, err := taxii.NewClient(taxii.ClientOptions{Base: server.URL, Transport: transport, User: "u", Password: "p"})
	if err != nil {
		t.Fatal(err)
	}
	if d, err := c.Discovery(t.Context()); err != nil || d.Title != "1 u p" {
		t.Errorf("%+v, error %v", d, err)
	}
}
