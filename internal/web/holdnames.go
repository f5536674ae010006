package web

import (
	"cmp"
	"context"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Named is what persons know an object by that a page refers to.
type Named struct {
	Type string `json:"type"`
	Name string `json:"name,omitempty"` // as it is held here
	Sees string `json:"sees,omitempty"` // as the partner gets it, with this page or otherwise; "" where it does not
}

// Bounds of what is named: ids that are looked up for one page, objects that are named
// among them, and letters of a name.
const (
	maxSought = 300
	maxNamed  = 50
	maxName   = 60
)

// named fills in what the objects are called that a page and its reasons refer to;
// one that is not held here is in no list.
func (c *Call) named(ctx context.Context, g store.HoldGroup, p *HoldPage) error {
	p.Named = map[stix.ID]Named{}
	for _, list := range [][]Compared{p.Objects, p.Stays} {
		for _, o := range list {
			n := Named{Type: o.Type, Name: knownAs(o.record.Object)}
			if o.view != nil {
				n.Sees = knownAs(o.view)
			}
			p.Named[o.ID] = n
		}
	}
	var others []stix.ID
	for _, id := range referred(p) {
		if _, known := p.Named[id]; !known && len(others) < maxSought && !slices.Contains(others, id) {
			others = append(others, id)
		}
	}
	here, err := c.Store.Currents(ctx, others)
	if err != nil {
		return err
	}
	var seqs []int64
	for _, id := range others {
		if r, ok := here[id]; ok && len(seqs) < maxNamed {
			seqs = append(seqs, r.Seq)
			p.Named[id] = Named{Type: r.Object.Type, Name: knownAs(r.Object)}
		}
	}
	return c.namedThere(ctx, g, p, seqs)
}

// namedThere fills in what the partner knows objects by that are on no page of the
// hold: of them it has what is released.
func (c *Call) namedThere(ctx context.Context, g store.HoldGroup, p *HoldPage, seqs []int64) error {
	if len(seqs) == 0 {
		return nil
	}
	there, err := c.Desk.Previews(ctx, seqs, g.Partner)
	if err != nil {
		return err
	}
	for _, v := range there {
		if v.View == nil || v.Decision.Outcome >= noroshi.Hold {
			continue
		}
		n := p.Named[v.View.ID]
		n.Sees = knownAs(v.View)
		p.Named[v.View.ID] = n
	}
	return nil
}

// referred lists the ids that a page shows, in its order.
func referred(p *HoldPage) (list []stix.ID) {
	add := func(text string) {
		if id, err := stix.ParseID(text); err == nil {
			list = append(list, id)
		}
	}
	for _, o := range p.Objects {
		for _, f := range o.Fields {
			for _, s := range f.Held {
				add(s.Text)
			}
		}
	}
	for _, objects := range [][]Compared{p.Objects, p.Stays} {
		for _, o := range objects {
			for _, r := range o.Rules {
				add(r.Marking)
				for _, a := range r.Args {
					add(a)
				}
			}
		}
	}
	return list
}

// knownAs is what a person knows an object by: its name, or the beginning of what
// it says.
func knownAs(o *stix.Object) string {
	said := []rune(cmp.Or(nameOf(o), o.Text("pattern"), o.Text("abstract"), o.Text("content"), o.Text("description")))
	if len(said) > maxName {
		said = append(said[:maxName], '…')
	}
	return shownText(string(said))
}
