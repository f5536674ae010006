package https

import (
	"net"
	"sync"
)

// crowd is the connections of those who did not show a partner's key, or not
// yet. Who comes when there are too many makes room: of those who have said
// nothing, through TLS or not, the one who came first goes. So whoever opens
// connections and is silent, or slow, takes no partner's place, and a partner
// needs only to be faster than as many strangers. Who has sent a request stays.
type crowd struct {
	mu       sync.Mutex
	guests   map[net.Conn]*guest
	came     uint64 // how many ever did
	speaking int    // guests who have sent a request
}

type guest struct {
	nth   uint64
	spoke bool
}

// come counts a connection from the moment it is accepted.
func (c *crowd) come(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.guests == nil {
		c.guests = map[net.Conn]*guest{}
	}
	c.came++
	c.guests[conn] = &guest{nth: c.came}
	if len(c.guests) <= maxGuests {
		return
	}
	first := conn
	for other, g := range c.guests {
		if !g.spoke && g.nth < c.guests[first].nth {
			first = other
		}
	}
	if first != conn { // who just came may be a partner: TLS will tell
		c.drop(first)
		first.Close()
	}
}

// speak notes a request, and reports whether there is room for one who speaks.
func (c *crowd) speak(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, here := c.guests[conn]
	if !here || g.spoke {
		return true // a partner, or known to have spoken
	}
	if c.speaking == maxOthers {
		return false
	}
	g.spoke = true
	c.speaking++
	return true
}

// leave takes a connection out: it is a partner's, or it is closed.
func (c *crowd) leave(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(conn)
}

func (c *crowd) drop(conn net.Conn) {
	if g, here := c.guests[conn]; here && g.spoke {
		c.speaking--
	}
	delete(c.guests, conn)
}
