// Package courier keeps the streams to partner nodes: sequence, precedence,
// receipts, repair. It takes nothing but release.Cleared and the fixed control
// forms of message, and hands in nothing but through intake.
package courier

import (
	"context"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Channel carries sealed bytes to a partner; it is trusted for nothing and its
// own "OK" is no receipt.
type Channel interface {
	// Name is the channel's name in agreements, such as "https".
	Name() string
	// Send hands an envelope over to one of the endpoints.
	Send(ctx context.Context, p noroshi.Partner, envelope []byte) error
}

// Options of a Courier.
type Options struct {
	Realm     noroshi.Realm
	Node      noroshi.NodeID
	Keys      *message.Keyring
	Channels  []Channel
	Now       func() time.Time // nil = time.Now
	Heartbeat time.Duration    // STATE at least this often; 0 = 10 s
}

// Courier drives the streams of one node in one realm.
type Courier struct{}

// New wires a courier; nothing runs before Run.
func New(s *store.Store, g *intake.Gate, d *release.Desk, o Options) (*Courier, error) { panic("stub") }

// Run follows the feed and the clock until ctx ends: puts released batches into
// the streams, seals and sends by precedence, repairs gaps.
func (c *Courier) Run(ctx context.Context) error { panic("stub") }

// Send puts one cleared message into the partner's stream (sequence, signature,
// ledger, outbox in one transaction). Doing it twice adds nothing.
func (c *Courier) Send(ctx context.Context, x release.Cleared) error { panic("stub") }

// Receive takes an envelope from a channel; from is the partner the channel
// authenticated, zero when the channel knows none. An error names no secret.
func (c *Courier) Receive(ctx context.Context, channel string, from noroshi.NodeID, envelope []byte) error {
	panic("stub")
}

// ReadBy tells the partner that a person in a role has read its message.
func (c *Courier) ReadBy(ctx context.Context, partner noroshi.NodeID, msg noroshi.Hash, role noroshi.Role, at time.Time) error {
	panic("stub")
}

// Document sends a self-signed document (KEYSET, AGREEMENT) to a partner, and
// again until its STATE or answer shows it arrived.
func (c *Courier) Document(ctx context.Context, partner noroshi.NodeID, doc []byte) error {
	panic("stub")
}

// OnDocument is called for documents that arrive (set before Run).
func (c *Courier) OnDocument(fn func(ctx context.Context, from noroshi.NodeID, doc []byte) error) {
	panic("stub")
}

// LinkStatus is what is known of a link now.
type LinkStatus struct {
	Partner    noroshi.NodeID   `json:"partner"`
	CallSign   noroshi.CallSign `json:"call_sign"`
	Trust      noroshi.Trust    `json:"trust"`
	Up         bool             `json:"up"`
	Confirmed  bool             `json:"confirmed"` // a STATE echoed our challenge since start
	LastHeard  time.Time        `json:"last_heard,omitzero"`
	RoundTrip  time.Duration    `json:"round_trip_ns,omitempty"`
	OutHead    uint64           `json:"out_head"`   // last sequence in our stream
	OutStored  uint64           `json:"out_stored"` // of them receipted as stored
	OutApplied uint64           `json:"out_applied"`
	Waiting    map[string]int   `json:"waiting"` // messages not yet receipted, by precedence
	InHead     uint64           `json:"in_head"` // the partner's head as it says
	InApplied  uint64           `json:"in_applied"`
	Missing    []message.Range  `json:"missing,omitempty"` // gaps in what we have
	Held       int              `json:"held"`
	Channel    string           `json:"channel,omitempty"` // path in use
	LastError  string           `json:"last_error,omitempty"`
}

// Links returns the state of every link.
func (c *Courier) Links(ctx context.Context) ([]LinkStatus, error) { panic("stub") }

// Test sends a STATE over a channel and returns the round trip.
func (c *Courier) Test(ctx context.Context, partner noroshi.NodeID) (time.Duration, error) {
	panic("stub")
}
