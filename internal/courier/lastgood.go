package courier

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// keyChain says of a message that its key is revoked, and that the last good point
// above it is not reached.
const keyChain = "key-chain"

// lastGood knows how far the epochs of a partner are whole that its revocations name
// a last good point of. However many keys name an epoch, and however often it is
// asked, each sequence of it is gone over once, and what lies behind a gap once more
// for each message that comes into it: what is bound does not change.
type lastGood struct {
	mu     sync.Mutex   // no lock of the link is taken under it
	keys   noroshi.Hash // of the KEYSET all this is of
	epochs map[message.Epoch]*stretch
}

// stretch is how far one epoch is whole, and which of its last good points lie there.
type stretch struct {
	next   uint64       // the first sequence that is not bound
	chain  noroshi.Hash // up to it
	points []goodPoint  // by sequence
	here   int          // points[:here] are reached
	told   int          // of them, what waited for points[:told] has been looked for
}

// goodPoint is a key's last good point of an epoch.
type goodPoint struct {
	key   [4]byte
	seq   uint64
	chain noroshi.Hash // as the partner states it
	good  bool         // it is reached, and the chain is that
}

// of returns the epochs that a KEYSET names; under mu.
func (g *lastGood) of(ks *message.Keyset, start func(message.Epoch) noroshi.Hash) map[message.Epoch]*stretch {
	if g.epochs != nil && g.keys == ks.Hash() {
		return g.epochs
	}
	g.keys, g.epochs = ks.Hash(), map[message.Epoch]*stretch{}
	for _, r := range ks.Revoked {
		named := map[message.Epoch]bool{}
		for _, p := range r.Last {
			if named[p.Epoch] { // twice: the first counts
				continue
			}
			if named[p.Epoch] = true; p.Seq == 0 {
				continue
			}
			if g.epochs[p.Epoch] == nil {
				g.epochs[p.Epoch] = &stretch{next: 1, chain: start(p.Epoch)}
			}
			x := g.epochs[p.Epoch]
			x.points = append(x.points, goodPoint{key: r.ID, seq: p.Seq, chain: p.Chain})
		}
	}
	for _, x := range g.epochs {
		slices.SortStableFunc(x.points, func(a, b goodPoint) int { return cmp.Compare(a.seq, b.seq) })
	}
	return g.epochs
}

// stretchOf returns what is known of an epoch, nil where no revocation names it;
// under the mu of lastGood.
func (l *link) stretchOf(e message.Epoch) *stretch {
	return l.lastGood.of(l.view.Load().keys, func(e message.Epoch) noroshi.Hash {
		return message.ChainStart(l.c.o.Realm, l.node(), l.c.o.Node, e)
	})[e]
}

func (x *stretch) top() uint64 { return x.points[len(x.points)-1].seq }

// good reports whether the last good point of a key is reached as stated.
func (x *stretch) good(key [4]byte) bool {
	i := slices.IndexFunc(x.points, func(p goodPoint) bool { return p.key == key })
	return i >= 0 && x.points[i].good
}

// bind goes on by one sequence, to the next point with it where that is one.
func (x *stretch) bind(id noroshi.Hash) {
	x.chain = message.ChainNext(x.chain, id)
	for ; x.here < len(x.points) && x.points[x.here].seq == x.next; x.here++ {
		x.points[x.here].good = x.points[x.here].chain == x.chain
	}
	x.next++
}

// along goes on over what is bound, up to the last point or the first gap; what is
// in a gap may be a message that is just coming, nil for none.
func (l *link) along(ctx context.Context, e message.Epoch, x *stretch, with *message.Message) error {
	type bound struct {
		seq  uint64
		id   noroshi.Hash
		tomb bool
	}
	for n := uint64(1); x.next <= x.top(); n = min(2*n, store.MaxPage) { // mostly the first is not there
		var list []bound
		err := l.c.s.InIDs(ctx, l.node(), e, x.next, min(x.top(), x.next+n-1), func(seq uint64, id noroshi.Hash, s store.InState) {
			list = append(list, bound{seq, id, s == store.Tombstoned})
		})
		if err != nil {
			return err
		}
		l.c.counts.Chained.Add(int64(len(list)))
		was := x.next
		for _, b := range list {
			if b.seq != x.next {
				break
			}
			if b.tomb {
				if b.id, err = tombID(ctx, l.c.s.Reads, l.node(), e, b.seq); err != nil {
					return err
				}
			}
			x.bind(b.id)
		}
		switch {
		case with != nil && with.Header.Seq == x.next:
			x.bind(with.ID())
			n = 1
		case x.next < was+n:
			return nil
		}
	}
	return nil
}

// doubtful says why a message signed with a revoked key waits; "" when it does
// not. One above the last good point is nobody's word. One below it waits until
// everything up to that point is here and the chain is the one stated: who stole
// the key can fill gaps too.
func (l *link) doubtful(m *message.Message) string {
	r := l.view.Load().keys.RevokedKey(m.KeyID)
	if r == nil {
		return ""
	}
	if g, ok := r.Good(m.Context.Epoch); !ok || m.Header.Seq > g.Seq {
		return keyRevoked
	}
	if !l.reached(m.Context.Epoch, m.KeyID, m) {
		return keyChain
	}
	return ""
}

// reached reports whether an epoch is whole up to the last good point of a key, and
// as stated, with a message of it that is just coming, nil for none.
func (l *link) reached(e message.Epoch, key [4]byte, with *message.Message) bool {
	ctx := context.Background()
	l.lastGood.mu.Lock()
	defer l.lastGood.mu.Unlock()
	x := l.stretchOf(e)
	if x == nil || x.good(key) {
		return x != nil
	}
	if l.along(ctx, e, x, nil) != nil { // what was gone over counts; the rest is tried again
		return false
	}
	if with == nil || with.Header.Seq != x.next {
		return x.good(key)
	}
	ahead := *x // it is not kept yet, and another may be
	ahead.points = slices.Clone(x.points)
	return l.along(ctx, e, &ahead, with) == nil && ahead.good(key)
}

// closed looks, after sequences were bound, whether that closes what a revocation
// left open: then what waited for it is applied. A TOMBSTONE binds sequences of
// other epochs too, and may itself be among what is applied. Each epoch is looked at
// once for all of them, and each message that is held once, when the point it waits
// for is reached; doubted are such messages that were kept just now, when it may
// have been reached already.
func (l *link) closed(ctx context.Context, bound, doubted []message.In) {
	var epochs []message.Epoch
	for len(bound)+len(epochs)+len(doubted) > 0 && ctx.Err() == nil {
		for _, in := range bound {
			if l.awaited(in) && !slices.Contains(epochs, in.Epoch) {
				epochs = append(epochs, in.Epoch)
			}
		}
		bound = nil
		switch {
		case len(doubted) > 0:
			in := doubted[0]
			if doubted = doubted[1:]; l.reached(in.Epoch, in.Key, nil) {
				bound = l.applyHeld(ctx, in)
			}
		case len(epochs) > 0:
			e := epochs[0]
			epochs, doubted = epochs[1:], l.freed(ctx, e)
		}
	}
}

// awaited reports whether what is bound may be what a last good point of its epoch
// waits for.
func (l *link) awaited(in message.In) bool {
	l.lastGood.mu.Lock()
	defer l.lastGood.mu.Unlock()
	x := l.stretchOf(in.Epoch)
	return x != nil && in.Seq <= x.top() && x.told < len(x.points)
}

// freed goes on in an epoch of which more is bound by now, and returns what is held
// there for the last good points that are reached since it was last looked at.
func (l *link) freed(ctx context.Context, e message.Epoch) []message.In {
	keys, broken, err := l.newlyReached(ctx, e)
	if err != nil {
		l.note(quiet(ctx, err))
		l.tryLater()
	}
	if broken > 0 {
		l.alarm(ctx, keyChain, broken)
	}
	if len(keys) == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(l.side.HeldIn(e), func(in message.In) bool { return !keys[in.Key] })
}

// newlyReached returns the keys whose last good point of an epoch is reached as
// stated since it last did so, and a point that is reached otherwise, 0 for none.
func (l *link) newlyReached(ctx context.Context, e message.Epoch) (keys map[[4]byte]bool, broken uint64, err error) {
	l.lastGood.mu.Lock()
	defer l.lastGood.mu.Unlock()
	x := l.stretchOf(e)
	if x == nil {
		return nil, 0, nil
	}
	err = l.along(ctx, e, x, nil)
	keys = map[[4]byte]bool{}
	for ; x.told < x.here; x.told++ {
		if p := x.points[x.told]; p.good {
			keys[p.key] = true
		} else {
			broken = p.seq
		}
	}
	return keys, broken, err
}
