package courier_test

import (
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// TestReturnKeepsToItsChannels: what a partner gives back of ours goes by no channel
// that the agreement does not admit for it, as when it was sent. While the one that
// is admitted is cut it waits, and what may go by the other goes.
func TestReturnKeepsToItsChannels(t *testing.T) {
	t.Parallel()
	p := twoWays(t, 8)
	p.start()
	p.until("both channels answer", 20*time.Second, func() bool { return p.a.state("https") == "proven" && p.a.state("mail") == "proven" })
	at := p.a.copyOf()
	p.until("the link is confirmed", 20*time.Second, p.settled)
	p.a.importAt("clear", noroshi.Clear)
	p.until("CLEAR came", 20*time.Second, func() bool { return p.b.count("indicator") == 1 && p.settled() })
	p.a.importAt("green", noroshi.Green)
	p.until("GREEN came", 20*time.Second, func() bool { return p.b.count("indicator") == 2 && p.settled() })
	p.net.setCut(true)
	p.a.putBack(at, true, true)
	p.until("CLEAR came back by mail", 20*time.Second, func() bool { return len(p.a.own()) == 1 })
	_, from := p.a.running().Told(p.b.id())
	p.until("B has said more", 20*time.Second, func() bool { _, now := p.a.running().Told(p.b.id()); return now >= from+4 })
	if n, got := len(p.a.own()), p.a.link().Recovering; n != 1 || got != "tail" {
		t.Errorf("%d objects came back and A waits for %q while GREEN cannot come, want 1 and the tail", n, got)
	}
	p.net.setCut(false)
	p.until("GREEN came back by https", 20*time.Second, func() bool { return len(p.a.own()) == 2 && p.a.recovered() })
}

// TestReturnIsSealedForItsChannels: whatever chose the channel of a RETURN, and
// however long ago, it is not sealed for one that may not carry all that is in it.
func TestReturnIsSealedForItsChannels(t *testing.T) {
	t.Parallel()
	p := twoWays(t, 9)
	p.start()
	p.until("confirmed", 20*time.Second, func() bool { return p.b.state("https") == "proven" })
	p.a.importAt("clear", noroshi.Clear)
	p.until("CLEAR came", 20*time.Second, func() bool { return p.b.count("indicator") == 1 && p.settled() })
	p.a.importAt("green", noroshi.Green)
	p.until("GREEN came", 20*time.Second, func() bool { return p.b.count("indicator") == 2 && p.settled() })
	rows, err := p.b.store.In(t.Context(), p.a.id(), p.a.sentIn(), 1, 100)
	if err != nil {
		t.Fatal(err)
	}
	by := map[string][]*message.Message{}
	for _, row := range rows {
		m, err := message.DecodeSigned(noroshi.Real, row.Signed)
		if err != nil {
			t.Fatal(err)
		}
		by[m.Header.Label] = append(by[m.Header.Label], m)
	}
	control, clear, green := by[""], by["TLP:CLEAR"], by["TLP:GREEN"]
	if len(control)*len(clear)*len(green) == 0 {
		t.Fatalf("of control %d, CLEAR %d, GREEN %d came, want some of each", len(control), len(clear), len(green))
	}
	for _, c := range []struct {
		name string
		list []*message.Message
		mail bool
	}{
		{"control", control, true},
		{"CLEAR", append(clear, control...), true},
		{"GREEN", green, false},
		{"both", append(append(control, clear...), green...), false},
	} {
		if err := p.b.running().SealReturn(p.a.id(), noroshi.ChannelHTTPS, c.list); err != nil {
			t.Errorf("%s for https: %v", c.name, err)
		}
		if err := p.b.running().SealReturn(p.a.id(), noroshi.ChannelMail, c.list); (err == nil) != c.mail {
			t.Errorf("%s for mail: %v, want it sealed %t", c.name, err, c.mail)
		}
		if err := p.b.running().SealReturn(p.a.id(), noroshi.ChannelMedia, c.list); err == nil {
			t.Errorf("%s is sealed for media, which the agreement does not list", c.name)
		}
	}
}
