package siem

import (
	"context"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// told is an event, or why there is none.
type told struct {
	event    *Event
	withheld bool // it is above the ceiling, or too long to be sent with its marking
}

// object makes the event of a version that came into the feed at a time. There
// is none of what is neither a warning nor a sighting, is not its owner's word,
// or has been withdrawn since: what was taken back is not spread further.
func (s *Sender) object(ctx context.Context, r store.Record, at time.Time) (told, error) {
	e := &Event{Time: at, Realm: s.o.Realm, Node: s.o.Node, CallSign: s.o.CallSign, Object: r.Object.ID, Revoked: r.Object.Revoked}
	warning, is := noroshi.WarningOf(r.Object)
	var of []stix.ID
	switch {
	case r.Withdrawn || r.Foreign || r.Conflict:
		return told{}, nil
	case is:
		e.Kind, of = Warning, warning.Refs
		e.Severity, e.Precedence, e.Asked, e.Due = severityOf(warning.Severity), warning.Precedence, warning.Action, warning.Due
		e.Title, e.Text = warning.Title, warning.Text
	case r.Object.Type == "sighting":
		seen, err := r.Object.Sighting()
		if err != nil {
			return told{}, nil // admitted all the same; there is nothing to tell
		}
		e.Kind, of = Sighting, []stix.ID{seen.SightingOf}
		e.Severity, e.Count, e.First, e.Last = sightingSeverity, seen.Count, seen.FirstSeen.Time(), seen.LastSeen.Time()
	}
	if !s.wants(e.Kind) {
		return told{}, nil
	}
	e.ID = eventID(s.o.Node, s.o.Realm, string(e.Kind), string(e.Object), r.Hash.String())
	var err error
	if e.Label, err = s.labels().Of(ctx, r); err != nil {
		return told{}, err
	}
	if !s.dest.Max.Admits(e.Label) {
		return told{withheld: true}, nil
	}
	if e.Source, err = s.from(ctx, r.Source); err != nil {
		return told{}, err
	}
	if err := s.name(ctx, e, of); err != nil {
		return told{}, err
	}
	if e.Kind == Warning {
		return told{event: e}, s.translate(ctx, e, r)
	}
	e.Title, e.Text = s.o.Words(s.dest.Lang, e)
	return told{event: e}, nil
}

func (s *Sender) wants(k Kind) bool {
	for _, w := range s.dest.What {
		if w == k {
			return true
		}
	}
	return false
}

// maxNamed bounds how many objects an event is about are looked at.
const maxNamed = 20

// name gives an event the first indicator it is about that the destination may
// know of: its own label counts, not that of whoever speaks of it.
func (s *Sender) name(ctx context.Context, e *Event, of []stix.ID) error {
	for _, id := range of[:min(len(of), maxNamed)] {
		if id.Type() != "indicator" {
			continue
		}
		r, err := s.store.Current(ctx, id)
		if noroshi.KindOf(err) == noroshi.NotFound {
			continue
		}
		if err != nil {
			return err
		}
		l, err := s.labels().Of(ctx, r)
		if err != nil {
			return err
		}
		joined := e.Label.Join(l)
		if r.Withdrawn || !s.dest.Max.Admits(l) || !s.dest.Max.Admits(joined) {
			continue
		}
		e.Label, e.Indicator = joined, id
		if len(r.Values) > 0 {
			e.Value = r.Values[0]
		}
		return nil
	}
	return nil
}

// translate puts a warning into the destination's language where its source
// gave it one, for this very version (STIX 2.1 §7.1), and the destination may
// have that too.
func (s *Sender) translate(ctx context.Context, e *Event, r store.Record) error {
	spoken := r.Object.Text("lang")
	if spoken == s.dest.Lang || spoken == "" && s.dest.Lang == "en" {
		return nil
	}
	list, err := s.store.Referring(ctx, e.Object, "language-content", maxTranslations)
	if err != nil {
		return err
	}
	for _, t := range list {
		title, text := wording(t.Object, r.Object.Modified, s.dest.Lang)
		if title == "" || t.Withdrawn || t.Object.Revoked || t.Source.Owner() != r.Source.Owner() {
			continue
		}
		l, err := s.labels().Of(ctx, t)
		if err != nil {
			return err
		}
		if joined := e.Label.Join(l); s.dest.Max.Admits(l) && s.dest.Max.Admits(joined) {
			e.Label, e.Title, e.Text = joined, title, text
			return nil
		}
	}
	return nil
}

// maxTranslations bounds how many translations of a warning are looked at.
const maxTranslations = 100

// wording reads a report's title and text in a language out of a
// language-content; "" when it has none, is of another version, or is a program's
// that nobody has checked.
func wording(o *stix.Object, of stix.Time, lang string) (title, text string) {
	if says, ok := noroshi.TranslationOf(o); !ok || says.StaleAt(of) || says.Unchecked() {
		return "", ""
	}
	said := noroshi.SaidIn(o)[lang]
	return said.Name, said.Description
}

// from names a source: a call sign, or the name of a file, feed or client.
func (s *Sender) from(ctx context.Context, src noroshi.Source) (string, error) {
	switch src.Kind {
	case noroshi.FromSelf:
		return string(s.o.CallSign), nil
	case noroshi.FromPartner:
		return s.callSign(ctx, src.Partner)
	}
	return src.Name, nil
}

// callSign returns a partner's call sign, or its node id where it has no record.
func (s *Sender) callSign(ctx context.Context, node noroshi.NodeID) (string, error) {
	body, err := s.store.Doc(ctx, noroshi.DocPartner, node.String())
	if noroshi.KindOf(err) == noroshi.NotFound {
		return node.String(), nil
	}
	if err != nil {
		return "", err
	}
	var p noroshi.Partner
	if err := json.Unmarshal(body, &p); err != nil {
		return "", err
	}
	return string(p.Organisation.CallSign), nil
}

// act makes the event of an act. Its label is that of the act, joined with
// those of the objects its subject names: who may not know of an object may not
// know what was done about it. An act without either is housekeeping of the
// node, and says nothing of any object: not how many it concerns.
func (s *Sender) act(ctx context.Context, a store.Entry) (told, error) {
	e := &Event{Kind: Audit, Time: a.Time, Realm: s.o.Realm, Node: s.o.Node, CallSign: s.o.CallSign, Source: string(s.o.CallSign),
		Action: a.Act.Action, Index: a.Index, Agreed: a.Act.Agreement, Severity: actSeverity, Precedence: a.Act.Precedence}
	if n, ok := actSeverities[a.Act.Action]; ok {
		e.Severity = n
	}
	e.ID = actID(s.o.Node, s.o.Realm, a.Index)
	marked := false
	if a.Act.Label != "" {
		l, err := noroshi.KeptLabel(a.Act.Label)
		if err != nil {
			return told{withheld: true}, nil // a label nobody can read admits nothing
		}
		e.Label, marked, e.Count = l, true, a.Act.Count
	}
	subject, ids := subjectOf(a.Act)
	for _, id := range ids {
		if id.Type() == "marking-definition" {
			continue // has no marking, ever, and its id stands on what it marks
		}
		l, held, err := s.wholeID(ctx, id)
		if err != nil {
			return told{}, err
		}
		e.Label, marked = e.Label.Join(l), marked || held
	}
	if marked && !s.dest.Max.Admits(e.Label) {
		return told{withheld: true}, nil
	}
	e.Subject = subject
	for _, p := range a.Act.Persons {
		e.Persons = append(e.Persons, p.Person)
	}
	if c := a.Act.Caller; len(e.Persons) == 0 && c.Person != "" {
		e.Persons = []string{c.Person}
	}
	var err error
	if a.Act.Partner != (noroshi.NodeID{}) {
		if e.Partner, err = s.callSign(ctx, a.Act.Partner); err != nil {
			return told{}, err
		}
	}
	e.Title, e.Text = s.o.Words(s.dest.Lang, e)
	return told{event: e}, nil
}

// subjectOf returns what may be told of an act's subject, and the objects named
// in it. Subjects are ids, codes and ids of persons, but for some: what came in
// is named by a hash of its bytes, which has no label, and a refused act quotes
// what the caller wrote; of its four words (operation, about what, in whose
// name, why) the second goes only where it is the id of an object.
func subjectOf(a noroshi.Act) (subject string, ids []stix.ID) {
	if a.Action == noroshi.ActImport || a.Action == noroshi.ActQuarantine {
		return "", nil
	}
	words := strings.Fields(a.Subject)
	for i, w := range words {
		id, err := stix.ParseID(w)
		if err == nil {
			ids = append(ids, id)
		} else if a.Action == noroshi.ActRefuse && i == 1 {
			words[i] = "-"
		}
	}
	return strings.Join(words, " "), ids
}
