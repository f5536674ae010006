package ioc

import (
	"io"
	"iter"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// csvColumns of CSV, in order.
var csvColumns = []string{"value", "kind", "port", "indicator", "name", "description", "marking",
	"confidence", "modified", "valid_until", "techniques", "references"}

// CSV writes RFC 4180: a header line, then a line for each value, every field in
// quotes, lines ended by CR LF. The format has no comments, so node and time are
// not in it; every line has its marking in a column.
//
// A spreadsheet takes a cell that begins with = + - @ (or their full-width
// forms, or a tab or line break before them) for a formula; such a cell gets an
// apostrophe before it, which spreadsheets do not show.
func CSV(w io.Writer, entries iter.Seq[Entry], o Options) (Result, error) {
	f := newOut(w, &o)
	f.record(csvColumns...)
	f.each(entries, func(e *Entry, p *parsed, _ int) Reason {
		port, until := "", ""
		if p.kind == AddrPort {
			port = strconv.Itoa(int(p.port))
		}
		if !e.ValidUntil.IsZero() {
			until = stamp(e.ValidUntil)
		}
		f.record(p.text, string(p.kind), port, e.ID, e.Name, e.Description, oneLine(e.Marking, maxMarking),
			strconv.Itoa(e.Confidence), stamp(e.Modified), until, strings.Join(e.Techniques, " "), strings.Join(e.References, " "))
		f.res.Lines++
		return ""
	})
	return f.close()
}

func (f *out) record(fields ...string) {
	for i, s := range fields {
		if i > 0 {
			f.put(",")
		}
		f.put(`"`, strings.ReplaceAll(cell(s), `"`, `""`), `"`)
	}
	f.put("\r\n")
}

// cell makes text safe for a cell: line breaks become LF, other control
// characters U+FFFD (RFC 4180 §2, TEXTDATA), and no formula begins.
func cell(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\r':
			return '\n'
		case r != '\n' && r != '\t' && breaks(r):
			return '\uFFFD'
		}
		return r
	}, s)
	first, _ := utf8.DecodeRuneInString(strings.TrimLeftFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r == '\uFFFD' }))
	if strings.ContainsRune("=+-@＝＋－＠", first) || s != "" && (s[0] == '\t' || s[0] == '\n') {
		return "'" + s
	}
	return s
}
