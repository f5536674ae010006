package release_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/stix"
)

// twin is the same graph for whoever sees only what the partner may: what is
// out of sight is worded, marked, referred to, ordered and named otherwise, is
// more or less or not there at all; so is what is cut out of what is in sight.
// bare says that something else is cut than before, which the numbers of views
// show.
func (g *drawing) twin(r *rand.Rand) (h *drawing, bare bool) {
	h = &drawing{jpn: g.jpn, around: map[stix.ID]release.Standing{}, gone: map[stix.ID]bool{}}
	s := g.sees(persons)
	hidden := map[*thing]bool{} // of h
	for _, x := range g.things {
		y := x.clone()
		h.things = append(h.things, y)
		hidden[y] = !s.things[x] && !x.had
	}
	bare = r.IntN(2) == 0
	for _, x := range h.things {
		if !hidden[x] && !x.had {
			h.changeCut(r, x, bare)
			if bare {
				h.changeLists(r, x, hidden)
			}
		}
	}
	opaque := h.opaque()
	for _, x := range slices.Clone(h.things) {
		if hidden[x] {
			h.changeHidden(r, x, opaque)
		}
	}
	had := map[stix.ID]bool{} // markings of what the partner brought
	for _, x := range g.things {
		for _, st := range x.stamps {
			had[st.id] = had[st.id] || x.had
		}
		for _, p := range x.portions {
			had[p.stamp.id] = had[p.stamp.id] || x.had
		}
	}
	for _, st := range stamps() {
		if st.reach(g.jpn, true) == never && !opaque[st.id] && !had[st.id] && r.IntN(3) == 0 {
			h.gone[st.id] = true
		}
	}
	for id, standing := range g.around {
		if standing == release.Withheld && !opaque[id] && r.IntN(2) == 0 {
			standing = release.Absent
		}
		h.around[id] = standing
	}
	return h, bare
}

// opaque are the ids that stand in properties the specification does not
// define: whether such a reference leaves tells whether its target is here.
func (g *drawing) opaque() map[stix.ID]bool {
	ids := map[stix.ID]bool{}
	for _, x := range g.things {
		for _, ref := range references(x) {
			if strings.HasPrefix(ref.place, "x_") || strings.HasPrefix(ref.place, "extensions") || strings.HasPrefix(ref.place, "contents") {
				ids[ref.to] = true
			}
		}
	}
	return ids
}

func neverStamp(r *rand.Rand, jpn, self bool) *stamp {
	for {
		if s := stamps()[r.IntN(len(stamps()))]; s.reach(jpn, self) == never {
			return s
		}
	}
}

// changeHidden changes a thing out of sight so that it stays there.
func (g *drawing) changeHidden(r *rand.Rand, x *thing, opaque map[stix.ID]bool) {
	secret := slices.ContainsFunc(x.stamps, func(s *stamp) bool { return s.reach(g.jpn, x.maker == usa.Identity) == never })
	if r.IntN(4) > 0 {
		reword(r, x.root)
	}
	if r.IntN(4) == 0 {
		x.root.mem = append(x.root.mem, with("x_more", listOf(text("zz (S//NF)"), raw("1"))))
	}
	if r.IntN(3) == 0 {
		x.run = strconv.Itoa(r.IntN(3))
	}
	if secret && r.IntN(2) == 0 {
		x.stamps = []*stamp{neverStamp(r, g.jpn, x.maker == usa.Identity)}
		if r.IntN(2) == 0 {
			x.stamps = append(x.stamps, stamps()[r.IntN(len(stamps()))])
		}
		for _, v := range refValues(x) {
			if r.IntN(2) == 0 {
				v.raw = refTo(g.things[r.IntN(len(g.things))].id).raw
			}
		}
	}
	at := slices.Index(g.things, x)
	switch r.IntN(6) {
	case 0:
		if !opaque[x.id] {
			g.things = slices.Delete(g.things, at, at+1)
		}
	case 1:
		g.things = slices.Delete(g.things, at, at+1)
		g.things = slices.Insert(g.things, r.IntN(len(g.things)+1), x)
	case 2:
		if x.id != vendor {
			g.rename(x, id(x.typ(), 300+x.n*7%500))
		}
	}
}

// refValues are the reference values of a thing whose own markings keep it
// here, but for who made it.
func refValues(x *thing) (all []*val) {
	for _, ref := range references(x) {
		if ref.place != "created_by_ref" && ref.place != "object_ref" {
			all = append(all, x.root.get(ref.place))
		}
	}
	return all
}

// rename gives a thing another id, and to all that refer to it.
func (g *drawing) rename(x *thing, to stix.ID) {
	from := x.id
	for _, y := range g.things {
		for _, ref := range references(y) {
			if ref.to == from {
				y.root.get(ref.place).raw = refTo(to).raw
			}
		}
	}
	x.id = to
	x.root.get("id").raw = refTo(to).raw
}

// reword gives every text in a value other words of another length; some look
// like portion marks.
func reword(r *rand.Rand, v *val) {
	for _, e := range v.list {
		reword(r, e)
	}
	for _, p := range v.mem {
		switch p.name {
		case "pattern":
			if p.v.kind == 0 {
				p.v.raw = `"[domain-name:value = 'zw` + strings.Repeat("w", r.IntN(9)) + `.example']"`
			}
		case "url":
			p.v.raw = `"https://zw` + strings.Repeat("w", r.IntN(9)) + `.example/"`
		case "precedence":
			p.v.raw = text(pick(r, "routine", "priority", "immediate")).raw
		default:
			reword(r, p.v)
		}
	}
	if strings.Contains(v.raw, "zq") {
		v.raw = text(pick(r, "", "(S//NF) ", "（Ｓ） ", "【極秘】") + "zw-" + strings.Repeat("w", r.IntN(30))).raw
	}
}

// changeCut changes what is cut out of a thing in sight.
func (g *drawing) changeCut(r *rand.Rand, x *thing, bare bool) {
	self := x.maker == usa.Identity
	for i := 0; i < len(x.portions); i++ {
		p := x.portions[i]
		if p.spoils || p.stamp.reach(g.jpn, self) > never {
			continue
		}
		if r.IntN(2) == 0 {
			p.stamp = neverStamp(r, g.jpn, self)
		}
		for _, s := range slices.Clone(p.selectors) {
			v := x.root.get(s)
			if v == nil || s == "created_by_ref" {
				continue
			}
			switch {
			case bare && r.IntN(3) == 0 && !strings.Contains(s, ".") && g.remove(x, s):
			case r.IntN(3) == 0 && !named(x, s) && (strings.HasPrefix(s, "x_") || strings.HasPrefix(s, "contents.")):
				*v = *pick(r, text("zw (S//NF) "+strings.Repeat("w", r.IntN(20))), raw("7"), listOf(text("zw")), objectOf(with("x_zw", text("zw"))))
			default:
				reword(r, v)
			}
			for _, y := range g.things {
				if y.typ() != "language-content" || refOf(y.root.get("object_ref")) != x.id {
					continue
				}
				for _, lang := range y.root.get("contents").mem {
					if w := lang.v.get(s); w != nil && r.IntN(2) == 0 {
						reword(r, w)
					}
				}
			}
		}
	}
	x.portions = slices.DeleteFunc(x.portions, func(p *portion) bool { return len(p.selectors) == 0 })
}

// named reports whether a selector of a thing points into a place.
func named(x *thing, place string) bool {
	return slices.ContainsFunc(x.portions, func(p *portion) bool {
		return slices.ContainsFunc(p.selectors, func(s string) bool { return strings.HasPrefix(s, place+".") })
	})
}

// remove takes a property away with whatever points at it or into it; false
// where an object may not be without it.
func (g *drawing) remove(x *thing, property string) bool {
	if len(x.root.mem) < 4 || property == "created_by_ref" || slices.Contains(required(x.typ()), property) || x.typ() == "network-traffic" {
		return false
	}
	if (property == "external_references" || property == "extensions") && named(x, property) {
		return false // one without what it needs spoils the object
	}
	if slices.ContainsFunc(x.stamps, func(s *stamp) bool { return s.whole }) {
		return false // whether something is cut decides
	}
	for _, p := range x.portions {
		if p.stamp.whole || p.spoils && slices.ContainsFunc(p.selectors, func(s string) bool { return inside(property, s) }) {
			return false
		}
	}
	x.root.mem = slices.DeleteFunc(x.root.mem, func(p pair) bool { return p.name == property })
	for _, p := range x.portions {
		p.selectors = slices.DeleteFunc(p.selectors, func(s string) bool { return inside(property, s) })
	}
	return true
}

// changeLists puts references to things out of sight into the lists of a thing
// in sight, and takes some away.
func (g *drawing) changeLists(r *rand.Rand, x *thing, hidden map[*thing]bool) {
	whole := slices.ContainsFunc(x.stamps, func(s *stamp) bool { return s.whole })
	for _, p := range x.portions {
		whole = whole || p.stamp.whole
	}
	var out []stix.ID
	for _, y := range g.things {
		if hidden[y] && y != x {
			out = append(out, y.id)
		}
	}
	if whole || len(out) == 0 {
		return
	}
	for _, p := range x.root.mem {
		if !strings.HasSuffix(p.name, "_refs") || p.v.kind != '[' || covered(x, p.name) || named(x, p.name) {
			continue
		}
		if to := out[r.IntN(len(out))]; r.IntN(2) == 0 && fits(x, p, to) {
			p.v.list = slices.Insert(p.v.list, r.IntN(len(p.v.list)+1), refTo(to))
			continue
		}
		for i, v := range p.v.list {
			if len(p.v.list) > 1 && slices.Contains(out, refOf(v)) {
				p.v.list = slices.Delete(p.v.list, i, i+1)
				break
			}
		}
	}
}

// fits reports whether a list of references may hold an id by its type.
func fits(x *thing, list pair, id stix.ID) bool {
	switch x.typ() {
	case "report", "note", "grouping":
		return true
	}
	return strings.HasPrefix(list.name, "x_") || slices.ContainsFunc(list.v.list, func(v *val) bool { return refOf(v).Type() == id.Type() })
}
