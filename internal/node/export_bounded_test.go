package node

import "net"

// Bounded is a listener with so many connections open at a time.
func Bounded(l net.Listener, most int) net.Listener { return bounded(l, most, most, neighbours) }

// BoundedEach is Bounded with so many of each address, those of this machine
// included.
func BoundedEach(l net.Listener, most, each int) net.Listener {
	return bounded(l, most, each, func(a net.Addr) string {
		host, _, _ := net.SplitHostPort(a.String())
		return host
	})
}

// Neighbours is the network that an address counts as.
var Neighbours = neighbours
