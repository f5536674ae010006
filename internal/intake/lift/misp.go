package lift

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi/stix/misp"
)

// A MISP event becomes what package misp makes of it. Its objects have ids,
// times and a maker of their own. What is tagged on the event counts for all of
// it and stands in no object but the report, so every item has the tags that
// count for it. What STIX has no place for is kept beside the objects, under
// MISPDoc and the event's UUID.

// MISPDoc is the kind of the documents that keep what STIX cannot carry of a
// MISP event.
const MISPDoc = "misp"

// tellsMISP tells an event by what stands around it, and a bare one by what
// every event has.
func tellsMISP(o *Outline) bool {
	if o.Has("/type") && o.Has("/id") { // STIX
		return false
	}
	return o.Has("/response") || o.Has("/Event") || o.Has("/0/Event") || o.Has("/info") && (o.Has("/Attribute") || o.Has("/threat_level_id") || o.Has("/orgc_id"))
}

func liftMISP(b []byte, _ Feed) (doc Document, err error) {
	events, err := misp.ReadAll(bytes.TrimPrefix(b, []byte("\ufeff")), misp.Options{})
	if err != nil {
		return doc, &Error{Msg: err.Error()}
	}
	for _, e := range events {
		r := e.STIX(misp.Options{})
		about, err := misp.ReadRest(r.Rest)
		if err != nil {
			return doc, fmt.Errorf("what STIX cannot carry of event %s: %w", e.UUID, err)
		}
		if slices.ContainsFunc(doc.Beside, func(k Beside) bool { return k.Key == about.UUID }) {
			doc.Items = append(doc.Items, Item{Fault: &Fault{Code: malformed, Msg: "the same event stands in the file before", Raw: r.Rest}})
			continue
		}
		doc.Beside = append(doc.Beside, Beside{Kind: MISPDoc, Key: about.UUID, At: about.At, Tags: about.Tags, Body: r.Rest})
		for _, o := range r.Objects {
			doc.Items = append(doc.Items, Item{Object: o, Tags: r.Tags[o.ID], Of: about.UUID, Common: o.Type == "identity"})
		}
		for _, f := range e.Faults {
			doc.Items = append(doc.Items, Item{At: Place{Path: f.Place}, Fault: &Fault{Code: malformed, Msg: f.Code + ": " + f.Text, Raw: f.Raw}})
		}
		for _, n := range r.Notes {
			doc.Notes = append(doc.Notes, Note{Place: Place{Path: n.Place}, Code: "misp-" + n.Code, Args: []string{member(n.Place)}, Count: n.Count})
		}
	}
	if len(doc.Items) > MaxItems {
		return doc, &Error{Msg: "more than 1,000,000 objects"}
	}
	return doc, nil
}

// member is what a note is about: the last name of its place.
func member(place string) string {
	names := strings.Split(strings.TrimSuffix(place, "/*"), "/")
	return names[len(names)-1]
}

// keptBefore reads what an earlier import of an event kept.
func keptBefore(body []byte) (Beside, error) {
	about, err := misp.ReadRest(body)
	return Beside{Kind: MISPDoc, Key: about.UUID, At: about.At, Tags: about.Tags, Body: body}, err
}
