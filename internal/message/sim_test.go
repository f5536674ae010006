package message_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/tier"
)

type key struct {
	epoch message.Epoch
	seq   uint64
}

// world is two nodes, a network that loses, doubles, delays and reorders, and
// a checker that knows everything. One seed decides all of it.
type world struct {
	rng      *rand.Rand
	flaw     flaw
	restores bool
	now      time.Time
	ways     []*simWay
	seen     simSeen
	nodes    [2]*simNode
	net      []packet
	old      []packet // delivered, may come again much later
	backups  [2][]disk
	restored int
	epochs   []message.Epoch
	made     uint64

	deps       map[noroshi.Hash][]uint64
	tombs      map[noroshi.Hash][]message.In
	from       map[noroshi.Hash]int
	volatile   [2]map[message.Epoch][]message.Out
	binding    [2]map[key]noroshi.Hash
	everStored [2]map[key]bool
	lives      [2]map[message.Epoch]map[key]message.Standing // of each life of a node: the best it ever held
	closed     [2]map[key]bool                               // what a tombstone closed before it came: dealt with, whatever comes after
	fault      string

	recalls, dones map[noroshi.Hash]noroshi.Hash // a RECALL or its answer, by the message it is about
	data           map[noroshi.Hash]bool         // messages that can be recalled
	order          []noroshi.Hash                // them, as they were made
	takenBack      [2]map[noroshi.Hash]bool      // a RECALL of it was applied here, in whatever life
}

type packet struct {
	to *simNode
	ev message.Event
	at time.Time // not before
}

func newWorld(seed uint64, f flaw) *world {
	w := &world{rng: newRand(seed), flaw: f, restores: seed%3 == 0, now: time.Unix(1_800_000_000, 0),
		deps: map[noroshi.Hash][]uint64{}, tombs: map[noroshi.Hash][]message.In{}, from: map[noroshi.Hash]int{},
		recalls: map[noroshi.Hash]noroshi.Hash{}, dones: map[noroshi.Hash]noroshi.Hash{}, data: map[noroshi.Hash]bool{}}
	w.ways = newWays(w.rng)
	for i := range w.nodes {
		n := &simNode{w: w, i: i, id: noroshi.NodeID{byte(i + 1)}}
		n.d = disk{log: map[message.Epoch][]message.Out{}, rows: map[message.Epoch]map[uint64]message.In{}, effects: map[noroshi.Hash]int{},
			gone: map[noroshi.Hash]bool{}, told: map[noroshi.Hash]bool{}, answers: map[noroshi.Hash]bool{}}
		n.list, n.goneList, w.takenBack[i] = map[noroshi.Hash]bool{}, map[noroshi.Hash]bool{}, map[noroshi.Hash]bool{}
		w.nodes[i] = n
		w.volatile[i], w.binding[i], w.everStored[i] = map[message.Epoch][]message.Out{}, map[key]noroshi.Hash{}, map[key]bool{}
		w.lives[i] = map[message.Epoch]map[key]message.Standing{}
		w.closed[i] = map[key]bool{}
	}
	for _, n := range w.nodes {
		n.open(message.Open{})
		n.rebuild()
		w.backups[n.i] = append(w.backups[n.i], n.d.clone())
	}
	return w
}

func (w *world) rules(n *simNode) message.Rules { return simRules(n) }

func (w *world) epoch() message.Epoch {
	e := message.Epoch{byte(len(w.epochs) + 1)}
	binary.BigEndian.PutUint64(e[8:], w.rng.Uint64())
	w.epochs = append(w.epochs, e)
	return e
}

func (w *world) failf(format string, a ...any) {
	if w.fault == "" {
		w.fault = fmt.Sprintf(format, a...)
	}
}

func (w *world) release(n *simNode, o message.Out, tombs []message.In) {
	w.from[o.ID] = n.i
	if len(tombs) > 0 {
		w.tombs[o.ID] = tombs
	}
}

// lived starts the record of a new life with what it takes over.
func (w *world) lived(n *simNode) {
	e := n.d.mine[len(n.d.mine)-1].Epoch
	rec := map[key]message.Standing{}
	for ep, rows := range n.d.rows {
		for s, m := range rows {
			rec[key{ep, s}] = m.Standing
		}
	}
	w.lives[n.i][e] = rec
}

func (w *world) bound(n *simNode, m message.In) {
	k := key{m.Epoch, m.Seq}
	if id, ok := w.binding[n.i][k]; ok && id != m.ID {
		w.failf("I4: node %d binds sequence %d twice", n.i, m.Seq)
	}
	w.binding[n.i][k] = m.ID
	w.everStored[n.i][k] = true
	rec := w.lives[n.i][n.d.mine[len(n.d.mine)-1].Epoch]
	rec[k] = max(rec[k], m.Standing)
	if m.Standing == message.Entombed {
		w.closed[n.i][k] = true
	}
}

// applied checks I1 and I2 at the moment of the effect, and that deps were met.
func (w *world) applied(n *simNode, m message.In) {
	if c := n.d.effects[m.ID]; c > 1 && w.flaw != effectApart {
		w.failf("I1: node %d has %d effects of one message", n.i, c)
	}
	if from, ok := w.from[m.ID]; !ok || from == n.i {
		w.failf("I2: node %d applied what nobody released to it", n.i)
	}
	for _, d := range m.Deps {
		if s := n.d.rows[m.Epoch][d].Standing; s != message.Applied && s != message.Entombed {
			w.failf("node %d applied %d before %d, which it needs", n.i, m.Seq, d)
		}
	}
}

// checkReceipt is I3: what A believes was durable in the life that said so.
func (w *world) checkReceipt(n *simNode, r message.Receipt) {
	if n.toldLast == nil {
		return
	}
	rec := w.lives[1-n.i][n.toldLast.Epoch]
	check := func(list []message.Range, least message.Standing) {
		for _, x := range list {
			for s := x.A; s <= x.B; s++ {
				if got := rec[key{r.Epoch, s}]; got == message.Absent || got == message.Stored && least == message.Applied && !w.closed[1-n.i][key{r.Epoch, s}] {
					w.failf("I3: node %d believes %d is %d there; in that life it was %d", n.i, s, least, got)
				}
			}
		}
	}
	check(r.Stored, message.Stored)
	check(r.Applied, message.Applied)
}

func (w *world) alarmed(n *simNode, a message.Alarm) {
	switch a.Code {
	case message.AlarmSecondID, message.AlarmChain:
		w.failf("node %d raises %s at %d", n.i, a.Code, a.Seq)
	case message.AlarmNoPath:
		w.seen.noPath++
		if !n.pathless() {
			w.failf("node %d has a path for everything and says it has not", n.i)
		}
	default:
		if w.restored == 0 {
			w.failf("node %d raises %s without cause", n.i, a.Code)
		}
	}
}

// check holds after every step.
func (w *world) check() {
	for _, n := range w.nodes {
		for _, c := range n.d.effects {
			if c > 1 {
				w.failf("I1: node %d has %d effects of one message", n.i, c)
			}
		}
		for x := range w.takenBack[n.i] {
			if n.d.effects[x] > 0 && !n.d.gone[x] {
				w.failf("I9: node %d has in use what was recalled", n.i)
			}
		}
	}
}

// sealed is the other half of I9: nothing recalled is sealed any more.
func (w *world) sealed(n *simNode, id noroshi.Hash) {
	if n.list[id] {
		w.failf("I9: node %d seals what it recalled", n.i)
	}
}

func (w *world) act() {
	n := w.nodes[w.rng.IntN(2)]
	switch r := w.rng.IntN(100); {
	case r < 45:
		n.run()
	case r < 72:
		w.deliver(w.rng.IntN(100) < 20, w.rng.IntN(100) < 15)
	case r < 84:
		w.pass(time.Duration(w.rng.IntN(900)) * time.Millisecond)
	case r < 91:
		w.releaseAt(n)
	case r < 92:
		w.recallAt(n)
	case r < 95 && len(w.old) > 0: // a copy from long ago
		w.net = append(w.net, w.old[w.rng.IntN(len(w.old))])
	case r < 97:
		n.rebuild()
	case r < 98 && w.restores:
		w.backups[n.i] = append(w.backups[n.i], n.d.clone())
	case r < 99 && w.restores && w.restored < 2:
		w.restore(n)
	case w.rng.IntN(3) == 0:
		n.step(message.Up{Channel: w.ways[w.rng.IntN(len(w.ways))].name, Up: w.rng.IntN(3) > 0, Why: "by itself"})
	default:
		w.ways[w.rng.IntN(len(w.ways))].change(w.rng)
	}
}

// restore puts a node back to a backup: half of the time by the command, which
// opens a new epoch, else unseen, as a copied image would be, which the partner
// has to find. Unseen it can be found only when nothing of the lost tail is
// still under way: that is why the command exists.
func (w *world) restore(n *simNode) {
	w.restored++
	n.d = w.backups[n.i][w.rng.IntN(len(w.backups[n.i]))].clone()
	n.todo, n.saying = nil, nil
	n.repeat()
	// With both sides back before a message nobody remembers its binding.
	w.binding[n.i] = map[key]noroshi.Hash{}
	for e, rows := range n.d.rows {
		for s, m := range rows {
			w.binding[n.i][key{e, s}] = m.ID
		}
	}
	if w.restored > 1 || w.rng.IntN(2) == 0 {
		n.open(message.Open{Parents: slices.Clone(n.d.mine), Reason: message.Restored})
	} else {
		for p := n.peer(); p.busy(); { // also in the partner's memory
			p.run()
		}
		w.restores = false // two nodes put back unseen are outside the promise
		fromHere := func(p packet) bool { return p.to != n }
		w.net, w.old = slices.DeleteFunc(w.net, fromHere), slices.DeleteFunc(w.old, fromHere)
	}
	n.rebuild()
}

func (w *world) releaseAt(n *simNode) {
	if !n.side.Status().Confirmed && w.flaw != commitUnheard || n.side.Status().Opening {
		return
	}
	ttl := uint32(0)
	if w.rng.IntN(8) == 0 {
		ttl = 2
	}
	n.flush()
	id := n.write(noroshi.Precedence(1+w.rng.IntN(4)), ttl, nil, simLabels[w.rng.IntN(len(simLabels))])
	w.data[id] = true
	w.order = append(w.order, id)
}

// recallAt recalls any message of the node's log, sent or not; no link is
// needed for it.
func (w *world) recallAt(n *simNode) {
	if w.flaw == logAfterSend {
		return // has no log to recall from
	}
	e := n.d.mine[len(n.d.mine)-1].Epoch
	if log := n.d.log[e]; len(log) > 0 {
		if o := log[w.rng.IntN(len(log))]; w.data[o.ID] && !o.Closed {
			n.recall(e, o.Seq)
		}
	}
}

func (n *simNode) busy() bool { return len(n.todo)+len(n.saying) > 0 }

// run does the next small step of one of the two queues.
func (n *simNode) run() {
	queue := &n.todo
	if len(n.todo) == 0 || len(n.saying) > 0 && n.w.rng.IntN(2) == 0 {
		queue = &n.saying
	}
	if len(*queue) > 0 {
		f := (*queue)[0]
		*queue = (*queue)[1:]
		f()
	}
}

func (w *world) deliver(drop, keep bool) {
	if len(w.net) == 0 {
		return
	}
	i := w.rng.IntN(len(w.net))
	p := w.net[i]
	if p.at.After(w.now) {
		return
	}
	if !keep {
		w.net = slices.Delete(w.net, i, i+1)
	}
	if drop {
		return
	}
	if len(w.old) < 64 {
		w.old = append(w.old, p)
	}
	p.to.step(w.flawed(p))
}

// deliverAll delivers what has been on its way long enough.
func (w *world) deliverAll() {
	for w.fault == "" && slices.ContainsFunc(w.net, func(p packet) bool { return !p.at.After(w.now) }) {
		w.deliver(false, false)
	}
}

// flawed is the flaws of a driver that reads statements wrongly.
func (w *world) flawed(p packet) message.Event {
	t, ok := p.ev.(message.Told)
	if !ok {
		return p.ev
	}
	switch n := p.to; w.flaw {
	case noEpoch:
		if live := n.side.Status().Live; live != (message.Epoch{}) && t.Epoch != live {
			t.Epoch, t.Counter = live, t.Counter+1000
		}
	case firstSeenNewest:
		t.State.Out.Parents = nil
		if live := n.side.Status().Live; live != (message.Epoch{}) && live != t.Epoch {
			t.State.Out.Parents = []message.Epoch{live}
		}
	case blindToRollback:
		t.State.Cited = message.Citation{}
		heads := map[message.Epoch]uint64{}
		for _, m := range n.d.mine {
			heads[m.Epoch] = m.Head
		}
		t.State.In = slices.Clone(t.State.In)
		for i, in := range t.State.In {
			if h := heads[in.Epoch]; in.Cum > h {
				t.State.In[i] = message.InSet{Epoch: in.Epoch, Cum: h}
			}
		}
	}
	return t
}

func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	for _, n := range w.nodes {
		n.step(message.Tick{})
	}
}

// settle lets a fair world run until nothing is owed, or says what still is.
func (w *world) settle() {
	for _, way := range w.ways {
		way.cut, way.mute, way.loss = false, false, 0
		for _, n := range w.nodes {
			n.step(message.Up{Channel: way.name, Up: true})
		}
	}
	for round := 0; round < 400 && w.fault == ""; round++ {
		for _, n := range w.nodes {
			n.flush()
			for n.busy() && w.fault == "" {
				n.run()
				w.check()
			}
		}
		w.deliverAll()
		if round > 5 && w.owed() == "" {
			w.quiet()
			return
		}
		w.pass(200 * time.Millisecond)
	}
	if o := w.owed(); o != "" {
		w.failf("liveness: %s", o)
	}
}

// owed names a message of one side's log that is not applied once at the
// other, or a chain that differs.
func (w *world) owed() string {
	for _, n := range w.nodes {
		p := n.peer()
		if st := n.side.Status(); !st.Confirmed || st.Opening {
			return fmt.Sprintf("node %d is not confirmed", n.i)
		}
		for _, m := range n.d.mine {
			for _, o := range n.d.log[m.Epoch] {
				got := p.d.rows[m.Epoch][o.Seq].Standing
				if got != message.Applied && !((o.TTL > 0 || n.list[o.ID]) && got == message.Entombed) {
					return fmt.Sprintf("node %d owes %d (closed %v), which stands at %d", n.i, o.Seq, o.Closed, got)
				}
				if c := p.d.effects[o.ID]; got == message.Applied && c != 1 {
					return fmt.Sprintf("%d effects of %d of node %d", c, o.Seq, n.i)
				}
			}
		}
		for x := range n.list {
			if !n.d.answers[x] {
				return fmt.Sprintf("nobody answered a recall of node %d", n.i)
			}
		}
		if st := n.side.Status(); st.Stored != st.Head || len(st.Missing) > 0 {
			return fmt.Sprintf("node %d sees %d of %d stored, misses %v", n.i, st.Stored, st.Head, st.Missing)
		}
		if st, ps := n.side.Status(), p.side.Status(); st.Head != ps.InHead || st.Live != ps.Epoch {
			return "the sides differ about the head"
		}
	}
	return ""
}

// quiet is I15: with nothing new, statements stop but for the heartbeat.

func (w *world) quiet() {

	before := w.nodes[0].says + w.nodes[1].says
	for range 60 {
		w.pass(100 * time.Millisecond)
		for _, n := range w.nodes {
			for n.busy() {
				n.run()
			}
		}
		w.deliverAll()
	}
	if said := w.nodes[0].says + w.nodes[1].says - before; said > 12*len(w.ways) {
		w.failf("I15: %d statements by %d ways in two heartbeats of silence", said, len(w.ways))
	}
}

func simulate(seed uint64, f flaw) string { return played(seed, f).fault }

// played is a world after its schedule.
func played(seed uint64, f flaw) *world {
	w := newWorld(seed, f)
	steps := 150 + w.rng.IntN(250)
	for range steps {
		w.act()
		w.check()
		if w.fault != "" {
			return w
		}
	}
	w.settle()
	return w
}

// TestSimulatedSchedules is exchange I1-I7, I9, I10, I13 and I15 over thousands of seeded
// schedules of loss, duplication, reordering, delay, crashes at every step, one to
// three channels that come and go and, for every third seed, restores from earlier
// backups.
func TestSimulatedSchedules(t *testing.T) {
	t.Parallel()
	seeds := tier.N(3_000, 50_000)
	var seen simSeen
	for seed := range uint64(seeds) {
		w := played(seed, sound)
		if w.fault != "" {
			t.Fatalf("seed %d: %s", seed, w.fault)
		}
		seen.add(w.seen)
	}
	seen.often(t, seeds)
}

// TestSimulatorFindsPlantedBugs shows that the checker sees each of these.
func TestSimulatorFindsPlantedBugs(t *testing.T) {
	t.Parallel()
	for _, f := range []flaw{oneWayOnly, weakerPath, ackBeforeCommit, effectApart, dedupeWindow, logAfterSend, counterVolatile, noEpoch, firstSeenNewest,
		blindToRollback, commitUnheard, openAsApplied, prunesReceipted, depsIgnored,
		recallUnchecked, recallOvertaken, recallListLost, recallUnheard} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(3_000) {
				if fault := simulate(seed, f); fault != "" {
					t.Logf("seed %d: %s", seed, fault)
					return
				}
			}
			t.Error("not found in 3,000 schedules")
		})
	}
}
