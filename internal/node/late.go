package node

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// listenOn binds an address; where several processes of the node may have the
// same configuration, only when the first connection is waited for: then
// whoever leads has it.
func (n *Node) listenOn(ctx context.Context, addr string) (net.Listener, error) {
	var l net.Listener
	var err error
	if n.Store.Shared() && !strings.HasSuffix(addr, ":0") {
		l, err = newLate(addr)
	} else {
		l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	}
	if err != nil {
		return nil, noroshi.Errorf(noroshi.Invalid, "serve.listen", "listen on %s: %w", addr, err)
	}
	return l, nil
}

// late is a listener that binds at the first Accept, and waits there for an
// address that another process still has.
type late struct {
	addr *net.TCPAddr
	done chan struct{} // closed by Close

	mu   sync.Mutex
	l    net.Listener // nil until it is bound
	once sync.Once
}

func newLate(addr string) (*late, error) {
	a, err := net.ResolveTCPAddr("tcp", addr)
	return &late{addr: a, done: make(chan struct{})}, err
}

// Addr returns the address it will have.
func (x *late) Addr() net.Addr { return x.addr }

// Close ends it, bound or not.
func (x *late) Close() (err error) {
	x.once.Do(func() { close(x.done) })
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.l != nil {
		err = x.l.Close()
	}
	return err
}

// Accept waits for the address, and then for a connection.
func (x *late) Accept() (net.Conn, error) {
	l, err := x.bound()
	for ; errors.Is(err, syscall.EADDRINUSE); l, err = x.bound() {
		select {
		case <-x.done:
			return nil, net.ErrClosed
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err != nil {
		return nil, err
	}
	return l.Accept()
}

func (x *late) bound() (net.Listener, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	select {
	case <-x.done:
		return nil, net.ErrClosed
	default:
	}
	if x.l != nil {
		return x.l, nil
	}
	l, err := net.Listen("tcp", x.addr.String())
	if err == nil {
		x.l = l
	}
	return l, err
}
