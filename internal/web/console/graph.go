package console

import (
	"fmt"
	"net/url"
	"slices"

	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// graphData is what hangs on an object, drawn and as a table.
type graphData struct {
	ID            stix.ID
	Title         string
	Cut           bool
	Width, Height int
	Nodes         []graphNode
	Edges         []graphEdge
}

// graphNode is a box of the drawing.
type graphNode struct {
	web.NearNode
	X, Y   int
	Word   string // its type in words
	Short  string // as much of its name as fits
	Path   string // of its page, "" where it is not here
	Expand string // address of the graph with it opened, "" where it is
}

// graphEdge is a line of the drawing.
type graphEdge struct {
	X1, Y1, X2, Y2 int
	Word           string
	From, To       *graphNode
}

// Measures of the drawing, in its own units.
const (
	boxWidth, boxHeight = 208, 40
	columnStep, rowStep = 292, 50
	columnRows          = 16 // boxes of one column; more begin another
	nameCells           = 26 // of a name that fit into a box
)

// Box is the size of each box, and the height at which lines meet it.
func (graphData) Box() (b struct{ Width, Height, Middle int }) {
	b.Width, b.Height, b.Middle = boxWidth, boxHeight, boxHeight/2
	return b
}

func indicatorGraph(v *visit) error {
	id, err := stix.ParseID(v.r.PathValue("id"))
	if err != nil {
		return nowhere(v)
	}
	ref := web.NearRef{ID: id}
	for _, o := range v.r.Form["open"] {
		if parsed, err := stix.ParseID(o); err == nil && !slices.Contains(ref.Open, parsed) {
			ref.Open = append(ref.Open, parsed)
		}
	}
	asked := ref
	asked.Lang = string(v.lang)
	near, err := ask[web.Near](v, "object.near", asked)
	if err != nil {
		return err
	}
	return v.show("indicators-graph", v.drawGraph(ref, near))
}

// drawGraph lays the nodes out by their distance, in columns from left to right, in the
// order in which they were found.
func (v *visit) drawGraph(ref web.NearRef, near web.Near) graphData {
	d := graphData{ID: ref.ID, Cut: near.Cut, Nodes: make([]graphNode, len(near.Nodes))}
	column, row, hop := 0, 0, 0
	at := map[stix.ID]*graphNode{}
	for i, n := range near.Nodes {
		if n.Hop != hop || row == columnRows {
			column, row, hop = column+1, 0, n.Hop
		}
		g := &d.Nodes[i]
		*g = graphNode{NearNode: n, X: 8 + column*columnStep, Y: 8 + row*rowStep, Word: v.typeName(n.Type)}
		g.Short = locale.Fit(n.Name, nameCells)
		g.From = v.owner(n.From)
		if n.Name == "" {
			g.Short = locale.Fit(string(n.ID), nameCells)
		}
		if !n.Absent {
			g.Path = v.placeOf(n.ID)
		}
		if !n.Opened && !n.Absent {
			g.Expand = graphPath(ref, n.ID)
		}
		row++
		d.Width, d.Height = max(d.Width, g.X+boxWidth+30), max(d.Height, g.Y+boxHeight+8)
		at[n.ID] = g
	}
	d.Title = d.Nodes[0].Name
	for _, e := range near.Edges {
		from, to := at[e.From], at[e.To]
		l := graphEdge{Word: locale.Or(v.lang, "console.edge."+e.Kind, e.Kind), From: from, To: to}
		l.X1, l.Y1, l.X2, l.Y2 = from.X+boxWidth, from.Y+d.Box().Middle, to.X, to.Y+d.Box().Middle
		if from.X > to.X {
			l.X1, l.X2 = from.X, to.X+boxWidth
		} else if from.X == to.X {
			l.X2 = to.X + boxWidth
		}
		d.Edges = append(d.Edges, l)
	}
	return d
}

// graphPath is the address of a graph with one more object opened.
func graphPath(ref web.NearRef, more stix.ID) string {
	q := url.Values{}
	for _, id := range append(slices.Clone(ref.Open), more) {
		q.Add("open", string(id))
	}
	return "/indicators/graph/" + string(ref.ID) + "?" + q.Encode()
}

// Curve is the path of a line: between columns from one side of a box to the
// other, within one out and back.
func (e graphEdge) Curve() string {
	out := (e.X2 - e.X1) / 2
	back := -out
	if out == 0 {
		out, back = 40, 40
	}
	return fmt.Sprintf("M%d,%dC%d,%d %d,%d %d,%d", e.X1, e.Y1, e.X1+out, e.Y1, e.X2+back, e.Y2, e.X2, e.Y2)
}
