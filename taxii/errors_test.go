package taxii_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/taxii"
)

// TestRouter: what the router refuses has a TAXII body too, and 405 says what is
// allowed; a path without its last slash is understood.
func TestRouter(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.fill(2)
	object := objectsPath + indicatorID(1) + "/"
	for _, path := range []string{"/", "/taxii/", "/taxii2/other/", root + "x/", root + "status/", root + "status/a/b/", collectionPath + "x/",
		collectionPath + "objects/a/versions/x/", collectionPath + "objects/a/x/", root + "collections//objects/", root + "/collections/", "/taxii2/%2e%2e/", collectionPath + "channels/"} {
		s.get(path).want(t, 404)
	}
	for path, allow := range map[string]string{
		"/taxii2/": "GET, HEAD", root: "GET, HEAD", root + "collections/": "GET, HEAD", collectionPath: "GET, HEAD", manifestPath: "GET, HEAD",
		root + "status/x/": "GET, HEAD", objectsPath: "GET, HEAD, POST", object: "DELETE, GET, HEAD", object + "versions/": "GET, HEAD",
	} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "X"} {
			if strings.Contains(allow, method) {
				continue
			}
			if r := s.do(method, path, "").want(t, 405); r.Header.Get("Allow") != allow {
				t.Errorf("%s %s: Allow %q, want %q", method, path, r.Header.Get("Allow"), allow)
			}
		}
		if path != root+"status/x/" {
			s.get(path).want(t, 200)
			s.get(strings.TrimSuffix(path, "/")).want(t, 200)
		}
	}
}

// ailing is a backend whose store fails.
type ailing struct {
	*taxii.Memory
	err   error
	panic any
}

func (a *ailing) Page(context.Context, string, string, taxii.Query) ([]taxii.Record, bool, error) {
	if a.panic != nil {
		panic(a.panic)
	}
	return nil, false, a.err
}

// TestInternalErrors: what the backend does not explain is 500 with a random id
// that the log has too; what went wrong stays inside.
func TestInternalErrors(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]*ailing{
		"error": {err: errors.New("disk /secret/path is full")},
		"panic": {panic: "index out of /secret/path"},
	} {
		t.Run(name, func(t *testing.T) {
			a.Memory = newMemory()
			var log strings.Builder
			s := serveBackend(t, a, a.Memory, taxii.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
			seen := map[string]bool{}
			for range 3 {
				var e taxii.Error
				r := s.get(objectsPath).want(t, 500)
				r.into(t, &e)
				if e.ID == "" || seen[e.ID] || !strings.Contains(log.String(), e.ID) || !strings.Contains(log.String(), "/secret/path") {
					t.Errorf("error_id %q, log %s", e.ID, log.String())
				}
				if seen[e.ID] = true; strings.Contains(string(r.body), "secret") {
					t.Errorf("tells %s", r.body)
				}
			}
			s.get(collectionPath).want(t, 200) // the server lives on
		})
	}
}

// TestBackendErrors: what each error of a backend becomes.
func TestBackendErrors(t *testing.T) {
	t.Parallel()
	for err, status := range map[error]int{
		taxii.ErrUnauthorized: 401, taxii.ErrForbidden: 403, taxii.ErrNotFound: 404, taxii.ErrUnavailable: 503,
		context.DeadlineExceeded: 503, &taxii.Error{Title: "of another server", HTTPStatus: 418}: 500,
	} {
		m := newMemory()
		r := serveBackend(t, &ailing{Memory: m, err: fmt.Errorf("page: %w", err)}, m, taxii.Options{}).get(objectsPath).want(t, status)
		if strings.Contains(string(r.body), "page:") {
			t.Errorf("tells what the backend said: %s", r.body)
		}
		if status == 503 && r.Header.Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
	}
}

// halting is a backend that stops the handler as net/http lets a handler stop.
type halting struct{ *taxii.Memory }

func (halting) Page(context.Context, string, string, taxii.Query) ([]taxii.Record, bool, error) {
	panic(http.ErrAbortHandler)
}

// TestAbort: what is cut off is not passed off as an answer.
func TestAbort(t *testing.T) {
	t.Parallel()
	m := newMemory()
	s := serveBackend(t, halting{m}, m, taxii.Options{})
	req, err := http.NewRequest("GET", s.URL+objectsPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer tool-secret")
	if resp, err := s.Client().Do(req); err == nil {
		resp.Body.Close()
		t.Errorf("answered %s", resp.Status)
	}
}
