package https_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier/https"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// patience is more than a slow machine needs for what these tests do.
const patience = 5 * time.Minute

// doored has b listen to a, and to whoever comes to a door, until the test ends.
func doored(t *testing.T, a, b *end, door http.Handler) (l *https.Listener, addr string) {
	t.Helper()
	pin, err := message.SPKIPin(a.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, l, err = https.New(ln, https.Options{Key: b.key, Silence: patience, Door: door, Open: func() bool { return true },
		Peers: func() map[noroshi.NodeID][][32]byte { return map[noroshi.NodeID][][32]byte{a.id: {pin}} }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Serve(ctx, b.take) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l, ln.Addr().String()
}

// TestVisitorsAreBounded: however many requests who is no partner sends over one
// connection, few are answered at once, and a partner's envelope waits for none
// of them. What a stranger sends in place of an envelope is counted.
func TestVisitorsAreBounded(t *testing.T) {
	t.Parallel()
	a, b := newEnd(t, 1), newEnd(t, 2)
	const most, all = 32, 90
	var inside, highest atomic.Int64
	begun, free := make(chan struct{}, all), make(chan struct{})
	door := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := inside.Add(1)
		defer inside.Add(-1)
		for h := highest.Load(); n > h && !highest.CompareAndSwap(h, n); h = highest.Load() {
		}
		begun <- struct{}{}
		<-free
		io.WriteString(w, "door")
	})
	l, addr := doored(t, a, b, door)
	tr := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	url := "https://" + addr
	resp, err := client.Post(url+https.Path, "application/octet-stream", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound || l.Refused() != 1 {
		t.Errorf("a stranger's envelope: %s, %d counted", resp.Status, l.Refused())
	}
	var wg sync.WaitGroup
	for range all {
		wg.Go(func() {
			resp, err := client.Get(url + "/taxii2/")
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "door" {
				t.Errorf("%q %v", body, err)
			}
		})
	}
	for range most {
		<-begun
	}
	a.knows(b)
	for range 3 {
		if err := a.sender.Ways(1)[0].Send(t.Context(), noroshi.Partner{Node: b.id, Endpoints: []string{url}}, noroshi.Routine, []byte("x")); err != nil {
			t.Errorf("a partner's envelope: %v", err)
		}
	}
	close(free)
	wg.Wait()
	if h := highest.Load(); h != most {
		t.Errorf("%d were answered at once, want %d", h, most)
	}
}

// TestSilentStrangersMakeRoom: of strangers who come through TLS, or not even so
// far, and send nothing, those who came first make room for who comes; whoever
// speaks stays, and a partner comes in.
func TestSilentStrangersMakeRoom(t *testing.T) {
	t.Parallel()
	const most, more = 192, 6
	for name, greet := range map[string]bool{"through TLS": true, "not even so far": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := newEnd(t, 1), newEnd(t, 2)
			door := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "door") })
			_, addr := doored(t, a, b, door)

			tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxConnsPerHost: 1}
			defer tr.CloseIdleConnections()
			visit := func() {
				t.Helper()
				resp, err := (&http.Client{Transport: tr}).Get("https://" + addr + "/taxii2/")
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "door" {
					t.Errorf("a visitor: %q %v", body, err)
				}
			}
			visit()
			var silent []net.Conn
			for range most - 1 + more { // one speaks
				c, err := net.Dial("tcp", addr)
				if err == nil && greet {
					s := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
					c, err = s, s.HandshakeContext(t.Context())
				}
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				silent = append(silent, c)
			}
			a.knows(b)
			if err := a.sender.Ways(1)[0].Send(t.Context(), noroshi.Partner{Node: b.id, Endpoints: []string{"https://" + addr}}, noroshi.Routine, []byte("x")); err != nil {
				t.Errorf("a partner's envelope: %v", err)
			}
			for i, c := range silent[:2*more] {
				first := i <= more // the last of these made room for the partner
				if first {
					c.SetReadDeadline(time.Now().Add(patience / 10))
				} else {
					c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
				}
				var timeout net.Error
				_, err := c.Read(make([]byte, 1))
				gone := err != nil && !(errors.As(err, &timeout) && timeout.Timeout())
				if first && !gone {
					t.Errorf("silent stranger %d did not make room", i)
				}
				if !first && gone {
					t.Errorf("silent stranger %d made room for nobody", i)
				}
			}
			visit()
		})
	}
}
