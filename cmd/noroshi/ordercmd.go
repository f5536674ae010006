package main

import (
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// order signs an order that several persons must sign alike, and says how many
// are still missing. An order that says the same and waits is the one signed.
func (a asPerson) order(c *cli, op string, want noroshi.Order) error {
	var drawn, given partner.Ordered
	if err := c.call("order.draw", want, &drawn); err != nil {
		return err
	}
	o := drawn.Order
	by, err := a.sign(c, o.Action, o.Subject(), o.Bound())
	if err != nil {
		return err
	}
	if err := c.call(op, web.OrderRef{Order: o, By: by}, &given); err != nil {
		return err
	}
	if given.Waiting > 0 {
		c.say("cli.approved-waiting", n(given.Waiting))
	} else {
		c.say("cli.ordered", c.t("act."+string(o.Action)), strings.Join(given.SignedBy, " "))
	}
	if c.Output != "table" {
		return one(c, given)
	}
	return nil
}

// agreed returns the partner with its agreement.
func (c *cli) agreed(with string) (partner.Row, error) {
	var p partner.Row
	if err := c.call("partner.show", web.PartnerRef{Partner: noroshi.CallSign(with)}, &p); err != nil {
		return p, err
	}
	if p.Agreement.IsZero() {
		return p, noroshi.Errorf(noroshi.Refused, "release.no-agreement", "no agreement is in force with %s", with)
	}
	return p, nil
}

type agreementSuspendCmd struct {
	With   string `required:"" placeholder:"CALLSIGN" help:"help.partner-arg"`
	Resume bool   `help:"help.agreement-resume"`
	asPerson
}

// Run stops all data with a partner, or lets it go on.
func (x *agreementSuspendCmd) Run(c *cli) error {
	p, err := c.agreed(x.With)
	if err != nil {
		return err
	}
	if x.Resume {
		return x.order(c, "agreement.resume", noroshi.Order{Action: noroshi.ActResumeAgreement, Agreement: p.Agreement})
	}
	return x.order(c, "agreement.suspend", noroshi.Order{Action: noroshi.ActSuspendAgreement, Agreement: p.Agreement})
}

type agreementEmergencyCmd struct {
	With  string `required:"" placeholder:"CALLSIGN" help:"help.partner-arg"`
	Hours int    `required:"" placeholder:"N" help:"help.agreement-hours"`
	asPerson
}

// Run declares an emergency that ends by itself.
func (x *agreementEmergencyCmd) Run(c *cli) error {
	p, err := c.agreed(x.With)
	if err != nil {
		return err
	}
	return x.order(c, "agreement.emergency", noroshi.Order{Action: noroshi.ActDeclareEmergency, Agreement: p.Agreement, Hours: x.Hours})
}

type releaseStandingCmd struct {
	Add  standingAddCmd  `cmd:"" help:"help.standing-add"`
	List standingListCmd `cmd:"" help:"help.standing-list"`
	End  standingEndCmd  `cmd:"" help:"help.standing-end"`
}

type standingAddCmd struct {
	To      string   `required:"" placeholder:"CALLSIGN" help:"help.partner-arg"`
	PerHour int      `required:"" placeholder:"N" help:"help.standing-per-hour"`
	Until   string   `required:"" placeholder:"TIME" help:"help.standing-until"`
	Type    []string `placeholder:"TYPE" help:"help.standing-type"`
	MaxTlp  string   `default:"tlp:green" placeholder:"MARKING" help:"help.standing-tlp"`
	asPerson
}

// Run lets FLASH of a stated kind go without further persons.
func (x *standingAddCmd) Run(c *cli) error {
	p, err := c.agreed(x.To)
	if err != nil {
		return err
	}
	until, err := moment(x.Until)
	if err != nil {
		return err
	}
	tlp, err := noroshi.ParseTLP(x.MaxTlp)
	if err != nil {
		return err
	}
	rule := noroshi.StandingRule{Partner: p.Node, Agreement: p.Agreement, Types: x.Type, MaxTLP: tlp, PerHour: x.PerHour, Until: until.UTC()}
	return x.order(c, "standing.add", noroshi.Order{Action: noroshi.ActStandingRule, Agreement: p.Agreement, Rule: &rule})
}

type standingListCmd struct{}

func (x *standingListCmd) Run(c *cli) error {
	var rows []partner.RuleRow
	if err := c.call("standing.list", nil, &rows); err != nil {
		return err
	}
	return list(c, rows,
		column[partner.RuleRow]{"rule", func(r partner.RuleRow) string { return r.ID }},
		column[partner.RuleRow]{"partner", func(r partner.RuleRow) string { return string(r.CallSign) }},
		column[partner.RuleRow]{"type", func(r partner.RuleRow) string {
			if len(r.Types) == 0 {
				return c.t("cli.standing-warnings")
			}
			return join(r.Types)
		}},
		column[partner.RuleRow]{"label", func(r partner.RuleRow) string { return r.MaxTLP.String() }},
		column[partner.RuleRow]{"per-hour", func(r partner.RuleRow) string { return n(r.PerHour) }},
		column[partner.RuleRow]{"until", func(r partner.RuleRow) string { return utc(r.Until) }},
		column[partner.RuleRow]{"approved-by", func(r partner.RuleRow) string { return join(r.By) }},
		column[partner.RuleRow]{"state", func(r partner.RuleRow) string {
			if r.Lasts {
				return c.t("state.in-force")
			}
			return c.t("state.over")
		}})
}

type standingEndCmd struct {
	Rule string `arg:"" placeholder:"RULE" help:"help.standing-rule"`
	asPerson
}

// Run ends a standing rule: FLASH takes two persons again.
func (x *standingEndCmd) Run(c *cli) error {
	return x.order(c, "standing.end", noroshi.Order{Action: noroshi.ActEndStandingRule, Ends: x.Rule})
}

type personDelegateCmd struct {
	ID    string `arg:"" placeholder:"PERSON" help:"help.person-delegate-to"`
	Until string `required:"" placeholder:"TIME" help:"help.person-until"`
	asPerson
}

// Run passes the role of a release officer on until a day.
func (x *personDelegateCmd) Run(c *cli) error {
	until, err := moment(x.Until)
	if err != nil {
		return err
	}
	return x.order(c, "person.delegate", noroshi.Order{Action: noroshi.ActDelegate, Person: x.ID, Role: noroshi.ReleaseOffice, Until: until.UTC()})
}
