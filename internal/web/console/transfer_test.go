package console_test

import (
	"compress/gzip"
	"context"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/stix"
)

// weighed is a connection that counts what came over it, as it came: with the
// records of TLS around it, and the heads of answers.
type weighed struct {
	net.Conn
	read *atomic.Int64
}

func (c weighed) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read.Add(int64(n))
	return n, err
}

// weighing is a browser that says how many bytes came to it. It takes gzip, like
// every browser.
func weighing(t *testing.T, p *nodetest.Party) (r *reader, read *atomic.Int64) {
	t.Helper()
	r, read = newReader(t, p), &atomic.Int64{}
	r.http.Transport = &http.Transport{TLSClientConfig: insecure(), ForceAttemptHTTP2: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return weighed{c, read}, err
	}}
	return r, read
}

var (
	beside = regexp.MustCompile(`<(?:link|script)[^>]* (?:href|src)="(/static/[^"]+)"`)
	itself = regexp.MustCompile(`hx-get="([^"]+)"(?: hx-vals='\{"part":"([a-z]+)"\}')? hx-trigger="([^"]+)"`)
)

// TestFirstLoadAsItComes: a browser that was never here before gets the page of
// who has signed in, with all that the page needs, in under 60 kB, the handshake
// of TLS and the heads of the answers among them.
func TestFirstLoadAsItComes(t *testing.T) {
	t.Parallel()
	r, read := weighing(t, furnished(t))
	r.signIn("duty")
	r.http.CloseIdleConnections()
	read.Store(0)
	_, page := r.get("/")
	files := beside.FindAllStringSubmatch(page, -1)
	for _, m := range files {
		if status, body := r.get(m[1]); status != http.StatusOK || body == "" {
			t.Errorf("%s: %d", m[1], status)
		}
	}
	if n := read.Load(); len(files) < 5 || n > 60_000 || n < 20_000 {
		t.Errorf("first load: %d bytes in a page and %d files", n, len(files))
	} else {
		t.Logf("first load: %d bytes", n)
	}
}

// TestUpdateAsItComes: what an event makes a page fetch comes in under 4 kB, the
// event with it, whichever page is open and whatever the event is about.
func TestUpdateAsItComes(t *testing.T) {
	t.Parallel()
	party := furnished(t)
	party.Import("warnings.json", "", strings.NewReader(warnings(60)))
	party.Settle()
	r, read := weighing(t, party)
	r.signIn("duty")
	_, queue := r.get("/release")
	hold := regexp.MustCompile(`/release/[0-9a-f]+`).FindString(queue)
	_, list := r.get("/warnings")
	warning := regexp.MustCompile(`/warnings/report--[0-9a-f-]+`).FindString(list)
	updates := 0
	for _, path := range []string{"/", "/warnings", warning, "/indicators", "/release", hold, "/partners", "/partners/USA-01", "/settings"} {
		status, page := r.get(path)
		if status != http.StatusOK {
			t.Fatalf("%s: %d", path, status)
		}
		for _, topic := range []string{"warnings", "release", "links", "indicators", "traffic", "changed"} {
			event := int64(len(fmt.Sprintf("event: %s\nid: %d\ndata:\n\n", topic, party.Head())))
			read.Store(0)
			for _, m := range itself.FindAllStringSubmatch(page, -1) {
				if !slices.Contains(strings.Split(m[3], ", "), topic+" from:body") {
					continue
				}
				to := html.UnescapeString(m[1])
				if m[2] != "" {
					to = with(to, "part="+m[2])
				}
				if status := r.update(path, to); status != http.StatusOK {
					t.Errorf("%s, by itself, asks for %s: %d", path, to, status)
				}
				updates++
			}
			if n := event + read.Load(); n > 4_000 {
				t.Errorf("%s: an event about %s comes to %d bytes", path, topic, n)
			}
		}
	}
	if updates < 20 {
		t.Errorf("only %d parts were fetched", updates)
	}
}

// warnings are n warnings of this node's own, in both languages.
func warnings(n int) string {
	var list []string
	for i := range n {
		id := stix.DeriveID("report", [16]byte{5}, fmt.Sprint(i))
		list = append(list, fmt.Sprintf(`{"type":"report","spec_version":"2.1","id":%q,"created":"2026-11-24T05:20:%02d.000Z","modified":"2026-11-24T05:20:%02d.000Z","lang":"ja","name":"港湾ターミナル管理システム第%d号機への遠隔ログイン","description":"保守業者用アカウントが使われた。","report_types":["threat-report"],`+
			`"published":"2026-11-24T05:20:00.000Z","object_refs":[%q],"object_marking_refs":[%q],"extensions":{%q:{"extension_type":"property-extension","severity":"critical","precedence":%q,"action":"block","number":"JPN-01/2026/%d"}}}`,
			id, i, i, i, stix.DeriveID("indicator", [16]byte{5}, fmt.Sprint(i)), noroshi.Green.MarkingID(), noroshi.WarningExtension, []string{"flash", "immediate", "priority", "routine"}[i%4], i))
	}
	return "[" + strings.Join(list, ",") + "]"
}

// with is an address with one more part of its query.
func with(path, part string) string {
	if strings.Contains(path, "?") {
		return path + "&" + part
	}
	return path + "?" + part
}

// update asks for a part of a page, as the page does.
func (r *reader) update(page, path string) (status int) {
	r.t.Helper()
	if strings.HasPrefix(path, "?") {
		path = page + path
	}
	q, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.base+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	q.Header.Set("HX-Request", "true")
	res, err := r.http.Do(q)
	status, _ = r.read(res, err)
	return status
}

// TestPacked: pages, files and answers of the API are packed for who takes it and
// for nobody else; the stream of events is not.
func TestPacked(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	r := newReader(t, p)
	r.signIn("duty")
	r.http.Transport = &http.Transport{TLSClientConfig: insecure(), ForceAttemptHTTP2: true, DisableCompression: true}
	for _, c := range []struct {
		method, path, accept, want string
	}{
		{http.MethodGet, "/", "gzip, deflate, br, zstd", "gzip"},
		{http.MethodGet, "/", "", ""},
		{http.MethodGet, "/", "gzip;q=0", ""},
		{http.MethodGet, "/no-such-page", "gzip", "gzip"},
		{http.MethodGet, "/static/console.css", "gzip", "gzip"},
		{http.MethodGet, "/static/htmx.min.js", "zstd", ""},
		{http.MethodGet, "/api/v1/openapi.json", "gzip", "gzip"},
		{http.MethodPost, "/api/v1/picture", "gzip", "gzip"},
		{http.MethodGet, "/live", "gzip", ""},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		q, err := http.NewRequestWithContext(ctx, c.method, r.base+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.accept != "" {
			q.Header.Set("Accept-Encoding", c.accept)
		}
		res, err := r.http.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		if got := res.Header.Get("Content-Encoding"); got != c.want {
			t.Errorf("%s %s for %q: packed with %q, want %q", c.method, c.path, c.accept, got, c.want)
		}
		if c.path != "/live" {
			if got := res.Header.Values("Vary"); !slices.Contains(got, "Accept-Encoding") {
				t.Errorf("%s varies by %v", c.path, got)
			}
			if body := unpacked(t, res); len(body) < 500 || !strings.ContainsAny(body, "<{") {
				t.Errorf("%s for %q: %d bytes", c.path, c.accept, len(body))
			}
		}
		cancel()
		res.Body.Close()
	}
}

func unpacked(t *testing.T, res *http.Response) string {
	t.Helper()
	var body io.Reader = res.Body
	if res.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			t.Fatal(err)
		}
		body = z
	}
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
