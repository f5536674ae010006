package ioc

import (
	"fmt"
	"io"
	"iter"
	"strings"
)

// Snort writes rules for Snort 3: one or more for each value. Names are looked
// for in DNS questions on the wire, in the server name of TLS and in the Host
// field of HTTP, names below a name too but in TLS; hashes have no place in a
// rule.
func Snort(w io.Writer, entries iter.Seq[Entry], o Options) (Result, error) {
	f := newOut(w, &o)
	f.header("#", "Snort 3 rules")
	f.each(entries, func(e *Entry, p *parsed, i int) Reason {
		list, r := snortRules(p)
		if r != "" {
			return r
		}
		return f.rules(e, i, p.label(), list)
	})
	f.footer("#")
	return f.close()
}

// snortRules are the rules of a value. A service rule header is the service
// alone (Snort 3 rule writing guide, "Service Rules").
func snortRules(p *parsed) ([]rule, Reason) {
	switch p.kind {
	case IPv4, IPv6, CIDR:
		return []rule{{header: "alert ip any any <> " + p.text + " any"}}, ""
	case AddrPort:
		to := fmt.Sprintf(" any any -> %s %d", p.text, p.port)
		return []rule{{header: "alert tcp" + to, match: "flow:to_server; "}, {header: "alert udp" + to}}, ""
	case DomainName:
		return snortName(p.text)
	case URL, URLPart:
		return snortURL(&p.url)
	case EmailAddr:
		c := "<" + p.text + ">"
		if len(c) > maxContent {
			return nil, TooLong
		}
		return []rule{{"alert smtp", "flow:to_server,established; " + content(c) + ",nocase; "}}, ""
	}
	return nil, NotCarried
}

func snortName(name string) ([]rule, Reason) {
	if !inDNS(name) {
		return nil, NotAName
	}
	return []rule{
		{"alert udp any any -> any 53", content(wire(name)) + ",nocase,fast_pattern; "},
		snortSNI(name),
		{"alert http", "flow:to_server,established; http_header:field host; " + content(name) + ",nocase,fast_pattern; " +
			`pcre:"/(?:^|\.)` + strings.ReplaceAll(name, ".", `\.`) + `(?:\x3a[0-9]+)?$/i"; `},
	}, ""
}

// wire is a name as it stands in a DNS message (RFC 1035 §4.1.2), its last part
// when the name asked for is longer.
func wire(name string) string {
	var b strings.Builder
	for label := range strings.SplitSeq(name, ".") {
		b.WriteByte(byte(len(label)))
		b.WriteString(label)
	}
	b.WriteByte(0)
	return b.String()
}

// snortSNI looks for the server_name extension of a TLS ClientHello (RFC 6066
// §3): type host_name, length, name.
func snortSNI(name string) rule {
	n := len(name)
	return rule{"alert tcp any any -> any any", "flow:to_server,established; " + content("\x16\x03") + ",depth 2; " +
		content(string([]byte{0, byte(n >> 8), byte(n)})+name) + ",nocase,fast_pattern; "}
}

// snortURL looks for host and request target.
func snortURL(u *address) ([]rule, Reason) {
	if u.scheme == "ftp" {
		return nil, NotCarried
	}
	if len(u.host) > maxContent || len(u.path) > maxContent {
		return nil, TooLong
	}
	match := "flow:to_server,established; "
	if u.host != "" {
		match += "http_header:field host; " + snortHost(u)
	}
	match += snortPath(u)
	list := []rule{{"alert http", match}}
	if u.scheme != "http" && u.host != "" && strings.Trim(u.path, "/") == "" && u.host[0] != '[' {
		list = append(list, snortSNI(u.host))
	}
	return list, ""
}

// snortHost wants the Host field to be the host; the field holds the port when
// it is not the service's own.
func snortHost(u *address) string {
	if u.port != 0 {
		host := fmt.Sprintf("%s:%d", u.host, u.port)
		return content(host) + fmt.Sprintf(",nocase; bufferlen:%d; ", len(host))
	}
	if u.scheme != "" {
		return content(u.host) + fmt.Sprintf(",nocase; bufferlen:%d; ", len(u.host))
	}
	return content(u.host) + ",nocase,offset 0,depth " + fmt.Sprint(len(u.host)) + `; pcre:"/^(?:\x3a[0-9]+)?$/R"; `
}

// snortPath looks for the request target: all of it for a URL, its beginning
// for a URL part.
func snortPath(u *address) string {
	path, buffer := u.path, targetBuffer(u.path, "http_uri; ", "http_raw_uri; ")
	if u.scheme != "" {
		if path == "" || path[0] == '?' {
			path = "/" + path
		}
		return buffer + content(path) + fmt.Sprintf("; bufferlen:%d; ", len(path))
	}
	if path == "" {
		return ""
	}
	match := buffer + content(path) + fmt.Sprintf(",offset 0,depth %d; ", len(path))
	if strings.ContainsAny(path[len(path)-1:], "/?=&") {
		return match
	}
	return match + boundary
}
