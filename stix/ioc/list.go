package ioc

import (
	"fmt"
	"io"
	"iter"
	"net/netip"
)

// Hosts writes a hosts file that points every name at Options.Sinkhole. A hosts
// file knows no names below a name.
func Hosts(w io.Writer, entries iter.Seq[Entry], o Options) (Result, error) {
	if o.Sinkhole == "" {
		o.Sinkhole = "0.0.0.0"
	}
	to, err := netip.ParseAddr(o.Sinkhole)
	if err != nil || to.Zone() != "" {
		return Result{}, fmt.Errorf("hosts file: %q is no address to point names at", o.Sinkhole)
	}
	f := newOut(w, &o)
	f.header("#", "hosts file")
	f.each(entries, func(e *Entry, p *parsed, _ int) Reason {
		switch {
		case p.kind != DomainName:
			return NotCarried
		case special(p.text):
			return Reserved
		case !inDNS(p.text):
			return NotAName
		}
		f.marked("#", e)
		f.line(to.String(), " ", p.text)
		return ""
	})
	f.footer("#")
	return f.close()
}

// Domains writes one name a line.
func Domains(w io.Writer, entries iter.Seq[Entry], o Options) (Result, error) {
	return list(w, entries, o, "domain names", DomainName)
}

// Addresses writes one address or network a line.
func Addresses(w io.Writer, entries iter.Seq[Entry], o Options) (Result, error) {
	return list(w, entries, o, "addresses and networks", IPv4, IPv6, CIDR)
}

// URLs writes one URL a line; a URL part stands without scheme.
func URLs(w io.Writer, entries iter.Seq[Entry], o Options) (Result, error) {
	return list(w, entries, o, "URLs", URL, URLPart)
}

// Hashes writes one hash in hexadecimal a line; the length tells the algorithm.
func Hashes(w io.Writer, entries iter.Seq[Entry], o Options) (Result, error) {
	return list(w, entries, o, "file hashes", MD5, SHA1, SHA256, SHA512)
}

// Emails writes one e-mail address a line.
func Emails(w io.Writer, entries iter.Seq[Entry], o Options) (Result, error) {
	return list(w, entries, o, "e-mail addresses", EmailAddr)
}

// list writes the values of some kinds, with # for comments. None of the kinds
// has a text that holds a space; the one that may begin with # (the mailbox of
// an e-mail address, RFC 5322 §3.2.3) would be a comment and is left out.
func list(w io.Writer, entries iter.Seq[Entry], o Options, what string, kinds ...Kind) (Result, error) {
	f := newOut(w, &o)
	f.header("#", "list of "+what)
	f.each(entries, func(e *Entry, p *parsed, _ int) Reason {
		for _, k := range kinds {
			if p.kind == k && p.text[0] != '#' {
				f.marked("#", e)
				f.line(p.text)
				return ""
			}
		}
		return NotCarried
	})
	f.footer("#")
	return f.close()
}
