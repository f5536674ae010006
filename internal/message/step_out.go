package message

import (
	"slices"
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
	s.out[k] = &outgoing{Out: o}
	s.fresh[o.Prec] = append(s.fresh[o.Prec], k)
	if at, ok := o.expires(); ok && (s.expiry.IsZero() || at.Before(s.expiry)) {
		s.expiry = at
	}
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
	if !now.Before(s.stateAt()) {
		fx = append(fx, s.sayState(now))
		fx = append(fx, s.askAgain(now)...)
	}
	if !s.mayrun() {
		return fx
	}
	fx = append(fx, s.expired(now)...)
	for s.flying[1] < s.rules.Lanes {
		k, ok := s.take(noroshi.Flash, now)
		if !ok {
			break
		}
		fx = append(fx, s.launch(k))
	}
	for s.flying[0] < s.rules.Lanes && !s.waits(noroshi.Flash) {
		k, ok := s.pick(now)
		if !ok {
			break
		}
		fx = append(fx, s.launch(k))
	}
	return fx
}

// waits reports whether a message of the precedence was never handed over.
func (s *Side) waits(p noroshi.Precedence) bool {
	for len(s.fresh[p]) > 0 && s.out[s.fresh[p][0]] == nil {
		s.fresh[p] = s.fresh[p][1:]
	}
	return len(s.fresh[p]) > 0
}

// lacks reports whether a message of the precedence has no receipt.
func (s *Side) lacks(p noroshi.Precedence) bool {
	missing := func(k outKey) bool { return s.out[k] != nil }
	return slices.ContainsFunc(s.fresh[p], missing) || slices.ContainsFunc(s.again[p], missing)
}

// pick chooses below FLASH: strictly by precedence, but ROUTINE keeps one byte
// in twenty.
func (s *Side) pick(now time.Time) (outKey, bool) {
	if !s.waits(noroshi.Routine) {
		s.debt = 0
	} else if o := s.out[s.fresh[noroshi.Routine][0]]; s.debt >= 19*max(o.Len, 1) {
		if k, ok := s.take(noroshi.Routine, now); ok {
			s.debt = 0
			return k, true
		}
	}
	for p := noroshi.Immediate; p >= noroshi.Routine; p-- {
		// One lane is kept free for IMMEDIATE.
		if p < noroshi.Immediate && s.flying[0] >= max(1, s.rules.Lanes-1) {
			break
		}
		if k, ok := s.take(p, now); ok {
			if p > noroshi.Routine {
				s.debt += max(s.out[k].Len, 1)
			}
			return k, true
		}
	}
	return outKey{}, false
}

// take returns the next message of a precedence: first what was handed over
// and found no receipt in its time, then what is new, as far as the window goes.
func (s *Side) take(p noroshi.Precedence, now time.Time) (outKey, bool) {
	s.again[p] = slices.DeleteFunc(s.again[p], func(k outKey) bool { return s.out[k] == nil })
	for _, k := range s.again[p] {
		if o := s.out[k]; !o.flying && !o.gone && !o.due.After(now) {
			return k, true
		}
	}
	for len(s.again[p]) < s.rules.Window && len(s.fresh[p]) > 0 {
		k := s.fresh[p][0]
		s.fresh[p] = s.fresh[p][1:]
		if o := s.out[k]; o != nil && !o.gone {
			s.again[p] = append(s.again[p], k)
			return k, true
		}
	}
	return outKey{}, false
}

func (s *Side) launch(k outKey) Effect {
	o := s.out[k]
	o.flying, o.sent = true, true
	o.tries++
	s.flying[lane(o.Prec)]++
	return Send{Epoch: k.epoch, Seq: k.seq, Prec: o.Prec}
}

func lane(p noroshi.Precedence) int {
	if p == noroshi.Flash {
		return 1
	}
	return 0
}

// handedOver frees the lane. A message is sent again when no receipt comes in
// its time, at most every two turn times, each time twice as late.
func (s *Side) handedOver(e HandedOver, now time.Time) {
	o := s.out[outKey{e.Epoch, e.Seq}]
	if o == nil || !o.flying {
		return
	}
	o.flying, o.at = false, now
	s.flying[lane(o.Prec)]--
	wait := max(s.rules.Resend, 2*s.trip)
	if o.Prec == noroshi.Flash || !e.OK {
		wait = max(s.rules.Resend/4, 2*s.trip)
	}
	o.due = now.Add(min(wait<<min(max(o.tries-1, 0), 16), s.rules.ResendMax))
}

// drop forgets a message that needs no more sending.
func (s *Side) drop(k outKey) {
	if o := s.out[k]; o != nil {
		if o.flying {
			s.flying[lane(o.Prec)]--
		}
		delete(s.out, k)
	}
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

// wanted brings back what the partner asks for.
func (s *Side) wanted(w Want, now time.Time) {
	for _, r := range w.Runs {
		m := s.own(r.Epoch)
		if m == nil || m.loading {
			continue
		}
		b := min(r.Range.B, m.Head)
		for n := r.Range.A; n <= b && n-r.Range.A < 1000; n++ {
			if o := s.out[outKey{r.Epoch, n}]; o != nil && !o.flying {
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
// it was lost on the way. Not before two turn times have passed.
func (s *Side) overtaken(m *own) {
	for p := range s.again {
		for _, k := range s.again[p] {
			o := s.out[k]
			if o == nil || o.flying || k.epoch != m.Epoch || k.seq > m.stored.max() || o.at.IsZero() {
				continue
			}
			if at := o.at.Add(max(2*s.trip, s.rules.Resend/8) << min(max(o.tries-1, 0), 10)); at.Before(o.due) {
				o.due = at
			}
		}
	}
}
