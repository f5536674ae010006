package message

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// path is one way with what this side knows of it. Lanes and windows are its
// own: a slow one holds up no other.
type path struct {
	Way
	state  PathState
	why    string                 // of PathDown and PathAbsent: as the channel says
	flying [noroshi.Flash + 1]int // Sends not yet answered, by precedence
	open   [noroshi.Flash + 1]int // messages that went here and have no receipt
	debt   int                    // bytes IMMEDIATE and PRIORITY sent past a waiting ROUTINE

	seen      [8]byte   // the newest challenge that came by it
	echo      [8]byte   // what its next STATE echoes
	challenge [8]byte   // ours, as its last STATE had it
	asks      []ask     // ours that went by it and were not answered, oldest first
	asked     time.Time // when the last was drawn; zero = never
	answered  uint64    // number of the newest that was
	redraw    bool      // the next STATE has a new one
	missed    int       // in a row that found no answer in their time
	trip      time.Duration
	heard     time.Time // when something last proved it
	said      time.Time // last STATE
	due       time.Time // zero = no STATE is due but by its pace
	hellos    int       // STATEs since it was last proven
	tried     time.Time // when a message last went by it alone
}

// ask is a challenge on its way.
type ask struct {
	n         uint64 // of all this run drew
	challenge [8]byte
	at        time.Time
}

// Bounds of what is asked.
const (
	maxAsks   = 4 // remembered of one way: an answer later than that proves nothing
	maxMissed = 3 // challenges without an answer in their time after which a way is silent
)

func (p *path) usable() bool { return p.state < PathDown }

// turn is how long an answer takes on a way, as far as is known.
func (p *path) turn() time.Duration { return max(p.trip, p.Turn) }

// patience is how long an answer is waited for.
func (s *Side) patience(p *path) time.Duration { return max(s.rules.Resend, 2*p.turn()) }

// mask is a set of paths by index.
type mask uint32

func (m mask) has(i int) bool { return m&(1<<i) != 0 }

func (s *Side) maskOf(o Out) (m mask) {
	for i, p := range s.paths {
		if p.admits(o) {
			m |= 1 << i
		}
	}
	return m
}

// best returns the path preferred of a set, -1 when none is usable: what has
// answered before what has not, then the cheaper.
func (s *Side) best(m mask) int {
	best := -1
	for i, p := range s.paths {
		if m.has(i) && p.usable() && (best < 0 || s.before(i, best)) {
			best = i
		}
	}
	return best
}

func (s *Side) before(i, j int) bool {
	a, b := s.paths[i], s.paths[j]
	return cmp.Or(cmp.Compare(a.state, b.state), cmp.Compare(a.Cost, b.Cost), cmp.Compare(i, j)) < 0
}

// speaking returns the path statements go by, nil when none is usable: one that
// brings answers before one that cannot.
func (s *Side) speaking() *path { return s.speakingOf("") }

// Speaks reports whether a statement that has objects of a label finds a usable
// path that may carry it.
func (s Side) Speaks(label string) bool { return s.speakingOf(label) != nil }

// speakingOf is speaking for a statement that has objects of a label, none where it
// is empty.
func (s *Side) speakingOf(label string) *path {
	all := s.maskOf(Out{Label: label})
	both := all
	for i, p := range s.paths {
		if p.OneWay {
			both &^= 1 << i
		}
	}
	i := s.best(both)
	if i < 0 {
		i = s.best(all)
	}
	if i < 0 {
		return nil
	}
	return s.paths[i]
}

func (s *Side) pathOf(name string) *path {
	for _, p := range s.paths {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// usable reports whether anything may go anywhere.
func (s *Side) usable() bool { return slices.ContainsFunc(s.paths, (*path).usable) }

// rewire makes the paths of ways; what is known of one that stays is kept. One
// that led nowhere is looked at again. What a message may go by no more it leaves at
// once, on a narrow path in the middle of its envelope.
func (s *Side) rewire(ways []Way, now time.Time) {
	old := s.paths
	s.paths = nil
	for _, w := range ways[:min(len(ways), MaxWays)] {
		i := slices.IndexFunc(old, func(o *path) bool { return o.Name == w.Name })
		if i < 0 {
			s.paths = append(s.paths, &path{Way: w, state: PathUnproven, due: now})
			continue
		}
		p := old[i]
		p.Way = w
		if p.state == PathAbsent {
			p.state, p.why, p.hellos, p.due = PathUnproven, "", 0, now
		}
		s.paths = append(s.paths, p)
	}
	for _, o := range s.out {
		if o.flights == nil {
			continue
		}
		flights := make([]flight, len(s.paths))
		for i, p := range old {
			if at := slices.Index(s.paths, p); at >= 0 {
				flights[at] = o.flights[i]
				continue
			}
			if o.flights[i].tries > 0 {
				o.due = time.Time{}
			}
			if o.flights[i].flying {
				s.halt(o, p)
			}
		}
		o.flights = flights
	}
	s.remask()
}

// remask finds anew by which paths each message may go.
func (s *Side) remask() {
	clear(s.masks)
	clear(s.stuck)
	maps.DeleteFunc(s.lead, func(m mask, _ string) bool { return m != statements })
	for _, o := range s.out {
		o.mask = s.maskOf(o.Out)
		s.count(o, 1)
		for i := range o.flights {
			if !o.mask.has(i) {
				s.leave(o, i)
			}
		}
	}
	for p := range s.fresh {
		var keys []outKey
		for _, q := range s.fresh[p] {
			keys = append(keys, q.keys...)
		}
		keys = slices.DeleteFunc(keys, func(k outKey) bool { return s.out[k] == nil || s.out[k].flights != nil })
		slices.SortFunc(keys, func(a, b outKey) int { return cmp.Compare(s.out[a].order, s.out[b].order) })
		s.fresh[p] = nil
		for _, k := range keys {
			s.enqueue(k)
		}
	}
}

// upDown takes what a channel says of itself.
func (s *Side) upDown(e Up, now time.Time) {
	p := s.pathOf(e.Channel)
	if p == nil {
		return
	}
	switch {
	case e.Absent:
		p.state, p.why = PathAbsent, e.Why
		s.lost(p, now)
	case !e.Up && p.state != PathAbsent:
		if p.state != PathDown {
			p.hellos = 0
		}
		p.state, p.why = PathDown, e.Why
		s.lost(p, now)
	case e.Up && p.state == PathDown: // it takes something again; an answer is asked for
		p.state, p.why, p.hellos, p.missed, p.asks, p.redraw = PathUnproven, "", 0, 0, nil, true
		s.hurry(p, now)
		s.lost(nil, now)
		s.soonOn(p, now, 0)
	}
}

// lost has IMMEDIATE that went by a path, nil for any, look for another at once.
func (s *Side) lost(p *path, now time.Time) {
	for _, k := range s.again[noroshi.Immediate] {
		o := s.out[k]
		if o == nil {
			continue
		}
		for i, f := range o.flights {
			if f.tries > 0 && (p == nil || p == s.paths[i]) {
				o.due = now
			}
		}
	}
}

// hurry makes everything that went by a path, nil for any, and has no receipt
// due at once.
func (s *Side) hurry(p *path, now time.Time) {
	for q := range s.again {
		for _, k := range s.again[q] {
			o := s.out[k]
			if o == nil {
				continue
			}
			for i := range o.flights {
				if f := &o.flights[i]; f.tries > 0 && (p == nil || p == s.paths[i]) {
					f.due, f.tries, o.due = now, 1, now
				}
			}
		}
	}
}

// ask returns the challenge a STATE on a path carries. It is a new one when the
// last was answered and a heartbeat has passed, two where the STATE is no
// heartbeat, or when its time for an answer is over. So an answer asks nothing by
// itself as a rule, and two sides do not answer each other for ever.
func (s *Side) ask(p *path, now time.Time) [8]byte {
	if p == s.medium {
		return s.askByHand(now)
	}
	n, quiet := len(p.asks), s.beat(p)
	if now.Before(p.said.Add(s.pace(p))) {
		quiet *= 2
	}
	switch late := n > 0 && !now.Before(p.asks[max(n-1, 0)].at.Add(s.patience(p))); {
	case late:
		if p.missed++; p.missed >= maxMissed && p.state < PathSilent && !p.OneWay {
			p.state, p.hellos = PathSilent, 0
			s.lost(p, now)
		}
	case !p.redraw && (n > 0 || !p.asked.IsZero() && now.Before(p.asked.Add(quiet))):
		return p.challenge
	}
	p.redraw, p.asked, p.challenge = false, now, s.draw()
	p.asks = append(slices.Clone(p.asks[max(0, n+1-maxAsks):]), ask{s.drawn, p.challenge, now})
	return p.challenge
}

// answer finds the challenge of this run that an echo answers, and takes it as
// proof of the way it went by. It returns its number, 0 when it answers none.
func (s *Side) answer(echo [8]byte, now time.Time) uint64 {
	for _, p := range append(s.paths[:len(s.paths):len(s.paths)], s.medium) {
		i := slices.IndexFunc(p.asks, func(a ask) bool { return a.challenge == echo })
		if i < 0 {
			continue
		}
		a := p.asks[i]
		p.asks, p.answered, p.trip = slices.Clone(p.asks[i+1:]), a.n, now.Sub(a.at)
		s.prove(p, now)
		return a.n
	}
	return 0
}

// prove notes that what went by a path came to the partner.
func (s *Side) prove(p *path, now time.Time) {
	if p.state == PathAbsent {
		return // it was, before the partner's papers changed
	}
	p.state, p.why, p.missed, p.hellos, p.heard = PathProven, "", 0, 0, now
}

// suspect asks a path for a sign of life because a receipt is late.
func (s *Side) suspect(p *path, now time.Time) {
	if len(p.asks) == 0 && !now.Before(p.asked.Add(s.patience(p))) {
		p.redraw = true
		s.soonOn(p, now, 0)
	}
}
