package courier

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Bounds of what is recalled with objects. A RECALL has room for 1,024 entries;
// an object of more than a year of daily warnings goes beyond maxMade. maxLooked
// bounds what one RECALL that comes can have looked at: four objects an entry.
const (
	maxMade   = 1000
	maxLooked = 4096
)

// making finds what was made of objects: what says what they say.
type making struct {
	r      store.Reads
	left   int                                          // objects that may still be looked at
	stands func(context.Context, stix.ID) (bool, error) // whether another object is in use
}

// madeHere finds what this node made of one object, going by what it uses.
func madeHere(ctx context.Context, r store.Reads, id stix.ID) ([]stix.ID, error) {
	m := making{r: r, left: maxMade, stands: func(ctx context.Context, id stix.ID) (bool, error) {
		versions, err := r.Versions(ctx, id)
		return inUse(versions), err
	}}
	return m.of(ctx, id)
}

// of returns what says what an object says and is not the object: its
// translations, and the warnings of this node about nothing but it and what does
// not stand besides, with their translations.
//
// A sighting says when something was met and not what it was, so it stays.
func (m *making) of(ctx context.Context, id stix.ID) (list []stix.ID, err error) {
	if list, err = translationsOf(ctx, m.r, id); err != nil {
		return nil, err
	}
	reports, err := m.r.ReferrersOf(ctx, id, "report", min(m.left, maxMade))
	if err != nil {
		return nil, err
	}
	m.left -= len(list) + len(reports)
	for _, report := range reports {
		about, err := m.aboutNothingElse(ctx, report, id)
		if err != nil {
			return nil, err
		}
		if !about {
			continue
		}
		words, err := translationsOf(ctx, m.r, report)
		if err != nil {
			return nil, err
		}
		list = append(append(list, report), words...)
	}
	return list[:min(len(list), maxMade)], nil
}

// aboutNothingElse reports whether a report is a warning of this node's own and
// names, besides an object and sightings, nothing that stands.
func (m *making) aboutNothingElse(ctx context.Context, report, id stix.ID) (bool, error) {
	versions, err := m.r.Versions(ctx, report)
	if err != nil {
		return false, err
	}
	ours := false
	for _, v := range versions {
		if v.Source.Kind != noroshi.FromSelf || !v.Current {
			continue
		}
		ours = true
		for _, ref := range v.Object.Refs() {
			if !strings.HasPrefix(ref.Path, "object_refs.") || ref.Target == id || ref.Target.Type() == "sighting" {
				continue
			}
			if other, err := m.stands(ctx, ref.Target); err != nil || other {
				return false, err
			}
		}
	}
	return ours, nil
}

// recallDerived takes back what this node itself made of objects a partner took
// back while they were in use: it is a recall of this node's own, which goes to
// everybody who has it, that partner too. objects are what the partner took
// back, one for each entry of in; where their versions alone are meant, what they say
// stands no more, whatever else is said of the objects.
func (c *Courier) recallDerived(ctx context.Context, tx *store.Tx, in RecallIn, objects []taken, alone bool) (done []reach, err error) {
	d := derivation{making: making{r: tx.Reads, left: maxLooked}, from: in.From, alone: alone, known: map[stix.ID]bool{}, seen: map[stix.ID]bool{}}
	d.making.stands = d.stands
	for _, x := range objects {
		if alone {
			d.known[x.entry.Object] = false
		}
	}
	for i, x := range objects {
		if d.left <= 0 || !alone && in.Results[i].ActiveBefore == 0 {
			continue // nothing it brought was there to make anything of
		}
		if err := d.add(ctx, x); err != nil {
			return nil, err
		}
	}
	r := Recall{Made: in.Time, Owners: []string{noroshi.Source{Kind: noroshi.FromSelf}.Owner()}}
	for part := range slices.Chunk(d.list, maxMade) {
		r.ID = newRecallID("derived", c.o.Node.String(), in.Message.String(), string(part[0].entry.Object))
		r.Entries = nil
		for _, x := range part {
			r.Entries = append(r.Entries, x.entry)
		}
		_, more, err := c.recall(ctx, tx, r, part)
		if err != nil {
			return nil, err
		}
		done = append(done, more...)
	}
	return done, nil
}

// derivation finds what this node made of what a partner takes back. What others
// have brought and the partner was never shown does not count: what is recalled
// would tell it that somebody else has the same object.
type derivation struct {
	making
	from  noroshi.NodeID
	alone bool             // of what is taken back the versions alone are meant
	known map[stix.ID]bool // whether they stand
	seen  map[stix.ID]bool // found already
	list  []taken
}

// add finds what was made of one object after the partner brought it, and before it
// brought what stands in its place.
func (d *derivation) add(ctx context.Context, x taken) error {
	if other, err := d.stands(ctx, x.entry.Object); err != nil || other {
		return err
	}
	made, err := d.of(ctx, x.entry.Object)
	if err != nil {
		return err
	}
	counted, err := d.counted(ctx, x)
	if err != nil {
		return err
	}
	for _, id := range made {
		if d.seen[id] {
			continue
		}
		versions, err := d.r.Versions(ctx, id)
		if err != nil {
			return err
		}
		versions = slices.DeleteFunc(versions, func(v store.Record) bool { return v.Source.Kind != noroshi.FromSelf })
		if !inUse(versions) || !slices.ContainsFunc(versions, func(v store.Record) bool { return v.Current && counted(v) }) {
			continue
		}
		e := x.entry
		e.Message, e.Object, e.Modified = noroshi.Hash{}, id, modifiedText(newestOf(versions))
		if e.Scope != message.RecallReMark {
			e.Reason = message.RecallOver // another partner with the same object must not learn that this one had it
		}
		d.seen[id] = true
		d.list = append(d.list, taken{entry: e, versions: versions})
	}
	return nil
}

// counted returns what says of a thing made whether it was made of what is taken back:
// after that came, or where versions alone are meant, while one of them counted, as far
// as the partner can know.
func (d *derivation) counted(ctx context.Context, x taken) (func(made store.Record) bool, error) {
	if !d.alone {
		first := slices.MinFunc(x.versions, func(a, b store.Record) int { return cmp.Compare(a.Seq, b.Seq) }).Seq
		return func(made store.Record) bool { return made.Seq > first }, nil
	}
	all, err := d.r.Versions(ctx, x.entry.Object)
	if err != nil {
		return nil, err
	}
	went, err := d.went(ctx, all)
	if err != nil {
		return nil, err
	}
	among, owner := map[int64]bool{}, x.versions[0].Source.Owner()
	for _, v := range all {
		among[v.Seq] = v.Source.Owner() == owner || went[v.Seq]
	}
	counting, err := d.r.Counting(ctx, x.entry.Object, among)
	return func(made store.Record) bool {
		seq := counting(made)
		return slices.ContainsFunc(x.versions, func(v store.Record) bool { return v.Seq == seq })
	}, err
}

// stands reports whether an object is in use as far as the partner can know: of
// what it brought or was given, by those it has it from.
func (d *derivation) stands(ctx context.Context, id stix.ID) (bool, error) {
	if known, ok := d.known[id]; ok || d.seen[id] {
		return known && !d.seen[id], nil
	}
	if d.left--; d.left < 0 {
		return true, nil
	}
	theirs, active, err := about(ctx, d.r, message.RecallEntry{Object: id}, noroshi.Source{Kind: noroshi.FromPartner, Partner: d.from}.Owner())
	if err != nil {
		return false, err
	}
	all, err := d.r.Versions(ctx, id)
	if err != nil {
		return false, err
	}
	shown, err := d.shown(ctx, all)
	if err != nil {
		return false, err
	}
	if len(theirs)+len(shown) > 0 {
		all = shown
	}
	d.known[id] = active > 0 || inUse(all)
	return d.known[id], nil
}

// went returns which versions went to the partner, by sequence.
func (d *derivation) went(ctx context.Context, all []store.Record) (map[int64]bool, error) {
	var seqs []int64
	for _, v := range all {
		seqs = append(seqs, v.Seq)
	}
	slices.Sort(seqs)
	return d.r.Streamed(ctx, d.from, seqs)
}

// shown returns the versions of those whose versions went to the partner.
func (d *derivation) shown(ctx context.Context, all []store.Record) (list []store.Record, err error) {
	went, err := d.went(ctx, all)
	for _, v := range all {
		if slices.ContainsFunc(all, func(w store.Record) bool { return went[w.Seq] && w.Source.Owner() == v.Source.Owner() }) {
			list = append(list, v)
		}
	}
	return list, err
}
