package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Survey is what an input would bring, were it admitted.
type Survey struct {
	Format    string `json:"format"`    // as what it is read
	Elements  int    `json:"elements"`  // of the input
	New       int    `json:"new"`       // that would add a version
	Protected int    `json:"protected"` // that would be quarantined because Refuse refuses them
	Refused   int    `json:"refused"`   // that would be quarantined for another reason

	// Of those that would be admitted, new or not:
	Types    map[string]int `json:"types,omitempty"`
	Markings map[string]int `json:"markings,omitempty"` // by the strictest TLP level, their own or the options'; "" = none
	Other    int            `json:"other,omitempty"`    // with a marking of another kind than TLP
	Flagged  int            `json:"flagged,omitempty"`  // that a warning-list names
	Lists    map[string]int `json:"lists,omitempty"`    // by warning-list
	NotArmed int            `json:"not_armed,omitempty"`
	Faults   []Placed       `json:"faults,omitempty"` // why Refused, the first 100

	// Listed, where the options ask for it, are the ids of the indicators the input has, new or not, revoked and
	// protected ones left out; in their order, each once.
	Listed []stix.ID `json:"-"`
}

// Survey reads a whole input as Import does and says what it would bring. It
// writes nothing and goes on from no earlier run.
func (g *Gate) Survey(ctx context.Context, r io.Reader, o ImportOptions) (Survey, error) {
	o.Progress = nil
	im, err := g.begin(ctx, r, o, g.looksOnly)
	if err != nil {
		return Survey{}, err
	}
	s := Survey{Format: im.doc.Format}
	pipe := im.startPipe(ctx)
	defer pipe.stop()
	for {
		elements, _, more := pipe.next()
		if err := im.settle(ctx, elements); err != nil {
			return s, err
		}
		if err := g.survey(ctx, o, elements, &s); err != nil {
			return s, err
		}
		if !more {
			break
		}
	}
	slices.Sort(s.Listed)
	s.Listed = slices.Compact(s.Listed)
	var broken *stix.SyntaxError
	switch err := pipe.err(); {
	case errors.As(err, &broken):
		s.Elements++ // the one that cannot be read, with all that follows it
		s.fault(&element{refused: refuseSyntax(broken), place: place{line: broken.Line, offset: broken.Offset}})
		return s, nil
	case !errors.Is(err, io.EOF):
		return s, err
	}
	return s, nil
}

// looksOnly opens the run of an input that is only looked at.
func (g *Gate) looksOnly(_ context.Context, _ *input, o ImportOptions, format string) (Run, string, error) {
	return Run{Name: o.Name, Format: format, Started: stix.TimeOf(g.o.Now()).String()}, "", nil
}

// survey counts what admitting elements would do.
func (g *Gate) survey(ctx context.Context, o ImportOptions, elements []element, s *Survey) error {
	here, err := g.here(ctx, elements)
	if err != nil {
		return err
	}
	for i := range elements {
		e := &elements[i]
		s.Elements++
		if e.refused != nil {
			s.fault(e)
			continue
		}
		s.describe(e)
		armed := arms(e.version.Object)
		if !here[i] {
			if armed && o.Refuse != nil {
				why, err := g.guarded(ctx, o.Refuse, e)
				if err != nil {
					return err
				}
				if why != nil {
					s.Protected++
					continue
				}
			}
			s.New++
		}
		if armed && o.Listed {
			s.Listed = append(s.Listed, e.version.Object.ID)
		}
	}
	return nil
}

// fault counts an element that would be quarantined.
func (s *Survey) fault(e *element) {
	s.Refused++
	if len(s.Faults) < maxFaults {
		s.Faults = append(s.Faults, e.fault())
	}
}

// describe counts what an element is.
func (s *Survey) describe(e *element) {
	if s.Types == nil {
		s.Types, s.Markings, s.Lists = map[string]int{}, map[string]int{}, map[string]int{}
	}
	o := e.version.Object
	s.Types[o.Type]++
	level := max(strictest(o.Markings), strictest(e.version.Assign))
	if level == noroshi.NoTLP {
		s.Markings[""]++
	} else {
		s.Markings[level.String()]++
	}
	if slices.ContainsFunc(o.Markings, func(id stix.ID) bool { return noroshi.TLPOf(id) == noroshi.NoTLP }) {
		s.Other++
	}
	if len(e.version.Flags) > 0 {
		s.Flagged++
	}
	for _, list := range e.version.Flags {
		s.Lists[list]++
	}
	if e.note != "" {
		s.NotArmed++
	}
}

// here tells of each element whether its version is here already, in use, from
// the same owner.
func (g *Gate) here(ctx context.Context, elements []element) ([]bool, error) {
	here := make([]bool, len(elements))
	var ids []stix.ID
	for i := range elements {
		if e := &elements[i]; e.version != nil && e.known == nil {
			ids = append(ids, e.version.Object.ID)
		}
	}
	held, err := g.store.Held(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("look up what is here: %w", err)
	}
	for i := range elements {
		e := &elements[i]
		if here[i] = e.known != nil; here[i] || e.version == nil || !held[e.version.Object.ID] {
			continue
		}
		versions, err := g.store.Versions(ctx, e.version.Object.ID)
		if err != nil {
			return nil, err
		}
		here[i] = slices.ContainsFunc(versions, func(r store.Record) bool {
			return r.Hash == e.version.Hash && r.Source.Owner() == e.version.Source.Owner() && !r.Withdrawn
		})
	}
	return here, nil
}

// guarded says why an element must be seen by a person before it is armed; nil =
// it need not. What is here already, or names no more than what is, was let in
// by one.
func (g *Gate) guarded(ctx context.Context, refuse func([]noroshi.Value) error, e *element) (error, error) {
	why := refuse(e.version.Values)
	if why == nil {
		return nil, nil
	}
	versions, err := g.store.Versions(ctx, e.version.Object.ID)
	if err != nil || letInBefore(e.version, versions) {
		return nil, err
	}
	return why, nil
}

// arms reports whether an object may come to be matched: what revokes is let in
// whatever it names.
func arms(o *stix.Object) bool { return o.Type == "indicator" && !o.Revoked }

// protect quarantines what a person must see before it is armed. What is here
// already was let in by one.
func (g *Gate) protect(ctx context.Context, refuse func([]noroshi.Value) error, elements []element, quarantine func(e *element, code string, why error)) error {
	if refuse == nil {
		return nil
	}
	for i := range elements {
		e := &elements[i]
		if e.version == nil || e.known != nil || !arms(e.version.Object) {
			continue
		}
		why, err := g.guarded(ctx, refuse, e)
		if err != nil {
			return err
		}
		if why == nil {
			continue
		}
		v := e.version
		quarantine(e, CodeProtected, why)
		e.refused.version = v
	}
	return nil
}
