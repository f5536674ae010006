package message_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// flaw is a bug planted in a driver: the checker must find each.
type flaw string

const (
	sound           flaw = ""
	ackBeforeCommit flaw = "receipt counted before the commit"
	effectApart     flaw = "effect and marker in two transactions"
	dedupeWindow    flaw = "dedupe forgets what is old"
	logAfterSend    flaw = "message durable only after it was sent: sequence used twice"
	counterVolatile flaw = "counter of statements not durable"
	noEpoch         flaw = "receipts counted without their epoch"
	firstSeenNewest flaw = "newest life = first seen"
	blindToRollback flaw = "what the partner cites is not looked at"
	commitUnheard   flaw = "messages committed before the link is confirmed"
	openAsApplied   flaw = "stored receipted as applied"
	prunesReceipted flaw = "receipted content pruned"
	depsIgnored     flaw = "applied before what it needs"
	recallUnchecked flaw = "sealed after its recall"
	recallOvertaken flaw = "what a recall overtook is in use"
	recallListLost  flaw = "recall list in the backup"
	recallUnheard   flaw = "recall not answered"
	oneWayOnly      flaw = "FLASH by one way only"
	weakerPath      flaw = "any channel admits any label"
)

// disk is what is durable of one node: exactly what a restore brings back.
type disk struct {
	mine    []message.EpochHead
	anew    message.Epoch // the newest that was opened because something was lost
	parents []message.Epoch
	counter uint64
	log     map[message.Epoch][]message.Out
	rows    map[message.Epoch]map[uint64]message.In
	effects map[noroshi.Hash]int
	heard   *message.Told
	live    message.Epoch
	retired []message.Epoch

	waits   []waiting             // to join the log as soon as it may grow
	gone    map[noroshi.Hash]bool // recalled by the partner
	told    map[noroshi.Hash]bool // recalled here: its RECALL is in the log or waits
	answers map[noroshi.Hash]bool // recalled here and answered
}

// waiting is a control message that waits for the log: lines of a tombstone, a
// RECALL, or the answer to one.
type waiting struct {
	tombs        []message.In
	recall, done noroshi.Hash
}

func (d disk) clone() disk {
	c := d
	c.mine, c.parents, c.retired = slices.Clone(d.mine), slices.Clone(d.parents), slices.Clone(d.retired)
	c.log, c.rows = map[message.Epoch][]message.Out{}, map[message.Epoch]map[uint64]message.In{}
	for e, l := range d.log {
		c.log[e] = slices.Clone(l)
	}
	for e, r := range d.rows {
		c.rows[e] = maps.Clone(r)
	}
	c.effects = maps.Clone(d.effects)
	c.waits, c.gone, c.told, c.answers = slices.Clone(d.waits), maps.Clone(d.gone), maps.Clone(d.told), maps.Clone(d.answers)
	return c
}

// simNode is one side with its driver: a queue of small steps between any two
// of which it may crash, and beside it one of statements, which overtake the
// commits that were asked for before them.
type simNode struct {
	w        *world
	i        int
	id       noroshi.NodeID
	d        disk
	side     message.Side
	todo     []func()
	saying   []func()
	toldLast *message.Told
	says     int
	flash    map[key]*flashOut // committed in this run and without a receipt

	// The recall list beside the disk, in no backup: what was recalled here, and
	// by the partner.
	list, goneList map[noroshi.Hash]bool
}

func (n *simNode) peer() *simNode { return n.w.nodes[1-n.i] }

// step feeds an event and queues what it brings about.
func (n *simNode) step(e message.Event) {
	if t, ok := e.(message.Told); ok {
		n.toldLast = &t
	}
	if c, ok := e.(message.Committed); ok && c.Out.Prec == noroshi.Flash {
		n.flash[key{c.Out.Epoch, c.Out.Seq}] = &flashOut{label: c.Out.Label, by: map[string]bool{}}
	}
	if c, ok := e.(message.Withheld); ok {
		n.settled(c.Epoch, c.Seqs)
	}
	var fx []message.Effect
	n.side, fx = message.Step(n.side, e, n.w.now)
	for _, x := range fx {
		n.watch(x)
	}
	n.checkFlash()
	for _, x := range fx {
		n.perform(x)
	}
}

func (n *simNode) then(steps ...func()) { n.todo = append(n.todo, steps...) }

func (n *simNode) perform(x message.Effect) {
	w := n.w
	switch x := x.(type) {
	case message.Keep:
		n.keep(x.In, x.Apply)
	case message.Apply:
		if m, ok := n.d.rows[x.In.Epoch][x.In.Seq]; ok {
			n.keep(m, true)
		}
	case message.Send:
		n.then(func() { n.send(x) })
	case message.SayState:
		n.says++
		st := x.State
		if w.flaw == openAsApplied {
			st.In = slices.Clone(st.In)
			for i := range st.In {
				st.In[i].Open = nil
			}
		}
		ep := x.Epoch
		if w.flaw != counterVolatile {
			n.saying = append(n.saying, func() { n.issue(ep, x.Counter) })
		}
		n.saying = append(n.saying, func() {
			n.carry(x.Channel, message.Told{Epoch: ep, Counter: x.Counter, Sum: noroshi.Sum(message.EncodeState(st)), State: st, Channel: x.Channel})
		})
	case message.SayWant:
		n.then(func() { n.issue(x.Epoch, x.Counter) }, func() { n.carry(x.Channel, message.Asked{Want: x.Want}) })
	case message.Receipt:
		w.checkReceipt(n, x)
		told := n.toldLast
		n.then(func() { n.d.heard = told })
	case message.Expire:
		n.then(func() { n.bury(x.Epoch, x.Seqs) })
	case message.Load:
		n.then(func() {
			var out []message.Out
			for _, o := range n.d.log[x.Epoch] {
				pruned := w.flaw == prunesReceipted && w.everStored[n.peer().i][key{x.Epoch, o.Seq}]
				if o.Seq >= x.Range.A && o.Seq <= x.Range.B && !pruned {
					out = append(out, o)
				}
			}
			n.step(message.Loaded{Epoch: x.Epoch, Out: out})
		})
	case message.Open:
		n.then(func() { n.open(x) })
	case message.Lives:
		n.then(func() { n.d.live, n.d.retired = x.Live, x.Retired })
	case message.Alarm:
		w.alarmed(n, x)
	case message.Halt:
		w.seen.halted++
	case message.Switched:
		w.seen.switched++
		if x.Why == message.SwitchSilent {
			w.seen.silent++
		}
	default:
		panic(fmt.Sprintf("effect %T", x))
	}
}

// keep is R1, with apply R2 in the same transaction, and the answer after it.
func (n *simNode) keep(m message.In, apply bool) {
	answer := message.Kept{In: m}
	commit := func() { answer = n.commit(m, apply) }
	switch n.w.flaw {
	case ackBeforeCommit:
		early := m
		early.Standing = message.Applied
		n.step(message.Kept{In: early})
		n.then(commit)
	case effectApart:
		var effect bool
		n.then(func() {
			if row, ok := n.d.rows[m.Epoch][m.Seq]; apply && (!ok || row.Standing < message.Held) {
				n.d.effects[m.ID]++
				effect = true
			}
		}, func() {
			answer = n.commit(m, apply)
			if effect && n.d.effects[m.ID] > 0 && answer.In.Standing == message.Applied && !answer.Again {
				n.d.effects[m.ID]--
			}
		}, func() { n.step(answer) })
	default:
		n.then(commit, func() { n.step(answer) })
	}
}

func (n *simNode) commit(m message.In, apply bool) message.Kept {
	rows := n.d.rows[m.Epoch]
	if rows == nil {
		rows = map[uint64]message.In{}
		n.d.rows[m.Epoch] = rows
	}
	row, ok := rows[m.Seq]
	if ok && row.ID != m.ID {
		return message.Kept{In: m, Second: true}
	}
	if ok && (row.Standing >= message.Held || row.Standing == message.Stored && !apply) {
		return message.Kept{In: row, Again: true}
	}
	m.Standing = message.Stored
	if apply || n.w.flaw == depsIgnored {
		m.Standing = message.Applied
		n.d.effects[m.ID]++
		n.w.applied(n, m)
		for _, t := range n.w.tombs[m.ID] {
			n.bind(t)
		}
		n.recalled(m)
	}
	rows[m.Seq] = m
	n.w.bound(n, m)
	return message.Kept{In: m}
}

// recalled takes a RECALL or the answer to one.
func (n *simNode) recalled(m message.In) {
	if x, ok := n.w.recalls[m.ID]; ok {
		if n.w.flaw != recallOvertaken || n.d.effects[x] > 0 {
			n.d.gone[x], n.goneList[x] = true, true
		}
		n.w.takenBack[n.i][x] = true
		if n.w.flaw != recallUnheard {
			n.d.waits = append(n.d.waits, waiting{done: x})
		}
	}
	if x, ok := n.w.dones[m.ID]; ok {
		n.d.answers[x] = true
	}
}

// recall takes back a message of ours, whether it has a receipt or not, in one
// transaction: closed, tombstone and RECALL waiting for the log, and in the list.
func (n *simNode) recall(e message.Epoch, seq uint64) {
	for i, o := range n.d.log[e] {
		if o.Seq != seq || n.d.told[o.ID] {
			continue
		}
		n.d.log[e][i].Closed = true
		n.d.told[o.ID], n.list[o.ID] = true, true
		n.d.waits = append(n.d.waits, waiting{tombs: []message.In{{Epoch: e, Seq: seq, ID: o.ID, Standing: message.Entombed}}}, waiting{recall: o.ID})
		n.then(func() { n.step(message.Withheld{Epoch: e, Seqs: []uint64{seq}}) })
	}
}

// repeat does after a restore what the recall list knows and the disk forgot.
func (n *simNode) repeat() {
	if n.w.flaw == recallListLost {
		return
	}
	maps.Copy(n.d.gone, n.goneList)
	for _, e := range n.w.epochs {
		for _, o := range n.d.log[e] {
			if n.list[o.ID] {
				n.recall(e, o.Seq)
			}
		}
	}
	for _, x := range n.w.order { // what the log forgot may have reached the partner
		if n.list[x] && !n.d.told[x] {
			n.d.told[x] = true
			n.d.waits = append(n.d.waits, waiting{recall: x})
		}
	}
}

// flush puts what waits into the log, once the link is confirmed.
func (n *simNode) flush() {
	if !n.side.Confirmed() {
		return
	}
	list := n.d.waits
	n.d.waits = nil
	for _, x := range list {
		id := n.write(noroshi.Priority, 0, x.tombs, "")
		switch {
		case x.recall != (noroshi.Hash{}):
			n.w.recalls[id] = x.recall
		case x.done != (noroshi.Hash{}):
			n.w.dones[id] = x.done
		}
	}
}

// bind takes one line of an applied tombstone.
func (n *simNode) bind(t message.In) {
	if n.d.rows[t.Epoch] == nil {
		n.d.rows[t.Epoch] = map[uint64]message.In{}
	}
	if _, ok := n.d.rows[t.Epoch][t.Seq]; ok {
		return
	}
	n.d.rows[t.Epoch][t.Seq] = t
	n.w.bound(n, t)
	n.then(func() { n.step(message.Kept{In: t}) })
}

func (n *simNode) send(x message.Send) {
	ok := false
	log := n.d.log[x.Epoch]
	if n.w.flaw == logAfterSend {
		log = n.w.volatile[n.i][x.Epoch]
	}
	for _, o := range log {
		if o.Seq == x.Seq && (!o.Closed || n.w.flaw == recallUnchecked) {
			n.w.sealed(n, o.ID)
			if !admitted(x.Channel, o.Label) {
				n.w.failf("I10: node %d sends %q by %s", n.i, o.Label, x.Channel)
			}
			ok = n.carry(x.Channel, message.Arrived{In: message.In{Epoch: o.Epoch, Seq: o.Seq, ID: o.ID, Kind: message.Data, Prec: o.Prec, Deps: n.w.deps[o.ID], Via: x.Channel}})
		}
	}
	n.then(func() {
		if n.w.flaw == logAfterSend {
			n.d.log[x.Epoch] = slices.Clone(log)
			n.head(x.Epoch, log)
		}
		n.step(message.HandedOver{Epoch: x.Epoch, Seq: x.Seq, Channel: x.Channel, OK: ok})
	})
}

func (n *simNode) head(e message.Epoch, log []message.Out) {
	for i := range n.d.mine {
		if n.d.mine[i].Epoch == e && len(log) > 0 {
			last := log[len(log)-1]
			n.d.mine[i].Head, n.d.mine[i].Chain = last.Seq, last.Chain
		}
	}
}

// write is T1: one more message in the present log.
func (n *simNode) write(prec noroshi.Precedence, ttl uint32, tombs []message.In, label string) noroshi.Hash {
	m := &n.d.mine[len(n.d.mine)-1]
	e := m.Epoch
	log := n.d.log[e]
	if n.w.flaw == logAfterSend {
		log = n.w.volatile[n.i][e]
	}
	seq := uint64(len(log)) + 1
	chain := message.ChainStart(noroshi.Real, n.id, n.peer().id, e)
	if seq > 1 {
		chain = log[seq-2].Chain
	}
	n.w.made++
	id := noroshi.Sum(binary.BigEndian.AppendUint64(append(append([]byte{byte(n.i)}, e[:]...), byte(seq)), n.w.made))
	o := message.Out{Epoch: e, Seq: seq, ID: id, Prec: prec, Created: n.w.now, TTL: ttl, Len: 100, Label: label, Chain: message.ChainNext(chain, id)}
	n.w.release(n, o, tombs)
	if len(tombs) == 0 && seq > 2 && n.w.rng.IntN(4) == 0 {
		n.w.deps[id] = []uint64{1 + n.w.rng.Uint64N(seq-1)}
	}
	if n.w.flaw == logAfterSend {
		n.w.volatile[n.i][e] = append(log, o)
	} else {
		n.d.log[e] = append(log, o)
		m.Head, m.Chain = seq, o.Chain
	}
	n.then(func() { n.step(message.Committed{Out: o}) })
	return id
}

// bury is T4 for what expired: closed here, and a tombstone in the log.
func (n *simNode) bury(e message.Epoch, seqs []uint64) {
	var tombs []message.In
	for i, o := range n.d.log[e] {
		if slices.Contains(seqs, o.Seq) && !o.Closed {
			n.d.log[e][i].Closed = true
			tombs = append(tombs, message.In{Epoch: e, Seq: o.Seq, ID: o.ID, Standing: message.Entombed})
		}
	}
	if len(tombs) > 0 {
		n.write(noroshi.Priority, 0, tombs, "")
	}
}

// issue makes a counter durable.
func (n *simNode) issue(e message.Epoch, counter uint64) {
	if n.d.mine[len(n.d.mine)-1].Epoch == e {
		n.d.counter = max(n.d.counter, counter)
	}
}

func (n *simNode) open(x message.Open) {
	e := n.w.epoch()
	n.d.parents = nil
	for _, p := range x.Parents {
		n.d.parents = append(n.d.parents, p.Epoch)
		if !slices.ContainsFunc(n.d.mine, func(m message.EpochHead) bool { return m.Epoch == p.Epoch }) {
			n.d.mine = append(n.d.mine, p)
		}
	}
	n.d.mine = append(n.d.mine, message.EpochHead{Epoch: e})
	n.d.counter = 0
	if x.Reason.FromEarlier() {
		n.d.anew = e
	}
	n.w.lived(n)
	chain := message.ChainStart(noroshi.Real, n.id, n.peer().id, e)
	id := noroshi.Sum(e[:])
	first := message.Out{Epoch: e, Seq: 1, ID: id, Prec: noroshi.Immediate, Created: n.w.now, Len: 50, Chain: message.ChainNext(chain, id)}
	n.w.release(n, first, nil)
	n.d.log[e] = []message.Out{first}
	n.w.volatile[n.i][e] = []message.Out{first}
	n.head(e, n.d.log[e])
	parents := n.d.parents
	n.then(func() { n.step(message.Opened{Epoch: e, Parents: parents, First: first, Anew: x.Reason.FromEarlier()}) })
}

// rebuild is what every start does: a Side from what is durable.
func (n *simNode) rebuild() {
	n.todo, n.saying, n.toldLast, n.flash = nil, nil, nil, map[key]*flashOut{}
	d := n.d.clone()
	f := message.Facts{Mine: d.mine, Anew: d.anew, Parents: d.parents, Counter: d.counter, Live: d.live, Told: d.heard}
	for i := range f.Seed {
		f.Seed[i] = byte(n.w.rng.Uint32())
	}
	copy(f.Run[:], f.Seed[:])
	for _, m := range d.mine {
		f.Out = append(f.Out, d.log[m.Epoch]...)
		n.w.volatile[n.i][m.Epoch] = slices.Clone(d.log[m.Epoch])
	}
	slices.SortStableFunc(f.Out, func(a, b message.Out) int { return int(b.Prec) - int(a.Prec) })
	for _, e := range n.w.epochs {
		rows := d.rows[e]
		retired := slices.Contains(d.retired, e)
		if rows == nil && !retired && e != d.live {
			continue
		}
		f.Theirs = append(f.Theirs, n.life(e, rows, retired))
	}
	n.side = message.Rebuild(n.w.rules(n), f, n.w.now)
}

func (n *simNode) life(e message.Epoch, rows map[uint64]message.In, retired bool) message.Life {
	l := message.Life{Epoch: e, Retired: retired, Chain: message.ChainStart(noroshi.Real, n.peer().id, n.id, e)}
	if n.w.flaw == dedupeWindow && len(rows) > 2 {
		top := slices.Max(slices.Collect(maps.Keys(rows)))
		maps.DeleteFunc(n.d.rows[e], func(s uint64, _ message.In) bool { return s+2 <= top })
		rows = n.d.rows[e]
	}
	for {
		m, ok := rows[l.Cum+1]
		if !ok {
			break
		}
		l.Cum++
		l.Chain = message.ChainNext(l.Chain, m.ID)
	}
	for _, s := range slices.Sorted(maps.Keys(rows)) {
		if m := rows[s]; s > l.Cum || m.Standing != message.Applied {
			l.In = append(l.In, m)
		}
	}
	return l
}

func simRules(n *simNode) message.Rules {
	r := message.DefaultRules()
	r.Realm, r.Self, r.Partner = noroshi.Real, n.id, n.peer().id
	r.Heartbeat, r.Probe, r.Resend, r.ResendMax = 3*time.Second, 500*time.Millisecond, 400*time.Millisecond, 5*time.Second
	r.Window = 4
	r.Ways = n.w.offered()
	return r
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x6e6f726f736869)) }
