package noroshi

import "time"

// Trust is how far a partner has come: trust grows in three steps.
type Trust string

// The three steps, and the way out.
const (
	CardHeld   Trust = "card"       // its card was handed in; nothing flows
	Introduced Trust = "introduced" // both fingerprints were confirmed by voice: control stream only
	InForce    Trust = "in-force"   // both signed one agreement: data flows
	Suspended  Trust = "suspended"
)

// DocPartner and the other constants are the kinds of documents the store
// keeps for these words; keys are given beside them.
const (
	DocPartner   = "partner"             // key: NodeID; body: Partner as JSON
	DocAgreement = "agreement"           // key: Hash; body: the exact agreement file
	DocSignature = "agreement-signature" // key: Hash + "/" + NodeID; body: the signed AGREEMENT document (docs/wire.md)
	DocPerson    = "person"              // key: Person.ID; body: Person as JSON
	DocKeyset    = "keyset"              // key: NodeID; body: KEYSET document, newest version counts
	DocEmergency = "emergency"           // key: Hash of the agreement; body: Emergency as JSON, the last one declared
	DocStanding  = "standing-rule"       // key: StandingRule.ID; body: StandingRule as JSON
	DocCard      = "card"                // key: NodeID; body: CARD document as handed in or handed out
)

// Partner is another node as this one knows it.
type Partner struct {
	Node         NodeID       `json:"node"`
	Organisation Organisation `json:"organisation"`
	Trust        Trust        `json:"trust"`
	Endpoints    []string     `json:"endpoints"`              // from its card, each of an EndpointKind
	GateOut      []byte       `json:"gate_out,omitempty"`     // gate secret of its card: for what we send it
	GateIn       []byte       `json:"gate_in,omitempty"`      // gate secret of our card for it: for what it sends us
	Agreement    Hash         `json:"agreement,omitzero"`     // in force; zero = none
	Suspended    []NodeID     `json:"suspended,omitempty"`    // nodes that suspended the agreement: it is in force when none has
	Proposed     []Hash       `json:"proposed,omitempty"`     // files proposed by either side, not yet in force
	ConfirmedBy  []string     `json:"confirmed_by,omitempty"` // persons here who heard the fingerprint
	CardUntil    time.Time    `json:"card_until,omitzero"`
}
