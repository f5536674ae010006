package web

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Tally is what the record says of the last day, counted once: what came and
// went, what was seen, how long messages took, which path was used. It is in
// memory, follows the record when it is asked, and holds no more than a day.
type Tally struct {
	store *store.Store
	now   func() time.Time

	mu       sync.Mutex // guards all below, and one reading at a time
	begun    bool
	at       store.Mark
	hours    map[int64]*Hour // by hours since 1970
	seen     map[stix.ID]sighted
	switches []Switch
	began    map[noroshi.NodeID]time.Time // partners introduced within the day
	reached  []store.Reached
}

// tallied is how far back a tally goes.
const tallied = 24 * time.Hour

// Bounds of what a tally holds.
const (
	maxSighted  = 100_000 // sightings of a day told apart
	maxSwitched = 5_000   // changes of path
	maxReached  = 20_000  // messages receipted: beyond it the oldest are left out
)

// NewTally returns the tally of a store.
func NewTally(s *store.Store, now func() time.Time) *Tally {
	return &Tally{store: s, now: now, hours: map[int64]*Hour{}, seen: map[stix.ID]sighted{}, began: map[noroshi.NodeID]time.Time{}}
}

// Hour is what came and went in one hour.
type Hour struct {
	Start    time.Time `json:"start"`
	Received int       `json:"received"` // indicators in messages of partners
	Sent     int       `json:"sent"`     // indicators put into streams, once for each partner
}

// Switch is a change of path as it is on record.
type Switch struct {
	Time    time.Time        `json:"time"`
	Partner noroshi.CallSign `json:"partner"`
	From    string           `json:"from,omitempty"` // channel; "" = none
	To      string           `json:"to,omitempty"`
	Why     string           `json:"why"`             // "failed", "silent", "agreement", "better"
	Count   int              `json:"count,omitempty"` // above 1 so many within the minute, of which this is the last

	node noroshi.NodeID
}

// sighted is a sighting of ours: how often, in which hour.
type sighted struct {
	hour  time.Time
	of    stix.ID
	count int
}

// Advance reads on in the record for about a time and reports whether the tally
// has reached its end. Who wants to know what it has waits for a step at most.
func (t *Tally) Advance(ctx context.Context, about time.Duration) (whole bool, err error) {
	for until := time.Now().Add(about); !whole && err == nil && time.Now().Before(until); {
		t.mu.Lock()
		whole, err = t.advance(ctx, 0)
		t.mu.Unlock()
	}
	return whole, err
}

// advance reads on, a step at least; under mu.
func (t *Tally) advance(ctx context.Context, about time.Duration) (whole bool, err error) {
	now := t.now()
	if !t.begun {
		if t.at, err = t.store.MarkAt(ctx, now.Add(-tallied)); err != nil {
			return false, err
		}
		t.begun = true
	}
	for until := time.Now().Add(about); ; {
		if whole, err = t.step(ctx); whole || err != nil || !time.Now().Before(until) {
			break
		}
	}
	t.forget(now.Add(-tallied))
	return whole, err
}

// stepActs are the acts of one step.
const stepActs = 25

// step reads some acts and some receipts.
func (t *Tally) step(ctx context.Context) (whole bool, err error) {
	acts, err := t.store.Acts(ctx, t.at.Act, stepActs)
	if err != nil {
		return false, err
	}
	for _, e := range acts {
		upTo := t.at.Seq + int64(e.Fed)
		if err := t.count(ctx, e, t.at.Seq, upTo); err != nil {
			return false, err
		}
		t.at.Act, t.at.Seq = e.Index+1, upTo
	}
	list, end, err := t.store.ReachedAfter(ctx, t.at.Event)
	whole = err == nil && len(acts) < stepActs && end == t.at.Event
	t.reached, t.at.Event = append(t.reached, list...), end
	return whole, err
}

// count takes one act, whose changes are in the feed after one sequence and up to
// another.
func (t *Tally) count(ctx context.Context, e store.Entry, after, upTo int64) (err error) {
	n := 0
	switch a := e.Act; {
	case a.Action == noroshi.ActReceive && upTo > after:
		n, err = t.store.CountType(ctx, "indicator", after, upTo)
		t.hour(e.Time).Received += n
	case a.Action == noroshi.ActSend && a.Subject != "":
		n, err = t.store.CountSent(ctx, e.Index, a.Subject, "indicator")
		t.hour(e.Time).Sent += n
	case a.Action == noroshi.ActObserve:
		err = t.sight(ctx, after, upTo)
	case a.Action == noroshi.ActIntroduce && a.Partner != (noroshi.NodeID{}):
		t.began[a.Partner] = e.Time
	case a.Action == noroshi.ActChangePath:
		if x, ok := courier.SwitchedOf(a.Subject); ok && len(t.switches) < maxSwitched {
			t.switches = append(t.switches, Switch{Time: e.Time, From: x.From, To: x.To, Why: x.Why, Count: a.Count, node: a.Partner})
		}
	}
	return err
}

func (t *Tally) hour(at time.Time) *Hour {
	start := at.UTC().Truncate(time.Hour)
	h := t.hours[start.Unix()]
	if h == nil {
		h = &Hour{Start: start}
		t.hours[start.Unix()] = h
	}
	return h
}

// sight counts the sightings an act wrote.
func (t *Tally) sight(ctx context.Context, after, upTo int64) error {
	seqs, err := t.store.SeqsOfType(ctx, "sighting", after, upTo)
	if err != nil || len(seqs) == 0 {
		return err
	}
	records, err := t.store.Records(ctx, seqs)
	for _, r := range records {
		s, err := r.Object.Sighting()
		if _, known := t.seen[r.Object.ID]; err == nil && (known || len(t.seen) < maxSighted) {
			t.seen[r.Object.ID] = sighted{s.FirstSeen.Time(), s.SightingOf, max(s.Count, 1)}
		}
	}
	return err
}

// forget drops what is older than a day.
func (t *Tally) forget(before time.Time) {
	for k, h := range t.hours {
		if !h.Start.Add(time.Hour).After(before) {
			delete(t.hours, k)
		}
	}
	for id, s := range t.seen {
		if !s.hour.Add(time.Hour).After(before) {
			delete(t.seen, id)
		}
	}
	t.switches = slices.DeleteFunc(t.switches, func(x Switch) bool { return x.Time.Before(before) })
	t.reached = slices.DeleteFunc(t.reached, func(x store.Reached) bool { return x.Stored.Before(before) })
	if over := len(t.reached) - maxReached; over > 0 {
		t.reached = slices.Delete(t.reached, 0, over)
	}
}

// Reach is how long messages with objects took to a partner within the last day,
// from when they were made until the receipt was on record here.
type Reach struct {
	Partner noroshi.CallSign `json:"partner"`
	Count   int              `json:"count"`
	Median  time.Duration    `json:"median_ns"`
	P95     time.Duration    `json:"p95_ns"`
}

// reach returns the times for one partner.
func (t *Tally) reach(node noroshi.NodeID) (r Reach) {
	var took []time.Duration
	for _, x := range t.reached {
		if x.Partner == node {
			took = append(took, max(x.Stored.Sub(x.Created), 0))
		}
	}
	slices.Sort(took)
	if r.Count = len(took); r.Count > 0 {
		r.Median, r.P95 = took[len(took)/2], took[len(took)*95/100]
	}
	return r
}

// day returns the hours of the last day, those in which nothing went among them.
func (t *Tally) day(now time.Time) (list []Hour) {
	last := now.UTC().Truncate(time.Hour)
	for at := last.Add(-tallied + time.Hour); !at.After(last); at = at.Add(time.Hour) {
		h := Hour{Start: at}
		if x := t.hours[at.Unix()]; x != nil {
			h = *x
		}
		list = append(list, h)
	}
	return list
}
