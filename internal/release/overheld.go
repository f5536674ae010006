package release

import (
	"context"
	"maps"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// overhold finds the versions the partner was given under a label that allowed
// it, of objects that are marked more strictly now and may not go to it any
// more, whoever approves: they are to be recalled. What is denied for another
// reason (the agreement has ended, what it refers to stays) is stopped and not
// recalled. Of what still may go as a view the view takes the place, of the
// same version; an earlier one that shows what the view cuts is recalled.
func (w *plan) overhold(ctx context.Context) error {
	former := w.graph.former()
	for i, r := range w.graph.recs[:w.graph.asked] {
		if r.Withdrawn || r.Object.Type == "marking-definition" {
			continue
		}
		it, d := &w.c.Items[i], &w.out[i]
		went := former[r.Object.ID]
		label := it.Label.Join(d.Label)
		if !goes(d) {
			went = append(went, r)
		}
		for _, v := range went {
			if !w.graph.streamed[v.Seq] {
				continue
			}
			b, err := w.desk.store.Batch(ctx, w.graph.batch[v.Seq])
			if err != nil {
				return err
			}
			now := label
			if goes(d) {
				row, err := w.desk.row(ctx, w.graph, v)
				if err != nil {
					return err
				}
				parts := shown(it.Portions, v, row, d.hides)
				if parts.String() == (noroshi.Label{}).String() {
					continue // what its label asks for, persons could approve again
				}
				now = it.Label.Join(parts)
			}
			if saysMore(b.Label, now) {
				w.over = append(w.over, v.Seq)
			}
		}
	}
	slices.Sort(w.over)
	w.over = slices.Compact(w.over)
	return nil
}

// hides reports whether a place is cut out for the marking of a part.
func (d *Decision) hides(place string) bool {
	return slices.ContainsFunc(d.Reasons, func(r noroshi.Reason) bool {
		return r.Code == partCut && within(r.Args, place)
	})
}

// former returns the former versions that were asked for, by object.
func (g *graph) former() map[stix.ID][]store.Record {
	list := map[stix.ID][]store.Record{}
	for _, r := range g.stale {
		list[r.Object.ID] = append(list[r.Object.ID], r)
	}
	return list
}

// shown returns the label of those places of portions asked about that a row
// shows of a version.
func shown(portions []noroshi.Portion, v store.Record, row store.Decided, asked func(place string) bool) (l noroshi.Label) {
	for _, p := range portions {
		for _, s := range p.Selectors {
			if asked(s) && !within(row.Cut, s) && stix.Resolve(v.Object, s) {
				l = l.Join(p.Label)
			}
		}
	}
	return l
}

// parted returns the partners that were given something and with which no
// agreement is in force now.
func (d *Desk) parted(ctx context.Context, links []*link) ([]noroshi.NodeID, error) {
	all, err := d.store.Partners(ctx)
	if err != nil {
		return nil, err
	}
	var list []noroshi.NodeID
	for _, p := range all {
		if slices.ContainsFunc(links, func(l *link) bool { return l.party.Node == p.Node }) {
			continue
		}
		runs, err := d.store.InStream(ctx, p.Node)
		if err != nil {
			return nil, err
		}
		if len(runs) > 0 {
			list = append(list, p.Node)
		}
	}
	return list, nil
}

// overheldBy finds, of the versions a partner was given while an agreement was
// in force, those of objects that are marked more strictly now, read under the
// terms they went under: they are to be recalled, though nothing else goes.
func (d *Desk) overheldBy(ctx context.Context, node noroshi.NodeID, g *graph) error {
	former := g.former()
	var seqs []int64
	for _, list := range [][]store.Record{g.recs[:g.asked], g.stale} {
		for _, r := range list {
			seqs = append(seqs, r.Seq)
		}
	}
	done, err := d.store.Released(ctx, node, seqs)
	if err != nil || len(done) == 0 {
		return err
	}
	streamed, err := d.store.Streamed(ctx, node, slices.Sorted(maps.Keys(done)))
	if err != nil {
		return err
	}
	g.views = map[string]map[int64]store.Decided{}
	var over []int64
	for _, r := range g.recs[:g.asked] {
		if r.Withdrawn || r.Object.Type == "marking-definition" {
			continue
		}
		for _, v := range append(former[r.Object.ID], r) {
			if !streamed[v.Seq] {
				continue
			}
			more, err := d.stricter(ctx, g, done[v.Seq], r, v)
			if err != nil {
				return err
			}
			if more {
				over = append(over, v.Seq)
			}
		}
	}
	if len(over) == 0 {
		return nil
	}
	_, err = d.store.Do(ctx, noroshi.Act{}, func(tx *store.Tx) error {
		for _, seq := range over {
			if err := tx.NoticeOverheld(node, seq); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// stricter reports whether what a batch shows of a version is marked more
// strictly on the current one.
func (d *Desk) stricter(ctx context.Context, g *graph, batch string, current, v store.Record) (bool, error) {
	b, err := d.store.Batch(ctx, batch)
	if err != nil {
		return false, err
	}
	var statements []string
	switch c, err := d.compiled(ctx, b.Agreement); noroshi.KindOf(err) {
	case noroshi.Invalid, noroshi.Broken, noroshi.NotFound: // no statement is without effect
	default:
		if err != nil {
			return false, err
		}
		statements = c.Agreement().Statements
	}
	row, err := d.rowIn(ctx, g, batch, v)
	if err != nil {
		return false, err
	}
	labels := labeller{graph: g, statements: statements, known: map[string]noroshi.Label{}}
	portions := noroshi.PortionsOf(current.Object, func(id stix.ID) []*stix.Object { return g.bodies(id, current) }, statements)
	now := labels.of(current).Join(shown(portions, v, row, func(string) bool { return true }))
	return saysMore(b.Label, now), nil
}

// saysMore reports whether a label says more than the one something went under.
func saysMore(went string, now noroshi.Label) bool {
	was, err := noroshi.ParseLabel(went)
	return err == nil && was.Join(now).String() != was.String()
}

// remarkedSent notes what went to partners under a marking that has a second
// definition now: it may mean more than it did.
func (d *Desk) remarkedSent(ctx context.Context, w *touched, redefined map[stix.ID]bool) error {
	is := func(id stix.ID) bool { return redefined[id] }
	all, err := d.store.Partners(ctx)
	if err != nil {
		return err
	}
	for _, p := range all {
		runs, err := d.store.InStream(ctx, p.Node)
		if err != nil {
			return err
		}
		for _, run := range runs {
			for lo := run[0]; lo <= run[1]; lo += store.MaxPage {
				recs, err := d.store.List(ctx, store.Filter{After: lo - 1, Limit: int(min(run[1]-lo+1, store.MaxPage)), All: true})
				if err != nil {
					return err
				}
				for _, r := range recs {
					if r.Seq <= run[1] && marked(r, is) {
						w.narrow(r.Seq)
					}
				}
			}
		}
	}
	return nil
}
