package release

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Rehearsal is what another agreement would change, over the window of what
// the store holds.
type Rehearsal struct {
	Agreement noroshi.Hash         `json:"agreement"`
	InForce   noroshi.Hash         `json:"in_force,omitzero"` // what it is compared with; zero = nothing is in force
	At        time.Time            `json:"at"`                // the moment decided for
	From      int64                `json:"from"`              // sequence of the first object decided, 0 = there is none
	To        int64                `json:"to"`                // and of the last
	FromTime  time.Time            `json:"from_time,omitzero"`
	ToTime    time.Time            `json:"to_time,omitzero"`
	Objects   int                  `json:"objects"` // decided, definitions of markings left out
	Partners  []RehearsalOfPartner `json:"partners"`
}

// RehearsalOfPartner is what would change for one partner. Others than the one
// of the agreement are there when onward sharing changes.
type RehearsalOfPartner struct {
	Node     noroshi.NodeID    `json:"node"`
	CallSign noroshi.CallSign  `json:"call_sign"`
	Changes  []RehearsalChange `json:"changes"`
}

// RehearsalChange is all objects for which the answer would change to the same.
type RehearsalChange struct {
	To      noroshi.Outcome   `json:"-"`
	Outcome string            `json:"outcome"`       // release, redact, hold, deny
	Key     noroshi.HoldKey   `json:"key,omitempty"` // of a hold
	Count   int               `json:"count"`
	Gone    int               `json:"gone"` // of them, what the partner has already, or is to get
	Samples []RehearsalSample `json:"samples"`
}

// RehearsalSample is one of these objects.
type RehearsalSample struct {
	Seq     int64            `json:"seq"`
	ID      stix.ID          `json:"id"`
	Type    string           `json:"type"`
	Label   string           `json:"label"`
	Was     string           `json:"was"`
	WasKey  noroshi.HoldKey  `json:"was_key,omitempty"`
	Cut     []string         `json:"cut,omitempty"` // what would be cut out
	Reasons []noroshi.Reason `json:"reasons"`       // why it would be so
}

// samplesOfChange bounds what is shown of each change.
const samplesOfChange = 3

// Rehearse decides every current object again, under the agreement in force and
// under another one, and tells what would change. Nothing is written; memory
// does not grow with the store. at is the moment to decide for, and the window
// ends with what had been admitted then; zero is now, or for an agreement that
// begins later, its beginning. tell (may be nil) hears how many were decided.
func (d *Desk) Rehearse(ctx context.Context, a *noroshi.Agreement, at time.Time, tell func(int)) (Rehearsal, error) {
	pairs, err := d.pairs(ctx, a, at)
	if err != nil {
		return Rehearsal{}, err
	}
	w := rehearsing{desk: d, out: Rehearsal{Agreement: a.Hash, At: pairs[0].at}, pairs: pairs, until: at, times: map[uint64]time.Time{}}
	if pairs[0].old != nil {
		w.out.InForce = pairs[0].old.clauses.Agreement().Hash
	}
	for after, more := int64(0), true; more; {
		if after, more, err = w.page(ctx, after); err != nil {
			return Rehearsal{}, err
		}
		if tell != nil {
			tell(w.out.Objects)
		}
	}
	for _, p := range pairs {
		changes := slices.SortedFunc(maps.Values(p.changes), func(x, y *RehearsalChange) int {
			return cmp.Or(cmp.Compare(x.To, y.To), cmp.Compare(strictness(x.Key), strictness(y.Key)))
		})
		row := RehearsalOfPartner{Node: p.party.Node, CallSign: p.party.CallSign, Changes: []RehearsalChange{}}
		for _, c := range changes {
			row.Changes = append(row.Changes, *c)
		}
		w.out.Partners = append(w.out.Partners, row)
	}
	return w.out, nil
}

// pairOf is a partner's link as it is (nil: none) and as it would be.
type pairOf struct {
	party    noroshi.Party
	old, new *link
	was, at  time.Time // the moments to decide for
	changes  map[rehearsed]*RehearsalChange
}

type rehearsed struct {
	to  noroshi.Outcome
	key noroshi.HoldKey
}

// pairs returns the agreement's partner first, then those to whom more or less
// would be passed on.
func (d *Desk) pairs(ctx context.Context, a *noroshi.Agreement, at time.Time) ([]*pairOf, error) {
	clauses, err := Compile(a)
	if err != nil {
		return nil, err
	}
	party, ok := a.Other(d.o.Node)
	if !ok {
		return nil, noroshi.Errorf(noroshi.Invalid, "agreement.not-party", "this node is no party of the agreement")
	}
	if a.Realm != d.o.Realm {
		return nil, noroshi.Errorf(noroshi.Invalid, "agreement.realm", "the agreement is for realm %s, this is %s", a.Realm, d.o.Realm)
	}
	now := cmp.Or(at, d.o.Now())
	others, err := d.linksAt(ctx, now)
	if err != nil {
		return nil, err
	}
	p := &pairOf{party: party, was: now, at: now, changes: map[rehearsed]*RehearsalChange{}, new: &link{party: party, clauses: clauses, now: now}}
	if at.IsZero() && a.From.After(now) {
		p.at = a.From
	}
	all, err := d.store.Partners(ctx)
	if err != nil {
		return nil, err
	}
	if p.new.senders, p.new.from, err = d.senders(ctx, all); err != nil {
		return nil, err
	}
	pairs := []*pairOf{p}
	before := p.new.from[party.Node]
	for _, l := range others {
		if l.party.Node == party.Node {
			p.old, p.new.urgency = l, l.urgency
			continue
		}
		if before == nil || before.Terms == nil || samePassing(before.Terms, a, l.party) {
			continue
		}
		then := *l
		then.from = maps.Clone(l.from)
		then.from[party.Node] = &Sender{CallSign: party.CallSign, Terms: a}
		pairs = append(pairs, &pairOf{party: l.party, old: l, new: &then, was: now, at: now, changes: map[rehearsed]*RehearsalChange{}})
	}
	return pairs, nil
}

func samePassing(a, b *noroshi.Agreement, to noroshi.Party) bool {
	may, ask := a.PassesTo(to)
	may2, ask2 := b.PassesTo(to)
	return may == may2 && ask == ask2
}

// rehearsing is a rehearsal under way.
type rehearsing struct {
	desk  *Desk
	out   Rehearsal
	pairs []*pairOf
	until time.Time            // what was admitted later is not looked at; zero = everything
	times map[uint64]time.Time // of acts, of this page
}

// page decides the next page of current objects.
func (w *rehearsing) page(ctx context.Context, after int64) (int64, bool, error) {
	recs, err := w.desk.store.List(ctx, store.Filter{After: after, Limit: store.MaxPage})
	if err != nil || len(recs) == 0 {
		return after, false, err
	}
	clear(w.times)
	more := true
	if !w.until.IsZero() {
		for i, r := range recs {
			t, err := w.time(ctx, r.Act)
			if err != nil {
				return after, false, err
			}
			if t.After(w.until) {
				recs, more = recs[:i], false
				break
			}
		}
		if len(recs) == 0 {
			return after, false, nil
		}
	}
	first, last := recs[0], recs[len(recs)-1]
	if w.out.From == 0 {
		w.out.From = first.Seq
		if w.out.FromTime, err = w.time(ctx, first.Act); err != nil {
			return after, false, err
		}
	}
	w.out.To = last.Seq
	if w.out.ToTime, err = w.time(ctx, last.Act); err != nil {
		return after, false, err
	}
	seqs := make([]int64, len(recs))
	for i, r := range recs {
		seqs[i] = r.Seq
	}
	return last.Seq, more, w.compare(ctx, seqs)
}

// time is when an act was done.
func (w *rehearsing) time(ctx context.Context, act uint64) (time.Time, error) {
	if t, ok := w.times[act]; ok {
		return t, nil
	}
	entries, err := w.desk.store.Acts(ctx, act, 1)
	if err != nil || len(entries) == 0 {
		return time.Time{}, err
	}
	w.times[act] = entries[0].Time
	return entries[0].Time, nil
}

// compare decides some versions both ways for every partner.
func (w *rehearsing) compare(ctx context.Context, seqs []int64) error {
	g, err := w.desk.collect(ctx, seqs)
	if err != nil {
		return err
	}
	for _, r := range g.recs[:g.asked] {
		if r.Object.Type != "marking-definition" {
			w.out.Objects++
		}
	}
	for _, p := range w.pairs {
		was, err := w.desk.rehearsed(ctx, g, p.old, p.was)
		if err != nil {
			return err
		}
		is, err := w.desk.rehearsed(ctx, g, p.new, p.at)
		if err != nil {
			return err
		}
		for i, r := range g.recs[:g.asked] {
			if r.Object.Type != "marking-definition" {
				p.note(g, r, &was[i], &is[i])
			}
		}
	}
	return nil
}

// rehearsed decides a graph as it would be decided under a link at a moment.
func (d *Desk) rehearsed(ctx context.Context, g *graph, l *link, at time.Time) ([]Decision, error) {
	if l == nil {
		out := make([]Decision, len(g.recs))
		for i := range out {
			out[i].deny(noroshi.Reason{Code: "agreement.none"})
		}
		return out, nil
	}
	c, err := d.caseFor(ctx, g, l)
	if err != nil {
		return nil, err
	}
	c.Now = at
	return d.decided(ctx, g, l, &c)
}

// note counts a version whose answer would change.
func (p *pairOf) note(g *graph, r store.Record, was, is *Decision) {
	if was.Outcome == is.Outcome && was.Key == is.Key && slices.Equal(was.Cut, is.Cut) {
		return
	}
	k := rehearsed{is.Outcome, is.Key}
	c := p.changes[k]
	if c == nil {
		c = &RehearsalChange{To: is.Outcome, Outcome: is.Outcome.String(), Key: is.Key}
		p.changes[k] = c
	}
	c.Count++
	if g.batch[r.Seq] != "" {
		c.Gone++
	}
	if len(c.Samples) < samplesOfChange {
		c.Samples = append(c.Samples, RehearsalSample{Seq: r.Seq, ID: r.Object.ID, Type: r.Object.Type, Label: is.Label.String(),
			Was: was.Outcome.String(), WasKey: was.Key, Cut: is.Cut, Reasons: is.Reasons})
	}
}
