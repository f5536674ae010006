package web

import (
	"context"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/store"
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
	p, err := c.person(ctx, in.By.Person)
	if err != nil {
		return nil, err
	}
	digest := noroshi.ActDigest(c.Realm, c.Node, noroshi.ActReauthor, string(in.Original), r.Bound())
	if err := p.Check(in.By, noroshi.ActReauthor, digest); err != nil {
		return nil, err
	}
	return nil, c.Gate.Reauthor(ctx, r, in.By)
}

// kin returns what an object was derived from and what was derived from it, as
// relationships that are in use here say.
func (c *Call) kin(ctx context.Context, id stix.ID) (from, to []stix.ID, err error) {
	for after := stix.ID(""); ; {
		refs, err := c.Store.Referrers(ctx, id, after, store.MaxPage)
		if err != nil {
			return nil, nil, err
		}
		for _, ref := range refs {
			if after = ref; ref.Type() != "relationship" {
				continue
			}
			r, err := c.Store.Current(ctx, ref)
			switch {
			case noroshi.KindOf(err) == noroshi.NotFound:
				continue
			case err != nil:
				return nil, nil, err
			}
			source, target := stix.ID(r.Object.Text("source_ref")), stix.ID(r.Object.Text("target_ref"))
			switch {
			case r.Withdrawn || r.Object.Revoked || r.Object.Text("relationship_type") != intake.DerivedFrom:
			case source == id && !slices.Contains(from, target):
				from = append(from, target)
			case target == id && !slices.Contains(to, source):
				to = append(to, source)
			}
		}
		if len(refs) < store.MaxPage {
			return from, to, nil
		}
	}
}
