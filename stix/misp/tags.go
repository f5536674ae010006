package misp

import (
	"slices"
	"strings"
	"unicode"

	"github.com/noroshi-cti/noroshi/stix"
)

// maxTags bounds the tags of one event or attribute, for every object has the
// event's. Real ones have some thirty.
const maxTags = 200

func tooManyTags(t tree) bool { return len(t.list("Tag")) > maxTags }

func readTags(t tree) []Tag {
	var tags []Tag
	for _, v := range t.list("Tag") {
		tag, _ := v.(tree)
		name := tag.text("name")
		local, _ := tag.flag("local")
		if name != "" && !slices.ContainsFunc(tags, func(have Tag) bool { return have.Name == name }) {
			tags = append(tags, Tag{Name: name, Local: local})
		}
	}
	return tags
}

// levels are the TLP levels by the letters and signs of their names, the old
// name of the lowest among them.
var levels = map[string]string{
	"clear": "tlp:clear", "white": "tlp:clear", "green": "tlp:green", "amber": "tlp:amber",
	"amber+strict": "tlp:amber+strict", "amberstrict": "tlp:amber+strict", "red": "tlp:red",
}

// order of the levels, the least strict first.
var order = []string{"tlp:clear", "tlp:green", "tlp:amber", "tlp:amber+strict", "tlp:red"}

// TLP returns the level a tag stands for, as MISP's taxonomy writes it, or ""
// for any other tag. tlp:white is tlp:clear.
func TLP(tag string) string {
	word := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '"' || r == '_' || r == '-' {
			return -1
		}
		return unicode.ToLower(r)
	}, tag)
	rest, found := strings.CutPrefix(word, "tlp")
	if !found {
		return ""
	}
	return levels[strings.TrimLeft(rest, ":=.")]
}

// strictest orders the levels among tags, the strictest first.
func strictest(tags []string) []string {
	var found []string
	for _, t := range tags {
		if level := TLP(t); level != "" && !slices.Contains(found, level) {
			found = append(found, level)
		}
	}
	slices.SortFunc(found, func(a, b string) int { return slices.Index(order, b) - slices.Index(order, a) })
	return found
}

// wellKnown are the TLP markings of STIX 2.1 §7.2.1.4 (TLP 1.0) and of the OASIS
// extension for TLP 2.0.
var wellKnown = map[stix.ID]string{
	"marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": "tlp:clear",
	"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": "tlp:green",
	"marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": "tlp:amber",
	"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": "tlp:red",
	"marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487": "tlp:clear",
	"marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb": "tlp:green",
	"marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421": "tlp:amber",
	"marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003": "tlp:amber+strict",
	"marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1": "tlp:red",
}

// Labels of our own, which say what a STIX object was in MISP. They are spelled
// as MISP's own converter spells them, where it has them.
const (
	labelType       = "misp:type"     // of the attribute
	labelCategory   = "misp:category" // where it is not the type's usual one
	labelToIDs      = "misp:to_ids"   // True on what is no indicator
	labelName       = "misp:name"     // of the MISP object
	labelMeta       = "misp:meta-category"
	labelRelation   = "misp:relation"   // of an attribute in a MISP object
	labelAttributes = "misp:attributes" // of the values of an indicator made of several: relation=type,…
)

var ownLabels = []string{labelType, labelCategory, labelToIDs, labelName, labelMeta, labelRelation, labelAttributes}

// label writes one of our own.
func label(name, value string) string { return name + `="` + value + `"` }

// splitLabel tells one of our own labels; ok is false for a tag.
func splitLabel(s string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(s, `="`)
	if !ok || !strings.HasSuffix(value, `"`) || !slices.Contains(ownLabels, name) {
		return "", "", false
	}
	return name, value[:len(value)-1], true
}

// What Result.Tags says of a distribution narrower than a community: those who
// may have it are not known outside the instance. What the event as a whole says
// begins with EventDistribution: whoever took the file out of the instance and
// marks it has answered that; what a part of it says may be news to them.
const (
	OwnOrganisation   = "distribution:your-organisation-only"
	SharingGroup      = "distribution:sharing-group"
	EventDistribution = "distribution:event:"
)

func closed(distribution string) []string {
	switch distribution {
	case "0":
		return []string{OwnOrganisation}
	case "4":
		return []string{SharingGroup}
	}
	return nil
}

// closedEvent is closed for the event as a whole.
func closedEvent(distribution string) []string {
	var words []string
	for _, w := range closed(distribution) {
		words = append(words, EventDistribution+strings.TrimPrefix(w, "distribution:"))
	}
	return words
}

// tagLabels are the labels of tags: all but local ones, which do not leave their
// instance, and those that would pass for labels of our own.
func tagLabels(tags []Tag) []string {
	var out []string
	for _, t := range tags {
		if _, _, own := splitLabel(t.Name); !own && !t.Local {
			out = append(out, t.Name)
		}
	}
	return out
}

// spoken are the tags that count for an object: all but those for galaxies. Local
// ones are among them, for they may be a restriction and stand beside it only.
func spoken(tags []Tag) []string {
	var out []string
	for _, t := range tags {
		if _, galaxy := clusterTag(t.Name); !galaxy {
			out = append(out, t.Name)
		}
	}
	return out
}

// clusterTag reads a tag that stands for a galaxy cluster.
func clusterTag(tag string) (c Cluster, ok bool) {
	rest, found := strings.CutPrefix(tag, "misp-galaxy:")
	typ, value, split := strings.Cut(rest, "=")
	value = strings.Trim(value, `"`)
	if !found || !split || typ == "" || value == "" {
		return c, false
	}
	return Cluster{Type: typ, Value: value, ID: catalogueID(value)}, true
}

// catalogueID is the ATT&CK id at the end of a cluster's name: T1193, G0016.
func catalogueID(value string) string {
	i := strings.LastIndex(value, " - ")
	if i < 0 {
		return ""
	}
	id := value[i+3:]
	if len(id) < 5 || !strings.ContainsAny(id[:1], "TGSMC") || strings.Trim(id[1:], "0123456789.") != "" {
		return ""
	}
	return id
}

// readGalaxies reads the clusters of an element: those of its galaxies, and
// those only its tags name.
func readGalaxies(t tree) []Cluster {
	var out []Cluster
	add := func(c Cluster) {
		if c.Value != "" && len(out) < maxTags && !slices.ContainsFunc(out, func(have Cluster) bool { return have.Tag() == c.Tag() }) {
			out = append(out, c)
		}
	}
	for _, g := range t.list("Galaxy") {
		galaxy, _ := g.(tree)
		for _, v := range galaxy.list("GalaxyCluster") {
			cluster, _ := v.(tree)
			c := Cluster{Type: cluster.text("type"), Value: cluster.text("value"), Description: cluster.text("description")}
			if c.Type == "" {
				c.Type = galaxy.text("type")
			}
			meta := cluster.object("meta")
			c.ID = catalogueID(c.Value)
			for _, id := range meta.list("external_id") { // ids of other catalogues are among them
				if c.ID == "" {
					c.ID = catalogueID(" - " + (tree{"v": id}).text("v"))
				}
			}
			for _, s := range meta.list("synonyms") {
				if name := (tree{"v": s}).text("v"); name != "" && len(c.Synonyms) < maxTags {
					c.Synonyms = append(c.Synonyms, name)
				}
			}
			add(c)
		}
	}
	if tooManyTags(t) {
		return out
	}
	for _, tag := range readTags(t) {
		if c, ok := clusterTag(tag.Name); ok && !tag.Local {
			add(c)
		}
	}
	return out
}
