package release_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// val is a JSON value that can be changed in place: a list, an object whose
// members keep their order, or any other as it is written.
type val struct {
	raw  string
	list []*val
	mem  []pair
	kind byte // '[', '{' or 0
}

type pair struct {
	name string
	v    *val
}

func raw(s string) *val             { return &val{raw: s} }
func text(s string) *val            { b, _ := json.Marshal(s); return raw(string(b)) }
func listOf(list ...*val) *val      { return &val{kind: '[', list: list} }
func objectOf(mem ...pair) *val     { return &val{kind: '{', mem: mem} }
func refTo(id stix.ID) *val         { return text(string(id)) }
func with(name string, v *val) pair { return pair{name, v} }

func (v *val) write(b *strings.Builder) {
	switch v.kind {
	case '[':
		b.WriteByte('[')
		for i, e := range v.list {
			if i > 0 {
				b.WriteByte(',')
			}
			e.write(b)
		}
		b.WriteByte(']')
	case '{':
		b.WriteByte('{')
		for i, p := range v.mem {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strconv.Quote(p.name) + ":")
			p.v.write(b)
		}
		b.WriteByte('}')
	default:
		b.WriteString(v.raw)
	}
}

// get returns what a selector names, or nil.
func (v *val) get(selector string) *val {
	for part := range strings.SplitSeq(selector, ".") {
		next := v.part(part)
		if next == nil {
			return nil
		}
		v = next
	}
	return v
}

func (v *val) part(part string) *val {
	for i, e := range v.list {
		if part == "["+strconv.Itoa(i)+"]" {
			return e
		}
	}
	for _, p := range v.mem {
		if p.name == part {
			return p.v
		}
	}
	return nil
}

func (v *val) clone() *val {
	c := &val{raw: v.raw, kind: v.kind}
	for _, e := range v.list {
		c.list = append(c.list, e.clone())
	}
	for _, p := range v.mem {
		c.mem = append(c.mem, pair{p.name, p.v.clone()})
	}
	return c
}

// thing is an object of a drawn graph.
type thing struct {
	n        int
	id       stix.ID
	root     *val
	stamps   []*stamp
	portions []*portion
	langs    bool // has an entry of granular markings that says a language
	first    bool // its markings are written before what they mark
	src      noroshi.Source
	maker    stix.ID // as provenance bears it out
	had      bool    // the partner brought it
	conflict bool    // another body is kept under its id and modified
	dirty    bool    // a portion mark stands in its text, in full width
	run      string
}

// portion is what a granular marking says of parts of a thing.
type portion struct {
	stamp     *stamp
	selectors []string
	spoils    bool // names what the object cannot be without
}

func (x *thing) typ() string { return x.id.Type() }

func (x *thing) clone() *thing {
	c := *x
	c.root = x.root.clone()
	c.stamps = slices.Clone(x.stamps)
	c.portions = nil
	for _, p := range x.portions {
		q := *p
		q.selectors = slices.Clone(p.selectors)
		c.portions = append(c.portions, &q)
	}
	return &c
}

// say is text of a thing that betrays it wherever it appears.
func (x *thing) say(property string) *val { return text(x.word(property) + " and so on") }

func (x *thing) word(property string) string { return fmt.Sprintf("zq%d-%s-", x.n, property) }

// bytes writes the object.
func (x *thing) bytes() string {
	var marks, granular []*val
	for _, s := range x.stamps {
		marks = append(marks, refTo(s.id))
	}
	for _, p := range x.portions {
		var list []*val
		for _, s := range p.selectors {
			list = append(list, text(s))
		}
		granular = append(granular, objectOf(with("marking_ref", refTo(p.stamp.id)), with("selectors", listOf(list...))))
	}
	if x.langs {
		var list []*val
		for _, p := range x.root.mem {
			if p.name == "name" || p.name == "description" || p.name == "labels" {
				list = append(list, text(p.name))
			}
		}
		if len(list) > 0 {
			granular = append(granular, objectOf(with("lang", text("en")), with("selectors", listOf(list...))))
		}
	}
	var more []pair
	if len(marks) > 0 {
		more = append(more, with("object_marking_refs", listOf(marks...)))
	}
	if len(granular) > 0 {
		more = append(more, with("granular_markings", listOf(granular...)))
	}
	all := slices.Concat(x.root.mem, more)
	if x.first {
		all = slices.Concat(x.root.mem[:2], more, x.root.mem[2:])
	}
	var b strings.Builder
	objectOf(all...).write(&b)
	return b.String()
}

// inOther copies a value with other texts, each of which names its place.
func (x *thing) inOther(v *val, place string) *val {
	switch v.kind {
	case '[':
		l := listOf()
		for i, e := range v.list {
			l.list = append(l.list, x.inOther(e, fmt.Sprintf("%s.[%d]", place, i)))
		}
		return l
	case '{':
		o := objectOf()
		for _, p := range v.mem {
			o.mem = append(o.mem, pair{p.name, x.inOther(p.v, place+"."+p.name)})
		}
		return o
	}
	return x.say(place)
}

func refOf(v *val) stix.ID {
	if v == nil {
		return ""
	}
	s, _ := strconv.Unquote(v.raw)
	return stix.ID(s)
}

// spoils reports whether a thing is no more what it is without a place: none of
// its type, or no warning.
func spoils(x *thing, place string) bool {
	if slices.Contains(required(x.typ()), place) {
		return true
	}
	warning := "extensions." + string(noroshi.WarningExtension) + ".precedence"
	return x.root.get(warning) != nil && inside(place, warning)
}

// required are the properties without which an object is none of its type.
func required(typ string) []string {
	switch typ {
	case "indicator":
		return []string{"pattern", "pattern_type", "valid_from"}
	case "malware":
		return []string{"is_family"}
	case "tool", "threat-actor", "identity":
		return []string{"name"}
	case "report":
		return []string{"name", "published", "object_refs"}
	case "note":
		return []string{"content", "object_refs"}
	case "grouping":
		return []string{"context", "object_refs"}
	case "relationship":
		return []string{"relationship_type", "source_ref", "target_ref"}
	case "sighting":
		return []string{"sighting_of_ref"}
	case "language-content":
		return []string{"object_ref", "contents"}
	case "ipv4-addr":
		return []string{"value"}
	case "network-traffic":
		return []string{"protocols"}
	case "file":
		return []string{"name"}
	case "observed-data":
		return []string{"first_observed", "last_observed", "number_observed", "object_refs"}
	case "location":
		return []string{"country"}
	}
	return nil
}

// portionsOf are the places of a thing a granular marking may name.
func portionsOf(x *thing) (places []string) {
	var walk func(v *val, at string)
	walk = func(v *val, at string) {
		places = append(places, at)
		for i, e := range v.list {
			walk(e, fmt.Sprintf("%s.[%d]", at, i))
		}
		for _, p := range v.mem {
			walk(p.v, at+"."+p.name)
		}
	}
	for _, p := range x.root.mem {
		switch p.name {
		case "type", "id", "spec_version", "created", "modified":
		default:
			walk(p.v, p.name)
		}
	}
	return places
}
