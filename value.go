package noroshi

import "strconv"

// ValueKind says what an indicator's value is.
type ValueKind string

// The kinds of values noroshi indexes and matches. Text forms are normal:
// addresses as net/netip prints them, CIDR masked, domains in lower-case
// A-label form without trailing dot, hashes in lower-case hexadecimal.
const (
	IPv4       ValueKind = "ipv4-addr"
	IPv6       ValueKind = "ipv6-addr"
	CIDR       ValueKind = "ip-net"
	AddrPort   ValueKind = "ip-port" // Text is the address, Port the port
	DomainName ValueKind = "domain-name"
	URL        ValueKind = "url"
	URLPart    ValueKind = "url-part" // host and path without scheme; meets every URL that begins with it
	MD5        ValueKind = "md5"
	SHA1       ValueKind = "sha-1"
	SHA256     ValueKind = "sha-256"
	SHA512     ValueKind = "sha-512"
	EmailAddr  ValueKind = "email-addr"
)

// Value is one thing an indicator names and an event may carry.
type Value struct {
	Kind ValueKind `json:"kind"`
	Text string    `json:"value"`
	Port uint16    `json:"port,omitempty"` // AddrPort only
}

// String returns the text, with the port where there is one.
func (v Value) String() string {
	if v.Kind != AddrPort {
		return v.Text
	}
	p := strconv.Itoa(int(v.Port))
	for _, c := range v.Text {
		if c == ':' {
			return "[" + v.Text + "]:" + p
		}
	}
	return v.Text + ":" + p
}
