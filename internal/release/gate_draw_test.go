package release_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/stix"
)

// drawing is a graph of real objects drawn at random, for one partner.
type drawing struct {
	jpn    bool
	things []*thing
	around map[stix.ID]release.Standing
	gone   map[stix.ID]bool // markings whose definitions are not here
}

// defs finds the definitions of a marking.
func (g *drawing) defs(id stix.ID) []*stix.Object {
	if g.gone[id] {
		return nil
	}
	return defined(id)
}

var drawnTypes = []string{"indicator", "malware", "tool", "report", "note", "relationship", "relationship", "sighting", "sighting", "language-content",
	"language-content", "identity", "ipv4-addr", "network-traffic", "file", "observed-data", "grouping", "report", "location", "threat-actor"}

// observable reports whether objects of a type have no versions and no maker.
func observable(typ string) bool {
	return typ == "ipv4-addr" || typ == "network-traffic" || typ == "file"
}

// draw draws a graph of 4 to 11 objects.
func draw(r *rand.Rand) *drawing {
	g := &drawing{jpn: r.IntN(3) > 0, around: map[stix.ID]release.Standing{}, gone: map[stix.ID]bool{}}
	n := 4 + r.IntN(7)
	for i := range n {
		g.things = append(g.things, &thing{n: i, id: id(drawnTypes[r.IntN(len(drawnTypes))], i)})
	}
	if r.IntN(3) > 0 {
		g.things = append(g.things, &thing{n: n, id: vendor})
	}
	for _, x := range g.things {
		g.fill(r, x)
	}
	for _, x := range g.things {
		g.translate(r, x)
		g.mark(r, x)
	}
	return g
}

// any draws what may be referred to, of some types if any are named.
func (g *drawing) any(r *rand.Rand, types ...string) stix.ID {
	if r.IntN(12) == 0 && len(types) == 0 {
		id := id("tool", 900+r.IntN(6)) // not among the things
		if _, drawn := g.around[id]; !drawn {
			g.around[id] = release.Standing(r.IntN(3))
		}
		return id
	}
	if r.IntN(25) == 0 && len(types) == 0 {
		if s := stamps()[r.IntN(len(stamps()))]; len(s.defs) == 1 {
			return s.id
		}
	}
	for range 8 {
		x := g.things[r.IntN(len(g.things))]
		if len(types) == 0 || slices.Contains(types, x.typ()) {
			return x.id
		}
	}
	if len(types) > 0 {
		return id(types[0], 950+r.IntN(3)) // never comes
	}
	return g.things[0].id
}

// end draws an end of a relationship: the specification has no relationships
// between relationships.
func (g *drawing) end(r *rand.Rand) stix.ID {
	for range 8 {
		switch id := g.any(r); id.Type() {
		case "relationship", "sighting", "language-content", "marking-definition":
		default:
			return id
		}
	}
	return usa.Identity
}

func (g *drawing) list(r *rand.Rand, most int, types ...string) *val {
	l := listOf()
	for range 1 + r.IntN(most) {
		l.list = append(l.list, refTo(g.any(r, types...)))
	}
	return l
}

const stamped = `"2026-11-01T00:00:00.000Z"`

// fill draws what an object says.
func (g *drawing) fill(r *rand.Rand, x *thing) {
	add := func(name string, v *val) { x.root.mem = append(x.root.mem, pair{name, v}) }
	maybe := func(one int, name string, v func() *val) {
		if r.IntN(one) == 0 {
			add(name, v())
		}
	}
	say := func(name string) func() *val { return func() *val { return x.say(name) } }
	x.root = objectOf()
	typ := x.typ()
	add("type", text(typ))
	add("id", refTo(x.id))
	add("spec_version", text("2.1"))
	x.src = noroshi.Source{Kind: noroshi.FromSelf}
	switch r.IntN(5) {
	case 0:
		x.src = noroshi.Source{Kind: noroshi.FromFile, Name: "x.json"}
	case 1:
		x.src = fromJPN
		if g.jpn {
			x.src.Partner = kor.Node
		}
	}
	x.run = []string{"", "run"}[r.IntN(2)]
	if !observable(typ) {
		add("created", raw(stamped))
		add("modified", raw(stamped))
		g.maker(r, x)
	}
	switch typ {
	case "indicator":
		maybe(2, "name", say("name"))
		add("pattern", text("[domain-name:value = '"+x.word("pattern")+".example']"))
		add("pattern_type", text("stix"))
		add("valid_from", raw(`"2026-11-01T00:00:00Z"`))
	case "malware":
		maybe(2, "name", say("name"))
		add("is_family", raw("false"))
		maybe(4, "sample_refs", func() *val { return g.list(r, 2, "file") })
	case "tool", "threat-actor", "location":
		add("name", x.say("name"))
		if typ == "location" {
			add("country", text("JP"))
		} else {
			maybe(2, "aliases", func() *val { return listOf(x.say("alias0"), x.say("alias1"), x.say("alias2")) })
		}
	case "identity":
		add("name", x.say("name"))
		maybe(2, "contact_information", say("contact"))
	case "report":
		add("name", x.say("name"))
		add("published", raw(`"2026-11-01T00:00:00Z"`))
		if r.IntN(4) == 0 {
			add("extensions", objectOf(with(string(noroshi.WarningExtension), objectOf(with("extension_type", text("property-extension")),
				with("severity", text("high")), with("precedence", text(pick(r, "routine", "priority", "immediate")))))))
		}
		add("object_refs", g.list(r, 4))
	case "note":
		add("content", x.say("content"))
		add("object_refs", g.list(r, 3))
	case "grouping":
		add("context", text("suspicious-activity"))
		maybe(2, "name", say("name"))
		add("object_refs", g.list(r, 3))
	case "relationship":
		add("relationship_type", text("related-to"))
		add("source_ref", refTo(g.end(r)))
		add("target_ref", refTo(g.end(r)))
	case "sighting":
		add("count", raw(strconv.Itoa(1+r.IntN(9))))
		add("sighting_of_ref", refTo(g.any(r, "indicator", "malware", "tool", "threat-actor")))
		maybe(2, "where_sighted_refs", func() *val { return g.list(r, 3, "identity", "location") })
		maybe(3, "observed_data_refs", func() *val { return g.list(r, 2, "observed-data") })
	case "language-content":
		add("object_ref", refTo(g.any(r, "indicator", "malware", "tool", "report", "note", "identity", "threat-actor")))
	case "ipv4-addr":
		add("value", text(fmt.Sprintf("192.0.2.%d", x.n)))
		maybe(3, "resolves_to_refs", func() *val { return g.list(r, 2, "ipv4-addr") })
	case "network-traffic":
		add("src_ref", refTo(g.any(r, "ipv4-addr")))
		maybe(2, "dst_ref", func() *val { return refTo(g.any(r, "ipv4-addr")) })
		add("protocols", listOf(text("tcp")))
		maybe(4, "encapsulates_refs", func() *val { return g.list(r, 2, "network-traffic") })
	case "file":
		add("name", x.say("name"))
		maybe(3, "contains_refs", func() *val { return g.list(r, 2) })
	case "observed-data":
		add("first_observed", raw(stamped))
		add("last_observed", raw(stamped))
		add("number_observed", raw("1"))
		add("object_refs", g.list(r, 3, "ipv4-addr", "file", "network-traffic"))
	}
	if typ == "language-content" {
		return
	}
	if !observable(typ) {
		maybe(2, "description", say("description"))
		maybe(3, "labels", func() *val { return listOf(x.say("label0"), x.say("label1"), x.say("label2")) })
		maybe(4, "external_references", func() *val {
			return listOf(objectOf(with("source_name", x.say("source0")), with("url", text("https://"+x.word("url0")+".example/"))),
				objectOf(with("source_name", x.say("source1")), with("external_id", x.say("external1"))))
		})
	}
	maybe(6, "x_deep", func() *val {
		return objectOf(with("list", listOf(objectOf(with("a", x.say("deep0a")), with("b", x.say("deep0b"))), x.say("deep1"))), with("other", x.say("deepother")))
	})
	maybe(5, "x_seen_ref", func() *val { return refTo(g.any(r)) })
	maybe(8, "x_context_refs", func() *val { return g.list(r, 3) })
	if typ != "report" {
		maybe(8, "extensions", func() *val {
			return objectOf(with("extension-definition--00000000-0000-4000-8000-000000000001", objectOf(with("extension_type", text("property-extension")),
				with("x_note", x.say("extension")), with("x_from_ref", refTo(g.any(r))))))
		})
	}
	x.had = r.IntN(15) == 0
	x.conflict = r.IntN(40) == 0 && !observable(typ)
	if d := x.root.get("description"); d != nil && r.IntN(12) == 0 {
		x.dirty = true
		d.raw = strings.Replace(d.raw, `"`, `"(Ｓ／／ＮＦ) `, 1)
	}
}

// maker draws who made a thing; provenance bears out this node and partners
// for what came through their own doors.
func (g *drawing) maker(r *rand.Rand, x *thing) {
	var by stix.ID
	switch r.IntN(5) {
	case 0, 1:
		by = usa.Identity
	case 2:
		by = g.any(r, "identity")
	case 3:
		by = kor.Identity
	}
	if x.id == vendor || by == "" {
		return
	}
	x.root.mem = append(x.root.mem, with("created_by_ref", refTo(by)))
	switch {
	case x.src.Kind == noroshi.FromSelf && by == usa.Identity:
		x.maker = by
	case x.src.Kind == noroshi.FromPartner && by == g.third().Identity:
		x.maker = by
	}
}

// partner is whom the graph is decided for; third is the other one.
func (g *drawing) partner() noroshi.Party {
	if g.jpn {
		return jpn
	}
	return kor
}

func (g *drawing) third() noroshi.Party {
	if g.jpn {
		return kor
	}
	return jpn
}

// translate draws what a translation says: the same properties in another
// language.
func (g *drawing) translate(r *rand.Rand, x *thing) {
	if x.typ() != "language-content" {
		return
	}
	of := g.at(refOf(x.root.get("object_ref")))
	contents := objectOf()
	for _, lang := range []string{"ja", "zh-Hant", "ko"}[:1+r.IntN(2)] {
		in := objectOf()
		for _, name := range []string{"name", "description", "labels", "aliases", "content", "x_deep", "external_references"} {
			if of == nil || of.root.get(name) == nil || r.IntN(3) == 0 {
				continue
			}
			in.mem = append(in.mem, pair{name, x.inOther(of.root.get(name), lang+"."+name)})
		}
		if len(in.mem) == 0 {
			in.mem = append(in.mem, with("name", x.say(lang+".name")))
		}
		contents.mem = append(contents.mem, pair{lang, in})
	}
	x.root.mem = append(x.root.mem, with("contents", contents))
}

func (g *drawing) at(id stix.ID) *thing {
	for _, x := range g.things {
		if x.id == id {
			return x
		}
	}
	return nil
}

// mark draws the markings of a thing and of parts of it.
func (g *drawing) mark(r *rand.Rand, x *thing) {
	all := stamps()
	self := x.maker == usa.Identity
	free := func() *stamp {
		for range 20 {
			if s := all[r.IntN(len(all))]; s.handles && s.reach(g.jpn, self) > never {
				return s
			}
		}
		return all[1]
	}
	switch r.IntN(10) {
	case 0:
		x.stamps = append(x.stamps, all[r.IntN(len(all))])
	case 1:
		if r.IntN(3) > 0 {
			x.stamps = append(x.stamps, all[1], all[r.IntN(len(all))])
		}
	case 2:
		x.stamps = append(x.stamps, free(), all[r.IntN(len(all))])
	case 3, 4, 5:
		x.stamps = append(x.stamps, free())
	default:
		x.stamps = append(x.stamps, all[r.IntN(2)]) // CLEAR or GREEN: many may go
	}
	r.Shuffle(len(x.stamps), func(i, j int) { x.stamps[i], x.stamps[j] = x.stamps[j], x.stamps[i] })
	x.first, x.langs = r.IntN(2) == 0, r.IntN(8) == 0
	places := portionsOf(x)
	if len(places) == 0 || r.IntN(5) < 2 {
		return
	}
	for range 1 + r.IntN(2) {
		p := &portion{stamp: all[r.IntN(len(all))]}
		for range 1 + r.IntN(2) {
			s := places[r.IntN(len(places))]
			if r.IntN(4) > 0 && spoils(x, s) || slices.Contains(p.selectors, s) {
				continue
			}
			p.selectors = append(p.selectors, s)
			p.spoils = p.spoils || spoils(x, s)
		}
		if len(p.selectors) > 0 {
			x.portions = append(x.portions, p)
		}
	}
}

// apart gives the things of a drawing ids of their own, so that many stand side
// by side.
func (g *drawing) apart(from int) {
	for i, x := range g.things {
		g.rename(x, id(x.typ(), 10_000+from+i))
	}
}
