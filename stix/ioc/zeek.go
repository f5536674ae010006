package ioc

import (
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode/utf8"
)

// Zeek writes a file for Intel::read_files (Zeek "Intelligence Framework").
//
// meta.source is node, marking and indicator, for it is all that intel.log
// shows of a hit and the key under which Zeek keeps what it knows of an item;
// meta.desc begins with the marking too. The column meta.marking is there for
// who extends Intel::MetaData; Zeek passes over columns it does not know.
//
// Zeek meets exact names and whole URLs only, of plain HTTP. Networks are
// SUBNET items. Address and port, URL parts and SHA-512 have no type.
func Zeek(w io.Writer, entries iter.Seq[Entry], o Options) (Result, error) {
	f := newOut(w, &o)
	f.header("#", "Zeek intelligence file")
	f.put("#fields\tindicator\tindicator_type\tmeta.source\tmeta.desc\tmeta.url\tmeta.marking\n")
	f.each(entries, func(e *Entry, p *parsed, _ int) Reason {
		text, typ := zeekItem(p)
		if typ == "" {
			return NotCarried
		}
		marking := oneLine(e.Marking, maxMarking)
		f.line(tsv(text), "\tIntel::", typ, "\t", tsv(strings.TrimSpace(o.Node+" ["+marking+"] "+e.ID)), "\t",
			tsv("["+marking+"] "+zeekDesc(e)), "\t", tsv(firstURL(e.References)), "\t", tsv(marking))
		return ""
	})
	f.footer("#")
	return f.close()
}

// zeekItem is the text and the Intel::Type of a value.
func zeekItem(p *parsed) (text, typ string) {
	switch p.kind {
	case IPv4, IPv6:
		return p.text, "ADDR"
	case CIDR:
		return p.text, "SUBNET"
	case DomainName:
		return p.text, "DOMAIN"
	case URL: // "A complete URL without the prefix http://"
		if p.url.scheme == "ftp" {
			return "", ""
		}
		_, rest, _ := strings.Cut(p.text, "://")
		if p.url.path == "" {
			rest += "/"
		}
		return rest, "URL"
	case MD5, SHA1, SHA256:
		return p.text, "FILE_HASH"
	case EmailAddr:
		return p.text, "EMAIL"
	}
	return "", ""
}

// zeekDesc is the name, and the description behind it.
func zeekDesc(e *Entry) string {
	return clip(strings.Trim(e.Name+": "+e.Description, ": "), 500)
}

// firstURL returns the first reference that is a web address.
func firstURL(list []string) string {
	for _, r := range list {
		if strings.HasPrefix(r, "https://") || strings.HasPrefix(r, "http://") {
			return r
		}
	}
	return ""
}

// tsv escapes a field of a Zeek input file. The reader splits lines at line
// feeds and fields at tabs, takes a line that begins with # for a comment and
// the field "-" for unset, then turns \xHH into the byte
// (InputAscii::separator, InputAscii::unset_field; Ascii reader). So control
// bytes, backslashes, bad UTF-8 and a first # or - are written as \xHH.
func tsv(s string) string {
	if s == "" {
		return "-"
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || r < ' ' || r == 0x7f || r == '\\' || i == 0 && (r == '#' || r == '-' || r == '(') {
			fmt.Fprintf(&b, `\x%02x`, s[i])
			i++
			continue
		}
		b.WriteString(s[i : i+n])
		i += n
	}
	return b.String()
}
