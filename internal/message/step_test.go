package message_test

import (
	"slices"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// one is a confirmed side with an empty stream, and what it did so far.
type one struct {
	t        testing.TB
	side     message.Side
	now      time.Time
	epoch    message.Epoch
	head     message.EpochHead
	told     uint64
	last     message.State
	received []uint64
	fx       []message.Effect
}

var otherLife = message.Epoch{2}

func newOne(t testing.TB) *one {
	t.Helper()
	o := &one{t: t, now: time.Unix(1_800_000_000, 0), epoch: message.Epoch{1}}
	r := message.DefaultRules()
	r.Realm, r.Self, r.Partner = noroshi.Real, noroshi.NodeID{1}, noroshi.NodeID{2}
	o.head = message.EpochHead{Epoch: o.epoch, Chain: message.ChainStart(noroshi.Real, r.Self, r.Partner, o.epoch)}
	o.side = message.Rebuild(r, message.Facts{Mine: []message.EpochHead{o.head}, Run: [8]byte{1}}, o.now)
	o.step(message.Tick{})
	o.hear(message.State{})
	if !o.side.Confirmed() {
		t.Fatal("an echoed challenge does not confirm the link")
	}
	return o
}

func (o *one) step(e message.Event) []message.Effect {
	var fx []message.Effect
	o.side, fx = message.Step(o.side, e, o.now)
	for _, x := range fx {
		if s, ok := x.(message.SayState); ok {
			o.last = s.State
		}
	}
	o.fx = append(o.fx, fx...)
	return fx
}

// hear brings a STATE of the partner that echoes the last challenge.
func (o *one) hear(st message.State) []message.Effect {
	o.told++
	st.Echo = o.last.Challenge
	return o.step(message.Told{Epoch: otherLife, Counter: o.told, Sum: noroshi.Hash{byte(o.told)}, State: st})
}

// write commits one more message.
func (o *one) write(p noroshi.Precedence, size int) []message.Effect {
	o.head.Head++
	id := noroshi.Hash{byte(o.head.Head), byte(o.head.Head >> 8), 7}
	o.head.Chain = message.ChainNext(o.head.Chain, id)
	return o.step(message.Committed{Out: message.Out{Epoch: o.epoch, Seq: o.head.Head, ID: id, Prec: p, Created: o.now, Len: size, Chain: o.head.Chain}})
}

func sends(fx []message.Effect) (list []message.Send) {
	for _, x := range fx {
		if s, ok := x.(message.Send); ok {
			list = append(list, s)
		}
	}
	return list
}

func TestFlashPassesEverything(t *testing.T) {
	t.Parallel()
	o := newOne(t)
	for range 100 {
		o.write(noroshi.Routine, 1000)
	}
	busy := sends(o.fx)
	if len(busy) == 0 || len(busy) >= 4 {
		t.Fatalf("%d ROUTINE messages are under way, want a few and one lane kept free", len(busy))
	}
	if got := sends(o.write(noroshi.Immediate, 10)); len(got) != 1 || got[0].Prec != noroshi.Immediate {
		t.Errorf("IMMEDIATE does not go past ROUTINE: %v", got)
	}
	if got := sends(o.write(noroshi.Flash, 10)); len(got) != 1 || got[0].Prec != noroshi.Flash {
		t.Errorf("FLASH does not go at once: %v", got)
	}
	for range 6 { // more FLASH than lanes: nothing lower starts while one waits
		o.write(noroshi.Flash, 10)
	}
	for _, s := range busy {
		if got := sends(o.step(message.HandedOver{Epoch: s.Epoch, Seq: s.Seq, OK: true})); len(got) > 0 {
			t.Fatalf("%v starts while a FLASH waits", got)
		}
	}
}

// TestAWaitingFlashLooksForTheLink: while the link is down a FLASH has it looked
// for four times a second, after a minute once a second, and goes in the step
// that finds it.
func TestAWaitingFlashLooksForTheLink(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name         string
		prec         noroshi.Precedence
		first, later int // STATEs in the first and in the tenth minute
	}{{"flash", noroshi.Flash, 240, 60}, {"immediate", noroshi.Immediate, 60, 6}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := newOne(t)
			o.step(message.Up{Up: false})
			o.write(tc.prec, 10)
			start, minutes := o.now, [10]int{}
			for {
				o.now = o.side.Next()
				n := int(o.now.Sub(start) / time.Minute)
				if n >= len(minutes) {
					break
				}
				for _, x := range o.step(message.Tick{}) {
					if _, ok := x.(message.SayState); ok {
						minutes[n]++
					}
				}
			}
			if off := minutes[0] - tc.first; off < -2 || off > 2 || minutes[9] != tc.later {
				t.Errorf("hellos by minute %v, want %d in the first, %d in the last", minutes, tc.first, tc.later)
			}
			if got := sends(o.step(message.Up{Up: true})); len(got) != 1 {
				t.Errorf("the link is back and %d messages go, want the one that waits", len(got))
			}
		})
	}
}

func TestRoutineKeepsItsShare(t *testing.T) {
	t.Parallel()
	o := newOne(t)
	for range 400 {
		o.write(noroshi.Priority, 100)
	}
	for range 40 {
		o.write(noroshi.Routine, 100)
	}
	count := map[noroshi.Precedence]int{}
	queue := sends(o.fx)
	for len(queue) > 0 && count[noroshi.Priority] < 380 {
		s := queue[0]
		queue = queue[1:]
		count[s.Prec]++
		o.now = o.now.Add(time.Millisecond)
		queue = append(queue, sends(o.step(message.HandedOver{Epoch: s.Epoch, Seq: s.Seq, OK: true}))...)
		queue = append(queue, sends(o.hear(o.holds(s.Seq)))...)
	}
	if r := count[noroshi.Routine]; r < 15 || r > 25 {
		t.Errorf("ROUTINE had %d turns beside %d of PRIORITY, want about one in twenty", r, count[noroshi.Priority])
	}
}

// holds is a STATE that receipts this sequence besides the ones before.
func (o *one) holds(seq uint64) message.State {
	o.received = append(o.received, seq)
	slices.Sort(o.received)
	in := message.InSet{Epoch: o.epoch}
	for _, n := range o.received {
		switch k := len(in.Ranges); {
		case n == in.Cum+1 && k == 0:
			in.Cum = n
		case k > 0 && in.Ranges[k-1].B+1 == n:
			in.Ranges[k-1].B = n
		default:
			in.Ranges = append(in.Ranges, message.Range{A: n, B: n})
		}
	}
	return message.State{In: []message.InSet{in}}
}

func TestNothingIsSentBeforeTheLinkIsConfirmed(t *testing.T) {
	t.Parallel()
	o := newOne(t)
	facts := message.Facts{Mine: []message.EpochHead{{Epoch: o.epoch, Head: 1}}, Run: [8]byte{2},
		Out: []message.Out{{Epoch: o.epoch, Seq: 1, ID: noroshi.Hash{1}, Prec: noroshi.Flash, Created: o.now}}}
	side := message.Rebuild(message.DefaultRules(), facts, o.now)
	for i := range 50 {
		var fx []message.Effect
		side, fx = message.Step(side, message.Tick{}, o.now.Add(time.Duration(i)*time.Second))
		if len(sends(fx)) > 0 {
			t.Fatal("a message leaves on an unconfirmed link: it may be of a log that was rolled back")
		}
	}
}

func TestAlarms(t *testing.T) {
	t.Parallel()
	alarm := func(fx []message.Effect) string {
		for _, x := range fx {
			if a, ok := x.(message.Alarm); ok {
				return a.Code
			}
		}
		return ""
	}
	for _, tc := range []struct {
		name string
		do   func(o *one) []message.Effect
		want string
	}{
		{"a set that shrank", func(o *one) []message.Effect {
			o.write(noroshi.Priority, 10)
			o.write(noroshi.Priority, 10)
			o.hear(o.holds(1))
			return o.hear(message.State{In: []message.InSet{{Epoch: o.epoch}}})
		}, message.AlarmShrank},
		{"one counter, two statements", func(o *one) []message.Effect {
			return o.step(message.Told{Epoch: otherLife, Counter: o.told, Sum: noroshi.Hash{0xee}})
		}, message.AlarmClone},
		{"a head we have not", func(o *one) []message.Effect { return o.hear(o.holds(1)) }, message.AlarmRolledBack},
		{"a counter we have not issued", func(o *one) []message.Effect {
			return o.hear(message.State{Cited: message.Citation{Epoch: o.epoch, Counter: 1}})
		}, message.AlarmRolledBack},
		{"an epoch of ours we do not know", func(o *one) []message.Effect {
			return o.hear(message.State{Cited: message.Citation{Epoch: message.Epoch{9}, Counter: 1}})
		}, message.AlarmRolledBack},
		{"another chain", func(o *one) []message.Effect {
			o.write(noroshi.Priority, 10)
			st := o.holds(1)
			st.In[0].ChainCum = [16]byte{1}
			return o.hear(st)
		}, message.AlarmChain},
		{"a second id", func(o *one) []message.Effect {
			return o.step(message.Kept{In: message.In{Epoch: otherLife, Seq: 1, ID: noroshi.Hash{1}}, Second: true})
		}, message.AlarmSecondID},
		{"nothing", func(o *one) []message.Effect { return o.hear(message.State{}) }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := alarm(tc.do(newOne(t))); got != tc.want {
				t.Errorf("got alarm %q, want %q", got, tc.want)
			}
		})
	}
}

// TestOneWhoAlwaysCitesWhatWeLack: a partner that says again and again that we
// lost something moves us to a new epoch once in a heartbeat, not each time.
func TestOneWhoAlwaysCitesWhatWeLack(t *testing.T) {
	t.Parallel()
	o := newOne(t)
	opened := 0
	for range 100 {
		o.now = o.now.Add(message.DefaultRules().Heartbeat / 20)
		for _, x := range o.hear(message.State{Cited: message.Citation{Epoch: message.Epoch{0xee, byte(o.told)}, Counter: 1}}) {
			if x, ok := x.(message.Open); ok {
				opened++
				e := message.Epoch{0xdd, byte(opened)}
				o.step(message.Opened{Epoch: e, Parents: []message.Epoch{x.Parents[0].Epoch}, First: message.Out{Epoch: e, Seq: 1, ID: noroshi.Hash{byte(opened)}, Prec: noroshi.Immediate, Created: o.now}})
			}
		}
	}
	if opened == 0 || opened > 5 {
		t.Errorf("%d epochs in five heartbeats, want 1 to 5", opened)
	}
}

// TestStepIsDeterministic: a clone that sees the same does the same.
func TestStepIsDeterministic(t *testing.T) {
	t.Parallel()
	o := newOne(t)
	twin := *o
	twin.side = o.side.Clone()
	for range 20 {
		a, b := o.write(noroshi.Priority, 10), twin.write(noroshi.Priority, 10)
		if !slices.Equal(sends(a), sends(b)) {
			t.Fatalf("got %v and %v", a, b)
		}
	}
}
