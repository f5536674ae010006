package courier_test

import (
	"context"
	"fmt"
	mrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/tier"
)

// buckets are the sizes a sealed plaintext may have (docs/wire.md §5).
var buckets = func() []int {
	list := []int{256, 880, 4096}
	for list[len(list)-1] < message.MaxEnvelope {
		last := list[len(list)-1]
		list = append(list, last+last/10)
	}
	return list
}()

// around is what a suite puts around the plaintext: type, salt, gate, key and tag.
var aroundOf = map[message.Suite]int{message.S1: 1 + 8 + 16 + 1120 + 16, message.S1H: 1 + 8 + 16 + 1665 + 16}

// outside is what may be seen of envelopes on their way.
type outside struct {
	t     *testing.T
	mu    sync.Mutex
	count int
	sizes map[string]map[int]int        // by channel
	seen  [1 + 8 + 16 + 1100][256]int32 // how often each value stood at a place, of S1
	s1    int32
	s2    int
}

func (o *outside) look(channel string, envelope []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.count++
	suite := message.Suite(envelope[0])
	if suite == message.S2 && channel == noroshi.ChannelLine { // which counts every byte, and pads none
		o.s2++
		return
	}
	n := len(envelope) - aroundOf[suite]
	if aroundOf[suite] == 0 || !slices.Contains(buckets, n) {
		o.t.Errorf("%s carries an envelope of %d bytes that begins with %#x", channel, len(envelope), envelope[0])
		return
	}
	if o.sizes[channel] == nil {
		o.sizes[channel] = map[int]int{}
	}
	o.sizes[channel][n]++
	if suite == message.S1 {
		o.s1++
		for i := range o.seen {
			o.seen[i][envelope[i]]++
		}
	}
}

// even holds that nothing but the first byte says anything.
func (o *outside) even() {
	o.t.Helper()
	for i := range o.seen[1:] {
		for value, n := range o.seen[1+i] {
			if n > o.s1/16 { // of a hundred and more, one in 256 by chance
				o.t.Errorf("byte %d of %d envelopes is %#x in %d", 1+i, o.s1, value, n)
			}
		}
	}
}

// TestTrafficShowsNothing: two nodes exchange everything there is over one channel
// after the other. What can be seen outside is one byte and one of a few sizes.
func TestTrafficShowsNothing(t *testing.T) {
	warmCoders(t)
	cryptotest.SetGlobalRandom(t, 11)
	synctest.Test(t, func(t *testing.T) {
		h := newHourUnder(t, false, func(file string) string {
			return strings.Replace(file, `channels = ["https"]`, `channels = ["https", "mail", "line", "media"]`, 1)
		})
		o := &outside{t: t, sizes: map[string]map[int]int{}}
		wires := map[string]*rough{}
		for kind, narrow := range map[string]bool{noroshi.ChannelMail: false, noroshi.ChannelLine: true} {
			net := &rough{rng: mrand.New(mrand.NewPCG(5, 3)), stopped: make(chan struct{}), narrow: narrow}
			wires[kind] = net
			for from, to := range map[*node]*node{h.v: h.good, h.good: h.v} {
				from.more = append(from.more, &counted{Channel: &roughEnd{net: net, from: from, to: to, kind: kind}, look: o.look})
			}
			defer net.drain(h.v, h.good)
			defer close(net.stopped)
		}
		wires[noroshi.ChannelHTTPS] = h.good.wire.(*roughEnd).net
		for _, n := range []*node{h.v, h.good} {
			n.wire, n.vault, n.check, n.beat = &counted{Channel: n.wire, look: o.look}, &memoryVault{node: n}, 30*time.Second, time.Duration(tier.N(60, 20))*time.Second
		}
		h.start()
		for i, cut := range [][]string{nil, {noroshi.ChannelHTTPS}, {noroshi.ChannelHTTPS, noroshi.ChannelMail}} {
			for kind, net := range wires {
				net.setCut(slices.Contains(cut, kind))
			}
			h.everything(i)
		}
		for _, net := range wires {
			net.setCut(false)
		}
		for round := 3; o.s1 < int32(tier.N(300, 2000)); round++ {
			h.everything(round)
		}
		stick := h.good.pack(courier.Packing{Partner: h.v.id()})
		for _, e := range stick.envelopes {
			o.look(noroshi.ChannelMedia, e)
		}
		o.even()
		met := map[int]bool{}
		for _, kind := range []string{noroshi.ChannelHTTPS, noroshi.ChannelMail, noroshi.ChannelMedia} {
			for size := range o.sizes[kind] {
				met[size] = true
			}
			if len(o.sizes[kind]) == 0 {
				t.Errorf("nothing went by %s", kind)
			}
		}
		if len(met) < 3 {
			t.Errorf("only these sizes were met: %v", o.sizes)
		}
		if o.s2 == 0 {
			t.Error("nothing short went over the line")
		}
	})
}

// everything has both nodes say all they have to say to each other.
func (h *hour) everything(round int) {
	h.t.Helper()
	for i, size := range []int{1, 7, 400} {
		h.good.importList(fmt.Sprintf("good-%d-%d.txt", round, i), 10_000*(round+1)+1000*i, 10_000*(round+1)+1000*i+size)
	}
	h.warn(1000 + round)
	h.v.importList(fmt.Sprintf("own-%d.txt", round), 1_000_000+10_000*round, 1_000_000+10_000*round+30)
	time.Sleep(10 * time.Minute)
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Minute)
	defer stop()
	_ = h.good.running().Document(ctx, h.v.id(), h.good.keys.Keyset().Bytes())
	if _, err := h.good.running().Compare(ctx, h.v.id()); err != nil {
		h.t.Errorf("round %d: %v", round, err)
	}
	time.Sleep(2 * time.Minute)
}
