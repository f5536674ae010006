package node

import (
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// How long keys of fragments are used, and how soon they are asked for again when
// a fragment fits none: noise must not cost more than that.
const (
	fragmentKeysFor   = time.Minute
	fragmentKeysAgain = time.Second
)

// fragmentKeys are the keys of fragments for every partner a channel reaches.
type fragmentKeys struct {
	node     *Node
	endpoint string // a partner's, "" = whatever it has

	mu   sync.Mutex
	at   time.Time
	keys map[noroshi.NodeID][2]message.FragmentKeys // for what goes there, for what comes
}

// fresh asks for keys that are older than an age.
func (k *fragmentKeys) fresh(age time.Duration) bool {
	now := k.node.opts.Now()
	if d := now.Sub(k.at); k.keys != nil && d >= 0 && d < age { // unless the clock was put back
		return false
	}
	k.at, k.keys = now, map[noroshi.NodeID][2]message.FragmentKeys{}
	for _, p := range k.node.Courier.Reached(k.endpoint) {
		if out, in, err := k.node.Courier.FragmentKeys(p); err == nil {
			k.keys[p] = [2]message.FragmentKeys{out, in}
		}
	}
	return true
}

func (k *fragmentKeys) mac(to noroshi.NodeID, rest []byte) (tag [8]byte, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fresh(fragmentKeysFor)
	if _, known := k.keys[to]; !known {
		k.fresh(fragmentKeysAgain)
	}
	return k.keys[to][0].MAC(rest)
}

func (k *fragmentKeys) check(fragment []byte) (from noroshi.NodeID, ok bool) {
	if len(fragment) < 8 {
		return from, false
	}
	rest, tag := fragment[:len(fragment)-8], [8]byte(fragment[len(fragment)-8:])
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fresh(fragmentKeysFor)
	for again := true; again; again = k.fresh(fragmentKeysAgain) {
		for id, keys := range k.keys {
			if keys[1].Check(rest, tag) {
				return id, true
			}
		}
	}
	return from, false
}
