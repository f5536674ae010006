package console_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web/console"
)

// pacedConn is an answer that keeps the deadlines set for it.
type pacedConn struct {
	*httptest.ResponseRecorder
	reads, writes []time.Time
}

func (c *pacedConn) SetReadDeadline(t time.Time) error  { c.reads = append(c.reads, t); return nil }
func (c *pacedConn) SetWriteDeadline(t time.Time) error { c.writes = append(c.writes, t); return nil }
func (c *pacedConn) FlushError() error                  { return nil }

func (c *pacedConn) last() time.Time { return c.writes[len(c.writes)-1] }

// TestEverythingHasADeadline: each read of a body and each write of an answer has
// a deadline; a body that is read, and an answer between two pieces, have none, so
// that a stream of events lives on; what is buffered at the end has one again.
func TestEverythingHasADeadline(t *testing.T) {
	t.Parallel()
	c := &pacedConn{ResponseRecorder: httptest.NewRecorder()}
	handler := console.Paced(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil || n != 1<<20 || len(c.reads) < 3 {
			t.Errorf("%d bytes, %v, %d deadlines", n, err, len(c.reads))
		}
		for i, at := range c.reads {
			if end := i == len(c.reads)-1; at.IsZero() != end {
				t.Errorf("deadline %d of %d is %v", i, len(c.reads), at)
			}
		}
		before := len(c.writes)
		for _, send := range []func() error{
			func() error { _, err := io.WriteString(w, ": still here\n\n"); return err },
			http.NewResponseController(w).Flush,
		} {
			if err := send(); err != nil {
				t.Error(err)
			}
			if len(c.writes) != before+2 || c.writes[before].IsZero() || !c.last().IsZero() {
				t.Errorf("deadlines of a piece: %v", c.writes[before:])
			}
			before = len(c.writes)
		}
	}))
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("x", 1<<20)))
	handler.ServeHTTP(c, r)
	if c.last().IsZero() {
		t.Error("what is buffered at the end may take for ever")
	}
	if !c.reads[2].After(c.reads[1].Add(time.Second)) { // the first is for what nobody reads
		t.Error("who has sent something has no more time than before")
	}
}

// untouched is a body that must not be asked for.
type untouched struct{ read bool }

func (u *untouched) Read([]byte) (int, error) {
	u.read = true
	return 0, errors.New("the body was asked for")
}

// TestNobodysBodyIsNotRead: of who is not signed in, or may not do what they ask
// for, no body is read; at the door only a small one is.
func TestNobodysBodyIsNotRead(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	nobody, liaison := newReader(t, p), newReader(t, p)
	liaison.signIn("liaison")
	for name, r := range map[string]*reader{"nobody": nobody, "liaison": liaison} {
		r.http.Transport.(*http.Transport).ExpectContinueTimeout = time.Hour // the body is sent when it is read
		r.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		for _, kind := range []string{"application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
			body := &untouched{}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.base+"/indicators/import", body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", kind)
			req.Header.Set("Expect", "100-continue")
			res, err := r.http.Do(req)
			if err != nil {
				t.Errorf("%s, %s: %v", name, kind, err)
				continue
			}
			res.Body.Close()
			if body.read || res.StatusCode != http.StatusUnauthorized && res.StatusCode != http.StatusNotFound {
				t.Errorf("%s, %s: %d, body read: %v", name, kind, res.StatusCode, body.read)
			}
		}
	}
	if status, body := newReader(t, p).post("/signin", "person", strings.Repeat("x", 20<<10)); status != http.StatusUnprocessableEntity || strings.Contains(body, `name="passphrase"`) {
		t.Errorf("a large form at the door: %d\n%s", status, body)
	}
}

// late is a body of whom nothing more comes.
type late struct{}

func (late) Read([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

// TestWhoIsTooSlowIsTold: what comes too slowly is refused with why, and is no
// failure of the node.
func TestWhoIsTooSlowIsTold(t *testing.T) {
	t.Parallel()
	handler := console.Paced(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); noroshi.CodeOf(err) != "console.slow" || noroshi.KindOf(err) != noroshi.Invalid {
			t.Errorf("%v", err)
		}
	}))
	handler.ServeHTTP(&pacedConn{ResponseRecorder: httptest.NewRecorder()}, httptest.NewRequest(http.MethodPost, "/", late{}))
}

// TestWhoIsTooSlowHearsIt: over HTTP/1.1 the answer reaches who sent too slowly,
// whether they fell silent or go on; what makes the answer is not told that the
// connection has ended; and what nobody reads keeps the node waiting no longer.
func TestWhoIsTooSlowHearsIt(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(console.PacedWithin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said := "unread"
		if r.URL.Path == "/read" {
			_, err := io.ReadAll(r.Body)
			said = noroshi.CodeOf(err)
		}
		if err := r.Context().Err(); err != nil {
			said += ", " + err.Error()
		}
		http.Error(w, said, http.StatusUnprocessableEntity)
	}), 50*time.Millisecond))
	t.Cleanup(s.Close)
	for name, c := range map[string]struct {
		path, want string
		more       int // bytes sent after the answer has begun
	}{
		"fell silent": {"/read", "console.slow", 0},
		"goes on":     {"/read", "console.slow", 5},
		"not read":    {"/", "unread", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, "POST "+c.path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc"); err != nil {
				t.Fatal(err)
			}
			if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			first := make([]byte, 1)
			if _, err := conn.Read(first); err != nil {
				t.Fatal(err)
			}
			for range c.more {
				if _, err := io.WriteString(conn, "d"); err != nil {
					t.Fatal(err)
				}
			}
			res, err := http.ReadResponse(bufio.NewReader(io.MultiReader(bytes.NewReader(first), conn)), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			if err != nil || strings.TrimSpace(string(body)) != c.want {
				t.Errorf("told %q, %v; want %q", body, err, c.want)
			}
		})
	}
}
