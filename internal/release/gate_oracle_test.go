package release_test

import (
	"slices"
	"strconv"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// reach is how far a thing goes for its own markings.
func (g *drawing) reach(x *thing) int {
	n, handled := alone, false
	self := x.maker == usa.Identity
	for _, s := range x.stamps {
		n, handled = min(n, s.reach(g.jpn, self)), handled || s.handles
	}
	for _, p := range x.portions {
		if p.spoils {
			n = min(n, p.stamp.reach(g.jpn, self))
		}
	}
	if !handled || x.conflict {
		return never
	}
	if x.dirty && !covered(x, "description") {
		n = min(n, persons)
	}
	return n
}

// covered reports whether some portion names a place or what it is in.
func covered(x *thing, place string) bool {
	return slices.ContainsFunc(x.portions, func(p *portion) bool {
		return slices.ContainsFunc(p.selectors, func(s string) bool { return inside(s, place) })
	})
}

func inside(selector, place string) bool {
	return place == selector || strings.HasPrefix(place, selector+".")
}

// secrets are the selectors of what is certainly cut out of a thing that goes
// this far at least.
func (g *drawing) secrets(x *thing, level int) (list []string) {
	for _, p := range x.portions {
		if !p.spoils && p.stamp.reach(g.jpn, x.maker == usa.Identity) < level {
			list = append(list, p.selectors...)
		}
	}
	return list
}

// references of a thing, found without the code under test.
type reference struct {
	place string
	to    stix.ID
	list  string // the list it is in, if any
}

func references(x *thing) (all []reference) {
	var walk func(v *val, name, at, list string)
	walk = func(v *val, name, at, list string) {
		switch {
		case v.kind == '[':
			for i, e := range v.list {
				walk(e, name, at+".["+strconv.Itoa(i)+"]", at)
			}
		case v.kind == '{':
			for _, p := range v.mem {
				walk(p.v, p.name, at+"."+p.name, "")
			}
		case strings.HasSuffix(name, "_ref") || strings.HasSuffix(name, "_refs"):
			all = append(all, reference{at, refOf(v), list})
		}
	}
	for _, p := range x.root.mem {
		walk(p.v, p.name, p.name, "")
	}
	return all
}

// sight is what a partner may see of a drawing, at most.
type sight struct {
	level   int
	things  map[*thing]bool
	markers map[stix.ID]bool // whose definitions may leave
}

// sees says what may leave at most: at level alone without a person's act, at
// level persons after all approvals there can be. It is the greatest set of
// things that may go by their own markings and whose required references lead
// into it.
func (g *drawing) sees(level int) sight {
	s := sight{level: level, things: map[*thing]bool{}, markers: map[stix.ID]bool{}}
	for _, x := range g.things {
		if !x.had && g.reach(x) >= level {
			s.things[x] = true
		}
	}
	for changed := true; changed; {
		changed = false
		for x := range s.things {
			if !g.whole(x, s) {
				delete(s.things, x)
				changed = true
			}
		}
	}
	for x := range s.things {
		for _, st := range g.shown(x, level) {
			if g.travels(st, s) {
				s.markers[st.id] = true
			}
		}
	}
	return s
}

// shown are the stamps a thing shows at a level.
func (g *drawing) shown(x *thing, level int) []*stamp {
	list := slices.Clone(x.stamps)
	for _, p := range x.portions {
		cut := !slices.ContainsFunc(p.selectors, func(place string) bool {
			return !slices.ContainsFunc(g.secrets(x, level), func(s string) bool { return inside(s, place) })
		})
		if !cut && (p.spoils || p.stamp.reach(g.jpn, x.maker == usa.Identity) >= level) {
			list = append(list, p.stamp)
		}
	}
	return list
}

func (g *drawing) travels(st *stamp, s sight) bool {
	if st.well() {
		return true
	}
	return !g.gone[st.id] && (st.by == "" || g.stands(st.by, s))
}

// stands reports whether a reference may lead to an id.
func (g *drawing) stands(id stix.ID, s sight) bool {
	switch id {
	case usa.Identity, g.partner().Identity:
		return true
	}
	if x := g.at(id); x != nil {
		return x.had || s.things[x]
	}
	if id.Type() == "marking-definition" {
		return noroshi.TLPOf(id) == noroshi.NoTLP && s.markers[id]
	}
	return g.around[id] == 2
}

// whole reports whether a thing can go with what is in sight.
func (g *drawing) whole(x *thing, s sight) bool {
	secret := g.secrets(x, s.level)
	cut := len(secret) > 0
	left := map[string]int{}
	ends := 0
	for _, r := range references(x) {
		hidden := slices.ContainsFunc(secret, func(sel string) bool { return inside(sel, r.place) })
		ok := !hidden && (r.to == x.id || g.stands(r.to, s) || r.to.Type() == "marking-definition")
		need := slices.Contains(required(x.typ()), cmpOr(r.list, r.place))
		maker := r.place == "created_by_ref" && (r.to == usa.Identity || r.to == jpn.Identity || r.to == kor.Identity)
		switch {
		case r.list == "" && need && !ok:
			return false
		case r.list != "" && need:
			left[r.list] += 0
			if ok {
				left[r.list]++
			}
		}
		if x.typ() == "network-traffic" && (r.place == "src_ref" || r.place == "dst_ref") && ok {
			ends++
		}
		held := g.at(r.to) != nil || g.around[r.to] == 1
		if !ok && !maker && r.place != "created_by_ref" && (held || !strings.HasPrefix(r.place, "x_") && !strings.HasPrefix(r.place, "extensions")) {
			cut = true
		}
	}
	for _, n := range left {
		if n == 0 {
			return false
		}
	}
	if x.typ() == "network-traffic" && ends == 0 {
		return false
	}
	for _, st := range x.stamps {
		if cut && st.whole {
			return false
		}
		if st.by != "" && !st.well() && !g.stands(st.by, s) {
			return false // its definition cannot travel
		}
	}
	return true
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// forbidden are words that must not leave: those of things out of sight, of
// what is cut out of things in sight and of its translations, and the
// identifiers of things and markings out of sight.
func (g *drawing) forbidden(s sight) (words []string) {
	for _, x := range g.things {
		if x.had {
			continue
		}
		if !s.things[x] {
			words = append(words, "zq"+strconv.Itoa(x.n)+"-")
			if x.id != usa.Identity {
				words = append(words, string(x.id))
			}
			continue
		}
		words = append(words, g.hiddenWords(x, g.secrets(x, s.level))...)
	}
	for _, st := range stamps() {
		if !s.markers[st.id] && !st.well() {
			words = append(words, string(st.id))
		}
	}
	return words
}

// hiddenWords are what stands where selectors point, and what translates it.
func (g *drawing) hiddenWords(x *thing, selectors []string) (words []string) {
	for _, s := range selectors {
		texts(x.root.get(s), &words)
		for _, y := range g.things {
			if y.typ() != "language-content" || y.had || refOf(y.root.get("object_ref")) != x.id {
				continue
			}
			for _, lang := range y.root.get("contents").mem {
				texts(lang.v.get(s), &words)
			}
		}
	}
	return words
}

// texts collects the words in a value.
func texts(v *val, words *[]string) {
	if v == nil {
		return
	}
	for _, e := range v.list {
		texts(e, words)
	}
	for _, p := range v.mem {
		texts(p.v, words)
	}
	if i := strings.Index(v.raw, "zq"); i >= 0 {
		word := v.raw[i:]
		word = word[:strings.LastIndexByte(word, '-')+1]
		*words = append(*words, word)
	}
}
