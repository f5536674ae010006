package main

import (
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

type releaseCmd struct {
	List    releaseListCmd    `cmd:"" help:"${help_release_list}"`
	Show    releaseShowCmd    `cmd:"" help:"${help_release_show}"`
	Approve releaseApproveCmd `cmd:"" help:"${help_release_approve}"`
	Return  releaseReturnCmd  `cmd:"" help:"${help_release_return}"`
	Explain releaseExplainCmd `cmd:"" help:"${help_release_explain}"`
}

type releaseListCmd struct {
	All bool `help:"${help_release_all}"`
}

func (x *releaseListCmd) Run(c *cli) error {
	state := ""
	if x.All {
		state = "all"
	}
	var rows []web.HoldRow
	if err := c.call("release.list", web.HoldRef{State: state}, &rows); err != nil {
		return err
	}
	return list(c, rows,
		column[web.HoldRow]{"hold", func(r web.HoldRow) string { return r.ID }},
		column[web.HoldRow]{"partner", func(r web.HoldRow) string { return string(r.Partner) }},
		column[web.HoldRow]{"count", func(r web.HoldRow) string { return n(r.Count) }},
		column[web.HoldRow]{"label", func(r web.HoldRow) string { return r.Label }},
		column[web.HoldRow]{"precedence", func(r web.HoldRow) string { return r.Precedence.Prosign() }},
		column[web.HoldRow]{"key", func(r web.HoldRow) string { return c.t("hold." + string(r.Key)) }},
		column[web.HoldRow]{"clause", func(r web.HoldRow) string { return r.Clause }},
		column[web.HoldRow]{"state", func(r web.HoldRow) string { return holdState(c, r.State) }},
		column[web.HoldRow]{"approved-by", func(r web.HoldRow) string { return strings.Join(r.Approvals, " ") }})
}

// holdState says how far a hold is; an open one waits for a person.
func holdState(c *cli, state string) string {
	if state == "open" {
		return c.t("state.waiting")
	}
	return c.t("state." + state)
}

// holdArg is the argument of commands about one hold.
type holdArg struct {
	Hold string `arg:"" placeholder:"HOLD" help:"${help_hold}"`
}

type releaseShowCmd struct{ holdArg }

// Run shows what the partner would get, and every reason of the hold.
func (x *releaseShowCmd) Run(c *cli) error {
	var d web.HoldDetail
	if err := c.call("release.show", web.HoldRef{Hold: x.Hold}, &d); err != nil {
		return err
	}
	pairs := [][2]string{{"hold", d.ID}, {"partner", string(d.Partner)}, {"count", n(d.Count)}, {"label", d.Label}, {"banner", d.Banner.In(c.lang)}, {"precedence", d.Precedence.Prosign() + " " + c.t("precedence."+d.Precedence.String())},
		{"key", c.t("hold." + string(d.Key))}, {"clause", d.Clause}, {"state", holdState(c, d.State)}, {"approved-by", strings.Join(d.Approvals, " ")},
		{"digest", d.Digest.String()}}
	for _, r := range d.Reasons {
		pairs = append(pairs, [2]string{"reason", c.reason(r)})
	}
	for _, s := range d.Sample {
		pairs = append(pairs, [2]string{"partner-gets", s.JSON})
	}
	return one(c, d, pairs...)
}

// reason says in the user's language what a rule said.
func (c *cli) reason(r noroshi.Reason) string {
	var args []string
	if r.Clause != "" {
		args = append(args, r.Clause)
	}
	if r.Marking != "" {
		args = append(args, r.Marking)
	}
	args = append(args, r.Args...)
	return c.textOr("reason."+r.Code, strings.Join(append([]string{r.Code}, args...), " "), args...)
}

type releaseApproveCmd struct {
	holdArg
	asPerson
}

// Run signs exactly what release show shows.
func (x *releaseApproveCmd) Run(c *cli) error {
	s, err := x.over(c, x.asPerson, noroshi.ActApprove)
	if err != nil {
		return err
	}
	var a web.Approved
	if err := c.call("release.approve", web.SignedRef{Subject: x.Hold, By: s}, &a); err != nil {
		return err
	}
	if a.Waiting > 0 {
		c.say("cli.approved-waiting", n(a.Waiting))
	} else {
		c.say("cli.approved", a.Batch)
	}
	if c.Output != "table" {
		return one(c, a)
	}
	return nil
}

// over signs an act bound to the hold's digest.
func (x holdArg) over(c *cli, by asPerson, a noroshi.Action) (noroshi.Signed, error) {
	var d web.HoldDetail
	if err := c.call("release.show", web.HoldRef{Hold: x.Hold}, &d); err != nil {
		return noroshi.Signed{}, err
	}
	return by.sign(c, a, x.Hold, d.Digest)
}

type releaseReturnCmd struct {
	holdArg
	asPerson
}

func (x *releaseReturnCmd) Run(c *cli) error {
	s, err := x.over(c, x.asPerson, noroshi.ActReturn)
	if err != nil {
		return err
	}
	return c.call("release.return", web.SignedRef{Subject: x.Hold, By: s}, nil)
}

type releaseExplainCmd struct {
	ID string `arg:"" placeholder:"ID" help:"${help_object_id}"`
	To string `required:"" placeholder:"CALLSIGN" help:"${help_partner_arg}"`
}

func (x *releaseExplainCmd) Run(c *cli) error {
	var e web.Explained
	if err := c.call("release.explain", web.ExplainRef{Object: stix.ID(x.ID), Partner: noroshi.CallSign(x.To)}, &e); err != nil {
		return err
	}
	pairs := [][2]string{{"outcome", c.t("outcome." + e.Outcome)}}
	for _, r := range e.Reasons {
		pairs = append(pairs, [2]string{"reason", c.reason(r)})
	}
	return one(c, e, pairs...)
}
