package stix

import (
	"maps"
	"slices"
)

// typeNames holds the types STIX 2.1 defines, so that the type of an object
// needs no copy.
var typeNames = namesOf(
	"attack-pattern", "campaign", "course-of-action", "grouping", "identity", "incident", "indicator",
	"infrastructure", "intrusion-set", "location", "malware", "malware-analysis", "note", "observed-data",
	"opinion", "report", "threat-actor", "tool", "vulnerability",
	"relationship", "sighting",
	"extension-definition", "language-content", "marking-definition",
	"artifact", "autonomous-system", "directory", "domain-name", "email-addr", "email-message", "file",
	"ipv4-addr", "ipv6-addr", "mac-addr", "mutex", "network-traffic", "process", "software", "url",
	"user-account", "windows-registry-key", "x509-certificate",
)

// Types lists the types STIX 2.1 defines, sorted.
func Types() []string { return slices.Sorted(maps.Keys(typeNames)) }

func namesOf(names ...string) map[string]string {
	m := make(map[string]string, len(names))
	for _, n := range names {
		m[n] = n
	}
	return m
}
