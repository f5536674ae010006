package misp

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/noroshi-cti/noroshi/stix"
)

// Result is an event as STIX.
type Result struct {
	// Objects stand in an order in which what is referred to comes first,
	// except that groupings and reports refer to each other's notes.
	Objects []*stix.Object

	// Tags are the tags that count for each object, those of the event and the
	// words for a closed distribution (OwnOrganisation, SharingGroup) among
	// them; galaxy tags are not. Objects without any are not in it. The maker's
	// identity has those of the event; other events name the same identity.
	Tags map[stix.ID][]string

	// Markings are the TLP levels among Tags, as MISP's taxonomy writes them,
	// the strictest first.
	Markings map[stix.ID][]string

	// Rest is what STIX cannot carry, for Write. It belongs beside the objects
	// and must not be given away with them.
	Rest []byte

	// Notes say what is in the rest only, and what was not made as usual.
	Notes []Note
}

// Note is something a person may want to know about a conversion.
type Note struct {
	Place string // JSON pointer into the event, * for every element
	Code  string // "alongside", "spelling", "bookkeeping", "no-pattern", "no-reference", "not-made"; of Write also "not-written", "as-pattern", "many-events"
	Text  string // in English
	Count int    // how often, at least 1
}

// addNote counts a note under its code and place.
func addNote(notes []Note, place, code, text string) []Note {
	for i := range notes {
		if notes[i].Code == code && notes[i].Place == place {
			notes[i].Count++
			return notes
		}
	}
	return append(notes, Note{Place: place, Code: code, Text: text, Count: 1})
}

// converter makes the objects of one event.
type converter struct {
	e       *Event
	out     Result
	have    map[stix.ID]bool
	uuid    string             // the event's
	top     stix.ID            // its report or grouping
	maker   stix.ID            // its identity
	members []stix.ID          // what the report lists
	targets map[string]stix.ID // what became of a UUID
	tags    []string           // that count for everything
	remarks []*remark          // comments on what is observed, in order
	remark  map[string]*remark // the same by comment and tags
}

// STIX makes the event's objects. The same event always gives the same bytes.
func (e *Event) STIX(Options) Result {
	c := &converter{e: e, have: map[stix.ID]bool{}, targets: map[string]stix.ID{}, remark: map[string]*remark{},
		out: Result{Tags: map[stix.ID][]string{}, Markings: map[stix.ID][]string{}}}
	c.uuid = goodUUID(e.UUID)
	if c.uuid == "" {
		_, c.uuid, _ = strings.Cut(string(derive("x", "event", e.UUID, e.Orgc.UUID, e.Orgc.Name, e.Date, e.Info)), "--")
	}
	c.top = stix.ID("grouping--" + c.uuid)
	if e.Published {
		c.top = stix.ID("report--" + c.uuid)
	}
	c.tags = union(spoken(e.Tags), closedEvent(e.distribution))
	c.identity()
	// The report's id is taken first, its object made last.
	c.have[c.top] = true
	for _, a := range e.Attributes {
		c.members = append(c.members, c.attribute(a, nil)...)
	}
	for _, o := range e.Objects {
		c.object(o)
	}
	for _, r := range e.Reports {
		c.text(r)
	}
	c.comments()
	c.references()
	c.clusters()
	c.report()
	for id, tags := range c.out.Tags {
		if levels := strictest(tags); len(levels) > 0 {
			c.out.Markings[id] = levels
		}
	}
	c.rest()
	return c.out
}

// goodUUID returns a UUID as STIX takes it (§2.9, RFC 9562 versions 1 to 5), in
// small letters, or "".
func goodUUID(s string) string {
	s = strings.ToLower(s)
	if _, err := stix.ParseID("x--" + s); err != nil || s[14] < '1' || s[14] > '5' || !strings.ContainsRune("89ab", rune(s[19])) {
		return ""
	}
	return s
}

// id is the id of what a UUID becomes; derived where the UUID is none, or where
// another thing has that id already.
func (c *converter) id(typ, uuid string, parts ...string) stix.ID {
	if good := goodUUID(uuid); good != "" {
		if id := stix.ID(typ + "--" + good); !c.have[id] {
			return id
		}
	}
	for n := 0; ; n++ {
		id := derive(typ, append([]string{c.uuid, uuid, fmt.Sprint(n)}, parts...)...)
		if !c.have[id] {
			return id
		}
	}
}

// add keeps an object that is good STIX and the tags that count for it.
func (c *converter) add(o *stix.Object, err error, tags []string) bool {
	if err != nil || o == nil {
		return false
	}
	if tags = union(c.tags, tags); len(tags) > 0 {
		c.out.Tags[o.ID] = union(c.out.Tags[o.ID], tags)
	}
	if !c.have[o.ID] || o.ID == c.top {
		c.have[o.ID] = true
		c.out.Objects = append(c.out.Objects, o)
	}
	return true
}

// make writes an object of the event with the properties all of them have.
func (c *converter) make(id stix.ID, at stix.Time, revoked bool, labels []string, members ...stix.Member) (*stix.Object, error) {
	head := []stix.Member{
		{Name: "type", Value: id.Type()}, {Name: "spec_version", Value: "2.1"}, {Name: "id", Value: id},
		{Name: "created_by_ref", Value: c.maker}, {Name: "created", Value: at}, {Name: "modified", Value: at},
	}
	if revoked {
		head = append(head, stix.Member{Name: "revoked", Value: true})
	}
	members = append(head, members...)
	return good(append(members, stix.Member{Name: "labels", Value: labels})...)
}

// good makes an object and refuses what is no good STIX.
func good(members ...stix.Member) (*stix.Object, error) {
	o, err := stix.Make(members...)
	if err != nil {
		return nil, err
	}
	if p := stix.Validate(o); len(p) > 0 {
		return nil, fmt.Errorf("%s %s", p[0].Path, p[0].Msg)
	}
	return o, nil
}

// identity is who made the event. Its id is derived, for an event is no
// authority on the identities of others, and of the name too, so that an
// organisation by another name is another body under another id.
func (c *converter) identity() {
	name := c.e.Orgc.Name
	if name == "" {
		name = "unknown organisation"
	}
	c.maker = derive("identity", c.e.Orgc.UUID, name)
	at := unixTime(0)
	o, err := stix.Make(stix.Member{Name: "type", Value: "identity"}, stix.Member{Name: "spec_version", Value: "2.1"},
		stix.Member{Name: "id", Value: c.maker}, stix.Member{Name: "created", Value: at}, stix.Member{Name: "modified", Value: at},
		stix.Member{Name: "name", Value: name}, stix.Member{Name: "identity_class", Value: "organization"})
	if err != nil {
		c.maker = ""
		return
	}
	c.add(o, nil, nil)
}

// report is the event itself.
func (c *converter) report() {
	e := c.e
	name := e.Info
	if strings.TrimSpace(name) == "" {
		name = "MISP event " + c.uuid
	}
	if len(c.members) == 0 {
		c.members = []stix.ID{c.maker}
	}
	members := []stix.Member{{Name: "name", Value: name}}
	if e.Published {
		published := e.PublishAt
		if published.IsZero() {
			published = e.At
		}
		members = append(members, stix.Member{Name: "report_types", Value: []string{"threat-report"}}, stix.Member{Name: "published", Value: published})
	} else {
		members = append(members, stix.Member{Name: "context", Value: "suspicious-activity"})
	}
	created := e.At
	if date := eventDate(e.Date); date.Compare(e.At) < 0 && !date.IsZero() && e.Date != "" {
		created = date
	}
	members = append([]stix.Member{
		{Name: "type", Value: c.top.Type()}, {Name: "spec_version", Value: "2.1"}, {Name: "id", Value: c.top},
		{Name: "created_by_ref", Value: c.maker}, {Name: "created", Value: created}, {Name: "modified", Value: e.At},
	}, members...)
	members = append(members, stix.Member{Name: "object_refs", Value: c.members}, stix.Member{Name: "labels", Value: tagLabels(e.Tags)})
	o, err := good(members...)
	if !c.add(o, err, nil) {
		c.note("/Event", "not-made", "no report can be made of the event: it is larger than an object may be")
	}
}

// text makes a note of a text on the event.
func (c *converter) text(r Report) {
	id := c.id("note", r.UUID, r.Name, r.Content)
	o, err := c.make(id, r.At, r.Deleted, append(tagLabels(r.Tags), label(labelName, eventReport)), stix.Member{Name: "abstract", Value: r.Name},
		stix.Member{Name: "content", Value: r.Content}, stix.Member{Name: "object_refs", Value: []stix.ID{c.top}})
	if !c.add(o, err, union(spoken(r.Tags), closed(r.distribution))) {
		c.note("/Event/EventReport/*", "not-made", "no note can be made of the report: it is larger than an object may be")
	}
}

// remark is a comment on observed-data, which has no property for one. What has
// the same comment and the same tags shares a note.
type remark struct {
	text string
	tags []string
	on   []stix.ID
}

func (c *converter) comment(text string, tags []string, on stix.ID) {
	if text == "" {
		return
	}
	key := strings.Join(append([]string{text}, tags...), "\x00")
	r := c.remark[key]
	if r == nil {
		r = &remark{text: text, tags: tags}
		c.remark[key] = r
		c.remarks = append(c.remarks, r)
	}
	r.on = append(r.on, on)
}

// comments makes the notes of the comments. Whenever one changes so does the
// event's timestamp.
func (c *converter) comments() {
	for _, r := range c.remarks {
		id := c.id("note", "", append([]string{"comment", r.text}, r.tags...)...)
		o, err := c.make(id, c.e.At, false, []string{label(labelName, commentNote)}, stix.Member{Name: "content", Value: r.text}, stix.Member{Name: "object_refs", Value: r.on})
		c.add(o, err, r.tags) // what is too large is in the rest
	}
}

// commentNote is the name by which a note is known for comments.
const commentNote = "comment"

// eventReport is the name by which a note is known for a text on the event.
const eventReport = "event-report"

func (c *converter) note(place, code, text string) {
	c.out.Notes = addNote(c.out.Notes, place, code, text)
}

// union joins lists without doubles, in order.
func union(lists ...[]string) []string {
	var out []string
	seen := map[string]bool{}
	for _, l := range lists {
		for _, s := range l {
			if !seen[s] {
				seen[s] = true
				out = append(out, s)
			}
		}
	}
	return out
}

// short reports whether a value can serve as a name.
func short(s string) bool {
	return len(s) <= 256 && utf8.ValidString(s) && !strings.ContainsAny(s, "\r\n")
}

// sortedKeys returns the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
