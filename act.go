package noroshi

// Action names what was done, for the ledger and for the role table.
type Action string

// The actions. Those a person does are in the role table; the others are the
// node's own.
const (
	ActInit             Action = "init"
	ActImport           Action = "import"
	ActQuarantine       Action = "quarantine"
	ActAssignMarking    Action = "assign-marking"
	ActReauthor         Action = "re-author" // draw a clear object from one that not everybody may see
	ActWithdraw         Action = "withdraw"
	ActObserve          Action = "observe"       // sightings and warnings the node makes from hits
	ActRecall           Action = "recall"        // take an object back, from partners too
	ActRefuseRecall     Action = "refuse-recall" // tell a partner that not all it asks is done
	ActWarn             Action = "warn"
	ActAck              Action = "acknowledge"
	ActHold             Action = "hold"
	ActApprove          Action = "approve"
	ActReturn           Action = "return"
	ActRelease          Action = "release"
	ActSend             Action = "send"
	ActAttempt          Action = "attempt"
	ActReceive          Action = "receive"
	ActReceipt          Action = "receipt"
	ActWithhold         Action = "withhold"
	ActEpoch            Action = "epoch"
	ActKeys             Action = "keys"
	ActIntroduce        Action = "introduce"
	ActProposeAgreement Action = "propose-agreement"
	ActSignAgreement    Action = "sign-agreement"
	ActAgreementInForce Action = "agreement-in-force"
	ActEndRetention     Action = "end-retention" // what a partner brought outlived its term and is used no more
	ActSuspendAgreement Action = "suspend-agreement"
	ActResumeAgreement  Action = "resume-agreement"
	ActDeclareEmergency Action = "declare-emergency"
	ActStandingRule     Action = "standing-rule"     // FLASH of a stated kind goes without further persons
	ActEndStandingRule  Action = "end-standing-rule" // or no more
	ActDelegate         Action = "delegate"
	ActRefuse           Action = "refuse" // a person's act that was refused; nothing else was done
	ActAddPerson        Action = "add-person"
	ActRemovePerson     Action = "remove-person" // or some of their roles
	ActCountersign      Action = "countersign"   // a release officer's part in either, where it changes who may release
	ActConfigure        Action = "configure"
	ActAlarm            Action = "alarm" // two messages under one sequence, clone, realm mismatch ...
	ActReadAudit        Action = "read-audit"
	ActRead             Action = "read"
)

// Act is one thing done, as the ledger records it: who, what, about what, on
// whose order. The store adds index, time and the root over the rows the act
// wrote.
type Act struct {
	Action     Action     `json:"action"`
	Persons    []Signed   `json:"persons,omitempty"`    // who ordered it; none when the node acts by rule
	Subject    string     `json:"subject,omitempty"`    // id of what it is about: object, run, hold, batch, message
	Partner    NodeID     `json:"partner,omitzero"`     // the link whose ledger also gets a leaf; zero = none
	Agreement  Hash       `json:"agreement,omitzero"`   // under which it was done; zero = none
	Label      string     `json:"label,omitempty"`      // label of what it is about
	Previous   uint64     `json:"previous,omitempty"`   // ledger index + 1 of the decision it rests on; 0 = none
	Message    Hash       `json:"message,omitzero"`     // message it sent, received or answers
	Count      int        `json:"count,omitempty"`      // things it concerns
	Precedence Precedence `json:"precedence,omitempty"` // lane: Immediate and Flash go before bulk work; 0 = Priority
}

// Signed is one person's part in an act: an Ed25519 signature of the act's
// digest by the person's own key.
type Signed struct {
	Person    string `json:"person"`
	Digest    Hash   `json:"digest"`
	Signature []byte `json:"signature"`
}
