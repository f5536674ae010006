package courier

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi/internal/message"
)

// tryPause is how long what could not be applied waits until it is tried again.
const tryPause = time.Minute

// left is what is to be applied and could not be: messages that are held. Those that
// are stored Step has. It is guarded by the mu of the link.
type left struct {
	held map[arrival]message.In // never more than are held
	next time.Time              // when all is tried again; zero = when another agreement is in force
}

// take returns what is held, by epoch and sequence, and forgets it.
func (l *left) take() []message.In {
	list := slices.SortedFunc(maps.Values(l.held), func(a, b message.In) int {
		return cmp.Or(bytes.Compare(a.Epoch[:], b.Epoch[:]), cmp.Compare(a.Seq, b.Seq))
	})
	*l = left{held: map[arrival]message.In{}}
	return list
}

// due reports whether the time has come to try again.
func (l *left) due(now time.Time) bool { return !l.next.IsZero() && !now.Before(l.next) }

// keptOut reports whether, as far as the link knows, a kind of message is not taken:
// DATA while the agreement is suspended.
func (l *link) keptOut(k message.Kind) bool {
	return k == message.Data && l.view.Load().suspended()
}

// leave keeps in mind what is held, and is to be applied, and could not be.
func (l *link) leave(in message.In) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left.held[arrival{in.Epoch, in.Seq, in.ID}] = in
}

// unapplied has what was left tried again: in a while, but what waits for an agreement
// to be in force when one comes to be. It is called when that is left: an agreement
// that comes into force only then finds it.
func (l *link) unapplied(ctx context.Context, k message.Kind, err error) {
	now, v := l.c.o.Now(), l.view.Load()
	_, flows := v.inForce(now)
	switch {
	case err == errSuspended && l.keptOut(k):
		return
	case errors.Is(err, errNothing) && !flows:
		if a := v.agreement; a != nil && now.Before(a.From) {
			l.tryAt(a.From)
		}
		return
	case err != errSuspended && !errors.Is(err, errNothing):
		l.note(quiet(ctx, err))
	}
	l.tryLater()
}

// tryLater has resume come in a while.
func (l *link) tryLater() { l.tryAt(l.c.o.Now().Add(tryPause)) }

// tryAt has resume come at a time, unless it comes before.
func (l *link) tryAt(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left.next.IsZero() || at.Before(l.left.next) {
		l.left.next = at
	}
	signal(l.kick)
}

// tryAgain is resume when its time has come.
func (l *link) tryAgain() {
	l.mu.Lock()
	due := l.left.due(l.c.o.Now())
	if due {
		l.left.next = time.Time{}
	}
	l.mu.Unlock()
	if due {
		l.spawn(l.resume)
	}
}

// resume looks at all that waits to be applied: after a start, which may have come
// between a point and what waited for it, after another KEYSET, which may state others,
// when another agreement comes into force, and when something could not be applied before.
func (l *link) resume(ctx context.Context) {
	l.mu.Lock()
	held, left := l.side.Held(), l.left.take()
	l.mu.Unlock()
	l.step(message.Wake{})
	ks := l.view.Load().keys
	l.closed(ctx, slices.DeleteFunc(held, func(in message.In) bool { return ks.RevokedKey(in.Key) == nil }), left)
}
