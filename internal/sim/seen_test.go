package sim_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/stix"
)

// bug is something wrong that is planted to see that it is found.
type bug int

const (
	none      bug = iota
	forgetful     // a disk that was killed has lost what was committed since the step before, and nobody knows
	unread        // nobody reads the list of recalls beside a database that was put back
	mistaken      // whatever comes is said to come by the line
	leaky         // what is for nobody else is marked as what may go
	overtaken     // what comes after a later one is taken for a duplicate
	amnesiac      // a record is put back, and what was sent since is said to have been
	blind         // no gap is shown
	strayed       // a file of the exercise is read in by the real node
	crowded       // a channel has no room for FLASH and goes on with what is lower
	repeating     // a machine draws the same again after each start
	talkative     // what may go names what may not
)

// seen is what an observer knows who sees every envelope go and can open it.
type seen struct {
	agreed  map[[2]int]*noroshi.Agreement
	links   map[[2]int][]message.LinkBody // secrets of one direction, newest first
	epochs  map[[2]int][]message.Epoch    // likewise
	ids     map[slot][]noroshi.Hash       // what went under a sequence: one id, but where a node was put back unseen
	forked  map[[2]int]bool               // links on which there is one with two
	closed  map[slot]bool                 // what a sender that had lost it closed, and its receiver has
	second  map[[2]int]bool               // directions in which something came when it was closed
	without map[[2]int]bool               // directions in which the sender goes on without what it had lost
	said    map[saying]noroshi.Hash       // statements
	sets    map[[2]int]told               // the newest STATE of each direction
	claims  map[int][]slot                // what a node said it has, to be looked for
	ever    map[int]map[slot]bool         // what was durable at a node in any life
	logs    map[slot]noroshi.Hash         // what stood in the sender's log
	lost    map[slot]bool                 // what a node that was put back unseen had sent, and nobody had got
	plain   map[[2]int][]*message.Message // all that was sent, each message once
	drawn   map[string]noroshi.Hash       // nonces and encapsulated keys, and in which envelope
	secret  map[int]int                   // numbers of the objects that only their makers may know of
	urgent  map[slot]*urgent              // FLASH under way
}

// link names what two nodes have between them.
func link(a, b int) [2]int { return [2]int{min(a, b), max(a, b)} }

type saying struct {
	from, to int
	epoch    message.Epoch
	counter  uint64
}

type told struct {
	epoch   message.Epoch
	counter uint64
	cum     map[message.Epoch]uint64
}

func newSeen() seen {
	return seen{agreed: map[[2]int]*noroshi.Agreement{}, links: map[[2]int][]message.LinkBody{}, epochs: map[[2]int][]message.Epoch{},
		ids: map[slot][]noroshi.Hash{}, said: map[saying]noroshi.Hash{}, sets: map[[2]int]told{}, claims: map[int][]slot{}, ever: map[int]map[slot]bool{}, logs: map[slot]noroshi.Hash{}, lost: map[slot]bool{}, forked: map[[2]int]bool{}, closed: map[slot]bool{}, second: map[[2]int]bool{}, without: map[[2]int]bool{},
		plain: map[[2]int][]*message.Message{}, drawn: map[string]noroshi.Hash{}, secret: map[int]int{}, urgent: map[slot]*urgent{}}
}

// begin notes the newest epoch of a direction.
func (s *seen) begin(way [2]int, e message.Epoch) {
	if !slices.Contains(s.epochs[way], e) {
		s.epochs[way] = slices.Insert(s.epochs[way], 0, e)
	}
}

// hear notes an epoch of a direction that is not the newest.
func (s *seen) hear(way [2]int, e message.Epoch) {
	if !slices.Contains(s.epochs[way], e) {
		s.epochs[way] = append(s.epochs[way], e)
	}
}

// learn takes in the secrets a node keeps of what it sends.
func (w *world) learn(n *node, vault []byte) {
	var all map[noroshi.NodeID]struct{ Made, Next *struct{ Body []byte } }
	if err := json.Unmarshal(vault, &all); err != nil {
		w.failf("the secrets of %s: %v", n.sign, err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for partner, s := range all {
		at := [2]int{n.i, w.nodeOf(partner)}
		for _, m := range []*struct{ Body []byte }{s.Made, s.Next} {
			if m == nil {
				continue
			}
			if body, err := message.DecodeLink(m.Body); err == nil && !slices.Contains(w.seen.links[at], body) {
				w.seen.links[at] = slices.Insert(w.seen.links[at], 0, body)
			}
		}
	}
}

// open opens an envelope as its receiver does, whatever the receiver has lost.
func (w *world) open(l *life, kind string, to int, envelope []byte) (message.Plain, bool) {
	a, b := l.n, w.nodes[to]
	at := [2]int{a.i, to}
	b.disk.mu.Lock()
	keys := append([]*message.Keyring{b.disk.keys}, b.former...)
	b.disk.mu.Unlock()
	w.mu.Lock()
	agreement := w.seen.agreed[link(a.i, to)]
	links, epochs := w.seen.links[at], w.seen.epochs[at]
	w.mu.Unlock()
	in := message.Inbound{Realm: w.mould.realm, From: a.id(), To: b.id(), Keys: l.disk.keys.Keyset(), Agreements: []noroshi.Hash{agreement.Hash},
		Now: w.now(), Suites: message.SuitesOn(agreement, kind), Packings: message.Packings(agreement), Links: links, Epochs: epochs,
		Recent: []noroshi.Hash{agreement.Hash, {}}}
	secrets := [][]byte{cardSecret(a.party, b.party)}
	for _, x := range links {
		secrets = append(secrets, x.Gate[:])
	}
	if message.Suite(envelope[0]) != message.S2 {
		i := slices.IndexFunc(secrets, func(s []byte) bool { return message.GateMatch(s, in.Realm, in.From, in.To, envelope) })
		if i < 0 {
			return message.Plain{}, false
		}
		in.Secret = secrets[i]
	}
	for _, k := range keys {
		if p, err := message.Unseal(k, in, envelope); err == nil {
			return p, true
		}
	}
	return message.Plain{}, false
}

// sent looks at an envelope that a node hands to a channel, and returns the message
// in it, nil where there is none.
func (w *world) sent(l *life, y *way, to int, prec noroshi.Precedence, envelope []byte) *message.Message {
	w.fresh(l, envelope)
	p, ok := w.open(l, y.traits.Kind, to, envelope)
	w.strong(l, y, to, p, message.Suite(envelope[0]))
	switch {
	case !ok:
		w.failf("%s sends by %s what the observer cannot open", l.n.sign, y.traits.Kind)
	case p.Message != nil:
		w.sentMessage(l, y, to, p.Message)
		w.discreet(l, to, p.Message.Content)
	case p.Statement != nil:
		w.sentStatement(l, to, p.Statement)
		w.sentBack(l, y, to, p)
		w.discreet(l, to, p.Statement.Body)
	default:
		w.discreet(l, to, p.Document)
	}
	return p.Message
}

func (w *world) sentMessage(l *life, y *way, to int, m *message.Message) {
	from, e := l.n.i, m.Context.Epoch
	at := slot{from, to, e, m.Header.Seq}
	w.mu.Lock()
	again := !slices.Contains(w.seen.ids[at], m.ID())
	if again {
		w.seen.ids[at] = append(w.seen.ids[at], m.ID())
		w.seen.plain[[2]int{from, to}] = append(w.seen.plain[[2]int{from, to}], m)
	}
	l.n.known.went[at] = true
	again = again && len(w.seen.ids[at]) > 1
	lost := w.seen.lost[at]
	if again && lost {
		w.seen.forked[link(from, to)] = true
	}
	w.seen.begin([2]int{from, to}, e)
	if m.Header.Kind == message.Tombstone { // it may be of one of which nothing else ever went
		if list, err := message.DecodeTombstones(m.Content); err == nil {
			for _, x := range list {
				w.seen.hear([2]int{from, to}, x.Epoch)
			}
		}
	}
	w.stats["messages"]++
	w.mu.Unlock()
	if again && !lost {
		w.failf("I4: %s sends two messages under sequence %d", l.n.sign, at.seq)
	}
	if m.Header.Prec == noroshi.Flash {
		w.tally("flash", 1)
	}
	w.recorded(l, at)
	w.ordered(l, y, to, at, m.Header.Prec)
	if m.Header.Kind == message.Data {
		w.sentData(l, y, to, m)
	}
}

// sentData checks that what goes may go: here, to them, now, and this way (I8, I9,
// I10).
func (w *world) sentData(l *life, y *way, to int, m *message.Message) {
	objects, err := message.DecodeObjects(m.Content)
	if err != nil {
		w.failf("%s sends what cannot be read: %v", l.n.sign, err)
		return
	}
	agreement := w.seen.agreed[link(l.n.i, to)]
	label, err := noroshi.ParseLabel(m.Header.Label)
	if err != nil || !agreement.Carries(y.traits.Kind, label) {
		w.failf("I10: %s sends %s by %s", l.n.sign, m.Header.Label, y.traits.Kind)
	}
	for _, o := range objects {
		x, err := stix.Parse(o.Bytes)
		if err != nil {
			w.failf("%s sends what is no object: %v", l.n.sign, err)
			continue
		}
		w.mu.Lock()
		made, gone := w.objects[x.ID], l.n.known.gone[x.ID]
		w.mu.Unlock()
		switch {
		case made != nil && !made.may:
			w.failf("I8: %s sends %s, which is for nobody else", l.n.sign, x.ID)
		case gone:
			w.failf("I9: %s sends %s, which was recalled (%s, sequence %d of %x, made %v)", l.n.sign, x.ID, y.traits.Kind, m.Header.Seq, m.Context.Epoch[:4], m.Header.Created)
		}
	}
}

// sentBack checks that what is given back goes as it may go when it is sent (I10).
func (w *world) sentBack(l *life, y *way, to int, p message.Plain) {
	labels, err := p.Labels()
	if err != nil {
		w.failf("%s gives back what cannot be read: %v", l.n.sign, err)
	}
	for _, text := range labels {
		label, err := noroshi.ParseLabel(text)
		if err != nil || !w.seen.agreed[link(l.n.i, to)].Carries(y.traits.Kind, label) {
			w.failf("I10: %s gives %s back by %s", l.n.sign, text, y.traits.Kind)
		}
		w.tally("given back by "+y.traits.Kind, 1)
	}
}

// sentStatement checks that a counter is used once, and that a STATE takes nothing
// back that one of its epoch said before; what it says is there is looked for when
// nothing moves.
func (w *world) sentStatement(l *life, to int, st *message.Statement) {
	from := l.n.i
	id := noroshi.Sum(st.Encode())
	w.mu.Lock()
	at := saying{from, to, st.Context.Epoch, st.Counter}
	was, again := w.seen.said[at]
	w.seen.said[at] = id
	w.seen.begin([2]int{from, to}, st.Context.Epoch)
	w.stats["statements"]++
	w.mu.Unlock()
	if again && was != id {
		w.failf("%s says two things under counter %d", l.n.sign, st.Counter)
	}
	if st.Kind != message.StateKind {
		return
	}
	s, err := message.DecodeState(st.Body)
	if err != nil {
		w.failf("%s says a STATE that cannot be read: %v", l.n.sign, err)
		return
	}
	var shrank error
	w.mu.Lock()
	last, now := w.seen.sets[[2]int{from, to}], told{st.Context.Epoch, st.Counter, map[message.Epoch]uint64{}}
	for _, in := range s.In {
		now.cum[in.Epoch] = in.Cum
		for _, r := range append([]message.Range{{A: 1, B: in.Cum}}, in.Ranges...) {
			for n := r.A; n <= r.B; n++ {
				w.seen.claims[from] = append(w.seen.claims[from], slot{to, from, in.Epoch, n})
			}
		}
		if last.epoch == now.epoch && last.counter < now.counter && in.Cum < last.cum[in.Epoch] {
			shrank = fmt.Errorf("%s says it has %d of an epoch after it said %d", l.n.sign, in.Cum, last.cum[in.Epoch])
		}
	}
	if last.epoch != now.epoch || last.counter < now.counter {
		w.seen.sets[[2]int{from, to}] = now
	}
	w.mu.Unlock()
	if shrank != nil && !l.n.unseen {
		w.failf("I3: %v", shrank)
	}
}

// lose notes that a node was put back. What one that nobody told so had put into a log
// and nobody has, it may put there again as something else, for it cannot know: nobody
// got it, or who got it was put back too, before or now. What a partner countersigned
// shows that it was, until the link with that one begins anew.
func (w *world) lose(n *node) {
	for i := range w.nodes {
		if n.unseen {
			n.known.blur[i] = math.MaxUint64
		}
	}
	for _, all := range []map[slot]bool{keys(w.seen.logs), keys(w.seen.ids)} {
		for at := range all {
			if w.nodes[at.from].unseen && (at.from == n.i || at.to == n.i) && !w.has(at) {
				w.seen.lost[at] = true
				delete(w.seen.logs, at)
			}
		}
	}
}

// has reports whether the receiver has what went under a sequence.
func (w *world) has(at slot) bool {
	to := w.nodes[at.to]
	_, in := to.known.in[at]
	return w.seen.ever[at.to][at] && (in || !to.back)
}

func keys[V any](m map[slot]V) map[slot]bool {
	out := map[slot]bool{}
	for at := range m {
		out[at] = true
	}
	return out
}
