package intake

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/stix/pattern"
)

// maxText is how many bytes of words one object gives to the full-text index.
const maxText = 64 << 10

// ValuesOf returns the values an object names: those of an indicator's pattern,
// or what a cyber-observable object is. For an indicator that will not be armed
// note says why.
func ValuesOf(o *stix.Object) (values []noroshi.Value, note string) {
	switch o.Type {
	case "indicator":
		return indicatorValues(o)
	case "ipv4-addr", "ipv6-addr", "domain-name", "url", "email-addr":
		kind, text := o.Type, o.Text("value")
		if kind[:2] == "ip" && strings.Contains(text, "/") { // CIDR (STIX 2.1 §6.9, §6.10)
			kind = "ip-net"
		}
		if v, err := detect.ParseKindValue(kind, text); err == nil {
			return []noroshi.Value{v}, ""
		}
	case "file", "artifact", "x509-certificate":
		return hashValues(o.Property("hashes")), ""
	}
	return nil, ""
}

func indicatorValues(o *stix.Object) ([]noroshi.Value, string) {
	ind, err := o.Indicator()
	if err != nil {
		return nil, "not readable as an indicator: " + err.Error()
	}
	if ind.PatternType != "stix" {
		return nil, fmt.Sprintf("pattern type %q is not matched", Beginning([]byte(ind.PatternType)))
	}
	p, err := pattern.Parse(ind.Pattern, pattern.Options{Version20: ind.PatternVersion == "2.0"})
	if err != nil {
		return nil, "the pattern does not parse: " + err.Error()
	}
	values, armed := detect.Values(p)
	if !armed {
		return values, "the pattern is not of a form that is armed"
	}
	return values, ""
}

// hashValues reads a hashes dictionary (STIX 2.1 §2.7) as far as its kinds are
// matched.
func hashValues(raw []byte) []noroshi.Value {
	if raw == nil {
		return nil
	}
	var hashes map[string]string
	if json.Unmarshal(raw, &hashes) != nil {
		return nil
	}
	var values []noroshi.Value
	for name, text := range hashes {
		if v, err := detect.ParseKindValue(strings.ToLower(name), text); err == nil {
			values = append(values, v)
		}
	}
	slices.SortFunc(values, func(a, b noroshi.Value) int { return strings.Compare(string(a.Kind), string(b.Kind)) })
	return values
}

// worded are the properties whose words are found.
var worded = [...]string{"name", "description", "abstract", "content", "aliases", "labels", "contents"}

// words returns what the full-text index gets of an object: names, descriptions,
// aliases, labels, and the text of notes and translations. Never the values:
// they have an index of their own.
func words(o *stix.Object, values []noroshi.Value) string {
	var found [len(worded)]stix.RawValue
	for name, raw := range o.Root().Members() {
		if i := slices.Index(worded[:], name); i >= 0 {
			found[i] = raw
		}
	}
	var b strings.Builder
	for _, raw := range found {
		switch {
		case raw == nil, b.Len() >= maxText:
		case raw[0] == '"':
			b.WriteString(raw.Text())
			b.WriteByte(' ')
		default:
			addStrings(&b, raw)
		}
	}
	text := b.String()
	for _, v := range values {
		text = strings.ReplaceAll(text, v.Text, " ")
	}
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	return strings.Join(strings.Fields(text), " ")
}

// addStrings appends every string in a JSON value that is no member name.
func addStrings(b *strings.Builder, raw []byte) {
	d := jsontext.NewDecoder(bytes.NewReader(raw))
	for b.Len() < maxText {
		isName := false
		if kind, n := d.StackIndex(d.StackDepth()); kind == '{' {
			isName = n%2 == 0
		}
		t, err := d.ReadToken()
		if err != nil {
			return
		}
		if t.Kind() == '"' && !isName {
			b.WriteString(t.String())
			b.WriteByte(' ')
		}
	}
}

func sortedUnique(s []string) []string {
	slices.Sort(s)
	return slices.Compact(s)
}
