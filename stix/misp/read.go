package misp

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi/stix"
)

// Read reads one event; more than one in b is an error (ReadAll reads them).
func Read(b []byte, o Options) (*Event, error) {
	events, err := ReadAll(b, o)
	if err != nil {
		return nil, err
	}
	if len(events) != 1 {
		return nil, fmt.Errorf("read MISP event: there are %d events, one is expected", len(events))
	}
	return events[0], nil
}

// ReadAll reads every event of a file: one bare or under "Event", a list of
// them, or what the REST interface answers ("response"). No event in it is an
// error. Text that is no strict JSON, too large or nested too deeply is refused
// whole.
func ReadAll(b []byte, o Options) ([]*Event, error) {
	if len(b) > o.maxBytes() {
		return nil, fmt.Errorf("read MISP event: %d bytes, at most %d are read", len(b), o.maxBytes())
	}
	v, err := parseTree(b)
	if err != nil {
		return nil, fmt.Errorf("read MISP event: %w", err)
	}
	var events []*Event
	var found func(v any, place string) error
	found = func(v any, place string) error {
		doc, at := unwrap(v, place)
		if list, ok := doc.([]any); ok {
			for i, e := range list {
				if err := found(e, at+"/"+strconv.Itoa(i)); err != nil {
					return err
				}
			}
			return nil
		}
		t, ok := doc.(tree)
		if !ok || !eventLike(t) {
			return fmt.Errorf("read MISP event: at %q stands no event: it has neither info nor Attribute", at)
		}
		e, err := readEvent(t, at, o)
		if e != nil {
			e.wrap = at
		}
		events = append(events, e)
		return err
	}
	if err := found(v, ""); err != nil {
		return nil, err
	}
	if len(events) == 0 {
		return nil, fmt.Errorf("read MISP event: there is no event in it")
	}
	return events, nil
}

// rewrap puts around an event what stood around it, by its place.
func rewrap(v any, place string) any {
	steps := strings.Split(place, "/")
	for _, s := range slices.Backward(steps) {
		switch {
		case s == "":
		case strings.Trim(s, "0123456789") == "":
			v = []any{v}
		default:
			v = tree{s: v}
		}
	}
	return v
}

// unwrap steps into "response" and "Event".
func unwrap(v any, place string) (any, string) {
	for {
		t, ok := v.(tree)
		if !ok {
			return v, place
		}
		switch {
		case t["response"] != nil:
			v, place = t["response"], place+"/response"
		case t["Event"] != nil && !eventLike(t):
			v, place = t["Event"], place+"/Event"
		default:
			return v, place
		}
	}
}

func eventLike(t tree) bool {
	return t["info"] != nil || t["Attribute"] != nil || t["Object"] != nil
}

// reader reads one event.
type reader struct {
	e     *Event
	left  int             // attributes still allowed
	uuids map[string]bool // of attributes and objects
}

func readEvent(t tree, place string, o Options) (*Event, error) {
	e := &Event{doc: t, UUID: t.text("uuid"), Info: t.text("info"), Date: t.text("date"), distribution: t.text("distribution")}
	if tooManyTags(t) {
		return nil, fmt.Errorf("read MISP event %s: it has more than %d tags", clip(e.UUID), maxTags)
	}
	r := &reader{e: e, left: o.maxAttributes(), uuids: map[string]bool{}}
	e.Published, _ = t.flag("published")
	var ok bool
	if e.At, ok = timestamp(t, "timestamp", stix.Time{}); !ok || e.At.IsZero() {
		e.At = eventDate(e.Date)
		if !ok {
			r.fault(place+"/timestamp", t["timestamp"], "timestamp", "the event's timestamp is no number of seconds; its date stands in")
		}
	}
	e.PublishAt, _ = timestamp(t, "publish_timestamp", stix.Time{})
	e.Orgc = orgOf(t)
	e.Tags, e.Galaxies = readTags(t), readGalaxies(t)
	r.parts(t, place)
	if r.left < 0 {
		return nil, fmt.Errorf("read MISP event %s: more than %d attributes", clip(e.UUID), o.maxAttributes())
	}
	return e, nil
}

// orgOf is who made an event, else whose instance it is from.
func orgOf(t tree) Org {
	org := t.object("Orgc")
	if org == nil {
		org = t.object("Org")
	}
	return Org{Name: org.text("name"), UUID: org.text("uuid")}
}

// parts reads what an event is made of.
func (r *reader) parts(t tree, place string) {
	e := r.e
	for i, v := range t.list("Attribute") {
		if a, ok := r.attribute(v, fmt.Sprintf("%s/Attribute/%d", place, i), e.At); ok {
			e.Attributes = append(e.Attributes, a)
		}
	}
	for _, v := range t.list("EventReport") {
		if rep, ok := readReport(v, e.At); ok {
			e.Reports = append(e.Reports, rep)
		}
	}
	for i, v := range t.list("Object") {
		if ob, ok := r.object(v, fmt.Sprintf("%s/Object/%d", place, i)); ok {
			e.Objects = append(e.Objects, ob)
		}
	}
	for _, name := range []string{"Attribute", "Object"} {
		if _, ok := t[name].([]any); !ok && t[name] != nil && t[name] != null {
			r.fault(place+"/"+name, t[name], "object", name+" is no list")
		}
	}
}

// eventDate is the instant a date begins, 1970 when it is none.
func eventDate(date string) stix.Time {
	if t, err := stix.ParseTime(date + "T00:00:00.000Z"); err == nil {
		return t
	}
	return unixTime(0)
}

func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}

func (r *reader) fault(place string, t any, code, text string) {
	r.e.Faults = append(r.e.Faults, Fault{Place: place, UUID: uuidOf(t), Code: code, Text: text, Raw: encode(nil, t)})
}

func uuidOf(v any) string {
	t, _ := v.(tree)
	return t.text("uuid")
}

// attribute reads one attribute, or says why not.
func (r *reader) attribute(v any, place string, at stix.Time) (a Attribute, ok bool) {
	r.left--
	t, isTree := v.(tree)
	if !isTree {
		r.fault(place, v, "object", "an attribute is an object")
		return a, false
	}
	value, isText := t.str("value")
	tags := []Tag(nil)
	if !tooManyTags(t) {
		tags = readTags(t)
	}
	a = Attribute{
		UUID: t.text("uuid"), Type: t.text("type"), Category: t.text("category"), Value: value, Comment: t.text("comment"),
		Relation: t.text("object_relation"), Tags: tags, Galaxies: readGalaxies(t),
		distribution: t.text("distribution"), place: place,
	}
	var good, deletedGood bool
	a.ToIDs, good = t.flag("to_ids")
	a.Deleted, deletedGood = t.flag("deleted")
	a.At, ok = timestamp(t, "timestamp", at)
	a.FirstSeen, _ = seen(t, "first_seen")
	a.LastSeen, _ = seen(t, "last_seen")
	switch {
	case a.Type == "":
		r.fault(place, t, "type", "the attribute has no type")
	case !isText || value == "":
		r.fault(place, t, "value", "the attribute has no value")
	case !good || !deletedGood:
		r.fault(place, t, "flag", "to_ids and deleted are true or false")
	case !ok:
		r.fault(place, t, "timestamp", "the timestamp is no number of seconds since 1970")
	case tooManyTags(t):
		r.fault(place, t, "tags", fmt.Sprintf("more than %d tags", maxTags))
	case !r.unique(a.UUID):
		r.fault(place, t, "uuid", "another part of the event has the same uuid")
	default:
		return a, true
	}
	return a, false
}

// unique takes a UUID once.
func (r *reader) unique(uuid string) bool {
	uuid = strings.ToLower(uuid)
	if uuid == "" {
		return true
	}
	twice := r.uuids[uuid]
	r.uuids[uuid] = true
	return !twice
}

func (r *reader) object(v any, place string) (o Object, ok bool) {
	t, isTree := v.(tree)
	if !isTree {
		r.fault(place, v, "object", "a MISP object is an object")
		return o, false
	}
	o = Object{UUID: t.text("uuid"), Name: t.text("name"), MetaCategory: t.text("meta-category"), Comment: t.text("comment"),
		distribution: t.text("distribution"), place: place}
	var good bool
	o.Deleted, good = t.flag("deleted")
	o.At, ok = timestamp(t, "timestamp", r.e.At)
	// What its attributes say is worth more than what is wrong with the object.
	if o.Name == "" {
		r.fault(place, t, "type", "the MISP object has no name")
		o.Name = "misc"
	}
	if !good {
		r.fault(place, t, "flag", "deleted is true or false")
	}
	if !ok {
		r.fault(place, t, "timestamp", "the timestamp is no number of seconds since 1970; the event's stands in")
	}
	if !r.unique(o.UUID) {
		r.fault(place, t, "uuid", "another part of the event has the same uuid")
		o.UUID = ""
	}
	for i, v := range t.list("Attribute") {
		if a, ok := r.attribute(v, fmt.Sprintf("%s/Attribute/%d", place, i), o.At); ok {
			o.Attributes = append(o.Attributes, a)
		}
	}
	for _, v := range t.list("ObjectReference") {
		ref, isTree := v.(tree)
		at, good := timestamp(ref, "timestamp", o.At)
		if !isTree || !good || ref.text("referenced_uuid") == "" {
			continue // it stays in the rest
		}
		deleted, _ := ref.flag("deleted")
		o.References = append(o.References, Reference{UUID: ref.text("uuid"), Target: strings.ToLower(ref.text("referenced_uuid")),
			Type: ref.text("relationship_type"), Comment: ref.text("comment"), At: at, Deleted: deleted})
	}
	return o, true
}

// readReport reads a text on the event; one that cannot be read stays in the rest.
func readReport(v any, at stix.Time) (rep Report, ok bool) {
	t, isTree := v.(tree)
	if !isTree || tooManyTags(t) {
		return rep, false
	}
	rep = Report{UUID: t.text("uuid"), Name: t.text("name"), Content: t.text("content"), Tags: readTags(t), distribution: t.text("distribution")}
	var good bool
	rep.Deleted, good = t.flag("deleted")
	rep.At, ok = timestamp(t, "timestamp", at)
	return rep, ok && good && rep.Content != ""
}

// timestamp reads seconds since 1970; other stands in for what is absent or
// empty. 0 is the zero Time.
func timestamp(t tree, name string, other stix.Time) (stix.Time, bool) {
	s, ok := t.str(name)
	if s == "" {
		return other, ok
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > 253402300799 { // the end of the year 9999
		return other, false
	}
	if n == 0 {
		return other, true
	}
	return unixTime(n), true
}

// seen reads first_seen or last_seen: a date with a time zone, or microseconds
// since 1970 as old instances write.
func seen(t tree, name string) (stix.Time, bool) {
	s, ok := t.str(name)
	if s == "" || !ok {
		return stix.Time{}, ok
	}
	if micros, err := strconv.ParseInt(s, 10, 64); err == nil && micros > 0 && micros < 253402300799e6 {
		return micro(time.UnixMicro(micros)), true
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999Z0700", "2006-01-02T15:04:05.999999"} {
		if at, err := time.Parse(layout, s); err == nil && at.UTC().Year() > 0 && at.UTC().Year() < 10000 {
			return micro(at), true
		}
	}
	return stix.Time{}, false
}

// micro returns a Time with the microseconds MISP has.
func micro(t time.Time) stix.Time {
	out, err := stix.ParseTime(t.UTC().Format("2006-01-02T15:04:05.000000Z"))
	if err != nil {
		return stix.Time{}
	}
	return out
}
