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
	lastBy   map[string]message.State // by channel
	received []uint64
	fx       []message.Effect
}

var otherLife = message.Epoch{2}

func newOne(t testing.TB, ways ...message.Way) *one {
	t.Helper()
	o := &one{t: t, now: time.Unix(1_800_000_000, 0), epoch: message.Epoch{1}, lastBy: map[string]message.State{}}
	r := rulesOfOne()
	if len(ways) > 0 {
		r.Ways = ways
	}
	o.head = message.EpochHead{Epoch: o.epoch, Chain: message.ChainStart(noroshi.Real, r.Self, r.Partner, o.epoch)}
	o.side = message.Rebuild(r, message.Facts{Mine: []message.EpochHead{o.head}, Run: [8]byte{1}}, o.now)
	o.step(message.Tick{})
	o.hear(message.State{})
	if !o.side.Confirmed() {
		t.Fatal("an echoed challenge does not confirm the link")
	}
	return o
}

func rulesOfOne() message.Rules {
	r := message.DefaultRules()
	r.Realm, r.Self, r.Partner = noroshi.Real, noroshi.NodeID{1}, noroshi.NodeID{2}
	return r
}

func (o *one) step(e message.Event) []message.Effect {
	var fx []message.Effect
	o.side, fx = message.Step(o.side, e, o.now)
	for _, x := range fx {
		if s, ok := x.(message.SayState); ok {
			o.last, o.lastBy[s.Channel] = s.State, s.State
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
		if got := sends(o.step(message.HandedOver{Epoch: s.Epoch, Seq: s.Seq, Channel: s.Channel, OK: true})); len(got) > 0 {
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
			o.step(message.Up{Channel: "https", Up: false})
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
			if got := sends(o.step(message.Up{Channel: "https", Up: true})); len(got) != 1 {
				t.Errorf("the link is back and %d messages go, want the one that waits", len(got))
			}
		})
	}
}

// TestExpiredIsNotSent: what is over before the link is back is closed, and goes
// by no way; what is not goes.
func TestExpiredIsNotSent(t *testing.T) {
	t.Parallel()
	o := newOne(t)
	o.step(message.Up{Channel: "https", Up: false})
	for _, ttl := range []uint32{60, 0, 3600} {
		o.head.Head++
		o.step(message.Committed{Out: message.Out{Epoch: o.epoch, Seq: o.head.Head, ID: noroshi.Hash{byte(o.head.Head)}, Prec: noroshi.Priority, Created: o.now, TTL: ttl, Len: 10}})
	}
	o.now = o.now.Add(2 * time.Minute)
	var sent, closed []uint64
	for _, x := range o.step(message.Up{Channel: "https", Up: true}) {
		switch x := x.(type) {
		case message.Send:
			sent = append(sent, x.Seq)
		case message.Expire:
			closed = append(closed, x.Seqs...)
		}
	}
	if !slices.Equal(closed, []uint64{1}) || !slices.Equal(sent, []uint64{2, 3}) {
		t.Errorf("%v are closed and %v sent, want 1 closed and the others sent", closed, sent)
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
		queue = append(queue, sends(o.step(message.HandedOver{Epoch: s.Epoch, Seq: s.Seq, Channel: s.Channel, OK: true}))...)
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
		{"a head we have not, of a log that another followed", func(o *one) []message.Effect {
			st := o.holds(1)
			o.opened(false)
			return o.hear(st)
		}, message.AlarmRolledBack},
		{"a counter we have not issued, of a log that another followed", func(o *one) []message.Effect {
			c := message.Citation{Epoch: o.epoch, Counter: 1}
			o.opened(false)
			return o.hear(message.State{Cited: c})
		}, message.AlarmRolledBack},
		{"a head we have not, of a log that is known to have lost its end", func(o *one) []message.Effect {
			st := o.holds(1)
			o.opened(true)
			return o.hear(st)
		}, ""},
		{"a counter we have not issued, of such a log", func(o *one) []message.Effect {
			c := message.Citation{Epoch: o.epoch, Counter: 1}
			o.opened(true)
			return o.hear(message.State{Cited: c})
		}, ""},
		{"a counter we have not issued, of a log that a revoked key may have signed in", func(o *one) []message.Effect {
			c := message.Citation{Epoch: o.epoch, Counter: 1}
			o.opened(false)
			o.told++
			return o.step(message.Told{Epoch: otherLife, Counter: o.told, State: message.State{Cited: c, Echo: o.last.Challenge}, Doubts: []message.Doubt{{Epoch: o.epoch}}})
		}, ""},
		{"another chain", func(o *one) []message.Effect {
			o.write(noroshi.Priority, 10)
			st := o.holds(1)
			st.In[0].ChainCum = [16]byte{1}
			return o.hear(st)
		}, message.AlarmChain},
		{"a second id", func(o *one) []message.Effect {
			return o.step(message.Kept{In: message.In{Epoch: otherLife, Seq: 1, ID: noroshi.Hash{1}}, Second: true})
		}, message.AlarmSecondID},
		{"what lay before the one it holds is lost, and closed here", func(o *one) []message.Effect {
			st := o.holds(2)
			o.hear(st)
			for seq := range uint64(2) {
				o.step(message.Committed{Out: message.Out{Epoch: o.epoch, Seq: seq + 1, ID: noroshi.Hash{byte(seq + 1)}, Prec: noroshi.Routine, Created: o.now, Closed: seq == 0}})
			}
			return o.hear(st)
		}, ""},
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

// opened opens another epoch, because something was lost or for another reason.
func (o *one) opened(anew bool) {
	o.step(message.Opened{Epoch: message.Epoch{3}, Parents: []message.Epoch{o.epoch}, Anew: anew,
		First: message.Out{Epoch: message.Epoch{3}, Seq: 1, ID: noroshi.Hash{3}, Prec: noroshi.Immediate, Created: o.now}})
}

// TestNothingGoesBeforeTheNewLifeCounts: until the partner has cited a STATE of an epoch
// that follows another, nothing but STATE goes, of the former epoch neither: it is opened
// there under the card's secret, and of that only a little is.
func TestNothingGoesBeforeTheNewLifeCounts(t *testing.T) {
	t.Parallel()
	o := newOne(t)
	o.write(noroshi.Routine, 10)
	former, asked := o.epoch, o.last.Challenge
	o.step(message.Reopen{})
	o.epoch, o.fx = message.Epoch{3}, nil
	o.step(message.Opened{Epoch: o.epoch, Parents: []message.Epoch{former}, First: message.Out{Epoch: o.epoch, Seq: 1, ID: noroshi.Hash{8}, Prec: noroshi.Immediate, Created: o.now}})
	if says := o.lastBy["https"]; o.side.Status().Counts || says.Challenge == asked || len(o.fx) == 0 {
		t.Errorf("a new epoch that counts, says nothing, or asks what was answered: %v", o.fx)
	}
	o.head = message.EpochHead{Epoch: o.epoch, Head: 1}
	o.write(noroshi.Flash, 10)
	o.hear(message.State{}) // which was made before the partner heard of it
	for range 10 {
		o.now = o.now.Add(time.Second)
		o.step(message.Tick{})
	}
	if got := sends(o.fx); len(got) > 0 || o.side.Flying(former, 1, "https") {
		t.Fatalf("before the new epoch counts there go %v, and what was to go before: %t", got, o.side.Flying(former, 1, "https"))
	}
	if wait := o.side.Next().Sub(o.now); wait <= 0 {
		t.Errorf("a Tick is wanted %v ago for what may not go", -wait)
	}
	got := sends(o.hear(message.State{Cited: message.Citation{Epoch: o.epoch, Counter: 1}}))
	if len(got) != 2 || got[0].Prec != noroshi.Flash || !o.side.Status().Counts {
		t.Errorf("once it counts there go %v", got)
	}
}

// TestReopenedWhileOpening: a key of ours is revoked while a new epoch is being made,
// which may be signed with it yet: another follows, once.
func TestReopenedWhileOpening(t *testing.T) {
	t.Parallel()
	o := newOne(t)
	opens := func(fx []message.Effect) (n int) {
		for _, x := range fx {
			if _, ok := x.(message.Open); ok {
				n++
			}
		}
		return n
	}
	if n := opens(o.step(message.PutBack{})) + opens(o.step(message.Reopen{})) + opens(o.step(message.Reopen{})); n != 1 {
		t.Fatalf("%d epochs are made at a time", n)
	}
	for i, want := range []int{1, 0} {
		e := message.Epoch{3, byte(i)}
		if n := opens(o.step(message.Opened{Epoch: e, First: message.Out{Epoch: e, Seq: 1, ID: noroshi.Hash{3, byte(i)}, Prec: noroshi.Immediate, Created: o.now}})); n != want {
			t.Errorf("%d follow on epoch %d, want %d", n, i+1, want)
		}
	}
}

// TestOneWhoAlwaysCitesWhatWeLack: a partner that says all day that we lost
// something is followed ever more seldom, and after a quiet day at once again.
func TestOneWhoAlwaysCitesWhatWeLack(t *testing.T) {
	t.Parallel()
	o := newOne(t)
	opened := 0
	claim := func() {
		for _, x := range o.hear(message.State{Cited: message.Citation{Epoch: message.Epoch{0xee, byte(o.told)}, Counter: 1}}) {
			if x, ok := x.(message.Open); ok {
				opened++
				e := message.Epoch{0xdd, byte(opened)}
				o.step(message.Opened{Epoch: e, Parents: []message.Epoch{x.Parents[0].Epoch}, First: message.Out{Epoch: e, Seq: 1, ID: noroshi.Hash{byte(opened)}, Prec: noroshi.Immediate, Created: o.now}, Anew: true})
			}
		}
	}
	for range 8640 {
		o.now = o.now.Add(message.DefaultRules().Heartbeat)
		claim()
	}
	if opened < 3 || opened > 16 {
		t.Errorf("%d epochs in a day, want 3 to 16", opened)
	}
	o.now = o.now.Add(25 * time.Hour)
	before := opened
	if claim(); opened != before+1 {
		t.Error("a claim after a quiet day opens no epoch")
	}
}

// TestOneWhoAlwaysTakesBack: receipts taken back have what went sent again, once
// at first and then ever more seldom; each is an alarm.
func TestOneWhoAlwaysTakesBack(t *testing.T) {
	t.Parallel()
	o := newOne(t)
	o.write(noroshi.Priority, 10)
	receipts, alarms := 0, 0
	for range 1000 {
		o.now = o.now.Add(time.Second)
		for _, x := range append(o.hear(o.holds(1)), o.hear(message.State{In: []message.InSet{{Epoch: o.epoch}}})...) {
			switch x := x.(type) {
			case message.Receipt:
				receipts++
			case message.Alarm:
				if x.Code == message.AlarmShrank {
					alarms++
				}
			}
		}
	}
	if receipts < 2 || receipts > 10 || alarms != 1000 {
		t.Errorf("%d receipts and %d alarms of 1000 taken back", receipts, alarms)
	}
}

// TestWhatIsHeldHasABound: of one epoch so much waits for others or a person and
// no more, but for FLASH.
func TestWhatIsHeldHasABound(t *testing.T) {
	t.Parallel()
	o := newOne(t)
	taken := map[noroshi.Precedence]int{}
	seq := uint64(0)
	for _, p := range []noroshi.Precedence{noroshi.Routine, noroshi.Flash} {
		for range 40_000 {
			in := message.In{Epoch: otherLife, Seq: seq + 1, ID: noroshi.Hash{byte(seq), byte(seq >> 8), byte(seq >> 16), 1}, Kind: 200, Prec: p}
			for _, x := range o.step(message.Arrived{In: in}) {
				if k, ok := x.(message.Keep); ok {
					seq++
					taken[p]++
					k.In.Standing = message.Held
					o.step(message.Kept{In: k.In})
				}
			}
			if o.fx = nil; taken[p] > 0 && seq < in.Seq {
				break
			}
		}
	}
	if taken[noroshi.Routine] != 16<<10 || taken[noroshi.Flash] != 16<<10 {
		t.Errorf("taken are %v", taken)
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

// TestBeyond: what a partner holds above the end of a former log of ours came to it
// from a life that is lost; of the present log Step itself finds it.
func TestBeyond(t *testing.T) {
	t.Parallel()
	o := newOne(t)
	o.write(noroshi.Priority, 10)
	state := func(e message.Epoch, cum uint64, ranges ...message.Range) message.State {
		return message.State{In: []message.InSet{{Epoch: e, Cum: cum, Ranges: ranges}}}
	}
	now := message.Epoch{3}
	if o.side.Beyond(state(o.epoch, 2)) {
		t.Error("the present log is a former one")
	}
	o.step(message.Opened{Epoch: now, Parents: []message.Epoch{o.epoch}, First: message.Out{Epoch: now, Seq: 1, ID: noroshi.Hash{1}, Prec: noroshi.Immediate, Created: o.now}})
	for _, c := range []struct {
		name string
		st   message.State
		want bool
	}{
		{"nothing", message.State{}, false},
		{"all there is", state(o.epoch, 1), false},
		{"more", state(o.epoch, 2), true},
		{"more behind a gap", state(o.epoch, 0, message.Range{A: 4, B: 4}), true},
		{"more of the present log", state(now, 2), false},
		{"of a log that is not ours", state(message.Epoch{9}, 2), false},
	} {
		if got := o.side.Beyond(c.st); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
	o.step(message.Committed{Out: message.Out{Epoch: o.epoch, Seq: 2, ID: noroshi.Hash{2}, Prec: noroshi.Routine, Created: o.now}})
	if o.side.Beyond(state(o.epoch, 2)) {
		t.Error("it is more still, after it was taken back")
	}
}
