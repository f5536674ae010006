package main

import (
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/web"
)

type partnerCmd struct {
	Card      partnerCardCmd      `cmd:"" help:"help.partner-card"`
	Introduce partnerIntroduceCmd `cmd:"" help:"help.partner-introduce"`
	Confirm   partnerConfirmCmd   `cmd:"" help:"help.partner-confirm"`
	List      partnerListCmd      `cmd:"" help:"help.partner-list"`
	Show      partnerShowCmd      `cmd:"" help:"help.partner-show"`
}

type partnerCardCmd struct {
	For string `required:"" placeholder:"CALLSIGN" help:"help.partner-for"`
	asPerson
}

// Run writes this node's card for one partner to stdout.
func (x *partnerCardCmd) Run(c *cli) error {
	partnerSign, err := noroshi.ParseCallSign(x.For)
	if err != nil {
		return err
	}
	var endpoints []string
	if err := c.call("partner.endpoints", nil, &endpoints); err != nil {
		return err
	}
	by, err := x.sign(c, noroshi.ActIntroduce, "card/"+x.For, partner.CardBound(endpoints))
	if err != nil {
		return err
	}
	var card []byte
	if err := c.call("partner.card", web.CardRef{For: partnerSign, By: by}, &card); err != nil {
		return err
	}
	_, err = c.io.out.Write(card)
	return err
}

type partnerIntroduceCmd struct {
	File        string `arg:"" placeholder:"CARD" help:"help.card-file"`
	Fingerprint string `placeholder:"DIGITS" help:"help.fingerprint"`
	asPerson
}

// Run hands a card in and, once its fingerprint was heard by voice, confirms
// it. Run again by a second person where the node has two.
func (x *partnerIntroduceCmd) Run(c *cli) error {
	card, err := readFile(x.File)
	if err != nil {
		return err
	}
	by, err := x.sign(c, noroshi.ActIntroduce, "receive", noroshi.Sum(card))
	if err != nil {
		return err
	}
	var p partner.Row
	if err := c.call("partner.receive", web.ReceiveRef{Card: card, By: by}, &p); err != nil {
		return err
	}
	if x.Fingerprint == "" {
		c.say("cli.introduce-voice", string(p.Organisation.CallSign), p.Ours)
		return one(c, p, [2]string{"partner", string(p.Organisation.CallSign)}, [2]string{"trust", c.word("trust." + string(p.Trust))})
	}
	return x.heard(c, p, x.Fingerprint)
}

type partnerConfirmCmd struct {
	Partner     string `arg:"" placeholder:"CALLSIGN" help:"help.partner-arg"`
	Fingerprint string `required:"" placeholder:"DIGITS" help:"help.fingerprint"`
	asPerson
}

// Run has a person say that they heard a partner's fingerprint: of one whose
// card is held, or of one with a new root that its old one did not sign.
func (x *partnerConfirmCmd) Run(c *cli) error {
	var p partner.Row
	if err := c.call("partner.show", web.PartnerRef{Partner: noroshi.CallSign(x.Partner)}, &p); err != nil {
		return err
	}
	return x.heard(c, p, x.Fingerprint)
}

// heard signs the fingerprint that a person heard, and says who is missing.
func (a asPerson) heard(c *cli, p partner.Row, fingerprint string) error {
	by, err := a.sign(c, noroshi.ActIntroduce, p.Node.String(), partner.FingerprintBound(fingerprint))
	if err != nil {
		return err
	}
	var done web.Confirmed
	if err := c.call("partner.confirm", web.ConfirmRef{Node: p.Node, Fingerprint: fingerprint, By: by}, &done); err != nil {
		return err
	}
	switch sign := string(p.Organisation.CallSign); {
	case done.Waiting > 0:
		c.say("cli.introduce-second", sign)
	case p.Trust == noroshi.CardHeld:
		c.say("cli.introduced", sign)
	default:
		c.say("cli.new-root", sign)
	}
	return nil
}

type partnerListCmd struct{}

func (x *partnerListCmd) Run(c *cli) error {
	var rows []partner.Row
	if err := c.call("partner.list", nil, &rows); err != nil {
		return err
	}
	return list(c, rows,
		column[partner.Row]{"partner", func(p partner.Row) string { return string(p.Organisation.CallSign) }},
		column[partner.Row]{"trust", func(p partner.Row) string { return c.word("trust." + string(p.Trust)) }},
		column[partner.Row]{"node", func(p partner.Row) string { return p.Node.String() }},
		column[partner.Row]{"endpoints", func(p partner.Row) string { return join(p.Endpoints) }})
}

type partnerShowCmd struct {
	Partner string `arg:"" placeholder:"CALLSIGN" help:"help.partner-arg"`
}

func (x *partnerShowCmd) Run(c *cli) error {
	var p partner.Row
	if err := c.call("partner.show", web.PartnerRef{Partner: noroshi.CallSign(x.Partner)}, &p); err != nil {
		return err
	}
	agreement := ""
	if !p.Agreement.IsZero() {
		agreement = p.Agreement.String()
	}
	return one(c, p, [][2]string{{"partner", string(p.Organisation.CallSign)}, {"trust", c.word("trust." + string(p.Trust))}, {"node", p.Node.String()},
		{"tokens", join(p.Organisation.Tokens)}, {"endpoints", strings.Join(p.Endpoints, "\n")}, {"fingerprint", p.Fingerprint},
		{"our-fingerprint", p.Ours}, {"agreement", agreement}}...)
}
