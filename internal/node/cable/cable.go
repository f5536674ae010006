// Package cable is a wire on loopback that can be cut: what the demo and the
// stories of crashes lay between two nodes.
package cable

import (
	"context"
	"io"
	"net"
	"sync"
)

// Cable is the wire between two nodes: it listens where a card points to and
// passes bytes on to where the partner really listens, until it is cut. Cut
// and Mend take turns; Drop may come at any moment.
type Cable struct {
	from, to string // addresses on loopback

	mu    sync.Mutex // guards what follows
	l     net.Listener
	conns map[net.Conn]bool
	group sync.WaitGroup
}

// Lay lays a cable to an address and plugs it in.
func Lay(ctx context.Context, to string) (*Cable, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &Cable{from: l.Addr().String(), to: to, conns: map[net.Conn]bool{}}
	c.serve(l)
	return c, nil
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
		c.l.Close()
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
	var both sync.WaitGroup
	for _, pair := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			_, _ = io.Copy(pair[0], pair[1])
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
