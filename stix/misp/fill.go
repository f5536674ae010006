package misp

import (
	"slices"
	"strconv"
	"strings"

	"github.com/noroshi-cti/noroshi/stix"
)

// filling is an event being written.
type filling struct {
	w          *writer
	inherited  []string        // the event's tags
	at         any             // the event's timestamp, for what has no time of its own
	used       []string        // galaxy tags that attributes have
	attributes []any           // outside MISP objects
	objects    map[string]tree // MISP objects by UUID
	order      []any           // the same in order
	texts      []any           // on the event
}

// groups makes a MISP object of a grouping, and of an indicator over several
// values, and remembers what is part of it.
func (f *filling) groups(o *stix.Object) {
	name := own(o, labelName)
	if name == "" || o.Type != "grouping" && o.Type != "indicator" {
		return
	}
	t := f.object(tail(o.ID), name)
	if o.Type == "indicator" && t["timestamp"] != nil && f.w.byID[stix.ID("grouping--"+tail(o.ID))] != nil {
		return // the grouping says what is to be said of the whole
	}
	t["timestamp"], t["comment"], t["deleted"] = seconds(o.Modified), text(o.Text("description")), boolean(o.Revoked)
	if meta := own(o, labelMeta); meta != "" {
		t["meta-category"] = text(meta)
	}
	if o.Type == "grouping" {
		for _, id := range f.w.refs(o) {
			f.w.group[id] = o.ID
		}
	}
}

// templates are those of MISP that objects of others are written by; an instance
// takes no object without one.
var templates = map[string]struct{ uuid, version, meta, description string }{
	"file":      {"688c46fb-5edb-40a3-8273-1af7923e2215", "24", "file", "File object describing a file with meta-information"},
	"domain-ip": {"43b3b146-77eb-4931-b4cc-b66c60f28734", "9", "network", "A domain or hostname and IP address seen as a tuple"},
}

// object returns the MISP object of a UUID, a new one the first time.
func (f *filling) object(uuid, name string) tree {
	t := f.objects[uuid]
	if t == nil {
		t = tree{"uuid": text(uuid), "name": text(name), "distribution": text("5")}
		if m, ok := templates[name]; ok {
			t["template_uuid"], t["template_version"], t["meta-category"], t["description"] = text(m.uuid), text(m.version), text(m.meta), text(m.description)
		}
		f.objects[uuid] = t
		f.order = append(f.order, t)
	}
	return t
}

// part writes one object of the event.
func (f *filling) part(o *stix.Object) {
	w := f.w
	if w.done[o.ID] {
		return
	}
	var list []tree
	switch o.Type {
	case "indicator":
		list = f.indicator(o)
	case "observed-data":
		list = f.observed(o)
	case "note":
		if own(o, labelName) == eventReport {
			f.text(o, o.Text("abstract"), o.Text("content"), tail(o.ID))
			return
		}
		list = []tree{f.attribute(o, own(o, labelType), o.Text("content"), o.Text("abstract"), own(o, labelToIDs) != "")}
	case "vulnerability", "campaign", "threat-actor":
		typ := map[string]string{"vulnerability": "vulnerability", "campaign": "campaign-name", "threat-actor": "threat-actor"}[o.Type]
		list = []tree{f.attribute(o, typ, o.Text("name"), o.Text("description"), own(o, labelToIDs) != "")}
	case "report", "grouping":
		f.container(o)
		return
	case "identity", "relationship", "marking-definition":
		return
	default:
		if galaxyTag(o) != "" {
			return
		}
		if !o.Modified.IsZero() || w.seenBy[o.ID] {
			break
		}
		list = f.pieces(o, []*stix.Object{o})
	}
	if len(list) == 0 {
		if !w.seenBy[o.ID] && !(o.Type == "indicator" && own(o, labelAttributes) != "") {
			w.notes = addNote(w.notes, "", "not-written", "MISP has no place for an object of type "+known(o.Type))
		}
		return
	}
	f.place(o, list)
}

// container writes what a report says beside its name; of a grouping within one
// only what it groups is written.
func (f *filling) container(o *stix.Object) {
	if top := f.w.owner[o.ID] == o.ID; top && o.Text("description") != "" {
		f.text(o, "Description", o.Text("description"), tail(derive("x", string(o.ID), "description")))
	} else if !top && own(o, labelName) == "" {
		f.w.notes = addNote(f.w.notes, "", "not-written", "a grouping within a report: MISP has no place for it, what it groups is written")
	}
}

// text writes a text on the event.
func (f *filling) text(o *stix.Object, name, content, uuid string) {
	t := tree{"uuid": text(uuid), "name": text(name), "content": text(content), "distribution": text("5"), "timestamp": seconds(o.Modified), "deleted": boolean(o.Revoked)}
	if o.Type == "note" {
		putTags(t, f.w.tags(o, f.inherited))
	}
	f.texts = append(f.texts, t)
}

// known keeps the texts of notes few.
func known(typ string) string {
	if len(typ) > 40 {
		return "unknown"
	}
	return typ
}

// place puts attributes into the MISP object they are of, or the event.
func (f *filling) place(o *stix.Object, list []tree) {
	group, name := f.w.group[o.ID], ""
	if o.Type == "indicator" && own(o, labelAttributes) != "" {
		group, name = stix.ID("grouping--"+tail(o.ID)), own(o, labelName)
	}
	if len(list) > 1 && group == "" {
		group, name = stix.ID("grouping--"+tail(o.ID)), objectName(list)
	}
	if group == "" {
		f.attributes = append(f.attributes, list[0])
		return
	}
	t := f.object(tail(group), name)
	if t["timestamp"] == nil {
		t["timestamp"], t["comment"], t["deleted"] = f.time(o), text(""), boolean(o.Revoked)
	}
	have := t.list("Attribute")
	for _, a := range list {
		if a.text("object_relation") == "" {
			a["object_relation"] = text(relation(a.text("type")))
		}
		have = append(have, a)
	}
	t["Attribute"] = have
}

// objectName is the template for several values found together.
func objectName(list []tree) string {
	for _, a := range list {
		if typ := a.text("type"); kindOf(typ).form != hashed && !slices.Contains([]string{"filename", "size-in-bytes", "mime-type"}, typ) {
			return "domain-ip"
		}
	}
	return "file"
}

// relation is the usual name of a type in a template.
func relation(typ string) string {
	if typ == "ip-src" || typ == "ip-dst" {
		return "ip"
	}
	return typ
}

// time is when an object was last changed.
func (f *filling) time(o *stix.Object) any {
	if o.Modified.IsZero() {
		return f.at
	}
	return seconds(o.Modified)
}

// attribute writes what all attributes have.
func (f *filling) attribute(o *stix.Object, typ, value, comment string, toIDs bool) tree {
	if typ == "" {
		typ = "text"
	}
	if t := own(o, labelType); t != "" {
		typ = t
	}
	category := own(o, labelCategory)
	if category == "" {
		category = kindOf(typ).category
	}
	t := tree{"uuid": text(tail(o.ID)), "type": text(typ), "category": text(category), "value": text(value), "to_ids": boolean(toIDs),
		"comment": text(comment), "deleted": boolean(o.Revoked), "distribution": text("5"), "timestamp": f.time(o)}
	if r := own(o, labelRelation); r != "" {
		t["object_relation"] = text(r)
	}
	first, last := "valid_from", ""
	switch o.Type {
	case "observed-data":
		first, last = "first_observed", "last_observed"
	case "campaign", "threat-actor":
		first, last = "first_seen", "last_seen"
	}
	for _, s := range [][2]string{{"first_seen", first}, {"last_seen", last}} {
		if at, err := stix.ParseTime(o.Text(s[1])); err == nil && at.Compare(o.Modified) != 0 {
			t[s[0]] = text(at.Time().Format("2006-01-02T15:04:05.000000+00:00"))
		}
	}
	var tags []string
	for _, tag := range f.w.tags(o, f.inherited) {
		if _, galaxy := clusterTag(tag); galaxy {
			f.used = append(f.used, tag)
		}
		tags = append(tags, tag)
	}
	putTags(t, tags)
	return t
}

// indicator writes the values a pattern finds: one, or those of an OR, each
// good alone; else the pattern as it is.
func (f *filling) indicator(o *stix.Object) []tree {
	typ, text := own(o, labelType), o.Text("pattern")
	switch language := o.Text("pattern_type"); language {
	case "stix":
	case "yara", "sigma", "snort":
		return []tree{f.attribute(o, language, text, o.Text("description"), true)}
	default:
		f.w.notes = addNote(f.w.notes, "", "not-written", "MISP has no type for patterns in this language: written as text")
		return []tree{f.attribute(o, "text", text, o.Text("description"), false)}
	}
	if typ == "stix2-pattern" {
		return []tree{f.attribute(o, typ, text, o.Text("description"), true)}
	}
	values := readPattern(text, typ, o.Text("name"))
	if was := own(o, labelAttributes); was != "" {
		return f.composite(o, values, was)
	}
	if len(values) == 1 {
		return []tree{f.attribute(o, values[0].typ, values[0].value, o.Text("description"), true)}
	}
	if len(values) == 0 {
		f.w.notes = addNote(f.w.notes, "", "as-pattern", "the pattern is more than values of MISP: written as a pattern")
		return []tree{f.attribute(o, "stix2-pattern", text, o.Text("description"), true)}
	}
	return f.several(o, values)
}

// several writes the values of one indicator as attributes of one MISP object.
func (f *filling) several(o *stix.Object, values []value) []tree {
	var list []tree
	for i, v := range values {
		t := f.attribute(o, v.typ, v.value, "", true)
		t["type"], t["category"] = text(v.typ), text(kindOf(v.typ).category)
		if v.relation != "" {
			t["object_relation"] = text(v.relation)
		}
		t["uuid"] = text(tail(derive("x", string(o.ID), v.typ, v.value, v.relation, strconv.Itoa(same(values[:i], v)))))
		list = append(list, t)
	}
	return list
}

func same(values []value, v value) int {
	n := 0
	for _, w := range values {
		if w == v {
			n++
		}
	}
	return n
}

// composite gives the values of a MISP object's indicator the types and
// relations they had. An indicator whose values are not those any more has them
// by what they are.
func (f *filling) composite(o *stix.Object, values []value, was string) []tree {
	parts := strings.Split(was, ",")
	if len(values) == 0 {
		return []tree{f.attribute(o, "stix2-pattern", o.Text("pattern"), "", true)}
	}
	if len(parts) == len(values) {
		for i, part := range parts {
			r, typ, _ := strings.Cut(part, "=")
			if v := values[i]; kindOf(typ).pattern(v.value) == kindOf(v.typ).pattern(v.value) {
				values[i].typ, values[i].relation = typ, r
			}
		}
	}
	return f.several(o, values)
}

// reference writes a relationship whose source is a MISP object as one of its
// references.
func (f *filling) reference(r *stix.Object) {
	if r.Type != "relationship" || f.w.done[r.ID] {
		return
	}
	source, target := stix.ID(r.Text("source_ref")), stix.ID(r.Text("target_ref"))
	t := f.objects[tail(source)]
	if t == nil || f.w.byID[target] == nil || galaxyTag(f.w.byID[target]) != "" {
		if f.w.byID[source] == nil || galaxyTag(f.w.byID[source]) == "" {
			f.w.notes = addNote(f.w.notes, "", "not-written", "MISP has no place for this relationship")
		}
		return
	}
	t["ObjectReference"] = append(t.list("ObjectReference"), tree{"uuid": text(tail(r.ID)), "object_uuid": text(tail(source)),
		"referenced_uuid": text(tail(target)), "relationship_type": text(r.Text("relationship_type")),
		"comment": text(r.Text("description")), "timestamp": seconds(r.Modified), "deleted": boolean(r.Revoked)})
}

// observed writes what observed-data is over.
func (f *filling) observed(o *stix.Object) []tree {
	var facts []*stix.Object
	for _, id := range f.w.refs(o) {
		if fact := f.w.byID[id]; fact != nil {
			facts = append(facts, fact)
		}
	}
	typ := own(o, labelType)
	if typ != "" {
		if v, ok := valueOf(typ, facts, f.w.refs(o)); ok {
			return []tree{f.attribute(o, typ, v, f.w.comment[o.ID], false)}
		}
	}
	if typ, v := guess(facts); typ != "" {
		t := f.attribute(o, typ, v, f.w.comment[o.ID], false)
		t["type"] = text(typ)
		return []tree{t}
	}
	return f.pieces(o, facts)
}

// pieces writes each thing that cyber-observables say as an attribute.
func (f *filling) pieces(o *stix.Object, facts []*stix.Object) []tree {
	var list []tree
	for _, fact := range facts {
		var values []value
		if typ, v := guess([]*stix.Object{fact}); typ != "" {
			values = []value{{typ: typ, value: v}}
		} else if fact.Type == "file" {
			values = fileValues(fact)
		}
		for _, v := range values {
			t := f.attribute(o, v.typ, v.value, f.w.comment[o.ID], false)
			t["type"], t["category"] = text(v.typ), text(kindOf(v.typ).category)
			t["uuid"] = text(tail(derive("x", string(o.ID), string(fact.ID), v.typ, v.value)))
			list = append(list, t)
		}
	}
	if len(list) == 1 {
		list[0]["uuid"] = text(tail(o.ID))
	}
	return list
}
