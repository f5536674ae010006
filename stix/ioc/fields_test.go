package ioc_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/noroshi-cti/noroshi/stix/ioc"
)

// zeekFields reads a line as Zeek's Ascii input reader does: fields between
// tabs, "-" unset, then \xHH is the byte.
func zeekFields(line string) []string {
	fields := strings.Split(line, "\t")
	for i, s := range fields {
		if s == "-" {
			fields[i] = ""
			continue
		}
		var b strings.Builder
		for j := 0; j < len(s); j++ {
			var c byte
			if n, _ := fmt.Sscanf(s[j:min(j+4, len(s))], `\x%02x`, &c); n == 1 {
				b.WriteByte(c)
				j += 3
				continue
			}
			b.WriteByte(s[j])
		}
		fields[i] = b.String()
	}
	return fields
}

func FuzzZeek(f *testing.F) {
	types := []string{"ADDR", "SUBNET", "URL", "DOMAIN", "EMAIL", "FILE_HASH"}
	fuzz(f, func(t *testing.T, h ioc.Entry) {
		lines := between(t, "zeek", trio(h, ioc.Value{Kind: ioc.DomainName, Text: "a.example"}, ioc.Value{Kind: ioc.SHA1, Text: strings.Repeat("a", 40)}), "#")
		for _, line := range lines {
			fields := zeekFields(line)
			if len(fields) != 6 {
				t.Fatalf("%d fields in %q", len(fields), line)
			}
			kind, found := strings.CutPrefix(fields[1], "Intel::")
			if !found || !slices.Contains(types, kind) {
				t.Fatalf("type %q", fields[1])
			}
			if v := h.Values[0]; ascii(v.Text) && v.Kind != ioc.CIDR && v.Kind != ioc.IPv6 &&
				!strings.Contains(strings.ToLower(v.Text), strings.TrimSuffix(strings.ToLower(fields[0]), "/")) {
				t.Fatalf("indicator %q of %q", fields[0], v.Text)
			}
			if fields[5] == "" || fields[3] == "" {
				t.Fatalf("no marking in %q", line)
			}
			sameText(t, "meta.marking", fields[5], h.Marking)
			if !strings.HasSuffix(fields[2], strings.TrimSpace("] "+h.ID)) && strings.TrimSpace(h.ID) == h.ID {
				t.Fatalf("meta.source %q does not name %q", fields[2], h.ID)
			}
			if fields[4] != "" && fields[4] != h.References[0] {
				t.Fatalf("meta.url %q is not %q", fields[4], h.References[0])
			}
			if !strings.HasPrefix(fields[3], "["+fields[5]+"] ") {
				t.Fatalf("meta.desc %q without marking", fields[3])
			}
		}
	})
}

func sigmaSchema(t testing.TB) *jsonschema.Schema {
	raw, err := os.ReadFile("testdata/sigma.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("sigma.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("sigma.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// readSigma reads all documents of a file and checks each by the rules of the
// specification.
func readSigma(t *testing.T, s *jsonschema.Schema, text string) []map[string]any {
	t.Helper()
	var rules []map[string]any
	d := yaml.NewDecoder(strings.NewReader(text))
	for {
		var rule map[string]any
		err := d.Decode(&rule)
		if errors.Is(err, io.EOF) {
			return rules
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		raw, err := json.Marshal(rule)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(doc); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		rules = append(rules, rule)
	}
}

// unwild reads a Sigma value: a backslash before * ? or \ takes its meaning
// away; a bare * or ? is a wildcard, which no value here may be.
func unwild(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '*' || s[i] == '?':
			return "", false
		case s[i] == '\\' && i+1 < len(s) && strings.IndexByte(`*?\`, s[i+1]) >= 0:
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), true
}

func FuzzSigma(f *testing.F) {
	schema := sigmaSchema(f)
	fuzz(f, func(t *testing.T, h ioc.Entry) {
		entries := trio(h, ioc.Value{Kind: ioc.DomainName, Text: "a.example"}, ioc.Value{Kind: ioc.CIDR, Text: "192.0.2.0/24"})
		text, res := write(t, "sigma", entries, options())
		rules := readSigma(t, schema, text)
		if len(rules) != res.Lines || len(rules) < 3 || rules[0]["marking"] != "TLP:GREEN" || rules[len(rules)-1]["marking"] != "TLP:RED" {
			t.Fatalf("%d rules of %d:\n%s", len(rules), res.Lines, text)
		}
		for _, r := range rules[2 : len(rules)-1] {
			sameText(t, "marking", r["marking"].(string), h.Marking)
			if id := strings.ToValidUTF8(h.ID, "\uFFFD"); r["indicator"] != id {
				t.Fatalf("indicator %q is not %q", r["indicator"], id)
			}
			want := strings.TrimSpace("[" + r["marking"].(string) + "] " + strings.ToValidUTF8(h.Description, "\uFFFD"))
			if r["description"] != want && len(want) < 65000 {
				t.Fatalf("description %q is not %q", r["description"], want)
			}
			if list, ok := r["references"].([]any); ok && list[0] != strings.ToValidUTF8(h.References[0], "\uFFFD") {
				t.Fatalf("reference %q is not %q", list[0], h.References[0])
			}
			checkSearch(t, r["detection"].(map[string]any)["selection"].([]any), h.Values[0])
		}
	})
}

// checkSearch wants a rule to search for the value and nothing wider.
func checkSearch(t *testing.T, selection []any, v ioc.Value) {
	t.Helper()
	for _, alternative := range selection {
		for field, list := range alternative.(map[string]any) {
			for _, value := range list.([]any) {
				s, plain := fmt.Sprint(value), true
				if !strings.HasSuffix(field, "|cidr") {
					s, plain = unwild(s)
				}
				if !plain || strings.HasPrefix(field, "c-uri") && v.Kind == ioc.URL && strings.TrimSuffix(s, "/") != strings.TrimSuffix(v.Text, "/") {
					t.Fatalf("%s: %q searches for more than %q", field, value, v.Text)
				}
			}
		}
	}
}

func TestSigma(t *testing.T) {
	t.Parallel()
	entries := sample()
	entries[0].References = []string{"https://example.org/", "", "https://example.org/"}
	entries[0].Techniques = []string{"T1071", "T1071", "t1071", "T1071.01", "T1o71", "T1071-001"}
	text, _ := write(t, "sigma", entries, options())
	rules := readSigma(t, sigmaSchema(t), text)
	ids := map[any]bool{}
	for _, r := range rules {
		ids[r["id"]] = true
		if !strings.HasPrefix(r["title"].(string), "["+r["marking"].(string)+"] ") {
			t.Errorf("title %q does not begin with the marking", r["title"])
		}
	}
	if len(ids) != len(rules) {
		t.Errorf("%d ids for %d rules", len(ids), len(rules))
	}
}

func FuzzCSV(f *testing.F) {
	fuzz(f, func(t *testing.T, h ioc.Entry) {
		text, res := write(t, "csv", trio(h, ioc.Value{Kind: ioc.DomainName, Text: "a.example"}, ioc.Value{Kind: ioc.MD5, Text: strings.Repeat("a", 32)}), options())
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if len(rows) != res.Lines+1 || strings.Join(rows[1], ",") != "a.example,domain-name,,indicator--a,before,,TLP:GREEN,0,2026-11-28T16:00:00Z,,T1001," ||
			!strings.HasPrefix(strings.Join(rows[len(rows)-1], ","), strings.Repeat("a", 32)+",md5,,indicator--z,after") {
			t.Fatalf("%d rows of %d:\n%s", len(rows)-1, res.Lines, text)
		}
		for _, row := range rows {
			for _, c := range row {
				checkCell(t, c)
			}
		}
		if len(rows) == 4 {
			for i, want := range map[int]string{3: h.ID, 4: h.Name, 5: h.Description, 11: h.References[0]} {
				if skeleton(rows[2][i]) != skeleton(want) {
					t.Fatalf("column %d: %q is not %q", i, rows[2][i], want)
				}
			}
		}
	})
}

// checkCell wants no formula: no first character, spaces or not, that a
// spreadsheet calculates with, in either width.
func checkCell(t *testing.T, c string) {
	t.Helper()
	first, _ := utf8.DecodeRuneInString(strings.TrimLeftFunc(c, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }))
	if strings.ContainsRune("=+-@＝＋－＠", first) || strings.HasPrefix(c, "\t") || strings.HasPrefix(c, "\r") {
		t.Fatalf("cell %q is a formula", c)
	}
	if strings.ContainsFunc(c, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) || !utf8.ValidString(c) {
		t.Fatalf("cell %q holds control characters", c)
	}
}

func FuzzLists(f *testing.F) {
	fuzz(f, func(t *testing.T, h ioc.Entry) {
		good := map[string]ioc.Value{
			"hosts": {Kind: ioc.DomainName, Text: "good.example"}, "domains": {Kind: ioc.DomainName, Text: "good.example"},
			"addresses": {Kind: ioc.IPv4, Text: "192.0.2.1"}, "urls": {Kind: ioc.URL, Text: "http://good.example/"},
			"hashes": {Kind: ioc.MD5, Text: strings.Repeat("a", 32)}, "emails": {Kind: ioc.EmailAddr, Text: "a@good.example"},
		}
		for format, v := range good {
			for _, line := range between(t, format, trio(h, v, v), "#") {
				if format == "hosts" {
					address, name, _ := strings.Cut(line, " ")
					if _, err := netip.ParseAddr(address); err != nil {
						t.Fatalf("%s: %q", format, line)
					}
					line = name
				}
				if line == "" || line[0] == '#' || strings.ContainsFunc(line, func(r rune) bool { return unicode.IsSpace(r) || dangerous(r) || r == utf8.RuneError }) {
					t.Fatalf("%s: %q", format, line)
				}
			}
		}
	})
}

func FuzzNavigator(f *testing.F) {
	fuzz(f, func(t *testing.T, h ioc.Entry) {
		text, _ := write(t, "navigator", trio(h, ioc.Value{}, ioc.Value{}), options())
		var l struct {
			Techniques []struct {
				ID       string `json:"techniqueID"`
				Score    int
				Metadata []struct{ Name, Value string }
			}
			Gradient struct{ MinValue, MaxValue int }
		}
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		for _, q := range l.Techniques {
			if len(q.ID) != 5 && len(q.ID) != 9 || q.ID[0] != 'T' || strings.Trim(q.ID[1:], "0123456789.") != "" || q.Score < 1 || q.Score > l.Gradient.MaxValue {
				t.Fatalf("technique %+v", q)
			}
			if q.ID == "T1059" && len(q.Metadata) == 1 {
				mark, _, _ := strings.Cut(q.Metadata[0].Value, " (1)")
				sameText(t, "marking", mark, h.Marking)
			}
		}
		if n := len(l.Techniques); n < 2 || l.Gradient.MaxValue <= l.Gradient.MinValue {
			t.Fatalf("%d techniques, gradient %+v", n, l.Gradient)
		}
	})
}
