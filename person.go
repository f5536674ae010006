package noroshi

import (
	"maps"
	"slices"
	"time"
)

// Role is what a person is here for.
type Role string

// The roles (日本語 in locale).
const (
	Viewer        Role = "viewer"
	Analyst       Role = "analyst"
	Duty          Role = "duty"
	ReleaseOffice Role = "release"
	Liaison       Role = "liaison"
	Controller    Role = "controller"
	Auditor       Role = "auditor"
	Administrator Role = "administrator"
)

// Roles lists every role in the order screens show them.
var Roles = []Role{Viewer, Analyst, Duty, ReleaseOffice, Liaison, Controller, Auditor, Administrator}

// Person is an operator of this node. Names never leave the node; outside, an
// act is signed by organisation and role.
type Person struct {
	ID      string `json:"id"` // short name used with --as: lower-case letters, digits, hyphen
	Name    string `json:"name"`
	Roles   []Role `json:"roles"`
	Key     []byte `json:"key"`    // Ed25519 public key
	Sealed  []byte `json:"sealed"` // private key sealed by the person's passphrase
	Removed bool   `json:"removed,omitempty"`

	Passkeys []Passkey `json:"passkeys,omitempty"` // further keys, those removed included
	Code     []byte    `json:"code,omitempty"`     // sealed secret of the person's code generator; see CodeSecret

	Changes int `json:"changes,omitempty"` // of the ways above, until now: each is signed for with its number, and so good once

	SignOn string `json:"sign_on,omitempty"` // issuer and subject at a sign-on server, which an administrator linked

	Delegated []Delegation `json:"delegated,omitempty"` // roles others passed to the person for a time; see Register.At
}

// Delegation is a role that release officers passed to a person until a day; see
// Register.Lasts.
type Delegation struct {
	Role  Role      `json:"role"`
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	By    []string  `json:"by"` // who signed for it
}

// Has reports whether a role is the person's own, not by delegation.
func (p Person) Has(r Role) bool { return !p.Removed && slices.Contains(p.Roles, r) }

// Register is everyone who is or was a person of this node, by id. Who was
// removed stays in it: their signatures of before verify for ever.
type Register map[string]Person

// At returns a person with the roles they have now, those delegated to them
// included; the zero Person for an id that is not in the register. A role that
// is delegated is one like any other, but that it cannot be passed on.
func (r Register) At(id string, now time.Time) Person {
	p := r[id]
	p.Roles = slices.Clone(p.Roles)
	for _, d := range p.Delegated {
		if r.Lasts(d, now) && !slices.Contains(p.Roles, d.Role) {
			p.Roles = append(p.Roles, d.Role)
		}
	}
	return p
}

// Lasts reports whether a delegation holds now: not past its end, which is no
// part of it, and only while everyone who signed for it has the role.
func (r Register) Lasts(d Delegation, now time.Time) bool {
	lost := func(id string) bool { return !r[id].Has(d.Role) }
	return !now.Before(d.From) && now.Before(d.Until) && len(d.By) > 0 && !slices.ContainsFunc(d.By, lost)
}

// Stand reports whether some persons, at least one, may all still do an action:
// what they signed in advance stands only so long.
func (r Register) Stand(ids []string, a Action, now time.Time) bool {
	return len(ids) > 0 && !slices.ContainsFunc(ids, func(id string) bool { return !r.At(id, now).May(a) })
}

// May reports whether one of the person's roles may do the action.
func (p Person) May(a Action) bool {
	for _, r := range p.Roles {
		if May(r, a) {
			return !p.Removed
		}
	}
	return false
}

// May is the one table of what a role may do. A role or action that is not in
// it may nothing.
func May(r Role, a Action) bool {
	for _, allowed := range may[a] {
		if r == allowed {
			return true
		}
	}
	return false
}

// PersonActions lists the actions of the role table in the order of their
// names.
func PersonActions() []Action { return slices.Sorted(maps.Keys(may)) }

var may = map[Action][]Role{
	ActImport:           {Analyst, Duty},
	ActDecideHeld:       {Analyst, Duty},
	ActAssignMarking:    {Analyst, ReleaseOffice},
	ActReauthor:         {Analyst, ReleaseOffice},
	ActTranslate:        {Analyst, Duty, Liaison},
	ActCheckTranslation: {Analyst, Duty, ReleaseOffice, Liaison},
	ActWithdraw:         {Analyst, Duty},
	ActRecall:           {Analyst, Duty, ReleaseOffice},
	ActRefuseRecall:     {Duty, ReleaseOffice},
	ActWarn:             {Analyst, Duty},
	ActAck:              {Duty},
	ActApprove:          {ReleaseOffice},
	ActReturn:           {ReleaseOffice},
	ActDefer:            {ReleaseOffice},
	ActIntroduce:        {Administrator, Liaison},
	ActProposeAgreement: {Liaison, ReleaseOffice},
	ActSignAgreement:    {ReleaseOffice},
	ActSuspendAgreement: {ReleaseOffice},
	ActResumeAgreement:  {ReleaseOffice},
	ActDeclareEmergency: {ReleaseOffice},
	ActStandingRule:     {ReleaseOffice},
	ActEndStandingRule:  {ReleaseOffice},
	ActDelegate:         {ReleaseOffice},
	ActRotateKey:        {Administrator, ReleaseOffice},
	ActRevokeKey:        {Administrator, ReleaseOffice},
	ActAddPerson:        {Administrator},
	ActRemovePerson:     {Administrator},
	ActCountersign:      {ReleaseOffice},
	ActConfigure:        {Administrator},
	ActBackup:           {Administrator},
	ActRestore:          {ReleaseOffice},
	ActGoOn:             {ReleaseOffice},
	ActReadAudit:        {Auditor, Administrator},
	ActWitness:          {Administrator},
	ActSignIn:           Roles,
	ActEnrol:            Roles,
	ActToken:            Roles,
	ActRead:             Roles,
}
