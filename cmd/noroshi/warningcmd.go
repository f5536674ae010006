package main

import (
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

type warningCmd struct {
	New  warningNewCmd  `cmd:"" help:"help.warning-new"`
	List warningListCmd `cmd:"" help:"help.warning-list"`
	Show warningShowCmd `cmd:"" help:"help.warning-show"`
	Ack  warningAckCmd  `cmd:"" help:"help.warning-ack"`
}

type warningNewCmd struct {
	TitleEn    string        `required:"" placeholder:"TEXT" help:"help.warning-title-en"`
	TitleJa    string        `required:"" placeholder:"TEXT" help:"help.warning-title-ja"`
	TextEn     string        `required:"" placeholder:"TEXT" help:"help.warning-text-en"`
	TextJa     string        `required:"" placeholder:"TEXT" help:"help.warning-text-ja"`
	Severity   string        `enum:"low,medium,high,critical" default:"high" placeholder:"LEVEL" help:"help.warning-severity"`
	Precedence string        `enum:"routine,priority,immediate,flash" default:"immediate" placeholder:"PRECEDENCE" help:"help.warning-precedence"`
	Action     string        `required:"" placeholder:"CODE" help:"help.warning-action"`
	Due        time.Duration `placeholder:"2h" help:"help.warning-due"`
	About      []string      `required:"" placeholder:"ID" help:"help.warning-about"`
	Replaces   string        `placeholder:"ID" help:"help.warning-replaces"`
	Audience   []string      `placeholder:"CALLSIGN" help:"help.warning-audience"`
	Marking    string        `default:"tlp:amber" placeholder:"TLP" help:"help.warning-marking"`
	asPerson
}

// Run makes a warning. It leaves only through the exit gate.
func (x *warningNewCmd) Run(c *cli) error {
	d := watch.Draft{ID: stix.NewID("report"), TitleEN: x.TitleEn, TitleJA: x.TitleJa, TextEN: x.TextEn, TextJA: x.TextJa,
		Severity: noroshi.Severity(x.Severity), Action: x.Action, Audience: x.Audience, Replaces: stix.ID(x.Replaces), Marking: x.Marking}
	var err error
	if d.Precedence, err = noroshi.ParsePrecedence(x.Precedence); err != nil {
		return err
	}
	if x.Due < 0 {
		return noroshi.Errorf(noroshi.Invalid, "warning.field", "the warning is not complete: %s must be %s", "due", "2h")
	}
	if x.Due > 0 {
		d.Due = time.Now().UTC().Add(x.Due).Truncate(time.Second)
	}
	for _, id := range x.About {
		d.Refs = append(d.Refs, stix.ID(id))
	}
	by, err := x.sign(c, noroshi.ActWarn, string(d.ID), d.Bound())
	if err != nil {
		return err
	}
	if err := c.call("warning.new", web.NewWarning{Draft: d, By: by}, nil); err != nil {
		return err
	}
	return one(c, map[string]stix.ID{"id": d.ID}, [2]string{"warning", string(d.ID)})
}

type warningListCmd struct {
	All bool `help:"help.warning-all"`
}

func (x *warningListCmd) Run(c *cli) error {
	var rows []watch.Row
	if err := c.call("warning.list", web.WarningsRef{All: x.All}, &rows); err != nil {
		return err
	}
	return list(c, rows,
		column[watch.Row]{"precedence", func(r watch.Row) string { return r.Precedence.Prosign() }},
		column[watch.Row]{"severity", func(r watch.Row) string { return c.word("severity." + string(r.Severity)) }},
		column[watch.Row]{"time", func(r watch.Row) string { return r.Published.UTC().Format("2006-01-02 15:04Z") }},
		column[watch.Row]{"from", func(r watch.Row) string { return r.CallSign }},
		column[watch.Row]{"title", func(r watch.Row) string { t, _ := r.In(c.cellLang()); return t }},
		column[watch.Row]{"events", func(r watch.Row) string { return c.some(r.Events) }},
		column[watch.Row]{"state", func(r watch.Row) string { return c.word("state." + warningState(r)) }},
		column[watch.Row]{"id", func(r watch.Row) string { return string(r.ID) }},
		column[watch.Row]{"number", func(r watch.Row) string { return r.Number }})
}

func warningState(r watch.Row) string {
	switch {
	case r.Withdrawn:
		return "withdrawn"
	case r.Replaced != "":
		return "replaced"
	case len(r.Acks) > 0:
		return "acknowledged"
	case r.Late(time.Now()):
		return "late"
	}
	return "open"
}

type warningShowCmd struct {
	ID string `arg:"" placeholder:"ID" help:"help.warning-id"`
}

// Run shows a warning in both languages, and who has it.
func (x *warningShowCmd) Run(c *cli) error {
	d, err := showWarning(c, x.ID)
	if err != nil {
		return err
	}
	due := ""
	if !d.Due.IsZero() {
		due = d.Due.Format(time.RFC3339)
	}
	pairs := [][2]string{{"warning", string(d.ID)}, {"number", d.Number}, {"state", c.word("state." + warningState(d.Row))}, {"from", d.CallSign}, {"label", d.Label},
		{"precedence", d.Precedence.Prosign() + " " + c.word("precedence."+d.Precedence.String())}, {"severity", c.word("severity." + string(d.Severity))}, {"action-asked", c.wordOr("action."+d.Action, d.Action)}, {"due", due},
		{"title-en", d.Title}, {"text-en", d.Text}, {"title-ja", d.TitleJA}, {"text-ja", d.TextJA}, {"events", c.some(d.Events)}}
	for _, id := range d.Refs {
		pairs = append(pairs, [2]string{"about", string(id)})
	}
	for _, a := range d.Acks {
		pairs = append(pairs, [2]string{"acknowledged-by", a.Person + " (" + c.word("role."+string(a.Role)) + ") " + a.Time.UTC().Format(time.RFC3339)})
	}
	for _, k := range d.Deliveries {
		pairs = append(pairs, [2]string{"delivery", deliveryLine(c, k)})
	}
	return one(c, d, pairs...)
}

// deliveryLine is a delivery in one line: outside, a person is a role.
func deliveryLine(c *cli, d watch.Delivery) string {
	line := string(d.CallSign) + ": " + c.word("state."+d.State)
	if d.Late {
		line += " · ▲ " + c.word("state.late")
	}
	if d.Reader == "" {
		return line
	}
	return line + " (" + c.word("role."+string(d.Reader)) + ") " + d.Since.UTC().Format(time.RFC3339)
}

// showWarning reads a warning by its id or its number.
func showWarning(c *cli, id string) (watch.Detail, error) {
	var d watch.Detail
	err := c.call("warning.show", web.ObjectRef{ID: stix.ID(id)}, &d)
	return d, err
}

type warningAckCmd struct {
	ID string `arg:"" placeholder:"ID" help:"help.warning-id"`
	asPerson
}

// Run acknowledges the warning as it is shown now.
func (x *warningAckCmd) Run(c *cli) error {
	d, err := showWarning(c, x.ID)
	if err != nil {
		return err
	}
	by, err := x.sign(c, noroshi.ActAck, string(d.ID), d.Hash)
	if err != nil {
		return err
	}
	return c.call("warning.ack", web.SignedRef{Subject: string(d.ID), By: by}, nil)
}
