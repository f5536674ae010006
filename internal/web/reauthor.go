package web

import (
	"context"
	"math"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/stix"
)

// Redrawn is a redraft with all it leaves to the node, and the exact bytes it
// comes to: what a person signs.
type Redrawn struct {
	Redraft intake.Redraft `json:"redraft"`
	Object  string         `json:"object"`
	Link    string         `json:"link"`
}

func indicatorRedraw(ctx context.Context, c *Call) (any, error) {
	var in intake.Redraft
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	r, err := c.Gate.Redraw(ctx, &in)
	if err != nil {
		return nil, err
	}
	return Redrawn{in, string(r.Object.Bytes()), string(r.Link.Bytes())}, nil
}

// ReauthorRef is a redraft as indicator.redraw gave it, and the signature of a
// person: ActReauthor over the original's id bound to intake.ReauthorBound.
type ReauthorRef struct {
	intake.Redraft
	By noroshi.Signed `json:"by"`
}

func indicatorReauthor(ctx context.Context, c *Call) (any, error) {
	var in ReauthorRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	r, err := c.Gate.Redraw(ctx, &in.Redraft)
	if err != nil {
		return nil, err
	}
	if err := c.signed(ctx, in.By, noroshi.ActReauthor, string(in.Original), r.Bound()); err != nil {
		return nil, err
	}
	return nil, c.Gate.Reauthor(ctx, r, in.By)
}

// kin returns what an object was derived from and what was derived from it, as
// relationships that are in use here say.
func (c *Call) kin(ctx context.Context, id stix.ID) (from, to []stix.ID, err error) {
	list, err := c.Store.Referring(ctx, id, "relationship", math.MaxInt)
	for _, r := range list {
		source, target := stix.ID(r.Object.Text("source_ref")), stix.ID(r.Object.Text("target_ref"))
		switch {
		case r.Withdrawn || r.Object.Revoked || r.Object.Text("relationship_type") != intake.DerivedFrom:
		case source == id && !slices.Contains(from, target):
			from = append(from, target)
		case target == id && !slices.Contains(to, source):
			to = append(to, source)
		}
	}
	return from, to, err
}
