package feed_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door/feed"
	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/taxii"
)

// TestFolder: the files of a folder, each once while nobody writes it; what is
// gone, and what leads out of the folder.
func TestFolder(t *testing.T) {
	t.Parallel()
	r := newReader(t, feed.Rules{})
	top := t.TempDir()
	dir := filepath.Join(top, "in")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(top, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write("secret.txt", "secret.example.org\n")
	write("in/one.txt", "a.example.org\nb.example.org\nc.example.org\n")
	write("in/two.json", bundle(stixIndicator(1, "d.example.org")))
	write("in/.hidden", "hidden.example.org\n")
	write("in/three.part", "part.example.org\n")
	r.add(feed.Feed{Name: "drop", Kind: feed.Folder, Path: dir, RevokeVanished: true})
	if got := r.must("drop"); got.New != 4 {
		t.Errorf("first: %+v", got)
	}
	r.wantArmed("first", "a.example.org", "b.example.org", "c.example.org", "d.example.org")
	if got := r.must("drop"); got != (feed.Counts{}) {
		t.Errorf("again: %+v", got)
	}

	// b moves to another file, which is no end of it; d is gone with its file.
	write("in/one.txt", "a.example.org\nc.example.org\n")
	write("in/four.txt", "b.example.org\n")
	if err := os.Remove(filepath.Join(dir, "two.json")); err != nil {
		t.Fatal(err)
	}
	if got := r.must("drop"); got.Vanished != 1 || got.New != 0 {
		t.Errorf("changed: %+v", got)
	}
	r.wantArmed("changed", "a.example.org", "b.example.org", "c.example.org")
	write("in/two.json", bundle(stixIndicator(1, "d.example.org")))
	if got := r.must("drop"); got.New != 1 {
		t.Errorf("back: %+v", got)
	}

	// A link out of the folder is refused and told, and the rest is taken.
	for name, to := range map[string]string{"zlink.txt": "../secret.txt", "yabs.txt": filepath.Join(top, "secret.txt"), "xdir": "..", "fine.txt": "one.txt"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	write("in/five.txt", "e.example.org\n")
	state, code := r.run("drop")
	if code != "feed.file" || state.Failures != 1 || !state.Lasting || !strings.HasPrefix(state.Args[0], "xdir") {
		t.Errorf("links: %s %+v", code, state)
	}
	r.wantArmed("links", "a.example.org", "b.example.org", "c.example.org", "d.example.org", "e.example.org")
	if state, code := r.run("drop"); code != "feed.file" || state.Failures != 2 {
		t.Errorf("links again: %s %+v", code, state)
	}
}

func mispEvent(uuid string, at int, domains ...string) string {
	var attributes []string
	for i, d := range domains {
		attributes = append(attributes, fmt.Sprintf(`{"uuid":"%s","type":"domain","category":"Network activity","to_ids":true,"timestamp":"%d","value":%q,"comment":"http://127.0.0.1/comment"}`,
			strings.Replace(uuid, "0000-4000", fmt.Sprintf("%04d-4000", i+1), 1), at, d))
	}
	return fmt.Sprintf(`{"Event":{"uuid":%q,"info":"狼煙","date":"2026-01-01","timestamp":"%d","publish_timestamp":"%d","threat_level_id":"1","analysis":"2","distribution":"3","extends_uuid":"","Orgc":{"name":"CERT","uuid":"55f6ea5e-2c60-40e5-964f-47a8950d210f"},"Tag":[{"name":"tlp:green"}],"Attribute":[%s]}}`,
		uuid, at, at, strings.Join(attributes, ","))
}

func mispManifest(events map[string]string) string {
	var entries []string
	for uuid, rest := range events {
		entries = append(entries, fmt.Sprintf(`%q:{"info":"x","Orgc":{"name":"CERT","uuid":"55f6ea5e-2c60-40e5-964f-47a8950d210f"},"analysis":"2","threat_level_id":"1","date":"2026-01-01",%s}`, uuid, rest))
	}
	slices.Sort(entries)
	return "{" + strings.Join(entries, ",") + "}"
}

const (
	event1 = "5f000001-0000-4000-8000-000000000001"
	event2 = "5f000002-0000-4000-8000-000000000002"
	event3 = "5f000003-0000-4000-8000-000000000003"
)

// TestMISPFeed: what is new, changed and gone by the manifest, at a URL and in a
// folder.
func TestMISPFeed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	dir := t.TempDir()
	at := newReader(t, s.rules)
	in := newReader(t, feed.Rules{})
	f := s.feed(feed.MISP, "/feed/")
	f.RevokeVanished = true
	at.add(f)
	in.add(feed.Feed{Name: "cert", Kind: feed.MISP, Path: dir, RevokeVanished: true})
	put := func(name, text string) {
		s.put("/feed/"+name, text)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	both := func(what string, want ...string) {
		t.Helper()
		for _, r := range []*reader{at, in} {
			r.must("cert")
			r.wantArmed(what, want...)
		}
	}
	put(event1+".json", mispEvent(event1, 1700000000, "a.example.org", "b.example.org"))
	put(event2+".json", mispEvent(event2, 1700000000, "c.example.org", "d.example.org"))
	put("manifest.json", mispManifest(map[string]string{event1: `"timestamp":"1700000000"`, event2: `"timestamp":"1700000000"`}))
	both("first", "a.example.org", "b.example.org", "c.example.org", "d.example.org")
	s.requests()
	both("again", "a.example.org", "b.example.org", "c.example.org", "d.example.org")
	if got := s.requests(); !slices.Equal(got, []string{"GET /feed/manifest.json"}) {
		t.Errorf("with nothing new it asks for %v", got)
	}
	put(event1+".json", mispEvent(event1, 1700000100, "a.example.org"))
	put(event3+".json", mispEvent(event3, 1700000100, "e.example.org"))
	put("manifest.json", mispManifest(map[string]string{event1: `"timestamp":"1700000100"`, event2: `"timestamp":"1700000000"`, event3: `"timestamp":1700000100`}))
	both("changed", "a.example.org", "c.example.org", "d.example.org", "e.example.org")
	put("manifest.json", mispManifest(map[string]string{event1: `"timestamp":"1700000100"`, event2: `"timestamp":"1700000000"`}))
	both("one gone", "a.example.org", "c.example.org", "d.example.org")
	put("manifest.json", mispManifest(map[string]string{event1: `"timestamp":"1700000100"`, event2: `"timestamp":"1700000000"`, event3: `"timestamp":1700000100`}))
	both("it is back", "a.example.org", "c.example.org", "d.example.org", "e.example.org")
	for _, r := range []*reader{at, in} {
		put("manifest.json", "{}")
		if state, code := r.run("cert"); code != "feed.vanishing" || state.Waiting != 4 {
			t.Errorf("an empty manifest: %s %+v", code, state)
		}
	}
}

// TestHostileManifest: nothing that a manifest or an event says is an address.
func TestHostileManifest(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newReader(t, s.rules)
	r.add(s.feed(feed.MISP, "/feed"))
	good := mispEvent(event1, 1700000000, "a.example.org")
	s.put("/feed/"+event1+".json", good)
	s.put("/feed/"+event2+".json", mispEvent(event2, 1700000000, "b.example.org"))
	s.put("/feed/manifest.json", mispManifest(map[string]string{
		event1:                         fmt.Sprintf(`"timestamp":"1700000000","url":"https://169.254.169.254/","integrity:sha256":["%x"]`, sha256.Sum256([]byte(good))),
		event2:                         fmt.Sprintf(`"timestamp":"1700000000","integrity:sha256":["%x"]`, sha256.Sum256(nil)),
		"../../etc/passwd":             `"timestamp":"1700000000"`,
		"http://127.0.0.1:1/x":         `"timestamp":"1700000000"`,
		"//evil.example/" + event3:     `"timestamp":"1700000000"`,
		event3 + "?u=http://127.0.0.1": `"timestamp":"1700000000"`,
		event3:                         `"timestamp":"soon"`,
	}))
	state, code := r.run("cert")
	if code != "feed.digest" || state.Failures != 1 {
		t.Errorf("%s %+v", code, state)
	}
	r.wantArmed("the good one", "a.example.org")
	want := []string{"GET /feed/manifest.json", "GET /feed/" + event1 + ".json", "GET /feed/" + event2 + ".json"}
	if got := s.requests(); !slices.Equal(got, want) {
		t.Errorf("asked for %v, want %v", got, want)
	}
}

// shelf is a TAXII server with one collection behind a site.
type shelf struct {
	*taxii.Memory
	id string
}

func newShelf(t *testing.T, s *site, clock *clock) *shelf {
	t.Helper()
	m := &shelf{Memory: taxii.NewMemory(clock.Now)}
	m.id = m.AddCollection(taxii.Collection{Title: "Indicators", Alias: "indicators"})
	m.AddClient("noroshi", "a long random secret")
	m.Grant("noroshi", m.id, true, true)
	h := taxii.NewHandler(m, taxii.Options{Title: "CERT", Key: make([]byte, 32)})
	s.hook = func(w http.ResponseWriter, r *http.Request) bool { h.ServeHTTP(w, r); return true }
	return m
}

func (m *shelf) post(t *testing.T, from, to int) {
	t.Helper()
	var posted []taxii.Posted
	for i := from; i <= to; i++ {
		raw := []byte(stixIndicator(i, fmt.Sprintf("n%06d.example.org", i)))
		o, err := stix.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		posted = append(posted, taxii.Posted{Object: o, Raw: raw})
	}
	if _, err := m.Add(t.Context(), "noroshi", m.id, posted); err != nil {
		t.Fatal(err)
	}
}

func (s *site) taxii(t *testing.T) feed.Feed {
	t.Helper()
	f := s.feed(feed.TAXII, "/taxii2/api1/")
	f.Collection = "indicators"
	f.Access.TokenFile = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(f.Access.TokenFile, []byte("a long random secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestTAXIIFeed: what is new is read page by page; a run that breaks off goes on
// where it was, with nothing lost and nothing twice; a flood waits whole.
func TestTAXIIFeed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newReader(t, s.rules)
	m := newShelf(t, s, r.clock)
	m.post(t, 1, 1700)
	r.add(s.taxii(t))

	// The server goes away behind the second page.
	serve := s.hook
	pages := 0
	s.hook = func(w http.ResponseWriter, req *http.Request) bool {
		if strings.Contains(req.URL.Path, "/objects") {
			if pages++; pages > 2 {
				w.Header().Set("Retry-After", "7200")
				http.Error(w, "{}", http.StatusServiceUnavailable)
				return true
			}
		}
		return serve(w, req)
	}
	state, code := r.run("cert")
	if code != "feed.busy" || state.Failures != 1 || state.NotUntil.Sub(state.Ended) != 2*time.Hour {
		t.Fatalf("broken off: %s %+v", code, state)
	}
	if n := len(r.armed()); n != 1000 {
		t.Fatalf("broken off: %d armed", n)
	}
	s.hook = serve
	r.open()
	if got := r.must("cert"); got.New != 700 || len(r.armed()) != 1700 {
		t.Errorf("on it goes: %+v, %d armed", got, len(r.armed()))
	}
	if got := r.must("cert"); got != (feed.Counts{}) {
		t.Errorf("nothing new: %+v", got)
	}
	for day := range 3 {
		r.clock.pass(24 * time.Hour)
		m.post(t, 2000+100*day, 2099+100*day)
		if got := r.must("cert"); got.New != 100 {
			t.Fatalf("day %d: %+v", day, got)
		}
	}
	r.clock.pass(24 * time.Hour)
	m.post(t, 10_000, 11_999)
	state, code = r.run("cert")
	if code != "feed.volume" || state.Waiting != 2000 {
		t.Fatalf("a flood: %s %+v", code, state)
	}
	if n := len(r.armed()); n != 2000 {
		t.Errorf("a flood: %d armed", n)
	}
	if got := r.must("cert", true); got.New != 2000 || len(r.armed()) != 4000 {
		t.Errorf("accepted: %+v, %d armed", got, len(r.armed()))
	}
	for _, q := range s.requests() {
		if !strings.HasPrefix(q, "GET /taxii2/api1/collections/indicators/") {
			t.Errorf("asked for %s", q)
		}
	}
	if v, err := r.store.Verify(t.Context(), nil); err != nil || len(v.Faults) > 0 {
		t.Errorf("%v %v", v.Faults, err)
	}
}

// TestHostileServers: where a server sends a feed is where it does not go.
func TestHostileServers(t *testing.T) {
	t.Parallel()
	away := newSite(t)
	for _, kind := range []feed.Kind{feed.TAXII, feed.MISP, feed.HTTPS} {
		for name, hook := range map[string]func(w http.ResponseWriter, req *http.Request){
			"redirected": func(w http.ResponseWriter, req *http.Request) {
				http.Redirect(w, req, away.url+req.URL.Path, http.StatusFound)
			},
			"to its own metadata": func(w http.ResponseWriter, req *http.Request) {
				http.Redirect(w, req, "http://169.254.169.254/latest", http.StatusTemporaryRedirect)
			},
			"to a file": func(w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Location", "file:///etc/passwd")
				w.WriteHeader(http.StatusMovedPermanently)
			},
		} {
			s := newSite(t)
			r := newReader(t, s.rules)
			f := s.feed(kind, "/x/")
			if kind == feed.TAXII {
				f = s.taxii(t)
			}
			s.hook = func(w http.ResponseWriter, req *http.Request) bool { hook(w, req); return true }
			r.add(f)
			state, code := r.run("cert")
			if want := map[bool]string{true: "feed.elsewhere", false: "feed.redirect"}[kind == feed.TAXII]; code != want || state.Failures != 1 {
				t.Errorf("%s %s: %s %+v", kind, name, code, state)
			}
		}
	}
	if got := away.requests(); len(got) > 0 {
		t.Errorf("another server was asked: %v", got)
	}
}

// TestHostileTAXII: addresses in a page are data, and a next is no address.
func TestHostileTAXII(t *testing.T) {
	t.Parallel()
	s, away := newSite(t), newSite(t)
	r := newReader(t, s.rules)
	served := 0
	s.hook = func(w http.ResponseWriter, req *http.Request) bool {
		w.Header().Set("Content-Type", taxii.MediaType)
		w.Header().Set("Link", "<"+away.url+"/>; rel=next")
		if served++; served > 1 {
			fmt.Fprint(w, `{"objects":[]}`)
			return true
		}
		fmt.Fprintf(w, `{"more":true,"next":%q,"objects":[%s]}`, away.url+"/next", strings.Replace(stixIndicator(1, "a.example.org"), `"pattern_type"`,
			fmt.Sprintf(`"external_references":[{"source_name":"x","url":%q}],"pattern_type"`, away.url+"/reference"), 1))
		return true
	}
	r.add(s.taxii(t))
	r.must("cert")
	r.wantArmed("hostile", "a.example.org")
	for _, q := range s.requests() {
		if !strings.HasPrefix(q, "GET /taxii2/api1/collections/indicators/") {
			t.Errorf("asked for %s", q)
		}
	}
	if got := away.requests(); len(got) > 0 {
		t.Errorf("another server was asked: %v", got)
	}
}

// TestNotAllowed: what the configuration does not name is not asked, whatever the
// feed or the resolver says.
func TestNotAllowed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newReader(t, s.rules)
	f := s.feed(feed.HTTPS, "/list.txt")
	f.Every = time.Hour
	f.URL = strings.Replace(f.URL, "example.com", "example.net", 1)
	if _, err := r.feeds.Add(t.Context(), f); noroshi.CodeOf(err) != "feed.host" {
		t.Errorf("another host: %v", err)
	}
	s.put("/list.txt", "a.example.org\n")
	for name, change := range map[string]func(*feed.Rules){
		"no network named":        func(x *feed.Rules) { x.Nets = nil },
		"it resolves to metadata": func(x *feed.Rules) { x.Resolver = addresses{"169.254.169.254"} },
		"it resolves inside":      func(x *feed.Rules) { x.Resolver = addresses{"10.0.0.1", "::ffff:10.0.0.2"} },
	} {
		rules := s.rules
		change(&rules)
		r := newReader(t, rules)
		r.add(s.feed(feed.HTTPS, "/list.txt"))
		if state, code := r.run("cert"); code != "feed.address" || !state.Lasting {
			t.Errorf("%s: %s %+v", name, code, state)
		}
	}
	if got := s.requests(); len(got) > 0 {
		t.Errorf("the server was asked: %v", got)
	}
}

// TestFailures: each is told with its code, and a feed that is back is good.
func TestFailures(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newReader(t, s.rules)
	s.put("/list.txt", "a.example.org\n")
	r.add(s.feed(feed.HTTPS, "/list.txt"))
	answer := func(status int, body string) {
		s.hook = func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
			return true
		}
	}
	for i, tt := range []struct {
		status  int
		body    string
		code    string
		lasting bool
	}{
		{401, "", "feed.denied", true},
		{404, "", "feed.missing", true},
		{500, "", "feed.status", false},
		{304, "", "feed.status", false}, // nobody asked whether it changed
		{200, "<html>\n<body>\n<p>Log in</p>\n", "feed.content", true},
		{200, `{"type":"bundle","id":"bundle--0d0b4bd9-4b4b-4b0c-8d7e-6a7f0a4b1c09","objects":[`, "feed.content", true},
	} {
		answer(tt.status, tt.body)
		state, code := r.run("cert")
		if code != tt.code || state.Code != code || state.Lasting != tt.lasting || state.Failures != i+1 {
			t.Errorf("%d %q: %s %+v", tt.status, tt.body, code, state)
		}
	}
	list, err := r.feeds.Statuses(t.Context())
	if err != nil || len(list) != 1 || !list[0].Silent {
		t.Errorf("status: %+v, %v", list, err)
	}
	if len(r.quarantine()) > 0 {
		t.Errorf("a page that is no list was taken: %+v", r.quarantine())
	}
	s.hook = nil
	if got := r.must("cert"); got.New != 1 {
		t.Errorf("it is back: %+v", got)
	}
	if list, _ := r.feeds.Statuses(t.Context()); list[0].Silent || list[0].State.Failures != 0 {
		t.Errorf("it is back: %+v", list[0])
	}
	s.Close()
	if state, code := r.run("cert"); code != "feed.unreachable" || state.Lasting || state.Good.IsZero() {
		t.Errorf("down: %s %+v", code, state)
	}
}

// TestSchedule: feeds are read when they are due, no more than two at once, each
// once; all ends with the context.
func TestSchedule(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newReader(t, s.rules)
	for _, name := range []string{"a", "b", "c", "d"} {
		s.put("/"+name, name+".example.org\n")
		f := s.feed(feed.HTTPS, "/"+name)
		f.Name, f.Paused = name, name == "d"
		r.add(f)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.feeds.Serve(ctx) }()
	head := int64(0)
	for len(r.armed()) < 3 {
		if err := r.store.Wait(t.Context(), head); err != nil {
			t.Fatal(err)
		}
		head, _ = r.store.Head(t.Context())
	}
	if err := r.feeds.Pause(t.Context(), "d", false); err != nil {
		t.Fatal(err)
	}
	for len(r.armed()) < 4 {
		if err := r.store.Wait(t.Context(), head); err != nil {
			t.Fatal(err)
		}
		head, _ = r.store.Head(t.Context())
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := s.requests(); len(got) != 4 {
		t.Errorf("asked %v, want each once", got)
	}
	if err := r.feeds.Remove(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, code := r.run("a"); code != "feed.none" {
		t.Errorf("removed: %s", code)
	}
	f := s.feed(feed.HTTPS, "/a")
	f.Name = "a"
	r.add(f)
	if got := r.must("a"); got.New != 0 || got.Unchanged != 1 {
		t.Errorf("added anew: %+v", got)
	}
}

// TestHostileContents: an address in what a feed brings is never asked, in
// whatever format it stands.
func TestHostileContents(t *testing.T) {
	t.Parallel()
	away := newSite(t)
	there := away.url + "/fetch-me"
	for name, text := range map[string]string{
		"a list":      there + "\nhttp://127.0.0.1/x\n\\\\127.0.0.1\\share\n" + there + "?a\n",
		"a bundle":    bundle(strings.Replace(stixIndicator(1, "a.example.org"), `"pattern_type"`, fmt.Sprintf(`"external_references":[{"source_name":"x","url":%q}],"pattern_type"`, there), 1)),
		"an artifact": bundle(fmt.Sprintf(`{"type":"artifact","spec_version":"2.1","id":"artifact--00000000-0000-4000-8000-000000000001","url":%q,"hashes":{"MD5":"d41d8cd98f00b204e9800998ecf8427f"}}`, there)),
		"an event":    strings.Replace(mispEvent(event1, 1700000000, "a.example.org"), "http://127.0.0.1/comment", there, 1),
		"an advisory": fmt.Sprintf(`{"document":{"category":"csaf_base","csaf_version":"2.0","title":"x","publisher":{"category":"vendor","name":"x","namespace":%q},"tracking":{"id":"x","status":"final","version":"1","initial_release_date":"2026-01-01T00:00:00Z","current_release_date":"2026-01-01T00:00:00Z","revision_history":[{"number":"1","date":"2026-01-01T00:00:00Z","summary":"x"}]},"references":[{"url":%q,"summary":"x"}]}}`, there, there),
	} {
		s := newSite(t)
		rules := s.rules
		rules.Hosts = append(slices.Clone(rules.Hosts), strings.TrimPrefix(away.url, "https://")) // it could be asked
		r := newReader(t, rules)
		s.put("/file", text)
		r.add(s.feed(feed.HTTPS, "/file"))
		r.must("cert")
		if got := s.requests(); !slices.Equal(got, []string{"GET /file"}) {
			t.Errorf("%s: asked for %v", name, got)
		}
	}
	if got := away.requests(); len(got) > 0 {
		t.Errorf("another server was asked: %v", got)
	}
}

// TestAccess: a feed shows its credentials to its server, reads them anew at each
// run, and asks whether anything changed.
func TestAccess(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newReader(t, s.rules)
	f := s.feed(feed.HTTPS, "/list.txt")
	f.Access.User, f.Access.PasswordFile = "noroshi", filepath.Join(t.TempDir(), "password")
	password := func(text string) {
		t.Helper()
		if err := os.WriteFile(f.Access.PasswordFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var tags []string
	s.hook = func(w http.ResponseWriter, req *http.Request) bool {
		tags = append(tags, req.Header.Get("If-None-Match"))
		if user, pass, _ := req.BasicAuth(); user == "noroshi" && pass == "correct" {
			return false
		}
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	s.put("/list.txt", "a.example.org\n")
	password("wrong\n")
	r.add(f)
	if _, code := r.run("cert"); code != "feed.denied" {
		t.Errorf("a wrong password: %s", code)
	}
	password("correct\n")
	r.must("cert")
	r.must("cert")
	if len(tags) != 3 || tags[1] != "" || !strings.HasPrefix(tags[2], `"`) {
		t.Errorf("validators: %q", tags)
	}
	for _, text := range []string{"", "two\nlines\n"} {
		password(text)
		if _, code := r.run("cert"); code != "feed.secret" {
			t.Errorf("password file %q: %s", text, code)
		}
	}
	if len(tags) != 3 {
		t.Error("the server was asked without credentials")
	}
}
