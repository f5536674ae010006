package noroshi

import (
	"encoding/json"
	"time"
)

// Order is what several persons of this node sign alike, one after the other,
// before it is done: to suspend an agreement, to declare an emergency, to let a
// kind of FLASH go, to delegate a role. Each signs ActDigest of its action and
// Subject bound to Bound, so a change of anything in it voids what was signed.
type Order struct {
	Action    Action        `json:"action"`
	At        time.Time     `json:"at"` // drawn up; it is done within OrderLife or not at all
	Agreement Hash          `json:"agreement,omitzero"`
	Hours     int           `json:"hours,omitempty"` // of an emergency
	Rule      *StandingRule `json:"rule,omitempty"`  // to be added
	Ends      string        `json:"ends,omitempty"`  // standing rule that ends
	Person    string        `json:"person,omitempty"`
	Role      Role          `json:"role,omitempty"` // delegated to the person
	Until     time.Time     `json:"until,omitzero"`
	Key       *KeyOrder     `json:"key,omitempty"` // keys of this node to be changed
}

// KeyWord is a use of a key as people name it.
type KeyWord string

// The uses of keys.
const (
	KeyRelease KeyWord = "release"
	KeyControl KeyWord = "control"
	KeyKEM     KeyWord = "kem"
	KeyTLS     KeyWord = "tls"
	KeyRealm   KeyWord = "realm"
	KeyRoot    KeyWord = "root"
	KeyLink    KeyWord = "link" // the secrets of a LINK, which no KEYSET names
)

// KeyOrder says which keys are rotated, or which one is revoked and what of it
// is still to be believed: everything in this node's own logs, or what was made
// before Since, or what went to Partner up to LastGood.
type KeyOrder struct {
	Use      KeyWord   `json:"use,omitempty"`       // to be rotated
	NextFile string    `json:"next_file,omitempty"` // of the root: where the next one is kept; "" = the usual place
	Alone    bool      `json:"alone,omitempty"`     // of the root: the old one does not sign for the new
	ID       string    `json:"id,omitempty"`        // to be revoked
	Stranger bool      `json:"stranger,omitempty"`  // it was never this node's: who stole the root named it, and nothing of it is believed
	Since    time.Time `json:"since,omitzero"`
	LastGood uint64    `json:"last_good,omitempty"`
	Partner  NodeID    `json:"partner,omitzero"` // also of a LINK: zero = every partner
}

// OrderLife is how long an order may wait for its last signature.
const OrderLife = 24 * time.Hour

// Subject names what the order is about.
func (o Order) Subject() string {
	switch {
	case o.Person != "":
		return o.Person
	case o.Ends != "":
		return o.Ends
	case o.Key != nil && o.Key.ID != "":
		return o.Key.ID
	case o.Key != nil:
		return string(o.Key.Use)
	}
	return o.Agreement.String()
}

// Bound is what each signature is bound to: the SHA-256 of the order as JSON.
func (o Order) Bound() Hash {
	o.At, o.Until = o.At.UTC(), o.Until.UTC()
	b, _ := json.Marshal(o) // strings, numbers and times only: cannot fail
	return Sum(b)
}

// Same reports whether two orders ask for the same, whenever they were drawn up.
func (o Order) Same(other Order) bool {
	o.At, other.At = time.Time{}, time.Time{}
	return o.Bound() == other.Bound()
}

// StandingRule lets FLASH of one kind go to one partner without further
// persons, so often an hour; beyond that it takes two persons again. It lifts
// what precedence asks for, never what a marking or a clause asks for.
type StandingRule struct {
	ID        string    `json:"id,omitempty"` // made when it is signed; cited by every release it allowed
	Partner   NodeID    `json:"partner"`
	Agreement Hash      `json:"agreement"`       // the rule ends with it
	Types     []string  `json:"types,omitempty"` // STIX types; empty = warnings and their translations alone
	MaxTLP    TLP       `json:"max_tlp"`         // nothing marked stricter
	PerHour   int       `json:"per_hour"`        // objects, translations not counted
	Until     time.Time `json:"until"`           // at the latest
	By        []string  `json:"by,omitempty"`    // who signed for it
	Ended     time.Time `json:"ended,omitzero"`  // earlier, by two persons
	EndedBy   []string  `json:"ended_by,omitempty"`
}

// Bounds of a standing rule.
const (
	MaxStandingPerHour = 60
	MaxStandingDays    = 92
)

// Lasts reports whether the rule holds now under an agreement. It ends with the
// right of anyone who signed for it.
func (r StandingRule) Lasts(agreement Hash, persons Register, now time.Time) bool {
	return r.Agreement == agreement && now.Before(r.Until) && (r.Ended.IsZero() || now.Before(r.Ended)) &&
		persons.Stand(r.By, ActStandingRule, now)
}
