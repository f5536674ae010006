package lift

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/noroshi-cti/noroshi/internal/intake/sheet"
	"github.com/noroshi-cti/noroshi/stix"
)

// The catalogue of known exploited vulnerabilities that CISA publishes, as JSON
// or as CSV. An entry becomes
//
//   - a vulnerability: name and external reference are the CVE id, the
//     description is CISA's; labels say that it is exploited, and by ransomware;
//   - a note on it: the action CISA requires and until when;
//   - the software it names, and that this has the vulnerability.
//
// What STIX has no property for so stands in labels, which every tool filters
// by, and in a note, which every tool shows. An extension of our own would be
// read by nobody else, and a partner that does not know it would hold the
// object. All of it is dated by dateAdded: the catalogue dates nothing else.
const (
	kevSource  = "cisa-kev"
	kevAddress = "https://www.cisa.gov/known-exploited-vulnerabilities-catalog"
	kevFirst   = "cveID,"

	labelExploited  = "known-exploited"
	labelRansomware = "known-ransomware-campaign-use"
)

var cveID = regexp.MustCompile(`^CVE-[0-9]{4}-[0-9]{4,19}$`)

// kevEntry is an entry of the catalogue. Members not named here are noted.
type kevEntry struct {
	CVE         string   `json:"cveID"`
	Vendor      string   `json:"vendorProject"`
	Product     string   `json:"product"`
	Name        string   `json:"vulnerabilityName"`
	Added       string   `json:"dateAdded"`
	Description string   `json:"shortDescription"`
	Action      string   `json:"requiredAction"`
	Due         string   `json:"dueDate"`
	Ransomware  string   `json:"knownRansomwareCampaignUse"`
	Notes       string   `json:"notes"`
	CWEs        []string `json:"cwes"`
}

var kevMembers = []string{"cveID", "vendorProject", "product", "vulnerabilityName", "dateAdded", "shortDescription",
	"requiredAction", "dueDate", "knownRansomwareCampaignUse", "notes", "cwes"}

func tellsKEV(o *Outline) bool {
	first := strings.ReplaceAll(o.First, `"`, "")
	return o.Has("/catalogVersion") && (o.Has("/vulnerabilities/0/cveID") || o.Has("/vulnerabilities")) || strings.HasPrefix(first, kevFirst)
}

func liftKEV(b []byte, f Feed) (Document, error) {
	b2 := bytes.TrimSpace(bytes.TrimPrefix(b, []byte("\ufeff")))
	if len(b2) > 0 && b2[0] == '{' {
		return kevJSON(b, f)
	}
	return kevCSV(b, f)
}

func kevJSON(b []byte, f Feed) (Document, error) {
	k := kev{feed: f, soft: map[stix.ID]bool{}}
	_, members, err := document(b)
	if err != nil {
		return k.doc, err
	}
	list, ok := members["vulnerabilities"]
	if !ok {
		return k.doc, &Error{Msg: "the document has no list vulnerabilities"}
	}
	n := 0
	err = list.elements(func(p part) {
		n++
		var e kevEntry
		if err := p.decode(&e); err != nil {
			k.doc.Items = append(k.doc.Items, p.fault(malformed, "%s", err))
			return
		}
		var others []string
		p.members(func(name string, _ part) {
			if !slices.Contains(kevMembers, name) {
				others = append(others, name)
			}
		})
		k.add(p, e, others)
	})
	if count, ok := members["count"]; ok && string(count.raw) != strconv.Itoa(n) {
		k.doc.note(placeIn(b, count.at.Offset, count.at.Path), "kev-count", clip(string(count.raw)), strconv.Itoa(n))
	}
	return k.doc, err
}

// kevCSV reads the catalogue as CSV, told by its heads.
func kevCSV(b []byte, f Feed) (Document, error) {
	k := kev{feed: f, soft: map[stix.ID]bool{}}
	r := sheet.NewReader(bytes.NewReader(bytes.TrimPrefix(b, []byte("\ufeff"))), ',')
	first, err := r.Next()
	if err != nil || first.Err != nil || first.Cells[0] != "cveID" {
		return k.doc, &Error{At: Place{Line: 1}, Msg: "the first line does not begin with cveID"}
	}
	heads := first.Cells
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return k.doc, nil
		}
		if err != nil {
			return k.doc, err
		}
		p := part{raw: row.Raw, at: Place{Line: row.Line}}
		if row.Err == nil && len(row.Cells) != len(heads) {
			row.Err = fmt.Errorf("%d cells, the first line has %d", len(row.Cells), len(heads))
		}
		if row.Err != nil {
			k.doc.Items = append(k.doc.Items, p.fault(malformed, "%s", row.Err))
			continue
		}
		e, others := kevRow(heads, row.Cells)
		k.add(p, e, others)
	}
}

// kevRow makes an entry of a row, and names the columns that are not known.
func kevRow(heads, row []string) (e kevEntry, others []string) {
	to := map[string]*string{"cveID": &e.CVE, "vendorProject": &e.Vendor, "product": &e.Product, "vulnerabilityName": &e.Name,
		"dateAdded": &e.Added, "shortDescription": &e.Description, "requiredAction": &e.Action, "dueDate": &e.Due,
		"knownRansomwareCampaignUse": &e.Ransomware, "notes": &e.Notes}
	for i, head := range heads {
		switch cell := to[head]; {
		case cell != nil:
			*cell = row[i]
		case head == "cwes":
			for cwe := range strings.FieldsFuncSeq(row[i], func(r rune) bool { return r == ',' || r == ' ' || r == ';' }) {
				e.CWEs = append(e.CWEs, cwe)
			}
		default:
			others = append(others, head)
		}
	}
	return e, others
}

// kev gathers what a catalogue becomes.
type kev struct {
	feed Feed
	doc  Document
	soft map[stix.ID]bool // software made already
}

// add lifts one entry.
func (k *kev) add(p part, e kevEntry, others []string) {
	added, err := day(e.Added)
	switch {
	case !cveID.MatchString(e.CVE):
		k.doc.Items = append(k.doc.Items, p.fault(malformed, "cveID: %q is no CVE id", clip(e.CVE)))
		return
	case err != nil:
		k.doc.Items = append(k.doc.Items, p.fault(malformed, "dateAdded: %s", err))
		return
	case e.Due != "":
		if _, err := day(e.Due); err != nil {
			k.doc.Items = append(k.doc.Items, p.fault(malformed, "dueDate: %s", err))
			return
		}
	}
	for _, name := range others {
		k.doc.note(p.at, "member", name)
	}
	vulnerability := k.feed.ID("vulnerability", kevSource, e.CVE)
	made := func(make func(created, modified stix.Time) (*stix.Object, error)) {
		k.doc.Items = append(k.doc.Items, Item{Make: make, Created: added, Own: true, At: p.at})
	}
	made(func(created, modified stix.Time) (*stix.Object, error) {
		return stix.Make(append(head(k.feed, "vulnerability", vulnerability, created, modified), e.vulnerability()...)...)
	})
	if note := e.note(vulnerability); note != nil {
		made(func(created, modified stix.Time) (*stix.Object, error) {
			return stix.Make(append(head(k.feed, "note", k.feed.ID("note", kevSource, e.CVE), created, modified), note...)...)
		})
	}
	k.software(p, e, added, vulnerability)
}

// software adds the product an entry names, and that it has the vulnerability.
func (k *kev) software(p part, e kevEntry, added stix.Time, vulnerability stix.ID) {
	if e.Product == "" {
		return
	}
	o, err := software(e.Product, e.Vendor, "", "")
	if err != nil {
		k.doc.note(p.at, "product", clip(e.Product))
		return
	}
	if !k.soft[o.ID] {
		k.soft[o.ID] = true
		k.doc.Items = append(k.doc.Items, Item{Object: o, Own: true, At: p.at})
	}
	k.doc.Items = append(k.doc.Items, Item{Own: true, Created: added, At: p.at, Make: func(created, modified stix.Time) (*stix.Object, error) {
		return relation(k.feed, kevSource, o.ID, "has", vulnerability, created, modified)
	}})
}

func (e kevEntry) vulnerability() []stix.Member {
	labels := []string{labelExploited}
	if strings.EqualFold(e.Ransomware, "Known") {
		labels = append(labels, labelRansomware)
	}
	refs := []any{
		[]stix.Member{{Name: "source_name", Value: "cve"}, {Name: "external_id", Value: e.CVE}},
		[]stix.Member{{Name: "source_name", Value: kevSource}, {Name: "description", Value: e.Name}, {Name: "url", Value: kevAddress}},
	}
	for _, cwe := range e.CWEs {
		refs = append(refs, []stix.Member{{Name: "source_name", Value: "cwe"}, {Name: "external_id", Value: cwe}})
	}
	return []stix.Member{{Name: "labels", Value: labels}, {Name: "external_references", Value: refs}, {Name: "name", Value: e.CVE}, {Name: "description", Value: e.Description}}
}

// note says what CISA requires, nil where it requires nothing.
func (e kevEntry) note(about stix.ID) []stix.Member {
	var lines []string
	for _, l := range [][2]string{{"Required action", e.Action}, {"Due", e.Due}, {"Product", strings.TrimSpace(e.Vendor + " " + e.Product)},
		{"Known ransomware campaign use", e.Ransomware}, {"Notes", e.Notes}} {
		if l[1] != "" {
			lines = append(lines, l[0]+": "+l[1])
		}
	}
	if e.Action == "" && e.Due == "" && e.Notes == "" {
		return nil
	}
	return []stix.Member{{Name: "lang", Value: "en"}, {Name: "abstract", Value: "CISA: " + e.CVE}, {Name: "content", Value: strings.Join(lines, "\n")}, {Name: "object_refs", Value: []stix.ID{about}}}
}

// head are the members an object of this node begins with.
func head(f Feed, typ string, id stix.ID, created, modified stix.Time) []stix.Member {
	return []stix.Member{{Name: "type", Value: typ}, {Name: "spec_version", Value: "2.1"}, {Name: "id", Value: id},
		{Name: "created_by_ref", Value: f.Self}, {Name: "created", Value: created}, {Name: "modified", Value: modified}}
}

// relation makes a relationship between two objects as one source states it.
func relation(f Feed, source string, from stix.ID, verb string, to stix.ID, created, modified stix.Time) (*stix.Object, error) {
	id := f.ID("relationship", source, string(from)+"\n"+verb+"\n"+string(to))
	return stix.Make(append(head(f, "relationship", id, created, modified), stix.Member{Name: "relationship_type", Value: verb},
		stix.Member{Name: "source_ref", Value: from}, stix.Member{Name: "target_ref", Value: to})...)
}

// software makes a software object with the id STIX derives for it (§2.9, §6.14).
func software(name, vendor, version, cpe string) (*stix.Object, error) {
	return observable("software", map[string]any{"name": name, "vendor": vendor, "version": version, "cpe": cpe})
}

// observable makes a cyber-observable object with its derived id.
func observable(typ string, properties map[string]any) (*stix.Object, error) {
	members := []stix.Member{{Name: "type", Value: typ}, {Name: "spec_version", Value: "2.1"}, {Name: "id", Value: stix.ID(typ + "--00000000-0000-4000-8000-000000000000")}}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		members = append(members, stix.Member{Name: name, Value: properties[name]})
	}
	o, err := stix.Make(members...)
	if err != nil {
		return nil, err
	}
	if members[2].Value, err = stix.SCOID(o); err != nil {
		return nil, err
	}
	return stix.Make(members...)
}
