package mail

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/emersion/go-smtp"
	"github.com/noroshi-cti/noroshi"
)

// addresses are what is known of each address letters go to. They stand on cards
// that persons took, so there are few.
type addresses struct {
	mu   sync.Mutex // guards list
	list map[string]*address
}

// address is one: what is slow or small at it is so for nobody else.
type address struct {
	name  string
	max   atomic.Int64 // bytes of a letter: MaxLetter, or less as gateways have told
	said  chan struct{}
	bulk  chan struct{}
	flash chan struct{}
}

// of returns an address.
func (a *addresses) of(name string, max int) *address {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.list == nil {
		a.list = map[string]*address{}
	}
	x := a.list[name]
	if x == nil {
		x = &address{name: name, said: make(chan struct{}, 1), bulk: make(chan struct{}, bulkLanes), flash: make(chan struct{}, flashLanes)}
		x.max.Store(int64(max))
		a.list[name] = x
	}
	return x
}

// lane is where an envelope of a precedence, 0 of a statement, waits for its turn.
func (x *address) lane(p noroshi.Precedence) chan struct{} {
	switch {
	case p == 0:
		return x.said
	case p >= noroshi.Flash:
		return x.flash
	}
	return x.bulk
}

// tooLarge reports whether a gateway says that a letter is larger than it, or one
// behind it, takes: 5.3.4 and 5.2.3 (RFC 3463), or 552 without more (RFC 1870 §6.1),
// which with 5.2.2 is a mailbox that is full.
func tooLarge(reply *smtp.SMTPError) bool {
	switch reply.EnhancedCode {
	case smtp.EnhancedCode{5, 3, 4}, smtp.EnhancedCode{5, 2, 3}:
		return true
	}
	return reply.Code == 552 && reply.EnhancedCode == smtp.EnhancedCode{}
}

// learn takes it from a gateway that a letter is too large: the next to the address
// is smaller. nil = it does not say so.
func (m *Mail) learn(x *address, err error, size int) error {
	var reply *smtp.SMTPError
	if !errors.As(err, &reply) || !tooLarge(reply) || size/2 < LeastMax {
		return nil
	}
	if m.o.MAC == nil {
		return noroshi.Errorf(noroshi.Invalid, "mail.too-large", "an envelope of %d bytes: mail takes 1 to %d", size, bodyOf(size/2))
	}
	x.max.Store(min(x.max.Load(), int64(size/2)))
	return noroshi.Errorf(noroshi.Busy, "mail.deferred", "gateway %s asks to come again later: %s", m.o.Relay.Address, said(reply))
}
