package detect

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/noroshi-cti/noroshi"
)

// Normal form of URLs: scheme and host in lower case, the host an address or a
// name in A-labels, the scheme's own port, user and fragment left out (no
// request shows them), bytes beyond ASCII percent-encoded, path and query as
// written.

// urlText is a URL in parts. path begins with "/" or "?" or is empty.
type urlText struct {
	scheme string // "" in a URL part
	host   string // "" in a URL part that names any host
	port   uint16 // 0 when not written
	path   string
}

func (u urlText) String() string {
	s := u.host
	if u.port != 0 {
		s += ":" + strconv.Itoa(int(u.port))
	}
	s += u.path
	if u.scheme != "" {
		s = u.scheme + "://" + s
	}
	return s
}

func parseURL(s string) (noroshi.Value, error) {
	scheme, rest, found := strings.Cut(s, "://")
	scheme = strings.ToLower(scheme)
	if !found || scheme != "http" && scheme != "https" && scheme != "ftp" {
		return noroshi.Value{}, bad("url", "%q is no http, https or ftp URL", s)
	}
	u, err := splitHost(s, rest)
	if err != nil {
		return noroshi.Value{}, err
	}
	u.scheme = scheme
	if scheme == "http" && u.port == 80 || scheme == "https" && u.port == 443 || scheme == "ftp" && u.port == 21 {
		u.port = 0
	}
	return textValue(noroshi.URL, u.String())
}

// parseURLPart reads host/path, host or /path; a scheme is dropped.
func parseURLPart(s string) (noroshi.Value, error) {
	rest := s
	if i := strings.Index(s, "://"); i == 4 && strings.EqualFold(s[:i], "http") || i == 5 && strings.EqualFold(s[:i], "https") {
		rest = s[i+3:]
	}
	if rest[0:min(1, len(rest))] == "/" {
		path := normalPath(rest)
		if strings.Trim(path, "/") == "" {
			return noroshi.Value{}, bad("url", "%q names every URL", s)
		}
		return textValue(noroshi.URLPart, path)
	}
	u, err := splitHost(s, rest)
	if err != nil {
		return noroshi.Value{}, err
	}
	return textValue(noroshi.URLPart, u.String())
}

// textValue refuses what encoding made longer than any comparison reads.
func textValue(k noroshi.ValueKind, s string) (noroshi.Value, error) {
	if len(s) > MaxValueBytes {
		return noroshi.Value{}, bad("too-long", "the entry has more than %d bytes", MaxValueBytes)
	}
	return noroshi.Value{Kind: k, Text: s}, nil
}

// splitHost reads what stands after the scheme; whole is for messages.
func splitHost(whole, s string) (urlText, error) {
	end := strings.IndexAny(s, "/?#")
	if end < 0 {
		end = len(s)
	}
	authority, u := s[:end], urlText{path: normalPath(s[end:])}
	authority = authority[strings.LastIndexByte(authority, '@')+1:]
	host, port := authority, ""
	if i := strings.LastIndexByte(authority, ':'); i >= 0 && !strings.HasSuffix(authority, "]") {
		host, port = authority[:i], authority[i+1:]
	}
	var ok bool
	if u.port, ok = portOf(port); !ok {
		return u, bad("port", "%q has a wrong port", whole)
	}
	var err error
	u.host, err = urlHost(host)
	if err != nil {
		return u, bad("url", "%q has no usable host: %w", whole, err)
	}
	return u, nil
}

func urlHost(s string) (string, error) {
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		a, err := netip.ParseAddr(s[1 : len(s)-1])
		if err != nil || !a.Is6() || a.Zone() != "" {
			return "", bad("address", "%q is no IPv6 address", s)
		}
		return "[" + a.String() + "]", nil
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Is4() {
		return a.String(), nil
	}
	return normalDomain(s)
}

// normalPath drops the fragment and encodes bytes beyond ASCII.
func normalPath(s string) string {
	if i := strings.IndexByte(s, '#'); i >= 0 {
		s = s[:i]
	}
	if ascii(s) {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if s[i] < 0x80 {
			b.WriteByte(s[i])
			continue
		}
		const upper = "0123456789ABCDEF"
		b.Write([]byte{'%', upper[s[i]>>4], upper[s[i]&15]})
	}
	return b.String()
}

// splitText parts the normal text of a URL or a URL part again.
func splitText(s string) urlText {
	var u urlText
	if scheme, rest, found := strings.Cut(s, "://"); found && (scheme == "http" || scheme == "https" || scheme == "ftp") {
		u.scheme, s = scheme, rest
	}
	end := strings.IndexAny(s, "/?")
	if end < 0 {
		end = len(s)
	}
	u.host, u.path = s[:end], s[end:]
	if i := strings.LastIndexByte(u.host, ':'); i >= 0 && !strings.HasSuffix(u.host, "]") {
		u.port, _ = portOf(u.host[i+1:])
		u.host = u.host[:i]
	}
	return u
}
