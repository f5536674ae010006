package courier_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/intake"
)

// twoWays is a pair with a second channel, mail, that the agreement admits for
// what is TLP:CLEAR at most.
func twoWays(t *testing.T, seed uint64) *pair {
	t.Helper()
	p := newPairUnder(t, seed, 0, 0, func(file string) string {
		file = strings.Replace(file, `channels = ["https"]`, `channels = ["https", "mail"]`, 1)
		return strings.Replace(file, "\n[[clock]]", "\n[[channel]]\nkind = \"mail\"\nmax_tlp = \"tlp:clear\"\n\n[[clock]]", 1)
	})
	mail := &rough{rng: rand.New(rand.NewPCG(seed, 2)), stopped: p.net.stopped}
	t.Cleanup(func() { mail.drain(p.a, p.b) })
	p.a.more = []courier.Channel{&roughEnd{net: mail, from: p.a, to: p.b, kind: noroshi.ChannelMail}}
	p.b.more = []courier.Channel{&roughEnd{net: mail, from: p.b, to: p.a, kind: noroshi.ChannelMail}}
	return p
}

func (n *node) importAt(name string, mark noroshi.TLP) {
	n.t.Helper()
	if _, err := n.gate.Import(context.Background(), strings.NewReader(name+".example.net\n"), intake.ImportOptions{Name: name, Format: "list", Marking: mark}); err != nil {
		n.t.Fatal(err)
	}
}

// subjects returns what the acts of one kind were about.
func (n *node) subjects(of noroshi.Action) (list []string) {
	n.t.Helper()
	for _, e := range n.record() {
		if e.Act.Action == of {
			list = append(list, e.Act.Subject)
		}
	}
	return list
}

// state is how a channel of a node does.
func (n *node) state(channel string) string { return n.path(channel).State }

func (n *node) path(channel string) courier.PathStatus {
	n.t.Helper()
	links, err := n.running().Links(context.Background())
	if err != nil || len(links) != 1 {
		n.t.Fatalf("%d links: %v", len(links), err)
	}
	for _, p := range links[0].Paths {
		if p.Channel == channel {
			return p
		}
	}
	return courier.PathStatus{}
}

// TestALabelKeepsToItsChannels: while the only channel admitted for a label is
// cut, what has it waits, the duty officer is told, and what a further channel
// may carry goes there; nothing takes the weaker path.
func TestALabelKeepsToItsChannels(t *testing.T) {
	t.Parallel()
	p := twoWays(t, 5)
	p.start()
	p.until("both channels answer", 20*time.Second, func() bool { return p.a.state("https") == "proven" && p.a.state("mail") == "proven" })
	p.net.setCut(true)
	p.a.importAt("green", noroshi.Green)
	p.until("the duty officer is told", 20*time.Second, func() bool { return slices.Contains(p.a.subjects(noroshi.ActAlarm), "no-path") })
	if why := p.a.path("https").Why; why.Code != "test.cut" || why.Message == "" {
		t.Errorf("https is down: %+v, want the code of what the channel said", why)
	}
	p.a.importAt("clear", noroshi.Clear)
	p.until("CLEAR came by mail", 20*time.Second, func() bool { return p.b.count("indicator") == 1 })
	p.net.setCut(false)
	p.until("GREEN came by https", 20*time.Second, func() bool { return p.b.count("indicator") == 2 })
	p.until("the changes are on record", 20*time.Second, func() bool {
		changes := p.a.subjects(noroshi.ActChangePath)
		return slices.Contains(changes, "https > mail, failed") && slices.Contains(changes, "mail > https, better")
	})
	// Who gets GREEN by mail raises an alarm: see below.
	if got := p.b.subjects(noroshi.ActAlarm); slices.Contains(got, "weak-path") {
		t.Errorf("alarms at the other end: %v", got)
	}
}

// second is a channel to another place of the partner.
type second struct {
	courier.Channel
	there bool
}

func (second) Name() string { return "https:2" }

func (s second) Leads(noroshi.Partner) bool { return s.there }

// TestAPlaceThatThereIsNot: what leads to no place that the partner has is no path,
// and no change to it is on record when the only other one fails.
func TestAPlaceThatThereIsNot(t *testing.T) {
	t.Parallel()
	for _, there := range []bool{true, false} {
		p := newPair(t, 7, 0, 0)
		uncut := &rough{rng: rand.New(rand.NewPCG(7, 2)), stopped: p.net.stopped}
		t.Cleanup(func() { uncut.drain(p.a, p.b) })
		p.a.more = []courier.Channel{second{&roughEnd{net: uncut, from: p.a, to: p.b}, there}}
		p.start()
		p.until("all there is answers", 20*time.Second, func() bool { return p.a.state("https") == "proven" && (!there || p.a.state("https:2") == "proven") })
		p.net.setCut(true)
		p.a.importAt("green", noroshi.Green)
		p.until("https is lost, on record", 20*time.Second, func() bool {
			changes := p.a.subjects(noroshi.ActChangePath)
			return len(changes) > 0 && strings.HasPrefix(changes[0], "https > ")
		})
		if to := p.a.subjects(noroshi.ActChangePath)[0]; strings.Contains(to, "https:2") != there {
			t.Errorf("there is a second place: %t, and the first change is %q", there, to)
		}
	}
}

// TestObjectsByAWeakerChannel: what comes by a channel its label is not admitted
// for is kept, and told.
func TestObjectsByAWeakerChannel(t *testing.T) {
	t.Parallel()
	p := twoWays(t, 6)
	p.start()
	p.until("confirmed", 20*time.Second, func() bool { return p.a.state("https") == "proven" && p.b.state("https") == "proven" })
	p.net.mu.Lock()
	p.net.watch = true
	p.net.mu.Unlock()
	p.a.importAt("green", noroshi.Green)
	p.until("it came", 20*time.Second, func() bool { return p.b.count("indicator") == 1 })
	p.net.mu.Lock()
	seen := slices.Clone(p.net.seen)
	p.net.mu.Unlock()
	for _, envelope := range seen {
		_ = p.b.running().Receive(t.Context(), "mail", p.a.id(), envelope)
	}
	p.until("told", 20*time.Second, func() bool { return slices.Contains(p.b.subjects(noroshi.ActAlarm), "weak-path") })
}
