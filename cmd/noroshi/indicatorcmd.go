package main

import (
	"strings"
	"unicode/utf8"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

type indicatorCmd struct {
	Find     indicatorFindCmd     `cmd:"" help:"help.indicator-find"`
	Show     indicatorShowCmd     `cmd:"" help:"help.indicator-show"`
	Mark     indicatorMarkCmd     `cmd:"" help:"help.indicator-mark"`
	ReAuthor indicatorReAuthorCmd `cmd:"" help:"help.indicator-re-author"`
	Withdraw indicatorWithdrawCmd `cmd:"" help:"help.indicator-withdraw"`
}

type indicatorFindCmd struct {
	Query string `arg:"" placeholder:"VALUE|WORDS" help:"help.indicator-query"`
	Limit int    `default:"100" help:"help.limit"`
	After int64  `help:"help.after"`
}

// Run finds a page. What no index finds the node looks through in parts: they are
// asked for until the page is full.
func (x *indicatorFindCmd) Run(c *cli) error {
	f, err := x.page(c, x.After, x.Limit)
	if err != nil {
		return err
	}
	for f.Rest > 0 && len(f.Data) < x.Limit {
		more, err := x.page(c, f.Next, x.Limit-len(f.Data))
		if err != nil {
			return err
		}
		more.Data = append(f.Data, more.Data...)
		f = more
	}
	if f.Behind > 0 {
		c.say("cli.search-behind", n(f.Behind))
	}
	if f.Next > 0 {
		c.say("cli.more", n(f.Next))
	}
	return list(c, f.Data, objectColumns(c)...)
}

func (x *indicatorFindCmd) page(c *cli, after int64, limit int) (f web.Found, err error) {
	err = c.call("indicator.find", web.FindRef{Query: x.Query, After: after, Limit: limit}, &f)
	return f, err
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
	ID string `arg:"" placeholder:"ID" help:"help.object-id"`
}

func (x *indicatorShowCmd) Run(c *cli) error {
	var d web.ObjectDetail
	if err := c.call("indicator.show", web.ObjectRef{ID: stix.ID(x.ID)}, &d); err != nil {
		return err
	}
	pairs := [][2]string{{"id", string(d.ID)}, {"name", d.Name}, {"pattern", d.Pattern}, {"label", d.Marking}, {"from", d.From}, {"modified", d.Modified},
		{"state", c.word("state." + objectState(d.ObjectRow))}, {"flags", strings.Join(d.Flags, " ")}, {"versions", n(d.Versions)}}
	pairs = append(pairs, originPairs(c, d.Origins)...)
	return one(c, d, append(pairs, [2]string{"derived-from", lines(d.DerivedFrom)}, [2]string{"derived", lines(d.Derived)},
		[2]string{"referrers", lines(d.Referrers)}, [2]string{"json", d.JSON})...)
}

func lines(ids []stix.ID) string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = string(id)
	}
	return strings.Join(all, "\n")
}

type indicatorMarkCmd struct {
	ID      string `arg:"" placeholder:"ID" help:"help.object-id"`
	Marking string `required:"" placeholder:"TLP" help:"help.indicator-marking"`
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

type indicatorReAuthorCmd struct {
	ID      string   `arg:"" placeholder:"ID" help:"help.object-id"`
	File    string   `required:"" placeholder:"FILE" help:"help.re-author-file"`
	Marking []string `required:"" placeholder:"TLP|ID" help:"help.re-author-marking"`
	asPerson
}

// Run signs the bytes of the new object and of the relationship to its original
// as the node would take them in.
func (x *indicatorReAuthorCmd) Run(c *cli) error {
	clear, err := readFile(x.File)
	if err != nil {
		return err
	}
	if !utf8.Valid(clear) {
		return noroshi.Errorf(noroshi.Invalid, "reauthor.file", "the clear text is no JSON object: byte %d", 0)
	}
	var d web.Redrawn
	if err := c.call("indicator.redraw", intake.Redraft{Original: stix.ID(x.ID), Clear: string(clear), Markings: x.Marking}, &d); err != nil {
		return err
	}
	by, err := x.sign(c, noroshi.ActReauthor, x.ID, intake.ReauthorBound([]byte(d.Object), []byte(d.Link)))
	if err != nil {
		return err
	}
	if err := c.call("indicator.reauthor", web.ReauthorRef{Redraft: d.Redraft, By: by}, nil); err != nil {
		return err
	}
	return one(c, map[string]stix.ID{"id": d.Redraft.ID, "derived_from": d.Redraft.Original, "relationship": d.Redraft.Link},
		[2]string{"id", string(d.Redraft.ID)}, [2]string{"derived-from", x.ID})
}

type indicatorWithdrawCmd struct {
	ID string `arg:"" placeholder:"ID" help:"help.object-id"`
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
