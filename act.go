package noroshi

// Action names what was done, for the ledger and for the role table.
type Action string

// The actions. Those a person does are in the role table; the others are the
// node's own.
const (
	ActInit             Action = "init"
	ActImport           Action = "import"
	ActQuarantine       Action = "quarantine"
	ActDecideHeld       Action = "decide-held" // a partner's held message is applied, or closed without effect
	ActAssignMarking    Action = "assign-marking"
	ActReauthor         Action = "re-author"         // draw a clear object from one that not everybody may see
	ActTranslate        Action = "translate"         // an object's text was put into another language
	ActCheckTranslation Action = "check-translation" // and held against the original by somebody else
	ActMachineTranslate Action = "machine-translate" // a text was sent to the translation service
	ActMachineWords     Action = "machine-words"     // it gave words, whose hashes are kept
	ActWithdraw         Action = "withdraw"
	ActObserve          Action = "observe"       // sightings and warnings the node makes from hits
	ActRecall           Action = "recall"        // take an object back, from partners too
	ActRefuseRecall     Action = "refuse-recall" // tell a partner that not all it asks is done
	ActWarn             Action = "warn"
	ActAck              Action = "acknowledge"
	ActHold             Action = "hold"
	ActApprove          Action = "approve"
	ActReturn           Action = "return"
	ActDefer            Action = "defer" // what waits goes on waiting, for a reason that a person gives
	ActRelease          Action = "release"
	ActSend             Action = "send"
	ActAttempt          Action = "attempt"
	ActChangePath       Action = "change-path" // what went to a partner by one channel goes by another, and why
	ActReceive          Action = "receive"
	ActReceipt          Action = "receipt"
	ActWithhold         Action = "withhold"
	ActEpoch            Action = "epoch"
	ActKeys             Action = "keys"
	ActRotateKey        Action = "rotate-key"
	ActRevokeKey        Action = "revoke-key"
	ActDrillKey         Action = "drill-key" // played, and nothing was changed
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
	ActInvite           Action = "invite"        // somebody was invited to join, or came with the code and made a key that nobody signed for yet
	ActRemovePerson     Action = "remove-person" // or some of their roles
	ActCountersign      Action = "countersign"   // a release officer's part in either, where it changes who may release
	ActConfigure        Action = "configure"
	ActAlarm            Action = "alarm"  // two messages under one sequence, clone, realm mismatch ...
	ActShelve           Action = "shelve" // lay on a collection's shelf, or take off it
	ActFetch            Action = "fetch"  // a feed was read, or could not be
	ActServe            Action = "serve"  // a client of a door read
	ActExport           Action = "export" // a file went to sensors, tools or a partner
	ActBackup           Action = "backup"
	ActRestore          Action = "restore"    // this realm was put back from a backup
	ActGoOn             Action = "go-on"      // a link goes on without what its partner was asked for after that
	ActCompare          Action = "compare"    // what both sides of a link hold of each other's streams
	ActRecovered        Action = "recover"    // what a partner gave back was taken in
	ActCheckpoint       Action = "checkpoint" // the head of a link's ledger was issued to the partner
	ActCosign           Action = "cosign"     // or the partner's was countersigned, or ours by it
	ActWitness          Action = "witness"    // a head brought in a file was countersigned
	ActSignIn           Action = "sign-in"    // a person opened the console
	ActSignOut          Action = "sign-out"   // or left it
	ActEnrol            Action = "enrol"      // a passkey or code generator was added to a person, or taken away
	ActPasskey          Action = "passkey"    // a passkey that counts its signatures made one
	ActToken            Action = "token"      // a token for the API was made, or revoked
	ActReadAudit        Action = "read-audit"
	ActRead             Action = "read"
)

// Evidence reports whether acts of this kind only keep what was said about
// others: statements, attempts, receipts, cosignatures, alarms. They are in a
// link's ledger and cause no checkpoint, else two nodes would checkpoint each
// other for ever.
func (a Action) Evidence() bool {
	switch a {
	case ActAttempt, ActReceipt, ActCheckpoint, ActCosign, ActAlarm:
		return true
	}
	return false
}

// Act is one thing done, as the ledger records it: who, what, about what, on
// whose order. The store adds index, time and the root over the rows the act
// wrote.
type Act struct {
	Action     Action     `json:"action"`
	Persons    []Signed   `json:"persons,omitempty"`    // who ordered it; none when the node acts by rule
	Caller     Caller     `json:"caller,omitzero"`      // in whose call it was done; zero = nobody's, or of whoever has the data folder
	Subject    string     `json:"subject,omitempty"`    // id of what it is about: object, run, hold, batch, message
	Partner    NodeID     `json:"partner,omitzero"`     // the link whose ledger also gets a leaf; zero = none
	Agreement  Hash       `json:"agreement,omitzero"`   // under which it was done; zero = none
	Label      string     `json:"label,omitempty"`      // label of what it is about
	Previous   uint64     `json:"previous,omitempty"`   // ledger index + 1 of the decision it rests on; 0 = none
	Message    Hash       `json:"message,omitzero"`     // message it sent, received or answers
	Count      int        `json:"count,omitempty"`      // things it concerns
	Precedence Precedence `json:"precedence,omitempty"` // lane: Immediate and Flash go before bulk work; 0 = Priority
}

// Caller is in whose call an act was done, whether they signed it or not: of a
// person signed in to the console, or of a program that showed a token of theirs.
type Caller struct {
	Person string `json:"person"`
	Token  string `json:"token,omitempty"` // its name; "" = signed in
}

// String returns the person, and the token's name after a colon.
func (c Caller) String() string {
	if c.Token == "" {
		return c.Person
	}
	return c.Person + ":" + c.Token
}

// Signed is one person's part in an act: a signature of the act's digest by the
// person's own key (Ed25519, 64 bytes), or by a passkey of theirs whose challenge
// the digest was (Assertion.Pack).
type Signed struct {
	Person    string `json:"person"`
	Digest    Hash   `json:"digest"`
	Signature []byte `json:"signature"`
}
