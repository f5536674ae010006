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

// soon makes a STATE due within a while, so that receipts travel together: by
// the preferred path, and by the one that what is receipted came by unless
// answers are known to arrive by the former. While no path is usable all are
// tried.
func (s *Side) soon(via string, now time.Time, within time.Duration) {
	lead := s.speaking()
	if lead == nil {
		s.soonAll(now)
		return
	}
	s.soonOn(lead, now, within)
	if p := s.pathOf(via); p != nil && p != lead && p.usable() && lead.state != PathProven {
		s.soonOn(p, now, within)
	}
}

// soonOn makes a STATE due by one path.
func (s *Side) soonOn(p *path, now time.Time, within time.Duration) {
	if at := now.Add(within); p.due.IsZero() || at.Before(p.due) {
		p.due = at
	}
}

// soonAll makes a STATE due by every path.
func (s *Side) soonAll(now time.Time) {
	for _, p := range s.paths {
		s.soonOn(p, now, 0)
	}
}

// stateAt is when the next STATE is to be said by a path: when one is due, by
// its pace, or when an answer is late. On a slow path a turn lies between two.
func (s *Side) stateAt(p *path) time.Time {
	if s.opening || len(s.mine) == 0 || !p.Control || p.state == PathAbsent {
		return never
	}
	at := p.said.Add(s.pace(p))
	if n := len(p.asks); n > 0 && p.state < PathSilent && !p.OneWay {
		at = earlier(at, p.asks[n-1].at.Add(s.patience(p)))
	}
	if p.due.IsZero() {
		return at
	}
	rest := p.Turn
	if !p.usable() {
		rest = max(rest, s.rules.Probe/flashHellos)
	}
	return earlier(at, later(p.due, p.said.Add(rest)))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// slowBeat is how many turn times lie between two heartbeats of a slow path.
const slowBeat = 10

// beat is the time between two heartbeats by a path.
func (s *Side) beat(p *path) time.Duration { return max(s.rules.Heartbeat, slowBeat*p.Turn) }

// pace is how soon a STATE follows the last one by a path when nothing asks for
// it. A waiting FLASH has a path that does not answer looked for more often, and
// without end.
func (s *Side) pace(p *path) time.Duration {
	flash := s.lacks(noroshi.Flash)
	switch {
	case s.confirmed && p.state == PathProven || p.OneWay:
	case flash && p.hellos < flashHellos*maxHellos:
		return min(s.beat(p), max(s.rules.Probe/flashHellos, 2*p.Turn))
	case flash || p.hellos < maxHellos:
		return min(s.beat(p), max(s.rules.Probe, 2*p.Turn))
	}
	return s.beat(p)
}

// sayState issues the next counter and tells everything that is durable here.
// Each path has statements of its own: who answers shows which way it came.
func (s *Side) sayState(p *path, now time.Time) Effect {
	s.counter++
	if !s.confirmed || p.state != PathProven {
		p.hellos++
	}
	m := s.present()
	st := State{Run: s.run, Cited: s.cited, Keys: s.keys, Challenge: s.ask(p, now), Echo: p.echo,
		Out: OutHead{Parents: slices.Clone(s.parents), Head: m.Head, Chain: [16]byte(m.Chain[:16])}}
	for _, l := range s.speakOf() {
		st.In = append(st.In, l.inSet())
	}
	p.due, p.said = time.Time{}, now
	return SayState{Epoch: m.Epoch, Counter: s.counter, Channel: p.Name, State: st}
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
	p := s.speaking()
	if p == nil {
		return nil
	}
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
		return []Effect{SayWant{Epoch: s.present().Epoch, Counter: s.counter, Channel: p.Name, Want: w}}
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
	s.challenged(e, now)
	hit := s.answer(e.State.Echo, now)
	if l.Retired {
		return nil
	}
	if e.Epoch != s.live {
		if !s.promote(l, e, hit, now) {
			l.says(e.State.Out)
			return nil
		}
		fx = append(fx, s.lives())
		s.soon(e.Channel, now, 0) // it waits to be cited
	}
	if hit > 0 && !s.confirmed { // it answered a challenge of this run, by whatever way and however late
		s.confirmed = true
		s.hurry(nil, now)
	}
	if e.Epoch == s.cited.Epoch && e.Counter <= s.cited.Counter {
		if e.Counter == s.cited.Counter && e.Sum != s.sum {
			fx = append(fx, Alarm{Code: AlarmClone, Epoch: e.Epoch, Seq: e.Counter})
		}
		return fx
	}
	s.cited, s.sum, s.heard = Citation{e.Epoch, e.Counter}, e.Sum, now
	s.known = e.State.Keys
	s.isCited(e.State.Cited)
	l.head, l.headChain = e.State.Out.Head, e.State.Out.Chain
	if l.Cum == l.head && l.head > 0 && [16]byte(l.Chain[:16]) != l.headChain {
		fx = append(fx, Alarm{Code: AlarmChain, Epoch: l.Epoch, Seq: l.head})
	}
	if e.State.Run != s.partnerRun { // it started anew: what was under way is lost
		s.partnerRun = e.State.Run
		s.hurry(nil, now)
	}
	fx = append(fx, s.rolledBack(e, now)...)
	fx = append(fx, s.believe(e.State, now)...)
	for _, m := range s.mine {
		s.overtaken(m)
		fx = append(fx, s.loadMissing(m)...)
	}
	if p := s.pathOf(e.Channel); p != nil && !p.usable() { // the partner comes by it: perhaps it works again
		s.soonOn(p, now, 0)
	}
	return fx
}

// isCited takes note of what the partner's newest STATE cites. A partner that was put back
// may cite a former epoch again.
func (s *Side) isCited(c Citation) { s.present().cited = c.Epoch == s.present().Epoch }

// challenged takes a challenge that is to be echoed: by the path it came by, and
// unless that is known to reach the partner by the preferred one too.
func (s *Side) challenged(e Told, now time.Time) {
	s.medium.echo = e.State.Challenge
	c, seen, via := e.State.Challenge, &s.seen, s.pathOf(e.Channel)
	if via != nil {
		seen = &via.seen
	}
	if *seen == c {
		return
	}
	*seen = c
	if via != nil && via.usable() && !via.OneWay {
		via.echo = c
		s.soonOn(via, now, 0)
	}
	if via != nil && via.state == PathProven {
		return
	}
	if p := s.speaking(); p != nil && p != via {
		p.echo = c
		s.soonOn(p, now, 0)
	} else if p == nil {
		for _, p := range s.paths {
			p.echo = c
		}
		s.soonAll(now)
	}
}

// promote decides whether a life that is not the live one is so now: it names
// the live one as its parent, or it echoes a challenge drawn after it first
// spoke. Being heard first or last decides nothing: a late receipt of an old
// life would retire the new one.
func (s *Side) promote(l *life, e Told, hit uint64, now time.Time) bool {
	names := s.live != Epoch{} && slices.Contains(e.State.Out.Parents, s.live)
	echoes := hit > 0 && hit > l.since
	if !l.heardOf {
		l.heardOf = true
		if s.live != (Epoch{}) && !names { // the echo must be fresh for this life
			l.since, echoes = s.drawn, false
			s.redraw(now)
		}
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
		m.closed, m.vouched = m.closed.less(m.vouched), nil
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

// redraw has every path ask anew.
func (s *Side) redraw(now time.Time) {
	s.medium.redraw = true
	for _, p := range s.paths {
		p.redraw = true
	}
	s.soonAll(now)
}

// probe asks a path, or all, for an answer now.
func (s *Side) probe(e Probe, now time.Time) {
	s.probed = s.drawn
	for _, p := range s.paths {
		if e.Channel == "" || e.Channel == p.Name {
			p.redraw, p.said = true, time.Time{}
			s.soonOn(p, now, 0)
		}
	}
}

// Answered returns how long the answer to the last Probe took, by a channel or
// by the first that had one; false while there is none.
func (s Side) Answered(channel string) (trip time.Duration, ok bool) {
	for _, p := range s.paths {
		if p.answered > s.probed && (channel == "" || channel == p.Name) && (!ok || p.trip < trip) {
			trip, ok = p.trip, true
		}
	}
	return trip, ok
}

// blind reports whether messages may go by one-way paths though the partner
// answers by no other: the log is of this run, so nothing of it was ever lost.
func (s *Side) blind() bool {
	return s.ownRun && !s.confirmed && slices.ContainsFunc(s.paths, func(p *path) bool { return p.OneWay && p.usable() && p.Control })
}

// oneWayEpoch opens an epoch of this run when, some heartbeats after the start,
// nothing but one-way paths are left: they cannot show that the log was not
// rolled back.
func (s *Side) oneWayEpoch(now time.Time) []Effect {
	way := slices.ContainsFunc(s.paths, func(p *path) bool { return p.OneWay && p.usable() && p.Control })
	if !way || s.confirmed || s.ownRun || now.Sub(s.began) < 2*s.rules.Heartbeat {
		return nil
	}
	return s.open(OrderedEpoch, nil)
}

// believe takes the receipts of the partner's live epoch.
func (s *Side) believe(st State, now time.Time) []Effect {
	var fx []Effect
	for _, in := range st.In {
		m := s.own(in.Epoch)
		if m == nil {
			continue
		}
		stored, applied := in.sets()
		newStored, newApplied := stored.less(m.stored), applied.less(m.applied)
		// What lies above our head was never ours to be taken back.
		gone := runs(upTo(m.stored.less(stored), m.Head))
		m.stored, m.applied = m.stored.union(newStored), m.applied.union(newApplied)
		if len(gone) > 0 && !(len(in.Ranges) == maxRanges && gone[0].A > stored.max()) {
			// It must not happen within a life. What is gone is sent again all
			// the same: twice is harmless, never is not. Who takes back without
			// end is followed ever more seldom.
			fx = append(fx, Alarm{Code: AlarmShrank, Epoch: in.Epoch, Seq: gone[0].A})
			if s.shrunk.over(now, s.rules.Heartbeat) {
				m.stored, m.applied = stored, applied
			}
		}
		if m.Head > 0 && in.Cum == m.Head && in.ChainCum != [16]byte(m.Chain[:16]) {
			fx = append(fx, Alarm{Code: AlarmChain, Epoch: in.Epoch, Seq: in.Cum})
		}
		for _, r := range newStored {
			s.receipted(m, r, now)
		}
		r := Receipt{Epoch: m.Epoch, Stored: upTo(newStored, m.Head), Applied: upTo(newApplied, m.Head)}
		if len(r.Stored)+len(r.Applied) > 0 {
			fx = append(fx, r)
		}
	}
	return fx
}

// receipted takes what is stored there out of the queues.
func (s *Side) receipted(m *own, r Range, now time.Time) {
	if r.B-r.A < uint64(len(s.out)) {
		for n := r.A; n <= r.B; n++ {
			s.came(outKey{m.Epoch, n}, now)
		}
		return
	}
	for k := range s.out {
		if k.epoch == m.Epoch && k.seq >= r.A && k.seq <= r.B {
			s.came(k, now)
		}
	}
}

// came drops a message the partner holds. Where it went by one path only, that
// one works.
func (s *Side) came(k outKey, now time.Time) {
	o := s.out[k]
	if o == nil {
		return
	}
	var by *path
	for i, f := range o.flights {
		switch {
		case f.tries == 0:
		case by != nil:
			by = nil
			s.drop(k)
			return
		default:
			by = s.paths[i]
		}
	}
	if by != nil && !by.OneWay {
		s.prove(by, now)
	}
	s.drop(k)
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
	Counts            bool // the partner is known to take our present epoch for ours: messages may go
	InHead, InApplied uint64
	Missing           []Range
	Open, Held        int
	Known             [2]KeyVersion // the partner's keys, as its last STATE says
	Paths             []PathStatus
	Path              string // the one statements go by; empty = none
}

// PathStatus is what a Side knows of one way.
type PathStatus struct {
	Way
	State  PathState
	Why    string // when it is down or absent: as the channel says
	Trip   time.Duration
	Heard  time.Time // when something last proved it
	Said   time.Time // last STATE by it
	Flying int       // messages being handed over
	Open   int       // messages that went by it and have no receipt
}

// Status returns what the Side knows.
func (s Side) Status() Status {
	m := s.present()
	st := Status{Epoch: m.Epoch, Confirmed: s.confirmed, Up: s.usable(), Heard: s.heard, Head: m.Head,
		Stored: runs(upTo(m.stored.clone().union(m.vouched), m.Head)).count(), Applied: runs(upTo(m.applied, m.Head)).count(), Live: s.live, Known: s.known, Opening: s.opening, Counts: s.counts()}
	for _, o := range s.out {
		st.Waiting[o.Prec]++
	}
	if p := s.speaking(); p != nil {
		st.Path, st.Trip = p.Name, p.trip
	}
	for _, p := range s.paths {
		x := PathStatus{Way: p.Way, State: p.state, Why: p.why, Trip: p.trip, Heard: p.heard, Said: p.said}
		for q := range p.flying {
			x.Flying, x.Open = x.Flying+p.flying[q], x.Open+p.open[q]
		}
		st.Paths = append(st.Paths, x)
	}
	for _, l := range s.theirs {
		st.Open += len(l.open)
		for _, x := range l.open {
			if x.Standing == Held {
				st.Held++
			}
		}
	}
	if l := s.shown(); l != nil {
		// What lies below a message that is here is missing before its sender's STATE says so.
		st.InHead = max(l.head, l.have.max())
		st.Missing = runs{{1, st.InHead}}.less(l.have)
		st.InApplied = l.have.count() - uint64(len(l.open))
	}
	return st
}

// PathState returns how a way does; false when there is none of that name.
func (s Side) PathState(channel string) (PathState, bool) {
	p := s.pathOf(channel)
	if p == nil {
		return PathAbsent, false
	}
	return p.state, true
}

// Flying reports whether a message is being handed over to a channel and still
// needs to be, and may.
func (s Side) Flying(e Epoch, seq uint64, channel string) bool {
	o := s.out[outKey{e, seq}]
	if o == nil || o.flights == nil {
		return false
	}
	i := slices.IndexFunc(s.paths, func(p *path) bool { return p.Name == channel })
	return i >= 0 && o.flights[i].flying && o.mask.has(i) && (o.flights[i].alone || s.mayrun() && s.mayGo(s.paths[i]))
}

// Confirmed reports whether the partner has answered a challenge of this run
// and no new epoch is being made: only then may messages join the log, for
// only then is it known that the log was not rolled back.
func (s Side) Confirmed() bool { return (s.confirmed || s.blind()) && !s.opening }

// Live is the partner's life that counts; zero while none does.
func (s Side) Live() Epoch { return s.live }

// Knows reports whether anything of a life of the partner has come.
func (s Side) Knows(e Epoch) bool { return s.life(e) != nil }

// Tail returns where our present log ends.
func (s Side) Tail() EpochHead { return s.present().EpochHead }

// Beyond reports whether a STATE of the partner holds more of a former epoch of
// ours than that log has: it was sent in a life that is lost, and came since.
func (s Side) Beyond(st State) bool {
	for _, in := range st.In {
		stored, _ := in.sets()
		if m := s.own(in.Epoch); m != nil && m != s.present() && stored.max() > m.Head {
			return true
		}
	}
	return false
}

// StoredThere reports whether the partner's live epoch holds a message of ours.
func (s Side) StoredThere(e Epoch, seq uint64) bool {
	m := s.own(e)
	return m != nil && m.stored.has(seq)
}

// Outstanding counts our messages in memory that have no receipt.
func (s Side) Outstanding() int { return len(s.out) }

// refuse issues the next counter for a REFUSE, once there is an epoch to speak
// in.
func (s *Side) refuse(code uint8) []Effect {
	p := s.speaking()
	if len(s.mine) == 0 || p == nil {
		return nil
	}
	s.counter++
	return []Effect{SayRefuse{Epoch: s.present().Epoch, Counter: s.counter, Channel: p.Name, Refuse: Refuse{Code: code}}}
}

// attest issues the next counter for a statement about the ledgers. While a new
// epoch is being made there is none to speak in, and without a usable path
// that may carry it nowhere to say it; the driver says it again.
func (s *Side) attest(e Attest) []Effect {
	p := s.speakingOf(e.Label)
	if len(s.mine) == 0 || s.opening || p == nil {
		return nil
	}
	s.counter++
	return []Effect{SayBody{Epoch: s.present().Epoch, Counter: s.counter, Channel: p.Name, Kind: e.Kind, Body: e.Body}}
}
