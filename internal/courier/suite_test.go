package courier_test

import (
	"crypto/rand"
	mrand "math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/tier"
)

// suited is a pair whose agreement lists S1 and S1H, of which https takes S1H
// alone and mail S1 alone, and who have the keys for both.
func suited(t *testing.T, seed uint64) (p *pair, mail *rough) {
	t.Helper()
	return suitedFrom(t, seed, time.Now())
}

// suitedFrom is suited with keys of S1H that are good from a time.
func suitedFrom(t *testing.T, seed uint64, from time.Time) (p *pair, mail *rough) {
	t.Helper()
	p = newPairUnder(t, seed, 0, 0, func(file string) string {
		file = strings.Replace(file, `suites = ["S1", "S2"]`, `suites = ["S1", "S1H"]`, 1)
		file = strings.Replace(file, `channels = ["https"]`, `channels = ["https", "mail"]`, 1)
		return strings.Replace(file, "\n[[clock]]", "\n[[channel]]\nkind = \"https\"\nsuites = [\"S1H\"]\n\n[[channel]]\nkind = \"mail\"\nsuites = [\"S1\"]\n\n[[clock]]", 1)
	})
	p.strengthenAt(from)
	mail = &rough{rng: mrand.New(mrand.NewPCG(seed, 2)), stopped: p.net.stopped, watch: true}
	p.net.watch = true
	p.calm()
	t.Cleanup(func() { mail.drain(p.a, p.b) })
	p.a.more = []courier.Channel{&roughEnd{net: mail, from: p.a, to: p.b, kind: noroshi.ChannelMail}}
	p.b.more = []courier.Channel{&roughEnd{net: mail, from: p.b, to: p.a, kind: noroshi.ChannelMail}}
	return p, mail
}

// TestSuitesByChannel: what a channel carries is sealed as the agreement says for
// that kind, and nothing else is taken from it: what comes under a weaker suite is
// kept for a person, and the partner is told.
func TestSuitesByChannel(t *testing.T) {
	t.Parallel()
	p, mail := suited(t, 7)
	p.start()
	p.until("both channels answer", 20*time.Second, func() bool { return p.a.state("https") == "proven" && p.a.state("mail") == "proven" })
	p.a.importAt("one", noroshi.Green)
	p.until("it came", 20*time.Second, func() bool { return p.b.count("indicator") == 1 })
	p.net.setCut(true)
	p.a.importAt("two", noroshi.Green)
	p.until("the second came by mail", 20*time.Second, func() bool { return p.b.count("indicator") == 2 })
	p.net.setCut(false)
	for n, want := range map[*rough]message.Suite{p.net: message.S1H, mail: message.S1} {
		n.mu.Lock()
		for _, e := range n.seen {
			if got := message.Suite(e[0]); got != want {
				t.Errorf("an envelope of %s, want %s alone", got, want)
			}
		}
		n.mu.Unlock()
	}
	ends, err := p.a.running().Ends(t.Context(), p.a.store.Reads, time.Time{})
	if err != nil || len(ends) != 1 {
		t.Fatalf("ends: %v, %v", ends, err)
	}
	weak := p.forged(p.a.keys, ends[0].Epoch, ends[0].Seq+1, "weak.example.net")
	if err := p.b.running().Receive(t.Context(), "https", p.a.id(), weak); code(err) != "message.suite" {
		t.Errorf("S1 on https: got %v", err)
	}
	if got, other := p.b.quarantined("message.suite"), p.b.quarantined("message.refused"); got != 1 || other != 0 {
		t.Errorf("%d kept of what came under another suite, and %d for another reason, want 1 alone", got, other)
	}
	p.until("the partner is told", 20*time.Second, func() bool { return slices.Contains(p.a.subjects(noroshi.ActAlarm), "refused-suite") })
	if err := p.b.running().Receive(t.Context(), "mail", p.a.id(), weak); err != nil {
		t.Errorf("the same by mail: got %v", err)
	}
	p.net.mu.Lock()
	high := slices.Clone(p.net.seen[0])
	p.net.mu.Unlock()
	if err := p.b.running().Receive(t.Context(), "mail", p.a.id(), high); code(err) != "message.suite" {
		t.Errorf("S1H by mail: got %v", err)
	}
}

// TestSuiteWithoutKeys: where the only suite agreed for a channel has no key yet,
// nothing weaker goes; it goes once the key is there.
func TestSuiteWithoutKeys(t *testing.T) {
	t.Parallel()
	p := newPairUnder(t, 8, 0, 0, onlyS1H)
	p.net.watch = true
	p.calm()
	p.start()
	p.a.importAt("one", noroshi.Green)
	p.until("the duty officer is told", 20*time.Second, func() bool { return slices.Contains(p.a.subjects(noroshi.ActAlarm), "no-path") })
	if got := p.b.count("indicator"); got != 0 {
		t.Errorf("%d indicators came without a key for the suite agreed", got)
	}
	p.strengthen()
	p.until("it came", 20*time.Second, func() bool { return p.b.count("indicator") == 1 })
}

// TestTheSuspendedIsHeard: B suspends the agreement, and A has not heard of it. What A
// says under a suite that only the agreement lists is taken all the same: a RECALL.
func TestTheSuspendedIsHeard(t *testing.T) {
	t.Parallel()
	p := newPairUnder(t, 8, 0, 0, onlyS1H)
	p.net.watch = true
	p.calm()
	p.strengthen()
	p.start()
	p.a.importAt("one", noroshi.Green)
	p.until("it came", 20*time.Second, func() bool { return p.b.count("indicator") == 1 && p.settled() })
	weak := p.net.under(message.S1)
	p.b.suspend(p.a)
	p.until("B goes by no agreement", 20*time.Second, func() bool { return p.net.under(message.S1) > weak })
	p.a.recall(p.a.running(), p.a.own()[0], message.RecallStopUse)
	p.until("B takes it back", 20*time.Second, p.usable(0))
}

// TestKeysInTime: the keys of a suite come into use and go out of it by the clock
// alone, with no paper that would tell. What waited for one goes when its time has
// come; what would wait for ever for one whose time is over goes by another channel.
func TestKeysInTime(t *testing.T) {
	t.Parallel()
	t.Run("comes", func(t *testing.T) {
		t.Parallel()
		p := newPairUnder(t, 9, 0, 0, onlyS1H)
		p.calm()
		later := p.clocked()
		p.strengthenAt(time.Now().Add(time.Hour))
		p.start()
		p.a.importAt("one", noroshi.Green)
		p.until("the duty officer is told", 20*time.Second, func() bool { return slices.Contains(p.a.subjects(noroshi.ActAlarm), "no-path") })
		if got := p.b.count("indicator"); got != 0 {
			t.Errorf("%d indicators came under a key whose time has not come", got)
		}
		later(time.Hour)
		p.until("it came", 20*time.Second, func() bool { return p.b.count("indicator") == 1 })
	})
	t.Run("goes", func(t *testing.T) {
		t.Parallel()
		p, mail := suitedFrom(t, 10, time.Now().Add(time.Hour-keyLife(t)))
		later := p.clocked()
		p.start()
		p.until("both channels answer", 20*time.Second, func() bool { return p.a.state("https") == "proven" && p.a.state("mail") == "proven" })
		p.a.importAt("one", noroshi.Green)
		p.until("it came", 20*time.Second, func() bool { return p.b.count("indicator") == 1 && p.settled() })
		var was int
		p.between(func() {
			later(2 * time.Hour)
			was = p.net.under(message.S1H)
		})
		if was == 0 {
			t.Error("the first did not go by https under S1H")
		}
		p.a.importAt("two", noroshi.Green)
		p.until("the second came by mail", 20*time.Second, func() bool { return p.b.count("indicator") == 2 })
		if got := p.net.under(message.S1H); got != was {
			t.Errorf("%d envelopes under a key whose time is over", got-was)
		}
		if mail.under(message.S1) == 0 {
			t.Error("nothing went by mail")
		}
	})
}

// keyLife is for how long keys are good.
func keyLife(t *testing.T) time.Duration {
	t.Helper()
	keys, err := message.NewKeyring(noroshi.Real, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	k := keys.Keyset().Keys[0]
	return k.Until.Sub(k.From)
}

// under counts the envelopes seen of a suite.
func (n *rough) under(s message.Suite) (count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.seen {
		if message.Suite(e[0]) == s {
			count++
		}
	}
	return count
}

// clocked has both sides read one clock, which may be put forward.
func (p *pair) clocked() (later func(time.Duration)) {
	var ahead atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	p.a.clock, p.b.clock = clock, clock
	return func(d time.Duration) { ahead.Add(int64(d)) }
}

// onlyS1H is an agreement of which https takes S1H alone.
func onlyS1H(file string) string {
	file = strings.Replace(file, `suites = ["S1", "S2"]`, `suites = ["S1", "S1H"]`, 1)
	return strings.Replace(file, "\n[[clock]]", "\n[[channel]]\nkind = \"https\"\nsuites = [\"S1H\"]\n\n[[clock]]", 1)
}

// strengthen gives both sides keys of S1H that the other knows.
func (p *pair) strengthen() { p.t.Helper(); p.strengthenAt(time.Now()) }

// strengthenAt gives them keys that are good from a time.
func (p *pair) strengthenAt(from time.Time) {
	p.t.Helper()
	for _, ends := range [][2]*node{{p.a, p.b}, {p.b, p.a}} {
		if err := ends[0].keys.Strengthen(rand.Reader, from); err != nil {
			p.t.Fatal(err)
		}
		ends[1].takeKeys(ends[0])
	}
}

// calm has both sides speak no more often than keys of S1H can be used under the
// race detector.
func (p *pair) calm() {
	if tier.Raced {
		p.a.beat, p.b.beat = 3*time.Second, 3*time.Second
	}
}

// quarantined counts what is kept under a code.
func (n *node) quarantined(code string) (count int) {
	n.t.Helper()
	list, err := n.store.QuarantineList(n.t.Context(), 0, 100)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, q := range list {
		if q.Code == code {
			count++
		}
	}
	return count
}
