package courier_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// letters is a mail that holds what is large while it is told to, as gateways do.
type letters struct {
	courier.Channel
	net  *rough
	mu   sync.Mutex
	hold bool
	kept [][]byte
}

func (m *letters) Send(ctx context.Context, p noroshi.Partner, prec noroshi.Precedence, envelope []byte) error {
	m.mu.Lock()
	hold := m.hold && len(envelope) > 2100
	if hold {
		m.kept = append(m.kept, envelope)
	}
	m.mu.Unlock()
	if hold {
		return nil
	}
	return m.Channel.Send(ctx, p, prec, envelope)
}

// held says how many letters are under way, and what becomes of later ones.
func (m *letters) held(hold bool) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hold = hold
	return len(m.kept)
}

// newPairWithMail is a pair that agreed on https and mail, and what holds the letters
// that a sends.
func newPairWithMail(t *testing.T, seed uint64) (*pair, *letters) {
	t.Helper()
	p := newPairUnder(t, seed, 0, 0, func(file string) string {
		return strings.Replace(file, `channels = ["https"]`, `channels = ["https", "mail"]`, 1)
	})
	net := &rough{rng: rand.New(rand.NewPCG(seed, 2)), stopped: p.net.stopped}
	t.Cleanup(func() { net.drain(p.a, p.b) })
	mail := &letters{net: net, Channel: &roughEnd{net: net, from: p.a, to: p.b, kind: noroshi.ChannelMail}}
	p.a.more = []courier.Channel{mail}
	p.b.more = []courier.Channel{&roughEnd{net: net, from: p.b, to: p.a, kind: noroshi.ChannelMail}}
	return p, mail
}

// TestLostMayStillCome: a node that was put back has forgotten what it sent by mail,
// and its partner has only heard of it. While a letter may be under way it is not
// closed, and persons see until when; one that comes meanwhile is taken as ever, and
// what has not come by then is closed.
func TestLostMayStillCome(t *testing.T) {
	t.Parallel()
	for name, comes := range map[string]bool{"it comes": true, "it does not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, mail := newPairWithMail(t, 81)
			var ahead atomic.Int64
			clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			p.a.clock, p.b.clock = clock, clock
			p.start()
			p.until("the link is confirmed", 20*time.Second, p.settled)
			at := p.a.copyOf()
			p.until("the link is confirmed again", 20*time.Second, p.settled)
			p.net.setCut(true)
			mail.held(true)
			p.a.importLarge("lost.json", 0, 1)
			p.until("it is under way, and the partner heard of it", 20*time.Second, func() bool { return mail.held(true) > 0 && len(p.b.link().Missing) > 0 })
			mail.held(true)
			p.a.end()
			n := mail.held(false)
			p.net.setCut(false)
			p.a.putBack(at, true, true)
			p.until("persons see that it may come", 20*time.Second, func() bool { return !p.a.link().LostUntil.IsZero() && p.a.recovered() })
			if until, l := p.a.link().LostUntil.Sub(clock()), p.a.link(); l.Lost == 0 || until < 71*time.Hour || until > 73*time.Hour {
				t.Errorf("%d lost, closed in %v, want some and 72 h", l.Lost, until)
			}
			ahead.Add(int64(71 * time.Hour))
			_, from := p.b.running().Told(p.a.id())
			p.until("much has been said", 20*time.Second, func() bool { _, now := p.b.running().Told(p.a.id()); return now >= from+8 })
			closed := func() int {
				tombs, err := p.b.store.Docs(t.Context(), "courier-tombstone")
				if err != nil {
					t.Fatal(err)
				}
				return len(tombs)
			}
			if closed() > 0 || p.a.link().LostUntil.IsZero() {
				t.Fatalf("%d sequences that may be under way are closed", closed())
			}
			if comes {
				mail.mu.Lock()
				kept := mail.kept[:n]
				mail.mu.Unlock()
				for _, envelope := range kept {
					_ = p.b.running().Receive(t.Context(), noroshi.ChannelMail, p.a.id(), envelope)
				}
				p.until("it is there", 20*time.Second, func() bool { return p.b.count("indicator") == 1 })
			} else {
				ahead.Add(int64(2 * time.Hour))
			}
			p.until("nothing is missing", 20*time.Second, func() bool { return p.settled() && p.a.link().LostUntil.IsZero() && (comes || closed() > 0) })
			if n := closed(); (n == 0) != comes {
				t.Errorf("%d sequences are closed, want some: %t", n, !comes)
			}
			if k := p.b.running().Counters(); k.Seconds != 0 {
				t.Errorf("%d second ids", k.Seconds)
			}
			p.intact()
		})
	}
}

// TestLettersInTheWrongOrder: of two letters that were under way when their sender was
// put back, the later one comes first. Nothing below it is closed while the other may
// come, and both are taken back when it does. When it comes too late its content is
// kept for a person at its receiver, and nothing else is held up.
func TestLettersInTheWrongOrder(t *testing.T) {
	t.Parallel()
	for name, intime := range map[string]bool{"in time": true, "too late": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, mail := newPairWithMail(t, 92)
			var ahead atomic.Int64
			clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			p.a.clock, p.b.clock = clock, clock
			p.start()
			p.until("the link is confirmed", 20*time.Second, p.settled)
			at := p.a.copyOf()
			p.until("the link is confirmed again", 20*time.Second, p.settled)
			p.net.setCut(true)
			mail.held(true)
			p.a.importLarge("first.json", 0, 1)
			p.until("the first is under way", 20*time.Second, func() bool { return len(mail.of(0, 7_000)) > 0 && len(p.b.link().Missing) > 0 })
			noise := make([]byte, 9000)
			_, _ = rand.NewChaCha8([32]byte{92}).Read(noise)
			p.a.bundle("second.json", domain("indicator--0a0b0c0d-0003-4000-8000-000000000001", "second", noroshi.Green, fmt.Sprintf(`,"created_by_ref":%q,"description":"%x"`, p.a.ident, noise)))
			p.until("the second is", 20*time.Second, func() bool { return len(mail.of(7_000, 1<<20)) > 0 })
			p.a.end()
			mail.held(false)
			first, second := mail.of(0, 7_000)[0], mail.of(7_000, 1<<20)[0]
			p.net.setCut(false)
			p.a.putBack(at, true, true)
			p.until("persons see that something may come", 20*time.Second, func() bool { return !p.a.link().LostUntil.IsZero() && p.a.recovered() })
			come := func(letter []byte) {
				t.Helper()
				if err := p.b.running().Receive(t.Context(), noroshi.ChannelMail, p.a.id(), letter); err != nil {
					t.Fatal(err)
				}
			}
			closed := func() int {
				tombs, err := p.b.store.Docs(t.Context(), "courier-tombstone")
				if err != nil {
					t.Fatal(err)
				}
				return len(tombs)
			}
			come(second)
			p.until("the second is there", 20*time.Second, func() bool { return p.b.count("indicator") == 1 })
			_, from := p.b.running().Told(p.a.id())
			p.until("much has been said", 20*time.Second, func() bool { _, now := p.b.running().Told(p.a.id()); return now >= from+8 })
			if l := p.a.link(); closed() > 0 || len(p.a.own()) > 0 || l.LostUntil.IsZero() || l.Recovering != "" {
				t.Fatalf("while the first may come %d sequences are closed, %d objects back: %+v", closed(), len(p.a.own()), l)
			}
			want, seconds := 2, int64(0)
			if intime {
				come(first)
			} else {
				want, seconds = 1, 1
				ahead.Add(int64(73 * time.Hour))
				p.until("the first is closed", 20*time.Second, func() bool { return closed() > 0 && len(p.a.own()) == 1 && p.settled() })
				come(first)
				come(first)
				p.until("it is kept for a person", 20*time.Second, func() bool { return p.b.running().Counters().Seconds > 0 })
			}
			p.until("all is back that may", 20*time.Second, func() bool {
				return len(p.a.own()) == want && p.b.count("indicator") == want && p.a.recovered() && p.settled() && p.a.link().LostUntil.IsZero()
			})
			list, err := p.b.store.QuarantineList(t.Context(), 0, 10)
			if err != nil || int64(len(list)) != seconds || seconds > 0 && (list[0].Code != "message.second" || !strings.Contains(string(list[0].Raw), "large-0")) {
				t.Errorf("in quarantine %+v, %v", list, err)
			}
			if (closed() == 0) != intime {
				t.Errorf("%d sequences are closed, want some: %t", closed(), !intime)
			}
			p.intact()
		})
	}
}

// TestMoreIsReturnedThanAsked: of three letters that were under way when their sender
// was put back, the first and the last come. Their receiver gives both back, though it
// was asked for the first alone: the last waits, or the sequence of the one between
// would be closed, which may still come, does, and is taken back with it.
func TestMoreIsReturnedThanAsked(t *testing.T) {
	t.Parallel()
	p, mail := newPairWithMail(t, 93)
	p.start()
	p.until("the link is confirmed", 20*time.Second, p.settled)
	at := p.a.copyOf()
	p.until("the link is confirmed again", 20*time.Second, p.settled)
	p.net.setCut(true)
	mail.held(true)
	var list [][]byte
	for i, least := range []int{2_101, 7_000, 15_000} {
		noise := make([]byte, least)
		_, _ = rand.NewChaCha8([32]byte{93, byte(i)}).Read(noise)
		id := fmt.Sprintf("indicator--0a0b0c0d-0004-4000-8000-%012d", i)
		p.a.bundle("letter.json", domain(stix.ID(id), fmt.Sprintf("letter-%d", i), noroshi.Green, fmt.Sprintf(`,"created_by_ref":%q,"description":"%x"`, p.a.ident, noise)))
		p.until(fmt.Sprint("letter ", i, " is under way"), 20*time.Second, func() bool { return len(mail.of(least, 1<<20)) > 0 && len(p.b.link().Missing) > 0 })
		list = append(list, mail.of(least, 1<<20)[0])
	}
	lost := p.a.sentIn()
	p.a.end()
	mail.held(false)
	p.net.setCut(false)
	p.a.putBack(at, true, true)
	p.until("persons see that something may come", 20*time.Second, func() bool { return !p.a.link().LostUntil.IsZero() && p.a.recovered() })

	small := func(on bool) { p.net.onlySmall(on); mail.net.onlySmall(on) }
	come := func(letter []byte) {
		t.Helper()
		if err := p.b.running().Receive(t.Context(), noroshi.ChannelMail, p.a.id(), letter); err != nil {
			t.Fatal(err)
		}
	}
	small(true) // what is given back in answer is larger
	come(list[0])
	come(list[2])
	p.until("the first is asked for", 20*time.Second, func() bool { return p.b.count("indicator") == 2 && p.a.link().Recovering == "late" })
	var back []*message.Message
	if err := p.b.store.Each(t.Context(), "indicator", 0, func(r store.Record) error {
		rows, err := p.b.store.In(t.Context(), p.a.id(), lost, 1, 100)
		for _, row := range rows {
			if row.ID != r.Source.Message {
				continue
			}
			m, err := message.DecodeSigned(noroshi.Real, row.Signed)
			if err == nil {
				m, err = m.WithContent(message.EncodeObjects([]message.Object{{Bytes: r.Object.Bytes()}}))
			}
			if err != nil {
				return err
			}
			back = append(back, m)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(back) != 2 || back[1].Header.Seq != back[0].Header.Seq+2 {
		t.Fatalf("of the lost epoch B holds %d messages, want two beside the one between", len(back))
	}
	if err := p.a.running().Returned(p.b.id(), back); err != nil {
		t.Fatal(err)
	}
	p.until("the first is back", 20*time.Second, func() bool { return len(p.a.own()) > 0 && p.a.recovered() })
	_, from := p.b.running().Told(p.a.id())
	p.until("much has been said", 20*time.Second, func() bool { _, now := p.b.running().Told(p.a.id()); return now >= from+8 })
	if n := len(p.a.own()); n != 1 {
		t.Fatalf("%d objects are back while the second letter may come, want one", n)
	}
	small(false)
	come(list[1])
	p.until("all are back", 20*time.Second, func() bool {
		return len(p.a.own()) == 3 && p.b.count("indicator") == 3 && p.a.recovered() && p.settled() && p.a.link().LostUntil.IsZero()
	})
	p.intact()
}

// of returns the letters that were kept and have at least so many bytes and fewer than
// so many.
func (m *letters) of(least, below int) (list [][]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.kept {
		if len(e) >= least && len(e) < below {
			list = append(list, e)
		}
	}
	return list
}
