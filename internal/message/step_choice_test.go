package message_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// way is a channel everything may go by, dearer than the ones before it.
func way(name string, cost int) message.Way {
	return message.Way{Name: name, Traits: message.Traits{Kind: name, Cost: cost}, Control: true, Admits: func(string) bool { return true }}
}

func slow(w message.Way, turn time.Duration) message.Way {
	w.Turn, w.Narrow = turn, true
	return w
}

func onlyFor(w message.Way, label string) message.Way {
	w.Admits = func(l string) bool { return l == label }
	return w
}

// answer brings the echo of what was last asked by each of these channels.
func (o *one) answer(channels ...string) (fx []message.Effect) {
	for _, c := range channels {
		o.told++
		fx = append(fx, o.step(message.Told{Epoch: otherLife, Counter: o.told, Sum: noroshi.Hash{byte(o.told)}, State: message.State{Echo: o.lastBy[c].Challenge, In: o.in()}, Channel: c})...)
	}
	return fx
}

func (o *one) in() []message.InSet {
	if len(o.received) == 0 {
		return nil
	}
	return o.holds(o.received[0]).In
}

// put commits a message of objects of a label.
func (o *one) put(p noroshi.Precedence, label string) []message.Effect {
	o.head.Head++
	id := noroshi.Hash{byte(o.head.Head), 9}
	o.head.Chain = message.ChainNext(o.head.Chain, id)
	return o.step(message.Committed{Out: message.Out{Epoch: o.epoch, Seq: o.head.Head, ID: id, Prec: p, Created: o.now, Len: 10, Label: label, Chain: o.head.Chain}})
}

// over ends Sends: the channel took them.
func (o *one) over(list []message.Send) (fx []message.Effect) {
	for _, s := range list {
		fx = append(fx, o.step(message.HandedOver{Epoch: s.Epoch, Seq: s.Seq, Channel: s.Channel, OK: true})...)
	}
	return fx
}

// drain ends Sends, and those that then begin, until none does.
func (o *one) drain(fx []message.Effect) (all []message.Effect) {
	for len(fx) > 0 {
		all = append(all, fx...)
		fx = o.over(sends(fx))
	}
	return all
}

// wait lets time pass to a moment, tick by tick, with these channels answering.
func (o *one) wait(d time.Duration, answering ...string) (fx []message.Effect) {
	at := 0 // steps at one moment
	for end := o.now.Add(d); ; {
		next := o.side.Next()
		if at++; next.After(o.now) {
			at = 0
		}
		if at > 100 {
			o.t.Fatalf("a tick is wanted at %v, again and again: %+v", next, o.side.Status())
		}
		o.now = later(o.now, next)
		if o.now.After(end) {
			o.now = end
			return fx
		}
		now := o.drain(o.step(message.Tick{}))
		for _, x := range now {
			if s, ok := x.(message.SayState); ok {
				for _, c := range answering {
					if s.Channel == c {
						now = append(now, o.answer(c)...)
					}
				}
			}
		}
		fx = append(fx, now...)
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func channelsOf(list []message.Send) string {
	var names []string
	for _, s := range list {
		names = append(names, s.Channel)
	}
	return strings.Join(names, " ")
}

func switches(fx []message.Effect) string {
	var list []string
	for _, x := range fx {
		if s, ok := x.(message.Switched); ok {
			list = append(list, fmt.Sprintf("%s>%s %s%s", s.From, s.To, s.Why, s.Detail))
		}
	}
	return strings.Join(list, ", ")
}

func alarms(fx []message.Effect) (n int) {
	for _, x := range fx {
		if a, ok := x.(message.Alarm); ok && a.Code == message.AlarmNoPath {
			n++
		}
	}
	return n
}

func TestWhichWayEachPrecedenceGoes(t *testing.T) {
	t.Parallel()
	for prec, want := range map[noroshi.Precedence]string{noroshi.Flash: "https mail line", noroshi.Immediate: "https", noroshi.Priority: "https", noroshi.Routine: "https"} {
		o := newOne(t, way("https", 1), way("mail", 2), slow(way("line", 3), time.Second))
		o.answer("https", "mail", "line")
		if got := channelsOf(sends(o.put(prec, "a"))); got != want {
			t.Errorf("%s goes by %q, want %q", prec, got, want)
		}
		o = newOne(t, onlyFor(way("https", 1), "x"), way("mail", 2), onlyFor(way("line", 3), "x"))
		if got := channelsOf(sends(o.put(prec, "a"))); got != "mail" {
			t.Errorf("%s goes by %q, want by the only one that may carry it", prec, got)
		}
	}
}

// TestImmediateGoesByTheNextAfterSilence: no receipt in its time, so the next
// channel is tried besides, and the first goes on being so; PRIORITY stays.
func TestImmediateGoesByTheNextAfterSilence(t *testing.T) {
	t.Parallel()
	o := newOne(t, way("https", 1), way("mail", 2))
	o.answer("https", "mail")
	first := append(sends(o.put(noroshi.Immediate, "a")), sends(o.put(noroshi.Priority, "a"))...)
	if got := channelsOf(first); got != "https https" {
		t.Fatalf("begin by %q", got)
	}
	o.over(first)
	by := map[noroshi.Precedence]map[string]int{noroshi.Immediate: {}, noroshi.Priority: {}}
	for _, s := range sends(o.wait(5*time.Second, "https", "mail")) {
		by[s.Prec][s.Channel]++
	}
	if by[noroshi.Immediate]["mail"] == 0 || by[noroshi.Priority]["mail"] > 0 || by[noroshi.Priority]["https"] == 0 {
		t.Errorf("in five seconds without a receipt: %v", by)
	}
}

// TestAPathThatFails: what is refused goes by the next channel in the same step,
// the change is told with what the channel says, and back again when the better
// one answers.
func TestAPathThatFails(t *testing.T) {
	t.Parallel()
	o := newOne(t, way("https", 1), way("mail", 2))
	o.answer("https", "mail")
	sent := sends(o.put(noroshi.Routine, "a"))
	fx := o.step(message.Up{Channel: "https", Why: "cut"})
	if got := channelsOf(sends(fx)); got != "mail" || switches(fx) != "https>mail failedcut" {
		t.Errorf("goes by %q, told: %q", got, switches(fx))
	}
	o.over(append(sent, sends(fx)...))
	fx = o.step(message.Up{Channel: "https", Up: true})
	if got := channelsOf(sends(fx)); got != "" || switches(fx) != "" {
		t.Errorf("it takes something again and has not answered: goes by %q, told: %q", got, switches(fx))
	}
	fx = o.answer("https")
	if got := channelsOf(sends(fx)); got != "https" || switches(fx) != "mail>https better" {
		t.Errorf("it answers again: goes by %q, told: %q", got, switches(fx))
	}
}

// TestASilentPath: a channel that takes everything and brings nothing back is
// left within ten seconds of what was handed to it, and found again when it
// answers. FLASH never depended on it.
func TestASilentPath(t *testing.T) {
	t.Parallel()
	o := newOne(t, way("https", 1), way("mail", 2))
	o.answer("https", "mail")
	o.wait(20*time.Second, "https", "mail")
	begun := o.now
	o.fx = nil
	if got := channelsOf(sends(o.put(noroshi.Flash, "a"))); got != "https mail" {
		t.Errorf("FLASH goes by %q", got)
	}
	o.over(sends(o.put(noroshi.Routine, "a")))
	for moved := false; !moved; {
		for _, s := range sends(o.wait(100*time.Millisecond, "mail")) {
			moved = moved || s.Prec == noroshi.Routine && s.Channel == "mail"
		}
		if o.now.Sub(begun) > 10*time.Second {
			t.Fatal("ROUTINE stays ten seconds with a channel that brings nothing back")
		}
	}
	if told := switches(o.fx); told != "https>mail silent" {
		t.Errorf("told: %q", told)
	}
	o.fx = nil
	o.wait(2*time.Second, "https", "mail")
	if told := switches(o.fx); told != "mail>https better" {
		t.Errorf("it answers again: told %q", told)
	}
}

// TestFlashByTheNextWay: of three ways one after the other is cut, or takes all
// and brings nothing: a FLASH is on another within ten seconds, whichever it had
// begun on, and when all were cut within ten of one's coming back.
func TestFlashByTheNextWay(t *testing.T) {
	t.Parallel()
	names := []string{"https", "mail", "line"}
	ways := func() []message.Way {
		mail := way("mail", 2)
		mail.Turn = 2 * time.Minute
		return []message.Way{way("https", 1), mail, slow(way("line", 3), 20*time.Second)}
	}
	for i, lost := range names {
		for _, mute := range []bool{false, true} {
			o := newOne(t, ways()...)
			others := slices.Delete(slices.Clone(names), i, i+1)
			o.answer(names...)
			o.wait(time.Minute, names...)
			if !mute {
				o.step(message.Up{Channel: lost, Why: "cut"})
			}
			o.wait(3*time.Second, others...)
			fx := o.drain(o.put(noroshi.Flash, "a"))
			fx = append(fx, o.wait(10*time.Second, others...)...)
			for _, c := range others {
				if !slices.ContainsFunc(sends(fx), func(s message.Send) bool { return s.Channel == c }) {
					t.Errorf("%s lost (mute %v): ten seconds later the FLASH is not on %s", lost, mute, c)
				}
			}
		}
		o := newOne(t, ways()...)
		o.answer(names...)
		for _, c := range names {
			o.step(message.Up{Channel: c, Why: "cut"})
		}
		fx := o.drain(o.put(noroshi.Flash, "a"))
		o.wait(time.Hour)
		fx = append(fx, o.drain(o.step(message.Up{Channel: lost, Up: true}))...)
		if got := channelsOf(sends(append(fx, o.wait(10*time.Second)...))); !strings.Contains(got, lost) {
			t.Errorf("all cut, then %s is back: the FLASH goes by %q", lost, got)
		}
	}
}

// TestNoPathIsTold: what no channel may carry waits, whatever others would take
// it, and the duty officer is told once, until it is over.
func TestNoPathIsTold(t *testing.T) {
	t.Parallel()
	o := newOne(t, onlyFor(way("https", 1), "red"), onlyFor(way("mail", 2), "green"))
	o.answer("https", "mail")
	o.step(message.Up{Channel: "https", Why: "cut"})
	fx := append(o.put(noroshi.Flash, "red"), o.put(noroshi.Routine, "green")...)
	if got := sends(fx); channelsOf(got) != "mail" || got[0].Seq != 2 {
		t.Fatalf("go: %v", got)
	}
	fx = o.wait(time.Minute, "mail")
	if n := alarms(fx); n != 1 {
		t.Errorf("told %d times in a minute, want once", n)
	}
	for _, s := range sends(fx) {
		if s.Seq == 1 {
			t.Errorf("it went by %s", s.Channel)
		}
	}
	if got := channelsOf(sends(o.step(message.Up{Channel: "https", Up: true}))); got != "https" {
		t.Errorf("the channel is back and it goes by %q", got)
	}
	if n := alarms(o.put(noroshi.Routine, "of nobody")); n != 1 {
		t.Errorf("a label no channel is admitted for is told %d times, want at once", n)
	}
}

// TestANarrowPath: one envelope of a class at a time; what is higher does not
// wait for what is lower, and what the partner holds is stopped.
func TestANarrowPath(t *testing.T) {
	t.Parallel()
	o := newOne(t, slow(way("line", 1), 2*time.Second))
	first := sends(o.put(noroshi.Routine, "a"))
	if len(first) != 1 || len(sends(o.put(noroshi.Routine, "a"))) != 0 {
		t.Fatal("two ROUTINE at a time on a narrow path")
	}
	if got := sends(o.put(noroshi.Immediate, "a")); len(got) != 1 {
		t.Error("IMMEDIATE waits for a ROUTINE that is under way")
	}
	if got := sends(o.put(noroshi.Flash, "a")); len(got) != 1 {
		t.Error("FLASH waits")
	}
	halted := 0
	for _, x := range o.hear(o.holds(1)) {
		if h, ok := x.(message.Halt); ok && h.Seq == 1 && h.Channel == "line" {
			halted++
		}
	}
	if halted != 1 || o.side.Flying(o.epoch, 1, "line") {
		t.Errorf("what the partner holds is stopped %d times", halted)
	}
}

// TestAPathThatMayCarryNoMore: what is on its way there is stopped on a narrow path,
// and takes no place from what may still go; where it may again it goes again.
func TestAPathThatMayCarryNoMore(t *testing.T) {
	t.Parallel()
	line := slow(way("line", 1), 2*time.Second)
	ways := []message.Way{line, way("https", 2)}
	for name, c := range map[string]struct {
		ways  []message.Way // from then on
		halts []string
	}{
		"nothing may":        {[]message.Way{onlyFor(line, "b"), onlyFor(way("https", 2), "b")}, []string{"line"}},
		"the line is gone":   {[]message.Way{way("https", 2)}, []string{"line"}},
		"nothing is left":    {nil, []string{"line"}},
		"only https may not": {[]message.Way{line, onlyFor(way("https", 2), "b")}, nil},
		"all is as it was":   {ways, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOne(t, ways...)
			o.answer("line", "https")
			first := o.put(noroshi.Flash, "a") // by both
			if got := channelsOf(sends(first)); got != "line https" {
				t.Fatalf("it goes by %q", got)
			}
			var halts []string
			for _, x := range o.step(message.Rewired{Ways: c.ways}) {
				if h, ok := x.(message.Halt); ok && h.Seq == 1 {
					halts = append(halts, h.Channel)
				}
			}
			if !slices.Equal(halts, c.halts) || o.side.Flying(o.epoch, 1, "line") != (c.halts == nil) {
				t.Errorf("stopped on %q, want on %q", halts, c.halts)
			}
			for _, s := range sends(first) {
				o.step(message.HandedOver{Epoch: s.Epoch, Seq: s.Seq, Channel: s.Channel})
			}
			fx := o.step(message.Rewired{Ways: ways})
			if got := channelsOf(sends(append(fx, o.wait(time.Minute, "line", "https")...))); !strings.Contains(got, "line") || !strings.Contains(got, "https") {
				t.Errorf("it may again, and goes by %q", got)
			}
		})
	}
}

// TestWhatMayGoNoMoreTakesNoPlace: a narrow path is full of objects that it may carry
// no more; what is no object goes all the same.
func TestWhatMayGoNoMoreTakesNoPlace(t *testing.T) {
	t.Parallel()
	line := slow(way("line", 1), 2*time.Second)
	o := newOne(t, line)
	o.answer("line")
	for range 4 {
		o.over(sends(o.put(noroshi.Priority, "a")))
	}
	o.step(message.Rewired{Ways: []message.Way{onlyFor(line, "b")}})
	if got := sends(o.put(noroshi.Priority, "")); len(got) != 1 {
		t.Errorf("a TOMBSTONE goes %d times behind what may go no more, want once", len(got))
	}
}

// TestWhatMayGoAgainCountsAnew: what a narrow path may carry again waits there for a
// place, as if it had never gone by it, and goes at once when there is one.
func TestWhatMayGoAgainCountsAnew(t *testing.T) {
	t.Parallel()
	line := slow(way("line", 1), 2*time.Second)
	o := newOne(t, line)
	o.answer("line")
	fill := func(label string) (seqs []uint64) {
		for _, s := range o.drain(append(o.put(noroshi.Routine, label), o.put(noroshi.Routine, label)...)) {
			if s, ok := s.(message.Send); ok {
				seqs = append(seqs, s.Seq)
			}
		}
		return seqs
	}
	if got := fill("a"); !slices.Equal(got, []uint64{1, 2}) {
		t.Fatalf("%v go", got)
	}
	o.step(message.Rewired{Ways: []message.Way{onlyFor(line, "b")}})
	if got := fill("b"); !slices.Equal(got, []uint64{3, 4}) {
		t.Fatalf("%v go in the place of what may not", got)
	}
	o.drain(o.step(message.Rewired{Ways: []message.Way{line}}))
	for _, s := range sends(o.wait(time.Minute, "line")) {
		if s.Seq < 3 {
			t.Errorf("%d goes beside two that have no receipt", s.Seq)
		}
	}
	if got := sends(o.hear(o.holds(3))); len(got) != 1 || got[0].Seq != 1 {
		t.Errorf("with a place free %v goes, want 1 at once", got)
	}
}

// TestWhatMayGoAgainGoesAtOnce: so does what has no need of a place, whichever way it may
// go by, however long an answer takes on the one that it left.
func TestWhatMayGoAgainGoesAtOnce(t *testing.T) {
	t.Parallel()
	letter := way("mail", 1)
	letter.Turn = time.Hour
	for name, then := range map[string][]message.Way{"the way it left": {letter}, "another": {onlyFor(letter, "b"), way("https", 2)}, "another, the first gone": {way("https", 2)}} {
		for i, prec := range []noroshi.Precedence{noroshi.Routine, noroshi.Immediate, noroshi.Flash, noroshi.Routine, noroshi.Immediate, noroshi.Flash} {
			under, without := i > 2, then // under way when it may go no more
			if name != "another, the first gone" {
				without = []message.Way{onlyFor(letter, "b")}
			}
			t.Run(fmt.Sprint(prec, " by ", name, " under way ", under), func(t *testing.T) {
				t.Parallel()
				o := newOne(t, letter)
				o.answer("mail")
				first := sends(o.put(prec, "a"))
				if !under {
					o.drain(o.over(first))
				}
				fx := o.drain(o.step(message.Rewired{Ways: without}))
				if under {
					fx = append(fx, o.drain(o.over(first))...)
				}
				fx = append(fx, o.drain(o.step(message.Rewired{Ways: then}))...)
				if got := sends(fx); len(got) != 1 || got[0].Channel != then[len(then)-1].Name {
					t.Errorf("%v go, want it at once by %s", got, then[len(then)-1].Name)
				}
			})
		}
	}
}

// TestAFullPathIsNoNextWay: what failed once goes again by its way where the other has
// no place, for it is full and silent.
func TestAFullPathIsNoNextWay(t *testing.T) {
	t.Parallel()
	o := newOne(t, onlyFor(way("https", 1), "b"), onlyFor(way("line", 2), "a"))
	o.answer("https", "line")
	for n := 1; n > 0; {
		n = len(o.drain(o.put(noroshi.Immediate, "a")))
	}
	first := sends(o.put(noroshi.Immediate, ""))
	if got := channelsOf(first); got != "https" {
		t.Fatalf("it goes by %q", got)
	}
	fx := o.step(message.HandedOver{Epoch: first[0].Epoch, Seq: first[0].Seq, Channel: "https"})
	fx = append(fx, o.wait(time.Minute, "https")...)
	if !slices.ContainsFunc(sends(fx), func(s message.Send) bool { return s.Seq == first[0].Seq && s.Channel == "https" }) {
		t.Error("it goes no more")
	}
}

// TestASlowPathHoldsUpNoOther: with a line full of what it cannot send for
// hours, https goes on at its own pace, and the reverse.
func TestASlowPathHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	o := newOne(t, onlyFor(way("https", 1), "a"), slow(onlyFor(way("line", 2), "b"), time.Second))
	o.answer("https", "line")
	for range 50 {
		o.put(noroshi.Routine, "b")
	}
	for range 20 {
		o.put(noroshi.Routine, "a")
	}
	for n := uint64(51); n <= 70; n++ {
		fx := o.fx
		o.fx = nil
		for _, s := range sends(fx) {
			if s.Channel == "https" {
				o.over([]message.Send{s})
				o.hear(o.holds(s.Seq))
			}
		}
	}
	for n := uint64(51); n <= 70; n++ {
		if !containsSeq(o.received, n) {
			t.Errorf("%d waits for the line", n)
		}
	}
}

func containsSeq(list []uint64, n uint64) bool {
	for _, x := range list {
		if x == n {
			return true
		}
	}
	return false
}

// TestWhatAChannelNeverTakes: what is too large for one goes by another.
func TestWhatAChannelNeverTakes(t *testing.T) {
	t.Parallel()
	o := newOne(t, way("line", 1), way("mail", 2))
	o.answer("line", "mail")
	s := sends(o.put(noroshi.Routine, "a"))[0]
	fx := o.step(message.HandedOver{Epoch: s.Epoch, Seq: s.Seq, Channel: "line", Never: true})
	if got := channelsOf(sends(fx)); got != "mail" {
		t.Errorf("goes by %q", got)
	}
	for _, s := range sends(o.wait(time.Minute, "line", "mail")) {
		if s.Channel == "line" {
			t.Fatal("it is handed to the line again")
		}
	}
}

// TestOneWay: where nothing comes back a new epoch is opened, so that nothing can
// have been rolled back; then everything goes a few times, and what went makes
// room.
func TestOneWay(t *testing.T) {
	t.Parallel()
	diode := way("media:diode", 1)
	diode.OneWay = true
	r := message.DefaultRules()
	r.Ways, r.Window = []message.Way{diode}, 4
	o := &one{t: t, now: time.Unix(1_800_000_000, 0), epoch: message.Epoch{1}, lastBy: map[string]message.State{}}
	o.side = message.Rebuild(r, message.Facts{Mine: []message.EpochHead{{Epoch: o.epoch, Head: 1}}, Run: [8]byte{1},
		Out: []message.Out{{Epoch: o.epoch, Seq: 1, ID: noroshi.Hash{1}, Prec: noroshi.Immediate, Created: o.now}}}, o.now)
	opened := 0
	for _, x := range o.wait(time.Minute) {
		switch x.(type) {
		case message.Open:
			opened++
		case message.Send:
			t.Fatal("a message leaves though its log may have been rolled back")
		}
	}
	if opened != 1 {
		t.Fatalf("%d epochs were opened, want 1", opened)
	}
	o.epoch, o.head = message.Epoch{7}, message.EpochHead{Epoch: message.Epoch{7}, Head: 1}
	o.over(sends(o.step(message.Opened{Epoch: o.epoch, Parents: []message.Epoch{{1}}, First: message.Out{Epoch: o.epoch, Seq: 1, ID: noroshi.Hash{7}, Prec: noroshi.Immediate, Created: o.now}})))
	if !o.side.Confirmed() {
		t.Fatal("its log may not grow")
	}
	times := map[uint64]int{}
	count := func(fx []message.Effect) {
		for _, s := range sends(fx) {
			if s.Epoch == o.epoch {
				times[s.Seq]++
			}
		}
	}
	for range 20 {
		count(o.drain(o.put(noroshi.Routine, "a")))
	}
	count(o.drain(o.put(noroshi.Flash, "a")))
	count(o.wait(time.Hour))
	for n := uint64(2); n <= 22; n++ {
		if want := map[bool]int{true: 5, false: 2}[n == 22]; times[n] != want {
			t.Errorf("%d went %d times, want %d", n, times[n], want)
		}
	}
}

// TestAnswersKeepToTheirWays: a statement that has objects in it goes by a way that
// may carry them, whichever way statements go by, and by none rather than another.
func TestAnswersKeepToTheirWays(t *testing.T) {
	t.Parallel()
	first, second := onlyFor(way("mail", 1), "TLP:CLEAR"), onlyFor(way("https", 2), "TLP:GREEN")
	o := newOne(t, first, second)
	o.answer("mail", "https")
	by := func(label string) string {
		for _, x := range o.step(message.Attest{Kind: message.ReturnKind, Body: []byte{1}, Label: label}) {
			if s, ok := x.(message.SayBody); ok {
				return s.Channel
			}
		}
		return ""
	}
	for label, want := range map[string]string{"": "mail", "TLP:CLEAR": "mail", "TLP:GREEN": "https", "TLP:RED": ""} {
		if got := by(label); got != want || o.side.Speaks(label) != (want != "") {
			t.Errorf("%q goes by %q, want %q; may it: %t", label, got, want, o.side.Speaks(label))
		}
	}
	o.step(message.Up{Channel: "https", Why: "cut"})
	if got := by("TLP:GREEN"); got != "" || o.side.Speaks("TLP:GREEN") {
		t.Errorf("TLP:GREEN goes by %q while its way is cut", got)
	}
}
