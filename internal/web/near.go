package web

import (
	"cmp"
	"context"
	"fmt"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// NearRef asks what hangs on an object: one step from it, and one more from each
// that is opened.
type NearRef struct {
	ID   stix.ID   `json:"id"`
	Open []stix.ID `json:"open,omitempty"` // the first 20
	Lang string    `json:"lang,omitempty"` // reports are named in it where a translation says how
}

// Near is a part of the graph of what is held here.
type Near struct {
	Nodes []NearNode `json:"nodes"` // the object itself first, then by distance
	Edges []NearEdge `json:"edges"`
	Cut   bool       `json:"cut,omitempty"` // there is more than fits
}

// NearNode is one object.
type NearNode struct {
	ID     stix.ID `json:"id"`
	Type   string  `json:"type"`
	Name   string  `json:"name,omitempty"`
	From   string  `json:"from,omitempty"`
	Label  string  `json:"label,omitempty"` // in the kept form
	Hop    int     `json:"hop"`             // steps from the object
	Opened bool    `json:"opened,omitempty"`
	Gone   bool    `json:"gone,omitempty"`   // withdrawn or revoked
	Absent bool    `json:"absent,omitempty"` // referred to, and not here
}

// NearEdge joins two nodes.
type NearEdge struct {
	From stix.ID `json:"from"`
	To   stix.ID `json:"to"`
	Kind string  `json:"kind"` // relationship_type, the property that refers, or "same-value"
}

// SameValue is the kind of an edge between objects that name one value.
const SameValue = "same-value"

// Bounds of a graph.
const (
	MaxNear      = 150 // nodes
	maxOpen      = 20  // objects that are opened
	maxReferring = 200 // objects that refer to some of them and are looked at
	maxAlike     = 20  // objects that name a value of one
)

// near collects a graph.
type near struct {
	c     *Call
	lang  string
	out   Near
	at    map[stix.ID]int
	edges map[NearEdge]bool

	looked int // objects that refer to something and were looked at
}

func objectNear(ctx context.Context, c *Call) (any, error) {
	var in NearRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	if _, err := c.Store.Current(ctx, in.ID); err != nil {
		return nil, err
	}
	n := near{c: c, lang: in.Lang, out: Near{Edges: []NearEdge{}}, at: map[stix.ID]int{}, edges: map[NearEdge]bool{}}
	n.add(in.ID, 0)
	open := append([]stix.ID{in.ID}, in.Open[:min(len(in.Open), maxOpen)]...)
	for _, id := range open {
		i, there := n.at[id]
		if !there || n.out.Nodes[i].Opened {
			continue
		}
		n.out.Nodes[i].Opened = true
		if err := n.expand(ctx, id, n.out.Nodes[i].Hop+1); err != nil {
			return nil, err
		}
	}
	return n.out, n.describe(ctx)
}

// add makes an object a node, if there is room.
func (n *near) add(id stix.ID, hop int) bool {
	if _, there := n.at[id]; there {
		return true
	}
	if len(n.out.Nodes) == MaxNear {
		n.out.Cut = true
		return false
	}
	n.at[id] = len(n.out.Nodes)
	n.out.Nodes = append(n.out.Nodes, NearNode{ID: id, Type: id.Type(), Hop: hop})
	return true
}

// join adds an edge from or to an object, and its other end.
func (n *near) join(from, to stix.ID, kind string, hop int) {
	e := NearEdge{from, to, kind}
	if kind == SameValue && from > to {
		e.From, e.To = to, from
	}
	if from == to || n.edges[e] || !n.add(from, hop) || !n.add(to, hop) {
		return
	}
	n.edges[e] = true
	n.out.Edges = append(n.out.Edges, e)
}

// expand adds what is one step from an object.
func (n *near) expand(ctx context.Context, id stix.ID, hop int) error {
	r, err := n.c.Store.Current(ctx, id)
	if noroshi.KindOf(err) == noroshi.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	for _, ref := range r.Object.Refs() {
		n.join(id, ref.Target, property(ref.Path), hop)
	}
	for _, v := range r.Values[:min(len(r.Values), maxValues)] {
		list, err := n.c.naming(ctx, v, maxAlike)
		if err != nil {
			return err
		}
		for _, x := range list {
			n.join(id, x.Object.ID, SameValue, hop)
		}
	}
	return n.referring(ctx, id, hop)
}

// referring adds what refers to an object. A relationship is an edge to its other
// end, not a node.
func (n *near) referring(ctx context.Context, id stix.ID, hop int) error {
	if n.looked >= maxReferring {
		n.out.Cut = true
		return nil
	}
	refs, err := n.c.Store.Referrers(ctx, id, "", maxReferring-n.looked)
	if err != nil {
		return err
	}
	n.looked += len(refs)
	n.out.Cut = n.out.Cut || n.looked == maxReferring
	list, err := n.c.Store.Currents(ctx, refs)
	if err != nil {
		return err
	}
	for _, ref := range refs {
		r, here := list[ref]
		if !here {
			continue
		}
		if ref.Type() == "relationship" && !r.Withdrawn && !r.Object.Revoked {
			n.join(stix.ID(r.Object.Text("source_ref")), stix.ID(r.Object.Text("target_ref")), r.Object.Text("relationship_type"), hop)
			continue
		}
		for _, out := range r.Object.Refs() {
			if out.Target == id {
				n.join(ref, id, property(out.Path), hop)
			}
		}
	}
	return nil
}

// property is the name of the property a reference stands in.
func property(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '.' && i+1 < len(path) && path[i+1] != '[' {
			path = path[i+1:]
			break
		}
	}
	for i := range len(path) {
		if path[i] == '.' {
			return path[:i]
		}
	}
	return path
}

// describe says what the nodes are.
func (n *near) describe(ctx context.Context) error {
	labels := n.c.Store.Labels(nil)
	ids := make([]stix.ID, len(n.out.Nodes))
	for i, x := range n.out.Nodes {
		ids[i] = x.ID
	}
	list, err := n.c.Store.Currents(ctx, ids)
	if err != nil {
		return err
	}
	for i := range n.out.Nodes {
		x := &n.out.Nodes[i]
		r, here := list[x.ID]
		if x.Absent = !here; x.Absent {
			continue
		}
		label, err := labels.Of(ctx, r)
		if err != nil {
			return err
		}
		x.Name, x.From, x.Label, x.Gone = nameOf(r.Object), n.c.from(ctx, r.Source), label.String(), r.Withdrawn || r.Object.Revoked
		switch {
		case x.Name != "":
		case x.Type == "sighting":
			if view, err := r.Object.Sighting(); err == nil {
				x.Name = fmt.Sprintf("× %d", max(view.Count, 1))
			}
		default:
			x.Name = r.Object.Text("abstract")
		}
		if len(r.Values) > 0 && (x.Name == "" || x.Type == "indicator") {
			x.Name = r.Values[0].String()
		}
		if err := n.translate(ctx, x, r); err != nil {
			return err
		}
	}
	return nil
}

// translate names a report in the reader's language by a translation that would
// leave this node too, whose label then counts.
func (n *near) translate(ctx context.Context, x *NearNode, r store.Record) error {
	if n.lang == "" || x.Type != "report" || cmp.Or(r.Object.Lang, "en") == n.lang {
		return nil
	}
	list, err := n.c.rendered(ctx, r)
	if err != nil {
		return err
	}
	for _, w := range list {
		if w.Lang != n.lang || w.Stale || w.Unchecked() || w.Name == "" {
			continue
		}
		label, err := noroshi.KeptLabel(w.Label)
		if err != nil {
			return err
		}
		x.Name, x.Label = w.Name, joined(x.Label, label)
		break
	}
	return nil
}
