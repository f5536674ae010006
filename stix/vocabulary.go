package stix

import "slices"

// sectors is the industry sector vocabulary (STIX 2.1 §10, industry-sector-ov).
var sectors = []string{
	"agriculture", "aerospace", "automotive", "chemical", "commercial", "communications", "construction", "defense",
	"education", "energy", "engineering", "entertainment", "financial-services", "government", "emergency-services",
	"government-local", "government-national", "government-public-services", "government-regional", "healthcare",
	"hospitality-leisure", "infrastructure", "dams", "nuclear", "water", "insurance", "manufacturing", "mining",
	"non-profit", "pharmaceuticals", "retail", "technology", "telecommunications", "transportation", "utilities",
}

// regions is the region vocabulary (STIX 2.1 §10, region-ov).
var regions = []string{
	"africa", "eastern-africa", "middle-africa", "northern-africa", "southern-africa", "western-africa",
	"americas", "latin-america-caribbean", "south-america", "caribbean", "central-america", "northern-america",
	"asia", "central-asia", "eastern-asia", "southern-asia", "south-eastern-asia", "western-asia",
	"europe", "eastern-europe", "northern-europe", "southern-europe", "western-europe",
	"oceania", "antarctica", "australia-new-zealand", "melanesia", "micronesia", "polynesia",
}

// Sector reports whether a word is of the industry sector vocabulary. The
// vocabulary is open: an object may name another one.
func Sector(word string) bool { return slices.Contains(sectors, word) }

// Region reports whether a word is of the region vocabulary, which is open too.
func Region(word string) bool { return slices.Contains(regions, word) }
