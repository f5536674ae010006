package stix

import (
	"slices"
	"strings"
)

// metaShapes are the meta objects of §7.
var metaShapes = map[string]*shape{
	"language-content": {core: &commonShape, required: []string{"object_ref", "contents"}, props: map[string]check{
		"object_ref": refNotTo("bundle", "language-content"), "object_modified": timestamp, "contents": dictionary}},
	"extension-definition": {core: &commonShape, required: []string{"name", "schema", "version", "extension_types"},
		rest: extensionDefinitionRules, props: map[string]check{
			"name": text, "description": text, "schema": text, "version": text,
			"extension_types": listOf(extensionType), "extension_properties": texts}},
	"marking-definition": {required: []string{"type", "spec_version", "id", "created"}, rest: markingRules,
		props: map[string]check{
			"spec_version": oneOf("2.0", "2.1"), "id": identifier, "name": text, "created_by_ref": identifier,
			"created": timestamp, "external_references": listOf(externalReference),
			"object_marking_refs": listOf(refTo("marking-definition")),
			"granular_markings":   listOf(granularMarking), "extensions": markingExtensions}},
}

// extensionDefinitionRules: only an extension of the top level names
// properties (§7.3).
func extensionDefinitionRules(c *checker) {
	if !c.has("extension_properties") {
		return
	}
	for _, e := range c.get("extension_types").Elements() {
		if e.Text() == "toplevel-property-extension" {
			return
		}
	}
	c.at("extension_properties", ProblemTogether, "needs the extension type toplevel-property-extension")
}

// markingExtensions: a marking definition has no predefined extensions.
func markingExtensions(c *checker, v RawValue) {
	extensionsOf(nil)(c, v)
	for key := range v.members() {
		if !strings.HasPrefix(string(key), "extension-definition--") {
			c.add(ProblemName, "an extension is called extension-definition--UUID")
			return
		}
	}
}

// markingRules: the body of a marking is that of its type (§7.2.1).
func markingRules(c *checker) {
	kind, definition := c.get("definition_type"), c.get("definition")
	if kind == nil && definition == nil && c.has("extensions") {
		return
	}
	if (kind == nil || definition == nil) && !c.has("extensions") {
		c.add(ProblemMissing, "definition_type and definition, or extensions, are required")
		return
	}
	name, ok := kind.text()
	switch {
	case kind != nil && !ok:
		c.at("definition_type", ProblemType, "must be a string")
	case name == "tlp":
		tlpRules(c, definition)
	case name == "statement":
		statementRules(c, definition)
	case strings.HasPrefix(name, "statement") || strings.HasSuffix(name, "tlp"):
		c.at("definition_type", ProblemValue, "is like a marking type of STIX but none")
	case definition != nil && definition.kind() != '{':
		c.at("definition", ProblemType, "must be an object")
	}
}

func statementRules(c *checker, definition RawValue) {
	if _, ok := definition.member("statement").text(); !ok {
		c.at("definition", ProblemMissing, "must be an object with a string statement")
	}
}

// tlpMarkings are the four markings of TLP 1.0 (§7.2.1.4), which nobody may
// make anew.
var tlpMarkings = []struct{ id, name, level string }{
	{"marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9", "TLP:WHITE", "white"},
	{"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da", "TLP:GREEN", "green"},
	{"marking-definition--f88d31f6-486f-44da-b317-01333bde0b82", "TLP:AMBER", "amber"},
	{"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed", "TLP:RED", "red"},
}

func tlpRules(c *checker, definition RawValue) {
	for i := c.base; i < len(c.members); i++ {
		switch name := string(c.members[i].name); name {
		case "type", "id", "spec_version", "name", "created", "definition", "definition_type":
		default:
			c.at(name, ProblemTogether, "a TLP marking has no such property")
		}
	}
	for _, m := range tlpMarkings {
		if c.get("id").Text() != m.id {
			continue
		}
		level := definition.member("tlp")
		if c.get("name").Text() != m.name || definition.kind() != '{' || level != nil && level.Text() != m.level ||
			c.get("created").Text() != "2017-01-20T00:00:00.000Z" || c.get("spec_version").Text() != "2.1" {
			c.add(ProblemValue, "the marking is not the one that STIX defines under its id")
		}
		return
	}
	c.at("id", ProblemValue, "STIX defines the four TLP markings; this is none of them")
}

// granularMarking is one entry of granular_markings (§7.2.3).
var granularMarking = structure(&shape{
	required: []string{"selectors"},
	any:      []string{"marking_ref", "lang"},
	props: map[string]check{
		"selectors":   listOf(matching(ProblemValue, "is no selector", isSelector)),
		"lang":        text,
		"marking_ref": refTo("marking-definition"),
	},
})

// isSelector reports whether s has the form of a selector: a property, then
// keys and [positions], with points between them.
func isSelector(s string) bool {
	parts := strings.Split(s, ".")
	if s == "id" {
		return true
	}
	if len(parts[0]) < 3 || len(parts[0]) > 249 || !lowerKey(parts[0]) {
		return false
	}
	return !slices.ContainsFunc(parts[1:], func(p string) bool {
		if n := len(p); n > 2 && p[0] == '[' && p[n-1] == ']' {
			return !allDigits(p[1 : n-1])
		}
		return p == "" || !dictionaryKey([]byte(p))
	})
}

func lowerKey(s string) bool {
	return dictionaryKey([]byte(s)) && s == strings.ToLower(s)
}

// externalReference is one entry of external_references (§2.5).
var externalReference = structure(&shape{
	required: []string{"source_name"},
	props: map[string]check{"source_name": text, "description": text, "url": text, "external_id": text,
		"hashes": both(hashes, namedHashes)},
	rest: externalReferenceRules,
})

// namedHashes: here the algorithm is one of the vocabulary's, as far as the
// schema's expression goes.
var namedHashes = func(c *checker, v RawValue) {
	for key := range v.members() {
		if !wordIn(key, "MD5", "SHA-1", "SHA-256", "SHA-512", "SHA3-256", "SHA3-512", "SSDEEP", "TLSH") {
			c.add(ProblemName, "a hash algorithm is one of hash-algorithm-ov")
		}
	}
}

func externalReferenceRules(c *checker) {
	source, id := c.get("source_name").Text(), c.get("external_id")
	fits := map[string]func(string) bool{"cve": isCVE, "capec": isCAPEC}[source]
	switch {
	case fits != nil && !fits(id.Text()):
		c.at("external_id", ProblemValue, "is no identifier of "+source)
	case fits != nil:
	case id != nil && (isCVE(id.Text()) || isCAPEC(id.Text())):
		c.at("source_name", ProblemValue, "must be cve or capec for this external_id")
	case !c.hasAny([]string{"external_id", "description", "url"}):
		c.add(ProblemMissing, "at least one of external_id, description, url is required")
	}
}

// isCVE: CVE, the year, and four digits or more without filling.
func isCVE(s string) bool {
	rest, ok := strings.CutPrefix(s, "CVE-")
	year, serial, found := strings.Cut(rest, "-")
	if !ok || !found || len(year) != 4 || !allDigits(year) || len(serial) < 4 || !allDigits(serial) {
		return false
	}
	return serial[0] != '0' || len(serial) == 4
}

func isCAPEC(s string) bool {
	rest, ok := strings.CutPrefix(s, "CAPEC-")
	return ok && rest != "" && allDigits(rest)
}
