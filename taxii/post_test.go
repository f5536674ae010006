package taxii_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/taxii"
)

var uuid4 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// TestBadBodies: what is no envelope is refused as a whole, with the place, in an
// error body, and nothing of it is stored.
func TestBadBodies(t *testing.T) {
	t.Parallel()
	s := newService(t)
	good := indicator(1, "2024-01-01T00:00:00.000Z")
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	for _, c := range []struct {
		name, body string
		status     int
		says       string
	}{
		{"no JSON", "objects", 400, "line 1, offset 0"},
		{"broken off", `{"objects":[` + good, 400, "ends too early"},
		{"broken off in an object", `{"objects":[` + good + `,{"type`, 400, "ends too early"},
		{"bytes behind", wrap(good) + "x", 400, "offset"},
		{"a second envelope", wrap(good) + wrap(good), 400, "offset"},
		{"NaN", wrap(good, `{"type":"x-a","id":"x-a--3600ad1b-fff1-4c98-bcc9-4de3bc2e2ffb","n":NaN}`), 400, "/objects/1/n"},
		{"a number of another form", wrap(good, `{"n":01}`), 400, "/objects/1"},
		{"a name twice", wrap(good, `{"type":"x-a",`+"\n"+`"a":1,"a":2}`), 400, "member twice (line 2"},
		{"a name twice in the envelope", `{"objects":[` + good + `],"objects":[]}`, 400, "member twice"},
		{"a name twice by escape", `{"objects":[` + good + `],"\u006fbjects":[]}`, 400, "member twice"},
		{"bad UTF-8", wrap(good, "{\"type\":\"\xff\"}"), 400, "/objects/1"},
		{"a lone surrogate", wrap(good, `{"type":"\ud800"}`), 400, "/objects/1"},
		{"very deep", `{"objects":[` + good + `],"x":` + deep + `}`, 400, "offset"},
		{"very deep object", wrap(good, deep), 400, "offset"},
		{"a byte order mark", "\xef\xbb\xbf" + wrap(good), 400, "offset 0"},
		{"UTF-16", "\xff\xfe{\x00}\x00", 400, "offset 0"},
		{"an array", "[" + good + "]", 422, "JSON object"},
		{"an object without an envelope", good, 422, "no objects"},
		{"an empty envelope", "{}", 422, "no objects"},
		{"an empty list", `{"objects":[]}`, 422, "no objects"},
		{"null", `{"objects":null}`, 422, "no list"},
		{"an object for the list", `{"objects":{}}`, 422, "no list"},
		{"another case", `{"Objects":[` + good + `]}`, 422, "case"},
		{"objects and Objects", `{"objects":[` + good + `],"Objects":[]}`, 422, "case"},
		{"too many", `{"objects":[` + strings.Repeat("0,", 100_000) + `0]}`, 422, "100000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &service{s.Server, t, s.memory}
			var e taxii.Error
			s.do("POST", objectsPath, c.body).want(t, c.status).into(t, &e)
			if !strings.Contains(e.Detail, c.says) {
				t.Errorf("says %q, want %q in it", e.Detail, c.says)
			}
		})
	}
	t.Run("no body", func(t *testing.T) {
		s := &service{s.Server, t, s.memory}
		s.do("POST", objectsPath, "", "Content-Type", mediaType).want(t, 400)
	})
	if got := s.get(objectsPath).want(t, 200).body; string(got) != "{}" {
		t.Errorf("something was stored: %s", got)
	}
}

// TestFaultsOfOneObject: one that is no STIX object fails alone.
func TestFaultsOfOneObject(t *testing.T) {
	t.Parallel()
	s := newService(t)
	deep := `{"type":"x-a","id":"x-a--3600ad1b-fff1-4c98-bcc9-4de3bc2e2ffb","x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`
	faulty := []string{
		`1`, `"text"`, `null`, `[]`, `{}`, `{"type":"indicator"}`, `{"type":3,"id":"indicator--3600ad1b-fff1-4c98-bcc9-4de3bc2e2ffb"}`,
		`{"type":"malware","id":"indicator--3600ad1b-fff1-4c98-bcc9-4de3bc2e2ffb"}`,
		`{"type":"indicator","id":"indicator--3600ad1b-fff1-4c98-bcc9-4de3bc2e2ffb","modified":"soon"}`,
		`{"type":"indicator","id":"indicator--3600ad1b-fff1-4c98-bcc9-4de3bc2e2ffb","Type":"x"}`,
		`{"type":"bundle","id":"bundle--3600ad1b-fff1-4c98-bcc9-4de3bc2e2ffb","objects":[]}`, deep,
	}
	st := s.post(append([]string{address(1)}, append(faulty, address(2))...)...)
	if st.TotalCount != len(faulty)+2 || st.SuccessCount != 2 || st.FailureCount != len(faulty) || st.PendingCount != 0 || st.Status != "complete" {
		t.Fatalf("status %+v", st)
	}
	for i, f := range st.Failures {
		if f.Message == "" {
			t.Errorf("failure %d has no message", i)
		}
	}
	if f := st.Failures[8]; f.ID != "indicator--3600ad1b-fff1-4c98-bcc9-4de3bc2e2ffb" || f.Version != "soon" {
		t.Errorf("a failure that has an id: %+v", f)
	}
	if e := s.get(objectsPath).page(t); len(e.Objects) != 2 {
		t.Errorf("%d objects, want 2", len(e.Objects))
	}
}

// TestStatus: the resource has what is required, the versions of section 4.3.1,
// and is the same when it is asked for; only its author sees it.
func TestStatus(t *testing.T) {
	t.Parallel()
	s := newService(t)
	r := s.do("POST", objectsPath, wrap(indicator(1, "2024-01-05T00:00:00Z"), address(1),
		`{"type":"marking-definition","id":"`+markingID+`","created":"2017-01-20T00:00:00.000Z"}`, `{"type":"x"}`)).want(t, 202)
	var raw map[string]any
	r.into(t, &raw)
	for name, want := range map[string]any{"status": "complete", "total_count": 4.0, "success_count": 3.0, "failure_count": 1.0, "pending_count": 0.0,
		"request_timestamp": "2026-01-02T03:04:05.678901Z"} {
		if raw[name] != want {
			t.Errorf("%s is %v, want %v", name, raw[name], want)
		}
	}
	if _, ok := raw["pendings"]; ok {
		t.Error("an empty list of pendings stands there")
	}
	id, _ := raw["id"].(string)
	if !uuid4.MatchString(id) {
		t.Errorf("id %q", id)
	}
	var st taxii.Status
	r.into(t, &st)
	var versions []string
	for _, d := range st.Successes {
		versions = append(versions, d.Version)
	}
	if want := "[2024-01-05T00:00:00Z 2026-01-02T03:04:05.678902Z 2017-01-20T00:00:00.000Z]"; fmt.Sprint(versions) != want {
		t.Errorf("versions %v, want %s", versions, want)
	}
	if got := s.get(root+"status/"+id+"/").want(t, 200).body; !bytes.Equal(got, r.body) {
		t.Errorf("asked again: %s, want %s", got, r.body)
	}
	s.get(root+"status/"+strings.ToUpper(id)+"/").want(t, 200)
	other := s.get(root+"status/"+id+"/", "Authorization", "Bearer reader-secret").want(t, 404)
	for _, no := range []string{"99999999-9999-4999-8999-999999999999", "x"} {
		if got := s.get(root+"status/"+no+"/").want(t, 404); !bytes.Equal(got.body, other.body) {
			t.Errorf("another's status answers %s, none %s", other.body, got.body)
		}
	}
}

// TestDuplicates: the same object again is no error; the same version with other
// bytes is one, and is not swapped.
func TestDuplicates(t *testing.T) {
	t.Parallel()
	s := newService(t)
	first := indicator(1, "2024-01-01T00:00:00.000Z")
	s.post(first)
	if st := s.post(first, first); st.SuccessCount != 2 || st.FailureCount != 0 {
		t.Errorf("a duplicate: %+v", st)
	}
	other := strings.Replace(first, "指標", "other", 1)
	if st := s.post(other); st.FailureCount != 1 || st.Failures[0].Message == "" {
		t.Errorf("another object of the same version: %+v", st)
	}
	if e := s.get(objectsPath + "?match[version]=all").page(t); len(e.Objects) != 1 || string(e.Objects[0]) != first {
		t.Errorf("got %s", e.Objects)
	}
}

// TestCustomProperties: of an envelope they are stepped over, of an object kept.
func TestCustomProperties(t *testing.T) {
	t.Parallel()
	s := newService(t)
	object := `{"type":"x-acme-thing","id":"x-acme-thing--3600ad1b-fff1-4c98-bcc9-4de3bc2e2ffb","x_acme_com_score":{"high":1}}`
	for _, body := range []string{
		`{"x_acme_com_batch":{"a":[1]},"objects":[` + object + `],"more":false,"next":"1"}`,
		`{"type":"bundle","id":"bundle--3600ad1b-fff1-4c98-bcc9-4de3bc2e2ffb","objects":[` + object + `]}`,
		"\n{ \"\\u006fbjects\" : [ " + object + " ] }\n",
	} {
		s.do("POST", objectsPath, body).want(t, 202)
	}
	if e := s.get(objectsPath).page(t); len(e.Objects) != 1 || string(e.Objects[0]) != object {
		t.Errorf("got %s", e.Objects)
	}
}

// TestContentLimit: up to max_content_length nothing is 413, beyond it everything
// is, whether the length was told or not.
func TestContentLimit(t *testing.T) {
	t.Parallel()
	const most = 4000
	s := newService(t, func(o *taxii.Options) { o.MaxContent = most })
	var api struct {
		Max int64 `json:"max_content_length"`
	}
	if s.get(root).want(t, 200).into(t, &api); api.Max != most {
		t.Errorf("max_content_length %d", api.Max)
	}
	body := func(n int) string {
		b := wrap(address(1))
		return b + strings.Repeat(" ", n-len(b))
	}
	chunked := func(n int) reply {
		req, err := http.NewRequest("POST", s.URL+objectsPath, struct{ io.Reader }{strings.NewReader(body(n))})
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Accept": {mediaType}, "Content-Type": {mediaType}, "Authorization": {"Bearer tool-secret"}}
		return s.send(req)
	}
	s.do("POST", objectsPath, body(most-1)).want(t, 202)
	s.do("POST", objectsPath, body(most)).want(t, 202)
	s.do("POST", objectsPath, body(most+1)).want(t, 413)
	chunked(most).want(t, 202)
	chunked(most+1).want(t, 413)
	chunked(1_000_000).want(t, 413)
}

// busy is a backend whose Add says that it was entered and waits.
type busy struct {
	*taxii.Memory
	entered, leave chan struct{}
}

func (b busy) Add(ctx context.Context, client, collection string, posted []taxii.Posted) (taxii.Status, error) {
	b.entered <- struct{}{}
	<-b.leave
	return b.Memory.Add(ctx, client, collection, posted)
}

// TestPostsAtOnce: what is one too many waits with its body unread, until it is
// its turn or its client goes; readers do not wait.
func TestPostsAtOnce(t *testing.T) {
	t.Parallel()
	b := busy{newMemory(), make(chan struct{}), make(chan struct{})}
	s := serveBackend(t, b, b.Memory, taxii.Options{Posts: 1})
	post := func(ctx context.Context, n int) int {
		req := httptest.NewRequestWithContext(ctx, "POST", objectsPath, strings.NewReader(wrap(address(n))))
		req.Header = http.Header{"Content-Type": {mediaType}, "Authorization": {"Bearer tool-secret"}}
		w := httptest.NewRecorder()
		s.Config.Handler.ServeHTTP(w, req)
		return w.Code
	}
	status := make(chan int, 2)
	go func() { status <- post(t.Context(), 1) }()
	<-b.entered
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if got := post(gone, 2); got != 503 {
		t.Errorf("a client that is gone: %d", got)
	}
	s.get(objectsPath).want(t, 200)
	go func() { status <- post(t.Context(), 3) }()
	b.leave <- struct{}{}
	<-b.entered // the next one's turn
	b.leave <- struct{}{}
	if first, second := <-status, <-status; first != 202 || second != 202 {
		t.Errorf("answers %d and %d", first, second)
	}
	if e := s.get(objectsPath).page(t); len(e.Objects) != 2 {
		t.Errorf("%d objects, want 2", len(e.Objects))
	}
}

// TestLargeObject: an object of a megabyte goes in and out.
func TestLargeObject(t *testing.T) {
	t.Parallel()
	s := newService(t)
	large := `{"type":"x-large","id":"x-large--3600ad1b-fff1-4c98-bcc9-4de3bc2e2ffb","x":"` + strings.Repeat("日本語", 120_000) + `"}`
	s.post(large)
	for _, accept := range []string{"identity", "gzip", "zstd"} {
		if got := unpacked(t, s.get(objectsPath, "Accept-Encoding", accept)); string(got) != wrap(large) {
			t.Errorf("%s: %d bytes, want %d", accept, len(got), len(wrap(large)))
		}
	}
}
