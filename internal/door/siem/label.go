package siem

import (
	"context"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// labels reads labels as this destination does.
func (s *Sender) labels() *store.Labels { return s.store.Labels(s.dest.Statements) }

// wholeID joins the labels of every version kept under an id: what may be said
// of an object by its id alone. Nothing for an id that is not here.
func (s *Sender) wholeID(ctx context.Context, id stix.ID) (l noroshi.Label, held bool, err error) {
	versions, err := s.store.Versions(ctx, id)
	if err != nil {
		return l, false, err
	}
	labels := s.labels()
	for _, v := range versions {
		one, err := labels.Of(ctx, v)
		if err != nil {
			return l, false, err
		}
		l = l.Join(one)
	}
	return l, len(versions) > 0, nil
}
