package ioc

import (
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// maxValue bounds every value, as noroshi bounds what it matches.
const maxValue = 4096

// parsed is a value that is what its kind says.
type parsed struct {
	kind Kind
	text string       // normal form
	addr netip.Addr   // IPv4, IPv6, AddrPort
	net  netip.Prefix // CIDR
	port uint16       // AddrPort
	url  address      // URL, URLPart
}

// label is the value as people write it.
func (p *parsed) label() string {
	if p.kind == AddrPort {
		return netip.AddrPortFrom(p.addr, p.port).String()
	}
	return p.text
}

// address is a URL in parts. path is empty or begins with "/" or "?".
type address struct {
	scheme string // "" in a URL part
	host   string // "" in a URL part that names any host; IPv6 in brackets
	port   uint16 // 0 when not written
	path   string
}

// parse reads a value; the reason is empty when it is good.
func parse(v Value) (p parsed, r Reason) {
	p = parsed{kind: v.Kind, text: v.Text, port: v.Port}
	if v.Text == "" || len(v.Text) > maxValue {
		return p, NotValid
	}
	ok := false
	switch v.Kind {
	case IPv4, IPv6, AddrPort:
		ok = p.parseAddr()
	case CIDR:
		ok = p.parseNet()
	case DomainName:
		p.text, ok = domain(v.Text)
	case URL, URLPart:
		ok = p.parseURL()
	case MD5, SHA1, SHA256, SHA512:
		p.text = strings.ToLower(v.Text)
		ok = len(p.text) == hashLen[v.Kind] && strings.Trim(p.text, "0123456789abcdef") == ""
	case EmailAddr:
		ok = p.parseEmail()
	default:
		return p, NotCarried
	}
	if !ok {
		return p, NotValid
	}
	return p, ""
}

var hashLen = map[Kind]int{MD5: 32, SHA1: 40, SHA256: 64, SHA512: 128}

func (p *parsed) parseAddr() bool {
	a, err := netip.ParseAddr(p.text)
	if err != nil || a.Zone() != "" {
		return false
	}
	p.addr = a.Unmap()
	p.text = p.addr.String()
	switch p.kind {
	case IPv4:
		return p.addr.Is4()
	case IPv6:
		return p.addr.Is6()
	}
	return p.port != 0
}

func (p *parsed) parseNet() bool {
	n, err := netip.ParsePrefix(p.text)
	if err != nil || n.Addr().Is4In6() {
		return false
	}
	p.net = n.Masked()
	p.text = p.net.String()
	return true
}

func (p *parsed) parseEmail() bool {
	local, host, found := cutLast(p.text, '@')
	if !found || local == "" || len(local) > 64 || !graphic(local) || strings.ContainsAny(local, "@<>,;:\"()[]\\") {
		return false
	}
	d, ok := domain(host)
	p.text = local + "@" + d
	return ok
}

// cutLast cuts s around the last c.
func cutLast(s string, c byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, c); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

// parseURL reads the normal form of a URL or a URL part.
func (p *parsed) parseURL() bool {
	s := p.text
	if !graphic(s) || strings.IndexByte(s, '#') >= 0 {
		return false
	}
	if p.kind == URL {
		var found bool
		p.url.scheme, s, found = strings.Cut(s, "://")
		if !found || p.url.scheme != "http" && p.url.scheme != "https" && p.url.scheme != "ftp" {
			return false
		}
	}
	end := strings.IndexAny(s, "/?")
	if end < 0 {
		end = len(s)
	}
	p.url.path = s[end:]
	if end == 0 {
		return p.kind == URLPart && len(s) > 1 && s[0] == '/'
	}
	return p.url.authority(s[:end])
}

// authority reads host and port.
func (u *address) authority(s string) bool {
	u.host = s
	if host, port, found := cutLast(s, ':'); found && !strings.HasSuffix(s, "]") {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return false
		}
		u.host, u.port = host, uint16(n)
	}
	if inner, found := strings.CutPrefix(u.host, "["); found {
		a, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return err == nil && a.Is6() && a.Zone() == "" && strings.HasSuffix(inner, "]")
	}
	if a, err := netip.ParseAddr(u.host); err == nil {
		return a.Is4()
	}
	d, ok := domain(u.host)
	return ok && d == u.host
}

// toASCII maps a name with U-labels to A-labels (RFC 5891) as a resolver would.
var toASCII = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false))

// domain returns a name of two labels at least, of letters, digits, hyphen and
// underscore. Long labels, which occur in real lists, pass here.
func domain(s string) (string, bool) {
	d := strings.TrimSuffix(s, ".")
	if !ascii(d) {
		a, err := toASCII.ToASCII(d)
		if err != nil {
			return "", false
		}
		d = a
	}
	d = strings.ToLower(d)
	if len(d) > 253 || !strings.Contains(d, ".") || strings.Trim(d, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
		return "", false
	}
	letter := false
	for label := range strings.SplitSeq(d, ".") {
		if label == "" || strings.ContainsFunc(label, func(r rune) bool { return !nameChar(r) }) {
			return "", false
		}
		letter = letter || strings.ContainsFunc(label, func(r rune) bool { return r >= 'a' && r <= 'z' })
	}
	return d, letter
}

func nameChar(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_'
}

// inDNS reports whether every label fits the DNS (RFC 1035 §2.3.4).
func inDNS(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if len(label) > 63 {
			return false
		}
	}
	return true
}

// special reports whether a name has a meaning of its own on every machine
// (RFC 6761, RFC 6762, and the lines every hosts file has).
func special(name string) bool {
	_, top, _ := cutLast(name, '.')
	switch top {
	case "localhost", "localdomain", "local", "arpa", "rpz-ip", "rpz-nsip", "rpz-client-ip",
		"rpz-nsdname", "rpz-passthru", "rpz-drop", "rpz-tcp-only":
		return true
	}
	return false
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// graphic reports whether s is visible ASCII without spaces.
func graphic(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
