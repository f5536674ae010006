package noroshi

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi/stix"
)

// Generalise is what a clause says of one property: what goes under the clause
// says less there than what is held here. It counts for this node's own objects;
// of others' the property is cut out.
type Generalise struct {
	Type     string `toml:"type" json:"type"`         // of the objects
	Selector string `toml:"selector" json:"selector"` // such as last_seen
	How      How    `toml:"how" json:"how"`
}

// How is a way to say less.
type How string

// The ways.
const (
	ToHour   How = "hour"   // a time to its hour
	ToPrefix How = "prefix" // an address to its network: IPv4 /24, IPv6 /48
	ToSector How = "sector" // a name to the sectors the object names
	ToRegion How = "region" // a name to the region the object names
	CutOut   How = "cut"    // not sent
)

// How many bits of an address a network keeps.
const (
	prefix4 = 24
	prefix6 = 48
)

// checkGeneralise says what is wrong with a clause's list, "" when nothing is.
func checkGeneralise(list []Generalise) string {
	seen := map[[2]string]bool{}
	for _, g := range list {
		if fault := g.check(); fault != "" {
			return fault
		}
		key := [2]string{g.Type, g.Selector}
		if seen[key] {
			return g.Selector + " of a " + g.Type + " is named twice"
		}
		seen[key] = true
	}
	return ""
}

// check says what is wrong with it, "" when nothing is. What identifies an
// object or is matched is never changed, and no partner should be led to
// believe in another one.
func (g Generalise) check() string {
	first, _, _ := strings.Cut(g.Selector, ".")
	switch {
	case g.Type == "" || strings.Trim(g.Type, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || g.Selector == "":
		return "needs type and selector"
	case !slices.Contains([]How{ToHour, ToPrefix, ToSector, ToRegion, CutOut}, g.How):
		return "how must be hour, prefix, sector, region or cut"
	case slices.Contains([]string{"type", "spec_version", "id", "created", "modified", "revoked", "object_marking_refs", "granular_markings", "extensions"}, first) && first == g.Selector,
		strings.HasPrefix(first, "pattern"), first == "object_marking_refs", first == "granular_markings", strings.Contains(g.Selector, "=>"):
		return g.Selector + " is never changed"
	case stix.MakesID(g.Type, first):
		return g.Selector + " makes the id of a " + g.Type
	case g.How != CutOut && (strings.HasSuffix(first, "_ref") || strings.HasSuffix(first, "_refs")):
		return g.Selector + " is a reference: it can be cut only"
	}
	return ""
}

// Less returns what a property of an object says under a rule: nothing beside
// the value it has, its sectors and its region. False when the rule does not
// fit what stands there.
func (h How) Less(o *stix.Object, selector string) (string, bool) {
	text := stix.Select(o, selector).Text()
	if text == "" {
		return "", false
	}
	switch h {
	case ToHour:
		t, err := stix.ParseTime(text)
		if err != nil {
			return "", false
		}
		return t.Time().UTC().Truncate(time.Hour).Format("2006-01-02T15:04:05Z"), true
	case ToPrefix:
		return network(text)
	case ToSector:
		var names []string
		for _, e := range o.Property("sectors").Elements() {
			names = append(names, e.Text())
		}
		return strings.Join(names, ", "), len(names) > 0 && !slices.Contains(names, "")
	case ToRegion:
		region := o.Text("region")
		return region, region != ""
	}
	return "", false
}

// network returns the network of an address, or of a network that is smaller.
func network(text string) (string, bool) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return "", false
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4In6() {
		return "", false
	}
	bits := prefix6
	if p.Addr().Is4() {
		bits = prefix4
	}
	return netip.PrefixFrom(p.Addr(), min(p.Bits(), bits)).Masked().String(), true
}
