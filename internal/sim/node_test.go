package sim_test

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// node is one side: a disk, and while it is up a life.
type node struct {
	*party
	w    *world
	i    int
	skew time.Duration // of its clock
	disk *disk
	live atomic.Pointer[life] // nil while it is down; changed by the world's own goroutine alone

	known  known
	fuse   atomic.Int64 // steps until it is killed; 0 = it is not
	lives  int
	warned int                // with FLASH
	found  bool               // that it was
	back   bool               // put back at any time
	former []*message.Keyring // forgotten when it was put back with the keys of a backup
	forgot bool               // it had signed with others than those
	unseen bool               // put back unseen: what was recalled since may be in use until a partner has said so
}

// known is what the checks remember of a node; it goes back with the disk.
type known struct {
	acts  uint64            // of its ledger that were looked at
	seq   int64             // of its objects, likewise
	in    map[slot]standing // what came
	gone  map[stix.ID]bool  // objects out of use by a recall
	holds map[version]bool  // what a partner brought
	went  map[slot]bool     // what was handed to a channel
	blur  map[int]uint64    // before which act it has what a partner countersigned of a record that is no more
}

func (k known) clone() known {
	k.in, k.gone, k.holds, k.went, k.blur = maps.Clone(k.in), maps.Clone(k.gone), maps.Clone(k.holds), maps.Clone(k.went), maps.Clone(k.blur)
	return k
}

// life is a node from a start to its end.
type life struct {
	n    *node
	disk *disk
	dead atomic.Bool // killed: nothing it does from here on is seen or kept
	left image       // of its disk when it was killed

	store   *store.Store
	gate    *intake.Gate
	desk    *release.Desk
	courier *courier.Courier
	office  *partner.Office
	ends    []*end
	stop    context.CancelFunc
	ctx     context.Context
	tasks   sync.WaitGroup
	acts    uint64 // on the record when the checks looked last
}

func (n *node) now() time.Time { return n.w.now().Add(n.skew) }

// heartbeat is that of every node: what a seed costs is what is said in it.
const heartbeat = 30 * time.Second

// step is a moment at which a node may be killed.
func (l *life) step(where string) {
	if l.n.fuse.Load() > 0 && l.n.fuse.Add(-1) == 0 {
		l.n.w.note("%s is killed %s", l.n.sign, where)
		l.n.w.tally("killed", 1)
		l.kill()
	}
}

// kill ends a life as a power cut does: its disk is what it is now. What still
// runs of it finds every door shut; the world sweeps it up.
func (l *life) kill() {
	if l.dead.Swap(true) {
		return
	}
	l.left = l.disk.image()
	l.stop()
}

// clock is the clock of a life; acts read it before they commit.
func (l *life) clock() time.Time {
	l.step("at work")
	return l.n.now()
}

// start opens the store of a node that is down, wires what stands on it as node
// does, and runs it.
func (n *node) start(then func(*life) error) {
	l := &life{n: n, disk: n.disk}
	l.ctx, l.stop = context.WithCancel(context.Background())
	if n.lives++; n.lives > 1 && n.w.bug == repeating {
		n.w.again()
	}
	if err := l.open(then); err != nil {
		n.w.failf("%s does not start: %v", n.sign, err)
		l.stop()
		return
	}
	n.live.Store(l)
	l.tasks.Go(func() {
		if err := l.courier.Run(l.ctx); err != nil && !l.dead.Load() {
			n.w.failf("%s: courier: %v", n.sign, err)
		}
	})
	l.tasks.Go(func() {
		if err := l.office.Resend(l.ctx); err != nil && l.ctx.Err() == nil {
			n.w.failf("%s: papers: %v", n.sign, err)
		}
	})
	l.tasks.Go(l.decide)
}

func (l *life) open(then func(*life) error) (err error) {
	n, d := l.n, l.disk
	public, sign := d.keys.Control()
	if l.store, err = store.Open(l.ctx, d.path(), store.Options{Realm: n.w.mould.realm, Node: n.id(), Sign: sign, Key: public, Now: l.clock}); err != nil {
		return err
	}
	if err := l.settleKeys(); err != nil {
		return err
	}
	l.gate = intake.New(l.store, intake.Options{Realm: n.w.mould.realm, Node: n.id(), Self: n.organisation(), Now: n.now})
	if l.desk, err = release.New(l.store, release.Options{Realm: n.w.mould.realm, Node: n.id(), Self: n.organisation(), Now: n.now}); err != nil {
		return err
	}
	if then != nil {
		if err := then(l); err != nil {
			return err
		}
	}
	var channels []courier.Channel
	for _, w := range n.w.ways {
		e := &end{life: l, way: w}
		l.ends, channels = append(l.ends, e), append(channels, e)
	}
	l.courier, err = courier.New(l.store, l.gate, l.desk, courier.Options{Realm: n.w.mould.realm, Node: n.id(), Keys: d.keys, Channels: channels, Now: l.clock, Vault: vault{l}, Heartbeat: heartbeat})
	if err != nil {
		return err
	}
	if n.w.bug != unread {
		if _, err := l.courier.RepeatRecalls(l.ctx); err != nil {
			return err
		}
	}
	l.office = partner.New(l.store, l.courier, partner.Options{Realm: n.w.mould.realm, Self: n.organisation(), Keys: d.keys, Now: n.now, Custody: custody{l}, Logs: l.courier})
	l.courier.OnDocument(l.office.Document)
	return nil
}

// settleKeys finishes or forgets a change of keys that a crash came into, as node
// does.
func (l *life) settleKeys() error {
	d := l.disk
	if d.turned == nil {
		return nil
	}
	doc, err := l.store.Doc(l.ctx, noroshi.DocKeyset, l.n.id().String())
	if err != nil {
		return err
	}
	turned := d.turned
	if d.turned = nil; string(doc) == string(turned.Keyset().Bytes()) {
		return d.keys.Adopt(turned)
	}
	return nil
}

// decide follows the feed with the desk and the courier's recalls. Where the feed
// ends is asked before each look: what comes meanwhile is not waited past.
func (l *life) decide() {
	for l.ctx.Err() == nil {
		after, err := l.store.Head(l.ctx)
		more := false
		if err == nil {
			more, err = l.desk.Step(l.ctx)
		}
		if err == nil && !more {
			more, err = l.courier.Step(l.ctx)
		}
		if err != nil && l.ctx.Err() == nil {
			l.n.w.failf("%s: desk: %v", l.n.sign, err)
			return
		}
		if !more {
			_ = l.store.Wait(l.ctx, after)
			wait(l.ctx, 50*time.Millisecond) // more may come with it
		}
	}
}

// sweep ends what is left of a killed life, and puts its disk in place.
func (n *node) sweep() {
	l := n.live.Load()
	l.tasks.Wait()
	_ = l.store.Close()
	l.disk.remove()
	n.live.Store(nil)
	if x := n.w.last[n.i]; x.db != nil {
		l.left.wal = x.wal
	}
	n.disk = newDisk(n.w.mould.realm, l.left)
	n.fuse.Store(0)
}

// end stops a node in order.
func (n *node) end() {
	l := n.live.Load()
	if l.dead.Load() {
		n.sweep()
		return
	}
	n.fuse.Store(0)
	l.stop()
	l.tasks.Wait()
	l.dead.Store(true)
	if err := l.store.Close(); err != nil {
		n.w.failf("%s does not close: %v", n.sign, err)
	}
	n.live.Store(nil)
}
