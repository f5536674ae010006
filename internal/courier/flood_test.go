package courier_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/tier"
)

// twoFoes is a victim with two partners whose keys the test holds.
func twoFoes(t *testing.T, quota int64) (h *hour, a, b *foe) {
	h = newHour(t, true)
	h.v.quota = quota
	other := h.node("AUS-01", 4)
	b = &foe{node: other, v: h.v, rng: h.rng, in: []byte(strings.Repeat("e", 32)), out: []byte(strings.Repeat("f", 32)), epoch: freshEpoch()}
	file := h.agreement(other, h.v)
	b.agreement = noroshi.Sum(file)
	h.v.meet(other, file, b.out, b.in)
	h.v.wire, h.v.beat = nobody{}, time.Hour
	h.v.start()
	synctest.Wait()
	return h, h.foe, b
}

// nobody is a channel on which nobody listens.
type nobody struct{ wires }

func (nobody) Traits() message.Traits                                                  { return message.Traits{Kind: noroshi.ChannelHTTPS, Cost: 1} }
func (nobody) Send(context.Context, noroshi.Partner, noroshi.Precedence, []byte) error { return nil }

// came lists whose messages the victim received, in the order of its ledger.
func (h *hour) came() (list []noroshi.NodeID) {
	for _, e := range h.v.record() {
		if e.Act.Action == noroshi.ActReceive {
			list = append(list, e.Act.Partner)
		}
	}
	return list
}

// TestAFloodDelaysAFlashByOneAct: one partner floods with FLASH and bulk while the
// writer is busy, until every place it has is full; then another partner's FLASH
// comes. What the flood has ahead of it is one act of each of its lanes, which is
// what one fragment is to a wire.
func TestAFloodDelaysAFlashByOneAct(t *testing.T) {
	warmCoders(t)
	cryptotest.SetGlobalRandom(t, 6)
	synctest.Test(t, func(t *testing.T) {
		h, flood, good := twoFoes(t, 0)
		free, held := make(chan struct{}), make(chan struct{})
		go func() {
			_, err := h.v.store.Do(context.Background(), noroshi.Act{Action: noroshi.ActConfigure, Subject: "busy"}, func(*store.Tx) error {
				close(held)
				<-free
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}()
		<-held
		for i := range 120 {
			p := []noroshi.Precedence{noroshi.Flash, noroshi.Flash, noroshi.Routine}[i%3]
			e := flood.seal(message.Plain{Message: flood.sign(data(p), flood.objects(flood.indicator(flood.newID(), flood.ident, "")))})
			go func() { _ = flood.hand(e) }()
		}
		time.Sleep(time.Second) // all that has a place is in it
		if n := len(h.came()); n != 0 {
			t.Fatalf("%d messages are kept, though the writer is busy", n)
		}
		e := good.seal(message.Plain{Message: good.sign(data(noroshi.Flash), good.objects(good.indicator(good.newID(), good.ident, "")))})
		go func() { _ = good.hand(e) }()
		synctest.Wait()
		close(free)
		time.Sleep(time.Minute)
		came := h.came()
		at := slices.Index(came, good.id())
		if at < 0 || at > 2 || len(came) < 80 {
			t.Errorf("the FLASH was kept behind %d messages of the flood, of %d in all", at, len(came))
		}
	})
}

// TestQuota: what a partner makes a node keep in a day ends somewhere, FLASH and
// control a little later; another partner is not touched; the count survives a
// restart and ends with the day.
func TestQuota(t *testing.T) {
	warmCoders(t)
	cryptotest.SetGlobalRandom(t, 7)
	synctest.Test(t, func(t *testing.T) {
		const quota = 4 << 20
		h, greedy, good := twoFoes(t, quota)
		send := func(f *foe, p noroshi.Precedence, size int) error {
			m := f.sign(data(p), f.objects(f.indicator(f.newID(), f.ident, `,"description":"`+strings.Repeat("x", size)+`"`)))
			err := f.hand(f.seal(message.Plain{Message: m}))
			synctest.Wait()
			if err != nil {
				f.seq-- // it comes again
			}
			return err
		}
		fill := func(f *foe, p noroshi.Precedence, size int) (n int) {
			for send(f, p, size) == nil && n < 1000 {
				n++
			}
			return n
		}
		if n := fill(greedy, noroshi.Routine, 200_000); n < quota/220_000 || n > quota/200_000+1 {
			t.Errorf("%d messages of 200,000 bytes were taken under a quota of 4 MiB", n)
		}
		if n := fill(greedy, noroshi.Flash, 8000); n < 5 || n > 8 { // 64 KiB
			t.Errorf("%d FLASH of 8,000 bytes were taken of a reserve of 64 KiB", n)
		}
		if err := send(good, noroshi.Routine, 1000); err != nil {
			t.Errorf("another partner: %v", err)
		}
		h.v.end()
		h.v.open()
		h.v.start()
		synctest.Wait()
		if n := fill(greedy, noroshi.Routine, 200_000); n > 5 { // what did not fill a MiB is forgotten
			t.Errorf("%d more were taken after a restart", n)
		}
		if got := h.v.subjects(noroshi.ActAlarm); !slices.Contains(got, "quota") {
			t.Errorf("no alarm: %v", got)
		}
		time.Sleep(24 * time.Hour)
		if n := fill(greedy, noroshi.Routine, 200_000); n < quota/220_000 {
			t.Errorf("%d messages were taken the next day", n)
		}
	})
}

// TestQuotaCountsOnce: a message that waits for another before it is applied costs
// its sender as much as one that does not.
func TestQuotaCountsOnce(t *testing.T) {
	warmCoders(t)
	cryptotest.SetGlobalRandom(t, 9)
	synctest.Test(t, func(t *testing.T) {
		h, a, b := twoFoes(t, 0)
		for f, order := range map[*foe][]int{a: {0, 1}, b: {1, 0}} {
			var list []*message.Message
			for _, deps := range [][]uint64{nil, {1}} {
				head := data(noroshi.Routine)
				head.Deps = deps
				list = append(list, f.sign(head, f.objects(f.indicator(f.newID(), f.ident, `,"description":"`+strings.Repeat("x", 20_000)+`"`))))
			}
			for _, i := range order {
				if err := f.hand(f.seal(message.Plain{Message: list[i]})); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
		}
		if n := h.v.count("indicator"); n != 4 {
			t.Fatalf("%d objects are there, want 4", n)
		}
		straight, waited := h.v.running().Used(a.id()), h.v.running().Used(b.id())
		if straight < 40_000 || max(straight, waited)-min(straight, waited) > 100 { // the indicators' names differ in length
			t.Errorf("two messages cost %d, and %d where one waited", straight, waited)
		}
	})
}

// TestWhatIsRefusedIsOnRecord: the first for each reason at once, what follows
// within a minute as one act with its number.
func TestWhatIsRefusedIsOnRecord(t *testing.T) {
	warmCoders(t)
	cryptotest.SetGlobalRandom(t, 8)
	synctest.Test(t, func(t *testing.T) {
		h, f, _ := twoFoes(t, 0)
		for range tier.N(20, 500) {
			_ = f.hand(f.raw(noise(200)))
			m := *f.sign(data(noroshi.Routine), f.objects([]byte("{}")))
			m.Signature = bytes.Repeat([]byte{7}, len(m.Signature))
			_ = f.hand(f.seal(message.Plain{Message: &m}))
		}
		time.Sleep(2 * time.Minute)
		var got []string
		for _, e := range h.v.record() {
			if e.Act.Action == noroshi.ActQuarantine {
				got = append(got, fmt.Sprint(e.Act.Subject, " ", e.Act.Count))
			}
		}
		n := tier.N(20, 500)
		want := []string{"message.form 1", "message.signature 1", fmt.Sprintf("message.form %d", n-1), fmt.Sprintf("message.signature %d", n-1)}
		slices.Sort(want)
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("on record are %q, want %q", got, want)
		}
	})
}

// TestWhoAsksWithoutEnd: what a node holds of a long stream is looked up for a
// partner so often and no more.
func TestWhoAsksWithoutEnd(t *testing.T) {
	warmCoders(t)
	cryptotest.SetGlobalRandom(t, 12)
	synctest.Test(t, func(t *testing.T) {
		h := newHour(t, true)
		h.v.beat = time.Hour
		h.start()
		f := h.foe
		ask := assaults[slices.IndexFunc(assaults, func(a assault) bool { return a.name == "what do you hold" })]
		for range 100 {
			_ = f.hand(f.locked(func(f *foe) []byte { return f.state(nil) })) // so that it is known
			_ = f.hand(f.locked(func(f *foe) []byte { return ask.do(f)[0] }))
			synctest.Wait()
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.answers < 5 || f.answers > 10 {
			t.Errorf("%d of 100 questions about 2,000,000 sequences were answered at once, want some 8", f.answers)
		}
	})
}
