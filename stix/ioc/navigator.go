package ioc

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/noroshi-cti/noroshi/stix"
)

// LayerOptions describe an ATT&CK Navigator layer.
type LayerOptions struct {
	Name        string // "" is "noroshi" and the node
	Description string
	Domain      string // "enterprise-attack", "mobile-attack", "ics-attack"; "" is the first
	Attack      string // version of ATT&CK, such as "18"; "" leaves it to the Navigator
}

// MaxTechniques bounds the techniques of one layer; ATT&CK has under 1,000.
const MaxTechniques = 10_000

// layer is the file (ATT&CK Navigator layer format 4.5).
type layer struct {
	Name        string           `json:"name"`
	Versions    layerVersions    `json:"versions"`
	Domain      string           `json:"domain"`
	Description string           `json:"description"`
	Sorting     int              `json:"sorting"`
	Techniques  []layerTechnique `json:"techniques"`
	Gradient    layerGradient    `json:"gradient"`
	Metadata    []layerPair      `json:"metadata"`
}

type layerVersions struct {
	Attack    string `json:"attack,omitempty"`
	Navigator string `json:"navigator"`
	Layer     string `json:"layer"`
}

type layerTechnique struct {
	ID       string      `json:"techniqueID"`
	Score    int         `json:"score"`
	Comment  string      `json:"comment"`
	Metadata []layerPair `json:"metadata"`

	markings map[string]int // entries by marking
}

type layerGradient struct {
	Colors []string `json:"colors"`
	Min    int      `json:"minValue"`
	Max    int      `json:"maxValue"`
}

type layerPair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Navigator writes an ATT&CK Navigator layer of format 4.5. The score of a
// technique is the number of entries that name it; its comment and metadata say
// under which markings they stand. Values of entries play no part.
func Navigator(w io.Writer, entries iter.Seq[Entry], o Options) (Result, error) {
	domain := cmp.Or(o.Navigator.Domain, "enterprise-attack")
	if !slices.Contains([]string{"enterprise-attack", "mobile-attack", "ics-attack"}, domain) {
		return Result{}, fmt.Errorf("navigator layer: domain %q is none of enterprise-attack, mobile-attack, ics-attack", domain)
	}
	f := newOut(w, &o)
	found := map[string]*layerTechnique{}
	for e := range entries {
		f.tally(&e, found)
	}
	b, err := json.Marshal(f.layer(domain, found), jsontext.Multiline(true), json.Deterministic(true))
	if err != nil {
		return f.res, fmt.Errorf("navigator layer: %w", err)
	}
	f.put(string(b), "\n")
	f.res.Lines = len(found)
	return f.close()
}

// tally counts the techniques of an entry.
func (f *out) tally(e *Entry, found map[string]*layerTechnique) {
	f.res.Entries++
	if r := f.withheld(e); r != "" {
		f.skip(e, Value{}, r)
		return
	}
	ids := unique(techniques(e))
	if len(ids) == 0 {
		f.skip(e, Value{}, NoValue)
		return
	}
	f.res.Carried++
	for _, id := range ids {
		t := found[id]
		if t == nil {
			if len(found) == MaxTechniques {
				f.skip(e, Value{Text: id}, TooLong)
				continue
			}
			t = &layerTechnique{ID: id, markings: map[string]int{}}
			found[id] = t
		}
		mark := oneLine(e.Marking, maxMarking)
		if _, known := t.markings[mark]; !known && len(t.markings) >= MaxMarkings {
			f.skip(e, Value{Text: id}, ManyMarks)
			continue
		}
		t.Score++
		t.markings[mark]++
		f.res.Values++
	}
}

// layer puts the file together, techniques by id.
func (f *out) layer(domain string, found map[string]*layerTechnique) *layer {
	l := &layer{
		Name:        oneLine(cmp.Or(f.o.Navigator.Name, "noroshi "+f.o.Node), 200),
		Versions:    layerVersions{Attack: oneLine(f.o.Navigator.Attack, 20), Navigator: "5.1.0", Layer: "4.5"},
		Domain:      domain,
		Description: strings.TrimSpace(strings.ToValidUTF8("["+oneLine(f.o.Marking, maxMarking)+"] "+f.o.Navigator.Description, "\uFFFD")),
		Sorting:     3,
		Techniques:  []layerTechnique{},
		Gradient:    layerGradient{Colors: []string{"#ffffff", "#ff6666"}, Min: 0, Max: 1},
		Metadata: []layerPair{{"node", oneLine(f.o.Node, 200)}, {"made", stamp(f.o.Made)},
			{"highest marking", oneLine(f.o.Marking, maxMarking)}, {"entries", fmt.Sprint(f.res.Carried)}},
	}
	for _, id := range slices.Sorted(maps.Keys(found)) {
		t := found[id]
		for _, m := range slices.Sorted(maps.Keys(t.markings)) {
			t.Metadata = append(t.Metadata, layerPair{"marking", fmt.Sprintf("%s (%d)", m, t.markings[m])})
		}
		t.Comment = "marking: " + strings.Join(slices.Sorted(maps.Keys(t.markings)), ", ")
		l.Gradient.Max = max(l.Gradient.Max, t.Score)
		l.Techniques = append(l.Techniques, *t)
	}
	return l
}

// TechniqueEntries makes entries for Navigator from STIX objects: one for each
// ATT&CK attack-pattern, and one more for each relationship that points at it,
// so that the score is how often it is used. marking gives the marking text of
// an object. It reads the objects once and holds the attack-patterns and, for
// those that relationships name, a count.
func TechniqueEntries(objects iter.Seq[*stix.Object], marking func(*stix.Object) string) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		var patterns []Entry
		uses := map[string]map[string]int{} // by attack-pattern and marking
		for o := range objects {
			switch o.Type {
			case "attack-pattern":
				if t := techniqueOf(o); t != "" {
					patterns = append(patterns, Entry{ID: string(o.ID), Name: o.Text("name"), Marking: marking(o), Techniques: []string{t}})
				}
			case "relationship":
				if to := o.Text("target_ref"); strings.HasPrefix(to, "attack-pattern--") {
					if uses[to] == nil {
						uses[to] = map[string]int{}
					}
					uses[to][marking(o)]++
				}
			}
		}
		for _, e := range patterns {
			if !yield(e) || !again(e, uses[e.ID], yield) {
				return
			}
		}
	}
}

// again yields e once for each use, with the marking of the use.
func again(e Entry, uses map[string]int, yield func(Entry) bool) bool {
	for _, mark := range slices.Sorted(maps.Keys(uses)) {
		for range uses[mark] {
			e.Marking = mark
			if !yield(e) {
				return false
			}
		}
	}
	return true
}

// techniqueOf returns the ATT&CK id among the external references.
func techniqueOf(o *stix.Object) string {
	for _, r := range o.Property("external_references").Elements() {
		var source, id string
		for name, v := range r.Members() {
			switch name {
			case "source_name":
				source = v.Text()
			case "external_id":
				id = v.Text()
			}
		}
		if strings.HasPrefix(source, "mitre-") && isTechnique(id) {
			return id
		}
	}
	return ""
}
