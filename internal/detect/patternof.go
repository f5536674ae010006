package detect

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix/pattern"
)

// PatternOf returns the STIX pattern for a value; Values reads it back.
//
// A URL part becomes a MATCHES over url:value that says exactly what the index
// does: any http or https URL whose host and path begin with the part, on any
// port unless the part names one, and go on at a boundary only (/ ? # & or the
// end), unless the part itself ends in / ? = or &.
func PatternOf(v noroshi.Value) string {
	eq := func(path string) string { return "[" + path + " = " + pattern.Quote(v.Text) + "]" }
	switch v.Kind {
	case noroshi.IPv4:
		return eq("ipv4-addr:value")
	case noroshi.IPv6:
		return eq("ipv6-addr:value")
	case noroshi.DomainName:
		return eq("domain-name:value")
	case noroshi.URL:
		return eq("url:value")
	case noroshi.EmailAddr:
		return eq("email-addr:value")
	case noroshi.MD5:
		return eq("file:hashes.MD5")
	case noroshi.SHA1, noroshi.SHA256, noroshi.SHA512:
		return eq("file:hashes." + pattern.Quote(strings.ToUpper(string(v.Kind))))
	case noroshi.CIDR:
		return "[" + family(v.Text) + ":value ISSUBSET " + pattern.Quote(v.Text) + "]"
	case noroshi.AddrPort:
		return fmt.Sprintf("[network-traffic:dst_ref.type = '%s' AND network-traffic:dst_ref.value = %s AND network-traffic:dst_port = %d]",
			family(v.Text), pattern.Quote(v.Text), v.Port)
	case noroshi.URLPart:
		return "[url:value MATCHES " + pattern.Quote(partExpression(v.Text)) + "]"
	}
	return ""
}

// family is the STIX type of an address or block.
func family(text string) string {
	if strings.Contains(text, ":") {
		return "ipv6-addr"
	}
	return "ipv4-addr"
}

// The pieces of a URL part's expression.
const (
	anyScheme = `^https?://`
	anyHost   = `[^/?#]+`
	anyPort   = `(:[0-9]+)?`
	boundary  = `([/?#&]|$)`
)

// partExpression returns the regular expression of a URL part.
func partExpression(text string) string {
	u := splitText(text)
	e := anyScheme
	switch {
	case u.host == "":
		e += anyHost
	case u.port == 0:
		e += regexp.QuoteMeta(u.host) + anyPort
	default:
		e += regexp.QuoteMeta(u.host + ":" + strconv.Itoa(int(u.port)))
	}
	e += regexp.QuoteMeta(u.path)
	if !opensAtEnd(text) {
		e += boundary
	}
	return e
}

// opensAtEnd reports whether a URL part ends in a character after which
// anything may follow.
func opensAtEnd(text string) bool {
	return strings.HasSuffix(text, "/") || strings.HasSuffix(text, "?") ||
		strings.HasSuffix(text, "=") || strings.HasSuffix(text, "&")
}

// partOf reads partExpression back; ok only if it is exactly such a one.
func partOf(expression string) (v noroshi.Value, ok bool) {
	e, found := strings.CutPrefix(expression, anyScheme)
	if !found {
		return v, false
	}
	e = strings.TrimSuffix(e, boundary)
	if path, found := strings.CutPrefix(e, anyHost); found {
		e = path
	} else if host, path, found := strings.Cut(e, anyPort); found {
		e = host + path
	}
	v, err := parseURLPart(unquoteMeta(e))
	return v, err == nil && partExpression(v.Text) == expression
}

// unquoteMeta undoes regexp.QuoteMeta.
func unquoteMeta(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
