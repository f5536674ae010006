package release

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// follower is the desk's place in the change feed. Beside it each agreement
// with a partner has a place of its own: how far the feed was decided for it.
// Where that lies behind the follower (the agreement is new, the partner was
// suspended) there is a gap, which is walked when nothing newer waits.
const follower = "release"

func (l *link) place() string {
	return "release " + l.party.Node.String() + " " + l.clauses.Agreement().Hash.String() + l.circumstances()
}

// circumstances name what a decision for a partner depends on beyond its
// agreement and the feed: a declared emergency, whether it lasts, and what
// others let be passed on. When they change, what this node holds is decided
// again, because the place is a new one.
func (l *link) circumstances() string {
	var parts []string
	if !l.urgency.Until.IsZero() {
		state := "over"
		if l.urgency.At(l.now) {
			state = "on"
		}
		parts = append(parts, "emergency", l.urgency.From.UTC().Format(time.RFC3339), state)
	}
	for _, n := range slices.SortedFunc(maps.Keys(l.from), func(a, b noroshi.NodeID) int { return slices.Compare(a[:], b[:]) }) {
		s := l.from[n]
		if n == l.party.Node || s.Terms == nil || s.Terms.Onward == noroshi.OnwardMarked {
			continue
		}
		parts = append(append(parts, "onward", n.String(), string(s.Terms.Onward)), s.Terms.OnwardTo...)
	}
	if len(parts) == 0 {
		return ""
	}
	return " " + digest(parts...)[:16]
}

// gap names the ends of what is still to be walked.
func (l *link) gap() (from, to string) { return l.place() + " from", l.place() + " to" }

// changesAtOnce bounds how many changes one Step takes.
const changesAtOnce = 4000

// touchedAtOnce bounds how many versions the changes of a slice may ask for before
// they are decided: one change may name 1,000 rows of a batch.
const touchedAtOnce = 4 * changesAtOnce

// Step follows the change feed by one slice, urgent warnings that lie behind it
// first: decides what changed for every partner in force, releases by clause (a
// batch), holds the rest; more is false when the feed's end was reached.
func (d *Desk) Step(ctx context.Context) (more bool, err error) {
	d.turn.Lock()
	defer d.turn.Unlock()
	links, err := d.links(ctx)
	if err != nil {
		return false, err
	}
	at, err := d.store.Cursor(ctx, follower)
	if err != nil {
		return false, err
	}
	for _, l := range links {
		if err := d.join(ctx, l, at); err != nil {
			return false, err
		}
	}
	changes, err := d.feed(ctx, at)
	if err != nil {
		return false, err
	}
	if len(changes) > 0 {
		last := changes[len(changes)-1].Seq
		scouted := last
		if len(changes) == d.slice {
			if scouted, err = d.urgent(ctx, links, last); err != nil {
				return false, err
			}
		}
		parted, err := d.parted(ctx, links)
		if err != nil {
			return false, err
		}
		if err := d.follow(ctx, links, parted, changes); err != nil {
			return false, err
		}
		return true, d.advance(ctx, links, last, scouted)
	}
	for _, l := range links {
		going, err := d.walk(ctx, l)
		if going || err != nil {
			return going, err
		}
	}
	return false, d.begun(ctx, links)
}

// begun decides anew what waits under a policy (IEP) whose time has begun.
func (d *Desk) begun(ctx context.Context, links []*link) error {
	w := touched{seqs: map[int64]bool{}, narrowed: map[int64]bool{}}
	holds, err := d.store.Holds(ctx, store.HoldOpen)
	if err != nil {
		return err
	}
	for _, h := range holds {
		waits := func(r noroshi.Reason) bool { return r.Code == "iep.not-in-force" }
		if h.Count == 0 || !slices.ContainsFunc(h.Reasons, waits) {
			continue
		}
		l, err := noroshi.KeptLabel(h.Label)
		if err != nil {
			return err
		}
		out := func(p noroshi.IEP) bool { return !p.InForce(d.o.Now()) }
		if !slices.ContainsFunc(l.IEP, out) {
			if err := d.members(ctx, h.ID, func(m store.Decided) { w.seqs[m.Seq] = true }); err != nil {
				return err
			}
		}
	}
	return d.decideAll(ctx, links, nil, &w)
}

// advance moves the follower and the places of the partners decided for; where
// urgent warnings were searched for ahead of it, the scout's too.
func (d *Desk) advance(ctx context.Context, links []*link, seq, scouted int64) error {
	_, err := d.store.Do(ctx, noroshi.Act{}, func(tx *store.Tx) error {
		if scouted > seq {
			if err := tx.SetCursor(scout, scouted); err != nil {
				return err
			}
		}
		for _, l := range links {
			if err := tx.SetCursor(l.place(), seq); err != nil {
				return err
			}
		}
		return tx.SetCursor(follower, seq)
	})
	return err
}

// join brings a partner that missed part of the feed to the follower's place
// and keeps what it missed as a gap.
func (d *Desk) join(ctx context.Context, l *link, at int64) error {
	place, err := d.store.Cursor(ctx, l.place())
	if err != nil || place >= at {
		return err
	}
	from, to, err := d.ends(ctx, l)
	if err != nil {
		return err
	}
	if from >= to || place < from {
		from = place
	}
	first, last := l.gap()
	_, err = d.store.Do(ctx, noroshi.Act{}, func(tx *store.Tx) error {
		if err := tx.SetCursor(first, from); err != nil {
			return err
		}
		if err := tx.SetCursor(last, at); err != nil {
			return err
		}
		return tx.SetCursor(l.place(), at)
	})
	return err
}

func (d *Desk) ends(ctx context.Context, l *link) (from, to int64, err error) {
	first, last := l.gap()
	if from, err = d.store.Cursor(ctx, first); err != nil {
		return 0, 0, err
	}
	to, err = d.store.Cursor(ctx, last)
	return from, to, err
}

// feed reads a slice of changes.
func (d *Desk) feed(ctx context.Context, after int64) ([]store.Change, error) {
	var all []store.Change
	for len(all) < d.slice {
		page, err := d.store.Feed(ctx, after, d.slice-len(all))
		if err != nil || len(page) == 0 {
			return all, err
		}
		all = append(all, page...)
		after = page[len(page)-1].Seq
	}
	return all, nil
}

// walk decides a slice of a partner's gap.
func (d *Desk) walk(ctx context.Context, l *link) (bool, error) {
	from, to, err := d.ends(ctx, l)
	if err != nil || from >= to {
		return false, err
	}
	changes, err := d.feed(ctx, from)
	if err != nil {
		return false, err
	}
	if i := slices.IndexFunc(changes, func(c store.Change) bool { return c.Seq > to }); i >= 0 {
		changes = changes[:i]
	}
	next := to
	if len(changes) > 0 {
		next = changes[len(changes)-1].Seq
		if err := d.follow(ctx, []*link{l}, nil, changes); err != nil {
			return false, err
		}
	}
	first, _ := l.gap()
	return true, d.store.Advance(ctx, first, next)
}

// follow decides what a slice of the feed concerns. For partners that have
// parted it finds what they may hold no more.
func (d *Desk) follow(ctx context.Context, links []*link, parted []noroshi.NodeID, changes []store.Change) error {
	if len(links)+len(parted) == 0 {
		return nil // whoever comes into force finds a gap
	}
	for len(changes) > 0 {
		w := touched{seqs: map[int64]bool{}, narrowed: map[int64]bool{}, marks: map[stix.ID]bool{}}
		for len(changes) > 0 && len(w.seqs) < touchedAtOnce {
			if err := d.touch(ctx, &w, links, changes[0]); err != nil {
				return err
			}
			changes = changes[1:]
		}
		if err := d.remarked(ctx, &w, links); err != nil {
			return err
		}
		if err := d.decideAll(ctx, links, parted, &w); err != nil {
			return err
		}
	}
	return nil
}

// decideAll decides what was touched for some partners, and then what refers to
// what may have become narrower by it.
func (d *Desk) decideAll(ctx context.Context, links []*link, parted []noroshi.NodeID, w *touched) error {
	if len(w.seqs) == 0 {
		return nil
	}
	g, err := d.collect(ctx, sorted(w.seqs))
	if err != nil {
		return err
	}
	g.passed = w.passed
	if err := d.former(ctx, g, w); err != nil {
		return err
	}
	for _, l := range links {
		if err := d.decide(ctx, l, g); err != nil {
			return err
		}
	}
	for _, node := range parted {
		if err := d.overheldBy(ctx, node, g); err != nil {
			return err
		}
	}
	return d.wake(ctx, links, g, w)
}
