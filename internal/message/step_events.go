package message

import (
	"time"

	"github.com/noroshi-cti/noroshi"
)

// Standing is how far a received message has got; only upwards.
type Standing uint8

// The standings (exchange: receiver's message). The numbers are those the
// store keeps.
const (
	Absent   Standing = iota // not here
	Entombed                 // its sender closed the sequence: it need not come
	Stored                   // durable, not applied: waits for its deps
	Held                     // durable, waits for a person or an upgrade
	Applied                  // its effects are durable
)

// EpochHead is one epoch of ours, or a parent of one, and where its log ends
// as far as is known.
type EpochHead struct {
	Epoch Epoch
	Head  uint64
	Chain noroshi.Hash
}

// Out is one message of our own log as Step needs it.
type Out struct {
	Epoch   Epoch
	Seq     uint64
	ID      noroshi.Hash
	Prec    noroshi.Precedence
	Created time.Time
	TTL     uint32 // seconds, 0 = never expires
	Len     int    // bytes of content, for the share of ROUTINE
	Label   string // normal form of its objects' label; empty = control: goes wherever statements go
	Chain   noroshi.Hash
	Closed  bool // withheld or expired: a tombstone speaks for it
}

// In is one message of the partner's log as Step needs it.
type In struct {
	Epoch    Epoch
	Seq      uint64
	ID       noroshi.Hash
	Kind     Kind
	Prec     noroshi.Precedence
	Deps     []uint64
	Standing Standing
	Via      string  // channel it came by, as this node calls it; empty = not known
	Key      [4]byte // id of the key that signed it, for the driver; zeros for a tombstone
}

// Event is something that happened to one side of a link.
type Event interface{ event() }

// Committed: a message of ours is durable in our log.
type Committed struct{ Out Out }

// Arrived: a message came whose signature, context and content were verified.
// Nothing of it is durable yet.
type Arrived struct{ In In }

// Kept: what came of a Keep or Apply, or of a tombstone: a durable fact. Again
// says the same id was here already, Second that another id was bound to the
// sequence (the first stands), Absent as the standing that nothing came of it.
type Kept struct {
	In     In
	Again  bool
	Second bool
}

// Told: a verified STATE came. Sum is the hash of its signed bytes.
type Told struct {
	Epoch   Epoch // the partner's life that speaks
	Counter uint64
	Sum     noroshi.Hash
	State   State
	Channel string  // it came by, as this node calls it
	Doubts  []Doubt // of the epochs of ours that it names, those a revoked key may have signed in
}

// Asked: a verified WANT came.
type Asked struct{ Want Want }

// Refused: something of the partner's could not be taken, for a technical
// reason (docs/wire.md, REFUSE). The driver says when that is worth telling.
type Refused struct{ Code uint8 }

// Attest: something is to be said of the ledgers, CHECKPOINT or COSIGN, or
// answered. The driver decides what; Step gives it its place among the statements,
// and a channel that objects of its label may go by.
type Attest struct {
	Kind  Kind
	Body  []byte
	Label string // join of those in a RETURN, normal form; empty = it has no objects
}

// HandedOver: a Send ended: the channel took the bytes, or did not. It is no
// receipt. Never says that the channel takes no message like this one.
type HandedOver struct {
	Epoch   Epoch
	Seq     uint64
	Channel string
	OK      bool
	Never   bool
}

// Withheld: messages of ours were closed by a tombstone (T4): they leave no
// more. It may answer a Send whose check failed.
type Withheld struct {
	Epoch Epoch
	Seqs  []uint64
}

// Loaded answers Load.
type Loaded struct {
	Epoch Epoch
	Out   []Out
}

// Up says how a channel does: it takes envelopes, or it does not, and why; or
// it does not lead to the partner at all.
type Up struct {
	Channel string
	Up      bool
	Absent  bool
	Why     string // for people, when it is not up
}

// Rewired brings the channels of the link anew: the partner's card, the
// agreement in force or this node's configuration is another.
type Rewired struct{ Ways []Way }

// Opened answers Open: the new epoch with its EPOCH message is durable.
type Opened struct {
	Epoch   Epoch
	Parents []Epoch
	First   Out
	Anew    bool // because something was lost: its EPOCH says so
}

// PutBack: an operator put this node back from a backup.
type PutBack struct{}

// Reopen: this node ends trust in one of its own keys. What it says from now on
// stands in a log that nobody who has the old key could have begun.
type Reopen struct{}

// Probe asks for a fresh challenge by a channel, by all when none is named: the
// answer gives the round trip.
type Probe struct{ Channel string }

// Wake: what could not be applied may be by now.
type Wake struct{}

// Tick: time has passed. Step wants one at Side.Next.
type Tick struct{}

func (Committed) event()  {}
func (Arrived) event()    {}
func (Kept) event()       {}
func (Told) event()       {}
func (Asked) event()      {}
func (Refused) event()    {}
func (Attest) event()     {}
func (HandedOver) event() {}
func (Withheld) event()   {}
func (Loaded) event()     {}
func (Up) event()         {}
func (Rewired) event()    {}
func (Opened) event()     {}
func (PutBack) event()    {}
func (Reopen) event()     {}
func (Probe) event()      {}
func (Wake) event()       {}
func (Tick) event()       {}

// Effect is something the driver does, in the order given. What an effect
// makes durable comes back as an event, and only then does Step count on it.
type Effect interface{ effect() }

// Keep asks for R1, and with Apply for R2 in the same transaction: keep the
// arrived message, decide every object, effects and marker together. Answer:
// Kept.
type Keep struct {
	In    In
	Apply bool
}

// Apply asks for R2 of a message that is stored: what it waited for is there.
// Answer: Kept, Absent where it could not be done.
type Apply struct{ In In }

// Send asks for T2: check again, write the attempt, commit, hand over to the
// channel. Answer: HandedOver.
type Send struct {
	Epoch   Epoch
	Seq     uint64
	Prec    noroshi.Precedence
	Channel string
}

// Halt says that a message that is being handed over to a channel need not go
// any more: its receipt came, it was withheld, or it may not go there any more. Its
// Send is answered all the same.
type Halt struct {
	Epoch   Epoch
	Seq     uint64
	Channel string
}

// Switched says that what went by one channel goes by another from now on, and
// why (a Switch code, and what the channel itself said); empty = by none. The
// driver puts it on record.
type Switched struct {
	From, To    string
	Why, Detail string
}

// SayState asks to make Counter durable as issued, then sign and send the STATE
// by one channel. No answer.
type SayState struct {
	Epoch   Epoch // ours, that speaks
	Counter uint64
	Channel string
	State   State
}

// SayWant asks to send a WANT; Counter as in SayState.
type SayWant struct {
	Epoch   Epoch
	Counter uint64
	Channel string
	Want    Want
}

// SayRefuse asks to send a REFUSE; Counter as in SayState.
type SayRefuse struct {
	Epoch   Epoch
	Counter uint64
	Channel string
	Refuse  Refuse
}

// SayBody asks to send a statement whose body the driver gave with Attest;
// Counter as in SayState.
type SayBody struct {
	Epoch   Epoch
	Counter uint64
	Channel string
	Kind    Kind
	Body    []byte
}

// Receipt says what of our epoch the partner's life newly holds and has newly
// applied. The driver keeps it as evidence.
type Receipt struct {
	Epoch   Epoch
	Stored  []Range
	Applied []Range
}

// Expire asks to close messages whose time is over (T4) by a tombstone.
type Expire struct {
	Epoch Epoch
	Seqs  []uint64
}

// Load asks for the facts of messages of ours the partner lacks and memory
// does not hold. Answer: Loaded.
type Load struct {
	Epoch Epoch
	Range Range
}

// Open asks for a new epoch with these parents: random id, EPOCH message as
// its first, durable. Nothing is sent before the answer: Opened.
type Open struct {
	Parents []EpochHead
	Reason  EpochReason
}

// Lives tells which of the partner's epochs are live and which retired, to be
// remembered. No answer.
type Lives struct {
	Live    Epoch
	Retired []Epoch
}

// Alarm tells both duty officers of something that must not happen. Codes:
// second-id, clone, receipt-shrank, chain, rolled-back, no-path.
type Alarm struct {
	Code  string
	Epoch Epoch
	Seq   uint64
}

func (Keep) effect()      {}
func (Apply) effect()     {}
func (Send) effect()      {}
func (Halt) effect()      {}
func (Switched) effect()  {}
func (SayState) effect()  {}
func (SayWant) effect()   {}
func (SayRefuse) effect() {}
func (SayBody) effect()   {}
func (Receipt) effect()   {}
func (Expire) effect()    {}
func (Load) effect()      {}
func (Open) effect()      {}
func (Lives) effect()     {}
func (Alarm) effect()     {}

// Codes of Alarm.
const (
	AlarmSecondID   = "second-id"      // two messages under one sequence
	AlarmClone      = "clone"          // two statements under one counter
	AlarmShrank     = "receipt-shrank" // a life took a receipt back
	AlarmChain      = "chain"          // both sides' chains differ
	AlarmRolledBack = "rolled-back"    // this side lost what the partner holds of it
	AlarmNoPath     = "no-path"        // Seq messages wait that no channel in working order may carry
)
