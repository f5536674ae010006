package message

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// committed takes a message of ours that is durable now into the queue of its
// precedence.
func (s *Side) committed(o Out) {
	m := s.own(o.Epoch)
	if m == nil {
		return
	}
	if o.Seq > m.Head {
		m.Head, m.Chain = o.Seq, o.Chain
	}
	s.queue(o)
}

func (s *Side) queue(o Out) {
	m, k := s.own(o.Epoch), outKey{o.Epoch, o.Seq}
	if m == nil || s.out[k] != nil || m.stored.has(o.Seq) || o.Prec < noroshi.Routine || o.Prec > noroshi.Flash {
		return
	}
	if o.Closed {
		m.closed = m.closed.add(o.Seq, o.Seq)
		return
	}
	// It may have been receipted by a life of the partner that is over: then it
	// is new again.
	s.again[o.Prec] = slices.DeleteFunc(s.again[o.Prec], func(x outKey) bool { return x == k })
	s.queued++
	x := &outgoing{Out: o, order: s.queued, mask: s.maskOf(o)}
	s.out[k] = x
	s.count(x, 1)
	s.enqueue(k)
	if at, ok := o.expires(); ok && (s.expiry.IsZero() || at.Before(s.expiry)) {
		s.expiry = at
	}
}

// enqueue puts a message that was never handed over into the queue of its
// precedence and of the paths it may go by: one that has none holds up no other.
func (s *Side) enqueue(k outKey) {
	o := s.out[k]
	list := s.fresh[o.Prec]
	i := slices.IndexFunc(list, func(q queue) bool { return q.mask == o.mask })
	if i < 0 {
		i = len(list)
		list = append(list, queue{mask: o.mask})
	}
	list[i].keys = append(list[i].keys, k)
	s.fresh[o.Prec] = list
}

func (o Out) expires() (time.Time, bool) {
	return o.Created.Add(time.Duration(o.TTL) * time.Second), o.TTL > 0
}

func (s *Side) loaded(e Loaded) {
	if m := s.own(e.Epoch); m != nil {
		m.loading = false
	}
	for _, o := range e.Out {
		s.queue(o)
	}
}

// pump decides what to say and to send now. A STATE goes before messages: it
// is small, and the partner may be waiting for its receipts.
func (s *Side) pump(now time.Time) []Effect {
	var fx []Effect
	for _, p := range s.paths {
		if !now.Before(s.stateAt(p)) {
			fx = append(fx, s.sayState(p, now))
		}
	}
	if len(fx) > 0 {
		fx = append(fx, s.askAgain(now)...)
		fx = append(fx, s.oneWayEpoch(now)...)
	}
	if s.mayrun() {
		fx = append(fx, s.expired(now)...)
		for i, p := range s.paths {
			switch {
			case s.mayGo(p):
				fx = append(fx, s.fill(i, now)...)
			case s.mayTry(p, now):
				fx = append(fx, s.try(i, now)...)
			}
		}
	}
	slices.SortFunc(s.halts, func(a, b Halt) int {
		return cmp.Or(slices.Compare(a.Epoch[:], b.Epoch[:]), cmp.Compare(a.Seq, b.Seq), strings.Compare(a.Channel, b.Channel))
	})
	for _, h := range s.halts {
		fx = append(fx, h)
	}
	s.halts = nil
	return append(fx, s.choose(now)...)
}

// fill launches by one path what may go by it now. While a FLASH waits for the
// path nothing lower begins on it.
func (s *Side) fill(i int, now time.Time) (fx []Effect) {
	for s.paths[i].flying[noroshi.Flash] < s.rules.Lanes {
		k, ok := s.take(noroshi.Flash, i, now)
		if !ok {
			break
		}
		fx = append(fx, s.launch(k, i, now))
	}
	for !s.waits(noroshi.Flash, i) {
		k, ok := s.pick(i, now)
		if !ok {
			break
		}
		fx = append(fx, s.launch(k, i, now))
	}
	return fx
}

// try launches the most urgent message by a path, alone.
func (s *Side) try(i int, now time.Time) []Effect {
	k, ok := s.take(noroshi.Flash, i, now)
	if !ok {
		k, ok = s.pick(i, now)
	}
	if !ok {
		return nil
	}
	s.paths[i].tried = now
	x := s.launch(k, i, now)
	s.out[k].flights[i].alone = true
	return []Effect{x}
}

// waits reports whether a message of the precedence may go by a path and was
// never handed over to it.
func (s *Side) waits(p noroshi.Precedence, i int) bool {
	if _, ok := s.nextFresh(p, i); ok {
		return true
	}
	return p == noroshi.Flash && slices.ContainsFunc(s.again[p], func(k outKey) bool {
		o := s.out[k]
		return o != nil && o.mask.has(i) && o.flights[i].tries == 0
	})
}

// lacks reports whether a message of the precedence has no receipt.
func (s *Side) lacks(p noroshi.Precedence) bool {
	missing := func(k outKey) bool { return s.out[k] != nil }
	return slices.ContainsFunc(s.fresh[p], func(q queue) bool { return slices.ContainsFunc(q.keys, missing) }) ||
		slices.ContainsFunc(s.again[p], missing)
}

// pick chooses below FLASH: strictly by precedence, but ROUTINE keeps one byte
// in twenty.
func (s *Side) pick(i int, now time.Time) (outKey, bool) {
	p := s.paths[i]
	if k, ok := s.nextFresh(noroshi.Routine, i); !ok {
		p.debt = 0
	} else if p.debt >= 19*max(s.out[k].Len, 1) && s.free(p, noroshi.Immediate) {
		if k, ok := s.take(noroshi.Routine, i, now); ok {
			p.debt = 0
			return k, true
		}
	}
	for prec := noroshi.Immediate; prec >= noroshi.Routine && s.free(p, prec); prec-- {
		if k, ok := s.take(prec, i, now); ok {
			if prec > noroshi.Routine {
				p.debt += max(s.out[k].Len, 1)
			}
			return k, true
		}
	}
	return outKey{}, false
}

// free reports whether a path has a lane for a precedence below FLASH. One is
// kept free for IMMEDIATE. A narrow path sends one envelope at a time and halts
// what is lower: there only what is not lower takes a lane.
func (s *Side) free(p *path, prec noroshi.Precedence) bool {
	flying, lanes := 0, s.rules.Lanes
	for q := noroshi.Routine; q < noroshi.Flash; q++ {
		if !p.Narrow || q >= prec {
			flying += p.flying[q]
		}
	}
	switch {
	case p.Narrow:
		lanes = 1
	case prec < noroshi.Immediate:
		lanes = max(1, lanes-1)
	}
	return flying < lanes
}

// window is how many messages of one precedence may be without a receipt on a
// path.
func (s *Side) window(p *path, prec noroshi.Precedence) int {
	if p.Narrow && prec < noroshi.Immediate {
		return min(narrowWindow, s.rules.Window)
	}
	return s.rules.Window
}

// fits reports whether a message has a place in the window of a path, or finds one.
func (s *Side) fits(o *outgoing, i int) bool {
	p := s.paths[i]
	return o.flights[i].open || p.open[o.Prec] < s.window(p, o.Prec)
}

// narrowWindow is that of PRIORITY and ROUTINE on a narrow path: what waits
// there for its receipt is sent again when a better path is back.
const narrowWindow = 2

// take returns the next message of a precedence for a path: first what was
// handed over and found no receipt in its time, or has not yet gone by this
// path and should, then what is new, as far as the window goes.
func (s *Side) take(p noroshi.Precedence, i int, now time.Time) (outKey, bool) {
	s.again[p] = slices.DeleteFunc(s.again[p], func(k outKey) bool { return s.out[k] == nil })
	for _, k := range s.again[p] {
		if s.wanted(s.out[k], i, now) {
			return k, true
		}
	}
	if s.paths[i].open[p] >= s.window(s.paths[i], p) {
		return outKey{}, false
	}
	return s.nextFresh(p, i)
}

// wanted reports whether a message that was handed over is to go by a path now:
// FLASH by every one, IMMEDIATE by the next when the last was silent for its
// time, the others by the best.
func (s *Side) wanted(o *outgoing, i int, now time.Time) bool {
	p, f := s.paths[i], o.flights[i]
	switch {
	case o.gone || f.flying || !o.mask.has(i) || !s.fits(o, i) || p.OneWay && f.tries >= passes(o.Prec):
		return false
	case o.Prec == noroshi.Flash:
		return f.tries == 0 || !f.due.After(now)
	case o.Prec == noroshi.Immediate:
		return !o.due.After(now) && i == s.nextPath(o)
	}
	return i == s.best(o.mask) && (f.tries == 0 || !f.due.After(now))
}

// passes is how often a message goes by a one-way path: nothing will say that
// it came.
func passes(p noroshi.Precedence) int {
	if p == noroshi.Flash {
		return 5
	}
	return 2
}

// nextPath is where an IMMEDIATE goes when it has found no receipt: where it
// went least often, of those with a place for it the preferred.
func (s *Side) nextPath(o *outgoing) int {
	next := -1
	for i, p := range s.paths {
		if !o.mask.has(i) || !p.usable() || o.flights[i].flying || !s.fits(o, i) || p.OneWay && o.flights[i].tries >= passes(o.Prec) {
			continue
		}
		if next < 0 || o.flights[i].tries < o.flights[next].tries || o.flights[i].tries == o.flights[next].tries && s.before(i, next) {
			next = i
		}
	}
	return next
}

// nextFresh returns the oldest message of a precedence that was never handed
// over and begins by this path.
func (s *Side) nextFresh(p noroshi.Precedence, i int) (outKey, bool) {
	var next *outgoing
	for n := range s.fresh[p] {
		q := &s.fresh[p][n]
		for len(q.keys) > 0 && (s.out[q.keys[0]] == nil || s.out[q.keys[0]].flights != nil) {
			q.keys = q.keys[1:]
		}
		if len(q.keys) == 0 || !q.mask.has(i) || p < noroshi.Flash && i != s.best(q.mask) {
			continue
		}
		if o := s.out[q.keys[0]]; next == nil || o.order < next.order {
			next = o
		}
	}
	if next == nil {
		return outKey{}, false
	}
	return outKey{next.Epoch, next.Seq}, true
}

func (s *Side) launch(k outKey, i int, now time.Time) Effect {
	o, p := s.out[k], s.paths[i]
	if o.flights == nil { // it leaves its queue when that is next looked at
		o.flights = make([]flight, len(s.paths))
		s.again[o.Prec] = append(s.again[o.Prec], k)
	}
	f := &o.flights[i]
	if f.tries > 0 {
		s.suspect(p, now)
	}
	if !f.open {
		f.open = true
		p.open[o.Prec]++
	}
	f.flying, f.alone = true, false
	f.tries++
	o.due = now.Add(s.patience(p))
	p.flying[o.Prec]++
	return Send{Epoch: k.epoch, Seq: k.seq, Prec: o.Prec, Channel: p.Name}
}

// handedOver frees the lane. A message is sent again when no receipt comes in
// its time, at most every two turn times, each time twice as late.
func (s *Side) handedOver(e HandedOver, now time.Time) {
	o, i := s.out[outKey{e.Epoch, e.Seq}], slices.IndexFunc(s.paths, func(p *path) bool { return p.Name == e.Channel })
	if o == nil || i < 0 || o.flights == nil || !o.flights[i].flying {
		return
	}
	f, p := &o.flights[i], s.paths[i]
	f.flying, f.at = false, now
	p.flying[o.Prec]--
	switch {
	case e.Never:
		s.bar(o, i, now)
		return
	case !o.mask.has(i): // it left this path meanwhile
		return
	}
	wait := s.patience(p)
	switch {
	case !e.OK:
		wait = max(s.rules.Resend/4, 2*p.trip)
	case o.Prec == noroshi.Flash:
		wait = max(s.rules.Resend/4, 2*p.turn())
	}
	f.due = now.Add(min(wait<<min(max(f.tries-1, 0), 16), max(s.rules.ResendMax, 4*p.Turn)))
	if o.due = f.due; !e.OK && s.elsewhere(o) {
		o.due = now
	}
	if p.OneWay && f.open && f.tries >= passes(o.Prec) { // it makes room: nothing will
		f.open = false
		p.open[o.Prec]--
	}
}

// bar takes a path from those a message may go by.
func (s *Side) bar(o *outgoing, i int, now time.Time) {
	s.count(o, -1)
	o.mask &^= 1 << i
	s.count(o, 1)
	o.due = now
	s.leave(o, i)
}

// leave takes a message from a path that it may go by no more: it counts in no window
// there, and looks for another way at once, that one too where it may go by it again.
// What is being handed over is answered yet.
func (s *Side) leave(o *outgoing, i int) {
	f, p := &o.flights[i], s.paths[i]
	if f.open {
		f.open, f.tries = false, 1
		f.due, o.due = time.Time{}, time.Time{}
		p.open[o.Prec]--
	}
	if f.flying {
		s.halt(o, p)
	}
}

// halt stops the envelope of a message that is on a narrow path.
func (s *Side) halt(o *outgoing, p *path) {
	if p.Narrow {
		s.halts = append(s.halts, Halt{Epoch: o.Epoch, Seq: o.Seq, Channel: p.Name})
	}
}

// elsewhere reports whether a message may yet try a path it never went by.
func (s *Side) elsewhere(o *outgoing) bool {
	i := s.nextPath(o)
	return i >= 0 && o.flights[i].tries == 0
}

// drop forgets a message that needs no more sending. On a narrow path its
// envelope is stopped.
func (s *Side) drop(k outKey) {
	o := s.out[k]
	if o == nil {
		return
	}
	for i, f := range o.flights {
		p := s.paths[i]
		if f.open {
			p.open[o.Prec]--
		}
		if !f.flying {
			continue
		}
		p.flying[o.Prec]--
		s.halt(o, p)
	}
	s.count(o, -1)
	delete(s.out, k)
}

// count keeps how many messages of objects there are for each set of paths.
func (s *Side) count(o *outgoing, n int) {
	if o.Label == "" {
		return
	}
	if s.masks[o.mask] += n; s.masks[o.mask] == 0 {
		delete(s.masks, o.mask)
		delete(s.stuck, o.mask)
	}
}

// dueAt is when a message in flight is looked at again, where there is room for
// it.
func (s *Side) dueAt(o *outgoing) time.Time {
	at := never
	for i, p := range s.paths {
		if !s.mayGo(p) || !s.fits(o, i) || !s.lane(p, o.Prec) {
			continue
		}
		t := o.flights[i].due
		if o.Prec == noroshi.Immediate {
			t = o.due
		}
		if s.wanted(o, i, never) && t.Before(at) {
			at = t
		}
	}
	return at
}

func (s *Side) lane(p *path, prec noroshi.Precedence) bool {
	if prec == noroshi.Flash {
		return p.flying[prec] < s.rules.Lanes
	}
	return s.free(p, prec)
}

// expired closes what nobody may be sent any more.
func (s *Side) expired(now time.Time) []Effect {
	if s.expiry.IsZero() || now.Before(s.expiry) {
		return nil
	}
	s.expiry = time.Time{}
	over := map[Epoch][]uint64{}
	for k, o := range s.out {
		at, ok := o.expires()
		switch {
		case !ok || o.gone:
		case !at.After(now):
			over[k.epoch] = append(over[k.epoch], k.seq)
		case s.expiry.IsZero() || at.Before(s.expiry):
			s.expiry = at
		}
	}
	var fx []Effect
	for _, m := range s.mine {
		seqs := over[m.Epoch]
		if len(seqs) == 0 {
			continue
		}
		slices.Sort(seqs)
		for _, n := range seqs {
			s.drop(outKey{m.Epoch, n})
			m.closed = m.closed.add(n, n)
		}
		fx = append(fx, Expire{Epoch: m.Epoch, Seqs: seqs})
	}
	return fx
}

// withheld takes what a tombstone closed out of the queues.
func (s *Side) withheld(e Withheld) {
	m := s.own(e.Epoch)
	if m == nil {
		return
	}
	for _, n := range e.Seqs {
		s.drop(outKey{e.Epoch, n})
		m.closed = m.closed.add(n, n)
	}
}

// bringBack makes due what the partner asks for.
func (s *Side) bringBack(w Want, now time.Time) {
	for _, r := range w.Runs {
		m := s.own(r.Epoch)
		if m == nil || m.loading {
			continue
		}
		b := min(r.Range.B, m.Head)
		for n := r.Range.A; n <= b && n-r.Range.A < 1000; n++ {
			o := s.out[outKey{r.Epoch, n}]
			if o == nil {
				continue
			}
			for i := range o.flights {
				o.sooner(i, s.notBefore(i, o.flights[i]))
			}
			if len(o.flights) == 0 {
				o.due = now
			}
		}
	}
}

// loadMissing asks for facts of what the partner lacks and memory has not.
func (s *Side) loadMissing(m *own) []Effect {
	if m.loading || m.Head == 0 {
		return nil
	}
	for _, r := range (runs{{1, m.Head}}).less(m.stored).less(m.closed) {
		for n := r.A; n <= r.B; n++ {
			if s.out[outKey{m.Epoch, n}] == nil {
				m.loading = true
				return []Effect{Load{Epoch: m.Epoch, Range: Range{n, min(r.B, n+999)}}}
			}
		}
	}
	return nil
}

// overtaken makes due what the partner lacks though it holds later messages:
// it was lost on the way. Not before two turn times of its path have passed.
func (s *Side) overtaken(m *own) {
	for q := range s.again {
		for _, k := range s.again[q] {
			o := s.out[k]
			if o == nil || k.epoch != m.Epoch || k.seq > m.stored.max() {
				continue
			}
			for i := range o.flights {
				if f := o.flights[i]; !f.flying && !f.at.IsZero() {
					o.sooner(i, s.notBefore(i, f))
				}
			}
		}
	}
}

// notBefore is when a message may go again by a path where the partner lacks it:
// two turn times after it went, and ever later.
func (s *Side) notBefore(path int, f flight) time.Time {
	return f.at.Add(max(2*s.paths[path].turn(), s.rules.Resend/8) << min(max(f.tries-1, 0), 10))
}

// sooner makes a message due again by a path at a time, unless it is before.
func (o *outgoing) sooner(path int, at time.Time) {
	if f := &o.flights[path]; at.Before(f.due) {
		f.due = at
	}
	if at.Before(o.due) {
		o.due = at
	}
}
