package misp

import (
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/stix/pattern"
)

// value is a value found in a pattern, as MISP types it.
type value struct{ typ, value, relation string }

// paths tell the type of a value compared by "=": the usual one of a path.
var paths = func() map[string]string {
	m := map[string]string{
		"ipv4-addr:value": "ip-dst", "ipv6-addr:value": "ip-dst",
		"network-traffic:dst_ref.value": "ip-dst", "network-traffic:src_ref.value": "ip-src",
		"windows-registry-key:key": "regkey", "email-message:sender_ref.value": "email-src",
		"file:hashes.SHA1": "sha1", "file:hashes.SHA256": "sha256", "file:hashes.SHA512": "sha512", "file:hashes.'SHA-1'": "sha1",
	}
	for _, typ := range sortedKeys(kinds) {
		k := kinds[typ]
		path := k.path
		switch k.form {
		case single, whole:
		case hashed:
			path = "file:hashes." + hashName(k.path)
		case certified:
			path = "x509-certificate:hashes." + hashName(k.path)
		default:
			continue
		}
		if m[path] == "" {
			m[path] = typ
		}
	}
	m["domain-name:value"], m["url:value"] = "domain", "url"
	return m
}()

// readPattern returns the values of a pattern that is one value or an OR of
// values, nil when it is anything else. typ is the type it was made of, "" when
// not known; name is the indicator's.
func readPattern(s, typ, name string) []value {
	p, err := pattern.Parse(s, pattern.Options{})
	if err != nil {
		return nil
	}
	if typ != "" {
		if v, ok := rebuilt(p, typ, name); ok {
			return []value{{typ: typ, value: v}}
		}
	}
	o, ok := p.Expr().(*pattern.Observation)
	if !ok {
		return nil
	}
	return valuesOf(o.Test)
}

func valuesOf(t pattern.Test) []value {
	switch t := t.(type) {
	case *pattern.Comparison:
		return compared(t)
	case *pattern.Junction:
		if t.Op == pattern.And {
			return together(t.Terms)
		}
		var all []value
		for _, term := range t.Terms {
			v := valuesOf(term)
			if v == nil {
				return nil
			}
			all = append(all, v...)
		}
		if len(all) > 1 && !groupable(all) {
			return nil
		}
		return all
	}
	return nil
}

// groupable reports whether values can stand in one MISP object as values each
// good alone.
func groupable(all []value) bool {
	hash := 0
	for _, v := range all {
		k := kindOf(v.typ)
		switch {
		case k.form == hashed:
			hash++
		case k.form == address, k.form == single && slices.Contains(sightable, k.path):
		default:
			return false
		}
	}
	return true
}

// compared returns the values of one comparison.
func compared(c *pattern.Comparison) []value {
	typ := paths[c.Path.String()]
	subset := c.Op == pattern.IsSubset && kindOf(typ).form == address
	if typ == "" || c.Not || c.Op != pattern.Equal && c.Op != pattern.In && !subset || len(c.Values) == 0 {
		return nil
	}
	var all []value
	for _, constant := range c.Values {
		if constant.Kind != pattern.String && constant.Kind != pattern.Integer || constant.Text == "" {
			return nil
		}
		all = append(all, value{typ: typ, value: constant.Text})
	}
	if len(all) > 1 && !groupable(all) {
		return nil
	}
	return all
}

// together returns the value of comparisons that MISP has one type for: an end
// of a connection, a name and a hash, a registry key and its data.
func together(terms []pattern.Test) []value {
	parts := map[string]string{}
	var order []string
	for _, t := range terms {
		c, ok := t.(*pattern.Comparison)
		if !ok || c.Not || c.Op != pattern.Equal || len(c.Values) != 1 {
			return nil
		}
		path := c.Path.String()
		if _, twice := parts[path]; twice {
			return nil
		}
		parts[path] = c.Values[0].Text
		order = append(order, path)
	}
	for _, end := range []string{"dst", "src"} {
		if v, ok := endOf(parts, end); ok {
			return []value{v}
		}
	}
	key, data := parts["windows-registry-key:key"], parts["windows-registry-key:values[*].data"]
	host, port := parts["domain-name:value"], parts["network-traffic:dst_port"]
	domain, addr := parts["domain-name:value"], parts["domain-name:resolves_to_refs[*].value"]
	switch {
	case len(order) != 2:
		return nil
	case key != "" && data != "":
		return []value{{typ: "regkey|value", value: key + "|" + data}}
	case host != "" && port != "":
		return []value{{typ: "hostname|port", value: host + "|" + port}}
	case domain != "" && addr != "":
		return []value{{typ: "domain|ip", value: domain + "|" + addr}}
	case parts["file:name"] != "":
		for _, path := range order {
			if typ := paths[path]; kindOf(typ).form == hashed && kindOf("filename|"+typ).form == named {
				return []value{{typ: "filename|" + typ, value: parts["file:name"] + "|" + parts[path]}}
			}
		}
	}
	return nil
}

// endOf reads one end of a connection, with or without type and port.
func endOf(parts map[string]string, end string) (v value, ok bool) {
	addr := parts["network-traffic:"+end+"_ref.value"]
	if addr == "" {
		return v, false
	}
	n := 1
	if family, given := parts["network-traffic:"+end+"_ref.type"]; given {
		n++
		if family != addressType(addr) {
			return v, false
		}
	}
	port, given := parts["network-traffic:"+end+"_port"]
	if given {
		n++
	}
	switch {
	case n != len(parts):
		return v, false
	case given:
		return value{typ: "ip-" + end + "|port", value: addr + "|" + port}, true
	}
	return value{typ: "ip-" + end, value: addr}, true
}

// rebuilt returns the value of a type for which this package would write the
// pattern.
func rebuilt(p *pattern.Pattern, typ, name string) (string, bool) {
	o, ok := p.Expr().(*pattern.Observation)
	if !ok {
		return "", false
	}
	k := kindOf(typ)
	v := ""
	switch constants := constantsOf(o.Test); {
	case k.form == named:
		v = name
	case k.form == address && len(constants) > 0:
		v = constants[len(constants)-1]
	case k.form == endpoint && len(constants) == 3:
		v = constants[1] + "|" + constants[2]
	default:
		v = strings.Join(constants, "|")
	}
	return v, sameText(k.pattern(v), p)
}

// sameText reports whether text and p are the same pattern.
func sameText(text string, p *pattern.Pattern) bool {
	if text == "" {
		return false
	}
	q, err := pattern.Parse(text, pattern.Options{})
	return err == nil && q.Expr().String() == p.Expr().String()
}

// constantsOf returns the constants of comparisons by "=", in order; nil when
// there is any other.
func constantsOf(t pattern.Test) []string {
	switch t := t.(type) {
	case *pattern.Comparison:
		if t.Not || len(t.Values) != 1 || t.Op != pattern.Equal && t.Op != pattern.IsSubset {
			return nil
		}
		return []string{t.Values[0].Text}
	case *pattern.Junction:
		var all []string
		for _, term := range t.Terms {
			c := constantsOf(term)
			if c == nil {
				return nil
			}
			all = append(all, c...)
		}
		return all
	}
	return nil
}

// valueOf returns the value of a type that observes as these objects; ids are
// all that are referred to, those missing here too.
func valueOf(typ string, facts []*stix.Object, ids []stix.ID) (string, bool) {
	if len(facts) != len(ids) || len(facts) == 0 {
		return "", false
	}
	k := kindOf(typ)
	v := strings.Join(essence(facts, k), "|")
	made := k.observe(v)
	if len(made) != len(ids) {
		return "", false
	}
	for i, o := range made {
		if o.ID != ids[i] {
			return "", false
		}
	}
	return v, true
}

// essence returns what cyber-observables say, the parts of a composite value in
// MISP's order.
func essence(facts []*stix.Object, k kind) []string {
	var parts []string
	for _, o := range facts {
		switch o.Type {
		case "file":
			name, hash := o.Text("name"), ""
			for _, h := range o.Property("hashes").Members() {
				hash = h.Text()
			}
			parts = append(parts, name, hash)
		case "x509-certificate":
			for _, h := range o.Property("hashes").Members() {
				parts = append(parts, h.Text())
			}
		case "autonomous-system":
			parts = append(parts, string(o.Property("number")))
		case "network-traffic":
			for _, end := range []string{"src_port", "dst_port"} {
				parts = append(parts, string(o.Property(end)))
			}
		case "windows-registry-key":
			parts = append(parts, o.Text("key"))
			for _, v := range o.Property("values").Elements() {
				for name, d := range v.Members() {
					if name == "data" {
						parts = append(parts, d.Text())
					}
				}
			}
		case "email-message":
			_, property, _ := strings.Cut(k.path, ":")
			parts = append(parts, o.Text(property))
		case "mutex":
			parts = append(parts, o.Text("name"))
		default:
			parts = append(parts, o.Text("value"))
		}
	}
	return slices.DeleteFunc(parts, func(s string) bool { return s == "" })
}

// fileValues are the hashes, name, size and media type of a file.
func fileValues(o *stix.Object) []value {
	var all []value
	for name, h := range o.Property("hashes").Members() {
		if typ := paths["file:hashes."+hashName(name)]; typ != "" {
			all = append(all, value{typ: typ, value: h.Text()})
		}
	}
	for _, p := range [][2]string{{"filename", o.Text("name")}, {"size-in-bytes", string(o.Property("size"))}, {"mime-type", o.Text("mime_type")}} {
		if p[1] != "" {
			all = append(all, value{typ: p[0], value: p[1]})
		}
	}
	return all
}

// guess returns the type and value of cyber-observables that MISP has one type
// for, "" when it has none.
func guess(facts []*stix.Object) (typ, v string) {
	var candidates []string
	ids := make([]stix.ID, len(facts))
	for i, o := range facts {
		ids[i] = o.ID
		candidates = append(candidates, byType[o.Type]...)
	}
	for _, typ := range candidates {
		if v, ok := valueOf(typ, facts, ids); ok {
			return typ, v
		}
	}
	if len(facts) == 1 { // ids of others need not be ours
		o := facts[0]
		for _, typ := range candidates {
			v := strings.Join(essence(facts, kindOf(typ)), "|")
			if made := kindOf(typ).observe(v); v != "" && len(made) == 1 && sameID(made[0], o) {
				return typ, v
			}
		}
	}
	return "", ""
}

// sameID reports whether two objects would have one deterministic id.
func sameID(made, o *stix.Object) bool {
	id, err := stix.SCOID(o)
	return err == nil && id == made.ID
}

// byType are the attribute types to try for a cyber-observable, the usual first.
var byType = map[string][]string{
	"file": {"md5", "sha1", "sha256", "sha512", "sha224", "sha384", "sha3-256", "sha3-512", "ssdeep", "tlsh", "filename",
		"filename|md5", "filename|sha1", "filename|sha256", "filename|sha512"},
	"domain-name": {"domain", "domain|ip", "hostname|port"}, "ipv4-addr": {"ip-dst", "ip-dst|port", "ip-src|port"},
	"ipv6-addr": {"ip-dst", "ip-dst|port", "ip-src|port"}, "url": {"url"}, "email-addr": {"email"}, "mac-addr": {"mac-address"},
	"mutex": {"mutex"}, "autonomous-system": {"AS"}, "windows-registry-key": {"regkey", "regkey|value"},
	"email-message":    {"email-subject", "email-body", "email-message-id"},
	"x509-certificate": {"x509-fingerprint-sha256", "x509-fingerprint-sha1", "x509-fingerprint-md5"},
}
