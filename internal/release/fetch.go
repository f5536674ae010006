package release

import (
	"context"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Place names one row of a batch.
type Place struct {
	Batch string
	Row   int // its ordinal
}

// Fetch clears what stands at places, each alone, for a door that carries no
// label: each object is marked with the level it goes under, where its own
// markings say less. Everything is decided again, as in Next; a place that may
// not go to the partner now gives the zero Cleared.
func (d *Desk) Fetch(ctx context.Context, partner noroshi.NodeID, places []Place) ([]Cleared, error) {
	l, err := d.linkTo(ctx, partner)
	if noroshi.KindOf(err) == noroshi.Refused {
		return make([]Cleared, len(places)), nil
	}
	if err != nil {
		return nil, err
	}
	out := make([]Cleared, 0, len(places))
	for len(places) > 0 {
		n := 1
		for n < len(places) && places[n].Batch == places[0].Batch && places[n].Row > places[n-1].Row && places[n].Row-places[0].Row < maxMessageObjects {
			n++
		}
		part, err := d.fetch(ctx, l, places[:n])
		if err != nil {
			return nil, err
		}
		out, places = append(out, part...), places[n:]
	}
	return out, nil
}

// fetch clears places of one batch, their rows rising within one message's worth.
func (d *Desk) fetch(ctx context.Context, l *link, places []Place) ([]Cleared, error) {
	out := make([]Cleared, len(places))
	b, err := d.store.Batch(ctx, places[0].Batch)
	if err != nil {
		return nil, err
	}
	if b.Partner != l.party.Node {
		return out, nil
	}
	if now := l.clauses.Agreement().Hash; now != b.Agreement {
		// What was let go under the agreement before goes on by clauses of this one
		// alone: persons approved it under the other.
		b.Agreement, b.Hold, b.Approvals = now, "", nil
	}
	first := places[0].Row
	x, err := d.checkedFor(ctx, l, b, first, places[len(places)-1].Row-first+1)
	if noroshi.KindOf(err) == noroshi.Refused {
		return out, nil // the agreement does not hold now: nothing goes
	}
	if err != nil {
		return nil, err
	}
	if err := d.lookFar(ctx, l, b, first+len(x.rows), x.objects, x.why); err != nil {
		return nil, err
	}
	for i, p := range places {
		k := p.Row - first
		if k >= len(x.rows) || x.why[k] != nil {
			continue
		}
		o, err := labelled(b, x.objects[k])
		if err != nil {
			return nil, err
		}
		cites := b
		if b.Hold == "" {
			cites.Clause = o.clause
		}
		out[i] = clearedRow(cites, p.Row, o)
	}
	return out, nil
}

// farAhead bounds how many rows behind those asked for are decided to find what a
// definition marks.
const farAhead = 4 * maxMessageObjects

// lookFar finds definitions that are kept back because nothing near them goes that
// they mark, and lets those go of which something goes further behind: whether a
// definition is read does not depend on how much is asked for with it.
func (d *Desk) lookFar(ctx context.Context, l *link, b store.Batch, from int, objects []Object, why []error) error {
	wanted := map[stix.ID]int{}
	for k, o := range objects {
		if o.unused {
			wanted[o.id] = k
		}
	}
	for at := from; len(wanted) > 0 && at < min(b.Count, from+farAhead); at += maxMessageObjects {
		behind, err := d.checkedFor(ctx, l, b, at, maxMessageObjects)
		if err != nil {
			return err
		}
		for i, o := range behind.objects {
			for _, m := range o.marks {
				if k, ok := wanted[m]; ok && behind.why[i] == nil {
					objects[k].clause, why[k] = o.clause, nil
					delete(wanted, m)
				}
			}
		}
	}
	return nil
}

// labelled is an object as a door without labels shows it.
func labelled(b store.Batch, o Object) (Object, error) {
	label, err := noroshi.ParseLabel(b.Label)
	if err != nil {
		return Object{}, err
	}
	own, err := stix.Parse(o.Bytes)
	if err != nil {
		return Object{}, err
	}
	marked, err := noroshi.Labelled(own, label)
	if err != nil {
		return Object{}, err
	}
	o.Bytes = marked.Bytes()
	return o, nil
}
