package door

import (
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// How often a partner's clients may read: each read is an act on record, so
// without a bound they could fill the record of a node that is not theirs. What
// is left grows to readsInARow, which is 2 million objects in pages of 1,000.
const (
	readsInARow  = 2000
	readsAMinute = 120
)

// pace counts what partners' clients may still read.
type pace struct {
	mu   sync.Mutex
	left map[noroshi.NodeID]allowance
}

type allowance struct {
	reads float64
	at    time.Time // when they were so many
}

// read takes one read of a partner's, if there is one left now.
func (p *pace) read(partner noroshi.NodeID, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, known := p.left[partner]
	if !known {
		a = allowance{readsInARow, now}
	}
	if passed := now.Sub(a.at); passed > 0 {
		a.reads, a.at = min(a.reads+passed.Minutes()*readsAMinute, readsInARow), now
	}
	may := a.reads >= 1
	if may {
		a.reads--
	}
	p.left[partner] = a
	return may
}
