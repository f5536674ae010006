package node_test

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi/internal/node"
)

// TestBounded: beyond the bound a connection is served once another one is
// closed, and a listener that is closed lets go of who waits.
func TestBounded(t *testing.T) {
	t.Parallel()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := node.Bounded(inner, 1)
	accepted := make(chan net.Conn)
	ended := make(chan error, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				ended <- err
				return
			}
			accepted <- c
		}
	}()
	var first net.Conn
	for range 2 {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	first = <-accepted
	select {
	case <-accepted:
		t.Fatal("a second connection is served beside the first")
	default:
	}
	if err := errors.Join(first.Close(), first.Close()); err == nil {
		t.Error("a connection is closed twice")
	}
	second := <-accepted
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("a closed listener: %v", err)
	}
	second.Close()
}

// TestOneAddressCannotTakeAll: who holds as many connections as one address may
// gets no more, and another address is served; a place that is left is free again.
func TestOneAddressCannotTakeAll(t *testing.T) {
	t.Parallel()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := node.BoundedEach(inner, 4, 2)
	t.Cleanup(func() { l.Close() })
	accepted := make(chan net.Conn, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func(from string) net.Conn {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	dial("127.0.0.1")
	dial("127.0.0.1")
	first := <-accepted
	defer (<-accepted).Close()
	for range 6 { // more than there are places
		if n, err := dial("127.0.0.1").Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("one address has more connections than it may")
		}
	}
	dial("127.0.0.2")
	other := <-accepted
	defer other.Close()
	if host, _, _ := net.SplitHostPort(other.RemoteAddr().String()); host != "127.0.0.2" {
		t.Errorf("served %s, want the other address", host)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	dial("127.0.0.1")
	(<-accepted).Close()
}

// TestNeighbours: what counts as one network.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"192.0.2.7:443":              "192.0.2.7",
		"[::ffff:192.0.2.7]:443":     "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:443": "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff::1]:9":   "2001:db8:1:2::/64",
		"[fe80::1%eth0]:9":           "fe80::/64",
		"127.0.0.1:9":                "",
		"[::1]:9":                    "",
		"[::ffff:127.0.0.1]:9":       "",
	} {
		a, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := node.Neighbours(a); got != want {
			t.Errorf("%s counts as %q, want %q", addr, got, want)
		}
	}
}
