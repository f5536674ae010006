package courier

import (
	"context"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// Channel is one way to carry sealed bytes to partners: a room of its own that
// knows nothing but envelopes. It is trusted for nothing: its own "OK" is no
// receipt, what it loses, doubles, delays or mixes up is repaired by the stream.
// What comes in on it goes to Courier.Receive under the same name.
//
// A Channel is safe for concurrent use. How many Sends are on their way on it
// at once, and in which order they begin, is for message.Step to say.
type Channel interface {
	// Name is what this node calls this way: "https", "mail", "line:hf1". Two
	// channels of a node have two names, also those of one kind.
	Name() string
	// Traits are what the choice among channels rests on.
	Traits() Traits
	// Send takes an envelope over for a partner, or says why not. It blocks
	// until the bytes are taken over (by the other end, a mail system, a medium,
	// the modem) or ctx ends; then it has nothing of the envelope any more.
	// Precedence decides the order inside: what is higher goes first, and may
	// halt what is lower at a fragment boundary. That of a statement is 0: it is
	// small, tells what has come, and rides free right behind FLASH.
	//
	// Kinds of errors: NotFound, the partner cannot be reached this way from
	// here (no endpoint of it, no key): nothing is tried until that changes.
	// Busy, later: the way works and is full just now. Invalid, it never takes
	// this envelope, which exceeds Traits.Largest. Everything else, Queued as a
	// rule: the way does not work now, with the reason for people to read.
	Send(ctx context.Context, p noroshi.Partner, prec noroshi.Precedence, envelope []byte) error
}

// Placed is a Channel to one place of several that a partner may have. Where the
// partner has no such place the channel is no way to it, and none that is tried, lest
// the record tell of changes to a path that there is not.
type Placed interface {
	Channel
	// Leads reports whether a partner has the place.
	Leads(p noroshi.Partner) bool
}

// Traits are those of a channel; the stream decides by them.
type Traits = message.Traits
