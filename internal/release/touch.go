package release

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// touched is what a slice of the feed asks to be decided.
type touched struct {
	seqs     map[int64]bool
	narrowed map[int64]bool   // of them, what may now be held or denied though it was released
	marks    map[stix.ID]bool // markings that got a definition
	passed   map[passing]bool // released, passed over when their turn came, and free to go now
}

// passing is a version that a batch will not come back to.
type passing struct {
	batch string
	seq   int64
}

func (w *touched) narrow(seq int64) { w.seqs[seq], w.narrowed[seq] = true, true }

// touch notes the versions a change concerns.
func (d *Desk) touch(ctx context.Context, w *touched, links []*link, c store.Change) error {
	switch c.Kind {
	case store.ObjectChanged:
		w.seqs[c.Seq] = true
		switch id := stix.ID(c.ID); id.Type() {
		case "marking-definition":
			w.marks[id] = true
			for _, l := range links {
				if err := d.cutFrom(ctx, w, l.party.Node, func(r store.Record) bool {
					return slices.Contains(noroshi.GranularMarkings(r.Object), id)
				}); err != nil {
					return err
				}
			}
			return d.heldFor(ctx, w, func(r noroshi.Reason) bool { return r.Marking == c.ID })
		case "identity":
			return d.heldFor(ctx, w, func(r noroshi.Reason) bool {
				return d.definedBy(ctx, r, func(by stix.ID) bool { return by == id })
			})
		}
	case store.MarkingAssigned:
		seq, err := versionOf(c)
		if err != nil {
			return err
		}
		w.narrow(seq)
	case store.ObjectWithdrawn:
		versions, err := d.store.Versions(ctx, stix.ID(c.ID))
		if err != nil && noroshi.KindOf(err) != noroshi.NotFound {
			return err
		}
		for _, v := range versions {
			w.narrow(v.Seq)
		}
	case store.BatchReleased:
		return d.waiting(ctx, w, links, c.ID)
	case store.RowsWithheld:
		return d.withheld(ctx, w, c.ID)
	case store.RowsPassed:
		return d.passed(ctx, w, c.ID)
	}
	return nil
}

// versionOf is the version a MarkingAssigned change speaks of.
func versionOf(c store.Change) (int64, error) {
	seq, err := strconv.ParseInt(c.ID, 10, 64)
	if err != nil {
		err = noroshi.Errorf(noroshi.Broken, "release.feed", "change %d: marking of version %q: %w", c.Seq, c.ID, err)
	}
	return seq, err
}

// heldFor notes what waits in open holds for a reason: a marking that was not
// understood, a maker's identity the partner lacked.
func (d *Desk) heldFor(ctx context.Context, w *touched, why func(noroshi.Reason) bool) error {
	holds, err := d.store.Holds(ctx, store.HoldOpen)
	if err != nil {
		return err
	}
	for _, h := range holds {
		if h.Count == 0 || !slices.ContainsFunc(h.Reasons, why) {
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
func (d *Desk) former(ctx context.Context, g *graph, w *touched) error {
	for _, r := range g.stale {
		w.narrowed[r.Seq] = true
	}
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
				w.narrowed[v.Seq] = true
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
	makers := map[stix.ID]bool{}
	err = d.rows(ctx, batch, 0, -1, func(rows []store.Decided) error {
		seqs := make([]int64, len(rows))
		for i, r := range rows {
			seqs[i] = r.Seq
		}
		if err := d.identities(ctx, seqs, makers); err != nil {
			return err
		}
		return d.referrers(ctx, w, seqs)
	})
	if err != nil {
		return err
	}
	if len(makers) > 0 {
		// The reference index does not know makers: what went, or waits, without
		// naming its own may name it now.
		if err := d.cutFrom(ctx, w, b.Partner, func(r store.Record) bool { return makers[r.Object.CreatedBy] }); err != nil {
			return err
		}
	}
	went := func(id stix.ID) bool { return d.went(ctx, b.Partner, id) }
	return d.heldFor(ctx, w, func(r noroshi.Reason) bool { return d.definedBy(ctx, r, went) })
}

// identities notes which of some versions are identities.
func (d *Desk) identities(ctx context.Context, seqs []int64, ids map[stix.ID]bool) error {
	found, err := d.store.OfType(ctx, "identity", slices.Sorted(slices.Values(seqs)))
	for _, id := range found {
		ids[id] = true
	}
	return err
}

// cutFrom notes what went to a partner, or waits in a hold, with something cut
// out, where that may be shown now.
func (d *Desk) cutFrom(ctx context.Context, w *touched, partner noroshi.NodeID, may func(store.Record) bool) error {
	rows, err := d.store.ViewsTo(ctx, partner)
	if err != nil {
		return err
	}
	holds, err := d.store.Holds(ctx, store.HoldOpen)
	if err != nil {
		return err
	}
	for _, h := range holds {
		if h.Partner == partner {
			if err := d.members(ctx, h.ID, func(m store.Decided) { rows = append(rows, m) }); err != nil {
				return err
			}
		}
	}
	var seqs []int64
	for _, r := range rows {
		if len(r.Cut) > 0 {
			seqs = append(seqs, r.Seq)
		}
	}
	slices.Sort(seqs)
	recs, err := d.records(ctx, slices.Compact(seqs))
	for _, r := range recs {
		if r.Current && may(r) {
			w.seqs[r.Seq] = true
		}
	}
	return err
}

// definedBy reports whether a reason is a marking whose definition cannot
// travel, and its maker is one of those asked about: it may travel now.
func (d *Desk) definedBy(ctx context.Context, r noroshi.Reason, by func(stix.ID) bool) bool {
	if r.Code != "closure.marking-group" {
		return false
	}
	rec, err := d.store.Current(ctx, stix.ID(r.Marking))
	return err == nil && rec.Object.CreatedBy != "" && by(rec.Object.CreatedBy)
}

// remarked notes what is held, or released and not gone, under a marking that
// now may mean something else: it has a second definition, or is well known and
// has one that may contradict it. A first definition of any other marking can
// only lift what heldFor found.
func (d *Desk) remarked(ctx context.Context, w *touched, links []*link) error {
	doubtful := map[stix.ID]bool{}
	for id := range w.marks {
		versions, err := d.store.Versions(ctx, id)
		if err != nil && noroshi.KindOf(err) != noroshi.NotFound {
			return err
		}
		if len(versions) > 1 || noroshi.TLPOf(id) != noroshi.NoTLP {
			doubtful[id] = true
		}
	}
	if len(doubtful) == 0 {
		return nil
	}
	redefined := maps.Clone(doubtful)
	maps.DeleteFunc(redefined, func(id stix.ID, _ bool) bool { return noroshi.TLPOf(id) != noroshi.NoTLP })
	if len(redefined) > 0 {
		if err := d.remarkedSent(ctx, w, redefined); err != nil {
			return err
		}
	}
	is := func(id stix.ID) bool { return doubtful[id] }
	return d.unsent(ctx, links, func(r store.Record) {
		if marked(r, is) {
			w.narrow(r.Seq)
		}
	})
}

// unsent calls fn for every version that waits in an open hold, or is released
// in a batch not all of which is in the stream.
func (d *Desk) unsent(ctx context.Context, links []*link, fn func(store.Record)) error {
	each := func(rows []store.Decided) error {
		seqs := make([]int64, len(rows))
		for i, r := range rows {
			seqs[i] = r.Seq
		}
		recs, err := d.records(ctx, slices.Sorted(slices.Values(seqs)))
		for _, r := range recs {
			fn(r)
		}
		return err
	}
	holds, err := d.store.Holds(ctx, store.HoldOpen)
	if err != nil {
		return err
	}
	for _, h := range holds {
		var rows []store.Decided
		if err := d.members(ctx, h.ID, func(m store.Decided) { rows = append(rows, m) }); err != nil {
			return err
		}
		if err := each(rows); err != nil {
			return err
		}
	}
	for _, l := range links {
		ids, err := d.store.UnsentBatches(ctx, l.party.Node)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := d.rows(ctx, id, 0, -1, each); err != nil {
				return err
			}
		}
	}
	return nil
}

// madeBy notes what an identity that became narrower made, or marked: the
// reference index does not know makers.
func (d *Desk) madeBy(ctx context.Context, links []*link, g *graph, w, more *touched) error {
	makers := map[stix.ID]bool{}
	for _, list := range [][]store.Record{g.recs, g.stale} {
		for _, r := range list {
			if w.narrowed[r.Seq] && r.Object.Type == "identity" {
				makers[r.Object.ID] = true
			}
		}
	}
	if len(makers) == 0 {
		return nil
	}
	defines := map[stix.ID]bool{} // by marking: one of the makers made its definition
	made := func(id stix.ID) bool {
		yes, known := defines[id]
		if !known && noroshi.TLPOf(id) == noroshi.NoTLP {
			rec, err := d.store.Current(ctx, id)
			yes = err == nil && makers[rec.Object.CreatedBy]
			defines[id] = yes
		}
		return yes
	}
	return d.unsent(ctx, links, func(r store.Record) {
		if makers[r.Object.CreatedBy] || marked(r, made) {
			more.seqs[r.Seq] = true
		}
	})
}

// withheld notes the rows of a message that was withheld: what may not go any
// more is decided anew; the rest goes again as it was decided.
func (d *Desk) withheld(ctx context.Context, w *touched, run string) error {
	batch, first, count, err := store.ParseRows(run)
	if err != nil {
		return err
	}
	return d.rows(ctx, batch, first, count, func(rows []store.Decided) error {
		for _, r := range rows {
			w.narrow(r.Seq)
		}
		return nil
	})
}

// passed notes the rows of a batch that were passed over when their turn had
// come. The batch does not come back to them: what may not go is decided anew,
// and so is what may go again by now.
func (d *Desk) passed(ctx context.Context, w *touched, run string) error {
	batch, first, count, err := store.ParseRows(run)
	if err != nil {
		return err
	}
	b, err := d.store.Batch(ctx, batch)
	if err != nil {
		return err
	}
	rows, err := d.store.BatchRows(ctx, batch, first, count)
	if err != nil || len(rows) == 0 {
		return err
	}
	seqs := make([]int64, len(rows))
	for i, r := range rows {
		seqs[i] = r.Seq
	}
	in, err := d.store.Released(ctx, b.Partner, seqs)
	if err != nil {
		return err
	}
	x, err := d.checked(ctx, b, first, count)
	if err != nil && noroshi.KindOf(err) != noroshi.Refused {
		return err
	}
	for i, seq := range seqs {
		if in[seq] != batch {
			continue // it was decided anew already
		}
		w.narrow(seq)
		if err == nil && x.why[i] == nil {
			if w.passed == nil {
				w.passed = map[passing]bool{}
			}
			w.passed[passing{batch, seq}] = true
		}
	}
	return nil
}

// rows calls fn for a run of a batch's rows (count < 0: to its end), a page at
// a time.
func (d *Desk) rows(ctx context.Context, batch string, first, count int, fn func([]store.Decided) error) error {
	for count != 0 {
		limit := store.MaxPage
		if count > 0 {
			limit = min(limit, count)
		}
		rows, err := d.store.BatchRows(ctx, batch, first, limit)
		if err != nil || len(rows) == 0 {
			return err
		}
		if err := fn(rows); err != nil {
			return err
		}
		first += len(rows)
		if count > 0 {
			count -= len(rows)
		}
	}
	return nil
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

// wake decides what refers to objects a partner just brought, which are the
// partner's own, so that what waited for them may go; and whatever refers, over
// any number of steps, to what became narrower: it may have been released with
// it, and not gone.
func (d *Desk) wake(ctx context.Context, links []*link, g *graph, w *touched) error {
	var seqs []int64
	for _, r := range g.recs[:g.asked] {
		if r.Source.Kind == noroshi.FromPartner {
			seqs = append(seqs, r.Seq)
		}
	}
	more := touched{seqs: map[int64]bool{}}
	if err := d.madeBy(ctx, links, g, w, &more); err != nil {
		return err
	}
	edge := sorted(w.narrowed)
	edge = append(edge, sorted(more.seqs)...)
	for len(edge) > 0 {
		next := touched{seqs: map[int64]bool{}}
		if err := d.referrers(ctx, &next, edge); err != nil {
			return err
		}
		edge = edge[:0]
		for _, seq := range sorted(next.seqs) {
			if !more.seqs[seq] && !w.narrowed[seq] {
				more.seqs[seq] = true
				edge = append(edge, seq)
			}
		}
	}
	if err := d.referrers(ctx, &more, seqs); err != nil {
		return err
	}
	if len(more.seqs) == 0 {
		return nil
	}
	again, err := d.collect(ctx, sorted(more.seqs))
	if err != nil {
		return err
	}
	for _, l := range links {
		if err := d.decide(ctx, l, again); err != nil {
			return err
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

// referrers notes the current versions of all objects that refer to objects
// with these sequences. Makers are not among what is looked up: every object
// of a source has the same (heldFor finds what waits for one).
func (d *Desk) referrers(ctx context.Context, w *touched, seqs []int64) error {
	if len(seqs) == 0 {
		return nil
	}
	seqs = slices.Sorted(slices.Values(seqs))
	ids, err := d.store.ReferrersTo(ctx, seqs)
	if err != nil {
		return err
	}
	for _, id := range ids {
		rec, err := d.store.Current(ctx, id)
		if noroshi.KindOf(err) == noroshi.NotFound {
			continue
		}
		if err != nil {
			return err
		}
		w.seqs[rec.Seq] = true
	}
	return nil
}
