package release

import (
	"context"
	"crypto/sha256"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Outline is what there is to say of an open hold as a whole.
type Outline struct {
	Digest  noroshi.Hash // what release officers sign, see HoldDigest
	Cut     int          // members out of which something is cut
	Less    int          // members that say something less exactly
	Changed []int64      // members with either, by sequence; owned by the desk
}

// outlined is an outline and what it was made of: while that is the same, so is
// the outline.
type outlined struct {
	made    outlineKey
	outline Outline
}

// outlineKey is what an outline depends on: see store.Reads.HoldPoint.
type outlineKey struct {
	point   int64
	opened  int64 // microseconds
	count   int
	defines noroshi.Hash // definitions that leave with the hold
}

// maxOutlines bounds how many outlines a desk remembers: of those that officers
// look at just now.
const maxOutlines = 16

// Outline tells of an open hold as a whole. A hold of 100,000 members is read
// through once and then not until it changes.
func (d *Desk) Outline(ctx context.Context, hold string) (Outline, error) {
	point, err := d.store.HoldPoint(ctx, hold) // before the hold: what changes meanwhile makes another key
	if err != nil {
		return Outline{}, err
	}
	g, err := d.openHold(ctx, hold)
	if err != nil {
		return Outline{}, err
	}
	key := outlineKey{point: point, opened: g.Opened.UnixMicro(), count: g.Count}
	if key.defines, err = d.defines(ctx, g); err != nil {
		return Outline{}, err
	}
	d.mu.Lock()
	was, known := d.outlines[hold]
	d.mu.Unlock()
	if known && was.made == key {
		return was.outline, nil
	}
	b, err := d.bound(ctx, g)
	if err != nil {
		return Outline{}, err
	}
	o := outlineOf(b)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.outlines) >= maxOutlines {
		clear(d.outlines)
	}
	d.outlines[hold] = outlined{key, o}
	return o, nil
}

// defines is a hash over the definitions that leave with a hold.
func (d *Desk) defines(ctx context.Context, g store.HoldGroup) (noroshi.Hash, error) {
	defs, err := d.definitions(ctx, g)
	h := sha256.New()
	for _, r := range defs {
		h.Write(r.Hash[:])
	}
	return noroshi.Hash(h.Sum(nil)), err
}

func outlineOf(b signing) Outline {
	o := Outline{Digest: b.digest}
	for _, m := range b.members {
		how := func(e string) bool { _, how := Generalised(e); return how != "" }
		if slices.ContainsFunc(m.Cut, how) {
			o.Less++
		}
		if slices.ContainsFunc(m.Cut, func(e string) bool { return !how(e) }) {
			o.Cut++
		}
		if len(m.Cut) > 0 {
			o.Changed = append(o.Changed, m.Seq)
		}
	}
	return o
}

// Shown returns what a hold's members after a sequence would show the partner, as
// the officers sign it; before the first of them, whatever the limit, the
// definitions of markings that leave with them.
func (d *Desk) Shown(ctx context.Context, g store.HoldGroup, after int64, limit int) ([]Preview, error) {
	members, err := d.store.HoldMembers(ctx, g.ID, after, limit)
	if err != nil {
		return nil, err
	}
	var list []Preview
	if after == 0 && len(members) > 0 {
		defs, err := d.definitions(ctx, g)
		if err != nil {
			return nil, err
		}
		for _, r := range defs {
			list = append(list, Preview{Record: r, View: r.Object})
		}
	}
	shown, err := d.shown(ctx, g, members)
	return append(list, shown...), err
}

// ShownChanged is Shown of those members alone of which the partner gets less
// than is held.
func (d *Desk) ShownChanged(ctx context.Context, g store.HoldGroup, after int64, limit int) ([]Preview, error) {
	o, err := d.Outline(ctx, g.ID)
	if err != nil {
		return nil, err
	}
	from, _ := slices.BinarySearch(o.Changed, after+1)
	wanted := o.Changed[from:min(from+limit, len(o.Changed))]
	var members []store.Decided
	for len(wanted) > 0 {
		some, err := d.store.HoldMembers(ctx, g.ID, wanted[0]-1, limit)
		if err != nil {
			return nil, err
		}
		if len(some) == 0 {
			break // they have left meanwhile
		}
		for _, m := range some {
			if len(wanted) > 0 && m.Seq == wanted[0] {
				members, wanted = append(members, m), wanted[1:]
			}
		}
		for len(wanted) > 0 && wanted[0] <= some[len(some)-1].Seq {
			wanted = wanted[1:]
		}
	}
	return d.shown(ctx, g, members)
}

func (d *Desk) shown(ctx context.Context, g store.HoldGroup, members []store.Decided) ([]Preview, error) {
	seqs := make([]int64, len(members))
	for i, m := range members {
		seqs[i] = m.Seq
	}
	recs, err := d.records(ctx, seqs)
	if err != nil {
		return nil, err
	}
	list := make([]Preview, 0, len(recs))
	for i, r := range recs {
		v := show(r, members[i])
		if v == nil {
			return nil, noroshi.Errorf(noroshi.Broken, "release.hold-rows", "hold %s shows other bytes than were decided: run audit verify", g.ID)
		}
		list = append(list, Preview{Record: r, Decision: Decision{Cut: members[i].Cut}, View: v})
	}
	return list, nil
}
