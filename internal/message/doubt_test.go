package message_test

import (
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/tier"
)

// TestDoubt: how far what is held of an epoch of ours shows that we wrote it.
func TestDoubt(t *testing.T) {
	t.Parallel()
	e, other := message.Epoch{1}, message.Epoch{2}
	good := func(at message.Epoch, seq uint64) []message.LastGood {
		return []message.LastGood{{Epoch: message.Epoch{9}, Seq: 1}, {Epoch: at, Seq: seq}}
	}
	for name, c := range map[string]struct {
		revoked []message.Revocation
		ended   bool
		want    uint64
		ok      bool
	}{
		"no key was revoked":                       {},
		"one was, and this epoch began after":      {revoked: []message.Revocation{{Last: good(other, 4)}}},
		"up to where it is good":                   {revoked: []message.Revocation{{Last: good(e, 4)}}, ok: true, want: 4},
		"the same, when another followed":          {revoked: []message.Revocation{{Last: good(e, 4)}}, ended: true, ok: true, want: 4},
		"of two keys as far as both":               {revoked: []message.Revocation{{Last: good(e, 7)}, {Last: good(e, 4)}, {Last: good(e, 6)}}, ok: true, want: 4},
		"a stranger's key, and this began after":   {revoked: []message.Revocation{{}}},
		"a stranger's key, and this ended by it":   {revoked: []message.Revocation{{}}, ended: true, ok: true},
		"a stranger's, of an epoch named before":   {revoked: []message.Revocation{{Last: good(e, 4)}, {}}, ended: true, ok: true, want: 4},
		"more epochs than one revocation can name": {revoked: []message.Revocation{{Last: good(other, 4)}}, ended: true, ok: true},
	} {
		d, ok := (&message.Keyset{Revoked: c.revoked}).Doubt(e, c.ended)
		if ok != c.ok || d.Good != c.want || d.Epoch != e {
			t.Errorf("%s: %+v, %v, want %d, %v", name, d, ok, c.want, c.ok)
		}
	}
}

// TestDisowned: of the keys revoked those count that may have signed on a link.
func TestDisowned(t *testing.T) {
	t.Parallel()
	var ks message.Keyset
	for use := message.UseRelease; use <= message.UseRealm; use++ {
		ks.Keys = append(ks.Keys, message.Key{ID: [4]byte{byte(use)}, Use: use})
		ks.Revoked = append(ks.Revoked, message.Revocation{ID: [4]byte{byte(use)}})
	}
	ks.Revoked = append(ks.Revoked, message.Revocation{ID: [4]byte{99}})
	if n := ks.Disowned(); n != 3 {
		t.Errorf("%d, want the keys of release and control, and a stranger's", n)
	}
}

// past is what the log of a node has gone through, in up to three epochs, and what the
// partner holds of each: a letter for each sequence, o of ours, c of ours for certain,
// t the thief's. The keys are in no backup: they stay when the log is put back.
type past struct {
	held    [4]string
	head    [4]int
	present int
	turned  int // the epoch in which a key was revoked last
	ended   int // epochs up to it ended with a key
	ks      message.Keyset
	saved   [4]int // head, and present in front
}

// acts are what may happen, each by its letter; false where it cannot now.
var acts = map[byte]func(p *past) bool{
	'w': func(p *past) bool { // we write, and the partner has it; where it holds another, that stands
		if len(p.held[p.present]) > p.head[p.present] {
			return false
		}
		p.held[p.present] += "o"
		p.head[p.present]++
		return true
	},
	't': func(p *past) bool { // a thief writes behind all that
		p.held[p.present] += "t"
		return p.turned == 0
	},
	's': func(p *past) bool { p.saved = p.head; p.saved[0] = p.present; return true },
	'b': func(p *past) bool { // the log is put back, and nobody is told
		p.head = p.saved
		return p.saved[0] == p.present
	},
	'o': func(p *past) bool { return p.open() },
	'r': func(p *past) bool { // a key is revoked: what stands in our log is good, as far as it was before
		var last []message.LastGood
		for e := 1; e <= p.present; e++ {
			last = append(last, message.LastGood{Epoch: message.Epoch{byte(e)}, Seq: uint64(p.head[e])})
			in := min(p.head[e], len(p.held[e]))
			below, above := p.held[e][:in], strings.ReplaceAll(p.held[e][in:], "c", "o")
			if e > p.turned {
				below = strings.ReplaceAll(below, "o", "c")
			}
			p.held[e] = below + above
		}
		p.turned = p.present
		p.ks.Revoked = append(p.ks.Revoked, message.Revocation{Last: last})
		return true
	},
	'd': func(p *past) bool { // a stranger's key is, and a new log begun
		p.turned, p.ended = p.present, p.present
		p.ks.Revoked = append(p.ks.Revoked, message.Revocation{})
		return p.open()
	},
}

func (p *past) open() bool {
	p.present++
	return p.present < len(p.head)
}

// beyond is what the partner holds above the ends of our logs of some epochs.
func (p *past) beyond(from, to int) (all string) {
	for e := from; e <= to; e++ {
		all += p.held[e][min(p.head[e], len(p.held[e])):]
	}
	return all
}

// alarmed reports whether a Side that starts now finds that something was lost by what
// the partner says.
func (p *past) alarmed() (found bool) {
	f, st, doubts := message.Facts{}, message.State{}, []message.Doubt(nil)
	for e := 1; e <= p.present; e++ {
		id := message.Epoch{byte(e)}
		f.Mine = append(f.Mine, message.EpochHead{Epoch: id, Head: uint64(p.head[e])})
		st.In = append(st.In, message.InSet{Epoch: id, Cum: uint64(len(p.held[e]))})
		if d, ok := p.ks.Doubt(id, e <= p.ended); ok {
			doubts = append(doubts, d)
		}
	}
	now := time.Unix(1_800_000_000, 0)
	side := message.Rebuild(rulesOfOne(), f, now)
	var asks [8]byte
	hear := func(e message.Event) {
		var fx []message.Effect
		side, fx = message.Step(side, e, now)
		for _, x := range fx {
			switch x := x.(type) {
			case message.SayState:
				asks = x.State.Challenge
			case message.Alarm:
				found = found || x.Code == message.AlarmRolledBack
			}
		}
	}
	hear(message.Tick{})
	hear(message.Told{Epoch: otherLife, Counter: 1, State: message.State{Echo: asks}})
	st.Echo = asks
	hear(message.Told{Epoch: otherLife, Counter: 2, State: st, Doubts: doubts})
	return found
}

// TestLossOrThief goes through every past of up to five acts, in the battery six. Before a key is revoked
// all that the partner holds beyond our log is a loss: nobody can tell. Then what we
// wrote for certain is, and what stands in a log that began after; and a thief's never.
func TestLossOrThief(t *testing.T) {
	t.Parallel()
	const letters, five = "wtsbord", 7 * 7 * 7 * 7 * 7
	seen := map[string]int{}
	for n := range tier.N(five, 7*five) {
		p, done := past{present: 1, saved: [4]int{1}}, ""
		for ; n > 0 && acts[letters[n%7]](&p); n /= 7 {
			done += letters[n%7 : n%7+1]
		}
		if n > 0 {
			continue
		}
		before, after := p.beyond(1, p.turned), p.beyond(p.turned+1, p.present)
		want := strings.Contains(before, "c") || after != ""
		if got := p.alarmed(); got != want {
			t.Errorf("%s: the partner holds %q, our logs end at %d: found a loss %v, want %v", done, p.held[1:], p.head[1:], got, want)
		}
		switch {
		case want && p.turned == 0:
			seen["a loss, or a thief"]++
		case want && before != "":
			seen["a loss, by a good point"]++
		case want:
			seen["a loss in a log that began after"]++
		case strings.Trim(before, "t") != "":
			seen["perhaps ours"]++
		case before != "":
			seen["a thief's"]++
		}
	}
	if len(seen) != 5 {
		t.Errorf("not all came about: %v", seen)
	}
}
