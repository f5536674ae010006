package web

import (
	"context"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/stix"
)

// MarkRef assigns a marking to the current version of an object. The person
// signed ActAssignMarking over the object's id bound to intake.MarkBound.
type MarkRef struct {
	Object  stix.ID        `json:"subject"`
	Marking string         `json:"marking"` // such as tlp:amber
	By      noroshi.Signed `json:"by"`
}

// Marked says what the object is marked now, and whether that is new.
type Marked struct {
	Marking string `json:"marking"`
	Changed bool   `json:"changed"`
}

func markingAssign(ctx context.Context, c *Call) (any, error) {
	var in MarkRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	level, err := intake.Assignable(in.Marking)
	if err != nil {
		return nil, err
	}
	r, err := c.Store.Current(ctx, in.Object)
	if err != nil {
		return nil, err
	}
	if err := c.signed(ctx, in.By, noroshi.ActAssignMarking, string(in.Object), intake.MarkBound(r.Hash, level)); err != nil {
		return nil, err
	}
	changed, err := c.Gate.Mark(ctx, r, level, in.By)
	if err != nil {
		return nil, err
	}
	if r, err = c.Store.Current(ctx, in.Object); err != nil {
		return nil, err
	}
	return Marked{markingOf(r), changed}, nil
}
