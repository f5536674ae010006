package release

import (
	"context"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// scout is how far the feed was searched for urgent warnings that lie behind
// bulk work. It is only a place to search on from: what was found is decided
// again in its turn, which changes nothing.
const scout = "release urgent"

// changesScouted bounds how far one Step searches ahead.
const changesScouted = 400_000

// urgent decides the urgent warnings that lie in the feed behind a full slice
// ending at last, with their translations, so that they wait for one slice at
// most however much was admitted before them. It returns how far it searched.
func (d *Desk) urgent(ctx context.Context, links []*link, last int64) (int64, error) {
	at, err := d.store.Cursor(ctx, scout)
	if err != nil {
		return 0, err
	}
	at = max(at, last)
	var seqs []int64
	for range changesScouted / store.MaxPage {
		page, err := d.store.Feed(ctx, at, store.MaxPage)
		if err != nil {
			return 0, err
		}
		for _, c := range page {
			at = c.Seq
			if t := stix.ID(c.ID).Type(); c.Kind == store.ObjectChanged && (t == "report" || t == "language-content") {
				seqs = append(seqs, c.Seq)
			}
		}
		if len(page) == 0 {
			break
		}
	}
	if len(links) == 0 {
		return at, nil
	}
	w := touched{seqs: map[int64]bool{}, narrowed: map[int64]bool{}}
	for part := range slices.Chunk(seqs, recordsAtOnce) {
		recs, err := d.store.Records(ctx, part)
		if err != nil {
			return 0, err
		}
		for _, r := range recs {
			yes, err := d.isUrgent(ctx, r)
			if err != nil {
				return 0, err
			}
			if yes {
				w.seqs[r.Seq] = true
			}
		}
	}
	return at, d.decideAll(ctx, links, nil, &w)
}

// isUrgent reports whether a version is a warning of IMMEDIATE or above, or a
// translation of one.
func (d *Desk) isUrgent(ctx context.Context, r store.Record) (bool, error) {
	o := r.Object
	if o.Type == "language-content" {
		i := slices.IndexFunc(o.Refs(), func(r stix.Ref) bool { return r.Path == "object_ref" })
		if i < 0 || o.Refs()[i].Target.Type() != "report" {
			return false, nil
		}
		of, err := d.store.Current(ctx, o.Refs()[i].Target)
		if noroshi.KindOf(err) == noroshi.NotFound {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		o = of.Object
	}
	p, yes := warning(o)
	return yes && p >= noroshi.Immediate, nil
}
