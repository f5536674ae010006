package release

import (
	"context"
	"slices"
	"strconv"

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
	return "release " + l.party.Node.String() + " " + l.clauses.Agreement().Hash.String()
}

// gap names the ends of what is still to be walked.
func (l *link) gap() (from, to string) { return l.place() + " from", l.place() + " to" }

// slice bounds how many changes one Step takes.
const slice = 4000

// Step follows the change feed by one slice: decides what changed for every
// partner in force, releases by clause (a batch), holds the rest; more is false
// when the feed's end was reached.
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
		if err := d.follow(ctx, links, changes); err != nil {
			return false, err
		}
		return true, d.advance(ctx, links, changes[len(changes)-1].Seq)
	}
	for _, l := range links {
		going, err := d.walk(ctx, l)
		if going || err != nil {
			return going, err
		}
	}
	return false, nil
}

// advance moves the follower and the places of the partners decided for.
func (d *Desk) advance(ctx context.Context, links []*link, seq int64) error {
	_, err := d.store.Do(ctx, noroshi.Act{}, func(tx *store.Tx) error {
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
	for len(all) < slice {
		page, err := d.store.Feed(ctx, after, slice-len(all))
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
		if err := d.follow(ctx, []*link{l}, changes); err != nil {
			return false, err
		}
	}
	first, _ := l.gap()
	return true, d.store.Advance(ctx, first, next)
}

// follow decides what a slice of the feed concerns.
func (d *Desk) follow(ctx context.Context, links []*link, changes []store.Change) error {
	if len(links) == 0 {
		return nil // whoever comes into force finds a gap
	}
	w := touched{seqs: map[int64]bool{}}
	for _, c := range changes {
		if err := d.touch(ctx, &w, links, c); err != nil {
			return err
		}
	}
	if len(w.seqs) == 0 {
		return nil
	}
	g, err := d.collect(ctx, sorted(w.seqs))
	if err != nil {
		return err
	}
	if err := d.former(ctx, g); err != nil {
		return err
	}
	for _, l := range links {
		if err := d.decide(ctx, l, g); err != nil {
			return err
		}
	}
	return d.wake(ctx, links, g)
}

// touched is what a slice of the feed asks to be decided.
type touched struct{ seqs map[int64]bool }

// touch notes the versions a change concerns.
func (d *Desk) touch(ctx context.Context, w *touched, links []*link, c store.Change) error {
	switch c.Kind {
	case store.ObjectChanged:
		w.seqs[c.Seq] = true
		if t := stix.ID(c.ID).Type(); t == "marking-definition" || t == "identity" {
			return d.heldFor(ctx, w, func(r noroshi.Reason) bool { return r.Marking == c.ID || (maker(r) && r.Args[1] == c.ID) })
		}
	case store.MarkingAssigned:
		seq, err := strconv.ParseInt(c.ID, 10, 64)
		if err != nil {
			return noroshi.Errorf(noroshi.Broken, "release.feed", "change %d: marking of version %q: %w", c.Seq, c.ID, err)
		}
		w.seqs[seq] = true
	case store.ObjectWithdrawn:
		versions, err := d.store.Versions(ctx, stix.ID(c.ID))
		if err != nil && noroshi.KindOf(err) != noroshi.NotFound {
			return err
		}
		for _, v := range versions {
			w.seqs[v.Seq] = true
		}
	case store.BatchReleased:
		return d.waiting(ctx, w, links, c.ID)
	}
	return nil
}

// heldFor notes what waits in open holds for a reason: a marking that was not
// understood, a maker's identity the partner lacked.
func (d *Desk) heldFor(ctx context.Context, w *touched, why func(noroshi.Reason) bool) error {
	holds, err := d.store.Holds(ctx, store.HoldOpen)
	if err != nil {
		return err
	}
	for _, h := range holds {
		if h.Key != noroshi.NotUnderstood || !slices.ContainsFunc(h.Reasons, why) {
			continue
		}
		if err := d.members(ctx, h.ID, func(m store.Decided) { w.seqs[m.Seq] = true }); err != nil {
			return err
		}
	}
	return nil
}

// members calls fn for every member of a hold, in order.
func (d *Desk) members(ctx context.Context, hold string, fn func(store.Decided)) error {
	for after := int64(0); ; {
		page, err := d.store.HoldMembers(ctx, hold, after, store.MaxPage)
		if err != nil {
			return err
		}
		for _, m := range page {
			fn(m)
			after = m.Seq
		}
		if len(page) == 0 {
			return nil
		}
	}
}

// former adds the earlier versions of what changed to the stale: they leave
// the holds they wait in.
func (d *Desk) former(ctx context.Context, g *graph) error {
	for _, r := range g.recs[:g.asked] {
		if r.Object.Created == r.Object.Modified {
			continue // a first version, or one without versions
		}
		versions, err := d.store.Versions(ctx, r.Object.ID)
		if err != nil {
			return err
		}
		for _, v := range versions {
			if !v.Current {
				g.stale = append(g.stale, v)
			}
		}
	}
	return nil
}

// waiting notes what refers to a batch's objects: it may have waited for them.
func (d *Desk) waiting(ctx context.Context, w *touched, links []*link, batch string) error {
	b, err := d.store.Batch(ctx, batch)
	if err != nil || !slices.ContainsFunc(links, func(l *link) bool { return l.party.Node == b.Partner }) {
		return err
	}
	for from := 0; from < b.Count; {
		rows, err := d.store.BatchRows(ctx, batch, from, store.MaxPage)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			break
		}
		seqs := make([]int64, len(rows))
		for i, r := range rows {
			seqs[i] = r.Seq
		}
		if err := d.referrers(ctx, w, seqs); err != nil {
			return err
		}
		from += len(rows)
	}
	return d.heldFor(ctx, w, func(r noroshi.Reason) bool { return maker(r) && d.went(ctx, b.Partner, stix.ID(r.Args[1])) })
}

// went reports whether the current version of an object is released to the
// partner; an error is no: what waits goes on waiting.
func (d *Desk) went(ctx context.Context, partner noroshi.NodeID, id stix.ID) bool {
	rec, err := d.store.Current(ctx, id)
	if err != nil {
		return false
	}
	gone, err := d.store.Released(ctx, partner, []int64{rec.Seq})
	return err == nil && gone[rec.Seq] != ""
}

// wake decides what refers to objects a partner just brought: they are the
// partner's own, so what waited for them may go.
func (d *Desk) wake(ctx context.Context, links []*link, g *graph) error {
	var seqs []int64
	for _, r := range g.recs[:g.asked] {
		if r.Source.Kind == noroshi.FromPartner {
			seqs = append(seqs, r.Seq)
		}
	}
	w := touched{seqs: map[int64]bool{}}
	if err := d.referrers(ctx, &w, seqs); err != nil || len(w.seqs) == 0 {
		return err
	}
	for part := range slices.Chunk(sorted(w.seqs), slice) {
		more, err := d.collect(ctx, part)
		if err != nil {
			return err
		}
		for _, l := range links {
			if err := d.decide(ctx, l, more); err != nil {
				return err
			}
		}
	}
	return nil
}

func sorted(set map[int64]bool) []int64 {
	seqs := make([]int64, 0, len(set))
	for s := range set {
		seqs = append(seqs, s)
	}
	slices.Sort(seqs)
	return seqs
}
