// Package siem tells the organisation's own SIEM what happens at the node:
// warnings and sightings out of the change feed, acts out of the ledger, as
// syslog messages (RFC 5424) over TLS (RFC 5425), whose text is CEF, ECS JSON
// or plain words with structured data.
//
// It is no way to a partner. A SIEM is inside the border, so nothing passes the
// exit gate here; what holds instead is the destination's Ceiling. An event
// whose label is above it is not sent, not even the fact that there was one,
// and is counted; of an event that is not, whatever part is above it (the
// indicator of a warning, a translation) is left out. The label of every part
// that is shown stands in the event. Ids of persons go, they are the
// organisation's own; names of persons, sensors and whatever else telemetry
// says of the victim side are in no event, as they are in no sighting.
//
// Every destination has a goroutine, a connection and two durable places of its
// own (in the feed, in the ledger), so a slow one holds nobody. Nothing is
// queued: what was not sent yet stands in the store.
//
// # At least once
//
// Syslog has no acknowledgement, and a write that succeeded says only that this
// machine's kernel has the bytes. The one answer the protocol has is to the end
// of a connection: RFC 5425 §4.4 asks the receiver to answer close_notify, and a
// receiver that answers has read what came before. So the places move only when
// a connection was closed and the close was answered, at most Pace.Turn after an
// event was written or maxWindow events, fewer after each failure; until then a broken connection, a crash
// or a stop makes the events since the last such moment be sent again. Each
// event has an id that stays the same (Event.ID), by which a receiver drops what
// it has. A receiver that was going away by itself looks, for the length of a
// round trip, like one that answers: so nothing is written for Pace.Calm before
// the close, and a connection that ends in that time proves nothing.
//
// What stays unsolved: a receiver that answers and then loses what it read
// before it wrote it down, and one that was more than Pace.Calm behind when it
// closed by itself in good form and threw away what it had not looked at.
package siem

import (
	"context"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Format is how an event is written.
type Format string

// The formats. All of them are RFC 5424 messages.
const (
	CEF    Format = "cef"    // ArcSight Common Event Format, version 0
	ECS    Format = "ecs"    // Elastic Common Schema 8.x, one JSON object
	Syslog Format = "syslog" // structured data (RFC 5424 §6.3) and words
)

// Valid reports whether it is one of the formats.
func (f Format) Valid() bool { return f == CEF || f == ECS || f == Syslog }

// Kind is what an event tells of.
type Kind string

// The kinds of events, as the configuration writes them.
const (
	Warning  Kind = "warning"  // a version of a warning, ours or a partner's
	Sighting Kind = "sighting" // a version of a sighting: at the first hit and with the final count
	Audit    Kind = "audit"    // an act of the ledger
)

// Valid reports whether it is one of the kinds.
func (k Kind) Valid() bool { return k == Warning || k == Sighting || k == Audit }

// Destination is one SIEM.
type Destination struct {
	Name       string // its places in the store go by it
	Address    string // host:port
	Trust      Trust  // read at each connection, so that files may be renewed
	Format     Format
	Max        noroshi.Ceiling
	What       []Kind
	Lang       string   // "en" or "ja": which of its languages a warning is told in
	Statements []string // statement markings that restrict nothing
}

// Words makes the title and text of an event that brings none of its own, in a
// language. They may be made of nothing but the event.
type Words func(lang string, e *Event) (title, text string)

// Options of a Sender.
type Options struct {
	Realm    noroshi.Realm
	Node     noroshi.NodeID
	CallSign noroshi.CallSign
	Version  string
	Words    Words
	Pace     Pace
	Now      func() time.Time                                  // nil = time.Now
	After    func(time.Duration) <-chan time.Time              // nil = time.After
	Dial     func(context.Context, *Destination) (Conn, error) // nil = TLS
}

// Pace is how long a Sender waits; a zero field means what stands beside it.
type Pace struct {
	Settle time.Duration // after the last event before the connection is closed for an answer: 5 s
	Turn   time.Duration // the same, however many events follow: 30 s
	Calm   time.Duration // at least so long nothing is written before the close: 2 s
	Answer time.Duration // for the answer to the close: 30 s
	Dial   time.Duration // for a connection: 10 s
	Write  time.Duration // for the receiver to take a batch: 30 s
	Retry  time.Duration // after the first failure, twice as long after each that follows: 1 s
	Most   time.Duration // but no longer: 1 min
	Poll   time.Duration // how soon an act is seen that changed nothing else: 2 s
}

// Sender sends to one destination. Run runs it.
type Sender struct {
	store  *store.Store
	dest   Destination
	o      Options
	window int // events that are sent before an answer is asked for; Run's own
	state  state
}

// New wires a sender; nothing is read or sent before Run.
func New(s *store.Store, d Destination, o Options) *Sender {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.After == nil {
		o.After = time.After
	}
	if o.Dial == nil {
		o.Dial = dialTLS(o.Pace.filled())
	}
	o.Pace = o.Pace.filled()
	return &Sender{store: s, dest: d, o: o, window: maxWindow}
}

func (p Pace) filled() Pace {
	for _, f := range []struct {
		d    *time.Duration
		unit time.Duration
	}{{&p.Settle, 5 * time.Second}, {&p.Turn, 30 * time.Second}, {&p.Calm, 2 * time.Second}, {&p.Answer, 30 * time.Second}, {&p.Dial, 10 * time.Second},
		{&p.Write, 30 * time.Second}, {&p.Retry, time.Second}, {&p.Most, time.Minute}, {&p.Poll, 2 * time.Second}} {
		if *f.d == 0 {
			*f.d = f.unit
		}
	}
	return p
}
