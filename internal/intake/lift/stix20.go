package lift

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi/stix"
)

// STIX 2.0 is lifted object by object to 2.1. Ids, makers, times, markings and
// whatever is not named here stay as they are; TLP markings have the same ids
// in both. What changes:
//
//   - spec_version is added to every object (2.1 §3.2);
//   - labels that are words of the 2.0 vocabulary of an indicator, malware,
//     report, threat-actor or tool become its types, those of an identity its
//     roles; other labels stay labels, where tags of handling are looked for;
//   - the four TLP markings get the names they have in 2.1;
//   - an indicator gets pattern_type, and pattern_version 2.0, which is how its
//     pattern is written; malware gets is_family true, as 2.0 does not say and
//     a family claims less than a sample;
//   - the objects of observed-data become objects of their own, see observed.go.
//
// An object that says it is of 2.1 already is left alone.

// typeWords are the vocabularies of labels in STIX 2.0 §6, and the property
// their words have in 2.1.
var typeWords = map[string]struct {
	property string
	words    []string // nil = all
}{
	"indicator": {"indicator_types", []string{"anomalous-activity", "anonymization", "benign", "compromised", "malicious-activity", "attribution"}},
	"malware": {"malware_types", []string{"adware", "backdoor", "bot", "ddos", "dropper", "exploit-kit", "keylogger", "ransomware", "remote-access-trojan",
		"resource-exploitation", "rogue-security-software", "rootkit", "screen-capture", "spyware", "trojan", "virus", "worm"}},
	"report": {"report_types", []string{"threat-report", "attack-pattern", "campaign", "identity", "indicator", "malware", "observed-data", "threat-actor", "tool", "vulnerability"}},
	"threat-actor": {"threat_actor_types", []string{"activist", "competitor", "crime-syndicate", "criminal", "hacker", "insider-accidental", "insider-disgruntled",
		"nation-state", "sensationalist", "spy", "terrorist"}},
	"tool": {"tool_types", []string{"denial-of-service", "exploitation", "information-gathering", "network-capture", "credential-exploitation", "remote-access", "vulnerability-scanning"}},
}

// tlpNames are the names 2.1 gives the four TLP markings, whose ids it took over
// (§7.2.1.4).
var tlpNames = map[stix.ID]string{
	"marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": "TLP:WHITE",
	"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": "TLP:GREEN",
	"marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": "TLP:AMBER",
	"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": "TLP:RED",
}

// tellsSTIX20 tells a 2.0 bundle by its spec_version, and objects by having
// none although they have a creation time.
func tellsSTIX20(o *Outline) bool {
	if o.Has("/spec_version") && o.Text("/type") == "bundle" {
		return o.Text("/spec_version") == "2.0"
	}
	for _, first := range []string{"/objects/0", "/0", ""} {
		if o.Whole(first) && o.Has(first+"/type") && o.Text(first+"/type") != "bundle" {
			return o.Has(first+"/created") && !o.Has(first+"/spec_version")
		}
	}
	return false
}

func liftSTIX20(b []byte, _ Feed) (Document, error) {
	l := lifting20{}
	r := stix.NewReader(bytes.NewReader(b))
	for {
		item, err := r.Next()
		if errors.Is(err, io.EOF) {
			return l.doc, nil
		}
		var s *stix.SyntaxError
		if errors.As(err, &s) {
			return l.doc, &Error{At: Place{Offset: s.Offset, Line: s.Line, Path: s.Path}, Msg: s.Msg}
		}
		if err != nil {
			return l.doc, err
		}
		l.at = Place{Offset: item.Offset, Line: item.Line}
		if len(l.doc.Items) > MaxItems {
			return l.doc, &Error{At: l.at, Msg: "more than 1,000,000 objects"}
		}
		l.lift(item)
	}
}

// lifting20 is a document under way.
type lifting20 struct {
	doc Document
	at  Place
}

func (l *lifting20) note(code string, args ...string) { l.doc.note(l.at, code, args...) }

// add adds what was made of the element at hand, which is kept where nothing
// could be.
func (l *lifting20) add(raw []byte, o *stix.Object, err error) {
	if err != nil {
		code := malformed
		var s *stix.SyntaxError
		if errors.As(err, &s) && s.Code == "size" {
			code = "too-large"
		}
		l.doc.Items = append(l.doc.Items, Item{At: l.at, Fault: &Fault{Code: code, Msg: err.Error(), Raw: raw}})
		return
	}
	l.doc.Items = append(l.doc.Items, Item{Object: o, At: l.at})
}

func (l *lifting20) lift(item stix.Item) {
	o := item.Object
	switch {
	case item.Err != nil:
		l.add(item.Raw, nil, item.Err)
		return
	case o.SpecVersion != "":
		l.add(item.Raw, o, nil)
		return
	}
	m := membersOf(o)
	m.put("spec_version", "2.1", "type")
	l.note("raised")
	l.types(o, m)
	switch o.Type {
	case "marking-definition":
		if tlp := tlpNames[o.ID]; tlp != "" && o.Property("name") == nil && o.Text("definition_type") == "tlp" {
			m.put("name", tlp, "definition_type")
		}
	case "indicator":
		l.indicator(o, m)
	case "malware":
		if m.fill("is_family", true) {
			l.note("is-family")
		}
	case "observed-data":
		if err := l.observed(o, m); err != nil {
			l.add(item.Raw, nil, err)
			return
		}
	}
	made, err := stix.Make(*m...)
	l.add(item.Raw, made, err)
}

func (l *lifting20) indicator(o *stix.Object, m *members) {
	if m.fill("pattern_type", "stix") {
		m.fill("pattern_version", "2.0")
	}
	if !o.Created.IsZero() && m.fill("valid_from", o.Created) {
		l.note("valid-from")
	}
}

// types moves labels to the property 2.1 has for them. Where a marking stands
// on the labels they stay: the marking would lose what it marks.
func (l *lifting20) types(o *stix.Object, m *members) {
	vocabulary, ok := typeWords[o.Type]
	if o.Type == "identity" {
		vocabulary.property, ok = "roles", true
	}
	labels := o.Property("labels")
	if !ok || labels == nil || o.Property(vocabulary.property) != nil {
		return
	}
	if slices.ContainsFunc(selectorsOf(o), func(s selector) bool { return firstOf(s.path) == "labels" }) {
		l.note("labels-marked")
		return
	}
	var types, rest []string
	for _, v := range labels.Elements() {
		if w := v.Text(); o.Type == "identity" && !strings.Contains(w, ":") || slices.Contains(vocabulary.words, w) {
			types = append(types, w)
		} else if w == "" {
			return // no list of texts: as it is
		} else {
			rest = append(rest, w)
		}
	}
	if len(types) == 0 {
		return
	}
	m.set("labels", rest)
	m.put(vocabulary.property, types, "labels")
	l.note("labels", vocabulary.property)
}

// selector is one selector of an object's granular markings.
type selector struct {
	path    string
	marking stix.ID
}

// selectorsOf returns every selector of an object's granular markings.
func selectorsOf(o *stix.Object) (list []selector) {
	for _, g := range o.Property("granular_markings").Elements() {
		var ref stix.ID
		var paths []string
		for name, v := range g.Members() {
			switch name {
			case "marking_ref":
				ref = stix.ID(v.Text())
			case "selectors":
				for _, s := range v.Elements() {
					paths = append(paths, s.Text())
				}
			}
		}
		for _, p := range paths {
			list = append(list, selector{p, ref})
		}
	}
	return list
}

// firstOf returns the property a selector begins with.
func firstOf(path string) string {
	first, _, _ := strings.Cut(path, ".")
	return first
}

// members are an object's properties in their order.
type members []stix.Member

func membersOf(o *stix.Object) *members {
	m := &members{}
	for name, v := range o.Root().Members() {
		*m = append(*m, stix.Member{Name: name, Value: v})
	}
	return m
}

func (m *members) index(name string) int {
	return slices.IndexFunc(*m, func(x stix.Member) bool { return x.Name == name })
}

// put adds a property behind another.
func (m *members) put(name string, value any, behind string) {
	*m = slices.Insert(*m, m.index(behind)+1, stix.Member{Name: name, Value: value})
}

// fill adds a property at the end where there is none, and reports that.
func (m *members) fill(name string, value any) bool {
	if m.index(name) >= 0 {
		return false
	}
	*m = append(*m, stix.Member{Name: name, Value: value})
	return true
}

// set gives a property another value.
func (m *members) set(name string, value any) {
	if i := m.index(name); i >= 0 {
		(*m)[i].Value = value
	}
}

// rename gives a property another name, and reports whether it is there.
func (m *members) rename(from, to string) bool {
	i := m.index(from)
	if i < 0 || m.index(to) >= 0 {
		return false
	}
	(*m)[i].Name = to
	return true
}
