package misp

import (
	"strings"

	"github.com/noroshi-cti/noroshi/stix"
)

// observe returns the cyber-observables a value is, with the ids STIX gives them
// (§2.9); nil when it is none, or no good one.
func (k kind) observe(value string) []*stix.Object {
	first, second, _ := cutLast(value)
	switch k.form {
	case single:
		return k.observeSingle(value)
	case whole:
		if n, ok := wholeNumber(k, value); ok && k.path == "autonomous-system:number" {
			return all(observable("autonomous-system", stix.Member{Name: "number", Value: stix.RawValue(n)}))
		}
	case hashed:
		return all(observable("file", hashMember(k.path, value)))
	case named:
		if second != "" {
			return all(observable("file", hashMember(k.path, second), stix.Member{Name: "name", Value: first}))
		}
	case certified:
		return all(observable("x509-certificate", hashMember(k.path, value)))
	case address:
		return all(valued(addressType(value), value))
	case endpoint:
		if port, ok := portNumber(second); ok && !strings.Contains(first, "/") {
			return traffic(k.path, valued(addressType(first), first), port)
		}
	case hostPort:
		if port, ok := portNumber(second); ok {
			return traffic(k.path, valued("domain-name", first), port)
		}
	case resolved:
		return all(valued("domain-name", first), valued(addressType(second), second))
	case registry:
		return all(observable("windows-registry-key", stix.Member{Name: "key", Value: fullKey(value)}))
	case regValue:
		key, data, _ := strings.Cut(value, "|")
		return all(observable("windows-registry-key", stix.Member{Name: "key", Value: fullKey(key)},
			stix.Member{Name: "values", Value: []any{[]stix.Member{{Name: "data", Value: data}}}}))
	}
	return nil
}

func (k kind) observeSingle(value string) []*stix.Object {
	typ, property, _ := strings.Cut(k.path, ":")
	switch {
	case k.path == "email-message:from_ref.value" || k.path == "email-message:to_refs[*].value":
		return all(valued("email-addr", value))
	case k.path == kinds["email-attachment"].path:
		return all(observable("file", stix.Member{Name: "name", Value: value}))
	case strings.ContainsAny(property, ".[") || typ == "software":
		return nil
	case typ == "mac-addr":
		return all(valued(typ, strings.ToLower(strings.ReplaceAll(value, "-", ":"))))
	case typ == "email-message":
		return all(observable(typ, stix.Member{Name: "is_multipart", Value: false}, stix.Member{Name: property, Value: value}))
	}
	return all(observable(typ, stix.Member{Name: property, Value: value}))
}

func valued(typ, value string) *stix.Object {
	return observable(typ, stix.Member{Name: "value", Value: value})
}

func hashMember(algorithm, hash string) stix.Member {
	return stix.Member{Name: "hashes", Value: []stix.Member{{Name: algorithm, Value: hash}}}
}

// traffic is a connection of which one end is known; what it carried is not.
func traffic(end string, peer *stix.Object, port string) []*stix.Object {
	if peer == nil {
		return nil
	}
	return all(peer, observable("network-traffic", stix.Member{Name: end + "_ref", Value: peer.ID},
		stix.Member{Name: end + "_port", Value: stix.RawValue(port)}, stix.Member{Name: "protocols", Value: []string{"ip"}}))
}

// all returns the objects when there is none missing.
func all(objects ...*stix.Object) []*stix.Object {
	for _, o := range objects {
		if o == nil {
			return nil
		}
	}
	return objects
}

// observable makes a cyber-observable with its deterministic id, nil when it
// would be no good STIX.
func observable(typ string, members ...stix.Member) *stix.Object {
	if typ == "" {
		return nil
	}
	with := func(id stix.ID) *stix.Object {
		o, err := stix.Make(append([]stix.Member{{Name: "type", Value: typ}, {Name: "spec_version", Value: "2.1"}, {Name: "id", Value: id}}, members...)...)
		if err != nil {
			return nil
		}
		return o
	}
	o := with(derive(typ, "draft"))
	if o == nil || len(stix.Validate(o)) > 0 {
		return nil
	}
	id, err := stix.SCOID(o)
	if err != nil {
		// A message known by its Message-ID alone: STIX makes no id of that.
		id = derive(typ, string(o.Bytes()))
	}
	return with(id)
}

// space is the namespace of the ids made here.
var space = [16]byte{0x3f, 0x0c, 0x92, 0x5e, 0x61, 0x7d, 0x4b, 0x0a, 0x9e, 0x53, 0x7c, 0x1d, 0x24, 0xb6, 0x08, 0xaf}

// derive makes an id of what must be equal for it to be the same.
func derive(typ string, parts ...string) stix.ID {
	return stix.DeriveID(typ, space, strings.Join(parts, "\x00"))
}
