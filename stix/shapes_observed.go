package stix

import (
	"bytes"
	"slices"
	"strings"
)

// observedRef is a reference to what was observed (§4.14): no domain object.
// The schema also takes anything that begins with the name of one of its
// types, whatever follows.
func observedRef(c *checker, v RawValue) {
	s, ok := v.text()
	switch {
	case !ok:
		c.add(ProblemType, "must be an identifier")
	case slices.ContainsFunc(observableTypes, func(t string) bool { return strings.HasPrefix(s, t+"--") }):
	case !isIdentifier(s):
		c.add(ProblemID, "must be an identifier of the form type--UUID")
	case slices.ContainsFunc(domainTypes, func(t string) bool { return strings.HasPrefix(s, t) }):
		c.add(ProblemRef, "must refer to what was observed")
	}
}

var observableTypes = []string{
	"autonomous-system", "directory", "domain-name", "email-addr", "email-message", "file", "ipv4-addr",
	"ipv6-addr", "mac-addr", "mutex", "network-traffic", "process", "software", "url", "user-account",
	"windows-registry-key", "x509-certificate", "relationship", "sighting",
}

var domainTypes = []string{
	"attack-pattern", "campaign", "course-of-action", "grouping", "identity", "incident", "indicator",
	"infrastructure", "intrusion-set", "location", "malware-analysis", "malware", "note", "observed-data",
	"opinion", "report", "threat-actor", "tool", "vulnerability",
}

// observedObjects is the dictionary of STIX 2.0 that §4.14 still allows: whole
// cyber-observable objects under keys of its own.
func observedObjects(c *checker, v RawValue) {
	c.entries(v, func(_ []byte, value RawValue) { observedObject(c, value) })
}

func observedObject(c *checker, v RawValue) {
	if v.kind() != '{' {
		c.add(ProblemType, "must be an object")
		return
	}
	outer := c.open(v)
	defer c.close(outer)
	typ, id := c.get("type").Text(), c.get("id").Text()
	if s := c.table[typ]; s != nil && s.core == &observableShape {
		c.apply(s)
		if id != "" && !strings.HasPrefix(id, typ+"--") {
			c.at("id", ProblemID, "the id is of another type than the object")
		}
		return
	}
	c.apply(&customObservable)
	if likeObservable([]byte(typ)) {
		c.at("type", ProblemName, "is like a type of STIX but none")
	}
}

// likeObservable: the schema refuses a custom type here whose name holds that
// of a cyber-observable.
func likeObservable(typ []byte) bool {
	return wordIn(typ, "artifact", "directory", "file", "mutex", "process", "software", "user-account",
		"windows-registry-key", "x509-certificate", "autonomous-system", "domain-name", "email-addr",
		"email-message", "ipv4-addr", "ipv6-addr", "mac-addr", "network-traffic", "url")
}

// extensionsOf is the property extensions (§7.3): a dictionary of predefined
// extensions, whose keys end in -ext, and of those an extension definition
// describes. Types that have predefined ones name them.
func extensionsOf(known map[string]check) check {
	return func(c *checker, v RawValue) {
		c.entries(v, func(key []byte, value RawValue) {
			extension(c, key, value)
			switch f := known[string(key)]; {
			case f != nil:
				f(c, value)
			case known != nil:
				dictionary(c, value)
			}
		})
	}
}

// extension is one entry of extensions.
func extension(c *checker, key []byte, v RawValue) {
	defined := isIdentifier(string(key)) && bytes.HasPrefix(key, []byte("extension-definition--")) &&
		len(key) == len("extension-definition")+idTail
	prefix, predefined := bytes.CutSuffix(key, []byte("-ext"))
	if !defined && !(predefined && isTypeName(string(prefix))) {
		c.add(ProblemName, "an extension is called extension-definition--UUID")
	}
	if v.kind() != '{' {
		c.add(ProblemType, "must be an object")
		return
	}
	n, typed := 0, false
	at := len(c.path)
	c.path = append(c.path, step{})
	for name, value := range v.members() {
		n++
		c.path[at] = step{name: name}
		checkMember(c, name, value)
		if defined && string(name) == "extension_type" {
			typed = true
			extensionType(c, value)
		}
	}
	c.path = c.path[:at]
	if n == 0 {
		c.add(ProblemEmpty, "the extension must have a property")
	}
	if defined && !typed {
		c.add(ProblemMissing, "the property extension_type is required")
	}
}

var extensionType = oneOf("new-sdo", "new-sco", "new-sro", "property-extension", "toplevel-property-extension")
