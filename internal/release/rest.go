package release

import (
	"context"

	"github.com/noroshi-cti/noroshi/internal/store"
)

// Rest clears what may still go of a message that had to be withheld because
// some of its objects may not: one Cleared for each run of rows between those.
// Everything is decided again, as in Next.
func (d *Desk) Rest(ctx context.Context, m store.OutMessage) ([]Cleared, error) {
	b, err := d.store.Batch(ctx, m.Batch)
	if err != nil {
		return nil, err
	}
	rows, err := d.store.BatchRows(ctx, m.Batch, m.First, min(m.Count, maxMessageObjects))
	if err != nil {
		return nil, err
	}
	objects, why, err := d.check(ctx, b, rows)
	if err != nil {
		return nil, err
	}
	var list []Cleared
	for at := 0; at < len(rows); {
		if why[at] != nil {
			at++
			continue
		}
		c := message(b, m.First+at, objects[at:], why[at:])
		list = append(list, c)
		at += len(c.objects)
	}
	return list, nil
}
