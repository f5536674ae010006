package lift

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// A security advisory of the Common Security Advisory Framework (CSAF 2.0; what
// is read of 2.1 stands in the same places) becomes
//
//   - an identity: its publisher;
//   - a vulnerability for each it tells of, named by its CVE id;
//   - the software that is affected, and that this has the vulnerability;
//   - a course of action for each remediation that is one, which remediates
//     (vendor_fix) or mitigates the vulnerability;
//   - a note with what STIX has no property for: threats, the state of each
//     product that is not affected, remediations that are none;
//   - a report that holds it all together.
//
// Ids are derived from the publisher's namespace: two advisories of one
// publisher speak of one vulnerability, those of two publishers of two. Times
// are those of document.tracking. document.distribution.tlp marks all of it; a
// label that is none keeps it here. What else is not carried is noted.
type advisory struct {
	Document struct {
		Version   string    `json:"csaf_version"`
		Lang      string    `json:"lang"`
		Title     string    `json:"title"`
		Publisher publisher `json:"publisher"`
		Notes     []text    `json:"notes"`
		Refs      []link    `json:"references"`
		Tracking  struct {
			ID      string `json:"id"`
			Current string `json:"current_release_date"`
			Initial string `json:"initial_release_date"`
			Status  string `json:"status"`
			Version string `json:"version"`
		} `json:"tracking"`
		Distribution struct {
			Text string `json:"text"`
			TLP  struct {
				Label string `json:"label"`
			} `json:"tlp"`
		} `json:"distribution"`
	} `json:"document"`
	Tree productTree `json:"product_tree"`
	Refs []link      `json:"references"` // where JVN writes them
}

type publisher struct {
	Category  string `json:"category"`
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Contact   string `json:"contact_details"`
}

type text struct {
	Category string `json:"category"`
	Title    string `json:"title"`
	Text     string `json:"text"`
}

type link struct {
	Category string `json:"category"`
	Summary  string `json:"summary"`
	URL      string `json:"url"`
}

// read members; what else is there is noted.
var (
	csafDocument = []string{"category", "csaf_version", "distribution", "lang", "notes", "publisher", "references", "title", "tracking"}
	csafInside   = map[string][]string{"tracking": {"id", "current_release_date", "initial_release_date", "status", "version"},
		"publisher": {"category", "name", "namespace", "contact_details"}, "distribution": {"text", "tlp"}}
	csafTree    = []string{"branches", "full_product_names", "product_groups", "relationships"}
	csafMembers = []string{"document", "product_tree", "vulnerabilities", "references", "$schema"}
)

func tellsCSAF(o *Outline) bool { return o.Has("/document/csaf_version") }

func liftCSAF(b []byte, f Feed) (Document, error) {
	c := csaf{feed: f}
	whole, top, err := document(b)
	if err != nil {
		return c.doc, err
	}
	head, ok := top["document"]
	if !ok {
		return c.doc, &Error{Msg: "it has no member document"}
	}
	if err := c.begin(whole); err != nil {
		return c.doc, err
	}
	c.others("", whole, csafMembers)
	c.others("document.", head, csafDocument)
	head.members(func(name string, m part) {
		if known := csafInside[name]; known != nil && m.raw.Kind() == '{' {
			c.others("document."+name+".", m, known)
		}
	})
	if tree, ok := top["product_tree"]; ok {
		c.others("product_tree.", tree, csafTree)
	}
	c.publisher()
	n := 0
	err = top["vulnerabilities"].elements(func(p part) { n++; c.vulnerability(n, p) })
	if err != nil {
		return c.doc, err
	}
	c.report()
	for i := range c.doc.Items {
		c.doc.Items[i].TLP, c.doc.Items[i].Held = c.tlp, c.held
	}
	return c.doc, nil
}

// csaf is an advisory under way.
type csaf struct {
	feed     Feed
	doc      Document
	a        advisory
	source   string // what ids are derived from
	lang     string
	created  stix.Time
	modified stix.Time
	tlp      noroshi.TLP
	held     string
	products map[string]product
	refs     []stix.ID // of the report
	in       map[stix.ID]bool
}

var languageTag = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$`)

// begin reads what all objects need.
func (c *csaf) begin(whole part) error {
	if err := whole.decode(&c.a); err != nil {
		return &Error{Msg: err.Error()}
	}
	d := &c.a.Document
	if d.Version != "2.0" && d.Version != "2.1" {
		return &Error{Msg: fmt.Sprintf("document.csaf_version: %q is not read, 2.0 and 2.1 are", clip(d.Version))}
	}
	for _, need := range [][2]string{{"document.title", d.Title}, {"document.tracking.id", d.Tracking.ID}, {"document.publisher.name", d.Publisher.Name}} {
		if need[1] == "" {
			return &Error{Msg: need[0] + ": is missing"}
		}
	}
	var err error
	if c.created, err = instant("document.tracking.initial_release_date", d.Tracking.Initial); err != nil {
		return err
	}
	if c.modified, err = instant("document.tracking.current_release_date", d.Tracking.Current); err != nil {
		return err
	}
	if c.modified.Compare(c.created) < 0 {
		c.created = c.modified
	}
	c.source = "csaf\n" + d.Publisher.Namespace
	if d.Publisher.Namespace == "" {
		c.source = "csaf\n" + d.Publisher.Name
	}
	if c.lang = d.Lang; c.lang != "" && !languageTag.MatchString(c.lang) {
		c.doc.note(Place{Path: "/document/lang"}, "csaf-lang", clip(c.lang))
		c.lang = ""
	}
	c.in = map[stix.ID]bool{}
	c.handling()
	return c.readTree()
}

// handling reads how the advisory may be passed on. The TLP label goes before
// the text (CSAF 2.0 §3.2.1.5); a text alone needs a person.
func (c *csaf) handling() {
	d := c.a.Document.Distribution
	label, words := strings.TrimSpace(d.TLP.Label), strings.TrimSpace(d.Text)
	switch {
	case label != "":
		t, err := ParseTLP(label)
		if c.tlp = t; err != nil {
			c.tlp, c.held = noroshi.NoTLP, label
		}
		if words != "" {
			c.doc.note(Place{Path: "/document/distribution/text"}, "csaf-distribution", clip(words))
		}
	case words != "":
		c.held = words
	}
}

// instant reads a time of an advisory, which may have a zone.
func instant(field, text string) (stix.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Year() < 1970 || t.Year() > 9998 {
		return stix.Time{}, &Error{Msg: fmt.Sprintf("%s: %q is no time such as 2026-01-31T15:04:05Z", field, clip(text))}
	}
	return stix.TimeOf(t), nil
}

// others notes the members of p that are not read.
func (c *csaf) others(before string, p part, known []string) {
	p.members(func(name string, m part) {
		if !slices.Contains(known, name) {
			c.doc.note(m.at, "member", before+clip(name))
		}
	})
}

// make adds an object of this node, dated as the advisory is.
func (c *csaf) make(at Place, typ string, id stix.ID, rest ...stix.Member) stix.ID {
	if c.held != "" {
		rest = labelled(rest, HeldLabel(c.held))
	}
	c.doc.Items = append(c.doc.Items, Item{Own: true, Created: c.created, Modified: c.modified, At: at,
		Make: func(created, modified stix.Time) (*stix.Object, error) {
			return stix.Make(append(head(c.feed, typ, id, created, modified), rest...)...)
		}})
	c.holds(id)
	return id
}

// labelled adds a label to an object's members.
func labelled(members []stix.Member, label string) []stix.Member {
	for i := range members {
		if had, ok := members[i].Value.([]string); ok && members[i].Name == "labels" {
			members[i].Value = append(slices.Clone(had), label)
			return members
		}
	}
	return append([]stix.Member{{Name: "labels", Value: []string{label}}}, members...)
}

// holds adds to what the report holds; it reports whether that is new.
func (c *csaf) holds(id stix.ID) bool {
	if c.in[id] {
		return false
	}
	c.in[id] = true
	c.refs = append(c.refs, id)
	return true
}

func (c *csaf) relate(at Place, from stix.ID, verb string, to stix.ID) {
	id := c.feed.ID("relationship", c.source, string(from)+"\n"+verb+"\n"+string(to))
	c.make(at, "relationship", id, stix.Member{Name: "relationship_type", Value: verb},
		stix.Member{Name: "source_ref", Value: from}, stix.Member{Name: "target_ref", Value: to})
}

func (c *csaf) publisher() {
	p := c.a.Document.Publisher
	var refs []any
	if strings.Contains(p.Namespace, "://") {
		refs = []any{[]stix.Member{{Name: "source_name", Value: p.Name}, {Name: "url", Value: p.Namespace}}}
	}
	c.make(Place{Path: "/document/publisher"}, "identity", c.feed.ID("identity", c.source, p.Name),
		stix.Member{Name: "external_references", Value: refs}, stix.Member{Name: "name", Value: p.Name},
		stix.Member{Name: "identity_class", Value: "organization"}, stix.Member{Name: "contact_information", Value: p.Contact})
}

// report adds what holds the advisory together.
func (c *csaf) report() {
	d := c.a.Document
	var labels []string
	if s := strings.TrimSpace(d.Tracking.Status); s != "" && s != "final" {
		labels = []string{"csaf-" + s}
	}
	own := []stix.Member{{Name: "source_name", Value: d.Publisher.Name}, {Name: "external_id", Value: d.Tracking.ID}}
	if d.Tracking.Version != "" {
		own = slices.Insert(own, 1, stix.Member{Name: "description", Value: "version " + d.Tracking.Version})
	}
	refs := []any{own}
	for _, l := range slices.Concat(d.Refs, c.a.Refs) {
		refs = append(refs, l.reference()...)
	}
	objects := slices.Clone(c.refs)
	c.make(Place{Path: "/document"}, "report", c.feed.ID("report", c.source, d.Tracking.ID),
		stix.Member{Name: "labels", Value: labels}, stix.Member{Name: "lang", Value: c.lang}, stix.Member{Name: "external_references", Value: refs},
		stix.Member{Name: "name", Value: d.Title}, stix.Member{Name: "description", Value: texts(d.Notes)},
		stix.Member{Name: "report_types", Value: []string{"vulnerability"}}, stix.Member{Name: "published", Value: c.created},
		stix.Member{Name: "object_refs", Value: objects})
}

// reference is the external reference of a link, none where it has no address.
func (l link) reference() []any {
	if !strings.Contains(l.URL, "://") {
		return nil
	}
	name := "reference"
	if l.Category == "self" {
		name = "advisory"
	}
	return []any{[]stix.Member{{Name: "source_name", Value: name}, {Name: "description", Value: l.Summary}, {Name: "url", Value: l.URL}}}
}

// texts puts notes one below the other; legal disclaimers describe nothing.
func texts(list []text) string {
	var lines []string
	for _, t := range list {
		if t.Category == "legal_disclaimer" || t.Text == "" {
			continue
		}
		if t.Title != "" && len(list) > 1 {
			lines = append(lines, t.Title+": "+t.Text)
			continue
		}
		lines = append(lines, t.Text)
	}
	return strings.Join(lines, "\n\n")
}

// number is a JSON number as it stands, for a text.
func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
