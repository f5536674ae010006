package courier_test

import (
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/release"
)

// waits makes the second message of a log: it waits for the first, for it is the last good
// one of its key, which is revoked.
func (f *foe) waits(h *hour) *message.Message {
	d := data(noroshi.Routine)
	d.Seq = 2
	m := f.sign(d, f.objects(f.indicator(f.newID(), f.ident, "")))
	chain := message.ChainStart(noroshi.Real, f.id(), f.v.id(), f.epoch)
	chain = message.ChainNext(message.ChainNext(chain, tomb(f.epoch, 1).ID), m.ID())
	f.revoke(f.keys, m.KeyID, message.LastGood{Epoch: f.epoch, Seq: 2, Chain: chain})
	h.v.takeKeys(f.node)
	synctest.Wait()
	return m
}

// TestReadyWhileSuspended: what a message waits for comes while the agreement is
// suspended. It is not applied, and is when the agreement is resumed: at once where the
// link hears of that, in a minute where it heard of neither.
func TestReadyWhileSuspended(t *testing.T) {
	warmCoders(t)
	first := message.Header{Seq: 3, Kind: message.Tombstone, Prec: noroshi.Priority, Form: message.ControlForm}
	for name, waits := range map[string]func(*hour, *foe) *message.Message{
		"for another message": func(_ *hour, f *foe) *message.Message {
			h := data(noroshi.Routine)
			h.Seq, h.Deps = 2, []uint64{1}
			return f.sign(h, f.objects(f.indicator(f.newID(), f.ident, "")))
		},
		"for a last good point": func(h *hour, f *foe) *message.Message { return f.waits(h) },
	} {
		for when, wait := range map[string]time.Duration{"heard of": 0, "not heard of": 2 * time.Minute} {
			heard := wait == 0
			t.Run(name+", "+when, func(t *testing.T) {
				cryptotest.SetGlobalRandom(t, 31)
				synctest.Test(t, func(t *testing.T) {
					h, f, _ := twoFoes(t, 0)
					m := waits(h, f)
					f.hands(m)
					h.v.writeTrust(f.node, noroshi.Introduced, heard)
					synctest.Wait()
					f.hands(f.sign(first, tombs(tomb(f.epoch, 1))), m)
					if n := h.v.count("indicator"); n != 0 {
						t.Errorf("suspended, %d indicators are in use", n)
					}
					h.v.writeTrust(f.node, noroshi.InForce, heard)
					time.Sleep(wait)
					synctest.Wait()
					if n := h.v.count("indicator"); n != 1 || len(h.heldOf()) > 0 {
						t.Errorf("resumed, %d indicators are in use and held are %v", n, h.heldOf())
					}
				})
			})
		}
	}
}

// TestReadyUnderNoAgreement: what a message waits for comes when the agreement it came
// under is over. It is applied under the next one, when the time of that begins.
func TestReadyUnderNoAgreement(t *testing.T) {
	warmCoders(t)
	for name, after := range map[string]time.Duration{"already": -time.Minute, "later": time.Hour} {
		t.Run("begins "+name, func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, 35)
			synctest.Test(t, func(t *testing.T) {
				h, f, _ := twoFoes(t, 0)
				under := func(from, until time.Time) noroshi.Hash {
					file := release.Template(release.Draft{Realm: noroshi.Real, Self: f.party(), Partner: h.v.party(), From: from, Until: until})
					h.v.meet(f.node, file, f.out, f.in)
					synctest.Wait()
					return noroshi.Sum(file)
				}
				f.agreement = under(f.now().AddDate(0, -1, 0), f.now().Add(time.Hour))
				m := f.waits(h)
				f.hands(m)
				time.Sleep(2 * time.Hour)
				f.hands(f.sign(message.Header{Seq: 3, Kind: message.Tombstone, Prec: noroshi.Priority, Form: message.ControlForm}, tombs(tomb(f.epoch, 1))))
				if n, held := h.v.count("indicator"), h.heldOf(); n != 0 || held[m.ID()] != "agreement" {
					t.Fatalf("the agreement is over, %d indicators are in use and held are %v", n, held)
				}
				under(f.now().Add(after), f.now().AddDate(1, 0, 0))
				if n := h.v.count("indicator"); n > 0 && after > 0 {
					t.Errorf("%d indicators are in use before the next one is in force", n)
				}
				time.Sleep(max(after, 0))
				synctest.Wait()
				if n, held := h.v.count("indicator"), h.heldOf(); n != 1 || len(held) > 0 {
					t.Errorf("the next is in force, %d indicators are in use and held are %v", n, held)
				}
			})
		})
	}
}

// TestNoWorkWithoutEnd: while the agreement is suspended a partner sends what would
// fill the only gap below a last good point, again and again. What is above the gap is
// not gone over for it; while the link has not heard of the suspension that is paid for.
func TestNoWorkWithoutEnd(t *testing.T) {
	warmCoders(t)
	for name, heard := range map[string]bool{"heard of": true, "not heard of": false} {
		t.Run(name, func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, 33)
			synctest.Test(t, func(t *testing.T) {
				h, f, _ := twoFoes(t, 0)
				const top, times = 500, 40
				f.epoch, f.seq = freshEpoch(), top
				var gap []*message.Message
				for range times {
					d := data(noroshi.Flash)
					d.Seq = 1
					gap = append(gap, f.sign(d, f.objects(f.indicator(f.newID(), f.ident, ""))))
				}
				f.revoke(f.keys, gap[0].KeyID, message.LastGood{Epoch: f.epoch, Seq: top, Chain: noroshi.Hash{1}})
				h.v.takeKeys(f.node)
				synctest.Wait()
				var lines []message.TombstoneBody
				for seq := uint64(2); seq <= top; seq++ {
					lines = append(lines, tomb(f.epoch, seq))
				}
				f.hands(f.sign(message.Header{Kind: message.Tombstone, Prec: noroshi.Priority, Form: message.ControlForm}, tombs(lines...)))
				h.v.writeTrust(f.node, noroshi.Introduced, heard)
				synctest.Wait()
				was, used := h.v.running().Counters().Chained, h.v.running().Used(f.id())
				f.hands(gap...)
				chained, paid := h.v.running().Counters().Chained-was, h.v.running().Used(f.id())-used
				if n := h.closed(f.epoch); n != top { // the TOMBSTONE, and what it closed
					t.Errorf("%d of its sequences are bound, want %d", n, top)
				}
				if heard && chained > 0 || !heard && paid < times<<10 {
					t.Errorf("%d messages made %d sequences be gone over, and cost their sender %d", times, chained, paid)
				}
			})
		})
	}
}
