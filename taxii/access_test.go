package taxii_test

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/taxii"
)

// everyPath is a path of each endpoint, and two that are none.
func everyPath() []string {
	object := objectsPath + indicatorID(1) + "/"
	return []string{"/taxii2/", root, root + "status/99999999-9999-4999-8999-999999999999/", root + "collections/", collectionPath,
		manifestPath, objectsPath, object, object + "versions/", root + "nothing/", "/"}
}

// TestAuthentication: every path asks for it, whatever the method, and says how
// (sections 1.6.9 and 5.1 to 5.8).
func TestAuthentication(t *testing.T) {
	t.Parallel()
	s := newService(t)
	var first []byte
	for _, path := range everyPath() {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"} {
			for _, header := range []string{"", "Bearer wrong", "Bearer", "Basic !", "Digest x", "Basic cmVhZGVyOnRvb2wtc2VjcmV0"} {
				r := s.do(method, path, "", "Authorization", header).want(t, 401)
				challenges := strings.Join(r.Header.Values("WWW-Authenticate"), ", ")
				if !strings.Contains(challenges, `Basic realm="taxii"`) || !strings.Contains(challenges, `Bearer realm="taxii"`) {
					t.Errorf("%s %s: challenges %q", method, path, challenges)
				}
				if method == "HEAD" {
					continue
				}
				if first == nil {
					first = r.body
				}
				if !bytes.Equal(r.body, first) {
					t.Errorf("%s %s tells more: %s", method, path, r.body)
				}
			}
		}
	}
	t.Run("basic", func(t *testing.T) {
		s := &service{s.Server, t, s.memory}
		req, err := http.NewRequest("GET", s.URL+"/taxii2/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("tool", "tool-secret")
		s.send(req).want(t, 200)
	})
}

// lax is a backend that leaves the rights to the handler: whoever asks, it gives,
// takes and removes as one who may.
type lax struct{ *taxii.Memory }

func newLax() lax {
	m := newMemory()
	m.AddClient("master", "master-secret")
	for _, id := range []string{openID, dropID, shutID, hiddenID} {
		m.Grant("master", id, true, true)
	}
	return lax{m}
}

func (l lax) Page(ctx context.Context, _, collection string, q taxii.Query) ([]taxii.Record, bool, error) {
	return l.Memory.Page(ctx, "master", collection, q)
}

func (l lax) Add(ctx context.Context, _, collection string, posted []taxii.Posted) (taxii.Status, error) {
	return l.Memory.Add(ctx, "master", collection, posted)
}

func (l lax) Remove(ctx context.Context, _, collection string, id stix.ID, q taxii.Query) error {
	return l.Memory.Remove(ctx, "master", collection, id, q)
}

// TestPermissions: 403 where the client can see the collection, 404 where it
// cannot (sections 5.3 to 5.8), and the table of section 5.7.
func TestPermissions(t *testing.T) {
	t.Parallel()
	strict, l := newMemory(), newLax()
	for name, s := range map[string]*service{
		"the backend too": serveBackend(t, strict, strict, taxii.Options{}),
		"handler alone":   serveBackend(t, l, l.Memory, taxii.Options{}),
	} {
		t.Run(name, func(t *testing.T) { permissions(t, s) })
	}
}

func permissions(t *testing.T, s *service) {
	at := func(id, rest string) string { return root + "collections/" + id + "/" + rest }
	object := "objects/" + indicatorID(1) + "/"
	for _, c := range []struct {
		name, id, as         string
		read, write, destroy int
	}{
		{"reads and writes", openID, "tool", 200, 202, 200},
		{"reads", openID, "reader", 200, 403, 403},
		{"writes", dropID, "tool", 403, 202, 403},
		{"sees", shutID, "tool", 403, 403, 404},
		{"does not see", hiddenID, "tool", 404, 404, 404},
		{"not there", "99999999-9999-4999-8999-999999999999", "tool", 404, 404, 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &service{s.Server, t, s.memory}
			s.post(indicator(1, "2024-01-01T00:00:00.000Z"))
			who := []string{"Authorization", "Bearer " + c.as + "-secret"}
			see := 200
			if c.read == 404 {
				see = 404
			}
			s.get(at(c.id, ""), who...).want(t, see)
			for _, rest := range []string{"objects/", "manifest/", object, object + "versions/"} {
				s.get(at(c.id, rest), who...).want(t, c.read)
			}
			s.do("POST", at(c.id, "objects/"), wrap(address(1)), who...).want(t, c.write)
			s.do("DELETE", at(c.id, object), "", who...).want(t, c.destroy)
		})
	}
}

// TestHiddenIsAbsent: what a client may not see answers byte for byte like what
// is not there, to every method and with bad parameters and headers too.
func TestHiddenIsAbsent(t *testing.T) {
	t.Parallel()
	s := newService(t)
	absent := "99999999-9999-4999-8999-999999999999"
	type request struct{ method, rest, body, accept, contentType string }
	var requests []request
	for _, rest := range []string{"", "objects/", "manifest/", "objects/x/", "objects/" + indicatorID(1) + "/", "objects/" + indicatorID(1) + "/versions/", "other/"} {
		for _, method := range []string{"GET", "POST", "DELETE", "PUT"} {
			for _, query := range []string{"", "?limit=0", "?next=x"} {
				requests = append(requests, request{method, rest + query, wrap(address(1)), mediaType, mediaType},
					request{method, rest + query, "{", mediaType, "text/plain"}, request{method, rest + query, "", "text/plain", ""})
			}
		}
	}
	for _, q := range requests {
		ask := func(id string) reply {
			return s.do(q.method, root+"collections/"+id+"/"+q.rest, q.body, "Accept", q.accept, "Content-Type", q.contentType)
		}
		want := ask(absent)
		for _, id := range []string{hiddenID, "hidden"} {
			got := ask(id)
			got.Header.Del("Date")
			want.Header.Del("Date")
			if got.StatusCode != want.StatusCode || !bytes.Equal(got.body, want.body) || !sameHeader(got.Header, want.Header) {
				t.Errorf("%s %s: hidden %d %s %v, absent %d %s %v", q.method, q.rest, got.StatusCode, got.body, got.Header, want.StatusCode, want.body, want.Header)
			}
		}
	}
	if body := s.get(root+"collections/").want(t, 200).body; bytes.Contains(body, []byte(hiddenID)) {
		t.Error("the list of collections names a hidden one")
	}
}

func sameHeader(a, b http.Header) bool {
	if len(a) != len(b) {
		return false
	}
	for k := range a {
		if !slices.Equal(a[k], b[k]) {
			return false
		}
	}
	return true
}

// TestDelete: without a filter every version goes, with one those it names; what
// is gone is not found, nor in the manifest (section 5.7).
func TestDelete(t *testing.T) {
	t.Parallel()
	s := newService(t)
	one := objectsPath + indicatorID(1) + "/"
	v := func(day string) string { return "2024-01-" + day + "T00:00:00.000Z" }
	s.post(indicator(1, v("01")), indicator(1, v("02")), indicator(1, v("03")), indicator(2, v("01")))
	left := func(want ...string) {
		t.Helper()
		if got := s.get(one + "versions/").page(t).Versions; !slices.Equal(got, want) {
			t.Errorf("versions %v, want %v", got, want)
		}
	}
	r := s.do("DELETE", one+"?match[version]="+v("02"), "").want(t, 200)
	if len(r.body) != 0 {
		t.Errorf("body %q", r.body)
	}
	left(v("01"), v("03"))
	s.get(one+"?match[version]="+v("02")).want(t, 404)
	if e := s.get(manifestPath + "?match[version]=" + v("02")).page(t); len(e.Objects) != 0 {
		t.Error("a deleted version is in the manifest")
	}
	s.do("DELETE", one+"?match[version]="+v("02"), "").want(t, 404)
	s.do("DELETE", one+"?match[spec_version]=2.0", "").want(t, 404)
	s.do("DELETE", one+"?match[version]=newest", "").want(t, 400)
	s.do("DELETE", one+"?match[version]=first", "").want(t, 200)
	left(v("03"))
	s.post(indicator(1, v("04")))
	s.do("DELETE", one, "").want(t, 200)
	s.get(one).want(t, 404)
	s.get(one+"?match[version]=all").want(t, 404)
	s.get(one+"versions/").want(t, 404)
	s.do("DELETE", one, "").want(t, 404)
	for _, path := range []string{objectsPath, manifestPath} {
		if got := s.get(path + "?match[version]=all").page(t).ids(t); !slices.Equal(got, []string{indicatorID(2)}) {
			t.Errorf("%s: %v", path, got)
		}
	}
	before := s.get(manifestPath).want(t, 200).Header.Get("X-TAXII-Date-Added-Last")
	s.post(indicator(1, v("04")))
	if e := s.get(manifestPath + "?added_after=" + before).page(t); len(e.Objects) != 1 {
		t.Error("what was restored has no new date_added")
	}
}
