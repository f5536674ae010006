package taxii_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/noroshi-cti/noroshi/taxii"
)

// TestAccept: what is defined is never 406 (section 3.1), however it is written;
// what is not may be.
func TestAccept(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, c := range []struct {
		name, accept string
		status       int
	}{
		{"the media type", "application/taxii+json;version=2.1", 200},
		{"bare", "application/taxii+json", 200},
		{"none", "", 200},
		{"a space", "application/taxii+json; version=2.1", 200},
		{"spaces", " application/taxii+json ; version = 2.1 ", 200},
		{"quotes", `application/taxii+json;version="2.1"`, 200},
		{"capitals", "Application/TAXII+JSON;Version=2.1", 200},
		{"charset", "application/taxii+json;version=2.1;charset=utf-8", 200},
		{"anything", "*/*", 200},
		{"any application", "application/*", 200},
		{"q", "application/taxii+json;version=2.1;q=0.3, application/json;q=0.9", 200},
		{"q before version", "application/taxii+json;q=0.3;version=2.1", 200},
		{"an unknown version first", "application/taxii+json;version=3.0, application/taxii+json;version=2.1", 200},
		{"an old version first", "application/vnd.oasis.taxii+json; version=2.0, application/taxii+json;version=2.1", 200},
		{"a browser", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", 200},
		{"nonsense beside it", "/;;,, x, application/taxii+json", 200},
		{"a comma in quotes", `text/x;p="a,application/taxii+json", application/taxii+json;version=2.1`, 200},
		{"a broken q", "application/taxii+json;version=2.1;q=high", 200},
		{"taken out", "application/taxii+json;version=2.1;q=0, */*", 406},
		{"all taken out", "*/*;q=0", 406},
		{"another version only", "application/taxii+json;version=2.0", 406},
		{"the old type only", "application/vnd.oasis.taxii+json; version=2.0", 406},
		{"another type", "application/json", 406},
		{"only in quotes", `text/x;p="a,application/taxii+json"`, 406},
		{"nonsense", "taxii", 406},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &service{s.Server, t, s.memory}
			s.get("/taxii2/", "Accept", c.accept).want(t, c.status)
			s.get(objectsPath, "Accept", c.accept).want(t, c.status)
		})
	}
	t.Run("several lines", func(t *testing.T) {
		if !taxii.Acceptable([]string{"application/json", "application/taxii+json"}, false) {
			t.Error("the second line was not read")
		}
	})
	t.Run("stix on the manifest", func(t *testing.T) {
		s := &service{s.Server, t, s.memory}
		s.get(manifestPath, "Accept", "application/stix+json;version=2.1").want(t, 200)
		s.get(objectsPath, "Accept", "application/stix+json;version=2.1").want(t, 406)
	})
}

// TestContentType: what is defined is never 415.
func TestContentType(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, c := range []struct {
		name, contentType string
		status            int
	}{
		{"the media type", "application/taxii+json;version=2.1", 202},
		{"bare", "application/taxii+json", 202},
		{"spaces and quotes", `application/taxii+json ; version="2.1"`, 202},
		{"charset", "application/taxii+json; charset=utf-8", 202},
		{"none", "", 415},
		{"another version", "application/taxii+json;version=2.0", 415},
		{"another type", "application/json", 415},
		{"a list", "application/taxii+json, text/plain", 415},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &service{s.Server, t, s.memory}
			s.do("POST", objectsPath, wrap(address(1)), "Content-Type", c.contentType).want(t, c.status)
		})
	}
}

// TestAnswersNameTheType: every kind of answer has the media type with its version.
func TestAnswersNameTheType(t *testing.T) {
	t.Parallel()
	s := newService(t)
	st := s.post(indicator(1, "2024-01-01T00:00:00.000Z"))
	for _, path := range []string{
		"/taxii2/", root, root + "status/" + st.ID + "/", root + "collections/", collectionPath, manifestPath, objectsPath,
		objectsPath + indicatorID(1) + "/", objectsPath + indicatorID(1) + "/versions/",
	} {
		s.get(path, "Accept", "application/taxii+json").want(t, 200) // want looks at the header
	}
	s.get("/nowhere/").want(t, 404)
	s.do("DELETE", objectsPath+indicatorID(1)+"/", "").want(t, 200)
}

// TestAnswerCoding: answers are packed as the client likes best.
func TestAnswerCoding(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.fill(50)
	plain := s.get(objectsPath).want(t, 200).body
	for _, c := range []struct{ accept, want string }{
		{"gzip", "gzip"}, {"zstd", "zstd"}, {"gzip, zstd", "zstd"}, {"gzip;q=1.0, zstd;q=0.5", "gzip"},
		{"x-gzip", "gzip"}, {"*", "zstd"}, {"*;q=0.5, zstd;q=0", "gzip"}, {"br", ""}, {"identity", ""},
		{"identity, gzip;q=0.5", ""}, {"zstd;q=0, gzip;q=0", ""}, {"GZIP ; Q=0.2", "gzip"},
	} {
		r := s.get(objectsPath, "Accept-Encoding", c.accept).want(t, 200)
		if got := r.Header.Get("Content-Encoding"); got != c.want {
			t.Errorf("%s: coding %q, want %q", c.accept, got, c.want)
		}
		if got := unpacked(t, r); !bytes.Equal(got, plain) {
			t.Errorf("%s: %d bytes, want the %d of the plain answer", c.accept, len(got), len(plain))
		}
		if !strings.Contains(r.Header.Get("Vary"), "Accept-Encoding") {
			t.Errorf("Vary %q", r.Header.Get("Vary"))
		}
	}
}

func unpacked(t *testing.T, r reply) []byte {
	t.Helper()
	var from io.Reader = bytes.NewReader(r.body)
	var err error
	switch r.Header.Get("Content-Encoding") {
	case "gzip":
		from, err = gzip.NewReader(from)
	case "zstd":
		from, err = zstd.NewReader(from)
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// packed packs a request's body.
func packed(t *testing.T, coding string, body []byte) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&b)
	if coding == "zstd" {
		z, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	}
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestRequestCoding: a body may come packed, and has the same limit unpacked.
func TestRequestCoding(t *testing.T) {
	t.Parallel()
	s := newService(t, func(o *taxii.Options) { o.MaxContent = 10_000 })
	body := []byte(wrap(address(1), address(2)))
	bomb := []byte(`{"objects":["` + strings.Repeat("x", 1<<20) + `"]}`)
	for _, c := range []struct {
		name, coding, body string
		status             int
	}{
		{"gzip", "gzip", packed(t, "gzip", body), 202},
		{"zstd", "zstd", packed(t, "zstd", body), 202},
		{"identity", "identity", string(body), 202},
		{"a gzip bomb", "gzip", packed(t, "gzip", bomb), 422},
		{"a zstd bomb", "zstd", packed(t, "zstd", bomb), 422},
		{"not gzip", "gzip", string(body), 400},
		{"not zstd", "zstd", string(body), 400},
		{"broken off", "gzip", packed(t, "gzip", body)[:40], 400},
		{"twice", "gzip, gzip", packed(t, "gzip", body), 415},
		{"unknown", "br", string(body), 415},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &service{s.Server, t, s.memory}
			r := s.do("POST", objectsPath, c.body, "Content-Encoding", c.coding).want(t, c.status)
			if r.StatusCode == http.StatusUnsupportedMediaType && r.Header.Get("Accept-Encoding") == "" {
				t.Error("415 for a coding does not say which are taken")
			}
		})
	}
}
