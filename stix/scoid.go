package stix

import (
	"fmt"
	"slices"
)

// scoNamespace is the namespace of the deterministic ids of cyber-observable
// objects (STIX 2.1 §2.9): 00abedb4-aa42-466c-9c01-fed23315a9b7.
var scoNamespace = [16]byte{0x00, 0xab, 0xed, 0xb4, 0xaa, 0x42, 0x46, 0x6c, 0x9c, 0x01, 0xfe, 0xd2, 0x33, 0x15, 0xa9, 0xb7}

// contributing names the id contributing properties of each type (STIX 2.1
// §6). A process has none.
var contributing = map[string][]string{
	"artifact":             {"hashes", "payload_bin"},
	"autonomous-system":    {"number"},
	"directory":            {"path"},
	"domain-name":          {"value"},
	"email-addr":           {"value"},
	"email-message":        {"from_ref", "subject", "body"},
	"file":                 {"hashes", "name", "parent_directory_ref", "extensions"},
	"ipv4-addr":            {"value"},
	"ipv6-addr":            {"value"},
	"mac-addr":             {"value"},
	"mutex":                {"name"},
	"network-traffic":      {"start", "end", "src_ref", "dst_ref", "src_port", "dst_port", "protocols", "extensions"},
	"software":             {"name", "cpe", "swid", "vendor", "version"},
	"url":                  {"value"},
	"user-account":         {"account_type", "user_id", "account_login"},
	"windows-registry-key": {"key", "values"},
	"x509-certificate":     {"hashes", "serial_number"},
}

// SCOID returns the deterministic id of a cyber-observable object (STIX 2.1
// §2.9, UUIDv5 over the id contributing properties in canonical form). It does
// not look at the id the object has. Objects of a type without such properties
// (process, whatever is no cyber-observable), and objects that have none of
// them, get random ids and are an error here.
func SCOID(o *Object) (ID, error) {
	names, ok := contributing[o.Type]
	if !ok {
		return "", fmt.Errorf("id of %s: the type has no deterministic ids", o.ID)
	}
	var members []Member
	for name, v := range o.Root().Members() {
		if !slices.Contains(names, name) {
			continue
		}
		if name == "hashes" {
			v = oneHash(v)
		}
		members = append(members, Member{name, v})
	}
	if len(members) == 0 {
		return "", fmt.Errorf("id of %s: none of the properties that make the id is there", o.ID)
	}
	raw, err := appendObject(nil, members)
	if err != nil {
		return "", err
	}
	name, err := Canonical(raw)
	if err != nil {
		return "", fmt.Errorf("id of %s: %w", o.ID, err)
	}
	return DeriveID(o.Type, scoNamespace, string(name)), nil
}

// oneHash leaves of several hashes the one that makes the id: the first of
// MD5, SHA-1, SHA-256, SHA-512, else the first in the order of their names.
func oneHash(v RawValue) RawValue {
	var best string
	var value RawValue
	for name, hash := range v.Members() {
		if value == nil || hashRank(name) < hashRank(best) || hashRank(name) == hashRank(best) && name < best {
			best, value = name, hash
		}
	}
	if value == nil {
		return v
	}
	return append(append(append(appendString(RawValue{'{'}, best), ':'), value...), '}')
}

func hashRank(name string) int {
	order := []string{"MD5", "SHA-1", "SHA-256", "SHA-512"}
	if i := slices.Index(order, name); i >= 0 {
		return i
	}
	return len(order)
}
