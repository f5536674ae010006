package store

import (
	"context"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// Labels reads the labels of what is held as this node itself reads them, each
// definition of a marking once: it is for one pass, not to be kept.
type Labels struct {
	reads      Reads
	statements []string // that have no effect
	bodies     map[reading][]*stix.Object
}

// reading is a marking as it is read for what came by one door.
type reading struct {
	id      stix.ID
	kind    noroshi.SourceKind
	partner noroshi.NodeID
}

// Labels returns a reader of labels; statements have no effect.
func (r Reads) Labels(statements []string) *Labels {
	return &Labels{r, statements, map[reading][]*stix.Object{}}
}

// Of returns the label of everything a version says: its own markings and those
// assigned here, joined with those of each marked portion.
func (l *Labels) Of(ctx context.Context, r Record) (noroshi.Label, error) {
	for _, id := range slices.Concat(r.Object.Markings, r.Assigned, noroshi.GranularMarkings(r.Object)) {
		if err := l.define(ctx, id, r.Source); err != nil {
			return noroshi.Label{}, err
		}
	}
	bodies := func(id stix.ID) []*stix.Object { return l.bodies[readingOf(id, r.Source)] }
	label := noroshi.LabelOf(r.Object, r.Assigned, bodies, l.statements)
	for _, p := range noroshi.PortionsOf(r.Object, bodies, l.statements) {
		label = label.Join(p.Label)
	}
	return label, nil
}

func readingOf(id stix.ID, of noroshi.Source) reading { return reading{id, of.Kind, of.Partner} }

// define reads the definitions of a marking that speak for what a source
// brought. What the node itself says about a partner's things carries the
// partner's markings and is read with every body.
func (l *Labels) define(ctx context.Context, id stix.ID, of noroshi.Source) error {
	key := readingOf(id, of)
	if _, done := l.bodies[key]; done {
		return nil
	}
	versions, err := l.reads.Versions(ctx, id)
	if err != nil {
		return err
	}
	l.bodies[key] = nil
	for _, v := range versions {
		if v.Source.SpeaksFor(of) || of.Kind == noroshi.FromSelf && noroshi.TLPOf(id) == noroshi.NoTLP {
			l.bodies[key] = append(l.bodies[key], v.Object)
		}
	}
	return nil
}
