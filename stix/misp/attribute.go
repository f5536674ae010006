package misp

import (
	"github.com/noroshi-cti/noroshi/stix"
)

// attribute makes an attribute's objects and returns the ids a report or
// grouping lists; in is the MISP object it stands in, nil for none.
func (c *converter) attribute(a Attribute, in *Object) []stix.ID {
	k := kindOf(a.Type)
	m := made{c: c, a: a, k: k, dead: a.Deleted || in != nil && in.Deleted, tags: union(spoken(a.Tags), closed(a.distribution)), labels: labelsOf(a, k)}
	if in != nil {
		m.tags = union(m.tags, closed(in.distribution))
	}
	var id stix.ID
	switch {
	case k.form == entity:
		id = m.entity()
	case a.ToIDs:
		id = m.indicator()
	default:
		id = m.observed()
	}
	if id == "" {
		id = m.note()
	}
	if id == "" {
		c.note("/Event/Attribute/*", "not-made", "no object can be made of the attribute: it is too large")
		return nil
	}
	c.target(a.UUID, id)
	c.indicates(id, a)
	if id.Type() == "note" && in == nil {
		return nil // a note names the report, not the report the note
	}
	return []stix.ID{id}
}

// target remembers what became of a UUID.
func (c *converter) target(uuid string, id stix.ID) {
	if uuid = goodUUID(uuid); uuid != "" && c.targets[uuid] == "" {
		c.targets[uuid] = id
	}
}

// labelsOf are an attribute's tags and what else tells it in MISP.
func labelsOf(a Attribute, k kind) []string {
	labels := append(tagLabels(a.Tags), label(labelType, a.Type))
	if a.Category != "" && a.Category != k.category {
		labels = append(labels, label(labelCategory, a.Category))
	}
	if a.Relation != "" {
		labels = append(labels, label(labelRelation, a.Relation))
	}
	return labels
}

// made is an attribute under way.
type made struct {
	c      *converter
	a      Attribute
	k      kind
	dead   bool
	tags   []string // that count for it
	labels []string
}

// add makes the attribute's object of a type; "" when it cannot be.
func (m made) add(typ string, labels []string, members ...stix.Member) stix.ID {
	id := m.c.id(typ, m.a.UUID, m.a.place, m.a.Type, m.a.Value)
	o, err := m.c.make(id, m.a.At, m.dead, labels, members...)
	if !m.c.add(o, err, m.tags) {
		return ""
	}
	return id
}

// acts says of what is no indicator that MISP means it for detection.
func (m made) acts() []string {
	if m.a.ToIDs {
		return append(m.labels, label(labelToIDs, "True"))
	}
	return m.labels
}

func (m made) indicator() stix.ID {
	language, text := "stix", m.k.pattern(m.a.Value)
	if m.k.form == rule {
		language, text = m.k.path, m.a.Value
		if language == "stix" {
			text = goodPattern(text)
		}
	}
	if text == "" {
		m.c.note("/Event/Attribute/*", "no-pattern", "no pattern finds values of this type or form: kept as a note, not for detection")
		return ""
	}
	name := ""
	if short(m.a.Value) || m.k.form == named {
		name = m.a.Value
	}
	from := m.a.FirstSeen
	if from.IsZero() {
		from = m.a.At
	}
	return m.add("indicator", m.labels, stix.Member{Name: "name", Value: name}, stix.Member{Name: "description", Value: m.a.Comment},
		stix.Member{Name: "pattern", Value: text}, stix.Member{Name: "pattern_type", Value: language}, stix.Member{Name: "valid_from", Value: from})
}

// observed makes observed-data over the attribute's cyber-observables. It was
// seen when MISP says, else at the time of the attribute.
func (m made) observed() stix.ID {
	facts := m.k.observe(m.a.Value)
	if facts == nil {
		return ""
	}
	var refs []stix.ID
	for _, o := range facts {
		refs = append(refs, o.ID)
	}
	first, last := m.a.FirstSeen, m.a.LastSeen
	if first.IsZero() {
		first = m.a.At
	}
	if last.IsZero() {
		last = m.a.At
	}
	if last.Compare(first) < 0 {
		if m.a.FirstSeen.IsZero() {
			first = last
		} else {
			last = first
		}
	}
	id := m.add("observed-data", m.labels, stix.Member{Name: "first_observed", Value: first}, stix.Member{Name: "last_observed", Value: last},
		stix.Member{Name: "number_observed", Value: 1}, stix.Member{Name: "object_refs", Value: refs})
	if id == "" {
		return ""
	}
	// What it refers to goes before it.
	n := len(m.c.out.Objects) - 1
	data := m.c.out.Objects[n]
	m.c.out.Objects = m.c.out.Objects[:n]
	for _, o := range facts {
		m.c.add(o, nil, m.tags)
	}
	m.c.out.Objects = append(m.c.out.Objects, data)
	m.c.comment(m.a.Comment, m.tags, id)
	return id
}

// entity makes what is named and not observed: a vulnerability, a campaign.
func (m made) entity() stix.ID {
	typ := m.k.path
	members := []stix.Member{{Name: "name", Value: m.a.Value}, {Name: "description", Value: m.a.Comment}}
	if typ != "vulnerability" && m.a.FirstSeen.Compare(m.a.LastSeen) <= 0 {
		members = append(members, stix.Member{Name: "first_seen", Value: m.a.FirstSeen}, stix.Member{Name: "last_seen", Value: m.a.LastSeen})
	}
	if isCVE(m.a.Value) && typ == "vulnerability" {
		members = append(members, stix.Member{Name: "external_references", Value: []any{
			[]stix.Member{{Name: "source_name", Value: "cve"}, {Name: "external_id", Value: m.a.Value}}}})
	}
	return m.add(typ, m.acts(), members...)
}

func isCVE(s string) bool {
	if len(s) < 13 || s[:4] != "CVE-" || s[8] != '-' {
		return false
	}
	for _, c := range s[4:8] + s[9:] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// note keeps a value STIX has no other place for, as text on the report.
func (m made) note() stix.ID {
	return m.add("note", m.acts(), stix.Member{Name: "abstract", Value: m.a.Comment}, stix.Member{Name: "content", Value: m.a.Value},
		stix.Member{Name: "object_refs", Value: []stix.ID{m.c.top}})
}
