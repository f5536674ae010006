package courier_test

import (
	"context"
	"crypto/rand"
	"slices"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// ladder is an epoch of a foe's in which every second sequence is a TOMBSTONE that
// closes the next, signed with a key of its own that is revoked by now and whose last
// good point it is. None of them is believed before the first sequence is closed;
// then each makes the next to be so.
type ladder struct {
	epoch message.Epoch
	rungs []*message.Message // of sequences 2, 4, ...
	wrong *message.Keyring   // states another chain for the last
}

const rungs = 6 // a KEYSET has eight keys of a use

// tomb is a line about what a foe never sent.
func tomb(e message.Epoch, seq uint64) message.TombstoneBody {
	return message.TombstoneBody{Epoch: e, Seq: seq, ID: noroshi.Sum([]byte{byte(seq), byte(seq >> 8), 1}), Reason: 2}
}

func tombs(list ...message.TombstoneBody) []byte { return message.EncodeTombstones(list) }

func (f *foe) ladder() *ladder {
	f.t.Helper()
	l := &ladder{epoch: freshEpoch()}
	chain := message.ChainStart(noroshi.Real, f.id(), f.v.id(), l.epoch)
	for seq := uint64(2); len(l.rungs) < rungs; seq += 2 {
		c := f.context()
		c.Epoch = l.epoch
		m, err := message.Sign(f.keys, c, message.Header{Seq: seq, Kind: message.Tombstone, Prec: noroshi.Priority, Created: f.now(), Form: message.ControlForm},
			tombs(tomb(l.epoch, seq+1)))
		if err != nil {
			f.t.Fatal(err)
		}
		l.rungs = append(l.rungs, m)
		chain = message.ChainNext(message.ChainNext(chain, tomb(l.epoch, seq-1).ID), m.ID())
		l.wrong = f.keys.Copy()
		f.revoke(l.wrong, m.KeyID, message.LastGood{Epoch: l.epoch, Seq: seq, Chain: noroshi.Hash{1}})
		f.revoke(f.keys, m.KeyID, message.LastGood{Epoch: l.epoch, Seq: seq, Chain: chain})
	}
	return l
}

// ends is an epoch of a foe's in which sixty-four revoked keys have their last good
// point: one message is held for the last of them, and all else is closed by one
// TOMBSTONE.
type ends struct {
	epoch message.Epoch
	held  *message.Message
	lines []message.TombstoneBody
}

// revokesAll makes of its release key one that is revoked, and again, as often as a
// KEYSET has room for. Every second states another chain than that of what is closed,
// and each names the epoch the foe speaks in, far ahead.
func (f *foe) revokesAll(sequences int) {
	f.t.Helper()
	const keys = 64
	e := &ends{epoch: freshEpoch()}
	c, chain, seq := f.context(), message.ChainStart(noroshi.Real, f.id(), f.v.id(), e.epoch), uint64(0)
	c.Epoch = e.epoch
	for i := range keys {
		id := noroshi.Hash{}
		for seq < uint64(sequences*(i+1)/keys) {
			seq++
			if t := tomb(e.epoch, seq); i < keys-1 || e.held != nil {
				id, e.lines = t.ID, append(e.lines, t)
			} else {
				m, err := message.Sign(f.keys, c, message.Header{Seq: seq, Kind: message.Data, Prec: noroshi.Routine, Created: f.now(), Label: foeLabel, Form: message.ObjectsForm},
					f.objects(f.indicator(f.newID(), f.ident, "")))
				if err != nil {
					f.t.Fatal(err)
				}
				id, e.held = m.ID(), m
			}
			chain = message.ChainNext(chain, id)
		}
		kid, err := f.keys.Signing(message.UseRelease, f.keys.Keyset().Version, f.now())
		if err != nil {
			f.t.Fatal(err)
		}
		last := message.LastGood{Epoch: e.epoch, Seq: seq, Chain: chain}
		if i%2 == 0 {
			last.Chain = noroshi.Hash{1}
		}
		f.revoke(f.keys, kid, last, message.LastGood{Epoch: f.epoch, Seq: 1 << 40, Chain: noroshi.Hash{1}})
	}
	f.ends = e
}

func (f *foe) revoke(k *message.Keyring, id [4]byte, last ...message.LastGood) {
	f.t.Helper()
	if err := k.Revoke(rand.Reader, message.Revocation{ID: id, Last: last}, f.now()); err != nil {
		f.t.Fatal(err)
	}
}

// hands gives the victim messages and waits until they are taken in.
func (f *foe) hands(list ...*message.Message) {
	f.t.Helper()
	for _, m := range list {
		if err := f.hand(f.seal(message.Plain{Message: m})); err != nil {
			f.t.Fatal(err)
		}
	}
	synctest.Wait()
}

// heldOf returns why what the victim holds is held, by message.
func (h *hour) heldOf() map[noroshi.Hash]string {
	h.t.Helper()
	list, err := h.v.running().Held(context.Background())
	if err != nil {
		h.t.Fatal(err)
	}
	why := map[noroshi.Hash]string{}
	for _, m := range list {
		why[m.Message] = m.Why
	}
	return why
}

// closed counts the sequences of an epoch of the foe's that are applied or closed.
func (h *hour) closed(e message.Epoch) (n int) {
	h.t.Helper()
	for from := uint64(1); ; {
		rows, err := h.v.store.In(context.Background(), h.foe.id(), e, from, store.MaxPage)
		if err != nil {
			h.t.Fatal(err)
		}
		if len(rows) == 0 {
			return n
		}
		for _, r := range rows {
			if r.State == store.Applied || r.State == store.Tombstoned {
				n++
			}
			from = r.Seq + 1
		}
	}
}

// TestALadderOfTombs: what is held for a last good point is applied when that is
// reached, and what it closes by that, to the end, each sequence gone over about
// once; whether the TOMBSTONE that begins it is applied as it comes, by a person, or
// only what the partner stated was not right before.
func TestALadderOfTombs(t *testing.T) {
	warmCoders(t)
	for name, play := range map[string]func(*hour, *ladder){
		"as it comes": func(h *hour, l *ladder) {
			f := h.foe
			f.hands(f.sign(message.Header{Kind: message.Tombstone, Prec: noroshi.Priority, Form: message.ControlForm}, tombs(tomb(l.epoch, 1))))
		},
		"by a person": func(h *hour, l *ladder) {
			f := h.foe
			m := f.sign(message.Header{Kind: message.Tombstone, Prec: noroshi.Priority, Form: message.ControlForm, Created: f.now().Add(40 * time.Hour)}, tombs(tomb(l.epoch, 1)))
			f.hands(m)
			if why := h.heldOf()[m.ID()]; why != "ahead" {
				h.t.Fatalf("what is dated ahead is held for %q", why)
			}
			by := h.v.officer("duty", noroshi.Duty)(noroshi.ActDecideHeld, m.ID().String(), courier.HeldBound(m.ID(), true))
			if err := h.v.running().DecideHeld(context.Background(), courier.HeldDecision{Message: m.ID(), Apply: true, By: by}); err != nil {
				h.t.Fatal(err)
			}
			synctest.Wait()
		},
		"stated anew": func(h *hour, l *ladder) {
			f := h.foe
			right := f.keys
			f.keys = l.wrong
			h.v.takeKeys(f.node)
			synctest.Wait()
			f.hands(f.sign(message.Header{Kind: message.Tombstone, Prec: noroshi.Priority, Form: message.ControlForm}, tombs(tomb(l.epoch, 1))))
			if held := h.heldOf(); len(held) != 1 || held[l.rungs[rungs-1].ID()] != "key-chain" || !slices.Contains(h.v.subjects(noroshi.ActAlarm), "key-chain") {
				h.t.Errorf("held of another chain: %v", held)
			}
			f.keys = right
			h.v.takeKeys(f.node)
			synctest.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, 21)
			synctest.Test(t, func(t *testing.T) {
				h, f, _ := twoFoes(t, 0)
				l := f.ladder()
				h.v.takeKeys(f.node)
				synctest.Wait()
				for _, m := range slices.Backward(l.rungs) {
					f.hands(m)
				}
				if held := h.heldOf(); len(held) != rungs || held[l.rungs[0].ID()] != "key-chain" {
					t.Fatalf("held before the first is closed: %v", held)
				}
				play(h, l)
				if n := h.closed(l.epoch); n != 2*rungs+1 || len(h.heldOf()) > 0 {
					t.Errorf("%d sequences of %d are closed, held %v", n, 2*rungs+1, h.heldOf())
				}
				if n := h.v.running().Counters().Chained; n > 8*(2*rungs+1) {
					t.Errorf("%d sequences were gone over, of %d", n, 2*rungs+1)
				}
			})
		})
	}
}

// busy takes the victim's writer, as soon as what is urgent and waits by now has had
// it, until it is let go.
func (h *hour) busy() (let func()) {
	free := make(chan struct{})
	go func() {
		_, err := h.v.store.Do(context.Background(), noroshi.Act{Action: noroshi.ActConfigure, Subject: "busy", Precedence: noroshi.Flash}, func(*store.Tx) error {
			<-free
			return nil
		})
		if err != nil {
			h.t.Error(err)
		}
	}()
	synctest.Wait()
	return func() { close(free); synctest.Wait() }
}

// closes hands the victim a TOMBSTONE that overtakes what is not urgent.
func (f *foe) closes(e message.Epoch, seqs ...uint64) {
	f.t.Helper()
	var lines []message.TombstoneBody
	for _, seq := range seqs {
		lines = append(lines, tomb(e, seq))
	}
	f.hands(f.sign(message.Header{Kind: message.Tombstone, Prec: noroshi.Flash, Form: message.ControlForm}, tombs(lines...)))
}

// between is DATA of a foe's under a key that is revoked by now, in an epoch whose
// last good point is the sequence behind it.
func (f *foe) between(deps ...uint64) *message.Message {
	f.t.Helper()
	c, h := f.context(), data(noroshi.Routine)
	c.Epoch, h.Seq, h.Created, h.Deps = freshEpoch(), 2, f.now(), deps
	m, err := message.Sign(f.keys, c, h, f.objects(f.indicator(f.newID(), f.ident, "")))
	if err != nil {
		f.t.Fatal(err)
	}
	chain := message.ChainStart(noroshi.Real, f.id(), f.v.id(), c.Epoch)
	for _, id := range []noroshi.Hash{tomb(c.Epoch, 1).ID, m.ID(), tomb(c.Epoch, 3).ID} {
		chain = message.ChainNext(chain, id)
	}
	f.revoke(f.keys, m.KeyID, message.LastGood{Epoch: c.Epoch, Seq: 3, Chain: chain})
	f.v.takeKeys(f.node)
	synctest.Wait()
	return m
}

// TestReachedWhileItWaits: a last good point is reached while what waits for it is on
// its way to be held, or was just about to be applied when the node stopped. It is
// applied all the same.
func TestReachedWhileItWaits(t *testing.T) {
	warmCoders(t)
	for name, play := range map[string]func(*hour){
		"on its way to be held": func(h *hour) {
			m := h.foe.between(1)
			e := m.Context.Epoch
			h.foe.hands(m)
			let := h.busy()
			h.foe.closes(e, 1) // what it waits for to be looked at
			next := h.busy()
			let()
			h.foe.closes(e, 3)
			let = h.busy()
			next()
			if n := h.closed(e); n != 2 {
				h.t.Fatalf("%d sequences are closed before it is held, want those beside it", n)
			}
			let()
		},
		"when the node stopped": func(h *hour) {
			m := h.foe.between()
			h.foe.hands(m)
			if why := h.heldOf()[m.ID()]; why != "key-chain" {
				h.t.Fatalf("it is held for %q", why)
			}
			let := h.busy()
			h.foe.closes(m.Context.Epoch, 1, 3)
			next := h.busy()
			let()
			go h.v.end()
			synctest.Wait()
			next()
			h.v.open()
			h.v.start()
			synctest.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, 23)
			synctest.Test(t, func(t *testing.T) {
				h, _, _ := twoFoes(t, 0)
				play(h)
				if held := h.heldOf(); len(held) > 0 || h.v.count("indicator") != 1 {
					t.Errorf("held %v, %d indicators in use", held, h.v.count("indicator"))
				}
			})
		})
	}
}
