package crew

import (
	"crypto/ed25519"
	"fmt"
	"sync"

	"github.com/noroshi-cti/noroshi"
)

// Cast is who plays in many stories: a member of a node with some call sign is
// made once, and their key opened once, for a passphrase is slow to try by intent.
// It may be used by many at once; in a nil one everybody is made anew.
type Cast struct {
	mu      sync.Mutex // guards what follows
	persons map[string]noroshi.Person
	keys    map[string]ed25519.PrivateKey
}

// person makes a member.
func (c *Cast) person(sign noroshi.CallSign, m Member, pass []byte) (noroshi.Person, error) {
	if c == nil {
		return noroshi.NewPerson(m.ID, "", m.Roles, pass)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	who := fmt.Sprintf("%s %v %s", sign, m, pass)
	p, ok := c.persons[who]
	if ok {
		return p, nil
	}
	p, err := noroshi.NewPerson(m.ID, "", m.Roles, pass)
	if err == nil {
		if c.persons == nil {
			c.persons = map[string]noroshi.Person{}
		}
		c.persons[who] = p
	}
	return p, err
}

// key opens a person's key.
func (c *Cast) key(p noroshi.Person, pass []byte) (ed25519.PrivateKey, error) {
	if c == nil {
		return p.Unseal(pass)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	what := fmt.Sprintf("%s %x %s", p.ID, p.Sealed, pass)
	key, ok := c.keys[what]
	if ok {
		return key, nil
	}
	key, err := p.Unseal(pass)
	if err == nil {
		if c.keys == nil {
			c.keys = map[string]ed25519.PrivateKey{}
		}
		c.keys[what] = key
	}
	return key, err
}
