package web

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Dossier is an object with what this node knows of it: what it names, who else
// says so, where it was seen, whether it is matched, who has it. What refers to it
// is in Near.
type Dossier struct {
	ObjectDetail
	Banner      Banners      `json:"banner"`
	Description string       `json:"description,omitempty"`
	Lang        string       `json:"lang,omitempty"` // of name and description
	Rendered    []Rendered   `json:"rendered"`       // name and description in other languages
	Named       []NamedValue `json:"named"`          // what is matched, the first 20
	Claims      []ObjectRow  `json:"claims"`         // other objects that name one of those, the first 50
	Seen        Sightings    `json:"seen"`
	Since       time.Time    `json:"valid_from,omitzero"`
	Unarmed     string       `json:"unarmed,omitempty"` // why it is not matched: "withdrawn", "revoked", "conflict", "pattern-type", "form", "soon", "starting", "stopped"
	Copies      []Copy       `json:"copies"`            // at partners, on the way, or waiting
	Recalls     []RecallRow  `json:"recalls"`
	Partners    bool         `json:"partners,omitempty"` // a partner's object: only they withdraw it
}

// NamedValue is a value, and the warning-lists that name it.
type NamedValue struct {
	Kind  noroshi.ValueKind `json:"kind"`
	Value string            `json:"value"`
	Lists []string          `json:"lists,omitempty"`
}

// Rendered is what a language-content object says of an object (STIX 2.1 §7.1).
type Rendered struct {
	Worded
	ID          stix.ID `json:"id"`
	Lang        string  `json:"lang"`
	Name        string  `json:"name,omitempty"`
	Description string  `json:"description,omitempty"`
	From        string  `json:"from"`
	Stale       bool    `json:"stale,omitempty"` // of another version than the current one
	Label       string  `json:"label"`
}

// Sightings is what sightings say of an object.
type Sightings struct {
	Here  int           `json:"here"`  // times, by our sensors
	There int           `json:"there"` // times, as partners and others say
	First time.Time     `json:"first,omitzero"`
	Last  time.Time     `json:"last,omitzero"`
	Rows  []SightingRow `json:"rows"`           // the latest 20
	More  bool          `json:"more,omitempty"` // not all were counted
}

// SightingRow is one sighting.
type SightingRow struct {
	ID    stix.ID   `json:"id"`
	From  string    `json:"from"`
	Own   bool      `json:"own"`
	Count int       `json:"count"`
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
	Label string    `json:"label"`
}

// Bounds of a dossier.
const (
	maxClaims    = 50
	maxSightings = 300 // that are counted
	maxSeenRows  = 20
	maxRendered  = 20 // translations, and languages of one
)

func indicatorDossier(ctx context.Context, c *Call) (any, error) {
	var in ObjectRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	detail, versions, err := c.detail(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	r := detail.record
	d := Dossier{ObjectDetail: detail, Description: r.Object.Text("description"), Lang: r.Object.Lang, Since: timeOf(r.Object.Text("valid_from")), Partners: r.Source.Kind == noroshi.FromPartner,
		Named: []NamedValue{}, Unarmed: c.unarmed(r)}
	rows, err := c.foundRows(ctx, []store.Record{r})
	if err != nil {
		return nil, err
	}
	d.ObjectRow = rows[0]
	d.Banner = bannersOf(d.Label, nil)
	for _, v := range r.Values[:min(len(r.Values), maxValues)] {
		d.Named = append(d.Named, NamedValue{v.Kind, v.String(), c.Gate.ListsOf(v)})
	}
	if d.Rendered, err = c.rendered(ctx, r); err != nil {
		return nil, err
	}
	if d.Claims, err = c.claims(ctx, r); err != nil {
		return nil, err
	}
	if d.Seen, err = c.seen(ctx, in.ID); err != nil {
		return nil, err
	}
	return d, c.copiesAndRecalls(ctx, versions, &d)
}

// rendered are the translations of an object that are in use.
func (c *Call) rendered(ctx context.Context, of store.Record) ([]Rendered, error) {
	list := []Rendered{}
	all, err := c.translationsOf(ctx, of.Object.ID)
	labels := c.Store.Labels(nil)
	for _, r := range all[:min(len(all), maxRendered)] {
		label, err := labels.Of(ctx, r)
		if err != nil {
			return nil, err
		}
		how, err := c.worded(ctx, r)
		if err != nil {
			return nil, err
		}
		told, _ := noroshi.TranslationOf(r.Object)
		says := noroshi.SaidIn(r.Object)
		for _, lang := range slices.Sorted(maps.Keys(says))[:min(len(says), maxRendered)] {
			list = append(list, Rendered{how, r.Object.ID, lang, says[lang].Name, says[lang].Description, c.from(ctx, r.Source), told.Stale(of.Object), label.String()})
		}
	}
	return list, err
}

// copiesAndRecalls fills in who has it or asked for it back.
func (c *Call) copiesAndRecalls(ctx context.Context, versions []store.Record, d *Dossier) error {
	t := Traced{Copies: []Copy{}}
	if err := c.copies(ctx, versions, &t); err != nil {
		return err
	}
	all, err := c.recallRows(ctx)
	d.Copies, d.Recalls = t.Copies, []RecallRow{}
	for _, r := range all {
		if slices.Contains(r.Objects, d.ID) {
			d.Recalls = append(d.Recalls, r)
		}
	}
	return err
}

// unarmed says why an object is not matched, "" where it is or could not be.
func (c *Call) unarmed(r store.Record) string {
	from := timeOf(r.Object.Text("valid_from"))
	switch {
	case r.Object.Type != "indicator":
		return ""
	case r.Withdrawn:
		return "withdrawn"
	case r.Object.Revoked:
		return "revoked"
	case r.Conflict:
		return "conflict"
	case r.Object.Text("pattern_type") != "stix":
		return "pattern-type"
	case !c.Running:
		return "stopped"
	case !c.Watch.Loaded():
		return "starting"
	case c.Index.Armed(r.Object.ID):
		return ""
	case from.After(c.Now()):
		return "soon"
	}
	if _, note := intake.ValuesOf(r.Object); note != "" {
		return "form"
	}
	return "soon"
}

// claims are the other objects that name a value of a record.
func (c *Call) claims(ctx context.Context, r store.Record) ([]ObjectRow, error) {
	var recs []store.Record
	for _, v := range r.Values[:min(len(r.Values), maxValues)] {
		if len(recs) >= maxClaims {
			break
		}
		list, err := c.naming(ctx, v, maxClaims+1)
		if err != nil {
			return nil, err
		}
		for _, x := range list {
			same := func(y store.Record) bool { return y.Object.ID == x.Object.ID }
			if x.Object.ID != r.Object.ID && len(recs) < maxClaims && !slices.ContainsFunc(recs, same) {
				recs = append(recs, x)
			}
		}
	}
	return c.foundRows(ctx, recs)
}

// naming returns objects that name just this value, the newest first: of a network
// not those that lie in it, and of one in which very much lies none.
func (c *Call) naming(ctx context.Context, v noroshi.Value, limit int) ([]store.Record, error) {
	if _, wide, err := c.Store.Wide(ctx, v); wide || err != nil {
		return nil, err
	}
	list, err := c.Store.ByValue(ctx, v, store.Along{Back: true, Limit: limit})
	return slices.DeleteFunc(list, func(r store.Record) bool { return !slices.Contains(r.Values, v) }), err
}

// seen counts the sightings of an object.
func (c *Call) seen(ctx context.Context, id stix.ID) (s Sightings, err error) {
	s.Rows = []SightingRow{}
	list, err := c.Store.Referring(ctx, id, "sighting", maxSightings)
	if err != nil {
		return s, err
	}
	labels := c.Store.Labels(nil)
	for _, r := range list {
		view, err := r.Object.Sighting()
		if err != nil || r.Withdrawn || view.SightingOf != id {
			continue
		}
		label, err := labels.Of(ctx, r)
		if err != nil {
			return s, err
		}
		s.add(SightingRow{r.Object.ID, c.from(ctx, r.Source), r.Source.Kind == noroshi.FromSelf, max(view.Count, 1), view.FirstSeen.Time(), view.LastSeen.Time(), label.String()})
	}
	s.More = len(list) == maxSightings
	slices.SortFunc(s.Rows, func(a, b SightingRow) int { return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.ID, b.ID)) })
	s.Rows = s.Rows[:min(len(s.Rows), maxSeenRows)]
	return s, nil
}

func (s *Sightings) add(r SightingRow) {
	if r.Own {
		s.Here += r.Count
	} else {
		s.There += r.Count
	}
	if !r.First.IsZero() && (s.First.IsZero() || r.First.Before(s.First)) {
		s.First = r.First
	}
	if r.Last.After(s.Last) {
		s.Last = r.Last
	}
	s.Rows = append(s.Rows, r)
}
