package detect

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/noroshi-cti/noroshi"
)

// MaxValueBytes bounds a list entry and every text the index compares.
const MaxValueBytes = 4096

// ParseValue reads one list entry: domain, address, address:port, CIDR, URL,
// URL part (host/path, or /path on any host), hash or e-mail address, defanged
// forms included (hxxp, [.]); an error says what is wrong with it. A leading
// "*." of a domain is dropped, as an entry meets its subdomains anyway.
func ParseValue(s string) (noroshi.Value, error) {
	s, err := clean(s)
	if err != nil {
		return noroshi.Value{}, err
	}
	switch {
	case strings.Contains(s, "://"):
		return parseURL(s)
	case s[0] == '/':
		return parseURLPart(s)
	case hashKind(len(s)) != "" && isHex(s):
		return noroshi.Value{Kind: hashKind(len(s)), Text: strings.ToLower(s)}, nil
	case strings.Contains(s, "/"):
		if p, err := netip.ParsePrefix(s); err == nil {
			return prefixValue(p), nil
		}
		return parseURLPart(s)
	case strings.Contains(s, "@"):
		return parseEmail(s)
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return addrValue(a, s)
	}
	if strings.Contains(s, ":") {
		return parseAddrPort(s)
	}
	return parseDomain(s)
}

// ParseKindValue reads the fields of a `kind<TAB>value` list line. Kinds are
// those of package noroshi and ipv4-net, ipv6-net, ipv4-port, ipv6-port, sha1,
// sha256, sha512. A url-part may carry http:// or https://, which is dropped; with ftp:// it is a
// URL.
func ParseKindValue(kind, value string) (noroshi.Value, error) {
	s, err := clean(value)
	if err != nil {
		return noroshi.Value{}, err
	}
	switch kind {
	case "domain-name":
		return parseDomain(s)
	case "ipv4-addr", "ipv6-addr":
		a, err := netip.ParseAddr(s)
		if err != nil {
			return noroshi.Value{}, bad("address", "%q is no IP address", s)
		}
		return ofKind(kind, s)(addrValue(a, s))
	case "ipv4-net", "ipv6-net", "ip-net":
		p, err := netip.ParsePrefix(s)
		if err != nil || kind == "ipv4-net" && !p.Addr().Is4() || kind == "ipv6-net" && p.Addr().Is4() {
			return noroshi.Value{}, bad("cidr", "%q is no %s: write address/length", s, kind)
		}
		return prefixValue(p), nil
	case "ipv4-port", "ipv6-port", "ip-port":
		v, err := parseAddrPort(s)
		if err == nil && kind != "ip-port" && strings.Contains(v.Text, ":") != (kind == "ipv6-port") {
			err = bad("kind", "%q is no %s", s, kind)
		}
		return v, err
	case "url":
		return parseURL(s)
	case "url-part":
		if strings.HasPrefix(s, "ftp://") {
			return parseURL(s)
		}
		return parseURLPart(s)
	case "email-addr":
		return parseEmail(s)
	case "md5", "sha-1", "sha-256", "sha-512", "sha1", "sha256", "sha512":
		return parseHash(kind, s)
	}
	return noroshi.Value{}, bad("kind", "kind %q is not known", kind)
}

// ofKind refuses a value that turned out to be of another kind than written.
func ofKind(kind, s string) func(noroshi.Value, error) (noroshi.Value, error) {
	return func(v noroshi.Value, err error) (noroshi.Value, error) {
		if err == nil && string(v.Kind) != kind {
			err = bad("kind", "%q is no %s", s, kind)
		}
		return v, err
	}
}

// bad makes the error of an entry; code is the last part of "value.code".
func bad(code, format string, args ...any) error {
	return noroshi.Errorf(noroshi.Invalid, "value."+code, format, args...)
}

// clean trims and refangs an entry, drops a comment behind it ("# " or " #"
// and what follows), encodes a space in a path, and refuses what no value may
// hold.
func clean(s string) (string, error) {
	for _, mark := range []string{"# ", " #", "\t#"} {
		if i := strings.Index(s, mark); i > 0 {
			s = s[:i]
		}
	}
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return "", bad("empty", "the entry is empty")
	case len(s) > MaxValueBytes:
		return "", bad("too-long", "the entry has more than %d bytes", MaxValueBytes)
	case !utf8.ValidString(s):
		return "", bad("characters", "the entry is not UTF-8")
	}
	if strings.Contains(s, "/") {
		s = strings.ReplaceAll(s, " ", "%20")
	}
	for _, r := range s {
		if r <= ' ' || r == 0x7f || r >= 0x80 && r <= 0xa0 || r == utf8.RuneError || r == 0x2028 || r == 0x2029 {
			return "", bad("characters", "%q holds a space or control character", s)
		}
	}
	if s = refang(s); s == "" {
		return "", bad("empty", "the entry is empty")
	}
	return s, nil
}

// refang undoes the spellings that keep an indicator from being clicked.
func refang(s string) string {
	if len(s) > 5 && (s[0]|0x20 == 'h') && strings.EqualFold(s[1:3], "xx") && s[3]|0x20 == 'p' {
		s = "http" + s[4:]
	} else if len(s) > 4 && strings.EqualFold(s[:4], "fxp:") {
		s = "ftp:" + s[4:]
	}
	if strings.ContainsAny(s, "[({") {
		s = fangs.Replace(s)
	}
	return s
}

var fangs = strings.NewReplacer(
	"[.]", ".", "(.)", ".", "{.}", ".", "[dot]", ".", "(dot)", ".", "[DOT]", ".",
	"[:]", ":", "[://]", "://", "[:]//", "://", "[@]", "@", "[at]", "@", "(at)", "@", "[AT]", "@", "[/]", "/",
)

func addrValue(a netip.Addr, s string) (noroshi.Value, error) {
	if a.Zone() != "" {
		return noroshi.Value{}, bad("address", "%q has a zone, which means nothing to others", s)
	}
	if a = a.Unmap(); a.Is4() {
		return noroshi.Value{Kind: noroshi.IPv4, Text: a.String()}, nil
	}
	return noroshi.Value{Kind: noroshi.IPv6, Text: a.String()}, nil
}

// prefixValue returns a block as CIDR, or as an address when it holds only one.
func prefixValue(p netip.Prefix) noroshi.Value {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if p.IsSingleIP() {
		v, _ := addrValue(p.Addr(), "")
		return v
	}
	return noroshi.Value{Kind: noroshi.CIDR, Text: p.Masked().String()}
}

func parseAddrPort(s string) (noroshi.Value, error) {
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		host, port, found := strings.Cut(s, ":")
		if _, err := netip.ParseAddr(host); err == nil && digits(port) {
			return noroshi.Value{}, bad("port", "%q has a port beyond 65535", s)
		}
		if _, err := parseDomain(host); found && err == nil && digits(port) {
			return noroshi.Value{}, bad("name-port", "%q is a name with a port, which is not armed: give the name, or the URL", s)
		}
		return noroshi.Value{}, bad("address", "%q is no address, address:port or [address]:port", s)
	}
	v, err := addrValue(ap.Addr(), s)
	v.Kind, v.Port = noroshi.AddrPort, ap.Port()
	return v, err
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func hashKind(n int) noroshi.ValueKind {
	switch n {
	case 32:
		return noroshi.MD5
	case 40:
		return noroshi.SHA1
	case 64:
		return noroshi.SHA256
	case 128:
		return noroshi.SHA512
	}
	return ""
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func parseHash(kind, s string) (noroshi.Value, error) {
	k := noroshi.ValueKind(kind)
	if strings.HasPrefix(kind, "sha") && kind[3] != '-' {
		k = noroshi.ValueKind("sha-" + kind[3:])
	}
	if hashKind(len(s)) != k || !isHex(s) {
		return noroshi.Value{}, bad("hash", "%q is no %s in hexadecimal", s, kind)
	}
	return noroshi.Value{Kind: k, Text: strings.ToLower(s)}, nil
}

func parseEmail(s string) (noroshi.Value, error) {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at > 64 || strings.ContainsAny(s[:at], "@<>,;:\"()[]\\") {
		return noroshi.Value{}, bad("email", "%q is no e-mail address", s)
	}
	host, err := normalDomain(s[at+1:])
	if err != nil {
		return noroshi.Value{}, bad("email", "%q is no e-mail address: %w", s, err)
	}
	return noroshi.Value{Kind: noroshi.EmailAddr, Text: strings.ToLower(s[:at]) + "@" + host}, nil
}

func parseDomain(s string) (noroshi.Value, error) {
	d, err := normalDomain(strings.TrimPrefix(s, "*."))
	return noroshi.Value{Kind: noroshi.DomainName, Text: d}, err
}

// portOf reads a port of a URL; "" is none.
func portOf(s string) (uint16, bool) {
	if s == "" {
		return 0, true
	}
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && n > 0 && digits(s)
}
