package mail_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier/mail"
)

// The two nodes of these tests.
var (
	usa = noroshi.Partner{Node: noroshi.NodeID{1}, Endpoints: []string{"mailto:noroshi@usa.example"}}
	jpn = noroshi.Partner{Node: noroshi.NodeID{2}, Endpoints: []string{"mailto:noroshi@jpn.example"}}
	kor = noroshi.Partner{Node: noroshi.NodeID{3}, Endpoints: []string{"mailto:noroshi@kor.example"}} // of whom nothing comes
)

func tag(b []byte) (mac [8]byte) {
	h := hmac.New(sha256.New, []byte("key of the test"))
	h.Write(b)
	copy(mac[:], h.Sum(nil))
	return mac
}

// inbox is one node's end: what its channel took over.
type inbox struct {
	*mail.Mail
	addr string

	mu   sync.Mutex
	got  [][]byte
	from []noroshi.NodeID
	busy int // so many are asked to come again
	more chan struct{}
	stop func() error
}

// end stops the channel before the test ends.
func (x *inbox) end(t *testing.T) {
	t.Helper()
	if err := x.stop(); err != nil {
		t.Errorf("the channel ends: %v", err)
	}
}

func (x *inbox) accept(_ context.Context, from noroshi.NodeID, envelope []byte) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.busy > 0 {
		x.busy--
		return noroshi.Errorf(noroshi.Busy, "test.busy", "busy")
	}
	if envelope[len(envelope)-1] == 'x' { // of another gate
		return noroshi.Errorf(noroshi.Refused, "test.gate", "no gate opens it")
	}
	x.got, x.from = append(x.got, bytes.Clone(envelope)), append(x.from, from)
	select {
	case x.more <- struct{}{}:
	default:
	}
	return nil
}

// hold has the next n asked to come again.
func (x *inbox) hold(n int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.busy = n
}

func (x *inbox) all() [][]byte {
	x.mu.Lock()
	defer x.mu.Unlock()
	return append([][]byte(nil), x.got...)
}

// until waits for something that comes with a letter, at most a minute.
func (x *inbox) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.NewTimer(time.Minute)
	defer end.Stop()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !ok() {
		select {
		case <-x.more:
		case <-look.C:
		case <-end.C:
			t.Fatalf("not in a minute: %s; %+v", what, x.Counts())
		}
	}
}

// open makes a node's channel and runs it until the test ends.
func open(t *testing.T, set func(*mail.Options)) *inbox {
	t.Helper()
	x := &inbox{more: make(chan struct{}, 1)}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x.addr = ln.Addr().String()
	o := mail.Options{From: "noroshi@jpn.example", Listener: ln, Relay: &mail.Relay{Address: x.addr, Security: mail.NoTLS},
		MAC: func(_ noroshi.NodeID, b []byte) ([8]byte, bool) { return tag(b), true },
		Check: func(b []byte) (noroshi.NodeID, bool) {
			m := tag(b[:len(b)-8])
			return usa.Node, bytes.Equal(m[:], b[len(b)-8:])
		},
		Accept: x.accept, Retry: 20 * time.Millisecond, Poll: 5 * time.Millisecond}
	if set != nil {
		set(&o)
	}
	if x.Mail, err = mail.New(o); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx) }()
	x.stop = sync.OnceValue(func() error { stop(); return errors.Join(<-done, x.Close()) })
	t.Cleanup(func() {
		x.end(t)
		if x.Memory() != mail.MaxMemory {
			t.Errorf("%d bytes of memory were not given back", mail.MaxMemory-x.Memory())
		}
	})
	return x
}

// envelope is sealed bytes of a size: random, of a type there is.
func envelope(size int) []byte {
	b := make([]byte, size)
	rand.Read(b)
	b[0], b[size-1] = 0x11, 'e'
	return b
}

func holds(list [][]byte, e []byte) bool {
	for _, b := range list {
		if bytes.Equal(b, e) {
			return true
		}
	}
	return false
}
