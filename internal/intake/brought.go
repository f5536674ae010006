package intake

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// PrepareBrought prepares STIX objects that a feed hands over piece by piece,
// under the options of an import: Feed, Marking, Profile, Strict and Refuse
// count. The survey says what admitting them would do; nothing is written.
func (g *Gate) PrepareBrought(ctx context.Context, o ImportOptions, run string, objects []Raw) (*Prepared, Survey, error) {
	var s Survey
	r, err := g.rulesFor(o.source(), run)
	if err != nil {
		return nil, s, err
	}
	r.assign, r.strict, r.profile = o.Marking, o.Strict, o.Profile
	p := &Prepared{gate: g, elements: make([]element, len(objects))}
	for i, raw := range objects {
		p.elements[i] = g.read(r, raw.Bytes)
	}
	g.checkRealm(p.elements)
	for i, raw := range objects {
		p.elements[i].index = i
		p.elements[i].from(r, raw)
	}
	if err := g.survey(ctx, o, p.elements, &s); err != nil {
		return nil, s, err
	}
	return p, s, g.protect(ctx, o.Refuse, p.elements, func(e *element, code string, why error) {
		raw := objects[e.index]
		*e = element{index: e.index, refused: refuseFor(code, why)}
		e.from(r, raw)
	})
}

// Vanished is what a feed no longer lists, ready to be taken out of use.
type Vanished struct {
	revoked *Prepared      // versions of our own that say revoked
	ended   []store.Record // a feed's copies
	Count   int
}

// PrepareVanished looks which of these indicators, that a feed brought, are
// still in use. Of what this node made of a list, a version is made that says
// revoked: partners that have it get it too. That is final: an entry that comes
// back gets the next id. What the feed's own makers made is not ours to revoke:
// the feed's copy goes out of use, until it brings it again.
func (g *Gate) PrepareVanished(ctx context.Context, feed, run string, ids []stix.ID) (*Vanished, error) {
	v := &Vanished{revoked: &Prepared{gate: g}}
	brought := noroshi.Source{Kind: noroshi.FromFeed, Name: feed}
	for _, id := range ids {
		r, err := g.store.Current(ctx, id)
		if noroshi.KindOf(err) == noroshi.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		switch {
		case r.Withdrawn || r.Object.Revoked:
			continue
		case r.Source.Owner() == brought.Owner():
			v.ended = append(v.ended, r)
		case r.Source.Kind == noroshi.FromSelf && r.Source.Name == feed:
			e, err := g.revocation(r, run)
			if err != nil {
				return nil, err
			}
			v.revoked.elements = append(v.revoked.elements, e)
		default:
			continue
		}
		v.Count++
	}
	return v, nil
}

// Retire takes out of use what has vanished, inside an act.
func (g *Gate) Retire(tx *store.Tx, v *Vanished) error {
	if _, err := g.Admit(tx, v.revoked); err != nil {
		return err
	}
	for _, r := range v.ended {
		if err := tx.End(r.Object.ID, r.Source.Owner(), r.Seq); err != nil {
			return err
		}
	}
	return nil
}

// revocation is the last version of an indicator of ours.
func (g *Gate) revocation(r store.Record, run string) (element, error) {
	now := stix.TimeOf(g.o.Now())
	if now.Compare(r.Object.Modified) <= 0 {
		now = stix.TimeOf(r.Object.Modified.Time().Add(time.Millisecond))
	}
	o, err := revokedAt(r.Object, now)
	if err != nil {
		return element{}, fmt.Errorf("revoke %s: %w", r.Object.ID, err)
	}
	return element{version: &store.Version{Object: o, Hash: o.Hash(), Source: r.Source, Creator: r.Creator, Run: run, Values: r.Values,
		Refs: targets(o), Assign: slices.Clone(r.Assigned), Flags: r.Flags, Text: words(o, r.Values)}}, nil
}

// revokedAt returns an object that this node made with another modified, and
// revoked behind it.
func revokedAt(o *stix.Object, at stix.Time) (*stix.Object, error) {
	raw := o.Bytes()
	old := append(append([]byte(`,"modified":"`), o.Modified.String()...), '"')
	i := bytes.Index(raw, old) // it wrote it: no white space, and before any text of a source
	if i < 0 {
		return nil, fmt.Errorf("it has no modified %s where this node writes it", o.Modified)
	}
	out := append([]byte(nil), raw[:i]...)
	out = append(append(append(out, `,"modified":"`...), at.String()...), `","revoked":true`...)
	return stix.Parse(append(out, raw[i+len(old):]...))
}
