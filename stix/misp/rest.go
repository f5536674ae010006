package misp

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi/stix"
)

// The rest of an event is the difference between what Write makes of its STIX
// objects alone and the event as it was read: a patch. Each change names what
// Write made at the time (was) and what stood in the event (is). Later, where
// Write still makes the same, the event's own word is put back; where it makes
// something else, an object has changed since, and that stays.
//
// As JSON: {"misp": 1, "uuid": the event's, "at": its timestamp, "tags": those
// that count for all of it, "wrap": where it stood in its file, "event": patch}.
// A patch is {"m": {member: {"was", "is"}}, "o": {member: patch}, "l": {member:
// [item]}}, an item {"key", "p": patch} for what was made, {"key", "drop": true}
// for what was made and did not stand in the event, {"add": value} for what stood
// there and was not made. The items are in the order of the event. The key is the
// uuid Write gives, or the name of a tag.
const restVersion leaf = "1"

var errRest = errors.New("this is no rest of a MISP event")

// rest computes the rest of the event and says what is in it.
func (c *converter) rest() {
	made, _, err := build(c.out.Objects, Options{}, c.uuid)
	first := tree{"uuid": text(c.uuid)} // where nothing could be made all is kept
	if err == nil {
		for _, m := range made {
			if m.doc.text("uuid") == c.uuid {
				first = m.doc
			}
		}
	}
	p := diff(first, c.e.doc)
	tags := []any{}
	for _, t := range c.tags {
		tags = append(tags, text(t))
	}
	head := encode(nil, tree{"misp": restVersion, "uuid": text(c.uuid), "at": text(c.e.At.String()), "tags": tags, "wrap": text(c.e.wrap)})
	c.out.Rest = append(p.appendTo(append(head[:len(head)-1], `,"event":`...)), '}')
	counts := map[string]int{}
	p.count("/Event", counts)
	for _, place := range slices.Sorted(maps.Keys(counts)) {
		n := Note{Place: place, Code: "alongside", Text: "kept alongside only: STIX has no place for it", Count: counts[place]}
		switch {
		case place == "/Event":
			n.Code, n.Text = "bookkeeping", "what the instance keeps for itself: numbers, colours, locks"
		case strings.HasSuffix(place, "/value") || strings.HasSuffix(place, "/first_seen"):
			n.Code, n.Text = "spelling", "STIX spells it otherwise; its own spelling is kept alongside"
		}
		c.out.Notes = append(c.out.Notes, n)
	}
}

// bookkeeping are members that say nothing outside an instance.
var bookkeeping = []string{"id", "event_id", "org_id", "orgc_id", "object_id", "user_id", "sharing_group_id", "attribute_count", "locked",
	"proposal_email_lock", "disable_correlation", "colour", "exportable", "hide_tag", "is_galaxy", "is_custom_galaxy", "local", "Org",
	"numerical_value", "publish_timestamp", "template_uuid", "template_version", "description", "object_uuid", "inherited"}

// places counts under a place, and under /Event what says nothing outside.
func places(counts map[string]int, place, name string) {
	if slices.Contains(bookkeeping, name) {
		counts["/Event"]++
		return
	}
	counts[place+"/"+name]++
}

// count counts what has no place in STIX by where it stands.
func (p *patch) count(place string, counts map[string]int) {
	for name, c := range p.members {
		if !void(c.is) && (tree{"v": c.is}).text("v") != (tree{"v": c.was}).text("v") || isList(c.is) {
			places(counts, place, name)
		}
	}
	for name, q := range p.objects {
		q.count(place+"/"+name, counts)
	}
	for name, items := range p.lists {
		for _, it := range items {
			switch {
			case it.patch != nil:
				it.patch.count(place+"/"+name+"/*", counts)
			case !it.drop && name != "Attribute": // one that was not made is a fault or has a note
				counts[place+"/"+name+"/*"]++
			}
		}
	}
}

// isList reports whether a value is a list or object with something in it.
func isList(v any) bool {
	switch v := v.(type) {
	case []any:
		return len(v) > 0
	case tree:
		return len(v) > 0
	}
	return false
}

// void reports whether a value says nothing.
func void(v any) bool {
	switch v := v.(type) {
	case leaf:
		return v == null || v == `""`
	}
	return !isList(v)
}

// About is what a rest says of its event.
type About struct {
	UUID string
	At   stix.Time // the event's timestamp
	Tags []string  // that counted for all of it, as in Result.Tags

	wrap  string
	patch *patch
}

// ReadRest says what event a rest is of, and as of when.
func ReadRest(b []byte) (About, error) { return openRest(b, Options{}) }

func openRest(b []byte, o Options) (a About, err error) {
	if len(b) > 4*o.maxBytes() {
		return a, fmt.Errorf("rest of %d bytes: %w", len(b), errRest)
	}
	v, err := parseDeep(b)
	if err != nil {
		return a, fmt.Errorf("%w: %w", errRest, err)
	}
	t, _ := v.(tree)
	if t["misp"] != restVersion || t.object("event") == nil {
		return a, errRest
	}
	a.UUID, a.wrap = t.text("uuid"), t.text("wrap")
	if a.At, err = stix.ParseTime(t.text("at")); err != nil {
		return a, fmt.Errorf("%w: %w", errRest, err)
	}
	for _, tag := range t.list("tags") {
		a.Tags = append(a.Tags, (tree{"v": tag}).text("v"))
	}
	a.patch, err = readPatch(t.object("event"))
	return a, err
}
