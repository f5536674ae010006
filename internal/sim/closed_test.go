package sim_test

import (
	"encoding/hex"
	"slices"

	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/stix"
)

// closedOn are the sequences between two nodes that a sender which had lost what it
// sent closed, and under which its receiver has that.
func (w *world) closedOn(a, b int) (list []slot) {
	for at := range w.seen.closed {
		if link(at.from, at.to) == link(a, b) {
			list = append(list, at)
		}
	}
	return list
}

// onlyLost reports whether two nodes differ in nothing but such sequences, and those
// without which a sender goes on (I15).
func (w *world) onlyLost(a, b int, c courier.Comparison) bool {
	closed := w.closedOn(a, b)
	return len(c.Differences) > 0 && !c.More && !slices.ContainsFunc(c.Differences, func(d courier.Difference) bool {
		is := func(at slot) bool { return hex.EncodeToString(at.epoch[:]) == d.Epoch && at.seq == d.Seq }
		switch d.What {
		case courier.SecondID:
			return !slices.ContainsFunc(closed, is)
		case courier.MissingHere:
			return d.Stream != "sent" || !w.goneWithout(a, b, is)
		case courier.MissingThere:
			return d.Stream != "came" || !w.goneWithout(b, a, is)
		}
		return true
	})
}

// goneWithout reports whether a sender that lost a message it had sent goes on
// without it: a person lets it, or it was put back unseen and revoked the key before a
// partner said what it lost, which after that may be another's work.
func (w *world) goneWithout(from, to int, is func(slot) bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for at := range w.seen.ids {
		if at.from == from && at.to == to && is(at) {
			return !w.nodes[from].known.went[at] && (w.seen.without[[2]int{from, to}] || w.disowned(at))
		}
	}
	return false
}

// disowned reports whether a sender which was put back unseen has revoked a key that
// had signed this message, or one before it, in a log it lost the end of: then nothing
// that its partner says of that log from there on shows that it wrote it.
func (w *world) disowned(at slot) bool {
	n := w.nodes[at.from]
	return len(n.known.blur) > 0 && slices.ContainsFunc(w.seen.plain[[2]int{at.from, at.to}], func(m *message.Message) bool {
		x := slot{at.from, at.to, m.Context.Epoch, m.Header.Seq}
		return x.epoch == at.epoch && x.seq <= at.seq && !n.known.went[x] && n.live.Load().disk.keys.Keyset().RevokedKey(m.KeyID) != nil
	})
}

// wentUnder are the messages that went under a sequence.
func (w *world) wentUnder(at slot) (list []*message.Message) {
	for _, m := range w.seen.plain[[2]int{at.from, at.to}] {
		if m.Context.Epoch == at.epoch && m.Header.Seq == at.seq {
			list = append(list, m)
		}
	}
	return list
}

// carried are the objects of which such messages between two nodes tell: which they
// brought, or which were in what they closed. Not those they recalled: the recalls
// file has them, and they are recalled again.
func (w *world) carried(a, b int) map[stix.ID]bool {
	ids := map[stix.ID]bool{}
	for _, at := range w.closedOn(a, b) {
		for _, m := range w.wentUnder(at) {
			w.tellsOf(at, m, ids)
		}
	}
	return ids
}

func (w *world) tellsOf(at slot, m *message.Message, ids map[stix.ID]bool) {
	switch m.Header.Kind {
	case message.Data:
		for _, id := range objectsIn(m) {
			ids[id] = true
		}
	case message.Tombstone:
		lines, _ := message.DecodeTombstones(m.Content)
		for _, t := range lines {
			for _, x := range w.wentUnder(slot{at.from, at.to, t.Epoch, t.Seq}) {
				if x.Header.Kind != message.Tombstone {
					w.tellsOf(at, x, ids)
				}
			}
		}
	}
}

func objectsIn(m *message.Message) (ids []stix.ID) {
	objects, _ := message.DecodeObjects(m.Content)
	for _, o := range objects {
		if x, err := stix.Parse(o.Bytes); err == nil {
			ids = append(ids, x.ID)
		}
	}
	return ids
}

// keptSeconds checks that what came when its sequence was closed as lost is kept for a
// person, whole (I6).
func (w *world) keptSeconds(l *life) {
	seconds, err := l.store.Docs(bg, "courier-second")
	if err != nil {
		w.failf("%s: %v", l.n.sign, err)
		return
	}
	kept := map[string]bool{}
	for after := int64(0); len(seconds) > 0; {
		list, err := l.store.QuarantineList(bg, after, 500)
		if err != nil {
			w.failf("%s: %v", l.n.sign, err)
			return
		}
		for _, q := range list {
			after, kept[string(q.Raw)] = q.Seq, true
		}
		if len(list) < 500 {
			break
		}
	}
	for key := range seconds {
		var m *message.Message
		for way, all := range w.seen.plain {
			for _, x := range all {
				if way[1] == l.n.i && w.nodes[way[0]].id().String()+"/"+x.ID().String() == key {
					m, w.seen.second[way] = x, true
				}
			}
		}
		if m == nil {
			w.failf("I2: %s has %s, which never went", l.n.sign, key)
			continue
		}
		w.tally("came when closed", 1)
		objects, _ := message.DecodeObjects(m.Content)
		for _, o := range objects {
			if m.Header.Kind == message.Data && !kept[string(o.Bytes)] {
				w.failf("I6: of message %d, which came when it was closed, %s has not kept %s", m.Header.Seq, l.n.sign, o.Bytes)
			}
		}
	}
}
