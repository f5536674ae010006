package ioc

import (
	"fmt"
	"io"
	"iter"
	"strings"
)

// Suricata writes a rules file for Suricata 7.0.3 or newer (the requires
// keyword) and says in Result.Sets which dataset files must stand beside it.
//
// One rule for each domain name makes a sensor slow, so by default names,
// addresses and hashes go into datasets, one for each kind and marking
// (SuricataSet writes one), and a few rules load them; a dataset meets exact
// names only. With Options.Individual names and addresses get rules of their
// own, which meet names below a name too. Networks, address and port, URLs and
// e-mail addresses always get rules of their own; hashes never do.
//
// A URL is looked for in plain HTTP (what is behind TLS shows only to a sensor
// behind a decrypting proxy); an https URL without path, and a bare host, also
// in the server name of TLS.
func Suricata(w io.Writer, entries iter.Seq[Entry], o Options) (Result, error) {
	f := newOut(w, &o)
	f.header("#", "Suricata rules, for version 7.0.3 or newer")
	sets := newSets()
	f.each(entries, func(e *Entry, p *parsed, i int) Reason {
		if kind := setOf(p.kind); kind != nil && (!o.Individual || kind.hash) {
			return sets.add(kind, e)
		}
		list, r := suricataRules(p)
		if r != "" {
			return r
		}
		return f.rules(e, i, p.label(), list)
	})
	f.res.Sets = sets.list()
	for _, s := range f.res.Sets {
		f.setRules(s)
	}
	f.footer("#")
	return f.close()
}

// suricataRules are the rules of a value that is in no dataset.
func suricataRules(p *parsed) ([]rule, Reason) {
	switch p.kind {
	case IPv4, IPv6:
		return []rule{{header: "alert ip any any <> " + p.text + " any"}}, ""
	case CIDR:
		return []rule{{header: "alert ip any any <> " + p.text + " any"}}, ""
	case AddrPort:
		to := fmt.Sprintf(" any any -> %s %d", p.text, p.port)
		return []rule{{header: "alert tcp" + to, match: "flow:to_server; "}, {header: "alert udp" + to}}, ""
	case DomainName:
		return suricataName(p.text), ""
	case URL, URLPart:
		return suricataURL(&p.url)
	case EmailAddr:
		// The address as it stands in MAIL FROM, RCPT TO and header fields.
		c := "<" + p.text + ">"
		if len(c) > maxContent {
			return nil, TooLong
		}
		return []rule{{header: "alert smtp any any -> any any", match: "flow:established,to_server; " + content(c) + "; nocase; "}}, ""
	}
	return nil, NotCarried
}

// suricataName looks for a name and the names below it: dotprefix puts a dot
// before the buffer, so that ".evil.example" at its end is the whole name or a
// parent (user guide "transforms"). http.host is in lower case and takes no
// nocase (user guide "http.host").
func suricataName(name string) []rule {
	c := "dotprefix; " + content("."+name) + "; "
	return []rule{
		{"alert dns any any -> any any", "dns.query; " + c + "nocase; endswith; "},
		{"alert tls any any -> any any", "tls.sni; " + c + "nocase; endswith; "},
		{"alert http any any -> any any", "flow:established,to_server; http.host; " + c + "endswith; "},
	}
}

// suricataURL looks for host and request target.
func suricataURL(u *address) ([]rule, Reason) {
	if u.scheme == "ftp" {
		return nil, NotCarried
	}
	if len(u.host) > maxContent || len(u.path) > maxContent {
		return nil, TooLong
	}
	port := "any"
	if u.port != 0 {
		port = fmt.Sprint(u.port)
	}
	match := "flow:established,to_server; "
	if u.host != "" {
		match += "http.host; " + content(u.host) + "; " + bsize(u.host)
	}
	match += suricataPath(u)
	list := []rule{{"alert http any any -> any " + port, match}}
	if u.scheme != "http" && u.host != "" && strings.Trim(u.path, "/") == "" && u.host[0] != '[' {
		list = append(list, rule{"alert tls any any -> any " + port, "tls.sni; " + content(u.host) + "; nocase; " + bsize(u.host)})
	}
	return list, ""
}

func bsize(s string) string { return fmt.Sprintf("bsize:%d; ", len(s)) }

// boundary is what may follow a URL part that does not itself end in an open
// character: the pattern is ours, relative to the content before it.
const boundary = `pcre:"/^(?:[\/?&]|$)/R"; `

// suricataPath looks for the request target: all of it for a URL, its
// beginning for a URL part.
func suricataPath(u *address) string {
	path, buffer := u.path, targetBuffer(u.path, "http.uri; ", "http.uri.raw; ")
	if u.scheme != "" {
		if path == "" || path[0] == '?' {
			path = "/" + path
		}
		return buffer + content(path) + "; " + bsize(path)
	}
	if path == "" {
		return ""
	}
	match := buffer + content(path) + "; startswith; "
	if strings.ContainsAny(path[len(path)-1:], "/?=&") {
		return match
	}
	return match + boundary
}

// targetBuffer chooses the decoded request target where decoding changes
// nothing, else the one as sent: a value with %20 is never in the decoded one.
func targetBuffer(path, decoded, raw string) string {
	if strings.Contains(path, "//") || strings.Contains(path, "/.") || strings.ContainsFunc(path, func(r rune) bool {
		return !strings.ContainsRune(referenceChars+"~&", r)
	}) {
		return raw
	}
	return decoded
}
