package ioc_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/stix/ioc"
)

// A reader of rules for the tests, after the Suricata user guide ("Rules
// Format", "Meta Keywords", "Payload Keywords") and the grammar of the Snort 3
// reader. Where the two differ it is the stricter of both.

type option struct{ key, arg string }

type readRule struct {
	header  string
	options []option
}

var headers = regexp.MustCompile(`^alert (ip|tcp|udp|dns|tls|http|smtp|smb)( any any (->|<>) (any|[0-9a-f.:/]+) (any|[0-9]+))?$`)

// parseRule reads one rule. ";" ends an option wherever it stands without a
// backslash before it (Suricata: "; and \" have special meaning in the rule
// language and must be escaped"); a quote that is then open is an error.
func parseRule(line string) (r readRule, err error) {
	header, rest, found := strings.Cut(line, " (")
	if !found || !headers.MatchString(header) {
		return r, fmt.Errorf("header %q", header)
	}
	r.header = header
	for rest != ")" {
		rest = strings.TrimLeft(rest, " ")
		end, quoted := -1, false
		for i := 0; i < len(rest) && end < 0; i++ {
			switch rest[i] {
			case '\\':
				i++
			case '"':
				quoted = !quoted
			case ';':
				end = i
			}
		}
		if end < 0 || quoted {
			return r, fmt.Errorf("option without end at %q", rest)
		}
		key, arg, _ := strings.Cut(rest[:end], ":")
		r.options = append(r.options, option{key, strings.TrimLeft(arg, " ")})
		rest = rest[end+1:]
	}
	return r, nil
}

// args returns the arguments of all options of a name.
func (r readRule) args(key string) (list []string) {
	for _, o := range r.options {
		if o.key == key {
			list = append(list, o.arg)
		}
	}
	return list
}

// quoted reads a quoted argument and what stands behind it.
func quoted(arg string) (text, rest string, err error) {
	if arg == "" || arg[0] != '"' {
		return "", "", fmt.Errorf("%q is not quoted", arg)
	}
	var b strings.Builder
	for i := 1; i < len(arg); i++ {
		switch arg[i] {
		case '\\':
			if i++; i == len(arg) || !strings.ContainsRune(`;"\`, rune(arg[i])) {
				return "", "", fmt.Errorf("escape in %q", arg)
			}
			b.WriteByte(arg[i])
		case '"':
			return b.String(), arg[i+1:], nil
		default:
			b.WriteByte(arg[i])
		}
	}
	return "", "", fmt.Errorf("no end of %q", arg)
}

// contents are the bytes a rule looks for: hexadecimal between pipes, all else
// itself ("content"); none of ; \ " : may stand for itself.
func (r readRule) contents() (list []string, err error) {
	for _, arg := range r.args("content") {
		s, _, err := quoted(arg)
		if err != nil {
			return nil, err
		}
		var b strings.Builder
		for i, part := range strings.Split(s, "|") {
			if i%2 == 0 {
				if strings.ContainsAny(part, `;\":`) {
					return nil, fmt.Errorf("content %q", arg)
				}
				b.WriteString(part)
				continue
			}
			raw, err := hex.DecodeString(strings.ReplaceAll(part, " ", ""))
			if err != nil {
				return nil, err
			}
			b.Write(raw)
		}
		if strings.Count(s, "|")%2 != 0 || b.Len() == 0 {
			return nil, fmt.Errorf("content %q", arg)
		}
		list = append(list, b.String())
	}
	return list, nil
}

// allowed are the options either sensor knows, of those this package writes.
var allowed = map[string][]string{
	"suricata": {"msg", "flow", "dns.query", "tls.sni", "http.host", "http.uri", "http.uri.raw", "ip.src", "ip.dst", "dotprefix", "to_lowercase", "content",
		"nocase", "startswith", "endswith", "bsize", "pcre", "dataset", "filemd5", "filesha1", "filesha256", "requires", "metadata", "reference", "classtype", "sid", "rev"},
	"snort": {"msg", "flow", "http_header", "http_uri", "http_raw_uri", "content", "bufferlen", "pcre", "metadata", "reference", "classtype", "sid", "rev"},
}

var (
	metaText      = regexp.MustCompile(`^indicator [A-Za-z0-9._+-]+, marking [A-Za-z0-9._+-]+(, (confidence [0-9]+|mitre_technique_id T[0-9.]+))*$`)
	referenceText = regexp.MustCompile(`^url,[A-Za-z0-9\-_./?=]+$`)
	patterns      = regexp.MustCompile(`^"/(\^\(\?:\[\\/\?&\]\|\$\)/R|\^\(\?:\\x3a\[0-9\]\+\)\?\$/R|\(\?:\^\|\\\.\)[a-z0-9_\\.-]+\(\?:\\x3a\[0-9\]\+\)\?\$/i)"$`)
	setNames      = regexp.MustCompile(`^[a-z0-9-]{1,63}$`)
)

// checkRule wants a rule of known options whose free text is the entry's.
func checkRule(t *testing.T, sensor, line string, e *ioc.Entry) readRule {
	t.Helper()
	r, err := parseRule(line)
	if err != nil {
		t.Fatalf("%v in\n%s", err, line)
	}
	for _, o := range r.options {
		if !slices.Contains(allowed[sensor], o.key) {
			t.Fatalf("option %q in\n%s", o.key, line)
		}
	}
	for _, key := range []string{"msg", "metadata", "sid", "rev", "classtype"} {
		if len(r.args(key)) != 1 {
			t.Fatalf("%d of option %s in\n%s", len(r.args(key)), key, line)
		}
	}
	if m := r.args("metadata")[0]; !metaText.MatchString(m) {
		t.Fatalf("metadata %q", m)
	}
	for _, ref := range r.args("reference") {
		if !referenceText.MatchString(ref) {
			t.Fatalf("reference %q", ref)
		}
	}
	for _, p := range r.args("pcre") {
		if !patterns.MatchString(p) {
			t.Fatalf("pattern %s", p)
		}
	}
	if e != nil {
		checkMessage(t, r, e)
		checkContents(t, r, e)
	}
	return r
}

func checkMessage(t *testing.T, r readRule, e *ioc.Entry) {
	t.Helper()
	msg, rest, err := quoted(r.args("msg")[0])
	if err != nil || rest != "" {
		t.Fatalf("msg %q: %v", r.args("msg")[0], err)
	}
	name := e.Name
	if skeleton(name) == "" {
		return // the indicator's id stands there, or a line of signs
	}
	if !strings.HasPrefix(msg, "noroshi [") || !strings.HasSuffix(msg, "…") && !strings.HasSuffix(skeleton(msg), skeleton(name)) {
		t.Fatalf("msg %q does not say %q", msg, name)
	}
	if strings.IndexFunc(msg, dangerous) >= 0 {
		t.Fatalf("msg %q breaks lines", msg)
	}
}

// checkContents wants every content to be of the value: in it, or its wire form.
func checkContents(t *testing.T, r readRule, e *ioc.Entry) {
	t.Helper()
	list, err := r.contents()
	if err != nil {
		t.Fatal(err)
	}
	v := strings.ToLower(e.Values[0].Text)
	var wire []byte
	for label := range strings.SplitSeq(strings.TrimSuffix(v, "."), ".") {
		wire = append(append(wire, byte(len(label))), label...)
	}
	for _, c := range list {
		c = strings.ToLower(c)
		if c == "\x16\x03" || c == string(wire)+"\x00" || c == "/" || !ascii(v) {
			continue
		}
		if len(c) > 3 && c[:2] == "\x00\x00" {
			c = c[3:]
		}
		c = strings.TrimLeft(strings.TrimSuffix(strings.TrimPrefix(c, "<"), ">"), ".")
		if !strings.Contains(v, c) && !strings.Contains(v, strings.TrimPrefix(c, "/")) {
			t.Fatalf("content %q is not of %q", c, e.Values[0].Text)
		}
	}
}

func ascii(s string) bool { return strings.IndexFunc(s, func(r rune) bool { return r > 0x7e }) < 0 }

func FuzzSuricata(f *testing.F) {
	fuzz(f, func(t *testing.T, h ioc.Entry) {
		entries := trio(h, ioc.Value{Kind: ioc.EmailAddr, Text: "a@a.example"}, ioc.Value{Kind: ioc.CIDR, Text: "192.0.2.0/24"})
		text, res := write(t, "suricata", entries, options())
		lines := bare(text, "#")
		for _, line := range lines {
			checkRule(t, "suricata", line, nil)
		}
		if len(lines) != res.Lines || !strings.Contains(lines[0], "] a@a.example: before") {
			t.Fatalf("%d rules of %d:\n%s", len(lines), res.Lines, text)
		}
		for _, s := range res.Sets {
			checkSet(t, s, entries)
		}
	})
}

func FuzzSuricataIndividual(f *testing.F) {
	fuzz(f, func(t *testing.T, h ioc.Entry) {
		if h.Values[0].Kind == ioc.MD5 || h.Values[0].Kind == ioc.SHA1 || h.Values[0].Kind == ioc.SHA256 {
			return // in a set, as above
		}
		o := options()
		o.Individual = true
		text, _ := write(t, "suricata", trio(h, ioc.Value{Kind: ioc.DomainName, Text: "a.example"}, ioc.Value{Kind: ioc.IPv4, Text: "192.0.2.1"}), o)
		lines := bare(text, "#")
		for i, line := range lines {
			switch {
			case i < 3:
				checkRule(t, "suricata", line, &ioc.Entry{Name: "before", Values: []ioc.Value{{Text: "a.example"}}})
			case i == len(lines)-1:
				checkRule(t, "suricata", line, &ioc.Entry{Name: "after", Values: []ioc.Value{{Text: "192.0.2.1"}}})
			default:
				checkRule(t, "suricata", line, &h)
			}
		}
	})
}

func FuzzSnort(f *testing.F) {
	fuzz(f, func(t *testing.T, h ioc.Entry) {
		for _, line := range between(t, "snort", trio(h, ioc.Value{Kind: ioc.DomainName, Text: "a.example"}, ioc.Value{Kind: ioc.URL, Text: "http://b.example/x"}), "#") {
			checkRule(t, "snort", line, &h)
		}
	})
}

// checkSet reads a dataset file as Suricata does: a value a line, string values
// in base64, nothing else (user guide, "Datasets, File formats").
func checkSet(t *testing.T, s ioc.Set, entries []ioc.Entry) {
	t.Helper()
	if !setNames.MatchString(s.Name) || s.File != s.Name+".lst" {
		t.Fatalf("set %q in file %q", s.Name, s.File)
	}
	var b bytes.Buffer
	res, err := ioc.SuricataSet(&b, s, slices.Values(entries), options())
	if err != nil || res.Values != s.Values {
		t.Fatalf("set %s: %d values, the rules say %d: %v", s.Name, res.Values, s.Values, err)
	}
	lines := strings.Split(b.String(), "\n")
	if len(lines) != s.Values+1 || lines[s.Values] != "" {
		t.Fatalf("set %s: %q", s.Name, b.String())
	}
	for _, line := range lines[:s.Values] {
		if s.Kind == "domain" {
			raw, err := base64.StdEncoding.DecodeString(line)
			if err != nil {
				t.Fatalf("set %s: %v", s.Name, err)
			}
			line = string(raw)
		}
		if len(line) > 253 || strings.Trim(line, "abcdefghijklmnopqrstuvwxyz0123456789.:_-") != "" {
			t.Fatalf("set %s holds %q", s.Name, line)
		}
	}
}

// TestSuricataSets: the rules load exactly the sets there are, under numbers
// that another marking does not change.
func TestSuricataSets(t *testing.T) {
	t.Parallel()
	text, res := write(t, "suricata", sample(), options())
	var names []string
	sids := map[string]string{}
	for _, line := range bare(text, "#") {
		r := checkRule(t, "suricata", line, nil)
		if old, taken := sids[r.args("sid")[0]]; taken {
			t.Errorf("one number for two rules:\n%s\n%s", old, line)
		}
		sids[r.args("sid")[0]] = line
	}
	for _, s := range res.Sets {
		names = append(names, s.Kind+" "+s.Marking)
		checkSet(t, s, sample())
		if !strings.Contains(text, "load "+s.File+";") && !strings.Contains(text, ":"+s.File+";") {
			t.Errorf("no rule loads %s", s.File)
		}
	}
	want := []string{"address TLP:AMBER", "domain TLP:AMBER", "domain TLP:GREEN", "md5 TLP:AMBER", "sha1 TLP:AMBER", "sha256 TLP:AMBER"}
	if !slices.Equal(names, want) {
		t.Errorf("sets %q, want %q", names, want)
	}
	fewer, _ := write(t, "suricata", sample()[:1], options())
	for _, line := range bare(fewer, "#") {
		r, _ := parseRule(line)
		if old := sids[r.args("sid")[0]]; old != line {
			t.Errorf("without the other entries the rule is another:\n%s\n%s", line, old)
		}
	}
}

// TestSIDs: numbers are the entry's, stay with the rule, and never leave the
// range that was given.
func TestSIDs(t *testing.T) {
	t.Parallel()
	domains := []ioc.Value{{Kind: ioc.DomainName, Text: "a.example"}, {Kind: ioc.DomainName, Text: "b.example"}}
	for name, c := range map[string]struct {
		sid, sids uint32
		want      string
	}{
		"all":               {100, 6, "100 101 102 103 104 105"},
		"one value's worth": {100, 3, "100 101 102"},
		"too few":           {100, 2, ""},
		"none":              {0, 6, ""},
		"in the sets":       {ioc.SetSIDBase, 6, ""},
		"into the sets":     {ioc.SetSIDBase - 3, 6, "2999999997 2999999998 2999999999"},
		"at the end":        {1<<32 - 4, 6, "4294967292 4294967293 4294967294"},
	} {
		for _, sensor := range []string{"suricata", "snort"} {
			o := options()
			o.Individual = true
			e := ioc.Entry{ID: "indicator--1", Marking: "M", SID: c.sid, SIDs: c.sids, Values: domains, Modified: made}
			text, res := write(t, sensor, []ioc.Entry{e}, o)
			var got []string
			for _, line := range bare(text, "#") {
				got = append(got, checkRule(t, sensor, line, nil).args("sid")...)
			}
			if strings.Join(got, " ") != c.want || res.Skipped[ioc.NoSID] != 2-len(got)/3 {
				t.Errorf("%s, %s: sids %q, %d left out", name, sensor, got, res.Skipped[ioc.NoSID])
			}
		}
	}
}

// TestRevision: a later version has a higher revision.
func TestRevision(t *testing.T) {
	t.Parallel()
	e := one(ioc.IPv4, "192.0.2.1")
	older, _ := write(t, "snort", []ioc.Entry{e}, options())
	e.Modified = e.Modified.AddDate(0, 0, 1)
	newer, _ := write(t, "snort", []ioc.Entry{e}, options())
	a, b := checkRule(t, "snort", bare(older, "#")[0], &e), checkRule(t, "snort", bare(newer, "#")[0], &e)
	if a.args("sid")[0] != b.args("sid")[0] || a.args("rev")[0] >= b.args("rev")[0] {
		t.Errorf("sid %s rev %s, then sid %s rev %s", a.args("sid")[0], a.args("rev")[0], b.args("sid")[0], b.args("rev")[0])
	}
}

// TestLargeSet: the rule of a large set asks for room.
func TestLargeSet(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{4096: "", 4097: ",memcap 100mb,hashsize 8192", 300_000: ",memcap 200mb,hashsize 65536"} {
		e := one(ioc.IPv4, "192.0.2.1")
		same := func(yield func(ioc.Entry) bool) {
			for i := 0; i < n && yield(e); i++ {
			}
		}
		var b bytes.Buffer
		if _, err := ioc.Suricata(&b, same, options()); err != nil {
			t.Fatal(err)
		}
		for _, line := range bare(b.String(), "#") {
			if set := checkRule(t, "suricata", line, nil).args("dataset")[0]; !strings.HasSuffix(set, ".lst"+want) {
				t.Errorf("%d values: %s", n, set)
			}
		}
	}
}

// TestLongLabel: a name the DNS cannot hold gets no rule that looks for it there.
func TestLongLabel(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"snort", "hosts"} {
		_, res := write(t, format, []ioc.Entry{one(ioc.DomainName, strings.Repeat("a", 64)+".example")}, options())
		if res.Skipped[ioc.NotAName] != 1 || res.Lines != 0 {
			t.Errorf("%s: %+v", format, res)
		}
	}
}

// TestManyMarkings: an export with more markings than rules can be kept for
// says so for each value beyond.
func TestManyMarkings(t *testing.T) {
	t.Parallel()
	var entries []ioc.Entry
	for i := range ioc.MaxMarkings + 5 {
		e := one(ioc.DomainName, "a.example")
		e.Marking = fmt.Sprint("M", i)
		entries = append(entries, e)
	}
	_, res := write(t, "suricata", entries, options())
	if len(res.Sets) != ioc.MaxMarkings || res.Skipped[ioc.ManyMarks] != 5 {
		t.Errorf("%d sets, %d left out", len(res.Sets), res.Skipped[ioc.ManyMarks])
	}
}
