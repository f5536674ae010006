package message

import (
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// maxHellos is how often an unanswered hello is repeated at the quick pace.
const maxHellos = 60

// flashHellos is how many go in the time of one while a FLASH waits.
const flashHellos = 4

var never = time.Unix(1<<40, 0)

// soon makes a STATE due within a while, so that receipts travel together.
func (s *Side) soon(now time.Time, within time.Duration) {
	if at := now.Add(within); s.due.IsZero() || at.Before(s.due) {
		s.due = at
	}
}

// stateAt is when the next STATE is to be said.
func (s *Side) stateAt() time.Time {
	if s.opening || len(s.mine) == 0 {
		return never
	}
	at := s.said.Add(s.pace())
	if !s.due.IsZero() && s.due.Before(at) {
		return s.due
	}
	return at
}

// pace is how soon a STATE follows the last one when nothing asks for it. A
// waiting FLASH has the link looked for more often, and without end.
func (s *Side) pace() time.Duration {
	flash := s.lacks(noroshi.Flash)
	switch {
	case s.confirmed && s.up:
	case flash && s.hellos < flashHellos*maxHellos:
		return min(s.rules.Heartbeat, s.rules.Probe/flashHellos)
	case flash || s.hellos < maxHellos:
		return min(s.rules.Heartbeat, s.rules.Probe)
	}
	return s.rules.Heartbeat
}

// sayState issues the next counter and tells everything that is durable here.
func (s *Side) sayState(now time.Time) Effect {
	s.counter++
	s.due, s.said = time.Time{}, now
	if s.challengedAt.IsZero() {
		s.challengedAt = now
	}
	if !s.confirmed || !s.up {
		s.hellos++
	}
	m := s.present()
	st := State{Run: s.run, Cited: s.cited, Keys: s.keys, Challenge: s.challenge, Echo: s.echo,
		Out: OutHead{Parents: slices.Clone(s.parents), Head: m.Head, Chain: [16]byte(m.Chain[:16])}}
	for _, l := range s.speakOf() {
		st.In = append(st.In, l.inSet())
	}
	return SayState{Epoch: m.Epoch, Counter: s.counter, State: st}
}

// speakOf picks the partner's epochs a STATE tells of: the live one, then the
// newest, 16 at most. One of which nothing is held is told too: silence about
// an empty set would leave the partner believing an older one.
func (s *Side) speakOf() []*life {
	var list []*life
	if l := s.life(s.live); l != nil {
		list = append(list, l)
	}
	for i := len(s.theirs) - 1; i >= 0 && len(list) < maxEpochs; i-- {
		if l := s.theirs[i]; l.Epoch != s.live {
			list = append(list, l)
		}
	}
	return list
}

// askAgain sends a WANT when a gap has stayed open for two heartbeats.
func (s *Side) askAgain(now time.Time) []Effect {
	var w Want
	for _, l := range s.theirs {
		for _, r := range l.missing() {
			if len(w.Runs) < maxRanges {
				w.Runs = append(w.Runs, EpochRange{l.Epoch, r})
			}
		}
	}
	switch {
	case len(w.Runs) == 0:
		s.gapSince = time.Time{}
		return nil
	case s.gapSince.IsZero():
		s.gapSince = now
	case now.Sub(s.gapSince) >= 2*s.rules.Heartbeat && now.Sub(s.asked) >= 2*s.rules.Heartbeat:
		s.asked = now
		s.counter++
		w.Reason = 1
		return []Effect{SayWant{Epoch: s.present().Epoch, Counter: s.counter, Want: w}}
	}
	return nil
}

// told takes a verified STATE: which life speaks, is it newer than what is
// known, does it know more of us than we do, what does it hold.
func (s *Side) told(e Told, now time.Time) []Effect {
	l := s.lifeFor(e.Epoch)
	if l == nil {
		return nil
	}
	var fx []Effect
	// A hello is answered at once, also that of a retired life: it may come from
	// a partner put back to before its present one, who learns of it from what
	// we cite.
	if e.State.Challenge != s.echo {
		s.echo = e.State.Challenge
		s.soon(now, 0)
	}
	if l.Retired {
		return nil
	}
	if e.Epoch != s.live {
		if !s.promote(l, e) {
			return nil
		}
		fx = append(fx, s.lives())
	}
	if e.Epoch == s.cited.Epoch && e.Counter <= s.cited.Counter {
		if e.Counter == s.cited.Counter && e.Sum != s.sum {
			fx = append(fx, Alarm{Code: AlarmClone, Epoch: e.Epoch, Seq: e.Counter})
		}
		return fx
	}
	s.cited, s.sum, s.heard = Citation{e.Epoch, e.Counter}, e.Sum, now
	s.known = e.State.Keys
	l.head, l.headChain = e.State.Out.Head, e.State.Out.Chain
	if l.Cum == l.head && l.head > 0 && [16]byte(l.Chain[:16]) != l.headChain {
		fx = append(fx, Alarm{Code: AlarmChain, Epoch: l.Epoch, Seq: l.head})
	}
	s.confirm(e, now)
	if e.State.Run != s.partnerRun { // it started anew: what was under way is lost
		s.partnerRun = e.State.Run
		s.hurry(now)
	}
	fx = append(fx, s.rolledBack(e, now)...)
	fx = append(fx, s.believe(e.State)...)
	for _, m := range s.mine {
		s.overtaken(m)
		fx = append(fx, s.loadMissing(m)...)
	}
	if !s.up {
		s.soon(now, 0)
	}
	return fx
}

// promote decides whether a life that is not the live one is so now: it names
// the live one as its parent, or it echoes a challenge drawn after it first
// spoke. Being heard first or last decides nothing: a late receipt of an old
// life would retire the new one.
func (s *Side) promote(l *life, e Told) bool {
	names := s.live != Epoch{} && slices.Contains(e.State.Out.Parents, s.live)
	echoes := l.heardOf && e.State.Echo == s.challenge
	if !l.heardOf {
		l.heardOf = true
		if s.live != (Epoch{}) && !names {
			s.draw() // the echo must be fresh for this life
		}
		echoes = s.live == Epoch{} && e.State.Echo == s.challenge && s.challenge != [8]byte{}
	}
	if !names && !echoes {
		return false
	}
	for _, p := range e.State.Out.Parents {
		if x := s.lifeFor(p); x != nil {
			x.Retired = true
		}
	}
	if x := s.life(s.live); x != nil {
		x.Retired = true
	}
	s.live = l.Epoch
	// Receipts name the life they were given in: a new life holds nothing
	// until it says so.
	for _, m := range s.mine {
		m.stored, m.applied = nil, nil
	}
	return true
}

func (s *Side) lives() Effect {
	x := Lives{Live: s.live}
	for _, l := range s.theirs {
		if l.Retired {
			x.Retired = append(x.Retired, l.Epoch)
		}
	}
	return x
}

// confirm notes that the partner answered a challenge of this run.
func (s *Side) confirm(e Told, now time.Time) {
	if e.State.Echo != s.challenge || s.challengedAt.IsZero() {
		return
	}
	if !s.confirmed {
		s.hurry(now)
	}
	s.confirmed, s.hellos = true, 0
	if !s.timed {
		s.trip, s.timed = now.Sub(s.challengedAt), true
	}
}

// rolledBack finds what no file on this disk can tell: the partner cites a
// sequence or a counter of ours that we have not issued. A partner that says so
// again and again moves us to a new epoch once in a heartbeat at most.
func (s *Side) rolledBack(e Told, now time.Time) []Effect {
	var lost []Epoch
	back := false
	for _, in := range e.State.In {
		stored, _ := in.sets()
		switch m := s.own(in.Epoch); {
		case m == nil && stored.max() > 0:
			back, lost = true, append(lost, in.Epoch)
		case m != nil && stored.max() > m.Head:
			back = back || m == s.present()
			m.stored = m.stored.union(runs{{m.Head + 1, stored.max()}})
		}
	}
	c := e.State.Cited
	switch m := s.own(c.Epoch); {
	case c == Citation{}:
	case m == nil:
		back = true
		if !slices.Contains(lost, c.Epoch) {
			lost = append(lost, c.Epoch)
		}
	case m == s.present() && (c.Counter > s.counter || c.Counter > s.start && c.Counter <= s.base):
		back = true
	}
	if !back || !s.openedAt.IsZero() && now.Sub(s.openedAt) < s.rules.Heartbeat {
		return nil
	}
	return append([]Effect{Alarm{Code: AlarmRolledBack, Epoch: s.present().Epoch, Seq: s.present().Head}}, s.open(RolledBack, lost)...)
}

// believe takes the receipts of the partner's live epoch.
func (s *Side) believe(st State) []Effect {
	var fx []Effect
	for _, in := range st.In {
		m := s.own(in.Epoch)
		if m == nil {
			continue
		}
		stored, applied := in.sets()
		if gone := m.stored.less(stored); len(gone) > 0 && !(len(in.Ranges) == maxRanges && gone[0].A > stored.max()) {
			// It must not happen within a life. What is gone is sent again all
			// the same: twice is harmless, never is not.
			fx = append(fx, Alarm{Code: AlarmShrank, Epoch: in.Epoch, Seq: gone[0].A})
			m.stored, m.applied = stored, applied
		}
		if m.Head > 0 && in.Cum == m.Head && in.ChainCum != [16]byte(m.Chain[:16]) {
			fx = append(fx, Alarm{Code: AlarmChain, Epoch: in.Epoch, Seq: in.Cum})
		}
		newStored, newApplied := stored.less(m.stored), applied.less(m.applied)
		m.stored, m.applied = m.stored.union(newStored), m.applied.union(newApplied)
		for _, r := range newStored {
			s.receipted(m, r)
		}
		r := Receipt{Epoch: m.Epoch, Stored: upTo(newStored, m.Head), Applied: upTo(newApplied, m.Head)}
		if len(r.Stored)+len(r.Applied) > 0 {
			fx = append(fx, r)
		}
	}
	return fx
}

// receipted takes what is stored there out of the queues.
func (s *Side) receipted(m *own, r Range) {
	if r.B-r.A < uint64(len(s.out)) {
		for n := r.A; n <= r.B; n++ {
			s.drop(outKey{m.Epoch, n})
		}
		return
	}
	for k := range s.out {
		if k.epoch == m.Epoch && k.seq >= r.A && k.seq <= r.B {
			s.drop(k)
		}
	}
}

// upTo cuts a set at a head: what lies above was never ours to be receipted.
func upTo(r runs, head uint64) []Range {
	var out []Range
	for _, x := range r {
		if x.A <= head {
			out = append(out, Range{x.A, min(x.B, head)})
		}
	}
	return out
}

// Status is what a Side knows of its link.
type Status struct {
	Epoch             Epoch
	Confirmed, Up     bool
	Heard             time.Time
	Trip              time.Duration
	Head              uint64 // of our present epoch
	Stored, Applied   uint64 // of it, in the partner's live epoch
	Waiting           [noroshi.Flash + 1]int
	Live              Epoch
	Opening           bool // a new epoch is being made
	InHead, InApplied uint64
	Missing           []Range
	Open, Held        int
	Known             [2]KeyVersion // the partner's keys, as its last STATE says
}

// Status returns what the Side knows.
func (s Side) Status() Status {
	m := s.present()
	st := Status{Epoch: m.Epoch, Confirmed: s.confirmed, Up: s.up, Heard: s.heard, Trip: s.trip, Head: m.Head,
		Stored: runs(upTo(m.stored, m.Head)).count(), Applied: runs(upTo(m.applied, m.Head)).count(), Live: s.live, Known: s.known, Opening: s.opening}
	for _, o := range s.out {
		st.Waiting[o.Prec]++
	}
	for _, l := range s.theirs {
		st.Open += len(l.open)
		for _, x := range l.open {
			if x.Standing == Held {
				st.Held++
			}
		}
	}
	if l := s.life(s.live); l != nil {
		st.InHead, st.Missing = max(l.head, l.have.max()), l.missing()
		st.InApplied = l.have.count() - uint64(len(l.open))
	}
	return st
}

// Confirmed reports whether the partner has answered a challenge of this run
// and no new epoch is being made: only then may messages join the log, for
// only then is it known that the log was not rolled back.
func (s Side) Confirmed() bool { return s.confirmed && !s.opening }

// Answered reports whether the present challenge was echoed; Trip is of it then.
func (s Side) Answered() bool { return s.timed }

// Tail returns where our present log ends.
func (s Side) Tail() EpochHead { return s.present().EpochHead }

// Outstanding counts our messages in memory that have no receipt.
func (s Side) Outstanding() int { return len(s.out) }

// refuse issues the next counter for a REFUSE, once there is an epoch to speak
// in.
func (s *Side) refuse(code uint8) []Effect {
	if len(s.mine) == 0 {
		return nil
	}
	s.counter++
	return []Effect{SayRefuse{Epoch: s.present().Epoch, Counter: s.counter, Refuse: Refuse{Code: code}}}
}
