package misp

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/noroshi-cti/noroshi/stix"
)

// Write writes STIX objects as a MISP event. Objects that a report, or a
// grouping that is no MISP object, refers to are that event; those that none
// refers to are one more. Several events are written as the REST interface
// answers, in a list under "response".
//
// rest, of Event.STIX, may be nil. With it the event is as it was read, but for
// what has changed: an object that is another by now wins, one that is missing
// is left out. It is applied to the event it is of and to no other.
//
// Two versions of an object: the later one counts. What MISP has no place for is
// in the notes. No objects, and a rest that is none, are errors.
func Write(objects []*stix.Object, rest []byte, o Options) ([]byte, []Note, error) {
	about := About{wrap: "/Event"}
	if rest != nil {
		var err error
		if about, err = openRest(rest, o); err != nil {
			return nil, nil, err
		}
	}
	events, notes, err := build(objects, o, about.UUID)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range events {
		if about.patch != nil && e.doc.text("uuid") == about.UUID {
			about.patch.apply(e.doc, e.reported)
			withdrawClusters(e.doc, tagsOf(objects))
		}
	}
	if len(events) == 1 {
		return encode(nil, rewrap(events[0].doc, about.wrap)), notes, nil
	}
	list := []any{}
	for _, e := range events {
		list = append(list, tree{"Event": e.doc})
	}
	return encode(nil, tree{"response": list}), addNote(notes, "", "many-events", "the objects are of several events"), nil
}

// errNothing: no event can be made of nothing.
var errNothing = errors.New("write MISP event: there are no objects to write")

// writer writes the events of some objects.
type writer struct {
	o       Options
	all     []*stix.Object // each id once, in order
	byID    map[stix.ID]*stix.Object
	owner   map[stix.ID]stix.ID  // the event an object is of
	group   map[stix.ID]stix.ID  // the MISP object it is of, by its UUID
	seenBy  map[stix.ID]bool     // cyber-observables that observed-data refers to
	tagged  map[stix.ID][]string // galaxy tags an object has by its relationships
	done    map[stix.ID]bool
	notes   []Note
	comment map[stix.ID]string // on observed-data
}

// built is an event that was written.
type built struct {
	doc      tree
	reported bool // of a report or grouping
}

// build makes an event of each report and one of what is left; other is the
// UUID of that one when it is not "".
func build(objects []*stix.Object, o Options, other string) ([]built, []Note, error) {
	w := &writer{o: o, byID: map[stix.ID]*stix.Object{}, owner: map[stix.ID]stix.ID{}, group: map[stix.ID]stix.ID{},
		seenBy: map[stix.ID]bool{}, tagged: map[stix.ID][]string{}, done: map[stix.ID]bool{}, comment: map[stix.ID]string{}}
	w.take(objects)
	if len(w.all) == 0 {
		return nil, nil, errNothing
	}
	tops := w.tops()
	for _, t := range tops {
		w.owner[t.ID] = t.ID
		w.own(t, t.ID)
	}
	for _, n := range w.all {
		for _, id := range w.refs(n) {
			if w.owner[n.ID] == "" && n.Type == "note" && w.owner[id] != "" {
				w.owner[n.ID] = w.owner[id]
			}
		}
	}
	w.relations()
	w.comments()
	var events []built
	for _, t := range tops {
		events = append(events, built{w.event(t), true})
	}
	if e := w.leftOver(other, len(tops) > 0); e != nil {
		events = append(events, built{e, false})
	}
	if len(events) == 0 {
		return nil, nil, errNothing
	}
	return events, w.notes, nil
}

// take keeps the later version of each id.
func (w *writer) take(objects []*stix.Object) {
	for _, o := range objects {
		have, twice := w.byID[o.ID]
		if !twice {
			w.all = append(w.all, o)
		}
		if !twice || o.Modified.Compare(have.Modified) > 0 {
			w.byID[o.ID] = o
		}
	}
	for i, o := range w.all {
		w.all[i] = w.byID[o.ID]
	}
}

// refs are what a report, grouping or note lists.
func (w *writer) refs(o *stix.Object) []stix.ID {
	var ids []stix.ID
	for _, v := range o.Property("object_refs").Elements() {
		if id, err := stix.ParseID(v.Text()); err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// tops are the objects that are events: reports, and groupings that are neither
// MISP objects nor part of a report.
func (w *writer) tops() []*stix.Object {
	inside := map[stix.ID]bool{}
	for _, o := range w.all {
		if o.Type == "report" || o.Type == "grouping" {
			for _, id := range w.refs(o) {
				inside[id] = inside[id] || id != o.ID
			}
		}
		if o.Type == "observed-data" {
			for _, id := range w.refs(o) {
				w.seenBy[id] = true
			}
		}
	}
	var tops []*stix.Object
	for _, o := range w.all {
		if o.Type == "report" || o.Type == "grouping" && !inside[o.ID] && own(o, labelName) == "" {
			tops = append(tops, o)
		}
	}
	return tops
}

// own returns the value of a label of our own, "" for none.
func own(o *stix.Object, name string) string {
	for _, v := range o.Property("labels").Elements() {
		if n, value, ok := splitLabel(v.Text()); ok && n == name {
			return value
		}
	}
	return ""
}

// own makes what o lists part of the event top; a grouping's parts too.
func (w *writer) own(o *stix.Object, top stix.ID) {
	for _, id := range w.refs(o) {
		part := w.byID[id]
		if part == nil || w.owner[id] != "" || part.Type == "report" {
			continue
		}
		w.owner[id] = top
		if part.Type == "grouping" {
			w.own(part, top)
		}
	}
}

// relations reads what relationships say of their sources.
func (w *writer) relations() {
	for _, r := range w.all {
		if r.Type != "relationship" {
			continue
		}
		source, target := stix.ID(r.Text("source_ref")), stix.ID(r.Text("target_ref"))
		if t := w.byID[target]; t != nil && galaxyTag(t) != "" && !r.Revoked {
			if kind := r.Text("relationship_type"); kind == "indicates" || kind == "related-to" {
				w.tagged[source] = union(w.tagged[source], []string{galaxyTag(t)})
				w.done[r.ID] = true
			}
		}
	}
}

// comments reads the notes that are comments on observed-data.
func (w *writer) comments() {
	for _, n := range w.all {
		if n.Type != "note" || own(n, labelName) != commentNote {
			continue
		}
		w.done[n.ID] = true
		for _, id := range w.refs(n) {
			if !n.Revoked && w.comment[id] == "" {
				w.comment[id] = n.Text("content")
			}
		}
	}
}

// event writes the event of a report or grouping.
func (w *writer) event(top *stix.Object) tree {
	e := w.head(top.ID, top.Text("name"), top.Modified)
	e["date"] = text(day(top.Created))
	e["published"] = boolean(top.Type == "report")
	if at, err := stix.ParseTime(top.Text("published")); err == nil && at.Compare(top.Modified) != 0 {
		e["publish_timestamp"] = seconds(at)
	}
	if maker := w.byID[top.CreatedBy]; maker != nil && maker.Text("name") != "" {
		e["Orgc"] = tree{"name": text(maker.Text("name")), "uuid": text(tail(maker.ID))}
	}
	var parts []*stix.Object
	for _, o := range w.all {
		if w.owner[o.ID] == top.ID {
			parts = append(parts, o)
		}
	}
	w.fill(e, parts, w.tags(top, nil))
	return e
}

// leftOver writes what is part of no event, nil when that is nothing.
func (w *writer) leftOver(uuid string, beside bool) tree {
	var parts []*stix.Object
	latest := stix.Time{}
	for _, o := range w.all {
		observable := o.Modified.IsZero() && o.Type != "marking-definition"
		if w.owner[o.ID] != "" || w.done[o.ID] || o.Type == "identity" || beside && (observable || o.Type == "relationship") {
			continue
		}
		parts = append(parts, o)
		if o.Modified.Compare(latest) > 0 {
			latest = o.Modified
		}
	}
	if latest.IsZero() {
		latest = unixTime(0)
	}
	if uuid == "" {
		var ids []string
		for _, o := range parts {
			ids = append(ids, string(o.ID))
		}
		slices.Sort(ids)
		uuid = tail(derive("x", ids...))
	}
	e := w.head(stix.ID("x--"+uuid), "STIX objects", latest)
	e["date"] = text(day(latest))
	e["published"] = boolean(false)
	if w.fill(e, parts, nil) == 0 {
		return nil
	}
	return e
}

// head are the members every event has (core format §2.2.1). What STIX does not
// say has the value that promises least.
func (w *writer) head(id stix.ID, info string, at stix.Time) tree {
	return tree{"uuid": text(tail(id)), "info": text(info), "timestamp": seconds(at),
		"threat_level_id": text("4"), "analysis": text("2"), "distribution": text("0")}
}

// fill writes the parts of an event and returns how many came of them.
func (w *writer) fill(e tree, parts []*stix.Object, tags []string) int {
	f := &filling{w: w, inherited: tags, at: e["timestamp"], objects: map[string]tree{}}
	for _, o := range parts {
		f.groups(o)
	}
	for _, o := range parts {
		f.part(o)
	}
	for _, o := range parts {
		f.reference(o)
	}
	for _, o := range parts {
		if tag := galaxyTag(o); tag != "" && !slices.Contains(f.used, tag) && !o.Revoked {
			tags = union(tags, []string{tag})
		}
	}
	putTags(e, tags)
	putList(e, "Attribute", f.attributes)
	putList(e, "Object", f.order)
	putList(e, "EventReport", f.texts)
	return len(f.attributes) + len(f.order) + len(f.texts) + len(tags)
}

func putList(t tree, name string, list []any) {
	if len(list) > 0 {
		t[name] = list
	}
}

func putTags(t tree, tags []string) {
	var list []any
	for _, tag := range tags {
		list = append(list, tree{"name": text(tag)})
	}
	putList(t, "Tag", list)
}

// tags are an object's labels as tags, its TLP markings and what the caller says
// of its marking, without what the event says already.
func (w *writer) tags(o *stix.Object, inherited []string) []string {
	var tags []string
	for _, v := range o.Property("labels").Elements() {
		if _, _, mine := splitLabel(v.Text()); !mine && v.Text() != "" {
			tags = append(tags, v.Text())
		}
	}
	tags = union(tags, w.tagged[o.ID])
	have := strictest(union(tags, inherited))
	for _, mark := range w.marks(o) {
		if level := TLP(mark); level != "" {
			mark = level
		}
		if !slices.Contains(have, mark) && !slices.Contains(inherited, mark) {
			tags, have = union(tags, []string{mark}), append(have, mark)
		}
	}
	return tags
}

// marks are an object's handling markings as tags: the levels it has itself, and
// what the caller says, whose level is a tag of its own.
func (w *writer) marks(o *stix.Object) []string {
	var marks []string
	for _, id := range o.Markings {
		if level := wellKnown[id]; level != "" {
			marks = append(marks, level)
		}
	}
	if w.o.Marking == nil {
		return marks
	}
	text := strings.TrimSpace(w.o.Marking(o))
	if text == "" {
		return marks
	}
	level, _, _ := strings.Cut(text, " ")
	if level, _, _ = strings.Cut(level, "//"); level != text && TLP(level) != "" {
		marks = append(marks, level)
	}
	return append(marks, text)
}

// galaxyTag is the tag of what is a galaxy cluster in MISP, "" for all else.
func galaxyTag(o *stix.Object) string {
	if clusterTypes[o.Type] == "" {
		return ""
	}
	id := ""
	for _, v := range o.Property("external_references").Elements() {
		var source, external string
		for name, m := range v.Members() {
			switch name {
			case "source_name":
				source = m.Text()
			case "external_id":
				external = m.Text()
			}
		}
		switch source {
		case galaxySource:
			return "misp-galaxy:" + external
		case "mitre-attack":
			id = external
		}
	}
	name := strings.ReplaceAll(o.Text("name"), `"`, "'")
	if id != "" {
		return Cluster{Type: "mitre-" + o.Type, Value: name + " - " + id}.Tag()
	}
	return Cluster{Type: "stix-2.1-" + o.Type, Value: name}.Tag()
}

// clusterTypes are the types that are clusters in MISP.
var clusterTypes = map[string]string{"attack-pattern": "y", "intrusion-set": "y", "malware": "y", "tool": "y", "course-of-action": "y"}

func tail(id stix.ID) string {
	_, uuid, _ := strings.Cut(string(id), "--")
	return uuid
}

// seconds is a time as MISP writes it, rounded down.
func seconds(t stix.Time) leaf { return text(strconv.FormatInt(t.Time().Unix(), 10)) }

// day is the date of a time.
func day(t stix.Time) string {
	if t.IsZero() {
		return "1970-01-01"
	}
	return t.String()[:10]
}
