package courier_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// newMediaPair is two nodes whose agreement lists media, over a wire without fault.
func newMediaPair(t *testing.T, seed uint64) *pair {
	t.Helper()
	return newPairUnder(t, seed, 0, 0, func(file string) string {
		return strings.Replace(file, `channels = ["https"]`, `channels = ["https", "media"]`, 1)
	})
}

// stick is what one node packed for the other.
type stick struct {
	envelopes [][]byte
	report    courier.PackReport
}

// pack packs as a command does: where no courier runs, one runs for the time.
func (n *node) pack(o courier.Packing) (s stick) {
	n.t.Helper()
	err := n.atRest(func(ctx context.Context, c *courier.Courier) (err error) {
		s.report, err = c.Pack(ctx, o, func(p courier.Packed) error {
			s.envelopes = append(s.envelopes, bytes.Clone(p.Envelope))
			return nil
		})
		return err
	})
	if err != nil {
		n.t.Fatalf("%s packs: %v", n.sign, err)
	}
	return s
}

func (n *node) unpack(envelopes [][]byte) (r courier.UnpackReport) {
	n.t.Helper()
	err := n.atRest(func(ctx context.Context, c *courier.Courier) (err error) {
		r, err = c.Unpack(ctx, func() ([]byte, error) {
			if len(envelopes) == 0 {
				return nil, io.EOF
			}
			e := envelopes[0]
			envelopes = envelopes[1:]
			return e, nil
		})
		return err
	})
	if err != nil {
		n.t.Fatalf("%s unpacks: %v", n.sign, err)
	}
	return r
}

// atRest runs fn with the courier that runs, or one that runs for the time.
func (n *node) atRest(fn func(context.Context, *courier.Courier) error) error {
	n.t.Helper()
	c := n.running()
	if c == nil {
		var err error
		c, err = courier.New(n.store, n.gate, n.desk, courier.Options{Realm: noroshi.Real, Node: n.id(), Keys: n.keys})
		if err != nil {
			n.t.Fatal(err)
		}
	}
	return c.While(n.t.Context(), true, func(ctx context.Context) error { return fn(ctx, c) })
}

// decideAll runs the exit gate over everything there is, as a command does that
// opened a folder.
func (n *node) decideAll() {
	n.t.Helper()
	for more := true; more; {
		var err error
		if more, err = n.desk.Step(n.t.Context()); err != nil {
			n.t.Fatal(err)
		}
	}
}

// released counts the objects that are released and in no message yet.
func (n *node) released(o *node) (total int) {
	n.t.Helper()
	ids, err := n.store.UnsentBatches(n.t.Context(), o.id())
	for _, id := range ids {
		b, err2 := n.store.Batch(n.t.Context(), id)
		total, err = total+b.Count, errors.Join(err, err2)
	}
	if err != nil {
		n.t.Fatal(err)
	}
	return total
}

// lacking counts what has no receipt on record.
func (n *node) lacking(o *node) (total int) {
	n.t.Helper()
	docs, err := n.store.Docs(n.t.Context(), "link")
	if err != nil {
		n.t.Fatal(err)
	}
	for _, body := range docs {
		for _, e := range epochsOf(n.t, body) {
			out, err := n.store.Unreceipted(n.t.Context(), o.id(), e, 1000)
			if err != nil {
				n.t.Fatal(err)
			}
			total += len(out)
		}
	}
	return total
}

// TestBySticks: the wire is cut for good and two nodes go on by sticks, running
// or at rest, having been in touch before or not. What comes twice changes
// nothing, and what has a receipt is packed no more.
func TestBySticks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ touched, rest bool }{"before": {touched: true}, "never": {}, "before, at rest": {true, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newMediaPair(t, 1)
			if c.touched {
				p.start()
				p.a.importList("first.txt", 0, 5)
				p.until("in touch", 10*time.Second, func() bool { return p.b.count("indicator") == 5 && p.settled() })
			}
			p.net.setCut(true)
			if c.rest {
				for _, n := range []*node{p.a, p.b} {
					n.end()
					n.open()
				}
			} else if !c.touched {
				p.start()
			}
			before := p.b.count("indicator")
			p.a.importList("a.txt", 100, 300)
			p.b.importList("b.txt", 500, 700)
			for _, n := range []*node{p.a, p.b} {
				if c.rest {
					n.decideAll()
				} else {
					o := map[*node]*node{p.a: p.b, p.b: p.a}[n]
					p.until("released", 10*time.Second, func() bool { return n.released(o) == 200 || c.touched && n.lacking(o) > 0 })
				}
			}
			first := p.a.pack(courier.Packing{Partner: p.b.id()})
			got := p.b.unpack(first.envelopes)
			if n := p.b.count("indicator") - before; n != 200 || got.New != first.report.Messages-len(first.doubled(got)) || len(got.Gaps) != 1 || len(got.Gaps[0].Missing) > 0 {
				t.Fatalf("B has %d new indicators: packed %+v, unpacked %+v", n, first.report, got)
			}
			if again := p.b.unpack(first.envelopes); again.New != 0 || again.Doubled != got.New+got.Doubled || p.b.count("indicator")-before != 200 {
				t.Errorf("the same stick again: %+v", again)
			}
			back := p.b.pack(courier.Packing{Partner: p.a.id()})
			if r := p.a.unpack(back.envelopes); r.New == 0 || p.a.count("indicator") != 200 {
				t.Errorf("A unpacked %+v and has %d indicators", r, p.a.count("indicator"))
			}
			if n := p.a.lacking(p.b); n != 0 {
				t.Errorf("%d messages of A have no receipt", n)
			}
			if next := p.a.pack(courier.Packing{Partner: p.b.id()}); next.report.Messages > 1 { // the EPOCH of its log
				t.Errorf("receipted, and packed again: %+v", next.report)
			}
			for _, n := range []*node{p.a, p.b} {
				if v, err := n.store.Verify(t.Context(), nil); err != nil || len(v.Faults) > 0 {
					t.Errorf("%s: %v %v", n.sign, v.Faults, err)
				}
			}
		})
	}
}

// doubled is how many messages of a stick were there before: an EPOCH that was
// receipted long ago.
func (s stick) doubled(r courier.UnpackReport) []struct{} { return make([]struct{}, r.Doubled) }

// TestAMediumGoesOn: with room for little, each medium goes on where the last
// ended; after the last the first come again; FLASH stays first. Nothing is given
// out that is not on record as tried.
func TestAMediumGoesOn(t *testing.T) {
	t.Parallel()
	p := newMediaPair(t, 2)
	p.a.importList("a.txt", 0, 5000) // five messages
	p.a.decideAll()
	whole := p.a.pack(courier.Packing{Partner: p.b.id()})
	if whole.report.Left > 0 || whole.report.Messages < 6 || whole.report.Again > 0 {
		t.Fatalf("without a limit: %+v", whole.report)
	}
	room := whole.report.Bytes / 2
	media := 0
	for ; p.b.count("indicator") < 5000; media++ {
		s := p.a.pack(courier.Packing{Partner: p.b.id(), Room: room, Anew: media == 0})
		if s.report.Bytes > room || s.report.Left == 0 || media > 5 {
			t.Fatalf("medium %d: %+v of %d bytes", media, s.report, room)
		}
		if got := p.b.unpack(s.envelopes); got.New == 0 {
			t.Errorf("medium %d has nothing new: %+v", media, s.report)
		}
	}
	if media < 2 {
		t.Errorf("all went on %d media", media)
	}
	given := 0
	err := p.a.atRest(func(ctx context.Context, c *courier.Courier) error {
		_, err := c.Pack(ctx, courier.Packing{Partner: p.b.id()}, func(x courier.Packed) error {
			if x.Prec == 0 {
				return nil
			}
			docs, err := p.a.store.Docs(ctx, "link")
			for _, body := range docs {
				for _, e := range epochsOf(t, body) {
					out, err2 := p.a.store.Out(ctx, p.b.id(), e, 1, 100)
					err = errors.Join(err, err2)
					for _, o := range out {
						if o.Prec != x.Prec {
							continue
						}
						if given++; o.State < store.Attempted {
							t.Errorf("message %d is given out and not on record", o.Seq)
						}
					}
				}
			}
			return err
		})
		return err
	})
	if err != nil || given == 0 {
		t.Errorf("%d messages were looked for that are given out, %v", given, err)
	}
}

// TestAllThatWaitsIsPacked: however much has no receipt, all of it is packed.
func TestAllThatWaitsIsPacked(t *testing.T) {
	t.Parallel()
	p := newMediaPair(t, 5)
	const reads = store.MaxPage + 10
	p.fill(reads)
	if r := p.a.pack(courier.Packing{Partner: p.b.id()}).report; r.Messages < reads || r.Left > 0 {
		t.Errorf("packed: %+v, of %d messages", r, reads)
	}
}

// TestTooLargeForAMedium: what finds no room on any medium of a size is told of, and
// holds up nothing behind it: not in this round, nor in the next.
func TestTooLargeForAMedium(t *testing.T) {
	t.Parallel()
	p := newMediaPair(t, 6)
	p.fill(0)
	noise := make([]byte, 100_000)
	rand.Read(noise)
	head := p.a.link().OutHead
	p.a.bundle("large.json", fmt.Sprintf(`{"type":"tool","spec_version":"2.1","id":%q,"created_by_ref":%q,"created":"2026-01-02T03:04:05.678Z","modified":"2026-01-02T03:04:05.678Z","name":"large","description":"%x","object_marking_refs":[%q]}`,
		stix.NewID("tool"), p.a.ident, noise, noroshi.Green.MarkingID()))
	p.until("the large is in the stream", 10*time.Second, func() bool { return p.a.link().OutHead == head+1 })
	const reads = 12
	p.fill(reads)
	p.a.end() // nothing is tried on the wire
	p.a.open()
	attempts := func() (list []int) {
		epochs := p.a.mine()
		out, err := p.a.store.Out(t.Context(), p.b.id(), epochs[len(epochs)-1], head+1, 100)
		if err != nil || len(out) != 1+reads {
			t.Fatalf("%d messages: %v", len(out), err)
		}
		for _, o := range out {
			list = append(list, o.Attempts)
		}
		return list
	}
	before := attempts()
	const media = 6 // each with room for more than half of what is not too large
	for range media {
		s := p.a.pack(courier.Packing{Partner: p.b.id(), Room: 30_000})
		if s.report.Left == 0 || s.report.Bytes > 30_000 {
			t.Fatalf("packed: %+v", s.report)
		}
	}
	for i, n := range attempts() {
		if n -= before[i]; i == 0 && n > 0 || i > 0 && n < media/2 {
			t.Errorf("message %d, of which the first is too large, was on %d media of %d", i, n, media)
		}
	}
}

// fill cuts the wire of a pair in touch and leaves so many messages at A.
func (p *pair) fill(n int) {
	p.t.Helper()
	if p.a.running() == nil {
		p.start()
		p.until("in touch", 10*time.Second, p.settled)
		p.net.setCut(true)
	}
	head := p.a.link().OutHead
	if err := p.a.running().KeepReads(p.t.Context(), p.b.id(), n); err != nil {
		p.t.Fatal(err)
	}
	p.until("all is in the stream", 10*time.Second, func() bool { return p.a.link().OutHead == head+uint64(n) })
}

// TestNotForMedia: what the agreement keeps from media is not packed, strangers'
// and damaged envelopes are told apart, and nothing of a partner without media
// goes at all.
func TestNotForMedia(t *testing.T) {
	t.Parallel()
	p := newMediaPair(t, 3)
	p.a.importList("a.txt", 0, 10)
	p.a.decideAll()
	s := p.a.pack(courier.Packing{Partner: p.b.id()})
	if r := p.a.unpack(s.envelopes); r.Strangers != len(s.envelopes) || r.New+r.Said+r.Damaged > 0 {
		t.Errorf("A's own stick: %+v", r)
	}
	last := s.envelopes[len(s.envelopes)-1]
	last[len(last)-1] ^= 1
	noise := [][]byte{{1}, bytes.Repeat([]byte{0x11}, 3000), last}
	if r := p.b.unpack(noise); r.Strangers != 3 || !slices.Equal(r.Left, []int{0, 1, 2}) { // its gate covers every byte
		t.Errorf("noise: %+v", r)
	}
	if r := p.b.unpack([][]byte{s.envelopes[0], {1}, s.envelopes[1]}); !slices.Equal(r.Left, []int{1}) {
		t.Errorf("noise among its own: %+v", r)
	}
	if n := p.b.count("indicator"); n != 0 {
		t.Errorf("%d indicators from noise", n)
	}
}

// TestPaperReceipts: what a stick brought is told by voice and moves the sender's
// messages; a digit misread names its group, and the same receipt later moves
// nothing.
func TestPaperReceipts(t *testing.T) {
	t.Parallel()
	p := newMediaPair(t, 4)
	p.net.setCut(true)
	p.start()
	p.a.importList("a.txt", 0, 3000)
	p.until("released", 10*time.Second, func() bool { return p.a.released(p.b) == 3000 })
	s := p.a.pack(courier.Packing{Partner: p.b.id()})
	if _, err := p.b.running().PaperReceipt(t.Context(), p.a.id()); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("a receipt of nothing: %v", err)
	}
	var lost [][]byte // the last but one message is lost: the receipt has a gap
	lost = append(append(lost, s.envelopes[:len(s.envelopes)-2]...), s.envelopes[len(s.envelopes)-1])
	if r := p.b.unpack(lost); len(r.Gaps) != 1 || len(r.Gaps[0].Missing) != 1 {
		t.Errorf("the gap is not shown: %+v", r)
	}
	paper, err := p.b.running().PaperReceipt(t.Context(), p.a.id())
	if err != nil || len(strings.Fields(paper.Groups)) > 12 || paper.Ranges != 1 {
		t.Fatalf("paper %+v: %v; %+v; %s", paper, err, s.report, p.b.show())
	}
	if early, err := p.a.running().EnterPaper(t.Context(), paper.Groups); err != nil || early.Waiting != 1 || early.Moved < 2 { // though A never heard of B
		t.Errorf("the first receipt: %+v, %v", early, err)
	}
	file := p.b.pack(courier.Packing{Partner: p.a.id(), Said: true})
	if file.report.Messages != 0 {
		t.Errorf("a receipt file has messages: %+v", file.report)
	}
	p.a.unpack(file.envelopes)
	if n := p.a.lacking(p.b); n != 1 {
		t.Errorf("%d messages have no receipt, want 1", n)
	}
	p.b.unpack(s.envelopes)
	if paper, err = p.b.running().PaperReceipt(t.Context(), p.a.id()); err != nil {
		t.Fatal(err)
	}
	wrong := []byte(paper.Groups)
	wrong[0] = '0' + (wrong[0]-'0'+1)%10
	if _, err := p.a.running().EnterPaper(t.Context(), string(wrong)); code(err) != "message.paper-groups" || !strings.Contains(err.Error(), "group 1") {
		t.Errorf("a wrong first digit: %v", err)
	}
	entered, err := p.a.running().EnterPaper(t.Context(), paper.Groups)
	if err != nil || entered.Moved != 1 || entered.Waiting != 0 || entered.Outdated || entered.Partner != "JPN-01" {
		t.Errorf("entered %+v: %v", entered, err)
	}
	if again, err := p.a.running().EnterPaper(t.Context(), paper.Groups); err != nil || again.Moved != 0 || again.Outdated {
		t.Errorf("entered again %+v: %v", again, err)
	}
	if l := p.a.link(); len(l.Waiting) > 0 || l.OutStored != l.OutHead {
		t.Errorf("A's link: %+v", l)
	}
	p.net.setCut(false) // and the wire, when it is back, has nothing to add
	p.until("all receipted", 10*time.Second, p.settled)
	if v, err := p.a.store.Verify(t.Context(), nil); err != nil || len(v.Faults) > 0 {
		t.Errorf("%v %v", v.Faults, err)
	}
}

// TestPaperReceiptOfALink: a LINK that a stick brought, and whose receipt was told by
// voice, is in use from then on, and the partner reads what goes under it.
func TestPaperReceiptOfALink(t *testing.T) {
	t.Parallel()
	p := newMediaPair(t, 90)
	va, vb := &memoryVault{node: p.a}, &memoryVault{node: p.b}
	p.a.vault, p.b.vault = va, vb
	p.net.setCut(true)
	p.start()
	p.a.importAt("one", noroshi.Green)
	p.until("released", 10*time.Second, func() bool { return p.a.released(p.b) == 1 })
	p.b.unpack(p.a.pack(courier.Packing{Partner: p.b.id()}).envelopes) // with it A's log begins, and a LINK is due
	p.until("a LINK is in it", 10*time.Second, func() bool { next := va.secrets(t).Next; return next != nil && next.Seq > 0 })
	p.b.unpack(p.a.pack(courier.Packing{Partner: p.b.id()}).envelopes)
	paper, err := p.b.running().PaperReceipt(t.Context(), p.a.id())
	if err != nil {
		t.Fatal(err)
	}
	if r, err := p.a.running().EnterPaper(t.Context(), paper.Groups); err != nil || r.Waiting != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	if a, b := va.secrets(t), vb.secrets(t); a.Next != nil || a.Made == nil || !holds(b, a) {
		t.Errorf("A has %+v, B has %+v, want the LINK in use and held", a, b)
	}
	p.net.setCut(false)
	p.a.importAt("two", noroshi.Green)
	p.until("both are there", 10*time.Second, func() bool { return p.b.count("indicator") == 2 && p.settled() })
}

func code(err error) string {
	var e *noroshi.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func epochsOf(t testing.TB, body []byte) (list [][16]byte) {
	t.Helper()
	var m struct{ Mine []string }
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	for _, s := range m.Mine {
		var e [16]byte
		if _, err := hex.Decode(e[:], []byte(s)); err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
	return list
}

// TestPackedPaperGoesToo: what goes to a partner once, and was put on a medium that
// never arrives, goes when there is another way.
func TestPackedPaperGoesToo(t *testing.T) {
	t.Parallel()
	p := newMediaPair(t, 77).worded()
	p.net.setCut(true)
	p.until("the way is down", 10*time.Second, func() bool { return !p.a.link().Up })
	doc, err := message.SignSuspension(p.b.keys, message.Suspension{Agreement: p.agreement, Counter: 3, Created: time.Now()})
	if err == nil {
		err = p.a.running().Document(t.Context(), p.b.id(), doc)
	}
	if err != nil {
		t.Fatal(err)
	}
	if s := p.a.pack(courier.Packing{Partner: p.b.id(), Said: true}); s.report.Said < 3 {
		t.Errorf("packed: %+v", s.report)
	}
	p.net.setCut(false)
	p.until("B is given its word back", 3*time.Second, func() bool { return p.hears[p.b].times(3) > 0 })
}
