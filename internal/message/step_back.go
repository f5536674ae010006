package message

import (
	"math"
	"slices"
	"time"
)

// rolledBack finds what no file on this disk can tell: the partner cites a
// sequence or a counter of ours that we have not issued. It does so too of a former
// epoch, where another was opened before the partner spoke, for another reason. Who
// has stolen a key of ours makes the partner say the same, and once the key is revoked
// that is over: only what is ours for certain counts then. A partner that says so
// again and again moves us to a new epoch ever more seldom.
func (s *Side) rolledBack(e Told, now time.Time) []Effect {
	var lost []Epoch
	back := false
	for _, in := range e.State.In {
		stored, _ := in.sets()
		switch m := s.own(in.Epoch); {
		case m == nil && stored.max() > 0:
			back, lost = true, append(lost, in.Epoch)
		case m != nil && stored.max() > m.Head:
			back = back || !s.anewSince(m) && e.shows(m.Epoch, stored.max()) > m.Head
			m.stored = m.stored.union(stored.less(runs(nil).add(1, m.Head)))
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
	case !s.anewSince(m) && e.doubt(m.Epoch) == nil && !s.issued(m).has(c.Counter):
		back = true
	}
	under := s.present().anew && !s.openedAt.IsZero() && now.Sub(s.openedAt) < s.rules.Heartbeat // what it says may be of before
	if !back || s.opening || under || !s.rolled.over(now, s.rules.Heartbeat) {
		return nil
	}
	return append([]Effect{Alarm{Code: AlarmRolledBack, Epoch: s.present().Epoch, Seq: s.present().Head}}, s.open(RolledBack, lost)...)
}

// shows cuts a sequence that the partner holds of an epoch of ours to what shows that
// we wrote it.
func (e Told) shows(of Epoch, seq uint64) uint64 {
	if d := e.doubt(of); d != nil {
		return min(seq, d.Good)
	}
	return seq
}

func (e Told) doubt(of Epoch) *Doubt {
	if i := slices.IndexFunc(e.Doubts, func(d Doubt) bool { return d.Epoch == of }); i >= 0 {
		return &e.Doubts[i]
	}
	return nil
}

// anewSince reports whether it is known that something of an epoch of ours may be
// lost: one was opened after it because something was.
func (s *Side) anewSince(m *own) bool {
	i := slices.Index(s.mine, m)
	return slices.ContainsFunc(s.mine[i+1:], func(o *own) bool { return o.anew })
}

// issued are the counters of an epoch of ours that this node may have issued: up to
// start in former runs, and in this one those above base, up to last.
type issued struct{ start, base, last uint64 }

// has reports whether this node may have issued a counter.
func (i issued) has(counter uint64) bool {
	return counter <= i.start || counter > i.base && counter <= i.last
}

// issued are the counters that this node may have issued in an epoch of its own: any,
// where none of this run knows.
func (s *Side) issued(m *own) issued {
	switch {
	case m == s.present():
		return issued{s.start, s.base, s.counter}
	case m.issued != nil:
		return *m.issued
	}
	return issued{start: math.MaxUint64}
}
