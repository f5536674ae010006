package web

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/release"
)

// callSign is the partner's call sign, or its node id when it is not known.
func (s *Services) callSign(ctx context.Context, n noroshi.NodeID) noroshi.CallSign {
	sign, err := s.Office.CallSign(ctx, n)
	if err != nil {
		return noroshi.CallSign(n.String())
	}
	return sign
}

// partner is the partner that the input names, which names nothing else.
func (c *Call) partner(ctx context.Context) (partner.Row, error) {
	var in PartnerRef
	if err := c.Bind(&in); err != nil {
		return partner.Row{}, err
	}
	return c.Office.Partner(ctx, string(in.Partner))
}

// CardRef asks for a card for a partner. The person signed ActIntroduce over
// "card/CALLSIGN" bound to partner.CardBound of the node's endpoints.
type CardRef struct {
	For noroshi.CallSign `json:"for"`
	By  noroshi.Signed   `json:"by"`
}

func partnerCard(ctx context.Context, c *Call) (any, error) {
	var in CardRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	return c.Office.Card(ctx, in.For, c.Endpoints, in.By)
}

func partnerEndpoints(_ context.Context, c *Call) (any, error) {
	if len(c.Endpoints) == 0 {
		return nil, noroshi.Errorf(noroshi.Invalid, "partner.no-endpoint", "this node has no address to put on a card: set endpoints in noroshi.toml, or run noroshi serve")
	}
	return c.Endpoints, nil
}

// ReceiveRef hands a card in.
type ReceiveRef struct {
	Card []byte         `json:"card"`
	By   noroshi.Signed `json:"by"`
}

func partnerReceive(ctx context.Context, c *Call) (any, error) {
	var in ReceiveRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	p, err := c.Office.Receive(ctx, in.Card, in.By)
	if err != nil {
		return nil, err
	}
	return c.Office.Partner(ctx, p.Node.String())
}

// ConfirmRef says what a person heard.
type ConfirmRef struct {
	Node        noroshi.NodeID `json:"node"`
	Fingerprint string         `json:"fingerprint"`
	By          noroshi.Signed `json:"by"`
}

// Confirmed says how many persons are still to hear it.
type Confirmed struct {
	Waiting int `json:"waiting"`
}

func partnerConfirm(ctx context.Context, c *Call) (any, error) {
	var in ConfirmRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	waiting, err := c.Office.Confirm(ctx, in.Node, in.Fingerprint, in.By)
	return Confirmed{waiting}, err
}

func partnerList(ctx context.Context, c *Call) (any, error) { return c.Office.Partners(ctx) }

func partnerShow(ctx context.Context, c *Call) (any, error) {
	return c.partner(ctx)
}

// DraftRef asks for the text of a new agreement with a partner.
type DraftRef struct {
	With       noroshi.CallSign `json:"with"`
	Days       int              `json:"days,omitempty"`       // how long it is to hold; 0 = 365
	Statements []string         `json:"statements,omitempty"` // statement markings without effect
	From       noroshi.Hash     `json:"from,omitzero"`        // an agreement whose text is taken, with a higher version and nothing else changed
}

func agreementDraft(ctx context.Context, c *Call) (any, error) {
	in := DraftRef{Days: 365}
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	p, err := c.Office.Partner(ctx, string(in.With))
	if err != nil {
		return nil, err
	}
	party := func(n noroshi.NodeID, o noroshi.Organisation) noroshi.Party {
		return noroshi.Party{CallSign: o.CallSign, Node: n, Identity: o.Identity, Tokens: o.Tokens}
	}
	version := 1
	if !p.Agreement.IsZero() { // only a higher one takes its place, even when it is over
		old, err := c.Office.Agreement(ctx, p.Agreement)
		if err != nil {
			return nil, err
		}
		version = old.Version + 1
	}
	if !in.From.IsZero() {
		return c.draftFrom(ctx, p, in.From, version)
	}
	from := c.Now().UTC().Truncate(time.Hour)
	return string(release.Template(release.Draft{Version: version, Realm: c.Realm, Self: party(c.Node, c.Self), Partner: party(p.Node, p.Organisation),
		From: from, Until: from.AddDate(0, 0, max(in.Days, 1)), Statements: in.Statements})), nil
}

// draftFrom returns the text of an agreement with a partner under another version.
func (c *Call) draftFrom(ctx context.Context, p partner.Row, from noroshi.Hash, version int) (string, error) {
	row, err := c.Office.Agreement(ctx, from)
	if err != nil {
		return "", err
	}
	if row.Partner != p.Node {
		return "", noroshi.Errorf(noroshi.NotFound, "agreement.none", "no agreement %s", from)
	}
	old, err := noroshi.ParseAgreement(row.File)
	if err != nil {
		return "", err
	}
	place := versionLine.FindIndex(row.File)
	if place == nil || old.Version >= version {
		return string(row.File), nil // it is raised by hand, or high enough
	}
	text := slices.Concat(row.File[:place[0]], fmt.Appendf(nil, "version = %d", version), row.File[place[1]:])
	if now, err := noroshi.ParseAgreement(text); err != nil || len(noroshi.DiffAgreements(old, now)) != 1 {
		return string(row.File), nil // what looked like the version stands within a text
	}
	return string(text), nil
}

var versionLine = regexp.MustCompile(`(?m)^version[ \t]*=[ \t]*[0-9]+`)

func agreementList(ctx context.Context, c *Call) (any, error) {
	rows, err := c.Office.Agreements(ctx)
	if rows == nil {
		rows = []partner.AgreementRow{}
	}
	return rows, err
}

// Unreadable names the partners to whom nothing goes only because the agreement
// that both signed cannot be read here.
func (s *Services) Unreadable(ctx context.Context) (list []noroshi.CallSign, err error) {
	rows, err := s.Office.Agreed(ctx)
	for _, r := range rows {
		if _, err := readable(r.File); r.State == "unreadable" || err != nil {
			list = append(list, r.CallSign)
		}
	}
	return list, err
}

// AgreementRef names an agreement by its hash.
type AgreementRef struct {
	Hash noroshi.Hash `json:"hash"`
}

// AgreementText is an agreement with its exact text.
type AgreementText struct {
	partner.AgreementRow
	Text  string                          `json:"text"`
	Forms map[string][]release.ClauseForm `json:"forms"` // by clause; one that is not here can be edited as Cedar only
}

func agreementShow(ctx context.Context, c *Call) (any, error) {
	var in AgreementRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	a, err := c.Office.Agreement(ctx, in.Hash)
	if err != nil {
		return nil, err
	}
	return AgreementText{a, string(a.File), formsOf(a.Clauses)}, nil
}

// ClauseRef asks for the text of an agreement with one clause as forms write it.
type ClauseRef struct {
	File   []byte               `json:"file"`
	Clause string               `json:"clause"`
	Forms  []release.ClauseForm `json:"forms"`
}

func agreementClause(_ context.Context, c *Call) (any, error) {
	var in ClauseRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	text, err := release.PutForms(in.File, in.Clause, in.Forms)
	return string(text), err
}

// ProposeRef proposes an agreement file.
type ProposeRef struct {
	File []byte         `json:"file"`
	By   noroshi.Signed `json:"by"`
}

func agreementPropose(ctx context.Context, c *Call) (any, error) {
	var in ProposeRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	if _, err := readable(in.File); err != nil {
		return nil, err
	}
	return c.Office.Propose(ctx, in.File, in.By)
}

// SignRef signs an agreement.
type SignRef struct {
	Hash noroshi.Hash   `json:"hash"`
	By   noroshi.Signed `json:"by"`
}

func agreementSign(ctx context.Context, c *Call) (any, error) {
	var in SignRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	a, err := c.Office.Agreement(ctx, in.Hash)
	if err != nil {
		return nil, err
	}
	// A partner may have proposed clauses the exit gate cannot read.
	file, err := noroshi.ParseAgreement([]byte(a.File))
	if err != nil {
		return nil, err
	}
	if err := release.CheckClauses(file); err != nil {
		return nil, err
	}
	return c.Office.Sign(ctx, in.Hash, in.By)
}
