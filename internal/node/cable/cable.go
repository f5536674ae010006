// Package cable is a wire on loopback that can be cut: what the demo and the
// stories of crashes lay between two nodes.
package cable

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"
)

// Cable is the wire between two nodes: it listens where a card points to and
// passes bytes on to where the partner really listens, until it is cut. Cut
// and Mend take turns; Drop may come at any moment.
type Cable struct {
	from, to string // addresses on loopback

	mu    sync.Mutex // guards what follows
	l     net.Listener
	conns map[net.Conn]bool
	rate  int // bytes a second each way of a connection, 0 = as they come
	delay time.Duration
	group sync.WaitGroup
}

// Lay lays a cable to an address and plugs it in.
func Lay(ctx context.Context, to string) (*Cable, error) {
	l, err := Listen(ctx)
	if err != nil {
		return nil, err
	}
	c := &Cable{from: l.Addr().String(), to: to, conns: map[net.Conn]bool{}}
	c.serve(l)
	return c, nil
}

// Listen listens on a port of loopback below those that systems give to whoever
// asks for any: while nobody listens there, nobody is given it, for a process has
// blocks of them to itself.
func Listen(ctx context.Context) (l net.Listener, err error) {
	ports.Lock()
	defer ports.Unlock()
	for range 1000 {
		if ports.next == ports.end {
			first := 20_000 + rand.IntN(60)*portBlock
			if l, err = listen(ctx, first); err != nil {
				continue // another's
			}
			ports.held = append(ports.held, l)
			ports.next, ports.end = first+1, first+portBlock
		}
		ports.next++
		if l, err = listen(ctx, ports.next-1); err == nil {
			return l, nil
		}
	}
	return nil, err
}

func listen(ctx context.Context, port int) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
}

const portBlock = 200

// ports are what is left of this process's newest block. A block is its own while it
// listens on the first port of it: as long as it runs.
var ports struct {
	sync.Mutex
	held      []net.Listener
	next, end int
}

// Shape makes the connections that come carry at most rate bytes a second each
// way, each bunch of them a while later.
func (c *Cable) Shape(rate int, delay time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rate, c.delay = rate, delay
}

// From is the address that stands on the card.
func (c *Cable) From() string { return c.from }

// Drop ends every connection, in the middle of whatever it carries; the next
// is welcome.
func (c *Cable) Drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		conn.Close()
	}
}

// Cut ends every connection and refuses new ones.
func (c *Cable) Cut() {
	c.mu.Lock()
	if c.l != nil {
		syscall.ForkLock.RLock() // a process that is being started has the socket too until it is itself
		c.l.Close()
		syscall.ForkLock.RUnlock()
		c.l = nil
	}
	for conn := range c.conns {
		conn.Close()
	}
	c.mu.Unlock()
	c.group.Wait()
}

// Mend plugs the cable in again.
func (c *Cable) Mend(ctx context.Context) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.from)
	if err != nil {
		return err
	}
	c.serve(l)
	return nil
}

func (c *Cable) serve(l net.Listener) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.l = l
	c.group.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.group.Go(func() { c.pass(conn) })
		}
	})
}

// pass carries one connection both ways until either end closes.
func (c *Cable) pass(a net.Conn) {
	b, err := net.Dial("tcp", c.to)
	if err != nil {
		a.Close()
		return
	}
	if !c.hold(a, b) {
		return
	}
	c.mu.Lock()
	rate, delay := c.rate, c.delay
	c.mu.Unlock()
	var both sync.WaitGroup
	for _, pair := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			flow(pair[0], pair[1], rate, delay)
			a.Close()
			b.Close()
		})
	}
	both.Wait()
	c.mu.Lock()
	delete(c.conns, a)
	delete(c.conns, b)
	c.mu.Unlock()
}

// flow carries one way of a connection until either end closes.
func flow(to, from net.Conn, rate int, delay time.Duration) {
	if rate == 0 {
		_, _ = io.Copy(to, from)
		return
	}
	for bunch := make([]byte, 16<<10); ; {
		n, err := from.Read(bunch)
		time.Sleep(delay + time.Duration(n)*time.Second/time.Duration(rate))
		if _, failed := to.Write(bunch[:n]); err != nil || failed != nil {
			return
		}
	}
}

// hold remembers a pair of connections so that Cut can end them; false when
// the cable was cut meanwhile.
func (c *Cable) hold(a, b net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.l == nil {
		a.Close()
		b.Close()
		return false
	}
	c.conns[a], c.conns[b] = true, true
	return true
}
