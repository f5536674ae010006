package release_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/stix"
)

// gate is the pure exit gate as the leak battery drives it. Each step can be
// exchanged for one that leaks.
type gate struct {
	item   func(*drawing, *thing, release.Item) release.Item // what a decision is told of an object
	decide func(release.Case) []release.Decision
	view   func(*stix.Object, []string) (*stix.Object, error)
	count  func(c *release.Case, rows int) int                         // of a message's head
	order  func(c *release.Case, a, b int) int                         // of objects in a message
	travel func(c *release.Case, i int, d *release.Decision) []stix.ID // definitions that go with an object
}

// sound is the gate as it is.
func sound() gate {
	return gate{
		item:   func(_ *drawing, _ *thing, it release.Item) release.Item { return it },
		decide: release.Decide,
		view:   release.View,
		count:  func(_ *release.Case, rows int) int { return rows },
		order:  func(_ *release.Case, a, b int) int { return cmp.Compare(a, b) },
		travel: func(_ *release.Case, _ int, d *release.Decision) []stix.ID { return d.Travels },
	}
}

// memory has what a drawing and its twin have in common: objects, and what was
// made of them.
type memory struct {
	release.Memory
	parsed map[string]*stix.Object
}

func (m *memory) parse(body string) (*stix.Object, error) {
	if o, ok := m.parsed[body]; ok {
		return o, nil
	}
	o, err := stix.Parse([]byte(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, body)
	}
	if m.parsed == nil {
		m.parsed = map[string]*stix.Object{}
	}
	m.parsed[body] = o
	return o, nil
}

// caseOf makes the case of a drawing, without what is fixed for a partner.
func (g *drawing) caseOf(by gate, c release.Case, known *memory) (release.Case, error) {
	c.Around = maps.Clone(g.around)
	c.Nodes = map[stix.ID]bool{usa.Identity: true, jpn.Identity: true, kor.Identity: true}
	statements := c.Clauses.Agreement().Statements
	wanted := map[stix.ID]bool{}
	var items []release.Item
	for _, x := range g.things {
		o, err := known.parse(x.bytes())
		if err != nil {
			return c, err
		}
		for _, m := range slices.Concat(o.Markings, noroshi.GranularMarkings(o)) {
			wanted[m] = true
		}
		for _, r := range o.Refs() {
			wanted[r.Target] = true
		}
		it := release.ItemOf(o, release.Facts{
			Label: noroshi.LabelOf(o, nil, g.defs, statements), Portions: noroshi.PortionsOf(o, g.defs, statements),
			Source: x.src, Self: c.Self, Sender: g.third().Identity, Partner: c.Partner, Run: x.run, Had: x.had, Conflict: x.conflict,
			Mark: release.PortionMark(o.Bytes()),
		})
		items = append(items, by.item(g, x, it))
	}
	for _, s := range stamps() {
		if defs := g.defs(s.id); wanted[s.id] && len(defs) > 0 && !s.well() {
			it := release.ItemOf(defs[0], release.Facts{Source: noroshi.Source{Kind: noroshi.FromSelf}, Self: c.Self, Partner: c.Partner, Mark: s.mark})
			c.Items = append(c.Items, it)
		}
	}
	c.Items = append(c.Items, items...)
	release.Translate(c.Items)
	return c, nil
}

// sending is everything that goes to a partner: messages with head and objects.
type sending struct {
	out   strings.Builder
	c     release.Case
	by    gate
	cuts  map[stix.ID][]string // of what went last
	bare  bool                 // leaves the numbers of views out
	views map[stix.ID]int
}

// play returns what goes to the partner by itself, and all that goes when
// persons approve whatever they may: the messages in their order, with label,
// precedence, count, and of each object the number of its view and its bytes.
func play(c release.Case, by gate, bare bool) (now, after string, err error) {
	s := sending{c: c, by: by, bare: bare, cuts: map[stix.ID][]string{}, views: map[stix.ID]int{}}
	s.c.Items = slices.Clone(c.Items)
	s.c.Around = maps.Clone(c.Around)
	settled := false
	for range 3 * len(c.Items) {
		out := s.by.decide(s.c)
		went, err := s.released(out)
		if err != nil {
			return "", "", err
		}
		if went {
			continue
		}
		if !settled {
			now, settled = s.out.String(), true
		}
		if went, err = s.approved(out); err != nil {
			return "", "", err
		}
		if !went {
			return now, s.out.String(), nil
		}
	}
	return "", "", fmt.Errorf("it never comes to rest")
}

type parcel struct {
	key   string
	prec  noroshi.Precedence
	items []int
}

// released sends what goes by itself.
func (s *sending) released(out []release.Decision) (bool, error) {
	return s.parcels(out, func(i int) (string, bool) {
		d := &out[i]
		return d.Label.String() + " by " + d.Clause, d.Outcome == noroshi.Release || d.Outcome == noroshi.Redact
	})
}

// approved sends what waits for persons, a hold at a time.
func (s *sending) approved(out []release.Decision) (bool, error) {
	return s.parcels(out, func(i int) (string, bool) {
		d := &out[i]
		_, ok := release.Approvals(d.Key)
		return d.Label.String() + " hold " + release.HoldOf(&s.c, i, d), d.Outcome == noroshi.Hold && ok
	})
}

func (s *sending) parcels(out []release.Decision, in func(int) (string, bool)) (bool, error) {
	byKey := map[string]*parcel{}
	for i := range s.c.Items {
		it := &s.c.Items[i]
		if it.Type == "marking-definition" {
			continue
		}
		key, ok := in(i)
		if !ok || it.Done && slices.Equal(s.cuts[it.ID], out[i].Cut) {
			continue
		}
		p := byKey[it.Precedence.String()+key]
		if p == nil {
			p = &parcel{key: key, prec: it.Precedence}
			byKey[it.Precedence.String()+key] = p
		}
		p.items = append(p.items, i)
	}
	list := slices.SortedFunc(maps.Values(byKey), func(a, b *parcel) int {
		return cmp.Or(cmp.Compare(b.prec, a.prec), strings.Compare(a.key, b.key), cmp.Compare(a.items[0], b.items[0]))
	})
	for _, p := range list {
		if err := s.message(out, p); err != nil {
			return false, err
		}
	}
	return len(list) > 0, nil
}

// message writes one message: the definitions first, then the objects.
func (s *sending) message(out []release.Decision, p *parcel) error {
	var rows []string
	for _, i := range p.items {
		for _, m := range s.by.travel(&s.c, i, &out[i]) {
			j := slices.IndexFunc(s.c.Items, func(it release.Item) bool { return it.ID == m })
			if j >= 0 && !s.c.Items[j].Done && !s.c.Items[j].Theirs {
				s.c.Items[j].Done = true
				s.c.Around[m] = release.Had
				rows = append(rows, "0 "+string(s.c.Items[j].Object.Bytes()))
			}
		}
	}
	slices.SortStableFunc(p.items, func(a, b int) int { return s.by.order(&s.c, a, b) })
	for _, i := range p.items {
		it := &s.c.Items[i]
		v, err := s.by.view(it.Object, out[i].Cut)
		if err != nil {
			return err
		}
		n := 0
		if it.Done || len(out[i].Cut) > 0 {
			s.views[it.ID]++
			n = s.views[it.ID]
		}
		if s.bare {
			n = 0
		}
		rows = append(rows, fmt.Sprintf("%d %s", n, v.Bytes()))
		it.Done, s.cuts[it.ID] = true, out[i].Cut
		s.c.Around[it.ID] = release.Had
	}
	label, _, _ := strings.Cut(out[p.items[0]].Label.String(), " by ")
	fmt.Fprintf(&s.out, "%s %s %d\n%s\n", label, p.prec, s.by.count(&s.c, len(rows)), strings.Join(rows, "\n"))
	return nil
}
