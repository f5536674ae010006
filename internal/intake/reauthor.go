package intake

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Redraft is a person's clear text drawn from an object that not everybody may
// see. What the original says is not carried over: the new object is what stands
// in Clear.
type Redraft struct {
	Original stix.ID   `json:"subject"`
	Clear    string    `json:"clear"`    // a JSON object: type (the original's without one) and what the new object says
	Markings []string  `json:"markings"` // of the new object: TLP levels, or ids of definitions that are here
	ID       stix.ID   `json:"id"`       // of the new object, as the next two made by Redraw where they are empty
	Link     stix.ID   `json:"link"`     // of the relationship
	Made     time.Time `json:"made"`
}

// Reauthored is what a redraft comes to: the new object, and the relationship
// that says what it was derived from. That is marked with all the original is
// marked, as a whole and in part, so that it says so only to who may see the
// original.
type Reauthored struct {
	Object, Link *stix.Object

	original store.Record
	beside   []stix.ID // to be assigned to the relationship
}

// Bound is what a person's signature covers, beside the original's id: exactly
// the bytes of both objects.
func (r *Reauthored) Bound() noroshi.Hash { return ReauthorBound(r.Object.Bytes(), r.Link.Bytes()) }

// ReauthorBound is Bound of bytes.
func ReauthorBound(object, link []byte) noroshi.Hash {
	a, b := noroshi.Sum(object), noroshi.Sum(link)
	return noroshi.Sum(append(a[:], b[:]...))
}

// redraftDays is how long a redraft may be carried out.
const redraftDays = 1

// Redraw makes the objects of a redraft, and fills in what it leaves to the
// node. The same redraft gives the same bytes, as long as the original is marked
// the same.
//
// What a partner sent or, by what the object itself says, made is not
// re-authored here: its markings bind this node, and a clear text of it is the
// partner's to give.
func (g *Gate) Redraw(ctx context.Context, d *Redraft) (*Reauthored, error) {
	r, err := g.store.Current(ctx, d.Original)
	if err != nil {
		return nil, err
	}
	if err := g.ours(ctx, r); err != nil {
		return nil, err
	}
	clear, err := readClear(d.Clear)
	if err != nil {
		return nil, err
	}
	typ := r.Object.Type
	if !authored(r.Object) {
		return nil, noroshi.Errorf(noroshi.Invalid, "reauthor.type", "an object of type %s is not re-authored", typ)
	}
	if t, ok := clear["type"]; ok {
		if typ = stix.RawValue(t).Text(); typ != r.Object.Type && !slices.Contains(domainTypes, typ) {
			return nil, noroshi.Errorf(noroshi.Invalid, "reauthor.type", "an object of type %s is not re-authored", typ)
		}
	}
	d.fill(typ, g.o.Now())
	if age := g.o.Now().Sub(d.Made); d.ID.Type() != typ || d.Link.Type() != "relationship" || max(age, -age) > redraftDays*24*time.Hour {
		return nil, noroshi.Errorf(noroshi.Refused, "reauthor.order", "the redraft of %s is of another day or other ids: begin again", string(d.Original))
	}
	marks, err := g.marksOf(ctx, d.Markings, r)
	if err != nil {
		return nil, err
	}
	out := &Reauthored{original: r}
	if out.Object, err = g.draw(*d, typ, clear, marks); err != nil {
		return nil, err
	}
	if names(out.Object, d.Original) {
		return nil, noroshi.Errorf(noroshi.Invalid, "reauthor.names", "the clear text names its original %s", string(d.Original))
	}
	out.Link, out.beside, err = g.drawLink(*d, r)
	return out, err
}

// ours refuses what another node sent or made, whichever door it came by.
func (g *Gate) ours(ctx context.Context, r store.Record) error {
	refused := func(p noroshi.Partner) error {
		return noroshi.Errorf(noroshi.Refused, "reauthor.partners", "%s came from %s: a clear text of it is theirs to give", string(r.Object.ID), p.Organisation.CallSign)
	}
	if r.Source.Kind == noroshi.FromPartner {
		p, err := g.partner(r.Source.Partner)
		if err != nil {
			return err
		}
		return refused(p)
	}
	if r.Object.CreatedBy == "" || r.Object.CreatedBy == g.o.Self.Identity {
		return nil
	}
	partners, err := g.store.Partners(ctx)
	for _, p := range partners {
		if p.Organisation.Identity == r.Object.CreatedBy {
			return refused(p)
		}
	}
	return err
}

// fill fills in what the node chooses.
func (d *Redraft) fill(typ string, now time.Time) {
	if d.ID == "" {
		d.ID = stix.NewID(typ)
	}
	if d.Link == "" {
		d.Link = stix.NewID("relationship")
	}
	if d.Made.IsZero() {
		d.Made = now.UTC().Truncate(time.Millisecond)
	}
}

// domainTypes are the types an analyst writes (STIX 2.1 §4).
var domainTypes = []string{"attack-pattern", "campaign", "course-of-action", "grouping", "identity", "incident", "indicator", "infrastructure",
	"intrusion-set", "location", "malware", "malware-analysis", "note", "observed-data", "opinion", "report", "threat-actor", "tool", "vulnerability"}

// authored reports whether an object is one an analyst writes, of a known type
// or an unknown one that has versions.
func authored(o *stix.Object) bool {
	return !o.Modified.IsZero() && !slices.Contains([]string{"relationship", "sighting", "language-content", "extension-definition"}, o.Type)
}

// readClear reads the members of a clear text. What the node sets itself and
// what a marking says is not taken from it: copied over from the original, it
// would be believed.
func readClear(text string) (map[string]jsontext.Value, error) {
	var clear map[string]jsontext.Value
	if err := json.Unmarshal([]byte(text), &clear); err != nil || clear == nil {
		var at *jsontext.SyntacticError
		place := int64(0)
		if errors.As(err, &at) {
			place = at.ByteOffset
		}
		return nil, noroshi.Errorf(noroshi.Invalid, "reauthor.file", "the clear text is no JSON object: byte %d", place)
	}
	for _, name := range slices.Sorted(maps.Keys(clear)) {
		switch strings.ToLower(name) {
		case "object_marking_refs", "granular_markings":
			return nil, noroshi.Errorf(noroshi.Invalid, "reauthor.marked", "the clear text has %s: its markings are said beside it", name)
		case "id", "spec_version", "created", "modified", "created_by_ref", "revoked":
			return nil, noroshi.Errorf(noroshi.Invalid, "reauthor.set-here", "the clear text has %s, which the node sets", name)
		}
		v := clear[name]
		if err := v.Compact(); err != nil {
			return nil, err
		}
		clear[name] = v
	}
	return clear, nil
}

// draw makes the new object, which must be good STIX 2.1.
func (g *Gate) draw(d Redraft, typ string, clear map[string]jsontext.Value, marks []stix.ID) (*stix.Object, error) {
	at := stix.TimeOf(d.Made)
	members := []stix.Member{
		{Name: "type", Value: typ},
		{Name: "spec_version", Value: "2.1"},
		{Name: "id", Value: d.ID},
		{Name: "created_by_ref", Value: g.o.Self.Identity},
		{Name: "created", Value: at},
		{Name: "modified", Value: at},
	}
	for _, name := range slices.Sorted(maps.Keys(clear)) {
		if name != "type" {
			members = append(members, stix.Member{Name: name, Value: stix.RawValue(clear[name])})
		}
	}
	o, err := stix.Make(append(members, stix.Member{Name: "object_marking_refs", Value: marks})...)
	if err != nil {
		r := refuseSyntax(err)
		return nil, badClear("", r.code, r.msg)
	}
	for _, p := range stix.Validate(o) {
		return nil, badClear(p.Path, p.Code, p.Msg)
	}
	return o, nil
}

func badClear(path, code, msg string) error {
	return noroshi.Errorf(noroshi.Invalid, "reauthor.invalid", "the clear text is no good STIX 2.1: at %s: %s: %s", cmp.Or(path, "/"), code, msg)
}

// drawLink makes the relationship. What was assigned to the original and is no
// level is assigned to it too: a stand-in in an object says nothing to anybody.
func (g *Gate) drawLink(d Redraft, r store.Record) (link *stix.Object, beside []stix.ID, err error) {
	marks := append(slices.Clone(r.Object.Markings), noroshi.GranularMarkings(r.Object)...)
	for _, id := range r.Assigned {
		if noroshi.TLPOf(id) != noroshi.NoTLP {
			marks = append(marks, id)
		} else {
			beside = append(beside, id)
		}
	}
	slices.Sort(marks)
	at := stix.TimeOf(d.Made)
	link, err = stix.Make(
		stix.Member{Name: "type", Value: "relationship"},
		stix.Member{Name: "spec_version", Value: "2.1"},
		stix.Member{Name: "id", Value: d.Link},
		stix.Member{Name: "created_by_ref", Value: g.o.Self.Identity},
		stix.Member{Name: "created", Value: at},
		stix.Member{Name: "modified", Value: at},
		stix.Member{Name: "relationship_type", Value: DerivedFrom},
		stix.Member{Name: "source_ref", Value: d.ID},
		stix.Member{Name: "target_ref", Value: d.Original},
		stix.Member{Name: "object_marking_refs", Value: slices.Compact(marks)},
	)
	return link, beside, err
}

// DerivedFrom is the type of the relationship (STIX 2.1, common relationships).
const DerivedFrom = "derived-from"

// marksOf returns the markings a person asks for, which must be understood by
// what came here from no partner, and the exercise's of the original: nothing
// crosses realms.
func (g *Gate) marksOf(ctx context.Context, asked []string, original store.Record) (ids []stix.ID, err error) {
	bodies, theirs := map[stix.ID][]*stix.Object{}, map[stix.ID][]*stix.Object{}
	for _, text := range asked {
		id := stix.ID(text)
		if t, err := noroshi.ParseTLP(text); err == nil {
			id = t.MarkingID()
		}
		ids = append(ids, id)
	}
	for _, id := range append(slices.Clone(ids), original.Object.Markings...) {
		versions, err := g.store.Versions(ctx, id)
		if err != nil && noroshi.KindOf(err) != noroshi.NotFound {
			return nil, err
		}
		for _, v := range versions {
			if v.Source.Kind == noroshi.FromPartner {
				theirs[id] = append(theirs[id], v.Object)
			} else {
				bodies[id] = append(bodies[id], v.Object)
			}
		}
	}
	for i, id := range ids {
		if len(bodies[id]) == 0 && len(theirs[id]) > 0 && noroshi.TLPOf(id) == noroshi.NoTLP {
			return nil, noroshi.Errorf(noroshi.Invalid, "reauthor.their-marking", "the definition of %q came from partners alone: nothing of this node's is marked with it", asked[i])
		}
		if l := noroshi.MarkingLabel(id, bodies[id], nil); !l.Handled() || len(l.Unknown) > 0 {
			return nil, noroshi.Errorf(noroshi.Invalid, "reauthor.marking", "%q is no TLP level, and no marking that is understood here", asked[i])
		}
	}
	if len(ids) == 0 {
		return nil, noroshi.Errorf(noroshi.Invalid, "reauthor.marking", "%q is no TLP level, and no marking that is understood here", "")
	}
	for _, id := range original.Object.Markings {
		if noroshi.MarkingLabel(id, slices.Concat(bodies[id], theirs[id]), nil).Exercise != "" {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// names reports whether an object names another anywhere in its texts: by its
// id, or by what makes the id unique.
func names(o *stix.Object, id stix.ID) bool {
	_, unique, _ := strings.Cut(string(id), "--")
	for d := jsontext.NewDecoder(strings.NewReader(string(o.Bytes()))); ; {
		t, err := d.ReadToken()
		if err != nil {
			return err != io.EOF
		}
		if t.Kind() == '"' && strings.Contains(strings.ToLower(t.String()), unique) {
			return true
		}
	}
}

// Reauthor takes in what a redraft comes to, in one act, on the order of a
// person whose signature over its Bound the caller has checked. A Conflict when
// it was done already, or the original has changed meanwhile.
func (g *Gate) Reauthor(ctx context.Context, r *Reauthored, by noroshi.Signed) error {
	p, err := g.PrepareObjects(noroshi.Source{Kind: noroshi.FromSelf, Person: by.Person}, "", []*stix.Object{r.Object, r.Link})
	if err != nil {
		return err
	}
	if link := p.elements[1].version; link != nil {
		link.Assign = r.beside
	}
	act := noroshi.Act{Action: noroshi.ActReauthor, Persons: []noroshi.Signed{by}, Subject: string(r.original.Object.ID), Count: 2}
	_, err = g.store.Do(ctx, act, func(tx *store.Tx) error {
		if err := stillCurrent(ctx, tx, r.original); err != nil {
			return err
		}
		a, err := g.Admit(tx, p)
		if err == nil && a.New != 2 {
			err = noroshi.Errorf(noroshi.Conflict, "reauthor.exists", "%s is there already", string(r.Object.ID))
		}
		return err
	})
	return err
}
