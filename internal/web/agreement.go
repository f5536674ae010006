package web

import (
	"context"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
)

// FileRef has an agreement file. It need not have been proposed.
type FileRef struct {
	File []byte `json:"file"`
}

// AgreementRead is what an agreement file says, in parts, and how it differs
// from the one in force with the same partner.
type AgreementRead struct {
	Hash    noroshi.Hash     `json:"hash"`
	Version int              `json:"version"`
	Partner noroshi.CallSign `json:"partner"`
	TitleEN string           `json:"title_en"`
	TitleJA string           `json:"title_ja"`
	Terms   AgreementTerms   `json:"terms"`
	Clauses []noroshi.Clause `json:"clauses"`

	Forms   map[string][]release.ClauseForm `json:"forms"`             // by clause; one that is not here can be edited as Cedar only
	Against noroshi.Hash                    `json:"against,omitzero"`  // the agreement that Changes compares with; zero = none is in force
	Changes []noroshi.AgreementChange       `json:"changes,omitempty"` // against it, in the order of the file
}

// AgreementTerms are the terms of an agreement beside its clauses.
type AgreementTerms struct {
	Parties        []noroshi.CallSign `json:"parties"`
	From           string             `json:"from"`
	Until          string             `json:"until"`
	SightingMark   string             `json:"sighting_mark"`
	Channels       []ChannelTerms     `json:"channels"`
	Suites         []string           `json:"suites"`
	MaxLevel       string             `json:"max_level"` // U, C, S or TS
	Types          []string           `json:"types,omitempty"`
	Sectors        []string           `json:"sectors,omitempty"`
	Communities    []string           `json:"communities,omitempty"`
	Entities       []string           `json:"entities,omitempty"`
	Statements     []string           `json:"statements,omitempty"`
	Japanese       noroshi.Kubuns     `json:"japanese_levels,omitempty"`
	Onward         noroshi.Onward     `json:"onward,omitempty"`
	OnwardTo       []string           `json:"onward_to,omitempty"`
	RetentionDays  int                `json:"retention_days,omitempty"`
	FlashPerHour   int                `json:"flash_per_hour,omitempty"`
	EmergencyHours int                `json:"emergency_hours,omitempty"`
	Clocks         []ClockTerms       `json:"clocks"`
}

// ChannelTerms say what a kind of channel may carry.
type ChannelTerms struct {
	Kind string `json:"kind"`
	UpTo string `json:"up_to"` // highest TLP level of what has no classification
}

// ClockTerms say how fast a precedence is receipted and acknowledged.
type ClockTerms struct {
	Precedence noroshi.Precedence `json:"precedence"`
	Receipt    time.Duration      `json:"receipt_ns"`
	Ack        time.Duration      `json:"acknowledge_ns,omitempty"` // 0 = none asked
}

// readable reads an agreement whose clauses the exit gate can read too.
func readable(file []byte) (*noroshi.Agreement, error) {
	a, err := noroshi.ParseAgreement(file)
	if err != nil {
		return nil, err
	}
	return a, release.CheckClauses(a)
}

// agreementRead reads an agreement file for those who are to propose or sign it:
// clauses that the exit gate cannot read are an error.
func agreementRead(ctx context.Context, c *Call) (any, error) {
	var in FileRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	a, err := readable(in.File)
	if err != nil {
		return nil, err
	}
	other, party := a.Other(c.Node)
	if !party {
		return nil, noroshi.Errorf(noroshi.Invalid, "agreement.not-party", "this node is no party of the agreement")
	}
	out := AgreementRead{Hash: a.Hash, Version: a.Version, Partner: other.CallSign, TitleEN: a.TitleEN, TitleJA: a.TitleJA,
		Terms: termsOf(a), Clauses: a.Clauses, Forms: formsOf(a.Clauses)}
	p, err := c.Office.Partner(ctx, other.Node.String())
	if err != nil || p.Agreement.IsZero() || p.Agreement == a.Hash {
		return out, err
	}
	row, err := c.Office.Agreement(ctx, p.Agreement)
	if err != nil {
		return nil, err
	}
	old, err := noroshi.ParseAgreement(row.File)
	if err == nil { // one that cannot be read is in nobody's way
		out.Against, out.Changes = old.Hash, noroshi.DiffAgreements(old, a)
	}
	return out, nil
}

func formsOf(clauses []noroshi.Clause) map[string][]release.ClauseForm {
	forms := map[string][]release.ClauseForm{}
	for _, k := range clauses {
		if f, ok := release.FormsOf(k.Cedar); ok {
			forms[k.ID] = f
		}
	}
	return forms
}

func termsOf(a *noroshi.Agreement) AgreementTerms {
	t := AgreementTerms{From: rfc(a.From), Until: rfc(a.Until), SightingMark: a.SightingMark, Suites: a.Suites, MaxLevel: a.MaxLevel.String(), Types: a.Types,
		Sectors: a.Sectors, Communities: a.Communities, Entities: a.Entities, Statements: a.Statements, Japanese: a.Japanese, Onward: a.Onward, OnwardTo: a.OnwardTo,
		RetentionDays: a.RetentionDays, FlashPerHour: a.FlashPerHour, Clocks: []ClockTerms{}, Channels: []ChannelTerms{}}
	if a.Emergency != nil {
		t.EmergencyHours = a.Emergency.Hours
	}
	for _, p := range a.Parties {
		t.Parties = append(t.Parties, p.CallSign)
	}
	for _, kind := range a.Channels {
		x := ChannelTerms{Kind: kind}
		for level := noroshi.Clear; level <= noroshi.Red && a.Carries(kind, noroshi.Label{TLP: level}); level++ {
			x.UpTo = level.String()
		}
		t.Channels = append(t.Channels, x)
	}
	for _, k := range a.Clocks {
		t.Clocks = append(t.Clocks, ClockTerms(k))
	}
	return t
}
