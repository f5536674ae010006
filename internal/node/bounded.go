package node

import (
	"net"
	"net/netip"
	"sync"
)

// Bounds of how many connections to the console are open at a time: whoever can
// reach it can open them, and the node's other doors need room too. Beyond
// maxVisitors new ones wait; beyond maxFromOne those of one network are closed, so
// that it cannot keep everybody else out. A browser needs one, six over HTTP/1.1:
// an office behind one address has room.
const (
	maxVisitors = 2048
	maxFromOne  = 256
)

// bounded is a listener with at most most connections open at a time, and each of
// those for which from names the same network. From "" they are not counted.
func bounded(l net.Listener, most, each int, from func(net.Addr) string) net.Listener {
	return &boundedListener{Listener: l, places: make(chan struct{}, most), closed: make(chan struct{}), each: each, from: from, open: map[string]int{}}
}

// neighbours is the network that an address counts as: of IPv6 the /64 that one
// machine is given. This machine's own, where something may pass others on, is "".
func neighbours(a net.Addr) string {
	p, err := netip.ParseAddrPort(a.String())
	if err != nil || p.Addr().IsLoopback() {
		return ""
	}
	at := p.Addr().Unmap().WithZone("")
	if at.Is4() {
		return at.String()
	}
	return netip.PrefixFrom(at, 64).Masked().String()
}

type boundedListener struct {
	net.Listener
	places chan struct{}
	once   sync.Once
	closed chan struct{}
	each   int
	from   func(net.Addr) string

	mu   sync.Mutex
	open map[string]int // connections by network
}

func (l *boundedListener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.places
			return nil, err
		}
		network := l.from(c.RemoteAddr())
		if !l.enter(network) {
			_ = c.Close()
			continue
		}
		return &placedConn{Conn: c, leave: sync.OnceFunc(func() { l.leave(network); <-l.places })}, nil
	}
}

// enter counts a connection, unless its network has as many as it may.
func (l *boundedListener) enter(network string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if network != "" && l.open[network] >= l.each {
		return false
	}
	l.open[network]++
	return true
}

func (l *boundedListener) leave(network string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[network]--; l.open[network] == 0 {
		delete(l.open, network)
	}
}

func (l *boundedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type placedConn struct {
	net.Conn
	leave func()
}

func (c *placedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
