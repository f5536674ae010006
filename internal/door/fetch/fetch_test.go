package fetch_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door/fetch"
)

// resolver answers each look-up of a family with the next of its lists, and the
// last one for ever.
type resolver struct {
	mu    sync.Mutex
	ip4   [][]string
	ip6   [][]string
	asked int
}

func (r *resolver) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	lists := &r.ip4
	if network == "ip6" {
		lists = &r.ip6
	}
	if len(*lists) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	var out []netip.Addr
	for _, s := range (*lists)[0] {
		out = append(out, netip.MustParseAddr(s))
	}
	if len(*lists) > 1 {
		*lists = (*lists)[1:]
	}
	return out, nil
}

// server is a hostile server on loopback that counts connections.
type server struct {
	*httptest.Server
	port  string
	conns atomic.Int32
}

func serve(t *testing.T, address string, h http.HandlerFunc) *server {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Server: httptest.NewUnstartedServer(h)}
	s.Listener.Close()
	s.Listener = ln
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.conns.Add(1)
		}
	}
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	_, s.port, _ = net.SplitHostPort(ln.Addr().String())
	return s
}

func fine(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "fine") }

// open makes a door to example.com on a server's port: the name of the test
// server's certificate.
func open(t *testing.T, s *server, r fetch.Resolver, nets string, set func(*fetch.Options)) *fetch.Transport {
	t.Helper()
	o := fetch.Options{Hosts: []string{"example.com:" + s.port}, Resolver: r, Roots: x509.NewCertPool()}
	o.Roots.AddCert(s.Certificate())
	for _, n := range strings.Fields(nets) {
		o.Nets = append(o.Nets, netip.MustParsePrefix(n))
	}
	if set != nil {
		set(&o)
	}
	door, err := fetch.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(door.Close)
	return door
}

// get reads a URL whole and returns what came and the code of the error.
func get(t *testing.T, door *fetch.Transport, address string) (string, string) {
	t.Helper()
	res, err := door.Client().Get(address)
	if err != nil {
		return "", noroshi.CodeOf(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), noroshi.CodeOf(err)
}

func loopback() *resolver { return &resolver{ip4: [][]string{{"127.0.0.1"}}} }

// TestAddresses: which addresses a name may have. The server is on each of those
// that are loopback, so an address that was dialled would be seen.
func TestAddresses(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.1:0", fine)
	for _, tt := range []struct {
		name, ip4, ip6, nets, want string
	}{
		{"loopback, named", "127.0.0.1", "", "127.0.0.0/8", ""},
		{"loopback, not named", "127.0.0.1", "", "", "feed.address"},
		{"loopback, another network named", "127.0.0.1", "", "10.0.0.0/8", "feed.address"},
		{"loopback as the system's resolver writes it", "::ffff:127.0.0.1", "", "127.0.0.0/8", ""},
		{"loopback in an AAAA record", "", "::ffff:127.0.0.1", "127.0.0.0/8", "feed.address"},
		{"loopback in an AAAA record, named so", "", "::ffff:127.0.0.1", "::ffff:127.0.0.0/104", ""},
		{"loopback through NAT64", "", "64:ff9b::7f00:1", "127.0.0.0/8", "feed.address"},
		{"loopback through 6to4", "", "2002:7f00:1::1", "127.0.0.0/8", "feed.address"},
		{"unspecified", "0.0.0.0", "::", "127.0.0.0/8", "feed.address"},
		{"private beside loopback that is named", "10.0.0.1 192.168.0.1 127.0.0.1", "fd00::1", "127.0.0.0/8", ""},
		{"metadata", "169.254.169.254", "", "169.254.0.0/16", "feed.address"},
		{"no address", "", "", "127.0.0.0/8", "feed.resolve"},
	} {
		r := &resolver{}
		if tt.ip4 != "" {
			r.ip4 = [][]string{strings.Fields(tt.ip4)}
		}
		if tt.ip6 != "" {
			r.ip6 = [][]string{strings.Fields(tt.ip6)}
		}
		before := s.conns.Load()
		body, got := get(t, open(t, s, r, tt.nets, nil), "https://example.com:"+s.port+"/")
		if got != tt.want || (got == "") != (body == "fine") {
			t.Errorf("%s: %q and %q, want %q", tt.name, body, got, tt.want)
		}
		if n := s.conns.Load() - before; (n > 0) != (tt.want == "") {
			t.Errorf("%s: %d connections", tt.name, n)
		}
	}
}

// TestRebinding: a name that has an allowed address once and another one later.
// What was resolved is what is dialled, and each connection is checked anew.
func TestRebinding(t *testing.T) {
	t.Parallel()
	inside := serve(t, "127.0.0.1:0", fine)
	outside := serve(t, "127.0.0.2:"+inside.port, fine)
	r := &resolver{ip4: [][]string{{"127.0.0.2"}, {"127.0.0.1"}}}
	door := open(t, outside, r, "127.0.0.2/32", nil)
	address := "https://example.com:" + outside.port + "/"
	if body, got := get(t, door, address); body != "fine" || r.asked != 2 {
		t.Fatalf("%q and %q after %d look-ups, want one of each family", body, got, r.asked)
	}
	door.Close() // the kept connection
	if _, got := get(t, door, address); got != "feed.address" {
		t.Errorf("the second time: %q", got)
	}
	if inside.conns.Load() != 0 || outside.conns.Load() != 1 {
		t.Errorf("%d connections to the inside, %d to the outside", inside.conns.Load(), outside.conns.Load())
	}
}

// TestWhatIsNotAsked: no name is looked up for these.
func TestWhatIsNotAsked(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.1:0", fine)
	r := loopback()
	door := open(t, s, r, "127.0.0.0/8", func(o *fetch.Options) { o.Hosts = append(o.Hosts, "127.0.0.1:"+s.port, "usual.example") })
	for address, want := range map[string]string{
		"https://other.example/":                     "feed.host",
		"https://example.com/":                       "feed.host", // the port of https is another
		"https://example.com.evil.example:" + s.port: "feed.host",
		"https://sub.example.com:" + s.port:          "feed.host",
		"https://usual.example:8443/":                "feed.host",
		"https://127.1:" + s.port:                    "feed.host",
		"https://2130706433:" + s.port:               "feed.host",
		"https://[::ffff:127.0.0.1]:" + s.port:       "feed.host",
		"https://u:p@example.com:" + s.port:          "feed.url",
		"ftp://example.com:" + s.port:                "feed.scheme",
		"file:///etc/passwd":                         "feed.url",
		"gopher://example.com:" + s.port:             "feed.scheme",
	} {
		if _, got := get(t, door, address); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
	if r.asked > 0 || s.conns.Load() > 0 {
		t.Errorf("%d look-ups and %d connections", r.asked, s.conns.Load())
	}
	if body, got := get(t, door, "https://EXAMPLE.com:"+s.port+"/"); body != "fine" {
		t.Errorf("another spelling: %q and %q", body, got)
	}
}

// TestPlainHTTP goes to loopback only, and only where that is named.
func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.HandlerFunc(fine))
	defer plain.Close()
	host := strings.TrimPrefix(plain.URL, "http://")
	s := serve(t, "127.0.0.1:0", fine)
	with := func(hosts ...string) func(*fetch.Options) { return func(o *fetch.Options) { o.Hosts = hosts } }
	if body, got := get(t, open(t, s, loopback(), "127.0.0.0/8", with(host)), plain.URL); body != "fine" {
		t.Errorf("loopback: %q", got)
	}
	if _, got := get(t, open(t, s, loopback(), "10.0.0.0/8", with(host)), plain.URL); got != "feed.scheme" {
		t.Errorf("no loopback network named: %q", got)
	}
	for _, a := range []string{"10.0.0.1", "8.8.8.8"} {
		r := &resolver{ip4: [][]string{{a}}}
		if _, got := get(t, open(t, s, r, "127.0.0.0/8 10.0.0.0/8", with("example.com")), "http://example.com/"); got != "feed.address" {
			t.Errorf("http to %s: %q", a, got)
		}
	}
}

// TestRedirectsAreHeld: only those that stay on the scheme, host and port.
func TestRedirectsAreHeld(t *testing.T) {
	t.Parallel()
	thief := serve(t, "127.0.0.1:0", fine)
	var to atomic.Value
	var asked atomic.Int32
	s := serve(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path == "/there" {
			fine(w, r)
			return
		}
		w.Header().Set("Location", to.Load().(string))
		w.WriteHeader(302)
	})
	door := open(t, s, loopback(), "127.0.0.0/8", func(o *fetch.Options) {
		o.Hosts = append(o.Hosts, "example.com:"+thief.port, "example.com", "127.0.0.1:"+s.port)
	})
	own := "https://example.com:" + s.port
	for target, want := range map[string]string{
		"/there": "", own + "/there": "", "there": "",
		"https://example.com:" + thief.port + "/": "feed.redirect",
		"https://example.com/":                    "feed.redirect",
		"http://example.com:" + s.port + "/there": "feed.redirect",
		"https://127.0.0.1:" + s.port + "/there":  "feed.redirect",
		"//other.example/":                        "feed.redirect",
		"file:///etc/passwd":                      "feed.redirect",
		"gopher://example.com:" + s.port:          "feed.redirect",
		"/":                                       "feed.redirect", // for ever
	} {
		to.Store(target)
		asked.Store(0)
		if body, got := get(t, door, own+"/"); got != want || (want == "") != (body == "fine") {
			t.Errorf("to %s: %q and %q, want %q", target, body, got, want)
		}
		if n := asked.Load(); n > 4 || n > 1 && want != "" && target != "/" {
			t.Errorf("to %s: %d requests", target, n)
		}
	}
	if thief.conns.Load() > 0 {
		t.Error("the other server was reached")
	}
}

// TestSizes: endless and packed bodies end at the limit.
func TestSizes(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	z.Write(make([]byte, 4<<20))
	z.Close()
	for name, h := range map[string]http.HandlerFunc{
		"endless": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 4<<10)); err != nil {
					return
				}
			}
		},
		"bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(bomb.Bytes())
		},
		"one byte more": func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 1<<20+1)) },
		"by its head":   func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "99999999") },
	} {
		s := serve(t, "127.0.0.1:0", h)
		door := open(t, s, loopback(), "127.0.0.0/8", func(o *fetch.Options) { o.MaxBody = 1 << 20 })
		if body, got := get(t, door, "https://example.com:"+s.port+"/"); got != "feed.too-large" || len(body) > 1<<20 {
			t.Errorf("%s: %d bytes and %q", name, len(body), got)
		}
	}
	s := serve(t, "127.0.0.1:0", func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 1<<20)) })
	door := open(t, s, loopback(), "127.0.0.0/8", func(o *fetch.Options) { o.MaxBody = 1 << 20 })
	if body, got := get(t, door, "https://example.com:"+s.port+"/"); got != "" || len(body) != 1<<20 {
		t.Errorf("just the limit: %d bytes and %q", len(body), got)
	}
	s = serve(t, "127.0.0.1:0", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) })
	if _, got := get(t, open(t, s, loopback(), "127.0.0.0/8", nil), "https://example.com:"+s.port+"/"); got != "feed.unreachable" {
		t.Errorf("a long head: %q", got)
	}
}

// TestTimes: a server that falls silent, and one that never does and never ends.
func TestTimes(t *testing.T) {
	t.Parallel()
	silent := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, tt := range map[string]struct {
		h   http.HandlerFunc
		set func(*fetch.Options)
	}{
		"silent before the head": {silent, func(o *fetch.Options) { o.Silence = 20 * time.Millisecond }},
		"silent in the body": {func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "a beginning")
			w.(http.Flusher).Flush()
			silent(w, r)
		}, func(o *fetch.Options) { o.Silence = 20 * time.Millisecond }},
		"never done": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				io.WriteString(w, "and on")
				w.(http.Flusher).Flush()
			}
		}, func(o *fetch.Options) { o.Timeout = 50 * time.Millisecond }},
	} {
		s := serve(t, "127.0.0.1:0", tt.h)
		door := open(t, s, loopback(), "127.0.0.0/8", func(o *fetch.Options) { o.MaxBody = 1 << 40; tt.set(o) })
		if _, got := get(t, door, "https://example.com:"+s.port+"/"); got != "feed.slow" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestSlowIsNeverWhole: an answer that its server ended because we gave up on it.
func TestSlowIsNeverWhole(t *testing.T) {
	t.Parallel()
	door, err := fetch.New(fetch.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := door.ReadOfSlow(strings.NewReader("half of a feed")); noroshi.CodeOf(err) != "feed.slow" {
		t.Errorf("half an answer was taken as whole: %v", err)
	}
}

// TestWhatIsSaid: nothing of the node, nothing of an earlier request, and no
// proxy out of the environment.
func TestWhatIsSaid(t *testing.T) {
	trap := serve(t, "127.0.0.1:0", fine)
	t.Setenv("HTTPS_PROXY", trap.URL)
	t.Setenv("HTTP_PROXY", trap.URL)
	var seen []http.Header
	var hosts []string
	s := serve(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		seen, hosts = append(seen, r.Header), append(hosts, r.Host)
		http.SetCookie(w, &http.Cookie{Name: "c", Value: "v"})
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/there", http.StatusFound)
		}
	})
	door := open(t, s, loopback(), "127.0.0.0/8", nil)
	for range 2 {
		req, err := http.NewRequest("GET", "https://example.com:"+s.port+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "inside.example"
		req.Header = http.Header{"Cookie": {"a=b"}, "Referer": {"https://inside.example/"}, "User-Agent": {"JPN-01"}, "X-Forwarded-For": {"10.0.0.1"}, "Authorization": {"Bearer t"}}
		res, err := door.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if len(req.Header) != 5 {
			t.Error("the caller's request was changed")
		}
	}
	if len(seen) != 4 || trap.conns.Load() > 0 {
		t.Fatalf("%d requests, %d to the proxy", len(seen), trap.conns.Load())
	}
	for i, h := range seen {
		if h.Get("User-Agent") != fetch.UserAgent || h.Get("Cookie")+h.Get("Referer")+h.Get("X-Forwarded-For") != "" || h.Get("Authorization") != "Bearer t" {
			t.Errorf("head %v", h)
		}
		if hosts[i] != "example.com:"+s.port {
			t.Errorf("host %s", hosts[i])
		}
	}
}

// TestCertificates: one that is not good is final, and no way around is offered.
func TestCertificates(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.1:0", fine)
	door := open(t, s, loopback(), "127.0.0.0/8", func(o *fetch.Options) { o.Hosts = []string{"wrong.example:" + s.port} })
	_, err := door.Client().Get("https://wrong.example:" + s.port + "/")
	if noroshi.CodeOf(err) != "feed.unreachable" || !fetch.Final(err) {
		t.Errorf("a certificate of another name: %v", err)
	}
	s.Close()
	_, err = open(t, s, loopback(), "127.0.0.0/8", nil).Client().Get("https://example.com:" + s.port + "/")
	if noroshi.CodeOf(err) != "feed.unreachable" || fetch.Final(err) {
		t.Errorf("nobody there: %v", err)
	}
	_, err = open(t, s, loopback(), "", nil).Client().Get("https://example.com:" + s.port + "/")
	if noroshi.CodeOf(err) != "feed.address" || !fetch.Final(err) {
		t.Errorf("an address that may not be reached: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", "https://example.com:"+s.port+"/", nil)
	if _, err = open(t, s, loopback(), "127.0.0.0/8", nil).Client().Do(req); !errors.Is(err, context.Canceled) {
		t.Errorf("a request that was given up: %v", err)
	}
}
