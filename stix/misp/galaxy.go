package misp

import (
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi/stix"
)

// clusterType returns the STIX type of what a galaxy collects, "" for one that
// has none; its tags are labels all the same.
func clusterType(galaxy string) string {
	switch {
	case strings.HasSuffix(galaxy, "attack-pattern"), galaxy == "attack-technique":
		return "attack-pattern"
	case strings.HasSuffix(galaxy, "intrusion-set"), galaxy == "threat-actor", galaxy == "microsoft-activity-group", galaxy == "360net-threat-actor":
		return "intrusion-set"
	case strings.HasSuffix(galaxy, "course-of-action"):
		return "course-of-action"
	case strings.HasSuffix(galaxy, "malware"):
		return "malware"
	case strings.HasSuffix(galaxy, "tool"), galaxy == "exploit-kit":
		return "tool"
	}
	switch galaxy {
	case "malpedia", "ransomware", "rat", "banker", "botnet", "stealer", "backdoor", "android", "cryptominers", "wiper":
		return "malware"
	}
	return ""
}

// galaxySource is the source_name by which a cluster's own name is kept.
const galaxySource = "misp-galaxy"

// cluster makes a cluster's object, once, and returns its id, "" for none. The
// id is of this event: another event may say other things of the same cluster,
// under another handling.
func (c *converter) cluster(g Cluster, tags []string) stix.ID {
	typ := clusterType(g.Type)
	if typ == "" {
		return ""
	}
	id := derive(typ, c.uuid, g.Tag())
	references := []any{[]stix.Member{{Name: "source_name", Value: galaxySource}, {Name: "external_id", Value: strings.TrimPrefix(g.Tag(), "misp-galaxy:")}}}
	if g.ID != "" && strings.HasPrefix(g.Type, "mitre-") {
		references = append(references, []stix.Member{{Name: "source_name", Value: "mitre-attack"}, {Name: "external_id", Value: g.ID}})
	}
	name := g.Value
	if g.ID != "" {
		name = strings.TrimSuffix(name, " - "+g.ID)
	}
	members := []stix.Member{{Name: "name", Value: name}, {Name: "description", Value: g.Description}}
	if typ == "malware" {
		members = append(members, stix.Member{Name: "is_family", Value: true})
	}
	if typ != "course-of-action" {
		members = append(members, stix.Member{Name: "aliases", Value: g.Synonyms})
	}
	fresh := !c.have[id]
	o, err := c.make(id, c.e.At, false, nil, append(members, stix.Member{Name: "external_references", Value: references})...)
	if !c.add(o, err, tags) {
		return ""
	}
	if fresh {
		c.members = append(c.members, id)
	}
	return id
}

// indicates ties what was made of an attribute to the attribute's clusters.
func (c *converter) indicates(id stix.ID, a Attribute) {
	typ := "related-to"
	switch id.Type() {
	case "indicator":
		typ = "indicates"
	case "note":
		typ = "" // a note has no relationships; its labels name the clusters
	}
	for _, g := range a.Galaxies {
		target := c.cluster(g, c.out.Tags[id])
		if target == "" || typ == "" {
			continue
		}
		kind := typ
		if target.Type() == "course-of-action" {
			kind = "related-to"
		}
		c.relate(id, kind, target, a.Deleted)
	}
}

// tagsOf are the tags of the clusters among objects, those revoked not counted.
func tagsOf(objects []*stix.Object) map[string]bool {
	have := map[string]bool{}
	for _, o := range objects {
		if tag := galaxyTag(o); tag != "" && !o.Revoked {
			have[tag] = true
		}
	}
	return have
}

// withdrawClusters takes out of an event, and of all in it, the clusters that
// became objects once and are not among the objects any more.
func withdrawClusters(t tree, have map[string]bool) {
	gone := func(c Cluster) bool { return clusterType(c.Type) != "" && !have[c.Tag()] }
	keep(t, "Tag", func(tag tree) bool {
		c, galaxy := clusterTag(tag.text("name"))
		local, _ := tag.flag("local")
		return !galaxy || local || !gone(c)
	})
	keep(t, "Galaxy", func(g tree) bool {
		had := len(g.list("GalaxyCluster"))
		keep(g, "GalaxyCluster", func(v tree) bool {
			c := Cluster{Type: v.text("type"), Value: v.text("value")}
			if c.Type == "" {
				c.Type = g.text("type")
			}
			return c.Value == "" || !gone(c)
		})
		return had == 0 || len(g.list("GalaxyCluster")) > 0
	})
	for _, name := range []string{"Attribute", "Object"} {
		for _, v := range t.list(name) {
			if part, ok := v.(tree); ok {
				withdrawClusters(part, have)
			}
		}
	}
}

// keep takes the elements of a list that do not meet ok out of it.
func keep(t tree, name string, ok func(tree) bool) {
	if list := t.list(name); len(list) > 0 {
		t[name] = slices.DeleteFunc(slices.Clone(list), func(v any) bool {
			e, isTree := v.(tree)
			return isTree && !ok(e)
		})
	}
}

// relate makes a relationship the event implies.
func (c *converter) relate(source stix.ID, typ string, target stix.ID, revoked bool) {
	id := derive("relationship", c.uuid, string(source), typ, string(target))
	fresh := !c.have[id]
	rel, err := c.make(id, c.e.At, revoked, nil, stix.Member{Name: "relationship_type", Value: typ},
		stix.Member{Name: "source_ref", Value: source}, stix.Member{Name: "target_ref", Value: target})
	if c.add(rel, err, union(c.out.Tags[source], c.out.Tags[target])) && fresh {
		c.members = append(c.members, id)
	}
}

// clusters makes those of the event. Where it names one actor, that actor uses
// the techniques, malware and tools it names.
func (c *converter) clusters() {
	var actors, used []stix.ID
	for _, g := range c.e.Galaxies {
		switch id := c.cluster(g, nil); id.Type() {
		case "intrusion-set":
			actors = append(actors, id)
		case "attack-pattern", "malware", "tool":
			used = append(used, id)
		}
	}
	if len(actors) != 1 {
		return
	}
	for _, id := range used {
		c.relate(actors[0], "uses", id, false)
	}
}
