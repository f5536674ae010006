package lift

import (
	"fmt"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi/stix"
)

// vulnerability is one of an advisory's.
type vulnerability struct {
	CVE   string `json:"cve"`
	Title string `json:"title"`
	IDs   []struct {
		System string `json:"system_name"`
		Text   string `json:"text"`
	} `json:"ids"`
	CWE          cwe                 `json:"cwe"`  // CSAF 2.0
	CWEs         []cwe               `json:"cwes"` // CSAF 2.1
	Notes        []text              `json:"notes"`
	Refs         []link              `json:"references"`
	Status       map[string][]string `json:"product_status"`
	Remediations []remediation       `json:"remediations"`
	Threats      []struct {
		Category string `json:"category"`
		Details  string `json:"details"`
	} `json:"threats"`
	Scores  []map[string]score `json:"-"`
	Metrics []struct {         // CSAF 2.1
		Content map[string]score `json:"content"`
	} `json:"metrics"`
}

type cwe struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type score struct {
	Vector   string  `json:"vectorString"`
	Base     float64 `json:"baseScore"`
	Severity string  `json:"baseSeverity"`
}

type remediation struct {
	Category string   `json:"category"`
	Details  string   `json:"details"`
	URL      string   `json:"url"`
	Products []string `json:"product_ids"`
	Groups   []string `json:"group_ids"`
}

var csafVulnerability = []string{"cve", "cwe", "cwes", "ids", "metrics", "notes", "product_status", "references", "remediations", "scores", "threats", "title"}

// csafLists are the members read of what a vulnerability has several of.
var csafLists = map[string][]string{"remediations": {"category", "details", "group_ids", "product_ids", "url"}, "threats": {"category", "details"}}

// affected are the states in which a product has the vulnerability (CSAF 2.0
// §3.2.3.9).
var affected = []string{"first_affected", "known_affected", "last_affected"}

// vulnerability lifts the nth, from 1.
func (c *csaf) vulnerability(nth int, p part) {
	v, err := readVulnerability(p)
	if err != nil {
		c.doc.Items = append(c.doc.Items, p.fault(malformed, "%s", err))
		return
	}
	if v.CVE != "" && !cveID.MatchString(v.CVE) {
		c.doc.Items = append(c.doc.Items, p.fault(malformed, "cve: %q is no CVE id", clip(v.CVE)))
		return
	}
	c.others("vulnerabilities.", p, csafVulnerability)
	p.members(func(name string, list part) {
		if known := csafLists[name]; known != nil {
			list.elements(func(m part) { c.others("vulnerabilities."+name+".", m, known) })
		}
	})
	name, key := v.name(c.a.Document.Tracking.ID, nth)
	id := c.make(p.at, "vulnerability", c.feed.ID("vulnerability", c.source, key), stix.Member{Name: "lang", Value: c.lang},
		stix.Member{Name: "external_references", Value: v.references()}, stix.Member{Name: "name", Value: name}, stix.Member{Name: "description", Value: v.description()})
	c.affected(p, v, id)
	lines := c.remedies(p, v, key, id)
	lines = append(c.words(v), lines...)
	if len(lines) > 0 {
		about := c.a.Document.Tracking.ID + "\n" + key
		c.make(p.at, "note", c.feed.ID("note", c.source, about), stix.Member{Name: "lang", Value: c.lang},
			stix.Member{Name: "abstract", Value: c.a.Document.Tracking.ID + ": " + name},
			stix.Member{Name: "content", Value: strings.Join(lines, "\n")}, stix.Member{Name: "object_refs", Value: []stix.ID{id}})
	}
}

// readVulnerability decodes one; the scores of CSAF 2.0 stand beside a list of
// products and are read apart.
func readVulnerability(p part) (v vulnerability, err error) {
	if err = p.decode(&v); err != nil {
		return v, err
	}
	var bad error
	p.members(func(name string, m part) {
		if name != "scores" {
			return
		}
		bad = m.elements(func(s part) {
			got := map[string]score{}
			s.members(func(version string, value part) {
				var one score
				if strings.HasPrefix(version, "cvss_") && value.decode(&one) == nil {
					got[version] = one
				}
			})
			v.Scores = append(v.Scores, got)
		})
	})
	return v, bad
}

// name returns what a vulnerability is called, and what its id is derived from:
// its CVE id, an id of another system, or its place in the advisory.
func (v vulnerability) name(advisory string, nth int) (name, key string) {
	switch {
	case v.CVE != "":
		return v.CVE, v.CVE
	case len(v.IDs) > 0 && v.IDs[0].Text != "":
		return v.IDs[0].Text, v.IDs[0].System + "\n" + v.IDs[0].Text
	}
	key = fmt.Sprintf("%s\n%d", advisory, nth)
	if v.Title != "" {
		return v.Title, key
	}
	return fmt.Sprintf("%s #%d", advisory, nth), key
}

func (v vulnerability) description() string {
	words := texts(v.Notes)
	switch {
	case words == "":
		return v.Title
	case v.Title == "":
		return words
	}
	return v.Title + "\n\n" + words
}

// references are the ids of a vulnerability in other systems, its scores, for
// which STIX has no property, and its links.
func (v vulnerability) references() []any {
	var refs []any
	add := func(source, description, id string) {
		refs = append(refs, []stix.Member{{Name: "source_name", Value: source}, {Name: "description", Value: description}, {Name: "external_id", Value: id}})
	}
	if v.CVE != "" {
		add("cve", "", v.CVE)
	}
	for _, w := range append([]cwe{v.CWE}, v.CWEs...) {
		if w.ID != "" {
			add("cwe", w.Name, w.ID)
		}
	}
	for _, i := range v.IDs {
		if i.System != "" && i.Text != "" {
			add(i.System, "", i.Text)
		}
	}
	scores := slices.Clone(v.Scores)
	for _, m := range v.Metrics {
		scores = append(scores, m.Content)
	}
	for _, s := range scores {
		for _, version := range []string{"cvss_v2", "cvss_v3", "cvss_v4"} {
			if one, ok := s[version]; ok && one.Vector != "" {
				add(version, strings.TrimSpace(number(one.Base)+" "+one.Severity), one.Vector)
			}
		}
	}
	for _, l := range v.Refs {
		refs = append(refs, l.reference()...)
	}
	return refs
}

// affected adds the software that has the vulnerability.
func (c *csaf) affected(p part, v vulnerability, id stix.ID) {
	done := map[string]bool{}
	for _, state := range affected {
		for _, pid := range v.Status[state] {
			product, ok := c.products[pid]
			if !ok {
				c.doc.note(p.at, "csaf-product", clip(pid))
				continue
			}
			if done[pid] {
				continue
			}
			done[pid] = true
			o, err := product.software()
			if err != nil {
				c.doc.note(p.at, "product", clip(product.name))
				continue
			}
			if c.holds(o.ID) {
				c.doc.Items = append(c.doc.Items, Item{Object: o, Own: true, At: p.at})
			}
			c.relate(p.at, o.ID, "has", id)
		}
	}
}

// remedies adds the courses of action, and returns as text what is none.
func (c *csaf) remedies(p part, v vulnerability, key string, id stix.ID) (lines []string) {
	for i, r := range v.Remediations {
		names := c.names(append(slices.Clone(r.Products), c.grouped(r.Groups)...))
		verb := map[string]string{"vendor_fix": "remediates", "mitigation": "mitigates", "workaround": "mitigates", "optional_patch": "remediates"}[r.Category]
		if verb == "" {
			lines = append(lines, strings.TrimSuffix(r.Category+": "+r.Details+products(names), ": "))
			continue
		}
		var refs []any
		if strings.Contains(r.URL, "://") {
			refs = []any{[]stix.Member{{Name: "source_name", Value: "remediation"}, {Name: "url", Value: r.URL}}}
		}
		about := fmt.Sprintf("%s\n%s\n%d", c.a.Document.Tracking.ID, key, i)
		action := c.make(p.at, "course-of-action", c.feed.ID("course-of-action", c.source, about), stix.Member{Name: "lang", Value: c.lang},
			stix.Member{Name: "external_references", Value: refs}, stix.Member{Name: "name", Value: c.a.Document.Tracking.ID + ": " + r.Category},
			stix.Member{Name: "description", Value: r.Details + products(names)})
		c.relate(p.at, action, verb, id)
	}
	return lines
}

// words are what is said of a vulnerability that STIX has no property for.
func (c *csaf) words(v vulnerability) (lines []string) {
	for _, t := range v.Threats {
		if t.Details != "" {
			lines = append(lines, t.Category+": "+t.Details)
		}
	}
	for _, state := range []string{"fixed", "first_fixed", "recommended", "known_not_affected", "under_investigation"} {
		if names := c.names(v.Status[state]); len(names) > 0 {
			lines = append(lines, state+": "+strings.Join(names, ", "))
		}
	}
	return lines
}

// products says what a text is about.
func products(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return " (" + strings.Join(names, ", ") + ")"
}
