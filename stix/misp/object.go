package misp

import (
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi/stix"
)

// object makes a MISP object: one indicator of its detection values, an object
// each of all else, and a grouping over them where there is more than the
// indicator.
func (c *converter) object(o Object) {
	group := c.id("grouping", o.UUID, o.place, o.Name)
	atoms, others := o.split()
	var ids []stix.ID
	id := c.composite(o, atoms)
	if id == "" {
		others = o.Attributes // each alone
	} else {
		ids = append(ids, id)
	}
	tags := closed(o.distribution)
	for i := range others {
		made := c.attribute(others[i], &o)
		ids = append(ids, made...)
		for _, id := range made {
			tags = union(tags, c.out.Tags[id])
		}
	}
	switch {
	case len(ids) == 0:
		return
	case len(ids) == 1 && id != "":
		c.target(o.UUID, id)
		c.members = append(c.members, id)
		return
	}
	g, err := c.make(group, o.At, o.Deleted, o.labels(), stix.Member{Name: "name", Value: o.Name}, stix.Member{Name: "description", Value: o.Comment},
		stix.Member{Name: "context", Value: "unspecified"}, stix.Member{Name: "object_refs", Value: ids})
	if c.add(g, err, tags) {
		c.target(o.UUID, group)
		ids = append(ids, group)
	} else {
		c.note("/Event/Object/*", "not-made", "no grouping can be made of the MISP object: it is larger than an object may be")
	}
	for _, id := range ids {
		if id.Type() != "note" {
			c.members = append(c.members, id)
		}
	}
}

func (o Object) labels() []string {
	labels := []string{label(labelName, o.Name)}
	if o.MetaCategory != "" {
		labels = append(labels, label(labelMeta, o.MetaCategory))
	}
	return labels
}

// split parts the attributes that are detection values, each good alone, from
// the others.
func (o Object) split() (atoms, others []Attribute) {
	for _, a := range o.Attributes {
		k := kindOf(a.Type)
		alone := k.form == hashed || k.form == address || k.form == single && slices.Contains(sightable, k.path)
		plain := !strings.ContainsAny(a.Relation+a.Type, `,="`)
		if a.ToIDs && alone && plain && (a.Deleted == o.Deleted) && k.pattern(a.Value) != "" {
			atoms = append(atoms, a)
		} else {
			others = append(others, a)
		}
	}
	return atoms, others
}

// sightable are properties sensors see. A file's name or a mail's subject in an
// OR with them would make hits of what merely has that name.
var sightable = []string{"domain-name:value", "url:value", "email-addr:value", "email-message:from_ref.value", "email-message:to_refs[*].value"}

// maxAtoms bounds the values of one indicator; about so many fit into a pattern.
const maxAtoms = 1000

// composite makes the indicator of several values, "" when there is none.
func (c *converter) composite(o Object, atoms []Attribute) stix.ID {
	if len(atoms) == 0 || len(atoms) > maxAtoms {
		return ""
	}
	text, was := anyOf(atoms)
	if text == "" {
		return ""
	}
	var labels []string
	tags := closed(o.distribution)
	at, from := o.At, stix.Time{}
	for _, a := range atoms {
		labels, tags = union(labels, tagLabels(a.Tags)), union(tags, spoken(a.Tags), closed(a.distribution))
		if a.At.Compare(at) > 0 {
			at = a.At
		}
		if !a.FirstSeen.IsZero() && (from.IsZero() || a.FirstSeen.Compare(from) < 0) {
			from = a.FirstSeen
		}
	}
	if from.IsZero() {
		from = at
	}
	name := o.Name
	if short(atoms[0].Value) {
		name += ": " + atoms[0].Value
	}
	labels = append(append(labels, o.labels()...), label(labelAttributes, was))
	id := c.id("indicator", o.UUID, o.place, o.Name)
	ind, err := c.make(id, at, o.Deleted, labels, stix.Member{Name: "name", Value: name}, stix.Member{Name: "description", Value: o.Comment},
		stix.Member{Name: "pattern", Value: text}, stix.Member{Name: "pattern_type", Value: "stix"}, stix.Member{Name: "valid_from", Value: from})
	if !c.add(ind, err, tags) {
		return ""
	}
	for _, a := range atoms {
		c.target(a.UUID, id)
		c.indicates(id, a)
	}
	return id
}

// anyOf writes the pattern of values that are each good alone, and what
// attributes they are of.
func anyOf(atoms []Attribute) (text, was string) {
	var tests, relations []string
	for _, a := range atoms {
		test := kindOf(a.Type).test(a.Value)
		if strings.Contains(test, " AND ") && len(atoms) > 1 {
			test = "(" + test + ")"
		}
		tests = append(tests, test)
		relations = append(relations, a.Relation+"="+a.Type)
	}
	return goodPattern("[" + strings.Join(tests, " OR ") + "]"), strings.Join(relations, ",")
}

// references makes relationships of the object references within the event.
func (c *converter) references() {
	for _, o := range c.e.Objects {
		source := c.targets[goodUUID(o.UUID)]
		for _, r := range o.References {
			target := c.targets[r.Target]
			typ := relationType(r.Type)
			if source == "" || target == "" || typ == "" || source == target {
				c.note("/Event/Object/*/ObjectReference/*", "no-reference", "the reference goes to or comes from what is no object of this event: kept alongside")
				continue
			}
			id := c.id("relationship", r.UUID, string(source), typ, string(target))
			rel, err := c.make(id, r.At, r.Deleted || o.Deleted, nil, stix.Member{Name: "relationship_type", Value: typ},
				stix.Member{Name: "description", Value: r.Comment}, stix.Member{Name: "source_ref", Value: source}, stix.Member{Name: "target_ref", Value: target})
			if c.add(rel, err, union(c.out.Tags[source], c.out.Tags[target])) {
				c.members = append(c.members, id)
			}
		}
	}
}

// relationType spells a kind of relation as STIX wants it (§5.1): a-z, 0-9 and
// hyphens.
func relationType(s string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, s), "-")
}
