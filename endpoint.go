package noroshi

import (
	"net/url"
	"slices"
	"strings"
)

// The kinds of channels, as agreements name them (docs/wire.md, AGREEMENT).
const (
	ChannelHTTPS = "https" // push over TLS
	ChannelMail  = "mail"  // a sealed attachment, or a spool folder a mail system fetches from
	ChannelMedia = "media" // a stick, a disc, a diode
	ChannelLine  = "line"  // serial lines, modems, HF
)

// ChannelKinds are all of them, the least narrow first.
var ChannelKinds = []string{ChannelHTTPS, ChannelMail, ChannelMedia, ChannelLine}

// Bounds of an endpoint.
const (
	maxEndpoint = 512
	maxLineName = 32
	maxMailPart = 64 // local part of an address (RFC 5321 §4.5.3.1.1)
	maxMailHost = 255
)

// EndpointKind returns the kind of channel that reaches an endpoint, "" for
// what is no endpoint. Of an endpoint there is one spelling:
//
//	https://HOST[:PORT][/PATH]  no user, query or fragment
//	mailto:LOCAL@DOMAIN         one address (RFC 6068) of plain ASCII, no header fields
//	line:NAME, media:NAME       what both nodes call a line or a medium they share:
//	                            1 to 32 of a-z, 0-9, "-", not beginning or ending with "-"
func EndpointKind(endpoint string) string {
	scheme, rest, found := strings.Cut(endpoint, ":")
	if !found || len(endpoint) > maxEndpoint {
		return ""
	}
	switch scheme {
	case "https":
		if u, err := url.Parse(endpoint); err == nil && u.Host != "" && u.User == nil && u.RawQuery == "" && !u.ForceQuery &&
			u.Fragment == "" && u.String() == endpoint {
			return ChannelHTTPS
		}
	case "mailto":
		if local, host, _ := strings.Cut(rest, "@"); mailLocal(local) && mailHost(host) {
			return ChannelMail
		}
	case "line":
		if LineName(rest) {
			return ChannelLine
		}
	case "media":
		if LineName(rest) {
			return ChannelMedia
		}
	}
	return ""
}

// LineName reports whether a name may stand in an endpoint line:NAME or
// media:NAME.
func LineName(s string) bool { return len(s) <= maxLineName && ldh(s) }

// ldh reports whether s is made of small letters, digits and hyphens, the
// latter neither first nor last.
func ldh(s string) bool {
	return s != "" && s[0] != '-' && s[len(s)-1] != '-' && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// mailLocal reports whether s is a dot-atom (RFC 5322 §3.2.3) without what a
// URI would have to escape.
func mailLocal(s string) bool {
	const atom = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!$'*+-_~"
	return len(s) <= maxMailPart && !slices.ContainsFunc(strings.Split(s, "."), func(part string) bool {
		return part == "" || strings.Trim(part, atom) != ""
	})
}

// mailHost reports whether s is a domain of at least two labels (RFC 5321
// §2.3.5) in lower case.
func mailHost(s string) bool {
	labels := strings.Split(s, ".")
	return len(s) <= maxMailHost && len(labels) > 1 && !slices.ContainsFunc(labels, func(part string) bool {
		return len(part) > 63 || !ldh(part)
	})
}

// Ways returns the partner's endpoints of one kind of channel, as its card
// lists them.
func (p Partner) Ways(kind string) (list []string) {
	for _, e := range p.Endpoints {
		if EndpointKind(e) == kind {
			list = append(list, e)
		}
	}
	return list
}
