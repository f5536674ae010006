// Package watch turns hits into sightings and warnings, keeps the armed index
// equal to the store, and shows warnings, ours and partners', until someone has
// acknowledged them.
//
// What a hit says about the victim side (sensor, full name looked up, address
// that asked) stays here: sightings and warnings carry the indicator's value,
// the hour and the count, and leave only through the exit gate.
package watch

import (
	"context"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Reader tells a partner that a person in a role has read its message; a
// courier does.
type Reader interface {
	ReadBy(ctx context.Context, partner noroshi.NodeID, msg noroshi.Hash, role noroshi.Role, at time.Time) error
}

// Options of a Watch.
type Options struct {
	Realm noroshi.Realm
	Node  noroshi.NodeID
	Self  noroshi.Organisation
	Now   func() time.Time // nil = time.Now
}

// Watch is the watch of one node in one realm.
type Watch struct {
	store  *store.Store
	gate   *intake.Gate
	index  *detect.Index
	reader Reader
	o      Options
}

// New wires a watch; nothing is read or written before a method is called.
func New(s *store.Store, g *intake.Gate, x *detect.Index, r Reader, o Options) *Watch {
	panic("stub")
}

// Arm fills the index from the store: everything that may be armed now. Call
// it once, before Run and before matching.
func (w *Watch) Arm(ctx context.Context) error { panic("stub") }

// Run follows the change feed until ctx ends: arms and disarms at once, keeps
// the list of warnings, sends READ for acknowledgements, closes hours. It arms
// first when Arm was not called.
func (w *Watch) Run(ctx context.Context) error { panic("stub") }

// Armed says what is armed.
type Armed struct {
	Indicators int   `json:"indicators"` // in the index
	Values     int   `json:"values"`
	Bytes      int   `json:"bytes"`
	NotArmed   int   `json:"not_armed"`  // current indicators whose pattern is not of an armed form
	KnownGood  int   `json:"known_good"` // armed, but named by a warning-list: a hit pages nobody
	Seq        int64 `json:"seq"`        // change-feed sequence the index stands at
}

// Armed counts.
func (w *Watch) Armed(ctx context.Context) (Armed, error) { panic("stub") }

// ArmedUpTo returns when the index has taken in the change feed up to seq.
func (w *Watch) ArmedUpTo(ctx context.Context, seq int64) error { panic("stub") }

// Observed is what became of hits.
type Observed struct {
	Hits      int         `json:"hits"`
	Sightings []stix.ID   `json:"sightings,omitempty"` // made now
	Warnings  []stix.ID   `json:"warnings,omitempty"`  // raised now
	Explained []Explained `json:"explained,omitempty"` // known good: recorded, nobody paged
	Repeated  int         `json:"repeated"`            // counted before: the same log again
	Stale     int         `json:"stale"`               // of indicators that are current no more
	Seq       int64       `json:"seq"`                 // feed sequence of the commit, 0 when nothing was written
}

// Explained is a hit that a warning-list explains.
type Explained struct {
	Indicator stix.ID       `json:"indicator"`
	Value     noroshi.Value `json:"value"`
	Sensor    string        `json:"sensor"`
	Hour      time.Time     `json:"hour"`
	Lists     []string      `json:"lists"`
	Count     int           `json:"count"`
}

// Observe records hits of a sensor: one sighting per indicator, sensor and
// hour, sent at the first hit; a warning per rule, at most one a day for an
// indicator and strength. Hits on values a warning-list names are recorded with
// the names of the lists; no sighting of them goes to a partner, who could read
// from it what we guard, and no warning is raised.
func (w *Watch) Observe(ctx context.Context, sensor string, hits []detect.Hit) (Observed, error) {
	panic("stub")
}

// Finish ends a replay: sightings of the sensor get their final counts.
func (w *Watch) Finish(ctx context.Context, sensor string) error { panic("stub") }

// ExplainedHits lists what warning-lists explained, newest hour first.
func (w *Watch) ExplainedHits(ctx context.Context) ([]Explained, error) { panic("stub") }

// Draft is a warning a person writes, in both languages.
type Draft struct {
	ID         stix.ID            `json:"id"` // made by the author: stix.NewID("report")
	TitleEN    string             `json:"title_en"`
	TitleJA    string             `json:"title_ja"`
	TextEN     string             `json:"text_en"`
	TextJA     string             `json:"text_ja"`
	Severity   noroshi.Severity   `json:"severity"`
	Precedence noroshi.Precedence `json:"precedence"`
	Action     string             `json:"action"` // see Actions
	Due        time.Time          `json:"due,omitzero"`
	Audience   []string           `json:"audience,omitempty"`
	Replaces   stix.ID            `json:"replaces,omitempty"`
	Refs       []stix.ID          `json:"refs"` // at least one object it is about
	Marking    noroshi.TLP        `json:"marking"`
}

// Bound is what the author's signature is bound to: the whole draft.
func (d Draft) Bound() noroshi.Hash { panic("stub") }

// Actions lists the action codes.
func Actions() []string { panic("stub") }

// New makes a warning from a draft. The person signs ActWarn over subject
// Draft.ID bound to Draft.Bound(). The same draft again is a Conflict.
func (w *Watch) New(ctx context.Context, d Draft, by noroshi.Signed) error { panic("stub") }

// Ack is one acknowledgement here.
type Ack struct {
	Person string       `json:"person"` // stays here; the partner learns the role
	Role   noroshi.Role `json:"role"`
	Time   time.Time    `json:"time"`
}

// Row is a warning as lists show it.
type Row struct {
	noroshi.Warning
	TitleJA   string         `json:"title_ja,omitempty"`
	TextJA    string         `json:"text_ja,omitempty"`
	Seq       int64          `json:"seq"`
	Hash      noroshi.Hash   `json:"hash"`          // of the exact bytes: what an acknowledgement is bound to
	From      noroshi.NodeID `json:"from,omitzero"` // partner that sent it; zero = made here
	CallSign  string         `json:"call_sign"`     // of that partner, or ours
	Published time.Time      `json:"published"`
	Received  time.Time      `json:"received,omitzero"` // when it was first here
	AckDue    time.Time      `json:"ack_due,omitzero"`  // by the agreement's clock
	Acks      []Ack          `json:"acks,omitempty"`
	Events    int            `json:"events"` // counted by sightings of its indicators on its day
	Withdrawn bool           `json:"withdrawn,omitempty"`
	Replaced  stix.ID        `json:"replaced_by,omitempty"`
}

// Open reports whether somebody still has to acknowledge it.
func (r Row) Open() bool { return len(r.Acks) == 0 && !r.Withdrawn && r.Replaced == "" }

// Late reports whether the acknowledgement the agreement asks for is overdue.
func (r Row) Late(now time.Time) bool {
	return r.Open() && !r.AckDue.IsZero() && now.After(r.AckDue)
}

// In returns title and text in a language, English where there is none.
func (r Row) In(l locale.Lang) (title, text string) {
	if l == locale.JA && r.TitleJA != "" {
		return r.TitleJA, r.TextJA
	}
	return r.Title, r.Text
}

// List returns warnings, open ones first, then by precedence, then newest; only
// open ones when open is set.
func (w *Watch) List(ctx context.Context, open bool) ([]Row, error) { panic("stub") }

// Delivery is how far a warning of ours has got with one partner.
type Delivery struct {
	Partner  noroshi.NodeID   `json:"partner"`
	CallSign noroshi.CallSign `json:"call_sign"`
	Batch    string           `json:"batch,omitempty"` // the decision that let it go
	Hold     string           `json:"hold,omitempty"`  // where it waits
	State    string           `json:"state"`           // "held", "released", "sent"
}

// Detail is a warning with who has it.
type Detail struct {
	Row
	JSON       string     `json:"json"` // exact bytes
	Deliveries []Delivery `json:"deliveries,omitempty"`
}

// Show returns one warning, or NotFound.
func (w *Watch) Show(ctx context.Context, id stix.ID) (Detail, error) { panic("stub") }

// Ack acknowledges a warning. The person signs ActAck over subject ID bound to
// the Hash of the row that was shown. When a partner sent it, the partner
// learns that somebody in the person's role has read it. Twice by one person
// adds nothing.
func (w *Watch) Ack(ctx context.Context, id stix.ID, by noroshi.Signed) error { panic("stub") }
