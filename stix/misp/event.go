package misp

import (
	"time"

	"github.com/noroshi-cti/noroshi/stix"
)

// Event is one MISP event as it was read. What this package has no field for
// is kept with it and comes back through the rest.
type Event struct {
	UUID      string // as written; not always a good UUID
	Info      string
	Date      string // YYYY-MM-DD
	Published bool
	At        stix.Time // timestamp
	PublishAt stix.Time // publish_timestamp, zero when 0
	Orgc      Org       // who made it
	Tags      []Tag
	Galaxies  []Cluster // of the event itself

	Attributes []Attribute // outside objects
	Objects    []Object
	Reports    []Report // texts on the event, Markdown

	Faults []Fault // what could not be read; it is in the rest all the same

	distribution string
	doc          tree   // the event as it was
	wrap         string // what stood around it
}

// Org is an organisation.
type Org struct{ Name, UUID string }

// Attribute is one attribute.
type Attribute struct {
	UUID      string
	Type      string
	Category  string
	Value     string
	Comment   string
	ToIDs     bool
	Deleted   bool
	Relation  string    // object_relation, "" outside objects
	At        stix.Time // timestamp; the event's where it has none
	FirstSeen stix.Time // zero when not given
	LastSeen  stix.Time
	Tags      []Tag
	Galaxies  []Cluster

	distribution string
	place        string
}

// Object is a MISP object: attributes that belong together.
type Object struct {
	UUID         string
	Name         string
	MetaCategory string
	Comment      string
	Deleted      bool
	At           stix.Time
	Attributes   []Attribute
	References   []Reference

	distribution string
	place        string
}

// Reference goes from an object to another object or attribute of the event.
type Reference struct {
	UUID    string
	Target  string // UUID
	Type    string // relationship_type
	Comment string
	At      stix.Time
	Deleted bool
}

// Report is a text on an event (EventReport), in Markdown.
type Report struct {
	UUID    string
	Name    string
	Content string
	Deleted bool
	At      stix.Time
	Tags    []Tag

	distribution string
}

// Tag is a tag on an event or attribute.
type Tag struct {
	Name  string
	Local bool // does not leave the instance
}

// Cluster is a galaxy cluster, from a Galaxy or from a tag alone.
type Cluster struct {
	Type        string // of the galaxy: mitre-attack-pattern
	Value       string // Spearphishing Attachment - T1193
	Description string
	ID          string   // external_id of the catalogue: T1193
	Synonyms    []string // other names
}

// Tag returns the tag that stands for the cluster.
func (c Cluster) Tag() string { return `misp-galaxy:` + c.Type + `="` + c.Value + `"` }

// Fault is a part of an event that could not be read.
type Fault struct {
	Place string // JSON pointer into what was read: /response/0/Event/Attribute/4
	UUID  string // of the part, where it has one
	Code  string // "object", "type", "value", "timestamp", "flag", "tags", "uuid"
	Text  string
	Raw   []byte // the part as JSON
}

// Bounds of Read where Options does not say. An event takes some ten kilobytes
// of memory an attribute while it is converted; instances of MISP fail at about
// 150,000 attributes.
const (
	DefaultMaxBytes      = 64 << 20
	DefaultMaxAttributes = 250_000
)

// Options of reading and writing. The zero value is good.
type Options struct {
	// MaxBytes is how much Read takes; 0 means DefaultMaxBytes.
	MaxBytes int
	// MaxAttributes is how many attributes of one event are read, those in
	// objects counted; 0 means DefaultMaxAttributes. More are an error.
	MaxAttributes int
	// Marking tells Write an object's handling marking, such as TLP:AMBER, where
	// it does not stand in the object; "" means nothing to add. A TLP level in
	// it, alone or at its start, becomes the tag of MISP's taxonomy; what else
	// it says is a tag as it stands.
	Marking func(*stix.Object) string
}

func (o Options) maxBytes() int {
	if o.MaxBytes > 0 {
		return o.MaxBytes
	}
	return DefaultMaxBytes
}

func (o Options) maxAttributes() int {
	if o.MaxAttributes > 0 {
		return o.MaxAttributes
	}
	return DefaultMaxAttributes
}

// unixTime returns the Time of seconds since 1970.
func unixTime(sec int64) stix.Time { return stix.TimeOf(time.Unix(sec, 0)) }
