package noroshi

// Outcome is what a release decision says about one object and one partner.
type Outcome uint8

// The outcomes; of two the later counts. Undecided, the zero value, releases
// nothing.
const (
	Undecided Outcome = iota
	Release
	Redact
	Hold
	Deny
)

var outcomes = []string{"undecided", "release", "redact", "hold", "deny"}

// String returns the lower-case name.
func (o Outcome) String() string { return outcomes[min(int(o), len(outcomes)-1)] }

// HoldKey names what lifts a hold.
type HoldKey string

// The keys of a hold.
const (
	TwoPersons    HoldKey = "two-persons"    // two release officers approve
	Review        HoldKey = "review"         // one release officer looks and approves
	Unmarked      HoldKey = "unmarked"       // assign a marking; cannot be approved as it is
	NotUnderstood HoldKey = "not-understood" // assign or mend a marking; cannot be approved as it is
	NoClause      HoldKey = "clause"         // a clause asks for a named act
)

// Reason is one rule that spoke: its code, the clause or marking it came from,
// and the outcome it asks for. Texts are made from the code at the top.
type Reason struct {
	Code    string   `json:"code"`             // such as "tlp.red", "clause.permit", "closure.ref"
	Clause  string   `json:"clause,omitempty"` // clause id
	Marking string   `json:"marking,omitempty"`
	Args    []string `json:"args,omitempty"`
	Outcome Outcome  `json:"outcome"`
	Key     HoldKey  `json:"key,omitempty"`
}
