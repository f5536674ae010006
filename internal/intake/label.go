package intake

import (
	"context"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// label gives each object the label its message travelled under where its own
// markings say less: what the sender assigned arrives this way. Only a TLP level
// can be given so. An object marked more strictly than its message, as a whole
// or in part, is refused: one of the two is wrong. So is one whose message says
// more than the object's own markings and a level can: admitted, it would be
// less restricted here than where it came from.
func (g *Gate) label(src noroshi.Source, elements []element, objects []Raw) error {
	d := definitions{gate: g, src: src, bodies: map[stix.ID][]*stix.Object{}, looked: map[stix.ID]bool{}}
	for i := range elements {
		if v := elements[i].version; v != nil && v.Object.Type == "marking-definition" {
			d.bodies[v.Object.ID] = append(d.bodies[v.Object.ID], v.Object)
		}
	}
	for i := range elements {
		e, l := &elements[i], objects[i].Label
		if !l.Handled() || e.refused != nil || e.version.Object.Type == "marking-definition" {
			continue
		}
		o := e.version.Object
		if own := max(strictest(o.Markings), strictest(noroshi.GranularMarkings(o))); own > l.TLP {
			*e = element{refused: refuseFor(codeLabel, noroshi.Errorf(noroshi.Invalid, "intake.label-above", "marked %s in a message of %s", own, l))}
			continue
		} else if own < l.TLP {
			e.version.Assign = []stix.ID{l.TLP.MarkingID()}
		}
		less, err := d.less(o, l)
		if err != nil {
			return err
		}
		if less {
			*e = element{refused: refuseFor(codeLabel, noroshi.Errorf(noroshi.Invalid, "intake.label-below", "its own markings say less than its message, which is %s", l))}
		}
	}
	return nil
}

// definitions are the bodies of markings that speak for what a source brings,
// those that come along with it included.
type definitions struct {
	gate   *Gate
	src    noroshi.Source
	bodies map[stix.ID][]*stix.Object
	looked map[stix.ID]bool // in the store
}

// less reports whether a label has a marking of a richer kind that no marking of
// an object can say. A definition may come later than what it marks: one that is
// not here yet can say one of them, and until it comes the object is held.
func (d *definitions) less(o *stix.Object, l noroshi.Label) (bool, error) {
	missing, open := l.Markings(), 0
	if len(missing) == 0 {
		return false, nil
	}
	ids := append(slices.Clone(o.Markings), noroshi.GranularMarkings(o)...)
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		if noroshi.TLPOf(id) != noroshi.NoTLP {
			continue
		}
		bodies, err := d.of(id)
		if err != nil {
			return false, err
		}
		if len(bodies) == 0 {
			open++
		}
		for _, b := range bodies {
			says := noroshi.MarkingLabel(id, []*stix.Object{b}, nil).Markings()
			missing = slices.DeleteFunc(missing, func(m string) bool { return slices.Contains(says, m) })
		}
	}
	return len(missing) > open, nil
}

// of returns the bodies of a marking.
func (d *definitions) of(id stix.ID) ([]*stix.Object, error) {
	if d.looked[id] {
		return d.bodies[id], nil
	}
	d.looked[id] = true
	versions, err := d.gate.store.Versions(context.Background(), id)
	if err != nil && noroshi.KindOf(err) != noroshi.NotFound {
		return nil, err
	}
	for _, v := range versions {
		if v.Source.SpeaksFor(d.src) {
			d.bodies[id] = append(d.bodies[id], v.Object)
		}
	}
	return d.bodies[id], nil
}
