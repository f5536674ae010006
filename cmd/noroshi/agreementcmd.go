package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/web"
)

type agreementCmd struct {
	Draft     agreementDraftCmd     `cmd:"" help:"help.agreement-draft"`
	Clause    agreementClauseCmd    `cmd:"" help:"help.agreement-clause"`
	List      agreementListCmd      `cmd:"" help:"help.agreement-list"`
	Show      agreementShowCmd      `cmd:"" help:"help.agreement-show"`
	Propose   agreementProposeCmd   `cmd:"" help:"help.agreement-propose"`
	Sign      agreementSignCmd      `cmd:"" help:"help.agreement-sign"`
	Suspend   agreementSuspendCmd   `cmd:"" help:"help.agreement-suspend"`
	Emergency agreementEmergencyCmd `cmd:"" help:"help.agreement-emergency"`
	Diff      agreementDiffCmd      `cmd:"" help:"help.agreement-diff"`
	Rehearse  agreementRehearseCmd  `cmd:"" help:"help.agreement-rehearse"`
}

type agreementDraftCmd struct {
	With      string   `required:"" placeholder:"CALLSIGN" help:"help.partner-arg"`
	Days      int      `default:"365" help:"help.agreement-days"`
	Statement []string `sep:"none" placeholder:"TEXT" help:"help.agreement-statement"`
}

// Run writes a first text to stdout, to be edited and then proposed.
func (x *agreementDraftCmd) Run(c *cli) error {
	var text string
	if err := c.call("agreement.draft", web.DraftRef{With: noroshi.CallSign(x.With), Days: x.Days, Statements: x.Statement}, &text); err != nil {
		return err
	}
	_, err := io.WriteString(c.io.out, text)
	return err
}

type agreementClauseCmd struct {
	Agreement string `arg:"" placeholder:"HASH|FILE" help:"help.agreement-new"`
	Clause    string `required:"" placeholder:"ID" help:"help.clause-id"`
	Forms     string `required:"" placeholder:"FILE" help:"help.clause-forms"`
}

// Run writes the text of an agreement with one clause as forms write it, to be
// read, given a higher version and proposed.
func (x *agreementClauseCmd) Run(c *cli) error {
	in := web.ClauseRef{Clause: x.Clause}
	var err error
	if in.File, err = c.textOf(x.Agreement); err != nil {
		return err
	}
	forms, err := readFile(x.Forms)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(forms))
	d.DisallowUnknownFields() // a bound that is mistyped would limit nothing
	if err := d.Decode(&in.Forms); err != nil {
		return noroshi.Errorf(noroshi.Invalid, "agreement.forms", "the forms cannot be read: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return noroshi.Errorf(noroshi.Invalid, "agreement.forms", "the forms cannot be read: %w", errors.New("there is more behind the list"))
	}
	var text string
	if err := c.call("agreement.clause", in, &text); err != nil {
		return err
	}
	_, err = io.WriteString(c.io.out, text)
	return err
}

type agreementListCmd struct{}

func (x *agreementListCmd) Run(c *cli) error {
	var rows []partner.AgreementRow
	if err := c.call("agreement.list", nil, &rows); err != nil {
		return err
	}
	return list(c, rows,
		column[partner.AgreementRow]{"agreement", func(a partner.AgreementRow) string { return a.Hash.String() }},
		column[partner.AgreementRow]{"partner", func(a partner.AgreementRow) string { return string(a.CallSign) }},
		column[partner.AgreementRow]{"version", func(a partner.AgreementRow) string { return n(a.Version) }},
		column[partner.AgreementRow]{"state", func(a partner.AgreementRow) string { return c.word("state." + a.State) }},
		column[partner.AgreementRow]{"title", func(a partner.AgreementRow) string { return c.bilingual(a.TitleEN, a.TitleJA) }})
}

// bilingual picks a document's own text in the user's language.
func (c *cli) bilingual(en, ja string) string {
	if c.cellLang() == locale.JA && ja != "" {
		return ja
	}
	return en
}

// agreementArg names an agreement; the start of its hash is enough.
type agreementArg struct {
	Agreement string `arg:"" placeholder:"HASH" help:"help.agreement-hash"`
}

// hash finds the one agreement whose hash begins so.
func (x agreementArg) hash(c *cli) (noroshi.Hash, error) {
	var rows []partner.AgreementRow
	if err := c.call("agreement.list", nil, &rows); err != nil {
		return noroshi.Hash{}, err
	}
	var found []noroshi.Hash
	for _, a := range rows {
		if h := a.Hash.String(); len(x.Agreement) >= 6 && len(h) >= len(x.Agreement) && h[:len(x.Agreement)] == x.Agreement {
			found = append(found, a.Hash)
		}
	}
	if len(found) != 1 {
		return noroshi.Hash{}, noroshi.Errorf(noroshi.NotFound, "agreement.none", "no single agreement begins with %q", x.Agreement)
	}
	return found[0], nil
}

type agreementShowCmd struct{ agreementArg }

func (x *agreementShowCmd) Run(c *cli) error {
	h, err := x.hash(c)
	if err != nil {
		return err
	}
	var a web.AgreementText
	if err := c.call("agreement.show", web.AgreementRef{Hash: h}, &a); err != nil {
		return err
	}
	pairs := [][2]string{{"agreement", h.String()}, {"partner", string(a.CallSign)}, {"state", c.word("state." + a.State)}, {"approved-by", join(a.SignedBy)}}
	if a.Emergency != nil {
		pairs = append(pairs, [2]string{"emergency", c.t("cli.emergency-until", utc(a.Emergency.Until))})
	}
	for _, k := range a.Clauses {
		pairs = append(pairs, [2]string{"clause", k.ID + " " + c.bilingual(k.ArticleEN, k.ArticleJA) + ": " + c.bilingual(k.EN, k.JA)})
	}
	return one(c, a, append(pairs, [2]string{"text", a.Text})...)
}

type agreementProposeCmd struct {
	File string `arg:"" placeholder:"FILE" help:"help.agreement-file"`
	asPerson
}

// Run proposes a file and prints its hash.
func (x *agreementProposeCmd) Run(c *cli) error {
	file, err := readFile(x.File)
	if err != nil {
		return err
	}
	h := noroshi.Sum(file)
	by, err := x.sign(c, noroshi.ActProposeAgreement, h.String(), h)
	if err != nil {
		return err
	}
	if err := c.call("agreement.propose", web.ProposeRef{File: file, By: by}, nil); err != nil {
		return err
	}
	return one(c, map[string]noroshi.Hash{"hash": h}, [2]string{"agreement", h.String()})
}

type agreementSignCmd struct {
	agreementArg
	asPerson
}

// Run adds a release officer's signature.
func (x *agreementSignCmd) Run(c *cli) error {
	h, err := x.hash(c)
	if err != nil {
		return err
	}
	by, err := x.sign(c, noroshi.ActSignAgreement, h.String(), h)
	if err != nil {
		return err
	}
	var s partner.Signing
	if err := c.call("agreement.sign", web.SignRef{Hash: h, By: by}, &s); err != nil {
		return err
	}
	switch {
	case s.InForce:
		c.say("cli.agreement-in-force")
	case s.Waiting > 0:
		c.say("cli.approved-waiting", n(s.Waiting))
	case s.Waits:
		c.say("cli.agreement-begins")
	default:
		c.say("cli.agreement-awaits-partner")
	}
	return nil
}
