package taxii_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/taxii"
)

// keys returns the members of a JSON object, sorted.
func keys(t *testing.T, raw []byte) []string {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	var names []string
	for k := range m {
		names = append(names, k)
	}
	slices.Sort(names)
	return names
}

// TestDiscovery: section 4.1.1.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ origin, path, want string }{
		{"", "", "/taxii2/api1/"}, {"", "trust", "/trust/"}, {"https://cti.example.org:8443/", "/taxii2/x/", "https://cti.example.org:8443/taxii2/x/"},
		{"http://cti.example.org", "", "/taxii2/api1/"}, {"", "/taxii2/", "/taxii2/api1/"}, {"", "/", "/taxii2/api1/"},
	} {
		s := newService(t, func(o *taxii.Options) { o.Origin, o.Root, o.Description = c.origin, c.path, "<説明>" })
		r := s.get("/taxii2/").want(t, 200)
		var d taxii.Discovery
		r.into(t, &d)
		if d.Title != "Test" || d.Contact != "duty@example.org" || d.Description != "<説明>" {
			t.Errorf("got %+v", d)
		}
		if d.Default != c.want || !slices.Equal(d.APIRoots, []string{c.want}) {
			t.Errorf("roots %v, default %s, want %s", d.APIRoots, d.Default, c.want)
		}
		s.get(strings.TrimPrefix(c.want, strings.TrimSuffix(c.origin, "/"))).want(t, 200)
		if got := keys(t, r.body); !slices.Equal(got, []string{"api_roots", "contact", "default", "description", "title"}) {
			t.Errorf("members %v", got)
		}
	}
	s := serveBackend(t, newMemory(), nil, taxii.Options{})
	if got := keys(t, s.get("/taxii2/").want(t, 200).body); !slices.Equal(got, []string{"api_roots", "default", "title"}) {
		t.Errorf("members of the least %v", got)
	}
}

// TestAPIRoot: section 4.2.1.
func TestAPIRoot(t *testing.T) {
	t.Parallel()
	s := newService(t)
	r := s.get(root).want(t, 200)
	var a taxii.APIRoot
	r.into(t, &a)
	if a.Title != "Test" || !slices.Equal(a.Versions, []string{mediaType}) || a.MaxContentLength <= 0 {
		t.Errorf("got %+v", a)
	}
	if got := keys(t, r.body); !slices.Equal(got, []string{"max_content_length", "title", "versions"}) {
		t.Errorf("members %v", got)
	}
}

// TestCollections: sections 5.1.1 and 5.2.1: a steady order, the rights of who
// asks, ids and aliases, nothing but an empty object where there is none.
func TestCollections(t *testing.T) {
	t.Parallel()
	s := newService(t)
	var list struct{ Collections []json.RawMessage }
	first := s.get(root+"collections/").want(t, 200)
	first.into(t, &list)
	want := []string{
		`{"id":"` + openID + `","title":"Open","alias":"open","can_read":true,"can_write":true,"media_types":["application/stix+json;version=2.1"]}`,
		`{"id":"` + dropID + `","title":"Drop box","can_read":false,"can_write":true}`,
		`{"id":"` + shutID + `","title":"Shut","can_read":false,"can_write":false}`,
	}
	for i, w := range want {
		if i >= len(list.Collections) || string(list.Collections[i]) != w {
			t.Fatalf("got %s, want %s", first.body, want)
		}
	}
	for range 5 {
		if again := s.get(root+"collections/").want(t, 200); string(again.body) != string(first.body) {
			t.Errorf("another order: %s", again.body)
		}
	}
	for _, name := range []string{openID, "open", "%6Fpen", strings.ToUpper(openID)} {
		if got := s.get(root+"collections/"+name+"/").want(t, 200).body; string(got) != want[0] {
			t.Errorf("%s: %s", name, got)
		}
	}
	s.get(root+"collections/OPEN/").want(t, 404)
	if got := s.get(root+"collections/", "Authorization", "Bearer reader-secret").want(t, 200).body; !strings.Contains(string(got), `"can_read":true,"can_write":false`) {
		t.Errorf("reader sees %s", got)
	}
	s.memory.AddClient("nobody", "nobody-secret")
	if got := s.get(root+"collections/", "Authorization", "Bearer nobody-secret").want(t, 200).body; string(got) != "{}" {
		t.Errorf("no collections are %s", got)
	}
}

// TestAmbiguousAlias: an alias of two collections names neither; their ids do.
func TestAmbiguousAlias(t *testing.T) {
	t.Parallel()
	s := newService(t)
	id := s.memory.AddCollection(taxii.Collection{Title: "Another", Alias: "open"})
	if !uuid4.MatchString(id) {
		t.Errorf("the id of a collection is %q", id)
	}
	s.get(root+"collections/open/").want(t, 200) // tool does not see the other
	s.memory.Grant("tool", id, true, true)
	s.get(root+"collections/open/").want(t, 404)
	s.get(collectionPath).want(t, 200)
	s.get(root+"collections/"+id+"/").want(t, 200)
}

// TestNoUserAgent: a request is not refused for having none (section 8.2.1).
func TestNoUserAgent(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, path := range everyPath()[:2] {
		req, err := http.NewRequest("GET", s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"User-Agent": nil, "Authorization": {"Bearer tool-secret"}}
		s.send(req).want(t, 200)
	}
}

// TestManifest: section 5.3.1.
func TestManifest(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.post(indicator(1, "2024-01-05T00:00:00Z"), address(1), `{"type":"marking-definition","id":"`+markingID+`","spec_version":"2.1","created":"2017-01-20T00:00:00.000Z"}`,
		`{"type":"malware","id":"malware--3600ad1b-fff1-4c98-bcc9-4de3bc2e2ffb","created":"2017-01-20T00:00:00.000Z","modified":"2017-01-20T00:00:00.000Z"}`)
	want := `{"objects":[` +
		`{"id":"` + indicatorID(1) + `","date_added":"2026-01-02T03:04:05.678901Z","version":"2024-01-05T00:00:00Z","media_type":"application/stix+json;version=2.1"},` +
		`{"id":"ipv4-addr--` + strings.SplitN(address(1), "--", 2)[1][:36] + `","date_added":"2026-01-02T03:04:05.678902Z","version":"2026-01-02T03:04:05.678902Z","media_type":"application/stix+json;version=2.1"},` +
		`{"id":"` + markingID + `","date_added":"2026-01-02T03:04:05.678903Z","version":"2017-01-20T00:00:00.000Z","media_type":"application/stix+json;version=2.1"},` +
		`{"id":"malware--3600ad1b-fff1-4c98-bcc9-4de3bc2e2ffb","date_added":"2026-01-02T03:04:05.678904Z","version":"2017-01-20T00:00:00.000Z"}]}`
	if got := s.get(manifestPath).want(t, 200).body; string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := s.get(manifestPath+"?match[type]=malware-analysis").want(t, 200).body; string(got) != "{}" {
		t.Errorf("an empty manifest is %s", got)
	}
}

// TestObject: sections 5.6 and 5.8: an object, its versions, and what there is none of.
func TestObject(t *testing.T) {
	t.Parallel()
	s := newService(t)
	history(s)
	one := objectsPath + indicatorID(1) + "/"
	v := func(day string) string { return "2024-01-" + day + "T00:00:00.000Z" }
	if got := s.get(one).want(t, 200).body; string(got) != wrap(indicator(1, v("03"))) {
		t.Errorf("got %s", got)
	}
	if e := s.get(one + "?match[version]=all&limit=2").page(t); len(e.Objects) != 2 || !e.More {
		t.Errorf("all: %+v", e)
	} else if e = s.get(one + "?match[version]=all&next=" + e.Next).page(t); len(e.Objects) != 1 || string(e.Objects[0]) != indicator(1, v("03")) {
		t.Errorf("the rest: %+v", e)
	}
	if got := s.get(one+"?match[version]="+v("01")).want(t, 200).body; string(got) != wrap(indicator(1, v("01"))) {
		t.Errorf("got %s", got)
	}
	if got := s.get(one + "versions/").page(t).Versions; !slices.Equal(got, []string{v("02"), v("01"), v("03")}) {
		t.Errorf("versions %v", got)
	}
	e := s.get(one + "versions/?limit=2").page(t)
	if rest := s.get(one + "versions/?next=" + e.Next).page(t); !e.More || !slices.Equal(rest.Versions, []string{v("03")}) {
		t.Errorf("versions by two: %+v, then %+v", e, rest)
	}
	if got := s.get(objectsPath + markingID + "/versions/").page(t).Versions; !slices.Equal(got, []string{"2017-01-20T00:00:00.000Z"}) {
		t.Errorf("versions of what is not versioned %v", got)
	}
	for _, empty := range []string{one + "?added_after=2100-01-01T00:00:00Z", one + "?match[spec_version]=2.0", one + "versions/?added_after=2100-01-01T00:00:00Z", one + "versions/?match[spec_version]=2.0"} {
		if got := s.get(empty).want(t, 200).body; string(got) != "{}" {
			t.Errorf("%s: %s", empty, got)
		}
	}
	for _, none := range []string{indicatorID(55), "x", "indicator--1", "%2F"} {
		s.get(objectsPath+none+"/").want(t, 404)
		s.get(objectsPath+none+"/versions/").want(t, 404)
	}
	s.get(one+"?match[version]=2023-01-01T00:00:00Z").want(t, 404)
}

// TestEntityTags: discovery, API root and collections need not be sent twice.
func TestEntityTags(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, path := range []string{"/taxii2/", root, root + "collections/", collectionPath} {
		r := s.get(path).want(t, 200)
		tag := r.Header.Get("ETag")
		for _, have := range []string{tag, `"x", ` + tag, strings.TrimPrefix(tag, "W/"), "*"} {
			if again := s.get(path, "If-None-Match", have).want(t, 304); len(again.body) != 0 || again.Header.Get("ETag") != tag {
				t.Errorf("%s: 304 with %q, tag %q", path, again.body, again.Header.Get("ETag"))
			}
		}
		s.get(path, "If-None-Match", `W/"x"`).want(t, 200)
		if !strings.HasPrefix(r.Header.Get("Cache-Control"), "private") {
			t.Errorf("Cache-Control %q", r.Header.Get("Cache-Control"))
		}
	}
	tag := s.get(root+"collections/").want(t, 200).Header.Get("ETag")
	s.get(root+"collections/", "If-None-Match", tag, "Authorization", "Bearer reader-secret").want(t, 200)
	s.memory.Grant("tool", dropID, true, true)
	s.get(root+"collections/", "If-None-Match", tag).want(t, 200)
}

// TestHead: HEAD has the headers of GET and no body.
func TestHead(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.fill(20)
	for _, path := range everyPath()[3:9] {
		for _, coding := range []string{"identity", "gzip"} {
			get := s.get(path, "Accept-Encoding", coding).want(t, 200)
			head := s.do("HEAD", path, "", "Accept-Encoding", coding).want(t, 200)
			if len(head.body) != 0 {
				t.Errorf("%s: body %q", path, head.body)
			}
			if coding == "identity" && (get.ContentLength != int64(len(get.body)) || head.ContentLength != get.ContentLength) {
				t.Errorf("%s: %d bytes are told as %d, by HEAD as %d", path, len(get.body), get.ContentLength, head.ContentLength)
			}
			for _, name := range []string{"Content-Type", "Content-Encoding", "ETag", "X-TAXII-Date-Added-First", "X-TAXII-Date-Added-Last"} {
				if head.Header.Get(name) != get.Header.Get(name) {
					t.Errorf("%s: %s %q, GET has %q", path, name, head.Header.Get(name), get.Header.Get(name))
				}
			}
		}
	}
	s.do("HEAD", root+"nothing/", "").want(t, 404)
	req := httptest.NewRequest("HEAD", objectsPath, nil)
	req.Header.Set("Authorization", "Bearer tool-secret")
	w := &sink{header: http.Header{}}
	if taxii.NewHandler(s.memory, taxii.Options{}).ServeHTTP(w, req); w.status != 200 || w.n != 0 {
		t.Errorf("status %d, %d bytes are written for net/http to drop", w.status, w.n)
	}
}

// TestHTTP2: the handler serves HTTP/2 over TLS as well.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	m := full(t, 30)
	server := httptest.NewUnstartedServer(taxii.NewHandler(m, taxii.Options{}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	s := &service{server, t, m}
	r := s.get(objectsPath+"?limit=20", "Accept-Encoding", "zstd")
	if e := r.want(t, 200); e.ProtoMajor != 2 || !strings.Contains(string(unpacked(t, e)), `"more":true`) {
		t.Errorf("HTTP/%d: %.100s", e.ProtoMajor, unpacked(t, e))
	}
	s.do("POST", objectsPath, wrap(address(1))).want(t, 202)
}

// TestKeepAlive: answers, errors too, leave the connection open.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.fill(20)
	for i, path := range []string{objectsPath, objectsPath, root + "nothing/", objectsPath + "?limit=0", manifestPath} {
		req, err := http.NewRequest("GET", s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer tool-secret")
		reused := false
		req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { reused = c.Reused }}))
		if s.send(req); !reused { // fill has opened it
			t.Errorf("request %d opened a connection", i)
		}
	}
}
