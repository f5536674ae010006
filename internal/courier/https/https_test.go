package https_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"errors"
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

// end is one node's end of the channel with a key of its own.
type end struct {
	id     noroshi.NodeID
	key    *ecdsa.PrivateKey
	sender *https.Sender
	addr   string

	mu    sync.Mutex
	got   [][]byte
	from  []noroshi.NodeID
	busy  bool
	peers map[noroshi.NodeID][][32]byte
}

func (e *end) partner() noroshi.Partner {
	return noroshi.Partner{Node: e.id, Endpoints: []string{"https://" + e.addr}}
}

func (e *end) knows(o *end) {
	pin, err := message.SPKIPin(o.key.Public())
	if err != nil {
		panic(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.peers[o.id] = [][32]byte{pin}
}

func (e *end) forgets(o *end) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.peers, o.id)
}

func newEnd(t *testing.T, n byte) *end {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	e := &end{id: noroshi.NodeID{n}, key: key, peers: map[noroshi.NodeID][][32]byte{}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e.addr = ln.Addr().String()
	var l *https.Listener
	e.sender, l, err = https.New(ln, https.Options{Key: key, Silence: patience, Peers: func() map[noroshi.NodeID][][32]byte {
		e.mu.Lock()
		defer e.mu.Unlock()
		c := map[noroshi.NodeID][][32]byte{}
		for id, pins := range e.peers {
			c[id] = pins
		}
		return c
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Serve(ctx, e.take) }()
	t.Cleanup(func() {
		e.sender.Close()
		stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return e
}

func (e *end) take(_ context.Context, channel string, from noroshi.NodeID, envelope []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.busy {
		return noroshi.Errorf(noroshi.Busy, "test.busy", "busy")
	}
	e.got, e.from = append(e.got, envelope), append(e.from, from)
	return noroshi.Errorf(noroshi.Broken, "test.secret", "what is wrong with it is told to nobody")
}

func TestPinnedBothWays(t *testing.T) {
	t.Parallel()
	a, b, c := newEnd(t, 1), newEnd(t, 2), newEnd(t, 3)
	a.knows(b)
	b.knows(a)
	c.knows(b) // b does not know c
	ctx := t.Context()
	big := bytes.Repeat([]byte{7}, 3<<20)
	for _, body := range [][]byte{[]byte("x"), big} {
		if err := a.sender.Ways(1)[0].Send(ctx, b.partner(), noroshi.Routine, body); err != nil {
			t.Fatalf("send %d bytes: %v", len(body), err)
		}
	}
	if len(b.got) != 2 || !bytes.Equal(b.got[1], big) || b.from[0] != a.id {
		t.Fatalf("b got %d envelopes from %v", len(b.got), b.from)
	}
	if err := c.sender.Ways(1)[0].Send(ctx, b.partner(), noroshi.Routine, []byte("x")); noroshi.KindOf(err) == noroshi.Other || err == nil || len(b.got) != 2 {
		t.Errorf("a stranger's envelope: error %v, b has %d", err, len(b.got))
	}
	wrong := b.partner()
	wrong.Endpoints = []string{"https://" + c.addr} // somebody else answers there
	if err := a.sender.Ways(1)[0].Send(ctx, wrong, noroshi.Routine, []byte("x")); noroshi.KindOf(err) != noroshi.Broken {
		t.Errorf("a listener with another key: got %v, want Broken", err)
	}
	b.forgets(a) // at once, also on a kept-alive connection
	if err := a.sender.Ways(1)[0].Send(ctx, b.partner(), noroshi.Routine, []byte("y")); err == nil || len(b.got) != 2 {
		t.Errorf("after the key was withdrawn: error %v, b has %d", err, len(b.got))
	}
}

func TestBusyAsksToComeAgain(t *testing.T) {
	t.Parallel()
	a, b := newEnd(t, 1), newEnd(t, 2)
	a.knows(b)
	b.knows(a)
	b.busy = true
	if err := a.sender.Ways(1)[0].Send(t.Context(), b.partner(), noroshi.Routine, []byte("x")); noroshi.KindOf(err) != noroshi.Busy {
		t.Errorf("got %v, want Busy", err)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	a := newEnd(t, 1)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := noroshi.Partner{Node: noroshi.NodeID{9}, Endpoints: []string{"https://" + ln.Addr().String()}}
	ln.Close()
	if err := a.sender.Ways(1)[0].Send(t.Context(), p, noroshi.Routine, []byte("x")); noroshi.KindOf(err) != noroshi.Queued {
		t.Errorf("refused connection: got %v, want Queued", err)
	}
	if err := a.sender.Ways(1)[0].Send(t.Context(), p, noroshi.Routine, []byte("x")); noroshi.KindOf(err) != noroshi.Busy {
		t.Errorf("right after a failure: got %v, want Busy", err)
	}
	if err := a.sender.Ways(1)[0].Send(t.Context(), noroshi.Partner{}, noroshi.Routine, []byte("x")); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("no endpoint: got %v, want NotFound", err)
	}
}

// wire passes bytes on until it is mute: then it swallows them, as a wire that
// is cut does.
type wire struct {
	ln    net.Listener
	to    string
	mute  atomic.Bool
	tasks sync.WaitGroup
}

func layWire(t *testing.T, to string) *wire {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{ln: ln, to: to}
	w.tasks.Go(func() {
		for {
			a, err := ln.Accept()
			if err != nil {
				return
			}
			w.tasks.Go(func() { w.pass(a) })
		}
	})
	return w
}

func (w *wire) pass(a net.Conn) {
	b, err := net.Dial("tcp", w.to)
	if err != nil {
		a.Close()
		return
	}
	for _, pair := range [][2]net.Conn{{a, b}, {b, a}} {
		w.tasks.Go(func() {
			defer pair[0].Close()
			defer pair[1].Close()
			buf := make([]byte, 4096)
			for {
				n, err := pair[0].Read(buf)
				if err != nil {
					return
				}
				if w.mute.Load() {
					continue
				}
				if _, err := pair[1].Write(buf[:n]); err != nil {
					return
				}
			}
		})
	}
}

// TestAMuteWire: what is on its way when a wire goes mute fails soon, not when
// its time is over, and a new connection is made when the wire is back.
func TestAMuteWire(t *testing.T) {
	t.Parallel()
	a, b := newEnd(t, 1), newEnd(t, 2)
	a.knows(b)
	b.knows(a)
	w := layWire(t, b.addr)
	peers := func() map[noroshi.NodeID][][32]byte { return a.peers }
	sender, listener, err := https.New(w.ln, https.Options{Key: a.key, Peers: peers, Silence: 4 * time.Second})
	if err != nil || listener == nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.ln.Close()
		sender.Close()
		w.tasks.Wait()
	})
	p := noroshi.Partner{Node: b.id, Endpoints: []string{"https://" + w.ln.Addr().String()}}
	if err := sender.Ways(1)[0].Send(t.Context(), p, noroshi.Routine, []byte("x")); err != nil {
		t.Fatal(err)
	}
	w.mute.Store(true)
	begun := time.Now()
	if err := sender.Ways(1)[0].Send(t.Context(), p, noroshi.Routine, []byte("x")); noroshi.KindOf(err) != noroshi.Queued {
		t.Errorf("over a mute wire: got %v, want Queued", err)
	}
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("it took %v to see that the wire is mute", took)
	}
	w.mute.Store(false)
	for err = errors.New("not sent"); err != nil; {
		if err = sender.Ways(1)[0].Send(t.Context(), p, noroshi.Routine, []byte("y")); err != nil && time.Since(begun) > 30*time.Second {
			t.Fatalf("the wire is back: %v", err)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// TestAnEndpointThatRefusesIsTriedSoon: a refusal costs nothing, so however
// often it came, the next try is not far.
func TestAnEndpointThatRefusesIsTriedSoon(t *testing.T) {
	t.Parallel()
	a := newEnd(t, 1)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := noroshi.Partner{Node: noroshi.NodeID{9}, Endpoints: []string{"https://" + ln.Addr().String()}}
	ln.Close()
	now := time.Now()
	sender, _, err := https.New(ln, https.Options{Key: a.key, Peers: func() map[noroshi.NodeID][][32]byte { return nil }, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if err := sender.Ways(1)[0].Send(t.Context(), p, noroshi.Routine, []byte("x")); noroshi.KindOf(err) != noroshi.Queued {
			t.Errorf("a quarter of a second after a refusal: got %v, want it tried", err)
		}
		now = now.Add(250 * time.Millisecond)
	}
}

// TestNothingElse is the route table: one path, one method, one size.
func TestNothingElse(t *testing.T) {
	t.Parallel()
	a, b := newEnd(t, 1), newEnd(t, 2)
	b.knows(a)
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, Certificates: []tls.Certificate{a.sender.Certificate()}, MinVersion: tls.VersionTLS13}}}
	defer client.CloseIdleConnections()
	for _, tc := range []struct {
		name, method, path string
		body               string
		want               int
	}{
		{"accepted", "POST", "/nx1", "x", 204},
		{"get", "GET", "/nx1", "", 404},
		{"put", "PUT", "/nx1", "x", 404},
		{"other path", "POST", "/", "x", 404},
		{"below", "POST", "/nx1/", "x", 404},
		{"case", "POST", "/NX1", "x", 404},
		{"query", "POST", "/nx1?a=b", "x", 404},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), tc.method, "https://"+b.addr+tc.path, strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != tc.want || resp.ContentLength > 0 {
				t.Errorf("got %s with %d bytes, want %d with none", resp.Status, resp.ContentLength, tc.want)
			}
		})
	}
	req, _ := http.NewRequestWithContext(t.Context(), "POST", "https://"+b.addr+"/nx1", bytes.NewReader(make([]byte, message.MaxEnvelope+1)))
	if resp, err := client.Do(req); err == nil {
		resp.Body.Close()
		if resp.StatusCode != 404 {
			t.Errorf("over the cap: got %s", resp.Status)
		}
	}
	if len(b.got) != 1 {
		t.Errorf("b took %d envelopes, want 1", len(b.got))
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	a, b := newEnd(t, 1), newEnd(t, 2)
	b.knows(a)
	conn, err := tls.Dial("tcp", b.addr, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12,
		Certificates: []tls.Certificate{a.sender.Certificate()}})
	if err == nil {
		conn.Close()
		t.Error("TLS 1.2 was accepted")
	}
}
