package fetch

import (
	"net/netip"

	"github.com/noroshi-cti/noroshi"
)

// special are the ranges that are not the public internet (IANA special-purpose
// registries, RFC 6890), and within them the addresses at which clouds hand out
// credentials. What lies in several belongs to the narrowest.
var special = prefixes(
	"0.0.0.0/8",          // this network
	"10.0.0.0/8",         // private
	"100.64.0.0/10",      // carrier-grade NAT
	"100.100.100.200/32", // cloud metadata
	"127.0.0.0/8",        // loopback
	"169.254.0.0/16",     // link-local
	"169.254.169.254/32", // cloud metadata
	"172.16.0.0/12",      // private
	"192.0.0.0/24",       // protocol assignments
	"192.0.0.192/32",     // cloud metadata
	"192.0.2.0/24",       // documentation
	"192.88.99.0/24",     // 6to4 relays
	"192.168.0.0/16",     // private
	"198.18.0.0/15",      // benchmarks
	"198.51.100.0/24",    // documentation
	"203.0.113.0/24",     // documentation
	"224.0.0.0/4",        // multicast
	"240.0.0.0/4",        // reserved, broadcast

	// All of IPv6 but 2000::/3, in which public addresses lie, and what of that
	// is not public.
	"::/3", "4000::/2", "8000::/1",
	"::/128",            // unspecified
	"::1/128",           // loopback
	"::/96",             // IPv4-compatible
	"::ffff:0:0/96",     // IPv4-mapped
	"64:ff9b::/96",      // NAT64
	"64:ff9b:1::/48",    // local NAT64
	"100::/64",          // discard
	"2001::/23",         // protocol assignments, Teredo among them
	"2001:db8::/32",     // documentation
	"2002::/16",         // 6to4
	"3fff::/20",         // documentation
	"fc00::/7",          // unique local
	"fd00:ec2::254/128", // cloud metadata
	"fe80::/10",         // link-local
	"fec0::/10",         // site-local
	"ff00::/8",          // multicast
)

func prefixes(texts ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range texts {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// rangeOf returns the narrowest special range that holds all of a prefix; false
// when it is public or reaches beyond one.
func rangeOf(p netip.Prefix) (narrowest netip.Prefix, found bool) {
	for _, r := range special {
		if holds(r, p) && (!found || r.Bits() > narrowest.Bits()) {
			narrowest, found = r, true
		}
	}
	return narrowest, found
}

func holds(r, p netip.Prefix) bool { return r.Bits() <= p.Bits() && r.Contains(p.Addr()) }

// checkNets says which prefix an operator cannot name: one that is not wholly in
// a special range, for the rest is public and needs no naming.
func checkNets(nets []netip.Prefix) error {
	for _, p := range nets {
		if _, found := rangeOf(p.Masked()); !found || p != p.Masked() {
			return noroshi.Errorf(noroshi.Invalid, "feed.net", "allow_nets: %s is not a network of one special range, such as 10.1.0.0/16 or 127.0.0.0/8", p)
		}
	}
	return nil
}

// mayReach reports whether an address may be connected to: a public unicast
// address, or one whose network an operator named. A network opens only the
// narrowest special range that it lies in itself: 169.254.0.0/16 does not open
// the metadata address in it.
func mayReach(a netip.Addr, nets []netip.Prefix) bool {
	if !a.IsValid() || a.Zone() != "" {
		return false
	}
	within, isSpecial := rangeOf(netip.PrefixFrom(a, a.BitLen()))
	if !isSpecial {
		return !isatap(a)
	}
	for _, p := range nets {
		if p.Contains(a) && holds(within, p) {
			return true
		}
	}
	return false
}

// isatap reports whether an IPv6 address carries an IPv4 address to tunnel to
// (RFC 5214 section 6.1).
func isatap(a netip.Addr) bool {
	if !a.Is6() {
		return false
	}
	b := a.As16()
	return (b[8] == 0 || b[8] == 2) && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}
