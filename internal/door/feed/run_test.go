package feed_test

import (
	"context"
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door/feed"
	"github.com/noroshi-cti/noroshi/internal/door/fetch"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

const selfID = "identity--11111111-1111-4111-8111-111111111111"

// clock is a node's clock that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }
func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// reader is a node that reads feeds.
type reader struct {
	t     *testing.T
	store *store.Store
	feeds *feed.Reader
	gate  *intake.Gate
	clock *clock
	rules feed.Rules
}

func newReader(t *testing.T, rules feed.Rules) *reader {
	t.Helper()
	r := &reader{t: t, clock: &clock{now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}, rules: rules}
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "real.db"), store.Options{Realm: noroshi.Real, Now: r.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	r.store = s
	r.open()
	return r
}

// open makes the reader of feeds anew, as a restart does.
func (r *reader) open() {
	r.gate = intake.New(r.store, intake.Options{Realm: noroshi.Real, Self: noroshi.Organisation{CallSign: "USA-01", Identity: selfID}, Now: r.clock.Now})
	r.feeds = feed.New(r.store, r.gate, feed.Options{Now: r.clock.Now, Rules: r.rules})
}

func (r *reader) add(f feed.Feed) {
	r.t.Helper()
	if f.Every == 0 {
		f.Every = time.Hour
	}
	if _, err := r.feeds.Add(r.t.Context(), f); err != nil {
		r.t.Fatal(err)
	}
}

// run reads a feed an hour later and returns its state and the code of the error.
func (r *reader) run(name string, accept ...bool) (feed.State, string) {
	r.t.Helper()
	r.clock.pass(time.Hour)
	var by *feed.Accept
	if len(accept) > 0 {
		by = &feed.Accept{}
	}
	s, err := r.feeds.Run(r.t.Context(), name, by)
	return s, noroshi.CodeOf(err)
}

// must reads a feed, which must go well, and returns what it came to.
func (r *reader) must(name string, accept ...bool) feed.Counts {
	r.t.Helper()
	s, code := r.run(name, accept...)
	if code != "" {
		r.t.Fatalf("feed %s: %s %v", name, code, s.Args)
	}
	return s.Read
}

// armed are the values of the indicators in use, sorted.
func (r *reader) armed() (values []string) {
	r.t.Helper()
	err := r.store.Each(r.t.Context(), "indicator", 0, func(x store.Record) error {
		for _, v := range x.Values {
			values = append(values, v.Text)
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	slices.Sort(values)
	return values
}

func (r *reader) wantArmed(what string, want ...string) {
	r.t.Helper()
	if got := r.armed(); !slices.Equal(got, want) {
		r.t.Errorf("%s: armed are %v, want %v", what, got, want)
	}
}

func (r *reader) quarantine() (list []store.Quarantined) {
	r.t.Helper()
	list, err := r.store.QuarantineList(r.t.Context(), 0, 1000)
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

// site is a server of feeds on loopback, under the name of its certificate.
type site struct {
	*httptest.Server
	url   string // https://example.com:port
	rules feed.Rules
	ca    string

	mu    sync.Mutex
	files map[string]string
	asked []string // "GET /path" of every request, with the validators
	hook  func(w http.ResponseWriter, r *http.Request) bool
}

type addresses []string

func (a addresses) LookupNetIP(_ context.Context, network, _ string) (out []netip.Addr, err error) {
	for _, s := range a {
		if ip := netip.MustParseAddr(s); ip.Is4() == (network == "ip4") {
			out = append(out, ip)
		}
	}
	return out, nil
}

var _ fetch.Resolver = addresses{}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{files: map[string]string{}}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	port := s.Listener.Addr().(interface{ String() string }).String()
	port = port[strings.LastIndexByte(port, ':')+1:]
	s.url = "https://example.com:" + port
	s.ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(s.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	guard, err := feed.NewGuard([]string{"mod.example"}, []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.rules = feed.Rules{Hosts: []string{"example.com:" + port}, Nets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Guard: guard, Resolver: addresses{"127.0.0.1"}}
	return s
}

func (s *site) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.Method+" "+r.URL.String())
	if s.hook != nil && s.hook(w, r) {
		return
	}
	text, ok := s.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256([]byte(text))))
	http.ServeContent(w, r, r.URL.Path, time.Time{}, strings.NewReader(text))
}

func (s *site) put(path, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[path] = text
}

func (s *site) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.asked
	s.asked = nil
	return all
}

func (s *site) feed(kind feed.Kind, path string) feed.Feed {
	return feed.Feed{Name: "cert", Kind: kind, URL: s.url + path, Access: feed.Access{CAFile: s.ca}}
}

func names(from, to int) string {
	var b strings.Builder
	for i := from; i <= to; i++ {
		fmt.Fprintf(&b, "n%04d.example.org\n", i)
	}
	return b.String()
}

// TestHTTPSList: one list by https: taken when it changes, held back where it
// names what is our own, and under the feed's name.
func TestHTTPSList(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newReader(t, s.rules)
	s.put("/list.txt", "# ours\nbad.example.org\n198.51.100.7\nwww.mod.example\n")
	r.add(s.feed(feed.HTTPS, "/list.txt"))
	if got := r.must("cert"); got != (feed.Counts{New: 1, Quarantined: 2}) {
		t.Errorf("first run: %+v", got)
	}
	r.wantArmed("first run", "bad.example.org")
	q := r.quarantine()
	if len(q) != 2 || q[0].Code != "protected" || q[0].Source != (noroshi.Source{Kind: noroshi.FromFeed, Name: "cert"}) || !strings.Contains(q[0].Detail, "our own") || string(q[0].Raw) != "198.51.100.7" {
		t.Errorf("quarantine: %+v", q)
	}
	if got := r.must("cert"); got != (feed.Counts{}) {
		t.Errorf("unchanged: %+v", got)
	}
	s.put("/list.txt", "x.example.org\nbad.example.org\n198.51.100.7\nwww.mod.example\n")
	if got := r.must("cert"); got != (feed.Counts{New: 1, Unchanged: 1, Quarantined: 2}) {
		t.Errorf("changed: %+v", got)
	}
	if q := r.quarantine(); len(q) != 2 {
		t.Errorf("the same again is quarantined again: %d", len(q))
	}
	r.wantArmed("changed", "bad.example.org", "x.example.org")
	var id stix.ID
	r.store.Each(t.Context(), "indicator", 0, func(x store.Record) error {
		id = x.Object.ID
		if x.Source != (noroshi.Source{Kind: noroshi.FromSelf, Name: "cert"}) || x.Object.Text("name") != "cert" {
			t.Errorf("source %+v, list %q", x.Source, x.Object.Text("name"))
		}
		return nil
	})
	if id == "" {
		t.Error("no indicator")
	}
}

// TestPoisonedDay: far more than a day brings waits, whole, until a person lets
// it in; what a person is told bounds what they let in.
func TestPoisonedDay(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newReader(t, s.rules)
	r.add(s.feed(feed.HTTPS, "/list.txt"))
	for day := 1; day <= 4; day++ {
		s.put("/list.txt", names(1, 50*day))
		if got := r.must("cert"); got.New != 50 {
			t.Fatalf("day %d: %+v", day, got)
		}
		r.clock.pass(24 * time.Hour)
	}
	s.put("/list.txt", names(1, 200)+names(1000, 1200))
	state, code := r.run("cert")
	if code != "feed.volume" || state.Waiting != 201 || state.Code != "feed.volume" || !slices.Equal(state.Args, []string{"201", "50"}) || state.Failures != 0 {
		t.Fatalf("poisoned: %s %+v", code, state)
	}
	if n := len(r.armed()); n != 200 {
		t.Fatalf("poisoned: %d armed", n)
	}
	s.put("/list.txt", names(1, 200)+names(1000, 1900))
	if state, code := r.run("cert", true); code != "feed.volume" || state.Waiting != 901 {
		t.Fatalf("more than a person was told of: %s %+v", code, state)
	}
	if got := r.must("cert", true); got.New != 901 || len(r.armed()) != 1101 {
		t.Errorf("accepted: %+v, %d armed", got, len(r.armed()))
	}
	if _, code := r.run("cert", true); code != "feed.nothing-waits" {
		t.Errorf("nothing waits: %s", code)
	}
}

// TestVanished: entries that a list no longer has are revoked, those that come
// back are in use again under another id, and a download cut short waits.
func TestVanished(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ kind, head, row string }{
		{"list", "", "%s\n"},
		{"csv", "value,description\n", "%s,seen\n"},
	} {
		s := newSite(t)
		r := newReader(t, s.rules)
		f := s.feed(feed.HTTPS, "/list.txt")
		f.RevokeVanished, f.Format, f.Marking = true, tt.kind, "TLP:GREEN"
		if f.Format == "list" {
			f.Format = ""
		}
		r.add(f)
		put := func(values ...string) {
			text := tt.head
			for _, v := range values {
				text += fmt.Sprintf(tt.row, v)
			}
			s.put("/list.txt", text)
		}
		put("a.example.org", "b.example.org", "c.example.org")
		r.must("cert")
		for round := range 3 {
			put("a.example.org", "b.example.org")
			if got := r.must("cert"); got.Vanished != 1 || got.New != 0 {
				t.Fatalf("%s %d: vanished: %+v", tt.kind, round, got)
			}
			r.wantArmed("vanished", "a.example.org", "b.example.org")
			put("a.example.org", "c.example.org", "b.example.org")
			if got := r.must("cert"); got.Vanished != 0 || got.New != 1 {
				t.Fatalf("%s %d: back: %+v", tt.kind, round, got)
			}
			r.wantArmed("back", "a.example.org", "b.example.org", "c.example.org")
		}
		put("a.example.org")
		if state, code := r.run("cert"); code != "feed.vanishing" || state.Waiting != 2 {
			t.Fatalf("%s: cut short: %s %+v", tt.kind, code, state)
		}
		put()
		if state, code := r.run("cert"); code != "feed.vanishing" || state.Waiting != 3 {
			t.Fatalf("%s: empty: %s %+v", tt.kind, code, state)
		}
		r.wantArmed("cut short", "a.example.org", "b.example.org", "c.example.org")
		if got := r.must("cert", true); got.Vanished != 3 {
			t.Errorf("%s: accepted: %+v", tt.kind, got)
		}
		r.wantArmed("accepted")
		versions, revoked := 0, 0
		r.store.Each(t.Context(), "indicator", 0, func(store.Record) error { versions++; return nil })
		for after := int64(0); ; {
			list, err := r.store.List(t.Context(), store.Filter{Type: "indicator", After: after})
			if err != nil || len(list) == 0 {
				break
			}
			for _, x := range list {
				after = x.Seq
				if x.Object.Revoked {
					revoked++
					if x.Source.Kind != noroshi.FromSelf || x.Object.CreatedBy != selfID || !slices.Contains(x.Assigned, noroshi.Green.MarkingID()) {
						t.Errorf("%s: revoked: %+v", tt.kind, x)
					}
				}
			}
		}
		if versions != 0 || revoked != 6 {
			t.Errorf("%s: %d in use, %d revoked, want 0 and 6", tt.kind, versions, revoked)
		}
		if v, err := r.store.Verify(t.Context(), nil); err != nil || len(v.Faults) > 0 {
			t.Errorf("%s: %v %v", tt.kind, v.Faults, err)
		}
	}
}

func bundle(objects ...string) string {
	return `{"type":"bundle","id":"bundle--0d0b4bd9-4b4b-4b0c-8d7e-6a7f0a4b1c09","objects":[` + strings.Join(objects, ",") + `]}`
}

func stixIndicator(n int, value string) string {
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-%012d","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","pattern":"[domain-name:value = '%s']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"}`, n, value)
}

// TestVanishedCopies: what others made goes out of use with the feed's copy, and
// the same bytes bring it back.
func TestVanishedCopies(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newReader(t, s.rules)
	f := s.feed(feed.HTTPS, "/b.json")
	f.RevokeVanished = true
	r.add(f)
	a, b, c, own := stixIndicator(1, "a.example.org"), stixIndicator(2, "b.example.org"), stixIndicator(3, "c.example.org"), stixIndicator(4, "www.mod.example")
	s.put("/b.json", bundle(a, b, c, own))
	if got := r.must("cert"); got.New != 3 || got.Quarantined != 1 {
		t.Fatalf("first: %+v", got)
	}
	for range 2 {
		s.put("/b.json", bundle(a, c, own))
		if got := r.must("cert"); got.Vanished != 1 || got.Quarantined != 1 {
			t.Fatalf("vanished: %+v", got)
		}
		r.wantArmed("vanished", "a.example.org", "c.example.org")
		s.put("/b.json", bundle(a, b, c, own))
		if got := r.must("cert"); got.New != 1 {
			t.Fatalf("back: %+v", got)
		}
		r.wantArmed("back", "a.example.org", "b.example.org", "c.example.org")
	}
	if len(r.quarantine()) != 1 {
		t.Errorf("quarantine: %d", len(r.quarantine()))
	}
	// A revocation of what names our own is let in: it disarms.
	revoked := strings.Replace(own, `"pattern_type"`, `"revoked":true,"pattern_type"`, 1)
	s.put("/b.json", bundle(a, b, c, revoked))
	if got := r.must("cert"); got.New != 1 || got.Quarantined != 0 {
		t.Errorf("revoked: %+v", got)
	}
}

// TestProtectedIsNoVolume: what is quarantined at every run is no flood.
func TestProtectedIsNoVolume(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newReader(t, s.rules)
	r.add(s.feed(feed.HTTPS, "/list.txt"))
	var own strings.Builder
	for i := range 150 {
		fmt.Fprintf(&own, "n%d.mod.example\n", i)
	}
	for day := range 6 {
		s.put("/list.txt", own.String()+names(1, 200+day))
		if got := r.must("cert"); got.Quarantined != 150 || day > 0 && got.New != 1 {
			t.Fatalf("day %d: %+v", day, got)
		}
		r.clock.pass(24 * time.Hour)
	}
	if n := len(r.quarantine()); n != 150 {
		t.Errorf("%d in quarantine, want 150", n)
	}
}

// TestNoRoom: what is wrong on this machine is told like any failure, and a run
// leaves nothing behind.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.put("/list.txt", "a.example.org\n")
	dir := t.TempDir()
	s.rules.Temp = filepath.Join(dir, "feeds")
	r := newReader(t, s.rules)
	r.add(s.feed(feed.HTTPS, "/list.txt"))
	if err := os.WriteFile(s.rules.Temp, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.feeds.Run(t.Context(), "cert", nil); err == nil {
		t.Error("a run without room went well")
	}
	if f, err := r.feeds.Status(t.Context(), "cert"); err != nil || f.State.Code != "internal" || f.State.Failures != 1 || f.State.Lasting {
		t.Errorf("without room: %+v, %v", f.State, err)
	}
	if err := os.Remove(s.rules.Temp); err != nil {
		t.Fatal(err)
	}
	r.must("cert")
	if left, err := os.ReadDir(s.rules.Temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
