package main

import (
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

type indicatorCmd struct {
	Find     indicatorFindCmd     `cmd:"" help:"${help_indicator_find}"`
	Show     indicatorShowCmd     `cmd:"" help:"${help_indicator_show}"`
	Mark     indicatorMarkCmd     `cmd:"" help:"${help_indicator_mark}"`
	Withdraw indicatorWithdrawCmd `cmd:"" help:"${help_indicator_withdraw}"`
}

type indicatorFindCmd struct {
	Query string `arg:"" placeholder:"VALUE|WORDS" help:"${help_indicator_query}"`
	Limit int    `default:"100" help:"${help_limit}"`
	After int64  `help:"${help_after}"`
}

func (x *indicatorFindCmd) Run(c *cli) error {
	var f web.Found
	if err := c.call("indicator.find", web.FindRef{Query: x.Query, After: x.After, Limit: x.Limit}, &f); err != nil {
		return err
	}
	if f.Behind > 0 {
		c.say("cli.search-behind", n(f.Behind))
	}
	if f.Next > 0 {
		c.say("cli.more", n(f.Next))
	}
	return list(c, f.Data, objectColumns(c)...)
}

func objectColumns(c *cli) []column[web.ObjectRow] {
	return []column[web.ObjectRow]{
		{"id", func(r web.ObjectRow) string { return string(r.ID) }},
		{"name", func(r web.ObjectRow) string { return r.Name }},
		{"pattern", func(r web.ObjectRow) string { return r.Pattern }},
		{"from", func(r web.ObjectRow) string { return r.From }},
		{"state", func(r web.ObjectRow) string { return c.word("state." + objectState(r)) }},
		{"flags", func(r web.ObjectRow) string { return strings.Join(r.Flags, " ") }},
	}
}

func objectState(r web.ObjectRow) string {
	switch {
	case r.Withdrawn:
		return "withdrawn"
	case r.Revoked:
		return "revoked"
	case !r.Current:
		return "not-current"
	case r.Armed:
		return "armed"
	}
	return "kept"
}

type indicatorShowCmd struct {
	ID string `arg:"" placeholder:"ID" help:"${help_object_id}"`
}

func (x *indicatorShowCmd) Run(c *cli) error {
	var d web.ObjectDetail
	if err := c.call("indicator.show", web.ObjectRef{ID: stix.ID(x.ID)}, &d); err != nil {
		return err
	}
	refs := make([]string, len(d.Referrers))
	for i, r := range d.Referrers {
		refs[i] = string(r)
	}
	pairs := [][2]string{{"id", string(d.ID)}, {"name", d.Name}, {"pattern", d.Pattern}, {"label", d.Marking}, {"from", d.From}, {"modified", d.Modified},
		{"state", c.word("state." + objectState(d.ObjectRow))}, {"flags", strings.Join(d.Flags, " ")}, {"versions", n(d.Versions)}}
	pairs = append(pairs, originPairs(c, d.Origins)...)
	return one(c, d, append(pairs, [2]string{"referrers", strings.Join(refs, "\n")}, [2]string{"json", d.JSON})...)
}

type indicatorMarkCmd struct {
	ID      string `arg:"" placeholder:"ID" help:"${help_object_id}"`
	Marking string `required:"" placeholder:"TLP" help:"${help_indicator_marking}"`
	asPerson
}

// Run marks the version that is current now, more strictly or for the first
// time, and says what it is marked then.
func (x *indicatorMarkCmd) Run(c *cli) error {
	level, err := intake.Assignable(x.Marking)
	if err != nil {
		return err
	}
	var d web.ObjectDetail
	if err := c.call("indicator.show", web.ObjectRef{ID: stix.ID(x.ID)}, &d); err != nil {
		return err
	}
	s, err := x.sign(c, noroshi.ActAssignMarking, x.ID, intake.MarkBound(d.Hash, level))
	if err != nil {
		return err
	}
	var m web.Marked
	if err := c.call("marking.assign", web.MarkRef{Object: stix.ID(x.ID), Marking: level.String(), By: s}, &m); err != nil {
		return err
	}
	if !m.Changed {
		c.say("cli.marked-already", x.ID, m.Marking)
	}
	return nil
}

type indicatorWithdrawCmd struct {
	ID string `arg:"" placeholder:"ID" help:"${help_object_id}"`
	asPerson
}

// Run withdraws the version that is current now: a signature for it is none for
// a later one.
func (x *indicatorWithdrawCmd) Run(c *cli) error {
	var d web.ObjectDetail
	if err := c.call("indicator.show", web.ObjectRef{ID: stix.ID(x.ID)}, &d); err != nil {
		return err
	}
	s, err := x.sign(c, noroshi.ActWithdraw, x.ID, d.Hash)
	if err != nil {
		return err
	}
	var w web.Withdrawn
	if err := c.call("indicator.withdraw", web.SignedRef{Subject: x.ID, By: s}, &w); err != nil {
		return err
	}
	if len(w.Recalled) > 0 {
		c.say("cli.recall-sent", join(w.Recalled))
	}
	if len(w.Released) > 0 {
		c.say("cli.withdrawn-not-told", join(w.Released), x.ID)
	}
	return nil
}
