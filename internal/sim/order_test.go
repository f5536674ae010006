package sim_test

import (
	"cmp"
	"crypto/rand"
	"fmt"
	mrand "math/rand/v2"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// reorderedOf is of how many seeds one has a stream played again in other orders.
const reorderedOf = 8

// reorder hands what went from one node to another to two nodes that begin as the
// receiver began, to each in another order, some of it twice, by other channels: in
// the end both hold the same (I5). Not where one sequence has two messages, or one
// came when its sender had closed it: of these the one that is first counts.
func (w *world) reorder() {
	n := uint64(len(w.nodes))
	from := int(w.seed / reorderedOf % n)
	to := int((uint64(from) + 1 + w.seed/reorderedOf/n%(n-1)) % n)
	list := w.seen.plain[[2]int{from, to}]
	if w.seen.forked[link(from, to)] || w.seen.second[[2]int{from, to}] || len(w.closedOn(from, to)) > 0 || len(list) == 0 {
		return
	}
	var held [2]string
	for i := range held {
		held[i] = w.twin(from, to, list, mrand.New(mrand.NewPCG(w.seed, uint64(2+i))))
	}
	if held[0] != held[1] {
		w.failf("I5: in two orders of %d messages of %s it holds\n%s\nand\n%s", len(list), w.nodes[from].sign, held[0], held[1])
	}
	w.tally("reordered", len(list))
}

// twin begins a node as the receiver began, hands it messages in an order of its
// own, and says what it holds of them.
func (w *world) twin(from, to int, list []*message.Message, rng *mrand.Rand) string {
	x := &world{mould: w.mould, terms: w.terms, ahead: w.ahead, mute: true, ways: allWays(), stats: map[string]int{}, seen: newSeen(), outer: w, nodes: slices.Clone(w.nodes)}
	a, b := w.nodes[from], &node{party: w.nodes[to].party, w: x, i: to}
	b.disk = newDisk(w.mould.realm, image{db: w.mould.files[w.mould.key(to, len(w.nodes), w.terms)], keys: b.ring(w.terms)})
	x.nodes[to] = b
	b.start(func(l *life) error { // the keys that any of it may be signed with
		_, err := l.store.Do(l.ctx, noroshi.Act{Action: noroshi.ActKeys, Subject: a.id().String()}, func(tx *store.Tx) error {
			return tx.PutDoc(noroshi.DocKeyset, a.id().String(), a.disk.keys.Keyset().Bytes())
		})
		return err
	})
	l := b.live.Load()
	if l == nil {
		return ""
	}
	synctest.Wait()
	list = slices.Concat(list, list[:rng.IntN(len(list)+1)])
	rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	highest := map[message.Epoch]uint64{}
	for _, m := range list {
		if e := m.Context.Epoch; w.bug == overtaken && m.Header.Seq < highest[e] {
			continue
		}
		highest[m.Context.Epoch] = max(highest[m.Context.Epoch], m.Header.Seq)
		x.give(l, a.party, m, rng)
	}
	time.Sleep(time.Second)
	synctest.Wait()
	held := x.dump(l, a)
	b.end()
	b.disk.remove()
	x.tasks.Wait()
	return held
}

// give seals a message for a twin and hands it over by one of the channels it may
// go by. What is refused, for the key it was signed with, is so in every order.
func (w *world) give(l *life, from *party, m *message.Message, rng *mrand.Rand) {
	out := message.Outbound{Realm: w.mould.realm, From: from.id(), To: l.disk.keys.Keyset(), Secret: cardSecret(from, l.n.party), Now: w.now()}
	if w.terms == high {
		out.Suite = message.S1H
	}
	envelope, err := message.Seal(message.Plain{Message: m}, out, rand.Reader)
	if err != nil {
		w.failf("I5: message %d is not sealed again: %v", m.Header.Seq, err)
		return
	}
	kind := []string{noroshi.ChannelHTTPS, noroshi.ChannelMail, noroshi.ChannelMedia}[rng.IntN(3)] // each carries what is GREEN
	if err := l.courier.Receive(l.ctx, kind, from.id(), envelope); err != nil {
		w.note("a twin of %s refuses message %d: %v", l.n.sign, m.Header.Seq, err)
		w.outer.tally("refused again", 1)
	}
}

// dump says what a node holds of another, in one order: objects by version and view
// and whether they are in use, and what stands under each sequence.
func (w *world) dump(l *life, from *node) string {
	var lines []string
	records, err := l.store.List(bg, store.Filter{Limit: 1 << 20, All: true})
	for _, r := range records {
		if r.Source.Kind == noroshi.FromPartner {
			lines = append(lines, fmt.Sprintf("%s %s %d %s withdrawn %v", r.Object.ID, r.Source.Partner, r.View, noroshi.Sum(r.Object.Bytes()), r.Withdrawn))
		}
	}
	for _, e := range w.outer.seen.epochs[[2]int{from.i, l.n.i}] {
		err = cmp.Or(err, l.store.InIDs(bg, from.id(), e, 1, 1<<40, func(seq uint64, id noroshi.Hash, state store.InState) {
			lines = append(lines, fmt.Sprintf("%x %d %s in state %d", e[:4], seq, id, state))
		}))
	}
	if err != nil || len(lines) == 0 {
		w.failf("I5: a twin of %s holds %d things: %v", l.n.sign, len(lines), err)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
