package ioc

import (
	"encoding/hex"
	"io"
	"iter"
	"strconv"
	"strings"

	"github.com/noroshi-cti/noroshi/stix"
)

// Sigma writes rules by the Sigma specification 2.1.0 as YAML documents: for
// each entry one rule for each log source its values show in. Names go to DNS
// (category network, service dns) and proxy logs, addresses and networks to
// firewall logs, URLs to proxy logs, hashes to process creation. E-mail
// addresses and SHA-512 have no field in the taxonomy.
//
// The id of a rule is derived from indicator and log source and stays the same.
// The marking is in title, description, tags (where it is a TLP level) and the
// field marking of our own.
func Sigma(w io.Writer, entries iter.Seq[Entry], o Options) (Result, error) {
	f := newOut(w, &o)
	f.header("#", "Sigma rules")
	for e := range entries {
		if f.err != nil {
			break
		}
		groups := make([]sigmaGroup, len(sigmaSources))
		f.entry(&e, func(_ *Entry, p *parsed, _ int) Reason { return collect(groups, p) })
		for i := range groups {
			if len(groups[i]) > 0 {
				f.sigma(&e, &sigmaSources[i], groups[i])
			}
		}
	}
	f.footer("#")
	return f.close()
}

// sigmaSource is a log source.
type sigmaSource struct{ name, category, service string }

const (
	inDNSLog = iota
	inFirewall
	inProxy
	inProcess
)

var sigmaSources = []sigmaSource{
	{"DNS", "network", "dns"},
	{"firewall", "firewall", ""},
	{"proxy", "proxy", ""},
	{"process", "process_creation", ""},
}

// sigmaGroup is a search of one rule: alternatives, each a map of fields that
// must all hold.
type sigmaGroup [][]sigmaField

type sigmaField struct {
	name   string
	number bool
	values []string
}

// collect adds a value to the searches it belongs to.
func collect(groups []sigmaGroup, p *parsed) Reason {
	add := func(source int, fields ...sigmaField) { groups[source] = append(groups[source], fields) }
	switch p.kind {
	case DomainName:
		add(inDNSLog, sigmaField{name: "dns.question.name", values: []string{p.text}})
		add(inDNSLog, sigmaField{name: "dns.question.name|endswith", values: []string{"." + p.text}})
		add(inProxy, sigmaField{name: "cs-host", values: []string{p.text}})
		add(inProxy, sigmaField{name: "cs-host|endswith", values: []string{"." + p.text}})
	case IPv4, IPv6:
		add(inFirewall, sigmaField{name: "dst_ip", values: []string{p.text}})
		add(inFirewall, sigmaField{name: "src_ip", values: []string{p.text}})
	case CIDR:
		add(inFirewall, sigmaField{name: "dst_ip|cidr", values: []string{p.text}})
		add(inFirewall, sigmaField{name: "src_ip|cidr", values: []string{p.text}})
	case AddrPort:
		add(inFirewall, sigmaField{name: "dst_ip", values: []string{p.text}},
			sigmaField{name: "dst_port", number: true, values: []string{strconv.Itoa(int(p.port))}})
	case URL:
		field := sigmaField{name: "c-uri", values: []string{p.text}}
		if p.url.path == "" { // logged with or without it
			field.values = append(field.values, p.text+"/")
		}
		add(inProxy, field)
	case URLPart:
		return collectPart(p, add)
	case MD5, SHA1, SHA256:
		add(inProcess, sigmaField{name: strings.ReplaceAll(string(p.kind), "-", ""), values: []string{p.text}})
	default:
		return NotCarried
	}
	return ""
}

// collectPart says what a URL part meets: the part itself, or a URL that goes
// on behind it at a boundary. A part of any host has no field.
func collectPart(p *parsed, add func(int, ...sigmaField)) Reason {
	if p.url.host == "" {
		return NotCarried
	}
	var whole, start []string
	for _, scheme := range []string{"http://", "https://"} {
		u := scheme + p.text
		if strings.ContainsAny(u[len(u)-1:], "/?=&") {
			start = append(start, u)
			continue
		}
		whole = append(whole, u)
		start = append(start, u+"/", u+"?", u+"&")
	}
	if len(whole) > 0 {
		add(inProxy, sigmaField{name: "c-uri", values: whole})
	}
	add(inProxy, sigmaField{name: "c-uri|startswith", values: start})
	return ""
}

// sigmaSpace is the namespace of rule ids.
var sigmaSpace = [16]byte{0x5b, 0x0e, 0x3c, 0x91, 0x77, 0xd2, 0x4f, 0x18, 0x9a, 0x61, 0xc4, 0x2e, 0x8d, 0x05, 0xb3, 0x6f}

// sigma writes one rule.
func (f *out) sigma(e *Entry, s *sigmaSource, group sigmaGroup) {
	marking := oneLine(e.Marking, maxMarking)
	id := string(stix.DeriveID("rule", sigmaSpace, e.ID+" "+s.name))
	name := oneLine(e.Name, 200)
	if name == "" {
		name = oneLine(e.ID, 200)
	}
	f.put("---\n")
	f.yaml("title", clip("["+marking+"] "+name+" ("+s.name+")", 256))
	f.yaml("id", strings.TrimPrefix(id, "rule--"))
	f.yaml("status", "experimental")
	f.yaml("description", clip(strings.TrimSpace("["+marking+"] "+strings.ToValidUTF8(e.Description, "\uFFFD")), 65000))
	f.yamlList("references", unique(e.References))
	if o := oneLine(f.o.Node, 200); o != "" {
		f.yaml("author", o)
	}
	if !e.Modified.IsZero() {
		f.yaml("modified", e.Modified.UTC().Format("2006-01-02"))
	}
	f.yamlList("tags", sigmaTags(e))
	f.put("logsource:\n    category: ", s.category, "\n")
	if s.service != "" {
		f.put("    service: ", s.service, "\n")
	}
	f.put("detection:\n    selection:\n")
	for _, fields := range group {
		f.search(fields)
	}
	f.put("    condition: selection\n")
	f.put("falsepositives:\n    - 'Unknown'\nlevel: ", level(e.Confidence), "\n")
	f.yaml("marking", marking)
	f.yaml("indicator", e.ID)
	if !e.ValidUntil.IsZero() {
		f.yaml("valid_until", stamp(e.ValidUntil))
	}
	f.res.Lines++
}

// search writes one alternative.
func (f *out) search(fields []sigmaField) {
	lead := "        - "
	for _, field := range fields {
		f.put(lead, field.name, ":\n")
		for _, v := range field.values {
			if !field.number {
				v = scalar(sigmaText(v, field.name))
			}
			f.put("              - ", v, "\n")
		}
		lead = "          "
	}
}

// sigmaText escapes wildcards and the backslash (specification, "Escaping").
// The value of a cidr modifier is a network, not a pattern.
func sigmaText(s, field string) string {
	if strings.HasSuffix(field, "|cidr") {
		return s
	}
	return wildcards.Replace(s)
}

var wildcards = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`)

// sigmaTags are the tags of the specification's namespaces attack and tlp.
func sigmaTags(e *Entry) []string {
	var tags []string
	for _, t := range techniques(e) {
		tags = append(tags, "attack."+strings.ToLower(t))
	}
	switch tlp := strings.ToLower(strings.TrimPrefix(oneLine(e.Marking, maxMarking), "TLP:")); tlp {
	case "red", "amber", "green", "clear":
		tags = append(tags, "tlp."+tlp)
	case "amber+strict":
		tags = append(tags, "tlp.amber-strict")
	}
	return unique(tags)
}

// level is the criticality by confidence (STIX 2.1 Appendix A: from 70 on high).
func level(confidence int) string {
	switch {
	case confidence >= 70:
		return "high"
	case confidence >= 30 || confidence == 0:
		return "medium"
	}
	return "low"
}

// unique drops repeated and empty strings.
func unique(list []string) []string {
	seen := map[string]bool{"": true}
	var kept []string
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			kept = append(kept, s)
		}
	}
	return kept
}

// yaml writes a member of the top map.
func (f *out) yaml(key, value string) { f.put(key, ": ", scalar(value), "\n") }

func (f *out) yamlList(key string, list []string) {
	if len(list) == 0 {
		return
	}
	f.put(key, ":\n")
	for _, v := range list {
		f.put("    - ", scalar(v), "\n")
	}
}

// scalar writes text as a quoted scalar of YAML 1.2.2: in single quotes, which
// know no escape but the doubled quote (§7.3.2), when every character is
// printable and none breaks a line; else in double quotes with \x, \u and \U
// escapes (§5.7). A quoted scalar is always a string.
func scalar(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if !strings.ContainsFunc(s, breaks) {
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case breaks(r) && r < 0x100:
			b.WriteString(`\x` + hex.EncodeToString([]byte{byte(r)}))
		case breaks(r):
			b.WriteString(`\u` + hex.EncodeToString([]byte{byte(r >> 8), byte(r)}))
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
