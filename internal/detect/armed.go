package detect

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix/pattern"
)

// MaxValues bounds the values of one pattern; one that names more is not armed.
const MaxValues = 8192

// Values returns the values an atomic pattern names, each once, in order;
// armed is false when the pattern is not of a form that is armed now (it is
// kept and counted).
//
// Armed now: one observation that is an atom or an OR of atoms. An atom is
// `=` or `IN` over
//
//	ipv4-addr:value  ipv6-addr:value  (also CIDR, also ISSUBSET)
//	network-traffic:src_ref.value  dst_ref.value  (addresses; also CIDR, ISSUBSET)
//	domain-name:value  url:value  email-addr:value
//	email-message:from_ref.value  sender_ref.value
//	file:hashes.MD5  'SHA-1'  'SHA-256'  'SHA-512'
//
// or the MATCHES form of PatternOf over url:value, or an AND over one end of
// network-traffic: its ref.value with ref.type, or its port, or both.
func Values(p *pattern.Pattern) (v []noroshi.Value, armed bool) {
	o, ok := p.Expr().(*pattern.Observation)
	if !ok {
		return nil, false
	}
	seen := map[noroshi.Value]bool{}
	if !collect(o.Test, &v, seen) || len(v) == 0 {
		return nil, false
	}
	return v, true
}

// collect adds the values of an atom or of every term of an OR.
func collect(t pattern.Test, v *[]noroshi.Value, seen map[noroshi.Value]bool) bool {
	var found []noroshi.Value
	switch t := t.(type) {
	case *pattern.Comparison:
		found = atom(t)
	case *pattern.Junction:
		if t.Op == pattern.Or {
			return !slices.ContainsFunc(t.Terms, func(t pattern.Test) bool { return !collect(t, v, seen) })
		}
		found = conjunction(t.Terms)
	}
	for _, f := range found {
		if !seen[f] {
			seen[f] = true
			*v = append(*v, f)
		}
	}
	return len(found) > 0 && len(*v) <= MaxValues
}

// atom returns the values of a comparison, nil when it is not armed.
func atom(c *pattern.Comparison) []noroshi.Value {
	var read func(string) (noroshi.Value, error)
	subset := c.Op == pattern.IsSubset
	switch path := c.Path.String(); path {
	case "ipv4-addr:value", "ipv6-addr:value":
		read = func(s string) (noroshi.Value, error) { return readNetwork(s, c.Path.Type) }
	case "network-traffic:src_ref.value", "network-traffic:dst_ref.value":
		read = func(s string) (noroshi.Value, error) { return readNetwork(s, "") }
	case "url:value":
		if c.Op == pattern.Matches && !c.Not {
			if v, ok := partOf(c.Values[0].Text); ok {
				return []noroshi.Value{v}
			}
		}
		read, subset = parseURL, false
	default:
		read, subset = readers[path], false
	}
	if read == nil || c.Not || c.Op != pattern.Equal && c.Op != pattern.In && !subset {
		return nil
	}
	return readAll(c.Values, read)
}

// readers of the paths that take = and IN only.
var readers = map[string]func(string) (noroshi.Value, error){
	"domain-name:value":              parseDomain,
	"email-addr:value":               parseEmail,
	"email-message:from_ref.value":   parseEmail,
	"email-message:sender_ref.value": parseEmail,
	"file:hashes.MD5":                readHash("md5"),
	"file:hashes.'SHA-1'":            readHash("sha-1"),
	"file:hashes.'SHA-256'":          readHash("sha-256"),
	"file:hashes.'SHA-512'":          readHash("sha-512"),
	"file:hashes.SHA1":               readHash("sha-1"),
	"file:hashes.SHA256":             readHash("sha-256"),
	"file:hashes.SHA512":             readHash("sha-512"),
}

func readHash(kind string) func(string) (noroshi.Value, error) {
	return func(s string) (noroshi.Value, error) { return parseHash(kind, s) }
}

func readAll(constants []pattern.Constant, read func(string) (noroshi.Value, error)) []noroshi.Value {
	var out []noroshi.Value
	for _, c := range constants {
		if c.Kind != pattern.String || len(c.Text) > MaxValueBytes || strings.ContainsAny(c.Text, " \t\r\n") {
			return nil
		}
		v, err := read(c.Text)
		if err != nil {
			return nil
		}
		out = append(out, v)
	}
	return out
}

// readNetwork reads an address or block; typ narrows the family if not "".
func readNetwork(s, typ string) (noroshi.Value, error) {
	if typ != "" && family(s) != typ {
		return noroshi.Value{}, bad("address", "%q is no %s", s, typ)
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		return prefixValue(p), nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return noroshi.Value{}, bad("address", "%q is no IP address", s)
	}
	return addrValue(a, s)
}

// conjunction returns the value of an AND over one end of network-traffic.
func conjunction(terms []pattern.Test) []noroshi.Value {
	parts := map[string]*pattern.Comparison{}
	for _, t := range terms {
		c, ok := t.(*pattern.Comparison)
		if !ok || c.Not || c.Op != pattern.Equal && c.Op != pattern.In || c.Path.Type != "network-traffic" {
			return nil
		}
		name := strings.TrimPrefix(c.Path.String(), "network-traffic:")
		if parts[name] != nil {
			return nil
		}
		parts[name] = c
	}
	for _, end := range []string{"dst", "src"} {
		if v := parts[end+"_ref.value"]; v != nil {
			typ, port := parts[end+"_ref.type"], parts[end+"_port"]
			if known := 1 + count(typ) + count(port); known != len(parts) {
				return nil
			}
			return endpoint(v, typ, port)
		}
	}
	return nil
}

func count(c *pattern.Comparison) int {
	if c == nil {
		return 0
	}
	return 1
}

// endpoint combines value, type and port of one end; the latter two may be nil.
func endpoint(value, typ, port *pattern.Comparison) []noroshi.Value {
	family := ""
	if typ != nil {
		if typ.Op != pattern.Equal {
			return nil
		}
		family = typ.Values[0].Text
	}
	if family == "domain-name" && port == nil {
		return readAll(value.Values, parseDomain)
	}
	if family != "" && family != "ipv4-addr" && family != "ipv6-addr" {
		return nil
	}
	vs := readAll(value.Values, func(s string) (noroshi.Value, error) { return readNetwork(s, family) })
	if port == nil {
		return vs
	}
	if port.Op != pattern.Equal || port.Values[0].Kind != pattern.Integer {
		return nil
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(port.Values[0].Text, "+"), 10, 16)
	if err != nil {
		return nil
	}
	for i := range vs {
		if vs[i].Kind == noroshi.CIDR {
			return nil
		}
		vs[i].Kind, vs[i].Port = noroshi.AddrPort, uint16(n)
	}
	return vs
}
