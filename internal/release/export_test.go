package release

import (
	"context"

	"github.com/noroshi-cti/noroshi"
)

// Digest is what release officers sign for a hold, worked out anew.
func (d *Desk) Digest(ctx context.Context, hold string) (noroshi.Hash, error) {
	g, err := d.openHold(ctx, hold)
	if err != nil {
		return noroshi.Hash{}, err
	}
	b, err := d.bound(ctx, g)
	return b.digest, err
}

// SetSlice makes a desk take so many changes a step.
func SetSlice(d *Desk, n int) { d.slice = n }

// HoldOf returns what tells the hold of an item from others.
func HoldOf(c *Case, i int, d *Decision) string { return groupKey(c.group(i, d)) }

// Memory remembers what was made of objects from one case to the next.
type Memory struct{ views views }

// Remember has a case remember what is made of its objects.
func (m *Memory) Remember(c *Case) { c.views = &m.views }

// DecideShallow is Decide with a fault planted: the closure takes one step.
func DecideShallow(c Case) []Decision {
	c.views = new(views)
	out := make([]Decision, len(c.Items))
	for i := range c.Items {
		out[i] = c.alone(&c.Items[i])
	}
	c.translations(out)
	for i := range c.Items {
		c.text(&c.Items[i], &out[i])
	}
	n := c.neighbours(out)
	n.hopes = true
	n.invalid()
	lost := make([]*loss, len(c.Items))
	for i := range c.Items {
		lost[i] = n.loses(i)
	}
	for i, l := range lost {
		l.tell(&out[i])
	}
	return out
}

// Cases returns the cases of the folder.
func (s *Samples) Cases() []SampleCase { return s.expected.Cases }

// World returns the folder's nodes and agreements.
func (s *Samples) World() SampleWorld { return s.world }
