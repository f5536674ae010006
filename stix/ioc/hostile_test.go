package ioc_test

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/noroshi-cti/noroshi/stix/ioc"
)

// hostile is text that means something to a format, or breaks lines.
var hostile = []string{
	"", "x", `"`, `\`, `\\`, `\"`, `";`, `\";`, "; sid:1; rev:1;)", `";) alert ip any any -> any any (msg:"x"; sid:1;)`,
	"a\nalert ip any any -> any any (sid:7;)", "\r\nalert tcp any any", "|41 41|", "a|b", "|", ":", "#", "# comment", "$INCLUDE /etc/passwd", "$ORIGIN .",
	"a;b", "a ; b", "(", ")", "(a\nb)", "@", "*", "a\tb", "\tIntel::ADDR\tx", "-", "(empty)", `\x41`, `\x0a`, "=1+1", "+1", "-1", "@SUM(A1)",
	"\t=1", "\r=1", "\n=1", "＝1", " =1", `","`, `""`, "'", "''", "- a", "a: b", "a: b\nlevel: critical", "---\ntitle: x", "...", "{a: b}", "[a]", "!tag", "&a", "*a",
	"%YAML 1.2", "|\n  x", ">", "? x", "true", "null", "~", "1e3", "0x10", "2026-11-28", "a?b*c", `C:\*`, `\*`, `\\?`,
	"\x00", "a\x00b", "\x1b[31m", "\x7f", "\u0085", "\u009b", "\u2028x", "\u2029", "\u202egnp.exe", "\u2066", "\ufeff", "\ufffe", "\uffff", "\U0010ffff", "\xff\xfe", "a\xc3", "日本語", "…", "é\u0301",
	"a\\x41\nb\\", "\"\n\\\"",
	"</script>", "{{.}}", "rpz-drop", "a.rpz-ip", "*.example", "$TTL 1", "\"};", strings.Repeat("長い", 700), strings.Repeat("\\", 999),
}

// before and after stand around the hostile entry: what swallows or changes a
// neighbour shows.
var (
	before = ioc.Entry{ID: "indicator--a", Name: "before", Marking: "TLP:GREEN", Modified: made, SID: 11, SIDs: 99, Techniques: []string{"T1001"}}
	after  = ioc.Entry{ID: "indicator--z", Name: "after", Marking: "TLP:RED", Modified: made, SID: 911, SIDs: 99, Techniques: []string{"T1002"}}
)

var kinds = []ioc.Kind{ioc.IPv4, ioc.IPv6, ioc.CIDR, ioc.AddrPort, ioc.DomainName, ioc.URL, ioc.URLPart,
	ioc.MD5, ioc.SHA1, ioc.SHA256, ioc.SHA512, ioc.EmailAddr}

// trio puts a hostile entry between two whose value the format carries.
func trio(h ioc.Entry, a, b ioc.Value) []ioc.Entry {
	first, last := before, after
	first.Values, last.Values = []ioc.Value{a}, []ioc.Value{b}
	h.Modified, h.SID, h.SIDs = made, 500, 99
	return []ioc.Entry{first, h, last}
}

// fuzz runs check on every hostile text in every field, and then on what the
// fuzzer makes of them.
func fuzz(f *testing.F, check func(t *testing.T, h ioc.Entry)) {
	for i, s := range hostile {
		other := hostile[(i*7+3)%len(hostile)]
		f.Add(byte(i), s, s, s, s, s, s)
		f.Add(byte(4), "a.example", s, other, s, s, s)
		f.Add(byte(5), "https://a.example/", other, s, other, other, s)
		f.Add(byte(4), "a.example"+s, s, other, "TLP:AMBER", "https://example.org/"+s, other)
		f.Add(byte(5), "http://a.example/"+s, other, s, "M"+s, other, s)
		f.Add(byte(6), "a.example/p"+s, s, s, s+"M", s, s)
		f.Add(byte(11), s+"@a.example", s, s, "TLP:AMBER", s, s)
	}
	f.Fuzz(func(t *testing.T, kind byte, value, name, description, marking, reference, id string) {
		k := kinds[int(kind)%len(kinds)]
		check(t, ioc.Entry{ID: id, Name: name, Description: description, Marking: marking, References: []string{reference},
			Techniques: []string{value, "T1059"}, Values: []ioc.Value{{Kind: k, Text: value, Port: 443}}})
	})
}

// sameText wants shown to be the text, or its beginning: letters and digits in
// their order, nothing that breaks a line or turns it around.
func sameText(t *testing.T, what, shown, text string) {
	t.Helper()
	if i := strings.IndexFunc(shown, dangerous); i >= 0 {
		t.Fatalf("%s: %q holds a character that breaks lines at %d", what, shown, i)
	}
	got, want := skeleton(shown), skeleton(text)
	if got != want && !(strings.HasSuffix(shown, "…") && strings.HasPrefix(want, got)) {
		t.Fatalf("%s: %q does not say %q", what, shown, text)
	}
}

func dangerous(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

func skeleton(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, s)
}

// lone is what one entry alone makes of a format, without comments.
func lone(t *testing.T, format string, e ioc.Entry, comment string) []string {
	text, _ := write(t, format, []ioc.Entry{e}, options())
	return bare(text, comment)
}

// bare drops comment lines and, of a zone, the lines every file begins with.
func bare(text, comment string) []string {
	return slices.DeleteFunc(strings.Split(strings.TrimSuffix(text, "\n"), "\n"), func(l string) bool {
		return strings.HasPrefix(l, comment) || comment == ";" && (strings.HasPrefix(l, "@ ") || strings.HasPrefix(l, "$"))
	})
}

// between checks the neighbours and returns the lines of the hostile entry.
func between(t *testing.T, format string, entries []ioc.Entry, comment string) []string {
	t.Helper()
	text, res := write(t, format, entries, options())
	lines := bare(text, comment)
	first, last := lone(t, format, entries[0], comment), lone(t, format, entries[2], comment)
	n := len(lines) - len(first) - len(last)
	if n < 0 || !slices.Equal(lines[:len(first)], first) || !slices.Equal(lines[len(first)+n:], last) {
		t.Fatalf("%s: the neighbours have changed:\n%s", format, text)
	}
	if want := res.Lines - len(first) - len(last); n != want {
		t.Fatalf("%s: %d lines of the entry, the result says %d:\n%s", format, n, want, text)
	}
	if total(res) == 0 && n == 0 {
		t.Fatalf("%s: nothing written, nothing left out", format)
	}
	return lines[len(first) : len(first)+n]
}

func total(res ioc.Result) (n int) {
	for _, c := range res.Skipped {
		n += c
	}
	return n
}
